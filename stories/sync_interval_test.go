// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	certinextsecrets "github.com/certinext/vault-plugin-secrets-certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// config changes fields of the config.
func (m *mount) config(data map[string]any) {
	m.t.Helper()
	for field, value := range data {
		all := m.account()
		all[field] = value
		m.write("config", all)
	}
}

// Nobody has to ask for a synchronization: whatever happened elsewhere is known within an interval.
func TestSyncRunsByItselfOnceTheLastOneIsOldEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		elsewhere(t, m.ca, "shop.example.com")
		m.minutes(90, never)
		require.Equal(t, "never", m.read("sync").Data["state"], "nobody has asked for one")

		require.Contains(t, m.refused("config", map[string]any{"sync_interval": "4m"}), "sync_interval: must be at least 5 minutes")
		require.Contains(t, m.refused("config", map[string]any{"sync_interval": "-1h"}), "sync_interval: ")
		m.config(map[string]any{"sync_interval": "1h"})
		require.EqualValues(t, 3600, m.read("config").Data["sync_interval"])
		m.minutes(1, never)
		synctest.Wait()
		status := m.read("sync").Data
		require.Equal(t, []any{"done", true, 1, true}, []any{status["state"], status["automatic"], status["imported"], status["complete"]}, status)
		require.Len(t, m.list("certs"), 1)

		// A revocation and an order are noticed within an interval, that of a certificate of the last minutes, too.
		ours := m.write("issue/web", map[string]any{"common_name": "www.example.com"})
		client, _ := elsewhere(t, m.ca, "late.example.com")
		_, err := client.RevokeOrder(t.Context(), certinext.FamilySSL, ours.Data["ca_order_id"].(string), certinext.RevokeRequest{Reason: certinext.ReasonKeyCompromise})
		require.NoError(t, err)
		read := pages(m.ca)
		m.minutes(58, never)
		require.Equal(t, read, pages(m.ca), "another one began too early")
		m.minutes(3, never)
		synctest.Wait()
		require.Equal(t, []string{ours.Data["serial_number"].(string)}, m.list("certs/revoked"))
		require.Len(t, m.list("certs"), 3)

		m.config(map[string]any{"sync_interval": 0})
		read = pages(m.ca)
		m.minutes(200, never)
		require.Equal(t, read, pages(m.ca))
	})
}

// What is known and unchanged costs a synchronization nothing but the pages of the report and its own status.
func TestSyncOfWhatIsKnownAsksAndWritesNothing(t *testing.T) {
	for _, dialect := range []certinexttest.Dialect{certinexttest.Live, certinexttest.V1} {
		t.Run(dialect.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMount(t, validated(dialect))
				m.write("issue/web", map[string]any{"common_name": "www.example.com"})
				for i := range 5 {
					elsewhere(t, m.ca, fmt.Sprintf("h%d.example.com", i))
				}
				// Version 1 may leave the serial numbers out.
				m.startWith(&http.Client{Transport: rewrite{m.ca.Client().Transport, func(_ *http.Request, status int, body []byte) (int, []byte) {
					return status, regexp.MustCompile(`("ceritficateSerialNumber"|"certificateSerialNumber"):"[^"]*"`).ReplaceAll(body, []byte(`$1:""`))
				}}})
				time.Sleep(time.Minute)
				require.Equal(t, 5, m.synchronize()["imported"])
				m.passes(3) // the mount's own order is over
				m.synchronize()
				calls, writes := m.ca.Calls(), len(m.storage.writes())
				m.synchronize()
				for operation, n := range m.ca.Calls() {
					if operation != certinexttest.OpOrdersReport {
						require.Equal(t, calls[operation], n, "%s was called again", operation)
					}
				}
				for _, key := range m.storage.writes()[writes:] {
					require.Equal(t, "sync", key)
				}
			})
		})
	}
}

