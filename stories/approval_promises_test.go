// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"bytes"
	"context"
	"crypto/elliptic"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// ADR 0037: "What was approved is what is ordered." A named request's order has the same id each time: the requester cancels what the approver has
// read, and asks for something else under the same id.
func TestAnApproverApprovesWhatHeHasRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := withApproval(t, ca)
		id := m.toApprove(map[string]any{"request_id": "deploy-17"})
		seen := m.read("approvals/web/" + id).Data // bob reads, and thinks about it
		require.Equal(t, []string{"www.example.com"}, seen["names"])

		_, refusal := m.asEntity("ann", logical.DeleteOperation, "orders/web/"+id, nil)
		require.Empty(t, refusal)
		other := m.toApprove(map[string]any{"common_name": "login.example.com", "request_id": "deploy-17"})
		t.Logf("first %s, then %s", id, other)
		_, refusal = m.decide("bob", id, "approve", "www.example.com is fine")
		orders := ca.Orders()
		if len(orders) > 0 {
			require.Equal(t, "www.example.com", orders[0].Domain, "bob has read of www only; refusal %q", refusal)
		}
	})
}

// The same with a CSR: the names are those that were read, the key is another one, of a CSR instead of Vault's.
func TestAnApproverApprovesTheKeyThatHeHasRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := withApproval(t, ca)
		id := m.toApprove(map[string]any{"request_id": "deploy-17"})
		seen := m.read("approvals/web/" + id)
		_, refusal := m.asEntity("ann", logical.DeleteOperation, "orders/web/"+id, nil)
		require.Empty(t, refusal)
		m.patchRole(map[string]any{"validity_years": 3})
		m.toApprove(map[string]any{
			"csr": csr(t, newKey(t, elliptic.P256()), "www.example.com"), "common_name": "", "request_id": "deploy-17",
		})
		_, refusal = m.approveAs("bob", seen)
		require.Contains(t, refusal, "proposal: ", "three years, and for a key that Vault has not made")
		require.Empty(t, ca.Orders())
		m.approve(id)
	})
}

// ADR 0037: "A role that requires no approval any more lets the order go on with its requester's next request, which would buy anyway".
// TestAnOrderThatWaitsWithACompromisedKeyIsNotApproved: a key that turns out to be known to others is not certified.
func TestAWaivedOrderWithACompromisedKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := withApproval(t, ca)
		key := newKey(t, elliptic.P256())
		first := m.toApprove(map[string]any{"csr": csr(t, key, "www.example.com"), "common_name": ""})
		m.approve(first)
		serial := m.collected(first).Data["serial_number"]
		again := map[string]any{"csr": csr(t, key, "shop.example.com")}
		m.toApprove(map[string]any{"csr": again["csr"], "common_name": ""})
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpRevoke, Kind: certinexttest.FaultDropped, Times: 1}) // the mount knows, the CA will
		m.write("revoke", map[string]any{"serial_number": serial, "reason": "key-compromise"})
		m.patchRole(map[string]any{"require_approval": false})
		_, refusal := m.asEntity("ann", logical.UpdateOperation, "sign/web", again)
		require.Len(t, ca.Orders(), 1, "a compromised key is not certified: %q", refusal)
		require.Contains(t, refusal, "csr:")
	})
}

// The same request would buy one year today: what was asked for under the old settings is three.
func TestAWaivedOrderIsWhatTheRequestBuysToday(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := withApproval(t, ca)
		m.patchRole(map[string]any{"validity_years": 3})
		id := m.toApprove()
		m.patchRole(map[string]any{"require_approval": false, "validity_years": 1})
		_, refusal := m.asEntity("ann", logical.UpdateOperation, "issue/web", www)
		require.Empty(t, refusal)
		require.Len(t, ca.Orders(), 1)
		end := m.read("orders/web/" + id).Data["subscription_end"]
		if end != nil && end != "" {
			at, err := time.Parse(time.RFC3339, end.(string))
			require.NoError(t, err)
			require.Less(t, time.Until(at), 370*24*time.Hour, "nobody has approved three years, and the role orders one")
		}
	})
}

