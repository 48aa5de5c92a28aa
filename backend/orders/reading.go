// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// A reading is one reading of CERTInext's orders report, page by page, over as many looks as it
// takes (ADR 0029). Of the rows of others it keeps hashes only, so that its size is bounded: the
// rows themselves are kept when they may be the mount's.
//
// Nothing is known of the order of the rows, and new orders may move rows to other pages between
// two answers. So it does not count pages. It is complete when an answer announces exactly as many
// rows as the reading has seen different orders: since no order leaves the report, it has then seen
// every one that the report holds at the moment of that answer.
type reading struct {
	seed  maphash.Seed
	begun time.Time // by the clock that nobody sets

	state   readingState
	ended   time.Time // by the clock that nobody sets; the zero time while the reading goes on
	largest int       // number of rows of the largest page
	total   int       // rows of the report by the latest answer; -1 when it does not say
	pages   int       // pages of it; -1 when it does not say
	calls   int       // pages that were read, repeated ones included

	// A sweep goes through all pages. The next one shows what has come, or moved, meanwhile.
	sweep  map[int]bool // pages that this one has read
	since  int          // rows of the report when it began
	fresh  bool         // it has shown an order that was not known before
	sweeps int          // that have ended
	spared int          // in a row that were begun again before their end

	seen   map[uint64]struct{} // numbers; nil once the reading has ended
	orders int                 // different orders among them, at the least

	marked   map[uint64]struct{}              // markers, the mount's and others'
	unmarked map[uint64]time.Time             // without a marker: by domain, the latest order
	products map[string]time.Time             // without a marker: by product, the latest order
	nameless map[string]time.Time             // the same of those without a domain, too
	byMarker map[string][]certinext.ReportRow // the mount's rows, by marker in lower case
	byNumber map[string]certinext.ReportRow   // the mount's rows, by CERTInext's number
	own      map[string]ownPlace              // of the orders whose sequence is known, by number
	told     map[string]bool                  // the orders, by id, that have had an answer
	whole    bool                             // somebody needs all of it
}

// A readingState is how far a reading is.
type readingState int

const (
	readingOn       readingState = iota // there are pages left to read
	readingComplete                     // it has seen every order in the report
	readingOver                         // there is nothing left to read, and orders are missing
	readingMoved                        // an order has left the report: it proves nothing
)

// An ownPlace is where the reading has seen an order that this process has placed.
type ownPlace struct {
	taken       time.Time // when CERTInext had answered that it took the order
	page, index int
}

// A rowOrder is which end of the report holds the newest orders.
type rowOrder int

const (
	orderUnknown rowOrder = iota
	newestFirst
	oldestFirst
)

// maxSweeps is how often a reading goes through all pages. One that still misses orders then, of a
// report whose rows are in another order with every answer, ends.
const maxSweeps = 4

// maxSpared is how many sweeps in a row may begin again because the report has grown.
const maxSpared = 20

// maxReportPages bounds a report that never ends.
const maxReportPages = 10_000

func newReading(now time.Time) *reading {
	return &reading{
		seed: maphash.MakeSeed(), begun: now, total: -1, pages: -1,
		sweep:    make(map[int]bool),
		seen:     make(map[uint64]struct{}),
		marked:   make(map[uint64]struct{}),
		unmarked: make(map[uint64]time.Time),
		products: make(map[string]time.Time),
		nameless: make(map[string]time.Time),
		byMarker: make(map[string][]certinext.ReportRow),
		byNumber: make(map[string]certinext.ReportRow),
		own:      make(map[string]ownPlace),
		told:     make(map[string]bool),
	}
}

// next returns the page to read next: first the two ends, one of which holds the newest orders, and
// then the others, from the end that is known to hold them.
func (g *reading) next() int {
	switch {
	case !g.sweep[1]:
		return 1
	case g.pages < 0:
		return len(g.sweep) + 1
	case len(g.sweep) == 1:
		return g.pages
	}
	page, step := 1, 1
	if g.rowOrder() == oldestFirst {
		page, step = g.pages, -1
	}
	for g.sweep[page] {
		page += step
	}
	return page
}

// add takes in a page. keeps says which rows may be the mount's, and taken when CERTInext had taken
// the orders, by number, whose sequence is known.
func (g *reading) add(
	number int, p certinext.ReportPage, now time.Time,
	keeps func(certinext.ReportRow) bool, taken map[string]time.Time,
) {
	shrunk := p.Total < g.total
	if p.Total > g.total && g.rowOrder() != oldestFirst {
		g.dropAhead(number)
	}
	if len(g.sweep) == 0 {
		g.since = p.Total
	}
	g.total, g.pages, g.calls = p.Total, p.Pages, g.calls+1
	g.largest = max(g.largest, len(p.Rows))
	before := g.orders
	for i, row := range p.Rows {
		g.addRow(row, keeps(row))
		if at, known := taken[row.OrderID]; known {
			g.own[row.OrderID] = ownPlace{taken: at, page: number, index: i}
		}
	}
	g.fresh = g.fresh || g.orders > before
	g.sweep[number] = true
	g.state = g.judge(shrunk, len(p.Rows) == 0 || g.orders == before)
	if g.state != readingOn {
		g.ended, g.seen = now, nil
	}
}