// A process that dies goes on where another one has come to, and what it downloads it downloads once.
func TestSyncGoesOnFromThePageThatItHadComeTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.ReportPageSize, ca.ReportOrder = 10, certinexttest.ReportOldestFirst
		m := newMount(t, ca)
		m.config(map[string]any{"sync_interval": "1h"})
		ca.AddForeignOrders(380)
		elsewhere(t, ca, "shop.example.com")
		ca.AddForeignOrders(20)
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpOrdersReport, Kind: certinexttest.FaultLatency, Delay: 2 * time.Second})
		m.pass()
		time.Sleep(61 * time.Second)
		status := m.read("sync").Data
		require.Equal(t, []any{"running", true, 300, 401}, []any{status["state"], status["automatic"], status["seen"], status["total"]})
		require.InDelta(t, 5, status["rate"], 0.2)
		require.InDelta(t, 20, status["remaining"], 2)
		m.backend.Cleanup(t.Context())
		read := pages(ca)
		m.start()
		require.Equal(t, "running", m.read("sync").Data["state"])
		m.pass()
		time.Sleep(25 * time.Second)
		require.Equal(t, "running", m.read("sync").Data["state"])
		require.Equal(t, 1, m.read("sync").Data["imported"], "it has begun anew: a process that never lives long gets nowhere")
		time.Sleep(5 * time.Minute)
		status = m.read("sync").Data
		require.Equal(t, []any{"done", true, 401, 1}, []any{status["state"], status["complete"], status["seen"], status["imported"]}, status)
		require.LessOrEqual(t, pages(ca)-read, 11+3+41, "the rest, and all pages once more to be sure")
		require.Equal(t, 1, ca.Calls()[certinexttest.OpCertificate])
	})
}

// An outage ends a synchronization, and the next passes go on with it.
func TestSyncByItselfTriesAgainAfterAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		elsewhere(t, m.ca, "shop.example.com")
		m.config(map[string]any{"sync_interval": "24h"})
		m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpOrdersReport, Kind: certinexttest.FaultServerError})
		m.minutes(30, never)
		require.Equal(t, "failed", m.read("sync").Data["state"])
		require.Less(t, pages(m.ca), 60, "it hammers")
		m.ca.ClearFaults()
		m.minutes(35, never)
		synctest.Wait()
		require.Equal(t, "done", m.read("sync").Data["state"], m.read("sync").Data)
		require.Len(t, m.list("certs"), 1)
	})
}

// A restored snapshot reads when it is told to, and never by itself.
func TestAHeldMountSynchronizesOnlyWhenAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		elsewhere(t, m.ca, "shop.example.com")
		m.config(map[string]any{"sync_interval": "1h"})
		m.startWithOptions(certinextsecrets.Options{HTTPClient: m.ca.Client(), Hold: true})
		m.minutes(180, never)
		require.Equal(t, "never", m.read("sync").Data["state"])
		require.Equal(t, 1, m.synchronize()["imported"])
		m.minutes(180, never)
		require.Equal(t, 1, pages(m.ca))
	})
}

// Requests and revocations have their turn while a long synchronization uses the calls that the limit allows.
func TestALongSyncKeepsNobodyWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		m.config(map[string]any{"requests_per_second": 2})
		for i := range 200 {
			elsewhere(t, m.ca, fmt.Sprintf("h%d.example.com", i))
		}
		m.write("sync", nil)
		time.Sleep(10 * time.Second)
		require.Equal(t, "running", m.read("sync").Data["state"])
		begun := time.Now()
		issued := m.write("issue/web", map[string]any{"common_name": "www.example.com"})
		m.write("revoke", map[string]any{"serial_number": issued.Data["serial_number"]})
		require.Less(t, time.Since(begun), 30*time.Second)
		require.Equal(t, "running", m.read("sync").Data["state"], "the story is too short")
		time.Sleep(10 * time.Minute)
		require.Equal(t, 200, m.read("sync").Data["imported"])
	})
}

// What the report does not list any more is noted, and nothing else.
func TestWhatTheReportNoLongerListsIsNoted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		_, gone := elsewhere(t, m.ca, "shop.example.com")
		elsewhere(t, m.ca, "other.example.com")
		require.Equal(t, 0, m.synchronize()["gone"])
		m.startWith(&http.Client{Transport: rewrite{m.ca.Client().Transport, func(r *http.Request, status int, body []byte) (int, []byte) {
			if !strings.HasSuffix(r.URL.Path, "/reports/orders") {
				return status, body
			}
			row := regexp.MustCompile(`\{[^{}]*"orderNumber":"` + gone + `"[^{}]*\},?`)
			body = bytes.Replace(row.ReplaceAll(body, nil), []byte(`},]`), []byte(`}]`), 1)
			return status, bytes.Replace(body, []byte(`"totalElements":2`), []byte(`"totalElements":1`), 1)
		}}})
		for range 2 {
			status := m.synchronize()
			require.Equal(t, []any{1, []string{gone}, true}, []any{status["gone"], status["gone_orders"], status["complete"]}, status)
		}
		require.Len(t, m.list("certs"), 2)
		require.Empty(t, m.list("certs/revoked"))
		m.start()
		require.Equal(t, 0, m.synchronize()["gone"], "it is listed again")
	})
}