// A draft whose promotion waits, under a role that requires no approval any more.
func TestADraftThatWaitsGoesOnWithoutAnApproval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := withApproval(t, ca)
		resp, refusal := m.asEntity("ann", logical.UpdateOperation, "orders/web", draft())
		require.Empty(t, refusal)
		id := resp.Data["order_id"].(string)
		_, refusal = m.asEntity("ann", logical.UpdateOperation, "orders/web/"+id, map[string]any{"promote": true})
		require.Empty(t, refusal)
		m.patchRole(map[string]any{"require_approval": false})
		_, refusal = m.asEntity("ann", logical.UpdateOperation, "orders/web/"+id, map[string]any{"promote": true})
		require.Empty(t, refusal, "the role requires no approval any more")
	})
}

// Nobody approves what the same entity has asked for: ann's draft and key, handed over by an operator, promoted by its new owner.
func TestADraftOfTheApproversOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := withApproval(t, ca)
		data := draft(map[string]any{"csr": csr(t, newKey(t, elliptic.P256()), "www.example.com")})
		delete(data, "common_name")
		resp, refusal := m.asEntity("ann", logical.UpdateOperation, "orders/web", data)
		require.Empty(t, refusal)
		id := resp.Data["order_id"].(string)
		m.write("operator/orders/web/"+id, map[string]any{"entity_id": "dave"})
		_, refusal = m.asEntity("dave", logical.UpdateOperation, "orders/web/"+id, map[string]any{"promote": true})
		require.Empty(t, refusal)
		_, refusal = m.decide("ann", id, "approve", "")
		require.NotEmpty(t, refusal, "ann has asked for it, with a key of her own")
	})
}

// No personal data in logs: a person's name is what an order of a signature certificate is for.
func TestTheLogNamesNoPersons(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := signers(t, new(certinexttest.Server))
		m.system.EntityVal.Metadata["last"] = "Quillfeather"
		for _, approval := range []bool{false, true} {
			m.must(call{op: logical.PatchOperation, path: "roles/signer", data: map[string]any{"require_approval": approval}})
			m.as("orders/signer", map[string]any{"csr": csr(t, newKey(t, elliptic.P256()), "Platform Quillfeather")})
			require.NotContains(t, m.log.String(), "Quillfeather", "require_approval=%t", approval)
		}
	})
}

var (
	_ = maps.Clone[map[string]any]
	_ = strings.Contains
)

// quietly sends a request whose answer nobody looks at.
func (m *mount) quietly(entity, path string, data map[string]any) {
	_, _ = m.backend.HandleRequest(m.t.Context(), &logical.Request{
		Operation: logical.UpdateOperation, Path: path, Data: data, Storage: m.storage, MountPoint: "certinext/", EntityID: entity, ClientTokenAccessor: "a",
	})
}

// withoutMember takes a member out of each create.
type withoutMember struct {
	next   http.RoundTripper
	member string
}

func (w withoutMember) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/ssl-certificates") {
		return w.next.RoundTrip(r)
	}
	var body map[string]any
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		return nil, err
	}
	if _, has := body[w.member]; !has {
		panic("no member " + w.member)
	}
	delete(body, w.member)
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	return w.next.RoundTrip(r)
}

// README: "Each new order of such a role waits in Vault, and CERTInext hears nothing of it, until another identity entity has approved it."
// ADR 0036 says that CERTInext "may answer with an order instead" of a draft: then nobody has approved what is bought, and its certificate is handed out.
func TestADraftThatCERTInextAnswersWithAnOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := withApproval(t, ca)
		m.startWith(&http.Client{Transport: withoutMember{ca.Client().Transport, "saveAsDraft"}})
		resp, refusal := m.asEntity("ann", logical.UpdateOperation, "orders/web", draft())
		require.Empty(t, refusal)
		id := resp.Data["order_id"].(string)
		t.Log(resp.Data["state"], resp.Data["needs"], resp.Warnings)
		m.passes(3)
		resp, refusal = m.asEntity("ann", logical.UpdateOperation, "orders/web/"+id+"/collect", nil)
		require.NotEmpty(t, refusal, "nobody has approved it: %v", resp.Data["serial_number"])
	})
}

