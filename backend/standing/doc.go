// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package standing says how a mount stands: what is open, for whom it waits, what is about to
// expire, and how CERTInext answers. It is pure: what it adds up is handed to it.
//
// It promises to name nobody and nothing that a metric may not: orders are named by their ids, and
// what can be as many as there are certificates is counted. It knows neither where things are
// stored nor who asks.
package standing

import (
	"strings"
	"time"
)

// A Status is how a mount stands at a moment.
type Status struct {
	At           time.Time
	Orders       Orders
	Revocations  Revocations
	Certificates Certificates
	Domains      Domains
	Budgets      []Budget   // at most [MostBudgets]
	Campaigns    []Campaign // at most [MostCampaigns]
	CA           CA
	Pass         Pass
	Sync         Sync
	Changes      []Change // that people were told of, by this process
	UnsentEvents int
}

// MostBudgets is how many budgets, each of one subject, a status has.
const MostBudgets = 100

// MostCampaigns is how many campaigns a status has.
const MostCampaigns = 10

// A Campaign replaces certificates, and is not over.
type Campaign struct {
	Name, State  string
	Open, Failed int // certificates that are under way or wait, and those that are stuck or left
}

// An Order is an open order.
type Order struct {
	ID, Role        string
	State, WaitsFor string // empty when nobody has to act
	CreatedAt       time.Time
}

// A Group is several orders, and the oldest of them.
type Group struct {
	Count  int
	Oldest Order
}

// add counts an order.
func (g Group) add(o Order) Group {
	if g.Count == 0 || o.CreatedAt.Before(g.Oldest.CreatedAt) ||
		(o.CreatedAt.Equal(g.Oldest.CreatedAt) && strings.Compare(o.ID, g.Oldest.ID) < 0) {
		g.Oldest = o
	}
	g.Count++
	return g
}

// A Kind is what orders are counted by.
type Kind struct{ Role, State, WaitsFor string }

// Orders are the open orders. Those whose certificate was handed over are not open for this
// purpose: only their keys wait for being erased.
type Orders struct {
	Open       int
	States     map[string]Group // by state
	WaitsFor   map[string]Group // by who has to act
	Kinds      map[Kind]int
	Unreadable int  // entries that cannot be decoded
	Complete   bool // false while they are still being read, after a start
}

// CountOrders adds up open orders.
func CountOrders(all []Order) Orders {
	out := Orders{
		States: make(map[string]Group), WaitsFor: make(map[string]Group), Kinds: make(map[Kind]int),
	}
	for _, o := range all {
		if o.WaitsFor == "" {
			continue
		}
		out.Open++
		out.States[o.State] = out.States[o.State].add(o)
		out.WaitsFor[o.WaitsFor] = out.WaitsFor[o.WaitsFor].add(o)
		out.Kinds[Kind{o.Role, o.State, o.WaitsFor}]++
	}
	return out
}

// Revocations are those that wait for CERTInext.
type Revocations struct {
	Queued, Due, Sent, Failing int
	Blocked                    map[string]int // by why they cannot be tried, in a word
	Oldest                     string         // serial number; empty when none is due
	OldestQueuedAt             time.Time
	Complete                   bool
}

// Within are the days within which what is about to expire is counted. Each count includes those
// before it.
var Within = []int{7, 14, 30, 60, 90}

// An Expiry is how many expire within some days.
type Expiry struct{ Days, Count int }

// Bounds are [Within] as durations.
func Bounds() []time.Duration {
	out := make([]time.Duration, len(Within))
	for i, days := range Within {
		out[i] = time.Duration(days) * 24 * time.Hour
	}
	return out
}

// Certificates are the live certificates, as the index has them.
type Certificates struct {
	Live     int
	Expiring []Expiry
	Complete bool // the index is whole
}

