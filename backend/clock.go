// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
)

// clockPatience is how far our clock and CERTInext's may be apart before ours is in doubt: then nothing that cannot be undone happens because
// of time alone.
const clockPatience = time.Hour

// clockInDoubt reports whether CERTInext's latest answer was dated so differently from our clock that one of the two is wrong.
func (e *Engine) clockInDoubt() bool {
	skew, known := e.clockSkew()
	return known && skew.Abs() > clockPatience
}

// clockSkew is by how much CERTInext's clock is ahead of ours, as far as this process has seen it.
func (e *Engine) clockSkew() (time.Duration, bool) {
	if a, known := e.accounts.Known(configKey); known {
		if skew, seen := a.client.ClockSkew(); seen {
			e.lastClock.Store(a.client)
			return skew, true
		}
	}
	if last := e.lastClock.Load(); last != nil { // of the config before, which may be gone
		return last.ClockSkew()
	}
	return 0, false
}

// learnClock asks CERTInext who we are, for the time of its answer.
func (e *Engine) learnClock(ctx context.Context, s logical.Storage) {
	client, _, err := e.client(ctx, s)
	if err != nil {
		return // whoever needs CERTInext says so
	}
	began := e.Now()
	_, err = client.Me(ctx)
	e.hear(err, began)
}

// clockProblem says what a wrong clock holds up; empty while the clocks agree.
func (e *Engine) clockProblem() string {
	skew, _ := e.clockSkew()
	if !e.clockInDoubt() {
		return ""
	}
	direction := "behind"
	if skew < 0 {
		direction = "ahead of"
	}
	return fmt.Sprintf("this server's clock is %s %s CERTInext's: until one of them is set right, no key is erased, nothing is revoked and nothing counts as "+
		"expired because of time", skew.Abs().Round(time.Minute), direction)
}

// watchClock says in the log, once each time, that the clock has come into doubt, or out of it.
func (e *Engine) watchClock() {
	problem := e.clockProblem()
	if (problem != "") == e.doubted {
		return
	}
	if e.doubted = problem != ""; e.doubted {
		e.Log.Error(problem)
		return
	}
	e.Log.Info("this server's clock and CERTInext's agree again")
}
