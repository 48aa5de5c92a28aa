// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package ledger_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/ledger"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// row reads a row as the client does.
func row(t *testing.T, text string) certinext.LedgerRow {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var out certinext.LedgerRow
	require.NoError(t, d.Decode(&out))
	return out
}

func TestRead(t *testing.T) {
	for name, c := range map[string]struct {
		row      string
		kind     ledger.Kind
		amount   string // empty when it cannot be told exactly
		currency string
	}{
		"a charge":               {`{"totalAmount":"150.00","currency":"USD"}`, ledger.Charge, "150.00", "USD"},
		"a number":               {`{"amount":150}`, ledger.Charge, "150.00", ""},
		"a debit":                {`{"debitAmount":"0.1","creditAmount":""}`, ledger.Charge, "0.10", ""},
		"thousands":              {`{"totalAmount":"1,500.00"}`, ledger.Charge, "1500.00", ""},
		"a decimal comma":        {`{"totalAmount":"150,00"}`, ledger.Charge, "", ""},
		"five decimals":          {`{"totalAmount":"0.00001"}`, ledger.Charge, "", ""},
		"more than there is":     {`{"totalAmount":"99999999999999999999"}`, ledger.Charge, "", ""},
		"a credit note":          {`{"creditNoteNumber":"CN-1","totalAmount":"150.00"}`, ledger.Credit, "150.00", ""},
		"a credit":               {`{"creditAmount":"150.00"}`, ledger.Credit, "150.00", ""},
		"a credit below zero":    {`{"creditAmount":"-150.00"}`, ledger.Credit, "", ""},
		"a credit note in words": {`{"creditNoteNumber":"CN-1","totalAmount":"USD 1"}`, ledger.Credit, "", ""},
		"nothing":                {`{"totalAmount":"0.00"}`, ledger.Nothing, "0.00", ""},
		"below zero":             {`{"totalAmount":"-150.00"}`, ledger.Unclear, "", ""},
		"with its currency":      {`{"totalAmount":"USD 150.00"}`, ledger.Unclear, "", ""},
		"an exponent":            {`{"totalAmount":1.5e2}`, ledger.Unclear, "", ""},
		"an object":              {`{"totalAmount":{"value":"1"}}`, ledger.Unclear, "", ""},
		"no amount":              {`{"orderId":"1"}`, ledger.Unclear, "", ""},
		"a balance alone":        {`{"balance":"150.00"}`, ledger.Unclear, "", ""},
		"a currency's number":    {`{"totalAmount":"1","currencyId":"2"}`, ledger.Charge, "1.00", ""},
		"a hostile currency":     {`{"totalAmount":"1","currency":"=cmd"}`, ledger.Charge, "1.00", ""},
		"an empty row":           {`{}`, ledger.Unclear, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := ledger.Read(row(t, c.row))
			assert.Equal(t, c.kind, got.Kind)
			assert.Equal(t, c.amount != "", got.Exact)
			if c.amount != "" {
				assert.Equal(t, c.amount, got.Amount.String())
			}
			assert.Equal(t, c.currency, got.Currency)
		})
	}
}

func TestReadTakesADayAsItIsWritten(t *testing.T) {
	day := time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)
	assert.Equal(t, day, ledger.Read(row(t, `{"date":"2026-11-29"}`)).Day)
	assert.Equal(t, day, ledger.Read(row(t, `{"transactionDate":"2026-11-29T23:00:00Z"}`)).Day)
	assert.Zero(t, ledger.Read(row(t, `{"date":"29-11-2026"}`)).Day)
	assert.Zero(t, ledger.Read(row(t, `{"date":955756800}`)).Day)
}

func TestMentions(t *testing.T) {
	for text, want := range map[string]bool{
		`{"orderId":"4711"}`:                  true,
		`{"orderId":4711}`:                    true,
		`{"description":"Reissue of 4711."}`:  true,
		`{"description":"(4711)"}`:            true,
		`{"description":"47111 14711"}`:       false,
		`{"description":"4711R007"}`:          false,
		`{"balance":"4711","amount":"4711"}`:  false,
		`{"nested":{"orderId":"4711"}}`:       false,
		`{"orderId":["4711"],"b":true,"c":0}`: false,
	} {
		assert.Equal(t, want, ledger.Mentions(row(t, text), "4711"), text)
	}
	assert.False(t, ledger.Mentions(row(t, `{"orderId":""}`), ""), "an order without a number")
	assert.Equal(t, "4711", ledger.OrderOf(row(t, `{"orderNumber":" 4711 "}`)))
	assert.Empty(t, ledger.OrderOf(row(t, `{"product":"4711"}`)))
}

func FuzzRead(f *testing.F) {
	f.Add(`{"totalAmount":"150.00","orderId":"4711"}`)
	f.Add(`{"creditAmount":1e400,"date":"2026-99-99","":null}`)
	f.Fuzz(func(t *testing.T, text string) {
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		var r certinext.LedgerRow
		if d.Decode(&r) != nil {
			return
		}
		got := ledger.Read(r)
		if got.Exact {
			require.GreaterOrEqual(t, int64(got.Amount), int64(0))
		}
		ledger.Mentions(r, "4711")
	})
}
