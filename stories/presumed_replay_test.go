// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/stretchr/testify/require"
)

// An order that was left out for nearly as long as is consented to is sent once more, with its key: what the records have left out before that says nothing of it.
func TestAnOrderThatIsSentAgainIsPresumedAbsentFromThenOn(t *testing.T) {
	for name, dies := range map[string]bool{"the same process": false, "the next process": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := quiet(t, map[string]any{"presume_absent_after": "24h"})
				m.ca.ReportDelay = 10 * time.Hour
				id := m.unresolved(certinexttest.FaultDropped)
				for range 11 {
					time.Sleep(2 * time.Hour)
					m.pass()
				}
				require.Contains(t, m.order(id)["needs"].([]string)[2], "it counts as never placed from")
				m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultLostReply, Times: 1})
				m.write("config", map[string]any{"trust_idempotency_key": true})
				_, _ = m.attempt("issue/web", www)
				m.write("config", map[string]any{"trust_idempotency_key": false})
				require.Len(t, m.ca.Orders(), 2, "it was not sent again")
				if dies {
					m.start()
				}
				for range 8 {
					time.Sleep(2 * time.Hour)
					m.pass()
					require.NotEqual(t, "failed", m.order(id)["state"])
					_, _ = m.attempt("issue/web", www)
					require.Len(t, m.ca.Orders(), 2)
				}
				m.isFor(m.issue("www.example.com"), "www.example.com")
			})
		})
	}
}
