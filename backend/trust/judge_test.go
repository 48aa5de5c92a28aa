// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package trust_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/trust"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var now = time.Date(2026, time.November, 29, 12, 0, 0, 0, time.UTC)

// An authority is a CA of a test, under one name and one key, with several certificates of it.
type authority struct {
	name string
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return &authority{name: name, key: key}
}

func (a *authority) template() *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: a.name},
		NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(5, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
}

// by is a's certificate that an issuer has signed.
func (a *authority) by(t *testing.T, issuer *authority, changes ...func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	template := a.template()
	for _, change := range changes {
		change(template)
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, issuer.template(), &a.key.PublicKey, issuer.key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(raw)
	require.NoError(t, err)
	return cert
}

func leaf(c *x509.Certificate) {
	c.IsCA, c.KeyUsage, c.DNSNames = false, x509.KeyUsageDigitalSignature, []string{"www.example.com"}
}

func expired(c *x509.Certificate) { c.NotAfter = now.Add(-time.Hour) }

func inPEM(certs ...*x509.Certificate) string {
	var text strings.Builder
	for _, c := range certs {
		_ = pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
	}
	return text.String()
}

func TestWhoAcceptsACertificate(t *testing.T) {
	old, young, issuing, host := newAuthority(t, "Old Root"), newAuthority(t, "Young Root"), newAuthority(t, "Issuing CA"), newAuthority(t, "www.example.com")
	between := newAuthority(t, "Between CA")
	oldRoot, youngRoot := old.by(t, old), young.by(t, young)
	byOld, byYoung := issuing.by(t, old), issuing.by(t, young)
	cert := host.by(t, issuing, leaf)
	keys := func(certs ...*x509.Certificate) (keys []trust.Key) {
		for _, c := range certs {
			keys = append(keys, trust.KeyOf(c))
		}
		return keys
	}
	stores := map[string]string{"both": inPEM(oldRoot, youngRoot), "old": inPEM(oldRoot), "young": inPEM(youngRoot)}
	for name, c := range map[string]struct {
		pool       []*x509.Certificate
		refused    []trust.Key
		accept     string // the families
		distrusted string // names
		avoid      string
	}{
		"below the old root":                        {[]*x509.Certificate{byOld}, nil, "both old", "", ""},
		"with the root":                             {[]*x509.Certificate{byOld, oldRoot}, nil, "both old", "", ""},
		"cross-signed":                              {[]*x509.Certificate{byOld, byYoung}, nil, "both old young", "", ""},
		"in any order, and twice":                   {[]*x509.Certificate{youngRoot, byYoung, oldRoot, byOld, byOld}, nil, "both old young", "", ""},
		"without its chain":                         {nil, nil, "", "", ""},
		"the root's key is out":                     {[]*x509.Certificate{byOld, oldRoot}, keys(oldRoot), "", "CN=Old Root", ""},
		"the root's key is out, and not sent":       {[]*x509.Certificate{byOld}, keys(oldRoot), "", "", ""},
		"one of two roots' key is out":              {[]*x509.Certificate{byOld, byYoung, oldRoot, youngRoot}, keys(oldRoot), "both young", "", "CN=Old Root"},
		"the issuing CA's key is out":               {[]*x509.Certificate{byOld, byYoung}, keys(byOld), "", "CN=Issuing CA", ""},
		"the certificate's own key is out":          {[]*x509.Certificate{byOld, byYoung}, keys(cert), "", "CN=www.example.com", ""},
		"both roots' keys are out":                  {[]*x509.Certificate{byOld, byYoung, oldRoot, youngRoot}, keys(oldRoot, youngRoot), "", "CN=Old Root CN=Young Root", ""},
		"the root is signed by the young one":       {[]*x509.Certificate{byOld, old.by(t, young)}, nil, "both old young", "", ""},
		"the root's key is out whoever has signed":  {[]*x509.Certificate{byOld, old.by(t, young)}, keys(oldRoot), "", "CN=Old Root", ""},
		"a CA above has expired":                    {[]*x509.Certificate{issuing.by(t, young, expired)}, nil, "", "", ""},
		"a CA allows none below itself":             {[]*x509.Certificate{issuing.by(t, between), between.by(t, young, func(c *x509.Certificate) { c.MaxPathLenZero = true })}, nil, "", "", ""},
		"a CA allows one below itself":              {[]*x509.Certificate{issuing.by(t, between), between.by(t, young, func(c *x509.Certificate) { c.MaxPathLen = 1 })}, nil, "both young", "", ""},
		"another CA of the same name":               {[]*x509.Certificate{newAuthority(t, "Issuing CA").by(t, young)}, nil, "", "", ""},
		"two that have signed each other":           {[]*x509.Certificate{issuing.by(t, between), between.by(t, issuing), issuing.by(t, old)}, nil, "both old", "", ""},
		"a root that was renewed with the same key": {[]*x509.Certificate{byOld, old.by(t, old, func(c *x509.Certificate) { c.SerialNumber = big.NewInt(9) })}, nil, "both old", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			families := make(map[string]*trust.Family)
			for name, roots := range stores {
				var err error
				families[name], err = trust.ParseFamily("roots", name, roots)
				require.NoError(t, err)
			}
			v := trust.NewJudge(c.refused, families).Judge(cert, c.pool, now)
			assert.Equal(t, c.accept, strings.Join(v.Accept, " "))
			assert.Len(t, v.Refuse, 3-len(v.Accept))
			assert.Equal(t, c.distrusted, names(v.Distrusted))
			assert.Equal(t, c.avoid, names(v.Avoid))
			assert.False(t, v.Unfinished)
			assert.Equal(t, c.distrusted != "" || len(v.Refuse) > 0, v.IsDoubtful())
			assert.Equal(t, v.IsDoubtful(), len(v.Reasons()) > 0)
		})
	}
}

