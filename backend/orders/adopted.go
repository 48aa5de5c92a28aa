// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/serials"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/roles"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/subscriptions"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/logical"
)

// A certificate that was ordered outside of the mount can be adopted into a role (ADR 0044). It is
// given what an own one has: a closed order in the journal, with CERTInext's number, and a role and
// a requester in its entry. All that follows, its renewal, a reissue within its subscription, its
// revocation and the reports, needs to know nothing of its origin.

// An Adoption asks for a certificate to be adopted.
type Adoption struct {
	Role   string
	Serial string // with dashes
	// EntityID is the identity entity whose certificate it is to be, and Requester is that as
	// orders have it. Without one, only the role (order_access=role) and operators may act on it.
	EntityID, Requester string
	// ProductCode is what its order was for, by an operator's word. It counts only where
	// CERTInext's records did not say.
	ProductCode string
	// FromOtherMount has certificates adopted, too, whose orders have the marker of a mount of this
	// engine.
	FromOtherMount bool
	VaultID        string // Vault's id of the request
	// DryRun asks for the checks that need no answer of CERTInext's, and changes nothing.
	DryRun bool
}

// An Adopted is what came of an adoption.
type Adopted struct {
	Certificate *certificates.Certificate
	// Already is set when the certificate was the role's and the requester's before.
	Already bool
}

// Adopt has a role adopt a certificate that the mount has synchronized. It asks CERTInext whether
// the certificate's order is issued. Its order in the journal is stored first, under an id that
// follows from the certificate: after a crash in between, that order is found by nobody, and the
// next adoption writes it again. Errors about the certificate name serial_number.
func Adopt(
	ctx context.Context, journal *Journal, s logical.Storage, a Adoption,
) (*Adopted, error) {
	role, err := roles.MustRead(ctx, s, a.Role)
	if err != nil {
		return nil, err
	}
	client, cfg, err := journal.Account.Client(ctx, s)
	if err != nil {
		return nil, err
	}
	c, err := adoptable(ctx, journal, s, cfg, a)
	if err != nil {
		return nil, err
	}
	if c.isOf(a) {
		return alreadyAdopted(ctx, journal, s, c, a)
	}
	plan, err := planAdopted(journal, role, cfg, c.Entry, a)
	if err != nil || a.DryRun {
		return &Adopted{Certificate: c.View()}, err
	}
	remote, err := trackAdopted(ctx, client, c.Entry)
	if err != nil {
		return nil, err
	}
	o, err := adoptedOrder(journal, plan, c.Entry, remote, a)
	if err != nil {
		return nil, err
	}
	return storeAdopted(ctx, journal, s, cfg, o, a)
}

// An adoptee is a certificate that is to be adopted.
type adoptee struct{ *certificates.Entry }

// isOf reports whether the adoption has happened already.
func (c adoptee) isOf(a Adoption) bool {
	return !c.AdoptedAt.IsZero() && c.Role == a.Role && c.Requester == a.Requester
}

// adoptable reads a certificate, and returns an error unless it may be adopted by what the mount
// knows of it, or is already.
func adoptable(
	ctx context.Context, journal *Journal, s logical.Storage, cfg *account.Config, a Adoption,
) (adoptee, error) {
	c, err := certificates.Read(ctx, s, a.Serial)
	if err != nil {
		return adoptee{}, err
	}
	serial := strings.ReplaceAll(a.Serial, "-", ":")
	if c == nil {
		return adoptee{}, fault.BadField("serial_number", "this mount has no certificate %s: a "+
			"synchronization (vault write -f <mount>/sync) brings those of the account%s",
			serial, serials.Mistaken(a.Serial))
	}
	out := adoptee{c}
	if out.isOf(a) {
		return out, nil
	}
	skew, _ := journal.Account.ClockSkew()
	if err := whyNotAdoptable(c, cfg.Account(), journal.Now().Add(skew)); err != nil {
		return adoptee{}, err
	}
	if c.OtherMount && !a.FromOtherMount {
		return adoptee{}, fault.BadField("serial_number", "certificate %s was ordered by a mount "+
			"of this secrets engine (its order has a tag %s...), which may renew and revoke it, "+
			"too: from_other_mount=true adopts it all the same, once no mount is responsible for "+
			"it", serial, account.MarkerPrefix)
	}
	if err := checkNotEnding(ctx, journal, s, c, "serial_number"); err != nil {
		return adoptee{}, err
	}
	owner, err := journal.Certificates.Numbers.OwnerOf(ctx, s, c.Account, c.CAOrderID)
	if err == nil && owner != "" {
		err = fault.BadField("serial_number", "certificate %s is of CERTInext's order %s, which "+
			"is order %s of this mount: its certificates are that order's",
			serial, c.CAOrderID, owner)
	}
	return out, err
}

