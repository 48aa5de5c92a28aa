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

// RevocationOf returns when and why CERTInext has revoked an order: now, and no reason, where it
// does not say.
func RevocationOf(remote *certinext.Order, now time.Time) (time.Time, certinext.Reason) {
	if remote == nil || remote.Revocation == nil {
		return now, ""
	}
	at := remote.Revocation.ProcessedAt
	if at.IsZero() {
		at = now
	}
	reason, err := certinext.ParseReason(remote.Revocation.Reason)
	if err != nil {
		return at, ""
	}
	return at, reason
}

// DefaultReason is the reason of a revocation for which none is given. The live service does not
// accept "unspecified".
const DefaultReason = certinext.ReasonCessationOfOperation

// A RevokeRequest names a certificate of the mount, in one of three ways, and why it is to be
// revoked.
type RevokeRequest struct {
	Serial      string // with colons, dashes or neither
	Certificate string // PEM
	OrderID     string // of the mount's own order

	// Role, when set, is the only role whose certificates may be revoked. Requester is who asks for
	// that; empty for an operator.
	Role, Requester string
	// Admit, unless it is nil, may refuse the revocation of the certificate. It asks nobody but
	// storage.
	Admit func(*Entry) error
	// PrivateKey, when WithKey is set, has to be the certificate's key, in PEM.
	PrivateKey string
	WithKey    bool

	Reason string // any spelling of a reason of RFC 5280; [DefaultReason] when empty
	Note   string
}

// Revoked is the outcome of a revocation.
type Revoked struct {
	Serial string // with colons
	// At is when CERTInext confirmed the revocation; zero while it is queued, or when the
	// certificate had expired.
	At      time.Time
	Reason  certinext.Reason
	Queued  bool // it waits in the queue
	Expired bool // the certificate had expired, so nothing was revoked
	// Reissued is set when the last lease on a reissued certificate ended: CERTInext cannot revoke
	// that certificate alone, so it stays valid (ADR 0013).
	Reissued bool
	// HandedTo is the number of answers that held the certificate. Their clients share it, and the
	// revocation affects them all.
	HandedTo int
}

// Revoke revokes a certificate that r names by its serial number or in PEM. The revocation is
// queued when CERTInext cannot be reached or asks to wait; when CERTInext refuses it, that is an
// error and nothing stays queued. A certificate of another role than r.Role does not count as
// found.
func (keeper *Keeper) Revoke(
	ctx context.Context, s logical.Storage, r RevokeRequest,
) (*Revoked, error) {
	if err := keeper.Account.MayChange(); err != nil {
		return nil, err // "queued" would say that it is going to happen
	}
	reason, err := r.reason()
	if err != nil {
		return nil, err
	}
	serial, err := r.SerialKey()
	if err != nil {
		return nil, err
	}
	q := &Queued{
		Version: 1, Serial: serial, Reason: reason, Note: r.Note,
		QueuedAt: keeper.Now(), Due: true, ByRequest: true, interactive: true,
	}
	notFound := fault.NoCertificate(strings.ReplaceAll(serial, "-", ":"),
		serials.Mistaken(r.Serial))
	return keeper.RevokeQueued(ctx, s, q, func(c *Entry) error {
		if c == nil || (r.Role != "" && c.Role != r.Role) {
			// The answer is the same for both, so that no team can probe for another's serial
			// numbers.
			return notFound
		}
		if r.Certificate != "" && !c.matches(r.Certificate) {
			return notFound
		}
		if r.Admit != nil {
			if err := r.Admit(c); err != nil {
				return err
			}
		}
		if r.WithKey {
			if err := holdsKey(c, r.PrivateKey); err != nil {
				return err
			}
		}
		// Before anything else: whatever becomes of the revocation, the key is out.
		return keeper.noteCompromised(ctx, s, c, reason)
	})
}

// Check returns an error about an invalid field of r, as far as that can be told without storage.
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

// reason returns the reason of the revocation as CERTInext names it.
func (r RevokeRequest) reason() (certinext.Reason, error) {
	if r.Reason == "" {
		return DefaultReason, nil
	}
	return ParseReason("reason", r.Reason)
}

// ParseReason returns the reason of a revocation that a field of a request names. The error is a
// [*fault.FieldError].
func ParseReason(field, text string) (certinext.Reason, error) {
	reason, err := certinext.ParseReason(text)
	var invalid *certinext.InvalidRequestError
	if errors.As(err, &invalid) {
		return "", &fault.FieldError{Field: field, Problem: invalid.Problem}
	}
	return reason, err
}

