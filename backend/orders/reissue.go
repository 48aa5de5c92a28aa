// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/renewal"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/roles"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/logical"
)

// A reissue is what an order stores that is for another certificate, with a new key or other names,
// within an order that CERTInext has issued. The mount keeps it as an order with its own key,
// history and certificate, which shares CERTInext's order number with the order that it reissues.
//
// CERTInext revokes whole orders: revoking the newest certificate revokes those before it, too,
// which cannot be revoked alone. So the end of their leases revokes nothing (ADR 0013).
type reissue struct {
	Of     string `json:"of"`     // the order whose certificate is reissued
	Serial string `json:"serial"` // of that certificate, with dashes
	// RequestID is CERTInext's request id of the order before the reissue was asked for: once it
	// has another one, CERTInext has taken the reissue.
	RequestID      string           `json:"request_id"`
	UpdateNames    bool             `json:"update_names,omitempty"`
	Reason         string           `json:"reason,omitempty"`
	RevokePrevious bool             `json:"revoke_previous,omitempty"`
	RevokeReason   certinext.Reason `json:"revoke_reason,omitempty"`
	// Taken is set when CERTInext has answered that it took the reissue.
	Taken bool `json:"taken,omitempty"`
	// Renewal is set when a request for a certificate led to the reissue (ADR 0035).
	Renewal bool `json:"renewal,omitempty"`
	// Ordered is when the order was placed in which the certificate is reissued; zero when Renewal
	// is not set.
	Ordered time.Time `json:"ordered,omitzero"`
	// ChargesBefore are the charges of the order that the ledger had shown before the reissue, and
	// Charge is what it says of the reissue; empty while it was not asked.
	ChargesBefore int                `json:"charges_before,omitempty"`
	Charge        *renewal.Statement `json:"charge,omitempty"`
	// StaleSince is when CERTInext first called the order issued and delivered another certificate.
	StaleSince time.Time `json:"stale_since,omitzero"`
}

// A ReissueRequest asks for another certificate within an order.
type ReissueRequest struct {
	Role, ID  string // of the order to reissue
	Requester string // may collect the new certificate
	EntityID  string // fills in the role's templated domains
	// DisplayName is that of the requester's token, and VaultID Vault's id of the request; kept
	// with the new order.
	DisplayName, VaultID string
	// CSR is a PEM request for the new certificate; when it is empty, the engine makes a key.
	CSR string
	// AltNames replace the order's names, except the common name, when UpdateNames is set.
	UpdateNames bool
	AltNames    []string
	Reason      string // told to CERTInext; may be empty
	// RevokePrevious has CERTInext revoke the previous certificate, for RevokeReason; superseded
	// when that is empty.
	RevokePrevious bool
	RevokeReason   string
}

// Reissue asks CERTInext for another certificate within an order, and returns the new order that
// this makes, without waiting for the certificate. That is collected like any other order's.
func (journal *Journal) Reissue(
	ctx context.Context, s logical.Storage, r ReissueRequest,
) (*Order, error) {
	role, err := roles.MustRead(ctx, s, r.Role)
	if err != nil {
		return nil, err
	}
	if err := journal.mayActOn(ctx, s, r.Role, r.ID, r.Requester); err != nil {
		return nil, err
	}
	w := journal.newCaller(s, role, forPlacement)
	w.bought = true
	parent, err := w.reissuable(ctx, r)
	if err != nil {
		return nil, err
	}
	p, err := reissuePlan(role, parent, allowedDomains(journal.Host, role, r.EntityID), r)
	if err != nil {
		return nil, err
	}
	o, err := w.newReissue(ctx, parent, p, r)
	if err != nil {
		return nil, err
	}
	h, err := w.beginReissue(ctx, parent, o, func(c *certificates.Entry) error {
		return mayAct(ctx, s, r.Role, c.Requester, r.Requester, "id", "order "+parent.ID)
	})
	if err != nil {
		return nil, err
	}
	defer h.Release()
	return w.refreshOrder(ctx, h)
}

