// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"crypto/elliptic"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// This server's clock is 50 minutes ahead of CERTInext's, and a lease runs for half an hour more by
// the clock that is behind.
func TestALeaseIsOverByTheClockThatIsBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := tidied(t, map[string]any{"generate_lease": true})
		resp := m.write("issue/web", map[string]any{"common_name": "www.example.com"})
		m.passes(4)
		storageKey := "cert/" + key(resp.Data["serial_number"])
		value := string(m.storage.dump(t)[storageKey])
		i := strings.Index(value, `"leases":{"`)
		require.Positive(t, i)
		at := timestamp.FindStringIndex(value[i:])
		value = value[:i+at[0]] + time.Now().Add(410*day+30*time.Minute).UTC().Format(time.RFC3339) + value[i+at[1]:]
		require.NoError(t, m.storage.under().Put(t.Context(), &logical.StorageEntry{Key: storageKey, Value: []byte(value)}))
		time.Sleep(410 * day)
		require.Equal(t, map[string]int{"lease": 1}, stays(m.tidy(everything(nil)), "certificates"))
		m.later(50 * time.Minute)
		m.read("config/check")
		require.Equal(t, map[string]int{"lease": 1}, stays(m.tidy(everything(nil)), "certificates"))
		time.Sleep(time.Hour)
		require.Equal(t, 1, m.tidy(everything(nil))["cert_store_deleted_count"])
	})
}

// A certificate was reissued in the portal, and what the synchronization brings has no term of its
// own. Which of the two serial numbers comes first is chance.
func TestTheNewestOfATermStaysWhicheverIsLookedAtFirst(t *testing.T) {
	for range 8 {
		synctest.Test(t, func(t *testing.T) {
			m := tidied(t, nil)
			own := m.write("issue/web", map[string]any{"common_name": "www.example.com"})
			m.passes(4)
			client, _ := elsewhere(t, m.ca, "shop.example.com")
			time.Sleep(day)
			_, err := client.ReissueOrder(t.Context(), certinext.FamilySSL, own.Data["ca_order_id"].(string),
				certinext.ReissueRequest{CSR: csr(t, newKey(t, elliptic.P256()), "www.example.com")})
			require.NoError(t, err)
			time.Sleep(time.Hour)
			m.synchronize()
			newest := ""
			for _, serial := range m.list("certs") {
				if serial != own.Data["serial_number"] && m.read("cert/" + serial).Data["ca_order_id"] == own.Data["ca_order_id"] {
					newest = serial
				}
			}
			require.NotEmpty(t, newest)
			m.idles(220) // both have expired, and the year that was paid for runs
			for range 2 {
				require.Equal(t, map[string]int{"subscription": 2}, stays(m.tidy(everything(nil)), "certificates"))
				require.Contains(t, m.list("certs"), newest)
			}
			m.idles(150)
			m.tidy(everything(nil))
			m.tidy(everything(nil))
			require.Empty(t, m.list("certs"))
		})
	}
}

func TestARunThatPausesIsCancelledAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := tidied(t, nil)
		for _, name := range []string{"a.example.com", "b.example.com", "c.example.com"} {
			m.write("issue/web", map[string]any{"common_name": name})
		}
		m.passes(4)
		m.write("tidy", everything(map[string]any{"pause_duration": "1h"}))
		time.Sleep(time.Minute)
		require.Equal(t, "Running", m.read("tidy-status").Data["state"])
		m.write("tidy-cancel", nil)
		m.write("tidy-cancel", nil)
		synctest.Wait()
		require.Equal(t, "Cancelled", m.read("tidy-status").Data["state"])
		m.tidy(everything(nil)) // the next one begins
	})
}
