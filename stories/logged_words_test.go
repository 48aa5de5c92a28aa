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

// A log goes to more places than an API: what CERTInext says in its own words, which may name
// people, stays in the entries, and the log has the code.
func TestTheLogHasCERTInextsCodesAndNotItsWords(t *testing.T) {
	for op, do := range map[string]func(m *mount){
		certinexttest.OpOrdersReport: func(m *mount) {
			elsewhere(m.t, m.ca, "late.example.com")
			time.Sleep(time.Minute)
			m.write("sync", nil)
			synctest.Wait()
			require.Contains(m.t, m.read("sync").Data["last_error"], "Jane Roe")
		},
		certinexttest.OpTrack: func(m *mount) {
			m.ca.Configure(func(s *certinexttest.Server) { s.IssueDelay = time.Hour })
			m.write("orders/web", www)
			time.Sleep(2 * time.Hour)
			for range 4 {
				_, _ = m.send(call{op: logical.RollbackOperation, data: map[string]any{"immediate": true}})
				time.Sleep(time.Hour)
			}
		},
		certinexttest.OpRevoke: func(m *mount) {
			m.patchRole(map[string]any{"generate_lease": true})
			m.endLease(m.write("issue/web", www))
			m.passes(3)
		},
	} {
		t.Run(op, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMount(t, validated(certinexttest.Live))
				m.ca.Inject(certinexttest.Fault{
					Operation: op, Kind: certinexttest.FaultRefusal, Code: "EMS-900", Text: "Jane Roe (jane@example.com) may not",
				})
				do(m)
				require.Contains(t, m.log.String(), "EMS-900: its words are not logged")
				require.NotContains(t, m.log.String(), "Jane Roe")
			})
		})
	}
}
