// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"bytes"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	certinextsecrets "github.com/certinext/vault-plugin-secrets-certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// entityOfAnn stands for a requester with an identity.
const entityOfAnn = "6c1f0c52-0000-4000-8000-00000000a11e"

// stocked is a mount with certificates of two roles, one of them revoked and one queued to be, and an open order.
func stocked(t *testing.T) (m *mount, serials map[string]string) {
	t.Helper()
	m = newMount(t, monthly(certinexttest.Live))
	m.write("roles/mail", map[string]any{
		"product_code": "842", "product_variant": "dv", "allowed_domains": "example.com,example.net", "allow_subdomains": true, "allow_bare_domains": true,
		"key_type": "rsa", "key_bits": 2048,
	})
	serials = make(map[string]string)
	issue := func(role, name string) {
		resp := m.must(call{
			op: logical.UpdateOperation, path: "issue/" + role, entity: entityOfAnn,
			data: map[string]any{"common_name": name, "owner": "team-" + role},
		})
		serials[name] = resp.Data["serial_number"].(string)
	}
	issue("web", "a.example.com")
	issue("web", "b.example.com")
	time.Sleep(5 * 24 * time.Hour)
	issue("mail", "c.example.com")
	serials["d.example.com"] = m.write("issue/web", map[string]any{"common_name": "d.example.com"}).Data["serial_number"].(string)
	m.write("revoke", map[string]any{"serial_number": serials["b.example.com"]})
	time.Sleep(time.Minute)
	require.True(t, m.attemptIsRefused("issue/mail", map[string]any{"common_name": "www.example.net"}), "it waits for its domain")
	return m, serials
}

func (m *mount) attemptIsRefused(path string, data map[string]any) bool {
	m.t.Helper()
	resp, err := m.attempt(path, data)
	return err == nil && resp.IsError()
}

// found are the first names of the certificates that a search finds.
func (m *mount) found(path string, query map[string]any) []string {
	m.t.Helper()
	names := []string{}
	for _, row := range m.query(path, query)["certificates"].([]map[string]any) {
		names = append(names, row["names"].([]string)[0])
	}
	return names
}

