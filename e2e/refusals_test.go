// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"net/http"
	"testing"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"
)

func TestWhatCannotBeHonouredIsRefusedByNameAndTheCAHearsNothing(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}})
	v := startVault(t)
	v.enable("bare", api.MountConfigInput{})
	v.configure(ca)
	_, twoNames := newCSR(t, "www.example.com", "api.example.com")
	_, foreign := newCSR(t, "www.example.org")
	ca.ResetCalls()

	for name, c := range map[string]struct {
		path string
		data map[string]any
		says string
	}{
		"an unknown field":                 {"certinext/issue/web", map[string]any{"common_name": "www.example.com", "comon_name": "x"}, "comon_name"},
		"an unknown field of a role":       {"certinext/roles/other", map[string]any{"product_code": "842", "product_variant": "dv", "allowed_domain": "example.com"}, "allowed_domain"},
		"an unknown field of the config":   {"certinext/config", map[string]any{"base_ulr": "https://example.com"}, "base_ulr"},
		"a format that does not exist":     {"certinext/issue/web", map[string]any{"common_name": "www.example.com", "format": "jks"}, "format"},
		"a key format that does not exist": {"certinext/issue/web", map[string]any{"common_name": "www.example.com", "private_key_format": "pkcs12"}, "private_key_format"},
		"a role that does not exist":       {"certinext/issue/nobody", map[string]any{"common_name": "www.example.com"}, "nobody"},
		"a mount without an account":       {"bare/roles/web", map[string]any{"product_code": "842", "allowed_domains": "example.com", "allow_subdomains": true}, "config"},
		"no common name":                   {"certinext/issue/web", nil, "common_name"},
		"a name that is no host name":      {"certinext/issue/web", map[string]any{"common_name": "www example com"}, "common_name"},
		"a name outside of the role":       {"certinext/issue/web", map[string]any{"common_name": "www.example.org"}, "common_name"},
		"more names than the product has":  {"certinext/issue/web", map[string]any{"common_name": "www.example.com", "alt_names": "api.example.com"}, "alt_names"},
		"a URI":                            {"certinext/issue/web", map[string]any{"common_name": "www.example.com", "uri_sans": "spiffe://example"}, "uri_sans"},
		"an issuer of one's own":           {"certinext/issue/web", map[string]any{"common_name": "www.example.com", "issuer_ref": "other"}, "issuer_ref"},
		"an end of one's own":              {"certinext/issue/web", map[string]any{"common_name": "www.example.com", "not_after": "2030-01-01T00:00:00Z"}, "not_after"},
		"no CSR":                           {"certinext/sign/web", map[string]any{"common_name": "www.example.com"}, "csr"},
		"a CSR that is none":               {"certinext/sign/web", map[string]any{"csr": "none"}, "csr"},
		"a CSR outside of the role":        {"certinext/sign/web", map[string]any{"csr": foreign}, "csr"},
		"a CSR with too many names":        {"certinext/sign/web", map[string]any{"csr": twoNames}, "alt_names"},
		"a reason that does not exist":     {"certinext/revoke", map[string]any{"serial_number": "01:02", "reason": "boredom"}, "reason"},
		"a certificate nobody knows":       {"certinext/revoke", map[string]any{"serial_number": "01:02"}, "01:02"},
		"a key size nobody certifies":      {"certinext/roles/other", map[string]any{"product_code": "842", "product_variant": "dv", "key_type": "rsa", "key_bits": 1024}, "key_bits"},
		"a plain address of the API":       {"certinext/config", map[string]any{"base_url": "http://api.example.com"}, "base_url"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, v.refused(c.path, c.data), c.says)
		})
	}
	v.write("bare/roles/web", map[string]any{
		"product_code": "842", "product_variant": "dv", "allowed_domains": "example.com", "allow_subdomains": true,
	})
	require.Contains(t, v.refused("bare/issue/web", map[string]any{"common_name": "www.example.com"}), "config")
	require.Empty(t, ca.Calls(), "the CA was asked")
	require.Empty(t, v.list("certinext/orders/web"))
}

// Vault's clients send a request again that was answered with a 5xx: an order that the CA refuses must not become one.
func TestWhatTheCARefusesIsToldAsA400AndOrderedOnce(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}})
	v := startVault(t)
	v.configure(ca)
	ca.Configure(func(s *certinexttest.Server) { s.Catalog = []certinexttest.Product{} })
	ca.ResetCalls()
	reason := v.refused("certinext/issue/web", map[string]any{"common_name": "www.example.com"})
	require.Contains(t, reason, "EMS-915")
	require.Equal(t, 1, ca.Calls()[certinexttest.OpCreateSSL])
	require.Equal(t, "failed", v.read("certinext/orders/web/" + orderID.FindString(reason))["state"])

	wrong := ca.account()
	wrong["client_secret"] = "not the secret of the account"
	v.keep("a wrong client secret", "not the secret of the account")
	v.refused("certinext/config", wrong)
	require.Equal(t, ca.url, v.read("certinext/config")["base_url"], "the config before still stands")
}

// Policies that were written for Vault's PKI engine grant update on issue and sign, and nothing else.
func TestIssueNeedsNoMoreThanTheUpdateCapability(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}})
	v := startVault(t)
	v.configure(ca)
	require.NoError(t, v.api.Sys().PutPolicyWithContext(t.Context(), "pki", `path "certinext/issue/web" { capabilities = ["update"] }`))
	token := v.write("auth/token/create", map[string]any{"policies": []string{"pki"}, "no_default_policy": true})
	c := v.as(token.Auth.ClientToken)
	for _, method := range []string{http.MethodPut, http.MethodPost} {
		r := c.api.NewRequest(method, "/v1/certinext/issue/web")
		require.NoError(t, r.SetJSONBody(map[string]any{"common_name": "www.example.com"}))
		resp, err := c.api.RawRequestWithContext(t.Context(), r) //nolint:staticcheck // as above
		require.NoError(t, err, method)
		require.Equal(t, http.StatusOK, resp.StatusCode)
		require.NoError(t, resp.Body.Close())
	}
}
