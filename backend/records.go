// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// remoteID is what CERTInext knows an order by, or a draft.
type remoteID struct{ orderID, requestID string }

// records are CERTInext's orders report, as last read. An outage can leave hundreds of orders in doubt, and every page of the
// report costs a call, so one reading serves all of them.
type records struct {
	turn chan struct{} // full while somebody reads
	last *reading
}

// reading is one pass over the report.
type reading struct {
	account  string
	from     time.Time // the oldest orders that were asked for
	started  time.Time
	complete bool
	rows     map[string][]certinext.ReportRow // by marker
}

// readingLife is how long a reading answers for orders that it does not show.
const readingLife = 5 * time.Second

func newRecords() *records { return &records{turn: make(chan struct{}, 1)} }

// find looks for d's order among the orders of its days. The first to ask reads until the order is found; a second one with
// another order reads to the end, for all who follow.
func (r *records) find(ctx context.Context, d *driver) (remoteID, error) {
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return remoteID{}, ctx.Err()
	}
	o, now := d.order, d.engine.now()
	from := o.CreatedAt.Add(-24 * time.Hour)
	fresh := r.last != nil && r.last.answers(o, from, now)
	if fresh {
		if found := r.last.idOf(o); found != (remoteID{}) || r.last.complete {
			return found, nil
		}
	}
	next := &reading{account: o.Account, from: from, started: now, rows: make(map[string][]certinext.ReportRow)}
	r.last = next
	filter := certinext.ReportFilter{From: from, To: now.Add(24 * time.Hour)}
	for row, err := range d.client.OrdersReport(ctx, filter) {
		if err != nil {
			return remoteID{}, err
		}
		next.add(row)
		if found := next.idOf(o); found != (remoteID{}) && !fresh {
			return found, nil
		}
	}
	next.complete = true
	return next.idOf(o), nil
}

// answers reports whether the reading began after the last that is known of o, long enough ago for nobody to mind, and covers
// the days of o.
func (g *reading) answers(o *orderEntry, from, now time.Time) bool {
	return g.account == o.Account && !from.Before(g.from) && g.started.After(o.UpdatedAt) && now.Sub(g.started) < readingLife
}

func (g *reading) add(row certinext.ReportRow) {
	for _, tag := range row.Tags {
		if tag = strings.ToLower(tag); strings.HasPrefix(tag, markerPrefix) {
			g.rows[tag] = append(g.rows[tag], row)
		}
	}
}

// idOf returns what CERTInext knows the order by, if the reading shows it.
func (g *reading) idOf(o *orderEntry) remoteID {
	rows := g.rows[strings.ToLower(o.marker())]
	if i := slices.IndexFunc(rows, o.isRow); i >= 0 {
		return remoteID{rows[i].OrderID, rows[i].RequestID}
	}
	return remoteID{}
}

// isRow reports whether a row of the report is the order's.
func (o *orderEntry) isRow(row certinext.ReportRow) bool {
	return containsFold(row.Tags, o.marker()) &&
		(row.Domain == "" || strings.EqualFold(row.Domain, o.Placement.names()[0])) &&
		(row.OrderID != "" || o.Draft) // else it is the draft that is to be promoted
}

// readAll reads the whole report for the order. Of the other orders in it, it returns one that is among later.
func (d *driver) readAll(ctx context.Context, later map[string]bool) (found remoteID, shown string, err error) {
	for row, err := range d.client.OrdersReport(ctx, certinext.ReportFilter{}) {
		switch {
		case err != nil:
			return remoteID{}, "", err
		case d.order.isRow(row):
			return remoteID{row.OrderID, row.RequestID}, "", nil
		case later[row.OrderID]:
			shown = row.OrderID
		}
	}
	return remoteID{}, shown, nil
}
