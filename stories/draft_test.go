// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"crypto/elliptic"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// draft is www as a draft, with further fields.
func draft(more ...map[string]any) map[string]any {
	data := maps.Clone(www)
	data["save_as_draft"] = true
	for _, m := range more {
		maps.Copy(data, m)
	}
	return data
}

func TestADraftIsKeptPromotedAndCollected(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := validated(dialect)
		m := newMount(t, ca)
		kept := m.write("orders/web", draft()).Data
		require.Equal(t, "draft", kept["state"])
		require.Equal(t, "draft", ca.Orders()[0].Status)
		require.Equal(t, ca.Orders()[0].RequestID, kept["ca_request_id"])
		require.Empty(t, kept["ca_order_id"])
		require.Contains(t, kept["needs"].([]string)[0], "promote=true")
		path := "orders/web/" + kept["order_id"].(string)

		same := m.write("issue/web", draft(map[string]any{"async": true})).Data
		require.Equal(t, kept["order_id"], same["order_id"], "the same request is the same draft")
		for range 50 {
			time.Sleep(time.Hour)
			m.pass()
		}
		require.Equal(t, "draft", m.read(path).Data["state"])
		require.Contains(t, m.refused(path+"/collect", nil), "keeps it as draft")
		require.Contains(t, m.refused(path+"/dcv", nil), "no number for it yet")

		promoted := m.write(path, map[string]any{"promote": true}).Data
		require.Contains(t, []string{"pending", "issued"}, promoted["state"])
		require.Contains(t, m.refused(path, map[string]any{"promote": true}), "not a draft")
		collected := m.write(path+"/collect", nil)
		m.chainOK(collected)
		require.NotNil(t, collected.Data["private_key"])
		require.Len(t, ca.Orders(), 1)
		require.Equal(t, "issued", ca.Orders()[0].Status)
		require.Equal(t, collected.Data["ca_order_id"], ca.Orders()[0].ID)
		require.False(t, ca.Orders()[0].ReusedKey)
	})
}

func TestOrdersAndDraftsAreNotMistakenForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.HoldForApproval = true
		m := newMount(t, ca)
		first := m.write("orders/web", draft()).Data["order_id"].(string)
		m.refused("issue/web", www)
		require.Len(t, ca.Orders(), 2, "an order was taken for the draft")
		m.must(call{op: logical.DeleteOperation, path: "orders/web/" + m.idOf("pending")})

		m.write("orders/web/"+first, map[string]any{"promote": true})
		require.Contains(t, m.refused("issue/web", www), first, "a promoted draft is found by the request that it answers")
		require.NotEqual(t, first, m.write("orders/web", draft()).Data["order_id"], "a draft that was promoted is none any more")
		require.Len(t, ca.Orders(), 3)
	})
}

// idOf returns the id of the only order of "web" in a state.
func (m *mount) idOf(state string) string {
	m.t.Helper()
	var found []string
	for _, id := range m.list("orders/web") {
		if m.read("orders/web/" + id).Data["state"] == state {
			found = append(found, id)
		}
	}
	require.Len(m.t, found, 1, "orders in the state %s", state)
	return found[0]
}

func TestADraftWithANameIsPromotedByThatName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		named := map[string]any{"common_name": "www.example.com", "request_id": "deploy-17"}
		id := m.write("orders/web", draft(named)).Data["order_id"].(string)
		require.Equal(t, id, m.write("orders/web", draft(named)).Data["order_id"])
		require.Contains(t, m.refused("issue/web", named), "promote=true")
		require.Len(t, ca.Orders(), 1)
		m.write("orders/web/"+id, map[string]any{"promote": true})
		require.Equal(t, id, m.write("orders/web", draft(named)).Data["order_id"], "the same name is always the same order")
		m.chainOK(m.write("issue/web", named))
		require.Len(t, ca.Orders(), 1)
	})
}

func TestADraftOfACSRIsPromoted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		request := map[string]any{"csr": csr(t, newKey(t, elliptic.P256()), "www.example.com"), "save_as_draft": true, "async": true}
		path := "orders/web/" + m.write("sign/web", request).Data["order_id"].(string)
		m.write(path, map[string]any{"promote": true})
		collected := m.write(path+"/collect", nil)
		m.chainOK(collected)
		require.NotContains(t, collected.Data, "private_key")
	})
}

func TestADiscardedDraftIsGoneAtTheCAAndLosesItsKey(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := validated(dialect)
		m := newMount(t, ca)
		path := "orders/web/" + m.write("orders/web", draft()).Data["order_id"].(string)
		order := m.must(call{op: logical.DeleteOperation, path: path, data: map[string]any{"reason": "changed our minds"}}).Data
		require.Equal(t, "cancelled", order["state"])
		require.Equal(t, "cancelled", ca.Orders()[0].Status)
		require.Equal(t, "changed our minds", ca.Orders()[0].CancelReason)
		requireNoKeys(t, m)
		require.Contains(t, m.refused(path, map[string]any{"promote": true}), "is over: cancelled")
	})
}

