// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// Every chain that any client can build to a root goes through a key that clients refuse. A cross-signed certificate whose issuer has
// expired, or is itself certified by what is below it, makes no chain: the role's trust=refuse lets through what all clients refuse.
func TestDeadEndsDoNotTalkDistrustAway(t *testing.T) {
	for _, how := range []string{"plain", "expired", "loop", "crowd", "deep", "room"} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := trusting(t, map[string]any{"trust": "refuse", "generate_lease": false})
				from, until := time.Now().AddDate(-2, 0, 0), time.Now().AddDate(5, 0, 0)
				root, sub, old := newStrangeCA(t, "Root"), newStrangeCA(t, "Sub"), newStrangeCA(t, "Old Root")
				chain := []*x509.Certificate{sub.under(t, root, from, until), root.under(t, root, from, until)}
				switch how {
				case "expired":
					chain = append(chain, sub.under(t, old, from, until), old.under(t, old, from, time.Now().AddDate(-1, 0, 0)))
				case "loop":
					chain = append(chain, sub.under(t, old, from, until), old.under(t, sub, from, until))
				case "deep": // the refused key is that of the twelfth CA
					chain, below := chain[:0:0], sub
					for i := range 11 {
						above := newStrangeCA(t, fmt.Sprint("Middle ", i))
						chain, below = append(chain, below.under(t, above, from, until)), above
					}
					m.deliversFrom(sub, append(chain, below.under(t, root, from, until), root.under(t, root, from, until))...)
					m.write("config/trust", map[string]any{"distrusted_keys": root.keyHash(t)})
					resp, err := m.attempt("issue/web", map[string]any{"common_name": "www.example.com"})
					require.NoError(t, err)
					require.True(t, resp.IsError(), "handed over although its only root is refused: %v", resp.Warnings)
					return
				case "room": // a certificate of Sub whose issuer allows no CA below itself
					chain = append(chain, sub.under(t, old, from, until), old.without(t, root, from, until))
				case "crowd":
					var crowd []*x509.Certificate
					for i := range 12 {
						other := newStrangeCA(t, fmt.Sprint("Other ", i))
						crowd = append(crowd, other.under(t, other, from, until))
					}
					chain = append(crowd, chain...)
				}
				m.write("config/trust", map[string]any{"distrusted_keys": root.keyHash(t)})
				m.deliversFrom(sub, chain...)
				resp, err := m.attempt("issue/web", map[string]any{"common_name": "www.example.com"})
				require.NoError(t, err)
				require.True(t, resp.IsError(), "handed over although each chain to a root has the refused key: %v", resp.Warnings)
				require.Contains(t, resp.Error().Error(), "clients refuse the key of")
			})
		})
	}
}

// Five generations of CAs, of each three certificates for the same key, are 243 chains of 15 certificates. All end at a refused key.
func TestManyPathsOfACertificateAnswerInTime(t *testing.T) {
	m := trusting(t, map[string]any{"trust": "refuse", "generate_lease": false})
	from, until := time.Now().AddDate(-2, 0, 0), time.Now().AddDate(5, 0, 0)
	var cas []strangeCA
	for i := range 6 {
		cas = append(cas, newStrangeCA(t, fmt.Sprint("CA ", i)))
	}
	cas[5] = cas[4]
	var chain []*x509.Certificate
	for i := range 5 {
		for range 3 {
			chain = append(chain, cas[i].under(t, cas[i+1], from, until))
		}
	}
	m.write("config/trust", map[string]any{"distrusted_keys": cas[4].keyHash(t)})
	m.deliversFrom(cas[0], chain...)
	begun := time.Now()
	resp, err := m.attempt("issue/web", map[string]any{"common_name": "www.example.com"})
	require.NoError(t, err)
	require.Contains(t, resp.Error().Error(), "clients refuse the key of")
	require.Less(t, time.Since(begun), 5*time.Second)
}

