// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"maps"
	"slices"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// roles are those of the mount, as they are written.
var roles = map[string]map[string]any{
	// The usual: leases that end before the certificate does.
	"web": role(map[string]any{"ttl": "6h"}),
	// For clients that never renew a lease.
	"bare": role(map[string]any{"generate_lease": false, "delivery_grace": "30s"}),
	// In a hurry: most orders outlive their request, and what nobody fetches is revoked.
	"hasty": role(map[string]any{"ttl": "1h", "issue_timeout": "2s", "pickup_window": "8h", "revoke_unclaimed": true}),
	// Domains that somebody has to validate by hand.
	"hand": role(map[string]any{"allowed_domains": "hand.test", "generate_lease": false}),
	// The account's own PKI.
	"inside": role(map[string]any{"product_code": "149", "product_variant": "intranet-ssl", "allowed_domains": "corp.internal", "ttl": "6h"}),
	// For clients that come back with another key.
	"rekey": role(map[string]any{"ttl": "6h", "rekey_orders": true, "allow_reissue": true}),
	// For clients that replace a certificate and then revoke the one before.
	"once": role(map[string]any{"ttl": "6h", "reuse_window": "0s"}),
}

// seldom are roles that a mount has only when a history asks for them.
var seldom = []string{"once"}

var roleNames = slices.DeleteFunc(slices.Sorted(maps.Keys(roles)), func(name string) bool { return slices.Contains(seldom, name) })

// rolesOf are the roles of a history's mount.
func rolesOf(h History) []string {
	out := slices.Clone(roleNames)
	for _, name := range seldom {
		if slices.ContainsFunc(h.Actions, func(a Action) bool { return a.Role == name }) {
			out = append(out, name)
		}
	}
	return out
}

func role(own map[string]any) map[string]any {
	out := map[string]any{
		"product_code": "842", "product_variant": "dv", "allowed_domains": "example.com", "allow_bare_domains": true, "allow_subdomains": true,
	}
	maps.Copy(out, own)
	return out
}

// roleOf is a role as it is written for a dialect: one of them has private PKI orders say more.
func (w *world) roleOf(name string) map[string]any {
	own := maps.Clone(roles[name])
	if name == "inside" && w.manners.Dialect == certinexttest.Documented {
		own["ca_profile_id"], own["master_product_id"] = "1", "1"
	}
	return own
}

// grace is how long a role hands out what it has handed out before.
func grace(role string) time.Duration {
	for _, field := range []string{"reuse_window", "delivery_grace"} {
		if text, ok := roles[role][field].(string); ok {
			d, err := time.ParseDuration(text)
			if err != nil {
				panic(err)
			}
			return d
		}
	}
	return 5 * time.Minute
}

// pickup is how long a role waits for a certificate to be fetched.
func pickup(role string) time.Duration {
	if role == "hasty" {
		return 8 * time.Hour
	}
	return 7 * 24 * time.Hour
}

// commonName is the name of a request's certificate.
func (r Request) commonName() string {
	domain, _ := roles[r.Role]["allowed_domains"].(string)
	return r.Name + "." + domain
}
