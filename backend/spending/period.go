// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package spending

import (
	"time"
)

// A Period is how long a budget lasts until it is filled again.
type Period string

// The periods. Days and months are those of the calendar in UTC. A year is that of a subscription:
// 365 days from the first order that counts.
const (
	Day   Period = "day"
	Month Period = "month"
	Year  Period = "year"
)

func (p Period) isKnown() bool { return p == Day || p == Month || p == Year }

// span returns when the period begins and ends, the end being no part of it, in which the first
// order is placed at a time.
func (p Period) span(at time.Time) (begins, ends time.Time) {
	at = at.UTC()
	year, month, day := at.Date()
	switch p {
	case Day:
		begins = time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
		return begins, begins.AddDate(0, 0, 1)
	case Month:
		begins = time.Date(year, month, 1, 0, 0, 0, 0, time.UTC)
		return begins, begins.AddDate(0, 1, 0)
	}
	begins = at.Truncate(time.Second)
	return begins, begins.Add(365 * 24 * time.Hour)
}

// said names a period that begins at a time, as in "25 orders in November 2026".
func (p Period) said(begins time.Time) string {
	switch p {
	case Day:
		return "on " + begins.UTC().Format(time.DateOnly)
	case Month:
		return "in " + begins.UTC().Format("January 2006")
	}
	return "in the 365 days from " + begins.UTC().Format(time.DateOnly)
}

// A tally is what was ordered in one period.
type tally struct {
	Period Period    `json:"period"`
	Begins time.Time `json:"begins"`
	Ends   time.Time `json:"ends"`
	totals
	// Corrections are what the ledger has said since, and is in the totals.
	Corrections []correction `json:"corrections,omitempty"`
	// Told is set once it was told that no further order fits in.
	Told bool `json:"told,omitempty"`
}

// current returns the tally that an order counts to which is placed now: the one whose period now
// is in, or a new one. It changes nothing. A clock that was set back to before all that was counted
// does not fill the budget: the earliest period goes on.
func (p Period) current(tallies []tally, now time.Time) tally {
	var earliest *tally
	before := false
	for i := range tallies {
		t := &tallies[i]
		switch {
		case t.Period != p:
			continue
		case now.Before(t.Begins):
			if earliest == nil || t.Begins.Before(earliest.Begins) {
				earliest = t
			}
		case now.Before(t.Ends):
			return *t
		default:
			before = true
		}
	}
	if earliest != nil && !before {
		return *earliest
	}
	begins, ends := p.span(now)
	if earliest != nil && earliest.Begins.Before(ends) {
		ends = earliest.Begins // two years of a subscription do not overlap
	}
	return tally{Period: p, Begins: begins, Ends: ends}
}
