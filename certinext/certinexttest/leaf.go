// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"time"
)

// policies are the CA/Browser Forum's OIDs for what was validated.
var policies = map[string]string{
	"dv": "2.23.140.1.2.1",
	"ov": "2.23.140.1.2.2",
	"ev": "2.23.140.1.1",
}

// documentSigning is the extended key usage of RFC 9336.
var documentSigning = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 36}

// leafProfile decides what goes into the certificate of o. The names are the
// order's, not the CSR's; the subject beyond the common name is the
// organization's, or the one that a signer's order gave. Live certificates name
// a .p7c as their issuer.
func (s *Server) leafProfile(o *order, notBefore time.Time) leafProfile {
	p := leafProfile{
		subject:   pkix.Name{CommonName: o.commonName()},
		names:     o.leafNames(),
		policy:    policies[productTypes[o.product.Type].validation],
		keyUsage:  x509.KeyUsageDigitalSignature,
		notBefore: notBefore,
		lifetime:  s.certificateLifetime(),
		baseURL:   orDefault(s.BaseURL, o.baseURL),
		aiaSuffix: "p7c",
	}
	if s.Dialect == Documented {
		p.aiaSuffix = "cer"
	}
	if o.subject != nil {
		p.keyUsage |= x509.KeyUsageContentCommitment // nonRepudiation
		if o.isSigner() {
			p.oidUsages = []asn1.ObjectIdentifier{documentSigning}
		} else {
			p.usages = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}
			p.rsaUsage = x509.KeyUsageKeyEncipherment
		}
		p.subject = o.subject.name()
		return p
	}
	p.usages = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	p.rsaUsage = x509.KeyUsageKeyEncipherment
	if o.product.Variant == "igtf-host" {
		p.usages = append(p.usages, x509.ExtKeyUsageClientAuth)
	}
	if o.needsOrganization() {
		org := o.organization
		p.subject.Country = []string{org.CountryCode}
		p.subject.Province = []string{org.State}
		p.subject.Locality = []string{org.Locality}
		p.subject.Organization = []string{org.Name}
	}
	return p
}

// name is the distinguished name, without the attributes that were not given.
func (s *subject) name() pkix.Name {
	given := func(v string) []string {
		if v == "" {
			return nil
		}
		return []string{v}
	}
	return pkix.Name{
		CommonName: s.displayName, SerialNumber: s.identifier, Organization: given(s.organization),
		OrganizationalUnit: given(s.unit), Locality: given(s.locality), Province: given(s.state),
		Country: given(s.country),
	}
}