// CountCertificates takes how many live certificates expire within each of [Bounds] and after the
// one before, and how many later.
func CountCertificates(between []int) (out Certificates) {
	counts := make([]int, 0, len(between))
	for _, n := range between {
		out.Live += n
		counts = append(counts, out.Live)
	}
	out.Expiring = Expiries(counts)
	return out
}

// Expiries pairs counts with the days of [Within].
func Expiries(counts []int) []Expiry {
	out := make([]Expiry, 0, len(Within))
	for i, days := range Within {
		if i < len(counts) {
			out = append(out, Expiry{days, counts[i]})
		}
	}
	return out
}

// A Domain is a registered one.
type Domain struct {
	Name      string
	ValidTill time.Time // zero when it is not validated, or that is not known
	Failing   bool
}

// Domains are the registered domains.
type Domains struct {
	Registered  int
	Unvalidated int // not validated, not validated any more, or that is not known
	Failing     int // the latest attempt to validate them has failed
	Expiring    []Expiry
	Next        Domain // the validated one that expires first; no name when there is none
	Complete    bool
}

// CountDomains adds up registered domains.
func CountDomains(all []Domain, now time.Time) Domains {
	counts := make([]int, len(Within))
	out := Domains{Registered: len(all)}
	for _, d := range all {
		if d.Failing {
			out.Failing++
		}
		if !d.ValidTill.After(now) {
			out.Unvalidated++
			continue
		}
		if out.Next.Name == "" || d.ValidTill.Before(out.Next.ValidTill) {
			out.Next = d
		}
		for i, bound := range Bounds() {
			if !d.ValidTill.After(now.Add(bound)) {
				counts[i]++
			}
		}
	}
	out.Expiring = Expiries(counts)
	return out
}

// A Budget is what one subject of a budget has left. A limit that there is not has no Left.
type Budget struct {
	Name, Per, Subject string
	RefillsAt          time.Time
	OrdersLeft         *int
	OpenLeft           *int
	SpendLeft          string // an amount; empty without a limit in money
	Currency           string
}

// CA is how CERTInext answers this process.
type CA struct {
	Configured     bool
	Held           bool // nothing may be changed there: see CERTINEXT_HOLD
	OrderingPaused bool
	RatePerSecond  float64 // that this mount keeps to; no limit when 0
	LastGood       time.Time
	Operations     []Operation
	Background     Breaker // guards what the background pass asks
	Revoking       Breaker // guards the sending of revocations
	// Ahead is by how much CERTInext's clock is ahead; meaningful with ClockKnown.
	Ahead        time.Duration
	ClockKnown   bool
	ClockInDoubt bool
}

// An Operation is one kind of request. See package account for what is counted.
type Operation struct {
	Name     string
	Outcomes map[string]int
	Took     time.Duration // all together
	Last     time.Duration
	Within   map[float64]uint64 // cumulative, by upper bound in seconds
	Timed    uint64             // how many of them Took and Within count
	LastGood time.Time
	Failed   time.Time
	Error    string
}

// LastGood is when any request was last answered with what can be used.
func LastGood(all []Operation) (at time.Time) {
	for _, o := range all {
		if o.LastGood.After(at) {
			at = o.LastGood
		}
	}
	return at
}

// A Breaker says whether work leaves CERTInext alone for a while.
type Breaker struct {
	InDoubt bool // the last answers look like an outage
	Until   time.Time
	Why     string
}

// IsPaused reports whether no request is made at a moment.
func (b Breaker) IsPaused(now time.Time) bool { return b.Until.After(now) }

// A Pass is the background pass.
type Pass struct {
	Ended  int // how many this process has ended
	Failed int // of these, with an error
	// Began and Took are those of the latest that has ended; Error is what it met.
	Began time.Time
	Took  time.Duration
	Error string
}

// A Sync is the latest synchronization with CERTInext's records.
type Sync struct {
	State                 string
	StartedAt, FinishedAt time.Time
	Revoked, Failed       int
	Error                 string
}

// A Change is how often people were told of something.
type Change struct {
	Change, Role string
	Count        int
}
