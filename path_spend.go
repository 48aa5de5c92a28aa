// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/backend"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

func (b *secretsBackend) pathSpend() []*framework.Path {
	return []*framework.Path{{
		Pattern: "reports/spend/?$",
		Fields: merge(spendFilterFields(), map[string]*framework.FieldSchema{
			"correct": {
				Type: framework.TypeBool,
				Description: "For write: have the budgets count what the report says was paid " +
					"back, or charged for a reissue.",
			},
		}),
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.ReadOperation: writing(b.readSpending,
				"Add up what this mount's orders cost, and compare it with CERTInext's ledger.",
				"read", "spend-report", spendFields()),
			logical.UpdateOperation: writing(b.correctSpending,
				"Have the budgets count what the ledger says was paid back or charged.",
				"correct", "budgets", merge(spendFields(), correctionFields())),
		},
		HelpSynopsis:    "What was ordered by this mount, what it costs, and what was charged.",
		HelpDescription: spendHelp,
	}}
}

func spendFilterFields() map[string]*framework.FieldSchema {
	text := func(description string) *framework.FieldSchema {
		return &framework.FieldSchema{
			Type: framework.TypeString, Query: true, Description: description,
		}
	}
	return map[string]*framework.FieldSchema{
		"from": text("First day of the orders, YYYY-MM-DD, in UTC."),
		"to":   text("Last day of the orders, YYYY-MM-DD, in UTC."),
		"role": text("Only orders under this role."),
		"requester": text("Only orders of this requester, as the report names it, or of this " +
			"entity."),
		"product": text("Only orders of the product with this code."),
		"group_number": text("Only orders that this billing group pays. It is the group's ledger " +
			"that is read then, else the account's."),
		"group_by": {
			Type: framework.TypeString, Query: true, Default: "month",
			Description: "What orders are added up by: month, role, requester, product, or " +
				"several of them with commas between. Currencies are always kept apart.",
		},
		"format": {
			Type: framework.TypeString, Query: true, Default: "json",
			Description: "json, or csv for the rows of spend as a file.",
		},
		"encoding": {
			Type: framework.TypeString, Query: true, Default: "raw",
			Description: "With format=csv: raw for the file itself, or base64 for JSON that " +
				"holds it.",
		},
		"after": text("Value of next in the previous answer; empty for the first one."),
		"limit": {
			Type: framework.TypeInt, Query: true, Default: backend.MaxSpendOrders,
			Description: fmt.Sprintf("Maximum number of orders in the journal that are read, up "+
				"to %d.", backend.MaxSpendOrders),
		},
	}
}

func spendFields() map[string]*framework.FieldSchema {
	return merge(fileFields(), map[string]*framework.FieldSchema{
		"spend": {Type: framework.TypeSlice, Description: spendRowsHelp},
		"differences": {
			Type: framework.TypeSlice,
			Description: "The first thousand orders of which the ledger says otherwise than this " +
				"mount, each with kind, role, order_id, ca_order_id, ordered_at, requester, " +
				"expected, currency, charged, charged_currency and refunded.",
		},
		"difference_counts": {
			Type:        framework.TypeMap,
			Description: "How many differences there are of each kind.",
		},
		"ledger_complete": {
			Type:        framework.TypeBool,
			Description: "The ledger was read to its end.",
		},
		"ledger_problem": {
			Type:        framework.TypeString,
			Description: "Why it was not; empty when it was.",
		},
		"ledger_rows": {Type: framework.TypeInt, Description: "Rows of the ledger that were read."},
		"ledger_rows_of_others": {
			Type: framework.TypeInt,
			Description: "Those that are about none of the orders that were read. They are other " +
				"users' of the account, or payments, if orders_read are all orders of the mount.",
		},
		"orders_read": {
			Type:        framework.TypeInt,
			Description: "Entries of the journal that were read, selected or not.",
		},
		"orders_unreadable": {
			Type:        framework.TypeInt,
			Description: "Entries that cannot be read, and are not counted.",
		},
		"next": {
			Type: framework.TypeString,
			Description: "Value to send as after for the orders that were not read; empty when " +
				"all were.",
		},
		"notes": {
			Type:        framework.TypeStringSlice,
			Description: "What the report cannot tell, and why.",
		},
	})
}

