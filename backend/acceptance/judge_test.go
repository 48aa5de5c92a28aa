// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var now = time.Date(2026, time.November, 28, 12, 0, 0, 0, time.UTC)

// A signer issues certificates for tests.
type signer struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// issue issues a certificate by a template; nil issues itself.
func (s *signer) issue(t *testing.T, template *x509.Certificate) *signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	if s == nil {
		s = &signer{cert: template, key: key}
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, s.cert, &key.PublicKey, s.key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(raw)
	require.NoError(t, err)
	return &signer{cert: cert, key: key}
}

// ca is a template of a CA's certificate.
func ca(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(9, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
}

// server is a template of a server's certificate of 90 days.
func server(names ...string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "www.example.com"},
		DNSNames: names, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(90 * day),
		BasicConstraintsValid: true,
	}
}

// otherName is an alternative name of a kind that Go's parser passes over: a user principal name.
func otherName(t *testing.T, dns string) pkix.Extension {
	t.Helper()
	upn, err := asn1.Marshal(struct {
		ID    asn1.ObjectIdentifier
		Value string `asn1:"tag:0,explicit,utf8"`
	}{asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2, 3}, "admin@example.org"})
	require.NoError(t, err)
	var seq asn1.RawValue
	_, err = asn1.Unmarshal(upn, &seq)
	require.NoError(t, err)
	value, err := asn1.Marshal([]asn1.RawValue{
		{Class: asn1.ClassContextSpecific, Tag: 2, Bytes: []byte(dns)},
		{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: seq.Bytes},
	})
	require.NoError(t, err)
	return pkix.Extension{Id: subjectAltName, Value: value}
}

