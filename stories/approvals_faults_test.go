// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	certinextsecrets "github.com/certinext/vault-plugin-secrets-certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// The plugin is started anew between any two steps, or all of them.
func TestAnApprovalOutlivesRestarts(t *testing.T) {
	for _, at := range []string{"requested", "approved", "issued", "each"} {
		t.Run(at, func(t *testing.T) {
			dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
				ca := validated(dialect)
				ca.IssueDelay = 90 * time.Second
				m := withApproval(t, ca)
				restart := func(step string) {
					if at == step || at == "each" {
						m.start()
					}
				}
				id := m.toApprove()
				restart("requested")
				m.passes(2)
				require.Equal(t, []string{"web/" + id}, m.list("approvals"))
				require.Equal(t, id, m.toApprove(), "the same request finds it")
				require.Zero(t, creates(ca))
				m.approve(id)
				restart("approved")
				time.Sleep(2 * time.Minute)
				m.pass()
				restart("issued")
				m.collected(id)
				require.Len(t, ca.Orders(), 1)
				require.Equal(t, 1, creates(ca))
			})
		})
	}
}

// A snapshot that was taken before the approval brings the order back as one that waits, although CERTInext has it.
func TestWhatRecordsMayNotShowYetIsNotEndedInTheBooksAlone(t *testing.T) {
	for name, end := range map[string]func(m *mount, id string) string{
		"rejected": func(m *mount, id string) string {
			_, refusal := m.decide("bob", id, "reject", "no")
			return refusal
		},
		"cancelled": func(m *mount, id string) string {
			_, refusal := m.asEntity("ann", logical.DeleteOperation, "orders/web/"+id, nil)
			return refusal
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				ca.ReportDelay = 30 * time.Second
				m := withApproval(t, ca)
				id := m.toApprove()
				before := snapshot(t, m.storage)
				m.approve(id)
				m.storage.lay(before)
				m.start()
				require.Contains(t, end(m, id), "records may not show it yet (absent_after). Try again in 1 hour")
				time.Sleep(time.Hour)
				end(m, id)
				order := m.read("orders/web/" + id).Data
				require.Equal(t, ca.Orders()[0].ID, order["ca_order_id"], "it is on record")
			})
		})
	}
}

func TestASnapshotFromBeforeTheApprovalBuysNothingTwice(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := validated(dialect)
		m := withApproval(t, ca)
		id := m.toApprove()
		before := snapshot(t, m.storage)
		m.approve(id)
		m.collected(id)
		require.Len(t, ca.Orders(), 1)

		m.storage.lay(before)
		m.start()
		m.passes(3)
		require.Equal(t, "approval", m.read("orders/web/" + id).Data["state"], "the approval is lost")
		require.Len(t, ca.Orders(), 1, "nothing is sent by itself")
		resp, refusal := m.decide("bob", id, "approve", "")
		require.Empty(t, refusal)
		m.collected(id)
		require.Len(t, ca.Orders(), 1)
		if dialect != certinexttest.Documented { // which has no records, and answers the same key with the same order
			require.NotContains(t, strings.Join(history(m, id), "\n"), "CERTInext took the order")
			require.Contains(t, strings.Join(history(m, id), "\n"), "it was placed before")
		}
		require.Equal(t, "approved", resp.Data["decision"])
	})
}

// history are the lines of an order's timeline.
func history(m *mount, id string) []string {
	var lines []string
	for _, e := range m.read("orders/web/" + id).Data["timeline"].([]map[string]any) {
		lines = append(lines, e["what"].(string))
	}
	return lines
}

// What the records do not show yet is never sent a second time under its own marker: it is what was approved now.
func TestASnapshotWhoseOrderTheRecordsDoNotShow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.ReportDelay = 100 * time.Hour
		m := withApproval(t, ca)
		id := m.toApprove()
		before := snapshot(t, m.storage)
		m.approve(id)
		m.storage.lay(before)
		m.start()
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpOrdersReport, Kind: certinexttest.FaultServerError, Times: 20})
		_, refusal := m.decide("bob", id, "approve", "")
		require.Contains(t, refusal, "was placed before a snapshot of Vault was restored, cannot be read")
		require.Equal(t, "approval", m.read("orders/web/" + id).Data["state"])
		require.Len(t, ca.Orders(), 1)
		ca.ClearFaults()
		time.Sleep(10 * time.Minute)
		m.approve(id)
		orders := ca.Orders()
		require.Len(t, orders, 2, "somebody has approved it twice")
		require.NotEqual(t, orders[0].Remarks, orders[1].Remarks)
	})
}

