// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package renewal_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/renewal"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/subscriptions"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/stretchr/testify/assert"
)

const day = 24 * time.Hour

var begun = time.Date(2026, 11, 29, 9, 0, 0, 0, time.UTC)

// life is one of so many days.
func life(days int) renewal.Life {
	return renewal.Life{NotBefore: begun, NotAfter: begun.Add(time.Duration(days) * day)}
}

func TestWhy(t *testing.T) {
	type when struct{ now, ends int } // days
	for name, c := range map[string]struct {
		when
		status string
		why    string
	}{
		"due, and the subscription goes on":     {when{140, 365}, "active", ""},
		"due, and it ends with the certificate": {when{140, 199}, "active", "already lasts until the end"},
		"due, and it ends hours later":          {when{140, 200}, "", "already lasts until the end"},
		"not due, and it ends with it":          {when{10, 199}, "", ""},
		"not due, and it ends tomorrow":         {when{10, 11}, "", "the subscription ends at"},
		"over":                                  {when{140, 139}, "", "the subscription ended at"},
		"cancelled":                             {when{140, 365}, "cancelled", "CERTInext calls the subscription cancelled"},
		"expired, so CERTInext says":            {when{140, 365}, "expired", "CERTInext calls the subscription expired"},
		"the certificate has expired":           {when{199, 365}, "active", "the newest certificate expired"},
	} {
		term := subscriptions.Subscription{EndsAt: begun.Add(time.Duration(c.ends) * day), Status: c.status}
		got := renewal.Why(life(199), term, begun.Add(time.Duration(c.now)*day))
		if c.why == "" {
			assert.Empty(t, got, name)
		} else {
			assert.Contains(t, got, c.why, name)
		}
	}
	assert.Contains(t, renewal.Why(life(199), subscriptions.Subscription{}, begun), "not known")
}

func TestAfterSpreadsAFleet(t *testing.T) {
	const fleet = 1000
	seen := make(map[time.Time]bool)
	var sum time.Duration
	for i := range fleet {
		at := renewal.After(fmt.Sprintf("0a-%02x", i), life(60))
		assert.Equal(t, at, renewal.After(fmt.Sprintf("0a-%02x", i), life(60)))
		assert.False(t, at.After(begun.Add(40*day)))
		assert.False(t, at.Before(begun.Add(37*day-time.Second)))
		seen[at], sum = true, sum+at.Sub(begun)
	}
	assert.Greater(t, len(seen), fleet*9/10)
	assert.InDelta(t, (38*day + 12*time.Hour).Hours(), (sum / fleet).Hours(), 4)
	assert.Equal(t, begun, renewal.After("x", renewal.Life{NotBefore: begun, NotAfter: begun}))
}

