// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/stretchr/testify/require"
)

// termOf returns when the subscription of an order or certificate ends, and whether CERTInext has said so.
func termOf(t *testing.T, data map[string]any) (ends time.Time, told bool) {
	t.Helper()
	ends, err := time.Parse(time.RFC3339, data["subscription_end"].(string))
	require.NoError(t, err)
	return ends, data["subscription_told"].(bool)
}

func TestOrdersAndCertificatesTellTheirSubscription(t *testing.T) {
	for name, untold := range map[string]bool{"told": false, "not told": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, _ := reissuing(t, "842")
				m.ca.Configure(func(s *certinexttest.Server) { s.Subscriptions.Untold, s.IssueDelay = untold, 10*time.Second })
				time.Sleep(100 * 24 * time.Hour)
				bought := time.Now().UTC().Truncate(time.Second).AddDate(1, 0, 0)
				first := m.write("issue/web", map[string]any{"common_name": "api.example.com"})

				order := m.read("orders/web/" + first.Data["order_id"].(string))
				ends, told := termOf(t, order.Data)
				require.Equal(t, bought, ends)
				require.Equal(t, !untold, told)
				if !untold {
					require.Equal(t, "active", order.Data["subscription_status"])
				}
				cert := m.read("cert/" + first.Data["serial_number"].(string))
				ends, told = termOf(t, cert.Data)
				require.Equal(t, bought, ends)
				require.Equal(t, !untold, told)

				time.Sleep(20 * 24 * time.Hour)
				reissue := m.reissue(first, nil)
				ends, _ = termOf(t, reissue.Data)
				require.Equal(t, bought, ends, "a reissue buys no other term")
				time.Sleep(15 * time.Second)
				second := m.write("orders/web/"+reissue.Data["order_id"].(string)+"/collect", nil)
				ends, _ = termOf(t, m.read("cert/"+second.Data["serial_number"].(string)).Data)
				require.Equal(t, bought, ends)
			})
		})
	}
}

func TestAnOrderThatIsNotPlacedHasNoSubscription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := reissuing(t, "842")
		m.ca.Configure(func(s *certinexttest.Server) { s.HoldForApproval = true })
		draft := m.write("orders/web", map[string]any{"common_name": "draft.example.com", "save_as_draft": true})
		require.Empty(t, draft.Data["subscription_end"])
		require.Equal(t, false, draft.Data["subscription_told"])
	})
}

// What is paid once, and how many certificates it has given, is told with each of them.
func TestASubscriptionTellsItsPriceAndItsCertificates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := renewing(t, nil)
		m.write("config", map[string]any{"product_prices": map[string]any{"842": "150.00"}})
		m.pass() // which completes the index of numbers
		issued := []map[string]any{m.issue("www.example.com")}
		other := m.issue("mail.example.com")
		for range 2 {
			time.Sleep(105 * day)
			m.pass()
			issued = append(issued, m.issue("www.example.com"))
		}
		require.Len(t, m.ca.Orders(), 2)
		told := func(at map[string]any, n any) {
			t.Helper()
			require.Equal(t, "150.00", at["subscription_price"])
			require.Empty(t, at["subscription_currency"], "product_prices have none")
			require.Equal(t, n, at["subscription_certificates"])
			require.NotEmpty(t, at["subscription_end"])
		}
		shown := func() {
			t.Helper()
			for _, one := range issued {
				told(m.read("orders/web/"+one["order_id"].(string)).Data, 3)
				told(m.read("cert/"+one["serial_number"].(string)).Data, 3)
			}
			told(m.read("cert/"+other["serial_number"].(string)).Data, 1)
		}
		shown()
		m.start()
		shown()
		require.Empty(t, m.read("orders/web/" + issued[1]["order_id"].(string)).Data["price"], "a reissue costs nothing that is known")

		// What is read of storage for it does not grow with what is stored.
		storage := &faultyStorage{Storage: m.storage.under()}
		m.storage.lay(storage)
		reads := func() int {
			storage.arm(1000000, 1, false)
			m.read("orders/web/" + issued[0]["order_id"].(string))
			storage.disarm()
			return storage.done
		}
		before := reads()
		for n := range 5 {
			m.issue(fmt.Sprintf("h%d.example.com", n))
		}
		require.Equal(t, before, reads())
	})
}

func TestAnOpenOrderHasGivenNoCertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.HoldForApproval = true
		m := newMount(t, ca)
		o := m.write("orders/web", www).Data
		path := "orders/web/" + o["order_id"].(string)
		require.Equal(t, 0, m.read(path).Data["subscription_certificates"])
	})
}
