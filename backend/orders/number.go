// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"fmt"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/logical"
)

// This file holds whose a number of CERTInext's is, and how an order is given one and loses it. A
// number comes from the answer to a create, from CERTInext's records or from an operator, and each
// of them may be wrong. Whatever is done at CERTInext is done by it (ADR 0021).

// A verdict says whose order the number is that an order has, by CERTInext's records.
type verdict int

const (
	numberUnknown    verdict = iota // the records do not show yet whose it is
	numberOwn                       // they show the order under it
	numberOther                     // they show that it is another order's
	numberNoRecords                 // CERTInext says that this edition of its API has no records
	numberUnreadable                // they cannot be read now, which says nothing
)

// A recordsOf is what CERTInext's records say of an order: found is what they call it, row is what
// they show under the number that the order has, and err is why they cannot be read.
type recordsOf struct {
	found remoteID
	row   *certinext.ReportRow
	err   error
}

// numberInRecords reads what CERTInext's records say of the order and of its number.
func (d *driver) numberInRecords(ctx context.Context) recordsOf {
	var seen recordsOf
	seen.found, seen.row, seen.err = d.journal.report.findRow(ctx, d)
	return seen
}

// whoseNumber judges by the records whose the order's number is.
func (o *orderEntry) whoseNumber(seen recordsOf) verdict {
	switch {
	case hasNoRecords(seen.err):
		return numberNoRecords
	case seen.err != nil:
		return numberUnreadable
	case o.isElsewhere(seen.found):
		return numberOther
	case seen.found.orderID != "":
		return numberOwn
	case seen.row != nil && o.marksAnother(*seen.row):
		return numberOther
	}
	return numberUnknown
}

// isElsewhere reports whether CERTInext has the order as something else than the number that it
// has: as another number, or as the draft that was asked for.
func (o *orderEntry) isElsewhere(found remoteID) bool {
	if found.orderID == "" {
		return o.NotDraft && found.requestID != ""
	}
	return found.orderID != o.CAOrderID
}

// track asks for the status of CERTInext's order of a number. An answer that is not certainly about
// that order is an error, whatever it says.
func track(
	ctx context.Context, client *certinext.Client, o *orderEntry, number string,
) (*certinext.Order, error) {
	remote, err := client.TrackOrder(ctx, o.Placement.Family, number)
	if err == nil && !account.IsAbout(remote, number, client.Version) {
		return nil, fmt.Errorf("CERTInext was asked for its order %s, "+
			"and its answer does not say that it is about that order", sanitize.Short(number))
	}
	return remote, err
}

// takeNumber gives an order a number of CERTInext's. When another open order has it, it returns the
// id of that order, and changes nothing.
func (r *registry) takeNumber(id, account, number string) (other string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if other := r.holderOf(account, number, id); other != "" {
		return other
	}
	if t := r.orders[id]; t != nil {
		t.number, t.account = number, account
	}
	return ""
}

// holderOf returns the id of an open order, other than except, that has a number of CERTInext's in
// an account; empty when there is none. The caller holds mu.
func (r *registry) holderOf(acct, number, except string) string {
	for _, t := range r.orders {
		if t.number == number && t.id != except && account.SameAccount(t.account, acct) {
			return t.id
		}
	}
	return ""
}

// OpenOrderOf returns the id of the open order that has a number of CERTInext's; empty when there
// is none. It implements [certificates.Orders].
func (journal *Journal) OpenOrderOf(
	ctx context.Context, s logical.Storage, acct, number string,
) (string, error) {
	if err := journal.registry.load(ctx, s); err != nil {
		return "", err
	}
	journal.registry.mu.Lock()
	defer journal.registry.mu.Unlock()
	return journal.registry.holderOf(acct, number, ""), nil
}

// A numberTakenError is returned for a number of CERTInext's that an order cannot have, since
// something else in the mount has it.
type numberTakenError struct {
	number string
	order  string // that cannot have it
	holder string // what has it, such as "order 6f1d"
}

func (e *numberTakenError) Error() string {
	return fmt.Sprintf("CERTInext's order %s belongs to %s of this mount, "+
		"and cannot be order %s, too", sanitize.Short(e.number), e.holder, e.order)
}

// A numberSource says where the number of an order comes from.
type numberSource int

const (
	numberAnswered numberSource = iota // CERTInext's answer to the create
	numberShown                        // its records, which show the order under it
	numberByHand                       // an operator
)

// numberPatience is how long the number in CERTInext's answer to a create waits for the mount's
// books, whether or not the caller still waits: without it, the order would be in doubt.
const numberPatience = 10 * time.Second

