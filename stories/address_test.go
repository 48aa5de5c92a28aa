// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"testing"
	"testing/synctest"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/stretchr/testify/require"
)

// CERTInext documents addresses beside a host name only, and its order is for the host name.
func TestAnAddressAloneIsNeverOrdered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		m.write("roles/private", map[string]any{
			"product_code": "149", "product_variant": "intranet-ssl", "allow_ip_sans": true, "allow_any_name": true, "require_cn": false,
		})
		m.chooseProfile("private")
		m.nothingHappens(func() {
			require.Contains(t, m.refused("issue/private", map[string]any{"ip_sans": "192.0.2.1"}), "common_name: is required")
		})
		issued := m.write("issue/private", map[string]any{"alt_names": "db.corp.internal", "ip_sans": "192.0.2.1,2001:db8::1"})
		require.Len(t, m.chainOK(issued).IPAddresses, 2)
	})
}
