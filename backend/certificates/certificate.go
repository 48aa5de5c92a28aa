// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certificates

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/acceptance"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/serials"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/renewal"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/subscriptions"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/logical"
)

// Storage prefixes, each followed by a serial number with dashes: the certificates, and the index
// of the revoked ones.
const (
	Prefix        = "cert/"
	revokedPrefix = "revoked/"
)

// A Certificate describes an issued certificate to the Vault paths. It never holds the private key.
type Certificate struct {
	Serial    string // colon-separated hexadecimal
	Role      string
	OrderID   string
	CAOrderID string
	Account   string // in which it was ordered; empty in entries of earlier versions
	PEM       string
	Chain     []string // PEM, the issuing CA first
	Others    []string // PEM, of other CAs that came with it
	NotBefore time.Time
	NotAfter  time.Time
	// RenewAfter is when the certificate is to be renewed, see [renewal.After].
	RenewAfter time.Time
	// RevokedAt is zero while the certificate is not revoked.
	RevokedAt     time.Time
	RevokedReason certinext.Reason
	// RenewalOf is the serial number of the certificate that this one renews, and RenewedBy that of
	// the one that renews it, be it by a new order or by a reissue; empty for most. RenewedBy is
	// known only of roles with renewal=reissue, renew_ahead, revoke_replaced_after or reuse.
	RenewalOf string
	RenewedBy string
	// CARenewsAt is when CERTInext is to renew the certificate by itself, since its order was
	// placed with auto_renew; zero for most.
	CARenewsAt time.Time
	// RevokeAt is when the certificate is to be revoked because RenewedBy has replaced it; zero for
	// most.
	RevokeAt time.Time
	// ReissueOf is the serial number of the certificate that this one replaces within the same
	// CERTInext order (ADR 0013); empty for most.
	ReissueOf string
	// Subscription is the term that the certificate's order has bought; zero when it is not known.
	Subscription subscriptions.Subscription
	// RevocationQueued is set while a revocation is queued that CERTInext has not confirmed yet.
	RevocationQueued bool
	// RevocationHeldUntil is until when the role's revocation_delay holds the revocation back that
	// follows from the end of the last lease; zero when it does not.
	RevocationHeldUntil time.Time
	// AheadRefused is why its successor could not be made ahead (ADR 0040); empty for most.
	AheadRefused string
	// ReplacedFor is the campaign for which it is replaced before its time, and ReplacedBecause
	// why that is done (ADR 0049); both are empty for most.
	ReplacedFor, ReplacedBecause string
	// Origin is how the mount came to the certificate, and AdoptedAt when a role adopted it; the
	// zero time for most.
	Origin    Origin
	AdoptedAt time.Time
	// Held is why the certificate is not handed over until an operator releases it; empty for most.
	Held []string
	// Remarks are what is noteworthy about the certificate, and no reason to hold it.
	Remarks []string
}

// An Origin is how the mount came to a certificate.
type Origin string

// The origins of certificates.
const (
	OriginOrder        Origin = "order"        // an order of this mount
	OriginSynchronized Origin = "synchronized" // ordered outside of the mount, and nobody's
	OriginAdopted      Origin = "adopted"      // ordered outside of the mount, and a role has it
)

// Origin returns how the mount came to the certificate.
func (c *Entry) Origin() Origin {
	switch {
	case !c.AdoptedAt.IsZero():
		return OriginAdopted
	case c.Imported:
		return OriginSynchronized
	}
	return OriginOrder
}

