// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// A consent token is one organization's. A role that is given to another one no longer has it, and its orders do not send it along.
func TestARoleOfAnotherOrganizationLosesTheConsentTokenOfTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		seen := &bodies{next: ca.Client().Transport}
		m.startWith(&http.Client{Transport: seen})
		patch := func(changes map[string]any) []string {
			resp := m.must(call{op: logical.PatchOperation, path: "roles/ov", data: changes})
			if resp == nil {
				return nil
			}
			return resp.Warnings
		}
		m.vettedRole("ov", "ov", map[string]any{"consent_token": certinexttest.DefaultConsentToken, "generate_lease": false})
		require.Empty(t, patch(map[string]any{"remarks": "the same organization"}))
		require.Contains(t, string(m.storage.dump(t)["role/ov"]), certinexttest.DefaultConsentToken)

		warnings := strings.Join(patch(map[string]any{"organization_number": "4000099"}), "\n")
		require.Contains(t, warnings, "consent_token: was dropped")
		require.NotContains(t, warnings, certinexttest.DefaultConsentToken)
		require.NotContains(t, string(m.storage.dump(t)["role/ov"]), certinexttest.DefaultConsentToken)
		_, err := m.attempt("issue/ov", www)
		require.NoError(t, err)
		require.NotContains(t, seen.String(), certinexttest.DefaultConsentToken)

		require.Empty(t, patch(map[string]any{
			"organization_number": certinexttest.DefaultOrganization, "consent_token": certinexttest.DefaultConsentToken,
		}), "given together")
		require.Contains(t, string(m.storage.dump(t)["role/ov"]), certinexttest.DefaultConsentToken)
	})
}

// After a move of the config a role's consent token has to be written again, and then it serves there, even if it is the same.
func TestAConsentTokenThatIsWrittenAgainServesTheNewAddress(t *testing.T) {
	m := newMount(t, new(certinexttest.Server))
	token := map[string]any{"consent_token": certinexttest.DefaultConsentToken}
	m.vettedRole("ov", "ov", token)
	config := m.account()
	config["base_url"], config["verify_connection"] = "https://elsewhere.certinext.test", false
	m.write("config", config)
	require.Contains(t, m.refused("issue/ov", www), "consent_token: was written to the role for")
	m.must(call{op: logical.PatchOperation, path: "roles/ov", data: token})
	require.NotContains(t, m.refused("issue/ov", www), "consent_token:")
}

// Two accounts share CERTInext's address, and each organization belongs to one of them.
func TestAConsentTokenIsSentForItsOwnAccountOnly(t *testing.T) {
	for name, c := range map[string]struct {
		field string
		value func(config map[string]any) string
		again bool
	}{
		"another account": {"client_id", func(map[string]any) string { return "another-account" }, true},
		"another spelling": {"base_url", func(config map[string]any) string {
			return strings.ToUpper(config["base_url"].(string)) + ":443/"
		}, false},
	} {
		for _, form := range []string{"stored now", "stored by an earlier version"} {
			t.Run(name+"/"+form, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					m := newMount(t, validated(certinexttest.Live))
					m.vettedRole("ov", "ov", map[string]any{"consent_token": certinexttest.DefaultConsentToken})
					old := form == "stored by an earlier version"
					if old {
						m.rewrite("role/ov", func(role map[string]any) { role["consent_for"] = sandboxURL })
						m.start()
					}
					config := m.account()
					config[c.field], config["verify_connection"] = c.value(config), false
					m.write("config", config)
					_, refusal := m.asEntity("ann", logical.UpdateOperation, "orders/ov", www)
					if c.again && !old { // an earlier version did not say whose account it was
						require.Contains(t, refusal, "consent_token: was written to the role for")
						return
					}
					require.NotContains(t, refusal, "consent_token:")
				})
			})
		}
	}
}

// The role has a token and takes its organization from config, which then names another one.
func TestARolesConsentTokenStaysWithConfigsOrganization(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := bareMount(t, ca)
		seen := &bodies{next: ca.Client().Transport}
		m.startWith(&http.Client{Transport: seen})
		config := m.account()
		config["organization_number"] = certinexttest.DefaultOrganization
		m.write("config", config)
		m.write("roles/ov", map[string]any{"product_code": "846", "product_variant": "ov", "allow_any_name": true, "consent_token": certinexttest.DefaultConsentToken})
		m.write("config", map[string]any{"organization_number": certinexttest.UnvettedOrganization})
		m.try(logical.UpdateOperation, "orders/ov", www)
		require.False(t, strings.Contains(seen.String(), certinexttest.UnvettedOrganization) && strings.Contains(seen.String(), certinexttest.DefaultConsentToken),
			"the token of %s was sent with an order for %s", certinexttest.DefaultOrganization, certinexttest.UnvettedOrganization)
	})
}

// The config's own token is another account's after a move, even at the same address.
func TestConfigsConsentTokenIsItsAccounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.ClientID = "application-1"
		m := bareMount(t, ca)
		seen := &bodies{next: &rotated{RoundTripper: ca.Client().Transport, number: "9999999999"}}
		m.startWith(&http.Client{Transport: seen})
		config := m.account()
		config["client_id"] = "application-1"
		config["organization_number"], config["consent_token"] = certinexttest.DefaultOrganization, certinexttest.DefaultConsentToken
		m.write("config", config)
		m.write("roles/ov", map[string]any{"product_code": "846", "product_variant": "ov", "allow_any_name": true})
		moved := map[string]any{"client_id": "application-2", "client_secret": certinexttest.DefaultClientSecret}
		require.Contains(t, m.refused("config", moved), "consent_token: must be given again for another account")
		moved["consent_token"] = ""
		m.write("config", moved)
		require.Equal(t, "application-2", m.read("config").Data["client_id"])
		m.try(logical.UpdateOperation, "orders/ov", www)
		require.NotContains(t, seen.String(), certinexttest.DefaultConsentToken, "the token of the first account was sent with an order of the second")
	})
}
