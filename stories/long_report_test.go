// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"fmt"
	"net/http"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// The orders report of a large account: 300 pages, each of which takes 0.3 s, as 30,000 rows make. The pages are short, so that the
// simulator has less to do; one test has all 30,000 rows.
const (
	longReport      = 3_000
	longReportPages = longReport / 10
)

// longReports runs a test for both orders of the report's rows.
func longReports(t *testing.T, d certinexttest.Dialect, test func(t *testing.T, ca *certinexttest.Server)) {
	for _, rows := range []certinexttest.ReportOrder{certinexttest.ReportNewestFirst, certinexttest.ReportOldestFirst} {
		name, err := rows.MarshalText()
		require.NoError(t, err)
		t.Run(fmt.Sprintf("%s, %s", d, name), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(d)
				ca.ReportOrder, ca.ReportPageSize = rows, 10
				slowPages(ca)
				test(t, ca)
			})
		})
	}
}

// slowPages has each page of the report take 0.3 s.
func slowPages(ca *certinexttest.Server) {
	ca.Inject(certinexttest.Fault{Operation: certinexttest.OpOrdersReport, Kind: certinexttest.FaultLatency, Delay: 300 * time.Millisecond})
}

// pages is how many pages of the report were served.
func pages(ca *certinexttest.Server) int { return ca.Calls()[certinexttest.OpOrdersReport] }

// stateOf is the state of an order as it is stored.
func (m *mount) stateOf(id string) any {
	m.t.Helper()
	for _, key := range []string{"order/open/web/" + id, "order/closed/web/" + id} {
		e, err := m.storage.Get(m.t.Context(), key)
		require.NoError(m.t, err)
		if e != nil {
			var o struct {
				State string `json:"state"`
			}
			require.NoError(m.t, e.DecodeJSON(&o))
			return o.State
		}
	}
	return nil
}

// minutes runs the background pass as Vault does, every minute, and at most so often, until done.
func (m *mount) minutes(most int, done func() bool) (took int) {
	m.t.Helper()
	for ; took < most && !done(); took++ {
		time.Sleep(time.Minute)
		m.pass()
	}
	return took
}

func never() bool { return false }

// settled reports whether the order is in doubt no more.
func (m *mount) settled(id string) func() bool {
	return func() bool { return m.stateOf(id) != "unresolved" }
}

func TestAnOrderInALongReportIsFoundWithinOneReading(t *testing.T) {
	atSize(t)
	for name, later := range map[string]int{"the newest": 0, "the oldest": longReport - 1, "in the middle": longReport / 2} {
		for _, d := range []certinexttest.Dialect{certinexttest.Live, certinexttest.V1} {
			t.Run(name, func(t *testing.T) {
				longReports(t, d, func(t *testing.T, ca *certinexttest.Server) {
					m := newMount(t, ca)
					ca.AddForeignOrders(longReport - 1 - later)
					id := m.unresolved(certinexttest.FaultLostReply)
					ca.AddForeignOrders(later)
					m.minutes(10, m.settled(id))
					require.NotEqual(t, "unresolved", m.stateOf(id))
					require.LessOrEqual(t, pages(ca), longReportPages)
					m.chainOK(m.write("issue/web", www))
					require.Equal(t, 1, countOrders(ca, "www.example.com"))
				})
			})
		}
	}
}

// The order never arrived. A later one proves it, once the report was read whole.
func TestAnOrderThatALongReportLacksIsSettledWithinTwoReadings(t *testing.T) {
	atSize(t)
	for _, d := range []certinexttest.Dialect{certinexttest.Live, certinexttest.V1} {
		longReports(t, d, func(t *testing.T, ca *certinexttest.Server) {
			m := newMount(t, ca)
			ca.AddForeignOrders(longReport - 1)
			id := m.unresolved(certinexttest.FaultDropped)
			m.minutes(61, never)
			require.Equal(t, "unresolved", m.stateOf(id), "silence proves nothing")
			m.write("issue/web", map[string]any{"common_name": "later.example.com"})
			m.minutes(60, m.settled(id))
			require.Equal(t, "failed", m.stateOf(id))
			require.LessOrEqual(t, pages(ca), 2*longReportPages)
			require.Zero(t, countOrders(ca, "www.example.com"), "the background buys nothing")
			m.chainOK(m.write("issue/web", www))
			require.Equal(t, 1, countOrders(ca, "www.example.com"))
		})
	}
}

// The same in its full size.
func TestAnOrderThatALongReportOf30000RowsLacksIsSettledWithinTwoReadings(t *testing.T) {
	atSize(t)
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		slowPages(ca)
		m := newMount(t, ca)
		ca.AddForeignOrders(29_999)
		id := m.unresolved(certinexttest.FaultDropped)
		m.minutes(61, never)
		m.write("issue/web", map[string]any{"common_name": "later.example.com"})
		m.minutes(60, m.settled(id))
		require.Equal(t, "failed", m.stateOf(id))
		require.LessOrEqual(t, pages(ca), 600)
	})
}

