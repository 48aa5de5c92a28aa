// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/renewal"
	"github.com/hashicorp/vault/sdk/logical"
)

// Tidying erases the records of closed orders, and personal data in them, that nobody needs any
// more (ADR 0045). What has to be known of one is read here, and what decides is told by the
// caller. An open order is never touched.

// ClosedPrefix is [closedOrderPrefix] for those that list closed orders.
const ClosedPrefix = closedOrderPrefix

// ErasureFacts are what decides whether the record of a closed order is still needed. The first
// fields are those of its entry. The others cost readings of storage, and are known only with
// Looked.
type ErasureFacts struct {
	Open       bool // it is open, or being closed or opened again; nothing else is known then
	NeverTaken bool // CERTInext certainly has nothing of it, and nobody paid for it
	MayCost    bool // CERTInext has taken it, or may have
	// Named is set when a client has named the request, so that the record keeps the same name from
	// buying again.
	Named    bool
	Personal bool // it has data of a signer's or of an S/MIME certificate's subject
	AskedAt  time.Time
	EndedAt  time.Time
	// SubscriptionEnds is when the term ends that the order has bought; zero when it bought none.
	SubscriptionEnds time.Time

	Looked bool
	// Certificates is set when a certificate of the order, or of its number at CERTInext, is
	// stored.
	Certificates bool
	// Unrevoked is set when the order's own certificate is stored and not revoked, so that it may
	// be reissued while its subscription runs. LiveUntil is when it expires.
	Unrevoked bool
	LiveUntil time.Time
	// Linked is set when the certificate that the order has reissued or renewed is stored: the
	// record says what has become of that one.
	Linked bool
}

// A Deed is what is done with the record of a closed order.
type Deed int

// The deeds.
const (
	DeedNone Deed = iota
	DeedErase
	DeedErasePersonal
)

// An Erasure says how records of closed orders are erased.
type Erasure struct {
	// Does decides, of what is known so far, what is done. It is pure.
	Does func(ErasureFacts) Deed
	// IsGone reports whether a certificate that is stored counts as erased, as in a dry run.
	IsGone func(serial string) bool
	DryRun bool // nothing is changed
}

// IsOpen reports whether an order is open. The open orders have to be loaded: see [LoadOpen].
func IsOpen(journal *Journal, id string) bool {
	_, open := journal.registry.status(id)
	return open
}

// LoadOpen reads the open orders, unless that was done.
func LoadOpen(ctx context.Context, journal *Journal, s logical.Storage) error {
	return journal.registry.load(ctx, s)
}

// SettleReserved has everything that was reserved for closed orders count for good. It is to be
// called before records of orders that may be paid for are erased: a budget that finds no order
// gives back what was reserved for it.
func SettleReserved(ctx context.Context, journal *Journal, s logical.Storage) error {
	return settlePurchases(ctx, journal, s)
}

// EraseUnneeded does with the record of a closed order what is to be done, and reports that. It
// looks first without holding the order, so that one that stays keeps nobody waiting; one that is
// changed is held meanwhile as if it were open, and a request that wants to open it again waits. An
// entry that cannot be decoded stays, and is the error.
func EraseUnneeded(
	ctx context.Context, journal *Journal, s logical.Storage, role, id string, e Erasure,
) (Deed, error) {
	if IsOpen(journal, id) {
		return e.Does(ErasureFacts{Open: true}), nil
	}
	_, deed, err := e.look(ctx, journal, s, role, id)
	if err != nil || deed == DeedNone || e.DryRun {
		return deed, err
	}
	h := journal.reserve(s, tracked{id: id, role: role}, nil)
	if h == nil {
		return e.Does(ErasureFacts{Open: true}), nil
	}
	defer h.drop()
	o, deed, err := e.look(ctx, journal, s, role, id)
	switch {
	case err != nil:
		return DeedNone, err
	case deed == DeedErase:
		return deed, eraseClosed(ctx, journal, s, o)
	case deed == DeedErasePersonal:
		return deed, storeImpersonal(ctx, journal, s, o)
	}
	return deed, nil
}

// look reads the record of a closed order and asks what is done with it.
func (e Erasure) look(
	ctx context.Context, journal *Journal, s logical.Storage, role, id string,
) (*orderEntry, Deed, error) {
	o, err := store.Get[orderEntry](ctx, s, closedOrderPrefix+role+"/"+id)
	if err != nil || o == nil {
		return nil, DeedNone, err
	}
	isRenewal := strings.HasPrefix(o.RequestID, renewalID)
	f := ErasureFacts{
		NeverTaken: o.neverTaken(), MayCost: mayCost(o),
		Named:    o.RequestID != "" && !isRenewal && !wasNotTaken(o),
		Personal: hasPersonal(o), AskedAt: o.askedAt(), EndedAt: o.UpdatedAt,
		SubscriptionEnds: o.subscription().EndsAt,
	}
	if deed := e.Does(f); deed == DeedNone {
		return o, deed, nil
	}
	f.Looked = true
	if err := e.lookFurther(ctx, journal, s, o, &f); err != nil {
		return nil, DeedNone, err
	}
	return o, e.Does(f), nil
}

