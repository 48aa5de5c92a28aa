// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/preview"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/renewal"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/reuse"
)

// Where the role says auto_renew, CERTInext renews a certificate by itself, for the same key, and
// may charge for that. Nothing is bought beside it (ADR 0042): a request that would buy another
// certificate for the same names is handed the one that CERTInext has made, if its key is the
// request's or still kept, and is refused otherwise. Who wants to pay for another one says so.

// isRenewedByCA reports whether CERTInext renews the certificate of a plan by itself.
func isRenewedByCA(p *issuing.Plan) bool {
	return p.Role.AutoRenew && p.Subject == nil && len(p.DNSNames) > 0
}

// asksForAnother reports whether a request says that it wants a certificate of its own, whatever
// there is: by force_new, or by a name of its own.
func asksForAnother(r issuing.Request) bool {
	isNamed := r.ID != "" && (r.Renews == "" || r.ID != renewalID+r.Renews)
	return r.ForceNew || isNamed || r.Draft
}

// A byCA is the requester's certificate that CERTInext renews by itself, and what has become of
// that.
type byCA struct {
	cert   *certificates.Entry
	parent *orderEntry // of cert
	when   renewal.ByCA
	// known is the serial number, with dashes, of the certificate that CERTInext has made, where a
	// synchronization has noticed it; empty otherwise.
	known string
	found *foundByCA // nil while no such certificate was found
	// underWay is the number of an order in CERTInext's records that may be by which it renews, and
	// has no certificate yet; empty for none. tooMany is set when the records have more orders than
	// are read. Either leaves open what CERTInext has made.
	underWay string
	tooMany  bool
}

// buysFrom returns from when on a request buys where CERTInext has made nothing that shows.
func (b *byCA) buysFrom() time.Time {
	if b.underWay != "" || b.tooMany {
		return b.when.Last(b.cert.Life())
	}
	return b.when.Over
}

// A foundByCA is a certificate that CERTInext has made to renew another one.
type foundByCA struct {
	leaf   *x509.Certificate
	serial string // with dashes
	number string // of its order at CERTInext, which is that of the other one, or a new one
}

// findByCA returns what CERTInext renews for a request, by the mount's own books; nil when the
// request has nothing to do with that. It reads storage only for roles with auto_renew.
func findByCA(ctx context.Context, w *caller) (*byCA, error) {
	p := w.plan
	if !isRenewedByCA(p) || asksForAnother(p.Request) {
		return nil, nil
	}
	serial, err := p.Request.Renews, error(nil)
	if serial == "" {
		serial, err = renewal.Newest(ctx, w.storage, w.role.Name, namesOf(p))
	}
	if err != nil || serial == "" {
		return nil, err
	}
	c, err := certificates.Read(ctx, w.storage, serial)
	switch {
	case err == nil && c == nil:
		return nil, openByCA(ctx, w) // it is being stored, or a crash has left nothing else of it
	case err != nil || !isOwnGood(c, w):
		return nil, err
	}
	ends, err := endingOf(ctx, w.journal.Certificates, w.storage, c)
	if err != nil || ends != endNone {
		return nil, err
	}
	if over, err := isSucceededHere(ctx, w, c); err != nil || over {
		return nil, err
	}
	parent, err := w.journal.findOrder(ctx, w.storage, c.Role, c.OrderID)
	if err != nil || parent == nil || parent.CAOrderID == "" || !parent.isFor(p) {
		return nil, err
	}
	when, _ := c.RenewedByCA()
	return &byCA{cert: c, parent: parent, when: when, known: c.ReissuedAs}, nil
}

// isSucceededHere reports whether a request of this mount has succeeded a certificate. The error is
// for a request that would buy beside what CERTInext has made for another request.
func isSucceededHere(
	ctx context.Context, w *caller, c *certificates.Entry,
) (bool, error) {
	o, err := w.journal.reissuingOrder(ctx, w.storage, c)
	if err != nil {
		return false, err
	}
	if o == nil && c.RenewedBy != "" {
		next, err := certificates.Read(ctx, w.storage, c.RenewedBy)
		if err != nil || next == nil {
			return false, err
		}
		if o, err = w.journal.findOrder(ctx, w.storage, next.Role, next.OrderID); err != nil {
			return false, err
		}
	}
	switch {
	case o == nil:
		return false, nil
	case !o.ByCA:
		return true, nil
	case o.Serial == "":
		return false, &Error{Order: o.view()}
	}
	return false, fault.BadField(besideField(w), "CERTInext has renewed certificate %s by itself, "+
		"since its order was placed with auto_renew, and certificate %s (order %s) was handed "+
		"over: renew that one. %s",
		c.View().Serial, withColons(o.Serial), o.ID, buyAnyway(w))
}

