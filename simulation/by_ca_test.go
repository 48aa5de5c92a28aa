// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What CERTInext renews by itself is handed to who has its key, and what is bought beside it is
// seen.
func TestHistoriesAreRenewedByCERTInext(t *testing.T) {
	for name, r := range map[string]Request{
		"a key that is kept": {Who: "ann", Role: "self", Name: "n1"},
		"a key of one's own": {Who: "ann", Role: "signs", Name: "n1", Key: 1},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, []Action{
				{Do: "issue", Request: r},
				{Do: "time", For: 19 * aDay},
				{Do: "issue", Request: r},
			}, func(t *testing.T, w *world) {
				require.Empty(t, w.broken)
				orders := w.ca.Orders()
				require.Len(t, orders, 1)
				require.Len(t, orders[0].Serials, 2)
				require.Len(t, w.clients[r].serials, 2, "what CERTInext has made was not handed over")
				now := moment{true: time.Now()}
				require.True(t, judgeBesideCA(w, r, &orders[0], &orders[0], new(call), now))
				require.True(t, breaks(w, "by-ca/beside"))
			})
		})
	}
}