// Others order all the time: every twentieth page is another report.
func TestALongReportThatGrowsIsReadToItsEnd(t *testing.T) {
	atSize(t)
	for name, fault := range map[string]certinexttest.FaultKind{"absent": certinexttest.FaultDropped, "present": certinexttest.FaultLostReply} {
		t.Run(name, func(t *testing.T) {
			longReports(t, certinexttest.Live, func(t *testing.T, ca *certinexttest.Server) {
				m := newMount(t, ca)
				ca.AddForeignOrders(longReport)
				var calls atomic.Int64
				ca.Configure(func(s *certinexttest.Server) {
					s.BeforeCall = func(op string, _ *http.Request) {
						if op == certinexttest.OpOrdersReport && calls.Add(1)%20 == 0 {
							s.AddForeignOrders(3)
						}
					}
				})
				id := m.unresolved(fault)
				ca.AddForeignOrders(longReport / 10)
				m.minutes(61, m.settled(id))
				m.write("issue/web", map[string]any{"common_name": "later.example.com"})
				m.minutes(60, m.settled(id))
				if fault == certinexttest.FaultDropped {
					require.Equal(t, "failed", m.stateOf(id))
				}
				require.NotEqual(t, "unresolved", m.stateOf(id))
				require.LessOrEqual(t, pages(ca), 2*(longReportPages*11/10+25))
				m.chainOK(m.write("issue/web", www))
				require.Equal(t, 1, countOrders(ca, "www.example.com"), "bought twice")
			})
		})
	}
}

// The process dies in the middle of a reading, and the next one begins anew.
func TestALongReportIsReadAnewByTheNextProcess(t *testing.T) {
	atSize(t)
	longReports(t, certinexttest.Live, func(t *testing.T, ca *certinexttest.Server) {
		m := newMount(t, ca)
		ca.AddForeignOrders(longReport / 2)
		id := m.unresolved(certinexttest.FaultLostReply)
		ca.AddForeignOrders(longReport / 2)
		time.Sleep(time.Minute)
		m.pass()
		require.Equal(t, "unresolved", m.stateOf(id))
		require.Greater(t, pages(ca), 100)
		m.start()
		m.minutes(10, m.settled(id))
		require.NotEqual(t, "unresolved", m.stateOf(id))
		require.LessOrEqual(t, pages(ca), 2*longReportPages)
		m.chainOK(m.write("issue/web", www))
		require.Equal(t, 1, countOrders(ca, "www.example.com"))
	})
}

// An outage leaves fifty orders in doubt, of which half have arrived. One reading finds those, and another one proves the others absent.
func TestFiftyOrdersInDoubtShareAReadingOfALongReport(t *testing.T) {
	atSize(t)
	longReports(t, certinexttest.Live, func(t *testing.T, ca *certinexttest.Server) {
		m := newMount(t, ca)
		ca.AddForeignOrders(longReport / 2)
		var arrived, lost []string
		for i := range 50 {
			kind := certinexttest.FaultDropped
			if i%2 == 0 {
				kind = certinexttest.FaultLostReply
			}
			ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: kind, Times: 1})
			name := fmt.Sprintf("n%d.example.com", i)
			resp, err := m.attempt("issue/web", map[string]any{"common_name": name})
			require.NoError(t, err)
			require.True(t, resp.IsError())
			if kind == certinexttest.FaultLostReply {
				arrived = append(arrived, name)
			} else {
				lost = append(lost, name)
			}
		}
		ca.AddForeignOrders(longReport/2 - 50)
		doubts := func() (n int) {
			for _, id := range m.list("orders/web") {
				if m.stateOf(id) == "unresolved" {
					n++
				}
			}
			return n
		}
		require.Equal(t, 50, doubts())
		m.minutes(61, never)
		require.Equal(t, len(lost), doubts())
		m.write("issue/web", map[string]any{"common_name": "later.example.com"})
		m.minutes(60, func() bool { return doubts() == 0 })
		require.Zero(t, doubts())
		require.LessOrEqual(t, pages(ca), 2*longReportPages)
		for _, name := range append(arrived, lost...) {
			m.chainOK(m.write("issue/web", map[string]any{"common_name": name}))
			require.Equal(t, 1, countOrders(ca, name), "%s was bought twice, or never", name)
		}
	})
}

