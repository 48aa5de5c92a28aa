// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// The certificate of a document signer, or for mail, is somebody else's.
func TestAPersonalCertificateForSomebodyElseIsHeld(t *testing.T) {
	for _, product := range []string{"819", "914"} {
		for _, mistake := range []certinexttest.Misissuance{
			certinexttest.MisissueMissingName, // another mail address in place of the ordered one
			certinexttest.MisissueEmailName, certinexttest.MisissueOtherCommonName, certinexttest.MisissueURIName, certinexttest.MisissueOtherName,
		} {
			t.Run(product+" "+mistake.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					ca := &certinexttest.Server{Misissue: mistake}
					m := signers(t, ca)
					m.write("roles/s", map[string]any{
						"product_code": product, "key_type": "any", "generate_lease": false, "attested": product == "819",
						"subject": map[string]any{
							"first_name": "Platform", "last_name": "Team", "email": "platform@example.com", "identification_number": "X1",
							"country_code": "IN", "locality": "Bengaluru", "state": "Karnataka",
						},
					})
					o := m.as("orders/s", map[string]any{"csr": csr(t, newKey(t, elliptic.P256()), "Platform Team")}).Data
					for range 4 {
						_ = ca.AddDocuments(o["ca_order_id"].(string), 3)
						_ = ca.Approve(o["ca_order_id"].(string))
						time.Sleep(time.Minute)
						m.pass()
					}
					got, err := m.send(call{op: logical.UpdateOperation, path: "orders/s/" + o["order_id"].(string) + "/collect", entity: "entity-a"})
					require.NoError(t, err)
					require.True(t, got.IsError(), "handed over, warnings %v", got.Warnings)
					require.Equal(t, "held", m.read("orders/s/" + o["order_id"].(string)).Data["state"])
				})
			})
		}
	}
}

type forgery struct {
	root, sub func(c *x509.Certificate) // change the template
	leaf      func(c *x509.Certificate)
}

func (m *mount) forged(f forgery) {
	key := func() *ecdsa.PrivateKey { return newKey(m.t, elliptic.P256()) }
	issue := func(template, parent *x509.Certificate, public any, by *ecdsa.PrivateKey) *x509.Certificate {
		der, err := x509.CreateCertificate(rand.Reader, template, parent, public, by)
		require.NoError(m.t, err)
		c, err := x509.ParseCertificate(der)
		require.NoError(m.t, err)
		return c
	}
	text := func(c *x509.Certificate) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	ca := func(n int64, name string, change func(*x509.Certificate)) *x509.Certificate {
		c := &x509.Certificate{
			SerialNumber: big.NewInt(n), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(5, 0, 0),
			IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, SubjectKeyId: []byte{byte(n)},
		}
		if change != nil {
			change(c)
		}
		return c
	}
	rootKey, subKey := key(), key()
	rootTemplate := ca(1, "Root", f.root)
	root := issue(rootTemplate, rootTemplate, &rootKey.PublicKey, rootKey)
	sub := issue(ca(2, "Sub", f.sub), root, &subKey.PublicKey, rootKey)
	var leaf *x509.Certificate
	m.backend.Cleanup(m.t.Context())
	m.startWith(&http.Client{Transport: &rewriting{next: m.ca.Client().Transport, edit: func(_ string, body []byte) []byte {
		var members map[string]any
		if json.Unmarshal(body, &members) != nil || members["certificatePem"] == nil {
			return body
		}
		if leaf == nil {
			old := parseCertificate(m.t, members["certificatePem"].(string))
			template := *old
			template.SignatureAlgorithm, template.AuthorityKeyId, template.RawSubject, template.RawIssuer = 0, nil, nil, nil
			if f.leaf != nil {
				f.leaf(&template)
			}
			leaf = issue(&template, sub, old.PublicKey, subKey)
		}
		members["certificatePem"], members["chainPem"] = text(leaf), []string{text(sub), text(root)}
		out, err := json.Marshal(members)
		require.NoError(m.t, err)
		return out
	}}})
}

var commonName = asn1.ObjectIdentifier{2, 5, 4, 3}

