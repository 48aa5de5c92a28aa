// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
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

// recordless is an edition of the API that says itself, in both versions, that it has no records.
func recordless(ca *certinexttest.Server) {
	ca.Inject(certinexttest.Fault{Operation: certinexttest.OpOrdersReport, Kind: certinexttest.FaultServerError, Status: http.StatusNotImplemented})
}

// requestless leaves out of CERTInext's status answers from which request an order has come: the published text shows no such answer.
type requestless struct{ next http.RoundTripper }

var requestMember = regexp.MustCompile(`"requestId":"[^"]*",?`)

func (q requestless) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet {
		return q.next.RoundTrip(r)
	}
	return (&rewriting{next: q.next, edit: func(_ string, body []byte) []byte { return requestMember.ReplaceAll(body, nil) }}).RoundTrip(r)
}

// An operator gives a draft, or an order in doubt that was asked for as a draft, the number of another mount's order. Whatever shows
// that it is wrong, the draft is one again, and nobody has bought it.
func TestADraftThatGotAWrongNumberByHandIsADraftAgain(t *testing.T) {
	for name, c := range map[string]struct {
		lost bool // the draft's own answer
		end  func(t *testing.T, ca *certinexttest.Server, victim string)
	}{
		"the certificate has another key": {end: func(t *testing.T, ca *certinexttest.Server, victim string) {
			require.NoError(t, ca.Approve(victim))
		}},
		"that order is over": {end: func(t *testing.T, ca *certinexttest.Server, victim string) {
			require.NoError(t, ca.Reject(victim, "no"))
		}},
		"CERTInext does not know it": {end: func(_ *testing.T, ca *certinexttest.Server, _ string) {
			ca.Inject(certinexttest.Fault{
				Operation: certinexttest.OpTrack, Kind: certinexttest.FaultMiddleman, Status: 404, ContentType: "application/problem+json",
				Body: `{"type":"about:blank","title":"Not Found","status":404,"detail":"EMS-943 no such order"}`,
			})
		}},
		"its create was not answered": {lost: true, end: func(t *testing.T, ca *certinexttest.Server, victim string) {
			require.NoError(t, ca.Approve(victim))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Documented)
				ca.HoldForApproval = true
				recordless(ca)
				victim := newMount(t, ca).write("orders/web", www).Data["ca_order_id"].(string)
				m := newMount(t, ca)
				m.backend.Cleanup(t.Context())
				m.startWith(&http.Client{Transport: requestless{ca.Client().Transport}})
				if c.lost {
					ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultLostReply, Times: 1})
				}
				path := "orders/web/" + m.write("orders/web", draft()).Data["order_id"].(string)
				m.write("operator/"+path, map[string]any{"ca_order_id": victim})
				c.end(t, ca, victim)
				for range 5 {
					time.Sleep(2 * time.Minute)
					m.pass()
				}
				ca.ClearFaults()
				recordless(ca)
				time.Sleep(2 * time.Minute)
				m.pass()
				require.Len(t, ca.Orders(), 2)
				require.Equal(t, "draft", ca.Orders()[1].Status, "bought, and nobody has promoted it")
				require.Equal(t, "draft", m.read(path).Data["state"])
				require.Equal(t, ca.Orders()[1].RequestID, m.read(path).Data["ca_request_id"])
				ca.Configure(func(s *certinexttest.Server) { s.HoldForApproval = false })
				m.write(path, map[string]any{"promote": true})
				m.chainOK(m.write(path+"/collect", nil))
				require.Len(t, ca.Orders(), 2)
			})
		})
	}
}

