// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certificates

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/serials"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/logical"
)

// Where certificates are stored, by serial number with dashes, and the index of those that are revoked.
const (
	Prefix        = "cert/"
	revokedPrefix = "revoked/"
)

// caKey is where the chain of the newest certificate is stored.
const caKey = "ca"

// A Certificate is what the mount keeps of an issued certificate. The key is never part of it.
type Certificate struct {
	Serial    string // colon-separated hexadecimal
	Role      string
	OrderID   string
	CAOrderID string
	PEM       string
	Chain     []string // PEM, the issuing CA first
	NotBefore time.Time
	NotAfter  time.Time
	// RevokedAt is zero while the certificate is not revoked.
	RevokedAt     time.Time
	RevokedReason certinext.Reason
	RenewalOf     string // serial number of the certificate that this one succeeds, by a new order; empty for most
	ReissueOf     string // serial number of the one that it replaces within its order; empty for most
	// RevocationQueued is set while CERTInext has not taken the revocation yet.
	RevocationQueued bool
}

// Entry is a stored certificate.
type Entry struct {
	Version     int              `json:"version"`
	Serial      string           `json:"serial"` // with dashes, as in its key
	Role        string           `json:"role"`
	Requester   string           `json:"requester"`
	OrderID     string           `json:"order_id"`
	CAOrderID   string           `json:"ca_order_id"`
	Account     string           `json:"account,omitempty"` // where it was ordered
	Family      certinext.Family `json:"family"`
	Certificate string           `json:"certificate"`
	Chain       []string         `json:"chain,omitempty"`
	NotBefore   time.Time        `json:"not_before"`
	NotAfter    time.Time        `json:"not_after"`
	IssuedAt    time.Time        `json:"issued_at"`

	// Imported is set for the certificate of an order that was not placed by this mount. It has no role, order and requester.
	Imported bool `json:"imported,omitempty"`

	// Delivery tells of the answers that held the certificate; nil while nobody has fetched it.
	Delivery *Delivery `json:"delivery,omitempty"`
	// Leases are the ends of those that hang on the certificate, by their id. The last one to go revokes it.
	Leases map[string]time.Time `json:"leases,omitempty"`

	Revocation *Revocation `json:"revocation,omitempty"`

	// ReissuedBy is the order by which the certificate was reissued, or was to be; Replaces is the serial number, with dashes,
	// of the one that this one reissues.
	ReissuedBy string `json:"reissued_by,omitempty"`
	// ReissuedAs is the serial number, with dashes, of a certificate of the same order that was made outside of this mount.
	ReissuedAs string `json:"reissued_as,omitempty"`
	Replaces   string `json:"replaces,omitempty"`
	// LeaseEnded is set when the last lease on a reissued certificate ended, which CERTInext cannot revoke alone.
	LeaseEnded bool `json:"lease_ended,omitempty"`
	// RenewalOf is the serial number, with dashes, of the certificate that this one succeeds.
	RenewalOf string `json:"renewal_of,omitempty"`
}

// A Revocation is one that CERTInext has taken.
type Revocation struct {
	At     time.Time        `json:"at"`
	Reason certinext.Reason `json:"reason"`
}

// Key is where the entry is stored.
func (c *Entry) Key() string { return Prefix + c.Serial }

// View is what may be told of the certificate.
func (c *Entry) View() *Certificate {
	v := &Certificate{
		Serial: strings.ReplaceAll(c.Serial, "-", ":"), Role: c.Role, OrderID: c.OrderID, CAOrderID: c.CAOrderID,
		PEM: c.Certificate, Chain: slices.Clone(c.Chain),
		RenewalOf: strings.ReplaceAll(c.RenewalOf, "-", ":"), ReissueOf: strings.ReplaceAll(c.Replaces, "-", ":"), NotBefore: c.NotBefore, NotAfter: c.NotAfter,
	}
	if c.Revocation != nil {
		v.RevokedAt, v.RevokedReason = c.Revocation.At, c.Revocation.Reason
	}
	return v
}

// NewEntry returns the entry of a certificate that has been downloaded. Whose it is remains to be said.
func NewEntry(cert *Downloaded, now time.Time) *Entry {
	c := &Entry{
		Version: 1, Serial: serials.Key(cert.Leaf.SerialNumber), Certificate: Encode(cert.Leaf),
		NotBefore: cert.Leaf.NotBefore, NotAfter: cert.Leaf.NotAfter, IssuedAt: now,
	}
	for _, up := range cert.Chain {
		c.Chain = append(c.Chain, Encode(up))
	}
	return c
}

// Read returns the entry of a certificate by its serial number, with dashes; nil when the mount has none.
func Read(ctx context.Context, s logical.Storage, serial string) (*Entry, error) {
	return store.Get[Entry](ctx, s, Prefix+serial)
}

