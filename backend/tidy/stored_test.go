// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package tidy

import (
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store/storetest"
)

// storedV1 is one full entry of each kind, as version 1 stores it.
func storedV1() map[string]any {
	at := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	r := Request{
		CertStore: true, RevokedCerts: true, SafetyBuffer: 72 * time.Hour,
		Orders: true, OrderBuffer: spendHistory, RefusedOrders: true, RefusedBuffer: 30 * day,
		NamedOrders: true, LoseSpending: true, ReuseKeys: true,
		PersonalData: true, PersonalBuffer: 30 * day, Pause: time.Second,
	}
	return map[string]any{
		"config": &Config{Version: 1, Enabled: true, Interval: 12 * time.Hour, Request: r},
		"status": &Status{
			Version: 1, State: Failed, Auto: true, Request: r, StartedAt: at, FinishedAt: at,
			Error: "e", Cursor: "cert/01", Erased: map[string]int{KindCertificate: 2},
			Kept:     map[string]map[Reason]int{KindOrder: {ReasonSpending: 3}},
			LastAuto: at,
		},
	}
}

func TestStoredEntriesOfEveryVersionAreRead(t *testing.T) {
	storetest.Compare(t, "v1", storedV1())
}
