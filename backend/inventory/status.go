// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package inventory

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/hashicorp/vault/sdk/logical"
)

// statusKey is the storage key of the last synchronization's [Status].
const statusKey = "sync"

// The states of a synchronization.
const (
	Never   = "never"
	Running = "running"
	Done    = "done"
	Failed  = "failed" // ended early; what was imported stays, and is not downloaded again
)

// A Status describes the progress of the last synchronization.
type Status struct {
	Version        int       `json:"version"`
	State          string    `json:"state"`
	Account        string    `json:"account"`
	IncludeExpired bool      `json:"include_expired,omitempty"`
	StartedAt      time.Time `json:"started_at,omitzero"`
	FinishedAt     time.Time `json:"finished_at,omitzero"`

	Seen     int `json:"seen"`     // orders read from the report
	Imported int `json:"imported"` // certificates that the mount did not know
	Revoked  int `json:"revoked"`  // known certificates that were revoked outside of the mount
	// Distrusted and Refused are how many of the imported ones clients refused when they were: each
	// of their chains has a key that clients refuse, or a family of clients knows none of them.
	Distrusted int `json:"distrusted,omitempty"`
	Refused    int `json:"refused,omitempty"`
	// Unavailable counts certificates that CERTInext does not serve, e.g. because they are revoked.
	Unavailable int `json:"unavailable"`
	// Failed counts orders whose certificate could not be downloaded or verified this time.
	Failed    int    `json:"failed"`
	LastError string `json:"last_error,omitempty"` // of the latest failure

	// Automatic is set when the background pass began it (sync_interval of the config).
	Automatic bool `json:"automatic,omitempty"`
	// Total is how many orders the report announces; 0 while it has not, or does not say.
	Total int `json:"total,omitempty"`
	// Page is the page of the report that is read next. A process that goes on begins with it.
	Page int `json:"page,omitempty"`
	// Whole is set once every order that the report announces was seen.
	Whole bool `json:"whole,omitempty"`
	// Gone counts the orders that the report has shown before and shows no more, as of the last
	// whole reading of it, and GoneOrders are the first of them. Nothing else follows from it.
	Gone       int      `json:"gone,omitempty"`
	GoneOrders []string `json:"gone_orders,omitempty"`
	// Failures are the first of those that Failed counts.
	Failures []Failure `json:"failures,omitempty"`
	// LastSuccess is when a synchronization was done the last time.
	LastSuccess time.Time `json:"last_success,omitzero"`
	// Attempts is how often an automatic synchronization was ended by an error in a row.
	Attempts int `json:"attempts,omitempty"`

	begun time.Time // when this process began to read, by the clock that nobody sets
	base  int       // the orders that were seen before
	now   time.Time // when the status was looked at, by the same clock
}

// A Failure is an order that a synchronization could not take in.
type Failure struct {
	Order string `json:"order"` // CERTInext's number
	Error string `json:"error"`
}

// The longest lists in a [Status]. The numbers beside them count what is left out, too.
const (
	maxFailures = 20
	maxGone     = 100
)

// Rate returns how many orders a second this process reads from the report; 0 when it does not.
func (st *Status) Rate() float64 {
	took := st.now.Sub(st.begun).Seconds()
	if st.State != Running || st.begun.IsZero() || took < 1 || st.Seen <= st.base {
		return 0
	}
	return float64(st.Seen-st.base) / took
}

// Remaining estimates how much longer a running synchronization takes, by its rate until now; 0
// when that cannot be told.
func (st *Status) Remaining() time.Duration {
	rate := st.Rate()
	if rate == 0 || st.Total <= st.Seen {
		return 0
	}
	seconds := float64(st.Total-st.Seen) / rate
	return time.Duration(seconds) * time.Second
}

// copy returns a copy that shares nothing.
func (st *Status) copy() *Status {
	out := *st
	out.Failures = slices.Clone(st.Failures)
	out.GoneOrders = slices.Clone(st.GoneOrders)
	return &out
}

// A syncState says whether a synchronization is under way in this process, and how far it is.
type syncState struct {
	mu      sync.Mutex
	running bool
	latest  *Status // nil before it has begun to read; never changed
}

// begin reports whether the caller may start a synchronization, and has to call end after it.
func (y *syncState) begin() bool {
	y.mu.Lock()
	defer y.mu.Unlock()
	begun := !y.running
	y.running = true
	return begun
}

func (y *syncState) end() {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.running, y.latest = false, nil
}

// publish shows a copy of a status to those who ask for it.
func (y *syncState) publish(st *Status) {
	shown := st.copy()
	y.mu.Lock()
	defer y.mu.Unlock()
	y.latest = shown
}

// shown returns what was published last; nil when no synchronization is under way here.
func (y *syncState) shown() *Status {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.latest == nil {
		return nil
	}
	return y.latest.copy()
}

// Status returns the progress of the last synchronization. Its State is [Never] when there was
// none.
func (inv *Inventory) Status(ctx context.Context, s logical.Storage) (*Status, error) {
	if st := inv.sync.shown(); st != nil {
		st.now = inv.Steady()
		return st, nil
	}
	st, err := store.Get[Status](ctx, s, statusKey)
	if err == nil && st == nil {
		st = &Status{State: Never}
	}
	return st, err
}

// A step is what the background pass does about synchronizations.
type step int

const (
	stepNone   step = iota
	stepResume      // go on with the one that another process, or an error, has cut short
	stepBegin       // begin another one
)

// longestRetry is how long an automatic synchronization that an error has ended waits at most.
const longestRetry = 30 * time.Minute

// nextStep decides what the background pass does about synchronizations, by the last one of them.
// interval is that of the config, for the account that the config names; zero when there is none to
// be begun by itself. held is set while nothing may be changed from here: a synchronization that
// somebody has asked for goes on, since it only reads, and none is begun (ADR 0031).
func nextStep(
	st *Status, acct string, interval time.Duration, held bool, now time.Time,
) step {
	same := account.SameAccount(st.Account, acct)
	switch {
	case st.State == Running && (!held || !st.Automatic):
		return stepResume
	case held || interval <= 0 || st.State == Running:
		return stepNone
	case st.State == Failed && st.Automatic && same:
		wait := min(host.Backoff(st.Attempts, longestRetry), interval)
		if age := now.Sub(st.FinishedAt); age >= 0 && age < wait {
			return stepNone
		}
		return stepResume
	case st.State == Never, !same:
		return stepBegin
	}
	// It counts from the beginning of the last one, which has seen nothing of what happened since.
	// One that began in the future did so by a clock that was set back since.
	if age := now.Sub(st.StartedAt); age >= 0 && age < interval {
		return stepNone
	}
	return stepBegin
}