// A snapshot from before the approval of a promotion.
func TestASnapshotFromBeforeAPromotionWasApproved(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := validated(dialect)
		m := withApproval(t, ca)
		resp, refusal := m.asEntity("ann", logical.UpdateOperation, "orders/web", draft())
		require.Empty(t, refusal)
		id := resp.Data["order_id"].(string)
		_, refusal = m.asEntity("ann", logical.UpdateOperation, "orders/web/"+id, map[string]any{"promote": true})
		require.Empty(t, refusal)
		before := snapshot(t, m.storage)
		m.approve(id)
		m.collected(id)
		bought := len(ca.Orders())
		m.storage.lay(before)
		m.start()
		m.passes(2)
		_, refusal = m.decide("bob", id, "approve", "")
		t.Log(refusal)
		m.passes(2)
		require.Equal(t, bought, len(ca.Orders())) //nolint:testifylint // Len would print them
	})
}

// A role that reissues and requires approvals: when CERTInext refuses the reissue, what is placed instead is an order, which waits.
func TestAnOrderInsteadOfAReissueIsApprovedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := renewing(t, map[string]any{"require_approval": true, "issue_timeout": "20s"})
		m.system.EntityVal = &logical.Entity{ID: "ann", Name: "Ann"}
		id := m.toApprove()
		m.approve(id)
		m.collected(id)
		time.Sleep(150 * day)
		m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpReissue, Kind: certinexttest.FaultRefusal, Code: "EMS-1162"})
		resp, refusal := m.asEntity("ann", logical.UpdateOperation, "issue/web", www)
		require.Contains(t, refusal, "waits for the approval", "%v", resp)
		require.Len(t, m.ca.Orders(), 1)
	})
}

// Whatever happens to one order that waits, all at once, it is one purchase at most.
func TestAnOrderThatWaitsIsDecidedOnByEverybodyAtOnce(t *testing.T) {
	for round := range 40 {
		synctest.Test(t, func(t *testing.T) {
			ca := validated(certinexttest.Live)
			m := withApproval(t, ca)
			m.write("budgets/web", map[string]any{"max_orders": 1, "period": "year"})
			id := m.toApprove()
			m.storage.lay(slowStorage{m.storage.under()})
			var wg sync.WaitGroup
			acts := []func(){
				func() { _, _ = m.decide("bob", id, "approve", "") },
				func() { _, _ = m.decide("carol", id, "approve", "") },
				func() { _, _ = m.decide("dan", id, "reject", "no") },
				func() {
					_, _ = m.send(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"require_approval": round%3 == 0}})
				},
				func() { _, _ = m.send(call{op: logical.UpdateOperation, path: "issue/web", data: www, entity: "ann"}) },
				func() { _, _ = m.send(call{op: logical.DeleteOperation, path: "orders/web/" + id, entity: "ann"}) },
				func() {
					_, _ = m.send(call{op: logical.UpdateOperation, path: "operator/orders/web/" + id, data: map[string]any{"entity_id": "bob"}})
				},
				func() { m.pass() },
			}
			for i := range acts {
				act := acts[(i*(round%7+1)+round)%len(acts)]
				wg.Go(func() { time.Sleep(time.Duration((i*round)%23) * 5 * time.Millisecond); act() })
			}
			wg.Wait()
			m.passes(2)
			require.LessOrEqual(t, len(ca.Orders()), 1)
			require.Equal(t, len(ca.Orders()), m.budgetUsage("web")["orders"], "round %d: %v", round, m.states())
			if approved := m.read("approvals/web/" + id); approved != nil {
				order := m.read("orders/web/" + id).Data
				if d := approved.Data["decision"]; d == "rejected" || d == "ended" {
					require.Empty(t, order["ca_order_id"], "%v", order)
				}
			}
		})
	}
}

// What an approver reads is what is ordered: names that CERTInext adds, and money that it takes again each year, too.
func TestAnApproverReadsAllThatIsOrdered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := withApproval(t, ca)
		m.patchRole(map[string]any{"product_code": "844", "product_variant": "dv-ucc", "auto_secure_www": true, "auto_renew": true, "renew_before_days": 30})
		id := m.toApprove(map[string]any{"common_name": "example.com", "alt_names": "a.example.com"})
		seen := m.read("approvals/web/" + id).Data
		m.approve(id)
		leaf := m.chainOK(m.collected(id))
		for _, name := range leaf.DNSNames {
			assert.Contains(t, append(seen["names"].([]string), seen["added_names"].([]string)...), name, "the certificate is for a name that the approver has not read")
		}
		text := fmt.Sprint(seen)
		assert.Contains(t, text, "renew", "CERTInext renews the order by itself, at a cost, and the approver has not read of it")
	})
}

