// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/stretchr/testify/require"
)

// quiet is a mount of one name, whose certificates live 46 days and are reissued within a subscription that has just ended: it places one order a year.
func quiet(t *testing.T, config map[string]any) *mount {
	t.Helper()
	m := renewing(t, nil)
	m.ca.CertificateLifetime = 46 * day
	m.write("config", config)
	for begun := time.Now(); ; {
		answer := m.issue("www.example.com")
		after := time.Unix(answer["renew_after"].(int64), 0)
		time.Sleep(time.Until(after))
		m.pass()
		if time.Unix(answer["expiration"].(int64), 0).After(begun.AddDate(1, 0, -1)) {
			break // none after it fits into the subscription
		}
	}
	require.Len(t, m.ca.Orders(), 1)
	return m
}

// cutOff is the renewal by a new order whose answer is lost while the other node takes over; it returns the order's id.
func (m *mount) cutOff(kind certinexttest.FaultKind) string {
	m.t.Helper()
	id := m.unresolved(kind)
	m.start()
	return id
}

// days lets some days go by, with a background pass every four hours.
func (m *mount) days(n int) {
	m.t.Helper()
	for range n * 6 {
		time.Sleep(4 * time.Hour)
		m.pass()
	}
}

func (m *mount) order(id string) map[string]any {
	m.t.Helper()
	return m.read("orders/web/" + id).Data
}

func TestWithoutConsentACutOffCreateStaysInDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := quiet(t, nil)
		id := m.cutOff(certinexttest.FaultDropped)
		m.days(40)
		require.Contains(t, m.refused("issue/web", www), "not known yet whether CERTInext took the order")
		order := m.order(id)
		require.Equal(t, "unresolved", order["state"])
		require.Contains(t, fmt.Sprint(order["needs"]), "presume_absent_after", "nobody is told what would end it")
		todo := m.read("status").Data["orders"].(map[string]any)["in_doubt_needs"]
		require.Contains(t, todo, "/orders/web/"+id+" says what settles it")
		require.Contains(t, todo, "until an operator says so")
		require.Len(t, m.ca.Orders(), 1)
	})
}

func TestWithConsentACutOffCreateMakesWayInTime(t *testing.T) {
	for name, kind := range map[string]certinexttest.FaultKind{"dropped": certinexttest.FaultDropped, "taken": certinexttest.FaultLostReply} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := quiet(t, map[string]any{"presume_absent_after": "72h"})
				m.ca.ReportDelay = 20 * time.Hour // longer than ever seen
				id := m.cutOff(kind)
				m.days(2)
				if kind == certinexttest.FaultLostReply {
					require.NotEqual(t, "unresolved", m.order(id)["state"], "found while it was waited for")
				} else {
					order := m.order(id)
					require.Equal(t, "unresolved", order["state"])
					require.Contains(t, fmt.Sprint(order["needs"]), "it counts as never placed from 20")
					m.start() // the books keep since when it is left out
					require.Contains(t, m.refused("issue/web", www), "not known yet")
					m.days(2)
					order = m.order(id)
					require.Equal(t, "failed", order["state"])
					require.Contains(t, order["last_error"], "presume_absent_after in config")
					require.Contains(t, order["last_error"], "order "+m.ca.Orders()[0].ID)
					require.Equal(t, "unknown", order["charged"], "nothing has proved that it is not owed")
					require.Contains(t, m.log.String(), "it is paid twice")
					requireNoKeys(t, m)
					require.Len(t, m.ca.Orders(), 1, "only requests buy")
				}
				m.isFor(m.issue("www.example.com"), "www.example.com")
				require.Len(t, m.ca.Orders(), 2)
				m.days(30)
				require.Len(t, m.ca.Orders(), 2)
			})
		})
	}
}

// The request that waits for the order is answered by the new one at once.
func TestARequestGoesOnOnceTheOrderIsPresumedAbsent(t *testing.T) {
	for name, request := range map[string]map[string]any{"unnamed": www, "named": {"common_name": "www.example.com", "request_id": "deploy-17"}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := quiet(t, map[string]any{"presume_absent_after": "72h"})
				m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultDropped, Times: 1})
				require.Contains(t, m.refused("issue/web", request), "not known yet")
				for range 80 {
					time.Sleep(time.Hour)
					if resp, err := m.attempt("issue/web", request); err == nil && !resp.IsError() {
						m.chainOK(resp)
						require.Len(t, m.ca.Orders(), 2)
						require.Len(t, m.presumed(), 1, "the record of what may be paid for is kept")
						return
					}
				}
				t.Fatal("in doubt after 80 hours")
			})
		})
	}
}

// presumed lists the orders of the role that count as never placed without proof.
func (m *mount) presumed() (ids []string) {
	m.t.Helper()
	for _, id := range m.list("orders/web") {
		if order := m.order(id); order["state"] == "failed" && order["charged"] == "unknown" {
			ids = append(ids, id)
		}
	}
	return ids
}

