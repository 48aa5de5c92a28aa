// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"cmp"
	"slices"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// A crashFlow is what one client does from its first request to its last. It is done once undisturbed, which shows the places
// where it can be killed, and then once for each of them.
type crashFlow struct {
	name string
	// kind of CA: live, paper (the documented dialect), signed (version 1), parked (live, and an approver who takes his time),
	// wild (live, and domains that a solver has to validate) or dear (live, and reissues that are charged for)
	cell string
	// rarely has the suite kill it in one manner only.
	rarely bool
	own    bool // every point has a mount and a CA of its own, for calls that name no order and for the background pass

	role    map[string]any
	request map[string]any // with "csr", one of the client's own making
	zone    string         // that the domain is in; example.com when empty
	steps   []crashStep
	// killed are the names of the steps in which it is killed at every place, or only around the events named. A name with a
	// prime is the step as it is repeated after the first crash.
	killed []string
	only   []string
	// first, if set, is where a crash has struck before.
	first *spot

	// fields that are not the role's: of a budget that counts this role's orders, and whether the client has an identity
	budget map[string]any
	person bool

	fleet bool // several callers ask at the same instant, so that only what happens is certain, and not in which order
	anew  bool // the last step buys another certificate, although there is one
	// intents is how often the order is stored before the CA hears of it; once when zero.
	intents   int
	buys      string // the step that places the order; the first one when empty
	certs     int    // how many certificates there have to be of the order; one when zero
	reissues  bool   // the last step has the order's certificate reissued
	unpaid    bool   // the CA never takes the order
	unclaimed bool   // the client never fetches the certificate
	ends      string // the CA's status in the end, before the leases are ended; "issued" when empty

	// journal is what happens in the killed steps: the calls to the CA, the writes to storage and the answers, in their order.
	// When it has changed, this text is changed with it; what is killed follows from what has happened, not from this text.
	journal string
}

// Events that have to be spelt to be found.
var (
	created      = certinexttest.OpCreateSSL
	askedFor     = &spot{step: "ask", after: true, event: created, nth: 1}
	neverHeardOf = &spot{step: "ask", event: created, nth: 1}
)

var privatePKI = map[string]any{
	"product_code": "149", "product_variant": "intranet-ssl", "ca_profile_id": "1", "master_product_id": "1",
	"allowed_domains": "corp.internal",
}

