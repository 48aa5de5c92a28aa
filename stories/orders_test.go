// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"crypto/elliptic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

func TestAnOrderIsPlacedShownAndCollected(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := validated(dialect)
		ca.IssueDelay = 5 * time.Minute
		m := newMount(t, ca)
		start := time.Now()
		placed := m.write("orders/web", map[string]any{"common_name": "www.example.com"}).Data
		require.Less(t, time.Since(start), 10*time.Second, "placing waited for the certificate")
		require.Equal(t, "pending", placed["state"])
		require.Equal(t, ca.Orders()[0].ID, placed["ca_order_id"])
		require.Equal(t, []string{"www.example.com"}, placed["names"])
		require.NotEmpty(t, placed["timeline"])

		id := placed["order_id"].(string)
		same := m.write("issue/web", map[string]any{"common_name": "www.example.com", "async": true}).Data
		require.Equal(t, id, same["order_id"], "the same request is the same order")
		require.Equal(t, []string{id}, m.list("orders/web"))
		require.Contains(t, m.refused("orders/web/"+id+"/collect", nil), "not finished")

		time.Sleep(5 * time.Minute)
		collected := m.write("orders/web/"+id+"/collect", map[string]any{"private_key_format": "pkcs8"})
		m.chainOK(collected)
		require.Contains(t, collected.Data["private_key"], "-----BEGIN PRIVATE KEY-----")
		require.NotNil(t, collected.Secret)
		order := m.read("orders/web/" + id).Data
		require.Equal(t, "issued", order["state"])
		require.Equal(t, true, order["delivered"])
		require.Equal(t, collected.Data["serial_number"], order["serial_number"])
		require.Len(t, ca.Orders(), 1)
		time.Sleep(6 * time.Minute)
		require.Contains(t, m.refused("orders/web/"+id+"/collect", nil), "collected already")
	})
}

func TestAnOrderIsCollectedByItsRequesterOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		issue := m.must(call{op: logical.UpdateOperation, path: "issue/web", data: www, entity: "entity-a"})
		placed := m.must(call{op: logical.UpdateOperation, path: "orders/web", data: www, entity: "entity-a"})
		m.start() // within the grace of the first, and before the second was fetched
		for _, resp := range []*logical.Response{issue, placed} {
			path := "orders/web/" + resp.Data["order_id"].(string) + "/collect"
			other, err := m.send(call{op: logical.UpdateOperation, path: path, entity: "entity-b"})
			require.NoError(t, err)
			require.ErrorContains(t, other.Error(), "another requester")
			m.chainOK(m.must(call{op: logical.UpdateOperation, path: path, entity: "entity-a"}))
		}
	})
}

func TestCollectingWaitsForASlowCA(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.IssueDelay = 30 * time.Second
		m := newMount(t, ca)
		id := m.write("orders/web", www).Data["order_id"].(string)
		time.Sleep(time.Minute)
		ca.Inject(certinexttest.Fault{Kind: certinexttest.FaultSlowReply, Delay: 6 * time.Second})
		m.chainOK(m.write("orders/web/"+id+"/collect", nil))
	})
}

func TestWhatWasDeliveredBeforeARestartIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		id := m.write("issue/web", www).Data["order_id"].(string)
		m.start()
		time.Sleep(6 * time.Minute)
		placed := m.write("orders/web", www).Data
		require.NotEqual(t, id, placed["order_id"], "an order whose certificate was handed over long ago")
		require.Contains(t, m.refused("orders/web/"+id+"/collect", nil), "collected already")
		m.chainOK(m.write("orders/web/"+placed["order_id"].(string)+"/collect", nil))
		require.Len(t, ca.Orders(), 2)
	})
}

func TestAnOrderIsPlacedByCSR(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		order := m.write("orders/web", map[string]any{"csr": csr(t, newKey(t, elliptic.P256()), "www.example.com")}).Data
		require.Equal(t, "issued", order["state"])
		collected := m.write("orders/web/"+order["order_id"].(string)+"/collect", nil)
		require.NotContains(t, collected.Data, "private_key")
	})
}

func TestACancelledOrderIsOverAtTheCAAndLosesItsKey(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := validated(dialect)
		ca.IssueDelay = time.Hour
		m := newMount(t, ca)
		id := m.write("orders/web", map[string]any{"common_name": "www.example.com"}).Data["order_id"].(string)
		order := m.must(call{op: logical.DeleteOperation, path: "orders/web/" + id, data: map[string]any{"reason": "not needed"}}).Data
		require.Equal(t, "cancelled", order["state"])
		require.Equal(t, "cancelled", ca.Orders()[0].Status)
		require.Equal(t, "not needed", ca.Orders()[0].CancelReason)
		requireNoKeys(t, m)
		require.Equal(t, []string{id}, m.list("orders/web"), "a cancelled order stays in the list")
		resp, err := m.send(call{op: logical.DeleteOperation, path: "orders/web/" + id})
		require.NoError(t, err)
		require.ErrorContains(t, resp.Error(), "is over: cancelled")
	})
}

func TestOrdersOfAnotherRoleAreNotFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.IssueDelay = time.Hour
		m := newMount(t, ca)
		m.write("roles/other", map[string]any{"product_code": "842", "product_variant": "dv", "allow_any_name": true})
		id := m.write("orders/web", map[string]any{"common_name": "www.example.com"}).Data["order_id"].(string)
		for _, c := range []call{
			{op: logical.UpdateOperation, path: "orders/other/" + id + "/collect"},
			{op: logical.UpdateOperation, path: "orders/other/" + id + "/dcv"},
			{op: logical.ReadOperation, path: "orders/other/" + id + "/dcv"},
			{op: logical.DeleteOperation, path: "orders/other/" + id},
		} {
			resp, err := m.send(c)
			require.NoError(t, err)
			require.ErrorContains(t, resp.Error(), "no order", "%s %s", c.op, c.path)
		}
		resp, err := m.send(call{op: logical.ReadOperation, path: "orders/other/" + id})
		require.NoError(t, err)
		require.Nil(t, resp)
		m.write("issue/web", map[string]any{"common_name": "api.example.com", "async": true})
		require.Empty(t, m.list("orders/other"))
		require.Equal(t, "pending", m.read("orders/web/" + id).Data["state"])
	})
}

func TestAnUnresolvedOrderIsSettledByHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		request := map[string]any{"common_name": "www.example.com"}
		unresolved := func(kind certinexttest.FaultKind) string {
			ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: kind, Times: 1})
			text := m.refused("issue/web", request)
			require.Contains(t, text, "an operator of Vault can settle it", "the answer says who settles it")
			require.NotContains(t, text, "never_placed", "and not how: that buys twice")
			for _, id := range m.list("orders/web") {
				if m.read("orders/web/" + id).Data["state"] == "unresolved" {
					return id
				}
			}
			t.Fatal("no order is unresolved")
			return ""
		}

		// It never arrived, and somebody has made sure of that.
		id := unresolved(certinexttest.FaultDropped)
		require.Contains(t, m.refused("operator/orders/web/"+id, nil), "ca_order_id:")
		require.Contains(t, m.refused("operator/orders/web/"+id, map[string]any{"ca_order_id": "1", "never_placed": true}), "ca_order_id:")
		require.Contains(t, m.refused("operator/orders/web/"+id, map[string]any{"never_placed": true}), "may still be working on")
		time.Sleep(4 * time.Minute)
		require.Equal(t, "failed", m.write("operator/orders/web/"+id, map[string]any{"never_placed": true}).Data["state"])
		requireNoKeys(t, m)
		m.chainOK(m.write("issue/web", request))
		require.Len(t, ca.Orders(), 1)

		// It arrived, and somebody has found it.
		ca.Configure(func(s *certinexttest.Server) { s.ReportDelay = time.Hour })
		request["common_name"] = "mail.example.com"
		id = unresolved(certinexttest.FaultLostReply)
		require.Contains(t, m.refused("operator/orders/web/"+id, map[string]any{"ca_order_id": "9999999999"}), "CERTInext answered")
		require.Equal(t, "unresolved", m.read("orders/web/" + id).Data["state"])
		require.Equal(t, "pending", m.write("operator/orders/web/"+id, map[string]any{"ca_order_id": ca.Orders()[1].ID}).Data["state"])
		require.Contains(t, m.refused("operator/orders/web/"+id, map[string]any{"never_placed": true}), "nothing to resolve")
		m.chainOK(m.write("issue/web", request))
		require.Len(t, ca.Orders(), 2)

		other := ca.Orders()[0].ID
		request["common_name"] = "api.example.com"
		id = unresolved(certinexttest.FaultDropped)
		text := m.refused("operator/orders/web/"+id, map[string]any{"ca_order_id": other})
		require.Contains(t, text, "it is not for api.example.com")
		require.NotContains(t, text, "www.example.com", "what somebody else has ordered is told")
	})
}

func TestChallengesSayWhatToPublish(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := &certinexttest.Server{Dialect: dialect}
		m := newMount(t, ca)
		start := time.Now()
		text := m.refused("issue/web", map[string]any{"common_name": "www.example.com"})
		require.Less(t, time.Since(start), 15*time.Second, "nobody validates a domain while the caller waits for its answer")
		id := m.list("orders/web")[0]
		require.Contains(t, text, "orders/web/"+id+"/dcv", "the answer says where to look")

		domains := m.read("orders/web/" + id + "/dcv").Data["domains"].([]map[string]any)
		require.Len(t, domains, 1)
		require.Equal(t, "www.example.com", domains[0]["domain"])
		require.Equal(t, false, domains[0]["verified"])
		require.NotEmpty(t, domains[0]["dns_value"])
		require.Contains(t, domains[0]["dns_names"], "_emudhra-challenge.www.example.com")

		http := m.must(call{op: logical.ReadOperation, path: "orders/web/" + id + "/dcv", data: map[string]any{"method": "http-url"}})
		file := http.Data["domains"].([]map[string]any)[0]
		require.Contains(t, file["http_path"], "/.well-known/pki-validation/")
		require.NotEmpty(t, file["http_content"])

		// Validated elsewhere meanwhile: the same request gets its certificate.
		ca.VerifyDomain("www.example.com")
		m.chainOK(m.write("issue/web", map[string]any{"common_name": "www.example.com"}))
		require.Len(t, ca.Orders(), 1)
	})
}

