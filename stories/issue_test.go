// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/helper/certutil"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/smallstep/pkcs7"
	"github.com/stretchr/testify/require"
)

// dialects runs a test in all dialects of the API, on a clock that does not wait.
func dialects(t *testing.T, run func(t *testing.T, dialect certinexttest.Dialect)) {
	t.Helper()
	in(t, []certinexttest.Dialect{certinexttest.Live, certinexttest.Documented, certinexttest.V1}, run)
}

// version2 is dialects for what version 1 cannot do or does not tell.
func version2(t *testing.T, run func(t *testing.T, dialect certinexttest.Dialect)) {
	t.Helper()
	in(t, []certinexttest.Dialect{certinexttest.Live, certinexttest.Documented}, run)
}

func in(t *testing.T, dialects []certinexttest.Dialect, run func(t *testing.T, dialect certinexttest.Dialect)) {
	t.Helper()
	for _, d := range dialects {
		t.Run(d.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { run(t, d) })
		})
	}
}

// chooseProfile completes a private PKI role: version 2 asks for a profile, and version 1 has no place for one.
func (m *mount) chooseProfile(role string) {
	m.t.Helper()
	profile := map[string]any{"ca_profile_id": "1", "master_product_id": "1"}
	if m.ca.Dialect == certinexttest.V1 {
		m.must(call{op: logical.PatchOperation, path: "roles/" + role, data: profile})
		require.Contains(m.t, m.refused("issue/"+role, map[string]any{"common_name": "db.corp.internal"}), "ca_profile_id: ")
		profile = map[string]any{"ca_profile_id": "", "master_product_id": ""}
	}
	m.must(call{op: logical.PatchOperation, path: "roles/" + role, data: profile})
}

func validated(d certinexttest.Dialect) *certinexttest.Server {
	return &certinexttest.Server{Dialect: d, VerifiedDomains: []string{"example.com"}}
}

// monthly is the same, whose certificates live for 30 days.
func monthly(d certinexttest.Dialect) *certinexttest.Server {
	ca := validated(d)
	ca.CertificateLifetime = 30 * 24 * time.Hour
	return ca
}

func TestIssueReturnsCertificateKeyAndLease(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := validated(dialect)
		m := newMount(t, ca)
		resp := m.write("issue/web", map[string]any{"common_name": "www.example.com"})

		leaf := m.chainOK(resp)
		require.Equal(t, "www.example.com", leaf.Subject.CommonName)
		require.Equal(t, []string{"www.example.com"}, leaf.DNSNames)
		require.Equal(t, leaf.NotAfter.Unix(), resp.Data["expiration"])
		require.Equal(t, "ec", resp.Data["private_key_type"])
		require.Equal(t, resp.Data["issuing_ca"], resp.Data["ca_chain"].([]string)[0])
		_, err := tls.X509KeyPair([]byte(resp.Data["certificate"].(string)), []byte(resp.Data["private_key"].(string)))
		require.NoError(t, err)
		require.NotNil(t, resp.Secret)
		require.InDelta(t, time.Until(leaf.NotAfter).Seconds(), resp.Secret.TTL.Seconds(), 60)

		require.Len(t, ca.Orders(), 1)
		require.Equal(t, "issued", ca.Orders()[0].Status)
		m.endLease(resp)
		require.Equal(t, "revoked", ca.Orders()[0].Status)
		require.Equal(t, []string{resp.Data["serial_number"].(string)}, m.list("certs/revoked"))
	})
}

func TestIssueOfAValidatedDomainIsFewRoundTripsAndWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		m.write("issue/web", map[string]any{"common_name": "first.example.com"}) // its chain is stored once
		ca.ResetCalls()
		m.storage.reset()
		m.write("issue/web", map[string]any{"common_name": "www.example.com"})
		calls := ca.Calls()
		delete(calls, certinexttest.OpToken)
		require.Equal(t, map[string]int{certinexttest.OpCreateSSL: 1, certinexttest.OpCertificate: 1}, calls)
		require.LessOrEqual(t, len(m.storage.writes()), 4, "%v", m.storage.writes())
	})
}

func TestIssueTracksAnOrderThatIsNotIssuedAtOnce(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := validated(dialect)
		ca.IssueDelay, ca.PEMLag = 20*time.Second, 4*time.Second
		m := newMount(t, ca)
		m.chainOK(m.write("issue/web", map[string]any{"common_name": "www.example.com"}))
		require.Len(t, ca.Orders(), 1)
	})
}

