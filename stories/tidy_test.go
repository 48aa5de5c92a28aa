// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// everything has all go that may go.
func everything(more map[string]any) map[string]any {
	all := map[string]any{
		"tidy_cert_store": true, "tidy_revoked_certs": true, "tidy_orders": true, "tidy_refused_orders": true,
		"tidy_reuse_keys": true, "tidy_personal_data": true,
	}
	maps.Copy(all, more)
	return all
}

// tidy tidies the mount, after a dry run that has to come to the same, and returns its status.
func (m *mount) tidy(request map[string]any) map[string]any {
	m.t.Helper()
	before := m.storage.dump(m.t)
	m.write("tidy", having(request, "dry_run", true))
	synctest.Wait()
	dry := m.read("tidy-status").Data
	require.Equal(m.t, "Finished", dry["state"], "%v", dry["error"])
	require.Equal(m.t, true, dry["dry_run"])
	require.Equal(m.t, before, m.storage.dump(m.t), "a dry run has written")
	m.write("tidy", request)
	synctest.Wait()
	status := m.read("tidy-status").Data
	require.Equal(m.t, "Finished", status["state"], "%v", status["error"])
	require.Equal(m.t, results(dry), results(status), "the dry run said otherwise")
	return status
}

func having(data map[string]any, name string, value any) map[string]any {
	out := maps.Clone(data)
	if out == nil {
		out = make(map[string]any)
	}
	out[name] = value
	return out
}

// results are what a tidying came to.
func results(status map[string]any) map[string]any {
	out := make(map[string]any)
	for name, v := range status {
		if strings.HasSuffix(name, "_count") || name == "kept" {
			out[name] = v
		}
	}
	return out
}

// stays says why certificates or records stay, and how many.
func stays(status map[string]any, kind string) map[string]int {
	reasons, _ := status["kept"].(map[string]any)[kind].(map[string]int)
	return reasons
}

func key(serial any) string { return strings.ReplaceAll(serial.(string), ":", "-") }

// rests lets time pass, with a pass of the background now and then.
func (m *mount) idles(days int) {
	m.t.Helper()
	for range days / 10 {
		time.Sleep(10 * day)
		m.pass()
		synctest.Wait()
	}
	time.Sleep(time.Duration(days%10) * day)
	m.pass()
	synctest.Wait()
}

func tidied(t *testing.T, role map[string]any) *mount {
	t.Helper()
	m := newMount(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}})
	m.system.MaxLeaseTTLVal = 400 * day
	all := map[string]any{
		"product_code": "842", "product_variant": "dv", "allowed_domains": "example.com",
		"allow_subdomains": true, "generate_lease": false,
	}
	maps.Copy(all, role)
	m.write("roles/web", all)
	return m
}

func TestACertificateGoesWithAllThatIsOnlyAboutItOnceItsTermIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := tidied(t, map[string]any{"renew_ahead": "10%", "revocation_delay": "1h", "generate_lease": true})
		m.patchRole(map[string]any{"renew_ahead": "0"})
		m.write("roles/web", having(map[string]any{
			"product_code": "842", "product_variant": "dv", "allowed_domains": "example.com", "allow_subdomains": true,
		}, "renewal", "reissue"))
		resp := m.write("issue/web", map[string]any{"common_name": "www.example.com"})
		serial := key(resp.Data["serial_number"])
		m.passes(3)
		listed := func() (n int) {
			for _, page := range m.stored("index/") {
				n += strings.Count(page, serial)
			}
			return n
		}
		require.Positive(t, listed(), "it is listed, and that is saved")
		chains := m.stored("chain/")
		require.Len(t, m.stored("renewal/newest/"), 1)
		require.Len(t, m.stored("number/"), 1)

		status := m.tidy(everything(nil))
		require.Equal(t, map[string]int{"not_expired": 1}, stays(status, "certificates"))
		require.Equal(t, map[string]int{"spending": 1}, stays(status, "orders"))

		m.idles(220)
		status = m.tidy(everything(nil))
		require.Equal(t, map[string]int{"subscription": 1}, stays(status, "certificates"), "it may be reissued for what was paid")
		require.Equal(t, map[string]int{"spending": 1}, stays(status, "orders"))

		m.idles(150) // a year and some days: the term is over
		status = m.tidy(everything(nil))
		require.Equal(t, 1, status["cert_store_deleted_count"])
		require.Empty(t, m.stored("cert/"))
		require.Empty(t, m.stored("number/"))
		require.Empty(t, m.stored("renewal/newest/"))
		require.Equal(t, chains, m.stored("chain/"))
		require.Equal(t, map[string]int{"spending": 1}, stays(status, "orders"), "the past year is told by reports/spend")
		require.Equal(t, 1, m.query("reports/spend", nil)["orders_read"])
		_, err := m.send(call{op: logical.ReadOperation, path: "cert/" + serial})
		require.NoError(t, err)

		m.idles(40)
		status = m.tidy(everything(nil))
		require.Equal(t, 1, status["order_deleted_count"])
		require.Empty(t, m.stored("order/"))
		m.passes(3)
		require.Zero(t, listed())
	})
}

