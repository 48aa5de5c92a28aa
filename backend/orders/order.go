// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"encoding/base32"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/ahead"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/notices"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/subscriptions"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/validation"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/go-uuid"
)

// Where orders are stored, below their role and id. The entry of an open order may hold a private
// key, that of a closed order never does. They are kept apart so that finding the open orders does
// not mean walking over all of the finished ones.
const (
	OpenPrefix        = "order/open/"
	closedOrderPrefix = "order/closed/"
)

// A State is where an order stands, as the engine sees it.
type State string

// The states of an order. CERTInext's own status is kept beside them, see [Order].
const (
	StateApproval   State = "approval"   // it waits for another person's approval (ADR 0037)
	StatePlacing    State = "placing"    // the intent is stored; CERTInext may have heard of it
	StateDraft      State = "draft"      // CERTInext keeps the order until it is promoted
	StateUnresolved State = "unresolved" // it is not known yet whether CERTInext took the order
	StatePending    State = "pending"    // CERTInext took the order and has not issued it yet
	StateIssued     State = "issued"     // the certificate is stored
	StateHeld       State = "held"       // it is stored, and not what was ordered (ADR 0025)
	StateCancelled  State = "cancelled"  // at CERTInext
	StateRejected   State = "rejected"   // by an approver, or by CERTInext after it took it
	StateExpired    State = "expired"    // at CERTInext, unapproved, or not fetched in time
	StateRevoked    State = "revoked"    // before anybody was handed the certificate
	StateReplaced   State = "replaced"   // by a certificate for another key, outside of this mount
	StateUnclaimed  State = "unclaimed"  // nobody fetched the certificate; its key is erased
	StateFailed     State = "failed"     // CERTInext refused, or never took, the order
)

// Final reports whether the order ended without anybody being handed a certificate.
func (s State) Final() bool {
	switch s {
	case StateCancelled, StateRejected, StateExpired, StateRevoked, StateReplaced, StateUnclaimed,
		StateFailed:
		return true
	}
	return false
}

// said is the state for people, as in "order 7 is ...".
func (s State) said() string {
	if s == StateApproval {
		return "waiting for its approval"
	}
	return string(s)
}

// An Event is a line in an order's history.
type Event struct {
	At   time.Time `json:"at"`
	What string    `json:"what"`
}

// An Order is the part of an order that may be shown: everything but its private key.
type Order struct {
	ID          string
	Role        string
	State       State
	RequestID   string
	CommonName  string
	Names       []string // DNS names and addresses, the common name first
	ProductCode string
	Variant     string
	CAOrderID   string // CERTInext's order number; empty until it is known
	Account     string // in which it was placed
	CARequestID string // CERTInext's request number, by which its portal knows a draft
	CAStatus    certinext.Status
	CAState     string // CERTInext's display words for order and certificate
	ReissueOf   string // the order whose certificate this one reissues; empty for most
	// Subscription is the term that the order has bought; zero while CERTInext has no such order.
	Subscription subscriptions.Subscription
	// Cost is what the order costs, as far as that was known when it was placed, and Charged
	// whether that is owed.
	Cost      Cost
	Charged   Charge
	Asked     Asked
	CreatedAt time.Time
	UpdatedAt time.Time
	Serial    string // of the certificate, with colons; empty until it is issued
	Delivered bool   // the certificate was handed over
	// WaitsFor is who has to act next, and Needs is what has to happen; both are empty when the
	// order is over, and Needs is empty when CERTInext is at work.
	WaitsFor  Party
	Needs     []string
	LastError string
	Timeline  []Event
	// DecidedOver is set when the order ended while it waited for its approval; LastError says how.
	DecidedOver bool
	// Left is what stays at CERTInext of an order that an operator has ended without it.
	Left string
	// AdoptedAt is when an operator had its role adopt the certificate of an order that was placed
	// outside of this mount; zero for orders of this mount.
	AdoptedAt time.Time
}

// describe returns in a few words where the order stands.
func (o *Order) describe() string {
	switch {
	case o.State == StateApproval:
		return "it waits for the approval of another person, and CERTInext has not heard of it"
	case o.State == StatePlacing:
		return "CERTInext has not answered yet whether it took the order"
	case o.State == StateUnresolved:
		return "it is not known yet whether CERTInext took the order"
	case o.State == StateDraft:
		return fmt.Sprintf("CERTInext keeps it as draft %s", o.CARequestID)
	case o.CAStatus != "" && o.CAState != "":
		return fmt.Sprintf("CERTInext says %s (%s)", o.CAStatus, o.CAState)
	case o.CAStatus != "":
		return fmt.Sprintf("CERTInext says %s", o.CAStatus)
	}
	return "CERTInext has not answered yet"
}