func TestFormats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		m.write("roles/rsa", map[string]any{
			"product_code": "842", "product_variant": "dv", "allow_any_name": true, "key_type": "rsa",
		})
		for name, c := range map[string]struct {
			role  string
			form  map[string]any
			check func(t *testing.T, data map[string]any)
		}{
			"pem with the default der key is PEM, as Terraform needs it": {
				"web",
				map[string]any{"format": "pem", "private_key_format": "der"},
				func(t *testing.T, data map[string]any) {
					require.Contains(t, data["private_key"], "-----BEGIN EC PRIVATE KEY-----")
					require.Contains(t, data["certificate"], "-----BEGIN CERTIFICATE-----")
				},
			},
			"an RSA key is PKCS#1 by default": {
				"rsa", nil,
				func(t *testing.T, data map[string]any) {
					require.Contains(t, data["private_key"], "-----BEGIN RSA PRIVATE KEY-----")
					require.Equal(t, "rsa", data["private_key_type"])
				},
			},
			"pkcs8 changes the key only": {
				"web",
				map[string]any{"private_key_format": "pkcs8"},
				func(t *testing.T, data map[string]any) {
					require.Contains(t, data["private_key"], "-----BEGIN PRIVATE KEY-----")
				},
			},
			"der is base64 in every field": {
				"web",
				map[string]any{"format": "der"},
				func(t *testing.T, data map[string]any) {
					der, err := base64.StdEncoding.DecodeString(data["certificate"].(string))
					require.NoError(t, err)
					_, err = x509.ParseCertificate(der)
					require.NoError(t, err)
					der, err = base64.StdEncoding.DecodeString(data["private_key"].(string))
					require.NoError(t, err)
					_, err = x509.ParseECPrivateKey(der)
					require.NoError(t, err)
					der, err = base64.StdEncoding.DecodeString(data["ca_chain"].([]string)[0])
					require.NoError(t, err)
					_, err = x509.ParseCertificate(der)
					require.NoError(t, err)
				},
			},
			"pem_bundle is key, certificate and chain": {
				"web",
				map[string]any{"format": "pem_bundle"},
				func(t *testing.T, data map[string]any) {
					bundle, err := certutil.ParsePEMBundle(data["certificate"].(string))
					require.NoError(t, err)
					require.NotNil(t, bundle.PrivateKey)
					require.Len(t, bundle.CAChain, 2)
				},
			},
			"pkcs7 is certificate and chain, and leaves the key as it is": {
				"web",
				map[string]any{"format": "pkcs7", "remove_roots_from_chain": true},
				func(t *testing.T, data map[string]any) {
					block, _ := pem.Decode([]byte(data["certificate"].(string)))
					require.NotNil(t, block)
					require.Equal(t, "PKCS7", block.Type)
					p7, err := pkcs7.Parse(block.Bytes)
					require.NoError(t, err)
					require.Len(t, p7.Certificates, 2)
					require.Equal(t, []string{"www.example.com"}, p7.Certificates[0].DNSNames)
					require.Contains(t, data["private_key"], "-----BEGIN EC PRIVATE KEY-----")
				},
			},
			"roots can be left out": {
				"web",
				map[string]any{"remove_roots_from_chain": "true"},
				func(t *testing.T, data map[string]any) {
					require.Len(t, data["ca_chain"], 1)
				},
			},
		} {
			t.Log(name)
			data := map[string]any{"common_name": "www.example.com"}
			for k, v := range c.form {
				data[k] = v
			}
			c.check(t, m.write("issue/"+c.role, data).Data)
		}
	})
}

func TestAnswersParseAsThoseOfVaultPKI(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		resp := m.write("issue/web", map[string]any{"common_name": "www.example.com"})
		bundle, err := certutil.ParsePKIMap(resp.Data)
		require.NoError(t, err)
		require.Equal(t, "www.example.com", bundle.Certificate.Subject.CommonName)
		require.NoError(t, bundle.Verify())
	})
}

// csr makes a PEM CSR.
func csr(t *testing.T, key crypto.Signer, cn string, dns ...string) string {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: cn}, DNSNames: dns,
	}, key)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

func newKey(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	require.NoError(t, err)
	return key
}

func TestSignCertifiesTheCSRsKey(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		m := newMount(t, validated(dialect))
		key := newKey(t, elliptic.P256())
		resp := m.write("sign/web", map[string]any{
			"csr": csr(t, key, "www.example.com", "www.example.com"), "common_name": "www.example.com",
			"alt_names": "www.example.com", "ip_sans": "", "uri_sans": "", "ttl": "2160h0m0s", "exclude_cn_from_sans": "true",
		})
		require.True(t, m.chainOK(resp).PublicKey.(*ecdsa.PublicKey).Equal(&key.PublicKey))
		require.NotContains(t, resp.Data, "private_key")
	})
}