// Two earlier orders of the mount's show which end of the report holds the newest: a look ends below them.
func TestALookIntoALongReportEndsBelowTheMountsOwnOrders(t *testing.T) {
	atSize(t)
	longReports(t, certinexttest.Live, func(t *testing.T, ca *certinexttest.Server) {
		m := newMount(t, ca)
		ca.AddForeignOrders(longReport)
		for i := range 2 {
			m.write("issue/web", map[string]any{"common_name": fmt.Sprintf("earlier%d.example.com", i)})
			time.Sleep(2 * time.Minute)
		}
		id := m.unresolved(certinexttest.FaultDropped)
		m.minutes(30, never)
		require.Equal(t, "unresolved", m.stateOf(id))
		require.LessOrEqual(t, pages(ca), 20, "two pages a look")
		require.GreaterOrEqual(t, pages(ca), 4)
	})
}

// The order that was looked for appears later: looks that end early find it, too.
func TestALookIntoALongReportFindsWhatAppearsLater(t *testing.T) {
	atSize(t)
	longReports(t, certinexttest.Live, func(t *testing.T, ca *certinexttest.Server) {
		m := newMount(t, ca)
		ca.AddForeignOrders(longReport)
		ca.Configure(func(s *certinexttest.Server) { s.ReportDelay = 10 * time.Minute })
		for i := range 2 {
			m.write("issue/web", map[string]any{"common_name": fmt.Sprintf("earlier%d.example.com", i)})
			time.Sleep(20 * time.Minute)
		}
		id := m.unresolved(certinexttest.FaultLostReply)
		took := m.minutes(60, m.settled(id))
		require.NotEqual(t, "unresolved", m.stateOf(id))
		require.LessOrEqual(t, took, 25)
		require.LessOrEqual(t, pages(ca), 30)
	})
}

// An operator can settle an order by hand: a call that has no time for the whole report says so, and the next one reads on.
func TestAnOperatorSettlesAnOrderInALongReport(t *testing.T) {
	atSize(t)
	settle := func(t *testing.T, m *mount, id string, how map[string]any) *logical.Response {
		t.Helper()
		for range 8 {
			resp, err := m.attempt("operator/orders/web/"+id, how)
			require.NoError(t, err)
			if !resp.IsError() {
				return resp
			}
			require.Contains(t, resp.Error().Error(), "will be read on")
			time.Sleep(time.Second)
		}
		require.FailNow(t, "it has no end")
		return nil
	}
	t.Run("never placed", func(t *testing.T) {
		longReports(t, certinexttest.Live, func(t *testing.T, ca *certinexttest.Server) {
			m := newMount(t, ca)
			ca.AddForeignOrders(longReport)
			id := m.unresolved(certinexttest.FaultDropped)
			time.Sleep(10 * time.Minute)
			require.Equal(t, "failed", settle(t, m, id, map[string]any{"never_placed": true}).Data["state"])
			require.LessOrEqual(t, pages(ca), longReportPages)
		})
	})
	t.Run("a number", func(t *testing.T) {
		longReports(t, certinexttest.Live, func(t *testing.T, ca *certinexttest.Server) {
			ca.HoldForApproval = true
			m := newMount(t, ca)
			ca.AddForeignOrders(longReport / 2)
			id := m.unresolved(certinexttest.FaultLostReply)
			number := ca.Orders()[longReport/2].ID
			ca.AddForeignOrders(longReport / 2)
			require.Equal(t, number, settle(t, m, id, map[string]any{"ca_order_id": number}).Data["ca_order_id"])
			require.LessOrEqual(t, pages(ca), longReportPages)
		})
	})
}

// An order that CERTInext has cancelled is closed, wherever the report shows it.
func TestAnOrderInALongReportIsClosed(t *testing.T) {
	atSize(t)
	longReports(t, certinexttest.Live, func(t *testing.T, ca *certinexttest.Server) {
		ca.HoldForApproval = true
		m := newMount(t, ca)
		ca.AddForeignOrders(longReport / 2)
		o := m.write("orders/web", www).Data
		ca.AddForeignOrders(longReport / 2)
		require.NoError(t, ca.Reject(o["ca_order_id"].(string), "no"))
		id := o["order_id"].(string)
		m.minutes(60, func() bool { return m.stateOf(id) == "rejected" })
		require.Equal(t, "rejected", m.stateOf(id))
		require.LessOrEqual(t, pages(ca), longReportPages)
	})
}

// The report is not kept once it was read, nor while it is read.
func TestALongReportIsNotKeptInMemory(t *testing.T) {
	atSize(t)
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		ca.AddForeignOrders(50_000)
		id := m.unresolved(certinexttest.FaultDropped)
		heap := func() int64 {
			runtime.GC()
			runtime.GC()
			var s runtime.MemStats
			runtime.ReadMemStats(&s)
			return int64(s.HeapAlloc)
		}
		before := heap()
		m.minutes(1, never)
		require.GreaterOrEqual(t, pages(ca), 500)
		require.Less(t, heap()-before, int64(8<<20), "right after the reading")
		m.minutes(10, never)
		require.Less(t, heap()-before, int64(1<<20), "some minutes later")
		require.Equal(t, "unresolved", m.stateOf(id))
	})
}
