// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package validation

import (
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store/storetest"
	"github.com/stretchr/testify/require"
)

// storedV1 returns one full entry of each kind, as version 1 stores it.
func storedV1() map[string]any {
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	return map[string]any{
		"solver": &storedSolver{
			Version: 1, Provider: "rfc2136",
			Values:  map[string]string{"server": "ns1.example.com", "tsig_secret": "c2VjcmV0"},
			Ambient: true, Zone: "example.com", TTL: time.Minute,
		},
		"published": &publishedEntry{
			Version: 1, Owner: "order/web/6f1d", Domain: "www.example.com", Solver: "corp",
			Name: "_emudhra-challenge.www.example.com.", Zone: "example.com.", Value: "v",
			At: at, Done: true, LastError: "e", Tries: 1, RetryAt: at,
		},
	}
}

func TestStoredEntriesOfEveryVersionAreRead(t *testing.T) {
	storetest.Compare(t, "v1", storedV1())
}

// No field is lost between a solver and its stored form.
func TestASolverSurvivesStorage(t *testing.T) {
	solver := storedV1()["solver"].(*storedSolver)
	require.Equal(t, solver, newStoredSolver(solver.solver("corp")))
}