// The number that an operator gave an order in doubt was another request's. It has never been a draft, and is found by its own key.
func TestAnOrderThatGotAWrongNumberByHandIsNoDraft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Documented)
		ca.HoldForApproval = true
		recordless(ca)
		victim := newMount(t, ca).write("orders/web", www).Data["ca_order_id"].(string)
		m := newMount(t, ca)
		id := m.unresolved(certinexttest.FaultLostReply)
		m.write("operator/orders/web/"+id, map[string]any{"ca_order_id": victim})
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultServerError, Times: 1})
		require.NoError(t, ca.Approve(victim))
		ca.Configure(func(s *certinexttest.Server) { s.HoldForApproval = false })
		for range 4 {
			time.Sleep(2 * time.Minute)
			m.pass()
		}
		require.Len(t, ca.Orders(), 2)
		require.NotEqual(t, "draft", m.read("orders/web/" + id).Data["state"])
		_ = ca.Approve(ca.Orders()[1].ID)
		m.chainOK(m.write("orders/web/"+id+"/collect", nil))
		require.Len(t, ca.Orders(), 2)
	})
}

// A number that an open order has is nobody else's, however CERTInext gives it a second time.
func TestANumberBelongsToOneOrder(t *testing.T) {
	for name, c := range map[string]struct {
		first certinexttest.Fault // what happens to the answer of the second order's create
		state string
	}{
		"asked again after a lost answer":  {certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultLostReply, Times: 1}, "unresolved"},
		"asked again after a wrong number": {certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultOtherOrder, Times: 1}, "unresolved"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Documented)
				ca.HoldForApproval = true
				recordless(ca)
				m := newMount(t, ca)
				n := m.otherNumbers()
				a := m.write("orders/web", www).Data
				number := a["ca_order_id"].(string)
				ca.Inject(c.first)
				n.set(number)
				b := m.write("orders/web", map[string]any{"common_name": "b.example.com"}).Data
				path := "orders/web/" + b["order_id"].(string)
				own := lastOrder(ca).ID
				for range 3 {
					time.Sleep(2 * time.Minute)
					m.pass()
				}
				require.NotEqual(t, number, m.read(path).Data["ca_order_id"])
				require.Equal(t, c.state, m.read(path).Data["state"])
				require.Contains(t, m.refused("operator/"+path, map[string]any{"ca_order_id": number}), "cannot be order")
				m.tryDelete(path)
				v, _ := ca.Order(number)
				require.Equal(t, "pending-approval", v.Status)
				n.set("")
				time.Sleep(2 * time.Minute)
				m.pass()
				require.Equal(t, own, m.read(path).Data["ca_order_id"])
				require.Len(t, ca.Orders(), 2)
			})
		})
	}
}

// CERTInext has answered two creates with each other's numbers. Its records tell them apart, and each gets its own in the end.
func TestTwoOrdersWithEachOthersNumbersGetTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.HoldForApproval = true
		m := newMount(t, ca)
		swap := strings.NewReplacer()
		m.backend.Cleanup(t.Context())
		m.startWith(&http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			if !isCreate(r) {
				return ca.Client().Transport.RoundTrip(r)
			}
			return (&rewriting{next: ca.Client().Transport, edit: func(_ string, body []byte) []byte { return []byte(swap.Replace(string(body))) }}).RoundTrip(r)
		})})
		place := func(name string) map[string]any {
			return m.write("orders/web", map[string]any{"common_name": name}).Data
		}
		var numbers [2]int // CERTInext counts on
		for i, name := range []string{"a.example.com", "b.example.com"} {
			numbers[i], _ = strconv.Atoi(place(name)["ca_order_id"].(string))
		}
		step := numbers[1] - numbers[0]
		third, fourth := strconv.Itoa(numbers[1]+step), strconv.Itoa(numbers[1]+2*step)
		swap = strings.NewReplacer(third, fourth, fourth, third)
		var paths []string
		for _, name := range []string{"c.example.com", "d.example.com"} {
			o := place(name)
			paths = append(paths, "orders/web/"+o["order_id"].(string))
		}
		require.Equal(t, fourth, ca.Orders()[3].ID)
		for range 6 {
			time.Sleep(2 * time.Minute)
			m.pass()
		}
		for i, path := range paths {
			require.Equal(t, ca.Orders()[i+2].ID, m.read(path).Data["ca_order_id"])
		}
	})
}