// SerialKey returns the serial number, with dashes, of the certificate that r names.
func (r RevokeRequest) SerialKey() (string, error) {
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
		return "", fault.BadField("certificate",
			"cannot be parsed: it is damaged, or none of X.509")
	}
	return serials.Key(cert.SerialNumber), nil
}

// matches reports whether the certificate is the one in the PEM text. Its serial number alone does
// not tell: certificates of other CAs may have the same, and any client can make one that has.
func (c *Entry) matches(text string) bool {
	ours, err := Parse([]string{c.Certificate})
	if err != nil || len(ours) == 0 {
		return false
	}
	theirs, err := Parse([]string{text})
	return err == nil && len(theirs) > 0 && theirs[0].Equal(ours[0])
}

// holdsKey returns an error unless the key in PEM is the certificate's.
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

// RevokeQueued queues a revocation, and then asks CERTInext for it; while that fails, it stays
// queued. admit is called first, with the certificate or with nil when the mount has none, and its
// error ends the revocation. The result is nil when the mount has no such certificate and admit
// accepts that.
func (keeper *Keeper) RevokeQueued(
	ctx context.Context, s logical.Storage, q *Queued, admit func(*Entry) error,
) (*Revoked, error) {
	v, done, err := keeper.queueRevocation(ctx, s, q, admit)
	if err != nil || done != nil {
		return done, err
	}
	return keeper.attempt(ctx, s, v)
}

// A pendingRevocation is a queued revocation for which CERTInext is to be asked, with its
// certificate.
type pendingRevocation struct {
	cert *Entry
	q    *Queued
}

// queueRevocation stores a revocation before CERTInext is asked for it, so that neither a crash nor
// a failure of storage loses it (ADR 0021). No client receives the certificate from then on. done
// is the outcome when CERTInext need not be asked, and otherwise nil.
func (keeper *Keeper) queueRevocation(
	ctx context.Context, s logical.Storage, q *Queued, admit func(*Entry) error,
) (v *pendingRevocation, done *Revoked, err error) {
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
	if q.interactive {
		q.Requests = 1
	}
	q.merge(before)
	if err := keeper.Enqueue(ctx, s, q); err != nil {
		return nil, nil, err
	}
	eraseKept(ctx, keeper, s, c)
	v = &pendingRevocation{cert: c, q: q}
	done, err = keeper.settleLocally(ctx, s, v)
	if err != nil && q.interactive && isFieldError(err) {
		err = errors.Join(err, keeper.withdrawRequest(ctx, s, c))
	}
	return v, done, err
}

// settleLocally returns the outcome of a revocation for which CERTInext need not be asked, after it
// has stored it, and nil when CERTInext has to be asked. The caller holds the certificate's lock.
func (keeper *Keeper) settleLocally(
	ctx context.Context, s logical.Storage, v *pendingRevocation,
) (*Revoked, error) {
	c := v.cert
	out := c.revoked()
	switch {
	case c.Revocation != nil:
		out.At, out.Reason = c.Revocation.At, c.Revocation.Reason
		return out, keeper.leaveQueue(ctx, s, c)
	case keeper.hasExpired(c):
		out.Expired = true
		return out, keeper.leaveQueue(ctx, s, c)
	}
	if kept, err := keeper.settleReissued(ctx, s, c, v.q, out); kept || err != nil {
		return out, err
	}
	return nil, nil
}

// hasExpired reports whether a certificate has certainly expired, so that revoking it is pointless.
// While this server's clock differs from CERTInext's, or cannot be compared with it yet, no
// revocation is skipped because of it (ADR 0022). That holds without a config, too, when CERTInext
// cannot be asked: the config may be written again.
func (keeper *Keeper) hasExpired(c *Entry) bool {
	now, certain := keeper.Account.Time()
	return certain && !c.NotAfter.After(now)
}

// isFieldError reports whether an error is an answer to the request, and not a failure of storage.
func isFieldError(err error) bool {
	var field *fault.FieldError
	return errors.As(err, &field)
}

// revoked returns the outcome of a revocation of c, with nothing but the certificate described.
func (c *Entry) revoked() *Revoked {
	return &Revoked{Serial: c.View().Serial, HandedTo: c.Delivery.Answers()}
}

