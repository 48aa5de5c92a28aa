// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"crypto/elliptic"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// withApproval mounts the engine with a role web whose orders need an approval. Vault knows every entity by one name.
func withApproval(t *testing.T, ca *certinexttest.Server) *mount {
	t.Helper()
	m := newMount(t, ca)
	m.system.EntityVal = &logical.Entity{
		ID: "ann", Name: "Ann", Aliases: []*logical.Alias{{MountType: "userpass", Name: "ann"}},
	}
	m.patchRole(map[string]any{"require_approval": true, "issue_timeout": "20s"})
	return m
}

func (m *mount) patchRole(fields map[string]any) {
	m.t.Helper()
	m.must(call{op: logical.PatchOperation, path: "roles/web", data: fields})
}

// toApprove places an order as ann, and returns its id.
func (m *mount) toApprove(more ...map[string]any) string {
	m.t.Helper()
	data := maps.Clone(www)
	for _, fields := range more {
		maps.Copy(data, fields)
	}
	resp, refusal := m.asEntity("ann", logical.UpdateOperation, "orders/web", data)
	require.Empty(m.t, refusal)
	require.Equal(m.t, "approval", resp.Data["state"], "%v", resp.Data)
	return resp.Data["order_id"].(string)
}

// decide has an entity decide on an order, and returns the answer and how it was refused.
func (m *mount) decide(entity, id, decision, remark string) (*logical.Response, string) {
	m.t.Helper()
	data := map[string]any{"decision": decision}
	if remark != "" {
		data["remark"] = remark
	}
	return m.asEntity(entity, logical.UpdateOperation, "approvals/web/"+id, data)
}

// approve has bob read what waits, and approve it, which has to succeed.
func (m *mount) approve(id string) map[string]any {
	m.t.Helper()
	resp, refusal := m.approveAs("bob", m.read("approvals/web/"+id))
	require.Empty(m.t, refusal)
	return resp.Data
}

// approveAs has an entity approve what it has read.
func (m *mount) approveAs(entity string, seen *logical.Response) (*logical.Response, string) {
	m.t.Helper()
	return m.asEntity(entity, logical.UpdateOperation, "approvals/web/"+seen.Data["order_id"].(string),
		map[string]any{"decision": "approve", "proposal": seen.Data["proposal"]})
}

// collected has ann collect the certificate of an order.
func (m *mount) collected(id string) *logical.Response {
	m.t.Helper()
	for range 5 {
		resp, refusal := m.asEntity("ann", logical.UpdateOperation, "orders/web/"+id+"/collect", nil)
		if refusal == "" {
			m.chainOK(resp)
			return resp
		}
		time.Sleep(2 * time.Minute)
		m.pass()
	}
	require.Fail(m.t, "the order does not go on", "%v", m.read("orders/web/"+id).Data)
	return nil
}

// creates are the creates that the CA has received.
func creates(ca *certinexttest.Server) int {
	return ca.Calls()[certinexttest.OpCreateSSL]
}

