// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package account

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/stretchr/testify/require"
)

func TestWhatAFailureIsAbout(t *testing.T) {
	answered := func(status int) error {
		return &certinext.Error{Operation: "tracking order", Status: status}
	}
	for name, c := range map[string]struct {
		err  error
		want errorScope
	}{
		"a success":                             {nil, scopeOrder},
		"an order that CERTInext does not know": {answered(404), scopeOrder},
		"a refusal": {
			fmt.Errorf("order x: %w", answered(422)), scopeOrder,
		},
		"a rate limit": {answered(429), scopeAccount},
		"a rate limit of the token": {
			&certinext.Error{Status: 429, SigningIn: true}, scopeAccount,
		},
		"an outage":        {answered(503), scopeService},
		"a gateway's page": {answered(200), scopeService},
		"no answer": {
			&certinext.Error{Err: errors.New("connection refused")}, scopeService,
		},
		"no answer in time": {
			fmt.Errorf("x: %w", context.DeadlineExceeded), scopeService,
		},
		"a credential that does not work": {
			&certinext.Error{Status: 400, SigningIn: true}, scopeService,
		},
		"a token that is refused": {answered(401), scopeService},
		"a caller that has left": {
			&certinext.Error{Err: fmt.Errorf("x: %w", context.Canceled)}, scopeNone,
		},
		"a pass whose time is up": {
			&certinext.Error{Status: 503, Err: ErrPassOver}, scopeNone,
		},
		"a reason that CERTInext lacks": {
			&certinext.Error{Err: new(certinext.UnsupportedReasonError)}, scopeLocal,
		},
		"a request that was never sent": {
			&certinext.Error{Err: new(certinext.InvalidRequestError)}, scopeLocal,
		},
		"a certificate that is not ours": {
			errors.New("the certificate has another key"), scopeLocal,
		},
		"a mount that knows no account": {fault.ErrNotConfigured, scopeLocal},
	} {
		require.Equal(t, c.want, scopeOf(c.err), name)
	}
}

func TestWhenTheBackgroundWorkPauses(t *testing.T) {
	var (
		limit   = &certinext.Error{Status: 429}
		hinted  = &certinext.Error{Status: 429, RetryAfter: 10 * time.Minute}
		hostile = &certinext.Error{Status: 429, RetryAfter: 10 * 365 * 24 * time.Hour}
		away    = &certinext.Error{Status: 503}
		refusal = &certinext.Error{Status: 404, Own: true}
		gone    = context.Canceled
	)
	for name, c := range map[string]struct {
		calls []error // a second apart, or at the end of the pause before
		want  time.Duration
		doubt bool
	}{
		"not for a success":      {calls: []error{nil}},
		"not for three failures": {calls: []error{away, away, away}},
		"for four": {
			calls: []error{away, away, away, away}, want: 30 * time.Second, doubt: true,
		},
		"not for four with an answer among them": {
			calls: []error{away, away, refusal, away, away},
		},
		"not for a pass that was stopped": {calls: []error{away, away, away, gone}},
		"for one rate limit": {
			calls: []error{limit}, want: 30 * time.Second, doubt: true,
		},
		"as long as a rate limit says": {
			calls: []error{hinted}, want: 10 * time.Minute, doubt: true,
		},
		"for an hour at most": {
			calls: []error{hostile}, want: time.Hour, doubt: true,
		},
		"longer when the probe fails": {
			calls: []error{limit, limit}, want: time.Minute, doubt: true,
		},
		"five minutes at most": {
			calls: []error{limit, away, away, away, away, away, away, away}, want: 5 * time.Minute,
			doubt: true,
		},
		"not after a probe that succeeds": {calls: []error{limit, nil}},
		"not after a probe that is answered": {
			calls: []error{away, away, away, away, refusal},
		},
		"from the beginning, some time after an outage": {
			calls: []error{limit, limit, limit, nil, away, away, away, away},
			want:  30 * time.Second, doubt: true,
		},
	} {
		now := time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)
		var p Pause
		for _, err := range c.calls {
			if now = now.Add(time.Second); p.Until.After(now) {
				now = p.Until
			}
			p, _ = p.after(err, now, now)
		}
		require.Equal(t, c.want, max(p.Until.Sub(now), 0), name)
		require.Equal(t, c.doubt, p.InDoubt(), name)
	}
}

