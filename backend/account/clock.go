// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
)

// clockPatience is how far our clock and CERTInext's may be apart before ours is in doubt: then nothing that cannot be undone happens because
// of time alone.
const clockPatience = time.Hour

// ClockInDoubt reports whether CERTInext's latest answer was dated so differently from our clock that one of the two is wrong.
func (acct *Account) ClockInDoubt() bool {
	skew, known := acct.ClockSkew()
	return known && skew.Abs() > clockPatience
}

// ClockSkew is by how much CERTInext's clock is ahead of ours, as far as this process has seen it.
func (acct *Account) ClockSkew() (time.Duration, bool) {
	if a, known := acct.accounts.Known(ConfigKey); known {
		if skew, seen := a.Client.ClockSkew(); seen {
			acct.lastClock.Store(a.Client)
			return skew, true
		}
	}
	if last := acct.lastClock.Load(); last != nil { // of the config before, which may be gone
		return last.ClockSkew()
	}
	return 0, false
}

// learnPatience is for the question what time it is: whoever asks has more to do than to wait for that.
const learnPatience = 10 * time.Second

// LearnClock asks CERTInext who we are, for the time of its answer.
func (acct *Account) LearnClock(ctx context.Context, s logical.Storage) {
	client, _, err := acct.Client(ctx, s)
	if err != nil {
		return // whoever needs CERTInext says so
	}
	ctx, cancel := context.WithTimeout(ctx, learnPatience)
	defer cancel()
	began := acct.Now()
	_, err = client.Me(ctx)
	acct.Observe(err, began)
}

// clockProblem says what a wrong clock holds up; empty while the clocks agree.
func (acct *Account) clockProblem() string {
	skew, _ := acct.ClockSkew()
	if !acct.ClockInDoubt() {
		return ""
	}
	direction := "behind"
	if skew < 0 {
		direction = "ahead of"
	}
	return fmt.Sprintf("this server's clock is %s %s CERTInext's: until one of them is set right, no key is erased, nothing is revoked and nothing counts as "+
		"expired because of time", skew.Abs().Round(time.Minute), direction)
}

// WatchClock says in the log, once each time, that the clock has come into doubt, or out of it.
func (acct *Account) WatchClock() {
	problem := acct.clockProblem()
	if (problem != "") == acct.doubted {
		return
	}
	if acct.doubted = problem != ""; acct.doubted {
		acct.Log.Error(problem)
		return
	}
	acct.Log.Info("this server's clock and CERTInext's agree again")
}

// ErrClockUnknown is something that only our clock says is due, in a process that has not seen CERTInext's: one that has just been started on a
// server whose clock is wrong would revoke what is in use, and erase what is needed.
var ErrClockUnknown = errors.New("CERTInext's clock was not seen yet")

// ClockTold reports whether our clock may decide what cannot be undone. A process that has not seen CERTInext's yet asks for it.
func (acct *Account) ClockTold(ctx context.Context, s logical.Storage) bool {
	_, known := acct.ClockSkew()
	if !known && !acct.Paused() {
		acct.LearnClock(ctx, s)
		_, known = acct.ClockSkew()
	}
	return known && !acct.ClockInDoubt()
}