var crashFlows = []crashFlow{
	{
		name: "issue", cell: "live", steps: []crashStep{askStep}, killed: []string{"ask"},
		journal: "ask: put order/open, create-ssl, put order/open, certificate, put number, put cert, answer",
	},
	{
		name: "paper", cell: "paper", steps: []crashStep{askStep}, killed: []string{"ask"},
		journal: "ask: put order/open, create-ssl, put order/open, agreement, track, certificate, certificate, put number, " +
			"put cert, answer",
	},
	{
		name: "signed", cell: "signed", steps: []crashStep{askStep}, killed: []string{"ask"},
		journal: "ask: put order/open, create-ssl, put order/open, track, certificate, put number, put cert, answer",
	},
	{
		name: "intranet", cell: "live", role: privatePKI, zone: "corp.internal",
		steps: []crashStep{askStep}, killed: []string{"ask"},
		journal: "ask: put order/open, create-private-pki, put order/open, certificate, put number, put cert, answer",
	},
	{
		name: "sign", cell: "live", request: map[string]any{"csr": true}, steps: []crashStep{askStep}, killed: []string{"ask"},
		journal: "ask: put order/open, create-ssl, put order/open, certificate, put number, put cert, answer",
	},
	{
		name: "solver", cell: "wild", role: map[string]any{"dcv_solver": "corp"}, steps: []crashStep{askStep}, killed: []string{"ask"},
		intents: 2,
		journal: "ask: put order/open, put order/open, create-ssl, put order/open, dcv, put dcv/record, put dcv/record, " +
			"put dcv/record, put dcv/record, verify-dcv, delete dcv/record, delete dcv/record, put order/open, track, " +
			"certificate, put number, put cert, answer",
	},
	{
		name: "named", cell: "live", request: map[string]any{"request_id": "deploy-42"},
		steps: []crashStep{askStep, againStep}, killed: []string{"ask", "again"},
		journal: "ask: put order/open, create-ssl, put order/open, certificate, put number, put cert, answer; " +
			"again: put cert, answer",
	},
	{
		name: "repeat", cell: "live", steps: []crashStep{askStep, againStep}, killed: []string{"ask", "again"},
		journal: "ask: put order/open, create-ssl, put order/open, certificate, put number, put cert, answer; " +
			"again: put cert, answer",
	},
	{
		name: "fleet", cell: "live", steps: []crashStep{fleetStep, fleetAgain}, killed: []string{"ask", "again"}, fleet: true,
		journal: "ask: answer, answer, answer, certificate, create-ssl, put cert, put cert, put cert, put number, put order/open, " +
			"put order/open; again: answer, answer, answer, put cert, put cert, put cert",
	},
	{
		name: "unread", cell: "live", steps: []crashStep{unreadStep, againStep}, killed: []string{"unread", "again"},
		journal: "unread: put order/open, create-ssl, put order/open, certificate, put number, put cert, answer; " +
			"again: put cert, answer",
	},
	{
		name: "forced", cell: "live", steps: []crashStep{askStep, forceStep}, killed: []string{"force"}, anew: true,
		journal: "force: put order/open, create-ssl, put order/open, certificate, put number, put cert, answer",
	},
	{
		name: "apart", cell: "live", role: map[string]any{"reuse_window": "0s"}, steps: []crashStep{askStep, againStep},
		killed: []string{"again"}, anew: true,
		journal: "again: put order/open, create-ssl, put order/open, certificate, put number, put cert, answer",
	},
	{
		name: "patient", cell: "live", own: true, role: map[string]any{"delivery_grace": "1m", "reuse_window": "50m"},
		steps: []crashStep{askStep, laterStep, keptPass, againStep}, killed: []string{"kept", "again"},
		journal: "kept: put number-index; again: put cert, answer",
	},
	{
		// Long enough that a busy machine has placed the order and looked at it before the time is over.
		name: "slow", cell: "parked", role: map[string]any{"issue_timeout": "10s"},
		steps: []crashStep{leftStep, approveStep, againStep}, killed: []string{"ask", "again"},
		journal: "ask: put order/open, create-ssl, put order/open, track, put order/open, answer; " +
			"again: track, certificate, put number, put cert, answer",
	},
	{
		name: "async", cell: "parked",
		steps: []crashStep{placeStep, approveStep, collectStep}, killed: []string{"place", "collect"},
		journal: "place: put order/open, create-ssl, put order/open, put order/open, answer; " +
			"collect: track, certificate, put number, put cert, answer",
	},
	{
		name: "cancel", cell: "parked", steps: []crashStep{placeStep, cancelStep}, killed: []string{"cancel"}, ends: "cancelled",
		journal: "cancel: cancel, track, put number, put order/closed, delete order/open, answer",
	},
	{
		name: "refused", cell: "live", role: map[string]any{"product_code": notForSale}, unpaid: true,
		steps: []crashStep{refusedStep}, killed: []string{"ask"},
		journal: "ask: put order/open, create-ssl, put order/closed, delete order/open, answer",
	},
	{
		name: "lease", cell: "live", own: true, steps: []crashStep{askStep, endStep}, killed: []string{"end"}, ends: "revoked",
		journal: "end: put revocation, put cert, revoke, track, put revoked, put cert, delete revocation, put order/closed, delete order/open, answer",
	},
	{
		name: "leases", cell: "live", own: true, request: map[string]any{"request_id": "deploy-43"},
		steps:  []crashStep{askStep, againStep, endStep, endOther},
		killed: []string{"end", "end other"}, ends: "revoked",
		journal: "end: put revocation, put cert, answer; " +
			"end other: put revocation, put cert, revoke, track, put revoked, put cert, delete revocation, put order/closed, delete order/open, answer",
	},
	{
		name: "revoke", cell: "live", steps: []crashStep{askStep, revokeStep}, killed: []string{"revoke"}, ends: "revoked",
		journal: "revoke: put revocation, revoke, track, put revoked, put cert, delete revocation, put order/closed, delete order/open, answer",
	},
	{
		name: "queue", cell: "live", own: true, steps: []crashStep{askStep, downStep, endStep, upStep, revokeStep},
		killed: []string{"end", "revoke"}, ends: "revoked",
		journal: "end: put revocation, put cert, revoke, put revocation, answer; " +
			"revoke: put revocation, revoke, track, put revoked, put cert, delete revocation, put order/closed, delete order/open, answer",
	},
	{
		name: "token", cell: "live", own: true,
		steps: []crashStep{askStep}, killed: []string{"ask"}, only: []string{certinexttest.OpToken},
		journal: "ask: put order/open, token, create-ssl, put order/open, certificate, put number, put chain, put ca, put cert, " +
			"answer",
	},
	{
		name: "pass", cell: "parked", own: true, steps: []crashStep{placeStep, approveStep, soonStep, passStep, collectStep},
		killed: []string{"pass", "collect"},
		journal: "pass: put number-index, track, certificate, put number, put chain, put ca, put cert, put order/open; " +
			"collect: put cert, answer",
	},
	{
		name: "erase", cell: "live", own: true, steps: []crashStep{askStep, laterStep, erasePass}, killed: []string{"pass"},
		journal: "pass: put number-index, put lease, put order/closed, delete order/open",
	},
	{
		name: "unclaimed", cell: "parked", own: true, unclaimed: true, role: map[string]any{"pickup_window": "1m", "revoke_unclaimed": true},
		steps:  []crashStep{placeStep, approveStep, soonStep, storedStep, laterStep, erasePass},
		killed: []string{"pass"}, ends: "revoked",
		journal: "pass: put revocation, put order/closed, delete order/open, revoke, track, " +
			"put revoked, put cert, delete revocation",
	},
	{
		name: "budget", rarely: true, cell: "live", own: true, budget: map[string]any{"per": "role", "period": "year", "max_orders": 3},
		steps: []crashStep{askStep}, killed: []string{"ask"},
		journal: "ask: put spending, put order/open, token, create-ssl, put order/open, certificate, put number, " +
			"put chain, put ca, put cert, answer",
	},
	{
		name: "spent", rarely: true, cell: "live", own: true, role: map[string]any{"product_code": notForSale}, unpaid: true,
		budget: map[string]any{"per": "role", "period": "year", "max_orders": 3},
		steps:  []crashStep{refusedStep}, killed: []string{"ask"},
		journal: "ask: put spending, put order/open, token, create-ssl, put order/closed, delete order/open, answer",
	},
	{
		name: "approved", rarely: true, cell: "live", role: map[string]any{"require_approval": true}, buys: "decide",
		steps: []crashStep{requestStep, decideStep, collectStep}, killed: []string{"request", "decide", "collect"},
		journal: "request: put order/open, answer; " +
			"decide: put order/open, create-ssl, put order/open, certificate, put number, put cert, put order/open, " +
			"answer; " +
			"collect: put cert, answer",
	},
	{
		name: "rejected", rarely: true, cell: "live", own: true, role: map[string]any{"require_approval": true}, unpaid: true, buys: "decide",
		steps: []crashStep{requestStep, rejectStep}, killed: []string{"request", "reject"},
		journal: "request: put order/open, answer; " +
			"reject: put order/closed, delete order/open, answer",
	},
	{
		name: "renewed", rarely: true, cell: "live", own: true, role: map[string]any{"renewal": "reissue"}, certs: 2, reissues: true,
		steps: []crashStep{askStep, laterStep, erasePass, againStep}, killed: []string{"again"},
		journal: "again: track, put cert, put order/open, reissue, put order/open, certificate, put renewal/newest, " +
			"put cert, ledger, put order/open, put number, put cert, answer",
	},
	{
		name: "charged", rarely: true, cell: "dear", own: true, role: map[string]any{"renewal": "reissue"}, certs: 2, reissues: true,
		steps: []crashStep{askStep, laterStep, erasePass, againStep}, killed: []string{"again"},
		only: []string{certinexttest.OpLedger, "put renewal/stopped", "put order/open", "put number"},
		journal: "again: track, put cert, put order/open, reissue, put order/open, certificate, put renewal/newest, put cert, " +
			"ledger, put renewal/stopped, put order/open, put number, put cert, answer",
	},
	{
		name: "reused", rarely: true, cell: "live", own: true, role: map[string]any{"reuse": true}, person: true,
		steps: []crashStep{askStep, laterStep, erasePass, againStep}, killed: []string{"pass", "again"},
		journal: "pass: put number-index, put reuse/end, put reuse/key, put lease, put order/closed, delete order/open; " +
			"again: track, put order/open, delete order/closed, put cert, answer",
	},
	{
		name: "ahead", rarely: true, cell: "live", own: true, person: true, certs: 2,
		role:  map[string]any{"renew_ahead": "10%", "renewal": "reissue", "generate_lease": false},
		steps: []crashStep{askStep, laterStep, erasePass, dueStep, aheadPass, againStep}, killed: []string{"ahead", "again"},
		journal: "ahead: put index, track, put cert, put order/open, reissue, put order/open, certificate, put renewal/newest, put cert, ledger, put order/open, " +
			"put number, put cert, put order/open, put ahead, delete ahead; " +
			"again: put ahead, put cert, put cert, answer",
	},

	// What a crash has left behind is what the next crash hits.
	{
		name: "dark", cell: "live", first: askedFor, steps: []crashStep{askStep}, killed: []string{"ask'"},
		journal: "ask': put order/open, track, certificate, put number, put cert, answer",
	},
	{
		name: "dark-paper", cell: "paper", first: askedFor, steps: []crashStep{askStep}, killed: []string{"ask'"},
		journal: "ask': create-ssl, put order/open, track, agreement, track, certificate, certificate, put number, put cert, answer",
	},
	{
		name: "report", cell: "live", own: true, first: askedFor, steps: []crashStep{askStep}, killed: []string{"ask'"},
		only:    []string{certinexttest.OpToken, certinexttest.OpOrdersReport},
		journal: "ask': token, orders-report, put order/open, track, certificate, put number, put chain, put ca, put cert, answer",
	},
	{
		name: "never", cell: "live", first: neverHeardOf, steps: []crashStep{doubtStep, waitedStep, neverStep, againStep},
		killed:  []string{"never placed"},
		journal: "never placed: put order/closed, delete order/open, answer",
	},
	{
		name: "adopt", cell: "live", first: neverHeardOf, steps: []crashStep{doubtStep, byHandStep, adoptStep, againStep},
		killed: []string{"adopt", "again"},
		journal: "adopt: track, put order/open, answer; " +
			"again: track, submit-csr, track, agreement, track, certificate, put number, put cert, answer",
	},
	{
		name: "cancelled", cell: "parked", own: true, ends: "cancelled", steps: []crashStep{placeStep, cancelStep},
		first:   &spot{step: "cancel", after: true, event: certinexttest.OpCancel, nth: 1},
		killed:  []string{"cancel'"},
		journal: "cancel': token, orders-report, cancel, track, put number, put order/closed, delete order/open, answer",
	},
	{
		// What a crash has left of a revocation is in the queue: the repeated end of the lease leaves it to the background.
		name: "ended", cell: "live", own: true, ends: "revoked", steps: []crashStep{askStep, endStep, revokeStep},
		first:  &spot{step: "end", after: true, event: certinexttest.OpRevoke, nth: 1},
		killed: []string{"end'", "revoke"},
		journal: "end': put revocation, answer; revoke: put revocation, token, revoke, track, put revoked, put cert, delete revocation, put order/closed, " +
			"delete order/open, answer",
	},
	{
		name: "closing", cell: "live", own: true, steps: []crashStep{askStep, laterStep, erasePass},
		first:   &spot{step: "pass", after: true, event: "put order/closed", nth: 1},
		killed:  []string{"pass'"},
		journal: "pass': delete order/open",
	},
}

