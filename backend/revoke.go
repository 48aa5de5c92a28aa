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
	"sync"
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
	unlock := e.certLocks.lock(serial)
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
		Version: 1, Serial: serial, Reason: reason, Note: r.Note, QueuedAt: e.now(), Due: true, asked: true,
	})
}

// serialOf finds the serial number, in the form of storage keys, of the certificate that r names.
func (e *Engine) serialOf(ctx context.Context, s logical.Storage, r RevokeRequest) (string, error) {
	named := nonEmpty(r.Serial, r.Certificate, r.OrderID)
	if len(named) != 1 {
		return "", badField("serial_number", "name the certificate by exactly one of serial_number, certificate and order_id")
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

// queuedRevocation is a stored revocation that CERTInext has not taken yet.
type queuedRevocation struct {
	Version   int              `json:"version"`
	Serial    string           `json:"serial"`
	Reason    certinext.Reason `json:"reason"`
	Note      string           `json:"note,omitempty"`
	QueuedAt  time.Time        `json:"queued_at"`
	Due       bool             `json:"due"` // false: only when no lease is left at Next
	Attempts  int              `json:"attempts,omitempty"`
	Next      time.Time        `json:"next"`
	LastError string           `json:"last_error,omitempty"`

	asked bool // somebody waits for the answer
}

// A QueuedRevocation is a revocation that waits for CERTInext, or for the last lease on its certificate.
type QueuedRevocation struct {
	Serial    string // colon-separated hexadecimal
	Reason    certinext.Reason
	QueuedAt  time.Time
	Attempts  int
	Next      time.Time // when CERTInext is asked next
	LastError string
}

// RevocationQueue lists the queued revocations by serial number.
func (e *Engine) RevocationQueue(ctx context.Context, s logical.Storage) ([]QueuedRevocation, error) {
	serials, err := list(ctx, s, revocationPrefix)
	if err != nil {
		return nil, err
	}
	var out []QueuedRevocation
	for _, serial := range serials {
		q, err := get[queuedRevocation](ctx, s, revocationPrefix+serial)
		if err != nil {
			return nil, err
		}
		if q != nil {
			out = append(out, QueuedRevocation{
				Serial: strings.ReplaceAll(q.Serial, "-", ":"), Reason: q.Reason, QueuedAt: q.QueuedAt, Attempts: q.Attempts,
				Next: q.Next, LastError: q.LastError,
			})
		}
	}
	return out, nil
}

func (e *Engine) enqueue(ctx context.Context, s logical.Storage, q *queuedRevocation) error {
	return put(context.WithoutCancel(ctx), s, revocationPrefix+q.Serial, q)
}

// revokeOrQueue revokes c at CERTInext, and queues what cannot be done now. A refusal is an error for somebody who asked,
// and otherwise one more reason to try later. The caller holds the certificate's lock.
func (e *Engine) revokeOrQueue(ctx context.Context, s logical.Storage, c *certEntry, q *queuedRevocation) (*Revoked, error) {
	out := &Revoked{Serial: c.view().Serial}
	now := e.now()
	switch {
	case c.Revocation != nil:
		out.At, out.Reason = c.Revocation.At, c.Revocation.Reason
		return out, e.dequeue(ctx, s, c.Serial)
	case !c.NotAfter.After(now):
		out.Expired = true
		return out, e.dequeue(ctx, s, c.Serial)
	}
	sent, err := e.revokeAtCA(ctx, s, c, q)
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
	q.Attempts++
	q.LastError = printable(err.Error())
	q.Next = now.Add(passDelay(q.Attempts))
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

func (e *Engine) revokeAtCA(ctx context.Context, s logical.Storage, c *certEntry, q *queuedRevocation) (certinext.Reason, error) {
	client, _, err := e.client(ctx, s)
	if err != nil {
		return "", err
	}
	return client.RevokeOrder(ctx, c.Family, c.CAOrderID, certinext.RevokeRequest{
		Reason: q.Reason, Note: q.Note, IdempotencyKey: c.OrderID,
	})
}

// recordRevocation stores that CERTInext has revoked c.
func (e *Engine) recordRevocation(ctx context.Context, s logical.Storage, c *certEntry, at time.Time, reason certinext.Reason) error {
	ctx = context.WithoutCancel(ctx)
	c.Revocation = &revocation{At: at, Reason: reason}
	c.Leases = nil
	if err := put(ctx, s, c.key(), c); err != nil {
		return err
	}
	if err := put(ctx, s, revokedPrefix+c.Serial, c.Revocation); err != nil {
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

func (e *Engine) dequeue(ctx context.Context, s logical.Storage, serial string) error {
	return remove(context.WithoutCancel(ctx), s, revocationPrefix+serial)
}

// drainQueued tries one queued revocation again, if its time has come. It reports whether CERTInext was asked.
func (e *Engine) drainQueued(ctx context.Context, s logical.Storage, serial string) (asked bool, err error) {
	unlock := e.certLocks.lock(serial)
	defer unlock()
	q, err := get[queuedRevocation](ctx, s, revocationPrefix+serial)
	if err != nil || q == nil || q.Next.After(e.now()) {
		return false, err
	}
	c, err := get[certEntry](ctx, s, certPrefix+serial)
	if err != nil {
		return false, err
	}
	if c == nil {
		return false, e.dequeue(ctx, s, serial)
	}
	if !q.Due {
		if last := lastLease(c.Leases, e.now()); !last.IsZero() {
			q.Next = last // renewed meanwhile
			return false, e.enqueue(ctx, s, q)
		}
		q.Due = true
	}
	_, err = e.revokeOrQueue(ctx, s, c, q)
	return true, err
}

// A keyedMutex locks by name, within this process: certificate records are changed on the active node only.
type keyedMutex struct {
	mu    sync.Mutex
	locks map[string]*countedMutex
}

type countedMutex struct {
	sync.Mutex
	waiting int
}

// lock locks name and returns its unlock.
func (k *keyedMutex) lock(name string) func() {
	k.mu.Lock()
	if k.locks == nil {
		k.locks = make(map[string]*countedMutex)
	}
	l := k.locks[name]
	if l == nil {
		l = new(countedMutex)
		k.locks[name] = l
	}
	l.waiting++
	k.mu.Unlock()
	l.Lock()
	return func() {
		l.Unlock()
		k.mu.Lock()
		defer k.mu.Unlock()
		if l.waiting--; l.waiting == 0 {
			delete(k.locks, name)
		}
	}
}