func TestChallengesOfPrivatePKIAndUnknownOrdersAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := &certinexttest.Server{IssueDelay: time.Hour}
		m := newMount(t, ca)
		m.write("roles/intranet", map[string]any{
			"product_code": "149", "product_variant": "intranet-ssl", "allow_any_name": true, "ca_profile_id": "1", "master_product_id": "1",
		})
		id := m.write("orders/intranet", map[string]any{"common_name": "db.internal"}).Data["order_id"].(string)
		require.Contains(t, m.refused("orders/intranet/"+id+"/dcv", nil), "private-pki")
		require.Contains(t, m.refused("orders/web/nothing/dcv", nil), "no order")
		web := m.write("orders/web", map[string]any{"common_name": "www.example.com"}).Data["order_id"].(string)
		require.Contains(t, m.refused("orders/web/"+web+"/dcv", map[string]any{"domain": "api.example.com"}), "domain:")
		require.Contains(t, m.refused("orders/web/"+web+"/dcv", map[string]any{"method": "pigeon"}), "method:")
	})
}

// After a network error the caller's own name tells whether there is an order, without asking for it again.
func TestAnOrderIsFoundByTheNameOfItsRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		find := func(role, name, entity string) *logical.Response {
			return m.must(call{op: logical.ReadOperation, path: "orders/" + role + "/request/" + name, entity: entity})
		}
		const name = "ci/web:42@prod"
		require.Nil(t, find("web", name, "ours"))
		m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultLostReply, Times: 1})
		_, err := m.send(call{op: logical.UpdateOperation, path: "orders/web", entity: "ours", data: map[string]any{"common_name": "www.example.com", "request_id": name}})
		require.NoError(t, err)

		order := find("web", name, "ours").Data
		require.Equal(t, name, order["request_id"])
		require.Equal(t, "unresolved", order["state"])
		require.Equal(t, order, m.read("orders/web/"+order["order_id"].(string)).Data)
		for _, other := range []string{"reissue", "documents", "collect", "dcv", "download/crt"} {
			require.Nil(t, find("web", other, "ours"), "a name may be called like the path of an order")
		}
		require.Nil(t, find("web", name, "theirs"), "another requester's")
		require.Nil(t, find("api", name, "ours"), "another role's")

		time.Sleep(time.Hour)
		m.pass()
		require.Equal(t, "issued", find("web", name, "ours").Data["state"])
		require.Len(t, m.ca.Orders(), 1)
	})
}

// An order is of the account that it was placed with, however the address of that is written.
func TestTheChallengesOfAnotherAccountsOrderAreNotAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := &certinexttest.Server{Dialect: certinexttest.Live}
		m := newMount(t, ca)
		path := "orders/web/" + m.write("orders/web", www).Data["order_id"].(string)
		config := m.account()
		config["base_url"] = sandboxURL + "/"
		m.write("config", config)
		require.NotEmpty(t, m.read(path + "/dcv").Data["domains"])

		require.Contains(t, m.refusedRead(path+"/dcv", map[string]any{"domain": "nonsense.example.com"}), "domain:")
		require.Len(t, m.must(call{op: logical.ReadOperation, path: path + "/dcv", data: map[string]any{"domain": "www.example.com"}}).Data["domains"], 1)

		config["base_url"], config["verify_connection"], config["force"] = "https://elsewhere.certinext.test", false, true
		m.write("config", config)
		before := ca.Calls()
		require.Contains(t, m.refusedRead(path+"/dcv", nil), "another CERTInext account")
		require.Contains(t, m.refused(path+"/dcv", nil), "another CERTInext account")
		require.Equal(t, before, ca.Calls())
	})
}

func (m *mount) refusedRead(path string, data map[string]any) string {
	m.t.Helper()
	resp, err := m.send(call{op: logical.ReadOperation, path: path, data: data})
	require.NoError(m.t, err)
	require.True(m.t, resp.IsError(), "%v", resp)
	return resp.Error().Error()
}

// The order keeps what its request wanted of the lease, which begins when it is collected.
func TestTheTTLOfAnOrderIsThatOfItsLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		order := m.write("orders/web", map[string]any{"common_name": "www.example.com", "ttl": "1h"})
		require.Equal(t, time.Hour, m.write("orders/web/"+order.Data["order_id"].(string)+"/collect", nil).Secret.TTL)
	})
}
