// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/serials"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/internal/phrase"
	"github.com/hashicorp/vault/sdk/logical"
)

// An OrderFilter selects orders of CERTInext's report. Zero fields select all.
type OrderFilter struct {
	From, To    time.Time // the first and the last day of ordering
	Status      certinext.Status
	GroupNumber string
	Domain      string // the order's domain, whatever its case
}

func (f OrderFilter) validate() error {
	switch {
	case f.Status != "" && !f.Status.Known():
		return fault.BadField("status", "%q is not a status such as issued, revoked, expired, "+
			"cancelled, rejected or pending-approval", sanitize.Short(string(f.Status)))
	case !f.From.IsZero() && !f.To.IsZero() && f.To.Before(f.From):
		return fault.BadField("to", "is before from")
	}
	return nil
}

// A ReportedOrder is an order in CERTInext's report.
type ReportedOrder struct {
	certinext.ReportRow
	// Serial is the certificate's serial number, colon-separated hexadecimal; empty while there is
	// none, or none that can be read.
	Serial string
	// Role and LocalID are those of this mount's order; empty when it is not known to be one.
	Role    string
	LocalID string
}

// ReportedOrders returns the orders in the account's report, including those that were placed
// elsewhere. An order of this mount is recognized while it is open. Once it is closed, it is
// recognized by the entry of its certificate, so a cancelled or rejected order is not.
func (e *Engine) ReportedOrders(
	ctx context.Context, s logical.Storage, f OrderFilter, w account.Window,
) (account.Page[ReportedOrder], error) {
	if err := f.validate(); err != nil {
		return account.Page[ReportedOrder]{}, err
	}
	if err := w.Validate(); err != nil {
		return account.Page[ReportedOrder]{}, err
	}
	type page = account.Page[certinext.ReportRow]
	var owner string
	rowID := func(r certinext.ReportRow) string { return account.RowID(r.OrderID, r.RequestID) }
	read := func(ctx context.Context, a *account.Session) (page, error) {
		owner = a.Config.Account()
		p, err := account.ReadPage(f.rows(ctx, a.Client), rowID, w)
		if err != nil && ctx.Err() != nil {
			return p, fmt.Errorf("the report is too long to be read within %s (from and to make "+
				"it shorter): %w", phrase.Duration(account.AskPatience), err)
		}
		return p, err
	}
	p, err := account.Ask(ctx, e.Account, s, read)
	if err != nil {
		return account.Page[ReportedOrder]{}, err
	}
	rows, err := e.recognize(ctx, s, owner, p.Rows)
	return account.Page[ReportedOrder]{Rows: rows, Next: p.Next, Total: p.Total}, err
}

// rows returns the rows of the report. A page is read when its first row is asked for.
func (f OrderFilter) rows(
	ctx context.Context, client *certinext.Client,
) iter.Seq2[certinext.ReportRow, error] {
	rows := client.OrdersReport(ctx, certinext.ReportFilter{
		From: f.From, To: f.To, Status: f.Status, GroupNumber: f.GroupNumber,
	})
	if f.Domain == "" {
		return rows
	}
	ofDomain := func(r certinext.ReportRow) bool { return strings.EqualFold(r.Domain, f.Domain) }
	return account.Filter(rows, ofDomain)
}

// recognize finds this mount's orders among rows. owner is the account that was asked. Each row
// that carries a marker costs up to three reads of storage.
func (e *Engine) recognize(
	ctx context.Context, s logical.Storage, owner string, rows []certinext.ReportRow,
) ([]ReportedOrder, error) {
	open, err := e.Orders.Marked(ctx, s, rows)
	if err != nil {
		return nil, err
	}
	out := make([]ReportedOrder, 0, len(rows))
	for _, row := range rows {
		o, named := ReportedOrder{ReportRow: row}, serials.Candidates(row.SerialNumber)
		if len(named) > 0 {
			o.Serial = named[0]
		}
		if slices.ContainsFunc(row.Tags, account.IsMarker) {
			if o.Role, o.LocalID, err = open.Of(ctx, s, row); err != nil {
				return nil, err
			}
			if err := e.claimIssued(ctx, s, owner, named, &o); err != nil {
				return nil, err
			}
		}
		o.Serial = strings.ReplaceAll(o.Serial, "-", ":")
		out = append(out, o)
	}
	return out, nil
}

