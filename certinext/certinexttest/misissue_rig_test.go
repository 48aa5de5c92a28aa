// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// A delivery is what an order's client gets: the leaf, and the chain from its
// issuer to the root.
type delivery struct {
	cert  *x509.Certificate
	chain []*x509.Certificate
}

// delivered downloads an order's certificate through version 1, and expects the
// same in every form of version 2 that the dialect has at path ("" for none).
func (r *rig) delivered(id, path string) (d delivery) {
	r.t.Helper()
	v := r.call("GetCertificate", m{"orderDetails": ref(id)}).block("certificateDetails")
	d.cert = leaf(r.t, v["endEntityCertificate"].(string))
	for _, member := range []string{"subCACertificate", "caCertificate", "rootCertificate"} {
		if text, _ := v[member].(string); text != "" {
			d.chain = append(d.chain, leaf(r.t, text))
		}
	}
	if path == "" {
		return d
	}
	path += "/certificate"
	all := append([]*x509.Certificate{d.cert}, d.chain...)
	v = r.get(path).must(http.StatusOK)
	require.Equal(r.t, d.cert.Raw, leaf(r.t, v["certificatePem"].(string)).Raw)
	if r.srv.Dialect == certinexttest.Live {
		var texts []any
		for _, c := range d.chain {
			texts = append(texts, trimPEM(string(pemOf(c))))
		}
		require.Equal(r.t, texts, anys(v["chainPem"]))
	}
	require.Equal(r.t, d.cert.Raw, r.get(path, "Accept", "application/pkix-cert").body)
	want := pemOf(all[:max(1, len(all)-1)]...) // without the root
	require.Equal(r.t, string(want), string(r.get(path, "Accept", "application/x-pem-file").body))
	return d
}

func anys(v any) []any {
	list, _ := v.([]any)
	return list
}

func pemOf(certs ...*x509.Certificate) (out []byte) {
	for _, c := range certs {
		block := &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}
		out = append(out, pem.EncodeToMemory(block)...)
	}
	return out
}

// What was ordered, as far as a certificate can differ from it.
type ordered struct {
	commonName string
	dns        []string
	ips        []string
	emails     []string
	key        any
	usage      x509.ExtKeyUsage
	life       time.Duration
}

// faults are all ways in which d is not what was ordered, at the moment of its
// issuance.
func (d delivery) faults(t *testing.T, srv *certinexttest.Server, o ordered) []string {
	t.Helper()
	require.Equal(t, o.key, d.cert.PublicKey)
	return slices.Concat(d.nameFaults(t, o), d.kindFaults(), d.lifeFaults(o.life), d.chainFaults(srv, o))
}

func (d delivery) nameFaults(t *testing.T, o ordered) (faults []string) {
	c := d.cert
	if c.Subject.CommonName != o.commonName {
		faults = append(faults, "common name "+c.Subject.CommonName)
	}
	var ips, uris []string
	for _, ip := range c.IPAddresses {
		ips = append(ips, ip.String())
	}
	for _, u := range c.URIs {
		uris = append(uris, u.String())
	}
	faults = append(faults, differences("DNS", c.DNSNames, o.dns)...)
	faults = append(faults, differences("IP", ips, o.ips)...)
	faults = append(faults, differences("email", c.EmailAddresses, o.emails)...)
	faults = append(faults, differences("URI", uris, nil)...)
	return append(faults, differences("other", otherNames(t, c), nil)...)
}

// differences are what is in got or in want alone.
func differences(kind string, got, want []string) (faults []string) {
	for _, name := range got {
		if !slices.Contains(want, name) {
			faults = append(faults, "extra "+kind+" "+name)
		}
	}
	for _, name := range want {
		if !slices.Contains(got, name) {
			faults = append(faults, "no "+kind+" "+name)
		}
	}
	return faults
}

// otherNames are the names of kinds that crypto/x509 does not read, of which
// user principal names are read here.
func otherNames(t *testing.T, c *x509.Certificate) (names []string) {
	t.Helper()
	for _, e := range c.Extensions {
		var list []asn1.RawValue
		if !e.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 17}) {
			continue
		}
		rest, err := asn1.Unmarshal(e.Value, &list)
		require.NoError(t, err)
		require.Empty(t, rest)
		for _, name := range list {
			var other struct {
				Kind  asn1.ObjectIdentifier
				Value string `asn1:"tag:0,explicit,utf8"`
			}
			if name.Tag == 0 {
				_, err := asn1.UnmarshalWithParams(name.FullBytes, &other, "tag:0")
				require.NoError(t, err)
				names = append(names, other.Kind.String()+" "+other.Value)
			}
		}
	}
	return names
}

func (d delivery) kindFaults() (faults []string) {
	if d.cert.IsCA {
		faults = append(faults, "is a CA")
	}
	if d.cert.KeyUsage&x509.KeyUsageCertSign != 0 {
		faults = append(faults, "may sign certificates")
	}
	return faults
}

func (d delivery) lifeFaults(usual time.Duration) (faults []string) {
	now, begin, end := time.Now(), d.cert.NotBefore, d.cert.NotAfter
	switch {
	case begin.After(now):
		faults = append(faults, fmt.Sprint("begins in ", begin.Sub(now)))
	case end.Before(now):
		faults = append(faults, fmt.Sprint("ended before ", now.Sub(end)))
	}
	if life := end.Sub(begin); life != usual {
		faults = append(faults, fmt.Sprint("lives ", life))
	}
	return faults
}

// chainFaults looks at the link between leaf and issuer, at what is above, and,
// if nothing is wrong there, has crypto/x509 verify the whole.
func (d delivery) chainFaults(srv *certinexttest.Server, o ordered) (faults []string) {
	if len(d.chain) == 0 {
		return []string{"no chain"}
	}
	issuer := d.chain[0]
	if !bytes.Equal(issuer.RawSubject, d.cert.RawIssuer) {
		faults = append(faults, "issued by another name")
	}
	c := d.cert
	if issuer.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) != nil {
		faults = append(faults, "signed by another key")
	}
	if !issuer.IsCA {
		faults = append(faults, "issued by no CA")
	}
	if _, err := issuer.Verify(d.options(srv, d.chain[1:], x509.ExtKeyUsageAny)); err != nil {
		faults = append(faults, "the issuer: "+err.Error())
	}
	if len(faults) > 0 {
		return faults
	}
	if _, err := d.cert.Verify(d.options(srv, d.chain, o.usage)); err != nil {
		faults = append(faults, "the whole: "+err.Error())
	}
	return faults
}

// options verify with a chain under the server's roots: now, or at the leaf's
// end where it is not valid now.
func (d delivery) options(
	srv *certinexttest.Server, chain []*x509.Certificate, usage x509.ExtKeyUsage,
) x509.VerifyOptions {
	o := x509.VerifyOptions{
		Roots: srv.Roots(), Intermediates: x509.NewCertPool(), CurrentTime: time.Now(),
		KeyUsages: []x509.ExtKeyUsage{usage},
	}
	for _, c := range chain {
		o.Intermediates.AddCert(c)
	}
	if o.CurrentTime.Before(d.cert.NotBefore) || o.CurrentTime.After(d.cert.NotAfter) {
		o.CurrentTime = d.cert.NotAfter
	}
	return o
}

// ipsOf are the addresses as faults spells them.
func ipsOf(texts ...string) (ips []string) {
	for _, text := range texts {
		ips = append(ips, net.ParseIP(text).String())
	}
	return ips
}