// whyNotAdoptable returns an error about serial_number unless a certificate may be adopted, by its
// entry alone. now is the time by CERTInext's clock.
func whyNotAdoptable(c *certificates.Entry, acct string, now time.Time) error {
	serial := c.View().Serial
	refuse := func(format string, args ...any) error {
		return fault.BadField("serial_number", format, args...)
	}
	switch {
	case !c.AdoptedAt.IsZero():
		return refuse("certificate %s was adopted by role %s already: "+
			"vault delete <mount>/operator/adopt/%s/%s undoes that", serial, c.Role, c.Role, serial)
	case !c.Imported || c.Role != "" || c.OrderID != "":
		return refuse("certificate %s is this mount's own, of role %s", serial, c.Role)
	case c.Account == "" || c.CAOrderID == "" || !account.SameAccount(c.Account, acct):
		return refuse("certificate %s belongs to another CERTInext account than the one in config",
			serial)
	case c.Revocation != nil:
		return refuse("certificate %s is revoked", serial)
	case !c.NotAfter.After(now):
		return refuse("certificate %s expired at %s", serial, rfc3339(c.NotAfter))
	case c.ReissuedAs != "":
		return refuse("certificate %s was reissued: adopt certificate %s, which has replaced it",
			serial, strings.ReplaceAll(c.ReissuedAs, "-", ":"))
	case len(c.Held) > 0:
		return refuse("certificate %s is held", serial)
	}
	return nil
}

// planAdopted returns the plan by which the role would order such a certificate. The error says
// what the role does not allow of it.
func planAdopted(
	journal *Journal, role *issuing.Role, cfg *account.Config, c *certificates.Entry, a Adoption,
) (*issuing.Plan, error) {
	serial := c.View().Serial
	switch product, err := productOf(c, a); {
	case err != nil:
		return nil, err
	case role.Shape().Personal() || role.Shape().Family != c.Family:
		return nil, fault.BadField("serial_number", "certificate %s is of %s, and role %s is for "+
			"%s: only certificates of host names are adopted, by roles of their family",
			serial, c.Family, role.Name, role.Shape().Family)
	case product != role.ProductCode:
		return nil, fault.BadField("serial_number", "certificate %s is of product %s, and role %s "+
			"orders product %s", serial, sanitize.Short(product), role.Name, role.ProductCode)
	}
	certs, err := certificates.Parse([]string{c.Certificate})
	if err != nil || len(certs) == 0 {
		return nil, fmt.Errorf("stored certificate %s cannot be parsed: %w", c.Serial, err)
	}
	r := issuing.Request{Role: role.Name, Requester: a.Requester, EntityID: a.EntityID}
	r.TakeNames(certs[0])
	if r.CommonName == "" && len(r.AltNames) > 0 {
		r.CommonName = r.AltNames[0]
	}
	domains := allowedDomains(journal.Host, role, a.EntityID)
	plan, checks := issuing.Judge(role, cfg, domains, nil, r)
	for _, check := range checks {
		switch check.Name {
		case issuing.CheckNames, issuing.CheckProduct, issuing.CheckAllowed:
			if err := check.Problems.First(); err != nil {
				return nil, fault.BadField("serial_number",
					"role %s would not order certificate %s: %v", role.Name, serial, err)
			}
		}
	}
	plan.CSRKey = certs[0].PublicKey
	plan.Key.Type = "rsa"
	if _, isEC := certs[0].PublicKey.(*ecdsa.PublicKey); isEC {
		plan.Key.Type = "ec"
	}
	return plan, nil
}

// productOf returns the product of a certificate's order.
func productOf(c *certificates.Entry, a Adoption) (string, error) {
	switch {
	case c.ProductCode == "" && a.ProductCode == "":
		return "", fault.BadField("product_code", "CERTInext's records do not say of which "+
			"product certificate %s is: look at its order %s in the portal, and write product_code",
			c.View().Serial, sanitize.Short(c.CAOrderID))
	case c.ProductCode == "":
		return a.ProductCode, nil
	case a.ProductCode != "" && a.ProductCode != c.ProductCode:
		return "", fault.BadField("product_code", "is %s, and CERTInext's records say that "+
			"certificate %s is of product %s", sanitize.Short(a.ProductCode), c.View().Serial,
			sanitize.Short(c.ProductCode))
	}
	return c.ProductCode, nil
}

