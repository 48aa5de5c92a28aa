// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ocsp"
)

// An authority is a simulated CA in this process, on a loopback port.
type authority struct {
	*certinexttest.Server
	url string

	mu     sync.Mutex
	vaults []*server // whose logs must not tell the account's secrets
}

func newAuthority(t *testing.T, s *certinexttest.Server) *authority {
	t.Helper()
	if s.CertificateLifetime == 0 {
		s.CertificateLifetime = 30 * 24 * time.Hour // shorter than a lease of a mount that nobody has tuned
	}
	ca := &authority{Server: s}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
			ca.sawToken(token)
		}
		s.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	ca.url = srv.URL
	return ca
}

func (ca *authority) sawToken(token string) {
	ca.mu.Lock()
	defer ca.mu.Unlock()
	for _, v := range ca.vaults {
		v.keep("a token of the CA", token)
	}
}

// keepSecrets makes v look for the credentials of the account.
func (ca *authority) keepSecrets(v *server) {
	ca.mu.Lock()
	defer ca.mu.Unlock()
	ca.vaults = append(ca.vaults, v)
	v.keep("the client secret", certinexttest.DefaultClientSecret)
	v.keep("the access key", certinexttest.DefaultAccessKey)
	v.keep("the consent token", certinexttest.DefaultConsentToken)
}

// allDialects are those of the API: version 2 as it runs and as it is documented, and version 1.
var allDialects = []certinexttest.Dialect{certinexttest.Live, certinexttest.Documented, certinexttest.V1}

// account is a config that the CA accepts.
func (ca *authority) account() map[string]any {
	return account(ca.url, ca.Dialect)
}

func account(url string, dialect certinexttest.Dialect) map[string]any {
	config := map[string]any{
		"base_url": url, "requestor_name": "Platform Team", "requestor_email": "platform@example.com",
		"requestor_phone": "+14155550123", "signer_name": "Platform Team", "signer_place": "Bengaluru",
		"signer_ip": "203.0.113.7", "technical_contact_name": "Platform Team",
		"technical_contact_email": "platform@example.com", "technical_contact_phone": "+14155550123",
	}
	switch dialect {
	case certinexttest.Documented:
		config["account_number"] = certinexttest.DefaultAccountNumber
		config["access_key"] = certinexttest.DefaultAccessKey
		config["trust_idempotency_key"] = true // the documented API promises what the live one does not
	case certinexttest.V1:
		config["api_version"] = "v1"
		config["account_number"] = certinexttest.DefaultAccountNumber
		config["access_key"] = certinexttest.DefaultAccessKey
		config["organization_number"] = certinexttest.DefaultOrganization // whose validated domains count
	default:
		config["client_id"] = certinexttest.DefaultAccountNumber
		config["client_secret"] = certinexttest.DefaultClientSecret
	}
	return config
}

// ordersFor returns the orders that the CA holds for a domain.
func (ca *authority) ordersFor(domain string) []certinexttest.OrderRecord {
	var out []certinexttest.OrderRecord
	for _, o := range ca.Orders() {
		if o.Domain == domain {
			out = append(out, o)
		}
	}
	return out
}

// onlyOrder returns the one order that the CA holds.
func (ca *authority) onlyOrder(t *testing.T) certinexttest.OrderRecord {
	t.Helper()
	orders := ca.Orders()
	if len(orders) != 1 {
		require.FailNow(t, "the CA holds another number of orders", "%d", len(orders))
	}
	return orders[0]
}

// check requires that an answer holds a certificate under the CA's root, in PEM, with its chain and key, and returns it.
func (ca *authority) check(t *testing.T, resp *api.Secret) *x509.Certificate {
	t.Helper()
	leaf := ca.checkChain(t, resp)
	key := parseKey(t, text(t, resp.Data["private_key"]))
	requireKeyOf(t, leaf, key)
	return leaf
}

// checkChain is check for an answer without a key.
func (ca *authority) checkChain(t *testing.T, resp *api.Secret) *x509.Certificate {
	t.Helper()
	return checkChain(t, resp, ca.Roots())
}

func checkChain(t *testing.T, resp *api.Secret, roots *x509.CertPool) *x509.Certificate {
	t.Helper()
	return checkChainAt(t, resp, roots, time.Now())
}

// checkChainAt is checkChain by another clock.
func checkChainAt(t *testing.T, resp *api.Secret, roots *x509.CertPool, now time.Time) *x509.Certificate {
	t.Helper()
	leaf := parseCertificate(t, text(t, resp.Data["certificate"]))
	chain := texts(resp.Data["ca_chain"])
	require.NotEmpty(t, chain)
	require.Equal(t, chain[0], resp.Data["issuing_ca"])
	verifyAt(t, leaf, chain, roots, now)
	require.Equal(t, leaf.NotAfter.Unix(), number(t, resp.Data["expiration"]))
	return leaf
}

// verify requires that the chain leads from leaf to one of the roots, each link signing the one before it.
func verify(t *testing.T, leaf *x509.Certificate, chain []string, roots *x509.CertPool) {
	t.Helper()
	verifyAt(t, leaf, chain, roots, time.Now())
}

func verifyAt(t *testing.T, leaf *x509.Certificate, chain []string, roots *x509.CertPool, now time.Time) {
	t.Helper()
	pool, below := x509.NewCertPool(), leaf
	for _, c := range chain {
		up := parseCertificate(t, c)
		require.NoError(t, below.CheckSignatureFrom(up), "the chain is out of order")
		pool.AddCert(up)
		below = up
	}
	usage := x509.ExtKeyUsageServerAuth
	if len(leaf.EmailAddresses) > 0 {
		usage = x509.ExtKeyUsageAny // of a person, whose test tells the usage
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: pool, KeyUsages: []x509.ExtKeyUsage{usage}, CurrentTime: now})
	require.NoError(t, err)
}

func requireKeyOf(t *testing.T, leaf *x509.Certificate, key crypto.Signer) {
	t.Helper()
	public, ok := leaf.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	require.True(t, ok)
	require.True(t, public.Equal(key.Public()), "the key is not the certificate's")
}

func parseCertificate(t *testing.T, text string) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode([]byte(text))
	require.NotNil(t, block, "not PEM: %q", text)
	require.Equal(t, "CERTIFICATE", block.Type)
	c, err := x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	return c
}

// parseKey reads a key in any of the PEM forms.
func parseKey(t *testing.T, text string) crypto.Signer {
	t.Helper()
	block, _ := pem.Decode([]byte(text))
	require.NotNil(t, block, "the key is not PEM")
	return parseDERKey(t, block.Bytes)
}

func parseDERKey(t *testing.T, der []byte) crypto.Signer {
	t.Helper()
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	require.NoError(t, err, "no known form of a key")
	return key.(crypto.Signer)
}

// ocspStatus asks the responder that the certificate itself names.
func ocspStatus(t *testing.T, leaf *x509.Certificate, issuerPEM string) int {
	t.Helper()
	issuer := parseCertificate(t, issuerPEM)
	der, err := ocsp.CreateRequest(leaf, issuer, nil)
	require.NoError(t, err)
	require.NotEmpty(t, leaf.OCSPServer)
	resp, err := http.Post(leaf.OCSPServer[0], "application/ocsp-request", bytes.NewReader(der))
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	answer, err := ocsp.ParseResponseForCert(body, leaf, issuer)
	require.NoError(t, err)
	return answer.Status
}
