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

// What is taken in from elsewhere is judged when it comes, and told once: by the synchronization, by its line of the log, and by whoever
// has a role adopt it.
func TestWhatIsTakenInIsJudged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		m.knows("e-web")
		_, _, fine := boughtElsewhere(t, m, "fine.example.com")
		require.Equal(t, []any{1, 0, 0}, imported(m))
		require.NotContains(t, m.log.String(), "that clients refuse")
		require.Empty(t, m.write("operator/adopt/web", map[string]any{"serial_number": fine, "entity_id": "e-web"}).Warnings)

		m.write("config/trust", map[string]any{"distrusted_keys": keyOf(t, m.authorityNow(false))})
		_, _, serial := boughtElsewhere(t, m, "shop.example.com")
		require.Equal(t, []any{1, 1, 0}, imported(m))
		require.Equal(t, 1, strings.Count(m.log.String(), "certificates were synchronized that clients refuse"))
		m.synchronize()
		require.Equal(t, []any{0, 0, 0}, imported(m), "told once")
		require.Equal(t, 1, strings.Count(m.log.String(), "certificates were synchronized that clients refuse"))

		for _, dry := range []bool{true, false} {
			resp := m.write("operator/adopt/web", map[string]any{"serial_number": serial, "entity_id": "e-web", "dry_run": dry})
			require.Len(t, resp.Data["adopted"], 1)
			require.Contains(t, strings.Join(resp.Warnings, "\n"), "trust: certificate "+serial+": clients refuse the key of")
		}
	})
}

// What a family of clients does not accept is counted apart.
func TestWhatIsTakenInIsJudgedByFamilies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := trusting(t, map[string]any{"generate_lease": false})
		m.write("issue/web", map[string]any{"common_name": "www.example.com"})
		require.NoError(t, m.ca.DropRoot("java", m.authorityNow(true).Name))
		m.trustsAs("java")
		boughtElsewhere(t, m, "shop.example.com")
		require.Equal(t, []any{1, 0, 1}, imported(m))
	})
}

func imported(m *mount) []any {
	st := m.read("sync").Data
	return []any{st["imported"], st["distrusted"], st["refused"]}
}
