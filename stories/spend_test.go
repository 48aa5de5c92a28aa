// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"encoding/base64"
	"encoding/csv"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// spend is the only row of a report of what was spent.
func (m *mount) spend(query map[string]any) map[string]any {
	m.t.Helper()
	data := m.query("reports/spend", query)
	rows := data["spend"].([]map[string]any)
	require.Len(m.t, rows, 1, "%v", data)
	return rows[0]
}

// differences are the kinds of the differences of a report, by CERTInext's numbers of the orders.
func differences(data map[string]any) map[string]string {
	out := make(map[string]string)
	for _, d := range data["differences"].([]map[string]any) {
		out[d["ca_order_id"].(string)] += d["kind"].(string)
	}
	return out
}

func TestSpendingIsReconciledWithTheLedger(t *testing.T) {
	for name, shape := range map[string]certinexttest.LedgerShape{
		"as in the sample": certinexttest.LedgerSample, "as in words": certinexttest.LedgerProse,
	} {
		t.Run(name, func(t *testing.T) {
			dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
				ca := validated(dialect)
				m, other := newMount(t, ca), newMount(t, ca)
				m.paying(shape, false)
				m.write("config", map[string]any{"product_prices": map[string]any{"842": "150.00"}})
				m.issue("www.example.com")
				m.issue("mail.example.com")
				other.issue("theirs.example.com")
				data := m.query("reports/spend", nil)
				require.Equal(t, true, data["ledger_complete"], data)
				require.Equal(t, 3, data["ledger_rows"])
				require.Equal(t, 1, data["ledger_rows_of_others"], "another user of the account is counted")
				require.Equal(t, 2, data["orders_read"])
				require.Empty(t, data["differences"])
				rows := data["spend"].([]map[string]any)
				require.Len(t, rows, 1)
				row := rows[0]
				require.Equal(t, 2, row["orders"])
				require.Equal(t, "300.00", row["expected"])
				require.Equal(t, "300.00", row["charged"])
				require.Equal(t, "0.00", row["refunded"])
				require.Equal(t, 0, row["charge_unknown"])
				require.Equal(t, time.Now().UTC().Format("2006-01"), row["month"])
				require.NotContains(t, fmt.Sprint(data), "theirs", "what others buy is not named")
				require.NotContains(t, fmt.Sprint(data), ca.Orders()[2].ID)
			})
		})
	}
}

func TestSpendingShowsWhatTheLedgerSaysOtherwise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		m.paying(certinexttest.LedgerSample, false)
		m.write("config", map[string]any{"product_prices": map[string]any{"842": "100.00"}})
		dear := m.issue("dear.example.com")["ca_order_id"].(string)
		ca.Configure(func(s *certinexttest.Server) { s.HoldForApproval = true })
		back := m.write("orders/web", map[string]any{"common_name": "back.example.com"}).Data
		m.must(call{op: logical.DeleteOperation, path: "orders/web/" + back["order_id"].(string)})
		ca.Configure(func(s *certinexttest.Server) { s.HoldForApproval = false; s.Billing.LedgerDelay = time.Hour })
		time.Sleep(time.Minute)
		late := m.issue("late.example.com")["ca_order_id"].(string)
		time.Sleep(time.Hour - time.Second)
		data := m.query("reports/spend", nil)
		require.Equal(t, map[string]string{
			dear: "other-amount", back["ca_order_id"].(string): "refundother-amount", late: "not-in-ledger",
		}, differences(data), "the ledger shows a movement an hour late")
		require.Equal(t, map[string]any{"other-amount": 2, "refund": 1, "not-in-ledger": 1}, data["difference_counts"])
		row := data["spend"].([]map[string]any)[0]
		require.Equal(t, "300.00", row["expected"])
		require.Equal(t, "300.00", row["charged"], "of the two that the ledger shows")
		require.Equal(t, "150.00", row["refunded"])
		require.Equal(t, 1, row["charge_unknown"])
		time.Sleep(time.Second)
		require.NotContains(t, m.query("reports/spend", nil)["difference_counts"], "not-in-ledger")
	})
}

// What is not known is never shown as nothing.
func TestSpendingThatIsNotKnownIsNotZero(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := validated(dialect) // whose catalog says 0.0, and whose ledger is empty
		ca.Billing.Ledger = certinexttest.LedgerEmpty
		m := newMount(t, ca)
		m.write("issue/web", www)
		row := m.spend(nil)
		for _, field := range []string{"expected", "charged", "refunded", "currency"} {
			require.Equal(t, "unknown", row[field], field)
		}
		require.Equal(t, 1, row["unpriced"])
		require.Equal(t, 1, row["charge_unknown"])
		data := m.query("reports/spend", nil)
		require.Empty(t, data["differences"], "an empty ledger says nothing")
		notes := fmt.Sprint(data["notes"])
		require.Contains(t, notes, "1 order without a price")
		require.Contains(t, notes, "ledger has no rows")
	})
}

