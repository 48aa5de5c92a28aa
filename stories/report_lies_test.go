// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/stretchr/testify/require"
)

// announcedTotal is the number of rows that a page of the report announces.
var announcedTotal = regexp.MustCompile(`("totalElements"|"totalNoOfResults"):(\d+)`)

func editReports(m *mount, edit func(body []byte) []byte) {
	m.backend.Cleanup(m.t.Context())
	m.startWith(&http.Client{Transport: &rewriting{next: m.ca.Client().Transport, edit: func(path string, body []byte) []byte {
		if !strings.Contains(path, "eport") {
			return body
		}
		return edit(body)
	}}})
}

func TestATotalThatLiesIsNoWholeReading(t *testing.T) {
	for _, d := range []certinexttest.Dialect{certinexttest.Live, certinexttest.V1} {
		for name, lie := range map[string]func(int) int{"rows of the page": func(int) int { return 10 }, "a cached one": func(n int) int { return n - 1 }} {
			t.Run(fmt.Sprint(d, name), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					ca := validated(d)
					ca.ReportPageSize = 10
					m := newMount(t, ca)
					editReports(m, func(b []byte) []byte {
						return announcedTotal.ReplaceAllFunc(b, func(x []byte) []byte {
							p := announcedTotal.FindSubmatch(x)
							n, _ := strconv.Atoi(string(p[2]))
							return fmt.Appendf(nil, "%s:%d", p[1], lie(n))
						})
					})
					ca.Configure(func(s *certinexttest.Server) { s.ReportDelay = 5 * time.Minute })
					id := m.unresolved(certinexttest.FaultLostReply) // taken; shows after 5 minutes
					_ = id
					if name == "rows of the page" {
						ca.AddForeignOrders(30)
					} else {
						ca.AddForeignOrders(9) // it is the eleventh
					}
					ca.Configure(func(s *certinexttest.Server) { s.ReportDelay = 0 })
					ca.Inject(certinexttest.Fault{Operation: certinexttest.OpOrdersReport, Kind: certinexttest.FaultServerError})
					time.Sleep(2 * time.Hour)
					ca.ClearFaults()
					m.write("issue/web", map[string]any{"common_name": "later.example.com"})
					_, _ = m.attempt("issue/web", www)
					require.Equal(t, 1, countOrders(ca, "www.example.com"), "bought twice")
				})
			})
		}
	}
}

// A report that always announces one order too many proves nothing to the engine, and an operator has looked into the portal.
func TestAnOperatorSettlesWhereNoReadingIsWhole(t *testing.T) {
	for _, d := range []certinexttest.Dialect{certinexttest.Live, certinexttest.V1} {
		t.Run(d.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(d)
				m := newMount(t, ca)
				editReports(m, func(b []byte) []byte {
					return announcedTotal.ReplaceAllFunc(b, func(x []byte) []byte {
						p := announcedTotal.FindSubmatch(x)
						n, _ := strconv.Atoi(string(p[2]))
						return fmt.Appendf(nil, "%s:%d", p[1], n+1)
					})
				})
				m.write("issue/web", map[string]any{"common_name": "another.example.com"})
				id := m.unresolved(certinexttest.FaultDropped)
				m.minutes(300, m.settled(id))
				require.Equal(t, "unresolved", m.stateOf(id))
				m.write("operator/orders/web/"+id, map[string]any{"never_placed": true})
			})
		})
	}
}
