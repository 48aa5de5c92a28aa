// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/roles"
	"github.com/hashicorp/vault/sdk/logical"
)

// Vault's policies say who may use a role. Whose order it is they cannot know: with a templated
// role for a whole company, whoever may cancel may cancel everybody's. So the role says whether its
// orders are their requester's to act on, or everybody's (ADR 0027).

// Operator is the requester of what an operator does, who may act on any order.
const Operator = ""

// mayAct returns an error about field unless requester may act on what owner ordered under a role.
// what names it, such as "order 6f1d".
func mayAct(
	ctx context.Context, s logical.Storage, role, owner, requester, field, what string,
) error {
	if requester == Operator || requester == owner {
		return nil
	}
	r, err := roles.Read(ctx, s, role)
	switch {
	case err != nil:
		return err
	case r != nil && r.OrderAccess == issuing.AccessRole:
		return nil
	}
	return fault.BadField(field, "%s was placed by another requester: only that requester, or an "+
		"operator of Vault, can do this to it (order_access of the role)", what)
}

// mayActOn is mayAct for an order of a role. An order that is not there is for others to report.
func (journal *Journal) mayActOn(
	ctx context.Context, s logical.Storage, role, id, requester string,
) error {
	if requester == Operator {
		return nil
	}
	o, err := journal.findOrder(ctx, s, role, id)
	if err != nil || o == nil {
		return err
	}
	return mayAct(ctx, s, role, o.Requester, requester, "id", "order "+o.ID)
}

// holdFor is [Journal.holdOrder] for what a requester does to the order, which an operator may have
// handed over to another one until it was held.
func holdFor(
	ctx context.Context, journal *Journal, s logical.Storage, role, id, requester string,
) (*heldOrder, error) {
	h, err := journal.holdOrder(ctx, s, role, id)
	if err != nil {
		return nil, err
	}
	if err := h.admits(ctx, requester); err != nil {
		h.Release()
		return nil, err
	}
	return h, nil
}

// admits is mayAct for the held order.
func (h *heldOrder) admits(ctx context.Context, requester string) error {
	return mayAct(ctx, h.storage, h.role, h.entry.Requester, requester, "id", "order "+h.id)
}

// mayRevoke is mayAct for a revocation under a role. Its result has the last word, once the
// certificate is locked: an operator may hand it over until then.
func (journal *Journal) mayRevoke(
	ctx context.Context, s logical.Storage, r certificates.RevokeRequest,
) (admit func(*certificates.Entry) error, err error) {
	admit = func(c *certificates.Entry) error {
		if r.Role == "" || r.Requester == Operator {
			return nil // whoever may revoke any certificate of the mount, or proves to have its key
		}
		return mayAct(ctx, s, r.Role, c.Requester, r.Requester, "serial_number",
			"certificate "+c.View().Serial)
	}
	switch {
	case r.Role == "" || r.Requester == Operator:
		return admit, nil
	case r.OrderID != "":
		return admit, journal.mayActOn(ctx, s, r.Role, r.OrderID, r.Requester)
	}
	serial, err := r.SerialKey()
	if err != nil {
		return nil, err
	}
	c, err := certificates.Read(ctx, s, serial)
	if err != nil || c == nil || c.Role != r.Role {
		return admit, err // it is none of the role's, which the revocation itself says
	}
	return admit, admit(c)
}

// HandOver gives an order that nobody was handed the certificate of to another requester, mostly
// since the one that placed it is no more: a token without an identity has expired. to is a
// requester as orders have them. It returns the order as it is then.
func (journal *Journal) HandOver(
	ctx context.Context, s logical.Storage, role, id, to string,
) (*Order, error) {
	h, err := journal.holdOrder(ctx, s, role, id)
	if err != nil {
		return nil, err
	}
	defer h.Release()
	o := h.entry
	if t, _ := journal.registry.status(id); t.handed != nil || o.Delivered {
		return nil, fault.BadField("entity_id",
			"order %s was collected by the requester that placed it: it has nothing to hand over",
			o.ID)
	}
	serial, err := h.storedSerial(ctx)
	if err != nil {
		return nil, err
	}
	if serial != "" {
		if err := journal.handOverCertificate(ctx, s, serial, to); err != nil {
			return nil, err
		}
	}
	// The requester that placed it would find it by sending its request again.
	o.Requester, o.Fingerprint, o.Names, o.Again = to, "", o.namesFor(to), nil
	if serial != "" && o.Names != "" {
		if err := storeNewest(ctx, journal, s, role, o.Names, serial); err != nil {
			return nil, err
		}
	}
	o.note(journal.Now(), "handed over by an operator to %s", sanitize.Short(to))
	return o.view(), journal.saveOrder(ctx, s, o)
}

// storedSerial returns the serial number, with dashes, of the order's certificate; empty while none
// is stored. The order's own entry may not say it, see [driver.endRevoked].
func (h *heldOrder) storedSerial(ctx context.Context) (string, error) {
	if h.entry.Serial != "" {
		return h.entry.Serial, nil
	}
	c, err := h.journal.Certificates.Numbers.OfOrder(ctx, h.storage, h.entry.CAOrderID, h.id)
	if err != nil || c == nil {
		return "", err
	}
	return c.Serial, nil
}

// handOverCertificate is the part of HandOver that is the certificate's entry.
func (journal *Journal) handOverCertificate(
	ctx context.Context, s logical.Storage, serial, to string,
) error {
	unlock, err := journal.Certificates.Lock(ctx, serial)
	if err != nil {
		return err
	}
	defer unlock()
	c, err := certificates.Read(ctx, s, serial)
	switch {
	case err != nil || c == nil:
		return err
	case c.Delivery != nil:
		return fault.BadField("entity_id", "certificate %s was handed over already",
			strings.ReplaceAll(serial, "-", ":"))
	}
	if err := checkNotEnding(ctx, journal, s, c, "entity_id"); err != nil {
		return err
	}
	newer, err := journal.reissuingOrder(ctx, s, c)
	switch {
	case err != nil:
		return err
	case newer != nil:
		return fault.BadField("entity_id", "certificate %s was reissued for the requester that "+
			"placed its order, as order %s: hand that one over",
			strings.ReplaceAll(serial, "-", ":"), newer.ID)
	}
	told, err := journal.Certificates.Index.Announce(ctx, s, serial)
	if err != nil {
		return err
	}
	defer told()
	c.Requester = to
	return journal.Certificates.Put(context.WithoutCancel(ctx), s, c)
}

// checkNotEnding returns an error about field when a certificate is revoked, or is to be: CERTInext
// may be asked for that at this moment, and neither the order nor the certificate is locked
// meanwhile. The queue says so before CERTInext hears of it (ADR 0021), so that of two operators,
// or of an operator and a requester, the first one wins. The caller holds the certificate's lock.
func checkNotEnding(
	ctx context.Context, journal *Journal, s logical.Storage, c *certificates.Entry, field string,
) error {
	serial := strings.ReplaceAll(c.Serial, "-", ":")
	if c.Revocation != nil {
		return fault.BadField(field, "certificate %s is revoked: request another one", serial)
	}
	due, err := journal.Certificates.RevocationDue(ctx, s, c)
	if err != nil || !due {
		return err
	}
	return fault.BadField(field, "certificate %s is being revoked, or is to be "+
		"(<mount>/certs/revocation-queue): request another one", serial)
}
