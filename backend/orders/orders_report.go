// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// remoteID is what CERTInext knows an order by, or a draft.
type remoteID struct {
	orderID, requestID string
	// validTill is the end of its certificate where the records show it as issued, and else zero.
	validTill time.Time
}

// records are CERTInext's orders report, as last read. An outage can leave hundreds of orders in doubt, and every page of the
// report costs a call, so one reading serves all of them.
type ordersReport struct {
	turn chan struct{}   // full while somebody reads
	last *reportSnapshot // of some days
	all  *reportSnapshot // of all days
}

// reading is one pass over the report.
type reportSnapshot struct {
	account  string
	from     time.Time // the oldest orders that were asked for
	started  time.Time
	ended    time.Time
	complete bool
	rows     map[string][]certinext.ReportRow // by marker
	unmarked map[string][]certinext.ReportRow // that carry nobody's, by domain
}

func newSnapshot(account string, from, now time.Time) *reportSnapshot {
	return &reportSnapshot{
		account: account, from: from, started: now, ended: now,
		rows: make(map[string][]certinext.ReportRow), unmarked: make(map[string][]certinext.ReportRow),
	}
}

const (
	// snapshotLife is how long after its end a reading answers for orders that it does not show.
	snapshotLife = 5 * time.Second
	// reportMargin is how far the report's days may be from ours: their zone and meaning are not known.
	reportMargin = 72 * time.Hour
)

func newOrdersReport() *ordersReport { return &ordersReport{turn: make(chan struct{}, 1)} }

// errQueued is a reading that others were busy with until time was up. It says nothing of CERTInext.
var errQueued = fmt.Errorf("CERTInext's records are being read for other orders: %w", context.Canceled)

func (r *ordersReport) lock(ctx context.Context) (done func(), err error) {
	select {
	case r.turn <- struct{}{}:
		return func() { <-r.turn }, nil
	case <-ctx.Done():
		return nil, errQueued
	}
}

// find looks for d's order among the orders of its days. The first to ask reads until the order is found; a second one with
// another order reads to the end, for all who follow.
func (r *ordersReport) find(ctx context.Context, d *driver) (remoteID, error) {
	done, err := r.lock(ctx)
	if err != nil {
		return remoteID{}, err
	}
	defer done()
	o, now := d.order, d.journal.Now()
	from, to := d.journal.reportDays(o)
	fresh := r.last != nil && r.last.answers(o, from, now)
	if fresh {
		if found := r.last.idOf(o); found != (remoteID{}) || r.last.complete {
			return found, nil
		}
	}
	next := newSnapshot(o.Account, from, now)
	r.last = next
	filter := certinext.ReportFilter{From: from, To: to}
	for row, err := range d.client.OrdersReport(ctx, filter) {
		if err != nil {
			return remoteID{}, err
		}
		next.add(row)
		if found := next.idOf(o); found != (remoteID{}) && !fresh {
			next.ended = d.journal.Now()
			return found, nil
		}
	}
	next.complete, next.ended = true, d.journal.Now()
	return next.idOf(o), nil
}

// reportDays are the days of the report in which the order is: by our clock, and by CERTInext's, too, where the two are far apart.
func (journal *Journal) reportDays(o *orderEntry) (from, to time.Time) {
	from, to = o.reportDays(journal.Now())
	if skew, _ := journal.Account.ClockSkew(); journal.Account.ClockInDoubt() && skew < 0 {
		from = from.Add(skew)
	} else if journal.Account.ClockInDoubt() {
		to = to.Add(skew)
	}
	return from, to
}

// reportDays are the days of the report in which the order is, by our clock.
func (o *orderEntry) reportDays(now time.Time) (from, to time.Time) {
	from, to = o.CreatedAt, now
	if from.After(to) { // our clock was ahead when the order was made, or is behind now
		from, to = to, from
	}
	return from.Add(-reportMargin), to.Add(reportMargin)
}

