// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/cenkalti/backoff/v5"
)

const (
	firstPause    = 500 * time.Millisecond
	longestPause  = 15 * time.Second
	maxRetryPause = 60 * time.Second // the most that a Retry-After is waited for
	retryLimit    = 5 * time.Minute  // no further try begins later than this
)

// A patience says after which failures a call is sent again, how often at most, and how long the
// pauses are: they double from first to longest, each of them longer or shorter by up to spread.
type patience struct {
	again          func(*Error) bool
	tries          uint
	first, longest time.Duration
	spread         float64
}

func (c *Client) patience(how repetition) patience {
	return patience{
		again: how.allows, tries: c.tries(), first: firstPause, longest: longestPause,
		spread: 0.5,
	}
}

// burstPatience waits out version 1's limit on bursts, for creates too: CERTInext does nothing with
// a call that the limit refuses. Observed 2026: the limit, some 16 orders within 10 seconds, passes
// within the half minute that this takes.
func (c *Client) burstPatience() patience {
	tries := uint(6)
	if c.Retries < 0 {
		tries = 1
	}
	return patience{
		again: func(e *Error) bool { return e.burst }, tries: tries,
		first: time.Second, longest: 16 * time.Second, spread: 0.25,
	}
}

// allows reports whether a call that failed with e may be sent again.
func (how repetition) allows(e *Error) bool {
	if how == repeatNever || e.SigningIn || e.burst {
		return false // obtaining a token and outlasting a burst have their own tries
	}
	limited := e.Status == http.StatusTooManyRequests
	if how == repeatRefused {
		// A 429 may come from a gateway after CERTInext has made the change. Asking again does not
		// make it twice, and inDoubt keeps the doubt.
		return limited || (e.lost && !e.Acted)
	}
	return limited || e.lost ||
		(e.Status >= 500 && e.Status != http.StatusNotImplemented)
}

// retry runs try until it succeeds, fails for good, or has used up its tries, its time or ctx. It
// returns the last error of try, to which the end of ctx is added.
func (c *Client) retry(
	ctx context.Context, s *session, p patience, try func() (*reply, *Error),
) (*reply, *Error) {
	var last *Error
	draw := func() float64 { return c.chance(s) }
	attempt := func() (*reply, error) {
		rep, err := try()
		if err == nil {
			return rep, nil
		}
		last = err
		if !p.again(err) {
			return nil, backoff.Permanent(err)
		}
		return nil, afterPause(ctx, err, draw)
	}
	rep, err := backoff.Retry(ctx, attempt, backoff.WithBackOff(&pauses{patience: p, draw: draw}),
		backoff.WithMaxTries(p.tries), backoff.WithMaxElapsedTime(retryLimit))
	if err == nil {
		return rep, nil
	}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(last, cause) {
		stopped := *last
		stopped.Err = fmt.Errorf("gave up repeating it: %w", cause)
		if last.Err != nil {
			stopped.Err = fmt.Errorf("%w; gave up repeating it: %w", last.Err, cause)
		}
		last = &stopped
	}
	return nil, last
}

// pauses are what a patience has between its tries. The library's own pauses come from a generator
// that cannot be seeded; a simulation that is to repeat itself needs them from Client.Rand.
type pauses struct {
	patience
	draw func() float64
}

// Reset does nothing: each retry has pauses of its own.
func (p *pauses) Reset() {}

// NextBackOff returns the next pause and doubles the one after it.
func (p *pauses) NextBackOff() time.Duration {
	pause := min(p.first, p.longest)
	p.first = 2 * pause
	return pause + time.Duration(p.spread*(2*p.draw()-1)*float64(pause))
}

// chance draws a number from 0 to 1 that spreads load and keeps no secret. Without random bytes,
// nothing is spread.
func (c *Client) chance(s *session) float64 {
	b, err := c.random(s, 8)
	if err != nil {
		return 0.5
	}
	return float64(binary.BigEndian.Uint64(b)>>11) / (1 << 53)
}

// afterPause asks backoff for CERTInext's own pause if it named one, with a little added so that
// many clients do not come back at once. A pause that outlasts ctx is not begun.
func afterPause(ctx context.Context, e *Error, draw func() float64) error {
	if e.RetryAfter <= 0 {
		return e
	}
	pause := min(e.RetryAfter, maxRetryPause)
	pause += time.Duration(draw() * float64(pause/10))
	if end, ok := ctx.Deadline(); ok && time.Until(end) <= pause {
		return backoff.Permanent(e)
	}
	return errors.Join(e, &backoff.RetryAfterError{Duration: pause})
}
