// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package inventory

import (
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store/storetest"
)

// storedV1 is one full entry of each kind, as version 1 stores it.
func storedV1() map[string]any {
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	return map[string]any{
		"sync": &Status{
			Version: 1, State: Done, Account: "https://us-api.certinext.io|1234567890",
			IncludeExpired: true, StartedAt: at, FinishedAt: at,
			Seen: 5, Imported: 1, Revoked: 1, Unavailable: 1, Failed: 1, LastError: "e",
		},
	}
}

func TestStoredEntriesOfEveryVersionAreRead(t *testing.T) {
	storetest.Compare(t, "v1", storedV1())
}
