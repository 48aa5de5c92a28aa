// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"crypto/elliptic"
	"strings"
	"testing"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// A public certificate is for servers only. Who has said that it is to be a client's, too, is told so when the role is written and when
// the certificate comes; who has said nothing, or that it is not, is left alone.
func TestAServersCertificateIsNotAClients(t *testing.T) {
	for name, c := range map[string]struct {
		flag  any
		warns bool
		reads bool
	}{
		"nothing said":     {nil, false, true},
		"a client's, too":  {true, true, true},
		"only a server's":  {false, false, false},
		"only a server's,": {"false", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMount(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}})
			role := dvRole(map[string]any{"generate_lease": false})
			if c.flag != nil {
				role["client_flag"] = c.flag
			}
			resp, err := m.attempt("roles/web", role)
			require.NoError(t, err)
			said := ""
			if resp != nil {
				said = strings.Join(resp.Warnings, "\n")
			}
			require.Equal(t, c.warns, strings.Contains(said, "client_flag is on: certificates of public CAs"), said)
			require.Equal(t, c.reads, m.read("roles/web").Data["client_flag"])
			m.start()
			require.Equal(t, c.reads, m.read("roles/web").Data["client_flag"])

			issued := m.write("issue/web", map[string]any{"common_name": "www.example.com"})
			key := newKey(t, elliptic.P256())
			for _, answer := range []*logical.Response{issued, m.write("sign/web", map[string]any{"csr": csr(t, key, "api.example.com")})} {
				if !c.warns {
					require.Empty(t, answer.Warnings)
					continue
				}
				require.Contains(t, strings.Join(answer.Warnings, "\n"), "client_flag: servers refuse the certificate as a client's: its extended key usage is ServerAuth.")
			}
			cert := m.certificate(issued.Data)
			require.Equal(t, []string{"ServerAuth"}, cert["ext_key_usage"])
			require.Equal(t, []string{"DigitalSignature"}, cert["key_usage"])
			m.write("roles/web", dvRole(nil))
			require.Equal(t, true, m.read("roles/web").Data["client_flag"], "a write says nothing of it")
		})
	}
}

// A host of the grid is a client as well: nothing is warned of, and what its certificates are cannot be changed.
func TestAClientsCertificateIsSaidToBeOne(t *testing.T) {
	m := newMount(t, new(certinexttest.Server))
	grid := map[string]any{
		"product_code": "104", "product_variant": "igtf-host", "allowed_domains": "corp.internal", "allow_subdomains": true, "generate_lease": false,
		"client_flag": true,
	}
	m.write("roles/grid", grid)
	issued := m.write("issue/grid", map[string]any{"common_name": "node.corp.internal"})
	require.NotContains(t, strings.Join(issued.Warnings, "\n"), "client_flag")
	require.Equal(t, []string{"ServerAuth", "ClientAuth"}, m.certificate(issued.Data)["ext_key_usage"])
	grid["client_flag"] = false
	require.Contains(t, m.refused("roles/grid", grid), "client_flag: cannot be honoured")
}
