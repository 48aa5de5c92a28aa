// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certificates

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"slices"
	"strconv"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/index"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/hashicorp/vault/sdk/logical"
)

// rows tells the index of certificates what is stored. It implements [index.Source].
type rows struct{}

// Keys implements [index.Source].
func (rows) Keys(ctx context.Context, s logical.Storage) ([]string, error) {
	return store.List(ctx, s, Prefix)
}

// Changed implements [index.Source]: it returns the certificates that were revoked since their rows
// were saved.
func (rows) Changed(
	ctx context.Context, s logical.Storage, saved func(key string) (index.Row, bool),
) (changed []string, err error) {
	revoked, err := store.List(ctx, s, revokedPrefix)
	for _, serial := range revoked {
		if r, has := saved(serial); has && r.Revoked.IsZero() {
			changed = append(changed, serial)
		}
	}
	return changed, err
}

// Row implements [index.Source].
func (rows) Row(ctx context.Context, s logical.Storage, key string) (*index.Row, error) {
	c, err := Read(ctx, s, key)
	if err != nil || c == nil {
		return nil, err
	}
	return rowOf(c), nil
}

// rowOf returns what is listed of a certificate. One that cannot be parsed has no names and no key.
func rowOf(c *Entry) *index.Row {
	r := &index.Row{
		Serial: c.Serial, Role: c.Role, Requester: sanitize.Subject(c.Requester), Owner: c.Owner,
		OrderID: c.OrderID, Account: c.Account, Number: c.CAOrderID,
		NotBefore: c.NotBefore, NotAfter: c.NotAfter, PaidUntil: c.Subscription.EndsAt,
		Price:  c.Subscription.Cost(),
		Origin: index.Origin(c.Origin()), Held: len(c.Held) > 0,
	}
	if c.Revocation != nil {
		r.Revoked = c.Revocation.At
	}
	if leaf, err := Parse([]string{c.Certificate}); err == nil && len(leaf) > 0 {
		r.Names, r.KeyType = NamesOf(leaf[0]), KeyTypeOf(leaf[0])
		r.Issuer = sanitize.OneLine(leaf[0].Issuer.CommonName)
		r.Chain, r.Key = chainOf(c, leaf[0]), KeyIDOf(leaf[0])
	} else {
		r.Chain = "unreadable"
	}
	return r
}

// KeyIDOf returns what a certificate's key is listed by.
func KeyIDOf(c *x509.Certificate) index.KeyID {
	return index.KeyIDOf(sha256.Sum256(c.RawSubjectPublicKeyInfo))
}

// chainOf returns what certificates have in common that have the same certificates of CAs above
// them: the reference of their stored chain. Those that came without any have their issuer in
// common.
func chainOf(c *Entry, leaf *x509.Certificate) string {
	switch {
	case c.ChainRef != "":
		return c.ChainRef
	case len(c.Chain) > 0: // an entry of an earlier version
		return chainFingerprint(c.Chain, c.Others)
	}
	sum := sha256.Sum256(append(slices.Clone(leaf.AuthorityKeyId), leaf.RawIssuer...))
	return "alone-" + hex.EncodeToString(sum[:16])
}

// NamesOf returns the names that a certificate is for, fit to be shown, the common name first, and
// none of them twice.
func NamesOf(c *x509.Certificate) (names []string) {
	seen := make(map[string]bool)
	add := func(name string) {
		if name = sanitize.OneLine(name); name != "" && !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	add(c.Subject.CommonName)
	for _, name := range c.DNSNames {
		add(name)
	}
	for _, address := range c.IPAddresses {
		add(address.String())
	}
	for _, address := range c.EmailAddresses {
		add(address)
	}
	return names
}

// KeyTypeOf returns type and bits of a certificate's key, such as ec-256 and rsa-2048; empty for a
// type of key that no order has.
func KeyTypeOf(c *x509.Certificate) string {
	switch key := c.PublicKey.(type) {
	case *ecdsa.PublicKey:
		return "ec-" + strconv.Itoa(key.Curve.Params().BitSize)
	case *rsa.PublicKey:
		return "rsa-" + strconv.Itoa(key.N.BitLen())
	case ed25519.PublicKey:
		return "ed25519"
	}
	return ""
}