func TestBadRequestsAreRefusedByFieldAndNeverReachTheCA(t *testing.T) {
	ca := validated(certinexttest.Live)
	m := newMount(t, ca)
	role := func(name string, fields map[string]any) {
		all := map[string]any{"product_code": "842", "product_variant": "dv", "allow_any_name": true}
		for k, v := range fields {
			all[k] = v
		}
		m.write("roles/"+name, all)
	}
	role("ov", map[string]any{"product_code": "846", "product_variant": "ov"})
	role("wildcard", map[string]any{"product_code": "843", "product_variant": "dv-wildcard"})
	role("ucc", map[string]any{"product_code": "844", "product_variant": "dv-ucc"})
	role("private", map[string]any{"product_code": "149", "product_variant": "intranet-ssl", "allow_ip_sans": false})
	role("any-key", map[string]any{"key_type": "any"})
	role("rsa", map[string]any{"key_type": "rsa", "key_bits": 3072})

	p521 := newKey(t, elliptic.P521())
	p256 := newKey(t, elliptic.P256())
	rsa2048, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	good := csr(t, p256, "www.example.com")
	block, _ := pem.Decode([]byte(good))
	block.Bytes[len(block.Bytes)-5] ^= 1
	tampered := string(pem.EncodeToMemory(block))
	withIP, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: "www.example.com"}, IPAddresses: []net.IP{net.IPv4(192, 0, 2, 1)},
	}, p256)
	require.NoError(t, err)

	ca.ResetCalls()
	m.storage.reset()
	for name, c := range map[string]struct {
		path  string
		data  map[string]any
		field string
	}{
		"a role that does not exist":                    {"issue/nowhere", map[string]any{"common_name": "www.example.com"}, "role"},
		"no name at all":                                {"issue/web", nil, "common_name:"},
		"a name outside the role":                       {"issue/web", map[string]any{"common_name": "www.example.org"}, "common_name:"},
		"a name that only ends like an allowed one":     {"issue/web", map[string]any{"common_name": "badexample.com"}, "common_name:"},
		"an alternative name outside the role":          {"issue/web", map[string]any{"common_name": "www.example.com", "alt_names": "www.example.org"}, "alt_names:"},
		"a second name for a product of one":            {"issue/web", map[string]any{"common_name": "www.example.com", "alt_names": "a.example.com"}, "alt_names:"},
		"a wildcard for a product without":              {"issue/web", map[string]any{"common_name": "*.example.com"}, "common_name:"},
		"a plain name for a wildcard product":           {"issue/wildcard", map[string]any{"common_name": "www.example.com"}, "common_name:"},
		"a wildcard inside a name":                      {"issue/wildcard", map[string]any{"common_name": "a.*.example.com"}, "common_name:"},
		"an address as common name of a public product": {"issue/ucc", map[string]any{"common_name": "192.0.2.1"}, "common_name:"},
		"an address in a public product":                {"issue/ucc", map[string]any{"common_name": "www.example.com", "ip_sans": "192.0.2.1"}, "ip_sans:"},
		"an address that is none":                       {"issue/ucc", map[string]any{"common_name": "www.example.com", "ip_sans": "300.1.1.1"}, "ip_sans:"},
		"an address that the role does not allow":       {"issue/private", map[string]any{"common_name": "www.example.com", "ip_sans": "192.0.2.1"}, "ip_sans:"},
		"a single label for a public product":           {"issue/rsa", map[string]any{"common_name": "localhost"}, "common_name:"},
		"a name with a space":                           {"issue/ucc", map[string]any{"common_name": "www example.com"}, "common_name:"},
		"a name with a line break":                      {"issue/ucc", map[string]any{"common_name": "www.example.com\nevil"}, "common_name:"},
		"an e-mail address":                             {"issue/ucc", map[string]any{"common_name": "ops@example.com"}, "common_name:"},
		"a URI name":                                    {"issue/web", map[string]any{"common_name": "www.example.com", "uri_sans": "spiffe://x"}, "uri_sans:"},
		"other names":                                   {"issue/web", map[string]any{"common_name": "www.example.com", "other_sans": "1.2.3;utf8:x"}, "other_sans:"},
		"user ids":                                      {"issue/web", map[string]any{"common_name": "www.example.com", "user_ids": "x"}, "user_ids:"},
		"an end of one's own":                           {"issue/web", map[string]any{"common_name": "www.example.com", "not_after": "2030-01-01T00:00:00Z"}, "not_after:"},
		"another issuer":                                {"issue/web", map[string]any{"common_name": "www.example.com", "issuer_ref": "root"}, "issuer_ref:"},
		"a common name that is to be no SAN":            {"issue/web", map[string]any{"common_name": "www.example.com", "exclude_cn_from_sans": true}, "exclude_cn_from_sans:"},
		"a negative ttl":                                {"issue/web", map[string]any{"common_name": "www.example.com", "ttl": "-1h"}, "ttl:"},
		"a ttl that is none":                            {"issue/web", map[string]any{"common_name": "www.example.com", "ttl": "tomorrow"}, "ttl: must be whole seconds"},
		"an unknown format":                             {"issue/web", map[string]any{"common_name": "www.example.com", "format": "p7b"}, "format:"},
		"an unknown key format":                         {"issue/web", map[string]any{"common_name": "www.example.com", "private_key_format": "jwk"}, "private_key_format:"},
		"a key format that is a number":                 {"issue/web", map[string]any{"common_name": "www.example.com", "private_key_format": 8}, "private_key_format:"},
		"a key format that is a flag":                   {"issue/web", map[string]any{"common_name": "www.example.com", "private_key_format": true}, "private_key_format:"},
		"a key format that is a list":                   {"issue/web", map[string]any{"common_name": "www.example.com", "private_key_format": []string{"pkcs8"}}, "private_key_format"},
		"a format that is a number":                     {"issue/web", map[string]any{"common_name": "www.example.com", "format": 7}, "format:"},
		"an unknown field":                              {"issue/web", map[string]any{"common_name": "www.example.com", "key_typ": "rsa"}, "unknown field: key_typ"},
		"a misspelt field":                              {"issue/web", map[string]any{"comon_name": "www.example.com", "altnames": "x"}, "unknown field: altnames (did you mean alt_names?), comon_name (did you mean common_name?)"},
		"a request id with a line break":                {"issue/web", map[string]any{"common_name": "www.example.com", "request_id": "a\nb"}, "request_id:"},
		"an OV order without an organization":           {"issue/ov", map[string]any{"common_name": "www.example.com"}, "organization_number:"},
		"a key of any kind where one has to be made":    {"issue/any-key", map[string]any{"common_name": "www.example.com"}, "key_type:"},
		"no CSR":                                          {"sign/web", nil, "csr:"},
		"a CSR that is not PEM":                           {"sign/web", map[string]any{"csr": "hello"}, "csr:"},
		"a certificate instead of a CSR":                  {"sign/web", map[string]any{"csr": strings.ReplaceAll(good, "CERTIFICATE REQUEST", "CERTIFICATE")}, "csr:"},
		"a CSR with a bad signature":                      {"sign/web", map[string]any{"csr": tampered}, "csr:"},
		"a CSR with a key the CA refuses":                 {"sign/any-key", map[string]any{"csr": csr(t, p521, "www.example.com")}, "csr:"},
		"a CSR with another kind of key than the role's":  {"sign/web", map[string]any{"csr": csr(t, rsa2048, "www.example.com")}, "csr:"},
		"a CSR with a smaller key than the role's":        {"sign/rsa", map[string]any{"csr": csr(t, rsa2048, "www.example.com")}, "csr:"},
		"a CSR with a name outside the role":              {"sign/web", map[string]any{"csr": csr(t, p256, "www.example.org")}, "csr:"},
		"a CSR with another common name than the request": {"sign/web", map[string]any{"csr": good, "common_name": "api.example.com"}, "csr:"},
		"a CSR whose common name is another of its names": {"sign/any-key", map[string]any{"csr": csr(t, p256, "www.example.com", "api.example.com"), "common_name": "api.example.com"}, "csr:"},
		"a CSR without a name that the request asks for":  {"sign/any-key", map[string]any{"csr": good, "alt_names": "api.example.com"}, "csr:"},
		"a CSR without a common name":                     {"sign/web", map[string]any{"csr": csr(t, p256, "", "www.example.com")}, "csr:"},
		"a CSR with an address":                           {"sign/web", map[string]any{"csr": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: withIP}))}, "ip_sans:"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, m.refused(c.path, c.data), c.field)
		})
	}
	require.Empty(t, ca.Calls(), "the CA was called")
	require.Empty(t, m.storage.writes(), "something was stored")
}

func TestWhatClientsSendIsAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		for name, data := range map[string]map[string]any{
			"Ansible sends a null ttl and empty lists": {
				"common_name": "www.example.com", "alt_names": "", "ip_sans": "", "uri_sans": "", "other_sans": "",
				"ttl": nil, "format": "pem", "private_key_format": "der", "exclude_cn_from_sans": false,
			},
			"Terraform sends everything": {
				"common_name": "www.example.com", "ttl": "720h", "format": "pem", "private_key_format": "der", "not_after": "",
				"alt_names": "", "ip_sans": "", "uri_sans": "", "other_sans": "", "exclude_cn_from_sans": false,
				"remove_roots_from_chain": false, "issuer_ref": "default", "user_ids": "", "cert_metadata": "",
			},
			"Terraform sends the fields of keystores, with their defaults or empty": {
				"common_name": "www.example.com", "format": "pem", "pkcs12_password": "", "pkcs12_encoder": "modern2026",
				"jks_password": "changeit", "jks_private_key_alias": "1",
			},
			"pkiCert sends strings": {"common_name": "www.example.com", "alt_names": "www.example.com", "ttl": "24h"},
			"a number as ttl":       {"common_name": "www.example.com", "ttl": 3600},
		} {
			t.Log(name)
			m.chainOK(m.write("issue/web", data))
		}
	})
}

func TestRefusalsOfTheCAComeInWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		withdrawn := append(certinexttest.SandboxCatalog(), certinexttest.Product{Code: "999", Name: "SSL DV 90 Days", Type: "13"})
		ca.Configure(func(s *certinexttest.Server) { s.Catalog = withdrawn })
		m.write("roles/unentitled", map[string]any{"product_code": "999", "product_variant": "dv", "allow_any_name": true})
		ca.Configure(func(s *certinexttest.Server) { s.Catalog = nil })
		text := m.refused("issue/unentitled", map[string]any{"common_name": "www.example.com"})
		require.Contains(t, text, "EMS-915")
		require.Empty(t, ca.Orders())
		// The refusal is remembered with its order, and the key is gone.
		ids := m.list("orders/unentitled")
		require.Len(t, ids, 1)
		order := m.read("orders/unentitled/" + ids[0]).Data
		require.Equal(t, "failed", order["state"])
		require.Contains(t, order["last_error"], "EMS-915")
		requireNoKeys(t, m)
	})
}

// requireNoKeys fails when storage holds a private key.
func requireNoKeys(t *testing.T, m *mount) {
	t.Helper()
	for k, v := range m.storage.dump(t) {
		require.NotContains(t, string(v), "PRIVATE KEY", "%s holds a key", k)
	}
}