// reissuable returns the order that is to be reissued. The error says why it cannot be.
func (w *caller) reissuable(ctx context.Context, r ReissueRequest) (*orderEntry, error) {
	if !w.role.AllowReissue {
		return nil, fault.BadField("role", "does not allow reissues: "+
			"allow_reissue=true at <mount>/roles/%s does", r.Role)
	}
	if err := w.journal.registry.load(ctx, w.storage); err != nil {
		return nil, err
	}
	o, err := w.journal.issuedParent(ctx, w.storage, r.Role, r.ID)
	switch {
	case err != nil:
		return nil, err
	case o == nil:
		return nil, fault.NoOrder(r.Role, sanitize.Short(r.ID))
	case o.Placement.Family != certinext.FamilySSL:
		return nil, fault.BadField("id",
			"order %s is of %s: CERTInext reissues SSL certificates only", o.ID, o.Placement.Family)
	case o.Serial == "" || (o.State != StateIssued && o.State != StateUnclaimed):
		return nil, fault.BadField("id", "order %s is %s: only an issued one can be reissued",
			o.ID, o.State.said())
	case o.Held:
		return nil, &Error{Order: o.view(), Err: errHeld}
	case o.Placement.ProductCode != w.role.ProductCode || o.Placement.Variant != w.role.Variant:
		return nil, fault.BadField("id", "order %s is for product %s, and the role's is %s now",
			o.ID, o.Placement.ProductCode, w.role.ProductCode)
	}
	return o, nil
}

// issuedParent returns an order that is to be reissued; nil when there is none of that id. When it
// was issued, it first stores in the order's entry which certificate it has, which is otherwise
// done when its key is erased (ADR 0005): from the reissue on, CERTInext delivers the new
// certificate, and which one this order had could not be found out any more.
func (journal *Journal) issuedParent(
	ctx context.Context, s logical.Storage, role, id string,
) (*orderEntry, error) {
	o, err := journal.findOrder(ctx, s, role, id)
	if err != nil || o == nil || o.State != StatePending {
		return o, err
	}
	t, ok := journal.registry.status(id)
	if !ok || t.handed == nil {
		// A process that has died since may have handed over its certificate.
		if err := journal.passOrder(ctx, s, id); err != nil {
			return nil, err
		}
		return journal.findOrder(ctx, s, role, id)
	}
	h, err := journal.holdOrder(ctx, s, role, id)
	if err != nil {
		return nil, err
	}
	defer h.Release()
	o = h.entry
	o.Delivered = true
	o.note(journal.Now(), "issued as %s", strings.ReplaceAll(o.Serial, "-", ":"))
	return o, journal.saveOrder(ctx, s, o)
}

// beginReissue stores the new order o before CERTInext hears of it, and holds it for the caller.
// With the certificate locked, so that it cannot be handed over meanwhile, admit has the last word.
func (w *caller) beginReissue(
	ctx context.Context, parent, o *orderEntry, admit func(*certificates.Entry) error,
) (*heldOrder, error) {
	h := w.journal.reserve(w.storage,
		tracked{id: o.ID, role: o.Role, fingerprint: o.Fingerprint}, nil)
	if h == nil {
		return nil, fmt.Errorf("there is an order of the new id %s", o.ID)
	}
	unlock, err := w.claimReissue(ctx, parent, o, admit)
	if err != nil {
		h.drop()
		return nil, err
	}
	defer unlock()
	return h, h.storeIntent(ctx, o)
}

// claimReissue stores in the certificate of parent that o reissues it, and leaves it locked.
func (w *caller) claimReissue(
	ctx context.Context, parent, o *orderEntry, admit func(*certificates.Entry) error,
) (unlock func(), err error) {
	if err := w.journal.Account.MayOrder(ctx, w.storage); err != nil {
		return nil, err
	}
	unlock, err = w.journal.Certificates.Lock(ctx, parent.Serial)
	if err != nil {
		return nil, err
	}
	c, err := w.reissuableCert(ctx, parent)
	if err == nil {
		err = admit(c)
	}
	if err == nil {
		c.ReissuedBy = o.ID
		err = w.journal.Certificates.Put(ctx, w.storage, c)
	}
	if err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}

