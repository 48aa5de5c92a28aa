// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package account

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/helper/consts"
)

// ErrPassOver ends what is under way when a pass has used up its time. It says nothing of CERTInext.
var ErrPassOver = fmt.Errorf("the pass is over: %w", context.Canceled)

// Paused reports whether the background work leaves CERTInext alone.
func (acct *Account) Paused() bool { return acct.Breaker.Now().Until.After(acct.Now()) }

// Active reports whether this node may work in the background.
func (acct *Account) Active() bool {
	if acct.System == nil {
		return true
	}
	sys := acct.System()
	return !sys.ReplicationState().HasState(consts.ReplicationPerformanceStandby|consts.ReplicationDRSecondary) &&
		(sys.LocalMount() || !sys.ReplicationState().HasState(consts.ReplicationPerformanceSecondary))
}

// Observe takes note of how a call ended that began at some time, and says in the log when that changes what the background work
// does. It reports whether a failure is to be held against the order or certificate.
func (acct *Account) Observe(err error, began time.Time) (against bool) {
	before := acct.Breaker.Now()
	p, against := acct.Breaker.heard(err, began, acct.Now())
	switch {
	case !before.InDoubt() && p.InDoubt():
		acct.Log.Warn("background work leaves CERTInext alone for a while", "until", p.Until, "error", p.Why)
	case before.InDoubt() && !p.InDoubt():
		acct.Log.Info("CERTInext answers the background work again")
	}
	return against
}

// A Pause is what the background work knows of CERTInext as a whole, from the calls that it makes. A rate limit is about the
// account, and an outage meets all orders alike: either holds up the work, and is not held against one order or certificate.
// Whoever waits for an answer is never held up by it.
type Pause struct {
	failures int       // in a row that are about CERTInext or the account, as far as can be told
	answered time.Time // when CERTInext last answered
	Until    time.Time // nothing is asked before
	Why      string    // the failure that the pause began with
}

const (
	// doubtAfter is how many failures in a row make an outage: CERTInext may choke on one order and take all others.
	doubtAfter   = 4
	firstPause   = 30 * time.Second
	longestPause = 5 * time.Minute
	// LongestHint is how long CERTInext may have an order left alone: a hint beyond must not park it for
	// ever.
	LongestHint = time.Hour
)

// after returns the pause after a call that began at some time and has ended with err now, and whether a failure is to be
// held against the order or certificate that the call was for.
func (p Pause) after(err error, began, now time.Time) (_ Pause, against bool) {
	about := concernOf(err)
	switch {
	case about == concernsNobody:
		return p, false
	case about == concernsUs:
		return p, true
	case about == concernsOrder:
		p.failures, p.answered = 0, now
		return p, err != nil
	case about == concernsService && p.answered.After(began):
		return p, true // others were answered meanwhile
	case now.Before(p.Until):
		// The call was under way when the pause began.
		if until := now.Add(Hint(err)); until.After(p.Until) {
			p.Until = until
		}
		return p, false
	case about == concernsAccount:
		p.failures = max(p.failures, doubtAfter-1)
	}
	p.failures++
	if !p.InDoubt() {
		return p, true
	}
	length := Hint(err)
	if length == 0 {
		length = min(firstPause<<min(p.failures-doubtAfter, 10), longestPause)
	}
	p.Until, p.Why = now.Add(length), sanitize.Short(err.Error())
	return p, false
}

// InDoubt reports whether one call has to find out first whether CERTInext answers.
func (p Pause) InDoubt() bool { return p.failures >= doubtAfter }

// A concern is what the outcome of a call is about.
type concern int

const (
	concernsNobody  concern = iota // nobody waited for its end
	concernsUs                     // it failed on our side
	concernsOrder                  // CERTInext answered, with a success or with what it thinks of this order
	concernsService                // no answer, a server's error, a credential that does not work
	concernsAccount                // CERTInext's own word that the account asks too much
)

func concernOf(err error) concern {
	var (
		e           *certinext.Error
		unsupported *certinext.UnsupportedReasonError
		invalid     *certinext.InvalidRequestError
	)
	switch {
	case err == nil:
		return concernsOrder
	case errors.Is(err, context.Canceled):
		return concernsNobody
	case errors.As(err, &unsupported), errors.As(err, &invalid):
		return concernsUs
	case !errors.As(err, &e):
		if errors.Is(err, context.DeadlineExceeded) {
			return concernsService
		}
		return concernsUs
	case e.Status == http.StatusTooManyRequests:
		return concernsAccount
	case e.SigningIn, e.Status < 400, e.Status > 499, certinext.HasStatus(err, http.StatusUnauthorized, http.StatusForbidden):
		return concernsService
	}
	return concernsOrder
}

// Hint is how long CERTInext asked to be left alone, as far as it is believed.
func Hint(err error) time.Duration {
	var e *certinext.Error
	if !errors.As(err, &e) {
		return 0
	}
	return min(e.RetryAfter, LongestHint)
}

// A Breaker keeps the pause that all background work of a mount shares.
type Breaker struct {
	mu sync.Mutex
	p  Pause
}

// heard takes note of how a call ended. It returns what is known now, and whether a failure is to be held against the order
// or certificate.
func (g *Breaker) heard(err error, began, now time.Time) (p Pause, against bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.p, against = g.p.after(err, began, now)
	return g.p, against
}

// Now returns the pause as it is.
func (g *Breaker) Now() Pause {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.p
}

// Reset forgets what is known, since another account or address is used from now on.
func (g *Breaker) Reset() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.p = Pause{}
}

// AskedPatience is how long CERTInext has while a person waits, whose client gives up after 60 seconds.
const AskedPatience = 30 * time.Second

// WhileAsked bounds the calls of CERTInext that a client waits for to [AskedPatience]. What has to be
// stored afterwards is stored under the request's own context.
func WhileAsked(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, AskedPatience)
}