func TestAnOrderThatOutlivesItsRequestIsFoundAgain(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := validated(dialect)
		ca.IssueDelay = 10 * time.Minute
		m := newMount(t, ca)
		request := map[string]any{"common_name": "www.example.com"}

		start := time.Now()
		text := m.refused("issue/web", request)
		require.InDelta(t, 45, time.Since(start).Seconds(), 6, "the role's issue_timeout")
		ids := m.list("orders/web")
		require.Len(t, ids, 1)
		require.Contains(t, text, ids[0], "the order is named")
		require.Contains(t, text, ca.Orders()[0].ID, "CERTInext's number is named")

		for range 3 {
			m.refused("issue/web", request)
		}
		require.Len(t, ca.Orders(), 1, "a retry bought a second order")
		time.Sleep(10 * time.Minute)
		leaf := m.chainOK(m.write("issue/web", request))
		require.Len(t, ca.Orders(), 1)

		// The next request that comes after the reuse window is a new order.
		ca.Configure(func(s *certinexttest.Server) { s.IssueDelay = 0 })
		require.Equal(t, leaf.SerialNumber, m.chainOK(m.write("issue/web", request)).SerialNumber)
		time.Sleep(6 * time.Minute)
		require.NotEqual(t, leaf.SerialNumber, m.chainOK(m.write("issue/web", request)).SerialNumber)
		require.Len(t, ca.Orders(), 2)
	})
}

// cert-manager makes a CSR for each attempt, with the key that it keeps.
func TestACSRThatIsSignedAnewIsTheSameRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.IssueDelay = 10 * time.Minute
		m := newMount(t, ca)
		key := newKey(t, elliptic.P256())
		first, second := csr(t, key, "www.example.com"), csr(t, key, "www.example.com")
		require.NotEqual(t, first, second)
		m.refused("sign/web", map[string]any{"csr": first})
		other := newKey(t, elliptic.P256())
		m.refused("sign/web", map[string]any{"csr": csr(t, other, "www.example.com")})
		require.Len(t, ca.Orders(), 2, "another key is another order")
		m.refused("sign/web", map[string]any{"csr": csr(t, key, "www.example.com", "www.example.com")})
		time.Sleep(20 * time.Minute)
		require.True(t, m.chainOK(m.write("sign/web", map[string]any{"csr": second})).PublicKey.(*ecdsa.PublicKey).Equal(&key.PublicKey))
		require.Len(t, ca.Orders(), 2)
	})
}

// CERTInext orders for a domain, and holds a CSR's common name against it.
func TestACommonNameIsNeededWhereNobodyCanPutOneIn(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := validated(dialect)
		m := newMount(t, ca)
		nameless := map[string]any{"alt_names": "www.example.com"}
		require.Contains(t, m.refused("issue/web", nameless), "require_cn")
		m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"require_cn": false}})
		require.Contains(t, m.refused("sign/web", map[string]any{"csr": csr(t, newKey(t, elliptic.P256()), "", "www.example.com")}), "csr: has no common name")
		require.Empty(t, ca.Orders())
		require.Equal(t, "www.example.com", m.chainOK(m.write("issue/web", nameless)).Subject.CommonName)
	})
}

func TestOrdersAreNotSharedAcrossRequestersRolesOrRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.IssueDelay = time.Hour
		m := newMount(t, ca)
		m.write("roles/other", map[string]any{"product_code": "842", "product_variant": "dv", "allow_any_name": true})
		issue := func(c call) {
			c.op = logical.UpdateOperation
			resp, err := m.send(c)
			require.NoError(t, err)
			require.True(t, resp.IsError())
		}
		www := map[string]any{"common_name": "www.example.com"}
		issue(call{path: "issue/web", data: www, entity: "entity-a"})
		issue(call{path: "issue/web", data: www, entity: "entity-b"})
		issue(call{path: "issue/web", data: www, accessor: "accessor-a"})
		issue(call{path: "issue/other", data: www, entity: "entity-a"})
		issue(call{path: "issue/web", data: map[string]any{"common_name": "api.example.com"}, entity: "entity-a"})
		require.Len(t, ca.Orders(), 5)
		issue(call{path: "issue/web", data: www, entity: "entity-a", accessor: "another token"})
		require.Len(t, ca.Orders(), 5, "the same entity's same request is one order, whatever its token")
	})
}

func TestTwoRequestsInFlightAreOneOrderWithALeaseEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.IssueDelay = 10 * time.Second
		m := newMount(t, ca)
		answers := make(chan *logical.Response, 2)
		for range 2 {
			go func() { answers <- m.write("issue/web", map[string]any{"common_name": "www.example.com"}) }()
		}
		first, second := <-answers, <-answers
		require.Equal(t, first.Data["serial_number"], second.Data["serial_number"])
		require.Equal(t, first.Data["private_key"], second.Data["private_key"])
		require.NotEqual(t, first.Data["reused"], second.Data["reused"], "one of the two has bought it")
		require.Len(t, ca.Orders(), 1)

		m.endLease(first)
		require.Equal(t, "issued", ca.Orders()[0].Status, "the other lease lives")
		m.endLease(second)
		require.Equal(t, "revoked", ca.Orders()[0].Status)
	})
}

func TestARequestWithANameIsAlwaysTheSameOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.IssueDelay = 10 * time.Second
		m := newMount(t, ca)
		request := map[string]any{"common_name": "www.example.com", "request_id": "deploy-17"}
		serials := make(chan string, 2)
		for range 2 {
			go func() { serials <- m.write("issue/web", request).Data["serial_number"].(string) }()
		}
		first, second := <-serials, <-serials
		require.Equal(t, first, second, "two in flight")
		require.Len(t, ca.Orders(), 1)

		text := m.refused("issue/web", map[string]any{"common_name": "api.example.com", "request_id": "deploy-17"})
		require.Contains(t, text, "request_id:")

		// After the grace the key is gone, and the name cannot be used for another certificate.
		time.Sleep(6 * time.Minute)
		m.pass()
		requireNoKeys(t, m)
		require.Contains(t, m.refused("issue/web", request), "request_id:")
		require.Len(t, ca.Orders(), 1)
	})
}

func TestACallerThatHangsUpGetsItsCertificateFromTheNextRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.IssueDelay = 10 * time.Second
		m := newMount(t, ca)
		ctx, hangUp := context.WithTimeout(t.Context(), 3*time.Second)
		defer hangUp()
		_, err := m.send(call{op: logical.UpdateOperation, path: "issue/web", data: map[string]any{"common_name": "www.example.com"}, ctx: ctx})
		require.NoError(t, err)
		synctest.Wait()
		m.chainOK(m.write("issue/web", map[string]any{"common_name": "www.example.com"}))
		require.Len(t, ca.Orders(), 1)
	})
}

func TestACallerThatHangsUpDuringTheLastWriteGetsItsCertificateFromTheNextRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		ctx, hangUp := context.WithCancel(t.Context())
		m.storage.failing(func(key string) error {
			if strings.HasPrefix(key, "cert/") {
				hangUp()
			}
			return nil
		})
		request := map[string]any{"common_name": "www.example.com"}
		_, err := m.send(call{op: logical.UpdateOperation, path: "issue/web", data: request, ctx: ctx})
		require.NoError(t, err)
		m.chainOK(m.write("issue/web", request))
		require.Len(t, ca.Orders(), 1)
	})
}

func TestARequestWithoutANameIsNotOneWithAName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.IssueDelay = time.Hour
		m := newMount(t, ca)
		m.refused("issue/web", map[string]any{"common_name": "www.example.com", "request_id": "deploy-17"})
		m.refused("issue/web", map[string]any{"common_name": "www.example.com"})
		m.refused("issue/web", map[string]any{"common_name": "www.example.com", "request_id": "deploy-18"})
		require.Len(t, ca.Orders(), 3)
	})
}

func TestStorageThatFailsLosesNoOrder(t *testing.T) {
	for name, prefix := range map[string]string{
		"the intent":      "order/open/",
		"the certificate": "cert/",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				m := newMount(t, ca)
				broken := true
				m.storage.failing(func(key string) error {
					if broken && strings.HasPrefix(key, prefix) {
						return errors.New("storage is away")
					}
					return nil
				})
				request := map[string]any{"common_name": "www.example.com"}
				_, err := m.send(call{op: logical.UpdateOperation, path: "issue/web", data: request})
				require.ErrorContains(t, err, "storage is away")
				if prefix == "order/open/" {
					require.Empty(t, ca.Orders(), "ordered without the intent stored")
				}
				broken = false
				m.chainOK(m.write("issue/web", request))
				require.Len(t, ca.Orders(), 1)
			})
		})
	}
}

func TestTheOrderNumberThatCouldNotBeStoredIsFoundAgain(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := validated(dialect)
		m := newMount(t, ca)
		writes := 0
		m.storage.failing(func(key string) error {
			if writes++; strings.HasPrefix(key, "order/open/") && writes == 2 {
				return errors.New("storage is away")
			}
			return nil
		})
		request := map[string]any{"common_name": "www.example.com"}
		_, err := m.send(call{op: logical.UpdateOperation, path: "issue/web", data: request})
		require.ErrorContains(t, err, ca.Orders()[0].ID, "the error names CERTInext's number")
		m.start()
		m.chainOK(m.write("issue/web", request))
		require.Len(t, ca.Orders(), 1)
	})
}

func TestARequestThatIsSentAgainWhileTheCreateRunsWaitsForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultSlowReply, Delay: 150 * time.Second, Times: 1})
		m := newMount(t, ca)
		request := map[string]any{"common_name": "www.example.com"}
		refusals := 0
		for refusals < 10 {
			resp, err := m.send(call{op: logical.UpdateOperation, path: "issue/web", data: request})
			require.NoError(t, err)
			if !resp.IsError() {
				m.chainOK(resp)
				break
			}
			require.Contains(t, resp.Error().Error(), m.list("orders/web")[0], "the order is named")
			refusals++
		}
		require.Equal(t, 3, refusals, "45 s each, and the create takes 150 s")
		require.Len(t, ca.Orders(), 1)
		require.Equal(t, 1, ca.Calls()[certinexttest.OpCreateSSL])
	})
}

func TestARequestThatIsSentAgainAtOnceAfterItHungUpPaysOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.IssueDelay = 20 * time.Second
		m := newMount(t, ca)
		request := map[string]any{"common_name": "www.example.com"}
		ctx, hangUp := context.WithCancel(t.Context())
		go func() {
			_, _ = m.send(call{op: logical.UpdateOperation, path: "issue/web", data: request, ctx: ctx})
		}()
		time.Sleep(3 * time.Second)
		// The word that the first caller has hung up comes after its next request.
		go func() {
			time.Sleep(300 * time.Millisecond)
			hangUp()
		}()
		m.chainOK(m.write("issue/web", request))
		require.Len(t, ca.Orders(), 1)
	})
}