func TestNothingReachesTheCABeforeAnotherPersonHasApproved(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := validated(dialect)
		m := withApproval(t, ca)
		began := time.Now()
		resp, err := m.send(call{op: logical.UpdateOperation, path: "issue/web", data: www, entity: "ann", display: "userpass-ann"})
		require.NoError(t, err)
		refusal := resp.Error().Error()
		require.Contains(t, refusal, "waits for the approval of another person, and CERTInext has not heard of it")
		require.Contains(t, refusal, "nothing is lost: the same request finds this order again")
		require.Equal(t, 20*time.Second, time.Since(began), "it waits for the issue timeout")
		id := m.toApprove()
		require.Contains(t, refusal, "vault write certinext/approvals/web/"+id+" decision=approve")
		_, again := m.asEntity("ann", logical.UpdateOperation, "issue/web", www)
		require.Contains(t, again, id)
		async := maps.Clone(www)
		async["async"] = true
		resp, refusal = m.asEntity("ann", logical.UpdateOperation, "issue/web", async)
		require.Empty(t, refusal)
		require.Equal(t, id, resp.Data["order_id"])
		_, refusal = m.asEntity("ann", logical.UpdateOperation, "orders/web/"+id+"/collect", nil)
		require.Contains(t, refusal, "waits for the approval")
		order := m.read("orders/web/" + id).Data
		require.Equal(t, "vault-approver", order["waits_for"])
		m.passes(5)
		require.Zero(t, creates(ca))
		require.Empty(t, ca.Orders())

		listed := m.must(call{op: logical.ListOperation, path: "approvals"}).Data
		require.Equal(t, []string{"web/" + id}, listed["keys"])
		require.Equal(t, []string{id}, m.list("approvals/web"))
		require.Empty(t, m.list("approvals/other"))
		seen := m.read("approvals/web/" + id).Data
		info := listed["key_info"].(map[string]any)["web/"+id].(map[string]any)
		require.Len(t, info, 36, "the list asks CERTInext nothing")
		for field, value := range info {
			require.Equal(t, value, seen[field], field)
		}
		for field, value := range map[string]any{
			"order_id": id, "role": "web", "state": "approval", "common_name": "www.example.com", "names": []string{"www.example.com"},
			"product_code": "842", "product_variant": "dv", "validity_years": 1, "key_type": "ec", "csr_key_sha256": "",
			"requester_entity_id": "ann", "requester_entity_name": "Ann", "requester_aliases": []string{"userpass/ann"},
			"requester_display_name": "userpass-ann", "decision": "", "decided_at": "", "waited": int64((5*time.Hour + 40*time.Second) / time.Second),
			"expires_at": began.Add(7 * 24 * time.Hour).UTC().Format(time.RFC3339),
		} {
			require.Equal(t, value, seen[field], field)
		}

		approved := m.approve(id)
		require.Contains(t, []string{"pending", "issued"}, approved["state"])
		require.Equal(t, "approved", approved["decision"])
		require.Equal(t, "bob", approved["approver_entity_id"])
		require.Empty(t, m.list("approvals"))
		m.collected(id)
		require.Len(t, ca.Orders(), 1)
		require.Equal(t, 1, creates(ca))
		resp, refusal = m.asEntity("ann", logical.UpdateOperation, "issue/web", www)
		require.Empty(t, refusal)
		require.Equal(t, true, resp.Data["reused"], "the same request is one purchase")
		for _, line := range []string{"an order waits for its approval", "an order was approved"} {
			require.Equal(t, 1, strings.Count(m.log.String(), line), line)
		}
	})
}

func TestARequestThatWaitsIsAnsweredOnceItIsApproved(t *testing.T) {
	for name, request := range map[string]map[string]any{
		"unnamed": {}, "named": {"request_id": "deploy-17"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				m := withApproval(t, ca)
				data := maps.Clone(www)
				maps.Copy(data, request)
				var waiting sync.WaitGroup
				for range 3 {
					waiting.Go(func() {
						resp, refusal := m.asEntity("ann", logical.UpdateOperation, "issue/web", data)
						require.Empty(t, refusal)
						m.chainOK(resp)
					})
				}
				time.Sleep(10 * time.Second)
				ids := m.list("approvals/web")
				require.Len(t, ids, 1, "the same request is one purchase")
				began := time.Now()
				m.approve(ids[0])
				waiting.Wait()
				require.Less(t, time.Since(began), 9*time.Second)
				require.Len(t, ca.Orders(), 1)
			})
		})
	}
}

func TestNobodyApprovesWhatHeHasAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := withApproval(t, ca)
		id := m.toApprove()
		for _, decision := range []string{"approve", "reject"} {
			_, refusal := m.decide("ann", id, decision, "because")
			require.Contains(t, refusal, "is another person's", decision)
			require.Contains(t, refusal, "vault delete certinext/orders/web/"+id, decision)
			_, refusal = m.decide("", id, decision, "because")
			require.Contains(t, refusal, "needs a token with an identity entity", decision)
		}
		// An operator hands the order over to the one who would approve it.
		m.write("operator/orders/web/"+id, map[string]any{"entity_id": "bob"})
		for _, entity := range []string{"ann", "bob"} {
			_, refusal := m.decide(entity, id, "approve", "")
			require.Contains(t, refusal, "is another person's", entity)
		}
		for field, data := range map[string]map[string]any{
			"decision: must be approve": {"decision": "yes"},
			"remark: is required":       {"decision": "reject", "remark": " "},
			"remark: has 501 bytes":     {"decision": "approve", "remark": strings.Repeat("x", 501)},
		} {
			_, refusal := m.asEntity("carol", logical.UpdateOperation, "approvals/web/"+id, data)
			require.Contains(t, refusal, field)
		}
		require.Zero(t, creates(ca))
		resp, refusal := m.decide("carol", id, "approve", "")
		require.Empty(t, refusal)
		require.Equal(t, "carol", resp.Data["approver_entity_id"])
		require.Len(t, ca.Orders(), 1)
	})
}

// Vault forgets an entity that was merged into another one, which may be the approver's.
func TestARequesterThatVaultNoLongerKnowsIsNotApproved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := withApproval(t, validated(certinexttest.Live))
		id := m.toApprove()
		m.system.EntityVal = nil
		_, refusal := m.decide("bob", id, "approve", "")
		require.Contains(t, refusal, "requested by entity ann, which is no more")
		_, refusal = m.decide("bob", id, "reject", "who is ann?")
		require.Empty(t, refusal)
		require.Empty(t, m.ca.Orders())
	})
}

func TestATokenWithoutAnIdentityIsApprovedByAnyEntity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := withApproval(t, validated(certinexttest.Live))
		resp := m.must(call{op: logical.UpdateOperation, path: "orders/web", data: www, display: "token-ci\u202e"})
		id := resp.Data["order_id"].(string)
		seen := m.read("approvals/web/" + id).Data
		require.Equal(t, "token-ci", seen["requester_display_name"])
		require.Empty(t, seen["requester_entity_id"])
		require.Empty(t, seen["requester_aliases"])
		m.approve(id)
		m.chainOK(m.write("orders/web/"+id+"/collect", nil))
	})
}

func TestARejectedRequestReadsWhy(t *testing.T) {
	for name, request := range map[string]map[string]any{
		"unnamed": {}, "named": {"request_id": "deploy-17"}, "forced": {"force_new": true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				m := withApproval(t, ca)
				data := maps.Clone(www)
				maps.Copy(data, request)
				var waiting sync.WaitGroup
				waiting.Go(func() {
					_, refusal := m.asEntity("ann", logical.UpdateOperation, "issue/web", data)
					require.Contains(t, refusal, "is rejected: by Ann (entity bob): use [31mshop.example.com")
				})
				time.Sleep(time.Second)
				id := m.list("approvals/web")[0]
				resp, refusal := m.decide("bob", id, "reject", "use \x1b[31mshop.example.com")
				require.Empty(t, refusal)
				require.Equal(t, "rejected", resp.Data["state"])
				waiting.Wait()
				requireNoKeys(t, m)
				require.Contains(t, m.log.String(), "an order was not approved")

				// An agent that asks every few seconds is answered, and asks nobody.
				for range 20 {
					time.Sleep(10 * time.Minute)
					_, refusal = m.asEntity("ann", logical.UpdateOperation, "issue/web", data)
					require.Contains(t, refusal, id)
					require.Contains(t, refusal, "is rejected: by Ann (entity bob): use [31mshop.example.com")
					require.NotContains(t, refusal, "nothing is lost")
					require.Contains(t, refusal, "an approver is asked for the same request again from")
				}
				resp, refusal = m.asEntity("ann", logical.UpdateOperation, "orders/web", data)
				require.Empty(t, refusal)
				require.Equal(t, "rejected", resp.Data["state"])
				require.Empty(t, m.list("approvals"))
				_, refusal = m.decide("bob", id, "approve", "")
				require.Contains(t, refusal, "was rejected already, by Ann (entity bob)")
				_, refusal = m.asEntity("ann", logical.UpdateOperation, "orders/web/"+id+"/collect", nil)
				require.Contains(t, refusal, "is over: rejected, by Ann")

				time.Sleep(21 * time.Hour)
				second := m.toApprove(request)
				if name != "named" {
					require.NotEqual(t, id, second)
				}
				_, refusal = m.decide("bob", second, "reject", "still not")
				require.Empty(t, refusal)
				_, refusal = m.asEntity("ann", logical.DeleteOperation, "orders/web/"+second, nil)
				require.Empty(t, refusal, "the record can be deleted")
				third := m.toApprove(request)
				m.approve(third)
				m.collected(third)
				require.Len(t, ca.Orders(), 1)
			})
		})
	}
}

