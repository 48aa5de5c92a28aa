// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package reconciliation_test

import (
	"encoding/csv"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/money"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/reconciliation"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var placed = time.Date(2026, 11, 29, 9, 0, 0, 0, time.UTC)

func amount(t *testing.T, text string) money.Amount {
	t.Helper()
	a, err := money.Parse(text)
	require.NoError(t, err)
	return a
}

// order returns an order with a number, and a price unless that is empty.
func order(t *testing.T, number, price string) reconciliation.Order {
	t.Helper()
	o := reconciliation.Order{
		ID: "id-" + number, Role: "web", Requester: "entity:ann", ProductCode: "842", At: placed,
		Number: number, Request: "r" + number, Currency: "USD",
	}
	if price != "" {
		o.Price, o.Priced = amount(t, price), true
	} else {
		o.Currency = ""
	}
	return o
}

// reissued returns the n-th reissue of an order.
func reissued(o reconciliation.Order, n string) reconciliation.Order {
	o.ID, o.Request, o.Reissue, o.Priced = o.ID+"-"+n, o.Request+"-"+n, true, false
	o.Price, o.At = 0, o.At.AddDate(0, 2, 0)
	return o
}

// charge is a row of the ledger about a number.
func charge(number, text string) certinext.LedgerRow {
	return certinext.LedgerRow{"orderId": number, "totalAmount": text, "currency": "USD"}
}

func credit(number, text string) certinext.LedgerRow {
	return certinext.LedgerRow{
		"orderId": number, "totalAmount": text, "creditNoteNumber": "CN-1", "currency": "USD",
	}
}

func TestReportOfOneOrder(t *testing.T) {
	type rows = []certinext.LedgerRow
	for name, c := range map[string]struct {
		price, rest string // rest is empty for a ledger that was read to its end
		rows        rows
		want        reconciliation.Row
		kinds       map[reconciliation.DifferenceKind]int
	}{
		"as it was expected": {
			price: "150.00", rows: rows{charge("1", "150.00")},
			want: reconciliation.Row{Charged: known(150)},
		},
		"another amount": {
			price: "150.00", rows: rows{charge("1", "149.99")},
			want:  reconciliation.Row{Charged: reconciliation.Figure{Amount: 1499900, Known: true}},
			kinds: count(reconciliation.OtherAmount),
		},
		"for nothing": {
			price: "150.00", rows: rows{charge("1", "0.00")},
			want:  reconciliation.Row{Charged: known(0)},
			kinds: count(reconciliation.OtherAmount),
		},
		"another currency": {
			price: "150.00", rows: rows{{"orderId": "1", "totalAmount": "150.00", "currency": "EUR"}},
			want:  reconciliation.Row{ChargeUnknown: 1},
			kinds: count(reconciliation.OtherCurrency),
		},
		"a currency that the row does not tell": {
			price: "150.00", rows: rows{{"orderNumber": "1", "totalAmount": "150.00", "currencyId": "2"}},
			want: reconciliation.Row{Charged: known(150)},
		},
		"no price, and a charge": {
			rows: rows{charge("1", "150.00")},
			want: reconciliation.Row{Unpriced: 1, Charged: known(150)},
		},
		"no price, and no row": {
			rows:  rows{charge("2", "1.00")},
			want:  reconciliation.Row{Unpriced: 1, ChargeUnknown: 1, Currency: "unknown"},
			kinds: count(reconciliation.NotInLedger),
		},
		"an empty ledger says nothing": {
			price: "150.00", want: reconciliation.Row{ChargeUnknown: 1},
		},
		"a ledger that was cut short says nothing": {
			price: "150.00", rest: "too long", rows: rows{charge("2", "1.00")},
			want: reconciliation.Row{ChargeUnknown: 1},
		},
		"another customer's row": {
			price: "150.00", rows: rows{charge("2", "1.00")},
			want:  reconciliation.Row{ChargeUnknown: 1},
			kinds: count(reconciliation.NotInLedger),
		},
		"another customer's row that names it": {
			price: "150.00",
			rows: rows{
				{"orderId": "2", "description": "successor of 1", "totalAmount": "5.00"},
				charge("1", "150.00"),
			},
			want: reconciliation.Row{Charged: known(150)},
		},
		"paid back": {
			price: "150.00", rows: rows{charge("1", "150.00"), credit("1", "150.00")},
			want:  reconciliation.Row{Charged: known(150), Refunded: known(150)},
			kinds: count(reconciliation.Refunded),
		},
		"charged twice": {
			price: "150.00", rows: rows{charge("1", "150.00"), charge("1", "150.00")},
			want:  reconciliation.Row{Charged: known(300)},
			kinds: count(reconciliation.ChargedAgain),
		},
		"a row that cannot be read": {
			price: "150.00", rows: rows{charge("1", "150.00"), charge("1", "-150.00")},
			want:  reconciliation.Row{ChargeUnknown: 1},
			kinds: count(reconciliation.Unreadable),
		},
		"charged in two currencies": {
			price: "150.00",
			rows: rows{
				charge("1", "150.00"),
				{"orderId": "1", "totalAmount": "150.00", "currency": "EUR"},
			},
			want:  reconciliation.Row{ChargeUnknown: 1},
			kinds: count(reconciliation.ChargedAgain),
		},
		"an amount with a comma": {
			price: "150.00", rows: rows{charge("1", "150,00")},
			want: reconciliation.Row{ChargeUnknown: 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := reconciliation.NewBooks(reconciliation.Query{})
			b.Add(order(t, "1", c.price))
			for _, row := range c.rows {
				b.Row(row)
			}
			r, err := b.Report(reconciliation.Ledger{Whole: c.rest == "", Problem: c.rest})
			require.NoError(t, err)
			require.Len(t, r.Rows, 1)
			want := c.want
			want.Month, want.Orders = "2026-11", 1
			if want.Currency == "" {
				want.Currency = "USD"
			}
			if c.price != "" {
				want.Expected = known(150)
			}
			want.Refunded.Known = want.Refunded.Known || want.ChargeUnknown == 0
			assert.Equal(t, want, r.Rows[0])
			if c.kinds == nil {
				c.kinds = map[reconciliation.DifferenceKind]int{}
			}
			assert.Equal(t, c.kinds, r.Counts)
		})
	}
}

func known(units int64) reconciliation.Figure {
	return reconciliation.Figure{Amount: money.Amount(units * 10_000), Known: true}
}

func count(kinds ...reconciliation.DifferenceKind) map[reconciliation.DifferenceKind]int {
	counts := make(map[reconciliation.DifferenceKind]int)
	for _, kind := range kinds {
		counts[kind]++
	}
	return counts
}

func TestReissuesShareTheNumberOfTheirOrder(t *testing.T) {
	for name, c := range map[string]struct {
		rows             []certinext.LedgerRow
		charged, unknown int
		amount           reconciliation.Figure // of the reissues' row
	}{
		"free":          {rows: []certinext.LedgerRow{charge("1", "150.00")}},
		"all of them":   {[]certinext.LedgerRow{charge("1", "9.00"), charge("1", "150.00"), charge("1", "9.00")}, 2, 0, known(18)},
		"one of them":   {[]certinext.LedgerRow{charge("1", "150.00"), charge("r1-b", "9.00")}, 1, 0, known(9)},
		"not shown":     {[]certinext.LedgerRow{charge("2", "150.00")}, 0, 2, reconciliation.Figure{}},
		"not readable":  {[]certinext.LedgerRow{charge("1", "150.00"), charge("1", "x")}, 0, 2, reconciliation.Figure{}},
		"by their text": {[]certinext.LedgerRow{charge("1", "150.00"), {"description": "request r1-a", "amount": "9.00"}}, 1, 0, known(9)},
	} {
		t.Run(name, func(t *testing.T) {
			b := reconciliation.NewBooks(reconciliation.Query{})
			o := order(t, "1", "150.00")
			b.Add(reissued(o, "a"))
			b.Add(o)
			b.Add(reissued(o, "b"))
			for _, row := range c.rows {
				b.Row(row)
			}
			r, err := b.Report(reconciliation.Ledger{Whole: true})
			require.NoError(t, err)
			require.NotEmpty(t, r.Rows)
			last := r.Rows[len(r.Rows)-1]
			var charged, unknown, reissues, orders int
			for _, row := range r.Rows {
				charged += row.ReissuesCharged
				unknown += row.ReissuesUnknown
				reissues += row.Reissues
				orders += row.Orders
			}
			assert.Equal(t, 1, orders)
			assert.Equal(t, 2, reissues)
			assert.Equal(t, c.charged, charged)
			assert.Equal(t, c.unknown, unknown)
			if c.charged > 0 {
				assert.Equal(t, "2027-01", last.Month)
			}
			if c.amount.Known {
				var sum money.Amount
				for _, row := range r.Rows {
					if row.Month == "2027-01" {
						sum = sum.Plus(row.Charged.Amount)
					}
				}
				assert.Equal(t, c.amount.Amount, sum)
			}
			assert.Equal(t, c.charged, r.Counts[reconciliation.ReissueCharged])
			assert.Len(t, r.Corrections, c.charged)
		})
	}
}

// A charge that was seen once is not unseen by a ledger that is empty today.
func TestAReissueThatWasChargedStaysSo(t *testing.T) {
	b := reconciliation.NewBooks(reconciliation.Query{})
	e := reissued(order(t, "1", "150.00"), "a")
	e.ReissueCharged = reconciliation.Yes
	b.Add(e)
	other := e
	other.ID, other.Elsewhere, other.Request = "other", true, ""
	b.Add(other)
	r, err := b.Report(reconciliation.Ledger{Whole: true})
	require.NoError(t, err)
	require.Len(t, r.Rows, 1)
	require.Equal(t, 2, r.Rows[0].ReissuesCharged)
	require.Equal(t, "unknown", r.Rows[0].Charged.String(), "nobody has told how much")
}

func TestOrdersAreAddedUpAsAsked(t *testing.T) {
	orders := []reconciliation.Order{
		order(t, "1", "0.10"), order(t, "2", "0.20"), order(t, "3", "0.30"), order(t, "4", ""),
		order(t, "5", "7.00"),
	}
	orders[1].Role, orders[1].RequesterName = "mail", "ann"
	orders[2].At = placed.AddDate(0, 1, 0)
	orders[2].Requester = "token-1"
	orders[4].Currency = "EUR"
	sums := func(q reconciliation.Query) (out []string) {
		t.Helper()
		b := reconciliation.NewBooks(q)
		for _, o := range orders {
			b.Add(o)
		}
		r, err := b.Report(reconciliation.Ledger{})
		require.NoError(t, err)
		for _, row := range r.Rows {
			out = append(out, strings.Join([]string{
				row.Month, row.Role, row.Requester, row.ProductCode, row.Currency,
				row.Expected.String(),
			}, "|"))
		}
		return out
	}
	by := func(d ...reconciliation.Dimension) []reconciliation.Dimension { return d }
	require.Equal(t, []string{
		"2026-11||||EUR|7.00", "2026-11||||USD|0.30", "2026-11||||unknown|unknown",
		"2026-12||||USD|0.30",
	}, sums(reconciliation.Query{}))
	require.Equal(t, []string{
		"|mail|entity:ann||USD|0.20", "|web|entity:ann||EUR|7.00", "|web|entity:ann||USD|0.10",
		"|web|entity:ann||unknown|unknown", "|web|token-1||USD|0.30",
	}, sums(reconciliation.Query{GroupBy: by("requester", "role")}))
	require.Equal(t, []string{"|||842|USD|0.30"},
		sums(reconciliation.Query{GroupBy: by("product"), From: placed.AddDate(0, 0, 1)}))
	last := placed.Truncate(24 * time.Hour)
	require.Len(t, sums(reconciliation.Query{From: last, To: last}), 3, "to is part of the time")
	require.Len(t, sums(reconciliation.Query{Requester: "ann", Role: "web", ProductCode: "842"}), 3)
	require.Empty(t, sums(reconciliation.Query{ProductCode: "843"}))
	require.Empty(t, sums(reconciliation.Query{GroupNumber: "7"}))
}

func TestWhatCannotBeAskedForIsRefused(t *testing.T) {
	require.ErrorContains(t, reconciliation.Query{GroupBy: []reconciliation.Dimension{"=x"}}.Validate(),
		`group_by: "=x" is not month, role, requester or product`)
	require.ErrorContains(t, reconciliation.Query{From: placed, To: placed.AddDate(0, 0, -1)}.Validate(),
		"to: is before from")
	b := reconciliation.NewBooks(reconciliation.Query{GroupBy: []reconciliation.Dimension{"role"}})
	for i := range 5001 {
		o := order(t, "1", "1.00")
		o.Role = strings.Repeat("r", i+1)
		b.Add(o)
	}
	_, err := b.Report(reconciliation.Ledger{})
	require.ErrorContains(t, err, "group_by: gives more than 5000 rows")
}

func TestStrangersAreCountedAndBounded(t *testing.T) {
	b := reconciliation.NewBooks(reconciliation.Query{Role: "mail"})
	b.Add(order(t, "1", "1.00"))
	b.Row(charge("1", "1.00")) // which is not asked for, and no stranger
	b.Row(charge(strings.Repeat("9", 65), "1.00"))
	b.Row(certinext.LedgerRow{"creditAmount": "500.00"})
	for range 2 {
		b.Row(charge("77", "1.00"))
	}
	require.Equal(t, []string{"77"}, b.Strangers())
	r, err := b.Report(reconciliation.Ledger{Whole: true})
	require.NoError(t, err)
	require.Empty(t, r.Rows)
	require.Empty(t, r.Counts)
	require.Equal(t, reconciliation.Ledger{Whole: true, Rows: 5, Strangers: 4}, r.Ledger)
}

func TestARowThatNamesTwoOrdersIsNeitherOnes(t *testing.T) {
	b := reconciliation.NewBooks(reconciliation.Query{})
	b.Add(order(t, "1", "1.00"))
	b.Add(order(t, "2", "1.00"))
	b.Row(certinext.LedgerRow{"description": "orders 1 and 2", "amount": "2.00"})
	r, err := b.Report(reconciliation.Ledger{Whole: true})
	require.NoError(t, err)
	require.Equal(t, 2, r.Counts[reconciliation.Unreadable])
	require.Equal(t, "unknown", r.Rows[0].Charged.String())
}

func TestCorrectionsAreWhatCameBack(t *testing.T) {
	b := reconciliation.NewBooks(reconciliation.Query{})
	for _, number := range []string{"1", "2", "3", "4", "5"} {
		b.Add(order(t, number, "150.00"))
	}
	for _, row := range []certinext.LedgerRow{
		charge("1", "150.00"), credit("1", "150.00"), // all
		charge("2", "150.00"), credit("2", "140.00"), // less a fee
		credit("3", "150.00"),                                               // of what the ledger does not show
		charge("4", "150.00"), charge("4", "150.00"), credit("4", "150.00"), // charged by mistake
		charge("5", "200.00"), credit("5", "200.00"), // more than was counted
	} {
		b.Row(row)
	}
	r, err := b.Report(reconciliation.Ledger{Whole: true})
	require.NoError(t, err)
	require.Len(t, r.Corrections, 3)
	require.Equal(t, "150.00", r.Corrections[2].PaidBack.String(), "of the price")
	require.True(t, r.Corrections[2].Whole)
	require.True(t, r.Corrections[0].Whole)
	require.False(t, r.Corrections[1].Whole)
	require.Equal(t, "140.00", r.Corrections[1].PaidBack.String())
}

func TestCSVRunsNothing(t *testing.T) {
	b := reconciliation.NewBooks(reconciliation.Query{GroupBy: []reconciliation.Dimension{"requester", "product"}})
	names := []string{"=cmd|'/c calc'!A1", "+1", "-1", "@SUM(1)", "\tx", "\rx", "a,\"b\"\nc", "plain"}
	for i, name := range names {
		o := order(t, string(rune('1'+i)), "1.00")
		o.ProductCode, o.RequesterName = string(rune('a'+i)), name
		b.Add(o)
	}
	r, err := b.Report(reconciliation.Ledger{Whole: true})
	require.NoError(t, err)
	text, err := r.CSV("web/=1")
	require.NoError(t, err)
	lines, err := csv.NewReader(strings.NewReader(string(text))).ReadAll()
	require.NoError(t, err)
	require.Len(t, lines, len(names)+1)
	for _, line := range lines[1:] {
		for _, cell := range line {
			require.NotRegexp(t, `^[=+\-@\t\r\n]`, cell)
		}
		require.Equal(t, "unknown", line[11], "what was charged is not known, and not nothing")
	}
	require.Equal(t, "'=cmd|'/c calc'!A1", lines[1][3])
	require.Equal(t, "requester_name", lines[0][3])
	require.Equal(t, "plain", lines[8][3])
}

// TestAChainThatIsSplitIsSettledAsAWhole has one order of a chain, and hands in the others after the ledger.
func TestAChainThatIsSplitIsSettledAsAWhole(t *testing.T) {
	first := order(t, "1", "150.00")
	chain := []reconciliation.Order{first}
	for n := range 3 {
		o := first
		o.ID, o.Reissue, o.Priced, o.Request = string(rune('a'+n)), true, false, "again-"+string(rune('1'+n))
		o.At = first.At.AddDate(0, 0, 3-n) // not in the order of their ids
		chain = append(chain, o)
	}
	named := charge("1", "20.00")
	named["description"] = "request again-2"
	rows := []certinext.LedgerRow{charge("1", "150.00"), charge("1", "10.00"), named, credit("1", "5.00")}
	report := func(own []reconciliation.Order, rest []reconciliation.Order) *reconciliation.Report {
		b := reconciliation.NewBooks(reconciliation.Query{})
		for _, o := range own {
			b.Add(o)
		}
		for _, row := range rows {
			b.Row(row)
		}
		for range 2 { // twice says nothing new
			for _, o := range b.Split() {
				require.Equal(t, "1", o.Number)
				for _, other := range rest {
					b.AddOutside(other)
				}
			}
		}
		r, err := b.Report(reconciliation.Ledger{Whole: true})
		require.NoError(t, err)
		return r
	}
	charged := map[string]string{}
	for _, d := range report(chain, nil).Differences {
		charged[d.OrderID] = d.Charged.String() + " " + d.Refunded.String()
	}
	require.Equal(t, map[string]string{"id-1": "150.00 5.00", "c": "10.00 unknown", "b": "20.00 unknown"}, charged)
	for i, own := range chain {
		for _, d := range report([]reconciliation.Order{own}, append(slices.Clone(chain[:i]), chain[i+1:]...)).Differences {
			require.Equal(t, own.ID, d.OrderID, "what is not of this page is told")
			require.Equal(t, charged[own.ID], d.Charged.String()+" "+d.Refunded.String())
			charged[own.ID] += "!"
		}
	}
	require.Equal(t, map[string]string{"id-1": "150.00 5.00!", "c": "10.00 unknown!", "b": "20.00 unknown!"}, charged, "each is told once")

	b := reconciliation.NewBooks(reconciliation.Query{})
	b.Add(first)
	for _, row := range rows {
		b.Row(row)
	}
	b.Unsure(first)
	r, err := b.Report(reconciliation.Ledger{Whole: true})
	require.NoError(t, err)
	require.Equal(t, "unknown", r.Rows[0].Charged.String())
}
