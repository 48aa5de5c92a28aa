// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"strings"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/stretchr/testify/require"
)

// tellingCAA are the dialects in which CERTInext says what its look at CAA records has shown.
var tellingCAA = []certinexttest.Dialect{certinexttest.Live, certinexttest.V1}

// An approver who is asked to approve what CAA forbids approves in vain: the domain's owner has to act, and is told how.
func TestWhoeverOwnsTheDomainIsToldThatCAAForbidsIt(t *testing.T) {
	in(t, tellingCAA, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := validated(dialect)
		ca.CAAForbids = []string{"example.com"}
		m := newMount(t, ca)
		begun := time.Now()
		said := m.refused("issue/web", map[string]any{"common_name": "www.example.com"})
		require.Less(t, time.Since(begun), 15*time.Second, "a person has to act, who reads this answer first")
		for _, part := range []string{
			"CERTInext may not issue for www.example.com: a CAA record of that name, or of one above it, names other CAs only",
			"whoever owns the domain has to add a CAA record that allows eMudhra's CA",
		} {
			require.Contains(t, said, part)
		}
		require.NotContains(t, said, "an approver of the CERTInext account")
		who, needs := m.needs("web")
		require.Equal(t, "domain-owner", who)
		require.Contains(t, needs, "a CAA record")
		m.passes(3)
		require.Equal(t, 1, strings.Count(m.log.String(), "CAA records do not let CERTInext issue: the owner of the domain has to allow it"), "it is news once")

		ca.Configure(func(s *certinexttest.Server) { s.CAAForbids = nil })
		m.passes(3)
		who, _ = m.needs("web")
		require.Equal(t, "requester", who)
		m.chainOK(m.write("issue/web", map[string]any{"common_name": "www.example.com"}))
		require.Len(t, ca.Orders(), 1, "bought once")
		order := m.read("orders/web/" + m.list("orders/web")[0]).Data
		var told []string
		for _, event := range order["timeline"].([]map[string]any) {
			told = append(told, event["what"].(string))
		}
		require.Contains(t, told, "CAA records do not let CERTInext issue for www.example.com")
		require.Contains(t, told, "CAA records let CERTInext issue for www.example.com")
	})
}

// Once the owner has acted, an order that has to be approved says so.
func TestAnApprovalIsAskedForOnceCAAAllowsTheOrder(t *testing.T) {
	in(t, tellingCAA, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := validated(dialect)
		ca.CAAForbids, ca.HoldForApproval = []string{"www.example.com"}, true
		m := newMount(t, ca)
		m.refused("issue/web", map[string]any{"common_name": "www.example.com"})
		who, needs := m.needs("web")
		require.Equal(t, "domain-owner", who)
		require.NotContains(t, needs, "has to approve the order")
		ca.Configure(func(s *certinexttest.Server) { s.CAAForbids = nil })
		m.passes(2)
		who, needs = m.needs("web")
		require.Equal(t, "approver", who)
		require.NotContains(t, needs, "CAA")
		require.Contains(t, needs, "has to approve the order")
	})
}