func TestAnotherRequestIsNotAnsweredWithARejection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := withApproval(t, validated(certinexttest.Live))
		_, refusal := m.decide("bob", m.toApprove(), "reject", "no")
		require.Empty(t, refusal)
		m.toApprove(map[string]any{"common_name": "shop.example.com"})
		m.toApprove(map[string]any{"request_id": "deploy-17"})
		m.patchRole(map[string]any{"require_approval": false})
		_, refusal = m.asEntity("ann", logical.UpdateOperation, "issue/web", www)
		require.Empty(t, refusal, "no approval is needed now")
	})
}

func TestAnOrderThatNobodyApprovesExpires(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := validated(dialect)
		m := withApproval(t, ca)
		m.patchRole(map[string]any{"approval_timeout": "36h"})
		id := m.toApprove()
		m.patchRole(map[string]any{"approval_timeout": "72h"}) // for later orders
		m.passes(35)
		require.Equal(t, "approval", m.read("orders/web/" + id).Data["state"])
		time.Sleep(time.Hour)
		_, refusal := m.decide("bob", id, "approve", "")
		require.Contains(t, refusal, "has expired", "even before the background pass has seen it")
		m.passes(2)
		order := m.read("orders/web/" + id).Data
		require.Equal(t, "expired", order["state"])
		require.Contains(t, order["last_error"], "nobody has approved it until")
		require.Empty(t, order["waits_for"])
		requireNoKeys(t, m)
		_, refusal = m.decide("bob", id, "approve", "")
		require.Contains(t, refusal, "has expired at")
		require.Equal(t, "expired", m.read("approvals/web/" + id).Data["decision"])
		require.Zero(t, creates(ca))
		require.NotEqual(t, id, m.toApprove(), "the same request asks again")
	})
}

// While our clock is in doubt, nothing counts as expired that is to be erased, and nothing is bought that may be.
func TestAWrongClockExpiresNoOrderThatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := withApproval(t, validated(certinexttest.Live))
		id := m.toApprove()
		m.later(60 * 24 * time.Hour)
		m.read("config/check") // CERTInext tells its time
		m.passes(3)
		require.Equal(t, "approval", m.read("orders/web/" + id).Data["state"])
		_, refusal := m.decide("bob", id, "approve", "")
		require.Contains(t, refusal, "has expired")
		m.later(-60 * 24 * time.Hour)
		m.read("config/check")
		m.approve(id)
		m.collected(id)
	})
}

func TestAnOrderThatWaitsIsCancelled(t *testing.T) {
	for name, cancel := range map[string]func(m *mount, id string) *logical.Response{
		"by its requester": func(m *mount, id string) *logical.Response {
			resp, _ := m.asEntity("ann", logical.DeleteOperation, "orders/web/"+id, nil)
			return resp
		},
		"by an operator": func(m *mount, id string) *logical.Response {
			return m.write("operator/orders/web/"+id, map[string]any{"end": true})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				m := withApproval(t, ca)
				id := m.toApprove()
				before := ca.Calls()
				_, refusal := m.asEntity("bob", logical.DeleteOperation, "orders/web/"+id, nil)
				require.Contains(t, refusal, "was placed by another requester")
				require.Equal(t, "cancelled", cancel(m, id).Data["state"])
				require.Equal(t, before, ca.Calls(), "CERTInext knows nothing of it")
				requireNoKeys(t, m)
				_, refusal = m.decide("bob", id, "approve", "")
				require.Contains(t, refusal, "order "+id+" is cancelled")
				require.NotEqual(t, id, m.toApprove())
			})
		})
	}
}

