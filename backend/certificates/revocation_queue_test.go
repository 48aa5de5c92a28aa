// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certificates

import (
	"context"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/stretchr/testify/require"
)

func TestARevocationWaitsLongerOnlyForWhatIsHeldAgainstIt(t *testing.T) {
	now := time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)
	refused := &certinext.Error{Status: 404, Own: true}
	away := &certinext.Error{Status: 503, Acted: true}
	paused := account.Pause{Until: now.Add(3 * time.Minute)}
	for name, c := range map[string]struct {
		attempts int
		err      error
		ownFault bool
		pause    account.Pause
		want     time.Duration
		counted  int
	}{
		"an outage that all have": {
			attempts: 7, err: away, pause: paused, want: 3 * time.Minute, counted: 7,
		},
		"a pass that was stopped": {
			attempts: 7, err: context.Canceled, want: 30 * time.Second, counted: 7,
		},
		"a failure of its own": {
			attempts: 0, err: away, ownFault: true, want: time.Minute, counted: 1,
		},
		"the tenth failure of its own": {
			attempts: 9, err: away, ownFault: true, want: 30 * time.Minute, counted: 10,
		},
		"a refusal": {
			attempts: 0, err: refused, ownFault: true, want: time.Minute, counted: 1,
		},
		"the hundredth refusal": {
			attempts: 99, err: refused, ownFault: true, want: 24 * time.Hour, counted: 100,
		},
		"a hint": {
			err:      &certinext.Error{Status: 503, Acted: true, RetryAfter: 20 * time.Minute},
			ownFault: true, want: 20 * time.Minute, counted: 1,
		},
	} {
		q := &Queued{Attempts: c.attempts}
		q.recordFailure(caAnswer{err: c.err, ownFault: c.ownFault, pause: c.pause}, now)
		require.Equal(t, c.want, q.Next.Sub(now), name)
		require.Equal(t, c.counted, q.Attempts, name)
		require.NotEmpty(t, q.LastError, name)
	}
}