func TestCertificatesAreSearched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, serials := stocked(t)
		all := m.query("inventory/certs", nil)
		require.Equal(t, true, all["complete"])
		require.Equal(t, 4, all["total"])
		require.Empty(t, all["next"])
		first := all["certificates"].([]map[string]any)[0]
		require.Contains(t, []any{serials["a.example.com"], serials["b.example.com"]}, first["serial_number"])
		for name, c := range map[string]struct {
			path  string
			query map[string]any
			want  []string
		}{
			"a name":                {"inventory/certs", map[string]any{"name": "A.example.com"}, []string{"a.example.com"}},
			"a role":                {"inventory/certs", map[string]any{"role": "mail"}, []string{"c.example.com"}},
			"a role in the path":    {"inventory/certs/mail", nil, []string{"c.example.com"}},
			"another role":          {"inventory/certs/mail", map[string]any{"name": "a.example.com"}, []string{}},
			"a requester":           {"inventory/certs", map[string]any{"requester": "entity:" + entityOfAnn, "role": "web", "state": "valid"}, []string{"a.example.com"}},
			"an owner":              {"inventory/certs", map[string]any{"owner": "team-mail"}, []string{"c.example.com"}},
			"revoked ones":          {"inventory/certs", map[string]any{"state": "revoked"}, []string{"b.example.com"}},
			"a key":                 {"inventory/certs", map[string]any{"key_type": "rsa-2048"}, []string{"c.example.com"}},
			"another key":           {"inventory/certs", map[string]any{"key_type": "ec-256", "sort": "-name", "state": "valid"}, []string{"d.example.com", "a.example.com"}},
			"those that end soon":   {"inventory/certs", map[string]any{"expires_within": "26d"}, []string{"a.example.com"}},
			"those that end later":  {"inventory/certs", map[string]any{"expires_within": "720h", "sort": "name"}, []string{"a.example.com", "c.example.com", "d.example.com"}},
			"a text":                {"inventory/certs", map[string]any{"text": "TEAM-MAIL"}, []string{"c.example.com"}},
			"part of a serial":      {"inventory/certs", map[string]any{"text": serials["d.example.com"][6:]}, []string{"d.example.com"}},
			"an issuer":             {"inventory/certs", map[string]any{"issuer": first["issuer"], "name": "d.example.com"}, []string{"d.example.com"}},
			"an issuer that is not": {"inventory/certs", map[string]any{"issuer": "Nobody CA"}, []string{}},
		} {
			require.Equal(t, c.want, m.found(c.path, c.query), name)
		}
		for query, why := range map[string]string{
			"limit=0":           "limit: must be between 1 and 1000",
			"limit=1001":        "limit: must be between 1 and 1000",
			"sort=price":        `sort: "price" is none of not_after, not_before`,
			"sort=created_at":   `sort: "created_at" is none of`,
			"state=lost":        `state: "lost" is none of valid, expired, revoked, held`,
			"after=x":           "after: is no value of next",
			"format=xml":        `format: "xml" is not json or csv`,
			"encoding=hex":      `encoding: "hex" is not raw or base64`,
			"expires_within=-1": "expires_within",
			"price=1":           "price",
		} {
			field, value, _ := strings.Cut(query, "=")
			require.Contains(t, m.unreadable("inventory/certs", map[string]any{field: value}), why, query)
		}
		time.Sleep(40 * 24 * time.Hour)
		require.Len(t, m.found("inventory/certs", map[string]any{"state": "expired"}), 3)
		require.Equal(t, []string{"b.example.com"}, m.found("inventory/certs", map[string]any{"state": "revoked"}))
		names, pages := m.walk("inventory/certs", map[string]any{"limit": 1, "sort": "-name"}, "certificates", "serial_number")
		require.Equal(t, 4, pages)
		require.Equal(t, []string{serials["d.example.com"], serials["c.example.com"], serials["b.example.com"], serials["a.example.com"]}, names)
	})
}

func TestOrdersAreSearched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, serials := stocked(t)
		orders := func(path string, query map[string]any) []string {
			return column(t, m.query(path, query), "orders", "state")
		}
		require.Len(t, orders("inventory/orders", nil), 5)
		require.Equal(t, []string{"pending"}, orders("inventory/orders", map[string]any{"waits_for": "domain-owner"}))
		require.Equal(t, []string{"pending"}, orders("inventory/orders/mail", map[string]any{"state": "pending"}))
		require.Equal(t, []string{"pending", "issued"}, orders("inventory/orders", map[string]any{"role": "mail"}), "the latest comes first")
		require.Empty(t, orders("inventory/orders/web", map[string]any{"state": "pending"}))
		row := m.query("inventory/orders", map[string]any{"name": "a.example.com"})["orders"].([]map[string]any)[0]
		order := m.read("orders/web/" + row["order_id"].(string)).Data
		for _, field := range []string{"state", "waits_for", "role", "owner", "created_at", "updated_at", "ca_order_id", "serial_number", "subscription_end"} {
			require.Equal(t, order[field], row[field], field)
		}
		require.Equal(t, serials["a.example.com"], row["serial_number"])
		require.Equal(t, "ec-256", row["key_type"])
		require.NotEmpty(t, row["issuer"])
		cert := m.read("cert/" + serials["a.example.com"]).Data
		require.Equal(t, cert["not_after"], row["not_after"])

		m.everyMinute(30) // the orders are closed, and their keys erased
		require.Equal(t, 0, m.query("inventory/orders", map[string]any{"state": "pending", "name": "a.example.com"})["total"])
		row = m.query("inventory/orders", map[string]any{"name": "b.example.com"})["orders"].([]map[string]any)[0]
		require.NotEmpty(t, row["revoked_at"])
		require.Contains(t, m.unreadable("inventory/orders", map[string]any{"sort": "not_after"}), "created_at, updated_at")
		open := m.query("inventory/orders/mail", map[string]any{"state": "pending"})["orders"].([]map[string]any)[0]
		m.must(call{op: logical.DeleteOperation, path: "orders/mail/" + open["order_id"].(string)})
		require.Equal(t, []string{"cancelled"}, orders("inventory/orders", map[string]any{"text": open["order_id"]}))
	})
}

func TestAListTellsMoreThanKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, serials := stocked(t)
		detailed := func(path string, data map[string]any) (keys []string, info map[string]any) {
			resp := m.must(call{op: logical.ListOperation, path: path, data: data})
			require.Empty(t, resp.Warnings)
			return resp.Data["keys"].([]string), resp.Data["key_info"].(map[string]any)
		}
		keys, info := detailed("certs", nil)
		require.Len(t, keys, 4)
		require.Len(t, info, 4)
		mail := info[serials["c.example.com"]].(map[string]any)
		require.Equal(t, []string{"c.example.com"}, mail["names"].([]string)[:1])
		require.Equal(t, "mail", mail["role"])
		require.Equal(t, "entity:"+entityOfAnn, mail["requester"])
		require.Equal(t, "team-mail", mail["owner"])
		require.Equal(t, "rsa-2048", mail["key_type"])
		require.Equal(t, "valid", mail["state"])
		require.Empty(t, mail["revoked_at"])
		require.NotEmpty(t, mail["subscription_end"])
		nameless := info[serials["d.example.com"]].(map[string]any)["requester"]
		require.Regexp(t, "^token-[0-9a-f]{12}$", nameless, "by its accessor, a token can be revoked")

		keys, info = detailed("certs", map[string]any{"limit": 1})
		require.Len(t, info, 1)
		require.Contains(t, info, keys[0])
		keys, info = detailed("certs/revoked", nil)
		require.Equal(t, []string{serials["b.example.com"]}, keys)
		require.NotEmpty(t, info[keys[0]].(map[string]any)["revoked_at"])

		ids, info := detailed("orders/mail", nil)
		require.Len(t, ids, 2)
		waiting := 0
		for _, id := range ids {
			if o := info[id].(map[string]any); o["state"] == "pending" {
				require.Equal(t, "domain-owner", o["waits_for"])
				require.Equal(t, "www.example.net", o["names"].([]string)[0])
				waiting++
			}
		}
		require.Equal(t, 1, waiting)
		keys, info = detailed("orders", nil)
		require.Len(t, keys, 5)
		require.True(t, slices.IsSorted(keys))
		for _, key := range keys {
			require.Equal(t, m.read("orders/" + key).Data["state"], info[key].(map[string]any)["state"])
		}
		require.Equal(t, keys[1:3], m.keysOf("orders", map[string]any{"after": keys[0], "limit": 2}))
		require.Empty(t, m.list("orders/nothing"))
	})
}

