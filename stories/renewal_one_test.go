// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"crypto/elliptic"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

func TestAnotherKeyIsNotAnsweredWithTheReissueForTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := renewing(t, nil)
		sign := func(async bool) (*logical.Response, error) {
			return m.attempt("sign/web", map[string]any{"csr": csr(t, newKey(t, elliptic.P256()), "www.example.com"), "async": async})
		}
		_, err := sign(false)
		require.NoError(t, err)
		time.Sleep(100 * day)
		m.pass()
		m.ca.Configure(func(s *certinexttest.Server) { s.IssueDelay = 3 * time.Hour })
		a, err := sign(true)
		require.NoError(t, err)
		b, err := sign(true)
		require.NoError(t, err)
		require.NotEqual(t, a.Data["order_id"], b.Data["order_id"], "another key's order")
		require.ErrorContains(t, b.Error(), a.Data["order_id"].(string)+" of the same requester")
		c, err := sign(false)
		require.NoError(t, err)
		require.ErrorContains(t, c.Error(), "Send it again when that order has its certificate")
		require.Len(t, m.ca.Orders(), 1)
	})
}

func TestANamedRequestIsNotAnsweredWithAnothersReissue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := renewing(t, nil)
		m.issue("www.example.com")
		time.Sleep(100 * day)
		m.pass()
		m.ca.Configure(func(s *certinexttest.Server) { s.IssueDelay = 3 * time.Hour })
		place := func(id string) map[string]any {
			resp, err := m.attempt("orders/web", map[string]any{"common_name": "www.example.com", "request_id": id})
			require.NoError(t, err)
			return resp.Data
		}
		a, b := place("a"), place("b")
		require.NotEqual(t, a["order_id"], b["order_id"])
	})
}

// Several hosts, with a key each, come back after the subscription has ended.
func TestSeveralKeysBuyOneSubscriptionAfterTheOtherHasEnded(t *testing.T) {
	for name, concurrent := range map[string]bool{"concurrent": true, "one after the other": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := renewing(t, nil)
				m.ca.Configure(func(s *certinexttest.Server) { s.IssueDelay = 20 * time.Second })
				sign := func(async bool) *logical.Response {
					resp, err := m.attempt("sign/web", map[string]any{"csr": csr(t, newKey(t, elliptic.P256()), "www.example.com"), "async": async})
					require.NoError(t, err)
					return resp
				}
				sign(false)
				time.Sleep(400 * day)
				m.pass()
				var all sync.WaitGroup
				for range 3 {
					if concurrent {
						all.Go(func() { sign(false) })
					} else {
						sign(true)
						time.Sleep(time.Second)
					}
				}
				all.Wait()
				require.Len(t, m.ca.Orders(), 2, "one subscription for the new term")
			})
		})
	}
}

func TestAllDoorsAtOnceShareTheSubscription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := renewing(t, nil)
		m.ca.Configure(func(s *certinexttest.Server) { s.IssueDelay = 5 * time.Second })
		first := m.issue("www.example.com")
		time.Sleep(100 * day)
		m.pass()
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				var resp *logical.Response
				var err error
				data := map[string]any{"common_name": "www.example.com"}
				path := "issue/web"
				switch i {
				case 0:
					path, data = "renew/web/"+first["serial_number"].(string), nil
				case 1:
					data["force_new"] = true
				case 2:
					data["request_id"] = "x"
				case 3:
					data["request_id"] = "y"
				case 4:
					data["async"] = true
				case 5:
					path, data = "sign/web", map[string]any{"csr": csr(t, newKey(t, elliptic.P256()), "www.example.com")}
				}
				resp, err = m.attempt(path, data)
				if err != nil || resp.IsError() {
					t.Log(i, err, resp.Error())
				}
			})
		}
		all.Wait()
		require.Len(t, m.ca.Orders(), 1)
	})
}

func TestTheSameNamesSpeltOtherwiseAreOneSubscription(t *testing.T) {
	for name, more := range map[string]map[string]any{
		"order": {"common_name": "www.example.com", "alt_names": "b.example.com,a.example.com"},
		"case":  {"common_name": "WWW.Example.com", "alt_names": "A.example.com,b.EXAMPLE.com"},
		"twice": {"common_name": "www.example.com", "alt_names": "a.example.com,b.example.com,www.example.com,a.example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := renewing(t, map[string]any{"product_code": "844"})
				m.write("issue/web", map[string]any{"common_name": "www.example.com", "alt_names": "a.example.com,b.example.com"})
				time.Sleep(20 * day)
				m.pass()
				resp, err := m.attempt("issue/web", more)
				require.NoError(t, err)
				require.False(t, resp.IsError(), "%v", resp)
				require.Equal(t, "www.example.com", m.chainOK(resp).Subject.CommonName)
				require.Len(t, m.ca.Orders(), 1)
			})
		})
	}
}

