// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package money reads, adds and writes amounts of money exactly. It knows no currencies: who adds
// two amounts has made sure that they are of the same one.
package money

import (
	"errors"
	"math/big"
	"strconv"
	"strings"
)

// perUnit is how many of the parts that amounts are counted in make one unit of the currency:
// prices are written with four decimals at most.
const (
	perUnit  = 10_000
	decimals = 4
)

// An Amount is a sum of money of zero or more, in ten-thousandths of its currency's unit. The zero
// value is nothing.
type Amount int64

// Most is the largest amount that there is: adding two of them does not overflow.
const Most = Amount(1_000_000_000_000 * perUnit)

// ErrNoAmount is the error for a text that is no amount of money.
var ErrNoAmount = errors.New("is no amount such as 25.00: digits, and at most four decimals " +
	"after a point, up to 1000000000000")

// Parse reads an amount that is written with decimals after a point, or without: 25, 25.00, 0.5. It
// has neither a sign nor a currency nor separators of thousands.
func Parse(text string) (Amount, error) {
	whole, fraction, hasPoint := strings.Cut(text, ".")
	if !isDigits(whole) || len(whole) > 13 || (hasPoint && !isDigits(fraction)) {
		return 0, ErrNoAmount
	}
	fraction = strings.TrimRight(fraction, "0")
	if len(fraction) > decimals {
		return 0, ErrNoAmount
	}
	fraction += strings.Repeat("0", decimals-len(fraction))
	n, err := strconv.ParseInt(whole+fraction, 10, 64)
	if err != nil || Amount(n) > Most {
		return 0, ErrNoAmount
	}
	return Amount(n), nil
}

// isDigits reports whether text has digits and nothing else.
func isDigits(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}

// String writes the amount with at least two decimals: 25.00.
func (a Amount) String() string {
	whole, fraction := int64(a)/perUnit, int64(a)%perUnit
	parts := strconv.FormatInt(perUnit+fraction, 10)[1:]
	for len(parts) > 2 && parts[len(parts)-1] == '0' {
		parts = parts[:len(parts)-1]
	}
	return strconv.FormatInt(whole, 10) + "." + parts
}

// MarshalText writes the amount as [Amount.String] does.
func (a Amount) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads what [Parse] reads.
func (a *Amount) UnmarshalText(text []byte) (err error) {
	*a, err = Parse(string(text))
	return err
}

// Plus adds two amounts. A sum that is larger than [Most] is that: no limit below it takes the sum
// for a small one.
func (a Amount) Plus(b Amount) Amount { return min(a+b, Most) }

// Minus takes an amount off another one. What would be less than nothing is nothing.
func (a Amount) Minus(b Amount) Amount { return max(a-b, 0) }

// Times is the amount n times, or [Most]. n is zero or more.
func (a Amount) Times(n int) Amount {
	if n > 0 && a > Most/Amount(n) {
		return Most
	}
	return a * Amount(n)
}

// Part returns the amount times n/of, rounded to hundredths, and no more than [Most].
func (a Amount) Part(n, of int) Amount {
	const hundredth = perUnit / 100
	x := new(big.Int).Mul(big.NewInt(int64(a)), big.NewInt(int64(n)))
	whole := big.NewInt(int64(of) * hundredth)
	x.Add(x, new(big.Int).Rsh(whole, 1))
	x.Quo(x, whole).Mul(x, big.NewInt(hundredth))
	if !x.IsInt64() {
		return Most
	}
	return min(Amount(x.Int64()), Most)
}
