// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/ahead"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/hashicorp/vault/sdk/logical"
)

// A certificate may have to be replaced before its time: its CA is not trusted any more, or it is
// to be revoked (ADR 0049). What makes successors ahead of requests (ADR 0040) makes its successor
// at once: an order whose id follows from the certificate, and which the requester's next request
// finds. Where the key is the requester's, or the next request has a name of its own, that request
// itself buys the successor. A request that comes first buys under the same id, so that no
// certificate is replaced twice.

// WantReplaced files a certificate of an order of this mount, by its serial number (with dashes),
// for replacement. Filed again, it is as before: a certificate is replaced once. What it is found
// by is stored before its own entry, which alone says that it is to be replaced: what a crash
// leaves in between means nothing.
func WantReplaced(
	ctx context.Context, journal *Journal, s logical.Storage, serial string,
	why certificates.Replacement,
) error {
	c, err := certificates.Read(ctx, s, serial)
	switch {
	case err != nil:
		return err
	case c == nil:
		return fault.NoCertificate(withColons(serial), "")
	case c.Role == "":
		return fault.BadField("serial_number", "certificate %s was ordered outside of this mount, "+
			"and is nobody's here: operator/adopt gives it to a role", withColons(serial))
	}
	if why, err = fileReplaced(ctx, journal, s, c, why); err != nil {
		return err
	}
	return certificates.Change(ctx, journal.Certificates, s, serial,
		func(c *certificates.Entry) bool {
			c.Replacement = mergeReplacement(c.Replacement, why)
			return true
		})
}

// fileReplaced stores what a certificate that is to be replaced is found by, and returns what its
// entry is to say, which is for the caller to store.
func fileReplaced(
	ctx context.Context, journal *Journal, s logical.Storage, c *certificates.Entry,
	why certificates.Replacement,
) (certificates.Replacement, error) {
	o, err := journal.findOrder(ctx, s, c.Role, c.OrderID)
	if err != nil {
		return why, err
	}
	asked, names := askedAgain(c, o)
	why.ByRequest = isByRequest(ctx, journal, s, c, o, asked)
	why.At = cmp.Or(why.At, journal.Now()).Truncate(time.Second)
	err = journal.replacing.Remember(ctx, s, c.Role, names, c.Serial)
	if err == nil {
		err = ahead.Put(ctx, s, journal.Now(), &ahead.Wanted{
			Serial: c.Serial, Role: c.Role, NotBefore: c.NotBefore, NotAfter: c.NotAfter,
			Asked: asked,
		})
	}
	return why, err
}

// mergeReplacement returns what holds for a certificate that is filed for replacement, and may have
// been before.
func mergeReplacement(before *certificates.Replacement, now certificates.Replacement,
) *certificates.Replacement {
	if before == nil || before.Over != "" {
		return &now
	}
	merged := *before
	if now.For != "" { // the campaign that asks last: the other one may be paused, or over
		merged.For, merged.Why = now.For, now.Why
	}
	merged.NewOrder = before.NewOrder || now.NewOrder
	merged.ThoughRevoked = before.ThoughRevoked || now.ThoughRevoked
	merged.ByRequest = now.ByRequest
	return &merged
}

// DropReplaced takes back, for a campaign, that a certificate is to be replaced, unless it was.
func DropReplaced(
	ctx context.Context, journal *Journal, s logical.Storage, serial, campaign string,
) error {
	c, err := certificates.Read(ctx, s, serial)
	if err != nil || c == nil || c.Replacement == nil || c.Replacement.For != campaign ||
		c.RenewedBy != "" {
		return err
	}
	o, err := journal.findOrder(ctx, s, c.Role, c.OrderID)
	if err != nil {
		return err
	}
	_, names := askedAgain(c, o)
	if err := journal.replacing.Forget(ctx, s, c.Role, names, serial); err != nil {
		return err
	}
	return certificates.Change(ctx, journal.Certificates, s, serial,
		func(c *certificates.Entry) bool {
			if c.Replacement == nil || c.Replacement.For != campaign || c.RenewedBy != "" {
				return false
			}
			c.Replacement, c.AheadRefused = nil, ""
			return true
		})
}