// An Entry is a stored certificate.
type Entry struct {
	Version   int              `json:"version"`
	Serial    string           `json:"serial"` // with dashes, as in its key
	Role      string           `json:"role"`
	Requester string           `json:"requester"`
	Owner     string           `json:"owner,omitempty"` // who answers for it, as the request said
	OrderID   string           `json:"order_id"`
	CAOrderID string           `json:"ca_order_id"`
	Account   string           `json:"account,omitempty"` // in which it was ordered
	Family    certinext.Family `json:"family"`
	// RequestorEmail is the address that the order was placed with, without which version 1 revokes
	// nothing. It is empty in entries of earlier versions.
	RequestorEmail string `json:"requestor_email,omitempty"`

	Certificate string `json:"certificate"`
	// ChainRef is the fingerprint of the certificate's chain, which is stored once for all
	// certificates that have it. Entries of earlier versions hold the chain itself.
	ChainRef string `json:"chain_ref,omitempty"`
	// Chain is not stored beside a ChainRef. [Chains.Load] sets it.
	Chain []string `json:"chain,omitempty"`
	// Others are the certificates of other CAs that came with it, and are stored with the chain.
	Others []string `json:"-"`

	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	IssuedAt  time.Time `json:"issued_at"`

	// Imported is set for a certificate whose order was not placed by this mount. It has no role,
	// order and requester.
	Imported bool `json:"imported,omitempty"`
	// ProductCode and OrderedAt are what CERTInext's records said of the order of an imported
	// certificate; empty when they did not.
	ProductCode string    `json:"product_code,omitempty"`
	OrderedAt   time.Time `json:"ordered_at,omitzero"`
	// OtherMount is set for an imported certificate whose order has the marker of an order of a
	// mount of this engine: mostly of another mount, which may renew and revoke it.
	OtherMount bool `json:"other_mount,omitempty"`
	// AdoptedAt is when an operator gave an imported certificate to Role, with an order of its own
	// in the journal (ADR 0044); zero for all others.
	AdoptedAt time.Time `json:"adopted_at,omitzero"`

	// Judged is set once the certificate was compared with what was ordered (ADR 0025). Held is why
	// it is not handed over: empty when it may be. Remarks go with each answer that holds it.
	Judged  bool     `json:"judged,omitempty"`
	Held    []string `json:"held,omitempty"`
	Remarks []string `json:"remarks,omitempty"`
	// ReleasedAt is when an operator let a held certificate go.
	ReleasedAt time.Time `json:"released_at,omitzero"`

	// Delivery describes the answers that held the certificate; nil while no client has received
	// it.
	Delivery *Delivery `json:"delivery,omitempty"`
	// Leases maps the ids of the certificate's leases to when they end. When the last one ends, the
	// certificate is revoked (ADR 0004).
	Leases map[string]time.Time `json:"leases,omitempty"`
	// Behind is by how much this server's clock was behind CERTInext's when the end of a lease was
	// set, by the lease's id, for those where it was: set right since, the clock would find such a
	// lease over while it runs.
	Behind map[string]time.Duration `json:"behind,omitempty"` // nanoseconds

	// Doubted are the leases, by id, that Vault has ended while only a clock that was unknown or in
	// doubt said that they were over. They count until a clock that is right agrees (ADR 0022).
	Doubted map[string]bool `json:"doubted,omitempty"`

	// ReusedFor is the fingerprint of the requests that are answered with the certificate beyond
	// their reuse window, under which its key may be kept (ADR 0041); empty for most.
	ReusedFor string `json:"reused_for,omitempty"`

	// RevocationDelay is for how long the end of the last lease does not revoke the certificate
	// yet: the role's at the latest answer with a lease. Fingerprint is that of its request, by
	// which it is taken over meanwhile; empty when no request may. TakenOver is the latest lease by
	// which that was done.
	RevocationDelay time.Duration `json:"revocation_delay,omitempty"`
	Fingerprint     string        `json:"fingerprint,omitempty"`
	TakenOver       string        `json:"taken_over,omitempty"`

	// Revocation is nil until CERTInext has confirmed one.
	Revocation *Revocation `json:"revocation,omitempty"`

	// RevocationEnded is when an operator took the certificate's revocation, which could not be
	// tried, out of the queue. It is handed to nobody since.
	RevocationEnded time.Time `json:"revocation_ended,omitzero"`

	// ReissuedBy is the id of this mount's order that reissues, or was to reissue, the certificate.
	ReissuedBy string `json:"reissued_by,omitempty"`
	// ReissueRefused is set when CERTInext has refused to reissue it for another key.
	ReissueRefused bool `json:"reissue_refused,omitempty"`
	// ReissuedAs is the serial number, with dashes, of a newer certificate of the same CERTInext
	// order that was reissued outside of this mount.
	ReissuedAs string `json:"reissued_as,omitempty"`
	// Replaces is the serial number, with dashes, of the certificate that this one reissues.
	Replaces string `json:"replaces,omitempty"`
	// LeaseEnded is set when the last lease on a reissued certificate has ended. The certificate
	// stays valid, since CERTInext cannot revoke it alone (ADR 0013).
	LeaseEnded bool `json:"lease_ended,omitempty"`
	// RenewalOf is the serial number, with dashes, of the certificate that this one renews, and
	// RenewedBy that of the latest one that renews it, by a new order or by a reissue.
	RenewalOf string `json:"renewal_of,omitempty"`
	RenewedBy string `json:"renewed_by,omitempty"`
	// RevokeAt is when the certificate is to be revoked because RenewedBy has replaced it; zero for
	// most. Kept is set when somebody has said that it stays valid (ADR 0041).
	RevokeAt time.Time `json:"revoke_at,omitzero"`
	Kept     bool      `json:"kept,omitempty"`
	// AheadRefused is why its successor could not be made ahead, as of the latest attempt (ADR
	// 0040); empty for most.
	AheadRefused string `json:"ahead_refused,omitempty"`
	// RenewedAhead is set when RenewedBy, or the reissue ReissuedBy, was made before it was asked
	// for: it waits for the request that comes when this one is to be renewed (ADR 0040).
	RenewedAhead bool `json:"renewed_ahead,omitempty"`
	// RenewLater is by how much later it is to be renewed since it was made ahead, and had lived
	// for that long when it was handed over, or since CERTInext renews it by itself by then.
	RenewLater time.Duration `json:"renew_later,omitempty"` // nanoseconds
	// CARenewsAt is when CERTInext is to renew it by itself, since its order was placed with
	// auto_renew (ADR 0042); zero for most.
	CARenewsAt time.Time `json:"ca_renews_at,omitzero"`

	// Replacement is set when the certificate is to be replaced before its time (ADR 0049); nil for
	// most.
	Replacement *Replacement `json:"replacement,omitempty"`

	// Subscription is the term that the certificate's order has bought, as it was known when the
	// certificate was stored; zero in entries of earlier versions and for imported ones.
	Subscription subscriptions.Subscription `json:"subscription,omitzero"`

	// stored is set once the entry is in storage, and storedOrder is the OrderID that it has there.
	stored      bool
	storedOrder string
}

