// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// A forger changes the rows of the ledger on their way.
type forger struct {
	next http.RoundTripper
	rows func([]any) []any
}

func (f *forger) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := f.next.RoundTrip(r)
	if err != nil || !strings.Contains(r.URL.Path, "/ledger") {
		return resp, err
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	var answer map[string]any
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, err
	}
	edit(answer, f.rows)
	body, err = json.Marshal(answer)
	if err != nil {
		return nil, err
	}
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	resp.Header.Del("Content-Length")
	return resp, nil
}

func edit(m map[string]any, rows func([]any) []any) {
	for key, v := range m {
		switch v := v.(type) {
		case []any:
			m[key] = rows(v)
		case map[string]any:
			edit(v, rows)
		}
	}
}

func (m *mount) forging(rows func([]any) []any) {
	m.startWith(&http.Client{Transport: &forger{m.ca.Client().Transport, rows}})
}

// inRupees has the ledger say that money comes back in another currency than was charged.
func (m *mount) inRupees() {
	m.forging(func(rows []any) []any {
		for _, row := range rows {
			if row := row.(map[string]any); row["creditAmount"] != "" && row["creditAmount"] != nil && row["creditAmount"] != "0.00" {
				row["currency"] = "INR"
			}
		}
		return rows
	})
}

func TestRefundInAnotherCurrencyIsNotZero(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		m.paying(certinexttest.LedgerProse, false)
		m.write("config", map[string]any{"product_prices": map[string]any{"842": "150.00"}})
		m.inRupees()
		m.refundedOrder("back.example.com")
		row := m.spend(nil)
		require.Equal(t, "USD", row["currency"])
		require.Equal(t, "unknown", row["refunded"], "150 INR are no 150 USD, and not nothing")
	})
}

func TestRefundInAnotherCurrencyGivesNoOrderBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		m.paying(certinexttest.LedgerProse, false)
		m.write("config", map[string]any{"product_prices": map[string]any{"842": "150.00"}})
		m.write("budgets/all", map[string]any{"max_spend": "450.00", "max_orders": 10})
		m.inRupees()
		m.refundedOrder("back.example.com")
		require.Empty(t, m.corrected(), "150 INR are no 150 USD")
		require.Equal(t, "150.00", fmt.Sprint(m.budgetUsage("all")["spent"]))
	})
}

// A credit note that the ledger shows twice, since a page has moved while it was read.
func TestCreditNoteThatComesTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		m.paying(certinexttest.LedgerSample, false)
		m.write("config", map[string]any{"product_prices": map[string]any{"842": "150.00"}})
		m.write("budgets/all", map[string]any{"max_spend": "450.00", "max_orders": 10})
		m.ca.Configure(func(s *certinexttest.Server) { s.Billing.RefundFee = certinexttest.Money("80.00") })
		note := ""
		m.forging(func(rows []any) []any {
			for _, row := range rows {
				if number, _ := row.(map[string]any)["creditNoteNumber"].(string); number != "" {
					note = number
					return append(rows, row)
				}
			}
			return rows
		})
		m.refundedOrder("back.example.com")
		done := m.corrected()
		require.NotEmpty(t, note)
		require.Equal(t, "80.00", fmt.Sprint(m.budgetUsage("all")["spent"]), "credit note %s was given back twice: %v", note, done)
	})
}

func TestLedgerRows(t *testing.T) {
	for name, row := range map[string]map[string]any{
		"negative charge": {"totalAmount": "-150.00"}, "huge": {"totalAmount": "1e400"}, "huger": {"totalAmount": strings.Repeat("9", 60)},
		"most": {"totalAmount": "1000000000000"}, "nan": {"totalAmount": "NaN"}, "list": {"totalAmount": []any{"1"}}, "bool": {"totalAmount": true},
		"euro": {"totalAmount": "1.500,00"}, "comma": {"totalAmount": "150,00"}, "arabic": {"totalAmount": "١٥٠"}, "symbol": {"totalAmount": "$150.00"},
		"null": {"totalAmount": nil}, "credit negative": {"creditAmount": "-150.00"}, "credit note": {"creditNoteNumber": "x"},
		"spaces": {"totalAmount": "150 000.00"}, "lower": {"totalAmount": "150.00", "currency": "usd"}, "zero": {"totalAmount": "0"},
		"both": {"totalAmount": "150.00", "creditAmount": "150.00"}, "number": {"totalAmount": json.Number("150")},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMount(t, validated(certinexttest.Live))
				m.paying(certinexttest.LedgerSample, false)
				m.write("config", map[string]any{"product_prices": map[string]any{"842": "150.00"}})
				m.write("budgets/all", map[string]any{"max_spend": "450.00"})
				m.forging(func(rows []any) []any {
					for _, r := range rows {
						for k, v := range row {
							r.(map[string]any)[k] = v
						}
					}
					return rows
				})
				m.issue("www.example.com")
				data := m.query("reports/spend", nil)
				got := data["spend"].([]map[string]any)[0]
				t.Log(got["expected"], got["charged"], got["refunded"], got["currency"], data["difference_counts"], m.corrected())
				require.Equal(t, "150.00", fmt.Sprint(m.budgetUsage("all")["spent"]))
			})
		})
	}
}

// What a role does with everything on, when the process dies at any write: one order for each need, nobody is without a certificate, and no key is kept of
// what is revoked.
func TestEverythingDiesAnywhere(t *testing.T) {
	atSize(t)
	for _, renewal := range []string{"order", "reissue"} {
		for _, how := range []string{"dies", "goes on"} {
			t.Run(renewal+" "+how, func(t *testing.T) {
				for n := range 60 {
					over := false
					synctest.Test(t, func(t *testing.T) {
						m := aheadOf(t, map[string]any{
							"renewal": renewal, "reuse": true, "generate_lease": true, "revocation_delay": "1h", "revoke_replaced_after": "72h", "revoke_unclaimed": true,
						})
						m.system.MaxLeaseTTLVal = 400 * day
						m.write("budgets/all", map[string]any{"period": "year", "max_orders": 10})
						ask := func() *logical.Response {
							return m.asks("issue/web", map[string]any{"common_name": "www.example.com"})
						}
						first := ask()
						m.untilDue(first.Data)
						writes := 0
						dead := false
						m.storage.cutBy(func(string) error {
							if writes++; writes == n+1 || (dead && how == "dies") {
								dead = true
								return errStored
							}
							return nil
						})
						second, err := m.send(call{op: logical.UpdateOperation, path: "issue/web", data: map[string]any{"common_name": "www.example.com"}, entity: "ann"})
						m.pass()
						m.storage.cutBy(nil)
						over = !dead
						if how == "dies" {
							m.start()
						}
						m.passes(2)
						third := ask()
						require.NotEqual(t, first.Data["serial_number"], third.Data["serial_number"], "write %d", n)
						if err == nil && !second.IsError() {
							require.Equal(t, second.Data["serial_number"], third.Data["serial_number"], "write %d", n)
						}
						m.passes(80)
						require.Len(t, m.ca.Orders(), map[string]int{"order": 2, "reissue": 1}[renewal], "write %d", n)
						require.Zero(t, m.certificate(third.Data)["revocation_time"], "write %d", n)
						require.Equal(t, len(m.ca.Orders()), m.budgetUsage("all")["orders"], "write %d", n)
						m.endLease(third)
						m.passes(4)
						if renewal == "order" && (err != nil || second.IsError()) {
							require.NotZero(t, m.certificate(third.Data)["revocation_time"], "write %d", n)
							require.Empty(t, m.kept(), "write %d", n)
						}
					})
					if over {
						break
					}
				}
			})
		}
	}
}
