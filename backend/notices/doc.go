// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package notices tells people what has become of an order, a certificate or a budget, when it is
// something that somebody has to know: by one line in Vault's log, and by one of Vault's events.
//
// It promises that a notice holds ids and no secret, and no personal data: neither names of
// certificates nor words of CERTInext's. It promises, too, that telling costs its caller nothing
// that the caller waits for: events are sent behind it, one after the other, and whatever becomes
// of them changes nothing else (ADR 0046). That a change is told once is its caller's business.
//
// The package knows neither orders nor certificates: it is told their ids.
package notices

import (
	"context"
	"sync"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/hashicorp/go-hclog"
)

// A Change is something that a person has to know of. It is the field change of a log line, and the
// end of an event's type.
type Change string

// The changes.
const (
	InDoubt        Change = "order-in-doubt"  // it is not known whether CERTInext took it
	Held           Change = "order-held"      // its certificate is not what was ordered
	Rejected       Change = "order-rejected"  // by an approver, or by CERTInext
	Failed         Change = "order-failed"    // CERTInext refused, or never took it
	Expired        Change = "order-expired"   // at CERTInext, unapproved, or not fetched in time
	Unclaimed      Change = "order-unclaimed" // nobody fetched its certificate
	Replaced       Change = "order-replaced"  // by a certificate for another key, elsewhere
	RevokedOutside Change = "revoked-outside" // at CERTInext, without a request that is known here
	ReissueCharged Change = "reissue-charged" // although reissues were to be free
	BudgetSpent    Change = "budget-spent"    // no further order fits into its period
	CampaignStuck  Change = "campaign-stuck"  // the first certificate of it cannot be replaced
	CampaignOver   Change = "campaign-over"   // nothing of it is open any more
)

// Changes are all changes, in the order in which the documentation lists them.
func Changes() []Change {
	return []Change{
		InDoubt, Held, Rejected, Failed, Expired, Unclaimed, Replaced, RevokedOutside,
		ReissueCharged, BudgetSpent, CampaignStuck, CampaignOver,
	}
}

// words are the log lines of the changes. What to do about each is in docs/monitoring.md.
var words = map[Change]string{
	InDoubt: "an order is in doubt: it is not known whether CERTInext has taken it",
	Held: "a certificate is kept back: it is not what was ordered, and waits for an " +
		"operator's word",
	Rejected:  "an order was rejected",
	Failed:    "an order has failed: CERTInext has refused it, or never taken it",
	Expired:   "an order has expired",
	Unclaimed: "nobody has fetched the certificate of an order, and its key is erased",
	Replaced: "CERTInext's order is for another key for good: it was reissued in its portal, or " +
		"before a snapshot was restored; its certificate is not revoked",
	RevokedOutside: "a certificate was revoked at CERTInext, and this mount has recorded no " +
		"request for that",
	ReissueCharged: "CERTInext has charged for a reissue: the role renews by new orders from " +
		"now on, until an operator allows reissues again",
	BudgetSpent: "a budget is spent: no further order fits into its period",
	CampaignStuck: "a certificate of a campaign could not be replaced, which is tried again; of " +
		"others, the campaign tells",
	CampaignOver: "a campaign is over: all of its certificates are replaced, or are left for a " +
		"reason",
}

// level is that of a change's log line.
func (c Change) level() hclog.Level {
	if c == ReissueCharged {
		return hclog.Error // it costs money with every renewal
	}
	return hclog.Warn
}

// A Notice says what has changed. Fields that do not apply are empty, and are not told.
type Notice struct {
	Change  Change
	Path    string // by which the mount's API shows more, as orders/web/7d1…
	Role    string
	OrderID string // in this mount
	Number  string // CERTInext's, of the order
	Serial  string // of the certificate, with colons
	State   string // of the order
	// Requester is stored with the order, as entity:… or otherwise. Only an entity is told: by the
	// accessor of a token, the token can be revoked.
	Requester string
	Budget    string // its name
	Limit     string // of the budget, by the name of its field
	Amount    string // of money
	Reason    string // of a revocation, as RFC 5280 names it
	// Successor is set when another certificate is made by itself in the place of a revoked one.
	Successor bool
	RefillsAt string // when the budget is filled again, in RFC 3339
}

// A Sender sends an event of Vault's. metadata are keys and values in turn.
type Sender func(ctx context.Context, kind string, metadata ...string) error

// A Teller tells what changes in one mount. Its methods may be called concurrently, and a nil one
// tells nobody.
type Teller struct {
	host *host.Host
	send Sender // nil when there are no events

	mu      sync.Mutex
	counts  map[Counted]int
	pending map[Notice]bool // told, and not stored yet
	unsent  int             // events that were not sent
	waiting []event
	sending bool // a goroutine sends what waits
}

// New returns a teller that sends events by send, or none when that is nil.
func New(h *host.Host, send Sender) *Teller {
	return &Teller{
		host: h, send: send,
		counts: make(map[Counted]int), pending: make(map[Notice]bool),
	}
}
