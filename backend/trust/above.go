// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package trust

import (
	"bytes"
	"cmp"
	"crypto/x509"
	"maps"
	"slices"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
)

// CAs are the CAs above a certificate, whether or not anybody trusts them.
type CAs struct {
	// Keys are those of the CAs that came with the certificate and are in one of its chains, the
	// nearest first.
	Keys []Key
	// Names are the common names of all CAs in its chains, those included that did not come with
	// the certificate and are known by name. A CA on the way to a root may be a root itself, where
	// it is cross-signed.
	Names []string
	// Root is the name of the CA at the end of the first chain; empty when that leads in a circle.
	Root string
}

// Above returns the CAs above a certificate, by the signatures of those that came with it.
func Above(leaf *x509.Certificate, pool []*x509.Certificate) *CAs {
	s := newSearch(new(Judge), pool, time.Time{})
	out := new(CAs)
	out.visit(s, leaf, make(map[*x509.Certificate]bool))
	return out
}

// visit looks at whoever has issued a certificate.
func (cas *CAs) visit(s *search, c *x509.Certificate, seen map[*x509.Certificate]bool) {
	seen[c] = true
	isEnd := true
	for _, issuer := range s.pool {
		if bytes.Equal(c.RawSubject, c.RawIssuer) || !s.issued(c, issuer) {
			continue
		}
		isEnd = false
		if key := KeyOf(issuer); !slices.Contains(cas.Keys, key) {
			cas.Keys = append(cas.Keys, key)
		}
		if !seen[issuer] {
			cas.visit(s, issuer, seen)
		}
	}
	name := cmp.Or(sanitize.OneLine(c.Issuer.CommonName), sanitize.Short(c.Issuer.String()))
	if isEnd && cas.Root == "" {
		cas.Root = name
	}
	if !slices.Contains(cas.Names, name) {
		cas.Names = append(cas.Names, name)
	}
}

// Families returns the names of the families of clients whose roots are known, sorted.
func (j *Judge) Families() []string { return slices.Sorted(maps.Keys(j.families)) }

// Refused returns all keys that clients refuse, sorted.
func (j *Judge) Refused() []Key {
	keys := Builtin()
	for key := range j.distrusted {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}