func TestADiscardWhoseAnswerWasLostIsFinishedByTheNextOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		path := "orders/web/" + m.write("orders/web", draft()).Data["order_id"].(string)
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCancelDraft, Kind: certinexttest.FaultLostReply, Times: 1})
		discard := call{op: logical.DeleteOperation, path: path}
		resp, err := m.send(discard)
		require.NoError(t, err)
		if resp.IsError() {
			require.Equal(t, "cancelled", m.must(discard).Data["state"])
		}
		require.Equal(t, "cancelled", ca.Orders()[0].Status)
		requireNoKeys(t, m)
	})
}

func TestWhatIsNotADraftIsRefusedByName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		require.Contains(t, m.refused("issue/web", draft()), "save_as_draft:")
		m.write("roles/intranet", map[string]any{
			"product_code": "149", "product_variant": "intranet-ssl", "allow_any_name": true, "ca_profile_id": "1", "master_product_id": "1",
		})
		require.Contains(t, m.refused("orders/intranet", map[string]any{"common_name": "db.internal", "save_as_draft": true}), "save_as_draft:")
		path := "orders/web/" + m.write("orders/web", draft()).Data["order_id"].(string)
		require.Contains(t, m.refused(path, map[string]any{"promote": true, "never_placed": true}), "never_placed", "that is an operator's")
		require.Contains(t, m.refused(path, nil), "promote:")
		require.Contains(t, m.refused("operator/"+path, map[string]any{"end": true, "never_placed": true}), "ca_order_id:")
		require.Contains(t, m.refused("orders/web/nothing", map[string]any{"promote": true}), "no order")
		require.Len(t, ca.Orders(), 1)
		require.Equal(t, "draft", ca.Orders()[0].Status)
	})
}

// A draft costs nothing, but promoting it does: its lost answer is looked for like that of any order.
func TestAPromotionWhoseAnswerWasLostIsFoundAgain(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := validated(dialect)
		m := newMount(t, ca)
		path := "orders/web/" + m.write("orders/web", draft()).Data["order_id"].(string)
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultLostReply, Times: 1})
		require.Equal(t, "unresolved", m.write(path, map[string]any{"promote": true}).Data["state"])
		m.chainOK(m.write("issue/web", www))
		require.Len(t, ca.Orders(), 1)
		require.Equal(t, "issued", ca.Orders()[0].Status)
	})
}

func TestAPromotionThatTheCARefusesLeavesTheDraft(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := validated(dialect)
		m := newMount(t, ca)
		id := m.write("orders/web", draft()).Data["order_id"].(string)
		ca.Configure(func(s *certinexttest.Server) { s.Catalog = []certinexttest.Product{} })
		m.refused("orders/web/"+id, map[string]any{"promote": true})
		order := m.read("orders/web/" + id).Data
		require.Equal(t, "draft", order["state"])
		require.NotEmpty(t, order["last_error"])
		require.Equal(t, id, m.write("orders/web", draft()).Data["order_id"], "the draft is found no more")
		ca.Configure(func(s *certinexttest.Server) { s.Catalog = nil })
		m.write("orders/web/"+id, map[string]any{"promote": true})
		m.chainOK(m.write("orders/web/"+id+"/collect", nil))
		require.Len(t, ca.Orders(), 1)
	})
}

// The promotion never arrived, and a later order proves it: the draft is one again.
func TestAPromotionThatCertainlyNeverArrivedLeavesTheDraft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		id := m.write("orders/web", draft()).Data["order_id"].(string)
		time.Sleep(24 * time.Hour)
		m.write("issue/web", map[string]any{"common_name": "later-than-the-draft.example.com"})
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultDropped, Times: 1})
		require.Equal(t, "unresolved", m.write("orders/web/"+id, map[string]any{"promote": true}).Data["state"])
		time.Sleep(time.Minute)
		m.pass()
		require.Equal(t, "unresolved", m.read("orders/web/" + id).Data["state"], "what is older than the promotion proves nothing")
		time.Sleep(2 * time.Hour)
		m.write("issue/web", map[string]any{"common_name": "later.example.com"})
		m.pass()
		require.Equal(t, "draft", m.read("orders/web/" + id).Data["state"])
		m.write("orders/web/"+id, map[string]any{"promote": true})
		m.chainOK(m.write("orders/web/"+id+"/collect", nil))
		require.Equal(t, 1, countOrders(ca, "www.example.com"))
	})
}

func TestAPromotionThatCouldNotBeStoredIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		id := m.write("orders/web", draft()).Data["order_id"].(string)
		m.breakStorage().ambiguous = true
		_, err := m.send(call{op: logical.UpdateOperation, path: "orders/web/" + id, data: map[string]any{"promote": true}})
		require.Error(t, err)
		for range 2 {
			require.Equal(t, "draft", m.read("orders/web/" + id).Data["state"])
			require.Equal(t, "draft", ca.Orders()[0].Status)
			m.start()
		}
		m.write("orders/web/"+id, map[string]any{"promote": true})
		m.chainOK(m.write("orders/web/"+id+"/collect", nil))
	})
}

func TestADraftWhoseAnswerWasLostIsSettledByHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultLostReply, Times: 1})
		lost := m.write("orders/web", draft()).Data
		require.Equal(t, "unresolved", lost["state"])
		require.Contains(t, strings.Join(lost["needs"].([]string), " "), "costs nothing")
		time.Sleep(2 * time.Hour)
		m.write("issue/web", map[string]any{"common_name": "later.example.com"})
		m.pass()
		path := "orders/web/" + lost["order_id"].(string)
		require.Equal(t, "unresolved", m.read(path).Data["state"], "records that show no drafts prove nothing of a draft")
		require.Equal(t, "failed", m.write("operator/"+path, map[string]any{"never_placed": true}).Data["state"])
	})
}

func TestADraftThatWasPromotedInThePortalIsAdopted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		id := m.write("orders/web", draft()).Data["order_id"].(string)
		require.NoError(t, ca.Promote(ca.Orders()[0].RequestID))
		number := ca.Orders()[0].ID
		resp, err := m.send(call{op: logical.DeleteOperation, path: "orders/web/" + id})
		require.NoError(t, err)
		require.ErrorContains(t, resp.Error(), number, "the answer names the order that the draft has become")
		require.Equal(t, "draft", m.read("orders/web/" + id).Data["state"])
		m.write("operator/orders/web/"+id, map[string]any{"ca_order_id": number})
		m.chainOK(m.write("orders/web/"+id+"/collect", nil))
		require.Len(t, ca.Orders(), 1)
	})
}

// Whoever cancels an order wants no certificate: one that has come meanwhile, and that nobody has got, is revoked.
func TestCancellingAnOrderThatIsIssuedByNowRevokesIt(t *testing.T) {
	for name, stored := range map[string]bool{"not downloaded yet": false, "downloaded": true} {
		t.Run(name, func(t *testing.T) {
			dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
				ca := validated(dialect)
				ca.IssueDelay = time.Minute
				m := newMount(t, ca)
				path := "orders/web/" + m.write("orders/web", www).Data["order_id"].(string)
				time.Sleep(2 * time.Minute)
				if stored {
					m.pass()
				}
				order := m.must(call{op: logical.DeleteOperation, path: path, data: map[string]any{"reason": "not needed; really"}}).Data
				require.Equal(t, "revoked", order["state"])
				require.Equal(t, false, order["delivered"])
				require.NotEmpty(t, order["serial_number"])
				require.Equal(t, "revoked", ca.Orders()[0].Status)
				requireNoKeys(t, m)
				require.Len(t, m.list("certs/revoked"), 1)
				require.Contains(t, m.refused(path+"/collect", nil), "is over")
			})
		})
	}
}

func TestCancellingAnIssuedOrderWhileTheCAIsDownErasesItsKeyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		path := "orders/web/" + m.write("orders/web", www).Data["order_id"].(string)
		m.pass()
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpRevoke, Kind: certinexttest.FaultServerError})
		m.must(call{op: logical.DeleteOperation, path: path})
		requireNoKeys(t, m)
		require.Contains(t, m.refused(path+"/collect", nil), "is over")
		ca.ClearFaults()
		time.Sleep(time.Hour)
		m.pass()
		require.Equal(t, "revoked", ca.Orders()[0].Status)
	})
}

func TestACertificateThatWasHandedOverIsNotRevokedByDeletingItsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		path := "orders/web/" + m.write("issue/web", www).Data["order_id"].(string)
		for range 2 {
			resp, err := m.send(call{op: logical.DeleteOperation, path: path})
			require.NoError(t, err)
			require.ErrorContains(t, resp.Error(), "revoke its certificate")
			require.Equal(t, "issued", ca.Orders()[0].Status)
			m.start() // to the new process the order looks like one that it has to find out about
		}
	})
}

func TestADraftBelongsToItsAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		path := "orders/web/" + m.write("orders/web", draft()).Data["order_id"].(string)
		other := validated(certinexttest.Live)
		other.AccountNumber = "2222222222"
		m.ca = other
		m.start()
		m.write("config", map[string]any{"client_id": "2222222222", "client_secret": certinexttest.DefaultClientSecret, "force": true})
		require.Contains(t, m.refused(path, map[string]any{"promote": true}), "another CERTInext account")
		resp, err := m.send(call{op: logical.DeleteOperation, path: path})
		require.NoError(t, err)
		require.ErrorContains(t, resp.Error(), "another CERTInext account")
		require.Empty(t, other.Orders())
	})
}
