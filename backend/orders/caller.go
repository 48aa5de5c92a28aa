// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/hashicorp/vault/sdk/logical"
)

// A purpose is what an order is driven for.
type purpose int

const (
	// forCertificate waits until the order is issued, and answers with the certificate: issue and
	// sign.
	forCertificate purpose = iota
	// forReissue waits until the order is issued, to have its certificate reissued for another key
	// (ADR 0019).
	forReissue
	// forCollection answers with the certificate if the order is issued by now: collect.
	forCollection
	// forPlacement answers as soon as CERTInext has taken the order: orders/<role>, async.
	forPlacement
	// forStatus answers with where the order stands.
	forStatus
	// forNobody is the background pass, which answers no request.
	forNobody
)

// waits reports whether the request waits until the order is issued or has ended.
func (p purpose) waits() bool { return p == forCertificate || p == forReissue }

// isHanded reports whether the answer holds the certificate.
func (p purpose) isHanded() bool { return p == forCertificate || p == forCollection }

// isHurried reports whether a request waits for an answer but not for the order's end. Steps that
// take long are then left to the background pass.
func (p purpose) isHurried() bool {
	return p == forCollection || p == forPlacement || p == forStatus
}

// How long a caller that does not wait for the order's end waits for CERTInext's answers.
const (
	// placementPatience counts from CERTInext's answer to the create. Vault's client gives up after
	// 60 s, and has to learn the order's number by then.
	placementPatience = 5 * time.Second
	// createPatience counts from the request. A create may take minutes, may be sent again with
	// another token, and goes on after its caller has left. The caller has to learn the order's id
	// before Vault's client gives up after 60 s.
	createPatience = 45 * time.Second
	// collectPatience counts from the request.
	collectPatience = 30 * time.Second
)

// A caller is a request that wants something of an order: for what purpose, and until when.
type caller struct {
	journal *Journal
	storage logical.Storage

	role    *issuing.Role
	purpose purpose
	began   time.Time
	// steady is when the role was read, by the clock that nobody sets.
	steady time.Time
	// deadline is until when the caller waits for the order's end; began when its purpose does not.
	deadline time.Time
	ttl      time.Duration // wanted of the lease; the role's when zero

	// plan is what the request asks for; nil when the request names an order by its id.
	plan *issuing.Plan
	// bought is set once an order was placed for this request, which then ends with an answer about
	// that order (ADR 0020).
	bought bool
	// instead is set when the request's order is a new one whose certificate succeeds another one.
	instead successor
	// isRenewed is set when the request renews a certificate that has a successor.
	isRenewed bool
	// passed are the orders, by id, that turned out not to serve the request.
	passed map[string]bool
	// answersBefore is how many answers of this process held a certificate when the request came.
	// It shares a certificate whose first answer was given later.
	answersBefore int64
	// processStart is when this process began, by [account.Account.Corrected]. An answer of an
	// earlier one may never have left Vault.
	processStart time.Time
}

// newCaller returns a caller that names its order by id. It waits for the order's end, as long as
// the role's issue timeout, only if its purpose does.
func (journal *Journal) newCaller(s logical.Storage, role *issuing.Role, p purpose) *caller {
	now := journal.Now()
	steady := journal.Steady()
	age := steady.Sub(journal.begun)
	c := &caller{
		journal: journal, storage: s, role: role, purpose: p, began: now, deadline: now,
		steady: steady, answersBefore: journal.answers.Load(),
		processStart: journal.Account.Corrected().Add(-age),
		passed:       make(map[string]bool),
	}
	if p.waits() {
		c.deadline = now.Add(role.IssueTimeout)
	}
	return c
}

// detachesAt returns when the caller is answered at the latest, whatever is still under way then.
func (w *caller) detachesAt() time.Time {
	switch {
	case w.purpose.waits():
		return w.deadline.Add(time.Second)
	case w.purpose == forCollection:
		return w.began.Add(collectPatience)
	}
	return w.began.Add(createPatience)
}

// waitsUntil returns until when the caller waits for its order while another goroutine holds it.
func (w *caller) waitsUntil() time.Time {
	if w.purpose.waits() {
		return w.deadline
	}
	return w.began.Add(hangUpPatience)
}

// holdAwaited is [holdOpen] for a caller: while others hold the order for longer than it waits, it
// is told that the order is busy.
func holdAwaited(ctx context.Context, w *caller, role, id string) (*heldOrder, error) {
	return holdOpen(ctx, w.journal, w.storage, id, w.waitsUntil(), func() error {
		return w.stillBusy(ctx, role, id)
	})
}

// named reports whether the order was found by its id, or by the request_id of its request. Then
// its certificate may be handed over again as long as its key is kept (ADR 0010).
func (w *caller) named() bool { return w.plan == nil || w.plan.Request.ID != "" }

// forced reports whether force_new rules out certificates that were handed over before the request
// came.
func (w *caller) forced() bool { return w.plan != nil && w.plan.Request.ForceNew }
