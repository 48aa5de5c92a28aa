// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// unseenNames are CSRs with a name that a role for example.com would not see if it looked at what parsers show.
func unseenNames(t *testing.T) map[string]string {
	t.Helper()
	cn := asn1.ObjectIdentifier{2, 5, 4, 3}
	twice, err := asn1.Marshal(pkix.RDNSequence{{{Type: cn, Value: "evil.example.org"}}, {{Type: cn, Value: "www.example.com"}}})
	require.NoError(t, err)
	other, err := asn1.Marshal([]asn1.RawValue{
		{Class: asn1.ClassContextSpecific, Tag: 2, Bytes: []byte("www.example.com")},
		{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: []byte{6, 3, 42, 3, 4}},
	})
	require.NoError(t, err)
	made := func(template x509.CertificateRequest) string {
		der, err := x509.CreateCertificateRequest(rand.Reader, &template, newKey(t, elliptic.P256()))
		require.NoError(t, err)
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
	}
	return map[string]string{
		"two common names": made(x509.CertificateRequest{RawSubject: twice}),
		"an otherName": made(x509.CertificateRequest{
			Subject:         pkix.Name{CommonName: "www.example.com"},
			ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: other}},
		}),
		"letter by letter": made(x509.CertificateRequest{Subject: pkix.Name{CommonName: "bücher.example.com"}}),
	}
}

func TestCSRsWithNamesThatNobodySeesAreNeverOrdered(t *testing.T) {
	m := newMount(t, validated(certinexttest.Live))
	m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"allow_reissue": true}})
	issued := m.write("sign/web", map[string]any{"csr": csr(t, newKey(t, elliptic.P256()), "www.example.com")})
	reissue := "orders/web/" + issued.Data["order_id"].(string) + "/reissue"
	m.refused(reissue, map[string]any{"csr": "none"}) // stores which certificate the order has
	m.nothingHappens(func() {
		for problem, text := range unseenNames(t) {
			for _, path := range []string{"sign/web", "orders/web", reissue} {
				require.Contains(t, m.refused(path, map[string]any{"csr": text}), problem, path)
			}
		}
	})
}

// What stands around a CSR is not sent on: nobody has looked at it.
func TestACSRIsSentWithoutWhatStoodAroundIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		seen := &bodies{next: ca.Client().Transport}
		m.startWith(&http.Client{Transport: seen})
		text := csr(t, newKey(t, elliptic.P256()), "www.example.com")
		sent := "Certificate Request:\r\n    Subject: CN=evil.example.org\r\n" +
			strings.ReplaceAll(strings.ReplaceAll(text, "CERTIFICATE", "NEW CERTIFICATE"), "\n", "\r\n")
		m.write("sign/web", map[string]any{"csr": sent})
		require.Contains(t, seen.String(), strings.ReplaceAll(text, "\n", `\n`))
		require.NotContains(t, seen.String(), "evil.example.org")
		require.Equal(t, text, ca.Orders()[0].CSR)
	})
}

// Some editions of CERTInext take a CSR without a common name; the config says which this one is.
func TestACSRWithoutACommonNameIsSentWhereTheAccountTakesIt(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := validated(dialect)
		ca.NamelessCSR = true
		m := newMount(t, ca)
		m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"product_code": "844", "product_variant": "dv-ucc"}})
		nameless := func(names ...string) map[string]any {
			return map[string]any{"csr": csr(t, newKey(t, elliptic.P256()), "", names...)}
		}
		m.nothingHappens(func() {
			require.Contains(t, m.refused("sign/web", nameless("www.example.com")), "csr: has no common name: make one whose common name is www.example.com")
			require.Contains(t, m.refused("sign/web", nameless()), "csr: holds no host name")
			require.Contains(t, m.refused("sign/web", nameless("www.example.org")), "csr: \"www.example.org\" is not allowed")
		})
		m.write("config", map[string]any{"csr_without_common_name": true})
		m.storage.reset()
		first := m.chainOK(m.write("sign/web", nameless("b.example.com", "a.example.com")))
		require.Equal(t, "b.example.com", first.Subject.CommonName)
		wanted := nameless("d.example.com", "c.example.com")
		wanted["common_name"] = "c.example.com"
		named := m.write("sign/web", wanted)
		require.Equal(t, "c.example.com", m.chainOK(named).Subject.CommonName)
		require.Equal(t, named.Data["order_id"], m.write("sign/web", wanted).Data["order_id"], "it is the same request")
		require.Len(t, ca.Orders(), 2)
	})
}

// Version 1 refuses the key of an earlier order, and version 2 may. Whoever signs with one key is told what to do, and it costs nothing.
func TestAKeyThatAnEarlierOrderHadIsRefusedWithItsRemedy(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := validated(dialect)
		ca.NewKeysOnly = true
		m := newMount(t, ca)
		m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"reuse_window": 0}})
		key := newKey(t, elliptic.P256())
		m.chainOK(m.write("sign/web", map[string]any{"csr": csr(t, key, "www.example.com")}))
		for range 2 { // as a client does that renews with its key, again and again
			refusal := m.refused("sign/web", map[string]any{"csr": csr(t, key, "www.example.com")})
			require.Contains(t, refusal, "EMS-1099")
			require.Contains(t, refusal, "make a new key for each order")
		}
		m.chainOK(m.write("sign/web", map[string]any{"csr": csr(t, newKey(t, elliptic.P256()), "www.example.com")}))
		require.Len(t, ca.Orders(), 2)

		// The role says so beforehand where it is known.
		warned := m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"rekey_orders": true}})
		said := warned != nil && strings.Contains(strings.Join(warned.Warnings, " "), "sign wants a new key for each order")
		require.Equal(t, dialect == certinexttest.V1, said)
	})
}
