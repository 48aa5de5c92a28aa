// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync/atomic"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
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

// An ordersReport is CERTInext's orders report, of which one reading at a time serves all orders
// that look for something in it. An outage can leave hundreds of orders in doubt, each page costs a
// call, and a report of many pages takes longer than any of them may look. So the reading belongs
// to none of them: each reads on from where the others have come to (ADR 0029).
type ordersReport struct {
	turn chan struct{} // holds an element while a page is being read; guards what follows
	of   *certinext.Client
	read *certinext.ReportPages
	now  *reading // nil when there is none
	used time.Time
	last lastReading
	put  map[string]time.Time // when questions were put that a reading has to follow
	look map[string]time.Time // CERTInext's numbers whose rows are looked for, likewise

	behind chan struct{} // holds an element while the background pass looks for an order
	isLong atomic.Bool   // the reading that goes on takes longer than others may wait
}

// A lastReading is the latest reading that went through all pages.
type lastReading struct {
	begun, ended time.Time // by the clock that nobody sets
	pages        int
}

const (
	// shortReport is how many pages are read anew with every look.
	shortReport = 10
	// After a reading of a longer report the next one waits: for each page, pauseAfterOthers when
	// that reading could not serve the order, and pauseAfterOwn when it did. So 300 pages of 0.3 s
	// are read once an hour for an order that they do not show.
	pauseAfterOthers = time.Second
	pauseAfterOwn    = 12 * time.Second
	// lookPatience is how long a look reads on, and lookReserve what it leaves of its caller's time
	// for storing what was found.
	lookPatience = 45 * time.Second
	lookReserve  = 3 * time.Second
	// behindPatience is how long the background pass waits with an order while it looks for another
	// one.
	behindPatience = 5 * time.Second
	// endedLife is how long a reading that has ended answers, idleLife how long one that goes on
	// waits for somebody to read on, and putLife how long a question waits to be put again.
	endedLife = 5 * time.Minute
	idleLife  = 2 * time.Hour
	putLife   = time.Hour
	// reportMargin is how much the report's days may differ from the mount's: their time zone and
	// their exact meaning are not known.
	reportMargin = 72 * time.Hour
)

func newOrdersReport() *ordersReport {
	return &ordersReport{
		turn: make(chan struct{}, 1), behind: make(chan struct{}, 1),
		put: make(map[string]time.Time), look: make(map[string]time.Time),
	}
}

// The first three say nothing about CERTInext.
var (
	errReportBusy = fmt.Errorf("CERTInext's records are being read for other orders: %w",
		context.Canceled)
	errReadOn = fmt.Errorf("CERTInext's records are long, and will be read on: %w",
		context.Canceled)
	errReadLater = fmt.Errorf("CERTInext's records are long, and were read a short while ago: %w",
		context.Canceled)
	errReportMoved = errors.New(
		"CERTInext's records show fewer orders than a moment before, and will be read anew")
	errReportIncomplete = errors.New("CERTInext's records show fewer orders than they announce")
)

// A question is what is asked of the report.
type question struct {
	key string // who asks for what: a reading answers it once
	// found reports whether the reading shows what is looked for, which ends the look.
	found func(*reading) bool
	// take takes the answer, while nobody reads on: what is found, or else that the reading does
	// not show it.
	take func(*reading)
	// A reading that began earlier, or ended earlier, does not answer that something is not there.
	begun, ended time.Time
	// fresh wants what is found from such a reading, too.
	fresh bool
	// asked, unless it is zero, ends a look below the newest order that was certainly taken before
	// that time: what is looked for was asked of CERTInext then. Only the first time does it, once
	// overdue is set and no reading since has gone through all pages.
	asked   time.Time
	overdue bool
	// patient is for a look that may be put off without an answer, urgent for one that may not be
	// put off.
	patient, urgent bool
}

// ask answers a question of an order, as far as the time goes. An error says that there is no
// answer yet: the next look reads on.
func (r *ordersReport) ask(ctx context.Context, d *driver, q question) error {
	leave, err := r.enter(ctx, d)
	if err != nil {
		return err
	}
	defer leave()
	end := time.Now().Add(lookPatience)
	if deadline, ok := ctx.Deadline(); ok && deadline.Add(-lookReserve).Before(end) {
		end = deadline.Add(-lookReserve)
	}
	for answered := false; !answered; {
		select {
		case r.turn <- struct{}{}:
		case <-ctx.Done():
			return errReportBusy
		}
		answered, err = r.step(ctx, d, q, time.Until(end) > 0)
		<-r.turn
		if err != nil {
			return err
		}
	}
	return nil
}

// enter lets the background pass look for one order at a time in a report of many pages: its
// workers have others to do. The order of which that keeps it is looked for with the next pass.
func (r *ordersReport) enter(ctx context.Context, d *driver) (leave func(), err error) {
	if d.purpose != forNobody {
		return func() {}, nil
	}
	leave = func() { <-r.behind }
	select {
	case r.behind <- struct{}{}:
		return leave, nil
	default:
	}
	if r.isLong.Load() {
		return nil, errReportBusy
	}
	ctx, cancel := context.WithTimeout(ctx, behindPatience)
	defer cancel()
	select {
	case r.behind <- struct{}{}:
		return leave, nil
	case <-ctx.Done():
		return nil, errReportBusy
	}
}

