// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"maps"
	"slices"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// roles are the roles that a mount may have, with the fields that are written to them.
var roles = withAheadRoles(map[string]map[string]any{
	// The usual case: leases end before the certificate does.
	"web": role(map[string]any{"ttl": "6h"}),
	// For clients that never renew a lease.
	"bare": role(map[string]any{"generate_lease": false, "delivery_grace": "30s"}),
	// Most orders outlast their request, and certificates that are not fetched are revoked.
	"hasty": role(map[string]any{
		"ttl":              "1h",
		"issue_timeout":    "2s",
		"pickup_window":    "8h",
		"revoke_unclaimed": true,
	}),
	// Domains that have to be validated manually.
	"hand": role(map[string]any{"allowed_domains": "hand.example", "generate_lease": false}),
	// The account's own PKI.
	"inside": role(map[string]any{
		"product_code":    "149",
		"product_variant": "intranet-ssl",
		"allowed_domains": "corp.internal",
		"ttl":             "6h",
	}),
	// For clients that come back with another key.
	"rekey": role(map[string]any{"ttl": "6h", "rekey_orders": true, "allow_reissue": true}),
	// For clients that replace a certificate and then revoke the one before.
	"once": role(map[string]any{"ttl": "6h", "reuse_window": "0s"}),
	// For clients whose tokens end before they come back.
	"late": role(map[string]any{"ttl": "1h", "revocation_delay": "4h"}),
	// For orders that another person has to approve.
	"asked": role(map[string]any{
		"ttl": "6h", "require_approval": true, "approval_timeout": "30h",
	}),
	// For clients whose certificates are renewed within the subscription that is paid for.
	"lasting": role(map[string]any{"ttl": "6h", "renewal": "reissue", "allow_reissue": true}),
	// For agents of one identity that ask for what is there.
	"shared": role(map[string]any{
		"ttl": "20h", "reuse": true, "revocation_delay": "2h", "revoke_replaced_after": "3h",
	}),
	// What is ordered under it is limited: see setBudget.
	"tight": role(map[string]any{"ttl": "6h", "issue_timeout": "10s"}),
})

func withAheadRoles(of map[string]map[string]any) map[string]map[string]any {
	maps.Copy(of, aheadRoles)
	maps.Copy(of, selfRoles)
	return of
}

// budgets are how many orders may be placed under some roles in a year, which is longer than a
// history.
var budgets = map[string]int{"tight": 2, "spare": 3}

// setBudget writes the budgets of the mount's roles.
func setBudget(w *world) {
	for _, role := range slices.Sorted(maps.Keys(budgets)) {
		if slices.Contains(w.roles, role) {
			w.mustWrite("budgets/"+role, map[string]any{
				"roles": role, "period": "year", "max_orders": budgets[role],
			})
		}
	}
}

// seldom are roles that a mount has only if its history uses them.
var seldom = append([]string{"once", "late", "asked", "lasting", "shared", "tight"},
	slices.Concat(slices.Sorted(maps.Keys(aheadRoles)), slices.Sorted(maps.Keys(selfRoles)))...)

var roleNames = slices.DeleteFunc(slices.Sorted(maps.Keys(roles)),
	func(name string) bool { return slices.Contains(seldom, name) })

// rolesOf returns the roles of a history's mount.
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
		"product_code":       "842",
		"product_variant":    "dv",
		"allowed_domains":    "example.com",
		"allow_bare_domains": true,
		"allow_subdomains":   true,
	}
	maps.Copy(out, own)
	return out
}

// roleOf returns the fields of a role for the dialect of the history: the documented one requires
// more for private PKI orders, and version 1 has no reissue.
func (w *world) roleOf(name string) map[string]any {
	own := maps.Clone(roles[name])
	if name == "inside" && w.manners.Dialect == certinexttest.Documented {
		own["ca_profile_id"], own["master_product_id"] = "1", "1"
	}
	if w.manners.Dialect == certinexttest.V1 {
		delete(own, "renewal")
	}
	return own
}

// grace returns how long after an answer a role returns the same certificate again.
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

// keyLife returns how long after an answer an order of a role keeps its key: for as long as either
// window lasts.
func keyLife(role string) time.Duration {
	if _, own := roles[role]["delivery_grace"]; own {
		return grace(role)
	}
	return max(grace(role), 5*time.Minute)
}

// pickup returns how long a role keeps a certificate for its client to fetch it.
func pickup(role string) time.Duration {
	if role == "hasty" {
		return 8 * time.Hour
	}
	return 7 * 24 * time.Hour
}

// commonName returns the common name of the requested certificate.
func (r Request) commonName() string {
	domain, _ := roles[r.Role]["allowed_domains"].(string)
	return r.Name + "." + domain
}
