// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/logical"
)

// defaultReason is given when nobody names one. The live service takes no "unspecified".
const defaultReason = certinext.ReasonCessationOfOperation

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
}

// Revoke revokes a certificate at CERTInext. It is idempotent. While CERTInext cannot be reached the revocation is queued.
func (e *Engine) Revoke(ctx context.Context, s logical.Storage, r RevokeRequest) (*Revoked, error) {
	reason := defaultReason
	if r.Reason != "" {
		var err error
		if reason, err = certinext.ParseReason(r.Reason); err != nil {
			return nil, badField("reason", "%v", err)
		}
	}
	serial, err := e.serialOf(ctx, s, r)
	var over *revokedOrder
	switch {
	case errors.As(err, &over):
		return &Revoked{At: over.at}, nil
	case err != nil:
		return nil, err
	}
	unlock, err := e.certLocks.lock(ctx, serial)
	if err != nil {
		return nil, err
	}
	defer unlock()
	c, err := get[certEntry](ctx, s, certPrefix+serial)
	if err != nil {
		return nil, err
	}
	if c == nil || r.Role != "" && c.Role != r.Role {
		// One answer for both: a team cannot find out another's serial numbers.
		return nil, &NotFoundError{Kind: "certificate", Name: strings.ReplaceAll(serial, "-", ":")}
	}
	if r.WithKey {
		if err := holdsKey(c, r.PrivateKey); err != nil {
			return nil, err
		}
	}
	return e.revokeOrQueue(ctx, s, c, &queuedRevocation{
		Version: 1, Serial: serial, Reason: reason, Note: r.Note, QueuedAt: e.now(), Due: true, Asked: true, asked: true,
	})
}

// serialOf finds the serial number, in the form of storage keys, of the certificate that r names.
func (e *Engine) serialOf(ctx context.Context, s logical.Storage, r RevokeRequest) (string, error) {
	named := nonEmpty(r.Serial, r.Certificate, r.OrderID)
	if len(named) != 1 {
		fields := "serial_number and certificate"
		if r.Role != "" {
			fields = "serial_number, certificate and order_id"
		}
		return "", badField("serial_number", "name the certificate by exactly one of %s", fields)
	}
	switch {
	case r.Serial != "":
		return parseSerial("serial_number", r.Serial)
	case r.OrderID != "":
		return e.serialOfOrder(ctx, s, r.Role, r.OrderID)
	}
	block, _ := pem.Decode([]byte(r.Certificate))
	if block == nil || block.Type != "CERTIFICATE" {
		return "", badField("certificate", "is not a PEM certificate")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return "", badField("certificate", "cannot be parsed: %v", err)
	}
	return serialKey(cert.SerialNumber), nil
}

func (e *Engine) serialOfOrder(ctx context.Context, s logical.Storage, role, id string) (string, error) {
	if role == "" {
		return "", badField("order_id", "an order is found through its role: use revoke/<role>")
	}
	o, err := e.Order(ctx, s, role, id)
	if err == nil && o != nil && o.State == StatePending {
		// An order that was answered by a process that has died since looks like this until it is looked at again.
		if err = e.orders.load(ctx, s); err == nil {
			err = e.passOrder(ctx, s, tracked{id: id, role: role})
		}
		if err == nil {
			o, err = e.Order(ctx, s, role, id)
		}
	}
	switch {
	case err != nil:
		return "", err
	case o == nil:
		return "", &NotFoundError{Kind: "order", Name: printable(id)}
	case o.Serial == "" && o.State == StateRevoked:
		return "", &revokedOrder{id: o.ID, at: o.UpdatedAt}
	case o.Serial == "":
		return "", badField("order_id", "order %s has no certificate (%s): delete the order to cancel it", o.ID, o.State)
	}
	return strings.ReplaceAll(o.Serial, ":", "-"), nil
}

// A revokedOrder is one that CERTInext reports as revoked, and whose certificate the mount never saw.
type revokedOrder struct {
	id string
	at time.Time // when that was noticed
}

func (e *revokedOrder) Error() string { return fmt.Sprintf("order %s is revoked", e.id) }

// holdsKey reports an error unless the PEM key is the certificate's.
func holdsKey(c *certEntry, keyPEM string) error {
	key, err := parseKey(keyPEM)
	if err != nil {
		return err
	}
	certs, err := parseCertificates([]string{c.Certificate})
	if err != nil || len(certs) != 1 {
		return fmt.Errorf("stored certificate %s: %w", c.Serial, errors.Join(err))
	}
	if !samePublicKey(certs[0].PublicKey, key.Public()) {
		return badField("private_key", "is not the key of certificate %s", c.view().Serial)
	}
	return nil
}

