// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"time"
)

// policies are the CA/Browser Forum's OIDs for what was validated.
var policies = map[string]string{
	"dv": "2.23.140.1.2.1",
	"ov": "2.23.140.1.2.2",
	"ev": "2.23.140.1.1",
}

// leafProfile decides what goes into the certificate of o. The names are the
// order's, not the CSR's; the subject beyond the common name is the
// organization's. Live certificates name a .p7c as their issuer.
func (s *Server) leafProfile(o *order, notBefore time.Time) leafProfile {
	p := leafProfile{
		subject:   pkix.Name{CommonName: o.domain},
		names:     o.leafNames(),
		policy:    policies[productTypes[o.product.Type].validation],
		usages:    []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		notBefore: notBefore,
		lifetime:  s.certificateLifetime(),
		baseURL:   orDefault(s.BaseURL, o.baseURL),
		aiaSuffix: "p7c",
	}
	if s.Dialect == Documented {
		p.aiaSuffix = "cer"
	}
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
