// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
)

// judgeUse looks for a certificate that could issue others.
func (v *Verdict) judgeUse(leaf *x509.Certificate) {
	if leaf.IsCA || leaf.KeyUsage&x509.KeyUsageCertSign != 0 {
		v.Faults = append(v.Faults, "it is a CA's certificate, which could issue others")
	}
}

// judgeChain looks for certificates that were delivered as somebody's issuer and are not. Other
// certificates that do not belong to the chain are no fault: a cross-signed CA has several chains.
func (v *Verdict) judgeChain(cert Delivered, now time.Time) {
	if v.ChainFault = limits(cert.Chain, now); v.ChainFault != "" {
		return
	}
	top := cert.Leaf
	if n := len(cert.Chain); n > 0 {
		top = cert.Chain[n-1]
	}
	switch claimed := claimedIssuer(top, cert); {
	case claimed != nil:
		v.ChainFault = fmt.Sprintf("its chain does not hold: %s did not sign %s, or is no CA",
			name(claimed), name(top))
	case len(cert.Chain) > 0:
	case len(cert.Rest) > 0:
		v.ChainFault = fmt.Sprintf("its chain is another one's: none of the certificates that "+
			"came with it has issued it, which %s did", sanitize.Short(cert.Leaf.Issuer.String()))
	case !bytes.Equal(cert.Leaf.RawSubject, cert.Leaf.RawIssuer):
		v.Remarks = append(v.Remarks, "CERTInext delivered the certificate without its chain")
	}
}

// limits returns what keeps a chain's own certificates from vouching for the one below them: their
// life, and how many CAs a CA allows below itself. Roots are the clients' to judge.
func limits(chain []*x509.Certificate, now time.Time) string {
	for i, ca := range chain {
		isRoot := bytes.Equal(ca.RawSubject, ca.RawIssuer)
		switch {
		case (ca.MaxPathLen > 0 || ca.MaxPathLenZero) && i > ca.MaxPathLen:
			return fmt.Sprintf("its chain does not hold: %s allows %d CAs below itself",
				name(ca), ca.MaxPathLen)
		case !isRoot && now.After(ca.NotAfter):
			return fmt.Sprintf("its chain does not hold: %s has expired", name(ca))
		case !isRoot && now.Before(ca.NotBefore):
			return fmt.Sprintf("its chain does not hold: %s has not begun to be valid", name(ca))
		}
	}
	return ""
}

// claimedIssuer returns the delivered certificate that has the name of the issuer of top, where the
// chain ends all the same; nil when there is none.
func claimedIssuer(top *x509.Certificate, cert Delivered) *x509.Certificate {
	if bytes.Equal(top.RawSubject, top.RawIssuer) {
		return nil // it issued itself
	}
	i := slices.IndexFunc(cert.Rest, func(c *x509.Certificate) bool {
		return bytes.Equal(c.RawSubject, top.RawIssuer)
	})
	if i < 0 {
		return nil
	}
	return cert.Rest[i]
}

// name returns the name of a certificate for messages.
func name(c *x509.Certificate) string { return sanitize.Short(c.Subject.String()) }
