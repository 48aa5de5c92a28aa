// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package sheet writes tables as CSV that spreadsheets show and do not run. It knows nothing of
// what is in them.
package sheet

import (
	"bytes"
	"encoding/csv"
	"strings"
)

// CSV writes rows as RFC 4180 has it, below the names of their columns.
func CSV(columns []string, rows [][]string) ([]byte, error) {
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	w.UseCRLF = true
	if err := w.Write(columns); err != nil {
		return nil, err
	}
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
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
// these for a formula. No number begins so.
func defused(cell string) string {
	cell = strings.ReplaceAll(cell, ";", ",") // which separates cells in some countries
	if cell != "" && strings.ContainsRune("=+-@\t\r\n", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}
