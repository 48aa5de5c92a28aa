// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"fmt"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/preview"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/renewal"
)

// Clients that share a key come to one certificate of CERTInext's own renewal: one has asked for it
// by the serial number of that before, another asks by the names, hours later. The latter is handed
// the same one, until that is due for its renewal (ADR 0042).

// A made is the newest certificate of a request's names: CERTInext has made it by itself, or it was
// adopted, and it has the key of the request's CSR.
type made struct {
	cert  *certificates.Entry
	order *orderEntry
}

// isMadeFor reports whether an order is of what CERTInext has made by itself for the names and the
// key of a request, which is nil for the background pass, and may have asked in another way.
func isMadeFor(w *caller, o *orderEntry) bool {
	return w != nil && o.ByCA && hasNamesAndKey(w, o)
}

// hasNamesAndKey reports whether an order is for the names and the key of a request, by its names
// and with a CSR, of the same requester.
func hasNamesAndKey(w *caller, o *orderEntry) bool {
	p := w.plan
	if p == nil || p.CSR == "" || p.Request.Renews != "" || !isRenewedByCA(p) ||
		asksForAnother(p.Request) || o.Requester != p.Request.Requester || !o.isFor(p) {
		return false
	}
	own, err := o.publicKey()
	return err == nil && issuing.SamePublicKey(own, p.CSRKey)
}

// lookMade returns what there is for a request; nil when there is nothing, or it serves no more.
func lookMade(ctx context.Context, w *caller) (*made, error) {
	p := w.plan
	if p.CSR == "" || p.Request.Renews != "" || !isRenewedByCA(p) || asksForAnother(p.Request) {
		return nil, nil
	}
	serial, err := renewal.Newest(ctx, w.storage, w.role.Name, namesOf(p))
	if err != nil || serial == "" {
		return nil, err
	}
	c, err := certificates.Read(ctx, w.storage, serial)
	if err != nil || c == nil || !isOwnGood(c, w) || isSuperseded(c) || isDue(w, c) ||
		w.passed[c.OrderID] {
		return nil, err
	}
	o, err := w.journal.findOrder(ctx, w.storage, c.Role, c.OrderID)
	if err != nil || o == nil || (!o.ByCA && o.AdoptedAt.IsZero()) || !hasNamesAndKey(w, o) {
		return nil, err
	}
	if o.State.Final() && (o.ended() != StateIssued || o.Serial != c.Serial) {
		return nil, nil
	}
	ends, err := endingOf(ctx, w.journal.Certificates, w.storage, c)
	if err != nil || ends == endDue {
		return nil, err
	}
	return &made{cert: c, order: o}, nil
}

// findMade holds the order of what CERTInext has made for a request; nil when there is none. The
// error says where the certificate is if it was adopted: nothing was ordered that could be handed
// over and undone.
func findMade(ctx context.Context, w *caller) (*heldOrder, error) {
	m, err := lookMade(ctx, w)
	switch {
	case err != nil || m == nil:
		return nil, err
	case !m.order.AdoptedAt.IsZero():
		return nil, wasAdopted(w, m.cert)
	}
	return w.takeOrder(ctx, m.cert, "")
}

// notMadeMeanwhile returns an error when another request has taken in what CERTInext has made since
// [findMade] has looked.
func notMadeMeanwhile(ctx context.Context, w *caller) error {
	m, err := lookMade(ctx, w)
	if err != nil || m == nil {
		return err
	}
	return &fault.RefusedError{Err: fmt.Errorf("certificate %s has come at this moment: send the "+
		"request again", m.cert.View().Serial)}
}

// foreseeMade finds what [findMade] would come to.
func foreseeMade(ctx context.Context, w *caller) (*finding, error) {
	m, err := lookMade(ctx, w)
	switch {
	case err != nil || m == nil:
		return nil, err
	case !m.order.AdoptedAt.IsZero():
		return nil, wasAdopted(w, m.cert)
	}
	return &finding{
		answer: preview.Reuse, order: m.order.view(), serial: m.cert.Serial,
		why: "CERTInext has made certificate " + m.cert.View().Serial + " by itself " +
			"(auto_renew), for the same key",
	}, nil
}

// wasAdopted is the answer to a request with the key of a certificate that was adopted.
func wasAdopted(w *caller, c *certificates.Entry) error {
	serial := c.View().Serial
	return fault.BadField(besideField(w), "has the key of certificate %s, which was adopted and "+
		"is valid until %s: vault read <mount>/cert/%s has it. Another order beside that would be "+
		"paid for, too. %s", serial, rfc3339(c.NotAfter), serial, buyAnyway(w))
}

// notAnothers returns an error when what CERTInext has made has an order of this mount by now, as
// when an operator had it adopted.
func notAnothers(ctx context.Context, w *caller, b *byCA) error {
	c, err := certificates.Read(ctx, w.storage, b.found.serial)
	if err != nil || c == nil || c.OrderID == "" {
		return err
	}
	return fault.BadField(besideField(w), "CERTInext has renewed certificate %s by itself, since "+
		"its order was placed with auto_renew: as certificate %s, which is valid until %s, and "+
		"was adopted, so that it is not handed over here. Another order beside that would be "+
		"paid for, too. %s", b.cert.View().Serial, withColons(b.found.serial),
		rfc3339(b.found.leaf.NotAfter), buyAnyway(w))
}
