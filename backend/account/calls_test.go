// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package account

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/stretchr/testify/require"
)

func TestOutcomesOfRequests(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want Outcome
	}{
		"an answer":          {nil, OutcomeOK},
		"a refusal":          {&certinext.Error{Status: 422}, OutcomeRefused},
		"not found":          {&certinext.Error{Status: 404}, OutcomeRefused},
		"a wrong credential": {&certinext.Error{Status: 401}, OutcomeRefused},
		"a limit":            {&certinext.Error{Status: 429}, OutcomeLimited},
		"a fault":            {&certinext.Error{Status: 503}, OutcomeFailed},
		"an unusable answer": {&certinext.Error{Status: 200}, OutcomeFailed},
		"no answer":          {&certinext.Error{Err: errors.New("connection reset")}, OutcomeFailed},
		"no answer in time":  {&certinext.Error{Err: context.DeadlineExceeded}, OutcomeFailed},
		"the caller left":    {&certinext.Error{Err: fmt.Errorf("x: %w", context.Canceled)}, OutcomeCancelled},
		"something else":     {errors.New("no file"), OutcomeFailed},
	} {
		require.Equal(t, c.want, outcomeOf(c.err), name)
	}
}

func TestRequestsAreCounted(t *testing.T) {
	var c Calls
	now := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	c.note("placing order", nil, 300*time.Millisecond, now)
	c.note("placing order", &certinext.Error{Status: 503}, 200*time.Second, now.Add(time.Hour))
	c.note("placing order", &certinext.Error{Err: context.Canceled}, time.Hour, now.Add(2*time.Hour))
	c.note("asking", nil, time.Second, now)
	all := c.Operations()
	require.Len(t, all, 2)
	require.Equal(t, "asking", all[0].Name)
	o := all[1]
	require.Equal(t, map[Outcome]int{OutcomeOK: 1, OutcomeFailed: 1, OutcomeCancelled: 1}, o.Outcomes)
	require.Equal(t, 200300*time.Millisecond, o.Took)
	require.Equal(t, 200*time.Second, o.Last)
	require.Equal(t, now, o.LastGood)
	require.Equal(t, now.Add(time.Hour), o.Failed)
	for i, bound := range Bounds {
		want := uint64(0)
		if bound >= 0.3 {
			want = 1
		}
		require.Equal(t, want, o.Within[i], "%v", bound)
	}
	o.Outcomes[OutcomeOK] = 7
	require.Equal(t, 1, c.Operations()[1].Outcomes[OutcomeOK], "what was returned is a copy")
}