func TestOfTwoApproversOneWinsAndTheOtherIsTold(t *testing.T) {
	for name, second := range map[string]string{"both approve": "approve", "one rejects": "reject"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				m := withApproval(t, ca)
				id := m.toApprove()
				ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultLatency, Delay: 20 * time.Second, Times: 1})
				var first sync.WaitGroup
				first.Go(func() { m.approve(id) })
				time.Sleep(time.Second)
				_, refusal := m.decide("carol", id, second, "not now")
				require.Contains(t, refusal, "was approved already, by Ann (entity bob)")
				first.Wait()
				_, refusal = m.decide("carol", id, second, "not now")
				require.Contains(t, refusal, "was approved already")
				_, refusal = m.decide("bob", id, "approve", "")
				require.Contains(t, refusal, "was approved already", "twice by the same")
				m.collected(id)
				require.Len(t, ca.Orders(), 1)
			})
		})
	}
}

func TestARoleThatHasChangedSince(t *testing.T) {
	for name, story := range map[string]struct {
		change  func(m *mount)
		refusal string // when the order is approved
	}{
		"another product": {func(m *mount) {
			m.patchRole(map[string]any{"product_code": "844", "product_variant": "dv-ucc"})
		}, "decision: the order is for product 842, and the role's is 844 now"},
		"other names": {func(m *mount) {
			m.patchRole(map[string]any{"allowed_domains": "example.org"})
		}, "common_name:"},
		"deleted": {func(m *mount) {
			m.must(call{op: logical.DeleteOperation, path: "roles/web"})
		}, "role: web was deleted since"},
		"ordering is paused": {func(m *mount) {
			m.write("config", map[string]any{"ordering": "paused"})
		}, "ordering: is paused"},
		"what is ordered stays as it was requested": {func(m *mount) {
			m.patchRole(map[string]any{"validity_years": 3, "key_type": "rsa"})
		}, ""},
		"no approval is required any more": {func(m *mount) {
			m.patchRole(map[string]any{"require_approval": false})
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				m := withApproval(t, ca)
				id := m.toApprove()
				story.change(m)
				m.passes(3)
				require.Zero(t, creates(ca), "nothing goes out by itself")
				_, refusal := m.decide("bob", id, "approve", "")
				if story.refusal == "" {
					require.Empty(t, refusal)
					m.collected(id)
					require.Len(t, ca.Orders(), 1)
					end, err := time.Parse(time.RFC3339, m.read("orders/web/" + id).Data["subscription_end"].(string))
					require.NoError(t, err)
					require.Less(t, time.Until(end), 370*24*time.Hour, "one year was asked for and approved")
					return
				}
				require.Contains(t, refusal, story.refusal)
				require.Zero(t, creates(ca))
				require.Equal(t, "approval", m.read("orders/web/" + id).Data["state"])
				resp, refusal := m.decide("bob", id, "reject", "ask anew")
				require.Empty(t, refusal)
				require.Equal(t, "rejected", resp.Data["state"])
				requireNoKeys(t, m)
			})
		})
	}
}

// Only a request has it go on, which would place an order anyway.
func TestWhatWaitsGoesOnWithItsRequestWhenNoApprovalIsRequired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := withApproval(t, ca)
		id := m.toApprove()
		m.patchRole(map[string]any{"require_approval": false})
		m.passes(3)
		_, refusal := m.asEntity("ann", logical.UpdateOperation, "orders/web/"+id+"/collect", nil)
		require.Contains(t, refusal, "waits for the approval")
		require.Zero(t, creates(ca))
		resp, refusal := m.asEntity("ann", logical.UpdateOperation, "issue/web", www)
		require.Empty(t, refusal)
		require.Equal(t, id, resp.Data["order_id"])
		require.Len(t, ca.Orders(), 1)
		require.Equal(t, "waived", m.read("approvals/web/" + id).Data["decision"])
		_, refusal = m.decide("bob", id, "approve", "")
		require.Contains(t, refusal, "went on without an approval")
	})
}