// dropAhead forgets which pages the sweep has read ahead of its way from the first page to one that
// it reads now: new orders may have moved rows to them since.
func (g *reading) dropAhead(number int) {
	way := 1
	for g.sweep[way] || way == number {
		way++
	}
	maps.DeleteFunc(g.sweep, func(page int, _ bool) bool { return page >= way })
}

// judge returns how far the reading is after a page. The last page of a report that announces no
// number of pages is empty, or repeats what was there.
func (g *reading) judge(shrunk, nothingNew bool) readingState {
	switch {
	case shrunk, g.total >= 0 && g.orders > g.total:
		return readingMoved
	case g.orders == g.total && !g.contradictsItself():
		return readingComplete
	case g.pages < 0 && !nothingNew && len(g.sweep) < maxReportPages:
		return readingOn
	case g.pages > maxReportPages:
		return readingOver
	case g.pages >= 0 && !g.hasSwept():
		g.catchUp(nothingNew)
		return readingOn
	}
	g.sweeps, g.spared = g.sweeps+1, 0
	if !g.fresh || g.total < 0 || g.sweeps == maxSweeps {
		return readingOver
	}
	clear(g.sweep)
	g.fresh = false
	return readingOn
}

// contradictsItself reports whether the latest answer announces more pages than its rows fill: then
// the number of rows is that of a page, or of some time ago, and proves nothing.
func (g *reading) contradictsItself() bool {
	return g.pages > 1 && g.total <= (g.pages-1)*g.largest
}

// catchUp begins the sweep again when it only reads what came during the one before, has got beyond
// that, and more has come meanwhile.
func (g *reading) catchUp(nothingNew bool) {
	isBeyond := g.sweeps > 0 && len(g.sweep) > 2 && nothingNew // the ends are read in any case
	if isBeyond && g.total > g.since && g.spared < maxSpared {
		clear(g.sweep)
		g.spared++
	}
}

// hasSwept reports whether the sweep has read all pages that the report has now.
func (g *reading) hasSwept() bool {
	for page := 1; page <= g.pages; page++ {
		if !g.sweep[page] {
			return false
		}
	}
	return true
}

// addRow takes in a row.
func (g *reading) addRow(row certinext.ReportRow, keep bool) {
	if g.isNew(row) {
		g.orders++
	}
	isMarked := false
	for _, tag := range row.Tags {
		if account.IsMarker(tag) {
			isMarked = true
			g.marked[g.hash(strings.ToLower(tag))] = struct{}{}
		}
	}
	if !isMarked {
		g.addUnmarked(row)
	}
	if keep {
		g.keep(row)
	}
}

// isNew reports whether a row is of an order that was not seen before. A draft that is promoted
// between two answers keeps its request number, and an order that is reissued its order number. So
// an order counts once at most, and a row without any number never does.
func (g *reading) isNew(row certinext.ReportRow) bool {
	const order, ordered, draft = "order/", "ordered/", "draft/"
	switch {
	case row.OrderID != "":
		isKnown := g.hasSeen(order+row.OrderID) ||
			(row.RequestID != "" && g.hasSeen(draft+row.RequestID))
		g.see(order + row.OrderID)
		g.see(ordered + row.RequestID)
		return !isKnown
	case row.RequestID != "":
		isKnown := g.hasSeen(draft+row.RequestID) || g.hasSeen(ordered+row.RequestID)
		g.see(draft + row.RequestID)
		return !isKnown
	}
	return false
}

func (g *reading) hasSeen(what string) bool {
	_, seen := g.seen[g.hash(what)]
	return seen
}

func (g *reading) see(what string) { g.seen[g.hash(what)] = struct{}{} }

// addUnmarked takes in a row without a marker, which could be an order of the mount's whose tags
// CERTInext does not show.
func (g *reading) addUnmarked(row certinext.ReportRow) {
	at := row.OrderedAt
	if at.IsZero() {
		at = farFuture
	}
	if h := g.hash(strings.ToLower(row.Domain)); at.After(g.unmarked[h]) {
		g.unmarked[h] = at
	}
	addLatest(g.products, row.ProductCode, at)
	if row.Domain == "" {
		addLatest(g.nameless, row.ProductCode, at)
	}
}

// addLatest remembers the latest order of a product. That of "" could be of any product, and so
// could be those beyond maxProducts.
func addLatest(latest map[string]time.Time, product string, at time.Time) {
	if at.After(latest[product]) && len(latest) < maxProducts {
		latest[product] = at
	}
	if len(latest) == maxProducts {
		latest[""] = farFuture
	}
}

// farFuture is later than any order: it stands for a time that is not known.
var farFuture = time.Date(9999, time.January, 1, 0, 0, 0, 0, time.UTC)

// maxProducts bounds the products of which a reading remembers a row.
const maxProducts = 1000

