// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/authority"
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
func (s *Server) leafProfile(o *order, notBefore time.Time) authority.Leaf {
	p := authority.Leaf{
		Subject:   pkix.Name{CommonName: o.commonName()},
		Names:     o.leafNames(),
		Policy:    policies[productTypes[o.product.Type].validation],
		KeyUsage:  x509.KeyUsageDigitalSignature,
		NotBefore: notBefore,
		Lifetime:  s.certificateLifetime(),
		BaseURL:   orDefault(s.BaseURL, o.baseURL),
		AIASuffix: "p7c",
	}
	if s.Dialect == Documented {
		p.AIASuffix = "cer"
	}
	if o.subject != nil {
		p.KeyUsage |= x509.KeyUsageContentCommitment // nonRepudiation
		if o.isSigner() {
			p.OIDUsages = []asn1.ObjectIdentifier{documentSigning}
		} else {
			p.Usages = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}
			p.RSAUsage = x509.KeyUsageKeyEncipherment
		}
		p.Subject = o.subject.name()
		return p
	}
	p.Usages = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	p.RSAUsage = x509.KeyUsageKeyEncipherment
	if o.product.Variant == "igtf-host" {
		p.Usages = append(p.Usages, x509.ExtKeyUsageClientAuth)
	}
	if o.needsOrganization() {
		org := o.organization
		p.Subject.Country = []string{org.CountryCode}
		p.Subject.Province = []string{org.State}
		p.Subject.Locality = []string{org.Locality}
		p.Subject.Organization = []string{org.Name}
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
