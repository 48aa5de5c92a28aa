// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package renewal

import (
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store/storetest"
)

func TestStoredEntriesOfEveryVersionAreRead(t *testing.T) {
	storetest.Compare(t, "v1", map[string]any{
		"newest": &newest{Version: 1, Serial: "0a-1b"},
		"stop": &Stop{
			Version: 1, At: time.Date(2026, 11, 29, 13, 0, 0, 0, time.UTC), OrderID: "6f1d",
			Amount: "150.00", AllowedAt: time.Date(2026, 11, 30, 13, 0, 0, 0, time.UTC),
		},
	})
}