func TestAHeldMountTakesNoApproval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := withApproval(t, validated(certinexttest.Live))
		id, other := m.toApprove(), m.toApprove(map[string]any{"common_name": "shop.example.com"})
		m.startWithOptions(certinextsecrets.Options{HTTPClient: m.ca.Client(), Hold: true})
		m.passes(2)
		_, refusal := m.decide("bob", id, "approve", "")
		require.Contains(t, refusal, "CERTINEXT_HOLD")
		require.Len(t, m.list("approvals"), 2)
		_, refusal = m.decide("bob", other, "reject", "it was ordered after the snapshot")
		require.Empty(t, refusal, "a rejection changes nothing at CERTInext")
		require.Empty(t, m.ca.Orders())
		m.start()
		m.approve(id)
		m.collected(id)
	})
}

// CERTInext certainly did not take it, for a reason that passes: the approver is told, and asked again.
func TestAnApprovalThatDoesNotReachTheCAIsAskedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := withApproval(t, ca)
		id := m.toApprove()
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultRateLimit, Times: 1})
		_, refusal := m.decide("bob", id, "approve", "")
		require.Contains(t, refusal, "another person has to approve the order")
		seen := m.read("approvals/web/" + id).Data
		require.Equal(t, "approval", seen["state"])
		require.Empty(t, seen["decision"])
		require.NotEmpty(t, seen["last_error"])
		require.Equal(t, []string{id}, m.list("approvals/web"))
		m.passes(3)
		require.Empty(t, ca.Orders(), "nothing goes out by itself")
		m.approve(id)
		m.collected(id)
		require.Len(t, ca.Orders(), 1)
	})
}

func TestAnApprovedOrderThatTheCARefusesIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := withApproval(t, ca)
		id := m.toApprove()
		ca.Configure(func(s *certinexttest.Server) { s.Catalog = []certinexttest.Product{} })
		_, refusal := m.decide("bob", id, "approve", "")
		require.Contains(t, refusal, "failed")
		require.Equal(t, "failed", m.read("orders/web/" + id).Data["state"])
		requireNoKeys(t, m)
	})
}

// A create whose answer is lost leaves an order in doubt, which is looked for and not sent again.
func TestAnApprovedOrderWhoseAnswerWasLostIsFound(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := validated(dialect)
		m := withApproval(t, ca)
		id := m.toApprove()
		time.Sleep(50 * time.Hour) // longer than CERTInext remembers a key
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultLostReply, Times: 1})
		require.Equal(t, "unresolved", m.approve(id)["state"])
		_, refusal := m.decide("carol", id, "approve", "")
		require.Contains(t, refusal, "was approved already")
		m.start()
		m.passes(3)
		m.collected(id)
		require.Len(t, ca.Orders(), 1)
	})
}

// What goes wrong between the approval and CERTInext: the process ends, and storage refuses some operation.
func TestAFaultOfStorageDuringAnApproval(t *testing.T) {
	atSize(t)
	acts := map[string]func(m *mount, id string){
		"approve": func(m *mount, id string) {
			_, _ = m.send(call{
				op: logical.UpdateOperation, path: "approvals/web/" + id, data: map[string]any{"decision": "approve"}, entity: "bob",
			})
		},
		"reject": func(m *mount, id string) {
			_, _ = m.send(call{
				op: logical.UpdateOperation, path: "approvals/web/" + id, entity: "bob",
				data: map[string]any{"decision": "reject", "remark": "no"},
			})
		},
		"request": func(m *mount, _ string) {
			_, _ = m.send(call{op: logical.UpdateOperation, path: "orders/web", data: www, entity: "ann"})
		},
		"expire": func(m *mount, _ string) {
			time.Sleep(8 * 24 * time.Hour)
			m.try(logical.RollbackOperation, "", map[string]any{"immediate": true})
		},
	}
	for name, act := range acts {
		for _, dies := range []bool{false, true} {
			for _, after := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, restart %t, after it took effect %t", name, dies, after), func(t *testing.T) {
					struck := 0
					for n := 1; n < 60; n++ {
						hit := ""
						synctest.Test(t, func(t *testing.T) { hit = faultInApproval(t, act, name, n, dies, after) })
						if hit == "" {
							break
						}
						if struck++; t.Failed() {
							t.Logf("operation %d: %s", n, hit)
							return
						}
					}
					require.Greater(t, struck, 2)
				})
			}
		}
	}
}

