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
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/internal/phrase"
)

// unresolvedNeeds says what becomes of an order in doubt, and by what an operator can tell. How he
// settles it is for operator/orders to say: a command that makes the next request buy again is none
// that a team is to read here.
func unresolvedNeeds(o *orderEntry) []string {
	if o.Draft {
		return []string{fmt.Sprintf("it is to be a draft, and costs nothing: "+
			"an operator of Vault can settle it, once the draft with the remark %s "+
			"is discarded in CERTInext's portal, or is certainly not there", o.marker())}
	}
	if o.Reissue != nil {
		return []string{fmt.Sprintf("the engine looks at CERTInext's order %s "+
			"until it is known whether it was reissued; "+
			"an operator of Vault who is certain that it was not can settle it",
			sanitize.Short(o.CAOrderID))}
	}
	return []string{
		"the engine looks for the order in CERTInext's records, and never sends it twice",
		fmt.Sprintf("an operator of Vault can settle it, who looks for the remark %s "+
			"in CERTInext's portal", o.marker()),
	}
}

// errNeverTaken is the error for an order in doubt that CERTInext has certainly never taken.
var errNeverTaken = errors.New("CERTInext never took the order")

// reconcile finds out whether CERTInext took an order whose create was not answered. It reports
// whether the drive is over.
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
	err = d.held.takeNumber(ctx, found.orderID, numberShown)
	var taken *numberTakenError
	switch {
	case errors.As(err, &taken):
		o.LastError = sanitize.Short(err.Error())
		o.note(now, "CERTInext has the order under the number of another one: %s", o.LastError)
		d.inDoubt()
		return true, outcome{}
	case err != nil:
		return true, outcome{err: err}
	}
	o.LastError = ""
	o.note(now, "found at CERTInext as %s", sanitize.Short(found.orderID))
	if err := d.save(ctx); err != nil {
		return true, outcome{err: err}
	}
	return false, outcome{}
}

// inDoubt makes the order one of which it is not known whether CERTInext took it.
func (d *driver) inDoubt() {
	d.order.State = StateUnresolved
	d.setNeeds(append(unresolvedNeeds(d.order), presumedNeed(d)...))
}

// neverTaken closes an order that CERTInext never took. The background pass does not send it again,
// since only requests buy: a request that waits for it places a new order (ADR 0009).
func (d *driver) neverTaken(ctx context.Context, now time.Time, cause error) outcome {
	d.order.LastError = sanitize.Short(cause.Error())
	d.order.Presumed = isPresumed(cause)
	d.order.note(now, "%s", sanitize.Short(cause.Error()))
	if err := d.end(ctx, StateFailed); err != nil {
		return outcome{err: err}
	}
	anew := &placeAnewError{id: d.order.ID, cause: sanitize.Short(cause.Error()), never: true}
	return outcome{err: &fault.RefusedError{Err: anew}}
}

// locate looks for the order at CERTInext, mostly by its marker in the orders report. Where
// CERTInext is trusted to answer a repeated Idempotency-Key with the first order, it repeats the
// create instead, since the documented API has no report. It returns the zero remoteID when the
// order is not found, which proves nothing, and [errNeverTaken] when CERTInext certainly never took
// it (ADR 0009).
func (d *driver) locate(ctx context.Context) (remoteID, error) {
	o := d.order
	if o.Reissue != nil {
		return d.findReissue(ctx)
	}
	if d.mayReplay() && d.isKeyRemembered(ctx) {
		return d.replay(ctx)
	}
	later := d.wouldProve()
	var (
		found remoteID
		shown string
		gone  *reading // a whole one that leaves the order out
	)
	absent := len(later) > 0 || wantsWhole(d)
	err := d.journal.report.ask(ctx, d, lookFor(d, absent, func(g *reading) {
		found, shown, gone = g.idOf(o), g.shows(o, later), nil
		if leavesOut(d, g) {
			gone = g
		}
	}))
	switch {
	case found != (remoteID{}) || err != nil:
		return found, err
	case shown == "" && gone != nil:
		return remoteID{}, presume(ctx, d, gone)
	case shown == "":
		return remoteID{}, nil
	}
	return remoteID{}, fmt.Errorf("%w: its records show order %s, "+
		"which was placed at least %s after this one, and not this one",
		errNeverTaken, sanitize.Short(shown), phrase.Duration(d.config.EffectiveAbsentAfter()))
}