// keep remembers a row of the mount's. A row that is seen again takes the earlier one's place, as
// does the row of an order that of the draft that it was.
func (g *reading) keep(row certinext.ReportRow) {
	g.byNumber[row.OrderID] = row
	for _, tag := range row.Tags {
		if !account.IsMarker(tag) {
			continue
		}
		tag = strings.ToLower(tag)
		rows := slices.DeleteFunc(g.byMarker[tag], func(r certinext.ReportRow) bool {
			return r.RequestID == row.RequestID && (r.OrderID == row.OrderID || r.OrderID == "")
		})
		g.byMarker[tag] = append(rows, row)
	}
}

func (g *reading) hash(s string) uint64 { return maphash.String(g.seed, s) }

// rowOrder returns which end holds the newest orders, as far as the mount's own prove it: two or
// more, all in the same order.
func (g *reading) rowOrder() rowOrder {
	places := make([]ownPlace, 0, len(g.own))
	for _, p := range g.own {
		places = append(places, p)
	}
	slices.SortFunc(places, func(a, b ownPlace) int { return a.taken.Compare(b.taken) })
	proven := orderUnknown
	for i := 1; i < len(places); i++ {
		next := newestFirst
		if places[i-1].isBefore(places[i]) {
			next = oldestFirst
		}
		if proven != orderUnknown && proven != next {
			return orderUnknown
		}
		proven = next
	}
	return proven
}

// isBefore reports whether p is nearer to the beginning of the report than q.
func (p ownPlace) isBefore(q ownPlace) bool {
	return p.page < q.page || (p.page == q.page && p.index < q.index)
}

// isBelow reports whether the reading has seen all rows from the end that holds the newest orders
// to one that CERTInext had certainly taken before a time. An order that it was asked for after
// that time is not in the rest of the report, unless the rows are in another order than the mount's
// own prove: so this ends a look, and proves nothing.
func (g *reading) isBelow(asked time.Time) bool {
	from := g.rowOrder()
	if from == orderUnknown {
		return false
	}
	for _, p := range g.own {
		if p.taken.Before(asked) && g.hasReadTo(p.page, from) {
			return true
		}
	}
	return false
}

// hasReadTo reports whether the sweep has read all pages from the end with the newest orders to a
// page.
func (g *reading) hasReadTo(page int, from rowOrder) bool {
	first, last := 1, page
	if from == oldestFirst {
		first, last = page, g.pages
	}
	for n := first; n <= last; n++ {
		if !g.sweep[n] {
			return false
		}
	}
	return true
}

// idOf returns what CERTInext calls the order; zero when the reading has not shown it.
func (g *reading) idOf(o *orderEntry) remoteID {
	rows := g.byMarker[strings.ToLower(o.marker())]
	if i := slices.IndexFunc(rows, o.adoptable); i >= 0 {
		return idOfRow(rows[i])
	}
	return remoteID{}
}

// rowOf returns the row of one of CERTInext's numbers; nil when the reading has not kept it.
func (g *reading) rowOf(number string) *certinext.ReportRow {
	if row, shown := g.byNumber[number]; shown && number != "" {
		return &row
	}
	return nil
}

// mayShow reports whether the order may be among the rows: its marker is there, whatever else the
// row says, or a row without a marker that could be its own.
func (g *reading) mayShow(o *orderEntry) bool {
	_, shown := g.marked[g.hash(strings.ToLower(o.marker()))]
	return shown || g.couldBe(o)
}

// couldBe reports whether a row without a marker could be the order's: one that is recent enough,
// and of a name like one of its own, or without any, or, where it is not known what CERTInext shows
// as its name, of its product.
func (g *reading) couldBe(o *orderEntry) bool {
	bound := time.Time{} // every order came after that
	if !o.NotBefore.IsZero() {
		bound = o.NotBefore.Add(-reportMargin)
	}
	ofProduct := func(latest map[string]time.Time) bool {
		return latest[""].After(bound) || latest[o.Placement.ProductCode].After(bound)
	}
	if o.Placement.Subject != nil {
		return ofProduct(g.products)
	}
	for _, name := range o.Placement.names() {
		if slices.ContainsFunc(alike(name), func(other string) bool {
			return g.unmarked[g.hash(other)].After(bound)
		}) {
			return true
		}
	}
	return ofProduct(g.nameless)
}

// alike returns the names, in lower case, under which CERTInext may show an order for a name: it,
// those above it, and what it may have added to it.
func alike(name string) []string {
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	names := []string{name, name + ".", "www." + name, "*." + name}
	for {
		_, above, found := strings.Cut(name, ".")
		if !found || !strings.Contains(above, ".") {
			return names
		}
		name = above
		names = append(names, name, "*."+name)
	}
}

// shows returns the number of one of the later orders, which are markers by number, that the
// complete reading shows with its marker. It is empty when the order may be among the rows, too:
// then the later orders prove nothing.
func (g *reading) shows(o *orderEntry, later map[string]string) string {
	if g.state != readingComplete || g.mayShow(o) {
		return ""
	}
	for number, marker := range later {
		isLater := func(row certinext.ReportRow) bool { return row.OrderID == number }
		if slices.ContainsFunc(g.byMarker[strings.ToLower(marker)], isLater) {
			return number
		}
	}
	return ""
}
