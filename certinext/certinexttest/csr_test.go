// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

func mustKey[T any](key T, err error) T {
	if err != nil {
		panic(err)
	}
	return key
}

func TestCSRRules(t *testing.T) {
	const name = "www.example.com"
	key := newKey(t)
	with := func(change func(*x509.CertificateRequest)) string {
		template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}}
		change(template)
		return csrFrom(t, key, template)
	}
	der := func(text string) []byte {
		block, _ := pem.Decode([]byte(text))
		return block.Bytes
	}
	broken := der(csr(t, key, name))
	broken[len(broken)-1] ^= 1
	good := csr(t, key, name)
	cases := map[string]struct {
		csr  string
		docs string // the documented code, "" for accepted
	}{
		"PEM is taken":                          {good, ""},
		"PEM without its last newline is taken": {trimPEM(good), ""},
		"the old PEM label is taken":            {strings.ReplaceAll(good, "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"), ""},
		"bare base64 DER is taken":              {base64.StdEncoding.EncodeToString(der(good)), ""},
		"the order's own name as SAN is taken":  {csr(t, key, name, name), ""},
		"a name in capitals is the same name":   {csr(t, key, "WWW.Example.com"), ""},
		"other subject parts are ignored":       {with(func(c *x509.CertificateRequest) { c.Subject.Organization = []string{"Mallory"} }), ""},
		"P-384 is taken":                        {csr(t, mustKey(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)), name), ""},
		"RSA 2048 is taken":                     {csr(t, mustKey(rsa.GenerateKey(rand.Reader, 2048)), name), ""},
		"RSA 2560 has an invalid size":          {csr(t, mustKey(rsa.GenerateKey(rand.Reader, 2560)), name), "EMS-921"},
		"P-521 has an invalid size":             {csr(t, mustKey(ecdsa.GenerateKey(elliptic.P521(), rand.Reader)), name), "EMS-921"},
		"Ed25519 is not taken":                  {csr(t, ed25519Key(), name), "EMS-921"},
		"a certificate is no request":           {strings.ReplaceAll(good, "CERTIFICATE REQUEST", "CERTIFICATE"), "EMS-921"},
		"two requests are one too many":         {good + good, "EMS-921"},
		"text is no request":                    {"hello", "EMS-921"},
		"a broken signature is noticed":         {base64.StdEncoding.EncodeToString(broken), "EMS-921"},
		"another common name is refused":        {csr(t, key, "other.example.com"), "EMS-922"},
		"no common name is refused":             {with(func(c *x509.CertificateRequest) { c.Subject = pkix.Name{}; c.DNSNames = []string{name} }), "EMS-922"},
		"a name the order lacks is refused":     {csr(t, key, name, "other.example.com"), "EMS-922"},
		"an address is refused":                 {with(func(c *x509.CertificateRequest) { c.IPAddresses = []net.IP{net.IPv4(10, 0, 0, 1)} }), "EMS-922"},
		"an email is refused":                   {with(func(c *x509.CertificateRequest) { c.EmailAddresses = []string{"a@example.com"} }), "EMS-922"},
		"a URI is refused":                      {with(func(c *x509.CertificateRequest) { c.URIs = []*url.URL{{Scheme: "spiffe", Host: "x"}} }), "EMS-922"},
	}
	for title, c := range cases {
		t.Run(title, func(t *testing.T) {
			eachDialect(t, func(t *testing.T, d certinexttest.Dialect) {
				r := newRig(t, verified(d))
				a := r.put(sslPath+"/"+r.order(dvOrder(name))+"/csr", m{"csr": c.csr})
				switch {
				case c.docs == "":
					a.must(204)
				case d == certinexttest.Live:
					v := a.refused(422, "EMS-917")
					require.Contains(t, v["detail"], "EMS-917 — ", "as observed, with a dash")
				default:
					a.refused(422, c.docs)
				}
			})
		})
	}
}

func TestACSRWithoutACommonNameIsTakenWhereTheEditionDoes(t *testing.T) {
	eachDialect(t, func(t *testing.T, d certinexttest.Dialect) {
		srv := verified(d)
		srv.NamelessCSR = true
		r := newRig(t, srv)
		key := newKey(t)
		nameless := func(name string) m {
			return m{"csr": csrFrom(t, key, &x509.CertificateRequest{DNSNames: []string{name}})}
		}
		path := sslPath + "/" + r.order(dvOrder("www.example.com")) + "/csr"
		require.Equal(t, 422, r.put(path, nameless("other.example.com")).status)
		r.put(path, nameless("www.example.com")).must(204)
	})
}

func ed25519Key() crypto.Signer {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	return mustKey(key, err)
}

func TestReusedKeyIsNoted(t *testing.T) {
	r := newRig(t, verified(certinexttest.Live))
	key := newKey(t)
	for range 2 {
		r.order(merge(dvOrder("www.example.com"), m{"csr": csr(t, key, "www.example.com")}))
	}
	orders := r.srv.Orders()
	require.False(t, orders[0].ReusedKey)
	require.True(t, orders[1].ReusedKey)
}

func TestAKeyOfAnotherOrderIsRefusedWhereItHasToBeNew(t *testing.T) {
	for _, dialect := range []certinexttest.Dialect{certinexttest.Live, certinexttest.Documented} {
		t.Run(dialect.String(), func(t *testing.T) {
			srv := verified(dialect)
			srv.NewKeysOnly = true
			r := newRig(t, srv)
			key := newKey(t)
			wanted := func(key crypto.Signer) m {
				return merge(dvOrder("www.example.com"), m{"csr": csr(t, key, "www.example.com")})
			}
			r.order(wanted(key))
			r.post(sslPath, wanted(key)).refused(422, "EMS-1099")
			r.order(wanted(newKey(t)))
			require.Len(t, srv.Orders(), 2)
		})
	}
}
