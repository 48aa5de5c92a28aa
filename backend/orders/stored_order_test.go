// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"testing"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/helper/jsonutil"
	"github.com/stretchr/testify/require"
)

func FuzzStoredOrder(f *testing.F) {
	f.Add([]byte(`{"version":1,"id":"x","role":"web","state":"pending",` +
		`"placement":{"family":"ssl","dns_names":["a.com"]},` +
		`"timeline":[{"at":"2026-01-01T00:00:00Z","what":"x"}]}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, stored []byte) {
		var o orderEntry
		if err := jsonutil.DecodeJSON(stored, &o); err != nil {
			return
		}
		require.NotPanics(t, func() {
			o.view()
			_, _ = o.publicKey()
			advance(&o, &certinext.Order{Status: o.CAStatus}, progress{})
		})
	})
}
