// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"testing"
	"testing/synctest"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

func TestConfigIsCheckedAndItsSecretsAreNeverRead(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		m := newMount(t, validated(dialect))
		config := m.read("config").Data
		require.Equal(t, sandboxURL, config["base_url"])
		for _, secret := range []string{"client_secret", "access_key", "consent_token"} {
			require.NotContains(t, config, secret)
		}
		report := m.read("config/check").Data
		require.Equal(t, true, report["ok"])
		require.Equal(t, certinexttest.DefaultAccountNumber, report["account_number"])
		require.Contains(t, report["products"], "842")
	})
}

func TestConfigRefusesByField(t *testing.T) {
	m := bareMount(t, new(certinexttest.Server))
	for name, c := range map[string]struct {
		change map[string]any
		want   string
	}{
		"no address":                 {map[string]any{"base_url": ""}, "base_url:"},
		"plain http":                 {map[string]any{"base_url": "http://api.certinext.test"}, "base_url:"},
		"an address with a password": {map[string]any{"base_url": "https://u:p@api.certinext.test"}, "base_url:"},
		"no secret":                  {map[string]any{"client_secret": ""}, "client_secret:"},
		"two kinds of credential":    {map[string]any{"account_number": "1", "access_key": "k"}, "client_id:"},
		"no requestor":               {map[string]any{"requestor_email": ""}, "requestor_email:"},
		"an address that is none":    {map[string]any{"requestor_email": "platform"}, "requestor_email:"},
		"a phone that is none":       {map[string]any{"requestor_phone": "0123"}, "requestor_phone:"},
		"a signer's address":         {map[string]any{"signer_ip": "here"}, "signer_ip:"},
		"a bundle that is none":      {map[string]any{"ca_certificate": "x"}, "ca_certificate:"},
		"a negative rate":            {map[string]any{"requests_per_second": -1}, "requests_per_second:"},
		"an unknown field":           {map[string]any{"api_key": "k"}, "unknown field: api_key"},
	} {
		t.Run(name, func(t *testing.T) {
			config := m.account()
			for k, v := range c.change {
				config[k] = v
			}
			require.Contains(t, m.refused("config", config), c.want)
		})
	}
	require.Empty(t, m.ca.Calls())
	resp, err := m.send(call{op: logical.ReadOperation, path: "config"})
	require.NoError(t, err)
	require.Nil(t, resp)
}

func TestConfigWithAWrongSecretIsNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bareMount(t, new(certinexttest.Server))
		config := m.account()
		config["client_secret"] = "wrong-secret-7f3a"
		text := m.refused("config", config)
		require.Contains(t, text, "could not be verified")
		require.NotContains(t, text, "wrong-secret-7f3a")
		require.Empty(t, m.storage.writes())

		config["verify_connection"] = false
		m.write("config", config)
		report := m.read("config/check").Data
		require.Equal(t, false, report["ok"])
		require.NotEmpty(t, report["problems"])
	})
}

func TestConfigKeepsWhatIsNotWritten(t *testing.T) {
	m := newMount(t, new(certinexttest.Server))
	m.write("config", map[string]any{"requestor_name": "Another Team"})
	require.Equal(t, "Another Team", m.read("config").Data["requestor_name"])
	require.Equal(t, sandboxURL, m.read("config").Data["base_url"])
}

// Where every new token ends the ones before, a write of config that asks for one ends the token of whatever is under way, which then asks for
// one itself: in a simulated history they took turns until an operator's write was refused.
func TestAWriteOfConfigKeepsTheTokenOfTheSameAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, &certinexttest.Server{SingleToken: true, VerifiedDomains: []string{"example.com"}})
		m.ca.ResetCalls()
		m.write("config", map[string]any{"ordering": "paused"})
		m.write("config", map[string]any{"ordering": "on", "requestor_name": "Another Team"})
		m.read("config/check")
		require.Zero(t, m.ca.Calls()[certinexttest.OpToken])

		config := m.account()
		config["client_secret"] = "wrong-secret-7f3a"
		require.Contains(t, m.refused("config", config), "could not be verified", "another secret is tried")
		require.NotZero(t, m.ca.Calls()[certinexttest.OpToken])
		require.Equal(t, true, m.read("config/check").Data["ok"])
	})
}

