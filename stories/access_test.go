// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// asEntity sends a request of an identity, and returns how it was refused; empty when it was not.
func (m *mount) asEntity(entity string, op logical.Operation, path string, data map[string]any) (*logical.Response, string) {
	m.t.Helper()
	resp, err := m.send(call{op: op, path: path, data: data, entity: entity})
	require.NoError(m.t, err)
	if resp.IsError() {
		return resp, resp.Error().Error()
	}
	return resp, ""
}

// What somebody has ordered is not another one's to cancel, promote, reissue, renew or revoke, or to upload documents for.
func TestNobodyActsOnWhatAnotherOneOrdered(t *testing.T) {
	const foreign = "was placed by another requester"
	type act struct {
		op   logical.Operation
		path func(issued, open, draft map[string]any) string
		data func(issued map[string]any) map[string]any
	}
	at := func(which int, suffix string) func(issued, open, draft map[string]any) string {
		return func(issued, open, draft map[string]any) string {
			return "orders/web/" + []map[string]any{issued, open, draft}[which]["order_id"].(string) + suffix
		}
	}
	none := func(map[string]any) map[string]any { return nil }
	acts := map[string]act{
		"cancel":  {logical.DeleteOperation, at(1, ""), none},
		"promote": {logical.UpdateOperation, at(2, ""), func(map[string]any) map[string]any { return map[string]any{"promote": true} }},
		"discard": {logical.DeleteOperation, at(2, ""), none},
		"reissue": {logical.UpdateOperation, at(0, "/reissue"), none},
		"documents": {logical.UpdateOperation, at(1, "/documents"), func(map[string]any) map[string]any {
			return map[string]any{"file_name": "a.pdf", "description": "passport", "content": "JVBERi0xLjQK"}
		}},
		"renew": {logical.UpdateOperation, func(issued, _, _ map[string]any) string {
			return "renew/web/" + issued["serial_number"].(string)
		}, none},
		"revoke by order": {
			logical.UpdateOperation, func(_, _, _ map[string]any) string { return "revoke/web" },
			func(issued map[string]any) map[string]any { return map[string]any{"order_id": issued["order_id"]} },
		},
		"revoke by serial number": {
			logical.UpdateOperation, func(_, _, _ map[string]any) string { return "revoke/web" },
			func(issued map[string]any) map[string]any {
				return map[string]any{"serial_number": issued["serial_number"]}
			},
		},
		"revoke by certificate": {
			logical.UpdateOperation, func(_, _, _ map[string]any) string { return "revoke/web" },
			func(issued map[string]any) map[string]any {
				return map[string]any{"certificate": issued["certificate"]}
			},
		},
	}
	for name, a := range acts {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				m := newMount(t, ca)
				m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"allow_reissue": true}})
				issued, refusal := m.asEntity("ann", logical.UpdateOperation, "issue/web", www)
				require.Empty(t, refusal)
				ca.Configure(func(s *certinexttest.Server) { s.HoldForApproval = true })
				open, _ := m.asEntity("ann", logical.UpdateOperation, "orders/web", map[string]any{"common_name": "b.example.com"})
				drafted, _ := m.asEntity("ann", logical.UpdateOperation, "orders/web", map[string]any{"common_name": "c.example.com", "save_as_draft": true})
				ca.Configure(func(s *certinexttest.Server) { s.HoldForApproval = false })
				before, stored := ca.Calls(), m.storage.dump(t)
				path := a.path(issued.Data, open.Data, drafted.Data)
				_, refusal = m.asEntity("bob", a.op, path, a.data(issued.Data))
				require.Contains(t, refusal, foreign)
				require.Contains(t, refusal, "order_access")
				require.Equal(t, before, ca.Calls(), "CERTInext was not asked")
				require.Equal(t, stored, m.storage.dump(t))

				m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"order_access": "role"}})
				_, refusal = m.asEntity("bob", a.op, path, a.data(issued.Data))
				require.NotContains(t, refusal, foreign, "the role's orders are everybody's now")
				_, refusal = m.asEntity("ann", a.op, path, a.data(issued.Data))
				require.NotContains(t, refusal, foreign)
			})
		})
	}
}

// Looking is up to the policy.
func TestWhoeverMayReadReadsWhatOthersOrdered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, new(certinexttest.Server))
		order, _ := m.asEntity("ann", logical.UpdateOperation, "orders/web", www)
		path := "orders/web/" + order.Data["order_id"].(string)
		for _, p := range []string{path, path + "/dcv"} {
			_, refusal := m.asEntity("bob", logical.ReadOperation, p, nil)
			require.Empty(t, refusal)
		}
		_, refusal := m.asEntity("bob", logical.UpdateOperation, path+"/collect", nil)
		require.Contains(t, refusal, "only that requester can collect it")
	})
}

