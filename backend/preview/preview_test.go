// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package preview_test

import (
	"testing"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/money"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/preview"
	"github.com/stretchr/testify/require"
)

func TestWhatAYearComesTo(t *testing.T) {
	for name, c := range map[string]struct {
		price  string
		term   int
		within bool
		orders [3]float64
		costs  [3]string
	}{
		"an order for each renewal": {
			"100.00", 1, false,
			[3]float64{2.74, 5.48, 11.65},
			[3]string{"273.75", "547.50", "1164.89"},
		},
		"whose term is longer than what is used of it": {
			"200.00", 3, false,
			[3]float64{2.74, 5.48, 11.65},
			[3]string{"547.50", "1095.00", "2329.79"},
		},
		"an order for each term": {
			"100.00", 1, true, [3]float64{1, 1, 1}, [3]string{"100.00", "100.00", "100.00"},
		},
		"of several years": {
			"100.00", 3, true, [3]float64{0.33, 0.33, 0.33}, [3]string{"33.33", "33.33", "33.33"},
		},
		"of a product whose term is not known": {
			"100.00", 0, true, [3]float64{1, 1, 1}, [3]string{"100.00", "100.00", "100.00"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			price, err := money.Parse(c.price)
			require.NoError(t, err)
			years := preview.Years(price, c.term, c.within)
			require.Len(t, years, 3)
			for i, y := range years {
				require.Equal(t, [...]int{200, 100, 47}[i], y.Days)
				require.InDelta(t, c.orders[i], y.Orders, 1e-9)
				require.Equal(t, c.costs[i], y.Cost.String())
			}
		})
	}
}

func TestWhatAnAnswerDoes(t *testing.T) {
	for answer, does := range map[preview.Answer][2]bool{
		preview.Join: {false, false}, preview.Reuse: {false, false},
		preview.Reissue: {true, false}, preview.Order: {true, true},
		preview.Draft: {true, true}, preview.Refuse: {false, false},
	} {
		require.Equal(t, does[0], answer.Begins(), answer)
		require.Equal(t, does[1], answer.Buys(), answer)
		require.Equal(t, preview.Refuse, answer.Settled(true))
		require.Equal(t, answer, answer.Settled(false))
	}
}
