// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/stretchr/testify/require"
)

// What is replaced is chosen by the CAs above it and by what clients make of it, as lists find it.
func TestACampaignFindsWhatAListFinds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := trusting(t, map[string]any{"generate_lease": false})
		for _, name := range []string{"a", "b"} {
			m.write("issue/web", map[string]any{"common_name": name + ".example.com"})
		}
		before := m.authorityNow(false)
		require.NoError(t, m.ca.ReplaceIssuer(certinexttest.FamilySSL))
		m.write("issue/web", map[string]any{"common_name": "c.example.com"})
		root := m.authorityNow(true)
		rootName := strings.TrimPrefix(strings.Split(root.Subject, ",")[0], "CN=")
		m.write("config/trust", map[string]any{"distrusted_keys": keyOf(t, before)})
		m.trustsAs("mozilla")
		require.NoError(t, m.ca.DropRoot("java", root.Name))
		m.trustsAs("java")

		chosen := func(filters map[string]any) any {
			fields := map[string]any{"note": "a dry run", "dry_run": true}
			for name, value := range filters {
				fields[name] = value
			}
			return m.write("replace/friday", fields).Data["total"]
		}
		other := strings.Repeat("0", 64)
		for _, c := range []struct {
			filters map[string]any
			want    int
		}{
			{map[string]any{"ca_keys": keyOf(t, before)}, 2},
			{map[string]any{"ca_keys": other + "," + keyOf(t, before)}, 2},
			{map[string]any{"ca_keys": keyOf(t, root)}, 3},
			{map[string]any{"ca_keys": other}, 0},
			{map[string]any{"roots": rootName}, 3},
			{map[string]any{"roots": "Another Root"}, 0},
			{map[string]any{"trust": "distrusted"}, 2},
			{map[string]any{"trust": "refused"}, 1},
			{map[string]any{"trust": "refused,distrusted"}, 3},
			{map[string]any{"trust": "refused", "ca_keys": keyOf(t, before)}, 0},
			{map[string]any{"refused_by": "mozilla"}, 2},
			{map[string]any{"refused_by": "java,mozilla"}, 3},
			{map[string]any{"products": "842", "trust": "distrusted"}, 2},
			{map[string]any{"products": "843"}, 0},
		} {
			require.EqualValues(t, c.want, chosen(c.filters), "%v", c.filters)
		}
		require.Contains(t, m.refused("replace/friday", map[string]any{"note": "x", "trust": "maybe"}), `trust: "maybe" is not accepted`)
		require.Contains(t, m.refused("replace/friday", map[string]any{"note": "x", "refused_by": "mozila"}), `refused_by: "mozila" is none of`)
	})
}
