// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/helper/certutil"
	"github.com/stretchr/testify/require"
)

// certManager is cert-manager's Vault issuer: Sign of internal/vault/vault.go in cert-manager/cert-manager.
type certManager struct {
	*stand
	approle string // it logs in for each request anew
	path    string // spec.vault.path of the issuer
}

// sign returns the chain, the leaf first, as it would be stored in tls.crt.
func (m *certManager) sign(t *testing.T, csrPEM string) ([]*x509.Certificate, error) {
	t.Helper()
	block, _ := pem.Decode([]byte(csrPEM))
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	require.NoError(t, err)
	client := m.login(m.approle).api
	request := client.NewRequest(http.MethodPost, path.Join("/v1", m.path))
	require.NoError(t, request.SetJSONBody(map[string]string{
		"common_name": csr.Subject.CommonName, "alt_names": strings.Join(csr.DNSNames, ","), "ip_sans": "", "uri_sans": "",
		"ttl": (90 * 24 * time.Hour).String(), "csr": csrPEM, "exclude_cn_from_sans": "true",
	}))
	resp, err := client.RawRequestWithContext(t.Context(), request) //nolint:staticcheck // as cert-manager does
	if err != nil {
		return nil, fmt.Errorf("failed to sign certificate by vault: %w", err)
	}
	defer resp.Body.Close()
	var answer certutil.Secret
	if err := resp.DecodeJSON(&answer); err != nil {
		return nil, fmt.Errorf("failed to decode response returned by vault: %w", err)
	}
	parsed, err := certutil.ParsePKIMap(answer.Data)
	if err != nil {
		return nil, fmt.Errorf("failed to decode response returned by vault: %w", err)
	}
	bundle, err := parsed.ToCertBundle()
	if err != nil {
		return nil, fmt.Errorf("unable to convert certificate bundle to PEM bundle: %w", err)
	}
	return singleChain(t, strings.Join(append(bundle.CAChain, bundle.IssuingCA, bundle.Certificate), "\n"))
}

// singleChain is ParseSingleCertificateChainPEM of pkg/util/pki: whatever came has to be one chain, without anything beside it.
func singleChain(t *testing.T, pems string) ([]*x509.Certificate, error) {
	t.Helper()
	var chains [][]*x509.Certificate
	seen := map[string]bool{}
	for block, rest := pem.Decode([]byte(pems)); block != nil; block, rest = pem.Decode(rest) {
		c, err := x509.ParseCertificate(block.Bytes)
		require.NoError(t, err)
		if !seen[string(c.Raw)] {
			seen[string(c.Raw)] = true
			chains = append(chains, []*x509.Certificate{c})
		}
	}
	for len(chains) > 1 {
		upper, lower := joint(chains)
		if upper < 0 {
			return nil, errors.New("certificate chain is malformed or broken")
		}
		chains[lower] = append(chains[lower], chains[upper]...)
		chains = append(chains[:upper], chains[upper+1:]...)
	}
	return chains[0], nil
}

// joint finds a chain whose first certificate issued the last of another; negative when there is none.
func joint(chains [][]*x509.Certificate) (upper, lower int) {
	for l, below := range chains {
		for u, above := range chains {
			if l != u && below[len(below)-1].CheckSignatureFrom(above[0]) == nil {
				return u, l
			}
		}
	}
	return -1, -1
}

// startCertManager sets up what docs/guides/cert-manager.md shows.
func startCertManager(t *testing.T, v *server, mount, timeout string) *certManager {
	t.Helper()
	s := v.stand(t, mount, nil)
	setUp := guide(t, "cert-manager", "shell", "certinext/", mount+"/", "issue_timeout=55s", "issue_timeout="+timeout, "cert-manager", mount)
	v.run(t, strings.ReplaceAll(setUp, "vault auth enable approle", "true"))
	docs := manifests(t, guide(t, "cert-manager", "yaml", "certinext/", mount+"/"))
	require.Equal(t, "www.example.com", at(t, docs[1], "spec", "commonName"))
	require.Equal(t, []any{"www.example.com"}, at(t, docs[1], "spec", "dnsNames"))
	require.Equal(t, "Never", at(t, docs[1], "spec", "privateKey", "rotationPolicy"))
	return &certManager{stand: s, approle: mount, path: at(t, docs[0], "spec", "vault", "path").(string)}
}

