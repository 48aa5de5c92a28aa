// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package reconciliation

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/money"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/ledger"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// Books are the orders of a mount beside the movements of CERTInext's ledger.
type Books struct {
	query  Query
	orders []*entry
	// chains have, by CERTInext's number, an order and its reissues. byRequest has the orders by
	// CERTInext's number of the request, which each reissue has its own of.
	chains    map[string]*chain
	byRequest map[string]*entry

	rows      int
	strangers int                 // rows that are about no order that was added
	numbers   map[string]struct{} // of orders that such rows name
}

// maxNumbers is how many numbers of strange orders are kept.
const maxNumbers = 1000

// An entry is an order in the books.
type entry struct {
	Order
	selected bool
	within   *entry // of a reissue: its order, if that was added
	outcome
}

// An outcome is what the ledger shows of an order.
type outcome struct {
	seen     bool // the ledger has a charge of the order, or says that there is none
	charged  sum
	refunded sum
	verdict  Verdict // of a reissue
}

// A sum is an amount of one currency.
type sum struct {
	amount   money.Amount
	currency string // empty when no row has told it
	// unclear is set when something has to be added whose amount, or currency, is not known.
	unclear bool
}

func (s *sum) add(m movement) {
	clash := s.currency != "" && m.Currency != "" && s.currency != m.Currency
	if !m.Exact || clash {
		s.unclear = true
		return
	}
	s.amount = s.amount.Plus(m.Amount)
	if s.currency == "" {
		s.currency = m.Currency
	}
}

// A chain is an order and its reissues, which have one number.
type chain struct {
	order     *entry // nil when it was not added
	reissues  []*entry
	movements []movement
	unclear   bool // a row is about it that cannot be read
	shared    bool // a row is about it and other orders
	notes     map[string]struct{}
}

// hasNote reports whether a row with the number of a credit note was taken in before, and notes it.
func (c *chain) hasNote(number string) bool {
	if number == "" {
		return false
	}
	_, known := c.notes[number]
	if c.notes == nil {
		c.notes = make(map[string]struct{})
	}
	c.notes[number] = struct{}{}
	return known
}

// A movement is a row of the ledger about a chain.
type movement struct {
	ledger.Row
	of *entry // the order whose request the row names; nil when it names the number alone
	// words are those of the row that may be a request of an order that was not added yet.
	words []string
}

// maxWords is how many words of a row are kept.
const maxWords = 8

// NewBooks returns empty books for a query, which is valid.
func NewBooks(q Query) *Books {
	return &Books{
		query: q.withDefaults(), chains: make(map[string]*chain),
		byRequest: make(map[string]*entry), numbers: make(map[string]struct{}),
	}
}

// Add adds an order. All orders have to be added before the first row of the ledger, those too that
// the query does not select: what the ledger says of them is then known to be about them.
func (b *Books) Add(o Order) {
	e := &entry{Order: o, selected: b.query.selects(&o)}
	b.orders = append(b.orders, e)
	if o.Number == "" || o.Elsewhere {
		e.verdict = o.ReissueCharged // no ledger that is read says more
		return
	}
	// A reissue that CERTInext has not answered yet has the request of its order.
	if known := b.byRequest[o.Request]; o.Request != "" && (known == nil || known.Reissue) {
		b.byRequest[o.Request] = e
	}
	c := b.chains[o.Number]
	if c == nil {
		c = new(chain)
		b.chains[o.Number] = c
	}
	if o.Reissue || c.order != nil {
		c.reissues = append(c.reissues, e)
	} else {
		c.order = e
	}
}

// Row takes in a row of the ledger.
func (b *Books) Row(row certinext.LedgerRow) {
	b.rows++
	own := ledger.OrderOf(row)
	of, about := b.about(row, own)
	switch {
	case len(about) == 0:
		b.strangers++
		if own != "" && len(own) <= maxNumberLength && len(b.numbers) < maxNumbers {
			b.numbers[own] = struct{}{}
		}
	case len(about) > 1:
		for c := range about {
			c.shared = true
		}
	}
	if len(about) != 1 {
		return
	}
	for c := range about {
		if c.hasNote(ledger.Text(row["creditNoteNumber"])) {
			return // a page that has moved while it was read shows a row twice
		}
		m := movement{Row: ledger.Read(row), of: of}
		if of == nil && own != "" {
			m.words = requestsIn(row, own)
		}
		if m.Kind == ledger.Unclear {
			c.unclear = true
			return
		}
		c.movements = append(c.movements, m)
	}
}

// requestsIn returns the words of a row about an order's number that may be a request.
func requestsIn(row certinext.LedgerRow, own string) (words []string) {
	for word := range ledger.Words(row) {
		isNumber := strings.ContainsAny(word, "0123456789") && len(word) <= maxNumberLength
		if isNumber && word != own && len(words) < maxWords {
			words = append(words, word)
		}
	}
	return words
}

// Split returns an order of each chain of which the books may have a part only, since the others
// were not read, and whose movements may be for another part: each of them once.
func (b *Books) Split() (some []Order) {
	for _, c := range b.chains {
		first := c.payer()
		if len(c.movements) > 1 || (c.order == nil && len(c.movements) > 0) {
			some = append(some, first.Order)
		}
	}
	slices.SortFunc(some, func(a, b Order) int { return strings.Compare(a.ID, b.ID) })
	return some
}