// paid is how many orders there have to be. A step that wants no certificate that was handed over before wants none, either, whose answer a crash
// has swallowed: whoever says force_new, or whose role reuses nothing, pays for that one, too.
func (f *crashFlow) paid(spots []spot) int {
	switch {
	case f.unpaid:
		return 0
	case !f.anew:
		return 1
	}
	paid, last := 2, f.steps[len(f.steps)-1].name
	for _, s := range spots {
		if s.step == last && ((s.event == "put cert" && s.after) || s.event == theAnswer) {
			paid++
		}
	}
	return paid
}

// inDoubt reports whether a crash at s leaves an order of which nobody but the CA can say whether it was placed: the intent is
// stored, and the CA's records do not show the order.
func (f *crashFlow) inDoubt(s spot) bool {
	buys := []string{cmp.Or(f.buys, f.steps[0].name)}
	switch last := f.steps[len(f.steps)-1].name; {
	case f.anew:
		buys[0] = last
	case f.reissues:
		buys = append(buys, last)
	}
	if f.cell == "paper" || f.first != nil || !slices.Contains(buys, s.step) {
		return false // the documented CA is asked again by the same Idempotency-Key
	}
	switch s.event {
	case "put order/open":
		return s.nth <= max(f.intents, 1) && (s.after || s.nth > 1)
	case certinexttest.OpReissue:
		return !s.after
	case certinexttest.OpCreateSSL, certinexttest.OpCreatePrivatePKI:
		return !s.after || f.unpaid
	case certinexttest.OpToken:
		return true
	case "put order/closed":
		return f.unpaid && !s.after
	}
	return false
}