// names are the subjects of links, sorted by where they were met first.
func names(links []trust.Link) string {
	var out []string
	for _, l := range links {
		out = append(out, l.Name)
	}
	return strings.Join(out, " ")
}

func TestNothingIsSaidOfClientsThatNobodyNamed(t *testing.T) {
	root := newAuthority(t, "Root")
	cert := newAuthority(t, "www.example.com").by(t, root, leaf)
	v := trust.NewJudge(nil, nil).Judge(cert, []*x509.Certificate{root.by(t, root)}, now)
	assert.Equal(t, trust.Verdict{}, v)
	assert.Empty(t, v.Reasons())
	v = new(trust.Judge).Judge(cert, nil, now)
	assert.False(t, v.IsDoubtful(), "the zero value judges, too")
}

// A CA that has signed everybody with everybody does not keep us busy.
func TestTheSearchIsBounded(t *testing.T) {
	var cas []*authority
	for i := range 8 {
		cas = append(cas, newAuthority(t, fmt.Sprintf("CA %d", i)))
	}
	var pool []*x509.Certificate
	for _, a := range cas {
		for _, b := range cas {
			pool = append(pool, a.by(t, b))
		}
	}
	cert := newAuthority(t, "www.example.com").by(t, cas[0], leaf)
	v := trust.NewJudge(nil, nil).Judge(cert, pool, now)
	assert.True(t, v.Unfinished)
	assert.False(t, v.IsDoubtful())
}

func TestKeysAsPeopleWriteThem(t *testing.T) {
	key := "ebed6475c2c2d80fcb199f3fe8dd6e6b3ce60b77eb15d4e42c3dec0c6f5b5105"
	var colons strings.Builder
	for i := 0; i < len(key); i += 2 {
		colons.WriteString(":" + key[i:i+2])
	}
	got, err := trust.ParseKeys("distrusted_keys", []string{" " + strings.ToUpper(key) + "\n", colons.String()[1:]})
	require.NoError(t, err)
	assert.Equal(t, []trust.Key{trust.Key(key)}, got)
	assert.Contains(t, trust.Builtin(), trust.Key(key))
	assert.Len(t, trust.Builtin(), 8)
	for _, bad := range []string{"", "ab", key + "00", strings.Repeat("g", 64), key[:63]} {
		_, err := trust.ParseKeys("distrusted_keys", []string{bad})
		assert.ErrorContains(t, err, "distrusted_keys", bad)
	}
	_, err = trust.ParseKeys("distrusted_keys", make([]string, 1001))
	assert.ErrorContains(t, err, "at most 1000")
}

func TestRootsAsPeopleWriteThem(t *testing.T) {
	root := newAuthority(t, "Root")
	text := inPEM(root.by(t, root))
	family, err := trust.ParseFamily("roots", "mozilla", "# as of today\n"+text+"\n"+text)
	require.NoError(t, err)
	assert.Equal(t, 2, family.Len())
	for name, c := range map[string]struct{ family, text, says string }{
		"no name":              {"", text, "is no name"},
		"a name of a metric":   {"My Store", text, "is no name"},
		"nothing":              {"java", "", "holds no root"},
		"no PEM":               {"java", "MIIB", "holds no root"},
		"a broken end":         {"java", text + "-----BEGIN CERTIFICATE-----\nAAAA", "cannot be read"},
		"a broken certificate": {"java", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "certificate 1 cannot be read"},
		"a key":                {"java", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "not a certificate"},
		"a server's":           {"java", inPEM(newAuthority(t, "www.example.com").by(t, root, leaf)), "is no CA's"},
		"too long":             {"java", strings.Repeat("x", 768<<10+1), "are more than"},
		"too many":             {"java", strings.Repeat(text, 501), "more than 500"},
	} {
		_, err := trust.ParseFamily("roots", c.family, c.text)
		require.ErrorContains(t, err, c.says, name)
	}
}
