// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"encoding/base64"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// What was renewed ahead and handed over is renewed by its serial number while its successor is reused.
func TestRenewMeetsReuseOfWhatWasMadeAhead(t *testing.T) {
	for reads := 1; reads < 40; reads++ {
		synctest.Test(t, func(t *testing.T) {
			m := aheadOf(t, map[string]any{"reuse": true})
			first := m.annIssues()
			m.untilDue(first)
			second := m.annIssues()
			require.NotEqual(t, first["serial_number"], second["serial_number"])
			m.rests(3 * time.Hour)
			require.Len(t, m.ca.Orders(), 2)
			met := m.meanwhile(reads, func() { ask0(m) })
			resp, err := m.send(call{op: logical.UpdateOperation, path: "renew/web/" + first["serial_number"].(string), entity: "ann"})
			require.NoError(t, err)
			if !met() {
				return
			}
			require.Len(t, m.ca.Orders(), 2, "read %d: was bought again: %v", reads, resp.Data["serial_number"])
		})
	}
}

// A spreadsheet whose lists have semicolons between takes what is behind one for a cell.
func TestCSVWithSemicolons(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		m.system.EntityVal = &logical.Entity{ID: "ann", Name: "ann;=cmd|'/c calc'!A1"}
		m.asks("issue/web", map[string]any{"common_name": "www.example.com"})
		data := m.query("reports/spend", map[string]any{"group_by": "requester", "format": "csv", "encoding": "base64"})
		file, err := base64.StdEncoding.DecodeString(data["content"].(string))
		require.NoError(t, err)
		for _, cell := range strings.FieldsFunc(string(file), func(c rune) bool { return c == ';' || c == '\n' }) {
			require.NotRegexp(t, `^[=+\-@]`, cell)
		}
	})
}

func TestMetadata(t *testing.T) {
	for name, data := range map[string]map[string]any{
		"owner of two lines": {"owner": "a\nb"}, "owner with nul": {"owner": "a\x00b"}, "owner right to left": {"owner": "\u202eab"}, "owner too long": {"owner": strings.Repeat("ü", 101)},
		"owner that is no text": {"owner": "\xff"}, "owner with a marker": {"owner": "x Vault-Order:y"}, "hidden": {"owner": "vault\u200b-order:y"},
		"metadata too long": {"cert_metadata": strings.Repeat("QUJD", 1025)}, "metadata that is none": {"cert_metadata": "<script>"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMount(t, validated(certinexttest.Live))
				data["common_name"] = "www.example.com"
				resp, err := m.attempt("issue/web", data)
				require.NoError(t, err)
				require.True(t, resp.IsError(), "was taken")
				require.Empty(t, m.ca.Orders())
				require.Equal(t, resp.Error().Error(), m.dry("", "issue/web", data)["refusals"].([]string)[0])
			})
		})
	}
}

// The certificate of a lease that ends is revoked while its successor, a new order, waits to be collected, or is.
func TestLeaseEndWithOrdersMadeAhead(t *testing.T) {
	for reads := 1; reads < 30; reads++ {
		synctest.Test(t, func(t *testing.T) {
			m := aheadOf(t, map[string]any{"generate_lease": true, "reuse": true, "revocation_delay": "1h"})
			m.system.MaxLeaseTTLVal = 400 * day
			www := map[string]any{"common_name": "www.example.com"}
			first := m.asks("issue/web", www)
			m.passesUntil(first.Data, 10*day)
			var again *logical.Response
			met := m.meanwhile(reads, func() { again = m.asks("issue/web", www) })
			m.endLease(first)
			time.Sleep(2 * time.Hour)
			m.passes(3)
			if !met() {
				return
			}
			require.Zero(t, m.certificate(again.Data)["revocation_time"], "read %d", reads)
			require.Len(t, m.ca.Orders(), 2)
		})
	}
}
