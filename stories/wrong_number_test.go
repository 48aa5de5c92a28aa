// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// otherNumbers puts another order's number into CERTInext's answers to creates.
type otherNumbers struct {
	next http.RoundTripper
	mu   sync.Mutex
	as   string
	from func() string
}

func (n *otherNumbers) RoundTrip(r *http.Request) (*http.Response, error) {
	n.mu.Lock()
	as := n.as
	n.mu.Unlock()
	if as == "" || !isCreate(r) {
		return n.next.RoundTrip(r)
	}
	return (&rewriting{next: n.next, edit: func(_ string, body []byte) []byte {
		return bytes.ReplaceAll(body, []byte(n.from()), []byte(as))
	}}).RoundTrip(r)
}

func (n *otherNumbers) set(as string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.as = as
}

// lastOrder is the order that was placed last.
func lastOrder(ca *certinexttest.Server) certinexttest.OrderRecord {
	all := ca.Orders()
	return all[len(all)-1]
}

// otherNumbers starts the mount anew behind a client that changes numbers.
func (m *mount) otherNumbers() *otherNumbers {
	n := &otherNumbers{next: m.ca.Client().Transport, from: func() string { return lastOrder(m.ca).ID }}
	m.backend.Cleanup(m.t.Context())
	m.startWith(&http.Client{Transport: n})
	return n
}

// isCreate reports whether a call places an SSL order.
func isCreate(r *http.Request) bool {
	return r.Method == http.MethodPost && (strings.HasSuffix(r.URL.Path, "/ssl-certificates") || strings.HasSuffix(r.URL.Path, "/GenerateOrderSSL"))
}

// CERTInext answers a create with the number of somebody else's order, and its records lag.
func TestNobodysOrderIsCancelledByAWrongNumber(t *testing.T) {
	for name, held := range map[string]bool{"pending": true, "issued": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				ca.HoldForApproval = held
				other := newMount(t, ca)
				victim := other.must(call{op: logical.UpdateOperation, path: "orders/web", data: map[string]any{"common_name": "victim.example.com"}}).Data
				ca.Configure(func(s *certinexttest.Server) { s.ReportDelay, s.HoldForApproval = 10*time.Minute, true })
				time.Sleep(time.Minute)
				m := newMount(t, ca)
				n := m.otherNumbers()
				n.set(victim["ca_order_id"].(string))
				o := m.write("orders/web", www).Data
				n.set("")
				m.tryDelete("orders/web/" + o["order_id"].(string))
				v, _ := ca.Order(victim["ca_order_id"].(string))
				want := "issued"
				if held {
					want = "pending-approval"
				}
				require.Equal(t, want, v.Status)
			})
		})
	}
}

// An operator's number is wrong, and then somebody deletes the order.
func TestNobodysOrderIsCancelledByAnOperatorsWrongNumber(t *testing.T) {
	for name, wait := range map[string]time.Duration{"within the lag": time.Minute, "when the records show whose it is": 20 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				ca.HoldForApproval = true
				ca.ReportDelay = 10 * time.Minute
				other := newMount(t, ca)
				victim := other.write("orders/web", www).Data
				m := newMount(t, ca)
				id := m.unresolved(certinexttest.FaultDropped)
				_, _ = m.attempt("operator/orders/web/"+id, map[string]any{"ca_order_id": victim["ca_order_id"]})
				time.Sleep(wait)
				m.tryDelete("orders/web/" + id)
				v, _ := ca.Order(victim["ca_order_id"].(string))
				require.Equal(t, "pending-approval", v.Status)
			})
		})
	}
}

// CERTInext answers with the number of an open order that is being worked on at that moment. That is
// noticed, and whoever got the number and deletes the order ends nobody's.
func TestTheNumberOfAnOrderUnderWayIsNoticed(t *testing.T) {
	for name, second := range map[string]map[string]any{
		"for the same name": www, "for another name": {"common_name": "b.example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				ca.HoldForApproval = true
				ca.ReportDelay = 10 * time.Minute
				m := newMount(t, ca)
				n := m.otherNumbers()
				var wg sync.WaitGroup
				wg.Go(func() {
					_, _ = m.send(call{op: logical.UpdateOperation, path: "issue/web", data: www, accessor: "a"})
				})
				time.Sleep(3 * time.Second)
				first := ca.Orders()[0].ID
				n.set(first)
				b := m.must(call{op: logical.UpdateOperation, path: "orders/web", data: second, accessor: "b"}).Data
				n.set("")
				require.NotEqual(t, first, b["ca_order_id"], "not noticed")
				m.tryDelete("orders/web/" + b["order_id"].(string))
				wg.Wait()
				v, _ := ca.Order(first)
				require.Equal(t, "pending-approval", v.Status)
			})
		})
	}
}

