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

// A remoteID is what CERTInext calls an order or a draft: a draft has a request id only. The zero
// value is an order that was not found.
type remoteID struct {
	orderID, requestID string
	// status is what the records say of the order; empty when their words are not known.
	status certinext.Status
	// validTill is the end of the certificate's validity; zero unless the order is issued.
	validTill time.Time
}

// An ordersReport is CERTInext's orders report, as it was last read. An outage can leave hundreds
// of orders in doubt, and each page of the report costs a call, so one reading serves all of them.
type ordersReport struct {
	reading chan struct{}   // holds an element while the report is being read
	last    *reportSnapshot // of some days
	all     *reportSnapshot // of all days
}

// A reportSnapshot is one reading of the report.
type reportSnapshot struct {
	account  string
	from     time.Time // the day of the oldest orders in it; zero when it has all
	started  time.Time
	ended    time.Time
	complete bool                             // read to its end
	rows     map[string][]certinext.ReportRow // by marker, in lower case
	numbers  map[string]certinext.ReportRow   // by CERTInext's number
	unmarked map[string][]certinext.ReportRow // without a marker, by domain in lower case
}

func newSnapshot(account string, from, now time.Time) *reportSnapshot {
	return &reportSnapshot{
		account: account, from: from, started: now, ended: now,
		rows:     make(map[string][]certinext.ReportRow),
		numbers:  make(map[string]certinext.ReportRow),
		unmarked: make(map[string][]certinext.ReportRow),
	}
}

const (
	// snapshotLife is how long after its end a snapshot is used.
	snapshotLife = 5 * time.Second
	// reportMargin is how much the report's days may differ from the mount's: their time zone and
	// their exact meaning are not known.
	reportMargin = 72 * time.Hour
)

func newOrdersReport() *ordersReport {
	return &ordersReport{reading: make(chan struct{}, 1)}
}

// errReportBusy is the error when the report was read for other orders until time was up. It says
// nothing about CERTInext.
var errReportBusy = fmt.Errorf("CERTInext's records are being read for other orders: %w",
	context.Canceled)

// lock waits until the report is not being read. The caller calls done when it has read it.
func (r *ordersReport) lock(ctx context.Context) (done func(), err error) {
	select {
	case r.reading <- struct{}{}:
		return func() { <-r.reading }, nil
	case <-ctx.Done():
		return nil, errReportBusy
	}
}

// find looks for d's order among the rows of the order's days; the zero remoteID when they do not
// show it.
func (r *ordersReport) find(ctx context.Context, d *driver) (remoteID, error) {
	found, _, err := r.findRow(ctx, d)
	return found, err
}

// findRow is find, and also returns the row of the number that the order has, whosever that is; nil
// when the rows that were read do not show the number. Without a usable snapshot it reads until it
// finds the order. When a snapshot is usable but ended before this order, it reads to the end, so
// that the next orders need no further reading.
func (r *ordersReport) findRow(
	ctx context.Context, d *driver,
) (found remoteID, byNumber *certinext.ReportRow, err error) {
	done, err := r.lock(ctx)
	if err != nil {
		return remoteID{}, nil, err
	}
	defer done()
	o, now := d.order, d.journal.Now()
	from, to := d.journal.reportDays(o)
	fresh := r.last != nil && r.last.usableFor(o, from, now)
	if fresh {
		if found := r.last.idOf(o); found != (remoteID{}) || r.last.complete {
			return found, r.last.rowOf(o.CAOrderID), nil
		}
	}
	next := newSnapshot(o.Account, from, now)
	r.last = next
	filter := certinext.ReportFilter{From: from, To: to}
	for row, err := range d.client.OrdersReport(ctx, filter) {
		if err != nil {
			return remoteID{}, nil, err
		}
		next.add(row)
		if found := next.idOf(o); found != (remoteID{}) && !fresh {
			next.ended = d.journal.Now()
			return found, next.rowOf(o.CAOrderID), nil
		}
	}
	next.complete, next.ended = true, d.journal.Now()
	return next.idOf(o), next.rowOf(o.CAOrderID), nil
}

// reportDays returns the days of the report to look for the order in. They are the mount's days,
// and CERTInext's, too, when the two clocks are far apart.
func (journal *Journal) reportDays(o *orderEntry) (from, to time.Time) {
	from, to = o.reportDays(journal.Now())
	skew, _ := journal.Account.ClockSkew()
	inDoubt := journal.Account.ClockInDoubt()
	switch {
	case inDoubt && skew < 0:
		from = from.Add(skew)
	case inDoubt:
		to = to.Add(skew)
	}
	return from, to
}

// reportDays returns the days of the report to look for the order in, by the mount's clock.
func (o *orderEntry) reportDays(now time.Time) (from, to time.Time) {
	from, to = o.CreatedAt, now
	if from.After(to) { // the clock was ahead when the order was made, or is behind now
		from, to = to, from
	}
	return from.Add(-reportMargin), to.Add(reportMargin)
}