func TestARequestDuringTheBackgroundPassWaitsForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.IssueDelay = 5 * time.Minute
		m := newMount(t, ca)
		request := map[string]any{"common_name": "www.example.com"}
		m.refused("issue/web", request)
		time.Sleep(10 * time.Minute)
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpTrack, Kind: certinexttest.FaultLatency, Delay: 20 * time.Second, Times: 1})
		passed := make(chan struct{})
		go func() {
			defer close(passed)
			m.pass()
		}()
		time.Sleep(5 * time.Second)
		m.chainOK(m.write("issue/web", request))
		require.Len(t, ca.Orders(), 1)
		<-passed
	})
}

func TestTokensWithoutAccessorDoNotShareAnOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.IssueDelay = time.Hour
		m := newMount(t, ca)
		for _, token := range []string{"batch-a", "batch-b", "batch-a"} {
			resp, err := m.backend.HandleRequest(t.Context(), &logical.Request{
				Operation: logical.UpdateOperation, Path: "issue/web", Storage: m.storage, ClientToken: token,
				Data: map[string]any{"common_name": "www.example.com"},
			})
			require.NoError(t, err)
			require.True(t, resp.IsError())
		}
		require.Len(t, ca.Orders(), 2)
		for k, v := range m.storage.dump(t) {
			require.NotContains(t, string(v), "batch-a", k)
		}
	})
}

func TestACreateThatTakesMinutesOutlivesItsRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultSlowReply, Delay: 150 * time.Second, Times: 1})
		m := newMount(t, ca)
		request := map[string]any{"common_name": "www.example.com"}
		ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
		defer cancel()
		start := time.Now()
		resp, err := m.send(call{op: logical.UpdateOperation, path: "issue/web", data: request, ctx: ctx})
		require.NoError(t, err)
		require.True(t, resp.IsError())
		require.Less(t, time.Since(start), 60*time.Second)
		time.Sleep(2 * time.Minute)
		m.chainOK(m.write("issue/web", request))
		require.Len(t, ca.Orders(), 1)
		require.Zero(t, ca.Calls()[certinexttest.OpOrdersReport], "the create was cut off and had to be looked for")
	})
}

func TestALostReplyIsReconciledAndNeverBuysASecondOrder(t *testing.T) {
	for _, kind := range []certinexttest.FaultKind{
		certinexttest.FaultLostReply, certinexttest.FaultServerErrorAfter, certinexttest.FaultTruncated,
		certinexttest.FaultMalformedJSON, certinexttest.FaultOversized,
	} {
		t.Run(string(kind), func(t *testing.T) {
			dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
				ca := validated(dialect)
				ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: kind, Times: 1})
				m := newMount(t, ca)
				request := map[string]any{"common_name": "www.example.com"}
				text := m.refused("issue/web", request)
				require.Contains(t, text, "not known yet whether CERTInext took the order")
				m.chainOK(m.write("issue/web", request))
				require.Len(t, ca.Orders(), 1)
			})
		})
	}
}

func TestAnOrderThatCannotBeFoundIsNotPlacedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		// Dropped before it was processed: the engine cannot know that.
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultDropped, Times: 1})
		m := newMount(t, ca)
		request := map[string]any{"common_name": "www.example.com"}
		for range 3 {
			require.Contains(t, m.refused("issue/web", request), "not known yet")
		}
		require.Empty(t, ca.Orders())
		require.Equal(t, 1, ca.Calls()[certinexttest.OpCreateSSL])
		id := m.list("orders/web")[0]
		require.Equal(t, "unresolved", m.read("orders/web/" + id).Data["state"])
	})
}

func TestARestartFindsOpenOrdersAgain(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := validated(dialect)
		ca.IssueDelay = 5 * time.Minute
		m := newMount(t, ca)
		request := map[string]any{"common_name": "www.example.com"}
		m.refused("issue/web", request)
		m.start()
		time.Sleep(5 * time.Minute)
		m.chainOK(m.write("issue/web", request))
		require.Len(t, ca.Orders(), 1)
	})
}

func TestAnAnswerOfAProcessThatDiedIsGivenAgainWithinItsGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		request := map[string]any{"common_name": "www.example.com"}
		first := m.write("issue/web", request)
		m.start() // Vault died before it stored the lease
		again := m.write("issue/web", request)
		require.Equal(t, first.Data["serial_number"], again.Data["serial_number"])
		require.Equal(t, first.Data["private_key"], again.Data["private_key"])
		require.Len(t, ca.Orders(), 1)

		// The last of its leases revokes, not the first.
		m.endLease(first)
		require.Equal(t, "issued", ca.Orders()[0].Status)
		m.endLease(again)
		require.Equal(t, "revoked", ca.Orders()[0].Status)
	})
}

func TestAnAnswerOfAProcessThatDiedIsNotGivenAgainAfterItsGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		request := map[string]any{"common_name": "www.example.com"}
		first := m.write("issue/web", request)
		m.start()
		time.Sleep(6 * time.Minute)
		again := m.write("issue/web", request)
		require.NotEqual(t, first.Data["serial_number"], again.Data["serial_number"])
		require.Len(t, ca.Orders(), 2)
	})
}

