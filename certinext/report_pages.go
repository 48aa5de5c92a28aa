// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

import "context"

// A ReportPage is one page of the orders report, as it was when CERTInext answered.
type ReportPage struct {
	// Rows are as they came: between two calls, new orders move rows to other pages, so that an
	// order may be on two of them.
	Rows []ReportRow
	// Total and Pages say how many rows and pages the whole report has. They are -1 when CERTInext
	// does not say.
	Total, Pages int
}

// ReportPages reads the account's orders report, of all days, page by page and in any order. It is
// for a reading that outlives a call's patience; [Client.OrdersReport] is simpler. It must not be
// used concurrently.
type ReportPages struct {
	client *Client
	older  bool // version 2 has said that it has no report
	first  int  // what the server calls the first page
	begun  bool // a page was read, so that first is right
}

// ReportPages returns a reader of the orders report's pages.
func (c *Client) ReportPages() *ReportPages { return &ReportPages{client: c} }

// Read returns a page, of which the first is 1. Nothing is documented of the order of the rows, and
// a page beyond the end may be the last one again (observed 2026). Where version 2 answers 501, the
// page is read through version 1 as [Client.OrdersReport] does.
func (p *ReportPages) Read(ctx context.Context, number int) (ReportPage, error) {
	const operation = "reading orders report"
	read := p.client.protocol()
	if p.older {
		read = v1{p.client}
	}
	w, err := p.read(ctx, read, operation, number)
	if _, signs := p.client.Credentials.(AccessKey); signs && !p.older && notWired(err) {
		unwired := err
		w, err = p.read(ctx, v1{p.client}, operation, number)
		if absentVerb(err) {
			err = unwired
		}
		p.older = err == nil
	}
	if err != nil {
		return ReportPage{}, err
	}
	out := ReportPage{Rows: make([]ReportRow, 0, len(w.rows)), Total: w.total, Pages: w.pages}
	for _, row := range w.rows {
		out.Rows = append(out.Rows, row.row())
	}
	return out, nil
}

// read asks for a page in the server's own count. A server that counts from one reads page zero as
// one, and says so.
func (p *ReportPages) read(
	ctx context.Context, from protocol, operation string, number int,
) (page[wireReportRow], error) {
	first := p.first
	if !p.begun {
		first = from.firstPage()
	}
	w, err := from.reportPage(ctx, operation, ReportFilter{}, first+number-1)
	if err == nil && !p.begun {
		p.first, p.begun = first, true
		if number == 1 {
			p.first = max(first, w.number)
		}
	}
	return w, err
}
