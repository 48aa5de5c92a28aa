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
)

// ErrPassOver is the cause with which the background pass cancels its remaining calls when its time
// is used up. It says nothing about CERTInext, so the breaker ignores it.
var ErrPassOver = fmt.Errorf("the pass is over: %w", context.Canceled)

// Paused reports whether background work makes no calls to CERTInext at the moment, but for those
// that send revocations: [Account.Revoking] guards them.
func (acct *Account) Paused() bool { return acct.Breaker.Now().Until.After(acct.Now()) }

// RevokingPaused reports whether no revocations are sent in the background at the moment.
func (acct *Account) RevokingPaused() bool { return acct.Revoking.Now().Until.After(acct.Now()) }

// Observe feeds the breaker with the outcome of a call that began at the given time, and logs when
// that starts or ends an outage. It reports whether the failure is the fault of the order or
// certificate that the call was for, and so counts as one of its failed attempts.
func (acct *Account) Observe(err error, began time.Time) (ownFault bool) {
	if scopeOf(err) == scopeAccount {
		acct.feed(&acct.Revoking, "the sending of revocations", err, began)
	}
	return acct.feed(&acct.Breaker, "background work", err, began)
}

// ObserveRevoking is Observe for a call that sends a revocation. What revocations meet says nothing
// about other calls, nor the other way round: only a rate limit concerns the whole account.
func (acct *Account) ObserveRevoking(err error, began time.Time) (ownFault bool) {
	if scopeOf(err) == scopeAccount {
		acct.feed(&acct.Breaker, "background work", err, began)
	}
	return acct.feed(&acct.Revoking, "the sending of revocations", err, began)
}

// feed tells b, which guards what is named, the outcome of a call.
func (acct *Account) feed(b *Breaker, guarded string, err error, began time.Time) (ownFault bool) {
	before := b.Now()
	p, ownFault := b.observe(err, began, acct.Now())
	switch {
	case !before.InDoubt() && p.InDoubt():
		acct.Log.Warn(guarded+" pauses its calls to CERTInext", "until", p.Until, "error", err)
	case before.InDoubt() && !p.InDoubt():
		acct.Log.Info(guarded + " has resumed its calls: CERTInext answers again")
	}
	return ownFault
}

// A Pause is what background work has learned about CERTInext as a whole from its own calls. A rate
// limit concerns the account and an outage all orders alike: both pause background work, and
// neither counts as a failed attempt of a single order or certificate. A pause never delays a
// request that a client waits for. The zero value is no pause.
type Pause struct {
	failures int       // consecutive ones that seem to be about CERTInext or the account
	answered time.Time // when CERTInext last answered
	Until    time.Time // background work makes no call before
	Why      string    // the failure that began the pause, fit to be shown
}

const (
	// doubtAfter is how many consecutive failures count as an outage. Fewer may be the fault of a
	// single order on which CERTInext fails while it accepts all others.
	doubtAfter   = 4
	firstPause   = 30 * time.Second
	longestPause = 5 * time.Minute
	// LongestHint caps CERTInext's Retry-After, so that an absurd one does not park an order for
	// ever.
	LongestHint = time.Hour
)

// after returns the pause that follows p when a call that began at the given time ends with err,
// and whether a failure is the fault of the order or certificate that the call was for.
func (p Pause) after(err error, began, now time.Time) (_ Pause, ownFault bool) {
	scope := scopeOf(err)
	switch {
	case scope == scopeNone:
		return p, false
	case scope == scopeLocal:
		return p, true
	case scope == scopeOrder:
		p.failures, p.answered = 0, now
		return p, err != nil
	case scope == scopeService && p.answered.After(began):
		return p, true // CERTInext answered other calls meanwhile, so this is no outage
	case now.Before(p.Until):
		// The call was already under way when the pause began.
		if until := now.Add(Hint(err)); until.After(p.Until) {
			p.Until = until
		}
		return p, false
	case scope == scopeAccount:
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

// InDoubt reports whether the last failures look like an outage. A pass then probes CERTInext with
// a single call before it makes others.
func (p Pause) InDoubt() bool { return p.failures >= doubtAfter }

// An errorScope is how far the outcome of a call reaches.
type errorScope int

const (
	scopeNone    errorScope = iota // the call was cancelled, so its outcome says nothing
	scopeLocal                     // it failed on our side
	scopeOrder                     // CERTInext answered: a success, or a refusal of this order
	scopeService                   // no answer, a server error, or a credential that does not work
	scopeAccount                   // a rate limit: the account as a whole asks too much
)

// scopeOf classifies the outcome of a call; err is nil for a success.
func scopeOf(err error) errorScope {
	var (
		e           *certinext.Error
		unsupported *certinext.UnsupportedReasonError
		invalid     *certinext.InvalidRequestError
	)
	switch {
	case err == nil:
		return scopeOrder
	case errors.Is(err, context.Canceled), errors.Is(err, ErrHeld):
		return scopeNone
	case errors.As(err, &unsupported), errors.As(err, &invalid):
		return scopeLocal
	case !errors.As(err, &e):
		if errors.Is(err, context.DeadlineExceeded) {
			return scopeService
		}
		return scopeLocal
	case e.Status == http.StatusTooManyRequests:
		return scopeAccount
	case e.SigningIn, e.Status < 400, e.Status > 499,
		certinext.HasStatus(err, http.StatusUnauthorized, http.StatusForbidden):
		return scopeService
	}
	return scopeOrder
}

// Hint returns CERTInext's Retry-After, [LongestHint] at most, and 0 when err carries none.
func Hint(err error) time.Duration {
	var e *certinext.Error
	if !errors.As(err, &e) {
		return 0
	}
	return min(e.RetryAfter, LongestHint)
}

// A Breaker keeps the [Pause] that one kind of a mount's background work shares. The zero value is
// ready for use, and its methods may be called concurrently.
type Breaker struct {
	mu sync.Mutex
	p  Pause
}

// observe applies the outcome of a call. It returns the pause that follows, and whether a failure
// is the fault of the order or certificate that the call was for.
func (b *Breaker) observe(err error, began, now time.Time) (p Pause, ownFault bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.p, ownFault = b.p.after(err, began, now)
	return b.p, ownFault
}

// Now returns the present pause.
func (b *Breaker) Now() Pause {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.p
}

// reset ends the pause and forgets all failures. It is called when the config may have changed, so
// that the next calls go to another account or address.
func (b *Breaker) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.p = Pause{}
}

// InteractiveTimeout bounds the calls to CERTInext that a client waits for: Vault's clients give up
// after 60 seconds.
const InteractiveTimeout = 30 * time.Second

// WhileAsked returns a context for calls to CERTInext that a client waits for, which ends after
// [InteractiveTimeout]. Store their outcome under the request's own context, which may live longer.
func WhileAsked(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, InteractiveTimeout)
}
