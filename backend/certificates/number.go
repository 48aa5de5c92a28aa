// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certificates

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/keyed"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/hashicorp/vault/sdk/logical"
)

// What the mount knows of CERTInext's order numbers is stored by number (ADR 0030), so that finding
// the certificates of an order, or whose a number is, reads one entry. The entry of a number is
// written before that of a certificate, and before an order is closed without one. So it may name a
// certificate that a crash has kept from being stored, and never lacks one that is. The numbers of
// open orders are not here: the journal of orders has those in memory.

// numberPrefix is followed by the SHA-256 of an order number of CERTInext's, in hexadecimal: the
// number is whatever CERTInext says, and may be no fit name.
const numberPrefix = "number/"

// Numbers keeps the index of CERTInext's order numbers. A number is locked while its entry is read
// and changed, after the certificate if that is locked, too.
type Numbers struct {
	host   *host.Host
	chains *Chains

	locks    keyed.Mutex // by number, and the state of the index by its key
	complete atomic.Bool // all stored certificates are known to be in the index
}

// A NumberEntry is what the mount has stored of one order number of CERTInext's.
type NumberEntry struct {
	Version int    `json:"version"`
	Number  string `json:"number"`
	// Orders are orders of the mount that were closed with the number and without a certificate.
	Orders []NumberedOrder `json:"orders,omitempty"`
	// Certificates are those of the number. One that was reissued has several.
	Certificates []NumberedCertificate `json:"certificates,omitempty"`
}

// A NumberedOrder is an order of the mount that has a number.
type NumberedOrder struct {
	Account string `json:"account,omitempty"`
	Role    string `json:"role"`
	ID      string `json:"id"`
	Marker  string `json:"marker"` // of the purchase: an id is used again with its request_id
}

// A NumberedCertificate is a certificate of a number.
type NumberedCertificate struct {
	Account   string    `json:"account,omitempty"`
	Serial    string    `json:"serial"`             // with dashes
	OrderID   string    `json:"order_id,omitempty"` // of the mount; empty when it was imported
	Key       string    `json:"key,omitempty"`      // the SHA-256 of its public key, in hexadecimal
	NotBefore time.Time `json:"not_before"`
}

// maxNumbered bounds the certificates of a number. Beyond it, the oldest that were imported are
// forgotten.
const maxNumbered = maxReissues

// A NumberClaim says which order wants to have a number.
type NumberClaim struct {
	Number  string
	Account string
	OrderID string
	Marker  string
	Key     any // the public key of its CSR; nil when that is unknown
	// Shown is set when CERTInext's records show the order, by its marker, under the number. That
	// counts for more than an order that was closed with the number and without a certificate.
	Shown bool
}

// numberKey returns the storage key of a number's entry.
func numberKey(number string) string {
	sum := sha256.Sum256([]byte(number))
	return numberPrefix + hex.EncodeToString(sum[:])
}

// hashKey returns the SHA-256, in hexadecimal, of a public key's SubjectPublicKeyInfo.
func hashKey(publicKey any) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(publicKey)
	if err != nil {
		return "", fmt.Errorf("a public key cannot be encoded: %w", err)
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:]), nil
}

// sameAccount is [account.SameAccount] for entries of which some do not say their account.
func sameAccount(a, b string) bool { return a == "" || b == "" || account.SameAccount(a, b) }

// rival returns what else has the claimed number, in words that name it; empty when nothing has.
func (n *NumberEntry) rival(claim NumberClaim) string {
	key := ""
	if claim.Key != nil {
		key, _ = hashKey(claim.Key) // no certificate is for a key that cannot be encoded
	}
	own := func(c NumberedCertificate) bool {
		return sameAccount(c.Account, claim.Account) && key != "" && c.Key == key
	}
	foreign := ""
	for _, c := range n.Certificates {
		switch {
		case !sameAccount(c.Account, claim.Account):
		case own(c) && c.OrderID == claim.OrderID:
			return "" // whatever CERTInext has reissued it for since
		case c.OrderID != "" && c.OrderID != claim.OrderID:
			foreign = "order " + c.OrderID
		case own(c):
			return ""
		default:
			foreign = "certificate " + strings.ReplaceAll(c.Serial, "-", ":") +
				", which has another key"
		}
	}
	if foreign != "" || claim.Shown {
		return foreign
	}
	for _, o := range n.Orders {
		if sameAccount(o.Account, claim.Account) && o.Marker != claim.Marker {
			return "order " + o.ID
		}
	}
	return ""
}

