// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package authority

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/sure"
)

// A purpose is what the certificates of a hierarchy are for. Its issuing CA is confined to it.
type purpose struct {
	name, title string // path segment of its URLs, and its part of common names
	usages      []x509.ExtKeyUsage
	oidUsages   []asn1.ObjectIdentifier
	begins      time.Time
}

// DocumentSigning is the extended key usage of RFC 9336.
var DocumentSigning = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 36}

// anyPolicy lets a CA of the root's own operator issue under every policy (Baseline Requirements
// §7.1.2.10.5).
const anyPolicy = "2.5.29.32.0"

// distinguished is the name of a CA or of its responder, whose common name has at most 64
// characters (RFC 5280, appendix A.1). Country and organization are what the Baseline Requirements
// §7.1.2.10.2 ask of one.
func distinguished(commonName string) pkix.Name {
	return pkix.Name{
		Country: []string{"US"}, Organization: []string{"CERTInext Sandbox"},
		CommonName: commonName + " (" + NotARealCA + ")",
	}
}

// rootTemplate is a self-signed root's.
func rootTemplate(p purpose, tag string, begins time.Time) *x509.Certificate {
	return caTemplate(p.title+" Root "+tag, begins, 20*365*24*time.Hour)
}

// issuerTemplate is that of a CA that signs leaves.
func issuerTemplate(p purpose, tag string, begins time.Time) *x509.Certificate {
	template := caTemplate(p.title+" Issuing CA "+tag, begins, 10*365*24*time.Hour)
	template.MaxPathLenZero = true
	template.ExtKeyUsage, template.UnknownExtKeyUsage = p.usages, p.oidUsages
	template.Policies = policies(anyPolicy)
	return template
}

// caUsage is what the key of a CA is for.
const caUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature

// caTemplate is what roots and issuing CAs share.
func caTemplate(commonName string, begins time.Time, life time.Duration) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber:          newSerial(),
		Subject:               distinguished(commonName),
		NotBefore:             begins.Add(-time.Hour).Truncate(time.Second),
		NotAfter:              begins.Add(life).Truncate(time.Second),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              caUsage,
	}
}

// refer says where the status of a certificate and the issuer called name are found.
func refer(template *x509.Certificate, base, name, suffix string) {
	template.OCSPServer = []string{base + ocspPath}
	template.CRLDistributionPoints = []string{base + crlPrefix + name + ".crl"}
	template.IssuingCertificateURL = []string{base + caPrefix + name + "." + suffix}
}

func policies(ids ...string) []x509.OID {
	var list []x509.OID
	for _, id := range ids {
		list = append(list, sure.Must(x509.ParseOID(id)))
	}
	return list
}