// An orderEntry is a stored order: the write-ahead log of one purchase (ADR 0002).
type orderEntry struct {
	Version     int    `json:"version"`
	ID          string `json:"id"`
	Role        string `json:"role"`
	Requester   string `json:"requester"`
	RequestID   string `json:"request_id,omitempty"`
	Fingerprint string `json:"fingerprint"`
	State       State  `json:"state"`
	Draft       bool   `json:"draft,omitempty"` // CERTInext is to keep it until it is promoted

	// Account is where the order was placed. No other account's credentials are ever used for it.
	Account string `json:"account"`
	// Placement is the exact order: what was sent can be shown, compared and, where that is safe,
	// repeated.
	Placement placement `json:"placement"`

	CSR        string `json:"csr"`
	PrivateKey string `json:"private_key,omitempty"` // PKCS#8 PEM; only while the order is open

	CAOrderID   string           `json:"ca_order_id,omitempty"`
	CARequestID string           `json:"ca_request_id,omitempty"`
	CAStatus    certinext.Status `json:"ca_status,omitempty"`
	CAState     string           `json:"ca_state,omitempty"`
	CSRRefused  bool             `json:"csr_refused,omitempty"`
	// PromotionKey is the Idempotency-Key of the create that promotes a draft, whose body differs
	// from the draft's. It is set from when somebody promotes the draft until that has certainly
	// not happened.
	PromotionKey string    `json:"promotion_key,omitempty"`
	PromotedAt   time.Time `json:"promoted_at,omitzero"`
	// KeyUsed is set once CERTInext has refused the create, sent again to find the order, because
	// of the CSR's key. Sending it once more says nothing new: the key may have been used by this
	// order or by an earlier one.
	KeyUsed bool `json:"key_used,omitempty"`
	// OtherKeySince is when CERTInext first delivered a certificate for another key than the
	// order's by a number that its records show to be the order's; zero before.
	OtherKeySince time.Time `json:"other_key_since,omitzero"`
	// ChainMissedAt is when CERTInext, or a proxy, first refused the chain of the certificate.
	ChainMissedAt time.Time `json:"chain_missed_at,omitzero"`
	// Adopted is set while the certificate, or CERTInext's records, have yet to prove the number:
	// it is an operator's word, or the mount's books could not be read when CERTInext answered.
	Adopted bool `json:"adopted,omitempty"`
	// NotDraft is set when CERTInext was asked for a draft, nobody has promoted it here, and the
	// order has a number: CERTInext answered with it, or an operator gave it.
	NotDraft bool `json:"not_draft,omitempty"`
	// NeedsApproval is set when the draft was made under a role whose orders need an approval.
	NeedsApproval bool `json:"needs_approval,omitempty"`
	// DraftRequestID is what CERTInext called the draft that the order was. CARequestID is what
	// CERTInext says of the number that the order has now, which may be another order's.
	DraftRequestID string `json:"draft_request_id,omitempty"`
	// Discarding is set while it is not known whether CERTInext has discarded the draft.
	Discarding bool `json:"discarding,omitempty"`

	CreatedAt time.Time `json:"created_at"`
	// NotBefore is a time, by CERTInext's clock, before which it was not asked for the order; zero
	// when that is not known. CreatedAt is by this server's clock, which may have been wrong.
	NotBefore time.Time          `json:"not_before,omitzero"`
	UpdatedAt time.Time          `json:"updated_at"`
	Serial    string             `json:"serial,omitempty"`
	Delivered bool               `json:"delivered,omitempty"`
	Held      bool               `json:"held,omitempty"` // the certificate's entry says why
	Needs     []string           `json:"needs,omitempty"`
	Proofs    []validation.Proof `json:"proofs,omitempty"` // while domains have to be validated
	Solver    string             `json:"solver,omitempty"` // empty when people validate the domains
	Stuck     bool               `json:"stuck,omitempty"`  // the solver needs an operator's help
	// CAAForbids are the domains whose CAA records did not let CERTInext issue when it last looked.
	CAAForbids []string `json:"caa_forbids,omitempty"`
	LastError  string   `json:"last_error,omitempty"`
	Timeline   []Event  `json:"timeline,omitempty"`

	// Subscription is what CERTInext has told of the term that the order has bought; nil before.
	// That of a reissue is its parent's.
	Subscription *subscriptions.Subscription `json:"subscription,omitempty"`

	// Asked is who has asked for the order, and how; nil in entries of earlier versions.
	Asked *asking `json:"asked,omitempty"`

	// Cost is what the order costs, as far as that was known when it was placed, or promoted.
	Cost Cost `json:"cost,omitzero"`
	// Counted are the counts of budgets that it was counted to.
	Counted []Counted `json:"counted,omitempty"`
	// LeftOutSince is when a whole reading of CERTInext's records first did not show the order in
	// doubt, by a clock that agreed with CERTInext's, and Presumed is set once it counts as never
	// taken because of that alone (ADR 0051).
	LeftOutSince time.Time `json:"left_out_since,omitzero"`
	Presumed     bool      `json:"presumed,omitempty"`
	// Abandoned is set when an operator has ended the order in the mount's books alone.
	Abandoned bool `json:"abandoned,omitempty"`

	// Grace is the role's delivery grace when the order was made.
	Grace time.Duration `json:"grace"` // nanoseconds
	// TTL is the lease's duration that the request asked for; the role's when 0. It applies when
	// the certificate is collected.
	TTL time.Duration `json:"ttl,omitempty"`
	// Reuse is the role's reuse window when the order was made; nil in entries of earlier versions,
	// where Grace takes its place.
	Reuse *time.Duration `json:"reuse,omitempty"` // nanoseconds
	// FinalSeen is the first of the two sightings after which CERTInext is believed to have ended
	// the order (ADR 0021).
	FinalSeen sighting `json:"final_seen,omitzero"`
	// Pickup and RevokeUnclaimed are the role's when the order was made.
	Pickup          time.Duration `json:"pickup"` // nanoseconds
	RevokeUnclaimed bool          `json:"revoke_unclaimed,omitempty"`
	// Reopened is set in an open order that was closed before, whose closed record it replaces.
	Reopened bool `json:"reopened,omitempty"`
	// Renews is the serial number, with dashes, of the certificate that the order's is to succeed.
	Renews string `json:"renews,omitempty"`
	// Terms stand for what was ordered, see [issuing.TermsOf], when the certificate may answer
	// later requests like the order's (ADR 0041); empty for most.
	Terms string `json:"terms,omitempty"`
	// RevokeReplaced is how long after the order's certificate was handed over the one that it
	// renews is revoked; never when zero.
	RevokeReplaced time.Duration `json:"revoke_replaced_after,omitempty"` // nanoseconds
	// Reissue is set when the order is for another certificate within an issued order of
	// CERTInext's.
	Reissue *reissue `json:"reissue,omitempty"`
	// ByCA is set when nobody has asked CERTInext for the certificate: it has renewed that of
	// Renews by itself, for the same key (ADR 0042).
	ByCA bool `json:"by_ca,omitempty"`
	// Names is a hash of requester, names and product, by which the newest certificate for them is
	// found; empty when the role said none of renewal=reissue, renew_ahead, revoke_replaced_after,
	// replace_revoked and auto_renew.
	Names string `json:"names,omitempty"`
	// Ahead is set when the order was made before it was asked for, and Again is what may be asked
	// for again once its certificate was handed over; nil when its role did not say renew_ahead
	// (ADR 0040).
	Ahead bool         `json:"ahead,omitempty"`
	Again *ahead.Asked `json:"again,omitempty"`
	// Replaces is set when the certificate of Renews is to be replaced before its time, and the
	// order's takes its place (ADR 0049). OwnKey is set when the mount has made the key; it is not
	// in entries of earlier versions.
	Replaces bool `json:"replaces,omitempty"`
	OwnKey   bool `json:"own_key,omitempty"`
	// AdoptedAt is when an operator had the order's role adopt a certificate that was ordered
	// outside of this mount (ADR 0044); zero for orders of this mount. PublicKey is then the
	// certificate's, in PEM, since the mount has no CSR for it.
	AdoptedAt time.Time `json:"adopted_at,omitzero"`
	PublicKey string    `json:"public_key,omitempty"`
	// NewestBefore is the serial number, with dashes, of the certificate that was the newest for
	// Names before the adoption, and is it again when that is undone; empty when there was none.
	NewestBefore string `json:"newest_before,omitempty"`
	// Approval is set when another person had to approve the order, or still has to.
	Approval *approval `json:"approval,omitempty"`

	fresh bool // CERTInext has certainly not heard of it: this process has just stored the intent
	dirty bool // changed since it was stored
	owed  bool // the last write of it has failed
	// news is what a person was told of it, or was to be told when it was stored: see tellNews.
	news notices.Change
	// closing is set once the order is over and its key erased, until storage has taken that.
	closing bool
	closed  bool // it was read from the closed orders
}

