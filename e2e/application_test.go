// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/stretchr/testify/require"
)

func TestAnApplicationGetsLooksUpAndRevokesItsCertificate(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}})
	v := startVault(t)
	require.Empty(t, v.unauthenticated("certinext/ca_chain", http.StatusNoContent), "nothing has been issued yet")
	v.configure(ca)

	resp := v.write("certinext/issue/web", map[string]any{"common_name": "www.example.com"})
	leaf := ca.check(t, resp)
	require.Equal(t, "www.example.com", leaf.Subject.CommonName)
	require.Equal(t, []string{"www.example.com"}, leaf.DNSNames)
	require.Equal(t, "ec", resp.Data["private_key_type"])
	require.True(t, strings.HasPrefix(resp.LeaseID, "certinext/issue/web/"), "the lease is %q", resp.LeaseID)
	require.True(t, resp.Renewable)
	require.Empty(t, resp.Warnings)

	serial := text(t, resp.Data["serial_number"])
	for _, form := range []string{serial, strings.ReplaceAll(serial, ":", "-")} {
		stored := v.read("certinext/cert/" + form)
		require.Equal(t, resp.Data["certificate"], stored["certificate"])
		require.Equal(t, strings.Join(texts(resp.Data["ca_chain"]), "\n"), stored["ca_chain"])
		require.Equal(t, "web", stored["role"])
		require.EqualValues(t, 0, number(t, stored["revocation_time"]))
		require.NotContains(t, stored, "private_key")
	}
	require.Equal(t, []string{serial}, v.list("certinext/certs"))
	require.Empty(t, v.list("certinext/certs/revoked"))

	chain := texts(resp.Data["ca_chain"])
	require.Equal(t, strings.Join(chain, "\n"), v.unauthenticated("certinext/ca_chain", http.StatusOK))
	require.Equal(t, chain[0], v.unauthenticated("certinext/ca/pem", http.StatusOK))
	require.Equal(t, string(parseCertificate(t, chain[0]).Raw), v.unauthenticated("certinext/ca", http.StatusOK))
	for _, path := range []string{"cert/ca", "cert/ca_chain", "issuer/default/json", "issuer/default/pem"} {
		require.Contains(t, v.unauthenticated("certinext/"+path, http.StatusOK), "BEGIN CERTIFICATE", path)
	}
	require.Contains(t, v.unauthenticated("certinext/issuers?list=true", http.StatusOK), "is_default")
	for _, path := range []string{"cert/" + serial, "issuer/default", "issuer/default/crl", "tidy-status", "config/acme", "certs?list=true"} {
		v.unauthenticated("certinext/"+path, http.StatusForbidden)
	}

	revoked := v.write("certinext/revoke", map[string]any{"serial_number": serial, "reason": "superseded"}).Data
	require.Equal(t, "revoked", revoked["state"])
	require.Positive(t, number(t, revoked["revocation_time"]))
	require.Equal(t, []string{serial}, v.list("certinext/certs/revoked"))
	require.Equal(t, revoked["revocation_time"], v.read("certinext/cert/" + serial)["revocation_time"])
	require.Equal(t, "superseded", ca.onlyOrder(t).RevokeReason)
	again := v.write("certinext/revoke", map[string]any{"serial_number": serial}).Data
	require.Equal(t, revoked["revocation_time"], again["revocation_time"], "revoking twice changes nothing")
}