// step answers a question or, if there is time, reads a page for it. The caller holds the turn.
func (r *ordersReport) step(
	ctx context.Context, d *driver, q question, hasTime bool,
) (answered bool, err error) {
	now := d.journal.Steady()
	r.tidy(now)
	if r.of != d.client {
		r.of, r.now, r.last = d.client, nil, lastReading{}
	}
	r.used = now
	switch verdict := r.now.answer(q, r.last); {
	case verdict == answerHere:
		q.take(r.now)
		r.now.told[q.key] = true
		delete(r.put, q.key)
		return true, r.now.missing()
	case verdict == answerAnew && r.last.pauses(q, now) && q.patient:
		return true, nil
	case verdict == answerAnew && r.last.pauses(q, now):
		return false, errReadLater
	case !hasTime:
		return false, errReadOn
	case verdict == answerAnew:
		r.now, r.read = newReading(now), d.client.ReportPages()
	}
	return false, r.readPage(ctx, d, q)
}

// readPage reads the next page.
func (r *ordersReport) readPage(ctx context.Context, d *driver, q question) error {
	g, taken := r.now, d.journal.laterOrders.taken()
	g.whole = g.whole || !q.mayEndBelow(taken, r.last)
	number := g.next()
	p, err := r.read.Read(ctx, number)
	if err != nil {
		return err
	}
	g.add(number, p, d.journal.Steady(), d.journal.ownRows(r.look, taken), taken)
	r.isLong.Store(g.state == readingOn && g.pages > shortReport)
	if g.state != readingOn {
		r.last = lastReading{begun: g.begun, ended: g.ended, pages: g.calls}
	}
	if g.state == readingMoved {
		r.now = nil
		return errReportMoved
	}
	return nil
}

// tidy drops what nobody needs any more. The caller holds the turn.
func (r *ordersReport) tidy(now time.Time) {
	old := func(_ string, at time.Time) bool { return now.Sub(at) > putLife }
	maps.DeleteFunc(r.put, old)
	maps.DeleteFunc(r.look, old)
	if g := r.now; g != nil && g.isOld(r.used, now) {
		r.now, r.read = nil, nil
		r.isLong.Store(false)
	}
}

// isOld reports whether a reading that was used last at a time is of no use any more.
func (g *reading) isOld(used, now time.Time) bool {
	if g.state == readingOn {
		return now.Sub(used) > idleLife
	}
	return now.Sub(g.ended) > endedLife
}

// forgetOld drops a reading that nobody needs any more, unless a page is being read.
func (r *ordersReport) forgetOld(now time.Time) {
	select {
	case r.turn <- struct{}{}:
		r.tidy(now)
		<-r.turn
	default:
	}
}

// since returns when a question was first put to which no answer was given yet: now, or when an
// earlier call's time was up.
func (r *ordersReport) since(
	ctx context.Context, key, number string, now time.Time,
) (time.Time, error) {
	select {
	case r.turn <- struct{}{}:
	case <-ctx.Done():
		return time.Time{}, errReportBusy
	}
	defer func() { <-r.turn }()
	r.tidy(now)
	if _, known := r.put[key]; !known {
		r.put[key] = now
	}
	if number != "" {
		r.look[number] = now
	}
	return r.put[key], nil
}

// pauses reports whether a new reading for the question has to wait.
func (l lastReading) pauses(q question, now time.Time) bool {
	if l.pages <= shortReport || q.urgent {
		return false
	}
	pause := pauseAfterOwn
	if l.begun.Before(q.begun) {
		pause = pauseAfterOthers
	}
	return now.Before(l.ended.Add(time.Duration(l.pages) * pause))
}

// An answerability says how a question can be answered.
type answerability int

const (
	answerHere  answerability = iota // by the reading, as it is
	answerLater                      // once the reading has gone on
	answerAnew                       // by a new reading
)

// answer returns how a question can be answered. The reading is nil when there is none.
func (g *reading) answer(q question, last lastReading) answerability {
	switch {
	case g == nil:
		return answerAnew
	case q.found(g) && g.tells(q):
		return answerHere
	case g.state != readingOn && (g.told[q.key] || !g.answers(q)):
		return answerAnew
	case g.state != readingOn:
		return answerHere
	case g.told[q.key] && !g.whole:
		return answerAnew
	case g.told[q.key] && q.patient:
		return answerHere // it has read on since, for others
	case q.endsBelow(g, last):
		return answerHere
	}
	return answerLater
}

// tells reports whether what a reading shows is new enough for the question.
func (g *reading) tells(q question) bool {
	return (!q.fresh || !g.begun.Before(q.begun)) &&
		(g.state == readingOn || !g.ended.Before(q.ended))
}

