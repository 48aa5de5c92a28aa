// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"errors"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/renewal"
	"github.com/hashicorp/vault/sdk/logical"
)

// What an adoption stores beside the certificate's entry, and what its end takes back: the closed
// order, and which certificate is the newest for the names.

// storeAdoptedOrder stores the order of an adopted certificate, and has it listed.
func storeAdoptedOrder(
	ctx context.Context, journal *Journal, s logical.Storage, o *orderEntry,
) error {
	if err := store.Put(ctx, s, o.closedKey(), o); err != nil {
		doubt(journal, o.Role, o.ID) // it may have been stored all the same
		return err
	}
	tellClosed(journal, o)
	return nil
}

// deleteAdoptedOrder deletes the order of an adopted certificate, which is listed no more.
func deleteAdoptedOrder(
	ctx context.Context, journal *Journal, s logical.Storage, role, id string,
) error {
	if err := store.Delete(ctx, s, closedOrderPrefix+role+"/"+id); err != nil {
		doubt(journal, role, id) // it may be gone all the same
		return err
	}
	journal.Index.Remove(role + "/" + id)
	return nil
}

// withoutOrder is what storeAdopted answers when storage did not take the certificate's entry, for
// the reason why. The order is deleted again, unless the entry was stored all the same: it would
// count for a role that does not have the certificate. When it stays, the same adoption replaces
// it, and undoing that deletes it.
func withoutOrder(
	ctx context.Context, journal *Journal, s logical.Storage, o *orderEntry, why error,
) error {
	c, err := certificates.Read(ctx, s, o.Serial)
	if err != nil || (c != nil && c.OrderID == o.ID) {
		return errors.Join(why, err)
	}
	return errors.Join(why, deleteAdoptedOrder(ctx, journal, s, o.Role, o.ID))
}

// newestBefore returns which certificate, other than the order's, is the newest for its names;
// empty when there is none.
func newestBefore(ctx context.Context, s logical.Storage, o *orderEntry) (string, error) {
	if !hasNewest(o) {
		return "", nil
	}
	serial, err := renewal.Newest(ctx, s, o.Role, o.Names)
	if serial == o.Serial {
		serial = ""
	}
	return serial, err
}

// hasNewest reports whether it is stored which certificate is the newest for the order's names.
func hasNewest(o *orderEntry) bool { return o.Names != "" && o.Requester != "" }

// makeNewest stores that an adopted certificate is the newest of its requester's for its names, so
// that the next request for them is answered within its subscription. One that lasts longer stays
// the newest, and so does one that has become it since the adoption began. end is when the adopted
// one expires. The caller holds the lock of the adopted certificate.
func makeNewest(
	ctx context.Context, journal *Journal, s logical.Storage, o *orderEntry, end time.Time,
) error {
	if !hasNewest(o) {
		return nil
	}
	unlock, err := journal.Certificates.Lock(ctx, renewal.NewestKey(o.Role, o.Names))
	if err != nil {
		return err
	}
	defer unlock()
	serial, err := renewal.Newest(ctx, s, o.Role, o.Names)
	if err != nil || serial == o.Serial || serial != o.NewestBefore {
		return err
	}
	if serial != "" {
		c, err := certificates.Read(ctx, s, serial)
		if err != nil {
			return err
		}
		if c != nil && c.Role == o.Role && c.Requester == o.Requester &&
			c.Revocation == nil && c.NotAfter.After(end) {
			return nil
		}
	}
	return renewal.StoreNewest(ctx, s, o.Role, o.Names, o.Serial)
}

// restoreNewest takes makeNewest back, if no other certificate has become the newest since. o may
// be nil. The caller holds the lock of the adopted certificate.
func restoreNewest(
	ctx context.Context, journal *Journal, s logical.Storage, o *orderEntry,
) error {
	if o == nil || !hasNewest(o) {
		return nil
	}
	unlock, err := journal.Certificates.Lock(ctx, renewal.NewestKey(o.Role, o.Names))
	if err != nil {
		return err
	}
	defer unlock()
	if o.NewestBefore != "" {
		known, err := renewal.Newest(ctx, s, o.Role, o.Names)
		if err != nil || known != o.Serial {
			return err
		}
		before, err := certificates.Read(ctx, s, o.NewestBefore)
		if store.IsFault(err) {
			return err
		}
		if before != nil {
			return renewal.StoreNewest(ctx, s, o.Role, o.Names, before.Serial)
		}
	}
	return renewal.ForgetNewest(ctx, s, o.Role, o.Names, o.Serial)
}

// alreadyAdopted answers an adoption that has happened before, and completes one that was cut short
// before the certificate became the newest.
func alreadyAdopted(
	ctx context.Context, journal *Journal, s logical.Storage, c adoptee, a Adoption,
) (*Adopted, error) {
	out := &Adopted{Certificate: c.View(), Already: true}
	if a.DryRun || c.RenewedBy != "" || c.ReissuedBy != "" {
		return out, nil
	}
	unlock, err := journal.Certificates.Lock(ctx, a.Serial)
	if err != nil {
		return nil, err
	}
	defer unlock()
	now, err := certificates.Read(ctx, s, a.Serial)
	if err != nil || now == nil || now.OrderID != c.OrderID {
		return out, err // undone at this moment
	}
	o, err := store.Get[orderEntry](ctx, s, closedOrderPrefix+a.Role+"/"+c.OrderID)
	if err != nil || o == nil {
		return out, err
	}
	return out, makeNewest(context.WithoutCancel(ctx), journal, s, o, c.NotAfter)
}