// isOwnGood reports whether a certificate is the requester's, is as good as it was, and is renewed
// by CERTInext. It may have expired: its successor has not.
func isOwnGood(c *certificates.Entry, w *caller) bool {
	_, renews := c.RenewedByCA()
	return renews && c.Role == w.role.Name && c.Requester == w.plan.Request.Requester &&
		c.Revocation == nil && len(c.Held) == 0
}

// stage returns how far CERTInext's renewal is, by its clock where that is known.
func (b *byCA) stage(w *caller) renewal.Stage { return b.when.Stage(b.cert.Life(), w.caNow()) }

// isOpen reports whether CERTInext may have made a certificate, which it is to be asked for.
func (b *byCA) isOpen(w *caller) bool { return b.known != "" || b.stage(w) >= renewal.Begun }

// beginByCA stores that the held order, of which nothing is stored yet, is for the certificate that
// CERTInext has made by itself. It reports false, and stores nothing, when the request is to get
// another one. What it returns of CERTInext's renewal then still has to let a new
// order be placed ([buysBeside]), unless nothing is bought. The error is for a request that buys
// nothing now. On failure the hold may have ended.
func beginByCA(ctx context.Context, w *caller, h *heldOrder) (*byCA, bool, error) {
	if w.instead.ahead != nil {
		return nil, false, nil
	}
	if err := notMadeMeanwhile(ctx, w); err != nil {
		return nil, false, err
	}
	b, err := findByCA(ctx, w)
	if err != nil || b == nil {
		return nil, false, err
	}
	if b.isOpen(w) {
		if err := lookByCA(ctx, w, b); err != nil {
			return nil, false, err
		}
	}
	if b.found != nil {
		key, fits, err := keyByCA(ctx, w, b, b.found.leaf.PublicKey)
		if err == nil && fits {
			err = notAnothers(ctx, w, b)
		}
		if err != nil {
			return nil, false, err
		}
		if fits {
			return b, true, takeByCA(ctx, w, h, b, key)
		}
	}
	if renewsWithin(w.plan) && b.known == "" {
		return b, false, nil // it may be reissued for the request's key, which buys nothing
	}
	return b, false, buysBeside(ctx, w, b)
}

// buysBeside returns an error when a new order would be paid for beside what CERTInext has renewed,
// or is to renew. Once nobody counts on that any more, the order that is placed says so. b is nil
// when CERTInext renews nothing.
func buysBeside(ctx context.Context, w *caller, b *byCA) error {
	if b == nil {
		return nil
	}
	if b.found != nil {
		return keptFromCA(w, b.cert, withColons(b.found.serial), b.found.leaf.NotAfter)
	}
	stage := b.stage(w)
	switch {
	case stage == renewal.NotDue:
		return nil
	case stage == renewal.Missed && !w.caNow().Before(b.buysFrom()):
		w.instead.byCA = missedByCA(b)
		return openByCA(ctx, w)
	}
	return waitForCA(w, b)
}

// openByCA returns an error when what CERTInext has made is being taken in by another request.
func openByCA(ctx context.Context, w *caller) error {
	id := w.journal.registry.pendingFor(namesOf(w.plan), nil)
	if id == "" {
		return nil
	}
	o, err := w.journal.findOrder(ctx, w.storage, w.role.Name, id)
	if err != nil || o == nil || !o.ByCA {
		return err
	}
	return &Error{Order: o.view()}
}

// missedByCA says that a request buys since CERTInext has renewed nothing.
func missedByCA(b *byCA) string {
	return fmt.Sprintf("CERTInext was to renew certificate %s by itself, from %s on, and has not: "+
		"a new order takes its place. CERTInext may still renew the earlier one, and charge for "+
		"it%s", b.cert.View().Serial, rfc3339(b.when.At), b.inDoubt())
}

// inDoubt says what CERTInext's records leave open; empty for nothing.
func (b *byCA) inDoubt() string {
	switch {
	case b.underWay != "":
		return ": its records have order " + sanitize.Short(b.underWay) + " of the same name, " +
			"which is not issued yet"
	case b.tooMany:
		return ": its records have more orders of late than are read"
	}
	return ""
}

// waitForCA is the answer to a request that would buy what CERTInext is going to renew.
func waitForCA(w *caller, b *byCA) error {
	return fault.BadField(besideField(w), "CERTInext is to renew certificate %s by itself from %s "+
		"on, since its order was placed with auto_renew, and another order beside that would be "+
		"paid for, too. The present certificate is valid until %s. The same request is answered "+
		"with what CERTInext has made, if that has its key, from then on; where CERTInext has "+
		"made nothing, it buys from %s on%s. %s", b.cert.View().Serial, rfc3339(b.when.At),
		rfc3339(b.cert.NotAfter), rfc3339(b.buysFrom()), b.inDoubt(), buyAnyway(w))
}