// faultInApproval has the n-th operation of storage refused, and checks that the order goes on as somebody then decides.
func faultInApproval(t *testing.T, act func(m *mount, id string), name string, n int, dies, after bool) (hit string) {
	ca := validated(certinexttest.Live)
	m := withApproval(t, ca)
	id := ""
	if name != "request" {
		id = m.toApprove()
	}
	faulty := &faultyStorage{Storage: m.storage.under()}
	m.storage.lay(faulty)
	faulty.arm(n, 1, after)
	act(m, id)
	if hit = faulty.disarm(); hit == "" {
		return ""
	}
	if name != "approve" {
		require.Zero(t, creates(ca), "nobody has approved it")
	}
	if dies {
		m.start()
	}
	for range 5 {
		m.passes(1)
	}
	require.LessOrEqual(t, len(ca.Orders()), 1)
	if name != "approve" {
		require.Zero(t, creates(ca))
	}
	for _, waiting := range m.list("approvals/web") {
		m.approve(waiting)
	}
	m.passes(2)
	if name == "approve" {
		require.Len(t, ca.Orders(), 1, "it goes on, or waits again: %v", m.states())
	}
	if len(ca.Orders()) > 0 {
		require.Len(t, ca.Orders(), 1)
		require.Equal(t, "issued", ca.Orders()[0].Status)
	}
	require.NotContains(t, strings.Join(m.states(), " "), "approval")
	return hit
}

// states are those of the orders of "web".
func (m *mount) states() []string {
	var states []string
	for _, id := range m.list("orders/web") {
		states = append(states, m.read("orders/web/" + id).Data["state"].(string))
	}
	return states
}

// The process ends at each call to CERTInext and at each write of the approver's request: the order is placed once at most, and the same
// request has somebody asked again where it was not.
func TestAProcessThatEndsDuringAnApproval(t *testing.T) {
	for _, lost := range []bool{false, true} {
		t.Run(fmt.Sprintf("the create has arrived %t", lost), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				m := withApproval(t, ca)
				id := m.toApprove()
				kept := m.storage.under()
				gone := false
				m.startWith(&http.Client{Transport: dyingAt{ca.Client().Transport, lost, func() {
					gone = true
					m.storage.lay(&faultyStorage{Storage: new(logical.InmemStorage)}) // its writes reach nobody
				}}})
				_, _ = m.send(call{
					op: logical.UpdateOperation, path: "approvals/web/" + id, data: map[string]any{"decision": "approve"}, entity: "bob",
				})
				require.True(t, gone)
				m.storage.lay(kept)
				m.start()
				m.passes(3)
				if lost {
					m.collected(id)
					require.Len(t, ca.Orders(), 1)
					return
				}
				require.Equal(t, "unresolved", m.read("orders/web/" + id).Data["state"], "it may have been sent")
				require.Empty(t, ca.Orders())
			})
		})
	}
}

// dyingAt is a way to the CA on which the process ends at a create.
type dyingAt struct {
	http.RoundTripper
	arrives bool
	end     func()
}

func (d dyingAt) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPost && strings.Contains(r.URL.Path, "ssl-certificates") {
		d.end()
		if d.arrives {
			resp, err := d.RoundTripper.RoundTrip(r)
			if err == nil {
				_ = resp.Body.Close()
			}
		}
		return nil, errStorageAway
	}
	return d.RoundTripper.RoundTrip(r)
}