func (b *secretsBackend) readSpending(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	encode, err := spendEncoder(d)
	if err != nil {
		return nil, err
	}
	q, err := decodeSpendQuery(d)
	if err != nil {
		return nil, err
	}
	report, err := backend.ReportSpending(ctx, b.engine, req.Storage, q)
	if err != nil {
		return nil, err
	}
	return encode(report)
}

func correctionFields() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"corrections": {
			Type: framework.TypeSlice,
			Description: "Orders that budgets count otherwise from now on, each with role, " +
				"order_id, ca_order_id, kind (refund or reissue-charged), amount and counts: " +
				"how many counts of budgets have changed.",
		},
	}
}

func (b *secretsBackend) correctSpending(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	if !d.Get("correct").(bool) {
		return nil, &backend.FieldError{
			Field: "correct",
			Problem: "is missing: write correct=true to have the budgets corrected, or read " +
				"this path for the report alone",
		}
	}
	if d.Get("format").(string) != "json" {
		return nil, &backend.FieldError{
			Field: "format", Problem: "is json for a correction: read this path for CSV",
		}
	}
	q, err := decodeSpendQuery(d)
	if err != nil {
		return nil, err
	}
	report, done, err := backend.CorrectSpending(ctx, b.engine, req.Storage, q)
	if err != nil {
		return nil, err
	}
	resp, err := encodeSpending(report)
	if err != nil {
		return nil, err
	}
	corrections := []map[string]any{}
	for _, c := range done {
		kind := "refund"
		if c.Charged {
			kind = "reissue-charged"
		}
		corrections = append(corrections, map[string]any{
			"role": c.Role, "order_id": c.OrderID, "ca_order_id": c.Number, "kind": kind,
			"amount": c.Amount.String(), "counts": c.Counts,
		})
	}
	resp.Data["corrections"] = corrections
	return resp, nil
}

// decodeSpendQuery reads what a report is about.
func decodeSpendQuery(d *framework.FieldData) (backend.SpendQuery, error) {
	q := backend.SpendQuery{
		SpendFilter: backend.SpendFilter{
			Role: d.Get("role").(string), Requester: d.Get("requester").(string),
			ProductCode: d.Get("product").(string), GroupNumber: d.Get("group_number").(string),
		},
		After: d.Get("after").(string), Limit: d.Get("limit").(int),
	}
	var err error
	if q.From, err = decodeDay(d, "from"); err != nil {
		return q, err
	}
	if q.To, err = decodeDay(d, "to"); err != nil {
		return q, err
	}
	for name := range strings.SplitSeq(d.Get("group_by").(string), ",") {
		if dimension := backend.SpendDimension(strings.TrimSpace(name)); dimension != "" {
			q.GroupBy = append(q.GroupBy, dimension)
		}
	}
	return q, nil
}

// spendEncoder returns what encodes a report in the form that a request asks for.
func spendEncoder(
	d *framework.FieldData,
) (func(*backend.SpendReport) (*logical.Response, error), error) {
	format, encoding := d.Get("format").(string), d.Get("encoding").(string)
	switch {
	case encoding != "raw" && encoding != "base64":
		return nil, &backend.FieldError{
			Field: "encoding", Problem: fmt.Sprintf("%q is not raw or base64", encoding),
		}
	case format == "json":
		return encodeSpending, nil
	case format != "csv":
		return nil, &backend.FieldError{
			Field: "format", Problem: fmt.Sprintf("%q is not json or csv", format),
		}
	}
	return func(r *backend.SpendReport) (*logical.Response, error) {
		file, err := r.CSV(r.Next)
		if err != nil {
			return nil, err
		}
		return csvResponse(file, "spend.csv", encoding), nil
	}, nil
}