func TestCertManagerSignsWithOneOrder(t *testing.T) {
	t.Parallel()
	v := bareVault(t)
	v.write("sys/auth/approle", map[string]any{"type": "approle"})
	t.Run("a CA that answers at once", func(t *testing.T) {
		t.Parallel()
		m := startCertManager(t, v, "cm-fast", "55s")
		key, csr := newCSR(t, "www.example.com")
		chain, err := m.sign(t, csr)
		require.NoError(t, err)
		requireKeyOf(t, chain[0], key)
		require.Greater(t, len(chain), 1)
		m.paidOnce(t, "www.example.com")

		// Many Certificate resources have dnsNames and no commonName.
		_, csr = csrOf(t, &x509.CertificateRequest{DNSNames: []string{"nameless.example.com"}})
		_, err = m.sign(t, csr)
		require.ErrorContains(t, err, "csr: has no common name")
		require.Len(t, m.ca.Orders(), 1)
	})
	t.Run("an answer that does not arrive, and a renewal", func(t *testing.T) {
		t.Parallel()
		m := startCertManager(t, v, "cm-renews", "55s")
		key, csr := newCSR(t, "www.example.com")
		for range 2 {
			_, err := m.sign(t, csr)
			require.NoError(t, err)
		}
		m.paidOnce(t, "www.example.com")

		m.patch(t, "roles/k8s", map[string]any{"reuse_window": 0}) // it is over by the time of a renewal
		chain, err := m.sign(t, resigned(t, key, csr))
		require.NoError(t, err)
		requireKeyOf(t, chain[0], key)
		m.paidEach(t, "www.example.com", m.ca.paid("www.example.com"), 2)

		// Where CERTInext wants a new key, that is what rotationPolicy has to make.
		m.ca.Configure(func(ca *certinexttest.Server) { ca.NewKeysOnly = true })
		_, err = m.sign(t, resigned(t, key, csr))
		require.ErrorContains(t, err, "EMS-1099")
		require.ErrorContains(t, err, "rotationPolicy: Always")
		_, csr = newCSR(t, "www.example.com")
		_, err = m.sign(t, csr)
		require.NoError(t, err)
		m.paidEach(t, "www.example.com", m.ca.paid("www.example.com"), 3)
	})
	t.Run("a CA that takes longer than the request", func(t *testing.T) {
		t.Parallel()
		m := startCertManager(t, v, "cm-slow", "1s")
		m.slow()
		key, csr := newCSR(t, "www.example.com")
		_, err := m.sign(t, csr)
		require.ErrorContains(t, err, "is not finished")
		require.True(t, isRefusal(err), "%v", err)
		var chain []*x509.Certificate
		waitUntil(t, 30*time.Second, "the same CSR is signed", func() bool {
			chain, err = m.sign(t, csr)
			return err == nil
		})
		requireKeyOf(t, chain[0], key)
		m.paidOnce(t, "www.example.com")
	})
	t.Run("the next CertificateRequest of the same key", func(t *testing.T) {
		t.Parallel()
		m := startCertManager(t, v, "cm-again", "1s")
		m.slow()
		key, csr := newCSR(t, "www.example.com")
		_, err := m.sign(t, csr)
		require.ErrorContains(t, err, "is not finished")
		// With rotationPolicy Never each CertificateRequest has a CSR of its own, for one key.
		var chain []*x509.Certificate
		waitUntil(t, 30*time.Second, "another CSR of the same key is signed", func() bool {
			chain, err = m.sign(t, resigned(t, key, csr))
			return err == nil
		})
		requireKeyOf(t, chain[0], key)
		m.paidOnce(t, "www.example.com")
	})
	t.Run("the next CertificateRequest of another key", func(t *testing.T) {
		t.Parallel()
		m := startCertManager(t, v, "cm-rotates", "1s")
		m.patch(t, "roles/k8s", map[string]any{"rekey_orders": true})
		m.slow()
		_, csr := newCSR(t, "www.example.com")
		_, err := m.sign(t, csr)
		require.ErrorContains(t, err, "is not finished")
		// With rotationPolicy Always the key before is gone.
		key, csr := newCSR(t, "www.example.com")
		var chain []*x509.Certificate
		waitUntil(t, 30*time.Second, "the CSR of another key is signed", func() bool {
			chain, err = m.sign(t, csr)
			return err == nil
		})
		requireKeyOf(t, chain[0], key)
		require.Equal(t, 1, m.ca.onlyOrder(t).Creates)
	})
	t.Run("a CA that refuses", func(t *testing.T) {
		t.Parallel()
		m := startCertManager(t, v, "cm-failing", "1s")
		_, csr := newCSR(t, "www.example.com")
		m.refuses(t, "k8s", func() error {
			_, err := m.sign(t, csr)
			return err
		})
	})
	t.Run("a CA that fails", func(t *testing.T) {
		t.Parallel()
		m := startCertManager(t, v, "cm-5xx", "1s")
		_, csr := newCSR(t, "www.example.com")
		m.fails(t, "k8s", func() error {
			_, err := m.sign(t, csr)
			return err
		})
	})
}

// resigned is a CSR with the key and names of another one. An ECDSA signature is never the same twice.
func resigned(t *testing.T, key *ecdsa.PrivateKey, csrPEM string) string {
	t.Helper()
	block, _ := pem.Decode([]byte(csrPEM))
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	require.NoError(t, err)
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: csr.Subject.CommonName}, DNSNames: csr.DNSNames,
	}, key)
	require.NoError(t, err)
	again := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
	require.NotEqual(t, csrPEM, again)
	return again
}