// reissuableCert returns the certificate of an order. The error says why it cannot be reissued.
func (w *caller) reissuableCert(
	ctx context.Context, parent *orderEntry,
) (*certificates.Entry, error) {
	c, err := certificates.Read(ctx, w.storage, parent.Serial)
	if err == nil && c == nil {
		err = fmt.Errorf("order %s: its certificate %s is not stored", parent.ID, parent.Serial)
	}
	if err != nil {
		return nil, err
	}
	newer, err := w.journal.reissuingOrder(ctx, w.storage, c)
	if err != nil {
		return nil, err
	}
	queued, err := store.Get[certificates.Queued](
		ctx, w.storage, certificates.RevocationPrefix+c.Serial)
	if err != nil {
		return nil, err
	}
	switch {
	case c.ReissuedAs != "":
		return nil, fault.BadField("id", "order %s was reissued already, outside of this mount",
			parent.ID)
	case newer != nil:
		return nil, &reissuedError{fault.BadField("id",
			"order %s was reissued already, as order %s", parent.ID, newer.ID)}
	case c.Revocation != nil:
		return nil, fault.BadField("id", "the certificate of order %s is revoked", parent.ID)
	case queued != nil && queued.Due:
		return nil, fault.BadField("id",
			"the certificate of order %s is to be revoked (<mount>/certs/revocation-queue)",
			parent.ID)
	case !c.NotAfter.After(w.caNow()):
		return nil, fault.BadField("id", "the certificate of order %s has expired", parent.ID)
	}
	return c, nil
}

// A reissuedError is about an order that was reissued already, or is being reissued.
type reissuedError struct{ err error }

// Error says as which order.
func (e *reissuedError) Error() string { return e.err.Error() }

// Unwrap returns the error about the field that names the order.
func (e *reissuedError) Unwrap() error { return e.err }

// reissuePlan makes the plan of a reissue, and checks it against the role as it is now. The domains
// are those that the role allows to the requester.
func reissuePlan(
	role *issuing.Role, parent *orderEntry, domains []string, r ReissueRequest,
) (*issuing.Plan, error) {
	p := &issuing.Plan{
		DNSNames: parent.Placement.DNSNames, IPs: parent.Placement.IPs, Key: role.Key,
	}
	if r.UpdateNames {
		if !role.Shape().Multi {
			return nil, fault.BadField("alt_names",
				"the role's product takes one name, which a reissue cannot change")
		}
		alts, err := issuing.SplitDNSNames("alt_names", r.AltNames)
		if err != nil {
			return nil, err
		}
		cn := p.CommonName()
		alts = slices.DeleteFunc(alts, func(n string) bool { return n == cn })
		p.DNSNames = append([]string{cn}, alts...)
	}
	if err := onlyApprovedNames(role, parent, p.DNSNames); err != nil {
		return nil, err
	}
	if err := role.Shape().Fits(p.DNSNames, len(p.IPs)); err != nil {
		return nil, err
	}
	if err := issuing.AllowNames(role, domains, p); err != nil {
		return nil, err
	}
	if r.CSR == "" {
		if p.Key.Type == "any" {
			return nil, fault.BadField("csr",
				"is required: the role's key_type is any, so it only signs")
		}
		return p, nil
	}
	csr, err := issuing.AdmitCSR(role, nil, r.CSR)
	if err != nil {
		return nil, err
	}
	inCSR := csr.Names
	if len(inCSR.IPs) > 0 {
		return nil, fault.BadField("csr", "has the address %s, which the order does not have",
			inCSR.IPs[0])
	}
	if inCSR.CommonName != p.CommonName() {
		return nil, fault.BadField("csr", "its common name is %q, the order's is %q",
			inCSR.CommonName, p.CommonName())
	}
	for _, n := range inCSR.DNSNames {
		if !slices.Contains(p.DNSNames, n) {
			return nil, fault.BadField("csr", "has the name %q, which the order does not have", n)
		}
	}
	if own, err := parent.publicKey(); err == nil && issuing.SamePublicKey(own, csr.Key) {
		return nil, fault.BadField("csr", "has the key of the order's certificate: "+
			"use a new key, since the two certificates are told apart by their keys")
	}
	p.CSR, p.CSRKey, p.Key = csr.PEM, csr.Key, csr.Spec
	return p, nil
}