// Whoever deletes an order while it cannot be read whose its number is ends nobody's order.
func TestWhatCannotBeReadIsNoConsentToACancellation(t *testing.T) {
	for name, fault := range map[string]certinexttest.Fault{
		"the status cannot be read": {Operation: certinexttest.OpTrack, Kind: certinexttest.FaultServerError},
		"the status names no order": {Operation: certinexttest.OpTrack, Kind: certinexttest.FaultWrongStatus, OrderStatus: "pending-approval"},
	} {
		for state, held := range map[string]bool{"pending": true, "issued": false} {
			t.Run(name+", "+state, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					ca := validated(certinexttest.Documented)
					ca.HoldForApproval = held
					other := newMount(t, ca)
					victim := other.write("orders/web", map[string]any{"common_name": "victim.example.com"}).Data["ca_order_id"].(string)
					ca.Configure(func(s *certinexttest.Server) { s.ReportDelay, s.HoldForApproval = 10*time.Minute, true })
					m := newMount(t, ca)
					m.write("config", map[string]any{"trust_idempotency_key": false})
					n := m.otherNumbers()
					n.set(victim)
					ca.Inject(fault)
					path := "orders/web/" + m.write("orders/web", www).Data["order_id"].(string)
					n.set("")
					require.True(t, m.tryDelete(path).IsError())
					v, _ := ca.Order(victim)
					require.Equal(t, map[bool]string{true: "pending-approval", false: "issued"}[held], v.Status)
				})
			})
		}
	}
}

// An operator's number is for the same name, and this edition has no records that show whose it is.
func TestAnOperatorsNumberIsNotCancelledWhereThereAreNoRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Documented)
		ca.HoldForApproval = true
		recordless(ca)
		victim := newMount(t, ca).write("orders/web", www).Data["ca_order_id"].(string)
		m := newMount(t, ca)
		m.write("config", map[string]any{"trust_idempotency_key": false})
		id := m.unresolved(certinexttest.FaultLostReply)
		m.write("operator/orders/web/"+id, map[string]any{"ca_order_id": victim})
		require.ErrorContains(t, m.tryDelete("orders/web/"+id).Error(), "given by hand")
		v, _ := ca.Order(victim)
		require.Equal(t, "pending-approval", v.Status)
	})
}

// An operator's number is checked in the records when they can be read again.
func TestAnOperatorsNumberWaitsForTheRecords(t *testing.T) {
	for name, fault := range map[string]certinexttest.Fault{
		"CERTInext is busy": {Operation: certinexttest.OpOrdersReport, Kind: certinexttest.FaultRateLimit},
		"CERTInext is away": {Operation: certinexttest.OpOrdersReport, Kind: certinexttest.FaultHTML},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				ca.HoldForApproval = true
				victim := newMount(t, ca).write("orders/web", www).Data["ca_order_id"].(string)
				m := newMount(t, ca)
				id := m.unresolved(certinexttest.FaultLostReply)
				ca.Inject(fault)
				require.Contains(t, m.refused("operator/orders/web/"+id, map[string]any{"ca_order_id": victim}), "try again")
				ca.ClearFaults()
				require.Contains(t, m.refused("operator/orders/web/"+id, map[string]any{"ca_order_id": victim}), "placed for another order")
			})
		})
	}
}

// A synchronization has taken in the certificate of the number that an operator gives, and it is for another key.
func TestTheNumberOfASynchronizedCertificateIsNotGivenToAnOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Documented)
		victim := newMount(t, ca).write("issue/web", www).Data["ca_order_id"].(string)
		m := newMount(t, ca)
		m.write("config", map[string]any{"trust_idempotency_key": false})
		require.Equal(t, 1, m.synchronize()["imported"])
		recordless(ca)
		id := m.unresolved(certinexttest.FaultLostReply)
		path := "orders/web/" + id
		require.Contains(t, m.refused("operator/"+path, map[string]any{"ca_order_id": victim}), "placed for another order")
		m.write("operator/"+path, map[string]any{"ca_order_id": ca.Orders()[1].ID})
		m.chainOK(m.write(path+"/collect", nil))
	})
}
