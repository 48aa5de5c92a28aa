// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certificates

import (
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/stretchr/testify/require"
)

func TestWhatWasReplacedIsKept(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	revoked := &Revocation{At: now, Reason: certinext.ReasonSuperseded}
	for name, test := range map[string]struct {
		change func(c, by *Entry, r *replacedState)
		why    string
	}{
		"nothing": {func(*Entry, *Entry, *replacedState) {}, ""},
		"kept":    {func(c, _ *Entry, _ *replacedState) { c.Kept = true }, "kept"},
		"revoked": {func(c, _ *Entry, _ *replacedState) { c.Revocation = revoked }, "is revoked"},
		"its revocation was ended": {
			func(c, _ *Entry, _ *replacedState) { c.RevocationEnded = now }, "ended",
		},
		"expired":  {func(c, _ *Entry, _ *replacedState) { c.NotAfter = now }, "has expired"},
		"reissued": {func(_, _ *Entry, r *replacedState) { r.isReissued = true }, "newer"},
		"one order": {
			func(c, by *Entry, _ *replacedState) { by.CAOrderID = c.CAOrderID }, "same order",
		},
		"the same number in another account": {func(c, by *Entry, _ *replacedState) {
			by.CAOrderID, by.Account = c.CAOrderID, "https://in-api.certinext.io|1"
		}, ""},
		"no number":      {func(_, by *Entry, _ *replacedState) { by.CAOrderID = "" }, "same order"},
		"another role's": {func(c, _ *Entry, _ *replacedState) { c.Role = "other" }, "another role"},
		"nobody's, which was adopted and given up": {
			func(c, _ *Entry, _ *replacedState) { c.Role = "" }, "another role",
		},
		"adopted for another requester": {func(c, by *Entry, _ *replacedState) {
			c.AdoptedAt, c.Requester, by.Requester = now, "entity:b", "entity:a"
		}, "another role or requester"},
		"adopted for nobody": {func(c, by *Entry, _ *replacedState) {
			c.AdoptedAt, by.Requester = now, "entity:a"
		}, ""},
		"renewed by another who may": {func(c, by *Entry, _ *replacedState) {
			c.Requester, by.Requester = "entity:b", "entity:a"
		}, ""},
		"itself": {func(c, by *Entry, _ *replacedState) { by.Serial = c.Serial }, "same order"},
		"not handed over": {
			func(_, by *Entry, _ *replacedState) { by.Delivery = nil }, "not handed over",
		},
		"the new one is revoked": {
			func(_, by *Entry, _ *replacedState) { by.Revocation = revoked }, "is revoked",
		},
		"the new one is to be revoked": {
			func(_, _ *Entry, r *replacedState) { r.isDue = true }, "to be revoked",
		},
		"the new one is held": {
			func(_, by *Entry, _ *replacedState) { by.Held = []string{"h"} }, "held",
		},
		"the new one has expired": {
			func(_, by *Entry, _ *replacedState) { by.NotAfter = now }, "replacement has expired",
		},
	} {
		const acct = "https://us-api.certinext.io|1234567890"
		c := &Entry{
			Serial: "0a", Role: "web", CAOrderID: "1", Account: acct, NotAfter: now.Add(time.Hour),
		}
		by := &Entry{
			Serial: "0b", Role: "web", CAOrderID: "2", Account: acct,
			NotAfter: now.Add(2 * time.Hour),
			Delivery: &Delivery{At: now},
		}
		r := replacedState{now: now}
		test.change(c, by, &r)
		if test.why == "" {
			require.Empty(t, r.keeps(c, by), name)
			continue
		}
		require.Contains(t, r.keeps(c, by), test.why, name)
	}
	require.NotEmpty(t, replacedState{now: now}.keeps(&Entry{NotAfter: now.Add(1)}, nil))
}
