// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certificates

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/serials"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/logical"
)

// RevocationOf is when and why CERTInext has revoked an order, as far as it says.
func RevocationOf(remote *certinext.Order, now time.Time) (time.Time, certinext.Reason) {
	if remote == nil || remote.Revocation == nil {
		return now, DefaultReason
	}
	at, reason := remote.Revocation.ProcessedAt, DefaultReason
	if at.IsZero() {
		at = now
	}
	if r, err := certinext.ParseReason(remote.Revocation.Reason); err == nil {
		reason = r
	}
	return at, reason
}

// DefaultReason is given when nobody names one. The live service takes no "unspecified".
const DefaultReason = certinext.ReasonCessationOfOperation

// A RevokeRequest names a certificate of the mount, in one of three ways, and why it is to be revoked.
type RevokeRequest struct {
	Serial      string
	Certificate string // PEM
	OrderID     string // the engine's own

	// Role, when set, is the only role whose certificates may be revoked.
	Role string
	// PrivateKey, when WithKey is set, has to be that of the certificate.
	PrivateKey string
	WithKey    bool

	Reason string // any spelling of RFC 5280's; cessation-of-operation when empty
	Note   string
}

// Revoked is the outcome of a revocation.
type Revoked struct {
	Serial string
	// At is when CERTInext took the revocation; zero while it is queued, or when the certificate had expired.
	At      time.Time
	Reason  certinext.Reason
	Queued  bool
	Expired bool
	// Reissued is set when a lease ended on a certificate that was reissued: CERTInext cannot revoke that one alone.
	Reissued bool
	// HandedTo is how many answers held the certificate: whoever shares it is hit, too.
	HandedTo int
}

// Revoke revokes a certificate that is named by its serial number or by itself.
func (keeper *Keeper) Revoke(ctx context.Context, s logical.Storage, r RevokeRequest) (*Revoked, error) {
	reason, err := r.reason()
	if err != nil {
		return nil, err
	}
	serial, err := r.serial()
	if err != nil {
		return nil, err
	}
	q := &Queued{
		Version: 1, Serial: serial, Reason: reason, Note: r.Note, QueuedAt: keeper.Now(), Due: true, Asked: true, asked: true,
	}
	return keeper.RevokeQueued(ctx, s, q, func(c *Entry) error {
		if c == nil || r.Role != "" && c.Role != r.Role {
			// One answer for both: a team cannot find out another's serial numbers.
			return &fault.NotFoundError{Kind: "certificate", Name: strings.ReplaceAll(serial, "-", ":")}
		}
		if r.Certificate != "" && !c.is(r.Certificate) {
			return &fault.NotFoundError{Kind: "certificate", Name: strings.ReplaceAll(serial, "-", ":")}
		}
		if r.WithKey {
			return holdsKey(c, r.PrivateKey)
		}
		return nil
	})
}

// Check says which field is wrong, if any, of what can be told without storage.
func (r RevokeRequest) Check() error {
	if _, err := r.reason(); err != nil {
		return err
	}
	if len(issuing.NonEmpty(r.Serial, r.Certificate, r.OrderID)) == 1 {
		return nil
	}
	fields := "serial_number and certificate"
	if r.Role != "" {
		fields = "serial_number, certificate and order_id"
	}
	return fault.BadField("serial_number", "name the certificate by exactly one of %s", fields)
}

// reason is why the certificate is revoked, in CERTInext's words.
func (r RevokeRequest) reason() (certinext.Reason, error) {
	if r.Reason == "" {
		return DefaultReason, nil
	}
	reason, err := certinext.ParseReason(r.Reason)
	if err != nil {
		return "", fault.BadField("reason", "%v", err)
	}
	return reason, nil
}

