// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// TestOnlySoManyOrdersWaitForAnApproval has two requesters ask for more than a role lets wait, each for another name.
func TestOnlySoManyOrdersWaitForAnApproval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := withApproval(t, validated(certinexttest.Live))
		m.patchRole(map[string]any{"max_unapproved": 5})
		for field, value := range map[string]int{"max_unapproved: 0 is not between 1 and 10000": 0, "max_unapproved: 10001 is not": 10_001} {
			_, refusal := m.asEntity("", logical.PatchOperation, "roles/web", map[string]any{"max_unapproved": value})
			require.Contains(t, refusal, field)
		}
		asks := func(entity string, n int) (*logical.Response, string) {
			return m.asEntity(entity, logical.UpdateOperation, "orders/web", host(n))
		}
		for n := range 3 {
			_, refusal := asks("ann", n)
			require.Empty(t, refusal)
		}
		m.storage.reset()
		_, refusal := asks("ann", 3)
		require.Contains(t, refusal, "role: web has 3 orders of this requester that wait for an approval")
		require.Contains(t, refusal, "half of max_unapproved, which is 5")
		require.Contains(t, refusal, "vault list certinext/approvals/web")
		require.Empty(t, m.storage.writes(), "what is refused is stored")
		dry, _ := m.asEntity("ann", logical.UpdateOperation, "orders/web", map[string]any{"common_name": "h3.example.com", "dry_run": true})
		require.Equal(t, []string{refusal}, dry.Data["refusals"])
		_, refusal = asks("ann", 0)
		require.Empty(t, refusal, "the same request finds the order that waits")

		m.start() // another process
		var last string
		for n := range 2 {
			resp, refusal := asks("carol", n)
			require.Empty(t, refusal)
			last = resp.Data["order_id"].(string)
		}
		_, refusal = asks("carol", 2)
		require.Contains(t, refusal, "role: web has 5 orders that wait for an approval, and may have 5 (max_unapproved)")

		require.Len(t, m.list("approvals/web"), 5)
		_, refusal = m.decide("bob", last, "reject", "no")
		require.Empty(t, refusal)
		_, refusal = asks("carol", 2)
		require.Empty(t, refusal, "another may wait")
	})
}

// TestTheBoundOfWhatWaitsHoldsForManyAtATime asks for 64 names at once.
func TestTheBoundOfWhatWaitsHoldsForManyAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := withApproval(t, validated(certinexttest.Live))
		m.patchRole(map[string]any{"max_unapproved": 20})
		m.storage.lay(slowStorage{m.storage.under()})
		var all sync.WaitGroup
		for n := range 64 {
			all.Go(func() { m.asEntity(fmt.Sprintf("requester-%d", n%4), logical.UpdateOperation, "orders/web", host(n)) })
		}
		all.Wait()
		require.Len(t, m.list("approvals/web"), 20)
		require.Empty(t, m.ca.Orders())
	})
}

// TestDraftsWaitForTheApprovalOfTheirPromotionWithinTheBound promotes more drafts than may wait.
func TestDraftsWaitForTheApprovalOfTheirPromotionWithinTheBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := withApproval(t, validated(certinexttest.Live))
		m.patchRole(map[string]any{"max_unapproved": 1})
		var ids []string
		for n := range 2 {
			draft := host(n)
			draft["save_as_draft"] = true
			resp, refusal := m.asEntity("ann", logical.UpdateOperation, "orders/web", draft)
			require.Empty(t, refusal)
			ids = append(ids, resp.Data["order_id"].(string))
		}
		promote := map[string]any{"promote": true}
		_, refusal := m.asEntity("ann", logical.UpdateOperation, "orders/web/"+ids[0], promote)
		require.Empty(t, refusal)
		_, refusal = m.asEntity("ann", logical.UpdateOperation, "orders/web/"+ids[1], promote)
		require.Contains(t, refusal, "role: web has 1 order of this requester that waits")
		require.Equal(t, "draft", m.read("orders/web/" + ids[1]).Data["state"])
		_, refusal = m.decide("bob", ids[0], "reject", "no")
		require.Empty(t, refusal)
		_, refusal = m.asEntity("ann", logical.UpdateOperation, "orders/web/"+ids[1], promote)
		require.Empty(t, refusal)
	})
}