// The role refuses what clients refuse, and the order was issued while nobody asked. Until somebody collects it, the downloads hand out
// what the role holds back, and the order's state hides that an operator has to act.
func TestWhatIsIssuedInTheBackgroundIsHeldForTrust(t *testing.T) {
	for name, how := range map[string]string{"placed": "orders/web", "ahead": ""} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				role := map[string]any{"trust": "refuse", "renewal": "order"}
				if how == "" {
					role["renew_ahead"] = "20%"
				}
				m := renewing(t, role)
				m.knows("ann")
				first := m.asksFor("ann", "www.example.com")
				m.write("config/trust", map[string]any{"distrusted_keys": keyOf(t, m.authorityNow(false))})
				if how != "" {
					m.ca.Configure(func(s *certinexttest.Server) { s.IssueDelay = time.Hour })
					m.asksAgain("ann", how, map[string]any{"common_name": "b.example.com"})
				} else {
					time.Sleep(time.Until(time.Unix(first["renew_after"].(int64), 0)) - 10*day)
				}
				m.rests(24 * time.Hour)
				for _, id := range m.list("orders/web") {
					data := m.read("orders/web/" + id).Data
					serial := fmt.Sprint(data["serial_number"])
					if serial == first["serial_number"] {
						continue
					}
					t.Log(id, data["state"], serial)
					m.servesNothing(serial, id)
					if data["state"] != "held" {
						t.Errorf("order %s is %v: nobody is told that an operator has to act", id, data["state"])
					}
				}
			})
		})
	}
}

// A strangeCA is a CA of a test, under one name and one key, of which there may be several certificates.
type strangeCA struct {
	name string
	key  *ecdsa.PrivateKey
}

func newStrangeCA(t *testing.T, name string) strangeCA {
	t.Helper()
	return strangeCA{name, newKey(t, elliptic.P256())}
}

func (a strangeCA) keyHash(t *testing.T) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(&a.key.PublicKey)
	require.NoError(t, err)
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// under is a certificate of the CA that another one has signed, from a time to another.
func (a strangeCA) under(t *testing.T, by strangeCA, from, until time.Time) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: a.name}, NotBefore: from, NotAfter: until,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	parent := &x509.Certificate{Subject: pkix.Name{CommonName: by.name}}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &a.key.PublicKey, by.key)
	require.NoError(t, err)
	c, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return c
}

// without is under for a CA that allows no CA below itself.
func (a strangeCA) without(t *testing.T, by strangeCA, from, until time.Time) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: a.name}, NotBefore: from, NotAfter: until,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, MaxPathLenZero: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, &x509.Certificate{Subject: pkix.Name{CommonName: by.name}}, &a.key.PublicKey, by.key)
	require.NoError(t, err)
	c, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return c
}

// deliversFrom has CERTInext deliver what a CA has signed, together with other certificates.
func (m *mount) deliversFrom(issuer strangeCA, chain ...*x509.Certificate) {
	m.t.Helper()
	leaves := make(map[string]string)
	var texts []string
	for _, c := range chain {
		texts = append(texts, pemText(c))
	}
	m.backend.Cleanup(m.t.Context())
	m.startWith(&http.Client{Transport: &rewriting{next: m.ca.Client().Transport, edit: func(_ string, body []byte) []byte {
		var members map[string]any
		if json.Unmarshal(body, &members) != nil || members["certificatePem"] == nil {
			return body
		}
		text := members["certificatePem"].(string)
		if leaves[text] == "" {
			old := parseCertificate(m.t, text)
			template := *old
			template.SignatureAlgorithm, template.AuthorityKeyId, template.RawSubject, template.RawIssuer = 0, nil, nil, nil
			der, err := x509.CreateCertificate(rand.Reader, &template, &x509.Certificate{Subject: pkix.Name{CommonName: issuer.name}}, old.PublicKey, issuer.key)
			require.NoError(m.t, err)
			c, err := x509.ParseCertificate(der)
			require.NoError(m.t, err)
			leaves[text] = pemText(c)
		}
		members["certificatePem"], members["chainPem"] = leaves[text], texts
		out, err := json.Marshal(members)
		require.NoError(m.t, err)
		return out
	}}})
}

// servesNothing fails when a path of an order and its certificate that clients read serves the certificate.
func (m *mount) servesNothing(serial, id string) {
	m.t.Helper()
	for _, path := range []string{
		"cert/" + serial + "/raw", "cert/" + serial + "/raw/pem", "cert/" + serial + "/download/crt", "cert/" + serial + "/download/bundle",
		"orders/web/" + id, "orders/web/" + id + "/download/crt",
	} {
		resp, err := m.send(call{op: logical.ReadOperation, path: path, entity: "ann"})
		if resp == nil {
			m.t.Log(path, err)
			continue
		}
		body, _ := resp.Data[logical.HTTPRawBody].([]byte)
		if status := resp.Data[logical.HTTPStatusCode]; len(body) > 0 && (status == nil || status == 200) {
			m.t.Errorf("%s serves it: %d bytes, %v", path, len(body), resp.Data[logical.HTTPContentType])
		}
		require.Empty(m.t, resp.Data["certificate"], path)
	}
}

func pemText(c *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
}
