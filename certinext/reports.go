// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A ReportRow is an order in the orders report. Cancelled orders stay in it (observed 2026). What
// CERTInext leaves out is zero.
type ReportRow struct {
	// OrderID is usable with every call on an order; empty for a draft.
	OrderID string
	// RequestID is the order's or the draft's other number: see [Order.RequestID].
	RequestID string
	// ProductCode is often empty (observed 2026).
	ProductCode string
	// OrderStatus and CertificateStatus are display words, e.g. "Order Fulfilled" and "Certificate
	// Downloaded"; [ReportRow.Status] reads them.
	OrderStatus       string
	CertificateStatus string
	// SerialNumber is in decimal on the live service (observed 2026).
	SerialNumber string
	// ExpiresAt is the end of the certificate, in UTC.
	ExpiresAt time.Time
	// IssuerCA is the issuing CA's common name.
	IssuerCA string
	// Domain is the order's common name; empty for families without any.
	Domain string
	// Organization and Country are the subject's.
	Organization string
	Country      string
	// GroupNumber is the billing group's that the order was charged to.
	GroupNumber string
	// Tags are as sent with the order: the report is the only place where CERTInext shows them
	// (observed 2026).
	Tags []string
	// Remarks are the order's, where served; the live service serves none (observed 2026).
	Remarks string
	// Originator is how the order was placed, e.g. "emSign-Hub API" or "ACME" (observed 2026).
	Originator string
	// OrderedAt is when the order was placed, in UTC.
	OrderedAt time.Time
}

// Status reads the row's display words as a status. No source has a complete list of the words.
// Unknown ones are StatusUnknown: a caller tracks the order then.
func (r ReportRow) Status() Status {
	order, cert := strings.ToLower(r.OrderStatus), strings.ToLower(r.CertificateStatus)
	either := func(word string) bool {
		return strings.Contains(order, word) || strings.Contains(cert, word)
	}
	switch {
	case strings.Contains(cert, "revoked"):
		return StatusRevoked
	case either("cancel"):
		return StatusCancelled
	case either("reject"):
		return StatusRejected
	case strings.Contains(cert, "expired"):
		return StatusExpired
	case strings.Contains(cert, "certificate generated"),
		strings.Contains(cert, "certificate downloaded"):
		return StatusIssued
	case cert == "" && strings.Contains(order, "fulfilled"):
		return StatusIssued
	case either("pending for approv"), either("pending approv"), either("pending system ra"):
		return StatusPendingApproval
	}
	return StatusUnknown
}

// A ReportFilter selects rows of the orders report. The zero value selects all.
type ReportFilter struct {
	// From and To bound the order's day, both days included; zero is no bound. Whether the server
	// means the day of the order or of the issuance, and in which zone, is not known: allow three
	// days on either side.
	From, To time.Time
	// Status selects by [ReportRow.Status]. Rows whose words are not understood are then returned
	// as well.
	Status Status
	// GroupNumber is a billing group's; empty for all.
	GroupNumber string
	// Domain selects by [ReportRow.Domain], in any case; empty for all. Rows that name none are
	// returned as well. Version 2's server knows no such filter and serves all orders, of which the
	// others are left out here; version 1's does (observed 2026).
	Domain string
}

// reportPageSize is the most that version 2's server gives, and the only size that version 1
// documents.
const reportPageSize = 100

// Observed: the server takes these as a filter and answers 422 to most others.
var reportStatuses = []Status{
	StatusIssued, StatusRevoked, StatusExpired, StatusCancelled, StatusRejected,
	StatusPendingApproval,
}

// OrdersReport returns the account's orders, each once. It is how an order is found again whose
// create failed ambiguously: by its marker in Tags and by its Domain. Iteration ends with the first
// error, which comes with a zero row; a report that served fewer orders than it announced ends with
// one.
//
// The published collection says that version 2 answers 501; the live service works (observed 2026).
// With an [AccessKey] a 501 is therefore no failure: the report is read through version 1, with the
// same key, as the collection advises.
func (c *Client) OrdersReport(ctx context.Context, f ReportFilter) iter.Seq2[ReportRow, error] {
	const operation = "reading orders report"
	if strings.ContainsAny(f.Domain, ", ") { // version 1 would read several names
		return failing[ReportRow](operation, &InvalidRequestError{
			Field: "Domain", Problem: "must be a single name",
		})
	}
	return c.protocol().ordersReport(ctx, operation, f)
}

// failing returns a list that ends at once with err, for a request that is not sent.
func failing[T any](operation string, err error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		yield(none, asError(operation, err))
	}
}

func (c v2) ordersReport(
	ctx context.Context, operation string, f ReportFilter,
) iter.Seq2[ReportRow, error] {
	report := f.report(operation, c.firstPage(), func(number int) (page[wireReportRow], error) {
		return c.reportPage(ctx, operation, f, number)
	})
	if _, signs := c.Credentials.(AccessKey); !signs {
		return report
	}
	return func(yield func(ReportRow, error) bool) {
		for row, err := range report {
			if notWired(err) {
				c.olderReport(ctx, operation, f, err, yield)
				return
			}
			if !yield(row, err) {
				return
			}
		}
	}
}

func (c v2) reportPage(
	ctx context.Context, operation string, f ReportFilter, number int,
) (page[wireReportRow], error) {
	req := c.read(operation, "/reports/orders", f.query(number))
	return fetch(ctx, c.Client, req, func(body []byte) (page[wireReportRow], error) {
		return decodePage[wireReportRow](body, "orders")
	})
}

