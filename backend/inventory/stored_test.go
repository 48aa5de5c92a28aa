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

// storedV2 is one full entry of each kind that has changed, or has come, since.
func storedV2() map[string]any {
	st := storedV1()["sync"].(*Status)
	st.Automatic, st.Total, st.Page, st.Whole, st.Attempts = true, 500, 3, true, 2
	st.Gone, st.GoneOrders = 1, []string{"1000000001"}
	st.Failures = []Failure{{Order: "1000000002", Error: "e"}}
	st.LastSuccess = st.StartedAt
	st.Distrusted, st.Refused = 1, 2
	return map[string]any{
		"sync":   st,
		"listed": &Reported{Version: 1, Account: st.Account, Numbers: "1000000001 1000000002"},
	}
}

func TestStoredEntriesOfEveryVersionAreRead(t *testing.T) {
	storetest.Compare(t, "v1", storedV1())
	storetest.Compare(t, "v2", storedV2())
}