func (o *orderEntry) openKey() string { return OpenPrefix + o.Role + "/" + o.ID }

func (o *orderEntry) closedKey() string { return closedOrderPrefix + o.Role + "/" + o.ID }

// marker returns the name:value tag by which the order is found in CERTInext's records. It is
// random: two mounts may share an account, and both give the same id to the order of a named
// request.
func (o *orderEntry) marker() string { return markerOf(o.Placement.IdempotencyKey) }

// markerOf makes a marker of an order's random key. A tag's value may have 30 characters
// (documented for version 1) and a UUID has 36, so its 16 bytes are spelt in base 32, in one case:
// whether reports keep the case of a tag is not known.
func markerOf(key string) string {
	if id, err := uuid.ParseUUID(key); err == nil {
		key = strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(id))
	}
	return account.MarkerPrefix + key
}

// askedAt returns when CERTInext was first asked for the order, at the earliest.
func (o *orderEntry) askedAt() time.Time {
	switch at := o.approvedAt(); {
	case !o.PromotedAt.IsZero():
		return o.PromotedAt
	case !at.IsZero():
		return at
	}
	return o.CreatedAt
}

const maxTimeline = 50

// note adds a line to the history, unless it repeats the last one. A long history loses its middle.
func (o *orderEntry) note(now time.Time, format string, args ...any) {
	what := fmt.Sprintf(format, args...)
	if n := len(o.Timeline); n > 0 && o.Timeline[n-1].What == what {
		return
	}
	o.UpdatedAt, o.dirty = now, true
	o.Timeline = append(o.Timeline, Event{At: now, What: what})
	if len(o.Timeline) > maxTimeline {
		head, tail := o.Timeline[:maxTimeline/2], o.Timeline[len(o.Timeline)-maxTimeline/2:]
		o.Timeline = append(head, tail...)
	}
}

