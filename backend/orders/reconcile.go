// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// unresolvedNeeds says what becomes of an order in doubt.
func unresolvedNeeds(o *orderEntry) []string {
	if o.Draft {
		return []string{fmt.Sprintf("it is to be a draft, and costs nothing: an operator who has discarded the draft with the remark %s in CERTInext's portal, "+
			"or is certain that it is not there, writes never_placed=true to orders/%s/%s", o.marker(), o.Role, o.ID)}
	}
	if o.Reissue != nil {
		return []string{fmt.Sprintf("the engine looks at CERTInext's order %s until it is known whether it was reissued; an operator who is certain that it "+
			"was not writes never_placed=true to orders/%s/%s", sanitize.Short(o.CAOrderID), o.Role, o.ID)}
	}
	return []string{
		"the engine looks for the order in CERTInext's records, and never sends it twice",
		fmt.Sprintf("an operator who finds it in CERTInext's portal, by the remark %s, settles it by writing ca_order_id to orders/%s/%s; "+
			"one who is certain that it is not there, by writing never_placed=true", o.marker(), o.Role, o.ID),
	}
}

// errNeverTaken is an order in doubt of which CERTInext has certainly never heard.
var errNeverTaken = errors.New("CERTInext never took the order")

// reconcile finds out whether CERTInext holds an order whose create was not answered.
func (d *driver) reconcile(ctx context.Context) (done bool, out outcome) {
	o := d.order
	found, err := d.locate(ctx)
	now := d.journal.Now()
	switch {
	case errors.Is(err, errNeverTaken) && o.promoting():
		return true, d.stillDraft(ctx, err)
	case errors.Is(err, errNeverTaken):
		return true, d.neverTaken(ctx, now, err)
	case err != nil:
		d.lastErr = err
		o.LastError = sanitize.Short(err.Error())
		o.note(now, "looking for the order failed: %s", sanitize.Short(err.Error()))
		d.inDoubt()
		return true, outcome{}
	case found.orderID == "" && found.requestID == "":
		o.note(now, "CERTInext's records do not show the order")
		d.inDoubt()
		return true, outcome{}
	}
	if found.orderID == "" {
		d.held.keepAsDraft(found.requestID)
		return true, outcome{err: d.save(ctx)}
	}
	d.held.setDraft(false)
	o.State, o.CAOrderID, o.LastError = StatePending, found.orderID, ""
	o.note(now, "found at CERTInext as %s", sanitize.Short(found.orderID))
	if err := d.save(ctx); err != nil {
		return true, outcome{err: err}
	}
	return false, outcome{}
}

func (d *driver) inDoubt() {
	d.order.State = StateUnresolved
	d.setNeeds(unresolvedNeeds(d.order))
}

// neverTaken closes an order that CERTInext does not hold. Only a request buys, so it is not sent again by itself: a request
// that waits for it goes on with a new order.
func (d *driver) neverTaken(ctx context.Context, now time.Time, cause error) outcome {
	d.order.LastError = sanitize.Short(cause.Error())
	d.order.note(now, "%s", sanitize.Short(cause.Error()))
	if err := d.end(ctx, StateFailed); err != nil {
		return outcome{err: err}
	}
	return outcome{err: &fault.RefusedError{Err: &placeAnewError{id: d.order.ID, cause: sanitize.Short(cause.Error()), never: true}}}
}

// find looks for the order's marker in CERTInext's own records. Where CERTInext is known to answer a repeated
// Idempotency-Key with the first order, asking again by the same key is as good, and the documented API has no records.
// It returns nothing when the order is not found, which proves nothing, and errNeverTaken when it certainly does not exist.
func (d *driver) locate(ctx context.Context) (remoteID, error) {
	o, now := d.order, d.journal.Now()
	if o.Reissue != nil {
		return d.findReissue(ctx)
	}
	if d.mayReplay() && now.Before(o.askedAt().Add(replayWindow)) {
		return d.replay(ctx)
	}
	found, err := d.journal.report.find(ctx, d)
	if found != (remoteID{}) || err != nil || o.Draft {
		return found, err // that the records show drafts is not known, so the absence of one says nothing
	}
	later := d.journal.laterOrders.pruneAndList(laterOrderOf(o, d.knownSince().Add(d.config.EffectiveAbsentAfter())), now)
	if len(later) == 0 {
		return remoteID{}, nil
	}
	all, err := d.journal.report.readAll(ctx, d)
	if err != nil {
		return remoteID{}, err
	}
	if found := all.idOf(o); found != (remoteID{}) {
		return found, nil
	}
	shown := all.shows(o, later)
	if shown == "" {
		return remoteID{}, nil
	}
	return remoteID{}, fmt.Errorf("%w: its records show order %s, which was placed %s and more after this one, and not this one",
		errNeverTaken, sanitize.Short(shown), d.config.EffectiveAbsentAfter())
}

// lookFor looks for the order at CERTInext, and nowhere asks for it again.
func (d *driver) locatePlaced(ctx context.Context) (remoteID, error) {
	if d.order.Reissue == nil {
		return d.journal.report.find(ctx, d)
	}
	found, err := d.findReissue(ctx)
	if errors.Is(err, errNeverTaken) {
		return remoteID{}, nil
	}
	return found, err
}

// keyed reports whether the order was, and would be, sent with an Idempotency-Key: version 1 of the API knows none. There a repeated
// create is refused because of its CSR (observed: EMS-1099), which says nothing of the first.
func (d *driver) keyed() bool {
	return !d.order.Placement.Keyless && !keyless(d.config, d.order.Placement.Family)
}

// keyless reports whether orders of a family go through version 1.
func keyless(cfg *account.Config, family certinext.Family) bool {
	return cfg.Version() == certinext.V1 || family == certinext.FamilySMIME
}

// knownSince is when CERTInext was asked for the order, by the clock of this process: an order of an earlier one, perhaps on
// another node, counts from this one's beginning.
func (d *driver) knownSince() time.Time {
	asked, now := d.order.askedAt(), d.journal.Now()
	if asked.After(now) {
		asked = now // by a clock that has been set right since
	}
	if asked.After(d.journal.begun) && !d.journal.begun.After(now) {
		return asked
	}
	return host.Earlier(d.journal.begun, now)
}

// replayWindow is how long a service is trusted to remember an Idempotency-Key. No source says how long it does.
const replayWindow = 24 * time.Hour

// mayReplay reports whether asking again by the same key is a way to find the order. An order that never arrived is bought that way, so not
// while ordering is paused; and a create may take minutes, so not for somebody who waits for an answer.
func (d *driver) mayReplay() bool {
	return d.config.TrustIdempotencyKey && d.keyed() && d.config.MayOrder() == nil && !d.purpose.isHurried()
}

func (d *driver) replay(ctx context.Context) (remoteID, error) {
	d.order.AskedAgainAt = d.journal.Now()
	if err := d.save(ctx); err != nil {
		return remoteID{}, err
	}
	remote, err := d.create(ctx)
	if err != nil {
		if !certinext.MayHaveActed(err) && !certinext.HasCode(err, codeKeyUsed) && certinext.HasStatus(err, http.StatusBadRequest, http.StatusUnprocessableEntity) {
			// Had the first create made an order, its key would be known.
			return remoteID{}, fmt.Errorf("%w: asked again, it refused: %w", errNeverTaken, err)
		}
		return remoteID{}, err
	}
	return remoteID{orderID: remote.ID, requestID: remote.RequestID}, nil
}