// askedAgain returns what was asked for with the order of a certificate, which is nil when it is
// not known any more, and the hash by which the next request like it finds what it replaces.
func askedAgain(c *certificates.Entry, o *orderEntry) (ahead.Asked, string) {
	if o != nil {
		by := askedOf(o)
		return ahead.Asked{
			Requester: c.Requester, EntityID: entityOf(c.Requester), DisplayName: by.By.DisplayName,
			Owner: by.Owner, Metadata: by.Metadata, DNSNames: o.Placement.DNSNames,
			IPs: withAddresses(nil, o.Placement.IPs), TTL: o.TTL,
		}, replacedNames(o)
	}
	asked := ahead.Asked{Requester: c.Requester, EntityID: entityOf(c.Requester)}
	if leaf, err := certificates.Parse([]string{c.Certificate}); err == nil && len(leaf) == 1 {
		asked.DNSNames = certificates.NamesOf(leaf[0])
	}
	return asked, namesToReplace(c.Role, c.Requester, asked.DNSNames)
}

// isByRequest reports whether nothing can be made ahead of the requester's own request: its key is
// the requester's, or the mount's for a person, or the request had a name, and the next has
// another.
func isByRequest(
	ctx context.Context, journal *Journal, s logical.Storage,
	c *certificates.Entry, o *orderEntry, asked ahead.Asked,
) bool {
	switch {
	case o == nil, len(asked.DNSNames) == 0, o.Placement.Subject != nil, !o.AdoptedAt.IsZero():
		return true
	case o.RequestID != "" && !strings.HasPrefix(o.RequestID, renewalID):
		return true
	case o.OwnKey:
		return false
	}
	// An earlier version has stored the order: its fingerprint has the key in it.
	w, err := journal.requestCaller(ctx, s, asked.Request(c.Role), forPlacement)
	return err != nil || !w.plan.Matches(o.Fingerprint)
}

// replacedNames returns the hash by which requests find what they replace of an order's
// certificate.
func replacedNames(o *orderEntry) string {
	return namesToReplace(o.Role, o.Requester, o.Placement.names())
}

func namesToReplace(role, requester string, names []string) string {
	if len(names) == 0 {
		names = []string{""}
	}
	return issuing.NamesFingerprint(role, "", requester, "", "", names)
}

// toBeReplaced returns the certificate that the request's is to replace: the one that it renews, or
// one of the same requester for the same names; nil for none. Of several, that of the request's key
// comes first, for whoever has another one has not come yet, then those of its type of key, and
// then the first to expire. It reads storage in mounts only where something is to be replaced.
func toBeReplaced(ctx context.Context, w *caller) (*certificates.Entry, error) {
	p, r := w.plan, w.plan.Request
	if r.Draft {
		return nil, nil
	}
	serials := []string{r.Renews}
	if r.Renews == "" {
		names := withAddresses(p.DNSNames, p.IPs)
		if p.Subject != nil {
			names = []string{p.Subject.DisplayName(p.Role.Variant)}
		}
		var err error
		serials, err = w.journal.replacing.Of(ctx, w.storage, p.Role.Name,
			namesToReplace(p.Role.Name, r.Requester, names))
		if err != nil {
			return nil, err
		}
	}
	var first *certificates.Entry
	likest := 0
	for _, serial := range serials {
		c, err := certificates.Read(ctx, w.storage, serial)
		if err != nil {
			return nil, err
		}
		if err := learnRest(ctx, w.journal, w.storage, c); err != nil {
			return nil, err
		}
		isOwn := c != nil && c.Role == w.role.Name && (r.Renews != "" || c.Requester == r.Requester)
		if !isOwn || !c.AwaitsReplacement() {
			continue
		}
		like := likeness(p, c)
		isFirst := first == nil || like > likest
		if isFirst || (like == likest && c.NotAfter.Before(first.NotAfter)) {
			first, likest = c, like
		}
	}
	return first, nil
}

// learnRest finds out whether the campaign that has a certificate replaced was paused or is over:
// then no request is taken for its replacement. c may be nil.
func learnRest(
	ctx context.Context, journal *Journal, s logical.Storage, c *certificates.Entry,
) error {
	if c == nil || !c.AwaitsReplacement() || c.Replacement.For == "" || journal.MayReplace == nil {
		return nil
	}
	runs, err := journal.MayReplace(ctx, s, c.Replacement.For)
	if err == nil && !runs {
		resting := *c.Replacement
		resting.Rests = true
		c.Replacement = &resting
	}
	return err
}

// likeness tells how much the key of a certificate is like that of a plan: 2 for the same key, 1
// for one of the same type and size, else 0.
func likeness(p *issuing.Plan, c *certificates.Entry) int {
	leaf, err := certificates.Parse([]string{c.Certificate})
	switch {
	case err != nil || len(leaf) == 0:
		return 0
	case issuing.SamePublicKey(leaf[0].PublicKey, p.CSRKey):
		return 2
	case certificates.KeyTypeOf(leaf[0]) == fmt.Sprintf("%s-%d", p.Key.Type, p.Key.Bits):
		return 1
	}
	return 0
}

