// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"
)

// ansible is the module vault_pki_generate_certificate: run_module of plugins/modules/vault_pki_generate_certificate.py in
// ansible-collections/community.hashi_vault, above generate_certificate of hvac/api/secrets_engines/pki.py.
type ansible struct {
	*stand
	task map[string]any // the module's parameters
}

// generate runs the task once. The module returns the answer as it came.
func (a *ansible) generate(t *testing.T) (answer map[string]any, err error) {
	t.Helper()
	body, err := json.Marshal(map[string]any{
		"common_name": a.task["common_name"], "alt_names": "", "ip_sans": "", "uri_sans": "", "other_sans": "", "ttl": nil,
		"format": "pem", "private_key_format": "der", "exclude_cn_from_sans": false,
	})
	require.NoError(t, err)
	url := fmt.Sprintf("%s/v1/%s/issue/%s", a.server.address, a.task["engine_mount_point"], a.task["role_name"])
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("X-Vault-Token", a.login("client-"+a.mount).api.Token())
	request.Header.Set("X-Vault-Request", "true")
	resp, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&answer))
	if resp.StatusCode != http.StatusOK {
		return nil, &api.ResponseError{StatusCode: resp.StatusCode, Errors: texts(answer["errors"])} // an exception of hvac's
	}
	if data, ok := answer["data"].(map[string]any); ok {
		a.server.keep("a private key", text(t, data["private_key"]))
	}
	return answer, nil
}

// startAnsible sets up what docs/guides/ansible.md shows.
func startAnsible(t *testing.T, v *server, mount, timeout string) *ansible {
	t.Helper()
	s := v.stand(t, mount, nil)
	v.run(t, guide(t, "ansible", "shell", "certinext/", mount+"/", "issue_timeout=55s", "issue_timeout="+timeout,
		"policy write ansible", "policy write client-"+mount, "vault auth enable approle", "true",
		"role/ansible token_policies=ansible", "role/client-"+mount+" token_policies=client-"+mount))
	tasks := guide(t, "ansible", "yaml", "engine_mount_point: certinext", "engine_mount_point: "+mount)
	play := manifests(t, "play:\n"+strings.ReplaceAll("\n"+tasks, "\n", "\n  "))[0]["play"].([]any)[0].(map[string]any)
	var task map[string]any
	for _, each := range play["tasks"].([]any) {
		if module, ok := each.(map[string]any)["community.hashi_vault.vault_pki_generate_certificate"].(map[string]any); ok {
			task = module
		}
	}
	require.NotNil(t, task)
	return &ansible{stand: s, task: task}
}

func TestAnsibleGeneratesOneCertificateATask(t *testing.T) {
	t.Parallel()
	v := bareVault(t)
	v.write("sys/auth/approle", map[string]any{"type": "approle"})
	t.Run("a CA that answers at once", func(t *testing.T) {
		t.Parallel()
		a := startAnsible(t, v, "ansible-fast", "55s")
		answer, err := a.generate(t)
		require.NoError(t, err)
		data := answer["data"].(map[string]any)
		for _, field := range []string{"certificate", "issuing_ca", "private_key", "private_key_type", "serial_number"} {
			require.NotEmpty(t, text(t, data[field]), field)
		}
		require.NotEmpty(t, texts(data["ca_chain"]))
		require.IsType(t, 0.0, data["expiration"])
		requireKeyOf(t, parseCertificate(t, data["certificate"].(string)), parseKey(t, data["private_key"].(string)))
		require.Empty(t, answer["lease_id"])
		a.paidOnce(t, "www.example.com")
	})
	t.Run("a CA that takes longer than the request", func(t *testing.T) {
		t.Parallel()
		a := startAnsible(t, v, "ansible-slow", "1s")
		a.slow()
		_, err := a.generate(t)
		require.ErrorContains(t, err, "is not finished")
		require.True(t, isRefusal(err), "%v", err)
		waitUntil(t, 30*time.Second, "until: result is succeeded", func() bool {
			_, err = a.generate(t)
			return err == nil
		})
		a.paidOnce(t, "www.example.com")
	})
	t.Run("a CA that refuses", func(t *testing.T) {
		t.Parallel()
		a := startAnsible(t, v, "ansible-failing", "1s")
		a.refuses(t, "hosts", func() error {
			_, err := a.generate(t)
			return err
		})
	})
	t.Run("a CA that fails", func(t *testing.T) {
		t.Parallel()
		a := startAnsible(t, v, "ansible-5xx", "1s")
		a.fails(t, "hosts", func() error {
			_, err := a.generate(t)
			return err
		})
	})
}
