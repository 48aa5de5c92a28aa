// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package ahead_test

import (
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/ahead"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/renewal"
	"github.com/stretchr/testify/assert"
)

const day = 24 * time.Hour

var begun = time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)

func life(days int) renewal.Life {
	return renewal.Life{NotBefore: begun, NotAfter: begun.Add(time.Duration(days) * day)}
}

func TestStart(t *testing.T) {
	for name, c := range map[string]struct {
		length issuing.Ahead
		window time.Duration
		days   int // of the life
		start  int // after the certificate begins, when it is due after 120 days
	}{
		"a share":                          {"10%", 0, 200, 100},
		"a duration":                       {"240h", 0, 200, 110},
		"days":                             {"10d", 0, 200, 110},
		"a third of the life at most":      {"2160h", 0, 180, 60},
		"not before the role's window":     {"10%", 90 * day, 200, 110},
		"a window that is open by then":    {"10%", 150 * day, 200, 100},
		"a share of a life that is no day": {"10%", 0, 0, 120},
	} {
		role := &issuing.Role{RenewAhead: c.length, RenewalWindow: c.window}
		got := ahead.Start(role, begun.Add(120*day), life(c.days))
		assert.Equal(t, begun.Add(time.Duration(c.start)*day), got, name)
	}
}

func TestAgainIsSoonerTheLessIsLeft(t *testing.T) {
	for name, c := range map[string]struct{ left, wait time.Duration }{
		"months":  {80 * day, 6 * time.Hour},
		"a day":   {24 * time.Hour, 3 * time.Hour},
		"an hour": {time.Hour, 10 * time.Minute},
		"nothing": {-time.Hour, 10 * time.Minute},
	} {
		now := life(200).NotAfter.Add(-c.left)
		assert.Equal(t, now.Add(c.wait), ahead.Again(now, life(200)), name)
	}
}

func TestOver(t *testing.T) {
	on := &issuing.Role{RenewAhead: "10%"}
	asked := begun.Add(time.Hour)
	good := ahead.Facts{Now: begun.Add(100 * day), NotAfter: begun.Add(200 * day), LastAsked: asked}
	with := func(change func(*ahead.Facts)) ahead.Facts {
		f := good
		change(&f)
		return f
	}
	for name, c := range map[string]struct {
		role  *issuing.Role
		facts ahead.Facts
		why   string
	}{
		"it is due":     {on, good, ""},
		"no role":       {nil, good, "its role is no more"},
		"off":           {&issuing.Role{}, good, "does not renew ahead any more"},
		"not handed":    {on, with(func(f *ahead.Facts) { f.LastAsked = time.Time{} }), "handed to nobody"},
		"revoked":       {on, with(func(f *ahead.Facts) { f.Revoked = true }), "revoked"},
		"held":          {on, with(func(f *ahead.Facts) { f.Held = true }), "held"},
		"succeeded":     {on, with(func(f *ahead.Facts) { f.Succeeded = true }), "has a successor"},
		"renewed by CA": {on, with(func(f *ahead.Facts) { f.RenewedByCA = true }), "auto_renew"},
		"expired":       {on, with(func(f *ahead.Facts) { f.NotAfter = f.Now }), "expired"},
		"not asked for": {&issuing.Role{RenewAhead: "10%", RenewAheadFor: 30 * day}, good, "renew_ahead_for"},
		"replaced": {&issuing.Role{}, with(func(f *ahead.Facts) {
			f.Replaced, f.LastAsked, f.RenewedByCA = true, time.Time{}, true
		}), ""},
		"replaced and revoked": {on, with(func(f *ahead.Facts) {
			f.Replaced, f.Revoked = true, true
		}), "revoked"},
		"replaced though revoked": {on, with(func(f *ahead.Facts) {
			f.Replaced, f.Revoked, f.ThoughRevoked = true, true, true
		}), ""},
		"replaced before": {on, with(func(f *ahead.Facts) {
			f.Replaced, f.Succeeded = true, true
		}), "has a successor"},
		"replaced and held": {on, with(func(f *ahead.Facts) {
			f.Replaced, f.Held = true, true
		}), "held"},
		"replaced and expired": {on, with(func(f *ahead.Facts) {
			f.Replaced, f.NotAfter = true, f.Now
		}), "expired"},
		"asked for late": {&issuing.Role{RenewAhead: "10%", RenewAheadFor: 100 * day}, good, ""},
	} {
		got := ahead.Over(c.role, c.facts)
		if c.why == "" {
			assert.Empty(t, got, name)
		} else {
			assert.Contains(t, got, c.why, name)
		}
	}
}