func TestACertificateIsHeldAgainstItsOrder(t *testing.T) {
	www := &Ordered{DNSNames: []string{"www.example.com"}, Public: true, Years: 1}
	private := &Ordered{DNSNames: []string{"www.example.com"}, Years: 1}
	person := &Ordered{Subject: true, Called: []string{"Some Body", "a@example.com"}, Mail: "a@example.com", Years: 2}
	address := &Ordered{IPs: []net.IP{net.IPv4(192, 0, 2, 1)}, Public: true}
	at := func(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, time.UTC) }
	for name, c := range map[string]struct {
		change  func(*x509.Certificate)
		ordered *Ordered
		now     time.Time
		fault   string // part of the only fault; none when empty
		remark  string // likewise
		begins  time.Time
	}{
		"as ordered": {},
		"in upper case": {
			change: func(c *x509.Certificate) { c.DNSNames = []string{"WWW.Example.COM"} },
		},
		"without a common name": {
			change: func(c *x509.Certificate) { c.Subject = pkix.Name{} },
		},
		"a name too many": {
			change: func(c *x509.Certificate) { c.DNSNames = append(c.DNSNames, "evil.test") },
			fault:  "it holds the name evil.test, which was not ordered",
		},
		"a name too few": {
			ordered: &Ordered{DNSNames: []string{"www.example.com", "b.example.com"}},
			fault:   "it lacks b.example.com",
		},
		"an added www": {
			change:  func(c *x509.Certificate) { c.DNSNames = []string{"example.com", "www.example.com"} },
			ordered: &Ordered{DNSNames: []string{"example.com"}},
			remark:  "also holds www.example.com",
		},
		"a www that was asked for": {
			change:  func(c *x509.Certificate) { c.DNSNames = []string{"example.com", "www.example.com"} },
			ordered: &Ordered{DNSNames: []string{"example.com"}, WWW: true},
		},
		"a www of another name": {
			change: func(c *x509.Certificate) { c.DNSNames = append(c.DNSNames, "www.example.org") },
			fault:  "it holds the name www.example.org",
		},
		"a www of a wildcard": {
			change: func(c *x509.Certificate) {
				c.DNSNames, c.Subject.CommonName = []string{"*.example.com", "www.*.example.com"}, ""
			},
			ordered: &Ordered{DNSNames: []string{"*.example.com"}},
			fault:   "www.*.example.com",
		},
		"the base domain of a wildcard": {
			change: func(c *x509.Certificate) {
				c.DNSNames, c.Subject.CommonName = []string{"*.example.com", "example.com"}, ""
			},
			ordered: &Ordered{DNSNames: []string{"*.example.com"}},
			remark:  "also holds example.com",
		},
		"a wildcard that was not ordered": {
			change: func(c *x509.Certificate) { c.DNSNames = append(c.DNSNames, "*.example.com") },
			fault:  "it holds the name *.example.com",
		},
		"another common name": {
			change: func(c *x509.Certificate) { c.Subject.CommonName = "evil.test" },
			fault:  "it holds the common name evil.test",
		},
		"an address": {
			change: func(c *x509.Certificate) {
				c.DNSNames, c.IPAddresses = nil, []net.IP{net.IPv4(192, 0, 2, 1)}
				c.Subject.CommonName = "192.0.2.1"
			},
			ordered: address,
		},
		"another address": {
			change: func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(192, 0, 2, 2)} },
			fault:  "it holds the address 192.0.2.2",
		},
		"no address": {
			ordered: &Ordered{
				DNSNames: []string{"www.example.com"}, IPs: []net.IP{net.IPv4(192, 0, 2, 1)},
			},
			fault: "it lacks 192.0.2.1",
		},
		"a mail address": {
			change: func(c *x509.Certificate) { c.EmailAddresses = []string{"a@example.com"} },
			fault:  "it holds the mail address a@example.com",
		},
		"a URI": {
			change: func(c *x509.Certificate) {
				c.URIs = []*url.URL{{Scheme: "spiffe", Host: "example.com", Path: "/web"}}
			},
			fault: "it holds the URI spiffe://example.com/web",
		},
		"a name of an unknown kind": {
			change: func(c *x509.Certificate) {
				c.ExtraExtensions = []pkix.Extension{otherName(t, "www.example.com")}
			},
			fault: "it holds an alternative name that is no host name",
		},
		"a person with a mail address": {
			change: func(c *x509.Certificate) {
				c.DNSNames, c.EmailAddresses = nil, []string{"a@example.com"}
				c.Subject.CommonName = "Some Body"
			},
			ordered: person,
		},
		"a person with a name of a host": {
			change:  func(c *x509.Certificate) { c.Subject.CommonName = "BODY Some (signature)" },
			ordered: person,
			fault:   "it holds the name www.example.com",
		},
		"another person": {
			change: func(c *x509.Certificate) {
				c.DNSNames, c.Subject.CommonName = nil, "Some Other"
			},
			ordered: person,
			fault:   "it holds the common name Some Other",
		},
		"another person's mail address": {
			change: func(c *x509.Certificate) {
				c.DNSNames, c.EmailAddresses = nil, []string{"b@example.com"}
				c.Subject.CommonName = "a@example.com"
			},
			ordered: person,
			fault:   "it holds the mail address b@example.com",
		},
		"a person with a URI": {
			change: func(c *x509.Certificate) {
				c.DNSNames, c.URIs = nil, []*url.URL{{Scheme: "spiffe", Host: "example.com"}}
				c.Subject.CommonName = "Some Body"
			},
			ordered: person,
			fault:   "it holds the URI",
		},
		"another common name before the ordered one": {
			change: func(c *x509.Certificate) {
				c.Subject = pkix.Name{ExtraNames: []pkix.AttributeTypeAndValue{
					{Type: commonName, Value: "evil.test"}, {Type: commonName, Value: "www.example.com"},
				}}
			},
			fault: "it holds the common name evil.test",
		},
		"a mail address in the subject": {
			change: func(c *x509.Certificate) {
				c.Subject.ExtraNames = []pkix.AttributeTypeAndValue{{Type: emailAddress, Value: "a@example.com"}}
			},
			fault: "it holds the mail address a@example.com",
		},
		"a CA": {
			change: func(c *x509.Certificate) { c.IsCA = true },
			fault:  "it is a CA's certificate",
		},
		"a key that may sign certificates": {
			change: func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCertSign },
			fault:  "it is a CA's certificate",
		},
		"begins in nine minutes": {
			change: func(c *x509.Certificate) { c.NotBefore = now.Add(9 * time.Minute) },
			begins: now.Add(9 * time.Minute),
		},
		"begins in a quarter of an hour": {
			change: func(c *x509.Certificate) { c.NotBefore = now.Add(15 * time.Minute) },
			fault:  "it begins to be valid only at 2026-11-28T12:15:00Z",
		},
		"ends before it begins": {
			change: func(c *x509.Certificate) { c.NotAfter = c.NotBefore.Add(-time.Hour) },
			fault:  "it ends before it begins",
		},
		"200 days": {
			change: func(c *x509.Certificate) { c.NotAfter = c.NotBefore.Add(200 * day) },
		},
		"201 days": {
			change: func(c *x509.Certificate) { c.NotAfter = c.NotBefore.Add(201 * day) },
			fault:  "it is valid for 201 days: public rules allow 200",
		},
		"200 days and a second": {
			change: func(c *x509.Certificate) { c.NotAfter = c.NotBefore.Add(200*day + time.Second) },
			fault:  "it is valid for 201 days: public rules allow 200",
		},
		"longer than a duration can be": {
			change: func(c *x509.Certificate) { c.NotAfter = at(9999, 12, 31) },
			fault:  "it is valid for 106752 days: public rules allow 200",
		},
		"101 days in March 2027": {
			change: func(c *x509.Certificate) {
				c.NotBefore, c.NotAfter = at(2027, 3, 15), at(2027, 3, 15).Add(101*day)
			},
			now:   at(2027, 3, 16),
			fault: "public rules allow 100",
		},
		"48 days in 2029": {
			change: func(c *x509.Certificate) {
				c.NotBefore, c.NotAfter = at(2029, 3, 15), at(2029, 3, 15).Add(48*day)
			},
			now:   at(2029, 3, 16),
			fault: "public rules allow 47",
		},
		"398 days before": {
			change: func(c *x509.Certificate) {
				c.NotBefore, c.NotAfter = at(2026, 3, 14), at(2026, 3, 14).Add(398*day)
			},
		},
		"a year in private": {
			change:  func(c *x509.Certificate) { c.NotAfter = c.NotBefore.AddDate(1, 0, 20) },
			ordered: private,
		},
		"two years in private": {
			change:  func(c *x509.Certificate) { c.NotAfter = c.NotBefore.AddDate(2, 0, 0) },
			ordered: private,
			fault:   "longer than its subscription of validity_years=1",
		},
	} {
		t.Run(name, func(t *testing.T) {
			root := (*signer)(nil).issue(t, ca("root"))
			template := server("www.example.com")
			if c.change != nil {
				c.change(template)
			}
			if c.ordered == nil {
				c.ordered = www
			}
			if c.now.IsZero() {
				c.now = now
			}
			leaf := root.issue(t, template).cert
			v := Judge(Delivered{Leaf: leaf, Chain: []*x509.Certificate{root.cert}}, c.ordered, c.now)
			requireOnly(t, c.fault, v.Faults)
			requireOnly(t, c.remark, v.Remarks)
			require.Equal(t, c.begins, v.Begins.UTC())
		})
	}
}