// The same for a person's certificate.
func TestAnApproverReadsTheSubject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := signers(t, new(certinexttest.Server))
		m.must(call{op: logical.PatchOperation, path: "roles/signer", data: map[string]any{"require_approval": true}})
		id := m.as("orders/signer", map[string]any{
			"csr": csr(t, newKey(t, elliptic.P256()), "Platform Team"), "subject": map[string]any{"designation": "Chief Registrar"},
		}).Data["order_id"].(string)
		require.Contains(t, fmt.Sprint(m.read("approvals/signer/"+id).Data), "Chief Registrar", "which stands in the certificate")
	})
}

// Today's role has to allow the names: of a person, too.
func TestAPersonWhomTheRoleDoesNotNameAnyMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := signers(t, new(certinexttest.Server))
		m.must(call{op: logical.PatchOperation, path: "roles/signer", data: map[string]any{"require_approval": true}})
		id := m.as("orders/signer", map[string]any{
			"csr": csr(t, newKey(t, elliptic.P256()), "Platform Team"), "subject": map[string]any{"designation": "Chief Registrar"},
		}).Data["order_id"].(string)
		m.must(call{op: logical.PatchOperation, path: "roles/signer", data: map[string]any{
			"allowed_subject_fields": "", "subject": map[string]any{"first_name": "Another", "last_name": "Person", "email": "other@example.com", "country_code": "IN", "locality": "Bengaluru", "state": "Karnataka", "identification_number": "X7654321"},
		}})
		resp, err := m.send(call{op: logical.UpdateOperation, path: "approvals/signer/" + id, data: map[string]any{"decision": "approve"}, entity: "bob"})
		require.NoError(t, err)
		require.True(t, resp.IsError(), "the role is for another person now, and leaves no designation to anybody")
	})
}

// Storage refuses one operation after the other of the approval of a promotion.
func TestAFaultOfStorageDuringTheApprovalOfAPromotion(t *testing.T) {
	atSize(t)
	for _, dies := range []bool{false, true} {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("restart %t, after %t", dies, after), func(t *testing.T) {
				for n := 1; n < 60; n++ {
					hit := ""
					synctest.Test(t, func(t *testing.T) {
						ca := validated(certinexttest.Live)
						ca.ReportDelay = 0
						m := withApproval(t, ca)
						m.write("budgets/web", map[string]any{"max_orders": 1, "period": "year"})
						resp, _ := m.asEntity("ann", logical.UpdateOperation, "orders/web", draft())
						id := resp.Data["order_id"].(string)
						_, _ = m.asEntity("ann", logical.UpdateOperation, "orders/web/"+id, map[string]any{"promote": true})
						faulty := &faultyStorage{Storage: m.storage.under()}
						m.storage.lay(faulty)
						times := 1
						if dies {
							times = 1000000
						}
						faulty.arm(n, times, after && !dies)
						_, _ = m.send(call{op: logical.UpdateOperation, path: "approvals/web/" + id, data: map[string]any{"decision": "approve"}, entity: "bob"})
						if hit = faulty.disarm(); hit == "" {
							return
						}
						if dies {
							m.start()
						}
						m.passes(3)
						if waiting := m.list("approvals/web"); len(waiting) > 0 {
							_, _ = m.decide("bob", id, "approve", "")
						}
						m.passes(3)
						order := m.read("orders/web/" + id).Data
						require.Len(t, ca.Orders(), 1, "%s: %v", hit, order)
						if ca.Orders()[0].Status != "draft" {
							require.Equal(t, 1, m.budgetUsage("web")["orders"], "%s", hit)
						}
						t.Log(n, hit, order["state"], ca.Orders()[0].Status)
					})
					if hit == "" || t.Failed() {
						return
					}
				}
			})
		}
	}
}

// What the mount may not order is refused when it is asked for, not when somebody has approved it.
func TestWhatMayNotBeOrderedIsNotAskedOfAnApprover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := withApproval(t, validated(certinexttest.Live))
		m.write("config", map[string]any{"allowed_products": "843"})
		_, refusal := m.asEntity("ann", logical.UpdateOperation, "orders/web", www)
		require.Contains(t, refusal, "allowed_products", "nobody can approve it")
	})
}

