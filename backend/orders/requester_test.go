// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/subscriptions"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/stretchr/testify/require"
)

// What CERTInext tells of a term says nothing of its price.
func TestAReissueKeepsWhatItsTermHasCost(t *testing.T) {
	at := time.Date(2026, 11, 29, 9, 0, 0, 0, time.UTC)
	o := &orderEntry{
		CAOrderID: "1", Reissue: new(reissue), CreatedAt: at,
		Subscription: &subscriptions.Subscription{Price: "25.00", Currency: "USD"},
	}
	o.observe(at, &certinext.Order{Subscription: &certinext.Subscription{
		EndsAt: at.AddDate(1, 0, 0), Status: "active",
	}})
	got := o.subscription()
	require.True(t, got.Told)
	require.Equal(t, "25.00 USD", got.Price+" "+got.Currency)
}

// An order that was handed over is another requester's, who is not called like the first one.
func TestTheNameOfARequesterIsNotThatOfAnother(t *testing.T) {
	o := &orderEntry{Requester: "entity:ann", Asked: &asking{By: Person{EntityID: "ann", Name: "Ann"}}}
	require.Equal(t, "Ann", requesterName(o))
	o.Requester = "entity:bob"
	require.Empty(t, requesterName(o))
	require.Equal(t, "Ann", askedOf(o).By.Name, "who asked stays who asked")
	require.Equal(t, Person{EntityID: "bob"}, askedOf(&orderEntry{Requester: "entity:bob"}).By)
	require.Zero(t, askedOf(&orderEntry{Requester: "token:accessor"}), "no accessor is shown")
}
