// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// What CERTInext has refused for the moment is not tried again for a campaign that was stopped.
func TestAStoppedCampaignTriesNothingAgain(t *testing.T) {
	for _, verb := range []string{"abort", "pause"} {
		t.Run(verb, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := inCampaign(t, nil)
				m.annIssues()
				m.rests(30 * time.Hour)
				m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultRateLimit, Times: 1000})
				m.campaign(nil)
				m.campaigns(5)
				m.write("replace/friday/"+verb, nil)
				m.campaigns(3)
				m.ca.ClearFaults()
				m.campaigns(30)
				m.rests(5 * time.Hour)
				require.Len(t, m.ca.Orders(), 1)
			})
		})
	}
}

// An approver who comes after a campaign was stopped buys nothing for it.
func TestAnApprovalAfterACampaignWasStoppedBuysNothing(t *testing.T) {
	for _, verb := range []string{"abort", "pause"} {
		t.Run(verb, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := inCampaign(t, nil)
				m.annIssues()
				m.rests(30 * time.Hour)
				m.patchRole(map[string]any{"require_approval": true, "approval_timeout": "240h"})
				m.campaign(nil)
				m.campaigns(5)
				m.write("replace/friday/"+verb, nil)
				m.campaigns(30)
				ids := m.list("approvals/web")
				for _, id := range ids {
					_, _ = m.send(call{op: logical.UpdateOperation, path: "approvals/web/" + id, data: map[string]any{"decision": "approve"}, entity: "bob"})
				}
				m.rests(5 * time.Hour)
				require.Len(t, m.ca.Orders(), 1)
			})
		})
	}
}

// An approver says no once.
func TestWhatAnApproverRejectsIsNotAskedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := inCampaign(t, nil)
		m.annIssues()
		m.rests(30 * time.Hour)
		m.patchRole(map[string]any{"require_approval": true, "approval_timeout": "240h"})
		m.campaign(nil)
		m.campaigns(5)
		id := m.list("approvals/web")[0]
		m.must(call{op: logical.UpdateOperation, path: "approvals/web/" + id, data: map[string]any{"decision": "reject", "remark": "no"}, entity: "bob"})
		m.rests(5 * time.Hour)
		require.Empty(t, m.list("approvals/web"))
	})
}