// CERTInext renews by itself what was ordered with auto_renew, at a cost, which no budget counts and nobody approves: whoever writes that role is told.
func TestARoleThatCERTInextRenewsByItselfIsWarnedOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.Subscriptions.AutoRenewal = certinexttest.RenewByOrder
		ca.DomainValidity = 10 * 365 * day
		m := withApproval(t, ca)
		m.write("budgets/web", map[string]any{"max_orders": 1, "period": "year"})
		resp, err := m.send(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"auto_renew": true}})
		require.NoError(t, err)
		m.approve(m.toApprove())
		time.Sleep(300 * day)
		m.pass()
		require.Len(t, ca.Orders(), 2, "one was approved and counted")
		require.NotNil(t, resp)
		require.Contains(t, strings.Join(resp.Warnings, " "), "auto_renew")
	})
}

// Names that only differ in how they are written are one request; each waits once.
func TestARejectedRequestInOtherWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := withApproval(t, validated(certinexttest.Live))
		_, refusal := m.decide("bob", m.toApprove(), "reject", "no")
		require.Empty(t, refusal)
		for _, data := range []map[string]any{
			{"common_name": "WWW.example.com"},
			{"common_name": " www.example.com "},
			{"common_name": "www.example.com", "alt_names": "www.example.com"},
			{"common_name": "www.example.com", "force_new": true},
			{"common_name": "www.example.com", "ttl": "5m"},
			{"common_name": "www.example.com", "format": "pem_bundle"},
		} {
			_, refusal = m.asEntity("ann", logical.UpdateOperation, "issue/web", data)
			require.Contains(t, refusal, "rejected", "%v", data)
		}
	})
}

// A request that another one for the same names waits for is told what it waits for.
func TestARenewalBesideAnOrderThatWaitsForItsApproval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := renewing(t, map[string]any{"require_approval": true, "issue_timeout": "20s"})
		m.system.EntityVal = &logical.Entity{ID: "ann", Name: "Ann"}
		first := m.toApprove()
		resp, refusal := m.asEntity("ann", logical.UpdateOperation, "sign/web", map[string]any{"csr": csr(t, newKey(t, elliptic.P256()), "www.example.com")})
		t.Log(refusal, resp.Warnings)
		require.Contains(t, refusal, "approv", "what it waits for")
		_, refusal = m.decide("bob", first, "reject", "no")
		require.Empty(t, refusal)
		_, refusal = m.asEntity("ann", logical.UpdateOperation, "sign/web", map[string]any{"csr": csr(t, newKey(t, elliptic.P256()), "www.example.com")})
		require.Contains(t, refusal, "waits for the approval")
	})
}

// dateAhead has the CA's answers say a later time than it is.
type dateAhead struct {
	next http.RoundTripper
	by   *time.Duration
}

func (a dateAhead) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := a.next.RoundTrip(r)
	if err == nil {
		resp.Header.Set("Date", time.Now().Add(*a.by).UTC().Format(http.TimeFormat))
	}
	return resp, err
}

// A request that waits for another one sees the role as it is when it places its own order, not as it was when it came.
func TestARequestThatHasWaitedIsApprovedToo(t *testing.T) {
	for name, request := range map[string]map[string]any{"unnamed": {}, "named": {"request_id": "deploy-17"}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				m := withApproval(t, ca)
				m.patchRole(map[string]any{"require_approval": false, "issue_timeout": "40s"})
				data := maps.Clone(www)
				maps.Copy(data, request)
				ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultLatency, Delay: 20 * time.Second, Times: 1})
				ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultRefusal, Code: "EMS-1162", Times: 1})
				var wg sync.WaitGroup
				for range 2 {
					wg.Go(func() {
						resp, err := m.send(call{op: logical.UpdateOperation, path: "issue/web", data: data, entity: "ann"})
						require.NoError(t, err)
						if resp.IsError() {
							t.Log(resp.Error())
						}
					})
					time.Sleep(time.Second)
				}
				time.Sleep(5 * time.Second)
				m.patchRole(map[string]any{"require_approval": true})
				wg.Wait()
				require.Empty(t, ca.Orders(), "the role had required an approval for fifteen seconds when it was placed")
			})
		})
	}
}