func TestAReadingOfTheLedger(t *testing.T) {
	row := func(order, date, amount string) certinext.LedgerRow {
		return certinext.LedgerRow{"orderId": order, "date": date, "totalAmount": amount, "invoiceNumber": "INV-1"}
	}
	own := row("1000000001", "2026-11-29", "150.00")
	later := row("1000000001", "2027-03-29", "150.00")
	back := certinext.LedgerRow{"orderId": "1000000001", "date": "2027-03-29", "totalAmount": "150.00", "creditNoteNumber": "CN-1"}
	words := certinext.LedgerRow{"orderId": "1000000001", "requestId": "2000000002", "debitAmount": json.Number("150"), "creditAmount": ""}
	for name, c := range map[string]struct {
		rows    []certinext.LedgerRow
		before  int
		partial bool
		want    renewal.Statement
	}{
		"nothing":                      {want: renewal.Statement{Verdict: renewal.Unknown}},
		"others' rows":                 {rows: []certinext.LedgerRow{row("1000000002", "2027-03-29", "9")}, want: renewal.Statement{Verdict: renewal.Unknown}},
		"the order's own":              {rows: []certinext.LedgerRow{own}, want: renewal.Statement{Verdict: renewal.Free, Charges: 1}},
		"the order's own, cut off":     {rows: []certinext.LedgerRow{own}, partial: true, want: renewal.Statement{Verdict: renewal.Unknown, Charges: 1}},
		"a later one":                  {rows: []certinext.LedgerRow{own, later}, want: renewal.Statement{Verdict: renewal.Charged, Charges: 2, Amount: "150.00"}},
		"only a later one":             {rows: []certinext.LedgerRow{later}, partial: true, want: renewal.Statement{Verdict: renewal.Charged, Charges: 1, Amount: "150.00"}},
		"two on the same day":          {rows: []certinext.LedgerRow{own, own}, want: renewal.Statement{Verdict: renewal.Charged, Charges: 2, Amount: "150.00"}},
		"two, both known before":       {rows: []certinext.LedgerRow{own, own}, before: 2, want: renewal.Statement{Verdict: renewal.Free, Charges: 2}},
		"money that came back":         {rows: []certinext.LedgerRow{own, back}, want: renewal.Statement{Verdict: renewal.Free, Charges: 1}},
		"free rows":                    {rows: []certinext.LedgerRow{row("1000000001", "2026-11-29", "0.00"), row("1000000001", "2027-03-29", "0.0")}, want: renewal.Statement{Verdict: renewal.Free}},
		"the reissue's own request":    {rows: []certinext.LedgerRow{words}, want: renewal.Statement{Verdict: renewal.Charged, Charges: 1, Amount: "150"}},
		"amounts that are none":        {rows: []certinext.LedgerRow{row("1000000001", "soon", "1e999999999"), row("1000000001", "", "a lot")}, want: renewal.Statement{Verdict: renewal.Unknown}},
		"an amount below zero":         {rows: []certinext.LedgerRow{own, row("1000000001", "2027-03-29", "-150.00")}, want: renewal.Statement{Verdict: renewal.Unknown, Charges: 1}},
		"an amount with its currency":  {rows: []certinext.LedgerRow{own, row("1000000001", "2027-03-29", "USD 150.00")}, want: renewal.Statement{Verdict: renewal.Unknown, Charges: 1}},
		"an unknown member":            {rows: []certinext.LedgerRow{own, {"orderId": "1000000001", "netAmount": "150.00"}}, want: renewal.Statement{Verdict: renewal.Unknown, Charges: 1}},
		"a number within words":        {rows: []certinext.LedgerRow{own, {"description": "Reissue of order 1000000001.", "date": "2027-03-29", "amount": "9"}}, want: renewal.Statement{Verdict: renewal.Charged, Charges: 2, Amount: "9"}},
		"a balance like the number":    {rows: []certinext.LedgerRow{{"orderId": "1", "balance": "1000000001", "date": "2027-03-29", "amount": "9"}}, want: renewal.Statement{Verdict: renewal.Unknown}},
		"thousands are set off":        {rows: []certinext.LedgerRow{later, row("1000000001", "2027-03-30", "1,500.00")}, want: renewal.Statement{Verdict: renewal.Charged, Charges: 2, Amount: "1,500.00"}},
		"members of unexpected shapes": {rows: []certinext.LedgerRow{{"orderId": []any{"1000000001"}, "totalAmount": nil}}, want: renewal.Statement{Verdict: renewal.Unknown}},
	} {
		r := renewal.NewReader(renewal.Question{
			Order: "1000000001", Request: "2000000002", Ordered: begun, Asked: begun.Add(120 * day), Before: c.before,
		})
		for _, row := range c.rows {
			r.Row(row)
		}
		assert.Equal(t, c.want, r.Statement(!c.partial), name)
	}
}

func TestWhatWasMadeAheadIsRenewedLater(t *testing.T) {
	for name, c := range map[string]struct{ age, later int }{
		"fresh":                         {0, 0},
		"a tenth of its life":           {20, 20},
		"not in the last sixth of life": {60, 33},
		"a clock that was set back":     {-5, 0},
	} {
		got := renewal.Later(life(200), time.Duration(c.age)*day)
		assert.InDelta(t, c.later, got.Hours()/24, 0.4, name)
	}
}
