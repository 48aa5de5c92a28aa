// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// An order that is over says how it ended, that nobody has to do anything, and what a requester can do now.
func TestAnOrderThatIsOverSaysHowItEnded(t *testing.T) {
	type end struct {
		do     func(m *mount, path string)
		state  string
		remedy string // part of what collecting answers
	}
	wait := func(d time.Duration) func(m *mount, path string) {
		return func(m *mount, _ string) {
			time.Sleep(d)
			m.pass()
			m.pass()
		}
	}
	for name, c := range map[string]end{
		"deleted after it was issued": {func(m *mount, path string) {
			m.must(call{op: logical.DeleteOperation, path: path})
		}, "revoked", "is over: revoked"},
		"revoked by its serial number": {func(m *mount, path string) {
			m.write("revoke", map[string]any{"serial_number": m.read(path).Data["serial_number"]})
		}, "revoked", "is over: revoked"},
		"never fetched": {wait(8 * 24 * time.Hour), "unclaimed", "Request a new certificate, or have this one reissued"},
		"expired before it was fetched": {func(m *mount, path string) {
			m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"pickup_window": "2400h"}})
			later := m.write("orders/web", map[string]any{"common_name": "b.example.com"}).Data["order_id"].(string)
			m.pass()
			wait(31*24*time.Hour)(m, path)
			require.Equal(m.t, "expired", m.read("orders/web/" + later).Data["state"])
			require.Empty(m.t, m.read("orders/web/" + later).Data["waits_for"])
		}, "expired", "is over: expired"},
		"collected": {func(m *mount, path string) {
			m.write(path+"/collect", nil)
			wait(time.Hour)(m, path)
		}, "issued", "was collected already, and its key is erased: request another certificate, or revoke this one"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMount(t, monthly(certinexttest.Live))
				path := "orders/web/" + m.write("orders/web", www).Data["order_id"].(string)
				time.Sleep(time.Minute)
				m.pass()
				c.do(m, path)
				order := m.read(path).Data
				require.Equal(t, c.state, order["state"])
				require.Empty(t, order["waits_for"])
				require.Empty(t, order["needs"])
				requireNoKeys(t, m)
				require.Contains(t, m.refused(path+"/collect", nil), c.remedy)
			})
		})
	}
}

// An order that nobody fetched is paid for: having it reissued costs nothing.
func TestAnOrderThatNobodyFetchedCanBeReissued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"allow_reissue": true}})
		path := "orders/web/" + m.write("orders/web", www).Data["order_id"].(string)
		time.Sleep(8 * 24 * time.Hour)
		m.pass()
		m.pass()
		require.Equal(t, "unclaimed", m.read(path).Data["state"])
		again := m.write(path+"/reissue", nil)
		time.Sleep(time.Minute)
		m.chainOK(m.write("orders/web/"+again.Data["order_id"].(string)+"/collect", nil))
		require.Len(t, ca.Orders(), 1)
	})
}

// A request that CERTInext refuses again and again leaves the record of the last refusal, which anybody who may delete the
// order removes.
func TestRefusedRequestsLeaveNoOrders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultServerError, Status: 422})
		for range 10 {
			require.NotContains(t, m.refused("issue/web", www), "nothing is lost")
		}
		ids := m.list("orders/web")
		require.Len(t, ids, 1)
		require.Equal(t, "failed", m.read("orders/web/" + ids[0]).Data["state"])
		gone := m.must(call{op: logical.DeleteOperation, path: "orders/web/" + ids[0]})
		require.Equal(t, "failed", gone.Data["state"])
		require.Empty(t, m.list("orders/web"))
		named := map[string]any{"common_name": "www.example.com", "request_id": "deploy-17"}
		m.refused("issue/web", named)
		require.Len(t, m.list("orders/web"), 1, "a name is asked about later")
		require.Equal(t, "failed", m.read("orders/web/request/deploy-17").Data["state"])
		_, err := m.attempt("orders/web", www)
		require.NoError(t, err)
		require.Len(t, m.list("orders/web"), 2)
		ca.ClearFaults()
		m.chainOK(m.write("issue/web", named))
		m.chainOK(m.write("issue/web", www))
	})
}

// However it ended, whoever comes to collect is told what to do.
func TestCollectingAnOrderThatIsOverNamesTheRemedy(t *testing.T) {
	for name, end := range map[string]func(m *mount, o map[string]any){
		"rejected":  func(m *mount, o map[string]any) { _ = m.ca.Reject(o["ca_order_id"].(string), "no") },
		"cancelled": func(m *mount, o map[string]any) { m.tryDelete("orders/web/" + o["order_id"].(string)) },
		"revoked": func(m *mount, o map[string]any) {
			_ = m.ca.Approve(o["ca_order_id"].(string))
			m.passMinutes(2)
			m.tryDelete("orders/web/" + o["order_id"].(string))
		},
		"expired": func(m *mount, o map[string]any) {
			m.ca.Configure(func(s *certinexttest.Server) { s.Misissue = certinexttest.MisissueExtraName })
			_ = m.ca.Approve(o["ca_order_id"].(string))
			m.passMinutes(2)
			time.Sleep(31 * 24 * time.Hour)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := monthly(certinexttest.Live)
				ca.HoldForApproval = true
				m := newMount(t, ca)
				o := m.write("orders/web", www).Data
				end(m, o)
				m.passes(3)
				path := "orders/web/" + o["order_id"].(string)
				require.Equal(t, name, m.read(path).Data["state"])
				require.Contains(t, strings.ToLower(m.refused(path+"/collect", nil)), "request", "nothing says what to do")
			})
		})
	}
}