// What whoever has set the field consents to: records that lag for longer than it says have the order paid twice, and the books say so.
func TestRecordsThatLagForLongerThanIsConsentedToArePaidTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := quiet(t, map[string]any{"presume_absent_after": "72h"})
		m.ca.ReportDelay = 10 * day
		id := m.cutOff(certinexttest.FaultLostReply)
		m.days(4)
		require.Equal(t, "failed", m.order(id)["state"])
		m.issue("www.example.com")
		require.Len(t, m.ca.Orders(), 3)
		bought := 0
		for _, row := range m.query("reports/spend", nil)["spend"].([]map[string]any) {
			bought += row["orders"].(int)
		}
		require.Equal(t, 3, bought, "what may be owed is not counted")
	})
}

func TestWhatIsNotPresumedAbsent(t *testing.T) {
	records := func(kind certinexttest.FaultKind) func(m *mount) {
		return func(m *mount) {
			m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpOrdersReport, Kind: kind, Times: 1 << 20})
		}
	}
	cases := map[string]func(m *mount){
		"the clock is wrong":           func(m *mount) { m.later(40 * day) },
		"the clock is behind":          func(m *mount) { m.later(-40 * day) },
		"the records cannot be read":   records(certinexttest.FaultServerError),
		"the records cannot be parsed": records(certinexttest.FaultMalformedJSON),
		"a gateway answers":            records(certinexttest.FaultHTML),
		"the records announce more than they show": func(m *mount) {
			editReports(m, func(body []byte) []byte {
				return announcedTotal.ReplaceAll(body, []byte("$1:7"))
			})
		},
		"the records announce no number": func(m *mount) {
			editReports(m, func(body []byte) []byte {
				return announcedTotal.ReplaceAll(body, []byte(`"other":0`))
			})
		},
		"the records are empty": func(m *mount) {
			editReports(m, func([]byte) []byte {
				return []byte(`{"content":[],"page":1,"size":100,"totalElements":0,"totalPages":0}`)
			})
		},
		"the records show no markers": func(m *mount) {
			m.startWith(&http.Client{Transport: otherRecords{m.ca.Client().Transport, func(_ string, rows []map[string]any) []map[string]any {
				for _, row := range rows {
					row["tags"] = []string{}
				}
				return rows
			}}})
		},
		"an order without a marker could be it": func(m *mount) { elsewhere(m.t, m.ca, "www.example.com") },
	}
	for name, beset := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := quiet(t, map[string]any{"presume_absent_after": "72h"})
				id := m.cutOff(certinexttest.FaultDropped)
				beset(m)
				before := len(m.ca.Orders())
				m.days(14)
				require.Equal(t, "unresolved", m.order(id)["state"])
				_, _ = m.attempt("issue/web", www)
				require.Len(t, m.ca.Orders(), before)
			})
		})
	}
}

// Records that show none of the mount's orders say nothing of one of them.
func TestTheFirstOrderOfAMountIsNotPresumedAbsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		m.write("config", map[string]any{"presume_absent_after": "72h"})
		id := m.unresolved(certinexttest.FaultDropped)
		m.days(14)
		require.Equal(t, "unresolved", m.order(id)["state"])
	})
}

// A process dies, or storage refuses a write, at each point from the lost answer to the new certificate: one is bought.
func TestACrashOrAFaultOfStorageWhileAnOrderIsPresumedAbsentBuysOnce(t *testing.T) {
	atSize(t)
	for at := 1; ; at++ {
		struck := false
		synctest.Test(t, func(t *testing.T) {
			m := quiet(t, map[string]any{"presume_absent_after": "24h"})
			m.cutOff(certinexttest.FaultDropped)
			f := &faultOnce{at: at, begun: true}
			m.storage.cutBy(f.look)
			for range 40 {
				time.Sleep(time.Hour)
				seen := f.seen
				_, _ = m.attempt("issue/web", www)
				if seen < at && f.struck() {
					m.start()
				}
			}
			m.storage.cutBy(nil)
			struck = f.struck()
			m.chainOK(m.write("issue/web", www))
			require.Len(t, m.ca.Orders(), 2, "a fault at change %d", at)
		})
		if !struck {
			require.Greater(t, at, 4)
			return
		}
	}
}

func TestPresumeAbsentAfterIsNoShorterThanADay(t *testing.T) {
	m := newMount(t, validated(certinexttest.Live))
	for _, bad := range []map[string]any{
		{"presume_absent_after": "23h"}, {"presume_absent_after": "-72h"}, {"presume_absent_after": "48h", "absent_after": "72h"},
	} {
		require.Contains(t, m.refused("config", bad), "presume_absent_after:")
	}
	m.write("config", map[string]any{"presume_absent_after": "72h"})
	require.EqualValues(t, 72*3600, m.read("config").Data["presume_absent_after"])
	m.write("config", map[string]any{"presume_absent_after": 0})
	require.EqualValues(t, 0, m.read("config").Data["presume_absent_after"])
}
