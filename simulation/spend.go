// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
)

// listPrice is what an order of the public product costs in histories where that costs anything, in
// whole units of money. In the others CERTInext's catalog says 0.0, and its ledger has no rows, as
// in every account that was observed.
const listPrice = 150

// pricedManners decides whether orders cost anything. It is drawn apart, too.
func pricedManners(seed uint64) bool {
	d := &dice{Rand: rand.New(rand.NewPCG(seed, 7))} //nolint:gosec // it has to be repeatable
	return d.IntN(2) == 0
}

// putPrices has CERTInext ask a price, and show in its ledger what it has charged.
func putPrices(ca *certinexttest.Server, m Manners) {
	if !m.Priced {
		return
	}
	ca.Catalog = certinexttest.SandboxCatalog()
	ca.Catalog[0].Years = map[string]string{"1 Year": fmt.Sprintf("%d.00", listPrice)}
}

// A spent is what the report, or CERTInext's own books, say of the public product.
type spent struct {
	Orders, Reissues            int
	Expected, Charged, Refunded string
}

// judgeSpending compares what reports/spend says with CERTInext's own books, once all is calm. It
// leaves out histories after which the journal may differ from these books by what their promises
// allow: a restored snapshot, another account, or an operator who was wrong.
func judgeSpending(w *world) {
	c := w.send(&call{
		what: "spending", op: logical.ReadOperation, path: "reports/spend", who: operator,
		data: map[string]any{"product": "842", "group_by": "product"},
	})
	w.until(w.idle, longestCall)
	if c.resp == nil || c.resp.IsError() {
		w.violate("spend/refused", "the report of what was spent says: %s", c.answered())
		return
	}
	rows, _ := c.resp.Data["spend"].([]map[string]any)
	for _, row := range rows {
		judgeUnknown(w, row)
	}
	if len(w.rollbacks) > 0 || w.moved || w.unconfigured || len(w.books.settled) > 0 ||
		len(w.books.typed) > 0 || len(w.books.unverified) > 0 || len(w.upkeep.orders) > 0 ||
		len(w.upkeep.adoptions) > 0 || usesSelf(w) {
		return
	}
	said, truth := spentBy(rows), spentIn(w)
	if said != truth {
		w.violate("spend/books", "the report says %+v, and CERTInext's books say %+v: %v", said,
			truth, c.resp.Data)
	}
}

// judgeUnknown checks that what is not known is never shown as nothing.
func judgeUnknown(w *world, row map[string]any) {
	orders, _ := row["orders"].(int)
	if w.manners.Priced || orders == 0 {
		return
	}
	for _, field := range []string{"expected", "charged", "refunded"} {
		if row[field] != "unknown" {
			w.violate("spend/zero", "nothing is known of what %d orders cost, and %s is %v", orders,
				field, row[field])
		}
	}
}

// spentBy adds up the rows of a report.
func spentBy(rows []map[string]any) spent {
	var s spent
	sums := map[string]int{}
	known := true
	for _, row := range rows {
		orders, _ := row["orders"].(int)
		reissues, _ := row["reissues"].(int)
		s.Orders, s.Reissues = s.Orders+orders, s.Reissues+reissues
		for _, field := range []string{"expected", "charged", "refunded"} {
			text, _ := row[field].(string)
			n, ok := centsIn(text)
			sums[field] += n
			known = known && ok
		}
	}
	if !known {
		s.Expected, s.Charged, s.Refunded = unknownMoney, unknownMoney, unknownMoney
		return s
	}
	s.Expected, s.Charged = cents(sums["expected"]), cents(sums["charged"])
	s.Refunded = cents(sums["refunded"])
	return s
}

const unknownMoney = "unknown"

func cents(n int) string { return fmt.Sprintf("%d.%02d", n/100, n%100) }

// centsIn reads an amount such as -150.00; ok is false when text is none.
func centsIn(text string) (n int, ok bool) {
	n, err := strconv.Atoi(strings.Replace(text, ".", "", 1))
	return n, err == nil && strings.Index(text, ".") == len(text)-3
}

// spentIn is what CERTInext's own books say of this mount's orders.
func spentIn(w *world) spent {
	var s spent
	mine := make(map[string]bool)
	for _, o := range ordersOf(w) {
		if paid(o) && o.ProductCode == "842" && !isForeign(w, &o) {
			mine[o.ID] = true
			s.Orders++
		}
	}
	charged, refunded := 0, 0
	for _, m := range w.ca.Ledger() {
		if !mine[m.OrderID] {
			continue
		}
		amount, _ := centsIn(m.Amount.String())
		switch m.Kind {
		case "reissue":
			s.Reissues++
			charged -= amount
		case "order":
			charged -= amount
		case "refund":
			refunded += amount
		}
	}
	if !w.manners.Priced && s.Orders > 0 {
		s.Expected, s.Charged, s.Refunded = unknownMoney, unknownMoney, unknownMoney
		return s
	}
	s.Expected = cents(s.Orders * listPrice * 100)
	s.Charged, s.Refunded = cents(charged), cents(refunded)
	return s
}