// hasBetter reports whether an order's certificate is to be replaced, and another open order of the
// same request has, or is to have, one that nobody was handed yet.
func hasBetter(w *caller, o *orderEntry, c *certificates.Entry) bool {
	if !c.AwaitsReplacement() || w.plan == nil {
		return false
	}
	serves := w.serves()
	_, has := w.journal.registry.peek(func(t *tracked) bool {
		return t.id != o.ID && t.handed == nil && serves(t)
	})
	return has
}

// replacedSerial returns the serial number, with dashes, of the certificate that is replaced; empty
// for none.
func (s *successor) replacedSerial() string {
	if s.replaces == nil {
		return ""
	}
	return s.replaces.Serial
}

// learnReplaced finds out which certificate the request's replaces.
func learnReplaced(ctx context.Context, w *caller) (err error) {
	w.instead.replaces, err = toBeReplaced(ctx, w)
	return err
}

// purchaseID returns the id of the order that an unnamed request is about to buy. That of a
// replacement follows from the certificate that it replaces, so that the background pass does not
// make it, too.
func purchaseID(ctx context.Context, w *caller) (string, error) {
	if err := learnReplaced(ctx, w); err != nil {
		return "", err
	}
	c := w.instead.replaces
	if c == nil || c.Replacement.ByRequest {
		return w.journal.NewID()
	}
	id, err := aheadID(w.role.Name, w.plan.Request.Requester, c.Serial)
	if err != nil {
		return "", err
	}
	if _, isOpen := w.journal.registry.status(id); isOpen {
		return w.journal.NewID() // the role orders something else since
	}
	closed, err := store.Get[orderEntry](ctx, w.storage, closedOrderPrefix+w.role.Name+"/"+id)
	if err != nil {
		return "", err
	}
	if closed != nil && closed.State != StateFailed {
		return w.journal.NewID()
	}
	return id, nil
}

// beginUnnamed is begin for a request without a request_id. The record of a replacement that
// CERTInext certainly never took gives way to another attempt.
func beginUnnamed(ctx context.Context, w *caller, h *heldOrder) error {
	if w.instead.replaces != nil {
		_, err := giveWay(ctx, w.journal, w.storage, w.role.Name, h.id)
		if err != nil {
			h.drop()
			return err
		}
	}
	return w.begin(ctx, h)
}

// replacesByOrder reports whether the request's order has to be a new one at CERTInext, since that
// of the certificate that it replaces is revoked, or is to be.
func replacesByOrder(w *caller) bool {
	c := w.instead.replaces
	if c == nil || !c.Replacement.NewOrder {
		return false
	}
	succeedByOrder(w, c, "certificate "+c.View().Serial+" is replaced together with its order")
	return true
}

// markReplacing says in an order's entry that its certificate takes the place of one that is to be
// replaced.
func (s *successor) markReplacing(o *orderEntry, now time.Time) {
	if s.replaces == nil {
		return
	}
	o.Replaces, o.Renews = true, s.replaces.Serial
	o.note(now, "it replaces certificate %s: %s", withColons(s.replaces.Serial),
		s.replaces.Replacement.Why)
}

// replacementWarnings tell a requester that the certificate of its answer is to be replaced.
func replacementWarnings(c *certificates.Entry) []string {
	r := c.Replacement
	if r == nil || r.Over != "" {
		return nil
	}
	by := "it is to be replaced"
	if r.For != "" {
		by = "campaign " + r.For + " has it replaced"
	}
	return []string{"certificate " + c.View().Serial + " is not to be used any longer than it " +
		"has to: " + by + " (" + r.Why + "). Its renew_after is past: ask again for a new one"}
}

// ForgetReplaced has no request look for what it replaces of a certificate any more.
func ForgetReplaced(
	ctx context.Context, journal *Journal, s logical.Storage, c *certificates.Entry,
) error {
	o, err := journal.findOrder(ctx, s, c.Role, c.OrderID)
	if err != nil {
		return err
	}
	_, names := askedAgain(c, o)
	return journal.replacing.Forget(ctx, s, c.Role, names, c.Serial)
}

// ReplacementOrder returns the order by which a certificate is replaced ahead of a request; nil
// when there is none.
func ReplacementOrder(
	ctx context.Context, journal *Journal, s logical.Storage, c *certificates.Entry,
) (*Order, error) {
	id, err := aheadID(c.Role, c.Requester, c.Serial)
	if err != nil {
		return nil, err
	}
	return journal.Order(ctx, s, c.Role, id)
}
