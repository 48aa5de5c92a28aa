// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets_test

import (
	"testing"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/certinext/vault-plugin-secrets-certinext/dcv/dcvtest"
	"github.com/stretchr/testify/require"
)

var everyDialect = []certinexttest.Dialect{certinexttest.Documented, certinexttest.Live, certinexttest.V1}

func TestADomainIsValidatedWithinTheRequest(t *testing.T) {
	for _, dialect := range everyDialect {
		t.Run(dialect.String(), func(t *testing.T) {
			t.Parallel()
			z := newZoned(t, &certinexttest.Server{Dialect: dialect}, dcvtest.Zone{Name: "example.com"})
			resp := z.write("issue/web", map[string]any{"common_name": "www.example.com"})
			require.Equal(t, []string{"www.example.com"}, z.chainOK(resp).DNSNames)
			require.Empty(t, z.dns.Challenges("example.com"), "the records are gone")
			require.Len(t, z.ca.Orders(), 1)
		})
	}
}
