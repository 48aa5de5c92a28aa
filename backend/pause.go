// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// A pause is what the background work knows of CERTInext as a whole, from the calls that it makes. A rate limit is about the
// account, and an outage meets all orders alike: either holds up the work, and is not held against one order or certificate.
// Whoever waits for an answer is never held up by it.
type pause struct {
	failures int       // in a row that are about CERTInext or the account, as far as can be told
	answered time.Time // when CERTInext last answered
	until    time.Time // nothing is asked before
	why      string    // the failure that the pause began with
}

const (
	// doubtAfter is how many failures in a row make an outage: CERTInext may choke on one order and take all others.
	doubtAfter   = 4
	firstPause   = 30 * time.Second
	longestPause = 5 * time.Minute
	longestHint  = time.Hour // a hint beyond must not park an order for ever
)

// after returns the pause after a call that began at some time and has ended with err now, and whether a failure is to be
// held against the order or certificate that the call was for.
func (p pause) after(err error, began, now time.Time) (_ pause, against bool) {
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
	case now.Before(p.until):
		// The call was under way when the pause began.
		if until := now.Add(hint(err)); until.After(p.until) {
			p.until = until
		}
		return p, false
	case about == concernsAccount:
		p.failures = max(p.failures, doubtAfter-1)
	}
	p.failures++
	if !p.inDoubt() {
		return p, true
	}
	length := hint(err)
	if length == 0 {
		length = min(firstPause<<min(p.failures-doubtAfter, 10), longestPause)
	}
	p.until, p.why = now.Add(length), sanitize.Short(err.Error())
	return p, false
}

// inDoubt reports whether one call has to find out first whether CERTInext answers.
func (p pause) inDoubt() bool { return p.failures >= doubtAfter }

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

// hint is how long CERTInext asked to be left alone, as far as it is believed.
func hint(err error) time.Duration {
	var e *certinext.Error
	if !errors.As(err, &e) {
		return 0
	}
	return min(e.RetryAfter, longestHint)
}

// A guard keeps the pause that all background work of a mount shares.
type guard struct {
	mu sync.Mutex
	p  pause
}

// heard takes note of how a call ended. It returns what is known now, and whether a failure is to be held against the order
// or certificate.
func (g *guard) heard(err error, began, now time.Time) (p pause, against bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.p, against = g.p.after(err, began, now)
	return g.p, against
}

// now returns the pause as it is.
func (g *guard) now() pause {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.p
}

// lift forgets what is known, since another account or address is used from now on.
func (g *guard) lift() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.p = pause{}
}
