// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package bundle_test

import (
	"testing"

	"github.com/certinext/vault-plugin-secrets-certinext/internal/bundle"
	"github.com/stretchr/testify/require"
)

func TestTheCAsOfAChainAreItsIssuers(t *testing.T) {
	chain := newCertificate("ec").Chain
	issuers := bundle.Issuers(chain)
	require.Len(t, issuers, 2)
	for i, issuer := range issuers {
		require.Equal(t, chain[i], issuer.PEM)
		require.Equal(t, chain[i:], issuer.Chain)
		require.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, issuer.ID)
	}
	require.Equal(t, "02", issuers[0].SerialNumber)
	require.Equal(t, "01", issuers[1].SerialNumber)
	require.NotEqual(t, issuers[0].ID, issuers[1].ID)
	require.Equal(t, issuers, bundle.Issuers(chain), "an id is told again")

	broken := []string{chain[0], "no PEM", "", chain[1]}
	require.Len(t, bundle.Issuers(broken), 2)
	require.Empty(t, bundle.Issuers(nil))
}

func TestAuthorityKeyID(t *testing.T) {
	c := newCertificate("ec")
	require.Regexp(t, `^[0-9a-f]{2}(:[0-9a-f]{2}){19}$`, bundle.AuthorityKeyID(c.PEM))
	require.Equal(t, bundle.AuthorityKeyID(c.PEM), bundle.AuthorityKeyID(c.PEM+"\n"+c.Chain[0]))
	for _, text := range []string{"", "no PEM", c.Key, c.Chain[1]} {
		require.Empty(t, bundle.AuthorityKeyID(text), text)
	}
}