// keptFromCA is the answer to a request that would buy what CERTInext has renewed for another key.
func keptFromCA(w *caller, c *certificates.Entry, as string, until time.Time) error {
	key := "with a key that this mount keeps no more (reuse=true of the role keeps it)"
	if w.plan.CSR != "" {
		key = "with the key of that one, which is not the key of csr: a CSR with the same key is " +
			"answered with it"
	}
	return fault.BadField(besideField(w), "CERTInext has renewed certificate %s by itself, since "+
		"its order was placed with auto_renew: as certificate %s, which is valid until %s, %s. "+
		"Another order beside that would be paid for, too. %s",
		c.View().Serial, as, rfc3339(until), key, buyAnyway(w))
}

// besideField is the field of a request that is refused since CERTInext renews.
func besideField(w *caller) string {
	switch {
	case w.plan.Request.Renews != "":
		return "serial"
	case w.plan.CSR != "":
		return "csr"
	}
	return "common_name"
}

// buyAnyway says how a certificate is bought beside CERTInext's own renewal.
func buyAnyway(w *caller) string {
	how := "force_new=true buys one"
	if w.plan.Request.Renews != "" {
		how = "A request_id of its own buys one"
	}
	return fmt.Sprintf("%s; auto_renew=false at <mount>/roles/%s has requests buy again, and "+
		"CERTInext renew none of the orders that follow", how, w.role.Name)
}

// keyByCA reports whether a certificate's key is that of the request's CSR, or one that the mount
// still keeps, which it returns in PEM.
func keyByCA(ctx context.Context, w *caller, b *byCA, key any) (string, bool, error) {
	if w.plan.CSR != "" {
		return "", issuing.SamePublicKey(key, w.plan.CSRKey), nil
	}
	if !w.role.Reuse || b.cert.ReusedFor == "" {
		return "", false, nil
	}
	kept, err := reuse.Find(ctx, w.storage, w.role.Name, b.cert.ReusedFor)
	if err != nil || kept == nil || kept.Requester != w.plan.Request.Requester ||
		kept.PrivateKey == "" || !kept.Until.After(w.journal.Now()) {
		return "", false, err
	}
	own, err := issuing.ParseKey(kept.PrivateKey)
	if err != nil || !issuing.SamePublicKey(key, own.Public()) {
		return "", false, nil //nolint:nilerr // what is kept is no key, and serves nobody
	}
	return kept.PrivateKey, true, nil
}

// foreseeByCA finds what [beginByCA] would come to, without asking CERTInext.
func foreseeByCA(ctx context.Context, w *caller) (*finding, error) {
	b, err := findByCA(ctx, w)
	if err != nil || b == nil {
		return nil, err
	}
	serial := b.cert.View().Serial
	key, err := keyOf(b.cert)
	if err != nil {
		return nil, err
	}
	_, fits, err := keyByCA(ctx, w, b, key)
	if err != nil {
		return nil, err
	}
	stage := b.stage(w)
	switch {
	case b.known != "" && fits:
		return &finding{
			answer: preview.Reuse, order: b.parent.view(), serial: b.known,
			why: "CERTInext has renewed certificate " + serial + " by itself (auto_renew), as " +
				withColons(b.known) + ", for the same key",
		}, nil
	case b.known != "":
		c, err := certificates.Read(ctx, w.storage, b.known)
		if err != nil || c == nil {
			return nil, err
		}
		return nil, keptFromCA(w, b.cert, c.View().Serial, c.NotAfter)
	case stage == renewal.Begun && fits:
		return &finding{
			answer: preview.Reuse, order: b.parent.view(),
			why: "CERTInext renews certificate " + serial + " by itself (auto_renew), for the " +
				"same key, and is asked then whether it has: if not, the request is refused " +
				"until " + rfc3339(b.when.Over),
		}, nil
	case stage == renewal.NotDue, renewsWithin(w.plan):
		return nil, nil
	}
	return foreseeBeside(w, b)
}

// foreseeBeside finds what [buysBeside] would come to, without asking CERTInext.
func foreseeBeside(w *caller, b *byCA) (*finding, error) {
	switch b.stage(w) {
	case renewal.NotDue:
		return nil, nil
	case renewal.Missed:
		why := "CERTInext was to renew certificate " + b.cert.View().Serial + " by itself " +
			"(auto_renew), and is asked first whether it has: if so, nothing is ordered"
		if last := b.when.Last(b.cert.Life()); w.caNow().Before(last) {
			why += "; where that may be under way, the request is refused until " + rfc3339(last)
		}
		return &finding{why: why}, nil
	}
	return nil, waitForCA(w, b)
}

// foreseeBesideWithin is [foreseeBeside] for a role that reissues, once a reissue was not found:
// then a new order would be placed.
func foreseeBesideWithin(ctx context.Context, w *caller) (*finding, error) {
	found, err := foreseeWithin(ctx, w)
	if err != nil || !renewsWithin(w.plan) || (found != nil && found.answer != "") {
		return found, err
	}
	b, err := findByCA(ctx, w)
	if err != nil || b == nil {
		return found, err
	}
	beside, err := foreseeBeside(w, b)
	if err != nil || beside != nil {
		return beside, err
	}
	return found, nil
}
