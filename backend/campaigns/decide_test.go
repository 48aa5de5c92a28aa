// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package campaigns

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWhatComesNext(t *testing.T) {
	begun := time.Date(2026, 11, 30, 2, 0, 0, 0, time.UTC)
	later := func(hours int) time.Time { return begun.Add(time.Duration(hours) * time.Hour) }
	moves := Plan{RevokeAfter: 24 * time.Hour}
	revokes := Plan{Revoke: true, RevokeAfter: 24 * time.Hour}
	always := Plan{Revoke: true, RevokeUnclaimed: true, RevokeAfter: 24 * time.Hour}
	ours := Facts{Now: later(48), Stored: true, Ours: true}
	filed := ours
	filed.Filed = true
	with := func(f Facts, change func(*Facts)) Facts {
		change(&f)
		return f
	}
	heir := func(since, handed time.Time) func(*Facts) {
		return func(f *Facts) { f.Heir = &Heir{Serial: "02", Since: since, Handed: handed} }
	}
	for name, c := range map[string]struct {
		plan  Plan
		facts Facts
		do    Deed
		stage Stage
	}{
		"gone":                  {moves, Facts{}, Nothing, Left},
		"not filed":             {moves, ours, File, Asked},
		"filed":                 {moves, filed, Nothing, Asked},
		"expired":               {moves, with(filed, func(f *Facts) { f.Expired = true }), Nothing, Left},
		"revoked elsewhere":     {moves, with(filed, func(f *Facts) { f.Revoked = true }), Nothing, Left},
		"refused":               {revokes, with(filed, func(f *Facts) { f.Refused = "no" }), Nothing, Stuck},
		"refused, and told so":  {always, with(filed, func(f *Facts) { f.Refused = "no" }), Revoke, Revoking},
		"by its requester":      {revokes, with(filed, func(f *Facts) { f.ByRequest = true }), Nothing, Requester},
		"nobody comes":          {revokes, with(filed, func(f *Facts) { f.Gone = "gone" }), Nothing, Stuck},
		"nobody comes, told so": {always, with(filed, func(f *Facts) { f.Gone = "gone" }), Revoke, Revoking},
		"over":                  {revokes, with(filed, func(f *Facts) { f.Over = "held" }), Nothing, Left},
		"made":                  {revokes, with(filed, heir(later(1), time.Time{})), Nothing, Made},
		"made, and told so":     {always, with(filed, heir(later(1), time.Time{})), Revoke, Revoking},
		"made just now":         {always, with(filed, heir(later(47), time.Time{})), Nothing, Made},
		"handed over":           {moves, with(filed, heir(later(1), later(2))), Nothing, Replaced},
		"handed over before":    {moves, with(ours, heir(later(1), later(2))), Nothing, Replaced},
		"made before, filed so": {moves, with(ours, heir(later(1), time.Time{})), File, Asked},
		"to be revoked later":   {revokes, with(filed, heir(later(1), later(25))), Nothing, Handed},
		"to be revoked":         {revokes, with(filed, heir(later(1), later(24))), Revoke, Revoking},
		"by our clock alone": {revokes, with(filed, func(f *Facts) {
			heir(later(1), later(2))(f)
			f.Now = time.Time{}
		}), Nothing, Handed},
		"of an order with another": {revokes, with(filed, func(f *Facts) {
			heir(later(1), later(2))(f)
			f.Newest = "03"
		}), Take, Asked},
		"of an order with another, which stays": {moves, with(filed, func(f *Facts) {
			heir(later(1), later(2))(f)
			f.Newest = "03"
		}), Nothing, Replaced},
		"its replacement is revoked": {revokes, with(filed, func(f *Facts) {
			f.Heir = &Heir{Serial: "02", Handed: later(1), Bad: "is revoked"}
		}), Nothing, Left},
		"queued": {revokes, with(filed, func(f *Facts) { f.Revoking = true }), Nothing, Revoking},
		"revoked": {revokes, with(filed, func(f *Facts) {
			heir(later(1), later(2))(f)
			f.Revoked = true
		}), Nothing, Replaced},
		"revoked by others": {revokes, with(filed, func(f *Facts) { f.Revoked = true }), Nothing, Left},
		"revoked unclaimed": {always, with(filed, func(f *Facts) { f.Revoked = true }), Nothing, Replaced},
		"revoked by its requester": {moves, with(filed, func(f *Facts) {
			heir(later(1), later(2))(f)
			f.Revoked = true
		}), Nothing, Replaced},
		"its replacement is revoked, and told so": {always, with(filed, func(f *Facts) {
			f.Heir = &Heir{Serial: "02", Handed: later(1), Bad: "is revoked"}
		}), Revoke, Revoking},
		"its replacement is held": {revokes, with(filed, func(f *Facts) {
			f.Heir = &Heir{Serial: "02", Bad: "is held", Held: true}
		}), Nothing, Stuck},
		"elsewhere's":     {revokes, with(ours, func(f *Facts) { f.Ours = false }), Nothing, Left},
		"elsewhere's too": {always, with(ours, func(f *Facts) { f.Ours = false }), Revoke, Revoking},
	} {
		got := next(&c.plan, &Item{FiledAt: begun}, c.facts)
		require.Equal(t, c.do, got.Do, name)
		require.Equal(t, c.stage, got.Stage, name)
		if got.Stage == Left || got.Stage == Stuck {
			require.NotEmpty(t, got.Why, name)
		}
	}
}

func TestTurns(t *testing.T) {
	now := time.Date(2026, 11, 30, 2, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		perHour, waiting int
		at               time.Time
		n                int
		after            time.Time
	}{
		"no limit":               {0, 500, time.Time{}, 200, time.Time{}},
		"the first":              {60, 500, time.Time{}, 1, now.Add(time.Minute)},
		"not yet":                {60, 500, now.Add(time.Second), 0, now.Add(time.Second)},
		"a minute later":         {600, 500, now.Add(-time.Minute), 11, now.Add(6 * time.Second)},
		"none waits":             {60, 0, now, 0, now},
		"few wait":               {600, 2, now.Add(-time.Minute), 2, now.Add(-48 * time.Second)},
		"after a long pause":     {60, 500, now.Add(-24 * time.Hour), 3, now.Add(time.Minute)},
		"a clock that was ahead": {60, 500, now.Add(24 * time.Hour), 1, now.Add(time.Minute)},
	} {
		n, after := turns(&Plan{PerHour: c.perHour}, c.at, now, c.waiting, passItems)
		require.Equal(t, c.n, n, name)
		require.Equal(t, c.after, after, name)
	}
}
