// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

import (
	"bytes"
	"encoding/json"
)

type wireCriteria struct {
	GroupNumber string `json:"groupNumber,omitempty"`
	From        string `json:"orderDateFrom,omitempty"`
	Till        string `json:"orderDateTill,omitempty"`
	DomainName  string `json:"domainName,omitempty"`
	PageNumber  string `json:"pageNumber"`
	PageSize    string `json:"pageSize"`
}

type wireStatementKey struct {
	GroupNumber string `json:"groupNumber"`
	PageNumber  string `json:"pageNumber"`
	PageSize    string `json:"pageSize"`
}

// wireV1Page counts in numbers, but for the current page, which is a string (observed 2026).
type wireV1Page struct {
	Current *count          `json:"currentPage"`
	Pages   *count          `json:"noOfPages"`
	Total   *count          `json:"totalNoOfResults"`
	Orders  json.RawMessage `json:"ordersArray"`
}

// newPage makes a page of rows that were counted so.
func newPage[T any](w wireV1Page, rows []T) page[T] {
	p := page[T]{rows: rows, number: -1, total: -1, pages: -1}
	if w.Current != nil {
		p.number = int(*w.Current)
	}
	if w.Total != nil && (*w.Total > 0 || len(rows) == 0) {
		p.total = int(*w.Total)
	}
	if w.Pages != nil && (*w.Pages > 0 || len(rows) == 0) {
		p.pages = int(*w.Pages)
	}
	return p
}

func decodeV1Report(body []byte) (page[wireReportRow], error) {
	none := page[wireReportRow]{number: -1, total: -1, pages: -1}
	details, err := member(body, "orderDetails")
	if err != nil {
		return none, err
	}
	var w wireV1Page
	if err := unmarshalObject(details, &w); err != nil {
		return none, err
	}
	if w.Orders == nil && (w.Total == nil || *w.Total > 0) {
		return none, errWrongShape
	}
	if w.Orders == nil || isBlank(w.Orders) {
		return newPage[wireReportRow](w, nil), nil
	}
	rows, err := decodeRows[wireReportRow](w.Orders)
	if err != nil {
		return none, err
	}
	return newPage(w, rows), nil
}

// decodeV1Ledger reads the answer to GetLedgerStatementDetails, of which no source shows a sample: rows are looked for in the
// block that has the request's name, which is a list or holds one.
func decodeV1Ledger(body []byte) (page[wireLedgerRow], error) {
	none := page[wireLedgerRow]{number: -1, total: -1, pages: -1}
	details, err := member(body, "statementDetails")
	if err != nil {
		return none, err
	}
	var w wireV1Page
	if bytes.HasPrefix(details, []byte("{")) {
		var members map[string]json.RawMessage
		if err := unmarshalObject(details, &members); err != nil {
			return none, err
		}
		_ = json.Unmarshal(details, &w) // counts that are not understood are not there
		details = nil
		for _, value := range members {
			if bytes.HasPrefix(value, []byte("[")) {
				details = value
			}
		}
	}
	if details == nil || isBlank(details) {
		return newPage[wireLedgerRow](w, nil), nil
	}
	rows, err := decodeRows[wireLedgerRow](details)
	if err != nil {
		return none, err
	}
	return newPage(w, rows), nil
}
