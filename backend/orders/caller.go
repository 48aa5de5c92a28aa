// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/hashicorp/vault/sdk/logical"
)

// A purpose is what somebody wants of an order.
type purpose int

const (
	// forCertificate waits until the order is issued, and is handed the certificate: issue and sign.
	forCertificate purpose = iota
	// forReissue waits until the order is issued, to have its certificate reissued for another key.
	forReissue
	// forCollection is handed the certificate if the order is issued by now: collect.
	forCollection
	// forPlacement wants to know that CERTInext has the order, and its number: orders/<role>, async.
	forPlacement
	// forStatus wants to know where the order stands.
	forStatus
	// forNobody is the background pass: the order is moved on without anybody to tell.
	forNobody
)

// waits reports whether the order's end is waited for.
func (p purpose) waits() bool { return p == forCertificate || p == forReissue }

// isHanded reports whether the certificate is handed over.
func (p purpose) isHanded() bool { return p == forCertificate || p == forCollection }

// isHurried reports whether somebody waits for an answer, and not for the order: what takes long is left to the background pass.
func (p purpose) isHurried() bool { return p == forCollection || p == forPlacement || p == forStatus }

// How long a caller that does not wait for the order's end waits for CERTInext's answers.
const (
	// placementPatience counts from CERTInext's answer to the create: the caller has to learn the order's number within its own 60 s.
	placementPatience = 5 * time.Second
	// createPatience counts from the request. A create may take minutes, is sent again with another token, and goes on when nobody waits for it;
	// the caller has to learn the order's id before its client gives up after 60 s.
	createPatience  = 45 * time.Second
	collectPatience = 30 * time.Second
)

// A caller is who wants something of an order, for what, and until when.
type caller struct {
	journal *Journal
	storage logical.Storage

	role    *issuing.Role
	purpose purpose
	began   time.Time
	// deadline is when the order's end is waited for no longer.
	deadline time.Time
	ttl      time.Duration // wanted of the lease; the role's when zero

	// plan is what a request comes to; nil for who names the order by its id.
	plan *issuing.Plan
	// bought is set once an order was placed for this request, which then ends with an answer about that order.
	bought bool
	// passed are the orders, by id, that turned out not to serve the request.
	passed map[string]bool
	// answers is how many answers of this process held a certificate when the caller began: it shares whatever is handed over for its request
	// from then on.
	answers int64
	process time.Time // when this process began: an answer of an earlier one may never have left Vault
}

// newCaller begins a caller that names its order by id. It waits for the order's end only if the purpose does.
func (journal *Journal) newCaller(s logical.Storage, role *issuing.Role, p purpose) *caller {
	now := journal.Now()
	c := &caller{
		journal: journal, storage: s, role: role, purpose: p, began: now, deadline: now, answers: journal.answers.Load(), process: journal.begun, passed: make(map[string]bool),
	}
	if p.waits() {
		c.deadline = now.Add(role.IssueTimeout)
	}
	return c
}

// leaves is when the caller goes away, whatever is under way then.
func (w *caller) detachesAt() time.Time {
	switch {
	case w.purpose.waits():
		return w.deadline.Add(time.Second)
	case w.purpose == forCollection:
		return w.began.Add(collectPatience)
	}
	return w.began.Add(createPatience)
}

// waitsUntil is until when the caller waits for somebody else who works on its order.
func (w *caller) waitsUntil() time.Time {
	if w.purpose.waits() {
		return w.deadline
	}
	return w.began.Add(hangUpPatience)
}

// named reports whether the order is known by a name: its own, or its request's. Then it may be handed over again as long as its key is kept.
func (w *caller) named() bool { return w.plan == nil || w.plan.Request.ID != "" }

// forced reports whether the request wants no certificate that was handed over before it began.
func (w *caller) forced() bool { return w.plan != nil && w.plan.Request.ForceNew }