// Roles that an earlier version has stored keep what they allowed; new ones begin with the requester.
func TestOrderAccessOfStoredRoles(t *testing.T) {
	m := newMount(t, validated(certinexttest.Live))
	require.Equal(t, "requester", m.read("roles/web").Data["order_access"])
	require.Contains(t, m.refused("roles/bad", map[string]any{"product_code": "842", "product_variant": "dv", "order_access": "all"}), "order_access:")
	e, err := m.storage.Get(t.Context(), "role/web")
	require.NoError(t, err)
	fields := make(map[string]any)
	require.NoError(t, json.NewDecoder(bytes.NewReader(e.Value)).Decode(&fields))
	delete(fields, "order_access")
	e.Value, err = json.Marshal(fields)
	require.NoError(t, err)
	require.NoError(t, m.storage.Put(t.Context(), e))
	require.Equal(t, "role", m.read("roles/web").Data["order_access"])
	m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"remarks": "x"}})
	require.Equal(t, "role", m.read("roles/web").Data["order_access"])
}

// The token that placed an order is gone. An operator hands the order over, and somebody else collects it.
func TestAnOperatorHandsAnOrderOver(t *testing.T) {
	for name, when := range map[string]time.Duration{"open": 0, "issued": 2 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				ca.IssueDelay = time.Minute
				m := newMount(t, ca)
				order, _ := m.asEntity("", logical.UpdateOperation, "orders/web", www)
				require.Contains(t, strings.Join(order.Warnings, "\n"), "only this very token can collect the order")
				known, _ := m.asEntity("ann", logical.UpdateOperation, "orders/web", map[string]any{"common_name": "b.example.com"})
				require.Empty(t, known.Warnings)
				time.Sleep(when)
				m.pass()
				path := "orders/web/" + order.Data["order_id"].(string)
				m.write("operator/"+path, map[string]any{"entity_id": "bob"})
				time.Sleep(2 * time.Minute)
				m.pass()
				_, refusal := m.asEntity("", logical.UpdateOperation, path+"/collect", nil)
				require.Contains(t, refusal, "only that requester can collect it")
				got, refusal := m.asEntity("bob", logical.UpdateOperation, path+"/collect", nil)
				require.Empty(t, refusal)
				m.chainOK(got)
				require.Contains(t, m.refused("operator/"+path, map[string]any{"entity_id": "carl"}), "nothing to hand over")
				_, refusal = m.asEntity("bob", logical.UpdateOperation, "revoke/web", map[string]any{"serial_number": got.Data["serial_number"]})
				require.Empty(t, refusal, "it is bob's now")
			})
		})
	}
}

// The same request finds its order again, but not one that is somebody else's by now.
func TestWhoPlacedAnOrderThatWasHandedOverDoesNotFindItAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.IssueDelay = time.Hour
		m := newMount(t, ca)
		order, _ := m.asEntity("ann", logical.UpdateOperation, "orders/web", www)
		id := order.Data["order_id"].(string)
		m.write("operator/orders/web/"+id, map[string]any{"entity_id": "bob"})
		again, refusal := m.asEntity("ann", logical.UpdateOperation, "orders/web", www)
		require.Empty(t, refusal)
		require.NotEqual(t, id, again.Data["order_id"])
		m.start()
		third, _ := m.asEntity("ann", logical.UpdateOperation, "orders/web", www)
		require.Equal(t, again.Data["order_id"], third.Data["order_id"])
		require.Len(t, ca.Orders(), 2)
	})
}

// Only its certificate's entry says that an order was answered at once, and a new process has not read that yet.
func TestWhatWasCollectedIsNotHandedOverAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		issued, refusal := m.asEntity("ann", logical.UpdateOperation, "issue/web", www)
		require.Empty(t, refusal)
		m.start()
		stored := m.storage.dump(t)
		require.Contains(t, m.refused("operator/orders/web/"+issued.Data["order_id"].(string), map[string]any{"entity_id": "bob"}),
			"handed over already")
		require.Equal(t, stored, m.storage.dump(t))
	})
}

func TestAnOperatorEndsAnybodysOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.HoldForApproval = true
		m := newMount(t, ca)
		order, _ := m.asEntity("ann", logical.UpdateOperation, "orders/web", www)
		path := "orders/web/" + order.Data["order_id"].(string)
		ended := m.write("operator/"+path, map[string]any{"end": true, "reason": "the project is over"})
		require.Equal(t, "cancelled", ended.Data["state"])
		require.Equal(t, "cancelled", ca.Orders()[0].Status)
	})
}
