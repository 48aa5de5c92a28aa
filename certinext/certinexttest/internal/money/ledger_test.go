// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package money

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAPurseHoldsWhatWasPaidInAndNotYetOut(t *testing.T) {
	var l Ledger
	first := must(t, "100")
	l.Open("account", &first)
	first = must(t, "1") // the ledger has its own
	l.Open("account", &first)

	m, err := l.Post(Movement{Kind: Order, Purse: "account", Amount: must(t, "99.90").Negative()})
	require.NoError(t, err)
	require.EqualValues(t, 1, m.Number)
	require.Equal(t, "0.10", m.Balance.String())

	_, err = l.Post(Movement{Kind: Order, Purse: "account", Amount: must(t, "0.11").Negative()})
	var short *InsufficientError
	require.ErrorAs(t, err, &short)
	require.Equal(t, InsufficientError{"account", must(t, "0.10"), must(t, "0.11")}, *short)
	require.Contains(t, err.Error(), "holds 0.10, and 0.11")
	require.Error(t, l.Affords("account", must(t, "0.11")))
	require.NoError(t, l.Affords("account", must(t, "0.10")), "the last of it may be spent")

	_, err = l.Post(Movement{Kind: TopUp, Purse: "account", Amount: must(t, "5")})
	require.NoError(t, err)
	held, limited := l.Balance("account")
	require.True(t, limited)
	require.Equal(t, "5.10", held.String())
	require.Len(t, l.Movements(), 2, "what was refused moved nothing")
	require.Len(t, l.Select(func(m Movement) bool { return m.Kind == TopUp }), 1)
}

func TestAPurseWithoutALimitAffordsEverything(t *testing.T) {
	var l Ledger
	l.Open("account", nil)
	for _, purse := range []string{"account", "nobody's"} {
		m, err := l.Post(Movement{Purse: purse, Amount: must(t, "999999999").Negative()})
		require.NoError(t, err)
		require.True(t, m.Balance.IsZero())
		_, limited := l.Balance(purse)
		require.False(t, limited)
	}
}

func TestAPurseIsNeverMoreThanFull(t *testing.T) {
	var l Ledger
	l.Open("account", &Amount{})
	var err error
	for range 2_000 {
		if _, err = l.Post(Movement{Purse: "account", Amount: must(t, "999999999")}); err != nil {
			break
		}
	}
	require.ErrorIs(t, err, ErrFull)
	held, _ := l.Balance("account")
	require.False(t, held.IsDebt())
}
