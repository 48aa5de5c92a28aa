// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// secretsOperator is a VaultPKISecret under Vault Secrets Operator: Reconcile of controllers/vaultpkisecret_controller.go, with the
// request of GetIssuerAPIData, in hashicorp/vault-secrets-operator.
type secretsOperator struct {
	*stand
	client *caller
	spec   map[string]any
	status struct {
		serial     string
		expiration int64
	}
	secret map[string]string // of Kubernetes
}

// pkiIssueResponse is PKICertResponse of internal/vault.
type pkiIssueResponse struct {
	CAChain        []string `json:"ca_chain"`
	Certificate    string   `json:"certificate"`
	Expiration     int64    `json:"expiration"`
	IssuingCa      string   `json:"issuing_ca"`
	PrivateKey     string   `json:"private_key"`
	PrivateKeyType string   `json:"private_key_type"`
	SerialNumber   string   `json:"serial_number"`
}

// reconcile returns how long the operator then leaves the resource alone. After an error it asks again, ever less often.
func (o *secretsOperator) reconcile(t *testing.T) (time.Duration, error) {
	t.Helper()
	offset, err := time.ParseDuration(o.spec["expiryOffset"].(string))
	require.NoError(t, err)
	renewal := o.status.serial != ""
	if renewal && !time.Now().After(time.Unix(o.status.expiration-int64(offset.Seconds()), 0)) {
		return time.Until(time.Unix(o.status.expiration, 0).Add(-offset)), nil
	}
	resp, err := o.client.send(fmt.Sprintf("%s/issue/%s", o.spec["mount"], o.spec["role"]), map[string]any{
		"common_name": o.spec["commonName"], "alt_names": "", "ip_sans": "", "uri_sans": "", "other_sans": "", "user_ids": "",
		"ttl": "", "not_after": "", "exclude_cn_from_sans": false, "remove_roots_from_chain": true,
	})
	if err != nil {
		return 0, fmt.Errorf("failed to issue certificate from Vault: %w", err)
	}
	text, err := json.Marshal(resp.Data)
	require.NoError(t, err)
	var answer pkiIssueResponse
	if err := json.Unmarshal(text, &answer); err != nil {
		return 0, fmt.Errorf("failed to unmarshal PKI response: %w", err)
	}
	if answer.SerialNumber == "" {
		return 0, errors.New("invalid Vault secret data, serial_number cannot be empty")
	}
	o.secret = map[string]string{
		"tls.crt": answer.Certificate + "\n" + strings.Join(answer.CAChain, "\n"), "tls.key": answer.PrivateKey,
	}
	if renewal && o.spec["revoke"] == true {
		o.revoke()
	}
	o.status.serial, o.status.expiration = answer.SerialNumber, answer.Expiration
	return time.Until(time.Unix(answer.Expiration, 0).Add(-offset)), nil
}

// revoke is what the operator does before it lets a resource be deleted, and after a renewal.
func (o *secretsOperator) revoke() {
	o.client.write(fmt.Sprintf("%s/revoke", o.spec["mount"]), map[string]any{"serial_number": o.status.serial})
}

// startSecretsOperator sets up what docs/guides/vault-secrets-operator.md shows.
func startSecretsOperator(t *testing.T, v *server, mount, timeout string) *secretsOperator {
	t.Helper()
	s := v.stand(t, mount, nil)
	v.run(t, guide(t, "vault-secrets-operator", "shell", "certinext/", mount+"/", "issue_timeout=55s", "issue_timeout="+timeout,
		"policy write vso", "policy write client-"+mount))
	docs := manifests(t, guide(t, "vault-secrets-operator", "yaml", "mount: certinext", "mount: "+mount))
	secret := docs[len(docs)-1]
	require.Equal(t, "VaultPKISecret", secret["kind"])
	return &secretsOperator{stand: s, client: s.approle("client-" + mount), spec: at(t, secret, "spec").(map[string]any)}
}

func TestVaultSecretsOperatorSyncsOneCertificate(t *testing.T) {
	t.Parallel()
	v := bareVault(t)
	v.write("sys/auth/approle", map[string]any{"type": "approle"})
	t.Run("a CA that answers at once", func(t *testing.T) {
		t.Parallel()
		o := startSecretsOperator(t, v, "vso-fast", "55s")
		for range 3 { // a change of the resource, or a restart of the operator, reconciles again
			after, err := o.reconcile(t)
			require.NoError(t, err)
			require.Greater(t, after, 24*time.Hour, "the operator would come back at once, for another order")
		}
		serial := o.paidOnce(t, "www.example.com")
		leaf := parseCertificate(t, o.secret["tls.crt"])
		require.Equal(t, serial, leaf.SerialNumber.Text(16))
		requireKeyOf(t, leaf, parseKey(t, o.secret["tls.key"]))
		require.Equal(t, leaf.NotAfter.Unix(), o.status.expiration)

		first := o.status.serial
		o.status.serial = "" // the secret is written, and the status is not
		_, err := o.reconcile(t)
		require.NoError(t, err)
		require.Equal(t, first, o.status.serial)
		o.paidOnce(t, "www.example.com")

		o.spec["expiryOffset"] = "1000h" // more than the certificate has: it is due
		o.patch(t, "roles/k8s", map[string]any{"reuse_window": 0})
		_, err = o.reconcile(t)
		require.NoError(t, err)
		require.NotEqual(t, first, o.status.serial)
		require.Empty(t, o.list(o.mount+"/certs/revoked"))

		// What the guide says of revoke: true, with the policy that it wants.
		second := o.status.serial
		o.spec["revoke"] = true
		require.NoError(t, o.api.Sys().PutPolicyWithContext(t.Context(), "client-"+o.mount,
			`path "`+o.mount+`/*" { capabilities = ["update"] }`))
		_, err = o.reconcile(t)
		require.NoError(t, err)
		require.Equal(t, []string{second}, o.list(o.mount+"/certs/revoked"), "revoke: true takes the one before down")
		o.revoke() // the resource is deleted
		require.Len(t, o.list(o.mount+"/certs/revoked"), 2)
		serials := strings.ReplaceAll(strings.Join([]string{first, second, o.status.serial}, " "), ":", "")
		o.paidEach(t, "www.example.com", strings.Fields(serials), 3)
	})
	t.Run("a CA that takes longer than the request", func(t *testing.T) {
		t.Parallel()
		o := startSecretsOperator(t, v, "vso-slow", "1s")
		o.slow()
		_, err := o.reconcile(t)
		require.ErrorContains(t, err, "is not finished")
		require.True(t, isRefusal(err), "%v", err)
		o.client = o.login("client-" + o.mount) // the operator has started again
		waitUntil(t, 30*time.Second, "the resource is valid", func() bool {
			_, err = o.reconcile(t)
			return err == nil
		})
		o.paidOnce(t, "www.example.com")
	})
	t.Run("a CA that refuses", func(t *testing.T) {
		t.Parallel()
		o := startSecretsOperator(t, v, "vso-failing", "1s")
		o.refuses(t, "k8s", func() error {
			_, err := o.reconcile(t)
			return err
		})
	})
	t.Run("a CA that fails", func(t *testing.T) {
		t.Parallel()
		o := startSecretsOperator(t, v, "vso-5xx", "1s")
		o.fails(t, "k8s", func() error {
			_, err := o.reconcile(t)
			return err
		})
	})
}
