// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package inventory

import (
	"hash/maphash"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// A walk is one reading of CERTInext's orders report for a synchronization, page by page. It is
// pure: it decides which page is next, which rows are to be looked at, and when all was seen. Of
// each row it keeps two hashes, so that its size is bounded.
//
// Nothing is documented of the order of the rows, and new orders move rows to other pages between
// two answers. So pages are not counted: the walk is whole once an answer announces exactly as many
// rows as it has seen different orders (ADR 0029). Until then it goes through all pages again,
// which shows what has come, or moved, meanwhile.
type walk struct {
	page  int // the page to read next; the first is 1
	sweep int // how often all pages were gone through
	moved int // how often the report has become shorter while it was read
	total int // rows of the report by the latest answer; -1 when it does not say
	state walkState

	seed    maphash.Seed
	seen    map[uint64]uint64 // what the latest row of a number said, by the number
	orders  int               // different orders among them, at the least
	largest int               // rows of the largest page
	fresh   bool              // this sweep has shown an order that was not seen before
	idle    int               // pages in a row, up to the latest, that have shown none
}

// A walkState is how far a walk is.
type walkState int

const (
	walkOn    walkState = iota // there are pages left to read
	walkWhole                  // it has seen every order in the report
	walkOver                   // nothing is left to read, and it is not certain that all was seen
)

const (
	// maxSweeps is how often a walk goes through all pages, and maxMoved how often it begins anew
	// because an order has left the report.
	maxSweeps = 4
	maxMoved  = 3
	// maxPages bounds a report that never ends, and maxIdle one that announces more pages than its
	// rows fill: it ends after as many pages in a row that show nothing new.
	maxPages = 10_000
	maxIdle  = 20
)

// newWalk returns a walk that begins with a page, which is not the first one when an earlier
// process has read those before it.
func newWalk(page int) *walk {
	return &walk{
		page: min(max(page, 1), maxPages), total: -1, fresh: page > 1,
		seed: maphash.MakeSeed(), seen: make(map[uint64]uint64),
	}
}

// A sighting is a row that is to be looked at. It is new when no row of its order was seen before;
// otherwise that said something else.
type sighting struct {
	row   certinext.ReportRow
	isNew bool
}

// add takes in the page that was to be read next, and returns which of its rows are to be looked
// at.
func (w *walk) add(p certinext.ReportPage) []sighting {
	if (p.Total >= 0 && p.Total < w.total) || (p.Total >= 0 && w.orders > p.Total) {
		w.beginAnew()
	}
	w.total = p.Total
	w.largest = max(w.largest, len(p.Rows))
	before := w.orders
	var out []sighting
	for _, row := range p.Rows {
		if isNew, changed := w.see(row); changed {
			out = append(out, sighting{row: row, isNew: isNew})
		}
	}
	w.fresh = w.fresh || w.orders > before
	w.state = w.next(p, w.orders > before)
	return out
}

// beginAnew forgets what was seen, since an order has left the report: the walk could not be whole
// with it. The page that is being taken in is followed by the first one.
func (w *walk) beginAnew() {
	clear(w.seen)
	w.orders, w.page, w.moved, w.fresh = 0, 0, w.moved+1, false
}

// next moves on to the next page, and returns how far the walk is.
func (w *walk) next(p certinext.ReportPage, shownNew bool) walkState {
	contradicts := p.Pages > 1 && p.Total <= (p.Pages-1)*w.largest
	w.idle++
	if shownNew {
		w.idle = 0
	}
	switch {
	case w.total >= 0 && w.orders == w.total && !contradicts:
		return walkWhole
	case w.moved > maxMoved:
		return walkOver
	case w.page >= maxPages, contradicts && w.idle >= maxIdle:
	case p.Pages >= 0 && w.page < p.Pages, p.Pages < 0 && shownNew:
		w.page++
		return walkOn
	}
	w.sweep++
	if !w.fresh || w.total < 0 || w.sweep >= maxSweeps {
		return walkOver
	}
	w.page, w.fresh = 1, false
	return walkOn
}

// see notes a row. It reports whether its order was not seen before, and whether the row is to be
// looked at. A draft that is promoted between two answers keeps its request number; a row without
// any number counts as no order.
func (w *walk) see(row certinext.ReportRow) (isNew, changed bool) {
	const order, ordered, draft = "order/", "ordered/", "draft/"
	switch {
	case row.OrderID != "":
		isNew = !w.has(order+row.OrderID) && (row.RequestID == "" || !w.has(draft+row.RequestID))
		changed = w.note(order+row.OrderID, strings.Join([]string{
			row.OrderStatus, row.CertificateStatus, row.SerialNumber,
		}, "\n"))
		w.note(ordered+row.RequestID, "")
	case row.RequestID != "":
		isNew = !w.has(draft+row.RequestID) && !w.has(ordered+row.RequestID)
		w.note(draft+row.RequestID, "")
	}
	if isNew {
		w.orders++
	}
	return isNew, changed
}

func (w *walk) has(what string) bool {
	_, seen := w.seen[maphash.String(w.seed, what)]
	return seen
}

// note notes what the row of a number says, and reports whether that is new.
func (w *walk) note(what, says string) bool {
	key, now := maphash.String(w.seed, what), maphash.String(w.seed, says)
	before, seen := w.seen[key]
	w.seen[key] = now
	return !seen || before != now
}
