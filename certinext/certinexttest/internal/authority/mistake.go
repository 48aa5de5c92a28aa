// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package authority

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/sure"
)

// NewLeafIssuer issues an end-entity certificate like p to somebody called name,
// who signs others with its key. OCSP answers for it, so that whoever asks
// about what it signed does not learn of the mistake from a lack of answers.
func (a *Hierarchy) NewLeafIssuer(p Leaf, name string) *Signer {
	key := sure.Must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	p.Subject = pkix.Name{
		Organization: []string{"CERTInext Sandbox"}, CommonName: name + " (" + NotARealCA + ")",
	}
	p.Names = Names{DNS: []string{name}}
	issuer := a.Issuer()
	by := &Signer{Cert: a.Sign(issuer, p, &key.PublicKey), key: key, above: issuer}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.leafIssuers = append(a.leafIssuers, by)
	return by
}

// IssuerDouble is a certificate of the root like the issuer's, for a key that
// has signed nothing. It keeps the key identifier, which is no more than a hint:
// only the signature tells the two apart.
func (a *Hierarchy) IssuerDouble() *x509.Certificate {
	issuer := a.Issuer()
	template, key := rekeyed(issuer.Cert)
	return issuer.above.certify(template, &key.PublicKey)
}
