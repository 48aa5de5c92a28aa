// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"crypto/elliptic"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// Whatever a client does before whichever read of a tidying, it is answered as without, buys nothing twice, and loses nothing that is valid.
func TestTidyingMeetsClientsAtEachRead(t *testing.T) {
	for name, c := range map[string]struct {
		days int
		meet func(m *mount, first *logical.Response)
	}{
		"the end of a lease": {210, func(m *mount, first *logical.Response) { m.endLease(first) }},
		"a renewal of the expired one": {210, func(m *mount, first *logical.Response) {
			resp, err := m.attempt("renew/web/"+key(first.Data["serial_number"]), nil)
			require.NoError(m.t, err)
			if !resp.IsError() {
				require.NotEqual(m.t, first.Data["serial_number"], resp.Data["serial_number"])
			}
		}},
		"the same request": {210, func(m *mount, _ *logical.Response) {
			_, err := m.attempt("issue/web", map[string]any{"common_name": "www.example.com"})
			require.NoError(m.t, err)
		}},
		"a revocation": {210, func(m *mount, first *logical.Response) {
			_, err := m.attempt("revoke", map[string]any{"serial_number": first.Data["serial_number"]})
			require.NoError(m.t, err)
		}},
		"another tidying": {210, func(m *mount, _ *logical.Response) {
			m.write("tidy", everything(nil))
		}},
		"a pass":           {210, func(m *mount, _ *logical.Response) { m.pass() }},
		"a pass, later on": {410, func(m *mount, _ *logical.Response) { m.pass() }},
		"a read": {410, func(m *mount, first *logical.Response) {
			_, err := m.send(call{op: logical.ReadOperation, path: "cert/" + key(first.Data["serial_number"])})
			require.NoError(m.t, err)
		}},
		"a report": {410, func(m *mount, _ *logical.Response) {
			_, err := m.send(call{op: logical.ReadOperation, path: "reports/spend"})
			require.NoError(m.t, err)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			for reads := 1; reads < 40; reads++ {
				over := false
				synctest.Test(t, func(t *testing.T) {
					m := tidied(t, map[string]any{"renewal": "reissue", "generate_lease": true})
					first := m.write("issue/web", map[string]any{"common_name": "www.example.com"})
					m.passes(4)
					m.idles(c.days)
					orders := len(m.ca.Orders())
					met := m.meanwhile(reads, func() { c.meet(m, first) })
					m.write("tidy", everything(nil))
					synctest.Wait()
					time.Sleep(2 * time.Second)
					if !met() {
						over = true
						return
					}
					m.passes(4)
					status := m.read("tidy-status").Data
					require.Equal(t, "Finished", status["state"], "read %d: %v", reads, status["error"])
					require.LessOrEqual(t, len(m.ca.Orders()), orders+1, "read %d", reads)
					// Whatever is listed can be read, and whatever is indexed is listed.
					for _, serial := range m.list("certs") {
						require.NotEmpty(t, m.read("cert/" + key(serial)).Data["certificate"], "read %d", reads)
					}
					for _, o := range m.ca.Orders() {
						if len(o.Serials) > 0 && o.Status != "revoked" {
							require.LessOrEqual(t, len(m.stored("number/")), len(m.ca.Orders()))
						}
					}
					m.write("tidy", everything(nil))
					synctest.Wait()
					require.Equal(t, "Finished", m.read("tidy-status").Data["state"])
				})
				if over {
					break
				}
			}
		})
	}
}

// A lease, a queued revocation and what the certificate is linked to keep it, for as long as they last.
func TestACertificateStaysForItsLeaseAndItsRevocation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := tidied(t, map[string]any{"generate_lease": true})
		resp := m.write("issue/web", map[string]any{"common_name": "www.example.com"})
		m.passes(4)
		m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpRevoke, Kind: certinexttest.FaultServerError})
		_, _ = m.attempt("revoke", map[string]any{"serial_number": resp.Data["serial_number"]})
		require.Len(t, m.list("certs/revocation-queue"), 1)
		// Nothing but the queue keeps it: a pass that looks at it later finds it expired.
		time.Sleep(410 * day)
		require.Equal(t, map[string]int{"revocation_queued": 1}, stays(m.tidy(everything(nil)), "certificates"))
		m.passes(2)
		require.Empty(t, m.list("certs/revocation-queue"))
		require.Equal(t, 1, m.tidy(everything(nil))["cert_store_deleted_count"])
	})
	synctest.Test(t, func(t *testing.T) {
		m := tidied(t, map[string]any{"generate_lease": true})
		resp := m.write("issue/web", map[string]any{"common_name": "www.example.com"})
		m.passes(4)
		// An earlier version, or a clock that was wrong, has let a lease last for longer than the certificate.
		storageKey := "cert/" + key(resp.Data["serial_number"])
		value := string(m.storage.dump(t)[storageKey])
		i := strings.Index(value, `"leases":{"`)
		require.Positive(t, i)
		at := timestamp.FindStringIndex(value[i:])
		value = value[:i+at[0]] + time.Now().Add(420*day).UTC().Format(time.RFC3339) + value[i+at[1]:]
		require.NoError(t, m.storage.under().Put(t.Context(), &logical.StorageEntry{Key: storageKey, Value: []byte(value)}))
		time.Sleep(410 * day)
		require.Equal(t, map[string]int{"lease": 1}, stays(m.tidy(everything(nil)), "certificates"))
		time.Sleep(12 * day)
		require.Equal(t, 1, m.tidy(everything(nil))["cert_store_deleted_count"])
		m.endLease(resp) // Vault is told that it is over
	})
}

