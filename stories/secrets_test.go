// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// TestSecretsAppearNowhere runs everything that touches a secret, also where it fails, and then looks for the secrets' bytes
// in the log, in every answer but that of issue itself, and in storage that is not seal-wrapped.
func TestSecretsAppearNowhere(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := validated(dialect)
		ca.ClientSecret, ca.AccessKey = "client-secret-2b61f0", "access-key-9d47ce"
		m := bareMount(t, ca)
		var answers strings.Builder
		note := func(resp *logical.Response, err error) {
			if err != nil {
				answers.WriteString(err.Error())
			}
			if resp != nil {
				text, err := json.Marshal([]any{resp.Data, resp.Warnings})
				require.NoError(t, err)
				answers.Write(text)
				if file, ok := resp.Data[logical.HTTPRawBody].([]byte); ok { // base64 in the text
					answers.Write(file)
				}
			}
		}
		do := func(op logical.Operation, path string, data map[string]any) {
			note(m.send(call{op: op, path: path, data: data}))
		}

		config := m.account()
		config["consent_token"] = "consent-token-51aa3e"
		for field, v := range map[string]string{"client_secret": ca.ClientSecret, "access_key": ca.AccessKey} {
			if _, used := config[field]; used {
				config[field] = "wrong-" + v
				do(logical.UpdateOperation, "config", config)
				config[field] = v
			}
		}
		m.write("config", config)
		m.write("roles/web", map[string]any{
			"product_code": "846", "product_variant": "ov", "allow_any_name": true, "consent_token": "role-token-77c0d2",
			"organization_number": certinexttest.DefaultOrganization,
		})
		solver := map[string]any{
			"provider": "rfc2136", "server": "127.0.0.1:9", "tsig_key_name": "vault", "tsig_secret": "dHNpZy1zZWNyZXQtOGUzZDE1",
			"zone": "example.com",
		}
		m.write("dcv/solvers/corp", solver)
		do(logical.UpdateOperation, "dcv/solvers/bad", map[string]any{"provider": "cloud", "tsig_secret": "dHNpZy1zZWNyZXQtOGUzZDE1"})
		do(logical.UpdateOperation, "dcv/solvers/corp/check", map[string]any{"dcv_resolvers": "127.0.0.1:9", "dcv_propagation_servers": "127.0.0.1:9"})
		do(logical.ReadOperation, "dcv/solvers/corp", nil)
		for _, kind := range []certinexttest.FaultKind{certinexttest.FaultHTML, certinexttest.FaultSpring, certinexttest.FaultLostReply, certinexttest.FaultTokenDeath} {
			ca.Inject(certinexttest.Fault{Kind: kind, Times: 2})
			do(logical.UpdateOperation, "issue/web", map[string]any{"common_name": "www.example.com"})
			for _, path := range []string{"config/check", "catalog/products", "account", "groups", "organizations", "domains", "reports/orders", "reports/ledger"} {
				do(logical.ReadOperation, path, nil)
			}
		}
		ca.ClearFaults()
		for _, o := range ca.Orders() {
			_ = ca.Approve(o.ID)
		}
		m.write("roles/dv", map[string]any{"product_code": "842", "product_variant": "dv", "allow_any_name": true})
		issued := m.write("issue/dv", map[string]any{"common_name": "www.example.com"})
		for _, path := range []string{"config", "config/check", "roles/web", "ca", "ca/pem", "ca_chain", "cert/ca_chain", "account", "groups", "organizations", "organizations/" + certinexttest.DefaultOrganization, "domains", "reports/orders", "catalog/products", "cert/" + issued.Data["serial_number"].(string)} {
			do(logical.ReadOperation, path, nil)
		}
		for _, path := range []string{"roles", "orders/web", "orders/dv", "certs", "certs/revoked"} {
			do(logical.ListOperation, path, nil)
		}
		for _, role := range []string{"web", "dv"} {
			for _, id := range m.list("orders/" + role) {
				do(logical.ReadOperation, "orders/"+role+"/"+id, nil)
				do(logical.ReadOperation, "orders/"+role+"/"+id+"/dcv", nil)
				for _, form := range []string{"csr", "bundle", "pkcs7", "zip"} {
					do(logical.ReadOperation, "orders/"+role+"/"+id+"/download/"+form, nil)
				}
			}
		}
		m.endLease(issued)
		do(logical.ReadOperation, "status", nil)
		do(logical.ReadOperation, "metrics", nil)
		told := m.exposition() + m.events.String() + fmt.Sprint(m.notices())
		require.Contains(t, told, "certinext/order-", "nothing has happened that somebody has to know of")
		require.Contains(t, told, "certinext_requests_total")
		for _, private := range []string{"Platform Team", "platform@example.com", "+14155550123", "203.0.113.7", "www.example.com", "accessor-of-the-test"} {
			require.NotContains(t, told, private, "in metrics, an event or a line about a change")
		}

		key := strings.Split(issued.Data["private_key"].(string), "\n")[1]
		wrapped := m.backend.SpecialPaths().SealWrapStorage
		secrets := []string{ca.ClientSecret, ca.AccessKey, "consent-token-51aa3e", "role-token-77c0d2", "dHNpZy1zZWNyZXQtOGUzZDE1", key, "PRIVATE KEY"}
		for _, secret := range secrets {
			require.NotContains(t, m.log.String(), secret, "in the log")
			require.NotContains(t, answers.String(), secret, "in an answer")
			require.NotContains(t, told, secret, "in metrics or an event")
			for k, v := range m.storage.dump(t) {
				require.NotContains(t, k, secret, "in a storage key")
				if !sealWrapped(wrapped, k) {
					require.NotContains(t, string(v), secret, "storage key %s is not seal-wrapped", k)
				}
			}
		}
		// The search works: the secrets are where they have to be.
		dump := m.storage.dump(t)
		require.Contains(t, string(dump["config"]), "consent-token-51aa3e")
		require.Contains(t, string(dump["role/web"]), "role-token-77c0d2")
		require.Contains(t, string(dump["dcv/solver/corp"]), "dHNpZy1zZWNyZXQtOGUzZDE1")

		time.Sleep(time.Hour)
		m.pass()
		for k, v := range m.storage.dump(t) {
			if strings.HasPrefix(k, "order/open/dv/") {
				t.Errorf("%s is still open: %s", k, v)
			}
		}
	})
}

// TestSealWrapPrefixesAreThoseOfStorage is for the defect of peers whose prefixes matched no key.
func TestSealWrapPrefixesAreThoseOfStorage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"reuse": true}})
		m.asksFor("ann", "kept.example.com")
		m.rests(2 * time.Hour)
		ca.Configure(func(s *certinexttest.Server) { s.IssueDelay = time.Hour })
		m.refused("issue/web", map[string]any{"common_name": "www.example.com"})
		m.write("dcv/solvers/corp", map[string]any{"provider": "rfc2136", "server": "ns1.example.com", "tsig_key_name": "vault", "tsig_secret": "c2VjcmV0"})
		keys := m.storage.dump(t)
		for _, prefix := range m.backend.SpecialPaths().SealWrapStorage {
			found := false
			for k := range keys {
				found = found || sealWrapped([]string{prefix}, k)
			}
			require.True(t, found, "no storage key is below the seal-wrap prefix %s", prefix)
		}
	})
}

// sealWrapped matches as Vault does: a pattern that ends in a slash is a prefix, any other is a whole key.
func sealWrapped(patterns []string, key string) bool {
	for _, p := range patterns {
		if p == key || (strings.HasSuffix(p, "/") && strings.HasPrefix(key, p)) {
			return true
		}
	}
	return false
}