// Whatever the report says, a synchronization ends, believes nothing that cannot be, and shows no control character.
func TestSyncOfAReportThatLies(t *testing.T) {
	hostile, err := json.Marshal("shop\x1b[31m\n" + strings.Repeat("x", 5000))
	require.NoError(t, err)
	for name, lie := range map[string]func(body []byte) []byte{
		"more rows than there are":  replaced(`"totalElements":3`, `"totalElements":7`),
		"fewer rows than there are": replaced(`"totalElements":3`, `"totalElements":1`),
		"a million pages":           replaced(`"totalPages":1`, `"totalPages":1000000`),
		"no totals":                 replaced(`"totalElements":3,"totalPages":1`, `"x":1`),
		"other serial numbers":      replaced(`"certificateSerialNumber":"`, `"certificateSerialNumber":"1`),
		"all are revoked": func(body []byte) []byte {
			return regexp.MustCompile(`"Certificate (Generated|Downloaded)"`).ReplaceAll(body, []byte(`"Certificate Revoked"`))
		},
		"hostile numbers":         replaced(`"orderNumber":"`, `"orderNumber":`+strings.TrimSuffix(string(hostile), `"`)),
		"words that nobody knows": replaced(`"orderStatus":"Order Fulfilled"`, `"orderStatus":"Order Reticulated"`),
		"every row twice": func(body []byte) []byte {
			rows := regexp.MustCompile(`"content":\[(.*?\})\],`)
			return rows.ReplaceAll(body, []byte(`"content":[$1,$1],`))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMount(t, validated(certinexttest.Live))
				elsewhere(t, m.ca, "known.example.com")
				m.synchronize()
				for i := range 2 {
					elsewhere(t, m.ca, fmt.Sprintf("h%d.example.com", i))
				}
				changed := false
				m.startWith(&http.Client{Transport: rewrite{m.ca.Client().Transport, func(r *http.Request, status int, body []byte) (int, []byte) {
					if !strings.HasSuffix(r.URL.Path, "/reports/orders") {
						return status, body
					}
					out := lie(body)
					changed = changed || !bytes.Equal(out, body)
					return status, out
				}}})
				m.config(map[string]any{"sync_interval": "1h"})
				for range 3 {
					m.pass()
					synctest.Wait()
					time.Sleep(2 * time.Hour)
				}
				require.True(t, changed, "the lie is none")
				status := m.read("sync").Data
				require.Contains(t, []any{"done", "failed"}, status["state"], status)
				require.Empty(t, m.list("certs/revoked"), "the report alone is not believed")
				require.Less(t, pages(m.ca), 200)
				shown := fmt.Sprint(status)
				require.NotContains(t, shown, "\x1b")
				require.Less(t, len(shown), 20_000)
				m.start()
				time.Sleep(2 * time.Hour)
				m.pass()
				synctest.Wait()
				require.Len(t, m.list("certs"), 3, m.read("sync").Data)
				require.Equal(t, 0, m.read("sync").Data["failed"])
			})
		})
	}
}

// replaced returns a lie that is one text in place of another.
func replaced(old, now string) func([]byte) []byte {
	return func(body []byte) []byte { return bytes.ReplaceAll(body, []byte(old), []byte(now)) }
}

// Rows that move to other pages while the report is read are all seen.
func TestSyncOfAReportWhoseRowsMove(t *testing.T) {
	for _, order := range []certinexttest.ReportOrder{certinexttest.ReportNewestFirst, certinexttest.ReportOldestFirst} {
		synctest.Test(t, func(t *testing.T) {
			ca := validated(certinexttest.Live)
			ca.ReportPageSize, ca.ReportOrder = 3, order
			m := newMount(t, ca)
			for i := range 20 {
				elsewhere(t, ca, fmt.Sprintf("h%d.example.com", i))
			}
			ca.Inject(certinexttest.Fault{Operation: certinexttest.OpOrdersReport, Kind: certinexttest.FaultLatency, Delay: time.Second})
			m.write("sync", nil)
			for i := range 5 {
				time.Sleep(1500 * time.Millisecond)
				elsewhere(t, ca, fmt.Sprintf("new%d.example.com", i))
			}
			time.Sleep(2 * time.Minute)
			status := m.read("sync").Data
			require.Equal(t, []any{"done", true, 25, 25}, []any{status["state"], status["complete"], status["seen"], status["imported"]}, status)
		})
	}
}

