// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/renewal"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/reuse"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/roles"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/internal/phrase"
	"github.com/hashicorp/vault/sdk/logical"
)

// Where the role says reuse, a request is answered with the certificate that the same request has
// bought before, for as long as no client would renew that at once (ADR 0041). When the order of
// such a certificate is closed, its key goes into an entry of the room reuse. The next request like
// it opens the order again, with the key, and is answered from it as within the reuse window: with
// a lease of its own, under the certificate's lock, and undone when it does not arrive.

// isReusable reports whether the certificate of a plan may answer later requests. A request with a
// name of its own always means its own order. And of a requester without an identity entity it is
// not known when it is no more: its key would rest, and nobody could get it.
func isReusable(p *issuing.Plan) bool {
	r := p.Request
	return p.Role.Reuse && r.EntityID != "" && r.ID == "" && r.Renews == "" && !r.Draft
}

// reuses reports whether the request may be answered with a certificate that was handed over
// before, beyond the reuse window.
func reuses(w *caller) bool {
	return w.plan != nil && w.purpose == forCertificate && isReusable(w.plan) && !w.forced()
}

// termsFor returns what stands for what is ordered for a plan; empty when it is not reusable.
func termsFor(p *issuing.Plan) string {
	if !isReusable(p) {
		return ""
	}
	return issuing.TermsOf(p.Role, p.Config)
}

// candidateOf describes a certificate that was ordered under terms. hasKey is set where the mount
// has its key.
func candidateOf(
	c *certificates.Entry, terms string, hasKey bool, ends ending, now time.Time,
) reuse.Candidate {
	out := reuse.Candidate{
		Serial: c.Serial, Requester: c.Requester, Terms: terms,
		Life:     renewal.Life{NotBefore: c.NotBefore, NotAfter: c.NotAfter},
		Received: c.ReceivedAt(now),
		Revoked:  c.Revocation != nil, Ending: ends == endDue, Held: len(c.Held) > 0,
		Superseded: isSuperseded(c),
	}
	if hasKey {
		out.RenewsAt = c.CARenewsAt
	}
	return out
}

// isSuperseded reports whether another certificate has taken the place of one. What was made ahead
// has not, until it is asked for when this one is to be renewed, and answers no request by then.
func isSuperseded(c *certificates.Entry) bool {
	succeeded := c.RenewedBy != "" || c.ReissuedBy != ""
	return (succeeded && !c.RenewedAhead) || c.ReissuedAs != "" || !c.RevokeAt.IsZero() ||
		c.IsReplaced()
}

func (at clock) forReuse() reuse.Clock {
	return reuse.Clock{Now: at.Now, Corrected: at.Corrected, InDoubt: at.inDoubt}
}

// whyNotReused says why the request is not answered with a certificate that was ordered under
// terms; empty when it is.
func whyNotReused(
	w *caller, c *certificates.Entry, terms string, ends ending, at clock,
) string {
	if !reuses(w) {
		return "the request asks for another one"
	}
	candidate := candidateOf(c, terms, w.plan.CSR == "", ends, at.Now)
	return reuse.Why(candidate, wishOf(w), at.forReuse())
}

// wishOf returns what the request asks for.
func wishOf(w *caller) reuse.Wish {
	return reuse.Wish{
		Requester: w.plan.Request.Requester, Terms: termsFor(w.plan), For: w.role.ReuseFor,
	}
}

// A reusable is what is kept for a request, and what it comes to.
type reusable struct {
	kept  *reuse.Kept
	cert  *certificates.Entry
	why   string    // the request is not answered with it; empty when it is
	until time.Time // no request is answered with it from then on
	// keepsKey is set when its key stays, since CERTInext is to renew it for that (ADR 0042).
	keepsKey bool
}

