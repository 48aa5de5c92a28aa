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

// The name of an order that counts as never placed is used again. A process that dies at any write of that leaves one record of it, and the books count it once.
func TestWhatIsPresumedAbsentIsCountedOnceWhenItsNameIsUsedAgain(t *testing.T) {
	request := map[string]any{"common_name": "www.example.com", "request_id": "deploy-17"}
	for at := 1; ; at++ {
		struck := false
		synctest.Test(t, func(t *testing.T) {
			m := quiet(t, map[string]any{"presume_absent_after": "24h"})
			m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultDropped, Times: 1})
			require.Contains(t, m.refused("issue/web", request), "not known yet")
			m.days(2)
			require.Len(t, m.presumed(), 1)
			writes := 0
			m.storage.cutBy(func(string) error {
				if writes++; writes >= at {
					return errDied
				}
				return nil
			})
			_, _ = m.attempt("issue/web", request)
			m.storage.cutBy(nil)
			if struck = writes >= at; struck {
				m.start()
			}
			time.Sleep(time.Minute)
			m.chainOK(m.write("issue/web", request))
			require.Len(t, m.ca.Orders(), 2, "a fault at change %d", at)
			require.Len(t, m.presumed(), 1, "a fault at change %d", at)
			bought := 0
			for _, row := range m.query("reports/spend", nil)["spend"].([]map[string]any) {
				bought += row["orders"].(int)
			}
			require.Equal(t, 3, bought, "a fault at change %d", at)
		})
		if !struck {
			require.Greater(t, at, 4)
			return
		}
	}
}
