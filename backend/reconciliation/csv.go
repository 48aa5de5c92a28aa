// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package reconciliation

import (
	"bytes"
	"encoding/csv"
	"strconv"
	"strings"
)

// columns are those of a report as CSV.
var columns = []string{
	"month", "role", "requester", "requester_name", "product_code", "currency", "orders",
	"reissues", "adopted", "expected", "unpriced", "charged", "refunded", "charge_unknown",
	"reissues_charged", "reissues_unknown", "ledger_complete", "next",
}

// CSV writes the rows of a report as RFC 4180 has it, below their names. Each says whether the
// ledger was read to its end, and next, behind which order the report goes on.
func (r *Report) CSV(next string) ([]byte, error) {
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	w.UseCRLF = true
	if err := w.Write(columns); err != nil {
		return nil, err
	}
	for _, row := range r.Rows {
		cells := []string{
			row.Month, row.Role, row.Requester, row.RequesterName, row.ProductCode, row.Currency,
			strconv.Itoa(row.Orders), strconv.Itoa(row.Reissues),
			strconv.Itoa(row.Adopted), row.Expected.String(),
			strconv.Itoa(row.Unpriced), row.Charged.String(), row.Refunded.String(),
			strconv.Itoa(row.ChargeUnknown), strconv.Itoa(row.ReissuesCharged),
			strconv.Itoa(row.ReissuesUnknown), strconv.FormatBool(r.Ledger.Whole), next,
		}
		for i, cell := range cells {
			cells[i] = defused(cell)
		}
		if err := w.Write(cells); err != nil {
			return nil, err
		}
	}
	w.Flush()
	return out.Bytes(), w.Error()
}

// defused returns a cell that spreadsheets show and do not run: they take what begins with one of
// these for a formula. No amount and no number of the report does.
func defused(cell string) string {
	cell = strings.ReplaceAll(cell, ";", ",") // which separates cells in some countries
	if cell != "" && strings.ContainsRune("=+-@\t\r\n", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}