// findReusable returns what is kept for the request; nil when nothing is. It changes nothing, and
// asks nobody but storage.
func findReusable(ctx context.Context, w *caller) (*reusable, error) {
	if !reuses(w) {
		return nil, nil
	}
	kept, err := reuse.Find(ctx, w.storage, w.role.Name, w.plan.Identity)
	if err != nil && !store.IsFault(err) { // it costs a certificate at worst
		w.journal.Log.Warn("what is kept for reuse cannot be read",
			"role", w.role.Name, "error", err)
		return nil, nil
	}
	if err != nil || kept == nil {
		return nil, err
	}
	c, err := certificates.Read(ctx, w.storage, kept.Serial)
	if err = cmp.Or(err, learnRest(ctx, w.journal, w.storage, c)); err != nil {
		return nil, err
	}
	if c == nil || c.Role != w.role.Name {
		return &reusable{kept: kept, why: "it is not stored"}, nil
	}
	ends, err := endingOf(ctx, w.journal.Certificates, w.storage, c)
	if err != nil {
		return nil, err
	}
	found := &reusable{kept: kept, cert: c}
	at := clockOf(w.journal.Account, false)
	candidate := candidateOf(c, kept.Terms, kept.PrivateKey != "", ends, at.Now)
	found.until = reuse.Until(candidate, wishOf(w))
	found.why = whyNotReused(w, c, kept.Terms, ends, at)
	if found.why != "" {
		found.keepsKey = reuse.KeepsKey(candidate, wishOf(w), at.forReuse())
		return found, nil
	}
	found.why, err = whyNotKey(ctx, w, found)
	return found, err
}

// whyNotKey says what speaks against the key of a certificate that is kept for the request.
func whyNotKey(ctx context.Context, w *caller, found *reusable) (string, error) {
	key, err := keyOf(found.cert)
	if err != nil {
		return "", err
	}
	if !fitsKey(found.kept, w.plan, key) {
		return "what is kept is not its key", nil
	}
	err = w.journal.Certificates.CheckKey(ctx, w.storage, key)
	var compromised *fault.FieldError
	if errors.As(err, &compromised) {
		return "its key is compromised", nil
	}
	return "", err
}

// keyOf returns the public key of a certificate.
func keyOf(c *certificates.Entry) (any, error) {
	certs, err := certificates.Parse([]string{c.Certificate})
	if err != nil || len(certs) != 1 {
		return nil, fmt.Errorf("stored certificate %s: %w", c.Serial, errors.Join(err))
	}
	return certs[0].PublicKey, nil
}

// fitsKey reports whether what is kept, or the request's CSR, has the key of a certificate.
func fitsKey(kept *reuse.Kept, p *issuing.Plan, key any) bool {
	if p.CSR != "" {
		return issuing.SamePublicKey(key, p.CSRKey)
	}
	own, err := issuing.ParseKey(kept.PrivateKey)
	return err == nil && issuing.SamePublicKey(key, own.Public())
}

// reuseOrder holds the order of the certificate that the request is answered with; nil when there
// is none.
func reuseOrder(ctx context.Context, w *caller) (*heldOrder, error) {
	found, err := findReusable(ctx, w)
	if err != nil || found == nil {
		return nil, err
	}
	if found.cert != nil && w.passed[found.cert.OrderID] {
		return nil, nil
	}
	if found.why == "" {
		found.why, err = endedElsewhere(ctx, w, found.cert)
		if err != nil {
			return nil, err
		}
	}
	if found.keepsKey {
		return nil, nil
	}
	if found.why != "" {
		w.journal.Log.Info("a certificate is not reused", "serial", found.kept.Serial,
			"role", w.role.Name, "why", found.why)
		return nil, reuse.Erase(ctx, w.storage, &w.journal.Certificates.Kept,
			w.role.Name, w.plan.Identity, found.kept.Serial)
	}
	return w.takeOrder(ctx, found.cert, found.kept.PrivateKey)
}

// reusePatience is how long a request waits to hear whether CERTInext still has its certificate.
const reusePatience = 5 * time.Second

// endedElsewhere asks CERTInext whether the order of a certificate has ended, as by a revocation in
// its portal, and says so. While it cannot be asked, the mount's own books have to do: what it does
// not know of is as valid as any certificate that a client has in its files.
func endedElsewhere(
	ctx context.Context, w *caller, c *certificates.Entry,
) (string, error) {
	o, err := w.journal.findOrder(ctx, w.storage, c.Role, c.OrderID)
	if err != nil {
		return "", err
	}
	if o == nil || o.CAOrderID == "" {
		return "this mount has no record of its order", nil
	}
	client, err := w.journal.clientOf(ctx, w.storage, o)
	if err != nil {
		return "", err
	}
	asked, cancel := account.WhileAsked(ctx)
	defer cancel()
	asked, stop := context.WithTimeout(asked, reusePatience)
	defer stop()
	remote, err := track(asked, client, o, o.CAOrderID)
	if err != nil {
		w.journal.Log.Warn("CERTInext could not be asked whether a certificate that is reused "+
			"is still valid", "serial", c.View().Serial, "error", err)
		return "", nil
	}
	why, err := endSeen(w, o, remote)
	if err != nil && isEndingHere(ctx, w, c.Serial) {
		return "it is revoked", nil // by another request, at this moment
	}
	return why, err
}