// takeNumber gives the order a number of CERTInext's, unless the mount has it for something else:
// an open order, one that is closed, or a certificate for another key. It belongs to one of them,
// and the other's must not be cancelled or revoked by it (ADR 0021). Then the error is a
// [*numberTakenError]. A reissue shares its number with the order that it reissues. An order that
// was to be a draft remembers that, for as long as the number may be wrong. Nothing is stored yet.
func (h *heldOrder) takeNumber(ctx context.Context, number string, from numberSource) error {
	o := h.entry
	if o.Reissue == nil {
		if err := h.claimNumber(ctx, number, from); err != nil {
			return err
		}
	}
	o.NotDraft = o.NotDraft || o.Draft
	o.CAOrderID = number
	o.State = StatePending
	h.setDraft(false) // and has the registry know the number
	return nil
}

// claimNumber enters the order in the registry as the one that has the number, or says what else
// has it. Claims to one number wait for each other. A number that CERTInext has answered with is
// taken even when the mount's books cannot be read: it was paid for. Then the order counts as
// Adopted: its certificate or CERTInext's records have yet to prove the number, as they do an
// operator's word.
//
// A certificate of an earlier version that is not in the index yet is looked for when the number is
// an operator's word, and not otherwise, since that reads all certificates. So while the index is
// incomplete, a number that CERTInext answered with may be such a certificate's, and the order does
// not count as Adopted. The download shows it, which has another key ([driver.correctNumber]), and
// nothing is ended by the number before the records were looked at ([heldOrder.confirmNumber]).
func (h *heldOrder) claimNumber(ctx context.Context, number string, from numberSource) error {
	o := h.entry
	claim := certificates.NumberClaim{
		Number: number, Account: o.Account, OrderID: o.ID, Marker: o.marker(),
		Shown: from == numberShown,
	}
	claim.Key, _ = o.publicKey() // without it, the number of no certificate is the order's
	asking, cancel := ctx, context.CancelFunc(func() {})
	if from == numberAnswered {
		asking, cancel = context.WithTimeout(context.WithoutCancel(ctx), numberPatience)
	}
	defer cancel()
	taken := false
	holder, err := h.journal.Certificates.Numbers.Claim(
		asking, h.storage, claim, from == numberByHand, func() string {
			taken = true
			return h.takeRegistered(number)
		})
	if err != nil && !taken && from == numberAnswered {
		holder = h.takeRegistered(number)
		o.Adopted = o.Adopted || holder == ""
		h.journal.Log.Warn("whose a number of CERTInext's is cannot be read now",
			"order_id", o.ID, "ca_order_id", sanitize.Short(number), "error", err)
		err = nil
	}
	if err != nil || holder == "" {
		return err
	}
	return &numberTakenError{number: number, order: o.ID, holder: holder}
}

// takeRegistered is [registry.takeNumber] for the order.
func (h *heldOrder) takeRegistered(number string) (holder string) {
	other := h.journal.registry.takeNumber(h.entry.ID, h.entry.Account, number)
	if other == "" {
		return ""
	}
	return "order " + other
}

// needsIndex reports whether closing the order has to enter its number in the mount's books. The
// certificate of an order has done that already, and so has the order that a reissue belongs to;
// and an order that CERTInext never took has a number by mistake, if at all.
func (o *orderEntry) needsIndex() bool {
	return o.CAOrderID != "" && o.Serial == "" && o.Reissue == nil && o.State != StateFailed
}

// indexNumber enters the number of an order that is closed without a certificate, so that it stays
// the order's. It is stored before the order counts as closed.
func (h *heldOrder) indexNumber(ctx context.Context) error {
	o := h.entry
	if !o.needsIndex() {
		return nil
	}
	return h.journal.Certificates.Numbers.AddOrder(ctx, h.storage, o.CAOrderID,
		certificates.NumberedOrder{Account: o.Account, Role: o.Role, ID: o.ID, Marker: o.marker()})
}

// loseNumber takes back the number that the order has, since CERTInext's order of that number is
// another one. What CERTInext keeps as a draft is that draft again, which nobody has promoted;
// whether it has the order otherwise is in doubt again. Nothing is stored yet.
func (h *heldOrder) loseNumber() {
	o := h.entry
	o.CAOrderID = ""
	o.forgetAnswers()
	if o.DraftRequestID != "" || o.PromotionKey == "" {
		o.CARequestID = o.DraftRequestID // the other order's until now
	}
	switch {
	case o.NotDraft && o.CARequestID != "":
		h.keepAsDraft(o.CARequestID)
		return
	case o.NotDraft:
		h.setDraft(true)
	default:
		h.journal.registry.amend(o)
	}
	o.State, o.Needs, o.dirty = StateUnresolved, unresolvedNeeds(o), true
}

// dropNumber takes back the number that the order has, since it is another order's.
func (d *driver) dropNumber(ctx context.Context, why string) error {
	d.order.note(d.journal.Now(), "CERTInext's order %s is not this order: %s",
		sanitize.Short(d.order.CAOrderID), why)
	d.held.loseNumber()
	d.remote, d.lastErr = nil, nil
	return d.save(ctx)
}

