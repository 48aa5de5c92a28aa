// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package campaigns

import (
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store/storetest"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

func TestStoredEntriesOfEveryVersionAreRead(t *testing.T) {
	at := time.Date(2026, 11, 30, 2, 0, 0, 0, time.UTC)
	storetest.Compare(t, "v1", map[string]any{
		"campaign": &Campaign{
			Version: 1, Name: "friday",
			Selection: Selection{
				Roles: []string{"web"}, Issuers: []string{"A CA"}, Roots: []string{"A Root"},
				CAKeys: []string{"ab"}, KeyTypes: []string{"ec-256"}, Products: []string{"842"},
				Trust: []string{"refused"}, RefusedBy: []string{"mozilla"}, Serials: []string{"0a-1b"},
				Synchronized: true, Each: true,
			},
			Plan: Plan{
				Note: "its root is distrusted", Revoke: true, Reason: certinext.ReasonSuperseded,
				RevokeAfter: time.Hour, RevokeUnclaimed: true, PerHour: 60, Order: ByRole,
				MaxCertificates: 10, MaxSpend: "250.00",
			},
			State: Running, CreatedAt: at, ChangedAt: at, Next: at, ToldStuck: true, Ended: true,
		},
		"item": &Item{
			Version: 1, Serial: "0a-1b", Role: "web", Behind: "0a-1c", FiledAt: at, At: at,
			Why: "it has expired", By: "0a-1d", HandedAt: at,
		},
		"part": &Part{Version: 1, Chosen: []Chosen{
			{Serial: "0a-1b", Role: "web", NotAfter: at, Behind: "0a-1c"},
		}},
	})
}