func TestNothingGoesThatIsStillNeeded(t *testing.T) {
	year := 366
	for name, c := range map[string]struct {
		role  map[string]any
		told  func(m *mount)
		days  int
		more  map[string]any // of the request to tidy
		kind  string
		stays map[string]int
		goes  map[string]any // counts of what goes all the same
	}{
		"a certificate that has just expired": {
			told: issues, days: 200, more: map[string]any{"safety_buffer": "4000h"},
			kind: "certificates", stays: map[string]int{"safety_buffer": 1},
		},
		"what nobody wants tidied": {
			told: issues, days: year, more: map[string]any{"tidy_cert_store": false},
			kind: "certificates", stays: map[string]int{"not_asked": 1},
		},
		"the record of an order whose certificate stays": {
			told: issues, days: 410, more: map[string]any{"tidy_cert_store": false},
			kind: "orders", stays: map[string]int{"certificate": 1},
		},
		"an order of the past year": {
			told: issues, days: 380,
			kind: "orders", stays: map[string]int{"spending": 1}, goes: map[string]any{"cert_store_deleted_count": 1},
		},
		"an order of the past year, unless told": {
			told: issues, days: 380, more: map[string]any{"order_safety_buffer": "24h", "lose_spending_history": true},
			kind: "orders", goes: map[string]any{"order_deleted_count": 1, "cert_store_deleted_count": 1},
		},
		"the order of a named request": {
			told: func(m *mount) {
				m.write("issue/web", map[string]any{"common_name": "www.example.com", "request_id": "mine"})
			},
			days: 410, kind: "orders", stays: map[string]int{"request_id": 1}, goes: map[string]any{"cert_store_deleted_count": 1},
		},
		"the order of a named request, unless told": {
			told: func(m *mount) {
				m.write("issue/web", map[string]any{"common_name": "www.example.com", "request_id": "mine"})
			},
			more: map[string]any{"tidy_named_orders": true}, days: 410,
			kind: "orders", goes: map[string]any{"cert_store_deleted_count": 1, "order_deleted_count": 1},
		},
		"the record of a refused order, for a while": {
			told: refuses, days: 20, kind: "refused_orders", stays: map[string]int{"safety_buffer": 1},
		},
		"the record of a refused order": {
			told: refuses, days: 40, kind: "refused_orders", goes: map[string]any{"refused_order_deleted_count": 1},
		},
		"a certificate that was revoked, while it is valid": {
			told: revokes, days: 100, kind: "revoked_certificates", stays: map[string]int{"not_expired": 1},
		},
		"a certificate that was revoked": {
			told: revokes, days: 210, kind: "revoked_certificates", goes: map[string]any{"revoked_cert_deleted_count": 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := tidied(t, c.role)
				c.told(m)
				m.passes(4)
				m.idles(c.days)
				status := m.tidy(everything(c.more))
				require.Equal(t, c.stays, stays(status, c.kind), "%v", status["kept"])
				for field, v := range results(status) {
					if field != "kept" {
						want := c.goes[field]
						if want == nil {
							want = 0
						}
						require.Equal(t, want, v, "%s: %v", field, results(status))
					}
				}
				again := m.tidy(everything(c.more))
				for field, v := range results(again) {
					if field != "kept" {
						require.Zero(t, v, "%s: it went before", field)
					}
				}
			})
		})
	}
}

func issues(m *mount) { m.write("issue/web", map[string]any{"common_name": "www.example.com"}) }

func revokes(m *mount) {
	resp := m.write("issue/web", map[string]any{"common_name": "www.example.com"})
	m.write("revoke", map[string]any{"serial_number": resp.Data["serial_number"]})
	require.Len(m.t, m.list("certs/revoked"), 1)
}

func refuses(m *mount) {
	m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultRefusal, Text: "Invalid Product.", Times: 1})
	_, _ = m.attempt("issue/web", map[string]any{"common_name": "www.example.com"})
}
