// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package ahead_test

import (
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/ahead"
	"github.com/stretchr/testify/assert"
)

func TestNotReplaced(t *testing.T) {
	good := ahead.RevokedOutside{Handed: true, Lived: day}
	with := func(change func(*ahead.RevokedOutside)) ahead.RevokedOutside {
		r := good
		change(&r)
		return r
	}
	inPlace := func(lived time.Duration) ahead.RevokedOutside {
		return with(func(r *ahead.RevokedOutside) { r.InPlace, r.Lived = true, lived })
	}
	for name, c := range map[string]struct {
		revoked ahead.RevokedOutside
		why     string
	}{
		"the CA has":       {good, ""},
		"it is not needed": {with(func(r *ahead.RevokedOutside) { r.Personal = true }), "a person"},
		"never handed over": {
			with(func(r *ahead.RevokedOutside) { r.Handed = false }),
			"handed to nobody",
		},
		"over":            {with(func(r *ahead.RevokedOutside) { r.Ending = true }), "lease has ended"},
		"succeeded":       {with(func(r *ahead.RevokedOutside) { r.Succeeded = true }), "a successor"},
		"twice":           {inPlace(6 * day), "less than a week"},
		"twice in a year": {inPlace(7 * day), ""},
	} {
		got := ahead.NotReplaced(c.revoked)
		if c.why == "" {
			assert.Empty(t, got, name)
		} else {
			assert.Contains(t, got, c.why, name)
		}
	}
}