// trackAdopted asks CERTInext for the order of a certificate, which has to be issued.
func trackAdopted(
	ctx context.Context, client *certinext.Client, c *certificates.Entry,
) (*certinext.Order, error) {
	asked, cancel := account.WhileAsked(ctx)
	defer cancel()
	of := &orderEntry{Placement: placement{Family: c.Family}}
	remote, err := track(asked, client, of, c.CAOrderID)
	if err != nil {
		return nil, fault.Refused(err)
	}
	if remote.Status != certinext.StatusIssued {
		return nil, fault.BadField("serial_number", "CERTInext calls order %s of certificate %s "+
			"%s: only one that is issued can be adopted (vault write -f <mount>/sync brings this "+
			"mount up to date)", sanitize.Short(c.CAOrderID), c.View().Serial,
			sanitize.Short(string(remote.Status)))
	}
	return remote, nil
}

// adoptedOrder makes the closed order of an adopted certificate.
func adoptedOrder(
	journal *Journal, p *issuing.Plan, c *certificates.Entry, remote *certinext.Order, a Adoption,
) (*orderEntry, error) {
	id, err := adoptedID(a.Role, a.Serial)
	if err != nil {
		return nil, err
	}
	key, err := journal.NewID()
	if err != nil {
		return nil, err
	}
	spki, err := x509.MarshalPKIXPublicKey(p.CSRKey)
	if err != nil {
		return nil, fmt.Errorf("the key of certificate %s: %w", c.Serial, err)
	}
	now, ordered := journal.Now(), c.OrderedAt
	if ordered.IsZero() || ordered.After(c.NotBefore) {
		ordered = c.NotBefore
	}
	defaults := p.Role.OrderDefaults.Or(p.Config.OrderDefaults)
	o := &orderEntry{
		Version: 1, ID: id, Role: a.Role, Requester: a.Requester, Fingerprint: "adopted:" + id,
		State: StateIssued, Account: c.Account, CAOrderID: c.CAOrderID,
		Placement:   newPlacement(p.Role, defaults, p, issuing.Told{}, key),
		CARequestID: sanitize.Short(remote.RequestID), CAStatus: remote.Status,
		CreatedAt: ordered, UpdatedAt: now, Serial: c.Serial, Delivered: true,
		AdoptedAt: now, Names: namesOf(p),
		PublicKey: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki})),
		Asked:     askedFor(journal, issuing.Request{EntityID: a.EntityID, VaultID: a.VaultID}),
	}
	if sub := remote.Subscription; sub != nil {
		told, believed := subscriptions.Told(ordered, sub.EndsAt, sanitize.Short(sub.Status))
		if believed {
			o.Subscription = &told
		}
	}
	o.note(ordered, "ordered outside of this mount, as CERTInext's order %s",
		sanitize.Short(c.CAOrderID))
	o.note(now, "adopted by an operator, with certificate %s", c.View().Serial)
	return o, nil
}

// adoptedID returns the id of the order of an adopted certificate, which no request can have: none
// has a requester of that name.
func adoptedID(role, serial string) (string, error) {
	return namedOrderID(role, "adopted", serial)
}

// storeAdopted stores the order of an adopted certificate, and then the certificate's entry. What
// may have changed while CERTInext was asked is checked again.
func storeAdopted(
	ctx context.Context, journal *Journal, s logical.Storage, cfg *account.Config,
	o *orderEntry, a Adoption,
) (*Adopted, error) {
	unlock, err := journal.Certificates.Lock(ctx, a.Serial)
	if err != nil {
		return nil, err
	}
	defer unlock()
	c, err := adoptable(ctx, journal, s, cfg, a)
	if err != nil {
		return nil, err
	}
	if c.isOf(a) { // the same request has come at the same moment, and was faster
		return &Adopted{Certificate: c.View(), Already: true}, nil
	}
	ctx = context.WithoutCancel(ctx)
	if o.NewestBefore, err = newestBefore(ctx, s, o); err != nil {
		return nil, err
	}
	told, err := journal.Certificates.Index.Announce(ctx, s, a.Serial)
	if err != nil {
		return nil, err
	}
	defer told()
	if err := storeAdoptedOrder(ctx, journal, s, o); err != nil {
		return nil, err
	}
	c.Role, c.Requester, c.OrderID = o.Role, o.Requester, o.ID
	c.AdoptedAt, c.Subscription = o.AdoptedAt, o.subscription()
	setRenewedByCA(c.Entry, o)
	if err := journal.Certificates.Put(ctx, s, c.Entry); err != nil {
		return nil, withoutOrder(ctx, journal, s, o, err)
	}
	// Last: what is the newest until now stays it unless the certificate has become the role's.
	if err := makeNewest(ctx, journal, s, o, c.NotAfter); err != nil {
		return nil, err
	}
	journal.Log.Info("a certificate was adopted", "serial", c.View().Serial, "role", o.Role,
		"order_id", o.ID, "ca_order_id", o.CAOrderID)
	return &Adopted{Certificate: c.View()}, nil
}
