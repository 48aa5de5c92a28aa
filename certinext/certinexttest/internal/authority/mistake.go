// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package authority

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
)

// NewLeafIssuer issues an end-entity certificate like p to somebody called name,
// who signs others with its key. OCSP answers for it, so that whoever asks
// about what it signed does not learn of the mistake from a lack of answers.
func (a *Hierarchy) NewLeafIssuer(p Leaf, name string) *Signer {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	p.Subject = pkix.Name{
		Organization: []string{"CERTInext Sandbox"}, CommonName: name + " (" + NotARealCA + ")",
	}
	p.Names = Names{DNS: []string{name}}
	by := &Signer{Cert: a.Sign(a.issuer, p, &key.PublicKey), key: key}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.leafIssuers = append(a.leafIssuers, by)
	return by
}

// IssuerDouble is a certificate of the root like the issuer's, for a key that
// has signed nothing. It keeps the key identifier, which is no more than a hint:
// only the signature tells the two apart.
func (a *Hierarchy) IssuerDouble() *x509.Certificate {
	template, key := rekeyed(a.issuer.Cert)
	return a.root.certify(template, &key.PublicKey)
}