// The hash of a compromised key stays for good, and says what has become of the certificate without it.
func TestACompromisedKeyIsRememberedWithoutItsCertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := tidied(t, nil)
		request := csr(t, newKey(t, elliptic.P256()), "www.example.com")
		resp := m.write("sign/web", map[string]any{"csr": request})
		m.write("revoke", map[string]any{"serial_number": resp.Data["serial_number"], "reason": "key_compromise"})
		m.passes(4)
		m.idles(410)
		status := m.tidy(everything(nil))
		require.Equal(t, 1, status["revoked_cert_deleted_count"])
		require.Len(t, m.stored("compromised/"), 1)
		require.Contains(t, m.refused("sign/web", map[string]any{"csr": request}), "has expired since")
	})
}

// What budgets have counted stays counted when the record of the order is erased, also where no pass has settled it yet.
func TestABudgetCountsWhatIsTidied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := tidied(t, nil)
		const budgets = 40 // a pass looks at one of them
		for i := range budgets {
			m.write(fmt.Sprintf("budgets/b%d", i), map[string]any{"period": "year", "max_orders": 3})
		}
		revokes(m)
		m.everyMinute(10)
		require.Empty(t, m.stored("order/open/"))
		time.Sleep(210 * day)
		m.start()
		m.write("tidy", everything(map[string]any{"order_safety_buffer": "24h", "lose_spending_history": true}))
		synctest.Wait()
		require.Equal(t, 1, m.read("tidy-status").Data["order_deleted_count"])
		m.everyMinute(budgets + 10)
		for i := range budgets {
			require.Equal(t, 1, m.budgetUsage(fmt.Sprintf("b%d", i))["orders"])
		}
	})
}

// Personal data of a signer go from the record once all is over; what the order cost, and who has asked by which entity, stays.
func TestASignersPersonalDataGo(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := &certinexttest.Server{Dialect: dialect}
		m := signers(t, ca)
		order := m.as("orders/signer", map[string]any{
			"csr": csr(t, newKey(t, elliptic.P256()), "Platform Team"), "subject": map[string]any{"designation": "Registrar"},
			"owner": "owner@example.com",
		}).Data
		path := "orders/signer/" + order["order_id"].(string)
		m.as(path+"/documents", map[string]any{
			"file_name": "passport.pdf", "description": "passport", "content": base64.StdEncoding.EncodeToString([]byte(aPDF)),
		})
		require.NoError(t, ca.Approve(order["ca_order_id"].(string)))
		time.Sleep(time.Minute)
		m.pass()
		m.as(path+"/collect", nil)
		m.passes(30)
		personal := map[string]any{"tidy_personal_data": true}
		require.Equal(t, map[string]int{"safety_buffer": 1}, stays(m.tidy(personal), "personal_data"))
		m.idles(40)
		require.Equal(t, map[string]int{"subscription": 1}, stays(m.tidy(personal), "personal_data"), "it may be reissued")
		m.idles(1500)
		require.Equal(t, 1, m.tidy(personal)["personal_data_erased_count"])
		m.passes(3) // what is listed is saved
		require.NotEmpty(t, m.stored("index/"))
		for _, told := range m.stored("index/order") {
			require.NotContains(t, told, "Platform")
			require.NotContains(t, told, "owner@example.com")
		}
		for _, told := range m.stored("order/closed/") {
			for _, word := range []string{
				"Platform", "platform@example.com", "Registrar", "passport", "Bengaluru", "Karnataka", "203.0.113", "4155550123", "owner@example.com",
				"BEGIN CERTIFICATE REQUEST",
			} {
				require.NotContains(t, told, word)
			}
			require.Contains(t, told, "entity-a")
		}
		after := m.read(path).Data
		require.Equal(t, "issued", after["state"])
		require.Contains(t, lastLines(after), "personal data erased")
		require.Zero(t, m.tidy(personal)["personal_data_erased_count"], "once")
		require.Equal(t, 1, m.query("reports/spend", nil)["orders_read"])
	})
}