// Lock locks a certificate, by its serial number with dashes.
func (keeper *Keeper) Lock(ctx context.Context, serial string) (unlock func(), err error) {
	return keeper.certLocks.Lock(ctx, serial)
}

// OfOrder finds the certificate of an order that does not name it. It reads one certificate after the other, so it is for
// what hardly ever happens.
func (keeper *Keeper) OfOrder(ctx context.Context, s logical.Storage, orderID string) (*Entry, error) {
	serials, err := store.List(ctx, s, Prefix)
	if err != nil {
		return nil, err
	}
	for _, serial := range serials {
		c, err := Read(ctx, s, serial)
		if err != nil || c != nil && c.OrderID == orderID {
			return c, err
		}
	}
	return nil, nil
}

// Certificate returns a stored certificate by its serial number, with colons, dashes or neither. It returns nil when there is
// none.
func (keeper *Keeper) Certificate(ctx context.Context, s logical.Storage, serial string) (*Certificate, error) {
	key, err := serials.Parse("serial", serial)
	if err != nil {
		return nil, err
	}
	c, err := Read(ctx, s, key)
	if err != nil || c == nil {
		return nil, err
	}
	v := c.View()
	queued, err := store.Get[Queued](ctx, s, RevocationPrefix+key)
	if err != nil {
		return nil, err
	}
	v.RevocationQueued = queued != nil && c.Revocation == nil && queued.Due
	return v, nil
}

// List lists the serial numbers of the stored certificates.
func (keeper *Keeper) List(ctx context.Context, s logical.Storage) ([]string, error) {
	return listSerials(ctx, s, Prefix)
}

// ListRevoked lists the serial numbers of the revoked certificates.
func (keeper *Keeper) ListRevoked(ctx context.Context, s logical.Storage) ([]string, error) {
	return listSerials(ctx, s, revokedPrefix)
}

func listSerials(ctx context.Context, s logical.Storage, prefix string) ([]string, error) {
	keys, err := store.List(ctx, s, prefix)
	for i, k := range keys {
		keys[i] = strings.ReplaceAll(k, "-", ":")
	}
	return keys, err
}

// StoredCA is the entry under caKey.
type StoredCA struct {
	Version int      `json:"version"`
	Chain   []string `json:"chain"`
}

// CAChain returns the chain above the newest certificate, the issuing CA first, as PEM. It is empty while nothing has been
// issued: CERTInext has no call that tells an account's CAs.
func (keeper *Keeper) CAChain(ctx context.Context, s logical.Storage) ([]string, error) {
	keeper.caMu.Lock()
	newest := keeper.newest
	keeper.caMu.Unlock()
	if newest != nil {
		return newest, nil
	}
	stored, err := store.Get[StoredCA](ctx, s, caKey)
	if err != nil {
		return nil, err
	}
	if stored != nil {
		return stored.Chain, nil
	}
	return keeper.anyChain(ctx, s)
}

// anyChain looks for a chain among the stored certificates, for a mount that was stopped before it stored one.
func (keeper *Keeper) anyChain(ctx context.Context, s logical.Storage) ([]string, error) {
	serials, err := store.List(ctx, s, Prefix)
	if err != nil {
		return nil, err
	}
	for _, serial := range serials[:min(len(serials), 20)] {
		c, err := Read(ctx, s, serial)
		if err != nil {
			return nil, err
		}
		if c != nil && len(c.Chain) > 0 {
			return c.Chain, nil
		}
	}
	return nil, nil
}

// RememberChain keeps the chain of a new certificate in memory. The background pass stores it: an order's own writes are
// few on purpose.
func (keeper *Keeper) RememberChain(chain []string) {
	if len(chain) == 0 {
		return
	}
	keeper.caMu.Lock()
	defer keeper.caMu.Unlock()
	keeper.newest = chain
}

// StoreChain stores the newest chain when storage has another.
func (keeper *Keeper) StoreChain(ctx context.Context, s logical.Storage) error {
	keeper.caMu.Lock()
	newest := keeper.newest
	keeper.caMu.Unlock()
	if newest == nil {
		return nil
	}
	stored, err := store.Get[StoredCA](ctx, s, caKey)
	if err != nil || stored != nil && slices.Equal(stored.Chain, newest) {
		return err
	}
	return store.Put(ctx, s, caKey, &StoredCA{Version: 1, Chain: newest})
}

// HasKey reports whether the certificate is for a public key.
func (c *Certificate) HasKey(key any) bool {
	leaf, err := Parse([]string{c.PEM})
	return err == nil && len(leaf) == 1 && issuing.SamePublicKey(leaf[0].PublicKey, key)
}