// revokeOrQueue revokes c at CERTInext, and queues what cannot be done now. A refusal is an error for somebody who asked,
// and otherwise one more reason to try later. The caller holds the certificate's lock.
func (e *Engine) revokeOrQueue(ctx context.Context, s logical.Storage, c *certEntry, q *queuedRevocation) (*Revoked, error) {
	out := &Revoked{Serial: c.view().Serial}
	began := e.now()
	switch {
	case c.Revocation != nil:
		out.At, out.Reason = c.Revocation.At, c.Revocation.Reason
		return out, e.dequeue(ctx, s, c.Serial)
	case !c.NotAfter.After(began):
		out.Expired = true
		return out, e.dequeue(ctx, s, c.Serial)
	}
	if kept, err := e.keepReissued(ctx, s, c, q, out); kept {
		return out, err
	}
	sent, err := e.revokeAtCA(ctx, s, c, q)
	now, against := e.now(), e.hear(err, began)
	if err == nil {
		out.At, out.Reason = now, sent
		return out, e.recordRevocation(ctx, s, c, now, sent)
	}
	if q.asked && refusedForGood(err) {
		var unsupported *certinext.UnsupportedReasonError
		if errors.As(err, &unsupported) {
			return nil, &FieldError{Field: "reason", Problem: unsupported.Error()}
		}
		return nil, refused(err)
	}
	q.failed(err, against, now, e.guard.now())
	out.Queued, out.Reason = true, q.Reason
	e.log.Warn("CERTInext did not take a revocation; it is queued", "serial", out.Serial, "attempts", q.Attempts, "error", err)
	return out, e.enqueue(ctx, s, q)
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
	case !errors.As(err, &e), e.Acted, e.SigningIn:
		return false
	}
	return !certinext.HasStatus(err, 0, 401, 403, 429)
}

// How long CERTInext has to take a revocation. A person's client gives up after 60 seconds; the end of a lease occupies a
// worker of Vault's meanwhile, and keeps Vault from sealing.
const (
	askedPatience    = 30 * time.Second
	leaseEndPatience = 10 * time.Second
)

func (e *Engine) revokeAtCA(ctx context.Context, s logical.Storage, c *certEntry, q *queuedRevocation) (certinext.Reason, error) {
	client, cfg, err := e.client(ctx, s)
	if err != nil {
		return "", err
	}
	if c.Account != "" && c.Account != cfg.account() {
		return "", errOtherAccount
	}
	ctx, stop := e.whileAlive(ctx)
	defer stop()
	if q.asked {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, askedPatience)
		defer cancel()
	}
	return client.RevokeOrder(ctx, c.Family, c.CAOrderID, certinext.RevokeRequest{
		Reason: q.Reason, Note: q.Note, IdempotencyKey: c.OrderID,
	})
}

// errOtherAccount is a revocation that has to wait: the same number may be another order in the present account.
var errOtherAccount = errors.New("the certificate belongs to another CERTInext account than the one in config: it is revoked when that is there again")

// recordRevocation stores that CERTInext has revoked the order of c, and with it the certificates that c has replaced, or that have
// replaced c. What is left undone by a crash is done when c, which comes last, is looked at again.
func (e *Engine) recordRevocation(ctx context.Context, s logical.Storage, c *certEntry, at time.Time, reason certinext.Reason) error {
	if err := errors.Join(e.recordForPrevious(ctx, s, c, at, reason), e.recordForNewer(ctx, s, c, reason)); err != nil {
		return err
	}
	return e.recordOne(ctx, s, c, at, reason)
}

// recordOne stores that CERTInext has revoked c.
func (e *Engine) recordOne(ctx context.Context, s logical.Storage, c *certEntry, at time.Time, reason certinext.Reason) error {
	ctx = context.WithoutCancel(ctx)
	c.Revocation = &revocation{At: at, Reason: reason}
	c.Leases = nil
	// The list first: a certificate whose own record says that it is revoked is not looked at again.
	if err := put(ctx, s, revokedPrefix+c.Serial, c.Revocation); err != nil {
		return err
	}
	if err := put(ctx, s, c.key(), c); err != nil {
		return err
	}
	if err := e.dequeue(ctx, s, c.Serial); err != nil {
		return err
	}
	return e.finishRevoked(ctx, s, c)
}

// finishRevoked closes the order of a certificate that has just been revoked, if it is still open: nobody may get its key.
func (e *Engine) finishRevoked(ctx context.Context, s logical.Storage, c *certEntry) error {
	if err := e.orders.load(ctx, s); err != nil {
		return err
	}
	if _, ok := e.orders.acquire(c.OrderID); !ok {
		return nil // closed, or driven at this moment: then the driver sees the revocation
	}
	defer func() { e.orders.release(c.OrderID, e.now()) }()
	o, err := e.reopen(ctx, s, c.Role, c.OrderID)
	if err != nil || o == nil {
		return err
	}
	return e.finish(ctx, s, o, c)
}
