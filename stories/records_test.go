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
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// otherRecords changes what the CA's orders report shows.
type otherRecords struct {
	next http.RoundTripper
	rows func(page string, rows []map[string]any) []map[string]any
}

func (o otherRecords) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := o.next.RoundTrip(r)
	if err != nil || !strings.HasSuffix(r.URL.Path, "/reports/orders") || resp.StatusCode != http.StatusOK {
		return resp, err
	}
	var body map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
		return nil, err
	}
	var rows []map[string]any
	for _, row := range body["content"].([]any) {
		rows = append(rows, row.(map[string]any))
	}
	body["content"] = o.rows(r.URL.Query().Get("page"), rows)
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	return resp, nil
}

// requireNoSecondOrder has an order in doubt that the CA has taken, and a later one, and asks again.
func (m *mount) requireNoSecondOrder(rows func(page string, rows []map[string]any) []map[string]any) {
	m.t.Helper()
	m.startWith(&http.Client{Transport: otherRecords{m.ca.Client().Transport, rows}})
	m.unresolved(certinexttest.FaultLostReply)
	time.Sleep(2 * time.Hour)
	m.write("orders/web", map[string]any{"common_name": "later.example.com"})
	_, err := m.send(call{op: logical.UpdateOperation, path: "issue/web", data: www})
	require.NoError(m.t, err)
	require.Equal(m.t, 1, countOrders(m.ca, "www.example.com"), "bought twice")
}

func TestRecordsThatCannotShowTheOrderDoNotProveItsAbsence(t *testing.T) {
	for name, change := range map[string]func(row map[string]any){
		"no tags are shown": func(row map[string]any) { row["tags"] = []string{} },
		"its own tags are lost": func(row map[string]any) {
			if row["domainName"] == "www.example.com" {
				row["tags"] = []string{}
			}
		},
		"its own tags and domain are lost": func(row map[string]any) {
			if row["domainName"] == "www.example.com" {
				row["tags"], row["domainName"] = []string{}, ""
			}
		},
		"its own tags, domain and product are lost": func(row map[string]any) {
			if row["domainName"] == "www.example.com" {
				row["tags"], row["domainName"], row["productCode"] = []string{}, "", ""
			}
		},
		"its own tags are lost, and the domain is written otherwise": func(row map[string]any) {
			if row["domainName"] == "www.example.com" {
				row["tags"], row["domainName"] = []string{}, "example.com"
			}
		},
		"tags are cut": func(row map[string]any) {
			tags := row["tags"].([]any)
			for i, tag := range tags {
				tags[i] = tag.(string)[:min(20, len(tag.(string)))]
			}
		},
		"the domain is written otherwise": func(row map[string]any) {
			if row["domainName"] == "www.example.com" {
				row["domainName"] = "example.com"
			}
		},
		"the number is not given yet": func(row map[string]any) {
			if row["domainName"] == "www.example.com" {
				row["orderNumber"] = ""
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMount(t, validated(certinexttest.Live))
				m.requireNoSecondOrder(func(_ string, rows []map[string]any) []map[string]any {
					for _, row := range rows {
						change(row)
					}
					return rows
				})
			})
		})
	}
}

// The same while this server's clock was wrong when the order was placed.
func TestRecordsProveNoAbsenceByAWrongClock(t *testing.T) {
	for name, ahead := range map[string]time.Duration{"two months ahead": twoMonths, "two months behind": -twoMonths, "four days ahead": 96 * time.Hour} {
		for _, asked := range []bool{true, false} {
			t.Run(fmt.Sprint(name, ", asked before: ", asked), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					m := newMount(t, validated(certinexttest.Live))
					m.later(ahead)
					m.start()
					if asked {
						m.read("config/check")
					}
					m.unresolved(certinexttest.FaultLostReply)
					m.later(-ahead)
					m.startWith(&http.Client{Transport: otherRecords{m.ca.Client().Transport, func(_ string, rows []map[string]any) []map[string]any {
						for _, row := range rows {
							if row["domainName"] == "www.example.com" {
								row["tags"] = []string{}
							}
						}
						return rows
					}}})
					time.Sleep(20 * time.Hour)
					m.write("orders/web", map[string]any{"common_name": "later.example.com"})
					_, err := m.attempt("issue/web", www)
					require.NoError(t, err)
					require.Equal(t, 1, countOrders(m.ca, "www.example.com"), "bought twice")
				})
			})
		}
	}
}

// Pages that are sorted anew between two calls show some orders twice and others not at all.
func TestPagesThatOverlapDoNotProveAbsence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.HoldForApproval = true
		m := newMount(t, ca)
		for i := range 99 {
			m.write("orders/web", map[string]any{"common_name": fmt.Sprintf("e%d.example.com", i)})
		}
		var first []map[string]any
		m.requireNoSecondOrder(func(page string, rows []map[string]any) []map[string]any {
			if page != "1" {
				return first[len(first)-len(rows):]
			}
			for i, row := range rows {
				if row["domainName"] == "www.example.com" {
					rows[i] = rows[(i+1)%len(rows)] // it is on the second page when that is read, and on the first one then
				}
			}
			first = rows
			return rows
		})
	})
}

// Neither slow records nor a later order make every order in doubt read them for itself.
func TestRecordsAreReadForAllOrdersInDoubt(t *testing.T) {
	for name, slow := range map[string]bool{"slow": true, "with a later order": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const inDoubt, others = 60, 350
				ca := validated(certinexttest.Live)
				ca.HoldForApproval = true
				m := newMount(t, ca)
				for i := range others {
					m.write("orders/web", map[string]any{"common_name": fmt.Sprintf("w%d.example.com", i)})
				}
				ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultDropped, Times: inDoubt})
				for i := range inDoubt {
					m.write("orders/web", map[string]any{"common_name": fmt.Sprintf("d%d.example.com", i)})
				}
				time.Sleep(2 * time.Hour)
				if slow {
					ca.Inject(certinexttest.Fault{Operation: certinexttest.OpOrdersReport, Kind: certinexttest.FaultLatency, Delay: 2 * time.Second})
				} else {
					m.write("orders/web", map[string]any{"common_name": "later.example.com"})
				}
				ca.ResetCalls()
				m.pass()
				require.LessOrEqual(t, ca.Calls()[certinexttest.OpOrdersReport], 20, "pages, of which there are four")
			})
		})
	}
}

func TestTheDefaultOfAbsentAfterFitsTheCreateTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		require.Contains(t, m.refused("config", map[string]any{"create_timeout": "2h"}), "absent_after:")
	})
}

func TestARoleMayNotCarryTheMarkersOfOrders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		for _, field := range []string{"tags", "remarks"} {
			text := m.refused("roles/other", map[string]any{
				"product_code": "842", "product_variant": "dv", "allow_any_name": true, field: "Vault-Order:0b1c",
			})
			require.Contains(t, text, field+":")
		}
	})
}
