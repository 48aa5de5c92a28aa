// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package campaigns

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/orders"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/logical"
)

// earlier returns the time by this server's clock or by CERTInext's, whichever is behind; the zero
// time while CERTInext's is not known (ADR 0022).
func (r *Runner) earlier(ctx context.Context, s logical.Storage) time.Time {
	if _, seen := r.Account.ClockSkew(); !seen {
		r.Account.LearnClock(ctx, s)
	}
	skew, seen := r.Account.ClockSkew()
	if !seen {
		return time.Time{}
	}
	return r.Account.Now().Add(min(0, skew))
}

// look returns what is found of an item's certificate at a time, which is zero when it is not
// known.
func look(
	ctx context.Context, r *Runner, s logical.Storage, of *Campaign, it *Item, now time.Time,
) (f Facts, c *certificates.Entry, err error) {
	c, err = certificates.Read(ctx, s, it.Serial)
	if err != nil || c == nil {
		return Facts{}, nil, err
	}
	f = Facts{
		Now: now, Stored: true, Ours: c.Role != "", Revoked: c.Revocation != nil,
		Expired: !now.IsZero() && !c.NotAfter.After(now), Refused: c.AheadRefused,
		Revoking: !c.RevocationEnded.IsZero(),
	}
	queued, err := store.Get[certificates.Queued](ctx, s,
		certificates.RevocationPrefix+c.Serial)
	if err != nil {
		return f, c, err
	}
	n, err := heirOf(ctx, s, c, it.Behind)
	if err != nil {
		return f, c, err
	}
	if n != nil {
		f.Heir = heir(n)
		it.recall(f.Heir)
	}
	if f.Revoked {
		return f, c, nil
	}
	f.Revoking = f.Revoking || (queued != nil && queued.Due)
	if p := c.Replacement; p != nil {
		f.ByRequest, f.Over, f.Gone = p.ByRequest, p.Over, p.Gone
		if f.Filed, err = isFiledFor(ctx, r, s, of, p); err != nil {
			return f, c, err
		}
	}
	if f.Newest, err = newestOfOrder(ctx, r, s, c); err != nil {
		return f, c, err
	}
	if n != nil && f.Newest == "" && isOneOrder(c, n) && n.Revocation == nil {
		f.Newest = n.Serial // which CERTInext would revoke with it
	}
	if n != nil || !f.Filed {
		return f, c, nil
	}
	f.Order, err = orderSaid(ctx, r, s, c)
	return f, c, err
}

// isFiledFor reports whether what is filed does for a campaign, too: whoever has filed it has it
// made now and, where the campaign revokes, by a new order.
func isFiledFor(
	ctx context.Context, r *Runner, s logical.Storage, c *Campaign, p *certificates.Replacement,
) (bool, error) {
	if c.Plan.Revoke && !p.NewOrder {
		return false, nil
	}
	if p.For == c.Name {
		return true, nil
	}
	return r.mayReplace(ctx, s, p.For)
}

// generations is how many successors are followed.
const generations = 20

// newestOfOrder returns the serial number of the newest certificate of the same order at CERTInext;
// empty when that is c.
func newestOfOrder(
	ctx context.Context, r *Runner, s logical.Storage, c *certificates.Entry,
) (newest string, err error) {
	for range generations {
		reissue, err := r.Orders.ReissueOf(ctx, s, c)
		if err != nil || reissue == nil || reissue.Serial == "" {
			return newest, err
		}
		n, err := certificates.Read(ctx, s, reissue.Serial)
		if err != nil || n == nil || n.Revocation != nil {
			return newest, err
		}
		newest, c = n.Serial, n
	}
	return newest, nil
}

// heirOf returns what takes the place of a certificate: what has renewed it or, where nothing is
// known to have, the newer one behind which it is. One that nobody was handed, or that is revoked,
// is passed over when it was replaced in its turn.
func heirOf(
	ctx context.Context, s logical.Storage, c *certificates.Entry, behind string,
) (*certificates.Entry, error) {
	serial := c.RenewedBy
	if serial == "" {
		serial = behind
	}
	for range generations {
		if serial == "" {
			return nil, nil
		}
		n, err := certificates.Read(ctx, s, serial)
		if err != nil || n == nil {
			return nil, err
		}
		if (n.Delivery == nil || n.Revocation != nil) && n.RenewedBy != "" {
			serial = n.RenewedBy
			continue
		}
		return n, nil
	}
	return nil, nil
}

// isOneOrder reports whether two certificates are of one order at CERTInext.
func isOneOrder(a, b *certificates.Entry) bool {
	return a.CAOrderID == b.CAOrderID && account.SameAccount(a.Account, b.Account)
}

func heir(n *certificates.Entry) *Heir {
	h := &Heir{Serial: n.Serial, Since: n.IssuedAt}
	if n.Delivery != nil {
		h.Handed = n.Delivery.At.Add(n.Delivery.AtBehind)
	}
	switch {
	case n.Delivery != nil && n.Revocation != nil &&
		n.Revocation.Reason == certinext.ReasonCessationOfOperation:
		// Its last lease has ended, or its requester has said so: nobody needs either of them.
	case n.Revocation != nil, !n.RevocationEnded.IsZero():
		h.Bad = "is revoked"
	case len(n.Held) > 0 && n.Delivery == nil:
		h.Bad, h.Held = "is held: an operator has to release it", true
	}
	return h
}

// orderSaid says how the order of a certificate's replacement stands; empty when there is none.
func orderSaid(
	ctx context.Context, r *Runner, s logical.Storage, c *certificates.Entry,
) (string, error) {
	o, err := orders.ReplacementOrder(ctx, r.Orders, s, c)
	if err != nil || o == nil {
		return "", err
	}
	said := fmt.Sprintf("order %s (%s)", o.ID, o.State)
	if len(o.Needs) > 0 {
		said += ": " + strings.Join(o.Needs, "; ")
	}
	return said, nil
}