// A large account is read in little memory, and a second time without asking for anything but its pages.
func TestSyncOfThirtyThousandOrdersInBoundedMemory(t *testing.T) {
	atSize(t)
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		m.ca.AddForeignOrders(30_000)
		elsewhere(t, m.ca, "shop.example.com")
		heap := func() int64 {
			runtime.GC()
			var s runtime.MemStats
			runtime.ReadMemStats(&s)
			return int64(s.HeapAlloc)
		}
		m.synchronize()
		before, writes := heap(), len(m.storage.writes())
		m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpOrdersReport, Kind: certinexttest.FaultLatency, Delay: 300 * time.Millisecond})
		m.write("sync", nil)
		time.Sleep(85 * time.Second)
		status := m.read("sync").Data
		require.Equal(t, "running", status["state"])
		require.Greater(t, status["seen"], 25_000)
		grown := heap() - before
		t.Logf("%d bytes while 30,000 rows are read, %d writes", grown, len(m.storage.writes())-writes)
		require.Less(t, grown, int64(12<<20))
		time.Sleep(time.Minute)
		require.Equal(t, []any{"done", 30_001}, []any{m.read("sync").Data["state"], m.read("sync").Data["seen"]})
		require.LessOrEqual(t, len(m.storage.writes())-writes, 25)
		require.Len(t, m.list("certs"), 1)
	})
}

// Whatever write fails, and whether or not the process dies with it, the next passes bring everything, and nothing twice.
func TestSyncOfWhichEachWriteFailsOnce(t *testing.T) {
	atSize(t)
	eachWrite(t, func(t *testing.T, m *mount) func() {
		client, revoked := elsewhere(t, m.ca, "revoked.example.com")
		m.synchronize()
		m.config(map[string]any{"sync_interval": "1h"})
		_, err := client.RevokeOrder(t.Context(), certinext.FamilySSL, revoked, certinext.RevokeRequest{Reason: certinext.ReasonSuperseded})
		require.NoError(t, err)
		elsewhere(t, m.ca, "shop.example.com")
		time.Sleep(2 * time.Hour)
		return func() { m.tryPass(); synctest.Wait() }
	}, func(t *testing.T, m *mount) {
		for range 4 {
			time.Sleep(time.Hour)
			m.pass()
			synctest.Wait()
		}
		require.Equal(t, "done", m.read("sync").Data["state"], m.read("sync").Data)
		require.Len(t, m.list("certs"), 2)
		require.Len(t, m.list("certs/revoked"), 1)
	})
}

// An adoption of which a write fails is made good by the same request, and undone like any other.
func TestAnAdoptionOfWhichEachWriteFailsOnce(t *testing.T) {
	atSize(t)
	for name, undo := range map[string]bool{"adopted": false, "undone": true} {
		t.Run(name, func(t *testing.T) {
			eachWrite(t, func(t *testing.T, m *mount) func() {
				m.knows("e-web")
				m.patchRole(map[string]any{"renewal": "reissue"})
				_, _, serial := boughtElsewhere(t, m, "shop.example.com")
				if undo {
					m.adopt("web", map[string]any{"serial_number": serial, "entity_id": "e-web"})
					return func() {
						_, _ = m.send(call{op: logical.DeleteOperation, path: "operator/adopt/web/" + serial})
					}
				}
				return func() {
					_, _ = m.attempt("operator/adopt/web", map[string]any{"serial_number": serial, "entity_id": "e-web"})
				}
			}, func(t *testing.T, m *mount) {
				serial := m.list("certs")[0]
				if undo {
					if resp := m.tryDelete("operator/adopt/web/" + serial); resp != nil {
						require.Contains(t, resp.Error().Error(), "not adopted")
					}
					require.Empty(t, m.read("cert/" + serial).Data["role"])
					require.Empty(t, m.list("orders/web"))
				}
				m.adopt("web", map[string]any{"serial_number": serial, "entity_id": "e-web"})
				require.Equal(t, []any{"web", "adopted"}, []any{m.read("cert/" + serial).Data["role"], m.read("cert/" + serial).Data["origin"]})
				require.Len(t, m.list("orders/web"), 1)
				issued := m.must(call{op: logical.UpdateOperation, path: "issue/web", entity: "e-web", data: map[string]any{"common_name": "shop.example.com"}})
				require.Equal(t, 1, countOrders(m.ca, "shop.example.com"), "bought twice: %v", issued.Warnings)
				m.endLease(issued)
			})
		})
	}
}