// serial finds the serial number, in the form of storage keys, of the certificate that r names.
func (r RevokeRequest) serial() (string, error) {
	if err := r.Check(); err != nil {
		return "", err
	}
	if r.Serial != "" {
		return serials.Parse("serial_number", r.Serial)
	}
	block, _ := pem.Decode([]byte(r.Certificate))
	if block == nil || block.Type != "CERTIFICATE" {
		return "", fault.BadField("certificate", "is not a PEM certificate")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return "", fault.BadField("certificate", "cannot be parsed: %v", err)
	}
	return serials.Key(cert.SerialNumber), nil
}

// is reports whether the certificate is the one in PEM: another CA's may have the same serial number, and anybody can make one.
func (c *Entry) is(text string) bool {
	ours, err := Parse([]string{c.Certificate})
	if err != nil || len(ours) == 0 {
		return false
	}
	theirs, err := Parse([]string{text})
	return err == nil && len(theirs) > 0 && theirs[0].Equal(ours[0])
}

// holdsKey reports an error unless the PEM key is the certificate's.
func holdsKey(c *Entry, keyPEM string) error {
	key, err := issuing.ParseKey(keyPEM)
	if err != nil {
		return err
	}
	certs, err := Parse([]string{c.Certificate})
	if err != nil || len(certs) != 1 {
		return fmt.Errorf("stored certificate %s: %w", c.Serial, errors.Join(err))
	}
	if !issuing.SamePublicKey(certs[0].PublicKey, key.Public()) {
		return fault.BadField("private_key", "is not the key of certificate %s", c.View().Serial)
	}
	return nil
}

// RevokeQueued queues a revocation, and then asks CERTInext for it: what it cannot take now stays queued. admit has the first word on the
// certificate, which is nil when the mount has none.
func (keeper *Keeper) RevokeQueued(ctx context.Context, s logical.Storage, q *Queued, admit func(*Entry) error) (*Revoked, error) {
	v, done, err := keeper.queueRevocation(ctx, s, q, admit)
	if err != nil || done != nil {
		return done, err
	}
	return keeper.carryOut(ctx, s, v)
}

// A revoking is a queued revocation that CERTInext is about to be asked for.
type revoking struct {
	cert *Entry
	q    *Queued
}

// queueRevocation stores a revocation before CERTInext hears of it, so that neither a crash nor a fault of storage loses it. Nobody is handed
// the certificate from then on. done is the outcome when CERTInext need not be asked.
func (keeper *Keeper) queueRevocation(ctx context.Context, s logical.Storage, q *Queued, admit func(*Entry) error) (v *revoking, done *Revoked, err error) {
	unlock, err := keeper.Lock(ctx, q.Serial)
	if err != nil {
		return nil, nil, err
	}
	defer unlock()
	c, err := Read(ctx, s, q.Serial)
	if err == nil {
		err = admit(c)
	}
	if err != nil || c == nil {
		return nil, nil, err
	}
	before, err := store.Get[Queued](ctx, s, RevocationPrefix+q.Serial)
	if err != nil {
		return nil, nil, err
	}
	if q.asked {
		q.Askers = 1
	}
	q.join(before)
	if err := keeper.Enqueue(ctx, s, q); err != nil {
		return nil, nil, err
	}
	v = &revoking{cert: c, q: q}
	if done, err = keeper.needless(ctx, s, v); err != nil && q.asked && refusal(err) {
		err = errors.Join(err, keeper.withdrawAsker(ctx, s, c))
	}
	return v, done, err
}

// needless returns the outcome of a revocation that CERTInext need not be asked for, and nil when it has to be. The caller holds the
// certificate's lock.
func (keeper *Keeper) needless(ctx context.Context, s logical.Storage, v *revoking) (*Revoked, error) {
	c := v.cert
	out := c.revoked()
	switch {
	case c.Revocation != nil:
		out.At, out.Reason = c.Revocation.At, c.Revocation.Reason
		return out, keeper.dequeue(ctx, s, c.Serial)
	case keeper.expired(c):
		out.Expired = true
		return out, keeper.dequeue(ctx, s, c.Serial)
	}
	if kept, err := keeper.keepReissued(ctx, s, c, v.q, out); kept || err != nil {
		return out, err
	}
	return nil, nil
}

