// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/internal/phrase"
)

// An order that waits for its approval costs nothing yet, so no budget bounds how many there are;
// but each keeps a private key in storage, and has somebody look at it. A role bounds them
// (max_unapproved), and of those the ones of a single requester, who may be a client that has gone
// astray. Those who wait already stay, whatever the role says later.

// admitUnapproved has the registry know a held order as one that waits for its approval, which is
// not stored yet, or returns an error when as many wait already as may. It looks at the open orders
// in memory.
func admitUnapproved(r *registry, role *issuing.Role, o *orderEntry) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := mayWait(r, role, o.ID, o.Requester); err != nil {
		return err
	}
	if t := r.orders[o.ID]; t != nil {
		t.state, t.requester = StateApproval, o.Requester
	}
	return nil
}

// foreseeUnapproved is [admitUnapproved] for an order that is not there.
func foreseeUnapproved(r *registry, role *issuing.Role, requester string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return mayWait(r, role, "", requester)
}

// mayWait returns an error when as many orders of the role, or of the requester, wait for their
// approval as may, beside the one of the given id. The caller holds mu.
func mayWait(r *registry, role *issuing.Role, id, requester string) error {
	all, own := 0, 0
	for _, t := range r.orders {
		if t.id == id || t.role != role.Name || t.state != StateApproval {
			continue
		}
		all++
		if t.requester == requester {
			own++
		}
	}
	switch {
	case own >= role.UnapprovedOfOne():
		return fault.BadField("role", "%s has %s for an approval, and one requester may have half "+
			"of max_unapproved, which is %d. %s", role.Name,
			waiting(own, " of this requester"), role.MaxUnapproved, endUnapproved(role))
	case all >= role.MaxUnapproved:
		return fault.BadField("role", "%s has %s for an approval, and may have %d "+
			"(max_unapproved). %s", role.Name, waiting(all, ""), role.MaxUnapproved,
			endUnapproved(role))
	}
	return nil
}

// waiting says how many orders, of whom, wait.
func waiting(count int, of string) string {
	verb := " that wait"
	if count == 1 {
		verb = " that waits"
	}
	return phrase.Count(count, "order") + of + verb
}

// endUnapproved says how others may wait again.
func endUnapproved(role *issuing.Role) string {
	return "Once some of them are approved, rejected (vault list <mount>/approvals/" + role.Name +
		") or deleted (vault delete <mount>/orders/" + role.Name + "/<id>), another may wait"
}
