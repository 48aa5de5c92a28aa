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

// reconcile finds out whether CERTInext holds an order whose create was not answered.
func (d *driver) reconcile(ctx context.Context) (done bool, out outcome) {
	o := d.order
	id, err := d.find(ctx)
	now := d.engine.now()
	if errors.Is(err, errNeverTaken) {
		o.LastError = err.Error()
		o.note(now, "CERTInext never took the order: %s", printable(err.Error()))
		return true, outcome{err: d.end(ctx, StateFailed)}
	}
	if err != nil || id == "" {
		o.State = StateUnresolved
		d.setNeeds(unresolvedNeeds(o))
		if err != nil {
			o.LastError = err.Error()
			o.note(now, "looking for the order failed: %s", printable(err.Error()))
		} else {
			o.note(now, "CERTInext's records do not show the order")
		}
		return true, outcome{}
	}
	o.State, o.CAOrderID, o.LastError = StatePending, id, ""
	o.note(now, "found at CERTInext as %s", printable(id))
	if err := d.save(ctx); err != nil {
		return true, outcome{err: err}
	}
	return false, outcome{}
}

// find looks for the order's marker in CERTInext's own records. Where CERTInext is known to answer a repeated
// Idempotency-Key with the first order, asking again by the same key is as good, and the documented API has no records.
func (d *driver) find(ctx context.Context) (string, error) {
	o := d.order
	if d.config.TrustIdempotencyKey && d.engine.now().Before(o.CreatedAt.Add(replayWindow)) {
		return d.replay(ctx)
	}
	filter := certinext.ReportFilter{From: o.CreatedAt.Add(-24 * time.Hour), To: d.engine.now().Add(24 * time.Hour)}
	for row, err := range d.client.OrdersReport(ctx, filter) {
		if err != nil {
			return "", err
		}
		if containsFold(row.Tags, o.marker()) && (row.Domain == "" || strings.EqualFold(row.Domain, o.Placement.names()[0])) {
			return row.OrderID, nil
		}
	}
	return "", nil
}

// replayWindow is how long a service is trusted to remember an Idempotency-Key. No source says how long it does.
const replayWindow = 24 * time.Hour

// errNeverTaken is a repeated create that was refused: the first one did not make an order, or its key would have been known.
var errNeverTaken = errors.New("asked again, CERTInext refused the order")

func (d *driver) replay(ctx context.Context) (string, error) {
	remote, err := d.create(ctx)
	if err != nil {
		if !certinext.MayHaveActed(err) && certinext.HasStatus(err, http.StatusBadRequest, http.StatusUnprocessableEntity) {
			return "", fmt.Errorf("%w: %w", errNeverTaken, err)
		}
		return "", err
	}
	return remote.ID, nil
}
