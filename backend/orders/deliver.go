// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/serials"
)

// keepUndelivered stores a certificate that is not handed over now, and that its order is issued.
func (h *heldOrder) keepUndelivered(ctx context.Context, cert *certificates.Downloaded) error {
	o := h.entry
	c, err := h.storeUndelivered(ctx, cert)
	if err != nil {
		return err
	}
	if len(c.Held) > 0 {
		return h.holdBack(ctx, c, heldBecause(c))
	}
	o.State, o.Serial, o.Held = StateIssued, c.Serial, false
	o.Needs, o.Delivered = nil, c.Delivery != nil
	o.note(h.journal.Now(), "issued as %s", c.View().Serial)
	return h.journal.saveOrder(ctx, h.storage, o)
}

// storeUndelivered stores a certificate unless it is stored already. A synchronization that finds
// it at CERTInext at the same moment waits for the certificate's lock.
func (h *heldOrder) storeUndelivered(
	ctx context.Context, cert *certificates.Downloaded,
) (*certificates.Entry, error) {
	unlock, err := h.journal.Certificates.Lock(ctx, serials.Key(cert.Leaf.SerialNumber))
	if err != nil {
		return nil, err
	}
	defer unlock()
	c, known, err := h.entryFor(ctx, cert)
	if err != nil || known {
		return c, err
	}
	if _, err := judgeTrust(ctx, h, nil, c); err != nil {
		return nil, err
	}
	if len(c.Held) == 0 {
		h.journal.Certificates.Chains.Remember(c.Chain)
	}
	return c, h.journal.Certificates.Put(ctx, h.storage, c)
}

// entryFor returns the entry of a downloaded certificate, and whether it is the stored one, which
// knows of deliveries and leases. Otherwise it is a new one that is not stored yet. The caller
// holds the certificate's lock.
func (h *heldOrder) entryFor(
	ctx context.Context, cert *certificates.Downloaded,
) (c *certificates.Entry, known bool, err error) {
	o := h.entry
	c = newCertificateEntry(o, cert, h.journal.Now())
	c.Take(o.judge(cert, h.journal.latestNow()))
	stored, err := certificates.Read(ctx, h.storage, c.Serial)
	if err != nil {
		return nil, false, err
	}
	if stored == nil || (stored.Imported && stored.Revocation == nil) {
		return c, false, nil // what a synchronization has stored meanwhile says less than c
	}
	if stored.Certificate != c.Certificate {
		return nil, false, fmt.Errorf(
			"order %s: another certificate of this mount has the serial number %s", o.ID, c.Serial)
	}
	return stored, true, nil
}

// fromDownload hands over a certificate that has just been downloaded.
func (h *heldOrder) fromDownload(
	ctx context.Context, w *caller, cert *certificates.Downloaded,
) result {
	h.lookAgain(h.journal.Now())
	unlock, err := h.journal.Certificates.Lock(ctx, serials.Key(cert.Leaf.SerialNumber))
	if err != nil {
		return h.stillLocked()
	}
	defer unlock()
	c, _, err := h.entryFor(ctx, cert)
	if err != nil {
		return result{err: err}
	}
	return h.deliver(ctx, w, c, true)
}

// fromStore hands over the certificate that the background pass or an earlier request has stored. A
// caller whose purpose is not to be handed the certificate is told that the order is issued.
func (h *heldOrder) fromStore(ctx context.Context, w *caller) result {
	h.lookAgain(h.journal.Now())
	r := h.fromEntry(ctx, w, false)
	if errors.Is(r.err, account.ErrClockUnknown) {
		// CERTInext is asked while the certificate is not locked.
		patience := max(clockPatience, w.deadline.Sub(h.journal.Now()))
		asking, cancel := context.WithTimeout(ctx, patience)
		h.journal.Account.LearnClock(asking, h.storage)
		cancel()
		r = h.fromEntry(ctx, w, true)
	}
	return r
}

// clockPatience is how long a request that waits for nothing else waits for CERTInext's clock.
const clockPatience = 3 * time.Second

// needsClock reports whether CERTInext's clock, which is unknown, has to be learned before a
// certificate is handed over or not: the outcome depends on the time, or the time of the answer is
// stored, after which the same request buys another one.
func (w *caller) needsClock(
	c *certificates.Entry, o *orderEntry, ends ending, at clock,
) bool {
	inDoubt := at
	inDoubt.inDoubt = true
	known, _ := handoverTo(c, o, w, ends, at)
	blind, _ := handoverTo(c, o, w, ends, inDoubt)
	isAnswered := known == isDeliverable && w.purpose.isHanded()
	return blind != known || (isAnswered && !w.journal.Account.Paused())
}

