// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"maps"
	"testing"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// terraformRole is what terraform-provider-vault's vault_pki_secret_backend_role sends for a resource that sets nothing but its name and
// domains: the defaults of the provider's schema.
var terraformRole = map[string]any{
	"allow_any_name": false, "allow_bare_domains": false, "allow_glob_domains": false, "allow_ip_sans": true, "allow_localhost": true,
	"allow_subdomains": true, "allow_wildcard_certificates": true, "allowed_domains": []any{"example.com"}, "allowed_domains_template": false,
	"allowed_other_sans": []any{}, "allowed_serial_numbers": []any{}, "allowed_uri_sans": []any{}, "allowed_uri_sans_template": false,
	"allowed_user_ids": []any{}, "basic_constraints_valid_for_non_ca": false, "client_flag": true, "cn_validations": []any{"email", "hostname"},
	"code_signing_flag": false, "country": []any{}, "email_protection_flag": false, "enforce_hostnames": true, "ext_key_usage": []any{},
	"ext_key_usage_oids": []any{}, "generate_lease": false, "issuer_ref": "default", "key_bits": 2048, "key_type": "rsa",
	"key_usage": []any{"DigitalSignature", "KeyAgreement", "KeyEncipherment"}, "locality": []any{}, "max_ttl": "0", "no_store": false,
	"no_store_metadata": false, "not_after": "", "not_before_duration": "30s", "organization": []any{}, "ou": []any{},
	"policy_identifiers": []any{}, "postal_code": []any{}, "province": []any{}, "require_cn": true, "serial_number_source": "json-csr",
	"server_flag": true, "signature_bits": 0, "street_address": []any{}, "ttl": "0", "use_csr_common_name": true, "use_csr_sans": true, "use_pss": false,
}

func TestARoleThatIsWrittenInTheTermsOfVaultPKIReadsBackAsItIs(t *testing.T) {
	m := bareMount(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}})
	account := m.account()
	account["default_product_code"] = "842"
	m.write("config", account)
	m.write("roles/web", terraformRole)

	text, err := json.Marshal(m.read("roles/web").Data)
	require.NoError(t, err)
	var back map[string]any
	require.NoError(t, json.Unmarshal(text, &back))
	want := maps.Clone(terraformRole)
	want["key_bits"], want["signature_bits"], want["not_before_duration"], want["ttl"], want["max_ttl"] = 2048.0, 0.0, 30.0, 0.0, 0.0
	for field, value := range want {
		require.Equal(t, value, back[field], "%s has changed, which Terraform takes for a drift", field)
	}
	require.Equal(t, "842", back["product_code"])
	require.Equal(t, "dv", back["product_variant"])

	m.write("roles/web", terraformRole) // the next apply
	m.chainOK(m.write("issue/web", map[string]any{"common_name": "www.example.com"}))
}

func TestAConstraintOfVaultPKIThatNobodyWouldEnforceIsRefusedByName(t *testing.T) {
	m := newMount(t, new(certinexttest.Server))
	for field, value := range map[string]any{
		"allow_localhost": false, "enforce_hostnames": false, "allowed_other_sans": "1.2.3.4;UTF8:x", "allowed_uri_sans": "spiffe://x",
		"allowed_uri_sans_template": true, "allowed_serial_numbers": "1", "allowed_user_ids": "u", "server_flag": false,
		"code_signing_flag": true, "email_protection_flag": true, "key_usage": "CertSign", "ext_key_usage": "ServerAuth",
		"ext_key_usage_oids": "1.3.6.1.5.5.7.3.1", "signature_bits": 512, "use_pss": true, "use_csr_common_name": false, "use_csr_sans": false,
		"serial_number_source": "json", "ou": "x", "organization": "x", "country": "US", "locality": "x", "province": "x", "street_address": "x",
		"postal_code": "1", "policy_identifiers": "1.2.3", "basic_constraints_valid_for_non_ca": true, "cn_validations": "disabled",
		"not_after": "9999-12-31T23:59:59Z", "not_before_duration": "1h", "no_store": true, "no_store_metadata": true, "issuer_ref": "other",
	} {
		resp, err := m.send(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{field: value}})
		require.NoError(t, err, field)
		require.True(t, resp.IsError(), "%s=%v is accepted and not enforced", field, value)
		require.Contains(t, resp.Error().Error(), field+": cannot be honoured: ", field)
	}
	require.Contains(t, m.refused("roles/other", map[string]any{"allowed_domains": "example.com"}), "product_code: is required, here or as default_product_code in config")
}

// A role with a lease that ends before its certificate says so to whom gets one.
func TestALeaseThatEndsBeforeItsCertificateIsAnnounced(t *testing.T) {
	for name, c := range map[string]struct {
		role map[string]any
		text string
	}{
		"a ttl of the role":        {map[string]any{"ttl": "1h"}, "when its lease ends, unless the lease is renewed"},
		"a bound of the role":      {map[string]any{"max_ttl": "1h"}, "when its lease ends, unless the lease is renewed"},
		"the certificate's life":   {nil, ""},
		"a role without any lease": {map[string]any{"generate_lease": false}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMount(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}})
			m.must(call{op: logical.PatchOperation, path: "roles/web", data: c.role})
			warnings := m.write("issue/web", map[string]any{"common_name": "www.example.com"}).Warnings
			if c.text == "" {
				require.Empty(t, warnings)
				return
			}
			require.Len(t, warnings, 1)
			require.Contains(t, warnings[0], c.text)
			require.Contains(t, warnings[0], "need a role with generate_lease=false")
		})
	}
}

// cert-manager and Vault Secrets Operator may be told to name the issuer in the path.
func TestTheIssuerMayBeNamedInThePath(t *testing.T) {
	m := newMount(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}})
	m.chainOK(m.write("issuer/default/issue/web", map[string]any{"common_name": "www.example.com"}))
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	m.chainOK(m.write("issuer/default/sign/web", map[string]any{"csr": csr(t, key, "api.example.com")}))
	require.Contains(t, m.refused("issuer/other/issue/web", map[string]any{"common_name": "www.example.com"}), "issuer_ref: cannot be honoured")
	require.Len(t, m.ca.Orders(), 2)
}