// isEndingHere reports whether the mount itself has begun to revoke a certificate.
func isEndingHere(ctx context.Context, w *caller, serial string) bool {
	c, err := certificates.Read(ctx, w.storage, serial)
	if err != nil || c == nil {
		return false
	}
	ends, err := endingOf(ctx, w.journal.Certificates, w.storage, c)
	return err == nil && (c.Revocation != nil || ends == endDue)
}

// endSeen says that CERTInext calls an issued order ended, once it has said so twice: a false
// answer would cost another order.
func endSeen(w *caller, o *orderEntry, remote *certinext.Order) (string, error) {
	status := sanitize.Short(string(remote.Status))
	switch {
	case !isFinal(remote.Status):
		w.journal.ends.forget(o)
		return "", nil
	case remote.ID == "":
		return "", nil // version 1 does not say which order it is about, and a proxy may have it
	case w.journal.ends.seenTwice(o, remote.Status, w.journal.Steady()):
		return "CERTInext calls its order " + status, nil
	}
	return "", &fault.RefusedError{Err: fmt.Errorf("CERTInext calls order %s, whose certificate "+
		"answers this request, %s, and a false answer would cost a new order: send the request "+
		"again in %s, after which it is believed", sanitize.Short(o.CAOrderID), status,
		phrase.Duration(finalPatience))}
}

// keepForReuse keeps what later requests are answered with, before the held order is closed, whose
// certificate was handed over. The caller holds the certificate's lock.
func keepForReuse(ctx context.Context, h *heldOrder, c *certificates.Entry) error {
	o := h.entry
	if o.Terms == "" || o.Fingerprint == "" {
		return nil
	}
	role, err := roles.Read(ctx, h.storage, o.Role)
	if err != nil || role == nil || !role.Reuse {
		return err
	}
	_, cfg, err := h.journal.Account.Client(ctx, h.storage)
	switch {
	case errors.Is(err, fault.ErrNotConfigured):
		return nil
	case err != nil:
		return err
	case !account.SameAccount(o.Account, cfg.Account()):
		return nil
	}
	ends, err := endingOf(ctx, h.journal.Certificates, h.storage, c)
	if err != nil {
		return err
	}
	at := clockOf(h.journal.Account, false)
	candidate := candidateOf(c, o.Terms, o.PrivateKey != "", ends, at.Now)
	wish := reuse.Wish{
		Requester: o.Requester, Terms: issuing.TermsOf(role, cfg), For: role.ReuseFor,
	}
	if !reuse.KeepsKey(candidate, wish, at.forReuse()) &&
		reuse.Why(candidate, wish, at.forReuse()) != "" {
		return nil
	}
	k := reuse.Kept{
		Version: 1, Serial: c.Serial, OrderID: o.ID, Requester: o.Requester, Terms: o.Terms,
		PrivateKey: o.PrivateKey, Received: c.IssuedAt, Until: reuse.KeyUntil(candidate, wish),
	}
	return reuse.Keep(
		ctx, h.storage, &h.journal.Certificates.Kept, o.Role, o.Fingerprint, k)
}

// StaysKept reports whether what is kept for reuse under a role stays, now that the role, which is
// nil when it was deleted, or config may have changed. Where the role's reuse_for is shorter now,
// it is kept anew for as long.
func StaysKept(
	ctx context.Context, journal *Journal, s logical.Storage,
	role *issuing.Role, fingerprint string, k *reuse.Kept,
) (bool, error) {
	if role == nil || !role.Reuse {
		return false, nil
	}
	_, cfg, err := journal.Account.Client(ctx, s)
	switch {
	case errors.Is(err, fault.ErrNotConfigured):
		return false, nil
	case err != nil:
		return false, err
	}
	c, err := certificates.Read(ctx, s, k.Serial)
	if err != nil || c == nil {
		return false, err
	}
	at := clockOf(journal.Account, true)
	candidate := candidateOf(c, k.Terms, k.PrivateKey != "", endNone, at.Now)
	wish := reuse.Wish{
		Requester: k.Requester, Terms: issuing.TermsOf(role, cfg), For: role.ReuseFor,
	}
	if !reuse.KeepsKey(candidate, wish, at.forReuse()) &&
		reuse.Why(candidate, wish, at.forReuse()) != "" {
		return false, nil
	}
	return true, reuse.Shorten(ctx, s, &journal.Certificates.Kept,
		role.Name, fingerprint, k.Serial, reuse.KeyUntil(candidate, wish))
}
