// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"crypto/elliptic"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// The order of a certificate that is reused is to be revoked, by its newest certificate, while CERTInext is away.
func TestReuseOfAnOrderThatIsToBeRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := aheadOf(t, map[string]any{"renewal": "reissue", "reuse": true})
		first := m.annIssues()
		m.passesUntil(first, 10*day)
		newest := m.certificate(first)["renewed_by"].(string)
		require.NotEmpty(t, newest)
		m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpRevoke, Kind: certinexttest.FaultDropped})
		require.Equal(t, "queued", m.asks("revoke/web", map[string]any{"serial_number": newest}).Data["state"])
		resp, err := m.send(call{op: logical.UpdateOperation, path: "issue/web", data: map[string]any{"common_name": "www.example.com"}, entity: "ann"})
		require.NoError(t, err)
		m.ca.ClearFaults()
		m.passes(4)
		if !resp.IsError() {
			require.Zero(t, m.certificate(resp.Data)["revocation_time"], "first? %v", resp.Data["serial_number"] == first["serial_number"])
		}
	})
}

func TestApprovalsAheadAreAskedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := aheadOf(t, nil)
		first := m.annIssues()
		m.patchRole(map[string]any{"require_approval": true, "approval_timeout": "24h"})
		due, asked := time.Unix(first["renew_after"].(int64), 0), map[string]bool{}
		for time.Until(due) > 0 {
			time.Sleep(6 * time.Hour)
			m.pass()
			for _, id := range m.list("approvals/web") {
				asked[id+m.read("orders/web/" + id).Data["created_at"].(string)] = true
			}
		}
		require.Len(t, asked, 1)
	})
}

// An approver approves what was asked for ahead, after its requester's identity is gone.
func TestApprovedForSomebodyWhoIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := aheadOf(t, nil)
		first := m.annIssues()
		m.patchRole(map[string]any{"require_approval": true, "approval_timeout": "720h"})
		m.untilDue(first)
		ids := m.list("approvals/web")
		require.Len(t, ids, 1)
		m.system.EntityVal = nil
		resp, err := m.send(call{op: logical.UpdateOperation, path: "approvals/web/" + ids[0], data: map[string]any{"decision": "approve"}, entity: "bob"})
		require.NoError(t, err)
		if resp.IsError() {
			t.Log(resp.Error())
		}
		require.Len(t, m.ca.Orders(), 1, "bought for somebody who is gone")
	})
}

// What ann was handed is not handed over to bob, and goes on to answer ann.
func TestWhatIsReusedIsNotHandedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := reusing(t, nil)
		first := m.asksFor("ann", "www.example.com")
		m.rests(3 * time.Hour)
		require.Equal(t, first["serial_number"], m.asksFor("ann", "www.example.com")["serial_number"])
		path := "operator/orders/web/" + first["order_id"].(string)
		require.Contains(t, m.refused(path, map[string]any{"entity_id": "bob"}), "nothing to hand over")
		require.Equal(t, first["serial_number"], m.asksFor("ann", "www.example.com")["serial_number"])
		require.NotEqual(t, first["serial_number"], m.asksFor("bob", "www.example.com")["serial_number"])
	})
}

func TestGarbageOfDryRun(t *testing.T) {
	for _, path := range []string{"issue/web", "sign/web", "orders/web", "issuer/default/issue/web", "issuer/default/sign/web", "renew/web/SERIAL"} {
		for name, value := range map[string]any{
			"null": nil, "empty": "", "yes": "yes", "list": []any{true}, "map": map[string]any{"a": 1}, "two": 2, "minus": -1, "float": 0.5, "space": " true", "words": "true false", "nul": "true\x00",
			"on": "on", "y": "y", "bytes": []byte("true"), "null text": "null", "TRUE": "TRUE", "T": "t", "1": 1, "one": "1",
		} {
			t.Run(path+" "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					m := renewing(t, map[string]any{"renewal": "order"})
					first := m.asksFor("ann", "www.example.com")
					data := map[string]any{"dry_run": value, "request_id": "x", "force_new": true}
					switch {
					case strings.Contains(path, "sign"):
						data["csr"] = csr(t, newKey(t, elliptic.P256()), "other.example.com")
					case strings.Contains(path, "renew"):
						delete(data, "force_new")
					default:
						data["common_name"] = "other.example.com"
					}
					before := len(m.ca.Orders())
					resp, err := m.send(call{op: logical.UpdateOperation, path: strings.Replace(path, "SERIAL", first["serial_number"].(string), 1), data: data, entity: "ann"})
					bought := len(m.ca.Orders()) - before
					require.Zero(t, bought, "%v %v", err, resp)
				})
			})
		}
	}
}

// Paths that have no dry run refuse the field, and do nothing.
func TestDryRunWhereThereIsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := renewing(t, map[string]any{"allow_reissue": true, "require_approval": false})
		first := m.asksFor("ann", "www.example.com")
		draft := m.asksAgain("ann", "orders/web", map[string]any{"common_name": "next.example.com", "save_as_draft": true}).Data["order_id"].(string)
		before := changes(m.ca)
		for _, c := range []call{
			{path: "orders/web/" + draft, data: map[string]any{"promote": true, "dry_run": true}},
			{path: "orders/web/" + first["order_id"].(string) + "/reissue", data: map[string]any{"dry_run": true, "reason": "x"}},
			{path: "orders/web/" + first["order_id"].(string) + "/collect", data: map[string]any{"dry_run": true}},
			{path: "revoke/web", data: map[string]any{"dry_run": true, "serial_number": first["serial_number"]}},
			{path: "reports/spend", data: map[string]any{"dry_run": true, "correct": true}},
		} {
			c.op, c.entity = logical.UpdateOperation, "ann"
			resp, err := m.send(c)
			require.NoError(t, err)
			require.True(t, resp.IsError(), c.path)
		}
		require.Equal(t, before, changes(m.ca))
	})
}

func TestTold(t *testing.T) {
	for name, who := range map[string]string{
		"marker": "vault-order:abcdefghijklmnopqrstuvwxyz", "nested": "vault-vault-orderorder:x", "nested colon": "vault-vault-order:order:x", "upper": "VAULT-ORDER:x",
		"hidden": "vault-\u200border:x", "hidden in two": "vault\u00ad-order:x", "semicolon": "a;b", "line": "a\nb\rc", "bidi": "\u202eabc", "wide": "vault-order：x", "long": strings.Repeat("ü", 300),
		"bad": "\xff\xfevault-order:x", "kelvin": "vault-order\u00a0:x", "long s": "vault-order:" + strings.Repeat("vault-order:", 20) + "z",
		"truncated": strings.Repeat("a", 194) + "vault-order:zzzz",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMount(t, validated(certinexttest.Live))
				m.patchRole(map[string]any{"requester_in": "remarks,tags", "remarks": "for vault-", "tags": "team:web"})
				m.system.EntityVal = &logical.Entity{ID: "ann", Name: who}
				m.asks("issue/web", map[string]any{"common_name": "www.example.com"})
				o := m.ca.Orders()[0]
				for _, tag := range o.Tags {
					require.False(t, strings.HasPrefix(strings.ToLower(tag), "vault-order:") && tag != o.Tags[0], "%q", o.Tags)
				}
				require.Equal(t, 1, strings.Count(strings.ToLower(o.Remarks), "vault-order:"), "%q has what looks like another order's marker", o.Remarks)
			})
		})
	}
}