func TestNamesThatAReissueHasChangedAreOrderedAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := renewing(t, map[string]any{"product_code": "844", "allow_reissue": true})
		data := map[string]any{"common_name": "www.example.com", "alt_names": "a.example.com"}
		first := m.write("issue/web", data)
		o := m.reissue(first, map[string]any{"alt_names": "b.example.com"})
		m.write("orders/web/"+o.Data["order_id"].(string)+"/collect", nil)
		time.Sleep(20 * day)
		m.pass()
		resp, err := m.attempt("issue/web", data)
		require.NoError(t, err)
		require.False(t, resp.IsError(), "%v", resp.Error())
		require.Contains(t, resp.Warnings[0], "has other names now")
		require.Len(t, m.ca.Orders(), 2)
		require.ElementsMatch(t, []string{"www.example.com", "a.example.com"}, m.chainOK(resp).DNSNames)
	})
}

func TestTheCertificateOfADraftIsRenewedWithin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := renewing(t, nil)
		o := m.write("orders/web", map[string]any{"common_name": "www.example.com", "save_as_draft": true}).Data
		path := "orders/web/" + o["order_id"].(string)
		m.write(path, map[string]any{"promote": true})
		m.passes(2)
		m.write(path+"/collect", nil)
		time.Sleep(100 * day)
		m.pass()
		m.issue("www.example.com")
		require.Len(t, m.ca.Orders(), 1)
	})
}

func TestAnOrderThatWasHandedOverIsRenewedWithin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := renewing(t, nil)
		data := map[string]any{"common_name": "www.example.com"}
		o := m.must(call{op: logical.UpdateOperation, path: "orders/web", data: data, entity: "alice"}).Data
		m.write("operator/orders/web/"+o["order_id"].(string), map[string]any{"entity_id": "bob"})
		m.must(call{op: logical.UpdateOperation, path: "orders/web/" + o["order_id"].(string) + "/collect", data: nil, entity: "bob"})
		time.Sleep(100 * day)
		m.pass()
		m.must(call{op: logical.UpdateOperation, path: "issue/web", data: data, entity: "bob"})
		require.Len(t, m.ca.Orders(), 1)
		m.must(call{op: logical.UpdateOperation, path: "issue/web", data: data, entity: "alice"})
		require.Len(t, m.ca.Orders(), 2)
	})
}

func TestASubscriptionThatWentToAnotherRequesterIsMissedAloud(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := renewing(t, map[string]any{"order_access": "role"})
		data := map[string]any{"common_name": "www.example.com"}
		first := m.must(call{op: logical.UpdateOperation, path: "issue/web", data: data, entity: "alice"})
		time.Sleep(100 * day)
		m.pass()
		m.must(call{op: logical.UpdateOperation, path: "renew/web/" + first.Data["serial_number"].(string), data: nil, entity: "bob"})
		require.Len(t, m.ca.Orders(), 1)
		time.Sleep(20 * day)
		m.pass()
		resp := m.must(call{op: logical.UpdateOperation, path: "issue/web", data: data, entity: "alice"})
		require.Len(t, m.ca.Orders(), 2)
		require.Contains(t, resp.Warnings[0], "its order was reissued for another requester")
		require.Contains(t, fmt.Sprint(m.read("orders/web/" + resp.Data["order_id"].(string)).Data["timeline"]), "for another requester")
	})
}

// A draft may never be promoted: it holds up nobody.
func TestADraftHoldsUpNoRequestForItsNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := renewing(t, nil)
		draft := m.write("orders/web", map[string]any{"common_name": "www.example.com", "save_as_draft": true})
		require.Equal(t, "draft", draft.Data["state"])
		m.isFor(m.issue("www.example.com"), "www.example.com")
		m.isFor(m.write("issue/web", map[string]any{"common_name": "www.example.com", "request_id": "second"}).Data, "www.example.com")
		require.Len(t, m.ca.Orders(), 2, "the draft, and the order of both requests")
	})
}