// A Revocation is one that CERTInext has confirmed.
type Revocation struct {
	At     time.Time        `json:"at"`
	Reason certinext.Reason `json:"reason"`
}

// Life returns from when to when the certificate is valid.
func (c *Entry) Life() renewal.Life {
	return renewal.Life{NotBefore: c.NotBefore, NotAfter: c.NotAfter}
}

// RenewedByCA returns when CERTInext renews the certificate by itself; false when it does not.
func (c *Entry) RenewedByCA() (renewal.ByCA, bool) {
	return renewal.ByCAFrom(c.Life(), c.CARenewsAt), !c.CARenewsAt.IsZero()
}

// Key returns the storage key of the entry.
func (c *Entry) Key() string { return Prefix + c.Serial }

// View returns the certificate as clients may see it. What is queued is not set.
func (c *Entry) View() *Certificate {
	v := &Certificate{
		Serial:       strings.ReplaceAll(c.Serial, "-", ":"),
		Role:         c.Role,
		OrderID:      c.OrderID,
		CAOrderID:    c.CAOrderID,
		Account:      c.Account,
		PEM:          c.Certificate,
		Chain:        slices.Clone(c.Chain),
		Others:       slices.Clone(c.Others),
		RenewalOf:    strings.ReplaceAll(c.RenewalOf, "-", ":"),
		RenewedBy:    strings.ReplaceAll(c.RenewedBy, "-", ":"),
		ReissueOf:    strings.ReplaceAll(c.Replaces, "-", ":"),
		NotBefore:    c.NotBefore,
		NotAfter:     c.NotAfter,
		Held:         slices.Clone(c.Held),
		RenewAfter:   c.renewAfter(renewal.After(c.Serial, c.Life()).Add(c.RenewLater)),
		Remarks:      slices.Clone(c.Remarks),
		AheadRefused: c.AheadRefused,
		Origin:       c.Origin(),
		AdoptedAt:    c.AdoptedAt,

		Subscription: c.Subscription, RevokeAt: c.RevokeAt, CARenewsAt: c.CARenewsAt,
	}
	if c.Revocation != nil {
		v.RevokedAt, v.RevokedReason = c.Revocation.At, c.Revocation.Reason
	}
	if c.Replacement != nil {
		v.ReplacedFor, v.ReplacedBecause = c.Replacement.For, c.Replacement.Why
	}
	return v
}

// NewEntry returns an entry for a downloaded certificate. The caller fills in its role, requester,
// orders and account.
func NewEntry(cert *Downloaded, now time.Time) *Entry {
	c := &Entry{
		Version: 1, Serial: serials.Key(cert.Leaf.SerialNumber), Certificate: Encode(cert.Leaf),
		NotBefore: cert.Leaf.NotBefore, NotAfter: cert.Leaf.NotAfter, IssuedAt: now,
	}
	for _, up := range cert.Chain {
		c.Chain = append(c.Chain, Encode(up))
	}
	for _, other := range cert.Rest {
		if other.IsCA {
			c.Others = append(c.Others, Encode(other))
		}
	}
	return c
}

