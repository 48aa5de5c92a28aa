// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package validation

import (
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/certinext/vault-plugin-secrets-certinext/dcv"
	"github.com/certinext/vault-plugin-secrets-certinext/dcv/dcvtest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// Two owners of one record that withdraw at the same time must not each leave it to the other.
func TestOfTwoOwnersOfOneRecordTheLastOneRemovesIt(t *testing.T) {
	d := dcvtest.Start(t, dcvtest.Zone{Name: "example.com"})
	s, e := new(logical.InmemStorage), New(host.New(host.Options{Now: time.Now}), nil)
	defer e.Stop()
	require.NoError(t, e.WriteSolver(t.Context(), s, "corp", false, false, func(v *Solver) error {
		v.Provider = "rfc2136"
		for k, val := range d.Settings() {
			if k != "provider" {
				v.Values[k] = account.Secret(val.(string))
			}
		}
		return nil
	}))
	v, err := e.readySolver(t.Context(), s, "corp")
	require.NoError(t, err)
	r := dcv.Record{Name: "_emudhra-challenge.example.com.", Zone: "example.com.", Value: "v"}
	for _, owner := range []string{"order/web/a", "order/web/b"} {
		require.NoError(t, e.publish(t.Context(), s, v, owner, "example.com", r))
	}
	// Both have read the journal before either removes its record, as two goroutines may.
	a, _ := e.publishedFor(t.Context(), s, "order/web/a")
	b, _ := e.publishedFor(t.Context(), s, "order/web/b")
	require.NoError(t, e.removeRecord(t.Context(), s, &a[0]))
	require.NoError(t, e.removeRecord(t.Context(), s, &b[0]))
	left, _ := e.journal(t.Context(), s)
	require.Empty(t, left)
	require.Empty(t, d.Challenges("example.com"), "the journal holds no entry for it any more")
}
