// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package authority

import (
	"crypto/x509"
	"time"
)

// cross has the elder root certify the key of a's root of now, so that there are two paths from
// what is below it. a.mu is held.
func (a *Hierarchy) cross(now time.Time) {
	if a.elder == nil {
		return
	}
	a.elder.mu.Lock()
	defer a.elder.mu.Unlock()
	template := crossTemplate(a.purpose, a.root.Cert, now)
	refer(template, a.base, a.elder.root.name, "cer")
	template.AuthorityKeyId = a.elder.root.Cert.SubjectKeyId
	a.root.crossed = a.elder.root.certify(template, &a.root.key.PublicKey)
	a.elder.remember(a.root.crossed, a.elder.root, a.elder.root)
}

// crossTemplate is that of a certificate for the name and key of a root.
func crossTemplate(p purpose, root *x509.Certificate, begins time.Time) *x509.Certificate {
	template := caTemplate("", begins, 10*365*24*time.Hour)
	template.Subject, template.RawSubject = root.Subject, root.RawSubject
	template.SubjectKeyId = root.SubjectKeyId
	template.ExtKeyUsage, template.UnknownExtKeyUsage = p.usages, p.oidUsages
	template.Policies = policies(anyPolicy)
	return template
}

// Crossed is a chain as it goes by way of the elder root, where its root was certified by that one,
// and the chain itself otherwise.
func (a *Hierarchy) Crossed(chain []*x509.Certificate) []*x509.Certificate {
	last := len(chain) - 1
	for _, s := range a.CAs() {
		if last < 0 || s.crossed == nil || !s.Cert.Equal(chain[last]) {
			continue
		}
		other := append([]*x509.Certificate{}, chain[:last]...)
		return append(other, s.crossed, a.elder.Root())
	}
	return chain
}