// wouldProve returns the later orders, which are markers by number, that prove the order absent if
// the records show one of them and not the order. There are none for a draft: it is not known
// whether the records show drafts.
func (d *driver) wouldProve() map[string]string {
	o := d.order
	if o.Draft {
		return nil
	}
	after := d.journal.registry.lastAsked(o.ID).Add(d.config.EffectiveAbsentAfter())
	later := d.journal.laterOrders.list(laterOrderOf(o, after))
	if len(later) == 0 {
		return nil
	}
	return later
}

// locatePlaced looks for the order at CERTInext without ever repeating the create. It returns the
// zero remoteID when the order is not found. What has become of a draft, only a new row of it says.
func (d *driver) locatePlaced(ctx context.Context) (remoteID, error) {
	if d.order.Reissue == nil {
		return d.journal.report.findNow(ctx, d, d.order.State == StateDraft)
	}
	found, err := d.findReissue(ctx)
	if errors.Is(err, errNeverTaken) {
		return remoteID{}, nil
	}
	return found, err
}

// sendsKey reports whether the order was sent with an Idempotency-Key, and would be again. Version
// 1 of the API has none: it refuses a repeated create because of its CSR (observed: EMS-1099),
// which says nothing about the first one.
func (d *driver) sendsKey() bool {
	return !d.order.Placement.Keyless && !keyless(d.config, d.order.Placement.Family)
}

// keyless reports whether orders of a family are placed through version 1 of the API.
func keyless(cfg *account.Config, family certinext.Family) bool {
	return cfg.Version() == certinext.V1 || family == certinext.FamilySMIME
}

// replayWindow is how long CERTInext is trusted to remember an Idempotency-Key. How long it does is
// not documented.
const replayWindow = 24 * time.Hour

// mayReplay reports whether the create may be repeated with its Idempotency-Key to find the order.
// That buys an order that never arrived, so not while ordering is paused. And a create may take
// minutes, so not for a caller that waits for an answer only.
func (d *driver) mayReplay() bool {
	return d.config.TrustIdempotencyKey && d.sendsKey() && !d.order.KeyUsed &&
		d.config.MayOrder() == nil && !d.purpose.isHurried()
}

// isKeyRemembered reports whether CERTInext certainly remembers the create's Idempotency-Key: by a
// clock that is known to be right, which CERTInext is asked for if it has told no time yet.
func (d *driver) isKeyRemembered(ctx context.Context) bool {
	if _, seen := d.journal.Account.ClockSkew(); !seen {
		d.journal.Account.LearnClock(ctx, d.storage)
	}
	now, certain := d.journal.Account.Time()
	age := now.Sub(d.order.askedAt())
	return certain && age >= 0 && age < replayWindow
}

// replay repeats the create with its Idempotency-Key, and returns what CERTInext calls the order
// then. CERTInext may take the order only now: that its records have left it out before says
// nothing any more, which is stored before it is sent.
func (d *driver) replay(ctx context.Context) (remoteID, error) {
	if !d.order.LeftOutSince.IsZero() {
		d.order.LeftOutSince, d.order.dirty = time.Time{}, true
		if err := d.save(ctx); err != nil {
			return remoteID{}, err
		}
	}
	remote, err := d.create(ctx)
	if err != nil {
		refused := certinext.HasStatus(err, http.StatusBadRequest, http.StatusUnprocessableEntity)
		switch {
		case !refused || certinext.MayHaveActed(err):
		case certinext.HasCode(err, codeKeyUsed):
			d.order.KeyUsed, d.order.dirty = true, true
		default:
			// If the first create had made an order, CERTInext would know its key.
			return remoteID{}, fmt.Errorf("%w: asked again, it refused: %w", errNeverTaken, err)
		}
		return remoteID{}, err
	}
	return remoteID{orderID: remote.ID, requestID: remote.RequestID}, nil
}