// told reports whether the history has such a line.
func (o *orderEntry) told(what string) bool {
	return slices.ContainsFunc(o.Timeline, func(e Event) bool { return e.What == what })
}

// observe records what CERTInext says of the order. Another status or other words than before drop
// the needs.
func (o *orderEntry) observe(now time.Time, remote *certinext.Order) {
	if remote.RequestID != "" {
		o.CARequestID = remote.RequestID
	}
	if s := remote.Subscription; s != nil {
		told, believed := subscriptions.Told(o.askedAt(), s.EndsAt, sanitize.Short(s.Status))
		if believed {
			told = told.At(o.termCost())
			o.Subscription = &told
		}
	}
	words := sanitize.Short(strings.Join(
		issuing.NonEmpty(remote.OrderState, remote.CertificateState), ", "))
	if remote.Status != o.CAStatus || words != o.CAState {
		o.CAStatus = remote.Status
		o.CAState = words
		o.Needs = nil
		if remote.Status != certinext.StatusPendingDCV {
			o.Proofs = nil
		}
		status := sanitize.Short(string(remote.Status))
		o.note(now, "CERTInext: %s", strings.Join(issuing.NonEmpty(status, words), ", "))
	}
	if remote.Status != "" && !remote.Status.Known() {
		o.note(now, "warning: this version does not know the status %q; waiting",
			sanitize.Short(string(remote.Status)))
	}
}

// A sighting is a status that CERTInext gave to the order, and when.
type sighting struct {
	Status certinext.Status `json:"status"`
	At     time.Time        `json:"at"`
}

// finalPatience is how far apart the two sightings have to be after which CERTInext is believed to
// have ended an order (ADR 0021). One answer may be a proxy's, and what follows from it cannot be
// undone: the key is erased, and the same request buys again.
const finalPatience = 20 * time.Second

// endSightings are the orders, by CERTInext's number, that it called ended although this mount's
// records say otherwise, and that no open order is driven for. A restart forgets them.
type endSightings struct {
	mu   sync.Mutex
	seen map[string]sighting
}

// seenTwice notes that CERTInext gave an order a final status, and reports whether it had done so
// finalPatience before. now is by the clock that nobody sets.
func (e *endSightings) seenTwice(o *orderEntry, status certinext.Status, now time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	first, seen := e.seen[o.CAOrderID]
	if seen && first.Status == status {
		return !now.Before(first.At.Add(finalPatience))
	}
	if e.seen == nil || len(e.seen) >= maxRefused {
		e.seen = make(map[string]sighting)
	}
	e.seen[o.CAOrderID] = sighting{Status: status, At: now}
	return false
}

