// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certificates

import (
	"context"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/logical"
)

// A Replacement says that a certificate is to be replaced before its time, and why (ADR 0049). The
// pass makes its successor, or its requester's next request is that.
type Replacement struct {
	// For is the campaign that has it replaced; empty when the engine itself has.
	For string    `json:"for,omitempty"`
	Why string    `json:"why"` // for people; shown to the requester
	At  time.Time `json:"at"`
	// NewOrder is set when the successor has to be of another order at CERTInext, since this one's
	// is, or is going to be, revoked.
	NewOrder bool `json:"new_order,omitempty"`
	// ThoughRevoked is set when it is replaced although it is revoked, or to be revoked.
	ThoughRevoked bool `json:"though_revoked,omitempty"`
	// ByRequest is set when nothing can be made ahead of the requester's own request: the key is
	// the requester's, or the next request has another name.
	ByRequest bool `json:"by_request,omitempty"`
	// Gone is why nobody comes for a successor, as far as can be told; empty for most.
	Gone string `json:"gone,omitempty"`
	// Over is why none is made any more; empty while one may be.
	Over string `json:"over,omitempty"`
	// Rests is set, by whoever has asked, while the campaign does not run: requests are answered as
	// without it. It is not stored.
	Rests bool `json:"-"`
}

// IsReplaced reports whether the certificate answers no request any more that has not named it: its
// replacement is there or, where nothing can be made ahead, is what the next request buys.
func (c *Entry) IsReplaced() bool {
	r := c.Replacement
	return r != nil && (c.RenewedBy != "" || (r.ByRequest && c.AwaitsReplacement()))
}

// IsToBeReplaced reports whether the certificate is to be replaced before its time, or was.
func (c *Entry) IsToBeReplaced() bool { return c.Replacement != nil && c.Replacement.Over == "" }

// AwaitsReplacement reports whether the certificate is to be replaced now, and nothing has yet.
func (c *Entry) AwaitsReplacement() bool {
	return c.IsToBeReplaced() && c.RenewedBy == "" && !c.Replacement.Rests
}

// renewAfter returns when the certificate is to be renewed by, at most, the time given.
func (c *Entry) renewAfter(due time.Time) time.Time {
	if c.IsToBeReplaced() && c.Replacement.At.Before(due) {
		return c.Replacement.At
	}
	return due
}

// Change changes the entry of a certificate, with a serial number that has dashes, under its lock.
// Nothing is stored when there is none, or change reports false.
func Change(
	ctx context.Context, keeper *Keeper, s logical.Storage, serial string,
	change func(*Entry) bool,
) error {
	unlock, err := keeper.Lock(ctx, serial)
	if err != nil {
		return err
	}
	defer unlock()
	c, err := Read(ctx, s, serial)
	if err != nil || c == nil || !change(c) {
		return err
	}
	return keeper.Put(context.WithoutCancel(ctx), s, c)
}

// RevokeReplaced queues the revocation of a certificate, with a serial number that has dashes,
// whatever lease runs on it: the background pass sends it. It reports false, and queues nothing,
// when a newer certificate of the same order was issued, or is being: CERTInext would revoke that,
// too (ADR 0013). What is queued already stays so.
func RevokeReplaced(
	ctx context.Context, keeper *Keeper, s logical.Storage, serial string,
	reason certinext.Reason, note string,
) (queued bool, err error) {
	unlock, err := keeper.Lock(ctx, serial)
	if err != nil {
		return false, err
	}
	defer unlock()
	c, err := Read(ctx, s, serial)
	if err != nil || c == nil || c.Revocation != nil {
		return err == nil, err
	}
	newer, err := keeper.Origin.ReissueOf(ctx, s, c)
	if err != nil || newer != nil || c.ReissuedAs != "" {
		return false, err
	}
	before, err := store.Get[Queued](ctx, s, RevocationPrefix+serial)
	if err != nil || (before != nil && before.Due) {
		return err == nil, err
	}
	now := keeper.Now()
	q := &Queued{
		Version: 1, Serial: serial, Reason: reason, Note: note,
		QueuedAt: now, Due: true, ByRequest: true, Next: now,
	}
	q.merge(before)
	if err := keeper.Enqueue(ctx, s, q); err != nil {
		return false, err
	}
	eraseKept(ctx, keeper, s, c)
	return true, nil
}