// newestFirst returns the serial numbers, with dashes, of the wanted certificates.
func (n *NumberEntry) newestFirst(wanted func(NumberedCertificate) bool) []string {
	var found []NumberedCertificate
	for _, c := range n.Certificates {
		if wanted(c) {
			found = append(found, c)
		}
	}
	slices.SortStableFunc(found, func(a, b NumberedCertificate) int {
		return b.NotBefore.Compare(a.NotBefore)
	})
	serials := make([]string, 0, len(found))
	for _, c := range found {
		serials = append(serials, c.Serial)
	}
	return serials
}

// firstStored returns the first of the certificates that is stored, and wanted as it is there; nil
// when there is none. The index may name some that a crash has kept from being stored.
func firstStored(
	ctx context.Context, s logical.Storage, serials []string, wanted func(*Entry) bool,
) (*Entry, error) {
	for _, serial := range serials {
		c, err := Read(ctx, s, serial)
		if err != nil || (c != nil && wanted(c)) {
			return c, err
		}
	}
	return nil, nil
}

// add adds a certificate and reports whether that changed the entry. One that is there is changed
// only when it has become another order's, and replace is set.
func (n *NumberEntry) add(c NumberedCertificate, replace bool) bool {
	for i := range n.Certificates {
		known := &n.Certificates[i]
		if known.Serial != c.Serial || !sameAccount(known.Account, c.Account) {
			continue
		}
		if !replace || *known == c {
			return false
		}
		*known = c
		return true
	}
	n.Certificates = append(n.Certificates, c)
	if len(n.Certificates) > maxNumbered {
		imported := func(c NumberedCertificate) bool { return c.OrderID == "" }
		if i := slices.IndexFunc(n.Certificates, imported); i >= 0 {
			n.Certificates = slices.Delete(n.Certificates, i, i+1)
		}
	}
	return true
}

// numbered returns what the index says of a certificate.
func (c *Entry) numbered() NumberedCertificate {
	out := NumberedCertificate{
		Account: c.Account, Serial: c.Serial, OrderID: c.OrderID, NotBefore: c.NotBefore,
	}
	if certs, err := Parse([]string{c.Certificate}); err == nil && len(certs) > 0 {
		out.Key, _ = hashKey(certs[0].PublicKey)
	}
	return out
}

// readNumber returns the entry of a number; one that is empty when there is none.
func readNumber(ctx context.Context, s logical.Storage, number string) (*NumberEntry, error) {
	n, err := store.Get[NumberEntry](ctx, s, numberKey(number))
	if err == nil && n == nil {
		n = &NumberEntry{Version: 1, Number: number}
	}
	return n, err
}

// update changes the entry of a number, if change reports that it did, under its lock.
func (x *Numbers) update(
	ctx context.Context,
	s logical.Storage,
	number string,
	change func(*NumberEntry) (bool, error),
) error {
	unlock, err := x.locks.Lock(ctx, numberKey(number))
	if err != nil {
		return fmt.Errorf("waiting for the CERTInext order of a number: %w", err)
	}
	defer unlock()
	n, err := readNumber(ctx, s, number)
	if err != nil {
		return err
	}
	if changed, err := change(n); err != nil || !changed {
		return err
	}
	return store.Put(ctx, s, numberKey(number), n)
}

// An OpenOrderError is returned for an imported certificate whose CERTInext order is an open order
// of this mount's: that order takes the certificate in itself.
type OpenOrderError struct {
	Number  string
	OrderID string
}

func (e *OpenOrderError) Error() string {
	return fmt.Sprintf("CERTInext's order %s is order %s of this mount, which takes care of "+
		"its certificate itself", e.Number, e.OrderID)
}

// add enters a certificate under the number of its CERTInext order.
// origin says whose the number is while no certificate of it is stored.
func (x *Numbers) add(
	ctx context.Context, s logical.Storage, c *Entry, origin Orders,
) error {
	if c.CAOrderID == "" {
		return nil
	}
	return x.update(ctx, s, c.CAOrderID, func(n *NumberEntry) (bool, error) {
		if c.Imported {
			open, err := origin.OpenOrderOf(ctx, s, c.Account, c.CAOrderID)
			if err != nil {
				return false, err
			}
			if open != "" {
				return false, &OpenOrderError{Number: c.CAOrderID, OrderID: open}
			}
		}
		return n.add(c.numbered(), true), nil
	})
}