// expired reports whether a certificate is over for certain. While our clock and CERTInext's differ, or as long as this process has not seen
// CERTInext's, nothing is left undone because of ours. That a config is gone, so that nobody could be asked now, does not make it right: it may
// be written again.
func (keeper *Keeper) expired(c *Entry) bool {
	if c.NotAfter.After(keeper.Now()) {
		return false
	}
	_, known := keeper.Account.ClockSkew()
	return known && !keeper.Account.ClockInDoubt()
}

// refusal reports whether an error is an answer, and not a fault of storage.
func refusal(err error) bool {
	var field *fault.FieldError
	return errors.As(err, &field)
}

func (c *Entry) revoked() *Revoked {
	return &Revoked{Serial: c.View().Serial, HandedTo: c.Delivery.Answers()}
}

// carryOut asks CERTInext for a queued revocation, and stores what comes of it. Nothing is locked meanwhile. A refusal is an error for somebody
// who asked, and otherwise one more reason to try later.
func (keeper *Keeper) carryOut(ctx context.Context, s logical.Storage, v *revoking) (*Revoked, error) {
	out := v.cert.revoked()
	leave, first := keeper.revocations.TryLock(v.cert.Serial)
	if !first {
		out.Queued, out.Reason = true, v.q.Reason
		return out, nil // it is being asked for at this moment
	}
	defer leave()
	began := keeper.Now()
	sent, err := keeper.revokeAtCA(ctx, s, v.cert, v.q)
	heard, unseen := err, (*unseenError)(nil)
	if errors.As(err, &unseen) {
		heard = unseen.cause
	}
	against := keeper.Account.Observe(heard, began) || unseen != nil

	ctx, stop := keeper.Outlive(ctx)
	defer stop()
	unlock, lockErr := keeper.Lock(ctx, v.cert.Serial)
	if lockErr != nil {
		return nil, lockErr
	}
	defer unlock()
	c, getErr := Read(ctx, s, v.cert.Serial)
	if getErr != nil || c == nil {
		return nil, errors.Join(getErr, err)
	}
	now := keeper.Now()
	switch {
	case c.Revocation != nil: // by somebody else meanwhile
		out.At, out.Reason = c.Revocation.At, c.Revocation.Reason
		return out, keeper.dequeue(ctx, s, c.Serial)
	case err == nil:
		out.At, out.Reason = now, sent
		return out, keeper.RecordRevocation(ctx, s, c, now, sent)
	case v.q.asked && refusedForGood(err):
		var unsupported *certinext.UnsupportedReasonError
		if errors.As(err, &unsupported) {
			err = &fault.FieldError{Field: "reason", Problem: unsupported.Error()}
		} else {
			err = fault.Refused(err)
		}
		return nil, errors.Join(err, keeper.withdrawAsker(ctx, s, c))
	}
	v.q.failed(err, against, now, keeper.Account.Breaker.Now())
	out.Queued, out.Reason = true, v.q.Reason
	keeper.Log.Warn("CERTInext did not take a revocation; it is queued", "serial", out.Serial, "attempts", v.q.Attempts, "error", err)
	return out, keeper.putOff(ctx, s, v.q)
}

// refusedForGood reports whether the same revocation would be refused again: it is one that CERTInext cannot express, or
// CERTInext answered that it will not. A lost answer, an outage, a rate limit and a credential that does not work pass.
func refusedForGood(err error) bool {
	var (
		unsupported *certinext.UnsupportedReasonError
		invalid     *certinext.InvalidRequestError
		e           *certinext.Error
	)
	switch {
	case errors.As(err, &unsupported), errors.As(err, &invalid):
		return true
	case !errors.As(err, &e), e.Acted, e.SigningIn, !e.Own:
		return false
	}
	return !certinext.HasStatus(err, 0, 401, 403, 429)
}

const (
	leaseEndPatience = 10 * time.Second
)