func TestAStoredSecretIsNotSentToAnotherAddress(t *testing.T) {
	m := newMount(t, new(certinexttest.Server))
	m.ca.ResetCalls()
	m.write("config", map[string]any{"consent_token": "consent-token-51aa3e", "verify_connection": false})
	require.Contains(t, m.refused("config", map[string]any{"base_url": "https://elsewhere.certinext.test"}), "client_secret:")
	require.Contains(t, m.refused("config", map[string]any{
		"base_url": "https://elsewhere.certinext.test", "client_id": "mine", "client_secret": "mine-too",
	}), "consent_token:")
	require.Contains(t, m.refused("config", map[string]any{"client_id": "another"}), "client_secret:")
	m.write("config", map[string]any{ // everything given again, and the token taken away
		"base_url": "https://elsewhere.certinext.test", "client_secret": certinexttest.DefaultClientSecret,
		"consent_token": "", "verify_connection": false,
	})
	require.NotContains(t, string(m.storage.dump(t)["config"]), "consent-token-51aa3e")
	m.write("config", map[string]any{ // the other kind of credential
		"client_id": "", "account_number": "1", "access_key": "k", "verify_connection": false,
	})
	require.NotContains(t, string(m.storage.dump(t)["config"]), certinexttest.DefaultClientSecret)
	require.Empty(t, m.ca.Calls())
}

func TestARolesConsentTokenIsNotSentToAnotherAddress(t *testing.T) {
	m := newMount(t, new(certinexttest.Server))
	m.write("roles/ov", map[string]any{
		"product_code": "846", "product_variant": "ov", "allow_any_name": true, "consent_token": "role-token-77c0d2",
		"organization_number": certinexttest.DefaultOrganization,
	})
	config := m.account()
	config["base_url"], config["verify_connection"] = "https://elsewhere.certinext.test", false
	m.write("config", config)
	m.ca.ResetCalls()
	require.Contains(t, m.refused("issue/ov", www), "consent_token:")
	require.Empty(t, m.ca.Calls())
}

func TestIssueWithoutConfigSaysWhatToDo(t *testing.T) {
	m := bareMount(t, new(certinexttest.Server))
	m.write("roles/web", map[string]any{"product_code": "842", "product_variant": "dv", "allow_any_name": true})
	require.Contains(t, m.refused("issue/web", map[string]any{"common_name": "www.example.com"}), "config")
}

func TestRolesReadBackWhatWasWritten(t *testing.T) {
	m := newMount(t, new(certinexttest.Server))
	m.write("roles/full", map[string]any{
		"product_code": "844", "allowed_domains": []string{"example.com", "example.org"}, "key_type": "rsa", "key_bits": "4096",
		"ttl": "720h", "custom_fields": map[string]any{"17": "cost centre"}, "consent_token": "token-5d1e",
	})
	role := m.read("roles/full").Data
	require.Equal(t, "dv-ucc", role["product_variant"], "found in the catalog")
	require.Equal(t, "ssl", role["family"])
	require.Equal(t, "dns-txt", role["dcv_method"])
	require.Equal(t, []string{"example.com", "example.org"}, role["allowed_domains"])
	require.Equal(t, 4096, role["key_bits"], "a number, as Terraform needs it")
	require.Equal(t, int64(720*3600), role["ttl"])
	require.Equal(t, int64(45), role["issue_timeout"])
	require.Equal(t, true, role["generate_lease"])
	require.Equal(t, map[string]string{"17": "cost centre"}, role["custom_fields"])
	require.NotContains(t, role, "consent_token")

	m.must(call{op: logical.PatchOperation, path: "roles/full", data: map[string]any{"key_type": "ec", "product_code": "842"}})
	role = m.read("roles/full").Data
	require.Equal(t, "ec", role["key_type"])
	require.Equal(t, 256, role["key_bits"], "the other type's size does not stay")
	require.Equal(t, "dv", role["product_variant"], "the other product's variant does not stay")
	require.Equal(t, int64(720*3600), role["ttl"])

	require.ElementsMatch(t, []string{"full", "web"}, m.list("roles"))
	m.must(call{op: logical.DeleteOperation, path: "roles/full"})
	require.Equal(t, []string{"web"}, m.list("roles"))
}

