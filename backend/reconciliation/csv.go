// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package reconciliation

import (
	"strconv"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sheet"
)

// columns are those of a report as CSV.
var columns = []string{
	"month", "role", "requester", "requester_name", "product_code", "currency", "orders",
	"reissues", "expected", "unpriced", "charged", "refunded", "charge_unknown",
	"reissues_charged", "reissues_unknown", "ledger_complete", "next",
}

// CSV writes the rows of a report below the names of their columns. Each says whether the ledger
// was read to its end, and next, behind which order the report goes on.
func (r *Report) CSV(next string) ([]byte, error) {
	rows := make([][]string, 0, len(r.Rows))
	for _, row := range r.Rows {
		rows = append(rows, []string{
			row.Month, row.Role, row.Requester, row.RequesterName, row.ProductCode, row.Currency,
			strconv.Itoa(row.Orders), strconv.Itoa(row.Reissues), row.Expected.String(),
			strconv.Itoa(row.Unpriced), row.Charged.String(), row.Refunded.String(),
			strconv.Itoa(row.ChargeUnknown), strconv.Itoa(row.ReissuesCharged),
			strconv.Itoa(row.ReissuesUnknown), strconv.FormatBool(r.Ledger.Whole), next,
		})
	}
	return sheet.CSV(columns, rows)
}
