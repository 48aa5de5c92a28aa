// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/money"
)

// invoiceTerm lies between the date of an invoice and its due date in the published sample.
const invoiceTerm = 30 * 24 * time.Hour

// wireLedgerRow is a row of the statement as the newer collection's sample has it.
type wireLedgerRow struct {
	InvoiceNumber    string `json:"invoiceNumber"` // of a charge
	Date             string `json:"date"`
	DueDate          string `json:"dueDate"`          // of a charge
	CreditNoteNumber string `json:"creditNoteNumber"` // of what comes in
	Product          string `json:"product"`
	TotalAmount      string `json:"totalAmount"`
	CurrencyID       string `json:"currencyId"`
	Status           string `json:"status"` // PAID and POSTED are known
	InvoiceDetailsID string `json:"invoiceDetailsId"`
}

// wireOrderedRow is a row with its order, which a top-up has not, in the spelling of version 2.
type wireOrderedRow struct {
	wireLedgerRow
	OrderID string `json:"orderId"`
}

// wireV1OrderedRow is the same in the spelling of version 1 (inferred).
type wireV1OrderedRow struct {
	wireLedgerRow
	OrderNumber string `json:"orderNumber"`
}

// wireLedgerProse is a row as the same collection describes it in words. The names are invented.
type wireLedgerProse struct {
	TransactionDate string `json:"transactionDate"`
	Description     string `json:"description"`
	DebitAmount     string `json:"debitAmount"`
	CreditAmount    string `json:"creditAmount"`
	Balance         string `json:"balance"`
	Currency        string `json:"currency"`
	OrderID         string `json:"orderId"`
	RequestID       string `json:"requestId"`
}

// ledgerReport pages through the movements of money. Sources differ on the number of the first
// page; that a page beyond the end is the last one again is inferred from the orders report where
// they count from one.
func (s version2) ledgerReport(c *call) (reply, *problem) {
	fromOne := s.Billing.LedgerFromOne.or(c.live())
	first := 0
	if fromOne {
		first = 1
	}
	page, problem := c.number("page", first)
	if problem != nil {
		return reply{}, problem
	}
	size, problem := c.number("size", reportPageSize)
	if problem != nil {
		return reply{}, problem
	}
	if problem := s.checkGroup(c.arg("groupNumber")); problem != nil {
		return reply{}, problem
	}
	size = min(max(size, 1), reportMaxPageSize)
	listed := s.statement(c.arg("groupNumber"), c.now)
	pages := pageCount(len(listed), size)
	page = max(page, first)
	if fromOne {
		page = max(min(page, pages), 1)
	}
	rows := []any{}
	for _, m := range ledgerPage(listed, page-first, size) {
		rows = append(rows, s.ledgerRow(m))
	}
	return respond(http.StatusOK, wirePage{rows, page, size, len(listed), pages})
}

// ledgerPage returns a page of a statement; the first one is 0.
func ledgerPage(listed []money.Movement, page, size int) []money.Movement {
	if page >= pageCount(len(listed), size) {
		return nil
	}
	return listed[page*size : min((page+1)*size, len(listed))]
}

// statement are the movements that the ledger statement shows, for a group if one is given.
func (s *Server) statement(group string, now time.Time) []money.Movement {
	s.settleAll(now)
	b := s.Billing
	if b.Ledger == LedgerEmpty {
		return nil
	}
	listed := s.funds.Select(func(m money.Movement) bool {
		return (b.FreeRows || !m.Amount.IsZero()) && (group == "" || m.Group == group) &&
			!now.Before(m.At.Add(b.LedgerDelay))
	})
	if s.ReportOrder == ReportNewestFirst {
		slices.Reverse(listed)
	}
	return listed
}

// ledgerRow is m in version 2.
func (s version2) ledgerRow(m money.Movement) any {
	if s.Billing.Ledger == LedgerProse {
		return s.ledgerProse(m)
	}
	return wireOrderedRow{s.ledgerSample(m), m.Order}
}

// ledgerRow is m in version 1.
func (s version1) ledgerRow(m money.Movement) any {
	if s.Billing.Ledger == LedgerProse {
		return s.ledgerProse(m)
	}
	return wireV1OrderedRow{s.ledgerSample(m), m.Order}
}

func (s *Server) ledgerSample(m money.Movement) wireLedgerRow {
	row := wireLedgerRow{
		Date: m.At.Format(time.DateOnly), Product: m.Product, CurrencyID: s.currencyID(),
		Status: "POSTED", TotalAmount: m.Amount.String(),
		InvoiceDetailsID: strconv.FormatInt(5_799+m.Number, 10),
	}
	number := fmt.Sprintf("%d-%03d", m.At.Year(), m.Number)
	if isIncome(m) {
		row.CreditNoteNumber = "CN-" + number
		return row
	}
	row.InvoiceNumber, row.Status = "INV-"+number, "PAID"
	row.DueDate = m.At.Add(invoiceTerm).Format(time.DateOnly)
	row.TotalAmount = m.Amount.Negative().String()
	return row
}

func (s *Server) ledgerProse(m money.Movement) wireLedgerProse {
	row := wireLedgerProse{
		TransactionDate: rfc3339(m.At), Description: m.Product, Balance: m.Balance.String(),
		Currency: s.currency(), OrderID: m.Order, RequestID: m.Request,
	}
	if isIncome(m) {
		row.CreditAmount = m.Amount.String()
	} else {
		row.DebitAmount = m.Amount.Negative().String()
	}
	return row
}

// isIncome reports whether m is for money that comes in, were it only nothing.
func isIncome(m money.Movement) bool { return m.Kind == money.Refund || m.Kind == money.TopUp }

func (s *Server) currency() string { return orDefault(s.Billing.Currency, "USD") }

// currencyID is "2" in the published sample, whose account is billed in dollars. No other one is
// known.
func (s *Server) currencyID() string {
	if s.currency() == "USD" {
		return "2"
	}
	return "0"
}

// ledger answers the same in version 1. The request is published, the answer is not: its paging
// is that of the orders report (inferred).
func (s version1) ledger(c *call) (reply, *problem) {
	var req struct {
		StatementDetails struct {
			GroupNumber string `json:"groupNumber"`
			PageNumber  string `json:"pageNumber"`
			PageSize    string `json:"pageSize"`
		} `json:"statementDetails"`
	}
	if problem := c.decodeV1(&req); problem != nil {
		return reply{}, problem
	}
	d := req.StatementDetails
	page, size, problem := v1Paging(d.PageNumber, d.PageSize)
	if problem != nil {
		return reply{}, problem
	}
	if problem := s.checkGroup(d.GroupNumber); problem != nil {
		return reply{}, problem
	}
	listed := s.statement(d.GroupNumber, c.now)
	rows := []any{}
	for _, m := range ledgerPage(listed, page-1, size) {
		rows = append(rows, s.ledgerRow(m))
	}
	return s.success(c, map[string]any{"statementDetails": map[string]any{
		"noOfPages": pageCount(len(listed), size), "totalNoOfResults": len(listed),
		"pageSize": len(rows), "currentPage": strconv.Itoa(page), "statementArray": rows,
	}})
}