// forget forgets what CERTInext has called an order, since it calls it otherwise now.
func (e *endSightings) forget(o *orderEntry) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.seen, o.CAOrderID)
}

// namelessPatience takes the place of finalPatience for answers of version 1 that do not say which
// order they are about: none of the documented ones does, except for the transaction id that its
// samples repeat. A proxy does not repeat the same mistake for a day.
const namelessPatience = 24 * time.Hour

// observeFinal records a status with which an order ends, and reports whether it is believed:
// answers about the order have to give it twice, some time apart.
func (o *orderEntry) observeFinal(now time.Time, remote *certinext.Order) bool {
	if !isFinal(remote.Status) {
		if o.FinalSeen != (sighting{}) {
			o.FinalSeen = sighting{}
			o.dirty = true
		}
		return false
	}
	if o.FinalSeen.Status != remote.Status || o.FinalSeen.At.After(now) {
		o.FinalSeen = sighting{Status: remote.Status, At: now}
		o.dirty = true
		return false
	}
	return !now.Before(o.FinalSeen.At.Add(patienceForEnd(remote)))
}

// patienceForEnd returns how far apart two answers like this one have to be to be believed.
func patienceForEnd(remote *certinext.Order) time.Duration {
	if remote.ID == "" {
		return namelessPatience
	}
	return finalPatience
}

// isFinal reports whether an order of this status has ended, so that no certificate can follow.
func isFinal(s certinext.Status) bool {
	switch s {
	case certinext.StatusRejected, certinext.StatusCancelled,
		certinext.StatusExpired, certinext.StatusRevoked:
		return true
	}
	return false
}

// view returns the part of the entry that may be shown.
func (o *orderEntry) view() *Order {
	names := o.Placement.names()
	cn := ""
	if len(names) > 0 {
		cn = names[0]
	}
	of := ""
	if o.Reissue != nil {
		of = o.Reissue.Of
	}
	state := o.State
	if o.Held {
		state = StateHeld
	}
	return &Order{
		ID:           o.ID,
		Role:         o.Role,
		State:        state,
		RequestID:    o.RequestID,
		CommonName:   cn,
		Names:        names,
		ProductCode:  o.Placement.ProductCode,
		Variant:      o.Placement.Variant,
		CAOrderID:    o.CAOrderID,
		Account:      o.Account,
		CARequestID:  sanitize.Short(o.CARequestID),
		CAStatus:     o.CAStatus,
		CAState:      o.CAState,
		ReissueOf:    of,
		Subscription: o.subscription(),
		Cost:         o.Cost,
		Charged:      o.charged(),
		Asked:        askedOf(o),
		CreatedAt:    o.CreatedAt,
		UpdatedAt:    o.UpdatedAt,
		Serial:       strings.ReplaceAll(o.Serial, "-", ":"),
		Delivered:    o.Delivered,
		WaitsFor:     o.waitsFor(),
		Needs:        append([]string(nil), o.Needs...),
		LastError:    o.LastError,
		AdoptedAt:    o.AdoptedAt,
		DecidedOver:  o.endedUnsent(),
		Timeline:     append([]Event(nil), o.Timeline...),
	}
}

// termCost returns what the order within which a certificate is issued was said to cost.
func (o *orderEntry) termCost() (price, currency string) {
	if o.Reissue == nil {
		return o.Cost.Price, o.Cost.Currency
	}
	if o.Subscription == nil {
		return "", ""
	}
	return o.Subscription.Price, o.Subscription.Currency
}

// subscription returns the term that the order has bought: as CERTInext has told it, else by the
// order's own words. A reissue buys none: it has its parent's.
func (o *orderEntry) subscription() subscriptions.Subscription {
	switch {
	case o.CAOrderID == "":
		return subscriptions.Subscription{}
	case o.Subscription != nil:
		return o.Subscription.At(o.termCost())
	case o.Reissue != nil:
		return subscriptions.Subscription{} // of an earlier version, which kept none
	case !o.AdoptedAt.IsZero():
		return subscriptions.Subscription{} // what was bought, CERTInext has not said
	}
	return subscriptions.Ordered(o.askedAt(), o.Placement.ValidityYears).At(o.termCost())
}

// forgetAnswers drops what CERTInext said of the order's previous number.
func (o *orderEntry) forgetAnswers() {
	o.CAStatus, o.CAState = "", ""
	o.FinalSeen = sighting{}
	o.Adopted, o.OtherKeySince = false, time.Time{}
	o.Subscription = nil
}
