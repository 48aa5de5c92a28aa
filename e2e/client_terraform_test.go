// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"
)

// terraform is version 5.10 of hashicorp/terraform-provider-vault with the resources of a module: vault_pki_secret_backend_role, _cert and
// _sign of vault/resource_pki_secret_backend_{role,cert,sign}.go. The provider itself is in client_terraform_real_test.go.
type terraform struct {
	*stand
	who       *caller // whose token the provider is given
	resources map[string]block
	state     map[string]map[string]any
}

// A block is what a resource of a module says.
type block map[string]any

var (
	resource  = regexp.MustCompile(`(?ms)^resource "(\w+)" "(\w+)" \{\n(.*?)^\}$`)
	attribute = regexp.MustCompile(`(?m)^  (\w+) += (.*)$`)
)

// module reads the resources of a module, which have values and references to others' values, and no more than that.
func module(t *testing.T, text string) map[string]block {
	t.Helper()
	out := map[string]block{}
	for _, r := range resource.FindAllStringSubmatch(text, -1) {
		b := block{}
		for _, a := range attribute.FindAllStringSubmatch(r[3], -1) {
			if parts := strings.Split(a[2], "."); len(parts) == 3 && out[parts[0]+"."+parts[1]] != nil {
				b[a[1]] = out[parts[0]+"."+parts[1]][parts[2]]
				continue
			}
			var v any
			require.NoError(t, json.Unmarshal([]byte(a[2]), &v), "%s = %s", a[1], a[2])
			b[a[1]] = v
		}
		b["create_before_destroy"] = strings.Contains(r[3], "create_before_destroy = true")
		out[r[1]+"."+r[2]] = b
	}
	return out
}

// or returns the value of an attribute, or else the one that the provider's schema has by default.
func (b block) or(name string, byDefault any) any {
	if v, ok := b[name]; ok {
		return v
	}
	return byDefault
}

// list is an attribute as comma-separated text.
func (b block) list(name string) string {
	items, _ := b[name].([]any)
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(items), " ", ","), "[]")
}

// provider returns the client of one run of Terraform. The provider makes itself a child of the token that it is given
// (skip_child_token is false by default), so that the token of each run is another one.
func (tf *terraform) provider(t *testing.T) *api.Client {
	t.Helper()
	resp, err := tf.who.api.Auth().Token().CreateWithContext(t.Context(), &api.TokenCreateRequest{
		DisplayName: "terraform", TTL: "1200s", ExplicitMaxTTL: "1200s", Renewable: new(bool),
	})
	require.NoError(t, err)
	return tf.as(resp.Auth.ClientToken).api
}

// roleDefaults are what the provider sends for a role that sets nothing.
var roleDefaults = map[string]any{
	"allow_any_name": false, "allow_bare_domains": false, "allow_glob_domains": false, "allow_ip_sans": true, "allow_localhost": true,
	"allow_subdomains": false, "allow_wildcard_certificates": true, "allowed_domains_template": false, "allowed_uri_sans_template": false,
	"basic_constraints_valid_for_non_ca": false, "client_flag": true, "code_signing_flag": false, "email_protection_flag": false,
	"enforce_hostnames": true, "generate_lease": false, "key_bits": 2048, "key_type": "rsa", "no_store": false, "require_cn": true,
	"server_flag": true, "use_csr_common_name": true, "use_csr_sans": true, "use_pss": false,
}

// applyRole writes a role and reads it back. An attribute that reads back as something else is a difference that no apply ends.
func (tf *terraform) applyRole(t *testing.T, client *api.Client, b block) {
	t.Helper()
	sent := maps.Clone(roleDefaults)
	for name, value := range b {
		if name != "backend" && name != "name" {
			sent[name] = value
		}
	}
	path := fmt.Sprintf("%s/roles/%s", b["backend"], b["name"])
	_, err := client.Logical().WriteWithContext(t.Context(), path, sent)
	require.NoError(t, err)
	back, err := client.Logical().ReadWithContext(t.Context(), path)
	require.NoError(t, err)
	for name, value := range sent {
		require.Equal(t, fmt.Sprint(value), fmt.Sprint(back.Data[name]), "%s drifts", name)
	}
	for _, name := range []string{"key_bits", "signature_bits"} {
		require.IsType(t, json.Number(""), back.Data[name], "the provider panics")
	}
	for _, name := range []string{"allowed_domains", "key_usage", "ext_key_usage", "allowed_serial_numbers"} {
		require.IsType(t, []any{}, back.Data[name], "the provider panics")
	}
}

// applyCertificate makes the certificate of a resource, or leaves alone the one of the state, or replaces it when it is due: by its successor
// first, if the resource says so. What is in the state is refreshed before, for which the provider reads the mount.
func (tf *terraform) applyCertificate(t *testing.T, client *api.Client, name string) error {
	t.Helper()
	b, old := tf.resources[name], tf.state[name]
	if old != nil {
		if _, err := client.Logical().ReadWithContext(t.Context(), fmt.Sprintf("sys/mounts/%s", b["backend"])); err != nil {
			return fmt.Errorf("error reading mount: %w", err)
		}
		if !renewPending(t, b, old) {
			return nil
		}
		if b["create_before_destroy"] != true {
			tf.destroy(t, client, b, old)
			delete(tf.state, name)
			return tf.create(t, client, name)
		}
	}
	if err := tf.create(t, client, name); err != nil {
		return err
	}
	if old != nil {
		tf.destroy(t, client, b, old)
	}
	return nil
}