// newReissue makes the entry of a reissue. It first asks CERTInext for the order's present request
// id, by which a lost answer to the reissue can be made up for later.
func (w *caller) newReissue(
	ctx context.Context, parent *orderEntry, p *issuing.Plan, r ReissueRequest,
) (*orderEntry, error) {
	if err := w.journal.Certificates.CheckKey(ctx, w.storage, p.CSRKey); err != nil {
		return nil, err
	}
	reason, err := r.reason()
	if err != nil {
		return nil, err
	}
	remote, err := w.atCERTInext(ctx, parent)
	if err != nil {
		return nil, err
	}
	if remote.Status != certinext.StatusIssued {
		return nil, fault.BadField("id",
			"order %s is %s at CERTInext: only an issued one can be reissued",
			parent.ID, sanitize.Short(string(remote.Status)))
	}
	id, err := w.journal.NewID()
	if err != nil {
		return nil, err
	}
	how := reissue{
		UpdateNames: r.UpdateNames, Reason: sanitize.Short(r.Reason),
		RevokePrevious: r.RevokePrevious, RevokeReason: reason,
	}
	o, err := w.reissueEntry(id, parent, remote, p, how)
	if err != nil {
		return nil, err
	}
	o.Requester, o.Fingerprint = r.Requester, "reissue:"+id
	o.Asked = askedFor(w.journal, issuing.Request{
		EntityID: r.EntityID, DisplayName: r.DisplayName, VaultID: r.VaultID,
	}).within(parent)
	return o, nil
}

// reason returns the reason for which CERTInext is to revoke the previous certificate.
func (r *ReissueRequest) reason() (certinext.Reason, error) {
	switch {
	case r.RevokeReason == "":
		return certinext.ReasonSuperseded, nil
	case !r.RevokePrevious:
		return "", fault.BadField("revoke_reason", "is for revoke_previous, which is not set")
	}
	return certificates.ParseReason("revoke_reason", r.RevokeReason)
}

// atCERTInext asks for the status of an order that is to be reissued.
func (w *caller) atCERTInext(ctx context.Context, parent *orderEntry) (*certinext.Order, error) {
	client, err := w.journal.clientOf(ctx, w.storage, parent)
	if err != nil {
		return nil, err
	}
	if client.Version == certinext.V1 {
		return nil, fault.BadField("api_version", "v1 of config has no reissue")
	}
	asked, cancel := account.WhileAsked(ctx)
	defer cancel()
	remote, err := track(asked, client, parent, parent.CAOrderID)
	if err != nil {
		return nil, fault.Refused(err)
	}
	return remote, nil
}

// reissueEntry makes the entry of a reissue of parent, which CERTInext described as remote just
// now. The caller says whose it is, and which request finds it.
func (w *caller) reissueEntry(
	id string, parent *orderEntry, remote *certinext.Order, p *issuing.Plan, how reissue,
) (*orderEntry, error) {
	key, err := w.journal.NewID()
	if err != nil {
		return nil, err
	}
	how.Of, how.Serial, how.RequestID = parent.ID, parent.Serial, remote.RequestID
	now, reuse := w.journal.Now(), w.role.EffectiveReuseWindow()
	term := parent.subscription()
	o := &orderEntry{
		Version:         1,
		ID:              id,
		Role:            w.role.Name,
		State:           StatePlacing,
		Account:         parent.Account,
		Placement:       parent.Placement,
		CSR:             p.CSR,
		Subscription:    &term,
		CAOrderID:       parent.CAOrderID,
		CARequestID:     remote.RequestID,
		CreatedAt:       now,
		UpdatedAt:       now,
		Grace:           w.role.DeliveryGrace,
		Reuse:           &reuse,
		Pickup:          w.role.PickupWindow,
		RevokeUnclaimed: w.role.RevokeUnclaimed,
		Reissue:         &how,
	}
	o.Placement.DNSNames = p.DNSNames
	o.Placement.KeyType = p.Key.Type
	o.Placement.IdempotencyKey = key
	o.note(now, "reissue of order %s requested", parent.ID)
	if p.CSR != "" {
		return o, nil
	}
	return o, w.journal.addKey(o, p)
}

// reissueRequest returns the reissue in the client's terms.
func (o *orderEntry) reissueRequest() certinext.ReissueRequest {
	r := certinext.ReissueRequest{
		CSR:            o.CSR,
		UpdateNames:    o.Reissue.UpdateNames,
		Reason:         o.Reissue.Reason,
		RevokePrevious: o.Reissue.RevokePrevious,
		RevokeReason:   o.Reissue.RevokeReason,
	}
	if r.UpdateNames {
		r.AdditionalDomains = o.Placement.DNSNames[1:]
	}
	return r
}