// claimIssued sets the serial number, role and id of an order that is over from the entry of its
// certificate. owner is the account that was asked, and named are the serial numbers that the
// report may mean.
func (e *Engine) claimIssued(
	ctx context.Context, s logical.Storage, owner string, named []string, o *ReportedOrder,
) error {
	if o.Role != "" {
		return nil
	}
	for _, serial := range named {
		c, err := certificates.Read(ctx, s, serial)
		if err != nil {
			return err
		}
		if c != nil && c.CAOrderID == o.OrderID &&
			(c.Account == "" || account.SameAccount(c.Account, owner)) {
			o.Serial, o.Role, o.LocalID = serial, c.Role, c.OrderID
			return nil
		}
	}
	return nil
}

// A LedgerRow is a movement of the account's balance. CERTInext documents none of its fields, so it
// holds all that was returned, sanitized.
type LedgerRow = map[string]any

// Ledger returns the movements of the balance of a billing group, or of the account when group is
// empty.
func (e *Engine) Ledger(
	ctx context.Context, s logical.Storage, group string, w account.Window,
) (account.Page[LedgerRow], error) {
	if err := w.Validate(); err != nil {
		return account.Page[LedgerRow]{}, err
	}
	noID := func(LedgerRow) string { return "" }
	read := func(ctx context.Context, a *account.Session) (account.Page[LedgerRow], error) {
		return account.ReadPage(a.Client.Ledger(ctx, group), noID, w)
	}
	p, err := account.Ask(ctx, e.Account, s, read)
	for i, row := range p.Rows {
		p.Rows[i] = sanitizeObject(row, 0)
	}
	return p, err
}

// Bounds of what is shown of an object whose fields are not documented.
const (
	maxDepth  = 4
	maxFields = 100 // of an object, and elements of a list
)

// sanitizeValue makes a value of unknown shape fit to be shown: texts become one printable line,
// names are spelled like all of this mount's, and depth and size are bounded.
func sanitizeValue(v any, depth int) any {
	switch v := v.(type) {
	case string:
		return sanitize.OneLine(v)
	case json.Number:
		if len(v) > 40 {
			return sanitize.OneLine(v.String())
		}
		return v
	case map[string]any:
		if depth < maxDepth {
			return sanitizeObject(v, depth+1)
		}
	case []any:
		if depth < maxDepth {
			out := make([]any, 0, min(len(v), maxFields))
			for _, x := range v[:min(len(v), maxFields)] {
				out = append(out, sanitizeValue(x, depth+1))
			}
			return out
		}
	case bool, nil:
		return v
	}
	return "…"
}

// sanitizeObject returns o with names in snake case and sanitized values. Of two names that become
// equal, the later one keeps its spelling.
func sanitizeObject(o map[string]any, depth int) map[string]any {
	names := slices.Sorted(maps.Keys(o))
	out := make(map[string]any, len(o))
	for _, name := range names[:min(len(names), maxFields)] {
		to := snakeCase(sanitize.OneLine(name))
		if _, taken := out[to]; taken {
			to = sanitize.OneLine(name)
		}
		out[to] = sanitizeValue(o[name], depth)
	}
	return out
}

// snakeCase returns group_number for groupNumber, and category_id for categoryID.
func snakeCase(name string) string {
	var b strings.Builder
	var before rune
	for _, r := range name {
		if unicode.IsUpper(r) && (unicode.IsLower(before) || unicode.IsDigit(before)) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
		before = r
	}
	return b.String()
}