// answers reports whether a reading that has ended tells that what it does not show is not there.
func (g *reading) answers(q question) bool {
	return !g.begun.Before(q.begun) && !g.ended.Before(q.ended)
}

// endsBelow reports whether a look ends with what was read, since the rest of the report is older.
func (q question) endsBelow(g *reading, last lastReading) bool {
	return q.mayEndEarly(last) && !g.begun.Before(q.begun) && g.isBelow(q.asked)
}

func (q question) mayEndEarly(last lastReading) bool {
	return !q.asked.IsZero() && (!q.overdue || !last.begun.Before(q.asked))
}

// mayEndBelow reports whether a look may end before all was read, below one of the orders, which
// are the times by number when CERTInext had taken them.
func (q question) mayEndBelow(taken map[string]time.Time, last lastReading) bool {
	for _, at := range taken {
		if at.Before(q.asked) {
			return q.mayEndEarly(last)
		}
	}
	return false
}

// missing returns an error when the reading has ended and misses orders that the report announces.
func (g *reading) missing() error {
	if g.state == readingOver && g.total >= 0 {
		return errReportIncomplete
	}
	return nil
}

// ownRows returns a function that says whether a row may be that of one of the mount's open orders,
// of one of its later orders, or of one of the numbers that are looked for.
func (journal *Journal) ownRows(
	look, later map[string]time.Time,
) func(certinext.ReportRow) bool {
	markers, numbers := journal.registry.inRecords()
	return func(row certinext.ReportRow) bool {
		_, isLater := later[row.OrderID]
		_, isLookedFor := look[row.OrderID]
		if isLater || isLookedFor || numbers[row.OrderID] {
			return true
		}
		for _, tag := range row.Tags {
			if markers[strings.ToLower(tag)] {
				return true
			}
		}
		return false
	}
}

// lookFor returns the question for an order of which it is not known whether CERTInext took it.
// Proof that it did not is wanted when absent is set (ADR 0009).
func lookFor(d *driver, absent bool, take func(*reading)) question {
	o, r := d.order, &d.journal.registry
	asked, after := r.lastAsked(o.ID), d.config.EffectiveAbsentAfter()
	q := question{
		key: "order/" + o.ID, begun: asked, take: take, patient: true,
		found: func(g *reading) bool { return g.idOf(o) != (remoteID{}) },
	}
	switch {
	case absent:
		q.begun = asked.Add(after)
	case o.PromotedAt.IsZero(): // a promoted draft's row may be as old as the draft
		q.asked, q.overdue = asked, d.sinceAsked() >= after
	}
	return q
}

// findRow looks for the order, of which CERTInext has said for some time what it says now, and also
// returns the row of the number that the order has, whosever that is; nil when the report does not
// show the number.
func (r *ordersReport) findRow(
	ctx context.Context, d *driver,
) (found remoteID, byNumber *certinext.ReportRow, err error) {
	o := d.order
	err = r.ask(ctx, d, question{
		key: "number/" + o.ID, begun: steadyAt(d.journal.Host, o.FinalSeen.At), fresh: true,
		found: func(g *reading) bool { return g.idOf(o) != (remoteID{}) },
		take:  func(g *reading) { found, byNumber = g.idOf(o), g.rowOf(o.CAOrderID) },
	})
	return found, byNumber, err
}

// steadyAt returns what the clock that nobody sets told at a stored time, at the latest: now, when
// the other clock was set back since.
func steadyAt(on *host.Host, at time.Time) time.Time {
	return on.Steady().Add(-max(on.Now().Sub(at), 0))
}

// findNow looks for the order in the report as it is now, or was since a person's first such call
// whose time was up before the answer. Its own rows have to be as new, if fresh is set.
func (r *ordersReport) findNow(
	ctx context.Context, d *driver, fresh bool,
) (found remoteID, err error) {
	o, key := d.order, "now/"+d.order.ID
	put, err := r.since(ctx, key, "", d.journal.Steady())
	if err != nil {
		return remoteID{}, err
	}
	q := question{
		key: key, ended: put, urgent: true,
		found: func(g *reading) bool { return g.idOf(o) != (remoteID{}) },
		take:  func(g *reading) { found = g.idOf(o) },
	}
	if fresh {
		q.begun, q.fresh = put, true
	}
	err = r.ask(ctx, d, q)
	return found, err
}

// rowUnder returns the row of one of CERTInext's numbers as the report shows it now; nil when it
// does not.
func (r *ordersReport) rowUnder(
	ctx context.Context, d *driver, number string,
) (row *certinext.ReportRow, err error) {
	key := "under/" + number
	put, err := r.since(ctx, key, number, d.journal.Steady())
	if err != nil {
		return nil, err
	}
	err = r.ask(ctx, d, question{
		key: key, begun: put, urgent: true,
		found: func(g *reading) bool { return g.rowOf(number) != nil },
		take:  func(g *reading) { row = g.rowOf(number) },
	})
	return row, err
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
