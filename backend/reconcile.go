// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// unresolvedNeeds says what becomes of an order in doubt.
func unresolvedNeeds(o *orderEntry) []string {
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
	id, err := d.find(ctx)
	now := d.engine.now()
	switch {
	case errors.Is(err, errNeverTaken):
		return true, d.neverTaken(ctx, now, err)
	case err != nil:
		d.lastErr = err
		o.LastError = printable(err.Error())
		o.note(now, "looking for the order failed: %s", printable(err.Error()))
		d.inDoubt()
		return true, outcome{}
	case id == "":
		o.note(now, "CERTInext's records do not show the order")
		d.inDoubt()
		return true, outcome{}
	}
	o.State, o.CAOrderID, o.LastError = StatePending, id, ""
	o.note(now, "found at CERTInext as %s", printable(id))
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
	d.order.LastError = printable(cause.Error())
	d.order.note(now, "%s", printable(cause.Error()))
	if err := d.end(ctx, StateFailed); err != nil {
		return outcome{err: err}
	}
	return outcome{err: &RefusedError{Err: cause}}
}

// find looks for the order's marker in CERTInext's own records. Where CERTInext is known to answer a repeated
// Idempotency-Key with the first order, asking again by the same key is as good, and the documented API has no records.
// It returns "" when the order is not found, which proves nothing, and errNeverTaken when it certainly does not exist.
func (d *driver) find(ctx context.Context) (string, error) {
	o, now := d.order, d.engine.now()
	if d.config.TrustIdempotencyKey && now.Before(o.CreatedAt.Add(replayWindow)) {
		return d.replay(ctx)
	}
	around := certinext.ReportFilter{From: o.CreatedAt.Add(-24 * time.Hour), To: now.Add(24 * time.Hour)}
	id, _, err := d.search(ctx, around, nil)
	if id != "" || err != nil {
		return id, err
	}
	later := d.engine.witnesses.after(witnessOf(o, o.CreatedAt.Add(d.config.absentAfter())))
	if len(later) == 0 {
		return "", nil
	}
	// What the report's filter by day means is not known, and nothing may hang on it now: all records are read.
	id, shown, err := d.search(ctx, certinext.ReportFilter{}, later)
	if id != "" || err != nil || shown == "" {
		return id, err
	}
	return "", fmt.Errorf("%w: its records show order %s, which was placed %s and more after this one, and not this one",
		errNeverTaken, printable(shown), d.config.absentAfter())
}

// search reads the orders report for the order. Of the other orders in it, it returns one that is among later.
func (d *driver) search(ctx context.Context, f certinext.ReportFilter, later map[string]bool) (id, shown string, err error) {
	o := d.order
	for row, err := range d.client.OrdersReport(ctx, f) {
		if err != nil {
			return "", "", err
		}
		if containsFold(row.Tags, o.marker()) && (row.Domain == "" || strings.EqualFold(row.Domain, o.Placement.names()[0])) {
			return row.OrderID, "", nil
		}
		if later[row.OrderID] {
			shown = row.OrderID
		}
	}
	return "", shown, nil
}

// replayWindow is how long a service is trusted to remember an Idempotency-Key. No source says how long it does.
const replayWindow = 24 * time.Hour

func (d *driver) replay(ctx context.Context) (string, error) {
	remote, err := d.create(ctx)
	if err != nil {
		if !certinext.MayHaveActed(err) && certinext.HasStatus(err, http.StatusBadRequest, http.StatusUnprocessableEntity) {
			// Had the first create made an order, its key would be known.
			return "", fmt.Errorf("%w: asked again, it refused: %w", errNeverTaken, err)
		}
		return "", err
	}
	return remote.ID, nil
}
