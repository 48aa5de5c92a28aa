// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/acceptance"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/logical"
)

// ordered returns what the order's certificate has to be.
func (o *orderEntry) ordered() *acceptance.Ordered {
	p := &o.Placement
	ordered := &acceptance.Ordered{
		DNSNames: p.DNSNames,
		IPs:      p.IPs,
		Subject:  p.Subject != nil,
		WWW:      p.AutoSecureWWW,
		Public:   p.Family == certinext.FamilySSL,
		Years:    p.ValidityYears,
	}
	if ordered.Subject {
		ordered.Called, ordered.Mail = p.Subject.Called(), p.Subject["email"]
		ordered.Years = longestSubscription // the product implies its term, by its name
	}
	return ordered
}

// longestSubscription is how many years CERTInext's subscriptions last at most.
const longestSubscription = 3

// judge compares a downloaded certificate with what was ordered (ADR 0025).
func (o *orderEntry) judge(cert *certificates.Downloaded, now time.Time) acceptance.Verdict {
	v := acceptance.Judge(acceptance.Delivered(*cert), o.ordered(), now)
	if o.NotDraft && o.NeedsApproval && o.approvedAt().IsZero() {
		v.Faults = append(v.Faults, "CERTInext was asked to keep a draft and has placed an order, "+
			"which nobody has approved (require_approval)")
	}
	return v
}

// latestNow returns the later one of the times that this server's clock and CERTInext's say it is.
func (journal *Journal) latestNow() time.Time {
	skew, _ := journal.Account.ClockSkew()
	return journal.Now().Add(max(0, skew))
}

// beginsLater reports whether a certificate that nobody was handed yet does not begin before some
// time has passed, although it was taken: by a clock that was ahead then. What an operator released
// is handed over whenever it begins.
func (h *heldOrder) beginsLater(c *certificates.Entry) bool {
	return c.Delivery == nil && c.ReleasedAt.IsZero() && c.NotBefore.After(h.journal.latestNow())
}

// judgeStored judges a certificate that an earlier version has stored, which did not do so, before
// it is handed over for the first time.
func (h *heldOrder) judgeStored(c *certificates.Entry) error {
	if c.Judged || c.Delivery != nil {
		return nil
	}
	certs, err := certificates.Parse(append([]string{c.Certificate}, c.Chain...))
	if err == nil && len(certs) == 0 {
		err = certificates.ErrNoLeaf
	}
	if err != nil {
		return fmt.Errorf("order %s: the stored certificate: %w", h.id, err)
	}
	c.Take(h.entry.judge(
		&certificates.Downloaded{Leaf: certs[0], Chain: certs[1:]}, h.journal.latestNow()))
	return nil
}

// errHeld is the answer to a request that would otherwise be given another certificate, or buy one,
// beside one that is held.
var errHeld = errors.New("its certificate is not handed over")

// heldBecause says why a certificate is held, to a requester: who can let it go is told, and not
// how.
func heldBecause(c *certificates.Entry) string {
	return "it is not what was ordered: " + strings.Join(c.Held, "; ") +
		". An operator of Vault has to release or revoke it"
}

// ReleaseOrder lets go a certificate that is held since it is not what was ordered: from then on it
// is handed over like any other one, with the reasons in its remarks. It returns the order as it is
// then. An operator answers for that; the error says when there is nothing to release.
func (journal *Journal) ReleaseOrder(
	ctx context.Context, s logical.Storage, role, id string,
) (*Order, error) {
	h, err := journal.holdOrder(ctx, s, role, id)
	if err != nil {
		return nil, err
	}
	defer h.Release()
	if err := h.release(ctx); err != nil {
		return nil, err
	}
	return h.entry.view(), nil
}

// release is the work of ReleaseOrder. The order's entry follows that of the certificate, which
// decides: when only the first was stored, releasing again stores the second.
func (h *heldOrder) release(ctx context.Context) error {
	o := h.entry
	if o.State != StateIssued || !o.Held {
		return fault.BadField("release", "order %s is %s: its certificate is not held", o.ID,
			o.view().State)
	}
	unlock, err := h.journal.Certificates.Lock(ctx, o.Serial)
	if err != nil {
		return err
	}
	defer unlock()
	c, err := certificates.Read(ctx, h.storage, o.Serial)
	switch {
	case err != nil:
		return err
	case c == nil:
		return fmt.Errorf("order %s: its certificate %s is not stored", o.ID, o.Serial)
	}
	if err := checkNotEnding(ctx, h.journal, h.storage, c, "release"); err != nil {
		return err
	}
	if len(c.Held) > 0 {
		c.Release(h.journal.Now())
		if err := h.journal.Certificates.Put(context.WithoutCancel(ctx), h.storage, c); err != nil {
			return err
		}
	}
	o.Held, o.Needs = false, nil
	o.note(h.journal.Now(), "released by an operator")
	h.journal.Log.Warn("an operator has released a certificate that is not what was ordered",
		"order_id", o.ID, "serial", c.View().Serial, "why", strings.Join(c.Remarks, "; "))
	h.lookAgain(h.journal.Now())
	return h.journal.saveOrder(ctx, h.storage, o)
}
