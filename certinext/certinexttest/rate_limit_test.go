// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

func TestCallsBeyondTheRateLimitAreRefusedWithAHint(t *testing.T) {
	for name, c := range map[string]struct {
		limit float64
		burst int // calls that a rested server takes at once
		hint  string
		wait  time.Duration // until one more is taken
	}{
		"five in a second":         {limit: 5, burst: 5, hint: "1", wait: 200 * time.Millisecond},
		"one in four seconds":      {limit: 0.25, burst: 1, hint: "4", wait: 4 * time.Second},
		"more than one and a half": {limit: 1.5, burst: 1, hint: "1", wait: time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := verified(certinexttest.Live)
				r := newRig(t, srv)
				srv.Configure(func(s *certinexttest.Server) { s.RateLimit = c.limit })
				time.Sleep(time.Minute)
				for range c.burst {
					r.get(api + "/auth/me").must(200)
				}
				a := r.get(api + "/auth/me")
				a.refused(429, "")
				require.Equal(t, c.hint, a.header.Get("Retry-After"))
				time.Sleep(c.wait)
				r.get(api + "/auth/me").must(200)
				r.get(api+"/auth/me").refused(429, "")
			})
		})
	}
}

func TestTheRateLimitIsAKnob(t *testing.T) {
	r, admin := adminRig(t, new(certinexttest.Server))
	require.InDelta(t, 0, admin.get("/knobs").must(200)["rateLimit"], 0)
	require.InDelta(t, 0.001, admin.post("/knobs", m{"rateLimit": 0.001}).must(200)["rateLimit"], 0)
	r.get(api + "/auth/me").must(200)
	r.get(api+"/auth/me").refused(429, "")
}
