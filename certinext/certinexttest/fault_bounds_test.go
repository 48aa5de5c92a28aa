// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

func TestPaddingHasALimit(t *testing.T) {
	_, admin := adminRig(t, new(certinexttest.Server))
	for _, size := range []int{256<<20 + 1, 100_000_000_000, math.MaxInt64} {
		a := admin.post("/faults", m{"operation": "groups", "kind": "oversized", "size": size, "times": 1})
		require.Equal(t, 400, a.status)
		require.Contains(t, string(a.body), "size must be at most")
	}
}

func TestTheJournalRemembersALittleOfEachRequest(t *testing.T) {
	r := newRig(t, verified(certinexttest.Live))
	long := strings.Repeat("x", 900_000)
	r.post(sslPath, merge(dvOrder("www.example.com"), m{long: 1})).must(400)
	r.get(api + "/groups?" + long + "=1").must(400)
	require.NotEqual(t, 200, r.do(long, api+"/groups", "").status)
	require.Less(t, len(toJSON(r.srv.Requests())), 20_000)
}

func TestAFaultThatCanDoNothingIsRefused(t *testing.T) {
	_, admin := adminRig(t, new(certinexttest.Server))
	for _, kind := range []string{"wrong-key", "root-first"} {
		require.Equal(t, 400, admin.post("/faults", m{"operation": "groups", "kind": kind}).status, kind)
		admin.post("/faults", m{"operation": "certificate", "kind": kind}).must(204)
	}
}

func TestRatesThatNoCallMeetsAreRefused(t *testing.T) {
	for _, rate := range []string{"1e-300", "1e300", "-1"} {
		require.Error(t, new(certinexttest.Server).LoadSettings([]byte(`{"rateLimit":`+rate+`}`)), rate)
	}
	require.Error(t, (&certinexttest.Server{RateLimit: math.Inf(1)}).Check())
	require.NoError(t, (&certinexttest.Server{RateLimit: 0.5}).Check())
}