func TestADraftWaitsForTheApprovalOfItsPromotion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := withApproval(t, ca)
		resp, refusal := m.asEntity("ann", logical.UpdateOperation, "orders/web", draft())
		require.Empty(t, refusal)
		require.Equal(t, "draft", resp.Data["state"], "a draft costs nothing")
		id := resp.Data["order_id"].(string)
		promote := func() map[string]any {
			resp, refusal := m.asEntity("ann", logical.UpdateOperation, "orders/web/"+id, map[string]any{"promote": true})
			require.Empty(t, refusal)
			return resp.Data
		}
		require.Equal(t, "approval", promote()["state"])
		require.Equal(t, "approval", promote()["state"], "again")
		require.Equal(t, true, m.read("approvals/web/" + id).Data["promotes_draft"])
		_, refusal = m.decide("ann", id, "approve", "")
		require.Contains(t, refusal, "is another person's")
		_, refusal = m.decide("bob", id, "reject", "next quarter")
		require.Empty(t, refusal)
		order := m.read("orders/web/" + id).Data
		require.Equal(t, "draft", order["state"])
		require.Contains(t, order["last_error"], "next quarter")

		m.patchRole(map[string]any{"approval_timeout": "5h"})
		promote()
		m.passes(7)
		require.Equal(t, "draft", m.read("orders/web/" + id).Data["state"], "nobody has approved it in time")
		promote()
		m.start()
		require.Equal(t, "draft", ca.Orders()[0].Status)
		m.approve(id)
		m.collected(id)
		require.Len(t, ca.Orders(), 1)

		resp, refusal = m.asEntity("ann", logical.UpdateOperation, "orders/web", draft(map[string]any{"common_name": "shop.example.com"}))
		require.Empty(t, refusal)
		id = resp.Data["order_id"].(string)
		promote()
		resp, refusal = m.asEntity("ann", logical.DeleteOperation, "orders/web/"+id, nil)
		require.Empty(t, refusal)
		require.Equal(t, "cancelled", resp.Data["state"])
		require.Equal(t, "cancelled", ca.Orders()[1].Status)
	})
}

func TestEachWayToOrderWaitsForItsApproval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := withApproval(t, ca)
		id := m.toApprove()
		m.approve(id)
		issued := m.collected(id)
		_, refusal := m.asEntity("ann", logical.UpdateOperation, "renew/web/"+issued.Data["serial_number"].(string), nil)
		require.Contains(t, refusal, "waits for the approval", "renew")
		csr := map[string]any{"csr": csr(t, newKey(t, elliptic.P256()), "shop.example.com")}
		_, refusal = m.asEntity("ann", logical.UpdateOperation, "sign/web", csr)
		require.Contains(t, refusal, "waits for the approval", "sign")
		require.Len(t, ca.Orders(), 1)
		ids := m.list("approvals/web")
		require.Len(t, ids, 2)
		byCSR := 0
		for _, id := range ids {
			if m.read("approvals/web/" + id).Data["csr_key_sha256"] != "" {
				byCSR++
			}
			m.approve(id)
		}
		require.Equal(t, 1, byCSR)
		require.Len(t, ca.Orders(), 3)
	})
}