// lookFurther adds to the facts what is not in the order's own record.
func (e Erasure) lookFurther(
	ctx context.Context, journal *Journal, s logical.Storage, o *orderEntry, f *ErasureFacts,
) error {
	c, err := e.certificate(ctx, s, o.Serial)
	if err != nil {
		return err
	}
	f.Certificates = c != nil
	if c != nil && c.Revocation == nil {
		f.Unrevoked, f.LiveUntil = true, c.NotAfter
	}
	others, err := journal.Certificates.Numbers.Serials(ctx, s, o.Account, o.CAOrderID)
	if err != nil {
		return err
	}
	for _, serial := range others {
		if f.Certificates {
			break
		}
		if c, err = e.certificate(ctx, s, serial); err != nil {
			return err
		}
		f.Certificates = c != nil
	}
	before := ""
	switch {
	case o.Reissue != nil:
		before = o.Reissue.Serial
	case strings.HasPrefix(o.RequestID, renewalID):
		before = o.Renews
	}
	if before == o.Serial {
		return nil
	}
	c, err = e.certificate(ctx, s, before)
	f.Linked = c != nil
	return err
}

// certificate returns a stored certificate by its serial number (with dashes), which may be empty;
// nil when there is none, or when it counts as erased.
func (e Erasure) certificate(
	ctx context.Context, s logical.Storage, serial string,
) (*certificates.Entry, error) {
	if serial == "" {
		return nil, nil
	}
	c, err := certificates.Read(ctx, s, serial)
	if err != nil || c == nil || e.IsGone(serial) {
		return nil, err
	}
	return c, nil
}

// eraseClosed removes the record of a closed order, even when ctx is cancelled. What is noted of
// its number goes first: a crash in between leaves the record, which is erased the next time.
func eraseClosed(
	ctx context.Context, journal *Journal, s logical.Storage, o *orderEntry,
) error {
	ctx = context.WithoutCancel(ctx)
	if o.CAOrderID != "" {
		err := certificates.RemoveOrder(ctx, &journal.Certificates.Numbers, s, o.Account,
			o.CAOrderID, o.marker())
		if err != nil {
			return err
		}
	}
	if err := store.Delete(ctx, s, o.closedKey()); err != nil {
		doubt(journal, o.Role, o.ID) // it may be gone all the same
		return err
	}
	journal.Index.Remove(o.Role + "/" + o.ID)
	return nil
}

// storeImpersonal erases personal data from the record of a closed order, even when ctx is
// cancelled, and from what is listed of it.
func storeImpersonal(
	ctx context.Context, journal *Journal, s logical.Storage, o *orderEntry,
) error {
	erasePersonal(o, journal.Now())
	if err := store.Put(context.WithoutCancel(ctx), s, o.closedKey(), o); err != nil {
		doubt(journal, o.Role, o.ID)
		return err
	}
	tellClosed(journal, o)
	return nil
}

// storeNewest is [renewal.StoreNewest] with the lock that [ForgetNewest] takes, too.
func storeNewest(
	ctx context.Context, journal *Journal, s logical.Storage, role, names, serial string,
) error {
	unlock, err := journal.Certificates.Lock(ctx, renewal.NewestKey(role, names))
	if err != nil {
		return err
	}
	defer unlock()
	return renewal.StoreNewest(ctx, s, role, names, serial)
}

// ForgetNewest forgets that a certificate, which is about to be erased, is the newest one for its
// names, by the record of its order. What was stored of a newer one stays. The caller holds the
// certificate's lock.
func ForgetNewest(
	ctx context.Context, journal *Journal, s logical.Storage, c *certificates.Entry,
) error {
	if c.OrderID == "" {
		return nil // it was imported
	}
	o, err := store.Get[orderEntry](ctx, s, closedOrderPrefix+c.Role+"/"+c.OrderID)
	if store.IsFault(err) {
		return err
	}
	if err != nil || o == nil || o.Names == "" {
		return nil // a record that nobody can read tells no names
	}
	unlock, err := journal.Certificates.Lock(ctx, renewal.NewestKey(c.Role, o.Names))
	if err != nil {
		return err
	}
	defer unlock()
	return renewal.ForgetNewest(ctx, s, c.Role, o.Names, c.Serial)
}
