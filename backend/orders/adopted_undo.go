// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/subscriptions"
	"github.com/hashicorp/vault/sdk/logical"
)

// Unadopt undoes the adoption of a certificate, with the serial number with dashes, as long as
// nothing was built on it. The certificate is then as it was synchronized, and stays valid.
func Unadopt(
	ctx context.Context, journal *Journal, s logical.Storage, role, serial string,
) error {
	id, err := adoptedID(role, serial)
	if err != nil {
		return err
	}
	unlock, err := journal.Certificates.Lock(ctx, serial)
	if err != nil {
		return err
	}
	defer unlock()
	c, err := certificates.Read(ctx, s, serial)
	if err != nil {
		return err
	}
	o, err := store.Get[orderEntry](ctx, s, closedOrderPrefix+role+"/"+id)
	if store.IsFault(err) {
		return err // one that cannot be read tells of no names, and goes
	}
	if c == nil || c.OrderID != id {
		return endUnadopted(ctx, journal, s, o, role, serial, c)
	}
	if err := whyNotUnadopted(c); err != nil {
		return err
	}
	if err := checkNotBuiltOn(ctx, journal, s, c); err != nil {
		return err
	}
	if err := checkNotEnding(ctx, journal, s, c, "serial"); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	told, err := journal.Certificates.Index.Announce(ctx, s, serial)
	if err != nil {
		return err
	}
	defer told()
	if err := restoreNewest(ctx, journal, s, o); err != nil {
		return err
	}
	c.Role, c.Requester, c.OrderID = "", "", ""
	c.AdoptedAt, c.Subscription = time.Time{}, subscriptions.Subscription{}
	c.AheadRefused, c.RenewedBy = "", ""
	if err := journal.Certificates.Put(ctx, s, c); err != nil {
		return err
	}
	journal.Log.Info("the adoption of a certificate was undone", "serial", c.View().Serial,
		"role", role, "order_id", id)
	return deleteAdoptedOrder(ctx, journal, s, role, id)
}

// endUnadopted is the end of an Unadopt, or of an adoption, that was cut short, and of one whose
// certificate has turned out to be of an order of this mount: the certificate does not have the
// order o that is still there. o is nil when there is none, and c when the mount has no such
// certificate.
func endUnadopted(
	ctx context.Context, journal *Journal, s logical.Storage, o *orderEntry, role, serial string,
	c *certificates.Entry,
) error {
	switch {
	case o != nil:
		ctx = context.WithoutCancel(ctx)
		if err := restoreNewest(ctx, journal, s, o); err != nil {
			return err
		}
		return deleteAdoptedOrder(ctx, journal, s, o.Role, o.ID)
	case c == nil:
		return fault.NoCertificate(strings.ReplaceAll(serial, "-", ":"), "")
	case c.OrderID != "" && c.Role == role:
		return whyNotUnadopted(c)
	}
	return fault.BadField("serial", "certificate %s is not adopted by this role", c.View().Serial)
}

// whyNotUnadopted returns an error unless the adoption of a certificate by its role can be undone.
func whyNotUnadopted(c *certificates.Entry) error {
	serial := c.View().Serial
	refuse := func(format string, args ...any) error {
		return fault.BadField("serial", format, args...)
	}
	switch {
	case c.AdoptedAt.IsZero():
		return refuse("certificate %s is this mount's own, of role %s", serial, c.Role)
	case c.ReissuedBy != "" && !c.ReissueRefused:
		return refuse("certificate %s was reissued by order %s of this mount", serial, c.ReissuedBy)
	case c.RenewedBy != "":
		return refuse("certificate %s was renewed as %s", serial,
			strings.ReplaceAll(c.RenewedBy, "-", ":"))
	case len(c.Leases) > 0:
		return refuse("certificate %s has leases", serial)
	}
	return nil
}

// succeededBy returns the serial number, with dashes, of the certificate that the order's is to
// succeed; empty when it is to succeed none.
func succeededBy(o *orderEntry) string {
	if o.Renews == "" && o.Reissue != nil {
		return o.Reissue.Serial
	}
	return o.Renews
}

// checkNotBuiltOn returns an error when an order of the mount renews or reissues an adopted
// certificate: one that is open, be it that it waits for an approval, or the renewal that its
// requester has bought. Of what was ordered, the certificate's entry mostly says nothing before
// CERTInext has issued it. The caller holds the certificate's lock.
func checkNotBuiltOn(
	ctx context.Context, journal *Journal, s logical.Storage, c *certificates.Entry,
) error {
	if err := journal.registry.load(ctx, s); err != nil {
		return err
	}
	serial := c.View().Serial
	if id := journal.registry.succeeding(c.Serial); id != "" {
		return fault.BadField("serial", "order %s of this mount is to succeed certificate %s, and "+
			"is open: wait for it, or cancel it (vault delete <mount>/orders/%s/%s)",
			id, serial, c.Role, id)
	}
	id, err := namedOrderID(c.Role, c.Requester, renewalID+c.Serial)
	if err != nil {
		return err
	}
	bought, err := journal.findOrder(ctx, s, c.Role, id)
	if err != nil || bought == nil || wasNotTaken(bought) || bought.Serial == "" {
		return err
	}
	return fault.BadField("serial", "certificate %s was renewed by order %s of this mount",
		serial, id)
}

// succeeding returns the id of an open order whose certificate is to succeed the one with a serial
// number, with dashes; empty when there is none.
func (r *registry) succeeding(serial string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.orders {
		if t.renews == serial {
			return t.id
		}
	}
	return ""
}
