// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package authority

import (
	"cmp"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/sure"
)

// Where certificates say their status and issuer are found.
const (
	ocspPath  = "/ocsp"
	crlPrefix = "/crl/"
	caPrefix  = "/ca/"
)

// A publication is one kind of what a CA publishes.
type publication struct {
	method string
	path   string // up to what the path itself says, if it says anything
	rest   string // the name of that
	serve  func(*PKI, http.ResponseWriter, *http.Request)
}

// publications are all kinds.
var publications = []publication{
	{http.MethodPost, ocspPath, "", (*PKI).serveOCSPBody},
	{http.MethodGet, ocspPath + "/", "{request}", (*PKI).serveOCSPPath},
	{http.MethodGet, crlPrefix, "{file}", (*PKI).serveFile},
	{http.MethodGet, caPrefix, "{file}", (*PKI).serveFile},
}

// Publications are what is published, each as method and path, such as "GET /crl/{file}". GET
// stands for HEAD, too.
func Publications() []string {
	list := make([]string, len(publications))
	for i, p := range publications {
		list[i] = p.method + " " + p.path + p.rest
	}
	return list
}

// has tells whether a path is one of p.
func (p publication) has(path string) bool {
	if p.rest == "" {
		return path == p.path
	}
	return strings.HasPrefix(path, p.path) && path != p.path
}

// takes tells whether p is asked for by a method.
func (p publication) takes(method string) bool {
	return method == p.method || (method == http.MethodHead && p.method == http.MethodGet)
}

// statusLife is how long a CRL or OCSP answer is good for. "Within 4 h" is the
// vendor's word on how soon a revocation shows.
const statusLife = 4 * time.Hour

// Serves reports whether path is of what the CA publishes.
func Serves(path string) bool {
	return slices.ContainsFunc(publications, func(p publication) bool { return p.has(path) })
}

// ServeHTTP answers every client, since revocation status is public.
func (p *PKI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for _, published := range publications {
		if !published.has(r.URL.Path) {
			continue
		}
		if published.takes(r.Method) {
			published.serve(p, w, r)
			return
		}
		w.Header().Set("Allow", published.method)
		if published.takes(http.MethodHead) {
			w.Header().Set("Allow", "GET, HEAD")
		}
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	http.NotFound(w, r)
}

// serveFile answers a CRL or a certificate of a CA.
func (p *PKI) serveFile(w http.ResponseWriter, r *http.Request) {
	contentType, body := p.file(r.URL.Path)
	if body == nil {
		http.Error(w, "no CA of this server publishes that", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", contentType)
	_, _ = w.Write(body)
}

// file returns a CRL or a CA certificate, or nothing.
func (p *PKI) file(path string) (contentType string, body []byte) {
	for _, a := range p.everything() {
		for _, by := range a.CAs() {
			switch path {
			case crlPrefix + by.name + ".crl":
				now, lag := p.clock()
				return "application/pkix-crl", a.revocationList(by, now, lag)
			case caPrefix + by.name + ".cer":
				return "application/pkix-cert", by.Cert.Raw
			case caPrefix + by.name + "-crossed.cer":
				if by.crossed != nil {
					return "application/pkix-cert", by.crossed.Raw
				}
			case caPrefix + by.name + ".p7c":
				return "application/pkcs7-mime", certsOnly(by.Chain()...)
			}
		}
	}
	return "", nil
}

// knownRevoked reports whether i was revoked at least lag ago, so that the CRL and OCSP say so.
func (i *issuance) knownRevoked(now time.Time, lag time.Duration) bool {
	return !i.revokedAt.IsZero() && !now.Before(i.revokedAt.Add(lag))
}

// revocationList signs a new CRL of by, with the next number.
func (a *Hierarchy) revocationList(by *Signer, now time.Time, lag time.Duration) []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	by.crlNumber++
	template := &x509.RevocationList{
		Number: big.NewInt(by.crlNumber), ThisUpdate: now, NextUpdate: now.Add(statusLife),
	}
	for _, i := range a.issued {
		if i.list == by && i.knownRevoked(now, lag) {
			entry := x509.RevocationListEntry{
				SerialNumber: i.cert.SerialNumber, RevocationTime: i.revokedAt,
				ReasonCode: i.reason,
			}
			template.RevokedCertificateEntries = append(template.RevokedCertificateEntries, entry)
		}
	}
	slices.SortFunc(template.RevokedCertificateEntries, inOrder)
	return sure.Must(x509.CreateRevocationList(rand.Reader, template, by.Cert, by.key))
}

// inOrder has what was revoked first first.
func inOrder(a, b x509.RevocationListEntry) int {
	return cmp.Or(
		a.RevocationTime.Compare(b.RevocationTime), a.SerialNumber.Cmp(b.SerialNumber),
	)
}

// certsOnly is the degenerate PKCS#7 that live certificates name as the place
// of their issuer (RFC 5652 §5.1, without content or signers).
func certsOnly(certs ...*x509.Certificate) []byte {
	type contentInfo struct {
		Type asn1.ObjectIdentifier
	}
	type signedData struct {
		Version      int
		Digests      []asn1.RawValue `asn1:"set"`
		Content      contentInfo
		Certificates asn1.RawValue
		Signers      []asn1.RawValue `asn1:"set"`
	}
	var raw []byte
	for _, c := range certs {
		raw = append(raw, c.Raw...)
	}
	inner := sure.Must(asn1.Marshal(signedData{
		Version: 1,
		Digests: []asn1.RawValue{},
		Content: contentInfo{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}},
		Certificates: asn1.RawValue{
			Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: raw,
		},
		Signers: []asn1.RawValue{},
	}))
	return sure.Must(asn1.Marshal(struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue
	}{
		asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2},
		asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: inner},
	}))
}
