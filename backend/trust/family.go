// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package trust

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"regexp"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
)

// A Family are clients that trust the same roots, such as those of one root store.
type Family struct {
	Name   string
	anchor map[string][]*x509.Certificate // the roots, by their raw subject
	count  int
}

// Bounds of what may be configured: root stores have some 150 roots of some 2 KB each, and an entry
// of Vault's storage has to hold them.
const (
	maxRoots    = 500
	maxPEM      = 768 << 10 // bytes of a family's roots
	maxFamilies = 20
)

// familyName is what a family may be called: it is part of the names of metrics and of filters.
var familyName = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9_-]{0,30}[a-z0-9])?$`)

// ParseFamily reads the roots of a family, in PEM. The error names the field that they were given
// in.
func ParseFamily(field, name, text string) (*Family, error) {
	switch {
	case !familyName.MatchString(name):
		return nil, fault.BadField("family", "%q is no name of a family of clients: write "+
			"lower-case letters, digits, dashes and underscores, 32 at most, such as mozilla or "+
			"java", sanitize.Short(name))
	case len(text) > maxPEM:
		return nil, fault.BadField(field, "%d bytes are more than %d, which the roots of any "+
			"known store fit into", len(text), maxPEM)
	}
	f := &Family{Name: name, anchor: make(map[string][]*x509.Certificate)}
	rest := []byte(text)
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if err := f.add(field, block); err != nil {
			return nil, err
		}
	}
	// What is left may be a comment. It is no root that was forgotten.
	if strings.Contains(string(rest), "-----BEGIN") {
		return nil, fault.BadField(field, "the PEM after root %d cannot be read", f.count)
	}
	if f.count == 0 {
		return nil, fault.BadField(field, "holds no root: write the certificates in PEM, such as "+
			"roots=@mozilla.pem")
	}
	return f, nil
}

// add adds the root of one block of PEM.
func (f *Family) add(field string, block *pem.Block) error {
	if block.Type != "CERTIFICATE" {
		return fault.BadField(field, "block %d of the PEM is %s, not a certificate",
			f.count+1, sanitize.Short(block.Type))
	}
	root, err := x509.ParseCertificate(block.Bytes)
	switch {
	case err != nil:
		return fault.BadField(field, "certificate %d cannot be read: %s",
			f.count+1, sanitize.Error(err))
	case !root.IsCA:
		return fault.BadField(field, "certificate %d, %s, is no CA's",
			f.count+1, sanitize.Short(root.Subject.String()))
	case f.count >= maxRoots:
		return fault.BadField(field, "holds more than %d roots", maxRoots)
	}
	f.count++
	subject := string(root.RawSubject)
	f.anchor[subject] = append(f.anchor[subject], root)
	return nil
}

// Len returns how many roots the family has.
func (f *Family) Len() int { return f.count }

// anchors reports whether one of the family's roots is the certificate, as far as clients look:
// they know a root by its name and its key.
func (f *Family) anchors(c *x509.Certificate) bool {
	for _, root := range f.anchor[string(c.RawSubject)] {
		if bytes.Equal(root.RawSubjectPublicKeyInfo, c.RawSubjectPublicKeyInfo) {
			return true
		}
	}
	return false
}

// issuers returns the family's roots that have the name of the certificate's issuer.
func (f *Family) issuers(c *x509.Certificate) []*x509.Certificate {
	return f.anchor[string(c.RawIssuer)]
}