// answers reports whether the reading began after the last that is known of o, long enough ago for nobody to mind, and covers
// the days of o.
func (g *reportSnapshot) answers(o *orderEntry, from, now time.Time) bool {
	return account.SameAccount(o.Account, g.account) && !from.Before(g.from) && g.started.After(o.UpdatedAt) && now.Sub(g.ended) < snapshotLife
}

func (g *reportSnapshot) add(row certinext.ReportRow) {
	marked := false
	for _, tag := range row.Tags {
		if account.IsMarker(tag) {
			tag, marked = strings.ToLower(tag), true
			g.rows[tag] = append(g.rows[tag], row)
		}
	}
	if domain := strings.ToLower(row.Domain); !marked {
		g.unmarked[domain] = append(g.unmarked[domain], row)
	}
}

// idOf returns what CERTInext knows the order by, if the reading shows it.
func (g *reportSnapshot) idOf(o *orderEntry) remoteID {
	rows := g.rows[strings.ToLower(o.marker())]
	if i := slices.IndexFunc(rows, o.adoptable); i >= 0 {
		found := remoteID{orderID: rows[i].OrderID, requestID: rows[i].RequestID}
		if rows[i].Status() == certinext.StatusIssued {
			found.validTill = rows[i].ExpiresAt
		}
		return found
	}
	return remoteID{}
}

// adoptable reports whether a row of the report is the order's, without a doubt.
func (o *orderEntry) adoptable(row certinext.ReportRow) bool {
	return containsFold(row.Tags, o.marker()) && o.mayBeCalled(row.Domain) &&
		(row.OrderID != "" || o.Draft || o.NotDraft) // else it is the draft that is to be promoted
}

// mayBeCalled reports whether CERTInext may call the order by this domain. What it calls one that has a subject is not known.
func (o *orderEntry) mayBeCalled(domain string) bool {
	return domain == "" || o.Placement.Subject != nil || strings.EqualFold(domain, o.Placement.names()[0])
}

// couldBe reports whether a row that carries nobody's marker could be the order's.
func (g *reportSnapshot) couldBe(o *orderEntry) bool {
	if o.Placement.Subject == nil {
		return slices.ContainsFunc(g.unmarked[strings.ToLower(o.Placement.names()[0])], o.mayBe)
	}
	for _, rows := range g.unmarked {
		if slices.ContainsFunc(rows, o.mayBe) {
			return true
		}
	}
	return false
}

// mayBe reports whether a row that carries nobody's marker is recent enough, and for a product, to be the order's.
func (o *orderEntry) mayBe(row certinext.ReportRow) bool {
	if o.Placement.Subject != nil && row.ProductCode != "" && row.ProductCode != o.Placement.ProductCode {
		return false
	}
	return row.OrderedAt.IsZero() || row.OrderedAt.After(o.CreatedAt.Add(-reportMargin))
}

// whole returns a reading of the whole report, whatever the days: what follows from an order's absence must not hang on what
// the filter by day means.
func (r *ordersReport) readAll(ctx context.Context, d *driver) (*reportSnapshot, error) {
	done, err := r.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	o, now := d.order, d.journal.Now()
	if r.all != nil && r.all.answers(o, time.Time{}, now) {
		return r.all, nil
	}
	next := newSnapshot(o.Account, time.Time{}, now)
	for row, err := range d.client.OrdersReport(ctx, certinext.ReportFilter{}) {
		if err != nil {
			return nil, err
		}
		next.add(row)
	}
	next.complete, next.ended, r.all = true, d.journal.Now(), next
	return next, nil
}

// shows returns one of the orders among later that the reading shows with its marker. It is empty when a row could be o's, so
// that nothing follows from the rest.
func (g *reportSnapshot) shows(o *orderEntry, later map[string]string) string {
	if len(g.rows[strings.ToLower(o.marker())]) > 0 || g.couldBe(o) {
		return ""
	}
	for number, marker := range later {
		if slices.ContainsFunc(g.rows[strings.ToLower(marker)], func(row certinext.ReportRow) bool { return row.OrderID == number }) {
			return number
		}
	}
	return ""
}