// noCancel returns the error that says why a reissue cannot be cancelled, and what ends it instead.
// CERTInext revokes the newest certificate of an order, and those before it with it.
func noCancel(ctx context.Context, h *heldOrder) error {
	o := h.entry
	previous := strings.ReplaceAll(o.Reissue.Serial, "-", ":")
	own, err := h.storedSerial(ctx)
	if err != nil {
		return err
	}
	if own != "" {
		return fault.BadField("id", "order %s is a reissue, and is issued: CERTInext revokes "+
			"whole orders, the previous certificate (%s), too. To end both, revoke certificate %s",
			o.ID, previous, strings.ReplaceAll(own, "-", ":"))
	}
	end, err := endOfReissue(ctx, h.storage, h.journal.Certificates, o)
	if err != nil {
		return err
	}
	return fault.BadField("id", "order %s is a reissue, and CERTInext cancels and revokes whole "+
		"orders: that would revoke the previous certificate (%s), too. %s", o.ID, previous, end)
}

// endOfReissue says what ends a reissue that has no certificate yet, together with the certificate
// that it reissues. Once that one is revoked, as by revoke_previous, revoking it again asks
// CERTInext for nothing.
func endOfReissue(
	ctx context.Context, s logical.Storage, keeper *certificates.Keeper, o *orderEntry,
) (string, error) {
	serial := o.Reissue.Serial
	c, err := certificates.Read(ctx, s, serial)
	if err != nil {
		return "", err
	}
	now, certain := keeper.Account.Time()
	if c == nil || c.Revocation != nil || (certain && !c.NotAfter.After(now)) {
		return fmt.Sprintf("The previous certificate is over already. Wait until this one is "+
			"issued, and revoke it then: vault write <mount>/revoke/%s order_id=%s",
			o.Role, o.ID), nil
	}
	return fmt.Sprintf("To end both, revoke the previous one: vault write <mount>/revoke/%s "+
		"serial_number=%s", o.Role, strings.ReplaceAll(serial, "-", ":")), nil
}

// reissuingOrder returns the order by which a certificate was reissued, or may yet be; nil when
// there is none.
func (journal *Journal) reissuingOrder(
	ctx context.Context, s logical.Storage, c *certificates.Entry,
) (*orderEntry, error) {
	if c.ReissuedBy == "" {
		return nil, nil
	}
	o, err := journal.findOrder(ctx, s, c.Role, c.ReissuedBy)
	if err != nil || o == nil || (o.State.Final() && o.Serial == "") {
		return nil, err
	}
	if o.Reissue == nil || o.Reissue.Serial != c.Serial {
		return nil, nil // CERTInext refused the reissue, and a new order took its id with its name
	}
	if t, ok := journal.registry.status(o.ID); ok && t.handed != nil {
		o.State = StateIssued
		o.Serial = t.handed.serial
	}
	if o.Serial == "" {
		// A process that has died may have handed it over.
		stored, err := journal.Certificates.Numbers.OfOrder(ctx, s, o.CAOrderID, o.ID)
		if err != nil {
			return nil, err
		}
		if stored != nil {
			o.State = StateIssued
			o.Serial = stored.Serial
			o.Delivered = stored.Delivery != nil
		}
	}
	return o, nil
}

// ReissueOf returns the reissue of a certificate; nil when there is none. It implements
// [certificates.Orders].
func (journal *Journal) ReissueOf(
	ctx context.Context, s logical.Storage, c *certificates.Entry,
) (*certificates.Reissue, error) {
	o, err := journal.reissuingOrder(ctx, s, c)
	if err != nil || o == nil {
		return nil, err
	}
	r := &certificates.Reissue{OrderID: o.ID, Serial: o.Serial, CreatedAt: o.CreatedAt}
	if o.Reissue != nil {
		r.RevokePrevious, r.RevokeReason = o.Reissue.RevokePrevious, o.Reissue.RevokeReason
	}
	r.Uncollected, err = isUncollected(ctx, s, o)
	return r, err
}