// A role that requires approvals again when the order goes on.
func TestARequestThatHasWaitedWaivesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := withApproval(t, ca)
		id := m.toApprove()
		m.patchRole(map[string]any{"require_approval": false, "issue_timeout": "40s"})
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultLatency, Delay: 20 * time.Second, Times: 1})
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultRateLimit, Times: 1})
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = m.decide("bob", id, "approve", "") })
		time.Sleep(time.Second)
		wg.Go(func() {
			_, refusal := m.asEntity("ann", logical.UpdateOperation, "issue/web", www)
			t.Log(refusal)
		})
		time.Sleep(5 * time.Second)
		m.patchRole(map[string]any{"require_approval": true})
		wg.Wait()
		require.Empty(t, ca.Orders(), "the only approval has come to nothing, and the role requires one: %v", m.read("approvals/web/" + id).Data["decision"])
	})
}

// leavingStorage has the client leave at the n-th operation; storage that looks at its context fails from then on.
type leavingStorage struct {
	logical.Storage
	mu    sync.Mutex
	n     int
	leave func()
	left  bool
}

func (s *leavingStorage) count() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n--; s.n == 0 && s.leave != nil {
		s.left = true
		s.leave()
	}
}

func (s *leavingStorage) Get(ctx context.Context, key string) (*logical.StorageEntry, error) {
	s.count()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return s.Storage.Get(ctx, key)
}

func (s *leavingStorage) Put(ctx context.Context, e *logical.StorageEntry) error {
	s.count()
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.Storage.Put(ctx, e)
}

func (s *leavingStorage) Delete(ctx context.Context, key string) error {
	s.count()
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.Storage.Delete(ctx, key)
}

// The client leaves at each operation of storage in turn.
func TestAClientThatLeaves(t *testing.T) {
	for _, act := range []string{"approve", "reject", "issue", "promote"} {
		t.Run(act, func(t *testing.T) {
			for n := 1; n < 80; n++ {
				left := false
				synctest.Test(t, func(t *testing.T) {
					ca := validated(certinexttest.Live)
					ca.ReportDelay = 0
					m := withApproval(t, ca)
					m.write("budgets/web", map[string]any{"max_orders": 1, "period": "year"})
					id, path, entity := "", "", "bob"
					var data map[string]any
					switch act {
					case "promote":
						resp, _ := m.asEntity("ann", logical.UpdateOperation, "orders/web", draft())
						id = resp.Data["order_id"].(string)
						_, _ = m.asEntity("ann", logical.UpdateOperation, "orders/web/"+id, map[string]any{"promote": true})
						path, data = "approvals/web/"+id, map[string]any{"decision": "approve"}
					case "issue":
						m.patchRole(map[string]any{"require_approval": false})
						path, data, entity = "issue/web", www, "ann"
					default:
						id = m.toApprove()
						path, data = "approvals/web/"+id, map[string]any{"decision": act, "remark": "so"}
					}
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					storage := &leavingStorage{Storage: m.storage.under(), n: n, leave: cancel}
					m.storage.lay(storage)
					_, _ = m.backend.HandleRequest(ctx, &logical.Request{
						Operation: logical.UpdateOperation, Path: path, Data: data, Storage: m.storage, MountPoint: "certinext/", EntityID: entity, ClientTokenAccessor: "a",
					})
					left = storage.left
					time.Sleep(time.Minute)
					if act == "reject" {
						require.Empty(t, ca.Orders())
						return
					}
					m.patchRole(map[string]any{"require_approval": true})
					for range 3 {
						m.passes(1)
						for _, waiting := range m.list("approvals/web") {
							m.quietly("carol", "approvals/web/"+waiting, map[string]any{"decision": "approve"})
						}
						if act != "promote" {
							m.quietly("ann", "issue/web", www)
						}
					}
					require.Len(t, ca.Orders(), 1, "%d: %v", n, m.states())
					if ca.Orders()[0].Status == "draft" {
						require.Equal(t, 0, m.budgetUsage("web")["orders"])
						return
					}
					require.Equal(t, 1, m.budgetUsage("web")["orders"], "%d: %v", n, m.states())
					require.Equal(t, "issued", ca.Orders()[0].Status, "%d: %v", n, m.states())
				})
				if !left || t.Failed() {
					require.Greater(t, n, 3)
					return
				}
			}
		})
	}
}