// An operator gives the number of an order that is over, and the records do not show the order in doubt yet.
func TestAnotherOrdersEndEndsNoOrder(t *testing.T) {
	for name, c := range map[string]struct {
		dialect certinexttest.Dialect
		end     func(ca *certinexttest.Server, m *mount, victim *logical.Response)
	}{
		"rejected, live": {certinexttest.Live, func(ca *certinexttest.Server, m *mount, v *logical.Response) {
			require.NoError(m.t, ca.Reject(v.Data["ca_order_id"].(string), "no"))
		}},
		"rejected, documented": {certinexttest.Documented, func(ca *certinexttest.Server, m *mount, v *logical.Response) {
			require.NoError(m.t, ca.Reject(v.Data["ca_order_id"].(string), "no"))
		}},
		"revoked, documented": {certinexttest.Documented, func(ca *certinexttest.Server, m *mount, v *logical.Response) {
			require.NoError(m.t, ca.Approve(v.Data["ca_order_id"].(string)))
			got := m.write("orders/web/"+v.Data["order_id"].(string)+"/collect", nil)
			m.write("revoke", map[string]any{"serial_number": got.Data["serial_number"]})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(c.dialect)
				ca.HoldForApproval = true
				ca.ReportDelay = 30 * time.Minute
				other := newMount(t, ca)
				victim := other.write("orders/web", www)
				c.end(ca, other, victim)
				m := newMount(t, ca)
				if c.dialect == certinexttest.Documented {
					m.write("config", map[string]any{"trust_idempotency_key": false})
				}
				id := m.unresolved(certinexttest.FaultLostReply)
				_, _ = m.attempt("operator/orders/web/"+id, map[string]any{"ca_order_id": victim.Data["ca_order_id"]})
				for range 4 {
					time.Sleep(2 * time.Minute)
					m.pass()
				}
				state := m.read("orders/web/" + id).Data["state"]
				require.Contains(t, []string{"unresolved", "pending"}, state)
			})
		})
	}
}

// A wrong number whose certificate has another key, in every dialect, with a restart in between.
func TestAWrongNumberIsTakenBackWithEitherKey(t *testing.T) {
	for _, restart := range []bool{false, true} {
		for _, d := range []certinexttest.Dialect{certinexttest.Live, certinexttest.Documented, certinexttest.V1} {
			t.Run(fmt.Sprintf("%v restart=%v", d, restart), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					ca := validated(d)
					ca.ReportDelay = 30 * time.Minute
					other := newMount(t, ca)
					victim := other.write("issue/web", www)
					m := newMount(t, ca)
					if d == certinexttest.Documented {
						m.write("config", map[string]any{"trust_idempotency_key": false})
					}
					id := m.unresolved(certinexttest.FaultLostReply)
					resp, err := m.attempt("operator/orders/web/"+id, map[string]any{"ca_order_id": victim.Data["ca_order_id"]})
					require.NoError(t, err)
					require.False(t, resp.IsError())
					if restart {
						m.start()
					}
					for range 3 {
						time.Sleep(2 * time.Minute)
						m.pass()
						_, _ = m.attempt("issue/web", www)
					}
					require.Contains(t, []string{"unresolved", "issued"}, m.read("orders/web/" + id).Data["state"])
					require.Len(t, ca.Orders(), 2)
					require.Equal(t, "issued", ca.Orders()[0].Status)
					if d != certinexttest.Documented {
						time.Sleep(time.Hour)
						m.pass()
						m.chainOK(m.write("issue/web", www))
						require.Len(t, ca.Orders(), 2)
					}
				})
			})
		}
	}
}

// CERTInext answers a create with the number of an order that is over.
func TestTheNumberOfAnOrderThatIsOverBuysNoThird(t *testing.T) {
	for name, lag := range map[string]time.Duration{"records lag": 10 * time.Minute, "records do not lag": 0} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				ca.HoldForApproval = true
				other := newMount(t, ca)
				victim := other.write("orders/web", www).Data
				require.NoError(t, ca.Reject(victim["ca_order_id"].(string), "no"))
				ca.Configure(func(s *certinexttest.Server) { s.HoldForApproval, s.ReportDelay = false, lag })
				m := newMount(t, ca)
				n := m.otherNumbers()
				n.set(victim["ca_order_id"].(string))
				_, _ = m.attempt("orders/web", www)
				n.set("")
				for range 5 {
					time.Sleep(time.Minute)
					m.pass()
				}
				_, err := m.attempt("issue/web", www)
				require.NoError(t, err)
				require.Len(t, ca.Orders(), 2)
			})
		})
	}
}