// fromEntry is one attempt of fromStore, see deliver for blind.
func (h *heldOrder) fromEntry(ctx context.Context, w *caller, blind bool) result {
	unlock, err := h.journal.Certificates.Lock(ctx, h.entry.Serial)
	if err != nil {
		return h.stillLocked()
	}
	defer unlock()
	c, err := certificates.Read(ctx, h.storage, h.entry.Serial)
	if err == nil && c == nil {
		err = fmt.Errorf("order %s: its certificate %s is not stored", h.id, h.entry.Serial)
	}
	if err != nil {
		return result{err: err}
	}
	return h.deliver(ctx, w, c, blind)
}

// stillLocked is the answer to a request whose time is up while somebody else, such as a revocation
// for which storage is slow, has its certificate locked: the order stands as before.
func (h *heldOrder) stillLocked() result {
	return result{err: &Error{Order: h.entry.view()}}
}

// deliver stores that the certificate is handed over, and hands it over. Where the outcome
// depends on the time and this process has not seen CERTInext's clock yet, it does nothing and
// returns [account.ErrClockUnknown]; with blind, our clock counts as in doubt then (ADR 0022).
// The caller holds the certificate's lock.
func (h *heldOrder) deliver(
	ctx context.Context, w *caller, c *certificates.Entry, blind bool,
) result {
	o := h.entry
	ends, err := endingOf(ctx, h.journal.Certificates, h.storage, c)
	err = errors.Join(err, h.journal.Certificates.Chains.Load(ctx, h.storage, c))
	err = errors.Join(err, learnRest(ctx, h.journal, h.storage, c))
	if err = errors.Join(err, h.judgeStored(c)); err != nil {
		return result{err: err}
	}
	doubts, err := judgeTrust(ctx, h, w.role, c)
	if err != nil {
		return result{err: err}
	}
	h.journal.registry.recall(h.id, c)
	_, seen := h.journal.Account.ClockSkew()
	at := clockOf(h.journal.Account, blind)
	verdict, why := handoverTo(c, o, w, ends, at)
	if !seen && !blind && w.needsClock(c, o, ends, at) {
		return result{err: account.ErrClockUnknown}
	}
	if verdict == isDeliverable && h.beginsLater(c) {
		verdict, why = keepBack, "it begins to be valid at "+c.NotBefore.UTC().Format(time.RFC3339)
	}
	switch {
	case verdict.isOver():
		return result{err: cmp.Or(h.finish(ctx, c, verdict), w.undeliverable(o, c, why, true))}
	case verdict == keepBack:
		return result{err: cmp.Or(h.holdBack(ctx, c, why), w.undeliverable(o, c, why, false))}
	case verdict == passOver:
		h.rememberDelivery(c)
		return result{err: &placeAnewError{id: o.ID, cause: why}}
	}
	if !w.purpose.isHanded() {
		h.rememberDelivery(c)
		return result{err: &Error{Order: o.view()}}
	}
	renewLater(c, o, at.Now)
	issued := &Issued{
		Certificate: c.View(), Reused: c.Delivery != nil,
		PrivateKey: o.PrivateKey, PrivateKeyType: o.Placement.KeyType,
		Warnings: slices.Concat(
			c.Remarks, doubts, usageWarnings(w.role, c), o.chargeWarnings(),
			w.instead.warnings(), aheadWarnings(w), revokedWarnings(w), replacementWarnings(c)),
	}
	unleased := c.Delivery != nil && c.Delivery.Unleased
	delay, fingerprint := c.RevocationDelay, c.Fingerprint
	err = w.answer(c, o, issued, ends == endHeldBack, at)
	if err == nil && (!issued.Reused || ends == endHeldBack) {
		err = wantAhead(ctx, w, o, c)
	}
	if err == nil {
		err = h.journal.Certificates.Put(context.WithoutCancel(ctx), h.storage, c)
	}
	r := result{
		issued: issued, cert: c, unleased: unleased, tookOver: ends == endHeldBack,
		delay: delay, fingerprint: fingerprint,
	}
	if err != nil { // it may have been stored all the same
		h.undoDelivery(ctx, r)
		return result{err: fmt.Errorf("order %s: %w", o.ID, err)}
	}
	if ends == endHeldBack {
		h.journal.Certificates.TakenOver(ctx, h.storage, c, fingerprint)
	}
	c.Delivery.Answered(clockOf(h.journal.Account, false).Moment, h.journal.answers.Add(1))
	h.journal.Certificates.Chains.Remember(c.Chain)
	// What the drive has merely noted is not worth a write: the certificate's entry says enough
	// (ADR 0005).
	o.dirty = o.owed
	if ctx.Err() != nil {
		h.undoDelivery(ctx, r)
		return result{err: &Error{Order: o.view()}}
	}
	endReuse(ctx, h, c)
	tellReplaced(ctx, h, c, issued)
	h.rememberDelivery(c)
	return r
}