// Names that stand where few look, and chains whose signatures hold and whose CAs may not vouch.
func TestNamesAndChainsThatAreEasilyOverlookedAreHeld(t *testing.T) {
	subject := func(more ...pkix.AttributeTypeAndValue) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.Subject = pkix.Name{ExtraNames: more} }
	}
	ours := pkix.AttributeTypeAndValue{Type: commonName, Value: "www.example.com"}
	for name, f := range map[string]forgery{
		"another common name before the ordered one": {leaf: subject(pkix.AttributeTypeAndValue{Type: commonName, Value: "evil.example.org"}, ours)},
		"a mail address in the subject":              {leaf: subject(ours, pkix.AttributeTypeAndValue{Type: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}, Value: "evil@example.org"})},
		"the intermediate has expired":               {sub: func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }},
		"the intermediate is not valid yet":          {sub: func(c *x509.Certificate) { c.NotBefore = time.Now().AddDate(0, 2, 0) }},
		"the root allows no intermediate":            {root: func(c *x509.Certificate) { c.MaxPathLenZero = true }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMount(t, validated(certinexttest.Live))
				m.forged(f)
				var got *logical.Response
				for range 15 {
					got = m.try(logical.UpdateOperation, "issue/web", www)
					require.True(t, got.IsError(), "handed over, warnings %v", got.Warnings)
					time.Sleep(time.Minute)
					m.pass()
				}
				m.heldOrder()
			})
		})
	}
}

// A product whose name says three years is issued for three years.
func TestASignersCertificateLivesAsLongAsItsProductSays(t *testing.T) {
	for _, dialect := range []certinexttest.Dialect{certinexttest.Live, certinexttest.V1, certinexttest.Documented} {
		for product, years := range map[string]int{"819": 1, "820": 2, "821": 3} {
			synctest.Test(t, func(t *testing.T) {
				ca := &certinexttest.Server{Dialect: dialect, OtherLifetime: time.Duration(years) * 365 * 24 * time.Hour}
				m := signers(t, ca)
				m.must(call{op: logical.PatchOperation, path: "roles/signer", data: map[string]any{"product_code": product}})
				o := m.as("orders/signer", map[string]any{"csr": csr(t, newKey(t, elliptic.P256()), "Platform Team")}).Data
				for range 4 {
					_ = ca.AddDocuments(o["ca_order_id"].(string), 3)
					_ = ca.Approve(o["ca_order_id"].(string))
					time.Sleep(time.Minute)
					m.pass()
				}
				o = m.read("orders/signer/" + o["order_id"].(string)).Data
				require.Equal(t, "issued", o["state"], "%v %s: %v; role %v", dialect, product, o["needs"], m.read("roles/signer").Data["validity_years"])
			})
		}
	}
}

// To renew what is held would buy another one like it.
func TestAHeldCertificateHasNoSuccessor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, wrongly(certinexttest.MisissueExtraName))
		m.refused("issue/web", www)
		for range 3 { // each renews the one before
			time.Sleep(time.Hour)
			for _, serial := range m.list("certs") {
				m.try(logical.UpdateOperation, "renew/web/"+serial, nil)
			}
		}
		require.Len(t, m.ca.Orders(), 1)
	})
}

// A file has no room to say that its certificate is held.
func TestAHeldCertificateIsNoFile(t *testing.T) {
	for _, form := range []string{"raw", "raw/pem", "download/crt", "download/bundle", "download/zip", "download/pkcs7"} {
		t.Run(form, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMount(t, wrongly(certinexttest.MisissueExtraName))
				m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"key_type": "any"}})
				m.refused("sign/web", map[string]any{"csr": csr(t, newKey(t, elliptic.P256()), "www.example.com")})
				serial := m.heldOrder()["serial_number"].(string)
				resp, err := m.send(call{op: logical.ReadOperation, path: "cert/" + serial + "/" + form})
				require.NoError(t, err)
				body, _ := resp.Data[logical.HTTPRawBody].([]byte)
				require.True(t, resp.IsError() || len(body) == 0, "%d bytes of the held certificate", len(body))
			})
		})
	}
}