// attempt asks CERTInext for a queued revocation and stores the outcome. No lock is held meanwhile.
// When CERTInext refuses for good, a client that waits for the answer gets an error, and its
// request is withdrawn; otherwise the revocation is tried again later.
func (keeper *Keeper) attempt(
	ctx context.Context, s logical.Storage, v *pendingRevocation,
) (*Revoked, error) {
	out := v.cert.revoked()
	if keeper.Account.MayChange() != nil {
		out.Queued, out.Reason = true, v.q.Reason
		return out, nil
	}
	leave, first := keeper.revocations.TryLock(v.cert.Serial)
	if !first {
		out.Queued, out.Reason = true, v.q.Reason
		return out, nil // another attempt is under way
	}
	defer leave()
	eraseKept(ctx, keeper, s, v.cert)
	ca := keeper.revokeAtCA(ctx, s, v.cert, v.q)
	sent, err := ca.reason, ca.err

	ctx, stop := keeper.Detached(ctx)
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
	case c.Revocation != nil: // recorded by another request or pass meanwhile
		out.At, out.Reason = c.Revocation.At, c.Revocation.Reason
		return out, keeper.leaveQueue(ctx, s, c)
	case err == nil:
		out.At, out.Reason = now, sent
		return out, keeper.RecordRevocation(ctx, s, c, now, sent)
	case v.q.interactive && fault.IsPermanent(err):
		var unsupported *certinext.UnsupportedReasonError
		if errors.As(err, &unsupported) {
			err = &fault.FieldError{Field: "reason", Problem: unsupported.Error()}
		} else {
			err = fault.Refused(err)
		}
		return nil, errors.Join(err, keeper.withdrawRequest(ctx, s, c))
	}
	v.q.recordFailure(ca, now)
	out.Queued, out.Reason = true, v.q.Reason
	keeper.Log.Warn("CERTInext did not accept a revocation; it stays queued and will be retried",
		"serial", out.Serial, "attempts", v.q.Attempts, "error", err)
	return out, keeper.postpone(ctx, s, v.q)
}

// leaseEndTimeout bounds the attempt of a revocation while Vault waits for the end of a lease.
const leaseEndTimeout = 10 * time.Second

// A caAnswer is what came of asking CERTInext for a revocation.
type caAnswer struct {
	reason certinext.Reason // that CERTInext was given
	// err is an [*unconfirmedError] when CERTInext has accepted the revocation and the order's
	// status does not show it.
	err      error
	ownFault bool          // the failure counts as one of the certificate's attempts
	pause    account.Pause // of calls like the one that failed
}

// revokeAtCA asks CERTInext for a revocation, unless CERTInext has accepted it before, and then
// whether the order's status shows it.
func (keeper *Keeper) revokeAtCA(
	ctx context.Context, s logical.Storage, c *Entry, q *Queued,
) caAnswer {
	client, cfg, err := keeper.Account.Client(ctx, s)
	if err == nil && c.Account != "" && !account.SameAccount(c.Account, cfg.Account()) {
		err = ErrOtherAccount
	}
	if err != nil {
		return keeper.unsent(err, keeper.Now())
	}
	ctx, stop := keeper.UntilClosed(ctx)
	defer stop()
	if q.interactive {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, account.InteractiveTimeout)
		defer cancel()
	}
	if !q.SentAt.IsZero() {
		ca := keeper.confirm(ctx, client, c, q, q.Reason)
		// It is sent again only when the order's status could be read and does not show it.
		var unconfirmed *unconfirmedError
		unread := errors.As(ca.err, &unconfirmed) && unconfirmed.cause != nil
		if ca.err == nil || unread || (!q.interactive && keeper.Account.RevokingPaused()) {
			return ca
		}
	}
	began := keeper.Now()
	sent, err := client.RevokeOrder(ctx, c.Family, c.CAOrderID, certinext.RevokeRequest{
		Reason: q.Reason, Note: q.Note, IdempotencyKey: c.revocationKey(),
		RequestorEmail: c.RequestorEmail,
	})
	if err != nil {
		return keeper.unsent(err, began)
	}
	keeper.Account.ObserveRevoking(nil, began)
	q.SentAt = keeper.Now()
	return keeper.confirm(ctx, client, c, q, sent)
}

// unsent is the answer when a revocation that was tried since began has not been accepted.
func (keeper *Keeper) unsent(err error, began time.Time) caAnswer {
	ownFault := keeper.Account.ObserveRevoking(err, began)
	return caAnswer{err: err, ownFault: ownFault, pause: keeper.Account.Revoking.Now()}
}

// errNotLooked is why the status of an order was not read while background work is paused.
var errNotLooked = errors.New("background work pauses its calls to CERTInext")