// answer adds to a certificate, and to the answer that holds it, that it is handed over. A
// certificate that is taken over after its last lease has ended is handed over as if for the first
// time, unless the engine has its key, which rests no longer for that. So is one that is reused
// beyond the reuse window.
func (w *caller) answer(
	c *certificates.Entry, o *orderEntry, issued *Issued, takesOver bool, at clock,
) error {
	isReused := (reuses(w) || isMadeFor(w, o)) && c.Delivery != nil && !w.mayReuse(c.Delivery, at)
	if isReused || (takesOver && o.PrivateKey == "") {
		c.Delivery = c.Delivery.Anew(at.Moment)
	} else {
		c.Delivery = c.Delivery.WithAnswer(at.Moment)
	}
	if o.Terms != "" {
		c.ReusedFor = o.Fingerprint
	}
	if err := w.addLease(c, issued, at.Now); err != nil || issued.Lease == nil {
		return err
	}
	c.RevocationDelay, c.Fingerprint = w.role.RevocationDelay, ""
	if c.RevocationDelay > 0 && o.RequestID == "" {
		c.Fingerprint = o.Fingerprint
		if w.plan != nil {
			c.Fingerprint = w.plan.Identity
		}
	}
	if takesOver {
		c.TakenOver = issued.Lease.ID
	}
	return nil
}

// rememberDelivery tells the registry which answers held the certificate, and when the background
// pass has to look at the order next.
func (h *heldOrder) rememberDelivery(c *certificates.Entry) {
	if c.Delivery == nil {
		h.lookAgain(h.journal.Now().Add(host.PassDelay(0)))
		return
	}
	h.journal.registry.markDelivered(h.id, c.Serial, *c.Delivery)
	tell(h.journal, h.entry)
	h.lookAgain(nextDeliveryLook(c, h.entry, h.journal.Now()))
}

// nextDeliveryLook returns when the background pass next has something to do for an order whose
// certificate was handed over: when its key is to be erased, or when its last lease is overdue,
// which Vault may never have stored (ADR 0023).
func nextDeliveryLook(c *certificates.Entry, o *orderEntry, now time.Time) time.Time {
	next := c.Delivery.Until(o.keyLife())
	if last := c.LatestLease(); !last.IsZero() {
		if end := last.Add(certificates.LeaseMargin); end.After(now) && end.Before(next) {
			next = end
		}
	}
	return next
}

// undeliverable is the answer to a request for a certificate that is not handed over, for good when
// over. A request that has bought it is told so, and so is one that would buy another one like it.
// Any other request looks for another order.
func (w *caller) undeliverable(
	o *orderEntry, c *certificates.Entry, why string, over bool,
) error {
	if over && !w.bought {
		return &placeAnewError{id: o.ID, cause: why}
	}
	if !w.purpose.isHanded() {
		return &Error{Order: o.view(), Over: over}
	}
	return &Error{Order: o.view(), Over: over, Err: fmt.Errorf(
		"its certificate %s is issued and is not handed over: %s", c.View().Serial, why)}
}

// holdBack stores that a certificate was issued, and why it is not handed over now.
func (h *heldOrder) holdBack(ctx context.Context, c *certificates.Entry, why string) error {
	o, held := h.entry, len(c.Held) > 0
	h.lookAgain(h.journal.Now().Add(host.PassDelay(1)))
	if o.State == StateIssued && o.Serial == c.Serial && o.Held == held &&
		slices.Equal(o.Needs, []string{why}) {
		return nil
	}
	if err := h.journal.Certificates.Put(context.WithoutCancel(ctx), h.storage, c); err != nil {
		return err
	}
	o.State, o.Serial, o.Held = StateIssued, c.Serial, held
	o.Needs = []string{why}
	o.note(h.journal.Now(), "issued as %s, and kept back: %s", c.View().Serial, why)
	if !held { // otherwise saveOrder tells it
		h.journal.Log.Warn("a certificate is kept back",
			"order_id", o.ID, "serial", c.View().Serial, "why", why)
	}
	return h.journal.saveOrder(ctx, h.storage, o)
}

