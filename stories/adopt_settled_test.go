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

// An adopted certificate has expired, was tidied and is taken in again: its order is what was bought, whatever the clock of the next server says.
func TestAWholeAdoptionIsNotUndoneByAClockThatIsBehind(t *testing.T) {
	for name, behind := range map[string]time.Duration{"right": 0, "behind": -250 * day} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMount(t, validated(certinexttest.Live))
				_, _, serial := boughtElsewhere(t, m, "shop.example.com")
				m.adopt("web", map[string]any{"serial_number": serial, "entity_id": "e-web"})
				time.Sleep(380 * day)
				m.pass()
				m.write("tidy", map[string]any{"tidy_cert_store": true, "safety_buffer": "1h"})
				time.Sleep(time.Minute)
				synctest.Wait()
				require.Empty(t, m.list("certs"))
				require.Len(t, m.list("orders/web"), 1)
				m.write("sync", map[string]any{"include_expired": true})
				time.Sleep(time.Minute)
				synctest.Wait()
				require.Len(t, m.list("certs"), 1)
				m.later(behind)
				m.start()
				for range 30 {
					time.Sleep(time.Hour)
					m.pass()
				}
				require.Len(t, m.list("orders/web"), 1, "what was bought is forgotten")
			})
		})
	}
}
