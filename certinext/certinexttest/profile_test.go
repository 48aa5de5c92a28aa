// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"crypto"
	"crypto/x509"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	zx509 "github.com/zmap/zcrypto/x509"
	"github.com/zmap/zlint/v3"
	"github.com/zmap/zlint/v3/lint"
	"golang.org/x/crypto/ocsp"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// findings are the lints that cert does not pass, by name.
func findings(t *testing.T, cert *x509.Certificate) map[string]lint.LintStatus {
	t.Helper()
	parsed, err := zx509.ParseCertificate(cert.Raw)
	require.NoError(t, err)
	found := make(map[string]lint.LintStatus)
	for name, result := range zlint.LintCertificate(parsed).Results {
		if result.Status >= lint.Warn {
			found[name] = result.Status
		}
	}
	return found
}

// explained are warnings about what is so on purpose.
var explained = map[string]string{
	"w_ext_subject_key_identifier_not_recommended_subscriber": "CERTInext's own certificates have one",
	"w_subject_common_name_included":                          "the API makes the first name the common name",
	"w_sub_cert_aia_contains_internal_names":                  "the test's server is called ca.test",
	"w_smime_aia_contains_internal_names":                     "the test's server is called ca.test",
}

// requirePasses fails for each lint that cert does not pass and nobody explained. What cannot hold
// for its kind is named with why.
func requirePasses(t *testing.T, cert *x509.Certificate, not ...map[string]string) {
	t.Helper()
	for name, status := range findings(t, cert) {
		excused := status == lint.Warn && explained[name] != ""
		for _, reasons := range not {
			excused = excused || reasons[name] != ""
		}
		if !excused {
			t.Errorf("%s: %s %s", cert.Subject, status, name)
		}
	}
}

// bought is a certificate of an SSL product.
func (r *rig) bought(product string, body m, names ...string) *x509.Certificate {
	r.t.Helper()
	id := r.order(merge(body, m{"csr": csr(r.t, newKey(r.t), names...)}), "X-Product-Code", product)
	r.post(sslPath+"/"+id+"/agreement", m{"agreement": body["agreement"]}).must(204)
	return r.certificate(id)
}

func TestCertificatesOfEachProductPassZLint(t *testing.T) {
	www, wildcard := "www.example.com", "*.example.com"
	two := m{"domain": www, "autoSecureWww": false, "additionalDomains": []string{"api.example.com"}}
	for name, c := range map[string]struct {
		product string
		body    m
		names   []string
		policy  string
	}{
		"DV":          {"842", dvOrder(www), []string{www}, "2.23.140.1.2.1"},
		"DV wildcard": {"843", merge(dvOrder(wildcard), m{"productVariant": "dv"}), []string{wildcard}, "2.23.140.1.2.1"},
		"DV UCC":      {"844", merge(dvOrder(www), m{"productVariant": "dv", "certificate": two}), []string{www, "api.example.com"}, "2.23.140.1.2.1"},
		"OV":          {"846", ovOrder(www), []string{www}, "2.23.140.1.2.2"},
		"OV wildcard": {"847", merge(ovOrder(wildcard), m{"productVariant": "ov"}), []string{wildcard}, "2.23.140.1.2.2"},
		"EV":          {"850", merge(ovOrder(www), m{"productVariant": "ev"}), []string{www}, "2.23.140.1.1"},
		"EV UCC":      {"851", merge(ovOrder(www), m{"productVariant": "ev", "certificate": two}), []string{www, "api.example.com"}, "2.23.140.1.1"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, verified(certinexttest.Documented))
			cert := r.bought(c.product, c.body, c.names...)
			require.Equal(t, c.policy, cert.Policies[0].String())
			issuer := r.issuerOf(cert)
			root := r.issuerOf(issuer)
			require.Equal(t, root.RawSubject, root.RawIssuer)
			for _, one := range []*x509.Certificate{cert, issuer, root} {
				requirePasses(t, one)
			}
			require.NoError(t, cert.CheckSignatureFrom(issuer))
			require.NoError(t, issuer.CheckSignatureFrom(root))
			require.Equal(t, ocsp.Good, r.ocsp(issuer, root, http.MethodGet, crypto.SHA1).Status)
			list, err := x509.ParseRevocationList(r.fetch(issuer.CRLDistributionPoints[0]))
			require.NoError(t, err)
			require.NoError(t, list.CheckSignatureFrom(root))
		})
	}
}

// A CA answers for what it has signed itself, not for what those below it have.
func TestOCSPKnowsWhoSigned(t *testing.T) {
	r := newRig(t, verified(certinexttest.Documented))
	id, _ := r.issued("www.example.com")
	cert := r.certificate(id)
	issuer := r.issuerOf(cert)
	root := r.issuerOf(issuer)
	ask := func(cert, issuer *x509.Certificate) int {
		return r.ocsp(cert, issuer, http.MethodPost, crypto.SHA256).Status
	}
	require.Equal(t, ocsp.Good, ask(cert, issuer))
	require.Equal(t, ocsp.Good, ask(issuer, root))
	require.Equal(t, ocsp.Unknown, ask(cert, root))
	require.Equal(t, ocsp.Unknown, ask(issuer, issuer))
}

// A URL in a certificate is the one that the server was told, up to the root.
func TestIssuersNameTheBaseURL(t *testing.T) {
	srv := verified(certinexttest.Documented)
	srv.BaseURL = "https://ca.example.net"
	r := newRig(t, srv)
	id, _ := r.issued("www.example.com")
	issuer, err := x509.ParseCertificate(r.fetch(r.base + "/ca/public.cer"))
	require.NoError(t, err)
	require.Equal(t, []string{"https://ca.example.net/ca/public.cer"}, r.certificate(id).IssuingCertificateURL)
	require.Equal(t, []string{"https://ca.example.net/ca/public-root.cer"}, issuer.IssuingCertificateURL)
}

func TestOCSPIsAnsweredByADelegate(t *testing.T) {
	r := newRig(t, verified(certinexttest.Documented))
	id, _ := r.issued("www.example.com")
	cert := r.certificate(id)
	issuer := r.issuerOf(cert)
	responder := r.ocsp(cert, issuer, http.MethodGet, crypto.SHA1).Certificate
	require.NotNil(t, responder)
	require.NoError(t, responder.CheckSignatureFrom(issuer))
	require.Equal(t, []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}, responder.ExtKeyUsage)
	require.LessOrEqual(t, responder.NotAfter.Sub(responder.NotBefore), 8*24*time.Hour)
	requirePasses(t, responder)
}