func encodeSpending(r *backend.SpendReport) (*logical.Response, error) {
	rows, differences := []map[string]any{}, []map[string]any{}
	for _, row := range r.Rows {
		rows = append(rows, encodeSpendRow(row))
	}
	for _, d := range r.Differences {
		differences = append(differences, encodeSpendDifference(d))
	}
	counts := map[string]any{}
	for kind, n := range r.Counts {
		counts[string(kind)] = n
	}
	return &logical.Response{Data: map[string]any{
		"spend":                 rows,
		"differences":           differences,
		"difference_counts":     counts,
		"ledger_complete":       r.Ledger.Whole,
		"ledger_problem":        r.Ledger.Problem,
		"ledger_rows":           r.Ledger.Rows,
		"ledger_rows_of_others": r.Ledger.Strangers,
		"orders_read":           r.Read,
		"orders_unreadable":     r.Unreadable,
		"next":                  r.Next,
		"notes":                 slices.Concat([]string{}, r.Notes),
	}}, nil
}

func encodeSpendRow(row backend.SpendRow) map[string]any {
	return map[string]any{
		"month": row.Month, "role": row.Role, "requester": row.Requester,
		"requester_name": row.RequesterName, "product_code": row.ProductCode,
		"currency": row.Currency, "orders": row.Orders, "reissues": row.Reissues,
		"expected": row.Expected.String(), "unpriced": row.Unpriced,
		"charged": row.Charged.String(), "refunded": row.Refunded.String(),
		"charge_unknown":   row.ChargeUnknown,
		"reissues_charged": row.ReissuesCharged, "reissues_unknown": row.ReissuesUnknown,
	}
}

func encodeSpendDifference(d backend.SpendDifference) map[string]any {
	return map[string]any{
		"kind": string(d.Kind), "role": d.Role, "order_id": d.OrderID, "ca_order_id": d.Number,
		"ordered_at": rfc3339(d.At), "requester": d.Requester, "expected": d.Expected.String(),
		"currency": d.Currency, "charged": d.Charged.String(),
		"charged_currency": d.ChargedIn, "refunded": d.Refunded.String(),
	}
}

const spendRowsHelp = "One row for each group and currency, in which each order counts once: " +
	"month, role, requester, requester_name and product_code where they are grouped by, " +
	"currency, orders, reissues, expected (what the orders cost by their prices), unpriced " +
	"(orders that expected lacks), charged and refunded (what the ledger shows), charge_unknown " +
	"(orders and reissues that charged lacks), reissues_charged and reissues_unknown. " +
	"Amounts are decimal text, or unknown."

const spendHelp = `
The orders are those of this mount's journal that CERTInext has taken, or may have, whatever
became of them; the month is that of the order, in UTC. Reissues are counted apart. expected adds
up prices as they were known when the orders were placed. charged and refunded are what the
account's ledger shows, under both versions of the API; no live account was seen to have rows in
it. What is not known is unknown, and never 0.00.

currency is a code such as USD, empty where product_prices of config gave a price and no row of
the ledger a currency, and unknown where neither a price nor a charge is known.

differences are of these kinds: not-in-ledger (the ledger, read to its end, does not show the
order), other-amount, other-currency, refund, reissue-charged, charged-again (there are more
charges than the order and its reissues account for), unreadable (a row about it cannot be read,
or names several orders), and no-record (the ledger has rows about an order of which this mount
has the certificate, and no record). Rows about other users' orders are only counted.

Orders are not indexed: every one of the mount, or of the role, is read, in at most 25 seconds,
and the ledger in 18. next says where the journal was left, and ledger_complete whether the ledger
was read to its end. The orders that are read, 20,000 at most, are held in memory until the answer
is sent, with about a kilobyte each.

Writing correct=true has the budgets count what the report says: an order that was paid back is
taken off the period in which it was counted, and a reissue that was charged is counted in the
period in which it was asked for. Each counts once, however often that is done. Only the orders
that are selected, and were read, are corrected. Reading corrects nothing.

format=csv answers the rows of spend as a file; cells that a spreadsheet would take for a formula
begin with an apostrophe. Each of its lines says whether the ledger was complete, and next.
`
