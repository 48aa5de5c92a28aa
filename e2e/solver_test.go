// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"encoding/base64"
	"testing"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/certinext/vault-plugin-secrets-certinext/dcv/dcvtest"
	"github.com/stretchr/testify/require"
)

// The solver publishes where SOA and NS records lead, and asks the servers that they name: at port 53, as out there.
func TestASolverValidatesADomainWithinTheRequest(t *testing.T) {
	dns := dcvtest.StartAt(t, "127.0.0.1:53", dcvtest.Zone{Name: "example.com"})
	for _, dialect := range allDialects {
		t.Run(dialect.String(), func(t *testing.T) {
			ca := newAuthority(t, &certinexttest.Server{Dialect: dialect, Resolver: dns.Addr})
			v := startVault(t)
			v.keep("the TSIG secret", dns.KeySecret)
			v.configure(ca)
			v.write("certinext/dcv/solvers/corp", dns.Settings())
			v.write("certinext/roles/web", map[string]any{
				"product_code": "842", "product_variant": "dv", "allowed_domains": "example.com", "allow_subdomains": true,
				"dcv_solver": "corp", "dcv_resolvers": dns.Addr,
			})

			check := v.write("certinext/dcv/solvers/corp/check", map[string]any{"zone": "example.com", "dcv_resolvers": dns.Addr}).Data
			require.Equal(t, true, check["ok"], check["problems"])
			require.Equal(t, []any{"ns1.example.com (127.0.0.1:53)"}, check["servers"])

			wrong := dns.Settings()
			wrong["tsig_secret"] = base64.StdEncoding.EncodeToString([]byte("no secret of this server, 32 by."))
			v.keep("another TSIG secret", wrong["tsig_secret"].(string)) // no log may show it, though the server refuses it
			v.write("certinext/dcv/solvers/wrong", wrong)
			check = v.write("certinext/dcv/solvers/wrong/check", map[string]any{"zone": "example.com", "dcv_resolvers": dns.Addr}).Data
			require.Equal(t, false, check["ok"])
			require.Contains(t, texts(check["problems"])[0], "answered NOTAUTH")

			ca.check(t, v.write("certinext/issue/web", map[string]any{"common_name": "www.example.com"}))
			require.Equal(t, 1, ca.onlyOrder(t).Creates)
			require.Empty(t, dns.Challenges("example.com"), "the records are gone")
			solver := v.read("certinext/dcv/solvers/corp")
			require.Equal(t, []any{"tsig_secret"}, solver["secrets"])
			require.Empty(t, solver["records"])
		})
	}
}