// eachWrite has each write of what prepare returns fail once, each way and with and without the death of the process, and then checks.
func eachWrite(t *testing.T, prepare func(*testing.T, *mount) func(), check func(*testing.T, *mount)) {
	t.Helper()
	for _, stored := range []bool{false, true} {
		for _, dies := range []bool{false, true} {
			for n, hit := 1, true; hit; n++ {
				t.Run(fmt.Sprintf("write %d, stored %v, dies %v", n, stored, dies), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						m := newMount(t, validated(certinexttest.Live))
						act := prepare(t, m)
						hit = m.failNth(n, stored, dies, act)
						m.start()
						check(t, m)
					})
				})
				require.Less(t, n, 200)
			}
		}
	}
}

// failNth does something while its nth write fails, and all later ones if the process dies. It reports whether there was such a write.
func (m *mount) failNth(n int, stored, dies bool, act func()) (hit bool) {
	seen := 0
	m.storage.cutBy(func(string) error {
		seen++
		switch {
		case seen == n && stored:
			hit = true
			return errStored
		case seen == n, seen > n && dies:
			hit = true
			return errors.New("storage is gone")
		}
		return nil
	})
	act()
	if dies {
		m.backend.Cleanup(m.t.Context())
	}
	m.storage.cutBy(nil)
	return hit
}

// tryPass is a pass that may fail.
func (m *mount) tryPass() {
	_, _ = m.backend.HandleRequest(m.t.Context(), &logical.Request{
		Operation: logical.RollbackOperation, Storage: m.storage, Data: map[string]any{"immediate": true},
	})
}

// The answers that are lost are asked for again, and buy and revoke nothing.
func TestSyncAndAdoptionAfterLostReplies(t *testing.T) {
	for _, operation := range []string{
		certinexttest.OpOrdersReport, certinexttest.OpCertificate, certinexttest.OpTrack, certinexttest.OpProducts,
	} {
		for _, kind := range []certinexttest.FaultKind{certinexttest.FaultLostReply, certinexttest.FaultOtherOrder, certinexttest.FaultMiddleman} {
			if kind == certinexttest.FaultOtherOrder && !slices.Contains([]string{certinexttest.OpTrack, certinexttest.OpCertificate}, operation) {
				continue
			}
			t.Run(operation+" "+string(kind), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					m := newMount(t, validated(certinexttest.Live))
					m.config(map[string]any{"sync_interval": "1h"})
					client, revoked := elsewhere(t, m.ca, "revoked.example.com")
					m.minutes(2, never)
					_, err := client.RevokeOrder(t.Context(), certinext.FamilySSL, revoked, certinext.RevokeRequest{Reason: certinext.ReasonSuperseded})
					require.NoError(t, err)
					_, number := elsewhere(t, m.ca, "shop.example.com")
					m.ca.Inject(certinexttest.Fault{Operation: operation, Kind: kind, Times: 3})
					m.minutes(61, never)
					m.ca.ClearFaults()
					m.minutes(120, never)
					synctest.Wait()
					require.Len(t, m.list("certs"), 2, m.read("sync").Data)
					require.Len(t, m.list("certs/revoked"), 1)
					var serial string
					for _, s := range m.list("certs") {
						if m.read("cert/" + s).Data["ca_order_id"] == number {
							serial = s
						}
					}
					m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpTrack, Kind: kind, Times: 1})
					_, _ = m.attempt("operator/adopt/web", map[string]any{"serial_number": serial})
					m.ca.ClearFaults()
					m.adopt("web", map[string]any{"serial_number": serial})
					require.Equal(t, "web", m.read("cert/" + serial).Data["role"])
					require.Len(t, m.ca.Orders(), 2)
				})
			})
		}
	}
}