// Messages are honest: a state is no adjective, and a draft is one.
func TestWhatIsSaidOfAnOrderThatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := withApproval(t, validated(certinexttest.Live))
		id := m.toApprove()
		for path, data := range map[string]map[string]any{
			"operator/orders/web/" + id: {"never_placed": true}, "orders/web/" + id: {"promote": true}, "orders/web/" + id + "/reissue": {},
		} {
			m.patchRole(map[string]any{"allow_reissue": true})
			_, refusal := m.asEntity("ann", logical.UpdateOperation, path, data)
			assert.NotContains(t, refusal, "is approval", path)
		}
	})
}

// README names those who may have the next move; it is vault-approver here.
func TestTheREADMENamesWhoeverIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := withApproval(t, validated(certinexttest.Live))
		party := m.read("orders/web/" + m.toApprove()).Data["waits_for"].(string)
		text, err := os.ReadFile("../README.md")
		require.NoError(t, err)
		require.Contains(t, string(text), "`"+party+"`")
	})
}

// An order that was asked for with one person's names and is handed over is what the approver has read of: whose it is now is shown.
func TestAnApproverReadsWhoseTheOrderIsNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := withApproval(t, validated(certinexttest.Live))
		id := m.toApprove()
		m.write("operator/orders/web/"+id, map[string]any{"entity_id": "mallory"})
		require.Contains(t, fmt.Sprint(m.read("approvals/web/"+id).Data), "mallory", "who gets the certificate and its key")
	})
}

// A draft with a key that turns out to be known to others is not promoted.
func TestADraftWithACompromisedKeyIsNotPromoted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		key := newKey(t, elliptic.P256())
		serial := m.write("sign/web", map[string]any{"csr": csr(t, key, "www.example.com")}).Data["serial_number"]
		id := m.write("orders/web", map[string]any{"csr": csr(t, key, "shop.example.com"), "save_as_draft": true}).Data["order_id"].(string)
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpRevoke, Kind: certinexttest.FaultDropped, Times: 1})
		m.write("revoke", map[string]any{"serial_number": serial, "reason": "key-compromise"})
		resp, err := m.attempt("orders/web/"+id, map[string]any{"promote": true})
		require.NoError(t, err)
		require.True(t, resp.IsError(), "a compromised key is not certified: %v", resp.Data["state"])
	})
}

// What the role does not allow any more does not go on without an approval either.
func TestNamesThatTheRoleDoesNotAllowAreNotWaived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := withApproval(t, ca)
		id := m.toApprove()
		m.patchRole(map[string]any{"require_approval": false, "allowed_domains": "example.org"})
		_, refusal := m.asEntity("ann", logical.UpdateOperation, "issue/web", www)
		require.NotEmpty(t, refusal)
		_, refusal = m.asEntity("ann", logical.UpdateOperation, "orders/web/"+id+"/collect", nil)
		require.NotEmpty(t, refusal)
		require.Empty(t, ca.Orders())
	})
}

// By its accessor a token can be revoked, and a private key is nobody's to log: neither is in logs, answers to others, or listings.
func TestWhatIsNobodysToReadIsNowhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := withApproval(t, ca)
		m.write("budgets/people", map[string]any{"max_orders": 1, "per": "requester"})
		ask := func(n int) string {
			resp := m.must(call{op: logical.UpdateOperation, path: "orders/web", data: host(n), accessor: "hidden-accessor"})
			return resp.Data["order_id"].(string)
		}
		first, second := ask(0), ask(1)
		m.approve(first)
		_, refusal := m.decide("bob", second, "approve", "")
		said := []string{refusal, m.log.String(), fmt.Sprint(m.read("budgets/people").Data), fmt.Sprint(m.read("approvals/web/" + second).Data)}
		for _, path := range []string{"orders/web", "approvals", "approvals/web", "budgets"} {
			said = append(said, fmt.Sprint(m.must(call{op: logical.ListOperation, path: path}).Data))
		}
		said = append(said, fmt.Sprint(m.read("orders/web/"+first).Data), fmt.Sprint(m.read("orders/web/"+second).Data))
		_, refusal = m.decide("bob", second, "reject", "no")
		said = append(said, refusal, m.log.String(), fmt.Sprint(m.read("orders/web/"+second).Data), fmt.Sprint(m.read("approvals/web/"+second).Data))
		for _, text := range said {
			require.NotContains(t, text, "hidden-accessor")
			require.NotContains(t, text, "PRIVATE KEY")
			require.NotContains(t, text, certinexttest.DefaultClientSecret)
		}
	})
}
