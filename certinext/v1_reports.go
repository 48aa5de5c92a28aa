// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"regexp"
	"strconv"
	"time"
)

func (c v1) ordersReport(ctx context.Context, operation string, f ReportFilter) iter.Seq2[ReportRow, error] {
	return f.report(operation, 1, func(number int) (page[wireReportRow], error) {
		r := c.ask(operation, "GetOrderReport", "searchCriteria", f.criteria(number, c.now()))
		p, err := fetch(ctx, c.Client, r, decodeV1Report)
		if nothingFound(err) {
			return page[wireReportRow]{number: number}, nil
		}
		return p, err
	})
}

// criteria returns what version 1 selects by. Status is compared here: what version 2 calls one has several ids, and those of
// two things.
func (f ReportFilter) criteria(number int, now time.Time) wireCriteria {
	w := wireCriteria{
		GroupNumber: f.GroupNumber, DomainName: f.Domain,
		PageNumber: strconv.Itoa(number), PageSize: strconv.Itoa(reportPageSize),
	}
	if f.From.IsZero() && f.To.IsZero() {
		return w
	}
	// Documented: either needs the other, and none may lie in the future.
	from, to := f.From, f.To
	if from.IsZero() {
		from = time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC)
	}
	if to.IsZero() || to.After(now) {
		to = now
	}
	w.From, w.Till = from.UTC().Format(time.DateOnly), to.UTC().Format(time.DateOnly)
	return w
}

// Observed: a report without rows may come as a refusal. Its words were not recorded, so only plain ones are believed: to
// somebody who looks for an order, "there is none" must not be a guess.
var nothingFoundPattern = regexp.MustCompile(`(?i)^no (orders?|records?|requests?|results?|data)( (is|are|was|were|has been|have been))? (found|available)\b`)

func nothingFound(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.enveloped && !e.toAnother && v1Statuses[e.Code] == 0 && nothingFoundPattern.MatchString(e.Detail)
}

// absentVerb reports whether err is the answer of a server that does not have version 1.
func absentVerb(err error) bool {
	var e *Error
	return errors.As(err, &e) && !e.enveloped &&
		HasStatus(e, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusGone, http.StatusNotImplemented)
}

func (c v1) ledger(ctx context.Context, operation, groupNumber string) iter.Seq2[LedgerRow, error] {
	fetchPage := func(number int) (page[wireLedgerRow], error) {
		r := c.ask(operation, "GetLedgerStatementDetails", "statementDetails", wireStatementKey{
			GroupNumber: groupNumber, PageNumber: strconv.Itoa(number), PageSize: "50",
		})
		return fetch(ctx, c.Client, r, decodeV1Ledger)
	}
	return func(yield func(LedgerRow, error) bool) {
		for w, err := range rows(1, fetchPage) {
			if !yield(LedgerRow(w), err) {
				return
			}
		}
	}
}