// A reissue charges nothing that is known, and goes without an approval for the names that were approved.
func TestAReissueHasNoNamesThatNobodyApproved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := withApproval(t, ca)
		m.patchRole(map[string]any{"product_code": "844", "product_variant": "dv-ucc", "allow_reissue": true})
		id := m.toApprove(map[string]any{"alt_names": "a.example.com,b.example.com"})
		m.approve(id)
		m.collected(id)
		path := "orders/web/" + id + "/reissue"
		_, refusal := m.asEntity("ann", logical.UpdateOperation, path, map[string]any{"alt_names": "a.example.com,c.example.com"})
		require.Contains(t, refusal, `alt_names: "c.example.com" is not a name of order `+id)
		_, refusal = m.asEntity("ann", logical.UpdateOperation, path, map[string]any{"alt_names": "a.example.com"})
		require.Empty(t, refusal)
		require.Empty(t, m.list("approvals"))
	})
}

// Whatever else may be done with an order is refused in words while CERTInext has not heard of it, and nothing is asked there.
func TestAnOrderThatWaitsHasNothingAtTheCA(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := withApproval(t, ca)
		m.patchRole(map[string]any{"allow_reissue": true})
		id := m.toApprove()
		before := ca.Calls()
		for name, c := range map[string]struct {
			op   logical.Operation
			path string
			data map[string]any
			says string
		}{
			"read its challenges": {logical.ReadOperation, "orders/web/" + id + "/dcv", nil, "no number for it yet"},
			"verify its domains":  {logical.UpdateOperation, "orders/web/" + id + "/dcv", nil, "no number for it yet"},
			"upload documents": {logical.UpdateOperation, "orders/web/" + id + "/documents", map[string]any{
				"file_name": "a.pdf", "description": "passport", "content": "JVBERi0xLjQK",
			}, "needs no documents"},
			"reissue it":       {logical.UpdateOperation, "orders/web/" + id + "/reissue", nil, "approval"},
			"promote it":       {logical.UpdateOperation, "orders/web/" + id, map[string]any{"promote": true}, "not a draft"},
			"revoke it":        {logical.UpdateOperation, "revoke/web", map[string]any{"order_id": id}, "delete the order to cancel it"},
			"settle it":        {logical.UpdateOperation, "operator/orders/web/" + id, map[string]any{"never_placed": true}, "there is nothing to resolve"},
			"give it a number": {logical.UpdateOperation, "operator/orders/web/" + id, map[string]any{"ca_order_id": "ord_1"}, "there is nothing to resolve"},
			"release it":       {logical.UpdateOperation, "operator/orders/web/" + id, map[string]any{"release": true}, "its certificate is not held"},
		} {
			_, refusal := m.asEntity("ann", c.op, c.path, c.data)
			require.Contains(t, refusal, c.says, name)
		}
		require.Equal(t, before, ca.Calls())
		require.Equal(t, "approval", m.read("orders/web/" + id).Data["state"])
		_, refusal := m.decide("bob", "no-such-order", "approve", "")
		require.Contains(t, refusal, "no order")
		m.patchRole(map[string]any{"require_approval": false})
		resp, refusal := m.asEntity("ann", logical.UpdateOperation, "orders/web", map[string]any{"common_name": "shop.example.com"})
		require.Empty(t, refusal)
		_, refusal = m.decide("bob", resp.Data["order_id"].(string), "approve", "")
		require.Contains(t, refusal, "needs no approval")
		require.Nil(t, m.read("approvals/web/"+resp.Data["order_id"].(string)))
	})
}

// A key that turns out to be known to others while its order waits is not certified.
func TestAnOrderThatWaitsWithACompromisedKeyIsNotApproved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := withApproval(t, ca)
		key := newKey(t, elliptic.P256())
		first := m.toApprove(map[string]any{"csr": csr(t, key, "www.example.com"), "common_name": ""})
		m.approve(first)
		serial := m.collected(first).Data["serial_number"]
		second := m.toApprove(map[string]any{"csr": csr(t, key, "shop.example.com"), "common_name": ""})
		m.write("revoke", map[string]any{"serial_number": serial, "reason": "key-compromise"})
		_, refusal := m.decide("bob", second, "approve", "")
		require.Contains(t, refusal, "csr:")
		require.Len(t, ca.Orders(), 1)
		require.Equal(t, "approval", m.read("orders/web/" + second).Data["state"])
	})
}