// usableFor reports whether the snapshot was begun after the entry of o last changed, is not too
// old, and covers the days from the given one on.
func (g *reportSnapshot) usableFor(o *orderEntry, from, now time.Time) bool {
	return account.SameAccount(o.Account, g.account) &&
		!from.Before(g.from) &&
		g.started.After(o.UpdatedAt) &&
		!g.ended.After(now) && // else the mount's clock has been set back since
		now.Sub(g.ended) < snapshotLife
}

// rowOf returns the row of one of CERTInext's numbers; nil when the snapshot does not show it.
func (g *reportSnapshot) rowOf(number string) *certinext.ReportRow {
	if row, shown := g.numbers[number]; shown && number != "" {
		return &row
	}
	return nil
}

func (g *reportSnapshot) add(row certinext.ReportRow) {
	g.numbers[row.OrderID] = row
	marked := false
	for _, tag := range row.Tags {
		if account.IsMarker(tag) {
			marked = true
			tag = strings.ToLower(tag)
			g.rows[tag] = append(g.rows[tag], row)
		}
	}
	if !marked {
		domain := strings.ToLower(row.Domain)
		g.unmarked[domain] = append(g.unmarked[domain], row)
	}
}

// idOf returns what CERTInext calls the order; zero when the snapshot does not show it.
func (g *reportSnapshot) idOf(o *orderEntry) remoteID {
	rows := g.rows[strings.ToLower(o.marker())]
	if i := slices.IndexFunc(rows, o.adoptable); i >= 0 {
		return idOfRow(rows[i])
	}
	return remoteID{}
}

// idOfRow returns what a row says of its order.
func idOfRow(row certinext.ReportRow) remoteID {
	found := remoteID{orderID: row.OrderID, requestID: row.RequestID}
	if status := row.Status(); status.Known() && status != certinext.StatusUnknown {
		found.status = status
	}
	if found.status == certinext.StatusIssued {
		found.validTill = row.ExpiresAt
	}
	return found
}

// isValid reports whether the records show the order as issued, with a certificate that is valid.
// While the clock is not certain, every certificate is.
func (r remoteID) isValid(now time.Time, certain bool) bool {
	return r.status == certinext.StatusIssued && (!certain || r.validTill.After(now))
}

// isAlive reports whether the records show that the order goes on, or that its certificate is
// valid.
func (r remoteID) isAlive(now time.Time, certain bool) bool {
	if r.status == certinext.StatusIssued {
		return r.isValid(now, certain)
	}
	return r.status != "" && !isFinal(r.status)
}

// adoptable reports whether a row of the report is certainly the order's. A row without an order
// number is a draft, which must not be taken for the order that it was to be promoted to.
func (o *orderEntry) adoptable(row certinext.ReportRow) bool {
	return containsFold(row.Tags, o.marker()) && o.mayBeCalled(row.Domain) &&
		(row.OrderID != "" || o.Draft || o.NotDraft)
}

// mayBeCalled reports whether CERTInext may show the order under a domain. What it shows for an
// order with a subject is not known.
func (o *orderEntry) mayBeCalled(domain string) bool {
	return domain == "" || o.Placement.Subject != nil ||
		strings.EqualFold(domain, o.Placement.names()[0])
}

// couldBe reports whether a row without a marker could be the order's.
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

// mayBe reports whether a row without a marker is recent enough to be the order's, and for its
// product.
func (o *orderEntry) mayBe(row certinext.ReportRow) bool {
	if o.Placement.Subject != nil &&
		row.ProductCode != "" && row.ProductCode != o.Placement.ProductCode {
		return false
	}
	return row.OrderedAt.IsZero() || row.OrderedAt.After(o.CreatedAt.Add(-reportMargin))
}

// readAll returns a snapshot of the whole report, of all days: that an order is absent must not
// depend on what the filter by day means.
func (r *ordersReport) readAll(ctx context.Context, d *driver) (*reportSnapshot, error) {
	done, err := r.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	o, now := d.order, d.journal.Now()
	if r.all != nil && r.all.usableFor(o, time.Time{}, now) {
		return r.all, nil
	}
	next := newSnapshot(o.Account, time.Time{}, now)
	for row, err := range d.client.OrdersReport(ctx, certinext.ReportFilter{}) {
		if err != nil {
			return nil, err
		}
		next.add(row)
	}
	next.complete = true
	next.ended = d.journal.Now()
	r.all = next
	return next, nil
}

// shows returns the number of one of the later orders, which are markers by number, that the
// snapshot shows with its marker. It is empty when the order may be among the rows, too: then the
// later orders prove nothing.
func (g *reportSnapshot) shows(o *orderEntry, later map[string]string) string {
	if len(g.rows[strings.ToLower(o.marker())]) > 0 || g.couldBe(o) {
		return ""
	}
	for number, marker := range later {
		isLater := func(row certinext.ReportRow) bool { return row.OrderID == number }
		if slices.ContainsFunc(g.rows[strings.ToLower(marker)], isLater) {
			return number
		}
	}
	return ""
}
