// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
)

// A Standing is where an open order stands, as memory has it.
type Standing struct {
	ID, Role  string
	State     State // [StateHeld] included
	WaitsFor  Party
	CreatedAt time.Time
}

// standing returns where a tracked order stands.
func (t *tracked) standing() Standing {
	s := Standing{
		ID: t.id, Role: t.role, State: t.state, WaitsFor: t.waitsFor, CreatedAt: t.created,
	}
	switch {
	case t.handed != nil: // as [Journal.shown]
		s.State, s.WaitsFor = StateIssued, PartyNobody
	case t.held:
		s.State = StateHeld
	}
	return s
}

// loadPatience is how long [Standings] waits for the open orders to be read after a start.
const loadPatience = 50 * time.Millisecond

// loadSoon reports whether the open orders are read. After a start it has them read behind the
// request, which may take seconds, and waits a moment for that.
func loadSoon(ctx context.Context, journal *Journal, s logical.Storage) bool {
	r := &journal.registry
	r.mu.Lock()
	loaded := r.loaded
	r.mu.Unlock()
	if loaded || journal.Alive.Err() != nil {
		return loaded
	}
	done := make(chan bool, 1)
	behind, stop := journal.Detached(ctx)
	journal.Work.Go(func() {
		defer stop()
		done <- r.load(behind, s) == nil
	})
	timer := time.NewTimer(loadPatience)
	defer timer.Stop()
	select {
	case whole := <-done:
		return whole
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// Standings returns where the open orders stand, those included whose certificate was handed over
// and whose key is not erased yet. It reads no order; after a start it waits a moment for those
// that are being read. whole is false while that goes on, and unreadable is how many entries cannot
// be decoded.
func Standings(
	ctx context.Context, journal *Journal, s logical.Storage,
) (all []Standing, unreadable int, whole bool) {
	whole = loadSoon(ctx, journal, s)
	r := &journal.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	all = make([]Standing, 0, len(r.orders))
	for _, t := range r.orders {
		if t.state != "" { // a request is about to store its intent
			all = append(all, t.standing())
		}
	}
	return all, len(r.unreadable), whole
}