// notWired reports whether CERTInext itself says that version 2 has no such call (documented: 501).
// A gateway's 501 does not mean that, and a caller that looks for a lost order must not be given
// the report of the wrong version.
func notWired(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Own && e.Status == http.StatusNotImplemented
}

// olderReport reads version 1's report because version 2 has none. When there is no version 1
// either, the error is unwired.
func (c v2) olderReport(
	ctx context.Context, operation string, f ReportFilter, unwired error,
	yield func(ReportRow, error) bool,
) {
	for row, err := range v1(c).ordersReport(ctx, operation, f) {
		if absentVerb(err) {
			err = unwired
		}
		if !yield(row, err) {
			return
		}
	}
}

// report iterates over the pages of a report, the first of which has the number start.
func (f ReportFilter) report(
	operation string, start int, fetchPage func(number int) (page[wireReportRow], error),
) iter.Seq2[ReportRow, error] {
	return func(yield func(ReportRow, error) bool) {
		seen, nameless, announced := map[string]bool{}, 0, -1
		counted := func(number int) (page[wireReportRow], error) {
			p, err := fetchPage(number)
			if err == nil && announced < 0 {
				announced = p.total
			}
			return p, err
		}
		for w, err := range rows(start, counted) {
			if err != nil {
				yield(ReportRow{}, err)
				return
			}
			row := w.row()
			// The last page is served again beyond the end, and new orders move rows to later
			// pages.
			key := row.OrderID + "\n" + row.RequestID
			switch {
			case key == "\n":
				nameless++
			case seen[key]:
				continue
			default:
				seen[key] = true
			}
			if f.matches(row) && !yield(row, nil) {
				return
			}
		}
		// When the rows were sorted differently between two calls, pages repeat some rows and omit
		// others.
		if len(seen)+nameless < announced {
			yield(ReportRow{}, &Error{Operation: operation, Err: errIncomplete})
		}
	}
}

// firstPage is the number of the first page of the orders report: the live service counts from one,
// the published collection from zero.
func (c v2) firstPage() int {
	if c.Credentials != nil && c.Credentials.dialect() == documented {
		return 0
	}
	return 1
}

func (f ReportFilter) query(number int) url.Values {
	q := url.Values{"page": {strconv.Itoa(number)}, "size": {strconv.Itoa(reportPageSize)}}
	if !f.From.IsZero() {
		q.Set("from", f.From.UTC().Format(time.DateOnly))
	}
	if !f.To.IsZero() {
		q.Set("to", f.To.UTC().Format(time.DateOnly))
	}
	if slices.Contains(reportStatuses, f.Status) {
		q.Set("status", string(f.Status))
	}
	if f.GroupNumber != "" {
		q.Set("groupNumber", f.GroupNumber)
	}
	return q
}

func (f ReportFilter) matches(r ReportRow) bool {
	if f.Domain != "" && r.Domain != "" && !equalFold(r.Domain, f.Domain) {
		return false
	}
	s := r.Status()
	return f.Status == "" || s == f.Status || s == StatusUnknown
}

// A LedgerRow is a movement of the account's balance, as it came: no source shows the fields of a
// row.
type LedgerRow = map[string]any

// Ledger returns the account's movements, or a billing group's if groupNumber is not empty. Numbers
// are json.Number. Iteration ends with the first error, which comes with a nil row.
func (c *Client) Ledger(ctx context.Context, groupNumber string) iter.Seq2[LedgerRow, error] {
	return c.protocol().ledger(ctx, "reading ledger", groupNumber)
}

func (c v2) ledger(ctx context.Context, operation, groupNumber string) iter.Seq2[LedgerRow, error] {
	fetchPage := func(number int) (page[wireLedgerRow], error) {
		q := url.Values{"page": {strconv.Itoa(number)}, "size": {"50"}}
		if groupNumber != "" {
			q.Set("groupNumber", groupNumber)
		}
		return fetch(ctx, c.Client, c.read(
			operation, "/reports/ledger", q,
		), func(body []byte) (page[wireLedgerRow], error) {
			return decodePage[wireLedgerRow](body, "ledger")
		})
	}
	return func(yield func(LedgerRow, error) bool) {
		for w, err := range rows(0, fetchPage) {
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(LedgerRow(w), nil) {
				return
			}
		}
	}
}

// rows walks the pages of a list, beginning with the number start. It stops on the announced number
// of pages, never on a short page; a server that announces none is followed until a page is empty
// or comes again. A list that ends before its announced end is an error: a caller that looks for a
// lost order would take an order that was not listed for one that does not exist.
func rows[T any](start int, fetchPage func(number int) (page[T], error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		previous := ""
		for number, fetched := start, 0; ; {
			p, err := fetchPage(number)
			switch {
			case err != nil:
				yield(none, err)
				return
			case len(p.rows) == 0 && p.pages > fetched && p.total != 0, fetched == maxPages:
				yield(none, &Error{Operation: "reading pages", Err: errIncomplete})
				return
			case len(p.rows) == 0:
				return
			}
			if p.pages < 0 {
				content := fingerprint(p.rows)
				if fetched > 0 && content == previous {
					return
				}
				previous = content
			}
			for _, row := range p.rows {
				if !yield(row, nil) {
					return
				}
			}
			fetched++
			if p.pages >= 0 && fetched >= p.pages {
				return
			}
			// A server that counts from one reads page zero as one, and says so.
			number = max(number, p.number) + 1
		}
	}
}

func fingerprint[T any](rows []T) string {
	b, _ := json.Marshal(rows)
	return string(b)
}