func TestCallsThatWereUnderWayWhenThePauseBegan(t *testing.T) {
	now := time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)
	begun, _ := Pause{}.after(&certinext.Error{Status: 429, RetryAfter: time.Minute}, now, now)

	end := now.Add(time.Second)
	again, _ := begun.after(&certinext.Error{Status: 503}, now, end)
	require.Equal(t, begun, again, "a failure in the pause makes it longer")
	longer, _ := begun.after(&certinext.Error{Status: 429, RetryAfter: 2 * time.Minute}, now, end)
	require.Equal(t, end.Add(2*time.Minute), longer.Until, "a longer hint counts")
	answered, _ := begun.after(nil, now, end)
	require.Equal(t, begun.Until, answered.Until, "a success does not end what CERTInext asked for")
	require.False(t, answered.InDoubt())
}

func TestWhatIsHeldAgainstAnOrder(t *testing.T) {
	now := time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)
	away := &certinext.Error{Status: 500}
	up, down := Pause{}, Pause{failures: doubtAfter}
	busy := Pause{failures: doubtAfter - 1, answered: now.Add(-time.Second)}
	for name, c := range map[string]struct {
		p    Pause
		err  error
		want bool
	}{
		"not a success":                      {up, nil, false},
		"a refusal":                          {up, &certinext.Error{Status: 404, Own: true}, true},
		"an answer that is of no use":        {up, errors.New("not ours"), true},
		"not a pass that was stopped":        {up, context.Canceled, false},
		"not a rate limit":                   {up, &certinext.Error{Status: 429}, false},
		"a failure that may be its own":      {up, away, true},
		"not a failure in an outage":         {down, away, false},
		"a failure while others had answers": {busy, away, true},
	} {
		after, ownFault := c.p.after(c.err, now.Add(-time.Minute), now)
		require.Equal(t, c.want, ownFault, name)
		require.Equal(t, c.p.InDoubt() || scopeOf(c.err) == scopeAccount, after.InDoubt(), name)
	}
	_, ownFault := busy.after(away, now, now)
	require.False(t, ownFault, "one that began after the last answer")
}

func TestOnlyARateLimitPausesRevocationsAndOtherWorkAlike(t *testing.T) {
	away, limit := &certinext.Error{Status: 503}, &certinext.Error{Status: 429}
	for name, c := range map[string]struct {
		err             error
		times           int
		byRevocation    bool
		paused, revokes bool // whether other work, and revocations, pause
	}{
		"tracking is down":          {err: away, times: 4, paused: true},
		"revoking is down":          {err: away, times: 4, byRevocation: true, revokes: true},
		"a rate limit for an order": {err: limit, times: 1, paused: true, revokes: true},
		"a rate limit for a revocation": {
			err: limit, times: 1, byRevocation: true, paused: true, revokes: true,
		},
		"three failures of a revocation": {err: away, times: 3, byRevocation: true},
	} {
		now := time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)
		acct := New(host.New(host.Options{Now: func() time.Time { return now }}), Options{})
		for range c.times {
			if c.byRevocation {
				acct.ObserveRevoking(c.err, now)
			} else {
				acct.Observe(c.err, now)
			}
		}
		require.Equal(t, c.paused, acct.Paused(), name)
		require.Equal(t, c.revokes, acct.RevokingPaused(), name)

		// Each kind of work finds out for itself that CERTInext answers again.
		now = now.Add(time.Hour)
		acct.Observe(nil, now)
		require.False(t, acct.Breaker.Now().InDoubt(), name)
		require.Equal(t, c.revokes, acct.Revoking.Now().InDoubt(), name)
		acct.forgetConnection()
		require.False(t, acct.Revoking.Now().InDoubt(), name)
	}
}