// AddOrder enters an order that is closed with a number and without a certificate, so that no
// other order is given the number.
func (x *Numbers) AddOrder(
	ctx context.Context, s logical.Storage, number string, o NumberedOrder,
) error {
	return x.update(ctx, s, number, func(n *NumberEntry) (bool, error) {
		if slices.Contains(n.Orders, o) {
			return false, nil
		}
		n.Orders = append(n.Orders, o)
		return true, nil
	})
}

// Claim calls take unless something else has the number, which it returns in words; then take
// is not called. With thorough, it looks through the certificates of earlier versions that are not
// indexed yet, which may take long. The caller must not hold a number's lock. take must not wait.
func (x *Numbers) Claim(
	ctx context.Context, s logical.Storage, claim NumberClaim, thorough bool, take func() string,
) (rival string, err error) {
	unlock, err := x.locks.Lock(ctx, numberKey(claim.Number))
	if err != nil {
		return "", err
	}
	defer unlock()
	n, err := readNumber(ctx, s, claim.Number)
	if err == nil && thorough {
		err = x.addUnindexed(ctx, s, n)
	}
	if err != nil {
		return "", err
	}
	if rival = n.rival(claim); rival != "" {
		return rival, nil
	}
	return take(), nil
}

// OfOrder returns the certificate of an order whose own entry does not name it, or nil when there
// is none: a process may have died between its writes. number is that of the CERTInext order.
func (x *Numbers) OfOrder(
	ctx context.Context, s logical.Storage, number, orderID string,
) (*Entry, error) {
	if number == "" {
		return nil, nil // a certificate is stored only after the number
	}
	n, err := readNumber(ctx, s, number)
	if err != nil {
		return nil, err
	}
	listed := func(c NumberedCertificate) bool { return c.OrderID == orderID }
	stored := func(c *Entry) bool { return c.OrderID == orderID }
	c, err := firstStored(ctx, s, n.newestFirst(listed), stored)
	if err != nil || c != nil {
		return c, err
	}
	if err := x.addUnindexed(ctx, s, n); err != nil {
		return nil, err
	}
	return firstStored(ctx, s, n.newestFirst(listed), stored)
}

// OwnerOf returns the order of this mount that has a certificate of a number of CERTInext's; empty
// when none has. Certificates of earlier versions count once they are indexed. An order that a
// crash has kept from being given a stored certificate has none.
func (x *Numbers) OwnerOf(
	ctx context.Context, s logical.Storage, acct, number string,
) (orderID string, err error) {
	n, err := readNumber(ctx, s, number)
	if err != nil {
		return "", err
	}
	for _, c := range n.Certificates {
		if c.OrderID == "" || !sameAccount(c.Account, acct) {
			continue
		}
		stored, err := Read(ctx, s, c.Serial)
		if err != nil {
			return "", err
		}
		if stored == nil || stored.OrderID == c.OrderID {
			return c.OrderID, nil
		}
	}
	return "", nil
}

// Count returns how many certificates of an order of CERTInext's the mount has stored, by one
// reading of the index. Those of earlier versions count once they are indexed.
func (x *Numbers) Count(
	ctx context.Context, s logical.Storage, acct, number string,
) (count int, err error) {
	if number == "" {
		return 0, nil
	}
	n, err := readNumber(ctx, s, number)
	if err != nil {
		return 0, err
	}
	for _, c := range n.Certificates {
		if sameAccount(c.Account, acct) {
			count++
		}
	}
	return count, nil
}

// Serials returns the serial numbers, with dashes, of the certificates of an order of CERTInext's,
// by one reading of the index. A crash may have kept one of them from being stored.
func (x *Numbers) Serials(
	ctx context.Context, s logical.Storage, acct, number string,
) ([]string, error) {
	if number == "" {
		return nil, nil
	}
	n, err := readNumber(ctx, s, number)
	if err != nil {
		return nil, err
	}
	return n.newestFirst(func(c NumberedCertificate) bool {
		return sameAccount(c.Account, acct)
	}), nil
}

// Newest returns the newest stored certificate of an order of CERTInext's, other than that with the
// serial number except (with dashes), which may be empty; nil when the mount has none. The index
// has to be complete: see [Numbers.Complete].
func (x *Numbers) Newest(
	ctx context.Context, s logical.Storage, acct, number, except string,
) (*Entry, error) {
	n, err := readNumber(ctx, s, number)
	if err != nil {
		return nil, err
	}
	listed := n.newestFirst(func(c NumberedCertificate) bool {
		return sameAccount(c.Account, acct) && c.Serial != except
	})
	return firstStored(ctx, s, listed, func(*Entry) bool { return true })
}
