// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/internal/phrase"
	"github.com/hashicorp/vault/sdk/logical"
)

// maxClockSkew is how far this server's clock and CERTInext's may differ. Beyond that, this
// server's clock is in doubt, and time alone decides nothing that cannot be undone (ADR 0022).
const maxClockSkew = time.Hour

// ClockInDoubt reports whether the Date of CERTInext's latest answer and this server's clock differ
// by more than an hour (ADR 0022). It is false before the first answer: see [Account.ClockSkew].
func (acct *Account) ClockInDoubt() bool {
	skew, known := acct.ClockSkew()
	return known && skew.Abs() > maxClockSkew
}

// ClockSkew returns by how much CERTInext's clock is ahead of this server's, and false when this
// process has had no answer from CERTInext yet. While a newly written config has had none, the
// client of the config before it tells; it is remembered for that purpose.
func (acct *Account) ClockSkew() (time.Duration, bool) {
	if a, known := acct.accounts.Known(ConfigKey); known {
		if skew, seen := a.Client.ClockSkew(); seen {
			acct.lastClock.Store(a.Client)
			return skew, true
		}
	}
	if last := acct.lastClock.Load(); last != nil {
		return last.ClockSkew()
	}
	return 0, false
}

// Time returns this server's time, and whether it may decide what cannot be undone: CERTInext's
// clock was seen, and agrees. A jump of this server's clock while it is looked at makes that false.
func (acct *Account) Time() (now time.Time, certain bool) {
	before := acct.isCertain()
	now = acct.Now()
	return now, before && acct.isCertain()
}

// noticeable is the least difference of the clocks that [Account.Behind] tells.
const noticeable = 30 * time.Second

// Behind returns by how much this server's clock is behind CERTInext's: 0 when that is unknown, or
// less than half a minute.
func (acct *Account) Behind() time.Duration {
	if skew, _ := acct.ClockSkew(); skew > noticeable {
		return skew
	}
	return 0
}

// Corrected returns this server's time, put right by how much its clock is known to be behind
// CERTInext's. What is stored of it still holds when the clock was set right. A jump of the clock
// while it is looked at is noticed.
func (acct *Account) Corrected() time.Time {
	behind := acct.Behind()
	for {
		now, after := acct.Now(), acct.Behind()
		if (after - behind).Abs() <= noticeable {
			return now.Add(behind)
		}
		behind = after
	}
}

func (acct *Account) isCertain() bool {
	skew, known := acct.ClockSkew()
	return known && skew.Abs() <= maxClockSkew
}

// learnClockTimeout bounds [Account.LearnClock]: its callers have other work to do. meTimeout is
// how much of it the first call has.
const (
	learnClockTimeout = 10 * time.Second
	meTimeout         = 6 * time.Second
)

// hungFor is how long CERTInext is not asked for its clock again after it did not answer in time:
// of the many that want to know it, each would wait as long.
const hungFor = 20 * time.Second

// LearnClock makes an identity call to CERTInext for the Date of its answer, which
// [Account.ClockSkew] tells from then on. When that one hangs, another one may be answered. A
// failure is not reported: the skew stays unknown.
func (acct *Account) LearnClock(ctx context.Context, s logical.Storage) {
	client, _, err := acct.Client(ctx, s)
	if err != nil {
		return // the calls that need CERTInext report it
	}
	if at := acct.clockHung.Load(); at != nil && acct.Steady().Sub(*at) < hungFor {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, learnClockTimeout)
	defer cancel()
	began := acct.Now()
	asking, stop := context.WithTimeout(ctx, meTimeout)
	_, err = client.Me(asking)
	hung := asking.Err() != nil
	stop()
	acct.Observe(err, began)
	if _, known := acct.ClockSkew(); known || !hung || ctx.Err() != nil {
		return
	}
	_, _ = client.Groups(ctx)
	if _, known := acct.ClockSkew(); !known && ctx.Err() != nil {
		now := acct.Steady()
		acct.clockHung.Store(&now)
	}
}

// ClockProblem returns a message that says how far the clocks differ and what that holds up. It is
// empty while they agree.
func (acct *Account) ClockProblem() string {
	skew, _ := acct.ClockSkew()
	if !acct.ClockInDoubt() {
		return ""
	}
	direction := "behind"
	if skew < 0 {
		direction = "ahead of"
	}
	return fmt.Sprintf("this server's clock is %s %s CERTInext's: until one of them is corrected, "+
		"time alone erases no key, revokes nothing and lets nothing count as expired",
		phrase.Duration(skew.Abs().Round(time.Minute)), direction)
}

// WatchClock logs when the clock comes into doubt and when the doubt ends, once each. Only the
// background pass calls it.
func (acct *Account) WatchClock() {
	problem := acct.ClockProblem()
	doubted := problem != ""
	if doubted == acct.clockDoubted {
		return
	}
	acct.clockDoubted = doubted
	if doubted {
		acct.Log.Error(problem)
		return
	}
	acct.Log.Info("this server's clock and CERTInext's agree again")
}

// ErrClockUnknown reports that something is due by this server's clock alone, and that this process
// has had no answer from CERTInext to compare it with. On a server that has just been started with
// a wrong clock, going on would revoke certificates in use and erase keys that are needed (ADR
// 0022). The remedy is [Account.LearnClock].
var ErrClockUnknown = errors.New(
	"CERTInext has not answered yet, so this server's clock cannot be checked",
)

// ConfirmClock reports whether this server's clock may decide what cannot be undone (ADR 0022).
// While CERTInext's clock is unknown, it asks CERTInext for it, unless background work is paused.
func (acct *Account) ConfirmClock(ctx context.Context, s logical.Storage) bool {
	_, known := acct.ClockSkew()
	if !known && !acct.Paused() {
		acct.LearnClock(ctx, s)
		_, known = acct.ClockSkew()
	}
	return known && !acct.ClockInDoubt()
}
