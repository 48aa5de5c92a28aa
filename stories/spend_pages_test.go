// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/stretchr/testify/require"
)

// figures are what pages of the report of so many entries come to together: counts and money of all rows, and the differences.
func (m *mount) figures(limit int) (sums map[string]string, differences []string) {
	m.t.Helper()
	counts, cents := map[string]int{}, map[string]int{}
	for after, more := "", true; more; more = after != "" {
		data := m.query("reports/spend", map[string]any{"limit": limit, "after": after, "group_by": "role"})
		after = data["next"].(string)
		for _, row := range data["spend"].([]map[string]any) {
			for _, what := range []string{"orders", "reissues", "charge_unknown", "reissues_charged", "reissues_unknown"} {
				counts[what] += row[what].(int)
			}
			for _, what := range []string{"charged", "refunded"} {
				var whole, part int
				if n, _ := fmt.Sscanf(row[what].(string), "%d.%d", &whole, &part); n == 2 {
					cents[what] += whole*100 + part
				}
			}
		}
		for _, d := range data["differences"].([]map[string]any) {
			differences = append(differences, fmt.Sprint(d["kind"], " ", d["order_id"], " ", d["charged"]))
		}
	}
	slices.Sort(differences)
	sums = make(map[string]string)
	for what, n := range counts {
		sums[what] = fmt.Sprint(n)
	}
	for what, n := range cents {
		sums[what] = fmt.Sprintf("%d.%02d", n/100, n%100)
	}
	return sums, differences
}

// TestPagesOfSpendingAddUpToTheWhole has orders with several reissues, some of them charged, whose records are on different pages.
func TestPagesOfSpendingAddUpToTheWhole(t *testing.T) {
	for name, shape := range map[string]certinexttest.LedgerShape{"as in the sample": certinexttest.LedgerSample, "as in words": certinexttest.LedgerProse} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := renewing(t, map[string]any{"renewal": "order", "allow_reissue": true})
				m.paying(shape, true)
				m.write("config", map[string]any{"product_prices": map[string]any{"842": "150.00"}})
				for _, charged := range []string{"yyy", "nyn", "nny", "y", ""} {
					id := m.write("issue/web", map[string]any{"common_name": fmt.Sprintf("%s%d.example.com", "h"+charged, len(charged))}).Data["order_id"].(string)
					for _, c := range charged {
						time.Sleep(2 * day)
						m.pass()
						m.ca.Configure(func(s *certinexttest.Server) { s.Billing.ChargeReissues = c == 'y' })
						next := m.write("orders/web/"+id+"/reissue", nil).Data["order_id"].(string)
						m.write("orders/web/"+next+"/collect", nil)
						id = next
					}
				}
				time.Sleep(day)
				m.pass()
				whole, differences := m.figures(100)
				require.Equal(t, "1650.00", whole["charged"], "5 orders and 6 of the reissues: %v", whole)
				require.Equal(t, "6", whole["reissues_charged"])
				for limit := 1; limit < 8; limit++ {
					sums, some := m.figures(limit)
					require.Equal(t, whole, sums, "pages of %d", limit)
					require.Equal(t, differences, some, "pages of %d", limit)
				}
			})
		})
	}
}