// moveNumber gives the order what CERTInext has it as, in the place of a number that is another
// order's; why says how that was seen. Where that cannot be told, or is a number that another open
// order has, the order has none. What storage does not take stays in memory until it does.
func (d *driver) moveNumber(ctx context.Context, found remoteID, why string) {
	o, was := d.order, sanitize.Short(d.order.CAOrderID)
	switch now := d.journal.Now(); {
	case found.orderID == "" && o.isElsewhere(found):
		o.note(now, "CERTInext does not have the order as %s: %s", was, why)
		d.held.loseNumber()
		d.held.keepAsDraft(found.requestID)
	case found.orderID == "":
		o.note(now, "CERTInext's order %s is not this order: %s", was, why)
		d.held.loseNumber()
	default:
		if err := d.held.takeNumber(ctx, found.orderID, numberShown); err != nil {
			o.note(now, "CERTInext's order %s is not this order: %s; %s", was, why,
				sanitize.Short(err.Error()))
			d.held.loseNumber()
			break
		}
		o.note(now, "CERTInext has the order as %s, and not as %s: %s",
			sanitize.Short(found.orderID), was, why)
		o.LastError, o.CARequestID = "", found.requestID
		o.forgetAnswers()
	}
	d.remote, d.lastErr = nil, nil
	if err := d.save(ctx); err != nil {
		d.failed(err)
	}
}

// correctNumber looks the order up in CERTInext's records after the number that CERTInext gave for
// it has turned out to be wrong. It reports whether the order has that number no more.
func (d *driver) correctNumber(ctx context.Context, why string) bool {
	if d.order.Reissue != nil {
		return false // a reissue has the number of the order that it reissues
	}
	found, err := d.locate(ctx)
	if err != nil || !d.order.isElsewhere(found) {
		return false
	}
	d.moveNumber(ctx, found, why)
	return true
}

// placedForAnother is why a number is not the order's that the records show with another's marker.
const placedForAnother = "CERTInext's records show that it was placed for another order"

// disprovesAdoption looks, once in a drive, into CERTInext's records for whose the number is that
// an operator gave the order: until they or the certificate prove it, it may be another order's,
// which waits for it. It reports whether the order has that number no more.
func (d *driver) disprovesAdoption(ctx context.Context) (moved bool) {
	if !d.order.Adopted || d.tried.lookedUp {
		return false
	}
	d.tried.lookedUp = true
	seen := d.numberInRecords(ctx)
	switch d.order.whoseNumber(seen) {
	case numberOwn:
		d.order.Adopted, d.order.dirty = false, true
	case numberOther:
		d.moveNumber(ctx, seen.found, placedForAnother)
		return true
	case numberUnknown, numberNoRecords, numberUnreadable:
	}
	return false
}

// confirmEnd looks into CERTInext's records before an order is closed that CERTInext has ended by
// the number that it has (ADR 0021): the number may be another order's, and the records may
// disagree. It reports whether the order has that number no more. While the records cannot be read,
// contradict, or do not show the order, it stays open.
func (d *driver) confirmEnd(ctx context.Context) (moved bool) {
	seen := d.numberInRecords(ctx)
	if err := d.judgeEnd(seen); err != nil {
		d.tried.confirmed = false
		d.failed(err)
		return false
	}
	whose := d.order.whoseNumber(seen)
	switch {
	case d.hasCertificate(), whose == numberOwn:
		return false
	case whose == numberOther:
		why := "that order is over"
		if seen.found == (remoteID{}) {
			why = placedForAnother
		}
		d.moveNumber(ctx, seen.found, why)
		return true
	case !d.order.Adopted:
		return false
	}
	if err := d.dropNumber(ctx, "it is over"); err != nil {
		d.failed(err) // kept in memory until storage takes it
	}
	return true
}

// hasCertificate reports whether the order's number is proved by a certificate, its own or the one
// that it reissues.
func (d *driver) hasCertificate() bool { return d.order.Serial != "" || d.order.Reissue != nil }

// judgeEnd returns why it is not believed that CERTInext has ended the order; nil when it is.
func (d *driver) judgeEnd(seen recordsOf) error {
	o, whose := d.order, d.order.whoseNumber(seen)
	now, certain := d.journal.Account.Time()
	shown := seen.found
	if d.hasCertificate() && seen.row != nil {
		shown = idOfRow(*seen.row)
	}
	if o.Reissue != nil && d.remote.Status == certinext.StatusRejected {
		return nil // the order goes on without the reissue
	}
	switch {
	case whose == numberNoRecords:
		return nil
	case whose == numberUnreadable:
		return seen.err
	case shown.orderID == o.CAOrderID && shown.isAlive(now, certain):
		return fmt.Errorf("CERTInext says that the order is %s, and its records show it as %s",
			d.remote.Status, shown.status)
	case whose != numberUnknown || seen.row != nil || o.Adopted || d.hasCertificate():
		return nil
	case certain && now.After(o.FinalSeen.At.Add(d.config.EffectiveAbsentAfter())):
		return nil // records that show no order of the mount's say nothing of this one
	}
	return fmt.Errorf("CERTInext says that the order is %s, "+
		"and its records do not show the order yet", d.remote.Status)
}