func TestRolesRefuseByField(t *testing.T) {
	m := newMount(t, new(certinexttest.Server))
	for name, c := range map[string]struct {
		data map[string]any
		want string
	}{
		"no product":                       {map[string]any{"allow_any_name": true}, "product_code:"},
		"a product that is not listed":     {map[string]any{"product_code": "1"}, "product_code:"},
		"a variant that is none":           {map[string]any{"product_code": "842", "product_variant": "av"}, "product_variant:"},
		"a family of other products":       {map[string]any{"product_code": "842", "family": "private-pki"}, "family:"},
		"a validation that is none":        {map[string]any{"product_code": "842", "dcv_method": "smoke-signal"}, "dcv_method:"},
		"a key the CA refuses":             {map[string]any{"product_code": "842", "key_type": "ed25519"}, "key_type:"},
		"a size the CA refuses":            {map[string]any{"product_code": "842", "key_type": "ec", "key_bits": 521}, "key_bits:"},
		"a weak key":                       {map[string]any{"product_code": "842", "key_type": "rsa", "key_bits": 1024}, "key_bits:"},
		"a wait longer than Vault's":       {map[string]any{"product_code": "842", "issue_timeout": "5m"}, "issue_timeout:"},
		"a subscription of ten years":      {map[string]any{"product_code": "842", "validity_years": 10}, "validity_years:"},
		"a CA profile for public TLS":      {map[string]any{"product_code": "842", "ca_profile_id": "1"}, "ca_profile_id:"},
		"reissues of private PKI":          {map[string]any{"product_code": "149", "product_variant": "intranet-ssl", "allow_reissue": true}, "allow_reissue:"},
		"a requestor by name only":         {map[string]any{"product_code": "842", "requestor_name": "Web Team"}, "requestor_email:"},
		"a signer without a place":         {map[string]any{"product_code": "842", "signer_name": "Web Team"}, "signer_place:"},
		"a recipient that is no address":   {map[string]any{"product_code": "842", "recipient_emails": "nobody"}, "recipient_emails:"},
		"a ttl longer than the longest":    {map[string]any{"product_code": "842", "ttl": "2h", "max_ttl": "1h"}, "ttl:"},
		"subdomains of nothing":            {map[string]any{"product_code": "842", "allow_subdomains": true}, "allowed_domains:"},
		"a constraint of another spelling": {map[string]any{"product_code": "842", "allowed_domain": "example.com"}, "unknown field: allowed_domain"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, m.refused("roles/bad", c.data), c.want)
		})
	}
	require.NotContains(t, m.list("roles"), "bad")
}

func TestTemplatedDomainsFollowTheRequestersIdentity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := &certinexttest.Server{VerifiedDomains: []string{"example.com", "example.org"}}
		m := newMount(t, ca)
		m.system.EntityVal = &logical.Entity{ID: "entity-a", Metadata: map[string]string{"domain": "example.org"}}
		m.write("roles/templated", map[string]any{
			"product_code": "842", "product_variant": "dv", "allow_subdomains": true, "allowed_domains_template": true,
			"allowed_domains": "{{identity.entity.metadata.domain}},{{identity.entity.metadata.nothing}}",
		})
		issue := func(name, entity string) *logical.Response {
			resp, err := m.send(call{op: logical.UpdateOperation, path: "issue/templated", data: map[string]any{"common_name": name}, entity: entity})
			require.NoError(t, err)
			return resp
		}
		require.False(t, issue("www.example.org", "entity-a").IsError())
		require.True(t, issue("www.example.com", "entity-a").IsError())
		require.True(t, issue("www.example.org", "").IsError(), "a token without an identity matches no template")
	})
}

// What version 1 would refuse is refused before an order is stored.
func TestVersion1WantsAPublicSigner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.V1))
		m.write("config", map[string]any{"signer_ip": "10.0.0.7"})
		require.Contains(t, m.refused("issue/web", www), "signer_ip: ")
		m.write("config", map[string]any{"signer_ip": "", "signer_place": ""})
		require.Contains(t, m.refused("issue/web", www), "signer_place: ")
		require.Empty(t, m.list("orders/web"))
		require.Contains(t, m.refused("config", map[string]any{"api_version": "v3"}), "api_version: ")
		require.Contains(t, m.refused("config", map[string]any{"accounting_model": "barter"}), "accounting_model: ")
		m.write("config", map[string]any{"signer_ip": "203.0.113.7", "signer_place": "Bengaluru", "accounting_model": "cash"})
		m.chainOK(m.write("issue/web", www))
	})
}
