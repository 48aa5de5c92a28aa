// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/renewal"
	"github.com/hashicorp/vault/sdk/logical"
)

// A Bought is an order, or a reissue, that CERTInext has taken or may have: what may cost money.
type Bought struct {
	ID, Role, Requester string
	RequesterName       string // as Vault called the requester then; empty when it is not known
	ProductCode         string
	GroupNumber         string
	Account             string    // in which it was placed
	At                  time.Time // when CERTInext was asked for it, at the earliest
	Number, Request     string    // CERTInext's; empty while they are not known
	Reissue             bool
	Adopted             bool // it was placed outside of this mount, and counted to no budget
	Cost                Cost
	// Counted are the counts of budgets that it was counted to, by the Key of its purchase.
	Counted []Counted
	Key     string
	// Charged is what the ledger has said of a reissue that renews a certificate; empty when it was
	// not asked.
	Charged renewal.Verdict
}

// A Reading says how far the journal was read.
type Reading struct {
	Read int // entries, whatever they are of
	// Next is the order, as role/id, behind which the reading goes on; empty when it has ended.
	Next string
	// Unreadable are the entries that cannot be decoded: a later version has written them, or
	// something else.
	Unreadable int
}

// EachBought calls each for the orders of a role, or of all roles when it is empty, that may cost
// money, by role and id: those that come after the order after, which is role/id, and at most limit
// entries of them, and none after the time until. Orders are not indexed, so each costs a reading
// of storage. What was ordered meanwhile may be missing.
func EachBought(
	ctx context.Context, journal *Journal, s logical.Storage, w BoughtWindow, each func(*Bought),
) (Reading, error) {
	var r Reading
	names, err := rolesWithOrders(ctx, s, w.Role)
	if err != nil {
		return r, err
	}
	first, _, _ := strings.Cut(w.After, "/")
	last := w.After
	for _, role := range names {
		if role < first {
			continue
		}
		ids, err := journal.Orders(ctx, s, role)
		if err != nil {
			return r, err
		}
		for _, id := range ids {
			key := role + "/" + id
			if role == first && key <= w.After {
				continue
			}
			if r.Read == w.Limit || !journal.Steady().Before(w.Until) {
				r.Next = last
				return r, nil
			}
			if err := r.take(ctx, journal, s, role, id, each); err != nil {
				return r, err
			}
			last = key
		}
	}
	return r, nil
}

// A BoughtWindow is the part of the journal that is read.
type BoughtWindow struct {
	Role  string    // all roles when it is empty
	After string    // role/id; the beginning when it is empty
	Limit int       // entries
	Until time.Time // by the clock that nobody sets
}

// take reads one entry.
func (r *Reading) take(
	ctx context.Context, journal *Journal, s logical.Storage, role, id string, each func(*Bought),
) error {
	r.Read++
	o, err := journal.findOrder(ctx, s, role, id)
	switch {
	case store.IsFault(err):
		return err
	case err != nil:
		r.Unreadable++
	case o != nil && mayCost(o):
		each(boughtOf(o))
	}
	return nil
}

// mayCost reports whether CERTInext has taken an order or a reissue, or may have.
func mayCost(o *orderEntry) bool {
	return !o.costsNothing() && (o.Reissue == nil || o.State != StateFailed)
}

func boughtOf(o *orderEntry) *Bought {
	b := &Bought{
		ID: o.ID, Role: o.Role, Requester: o.Requester, ProductCode: o.Placement.ProductCode,
		GroupNumber: o.Placement.GroupNumber, Account: o.Account, At: o.askedAt(),
		RequesterName: requesterName(o), Number: o.CAOrderID, Request: o.CARequestID,
		Reissue: o.Reissue != nil, Adopted: !o.AdoptedAt.IsZero(), Cost: o.Cost,
		Counted: o.Counted, Key: cmp.Or(o.PromotionKey, o.Placement.IdempotencyKey),
	}
	if o.Reissue != nil && o.Reissue.Charge != nil {
		b.Charged = o.Reissue.Charge.Verdict
	}
	return b
}

// rolesWithOrders returns the sorted names of the roles that have orders, among them those that
// were deleted since; the given one alone unless it is empty.
func rolesWithOrders(ctx context.Context, s logical.Storage, role string) ([]string, error) {
	if role != "" {
		return []string{role}, nil
	}
	var names []string
	for _, prefix := range []string{OpenPrefix, closedOrderPrefix} {
		some, err := store.List(ctx, s, prefix)
		if err != nil {
			return nil, err
		}
		for _, name := range some {
			names = append(names, strings.TrimSuffix(name, "/"))
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// maxChain bounds how many certificates of one order are followed.
const maxChain = 1000

// EachOfChain calls each for an order that may cost money, and for those that share its number:
// the order within which it is a reissue, and that order's other reissues. It reports false when
// they are too many.
func EachOfChain(
	ctx context.Context, journal *Journal, s logical.Storage, role, id string, each func(*Bought),
) (whole bool, err error) {
	o, err := journal.findOrder(ctx, s, role, id)
	for n := 0; err == nil && o != nil && o.Reissue != nil; n++ {
		if n == maxChain {
			return false, nil
		}
		before, readErr := journal.findOrder(ctx, s, role, o.Reissue.Of)
		if err = readErr; err != nil || before == nil {
			break // its record is gone, and this one is the first that there is
		}
		o = before
	}
	for n := 0; err == nil && o != nil; n++ {
		if n == maxChain {
			return false, nil
		}
		if mayCost(o) {
			each(boughtOf(o))
		}
		o, err = reissueAfter(ctx, journal, s, o)
	}
	return err == nil, err
}

// reissueAfter returns the order that reissues an order's certificate; nil when there is none.
func reissueAfter(
	ctx context.Context, journal *Journal, s logical.Storage, o *orderEntry,
) (*orderEntry, error) {
	serial := o.Serial
	if serial == "" {
		c, err := journal.Certificates.Numbers.OfOrder(ctx, s, o.CAOrderID, o.ID)
		if err != nil || c == nil {
			return nil, err
		}
		serial = c.Serial
	}
	c, err := certificates.Read(ctx, s, serial)
	if err != nil || c == nil {
		return nil, err
	}
	return journal.reissuingOrder(ctx, s, c)
}
