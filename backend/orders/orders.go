// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/roles"
	"github.com/hashicorp/vault/sdk/logical"
)

// Order returns an order of a role, open or closed, or nil when the role has none of that id.
func (journal *Journal) Order(
	ctx context.Context, s logical.Storage, role, id string,
) (*Order, error) {
	o, err := journal.findOrder(ctx, s, role, id)
	if err != nil || o == nil {
		return nil, err
	}
	return journal.shown(o), nil
}

// shown returns the part of a stored order that may be shown, as of this moment.
func (journal *Journal) shown(o *orderEntry) *Order {
	v := o.view()
	if t, ok := journal.registry.status(o.ID); ok && t.handed != nil {
		// The certificate was handed over. The entry says so only once its key is erased (ADR
		// 0005).
		v.State = StateIssued
		v.Delivered = true
		v.Needs = nil
		v.WaitsFor = PartyNobody
		v.Serial = strings.ReplaceAll(t.handed.serial, "-", ":")
	}
	return v
}

// findOrder reads an order of a role, open or closed; nil when there is none of that id.
func (journal *Journal) findOrder(
	ctx context.Context, s logical.Storage, role, id string,
) (*orderEntry, error) {
	for _, prefix := range []string{OpenPrefix, closedOrderPrefix, OpenPrefix} {
		o, err := store.Get[orderEntry](ctx, s, prefix+role+"/"+id)
		if err == nil && o != nil && prefix == closedOrderPrefix {
			o.State, o.closed = o.ended(), true
		}
		if err != nil || o != nil {
			return o, err
		}
		if _, isOpen := journal.registry.status(id); prefix == closedOrderPrefix && !isOpen {
			break
		} // otherwise it may have been opened again since its open entry was looked for
	}
	return nil, nil
}

// Orders returns the sorted ids of a role's orders, open and closed.
func (journal *Journal) Orders(
	ctx context.Context, s logical.Storage, role string,
) ([]string, error) {
	open, err := store.List(ctx, s, OpenPrefix+role+"/")
	if err != nil {
		return nil, err
	}
	closed, err := store.List(ctx, s, closedOrderPrefix+role+"/")
	if err != nil {
		return nil, err
	}
	all := append(open, closed...)
	slices.Sort(all)
	return slices.Compact(all), nil
}

// holdOrder holds an open order of a role and reads its entry. The error says why that is not
// possible: there is no such order, it is closed, or it stays held by others.
func (journal *Journal) holdOrder(
	ctx context.Context, s logical.Storage, role, id string,
) (*heldOrder, error) {
	if err := journal.registry.load(ctx, s); err != nil {
		return nil, err
	}
	if t, ok := journal.registry.status(id); ok && t.role != role {
		return nil, fault.NoOrder(role, sanitize.Short(id))
	}
	h, err := holdOpen(ctx, journal, s, id, journal.Now().Add(hangUpPatience), func() error {
		return fault.BadField("id", "order %s is being worked on at this moment: try again", id)
	})
	if h == nil && err == nil {
		err = journal.notOpen(ctx, s, role, id)
	}
	return h, err
}

// holdOrderOfRole is holdOrder for what needs the role as well, which has to exist.
func (journal *Journal) holdOrderOfRole(
	ctx context.Context, s logical.Storage, role, id string,
) (*issuing.Role, *heldOrder, error) {
	r, err := roles.MustRead(ctx, s, role)
	if err != nil {
		return nil, nil, err
	}
	h, err := journal.holdOrder(ctx, s, role, id)
	return r, h, err
}

// notOpen returns the error that says why an order cannot be held.
func (journal *Journal) notOpen(ctx context.Context, s logical.Storage, role, id string) error {
	o, err := journal.Order(ctx, s, role, id)
	if err != nil {
		return err
	}
	switch {
	case o == nil:
		return fault.NoOrder(role, sanitize.Short(id))
	case o.Delivered:
		return fault.BadField("id", "order %s was collected already, "+
			"and its key is erased: request another certificate, or revoke this one", o.ID)
	case o.State == StateUnclaimed:
		return fault.BadField("id", "order %s is over: nobody fetched its certificate in time, "+
			"and its key is erased. Request a new certificate, or have this one reissued", o.ID)
	}
	how := string(o.State)
	if o.DecidedOver {
		how += ", " + o.LastError
	}
	return fault.BadField("id",
		"order %s is over: %s. Request a new certificate if one is needed", o.ID, how)
}

// CollectOrder hands over the certificate of an order to the requester that placed it, as
// [Journal.Issue] does, without waiting for the order to be finished. Like a named request, an
// order can be collected again as long as its key is kept, since an answer may have been lost (ADR
// 0010).
func (journal *Journal) CollectOrder(
	ctx context.Context, s logical.Storage, role, id, requester string,
) (*Issued, error) {
	r, h, err := journal.holdOrderOfRole(ctx, s, role, id)
	if err != nil {
		return nil, err
	}
	defer h.Release()
	if h.entry.Requester != requester {
		return nil, fault.BadField("id",
			"order %s was placed by another requester: only that requester can collect it", id)
	}
	w := journal.newCaller(s, r, forCollection)
	w.ttl = h.entry.TTL
	issued, err := w.pursue(ctx, h)
	var anew *placeAnewError
	if errors.As(err, &anew) && !anew.never {
		return nil, journal.notOpen(ctx, s, role, id)
	}
	return issued, err
}
