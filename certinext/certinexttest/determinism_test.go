// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"math/rand/v2"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// With its seeds, a server's whole life repeats itself: tokens, numbers, keys, certificates and
// faults. What is left is the clock, which is Now, and look-ups over a network.
func TestARunRepeatsItself(t *testing.T) {
	run := func(t *testing.T, seed uint64, d certinexttest.Dialect) (all []string) {
		t.Run("run", func(t *testing.T) {
			cryptotest.SetGlobalRandom(t, seed)
			synctest.Test(t, func(t *testing.T) {
				srv := verified(d)
				srv.Rand = rand.New(rand.NewPCG(seed, 1))
				srv.PendingDomains = []string{"a.example.org", "b.example.org", "c.example.org"}
				r := newRig(t, srv)
				srv.Inject(certinexttest.Fault{Operation: certinexttest.OpGroups, Kind: certinexttest.FaultHTML, Probability: 0.5})
				all = append(all, r.token)
				for _, name := range []string{"www.example.com", "mail.example.com"} {
					id, _ := r.issued(name)
					time.Sleep(time.Minute)
					for _, path := range []string{sslPath + "/" + id, sslPath + "/" + id + "/certificate", api + "/groups", api + "/domains"} {
						a := r.get(path)
						all = append(all, id, a.header.Get("Date"), string(a.body))
					}
				}
				all = append(all, string(srv.RootPEM()))
			})
		})
		return all
	}
	for _, d := range []certinexttest.Dialect{certinexttest.Live, certinexttest.Documented} {
		first := run(t, 2026, d)
		require.NotEmpty(t, first)
		require.Equal(t, first, run(t, 2026, d), d)
		require.NotEqual(t, first, run(t, 7, d), d)
	}
}
