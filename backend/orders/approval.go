// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
)

// An order of a role with require_approval waits in the state [StateApproval] until another person
// has approved it (ADR 0037). CERTInext has certainly not heard of it then, which its stored state
// says to every later process, too. The approval is no state of its own: the write that stores it
// is the write of the intent to place the order, and the approver's call places it. So nobody finds
// an approved order that was not sent, and none of them is sent by itself.

// A Decision is what became of an order's wait for its approval.
type Decision string

// The decisions.
const (
	DecisionNone     Decision = ""         // the order waits for one
	DecisionApproved Decision = "approved" // and placed, as far as the order's state says
	DecisionRejected Decision = "rejected"
	DecisionExpired  Decision = "expired" // nobody has decided in time
	DecisionWaived   Decision = "waived"  // the role required none when the request came again
	DecisionEnded    Decision = "ended"   // the order was cancelled while it waited
)

// A Person is who has asked for an order, or has decided on it, as Vault knew them at that moment.
type Person struct {
	EntityID    string `json:"entity_id,omitempty"`    // empty for a token without an identity
	DisplayName string `json:"display_name,omitempty"` // of the token
	Name        string `json:"name,omitempty"`         // of the entity
}

// String names the person for people. Nothing of a token is shown but its display name.
func (p Person) String() string {
	name := sanitize.Short(p.Name)
	if name == "" {
		name = sanitize.Short(p.DisplayName)
	}
	switch {
	case p.EntityID == "" && name == "":
		return "a token without an identity entity"
	case p.EntityID == "":
		return name + " (without an identity entity)"
	case name == "":
		return "entity " + sanitize.Short(p.EntityID)
	}
	return name + " (entity " + sanitize.Short(p.EntityID) + ")"
}

// An approval is what an order stores of the wait for its approval.
type approval struct {
	AskedBy   Person        `json:"asked_by"`
	AskedAt   time.Time     `json:"asked_at"`
	ExpiresAt time.Time     `json:"expires_at"`
	Timeout   time.Duration `json:"timeout"`          // the role's at that time, nanoseconds
	ByCSR     bool          `json:"by_csr,omitempty"` // the key is the requester's
	Decision  Decision      `json:"decision,omitempty"`
	DecidedBy Person        `json:"decided_by,omitzero"`
	DecidedAt time.Time     `json:"decided_at,omitzero"`
	Remark    string        `json:"remark,omitempty"`
}

// askApproval has an order wait for its approval from now on.
func (o *orderEntry) askApproval(now time.Time, timeout time.Duration, by Person) {
	o.State = StateApproval
	o.Approval = &approval{
		AskedBy: by, AskedAt: now, ExpiresAt: now.Add(timeout), Timeout: timeout,
		ByCSR: o.PrivateKey == "",
	}
	o.Needs = approvalNeeds(o)
	o.note(now, "waits for the approval of another person, until %s", rfc3339(o.Approval.ExpiresAt))
}

// decided records a decision.
func (o *orderEntry) decided(now time.Time, what Decision, by Person, remark string) {
	a := *o.Approval // the one before may have to be restored
	a.Decision, a.DecidedBy, a.DecidedAt, a.Remark = what, by, now, remark
	o.Approval = &a
}

// undecided takes an approval back that has come to nothing.
func (o *orderEntry) undecided() {
	a := *o.Approval
	a.Decision, a.DecidedBy, a.DecidedAt, a.Remark = DecisionNone, Person{}, time.Time{}, ""
	o.Approval = &a
	o.State = StateApproval
	o.Needs = approvalNeeds(o)
}

// waitsForApproval reports whether the order waits for another person's approval. A draft of
// CERTInext's may wait, too: for the approval of its promotion.
func (o *orderEntry) waitsForApproval() bool {
	return o.State == StateApproval && o.Approval != nil
}

// approvedAt returns when the order was approved; the zero time when it was not.
func (o *orderEntry) approvedAt() time.Time {
	if o.Approval == nil {
		return time.Time{}
	}
	switch o.Approval.Decision {
	case DecisionApproved, DecisionWaived:
		return o.Approval.DecidedAt
	}
	return time.Time{}
}

// endedUnsent reports whether a closed order ended while it waited for its approval, so that
// CERTInext has certainly never heard of it.
func (o *orderEntry) endedUnsent() bool {
	if o.Approval == nil || o.Draft || o.CAOrderID != "" || o.CARequestID != "" {
		return false
	}
	switch o.Approval.Decision {
	case DecisionRejected, DecisionExpired, DecisionEnded:
		return true
	}
	return false
}

