// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package spending

import (
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store/storetest"
	"github.com/stretchr/testify/require"
)

// storedV1 returns one full entry of each kind, as version 1 stores it.
func storedV1() map[string]any {
	begins := time.Date(2026, time.November, 1, 0, 0, 0, 0, time.UTC)
	return map[string]any{
		"budget": newStored(&Budget{
			Name: "web", id: "9f1c2e4e-6f37-4d6c-8d3a-0d6a51f0c7b1",
			Roles: []string{"team-*", "web"}, Per: PerRole, Period: Month,
			MaxOrders: 100, MaxOpenOrders: 20, MaxSpend: "2500.00", since: begins,
		}),
		"counter": &counter{
			Version: 1, Budget: "web", Per: PerRole, Subject: "web", Currency: "USD",
			Tallies: []tally{{
				Period: Month, Begins: begins, Ends: begins.AddDate(0, 1, 0),
				totals: totals{Orders: 2, Spent: price("50.00").Amount},
				Corrections: []correction{{
					Key:    "6e2c8d8f-3c8f-4b64-9055-ad2f7b1f8e32",
					Amount: price("25.00").Amount, Order: true,
				}},
			}},
			Open: []reservation{{
				OrderID: "0b8f4b1a-7a55-4a3e-9f0e-1f6c3e2d4c5b",
				Key:     "5d1b7c7e-2b7e-4a53-8f44-9c1f6a0e7d21", Role: "web",
				Period: Month, Begins: begins, Price: price("25.00").Amount,
				Process: "c2a1f9f0-3b1d-4c58-9d43-2f7d6e8a9b10",
			}},
		},
	}
}

func TestStoredEntriesOfEveryVersionAreRead(t *testing.T) {
	storetest.Compare(t, "v1", storedV1())
}

// No field is lost between a budget and its entry.
func TestABudgetSurvivesStorage(t *testing.T) {
	entry := storedV1()["budget"].(*stored)
	require.Equal(t, entry, newStored(entry.budget("web")))
}