func TestACertificateShowsWhatItIsAndWhatHasHappenedToIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, serials := stocked(t)
		cert := m.read("cert/" + serials["c.example.com"]).Data
		require.Equal(t, "c.example.com", cert["names"].([]string)[0])
		require.Contains(t, cert["subject"], "CN=c.example.com")
		require.Equal(t, "rsa", cert["key_type"])
		require.Equal(t, 2048, cert["key_bits"])
		require.Equal(t, "valid", cert["state"])
		require.Equal(t, "team-mail", cert["owner"])
		require.Equal(t, "order", cert["origin"])
		require.Equal(t, time.Unix(cert["expiration"].(int64), 0).UTC().Format(time.RFC3339), cert["not_after"])
		leaf := certificatesIn(t, []byte(cert["certificate"].(string)))[0]
		require.Equal(t, leaf.NotBefore.UTC().Format(time.RFC3339), cert["not_before"])
		require.Equal(t, leaf.Issuer.String(), cert["issuer"])
		chain := cert["chain"].([]map[string]any)
		require.NotEmpty(t, chain)
		require.Equal(t, cert["issuer"], chain[0]["subject"])
		what := func(serial string) (all []string) {
			for _, e := range m.read("cert/" + serial).Data["history"].([]map[string]any) {
				require.NotEmpty(t, e["at"])
				all = append(all, e["what"].(string))
			}
			return all
		}
		require.Equal(t, []string{"issued: received from CERTInext", "handed over"}, what(serials["c.example.com"]))
		require.Equal(t, []string{"issued: received from CERTInext", "handed over", "revoked: cessation-of-operation"}, what(serials["b.example.com"]))
		m.write("issue/web", map[string]any{"common_name": "d.example.com"})
		require.Contains(t, what(serials["d.example.com"]), "handed over again: 2 times in all")
		m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpRevoke, Kind: certinexttest.FaultServerError})
		m.write("revoke", map[string]any{"serial_number": serials["d.example.com"]})
		require.Contains(t, what(serials["d.example.com"]), "its revocation was queued")
		time.Sleep(40 * 24 * time.Hour)
		require.Contains(t, what(serials["a.example.com"]), "expired")
		m.absent("cert/0a-0b")
	})
}

func TestTheInventoryIsAFileThatNoSpreadsheetRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, serials := stocked(t)
		m.write("issue/web", map[string]any{"common_name": "e.example.com", "owner": "=HYPERLINK(\"http://evil\")"})
		body, kind := m.raw("inventory/certs", "format=csv", "sort=name", "limit=3")
		require.Equal(t, "text/csv; charset=utf-8", kind)
		rows, err := csv.NewReader(bytes.NewReader(body)).ReadAll()
		require.NoError(t, err)
		require.Len(t, rows, 4)
		require.Equal(t, "serial_number", rows[0][0])
		require.Equal(t, serials["a.example.com"], rows[1][0])
		require.Equal(t, []string{"complete", "next"}, rows[0][len(rows[0])-2:])
		require.Equal(t, "true", rows[1][len(rows[0])-2])
		rest, _ := m.raw("inventory/certs", "format=csv", "sort=name", "limit=3", "after="+rows[1][len(rows[0])-1])
		require.Contains(t, string(rest), "'=HYPERLINK")
		require.NotContains(t, string(rest), serials["a.example.com"])
		orders := m.query("inventory/orders", map[string]any{"format": "csv", "encoding": "base64"})
		require.Equal(t, "orders.csv", orders["file_name"])
		text, err := base64.StdEncoding.DecodeString(orders["content"].(string))
		require.NoError(t, err)
		rows, err = csv.NewReader(bytes.NewReader(text)).ReadAll()
		require.NoError(t, err)
		require.Len(t, rows, 7)
		require.Equal(t, "order_id", rows[0][0])
	})
}

// inventoryOf is all that is listed of certificates and orders, one row a line.
func (m *mount) inventoryOf() (rows []string) {
	m.t.Helper()
	for path, list := range map[string]string{"inventory/certs": "certificates", "inventory/orders": "orders"} {
		data := m.query(path, map[string]any{"limit": 1000, "sort": "name"})
		require.Equal(m.t, true, data["complete"])
		for _, row := range data[list].([]map[string]any) {
			text, err := json.Marshal(row)
			require.NoError(m.t, err)
			rows = append(rows, string(text))
		}
	}
	slices.Sort(rows)
	return rows
}

// withoutTimes leaves out when a pass has last looked at an order.
func withoutTimes(rows []string) (out []string) {
	for _, row := range rows {
		out = append(out, regexp.MustCompile(`"updated_at":"[^"]*"`).ReplaceAllString(row, ""))
	}
	return out
}

func TestTheInventoryOutlivesItsProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := stocked(t)
		m.everyMinute(30)
		require.NotEmpty(t, m.stored("index/"))
		before := m.inventoryOf()
		m.start()
		require.Equal(t, before, m.inventoryOf())
		// What comes after the last pass is not in its pages.
		late := m.issue("late.example.com")
		m.write("revoke", map[string]any{"serial_number": m.list("certs")[0], "note": "whichever it is"})
		m.start()
		before = m.inventoryOf()
		require.Contains(t, strings.Join(before, " "), "late.example.com")
		m.start()
		require.Equal(t, before, m.inventoryOf())
		require.Equal(t, []string{"late.example.com"}, m.found("inventory/certs", map[string]any{"text": late["serial_number"]}))
	})
}

// TestARevocationAfterTheLatestPassIsListedAfterAStart: of a certificate that is not recent, so that its entry is not read for that.
func TestARevocationAfterTheLatestPassIsListedAfterAStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, serials := stocked(t)
		time.Sleep(10 * 24 * time.Hour)
		m.everyMinute(3)
		m.write("revoke", map[string]any{"serial_number": serials["c.example.com"]})
		m.start()
		require.Equal(t, []string{"b.example.com", "c.example.com"}, m.found("inventory/certs", map[string]any{"state": "revoked", "sort": "name"}))
	})
}

func TestTheInventoryOutlivesAFaultWhileItIsSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := stocked(t)
		m.everyMinute(1)
		for writes := range 4 {
			m.issue(fmt.Sprintf("late-%d.example.com", writes))
			left := writes
			m.storage.failing(func(key string) error {
				if !strings.HasPrefix(key, "index/") {
					return nil
				}
				if left--; left < 0 {
					return errors.New("storage is full")
				}
				return nil
			})
			m.everyMinute(1)
			m.storage.failing(nil)
			before := m.inventoryOf()
			m.start()
			m.pass() // what was handed over is not in its order's entry (ADR 0005)
			require.Equal(t, withoutTimes(before), withoutTimes(m.inventoryOf()), "after %d writes", writes)
		}
	})
}

func TestAPageOfTheInventoryThatIsDamagedIsMadeAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := stocked(t)
		m.everyMinute(30)
		before := m.inventoryOf()
		pages := m.stored("index/")
		require.Len(t, pages, 2)
		for key := range pages {
			m.store(key, `{"version":1,"words":["w`)
		}
		m.start()
		require.Equal(t, before, m.inventoryOf())
		m.everyMinute(2)
		m.start()
		require.Equal(t, before, m.inventoryOf())
		for key, page := range m.stored("index/") {
			require.True(t, json.Valid([]byte(page)), key)
		}
	})
}

// TestAStandbyListsWhatTheActiveNodeHasDone: Vault tells it which entries have changed.
func TestAStandbyListsWhatTheActiveNodeHasDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, serials := stocked(t)
		b, err := certinextsecrets.FactoryWith(certinextsecrets.Options{HTTPClient: m.ca.Client(), Now: m.now, Resolvers: []string{noResolver}})(
			t.Context(), &logical.BackendConfig{Logger: hclog.NewNullLogger(), System: &logical.StaticSystemView{}, StorageView: m.storage})
		require.NoError(t, err)
		t.Cleanup(func() { b.Cleanup(t.Context()) })
		active, standby := m.backend, b
		onStandby := func() []string {
			m.backend = standby
			defer func() { m.backend = active }()
			return m.inventoryOf()
		}
		m.everyMinute(30) // an order's entry says only then that its certificate was handed over (ADR 0005)
		require.Equal(t, m.inventoryOf(), onStandby())
		before := m.stored("")
		m.issue("late.example.com")
		m.write("revoke", map[string]any{"serial_number": serials["c.example.com"]})
		m.everyMinute(30)
		after := m.stored("")
		for key, value := range after {
			if before[key] != value {
				standby.InvalidateKey(t.Context(), key)
			}
		}
		for key := range before {
			if _, there := after[key]; !there {
				standby.InvalidateKey(t.Context(), key)
			}
		}
		require.Equal(t, m.inventoryOf(), onStandby())
		require.Contains(t, strings.Join(onStandby(), " "), "late.example.com")
	})
}