func TestTheBackgroundPassFinishesOrdersAndErasesKeys(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := validated(dialect)
		ca.IssueDelay = 5 * time.Minute
		m := newMount(t, ca)
		request := map[string]any{"common_name": "www.example.com"}
		m.refused("issue/web", request)
		for range 10 {
			time.Sleep(time.Minute)
			m.pass()
		}
		id := m.list("orders/web")[0]
		require.Equal(t, "issued", m.read("orders/web/" + id).Data["state"])
		require.Len(t, m.list("certs"), 1)

		ca.ResetCalls()
		m.chainOK(m.write("issue/web", request))
		require.Empty(t, ca.Calls(), "a stored certificate is answered without the CA")

		time.Sleep(6 * time.Minute)
		m.pass()
		requireNoKeys(t, m)
		order := m.read("orders/web/" + id).Data
		require.Equal(t, true, order["delivered"])
		require.Equal(t, "issued", order["state"])
	})
}

func TestACertificateWithAnotherKeyIsNeverHandedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCertificate, Kind: certinexttest.FaultWrongKey})
		m := newMount(t, ca)
		request := map[string]any{"common_name": "www.example.com"}
		m.refused("issue/web", request)
		order := m.read("orders/web/" + m.list("orders/web")[0]).Data
		require.Contains(t, order["last_error"], "key of the CSR")
		ca.ClearFaults()
		m.chainOK(m.write("issue/web", request))
	})
}

func TestAChainInTheWrongOrderIsSorted(t *testing.T) {
	for _, order := range []certinexttest.ChainOrder{certinexttest.ChainRootFirst, certinexttest.ChainGood} {
		t.Run(fmt.Sprint(order), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				ca.ChainOrder = order
				m := newMount(t, ca)
				resp := m.write("issue/web", map[string]any{"common_name": "www.example.com"})
				leaf := m.chainOK(resp)
				chain := resp.Data["ca_chain"].([]string)
				require.Len(t, chain, 2)
				require.NoError(t, leaf.CheckSignatureFrom(parseCertificate(t, chain[0])))
			})
		})
	}
}

func TestPrivatePKIAndUCC(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := validated(dialect)
		m := newMount(t, ca)
		m.write("roles/intranet", map[string]any{
			"product_code": "149", "product_variant": "intranet-ssl", "allowed_domains": "corp.internal",
			"allow_subdomains": true,
		})
		m.chooseProfile("intranet")
		leaf := m.chainOK(m.write("issue/intranet", map[string]any{
			"common_name": "db.corp.internal", "alt_names": "db2.corp.internal", "ip_sans": "10.0.0.5",
		}))
		require.ElementsMatch(t, []string{"db.corp.internal", "db2.corp.internal"}, leaf.DNSNames)
		require.Len(t, leaf.IPAddresses, 1)

		m.write("roles/ucc", map[string]any{
			"product_code": "844", "product_variant": "dv-ucc", "allowed_domains": "example.com", "allow_subdomains": true,
		})
		leaf = m.chainOK(m.write("issue/ucc", map[string]any{"common_name": "a.example.com", "alt_names": "b.example.com,c.example.com"}))
		require.ElementsMatch(t, []string{"a.example.com", "b.example.com", "c.example.com"}, leaf.DNSNames)

		m.write("roles/wild", map[string]any{
			"product_code": "843", "product_variant": "dv-wildcard", "allowed_domains": "example.com", "allow_subdomains": true,
		})
		leaf = m.chainOK(m.write("issue/wild", map[string]any{"common_name": "*.example.com"}))
		require.NoError(t, leaf.VerifyHostname("anything.example.com"))
	})
}

// What CERTInext adds by itself is held against the role like what is asked for.
func TestWWWIsAddedWhereTheRoleAllowsIt(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		m := newMount(t, validated(dialect))
		role := map[string]any{
			"product_code": "842", "product_variant": "dv", "allowed_domains": "example.com", "allow_bare_domains": true,
			"allow_subdomains": true, "auto_secure_www": true, "delegation_name": "Second Team", "delegation_email": "second@example.com",
		}
		m.write("roles/www", role)
		leaf := m.chainOK(m.write("issue/www", map[string]any{"common_name": "example.com"}))
		require.ElementsMatch(t, []string{"example.com", "www.example.com"}, leaf.DNSNames)
		require.True(t, m.ca.Orders()[0].AutoSecureWWW)

		role["allow_subdomains"] = false
		require.Contains(t, m.refused("roles/www", role), `no name can be ordered for "example.com": "www.example.com" is not allowed`)
		role["allowed_domains"] = "example.com,www.example.net"
		require.Contains(t, strings.Join(m.write("roles/www", role).Warnings, "\n"), `no name can be ordered for "example.com"`)
		require.Contains(t, m.refused("issue/www", map[string]any{"common_name": "example.com"}), `"www.example.com" is not allowed by the role, whose allowed_domains are`)
		require.Contains(t, m.refused("roles/pki", map[string]any{"product_code": "149", "product_variant": "intranet-ssl", "allow_any_name": true, "auto_secure_www": true}), "auto_secure_www")
	})
}