// AddOutside adds an order of a chain after the ledger was read: it is in no row and no difference,
// and what the ledger shows of it is no other order's. One that was added is not added again.
func (b *Books) AddOutside(o Order) {
	c := b.chains[o.Number]
	if c == nil || o.Elsewhere || c.has(o.ID) {
		return
	}
	e := &entry{Order: o}
	if o.Reissue || c.order != nil {
		c.reissues = append(c.reissues, e)
	} else {
		c.order = e
	}
	if o.Request == "" {
		return
	}
	for i := range c.movements {
		if m := &c.movements[i]; m.of == nil && slices.Contains(m.words, o.Request) {
			m.of = e
		}
	}
}

// Unsure notes that an order's chain was not read to its end, so that what was charged for which
// part of it is not known.
func (b *Books) Unsure(o Order) {
	if c := b.chains[o.Number]; c != nil {
		c.unclear = true
	}
}

// has reports whether an order is in the chain.
func (c *chain) has(id string) bool {
	return (c.order != nil && c.order.ID == id) ||
		slices.ContainsFunc(c.reissues, func(e *entry) bool { return e.ID == id })
}

// maxNumberLength bounds a number of CERTInext's (observed: 10 digits and a suffix).
const maxNumberLength = 64

// about returns the chains that a row is about, and the order whose request it names. A row with a
// member for an order's number is about that order, whatever else it says.
func (b *Books) about(row certinext.LedgerRow, own string) (of *entry, about map[*chain]struct{}) {
	about = make(map[*chain]struct{})
	if c := b.chains[own]; own != "" && c != nil {
		about[c] = struct{}{}
	}
	for word := range ledger.Words(row) {
		e := b.byRequest[word]
		if e != nil && (own == "" || own == e.Number || own == e.Request) {
			of = e
			about[b.chains[e.Number]] = struct{}{}
		}
		if c := b.chains[word]; own == "" && c != nil {
			about[c] = struct{}{}
		}
	}
	return of, about
}

// Strangers returns the numbers of orders that rows of the ledger name and that were not added, at
// most a thousand of them.
func (b *Books) Strangers() []string {
	out := make([]string, 0, len(b.numbers))
	for number := range b.numbers {
		out = append(out, number)
	}
	return out
}

// settle finds out what each movement was for. whole is whether the ledger was read to its end. It
// comes to the same for whatever part of the chain was added first.
func (c *chain) settle(whole bool) (extra int) {
	slices.SortStableFunc(c.reissues, func(a, b *entry) int {
		return cmp.Or(a.At.Compare(b.At), strings.Compare(a.ID, b.ID))
	})
	loose := c.attribute()
	if c.order != nil {
		if !c.order.seen && len(loose) > 0 {
			i := c.order.likely(loose)
			c.order.charge(loose[i])
			loose = append(loose[:i:i], loose[i+1:]...)
		}
	} else if len(loose) > 0 {
		loose = loose[1:] // that of the order, which is not looked at
	}
	for _, e := range c.reissues {
		e.within = c.order
		if !e.seen && len(loose) > 0 {
			e.charge(loose[0])
			loose = loose[1:]
		}
	}
	for _, m := range loose {
		if c.order != nil {
			c.order.charge(m)
			extra++
		}
	}
	c.judge(whole)
	return extra
}

// attribute gives credits, and charges that name a request, to their orders, and returns the
// charges that name the number alone.
func (c *chain) attribute() (loose []movement) {
	for _, m := range c.movements {
		of := m.of
		if of == nil && m.Kind == ledger.Credit {
			of = c.payer()
		}
		switch {
		case m.Kind == ledger.Credit:
			of.refunded.add(m)
		case of != nil:
			of.charge(m)
		default:
			loose = append(loose, m)
		}
	}
	return loose
}

// payer returns the order that what is paid back was paid for, as far as no row says otherwise.
func (c *chain) payer() *entry {
	if c.order != nil {
		return c.order
	}
	return c.reissues[0]
}

// judge says of each reissue whether it was charged.
func (c *chain) judge(whole bool) {
	shown := len(c.movements) > 0 && whole && !c.unclear && !c.shared
	for _, e := range c.reissues {
		switch {
		case e.seen && e.charged.amount > 0, e.seen && e.charged.unclear:
			e.verdict = Yes
		case e.ReissueCharged == Yes:
			e.verdict = Yes
			e.charged.unclear = true // the ledger did show it
		case e.seen, shown:
			e.verdict, e.seen = No, true
		default:
			e.verdict = Unknown
		}
	}
	if c.order != nil && (c.unclear || c.shared) {
		c.order.charged.unclear = true
	}
}

// charge adds what was charged for an order.
func (e *entry) charge(m movement) {
	e.seen = true
	e.charged.add(m)
}

// likely returns which of some charges is the order's own: the one that is its price, else the
// first by its date, else the first that the ledger shows.
func (e *entry) likely(loose []movement) int {
	first, at := 0, time.Time{}
	for i, m := range loose {
		if e.Priced && m.Exact && m.Amount == e.Price {
			return i
		}
		if !m.Day.IsZero() && (at.IsZero() || m.Day.Before(at)) {
			first, at = i, m.Day
		}
	}
	return first
}