// TestIssuingDoesNotWaitForTheInventory: what it takes to read what is stored, requests go on meanwhile.
func TestIssuingDoesNotWaitForTheInventory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		m.storedBefore(5000, nil)
		for key := range m.stored("index/") {
			require.NoError(t, m.storage.under().Delete(t.Context(), key))
		}
		m.start()
		m.pass()
		begun := time.Now()
		data := m.query("inventory/certs", map[string]any{"limit": 1})
		require.Equal(t, false, data["complete"])
		require.LessOrEqual(t, time.Since(begun), time.Second)
		begun = time.Now()
		issued := m.issue("meanwhile.example.com")
		require.LessOrEqual(t, time.Since(begun), 5*time.Second)
		require.Equal(t, []string{"meanwhile.example.com"}, m.found("inventory/certs", map[string]any{"text": issued["serial_number"]}))
		m.start()
		resp := m.must(call{op: logical.ListOperation, path: "certs", data: map[string]any{"after": "01:00:12"}})
		require.Contains(t, strings.Join(resp.Warnings, " "), "key_info is missing")
		time.Sleep(time.Minute)
		data = m.query("inventory/certs", map[string]any{"limit": 1})
		require.Equal(t, true, data["complete"])
		require.Equal(t, 5002, data["total"])
	})
}

func TestThousandsAreListedPageByPage(t *testing.T) {
	atSize(t)
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		const n = 4000
		m.storedBefore(n, nil)
		m.upgraded(n)
		for range 2 {
			serials, pages := m.walk("inventory/certs", map[string]any{"limit": 500}, "certificates", "serial_number")
			require.Len(t, serials, n+1)
			require.Equal(t, 9, pages)
			slices.Sort(serials)
			require.Len(t, slices.Compact(serials), n+1)
			require.Equal(t, n+1, m.query("inventory/orders", nil)["total"])
			m.start()
		}
		resp := m.must(call{op: logical.ListOperation, path: "certs"})
		require.Len(t, resp.Data["keys"], n+1)
		require.Len(t, resp.Data["key_info"], 1000)
		for key, page := range m.stored("index/") {
			require.Less(t, len(page), 512<<10, key)
		}
	})
}

// What a term has cost, and how many certificates it has given, is listed as it is read, before and after a restart.
func TestListsTellWhatASubscriptionCostAndGave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := renewing(t, nil)
		m.write("config", map[string]any{"product_prices": map[string]any{"842": "25.00"}})
		serial := m.issue("www.example.com")["serial_number"].(string)
		m.issue("shop.example.com")
		time.Sleep(130 * day)
		m.pass()
		m.issue("www.example.com")
		for range 2 {
			cert := m.read("cert/" + serial).Data
			require.Equal(t, 2, cert["subscription_certificates"])
			require.Equal(t, "25.00", cert["subscription_price"])
			info := m.must(call{op: logical.ListOperation, path: "certs"}).Data["key_info"].(map[string]any)[serial].(map[string]any)
			orders := m.query("inventory/orders", map[string]any{"name": "www.example.com"})["orders"].([]map[string]any)
			rows := m.query("inventory/certs", map[string]any{"name": "www.example.com"})["certificates"].([]map[string]any)
			require.Len(t, orders, 2)
			for _, row := range append(append(rows, orders...), info) {
				for _, field := range []string{"subscription_end", "subscription_price", "subscription_currency", "subscription_certificates"} {
					require.Equal(t, cert[field], row[field], field)
				}
			}
			shop := m.query("inventory/certs", map[string]any{"name": "shop.example.com"})["certificates"].([]map[string]any)
			require.Equal(t, 1, shop[0]["subscription_certificates"], "another order's are counted")
			m.pass()
			m.start()
		}
	})
}