// requireOnly requires that found is one text which contains want; none when want is empty.
func requireOnly(t *testing.T, want string, found []string) {
	t.Helper()
	if want == "" {
		require.Empty(t, found)
		return
	}
	require.Len(t, found, 1)
	require.Contains(t, found[0], want)
}

func TestAChainHoldsOrIsSaidNotTo(t *testing.T) {
	root := (*signer)(nil).issue(t, ca("root"))
	issuer := root.issue(t, ca("issuer"))
	leaf := issuer.issue(t, server("www.example.com")).cert
	other := (*signer)(nil).issue(t, ca("other")).cert
	namesake := (*signer)(nil).issue(t, ca("issuer")).cert
	falseRoot := (*signer)(nil).issue(t, ca("root")).cert
	type certs = []*x509.Certificate
	for name, c := range map[string]struct {
		chain, rest   certs
		fault, remark string
	}{
		"whole":                      {chain: certs{issuer.cert, root.cert}},
		"without its root":           {chain: certs{issuer.cert}},
		"beside another one's":       {chain: certs{issuer.cert, root.cert}, rest: certs{other}},
		"beside a CA of that name":   {chain: certs{issuer.cert, root.cert}, rest: certs{namesake}},
		"none":                       {remark: "without its chain"},
		"another one's":              {rest: certs{other}, fault: "its chain is another one's"},
		"an issuer by name":          {rest: certs{namesake, root.cert}, fault: "CN=issuer did not sign"},
		"a root by name, above good": {chain: certs{issuer.cert}, rest: certs{falseRoot}, fault: "CN=root did not sign CN=issuer"},
	} {
		t.Run(name, func(t *testing.T) {
			v := Judge(Delivered{Leaf: leaf, Chain: c.chain, Rest: c.rest},
				&Ordered{DNSNames: []string{"www.example.com"}, Public: true}, now)
			requireOnly(t, c.fault, v.AllFaults())
			requireOnly(t, c.remark, v.Remarks)
		})
	}
}

// Whatever a CA writes into a certificate, judging it ends, and what is said of it can be shown.
func FuzzJudge(f *testing.F) {
	f.Add("www.example.com", "www.example.com", int64(0), int64(90))
	f.Add("evil\n.test", "\x1b[31m", int64(5), int64(-3))
	f.Fuzz(func(t *testing.T, dns, cn string, begins, days int64) {
		leaf := &x509.Certificate{
			Subject:   pkix.Name{Names: []pkix.AttributeTypeAndValue{{Type: commonName, Value: cn}}},
			DNSNames:  []string{dns},
			NotBefore: now.Add(time.Duration(begins) * time.Minute),
		}
		leaf.NotAfter = leaf.NotBefore.Add(time.Duration(days%100000) * day)
		v := Judge(Delivered{Leaf: leaf}, &Ordered{DNSNames: []string{"www.example.com"}}, now)
		for _, text := range append(v.AllFaults(), v.Remarks...) {
			for _, r := range text {
				require.GreaterOrEqual(t, r, ' ', "%q", text)
			}
		}
	})
}