func (keeper *Keeper) revokeAtCA(ctx context.Context, s logical.Storage, c *Entry, q *Queued) (certinext.Reason, error) {
	client, cfg, err := keeper.Account.Client(ctx, s)
	if err != nil {
		return "", err
	}
	if c.Account != "" && !account.SameAccount(c.Account, cfg.Account()) {
		return "", ErrOtherAccount
	}
	ctx, stop := keeper.WhileAlive(ctx)
	defer stop()
	if q.asked {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, account.InteractiveTimeout)
		defer cancel()
	}
	if !q.SentAt.IsZero() {
		err := c.seeRevoked(ctx, client)
		var unseen *unseenError
		if err == nil || errors.As(err, &unseen) && unseen.cause != nil {
			return q.Reason, err // what CERTInext has taken is sent again only if its order shows that it has not
		}
	}
	sent, err := client.RevokeOrder(ctx, c.Family, c.CAOrderID, certinext.RevokeRequest{
		Reason: q.Reason, Note: q.Note, IdempotencyKey: c.revocationKey(),
	})
	if err != nil {
		return "", err
	}
	q.SentAt = keeper.Now()
	return sent, c.seeRevoked(ctx, client)
}

// revocationKey is the Idempotency-Key of the certificate's revocation. An order's own id is used again when the name of its request is.
func (c *Entry) revocationKey() string { return "revoke-" + c.Serial }

// seeRevoked reports an [*unseenError] unless CERTInext's order itself says that it is revoked.
func (c *Entry) seeRevoked(ctx context.Context, client *certinext.Client) error {
	remote, err := client.TrackOrder(ctx, c.Family, c.CAOrderID)
	switch {
	case err != nil:
		return &unseenError{why: fmt.Sprintf("its order's status cannot be read: %v", err), cause: err}
	case remote.Status != certinext.StatusRevoked || !account.IsAbout(remote, c.CAOrderID, client.Version):
		return &unseenError{why: fmt.Sprintf("its order's status is %q", sanitize.Short(string(remote.Status)))}
	}
	return nil
}

// An unseenError is a revocation that CERTInext has answered with a success, and that the order's own status does not show: the answer may
// have been a middleman's, and a certificate that counts as revoked is not looked at again.
type unseenError struct {
	why   string
	cause error // of not seeing it; nil when CERTInext told another status
}

// Error says what the order says instead.
func (e *unseenError) Error() string {
	return "CERTInext has answered that the certificate is revoked, and " + e.why + ": it is asked again"
}

// ErrOtherAccount is a revocation that has to wait: the same number may be another order in the present account.
var ErrOtherAccount = errors.New("the certificate belongs to another CERTInext account than the one in config: it is revoked when that is there again")

// RecordRevocation stores that CERTInext has revoked the order of c, and with it the certificates that c has replaced, or that have
// replaced c. What is left undone by a crash is done when c, which comes last, is looked at again.
func (keeper *Keeper) RecordRevocation(ctx context.Context, s logical.Storage, c *Entry, at time.Time, reason certinext.Reason) error {
	if err := errors.Join(keeper.recordForPrevious(ctx, s, c, at, reason), keeper.recordForNewer(ctx, s, c, reason)); err != nil {
		return err
	}
	return keeper.recordOne(ctx, s, c, at, reason)
}

// recordOne stores that CERTInext has revoked c.
func (keeper *Keeper) recordOne(ctx context.Context, s logical.Storage, c *Entry, at time.Time, reason certinext.Reason) error {
	ctx = context.WithoutCancel(ctx)
	c.Revocation = &Revocation{At: at, Reason: reason}
	c.Leases = nil
	// The list first: a certificate whose own record says that it is revoked is not looked at again.
	if err := store.Put(ctx, s, revokedPrefix+c.Serial, c.Revocation); err != nil {
		return err
	}
	if err := store.Put(ctx, s, c.Key(), c); err != nil {
		return err
	}
	if err := keeper.dequeue(ctx, s, c.Serial); err != nil {
		return err
	}
	return keeper.Origin.FinishRevoked(ctx, s, c)
}