// create orders a resource's certificate and puts it into the state.
func (tf *terraform) create(t *testing.T, client *api.Client, name string) error {
	t.Helper()
	b := tf.resources[name]
	data := map[string]any{
		"common_name": b["common_name"], "format": "pem", "private_key_format": "der",
		"exclude_cn_from_sans": false, "remove_roots_from_chain": false,
	}
	if names := b.list("alt_names"); names != "" {
		data["alt_names"] = names
	}
	verb := "issue"
	if csr, ok := b["csr"]; ok {
		verb, data["csr"] = "sign", csr
		delete(data, "private_key_format")
	}
	resp, err := client.Logical().WriteWithContext(t.Context(), fmt.Sprintf("%s/%s/%s", b["backend"], verb, b["name"]), data)
	if err != nil {
		return fmt.Errorf("error creating certificate %s by %s for PKI secret backend %q: %w", b["common_name"], b["name"], b["backend"], err)
	}
	if key, _ := resp.Data["private_key"].(string); key != "" {
		tf.server.keep("a private key", key)
	}
	tf.state[name] = map[string]any{}
	for _, field := range []string{"certificate", "issuing_ca", "ca_chain", "serial_number", "expiration", "private_key", "private_key_type"} {
		tf.state[name][field] = resp.Data[field]
	}
	return nil
}

// renewPending is pkiCertAutoRenewCustomizeDiff: an expiration that is missing or 0 would be one that has passed.
func renewPending(t *testing.T, b block, state map[string]any) bool {
	t.Helper()
	if b.or("auto_renew", false) == false {
		return false
	}
	left := time.Until(time.Unix(number(t, state["expiration"]), 0)).Seconds()
	return left <= b.or("min_seconds_remaining", 604800.0).(float64)
}

// destroy revokes what a resource has made, as its revoke or revoke_with_key says.
func (tf *terraform) destroy(t *testing.T, client *api.Client, b block, state map[string]any) {
	t.Helper()
	data, path := map[string]any{"serial_number": state["serial_number"]}, fmt.Sprintf("%s/revoke", b["backend"])
	switch {
	case b.or("revoke_with_key", false) == true:
		path, data["private_key"] = path+"-with-key", state["private_key"]
	case b.or("revoke", false) == false:
		return
	}
	_, err := client.Logical().WriteWithContext(t.Context(), path, data)
	require.NoError(t, err)
}

// startTerraform sets up what docs/guides/terraform.md shows.
func startTerraform(t *testing.T, v *server, mount string) *terraform {
	t.Helper()
	s := v.stand(t, mount, map[string]any{"default_product_code": "842"})
	policy := guide(t, "terraform", "shell", "certinext/", mount+"/", "sys/mounts/certinext", "sys/mounts/"+mount, "vault policy write terraform", "vault policy write "+mount,
		"vault auth enable approle", "true", "role/terraform token_policies=terraform", "role/"+mount+" token_policies="+mount)
	v.run(t, policy)
	tf := &terraform{stand: s, who: s.login(mount), state: map[string]map[string]any{}}
	tf.resources = module(t, guide(t, "terraform", "terraform", `"certinext"`, `"`+mount+`"`))
	return tf
}

const theCertificate = "vault_pki_secret_backend_cert.www"

