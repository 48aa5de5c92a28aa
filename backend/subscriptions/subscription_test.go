// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package subscriptions_test

import (
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/subscriptions"
	"github.com/stretchr/testify/assert"
)

var placed = time.Date(2026, 11, 29, 9, 0, 0, 0, time.UTC)

func TestOrdered(t *testing.T) {
	for years, want := range map[int]time.Time{
		-1: {}, 0: {},
		1: time.Date(2027, 11, 29, 9, 0, 0, 0, time.UTC),
		3: time.Date(2029, 11, 29, 9, 0, 0, 0, time.UTC),
		9: time.Date(2029, 11, 29, 9, 0, 0, 0, time.UTC),
	} {
		got := subscriptions.Ordered(placed, years)
		assert.Equal(t, want, got.EndsAt, years)
		assert.False(t, got.Told)
	}
	assert.Zero(t, subscriptions.Ordered(time.Time{}, 1))
}

func TestTold(t *testing.T) {
	ends := placed.AddDate(1, 0, 0)
	got, believed := subscriptions.Told(placed, ends.In(time.FixedZone("IST", 19800)), "active")
	assert.True(t, believed)
	assert.Equal(t, subscriptions.Subscription{EndsAt: ends, Status: "active", Told: true}, got)

	priced := got.At("25.00", "USD")
	assert.Equal(t, "25.00 USD", priced.Price+" "+priced.Currency)
	assert.Equal(t, ends, priced.EndsAt)
	assert.Empty(t, got.Price, "a price changes no other subscription")

	_, believed = subscriptions.Told(placed, time.Time{}, "active")
	assert.False(t, believed, "an end that is not there")
	_, believed = subscriptions.Told(placed, placed.AddDate(30, 0, 0), "active")
	assert.False(t, believed, "a term that cannot be bought")
	_, believed = subscriptions.Told(placed, placed.AddDate(0, 0, -1), "active")
	assert.False(t, believed, "a term that was over when it was bought")
}
