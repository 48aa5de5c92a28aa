// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package money keeps the books of a customer: exact decimal amounts, purses with and without a
// limit, and a ledger of all that was paid from them and into them.
//
// It knows no certificate authority. Who pays for what is decided where it is used, which says so
// in a [Movement]; the [Ledger] says whether the purse holds enough.
package money

import (
	"fmt"
	"strconv"
	"strings"
)

// places are the decimal places of an [Amount]. Currencies have up to three.
const places = 4

// unit is one of a currency, in the least amount there is.
const unit = 10_000

// largest is the largest amount that is read. Sums of amounts have room above it.
const largest = 999_999_999 * unit

// An Amount is a sum of money in a currency that its owner knows. It is exact: no binary fraction
// is ever involved. The zero value is nothing.
type Amount struct{ units int64 }

// Parse reads an amount that is not negative, such as 150, 0.0 or 99.90, with at most nine digits
// before the point and four after it.
func Parse(text string) (Amount, error) {
	whole, fraction, hasPoint := strings.Cut(text, ".")
	if !isDigits(whole) || (hasPoint && !isDigits(fraction)) {
		return Amount{}, fmt.Errorf("%q is no amount, such as 150.00", cut(text))
	}
	kept := strings.TrimRight(fraction, "0")
	if len(kept) > places {
		return Amount{}, fmt.Errorf("%q has more than %d decimal places", cut(text), places)
	}
	kept += strings.Repeat("0", places-len(kept))
	units, err := strconv.ParseInt(strings.TrimLeft(whole, "0")+kept, 10, 64)
	if err != nil || units > largest+unit-1 {
		return Amount{}, fmt.Errorf("%q is more than %d", cut(text), largest/unit)
	}
	return Amount{units}, nil
}

func isDigits(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}

// cut keeps a message short, whatever was given for an amount.
func cut(text string) string { return text[:min(len(text), 40)] }

// String writes the amount with two decimal places, or as many as it needs.
func (a Amount) String() string {
	sign, units := "", a.units
	if units < 0 {
		sign, units = "-", -units
	}
	fraction := fmt.Sprintf("%04d", units%unit)
	for len(fraction) > 2 && strings.HasSuffix(fraction, "0") {
		fraction = fraction[:len(fraction)-1]
	}
	return sign + strconv.FormatInt(units/unit, 10) + "." + fraction
}

// MarshalText writes the amount as String does.
func (a Amount) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads what MarshalText writes, debts included.
func (a *Amount) UnmarshalText(text []byte) error {
	digits, isDebt := strings.CutPrefix(string(text), "-")
	v, err := Parse(digits)
	if isDebt {
		v = v.Negative()
	}
	*a = v
	return err
}

// Plus is the sum of both.
func (a Amount) Plus(b Amount) Amount { return Amount{a.units + b.units} }

// Minus is a less b.
func (a Amount) Minus(b Amount) Amount { return Amount{a.units - b.units} }

// Negative is what takes as much as a gives.
func (a Amount) Negative() Amount { return Amount{-a.units} }

// IsZero reports whether nothing is moved.
func (a Amount) IsZero() bool { return a.units == 0 }

// IsDebt reports whether a is below nothing.
func (a Amount) IsDebt() bool { return a.units < 0 }

// IsLess reports whether a is less than b.
func (a Amount) IsLess(b Amount) bool { return a.units < b.units }