// Take stores in the entry what was found of the certificate.
func (c *Entry) Take(v acceptance.Verdict) {
	c.Judged, c.Held, c.Remarks = true, v.AllFaults(), v.Remarks
}

// Release lets a held certificate go. Why it was held becomes part of the remarks, and the time in
// which it has to be fetched begins anew.
func (c *Entry) Release(now time.Time) {
	for _, why := range c.Held {
		c.Remarks = append(c.Remarks, "an operator released the certificate although "+why)
	}
	c.Held, c.ReleasedAt = nil, now
}

// Read returns the entry of the certificate with the given serial number (with dashes), or nil when
// the mount has none. Its chain is not read: see [Chains.Load].
func Read(ctx context.Context, s logical.Storage, serial string) (*Entry, error) {
	c, err := store.Get[Entry](ctx, s, Prefix+serial)
	if err != nil || c == nil {
		return nil, err
	}
	c.stored, c.storedOrder = true, c.OrderID
	return c, nil
}

// Put stores the entry of a certificate. What the entry refers to is stored before it, so that a
// crash in between leaves nothing that is missing: the index entry of its CERTInext order, when the
// certificate is new or has become another order's, and then its chain. What is listed of it is
// told to the index in memory. The error is an
// [*OpenOrderError] when the certificate is imported and its CERTInext order belongs to an open
// order. The caller holds the certificate's lock.
func (keeper *Keeper) Put(ctx context.Context, s logical.Storage, c *Entry) error {
	if !c.stored || c.storedOrder != c.OrderID {
		if err := keeper.Numbers.add(ctx, s, c, keeper.Origin); err != nil {
			return err
		}
	}
	if err := keeper.Chains.keep(ctx, s, c); err != nil {
		return err
	}
	entry := *c
	if entry.ChainRef != "" {
		entry.Chain = nil
	}
	if err := store.Put(ctx, s, c.Key(), &entry); err != nil {
		keeper.Index.Doubt(c.Serial) // it may have been stored all the same
		return err
	}
	c.stored, c.storedOrder = true, c.OrderID
	keeper.Index.Put(*rowOf(c))
	return nil
}

// Lock locks the certificate with the given serial number (with dashes). The error is that of ctx.
func (keeper *Keeper) Lock(ctx context.Context, serial string) (unlock func(), err error) {
	return keeper.certLocks.Lock(ctx, serial)
}

// Certificate returns the stored certificate with the given serial number (with colons, dashes or
// neither), or nil when there is none.
func (keeper *Keeper) Certificate(
	ctx context.Context, s logical.Storage, serial string,
) (*Certificate, error) {
	v, _, _, err := readCertificate(ctx, keeper, s, serial)
	return v, err
}

// readCertificate is [Keeper.Certificate] with the entries that it reads: that of the certificate
// and of its revocation in the queue; nil when there is none.
func readCertificate(
	ctx context.Context, keeper *Keeper, s logical.Storage, serial string,
) (v *Certificate, c *Entry, queued *Queued, err error) {
	key, err := serials.Parse("serial", serial)
	if err != nil {
		return nil, nil, nil, err
	}
	if c, err = Read(ctx, s, key); err != nil || c == nil {
		return nil, nil, nil, err
	}
	if err := keeper.Chains.Load(ctx, s, c); err != nil {
		return nil, nil, nil, err
	}
	v = c.View()
	if queued, err = store.Get[Queued](ctx, s, RevocationPrefix+key); err != nil {
		return nil, nil, nil, err
	}
	v.RevocationQueued = queued != nil && c.Revocation == nil && queued.Due
	if queued.isHeldBack() && c.Revocation == nil {
		v.RevocationHeldUntil = queued.HeldUntil
	}
	return v, c, queued, nil
}

// List returns the serial numbers of the stored certificates, with colons.
func (keeper *Keeper) List(ctx context.Context, s logical.Storage) ([]string, error) {
	return listSerials(ctx, s, Prefix)
}

// ListRevoked returns the serial numbers of the revoked certificates, with colons.
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

// HasKey reports whether the certificate is for the given public key.
func (c *Certificate) HasKey(key any) bool {
	leaf, err := Parse([]string{c.PEM})
	return err == nil && len(leaf) == 1 && issuing.SamePublicKey(leaf[0].PublicKey, key)
}
