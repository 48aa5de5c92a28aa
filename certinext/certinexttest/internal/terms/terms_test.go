// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package terms

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const day = 24 * time.Hour

var begins = time.Date(2026, 5, 12, 13, 0, 0, 0, time.UTC)

func TestASubscriptionLastsForItsYears(t *testing.T) {
	terms := Terms{Begins: begins, Years: 2}
	end := time.Date(2028, 5, 12, 13, 0, 0, 0, time.UTC)
	require.Equal(t, end, terms.Ends())
	require.False(t, terms.IsOver(end.Add(-time.Second)))
	require.True(t, terms.IsOver(end))
	require.Equal(t, 199*day, terms.Life(begins, 199*day))
	require.Equal(t, 10*day, terms.Life(end.Add(-10*day), 199*day), "the end of the subscription is its end, too")
}

func TestWhatTheCADoesNextOfItself(t *testing.T) {
	terms := Terms{Begins: begins, Years: 1, AutoRenew: true, RenewBefore: 30 * day}
	end := terms.Ends()
	for name, c := range map[string]struct {
		change       func(*Terms)
		policy       Policy
		begins, ends time.Time
		step         Step
		at           time.Time
	}{
		"one of 100 days, 30 days before its end":      {nil, UntilEnd, begins, begins.Add(100 * day), Reissue, begins.Add(70 * day)},
		"one of 30 days, half-way":                     {nil, UntilEnd, begins, begins.Add(30 * day), Reissue, begins.Add(15 * day)},
		"one of two hours, never":                      {nil, UntilEnd, begins, begins.Add(2 * time.Hour), Nothing, time.Time{}},
		"one that lasts as long as the subscription":   {nil, UntilEnd, end.Add(-100 * day), end, Nothing, time.Time{}},
		"one that lasts longer than the subscription":  {nil, UntilEnd, begins, end.Add(day), Nothing, time.Time{}},
		"the last one, where the CA orders anew":       {nil, BeyondEnd, end.Add(-100 * day), end, Reorder, end.Add(-30 * day)},
		"an earlier one, where the CA orders anew":     {nil, BeyondEnd, begins, begins.Add(100 * day), Reissue, begins.Add(70 * day)},
		"any, where each is an order":                  {nil, ByOrder, begins, begins.Add(100 * day), Reorder, begins.Add(70 * day)},
		"any, where the CA renews nothing":             {nil, Never, begins, begins.Add(100 * day), Nothing, time.Time{}},
		"any, where nobody asked for it":               {func(t *Terms) { t.AutoRenew = false }, BeyondEnd, begins, end, Nothing, time.Time{}},
		"one of 100 days, 45 days before, if asked so": {func(t *Terms) { t.RenewBefore = 45 * day }, UntilEnd, begins, begins.Add(100 * day), Reissue, begins.Add(55 * day)},
	} {
		t.Run(name, func(t *testing.T) {
			terms := terms
			if c.change != nil {
				c.change(&terms)
			}
			step, at := terms.Next(c.policy, c.begins, c.ends)
			require.Equal(t, c.step, step)
			require.Equal(t, c.at, at)
		})
	}
}

func TestAnAgendaGivesWhatIsDueInOrder(t *testing.T) {
	var a Agenda[string]
	_, _, ok := a.Due(begins)
	require.False(t, ok)
	a.Add(begins.Add(2*day), "third")
	a.Add(begins.Add(day), "first")
	a.Add(begins.Add(day), "second")
	a.Add(begins.Add(9*day), "last")
	var done []string
	for {
		what, at, ok := a.Due(begins.Add(2 * day))
		if !ok {
			break
		}
		require.False(t, at.After(begins.Add(2*day)))
		done = append(done, what)
	}
	require.Equal(t, []string{"first", "second", "third"}, done)
}