// undoAnswer undoes a delivery whose caller left before it was answered.
func (h *heldOrder) undoAnswer(ctx context.Context, r result) {
	ctx = context.WithoutCancel(ctx)
	unlock, err := h.journal.Certificates.Lock(ctx, r.cert.Serial)
	if err != nil {
		return
	}
	defer unlock()
	c, err := certificates.Read(ctx, h.storage, r.cert.Serial)
	if err != nil || c == nil {
		if err != nil {
			err = errors.Join(err, certificates.UndoLater(
				ctx, h.journal.Certificates, h.storage, r.cert.Serial, r.undo(r.cert)))
		}
		h.warnNotUndone(err)
		return
	}
	r.cert = c // leases may have ended since; nobody was answered, since the order is held
	h.undoDelivery(ctx, r)
}

// warnNotUndone logs that a delivery could not be undone now.
func (h *heldOrder) warnNotUndone(err error) {
	h.journal.Log.Warn("a caller hung up, and its certificate counts as handed over until the "+
		"background pass undoes that",
		"order_id", h.id, "error", err)
}

// undo returns what undoes the result's answer, which c counts.
func (r *result) undo(c *certificates.Entry) certificates.Undo {
	u := certificates.Undo{
		Answers: c.Delivery.Answers(), TookOver: r.tookOver,
		Unleased: r.unleased, Delay: r.delay, Fingerprint: r.fingerprint,
	}
	if r.issued.Lease != nil {
		u.Lease = r.issued.Lease.ID
	}
	return u
}

// undoDelivery removes a delivery whose caller has hung up meanwhile. Then the next request like it
// gets the certificate, however late it comes. Until that is stored, by the background pass if need
// be, the certificate counts as handed over, and is given again within the grace. The caller holds
// the certificate's lock.
func (h *heldOrder) undoDelivery(ctx context.Context, r result) {
	ctx = context.WithoutCancel(ctx) // that of the caller, who has gone
	c := r.cert
	if l := r.issued.Lease; l != nil {
		if _, there := c.Leases[l.ID]; !there {
			return // TakeBack has removed it already
		}
	}
	err := h.journal.Certificates.UndoAnswer(ctx, h.storage, c, r.undo(c))
	if err != nil {
		h.warnNotUndone(err)
	}
	if c.Delivery == nil { // whether or not it was stored: the next look goes by what storage has
		h.journal.registry.unmarkDelivered(h.id, h.journal.Now())
		doubt(h.journal, h.role, h.id)
		h.lookAgain(h.journal.Now().Add(host.PassDelay(0)))
		return
	}
	if err != nil {
		return
	}
	h.rememberDelivery(c)
}

// finish closes an order whose certificate is not handed over any more, for the reason of how, and
// erases its key. The caller holds the certificate's lock.
func (h *heldOrder) finish(ctx context.Context, c *certificates.Entry, how handover) error {
	o := h.entry
	if how == wasDelivered {
		if err := keepForReuse(ctx, h, c); err != nil {
			return err
		}
	}
	if issued := "issued as " + strings.ReplaceAll(c.Serial, "-", ":"); !o.told(issued) {
		o.note(h.journal.Now(), "%s", issued)
	}
	if o.Delivered = c.Delivery != nil; o.Delivered {
		how = wasDelivered // whatever became of the certificate afterwards
	}
	end := endings[how]
	o.State, o.Serial, o.Held = end.state, c.Serial, false
	o.note(h.journal.Now(), "%s", end.note)
	switch how {
	case wasDelivered:
		if err := h.journal.Certificates.WatchLeases(ctx, h.storage, c); err != nil {
			return err
		}
		if _, err := scheduleReplaced(ctx, h, c); err != nil {
			return err
		}
	case isUnclaimed:
		if err := h.revokeUnclaimed(ctx, c); err != nil {
			return err
		}
	default:
	}
	return h.closeOrder(ctx)
}

// revokeUnclaimed queues the revocation of a certificate that was not fetched in time, if the role
// says revoke_unclaimed.
func (h *heldOrder) revokeUnclaimed(ctx context.Context, c *certificates.Entry) error {
	o := h.entry
	if !o.RevokeUnclaimed {
		return nil
	}
	o.note(h.journal.Now(), "to be revoked")
	return h.journal.Certificates.Enqueue(ctx, h.storage, &certificates.Queued{
		Version: 1, Serial: c.Serial, Reason: certificates.DefaultReason, Note: "nobody fetched it",
		QueuedAt: h.journal.Now(), Due: true, LeaseOver: true, Next: h.journal.Now(),
	})
}
