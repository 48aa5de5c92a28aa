// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package issuing_test

import (
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/stretchr/testify/assert"
)

func TestHowLongAheadARenewalIsMade(t *testing.T) {
	const day = 24 * time.Hour
	for text, c := range map[string]struct {
		on bool
		of time.Duration // for a life of 100 days; -1 when the role is refused
	}{
		"": {}, "0": {}, "off": {}, "0s": {},
		"10%": {true, 10 * day}, "33%": {true, 33 * day}, "240h": {true, 10 * day},
		"10d": {true, 10 * day}, "90d": {true, 100 * day / 3}, "1h": {true, time.Hour},
		"34%": {true, -1}, "0%": {true, -1}, "-1%": {true, -1}, "1.5%": {true, -1}, "%": {true, -1},
		"59m": {true, -1}, "-240h": {true, -1}, "91d": {true, -1}, "99999999d": {true, -1},
		"ten": {true, -1}, "10": {true, -1}, "d": {true, -1},
	} {
		ahead := issuing.Ahead(text)
		role := issuing.NewRole("web")
		role.ProductCode, role.Variant, role.RenewAhead = "842", "dv", ahead
		role.Key = role.Key.WithDefaults()
		role.AllowedDomains, role.AllowSubdomains = []string{"example.com"}, true
		err := role.Validate()
		assert.Equal(t, c.on, ahead.IsOn(), text)
		if c.of < 0 {
			assert.ErrorContains(t, err, "renew_ahead: ", text)
			continue
		}
		assert.NoError(t, err, text)
		assert.Equal(t, c.of, ahead.Of(100*day), text)
	}
}

func TestWhatDoesNotGoWithRenewAhead(t *testing.T) {
	for problem, change := range map[string]func(*issuing.Role){
		"renew_ahead: does not go with auto_renew":                  func(r *issuing.Role) { r.AutoRenew = true },
		"renew_ahead: is for certificates of host names":            func(r *issuing.Role) { r.Variant = "natural-person" },
		"renew_ahead_for: must not be negative":                     func(r *issuing.Role) { r.RenewAheadFor = -1 },
		"renew_ahead: \"soon\" is neither a share of a certificate": func(r *issuing.Role) { r.RenewAhead = "soon" },
	} {
		role := issuing.NewRole("web")
		role.ProductCode, role.Variant, role.RenewAhead = "842", "dv", "10%"
		change(role)
		text := ""
		for _, err := range role.Problems() {
			text += err.Error() + "\n"
		}
		assert.Contains(t, text, problem)
	}
}