// confirm looks whether the status of the order shows a revocation that CERTInext has accepted for
// a reason. While background work is paused, only a client that waits for the answer has it look.
func (keeper *Keeper) confirm(
	ctx context.Context, client *certinext.Client, c *Entry, q *Queued, reason certinext.Reason,
) caAnswer {
	ca := caAnswer{reason: reason}
	if !q.interactive && keeper.Account.Paused() {
		ca.err = &unconfirmedError{why: "its order's status is not read now", cause: errNotLooked}
		ca.pause = keeper.Account.Breaker.Now()
		return ca
	}
	began := keeper.Now()
	ca.err = c.confirmRevoked(ctx, client)
	var unconfirmed *unconfirmedError
	if !errors.As(ca.err, &unconfirmed) {
		keeper.Account.Observe(nil, began)
		return ca
	}
	ca.ownFault = keeper.Account.Observe(unconfirmed.cause, began) || unconfirmed.cause == nil
	ca.pause = keeper.Account.Breaker.Now()
	return ca
}

// revocationKey returns the Idempotency-Key of the certificate's revocation. It is made from the
// serial number, since the id of an order is used again when a client uses the request_id again.
func (c *Entry) revocationKey() string { return "revoke-" + c.Serial }

// confirmRevoked returns an [*unconfirmedError] unless the status of the CERTInext order is revoked
// (ADR 0021).
func (c *Entry) confirmRevoked(ctx context.Context, client *certinext.Client) error {
	remote, err := client.TrackOrder(ctx, c.Family, c.CAOrderID)
	switch {
	case err != nil:
		return &unconfirmedError{
			why: fmt.Sprintf("its order's status cannot be read: %v", err), cause: err,
		}
	case remote.Status != certinext.StatusRevoked,
		!account.IsAbout(remote, c.CAOrderID, client.Version):
		return &unconfirmedError{
			why: fmt.Sprintf("its order's status is %q", sanitize.Short(string(remote.Status))),
		}
	}
	return nil
}

// An unconfirmedError is returned when CERTInext answered a revocation with a success that the
// order's status does not show. A gateway may have answered in CERTInext's place (ADR 0021), and a
// certificate that counts as revoked is never looked at again.
type unconfirmedError struct {
	why   string
	cause error // why the status cannot be read; nil when CERTInext returned another status
}

// Error says what the order's status is instead.
func (e *unconfirmedError) Error() string {
	return "CERTInext has answered that the certificate is revoked, but " + e.why +
		": it is asked again"
}

// ErrOtherAccount is returned when the certificate was ordered in another account than the one in
// config, in which the same number may be another order. The revocation or synchronization has to
// wait.
var ErrOtherAccount = errors.New("the certificate belongs to " +
	"another CERTInext account than the one in config: " +
	"it will be revoked when config holds that account again")

// RecordRevocation stores that CERTInext has revoked the order of c, and with it the certificates
// that c has replaced, or that have replaced c. The entry of c is written last: after a crash in
// between, c is still in the queue, and all of it is done again. The caller holds the lock of c.
func (keeper *Keeper) RecordRevocation(
	ctx context.Context, s logical.Storage, c *Entry, at time.Time, reason certinext.Reason,
) error {
	err := errors.Join(
		keeper.recordPrevious(ctx, s, c, at, reason), keeper.queueNewer(ctx, s, c, reason),
	)
	if err != nil {
		return err
	}
	return keeper.recordOne(ctx, s, c, at, reason)
}

// recordOne stores that CERTInext has revoked c. The caller holds the lock of c.
func (keeper *Keeper) recordOne(
	ctx context.Context, s logical.Storage, c *Entry, at time.Time, reason certinext.Reason,
) error {
	ctx = context.WithoutCancel(ctx)
	if err := keeper.noteCompromised(ctx, s, c, reason); err != nil {
		return err
	}
	if err := eraseRevoked(ctx, keeper, s, c); err != nil {
		return err
	}
	c.Revocation = &Revocation{At: at, Reason: reason}
	c.Leases = nil
	// The index comes first: once the entry itself says that it is revoked, it is never looked at
	// again.
	if err := store.Put(ctx, s, revokedPrefix+c.Serial, c.Revocation); err != nil {
		return err
	}
	if err := keeper.Put(ctx, s, c); err != nil {
		return err
	}
	if err := keeper.leaveQueue(ctx, s, c); err != nil {
		return err
	}
	return keeper.Origin.FinishRevoked(ctx, s, c)
}
