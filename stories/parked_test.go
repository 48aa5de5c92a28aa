// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// CERTInext takes an order that lacks its group and lets it wait for a person ("Pending System RA"). Whoever asks for
// it is told that it waits for CERTInext's side; once the group is there the order goes on, and nothing is bought twice.
func TestAParkedOrderWaitsAndIsDelivered(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := validated(dialect)
		ca.Demands.ParkWithout = []string{certinexttest.PartGroup}
		m := newMount(t, ca)
		said := m.refused("issue/web", map[string]any{"common_name": "www.example.com"})
		require.Contains(t, said, "has to approve the order")
		who, needs := m.needs("web")
		require.Equal(t, "approver", who, needs)
		require.Equal(t, []string{certinexttest.PartGroup}, ca.Orders()[0].Missing)
		m.passes(3)
		require.Equal(t, "pending", m.read("orders/web/" + m.list("orders/web")[0]).Data["state"])

		require.NoError(t, ca.Supply(ca.Orders()[0].ID, certinexttest.Supplement{Group: certinexttest.DefaultGroup}))
		m.passes(2)
		m.chainOK(m.write("issue/web", map[string]any{"common_name": "www.example.com"}))
		require.Len(t, ca.Orders(), 1, "bought once")
	})
}
