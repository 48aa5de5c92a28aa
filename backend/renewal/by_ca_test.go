// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package renewal_test

import (
	"math"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/renewal"
	"github.com/stretchr/testify/assert"
)

func TestWhenTheCARenewsByItself(t *testing.T) {
	for name, c := range map[string]struct {
		days, before int
		at, over     time.Duration // after the certificate begins
	}{
		"by default 30 days before its end": {200, 0, 170 * day, 185 * day},
		"as the order says":                 {200, 60, 140 * day, 170 * day},
		"not in the first half of its life": {47, 30, 47 * day / 2, 47 * day * 3 / 4},
		"more days than there are":          {200, math.MaxInt, 100 * day, 150 * day},
	} {
		l := life(c.days)
		b := renewal.RenewedByCA(l, c.before)
		assert.Equal(t, begun.Add(c.at), b.At, name)
		assert.Equal(t, begun.Add(c.over), b.Over, name)
	}

	l := life(200)
	b := renewal.RenewedByCA(l, 30)
	assert.Equal(t, begun.Add(192*day+day/2), b.Last(l), "half of what is left from Over on")
	for days, want := range map[int]renewal.Stage{
		0: renewal.NotDue, 120: renewal.NotDue, 134: renewal.Awaited, 169: renewal.Awaited,
		170: renewal.Begun, 184: renewal.Begun, 185: renewal.Missed, 400: renewal.Missed,
	} {
		assert.Equal(t, want, b.Stage(l, begun.Add(time.Duration(days)*day)), "%d days", days)
	}
	ask := renewal.After("0a", l).Add(b.Later("0a", l))
	assert.Equal(t, begun.Add(173*day), ask, "a client asks when the CA has renewed it")
	short := life(47)
	assert.LessOrEqual(t, renewal.RenewedByCA(short, 30).Later("0a", short), day)
}
