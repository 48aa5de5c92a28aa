// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What CERTInext is trusted to remember, and the term that is bought, count from the approval: the
// order may have waited for weeks.
func TestAnApprovedOrderIsAskedForWhenItIsApproved(t *testing.T) {
	requested := time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)
	approved, promoted := requested.Add(50*time.Hour), requested.Add(60*time.Hour)
	decided := func(what Decision) *approval {
		return &approval{Decision: what, DecidedAt: approved}
	}
	for name, c := range map[string]struct {
		order orderEntry
		asked time.Time
	}{
		"no approval": {orderEntry{}, requested},
		"approved":    {orderEntry{Approval: decided(DecisionApproved)}, approved},
		"waived":      {orderEntry{Approval: decided(DecisionWaived)}, approved},
		"rejected":    {orderEntry{Approval: decided(DecisionRejected)}, requested},
		"an approved draft's": {
			orderEntry{Approval: decided(DecisionApproved), PromotedAt: promoted}, promoted,
		},
	} {
		c.order.CreatedAt = requested
		require.Equal(t, c.asked, c.order.askedAt(), name)
	}
}

func TestPeopleAreNamedByWhatIsKnown(t *testing.T) {
	for person, want := range map[Person]string{
		{}:                        "a token without an identity entity",
		{DisplayName: "token-ci"}: "token-ci (without an identity entity)",
		{EntityID: "e"}:           "entity e",
		{EntityID: "e", DisplayName: "userpass-ann"}:              "userpass-ann (entity e)",
		{EntityID: "e", DisplayName: "userpass-ann", Name: "ann"}: "ann (entity e)",
	} {
		require.Equal(t, want, person.String())
	}
}

// A stored entry may be anything: none of what is shown of it panics.
func TestAnOrderThatWaitsForAnApprovalNotOnRecord(t *testing.T) {
	o := &orderEntry{ID: "6f1d", Role: "web", State: StateApproval}
	require.False(t, o.waitsForApproval())
	require.NotPanics(t, func() {
		o.view()
		advance(o, nil, progress{})
	})
	require.ErrorContains(t, mayDecide(o, Person{EntityID: "e"}), "needs no approval")
}