func TestTerraformAppliesUntilItHasItsCertificate(t *testing.T) {
	t.Parallel()
	v := bareVault(t)
	v.write("sys/auth/approle", map[string]any{"type": "approle"})
	t.Run("a CA that answers at once", func(t *testing.T) {
		t.Parallel()
		tf := startTerraform(t, v, "tf-fast")
		for range 3 { // the second and the third change nothing
			require.NoError(t, tf.applyCertificate(t, tf.provider(t), theCertificate))
		}
		tf.paidOnce(t, "www.example.com")
		state := tf.state[theCertificate]
		require.Equal(t, "rsa", state["private_key_type"])
		require.NotEmpty(t, texts(state["ca_chain"]))
		leaf := parseCertificate(t, text(t, state["certificate"]))
		requireKeyOf(t, leaf, parseKey(t, text(t, state["private_key"])))

		// Renewed, which is replaced: the successor is there before the certificate in use is revoked.
		tf.resources[theCertificate]["min_seconds_remaining"] = (31 * 24 * time.Hour).Seconds() // more than the certificate has
		require.NoError(t, tf.applyCertificate(t, tf.provider(t), theCertificate))
		renewed := tf.state[theCertificate]
		require.NotEqual(t, state["serial_number"], renewed["serial_number"], "not renewed")
		require.Equal(t, []string{text(t, state["serial_number"])}, tf.list(tf.mount+"/certs/revoked"))
		serials := strings.ReplaceAll(text(t, state["serial_number"])+" "+text(t, renewed["serial_number"]), ":", "")
		tf.paidEach(t, "www.example.com", strings.Fields(serials), 2)

		tf.destroy(t, tf.provider(t), tf.resources[theCertificate], renewed)
		require.Contains(t, tf.list(tf.mount+"/certs/revoked"), renewed["serial_number"])
		withKey := maps.Clone(tf.resources[theCertificate])
		withKey["revoke_with_key"], withKey["common_name"] = true, "key.example.com"
		tf.resources["key"] = withKey
		require.NoError(t, tf.applyCertificate(t, tf.provider(t), "key"))
		tf.destroy(t, tf.provider(t), withKey, tf.state["key"])
		require.Len(t, tf.list(tf.mount+"/certs/revoked"), 3)

		_, csr := csrRSA(t, "signed.example.com")
		tf.resources["signed"] = block{"backend": tf.mount, "name": "web", "csr": csr, "common_name": "signed.example.com"}
		require.NoError(t, tf.applyCertificate(t, tf.provider(t), "signed"))
		tf.paidOnce(t, "signed.example.com")
	})
	t.Run("the provider's own resource for roles", func(t *testing.T) {
		t.Parallel()
		tf := startTerraform(t, v, "tf-roles")
		role := block{"backend": tf.mount, "name": "plain", "allowed_domains": []any{"example.com"}, "allow_subdomains": true}
		for range 2 {
			tf.applyRole(t, tf.api, role)
		}
		require.EqualValues(t, 300, number(t, tf.read(tf.mount + "/roles/plain")["reuse_window"]))
	})
	t.Run("a CA that takes longer than the request", func(t *testing.T) {
		t.Parallel()
		tf := startTerraform(t, v, "tf-slow")
		tf.patch(t, "roles/web", map[string]any{"issue_timeout": "1s"})
		tf.slow()
		err := tf.applyCertificate(t, tf.provider(t), theCertificate)
		require.ErrorContains(t, err, "is not finished")
		require.Nil(t, tf.state[theCertificate])
		waitUntil(t, 30*time.Second, "an apply succeeds", func() bool { return tf.applyCertificate(t, tf.provider(t), theCertificate) == nil })
		tf.paidOnce(t, "www.example.com")
	})
	t.Run("an apply that fails after the answer", func(t *testing.T) {
		t.Parallel()
		tf := startTerraform(t, v, "tf-lost")
		require.NoError(t, tf.applyCertificate(t, tf.provider(t), theCertificate))
		first := tf.state[theCertificate]
		delete(tf.state, theCertificate) // it is ended before the state is written
		require.NoError(t, tf.applyCertificate(t, tf.provider(t), theCertificate))
		second := tf.state[theCertificate]
		serials := strings.ReplaceAll(text(t, first["serial_number"])+" "+text(t, second["serial_number"]), ":", "")
		tf.paidEach(t, "www.example.com", strings.Fields(serials), 2) // another one, as the guide says of reuse_window=0

		tf.patch(t, "roles/web", map[string]any{"reuse_window": "5m"})
		tf.resources[theCertificate]["common_name"] = "kept.example.com"
		var keys []any
		for range 2 {
			delete(tf.state, theCertificate)
			require.NoError(t, tf.applyCertificate(t, tf.provider(t), theCertificate))
			keys = append(keys, tf.state[theCertificate]["private_key"])
		}
		tf.paidOnce(t, "kept.example.com")
		require.Equal(t, keys[0], keys[1])
	})
	t.Run("a token without an identity", func(t *testing.T) {
		t.Parallel()
		tf := startTerraform(t, v, "tf-nobody")
		tf.patch(t, "roles/web", map[string]any{"issue_timeout": "1s"})
		tf.slow()
		tf.who = tf.caller // the root token
		run := tf.provider(t)
		require.ErrorContains(t, tf.applyCertificate(t, run, theCertificate), "is not finished")
		// Each run is somebody else, as far as anybody can tell, which the guide warns of.
		require.ErrorContains(t, tf.applyCertificate(t, tf.provider(t), theCertificate), "is not finished")
		require.Len(t, tf.ca.Orders(), 2)
		// skip_child_token keeps the token.
		waitUntil(t, 30*time.Second, "an apply succeeds", func() bool { return tf.applyCertificate(t, run, theCertificate) == nil })
		require.Len(t, tf.ca.Orders(), 2)
	})
	t.Run("a CA that refuses", func(t *testing.T) {
		t.Parallel()
		tf := startTerraform(t, v, "tf-failing")
		tf.refuses(t, "web", func() error { return tf.applyCertificate(t, tf.provider(t), theCertificate) })
	})
	t.Run("a CA that fails", func(t *testing.T) {
		t.Parallel()
		tf := startTerraform(t, v, "tf-5xx")
		tf.patch(t, "roles/web", map[string]any{"issue_timeout": "1s"})
		tf.fails(t, "web", func() error { return tf.applyCertificate(t, tf.provider(t), theCertificate) })
	})
}