// approvalNeeds says who has to approve an order, how, and until when.
func approvalNeeds(o *orderEntry) []string {
	what := "another person has to approve the order"
	if o.Draft {
		what = "another person has to approve that the draft is promoted"
	}
	until := "in time"
	if o.Approval != nil {
		until = "until " + rfc3339(o.Approval.ExpiresAt)
	}
	return []string{fmt.Sprintf("%s %s: vault write <mount>/approvals/%s/%s "+
		"decision=approve, with a token of another identity entity than the requester's",
		what, until, o.Role, o.ID)}
}

// rejectedBecause says in the requester's words who has rejected the order and why.
func rejectedBecause(by Person, remark string) string {
	return fmt.Sprintf("rejected by %s: %s", by, remark)
}

// expiredBecause says why an order is over that nobody has approved.
func expiredBecause(a *approval) string {
	return fmt.Sprintf("nobody has approved it until %s (approval_timeout of the role)",
		rfc3339(a.ExpiresAt))
}

// mayDecide returns an error unless a person may decide on the order now. Whoever has asked for it
// may not, nor for the draft that it was, nor may the requester that it was handed over to since:
// an entity counts, whatever alias it has logged in by.
func mayDecide(o *orderEntry, by Person) error {
	switch {
	case by.EntityID == "":
		return fault.BadField("decision", "needs a token with an identity entity: "+
			"who has approved an order has to be known. Log in by an auth method such as "+
			"userpass or oidc")
	case !o.waitsForApproval():
		return alreadyDecided(o)
	case by.EntityID == o.Approval.AskedBy.EntityID, o.Requester == entityPrefix+by.EntityID,
		by.EntityID == askedOf(o).By.EntityID:
		return fault.BadField("decision", "is another person's: order %s was requested by this "+
			"identity entity. vault delete <mount>/orders/%s/%s cancels it", o.ID, o.Role, o.ID)
	}
	return nil
}

// entityPrefix begins the requesters that are identity entities.
const entityPrefix = "entity:"

// alreadyDecided is the answer to a decision on an order that waits for none.
func alreadyDecided(o *orderEntry) error {
	a := o.Approval
	if a == nil {
		return fault.BadField("id", "order %s needs no approval: it is %s", o.ID, o.State)
	}
	at := rfc3339(a.DecidedAt)
	switch a.Decision {
	case DecisionApproved:
		return fault.BadField("id", "order %s was approved already, by %s at %s: it is %s",
			o.ID, a.DecidedBy, at, o.State)
	case DecisionRejected:
		return fault.BadField("id", "order %s was rejected already, by %s at %s: %s",
			o.ID, a.DecidedBy, at, a.Remark)
	case DecisionExpired:
		return fault.BadField("id", "order %s has expired at %s: %s", o.ID, at, expiredBecause(a))
	case DecisionWaived:
		return fault.BadField("id", "order %s went on without an approval at %s, since its role "+
			"required none then: it is %s", o.ID, at, o.State)
	}
	return fault.BadField("id", "order %s is %s: it waits for no approval", o.ID, o.State)
}

// onlyApprovedNames returns an error when a reissue has names that its order does not have, under a
// role whose orders need an approval: a reissue goes without.
func onlyApprovedNames(role *issuing.Role, parent *orderEntry, names []string) error {
	if !role.RequireApproval {
		return nil
	}
	for _, name := range names {
		if !slices.Contains(parent.Placement.DNSNames, name) {
			return fault.BadField("alt_names", "%q is not a name of order %s, and the role's "+
				"orders need an approval (require_approval), which a reissue goes without: "+
				"request a certificate for these names instead", sanitize.Short(name), parent.ID)
		}
	}
	return nil
}

// isOverdue reports whether an order has waited too long for its approval by any of the clocks that
// are given: ours, which may be wrong, and ours corrected by CERTInext's.
func (a *approval) isOverdue(clocks ...time.Time) bool {
	for _, now := range clocks {
		if !now.Before(a.ExpiresAt) {
			return true
		}
	}
	return false
}

// entityOf returns the identity entity of a requester; empty when it is a token without one.
func entityOf(requester string) string {
	if id, is := strings.CutPrefix(requester, entityPrefix); is {
		return id
	}
	return ""
}

func rfc3339(at time.Time) string { return at.UTC().Format(time.RFC3339) }
