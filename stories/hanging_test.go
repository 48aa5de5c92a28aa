// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// After a restart, neither who the account is nor any order's status is answered, and revocations are taken: the end of a lease is one.
func TestTheEndOfALeaseReachesACAThatHangsOtherwise(t *testing.T) {
	for _, dialect := range []certinexttest.Dialect{certinexttest.Live, certinexttest.Documented, certinexttest.V1} {
		for name, c := range map[string]struct {
			lives  time.Duration // until Vault ends the lease
			others int
		}{
			"before it is due":               {lives: 10 * time.Minute},
			"when it is due":                 {lives: time.Hour},
			"beside many, before it is due":  {lives: 10 * time.Minute, others: 30},
			"beside many, when they are due": {lives: time.Hour, others: 30},
		} {
			t.Run(dialect.String()+", "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					ca := validated(dialect)
					m := newMount(t, ca)
					m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"ttl": "1h", "max_ttl": "1h"}})
					first := m.write("issue/web", www)
					others := m.issued(c.others)
					m.place(20)
					m.waits(c.lives - time.Minute)
					for _, op := range []string{certinexttest.OpTrack, certinexttest.OpMe} {
						ca.Inject(certinexttest.Fault{Operation: op, Kind: certinexttest.FaultLatency, Delay: time.Hour})
					}
					m.start()
					time.Sleep(time.Minute)
					if c.lives == time.Hour {
						for _, other := range others {
							m.endLease(other)
						}
					}
					begun := time.Now()
					m.endLease(first)
					require.Less(t, time.Since(begun), 15*time.Second)
					for range 3 {
						time.Sleep(time.Minute)
						m.pass()
					}
					want := 1
					if c.lives == time.Hour {
						want += c.others
					}
					require.Equal(t, want, m.revokedAtCA())
				})
			})
		}
	}
}
