// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// null means "left out" in a write, and "back to the default" in a patch.
func TestNullIsNoValue(t *testing.T) {
	m := newMount(t, validated(certinexttest.Live))
	role := map[string]any{
		"product_code": "842", "product_variant": "dv", "allowed_domains": "example.com", "allow_subdomains": true,
		"generate_lease": nil, "server_flag": nil, "allow_ip_sans": nil, "key_bits": nil, "ttl": nil, "tags": nil, "custom_fields": nil,
	}
	m.write("roles/null", role)
	fresh := m.read("roles/null").Data
	require.Equal(t, true, fresh["generate_lease"])
	require.Equal(t, true, fresh["server_flag"])

	changes := map[string]any{
		"generate_lease": false, "reuse_window": "1h", "tags": "a:b", "custom_fields": "1=x", "remarks": "r", "ttl": "1h",
		"key_type": "rsa", "validity_years": 2, "issue_timeout": "20s",
	}
	m.must(call{op: logical.PatchOperation, path: "roles/null", data: changes})
	require.NotEqual(t, fresh, m.read("roles/null").Data)
	back := make(map[string]any, len(changes))
	for name := range changes {
		back[name] = nil
	}
	m.must(call{op: logical.PatchOperation, path: "roles/null", data: back})
	require.Equal(t, fresh, m.read("roles/null").Data)
	m.must(call{op: logical.PatchOperation, path: "roles/null", data: map[string]any{"delivery_grace": "7m"}})
	require.EqualValues(t, 420, m.read("roles/null").Data["reuse_window"], "it follows delivery_grace again")

	m.write("config", map[string]any{"signer_name": nil, "client_secret": nil})
	require.Equal(t, "Platform Team", m.read("config").Data["signer_name"], "a write of config keeps what it leaves out")
	m.chainOK(m.write("issue/web", map[string]any{"common_name": "www.example.com", "alt_names": nil, "ttl": nil, "format": nil}))
}

// vault write client_secret=@file sends the line break at the end of the file.
func TestWhitespaceAroundASecretIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, dialect := range []certinexttest.Dialect{certinexttest.Live, certinexttest.Documented} {
			ca := validated(dialect)
			m := newMount(t, ca)
			config := m.account()
			for name, value := range config {
				if text, isText := value.(string); isText && name != "api_version" {
					config[name] = " " + text + "\r\n"
				}
			}
			m.write("config", config)
			m.vettedRole("ov", "ov", map[string]any{"consent_token": certinexttest.DefaultConsentToken + "\n", "product_code": " 846\n"})
			seen := &bodies{next: ca.Client().Transport}
			m.startWith(&http.Client{Transport: seen})
			_, err := m.attempt("issue/ov", www)
			require.NoError(t, err)
			require.Contains(t, seen.String(), certinexttest.DefaultConsentToken+`"`)
		}
	})
}

// A name that no storage takes is the caller's fault, or Vault's client would send its request again.
func TestNamesThatNoStorageTakesAreRefused(t *testing.T) {
	m := newMount(t, validated(certinexttest.Live))
	for _, pattern := range []string{
		"roles/X", "issue/X", "sign/X", "orders/X", "orders/X/id", "orders/web/X", "orders/web/X/dcv", "orders/web/X/collect", "revoke/X",
		"renew/X/01-02", "dcv/solvers/X", "domains/X", "operator/orders/X/id", "operator/orders/web/X", "issuer/default/issue/X", "cert/X",
	} {
		for _, name := range []string{"a..b", strings.Repeat("a", 300)} {
			for _, op := range []logical.Operation{logical.ReadOperation, logical.UpdateOperation, logical.DeleteOperation, logical.ListOperation, logical.PatchOperation} {
				resp, err := m.send(call{op: op, path: strings.Replace(pattern, "X", name, 1)})
				require.NoError(t, err, "%s %s", op, pattern)
				require.True(t, resp.IsError(), "%s %s", op, pattern)
				require.Contains(t, resp.Error().Error(), "a name in the path")
			}
		}
	}
	named := m.write("issue/web", map[string]any{"common_name": "www.example.com", "request_id": "a..b"})
	require.Equal(t, named.Data["order_id"], m.read("orders/web/request/a..b").Data["order_id"], "a request_id is part of no key")
}

// Terraform, Ansible and people write the same values in several ways.
func TestValuesAsClientsSpellThem(t *testing.T) {
	m := newMount(t, validated(certinexttest.Live))
	for name, spellings := range map[string][]any{
		"ttl":             {3600, "3600", "1h", "60m", " 3600s ", json.Number("3600"), 3600.0},
		"validity_years":  {1, "1", json.Number("1"), 1.0, " 1"},
		"generate_lease":  {true, "true", "1", 1, "TRUE", " true"},
		"allowed_domains": {"a.example.com, b.example.com", []any{"a.example.com", "b.example.com"}, []string{"a.example.com", " b.example.com"}},
	} {
		var first any
		for _, spelled := range spellings {
			m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{name: spelled}})
			got := m.read("roles/web").Data[name]
			if first == nil {
				first = got
			}
			require.Equal(t, first, got, "%s=%v", name, spelled)
		}
	}
}

// What cannot be read may be a secret in the wrong field: it is not repeated.
func TestWhatCannotBeReadIsNotRepeated(t *testing.T) {
	m := newMount(t, validated(certinexttest.Live))
	const secret = "hunter2"
	object := map[string]any{secret: secret}
	for path, fields := range map[string]map[string][]any{
		"roles/web": {
			"ttl": {secret, object, "500ms", "1.5"}, "validity_years": {secret, object, 1.5}, "generate_lease": {secret, object},
			"product_code": {object, []any{object}}, "custom_fields": {secret, 5}, "allowed_domains": {[]any{object}},
		},
		"config": {"client_secret": {object, []any{secret, secret}}, "requests_per_second": {secret, object}},
		"issue/web": {
			"common_name": {object}, "ttl": {secret}, "pkcs12_password": {object}, "force_new": {secret}, "subject": {secret},
		},
		"dcv/solvers/a": {"api_token": {object}},
	} {
		for field, values := range fields {
			for _, value := range values {
				refusal := m.refused(path, map[string]any{field: value})
				require.True(t, strings.HasPrefix(refusal, field+": must be "), "%s: %s", path, refusal)
				require.NotContains(t, refusal, secret)
			}
		}
	}
	require.NotContains(t, m.log.String(), secret)
}