// The ledger fails in every way, and the journal's part of the report is there all the same.
func TestALedgerThatCannotBeReadIsSaid(t *testing.T) {
	for name, f := range map[string]certinexttest.Fault{
		"500":       {Kind: certinexttest.FaultServerError},
		"html":      {Kind: certinexttest.FaultHTML},
		"hangs":     {Kind: certinexttest.FaultLatency, Delay: time.Hour},
		"malformed": {Kind: certinexttest.FaultMalformedJSON},
		"endless":   {Kind: certinexttest.FaultMiddleman, Status: 200, ContentType: "application/json", Body: `{"content":[{"a":1}],"page":1,"size":1,"totalElements":1000000,"totalPages":1000000}`},
		"ends early": {
			Kind: certinexttest.FaultMiddleman, Status: 200, ContentType: "application/json",
			Body: `{"content":[],"page":1,"size":50,"totalElements":70,"totalPages":2}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMount(t, validated(certinexttest.Live))
				m.paying(certinexttest.LedgerSample, false)
				m.write("config", map[string]any{"product_prices": map[string]any{"842": "150.00"}})
				m.issue("www.example.com")
				f.Operation = certinexttest.OpLedger
				m.ca.Inject(f)
				began := time.Now()
				data := m.query("reports/spend", nil)
				require.Less(t, time.Since(began), 45*time.Second)
				require.Equal(t, false, data["ledger_complete"])
				require.NotEmpty(t, data["ledger_problem"])
				require.Contains(t, fmt.Sprint(data["notes"]), "ledger was not read to its end")
				row := data["spend"].([]map[string]any)[0]
				require.Equal(t, "150.00", row["expected"])
				require.Equal(t, "unknown", row["charged"])
				require.Empty(t, data["differences"])
			})
		})
	}
}

func TestSpendingByRoleAndRequester(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		m.write("config", map[string]any{"product_prices": map[string]any{"842": "0.10"}})
		m.write("roles/mail", map[string]any{"product_code": "842", "allowed_domains": "example.com", "allow_subdomains": true})
		m.issue("a.example.com")
		m.issue("b.example.com")
		m.write("issue/mail", map[string]any{"common_name": "c.example.com"})
		m.must(call{op: logical.UpdateOperation, path: "issue/web", entity: "ann", data: map[string]any{"common_name": "d.example.com"}})
		m.refused("issue/web", map[string]any{"common_name": "not.allowed.org"})

		require.Equal(t, "0.40", m.spend(nil)["expected"], "no binary fractions")
		by := map[string]any{}
		data := m.query("reports/spend", map[string]any{"group_by": "role,requester,product"})
		for _, row := range data["spend"].([]map[string]any) {
			require.Equal(t, "842", row["product_code"])
			require.Empty(t, row["month"])
			kind, _, _ := strings.Cut(row["requester"].(string), "-")
			by[row["role"].(string)+" "+kind] = row["expected"]
		}
		require.Equal(t, map[string]any{"web token": "0.20", "mail token": "0.10", "web entity:ann": "0.10"}, by)
		require.Equal(t, 1, m.spend(map[string]any{"requester": "ann"})["orders"])
		require.Equal(t, 1, m.spend(map[string]any{"role": "mail"})["orders"])
		require.Equal(t, 3, m.spend(map[string]any{"role": "web", "product": "842"})["orders"])
		day := time.Now().UTC()
		require.Equal(t, 4, m.spend(map[string]any{"from": day.Format(time.DateOnly), "to": day.Format(time.DateOnly)})["orders"])
		require.Empty(t, m.query("reports/spend", map[string]any{"to": day.AddDate(0, 0, -1).Format(time.DateOnly)})["spend"])
		require.Empty(t, m.query("reports/spend", map[string]any{"role": "none"})["spend"])

		for text, query := range map[string]map[string]any{
			"group_by: \"domain\" is not month": {"group_by": "domain"},
			"from: is not a date":               {"from": "yesterday"},
			"to: is before from":                {"from": "2026-02-01", "to": "2026-01-01"},
			"limit: must be between 1":          {"limit": 0},
			"role: \"../config\" is not":        {"role": "../config"},
			"after: \"web\" is not the next":    {"after": "web"},
			"format: \"xml\" is not":            {"format": "xml"},
			"encoding: \"hex\" is not":          {"format": "csv", "encoding": "hex"},
		} {
			require.Contains(t, m.unreadable("reports/spend", query), text)
		}
	})
}

// The parts of a report add up to the whole, and each order is in one of them.
func TestSpendingGoesOnWhereItWasLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		m.write("config", map[string]any{"product_prices": map[string]any{"842": "1.00"}})
		m.write("roles/mail", map[string]any{"product_code": "842", "allowed_domains": "example.com", "allow_subdomains": true})
		for n := range 5 {
			m.write("issue/web", host(n))
			m.write("issue/mail", host(n))
		}
		ca.Configure(func(s *certinexttest.Server) { s.HoldForApproval = true })
		m.write("orders/web", host(9)) // one that is open
		orders, reads, after := 0, 0, ""
		for {
			data := m.query("reports/spend", map[string]any{"limit": 3, "after": after})
			for _, row := range data["spend"].([]map[string]any) {
				orders += row["orders"].(int)
			}
			reads++
			if after = data["next"].(string); after == "" {
				break
			}
			require.Contains(t, fmt.Sprint(data["notes"]), "add the report after="+after)
		}
		require.Equal(t, 11, orders)
		require.Equal(t, 4, reads)
	})
}

// A read of the report writes nothing, and what it reads of storage is the journal.
func TestSpendingWritesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		m.paying(certinexttest.LedgerSample, false)
		m.write("budgets/web", map[string]any{"max_orders": 10})
		m.issue("www.example.com")
		m.storage.reset()
		before := m.storage.dump(t)
		m.query("reports/spend", nil)
		m.query("reports/spend", map[string]any{"format": "csv"})
		require.Empty(t, m.storage.writes())
		require.Equal(t, before, m.storage.dump(t))
	})
}

// What CERTInext certainly never took costs nothing, and neither does a draft.
func TestWhatCostsNothingIsNotSpent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		m.write("orders/web", map[string]any{"common_name": "draft.example.com", "save_as_draft": true})
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultRefusal, Code: "EMS-915"})
		m.refused("issue/web", host(1))
		data := m.query("reports/spend", nil)
		require.Empty(t, data["spend"])
		require.Equal(t, 2, data["orders_read"])
	})
}

func TestAReissueThatIsChargedIsSpent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := renewing(t, nil)
		m.paying(certinexttest.LedgerSample, true)
		m.write("config", map[string]any{"product_prices": map[string]any{"842": "150.00"}})
		first := m.issue("www.example.com")
		time.Sleep(130 * day)
		m.pass()
		m.issue("www.example.com")
		require.Len(t, m.ca.Orders(), 1)
		data := m.query("reports/spend", nil)
		require.Equal(t, map[string]string{first["ca_order_id"].(string): "reissue-charged"}, differences(data))
		rows := data["spend"].([]map[string]any)
		require.Len(t, rows, 2, "the order and the reissue are of two months")
		require.Equal(t, 1, rows[1]["reissues"])
		require.Equal(t, 1, rows[1]["reissues_charged"])
		require.Equal(t, 0, rows[1]["orders"])
		require.Equal(t, "150.00", rows[1]["charged"])
		require.Equal(t, "150.00", rows[0]["charged"])
	})
}

func TestSpendingAsCSV(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		m.write("config", map[string]any{"product_prices": map[string]any{"842": "150.00"}})
		m.issue("www.example.com")
		query := map[string]any{"format": "csv", "group_by": "role"}
		data := m.query("reports/spend", query)
		require.Equal(t, "text/csv; charset=utf-8", data[logical.HTTPContentType])
		require.Equal(t, 200, data[logical.HTTPStatusCode])
		file := data[logical.HTTPRawBody].([]byte)
		lines, err := csv.NewReader(strings.NewReader(string(file))).ReadAll()
		require.NoError(t, err)
		require.Len(t, lines, 2)
		require.Equal(t, []string{"", "web", "", "", "", "", "1", "0", "0", "150.00", "0", "unknown", "unknown", "1", "0", "0", "true", ""}, lines[1])
		query["encoding"] = "base64"
		data = m.query("reports/spend", query)
		require.Equal(t, "spend.csv", data["file_name"])
		require.Equal(t, base64.StdEncoding.EncodeToString(file), data["content"])
	})
}

// The record of an order is gone, and its certificate is not: the ledger's rows about it are ours.
func TestARowOfAnOrderWithoutARecordIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		m.paying(certinexttest.LedgerSample, false)
		lost := m.issue("www.example.com")
		m.issue("mail.example.com")
		time.Sleep(time.Hour)
		m.pass()
		for key := range m.storage.dump(t) {
			if strings.HasSuffix(key, "/"+lost["order_id"].(string)) {
				require.NoError(t, m.storage.Delete(t.Context(), key))
			}
		}
		m.start()
		data := m.query("reports/spend", nil)
		require.Equal(t, 1, data["orders_read"])
		require.Equal(t, map[string]string{lost["ca_order_id"].(string): "no-record"}, differences(data))
		require.Empty(t, m.query("reports/spend", map[string]any{"role": "web"})["differences"],
			"what is not the role's may be another role's")
	})
}

func TestAnEntryThatCannotBeReadIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		m.issue("www.example.com")
		require.NoError(t, m.storage.Put(t.Context(), &logical.StorageEntry{Key: "order/closed/web/broken", Value: []byte("{")}))
		data := m.query("reports/spend", nil)
		require.Equal(t, 1, data["orders_unreadable"])
		require.Equal(t, 2, data["orders_read"])
		require.Contains(t, fmt.Sprint(data["notes"]), "entries of the journal that cannot be read, and are not counted: 1")
		require.Len(t, data["spend"], 1)
	})
}

// Without a config there is no ledger to ask, and the journal is reported all the same.
func TestSpendingWithoutAnAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bareMount(t, validated(certinexttest.Live))
		data := m.query("reports/spend", nil)
		require.Empty(t, data["spend"])
		require.Contains(t, data["ledger_problem"], "there is no account to ask")
	})
}