// The mount is tidied by itself: not at once after a start, then every interval, and not while it is not enabled.
func TestAMountIsTidiedByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := old(t)
		require.Contains(t, m.refused("config/auto-tidy", map[string]any{"enabled": true}), "tidy_cert_store")
		require.Contains(t, m.refused("config/auto-tidy", map[string]any{"enabled": true, "tidy_orders": true, "order_safety_buffer": "48h"}), "lose_spending_history")
		require.Equal(t, false, m.read("config/auto-tidy").Data["enabled"])
		m.write("config/auto-tidy", map[string]any{"enabled": true, "tidy_cert_store": true, "interval_duration": "24h"})
		m.start()
		m.pass()
		synctest.Wait()
		require.Equal(t, "Inactive", m.read("tidy-status").Data["state"], "a start has other work")
		time.Sleep(6 * time.Minute)
		m.pass()
		synctest.Wait()
		status := m.read("tidy-status").Data
		require.Equal(t, []any{"Finished", true, 4}, []any{status["state"], status["auto"], status["cert_store_deleted_count"]})
		require.Equal(t, status["time_finished"], status["last_auto_tidy_finished"])
		require.Len(t, m.stored("cert/"), 1, "the revoked one was not asked for")
		m.write("config/auto-tidy", map[string]any{"tidy_revoked_certs": true})
		require.Equal(t, int64(86400), m.read("config/auto-tidy").Data["interval_duration"])
		time.Sleep(23 * time.Hour)
		m.pass()
		synctest.Wait()
		require.Len(t, m.stored("cert/"), 1)
		time.Sleep(time.Hour)
		m.pass()
		synctest.Wait()
		require.Empty(t, m.stored("cert/"))
		m.write("config/auto-tidy", map[string]any{"enabled": false, "tidy_orders": true})
		time.Sleep(48 * time.Hour)
		m.pass()
		synctest.Wait()
		require.NotEmpty(t, m.stored("order/closed/"))
		last := m.read("tidy-status").Data["last_auto_tidy_finished"]
		m.tidy(everything(nil))
		require.Equal(t, last, m.read("tidy-status").Data["last_auto_tidy_finished"], "that one was asked for")
	})
}

// Fields of Vault's PKI engine about what this engine does not have are accepted with their defaults, and refused by name otherwise.
func TestFieldsOfPKIAboutOtherThingsAreRefusedByName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := tidied(t, nil)
		for field, v := range map[string]any{
			"tidy_revocation_list": true, "tidy_revoked_cert_issuer_associations": true, "tidy_expired_issuers": true,
			"tidy_move_legacy_ca_bundle": true, "tidy_acme": true, "tidy_revocation_queue": true,
			"tidy_cross_cluster_revoked_certs": true, "tidy_cmpv2_nonce_store": true, "tidy_cert_metadata": true,
			"issuer_safety_buffer": "1h", "acme_account_safety_buffer": "1h", "revocation_queue_safety_buffer": "1h",
			"safety_buffer": "0s", "pause_duration": "soon", "order_safety_buffer": "1h", "no_such_field": true,
		} {
			for _, path := range []string{"tidy", "config/auto-tidy"} {
				require.Contains(t, m.refused(path, map[string]any{"tidy_cert_store": true, field: v}), field, path)
			}
		}
		for _, field := range []string{"min_startup_backoff_duration", "max_startup_backoff_duration"} {
			require.Contains(t, m.refused("config/auto-tidy", map[string]any{field: "1h"}), field)
		}
		m.write("config/auto-tidy", map[string]any{
			"enabled": true, "interval_duration": "12h", "tidy_cert_store": true, "tidy_revoked_certs": true, "tidy_acme": false,
			"issuer_safety_buffer": "8760h", "acme_account_safety_buffer": 2592000, "revocation_queue_safety_buffer": "48h",
			"safety_buffer": "72h", "pause_duration": "0s", "min_startup_backoff_duration": "5m", "max_startup_backoff_duration": "15m",
			"maintain_stored_certificate_counts": false, "publish_stored_certificate_count_metrics": false,
		})
		require.Contains(t, m.write("tidy", nil).Warnings[0], "Nothing was begun")
		require.Equal(t, "Inactive", m.read("tidy-status").Data["state"])
		require.Nil(t, m.read("tidy-status").Data["time_started"])
	})
}
