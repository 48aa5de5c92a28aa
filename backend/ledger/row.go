// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package ledger

import (
	"encoding/json"
	"fmt"
	"iter"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/money"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// A Kind is what a row does to the account's balance.
type Kind int

// The kinds of rows.
const (
	// Unclear is a row of which that cannot be read: its amount is in a member that is not known,
	// is no plain number, or is below zero.
	Unclear Kind = iota
	Charge
	Nothing // it says that nothing was charged
	Credit  // money that comes back, or is paid in
)

// A Row is what a row of the ledger says.
type Row struct {
	Kind Kind
	// Text is the amount of a charge or a credit, as CERTInext wrote it; empty when there is none
	// that can be read.
	Text string
	// Amount is what Text says; it is only if Exact is set.
	Amount money.Amount
	Exact  bool
	// Currency is the code, of three letters, of the amount's currency; empty when the row has
	// none. The number that some rows have instead is documented for no currency.
	Currency string
	// Day is the row's date, which may have a time zone of its own; zero when it has none.
	Day time.Time
}

// Members of a row, as the sources name them.
var (
	// chargeMembers hold what a row charges, and moneyMembers any amount.
	chargeMembers   = []string{"debitAmount", "totalAmount", "amount"}
	moneyMembers    = append([]string{"creditAmount", "balance"}, chargeMembers...)
	dayMembers      = []string{"date", "transactionDate"}
	orderMembers    = []string{"orderId", "orderNumber"}
	currencyMembers = []string{"currency", "currencyType", "currencyId"}
)

// Read reads a row.
func Read(row certinext.LedgerRow) Row {
	r := Row{Currency: currencyOf(row), Day: dayOf(row)}
	credit := Text(row["creditAmount"])
	if sign, _ := signOf(credit); Text(row["creditNoteNumber"]) != "" || sign != 0 {
		r.Kind, r.Text = Credit, credit
		if r.Text == "" {
			r.Text, _ = charged(row)
		}
	} else {
		r.Text, r.Kind = charged(row)
	}
	r.Amount, r.Exact = exactly(r.Text)
	if r.Kind == Nothing {
		r.Exact = true
	}
	return r
}

// charged returns the amount that a row charges, as it is written, and what the row is by that.
func charged(row certinext.LedgerRow) (text string, kind Kind) {
	for _, member := range chargeMembers {
		text := Text(row[member])
		switch sign, ok := signOf(text); {
		case ok && sign > 0:
			return text, Charge
		case ok && sign == 0:
			kind = Nothing
		case row[member] != nil && row[member] != "":
			return "", Unclear
		}
	}
	return "", kind
}

// Text returns a member of a row as text; empty when it is neither text nor a number.
func Text(v any) string {
	switch v := v.(type) {
	case string:
		return strings.TrimSpace(v)
	case json.Number:
		return v.String()
	case fmt.Stringer, nil, bool, []any, map[string]any:
		return ""
	}
	return fmt.Sprint(v)
}

// OrderOf returns the number of the order that a row is about, by the member that is for it; empty
// when it has none. Such a row may name the order in other words.
func OrderOf(row certinext.LedgerRow) string {
	for _, member := range orderMembers {
		if number := Text(row[member]); number != "" {
			return number
		}
	}
	return ""
}

// Mentions reports whether a number is the text, or a word of it, of a member of a row that is no
// amount.
func Mentions(row certinext.LedgerRow, number string) bool {
	if number == "" {
		return false
	}
	for word := range Words(row) {
		if word == number {
			return true
		}
	}
	return false
}

// Words yields the texts of a row's members that are no amounts, each as it is and word by word.
// Some come more than once.
func Words(row certinext.LedgerRow) iter.Seq[string] {
	return func(yield func(string) bool) {
		for member, v := range row {
			if slices.Contains(moneyMembers, member) {
				continue
			}
			text := Text(v)
			if text != "" && !yield(text) {
				return
			}
			for word := range strings.FieldsFuncSeq(text, separates) {
				if word = strings.Trim(word, ".-"); word != "" && !yield(word) {
					return
				}
			}
		}
	}
}

// separates reports whether a character stands between two words. A number may have dots and
// dashes.
func separates(c rune) bool {
	return !unicode.IsLetter(c) && !unicode.IsDigit(c) && c != '-' && c != '.'
}

// signOf returns the sign of an amount; ok is false when text is none.
func signOf(text string) (sign int, ok bool) {
	if len(text) > 40 || strings.ContainsAny(text, "eE/xXpP_") {
		return 0, false
	}
	n, ok := new(big.Rat).SetString(strings.ReplaceAll(text, ",", ""))
	if !ok {
		return 0, false
	}
	return n.Sign(), true
}

// thousands matches an amount whose thousands are separated, as in 1,500.00.
var thousands = regexp.MustCompile(`^[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?$`)

// exactly returns the amount that a text says. A comma that does not separate thousands may be a
// decimal point: what it means is not guessed.
func exactly(text string) (money.Amount, bool) {
	if thousands.MatchString(text) {
		text = strings.ReplaceAll(text, ",", "")
	}
	a, err := money.Parse(text)
	return a, err == nil && a < money.Most
}

// currencyCode matches the code of a currency.
var currencyCode = regexp.MustCompile(`^[A-Z]{3}$`)

func currencyOf(row certinext.LedgerRow) string {
	for _, member := range currencyMembers {
		if code := Text(row[member]); currencyCode.MatchString(code) {
			return code
		}
	}
	return ""
}

func dayOf(row certinext.LedgerRow) time.Time {
	for _, member := range dayMembers {
		text := Text(row[member])
		if len(text) < len(time.DateOnly) {
			continue
		}
		if day, err := time.Parse(time.DateOnly, text[:len(time.DateOnly)]); err == nil {
			return day
		}
	}
	return time.Time{}
}