// unauthenticated reads a path without a token and returns the body.
func (v *server) unauthenticated(path string, status int) string {
	v.t.Helper()
	resp, err := http.Get(v.address + "/v1/" + path)
	require.NoError(v.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(v.t, err)
	require.Equal(v.t, status, resp.StatusCode, "%s: %s", path, body)
	return string(body)
}

func TestAnswersComeInTheFormsOfVaultsPKIEngine(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}})
	v := startVault(t)
	v.configure(ca)
	v.role("rsa", map[string]any{"key_type": "rsa", "key_bits": 2048, "generate_lease": false})

	t.Run("der", func(t *testing.T) {
		data := v.write("certinext/issue/web", map[string]any{"common_name": "der.example.com", "format": "der"}).Data
		leaf, err := x509.ParseCertificate(unbase64(t, data["certificate"]))
		require.NoError(t, err)
		requireKeyOf(t, leaf, parseDERKey(t, unbase64(t, data["private_key"])))
		issuer, err := x509.ParseCertificate(unbase64(t, data["issuing_ca"]))
		require.NoError(t, err)
		require.NoError(t, leaf.CheckSignatureFrom(issuer))
	})
	t.Run("pem_bundle", func(t *testing.T) {
		data := v.write("certinext/issue/web", map[string]any{"common_name": "bundle.example.com", "format": "pem_bundle"}).Data
		bundle := text(t, data["certificate"])
		v.keep("a private key", bundle[:strings.Index(bundle, "-----BEGIN CERTIFICATE")])
		var kinds []string
		for rest := []byte(bundle); ; {
			block, next := pem.Decode(rest)
			if block == nil {
				break
			}
			kinds, rest = append(kinds, block.Type), next
		}
		require.Equal(t, []string{"EC PRIVATE KEY", "CERTIFICATE", "CERTIFICATE", "CERTIFICATE"}, kinds)
		require.Contains(t, bundle, text(t, data["issuing_ca"]))
	})
	t.Run("pkcs8", func(t *testing.T) {
		resp := v.write("certinext/issue/rsa", map[string]any{"common_name": "pkcs8.example.com", "private_key_format": "pkcs8"})
		require.Contains(t, resp.Data["private_key"], "-----BEGIN PRIVATE KEY-----")
		require.Equal(t, "rsa", resp.Data["private_key_type"])
		require.Empty(t, resp.LeaseID)
		ca.check(t, resp)
	})
	t.Run("what Terraform's provider sends", func(t *testing.T) {
		resp := v.write("certinext/issue/web", map[string]any{
			"common_name": "tf.example.com", "format": "pem", "private_key_format": "der", "alt_names": "", "ip_sans": "",
			"uri_sans": "", "other_sans": "", "exclude_cn_from_sans": false, "remove_roots_from_chain": true, "not_after": "",
			"ttl": "",
		})
		ca.check(t, resp)
		for _, c := range texts(resp.Data["ca_chain"]) {
			up := parseCertificate(t, c)
			require.NotEqual(t, up.Subject.String(), up.Issuer.String(), "a root is in the chain")
		}
	})
	t.Run("what the Ansible module sends", func(t *testing.T) {
		ca.check(t, v.write("certinext/issue/web", map[string]any{
			"common_name": "ansible.example.com", "format": "pem", "private_key_format": "der", "alt_names": "",
			"ip_sans": "", "uri_sans": "", "other_sans": "", "exclude_cn_from_sans": false, "ttl": nil,
		}))
	})
	t.Run("what cert-manager sends", func(t *testing.T) {
		key, csr := newCSR(t, "cm.example.com")
		resp := v.write("certinext/sign/web", map[string]any{
			"csr": csr, "common_name": "cm.example.com", "alt_names": "cm.example.com", "ip_sans": "", "uri_sans": "",
			"ttl": "2160h0m0s", "exclude_cn_from_sans": "true",
		})
		requireKeyOf(t, ca.checkChain(t, resp), key)
		require.NotContains(t, resp.Data, "private_key")
		require.NotContains(t, resp.Data, "private_key_type")
	})
}

func unbase64(t *testing.T, v any) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(text(t, v))
	require.NoError(t, err)
	return b
}

// newCSR makes a key, and a CSR in which the first name is the common name.
func newCSR(t *testing.T, names ...string) (key *ecdsa.PrivateKey, csr string) {
	t.Helper()
	return csrOf(t, &x509.CertificateRequest{Subject: pkix.Name{CommonName: names[0]}, DNSNames: names})
}

// csrOf makes a key, and a CSR for it.
func csrOf(t *testing.T, template *x509.CertificateRequest) (key *ecdsa.PrivateKey, csr string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	require.NoError(t, err)
	return key, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

// The documented edition has another kind of credential, other ids and other spellings; to the application it is the same.
func TestAnAccessKeyAccountIssuesAndRevokesToo(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, &certinexttest.Server{Dialect: certinexttest.Documented, VerifiedDomains: []string{"example.com"}})
	v := startVault(t)
	v.configure(ca)
	check := v.read("certinext/config/check")
	require.Equal(t, true, check["ok"], "%v", check["problems"])
	require.Contains(t, check["products"], "842")

	resp := v.write("certinext/issue/web", map[string]any{"common_name": "www.example.com"})
	ca.check(t, resp)
	require.True(t, strings.HasPrefix(ca.onlyOrder(t).ID, "ord_"))
	require.Equal(t, ca.onlyOrder(t).ID, resp.Data["ca_order_id"])

	v.endLease(resp)
	require.Equal(t, "revoked", ca.onlyOrder(t).Status)
	require.Equal(t, "cessationOfOperation", ca.onlyOrder(t).RevokeReason)

	key, csr := newCSR(t, "signed.example.com")
	signed := v.write("certinext/sign/web", map[string]any{"csr": csr})
	requireKeyOf(t, ca.checkChain(t, signed), key)
	revoked := v.write("certinext/revoke/web", map[string]any{"certificate": signed.Data["certificate"], "reason": "key-compromise"})
	require.Equal(t, "revoked", revoked.Data["state"])
	require.Equal(t, "keyCompromise", ca.ordersFor("signed.example.com")[0].RevokeReason)
}
