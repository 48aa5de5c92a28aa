// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"math/big"
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
	"github.com/hashicorp/vault/sdk/logical"
)

// An OrderFilter selects orders of CERTInext's report. The zero value selects all.
type OrderFilter struct {
	From, To    time.Time // the order's day, both included; no bound when zero
	Status      certinext.Status
	GroupNumber string
	Domain      string // that the order is for, in any case
}

func (f OrderFilter) validate() error {
	switch {
	case f.Status != "" && !f.Status.Known():
		return fault.BadField("status", "%q is not a status such as issued, revoked, expired, cancelled, rejected or pending-approval", sanitize.Short(string(f.Status)))
	case !f.From.IsZero() && !f.To.IsZero() && f.To.Before(f.From):
		return fault.BadField("to", "is before from")
	}
	return nil
}

// A ReportedOrder is an order in CERTInext's report.
type ReportedOrder struct {
	certinext.ReportRow
	// Serial is the certificate's serial number, colon-separated hexadecimal; empty while there is none, or none that can be
	// read.
	Serial string
	// Role and LocalID are those of this mount's order; empty when it is not known to be one.
	Role    string
	LocalID string
}

// ReportedOrders returns the account's orders, whoever placed them. An order of this mount is recognized while it is open and,
// when it is over, by its certificate's record: one that was cancelled or rejected is not.
func (e *Engine) ReportedOrders(ctx context.Context, s logical.Storage, f OrderFilter, w account.Window) (account.Page[ReportedOrder], error) {
	if err := f.validate(); err != nil {
		return account.Page[ReportedOrder]{}, err
	}
	if err := w.Validate(); err != nil {
		return account.Page[ReportedOrder]{}, err
	}
	var of string
	p, err := account.Ask(ctx, e.Account, s, func(ctx context.Context, a *account.Session) (account.Page[certinext.ReportRow], error) {
		of = a.Config.Account()
		p, err := account.ReadPage(f.rows(ctx, a.Client), func(r certinext.ReportRow) string { return account.RowID(r.OrderID, r.RequestID) }, w)
		if err != nil && ctx.Err() != nil {
			return p, fmt.Errorf("the report is too long to be read within %s (from and to make it shorter): %w", account.AskPatience, err)
		}
		return p, err
	})
	if err != nil {
		return account.Page[ReportedOrder]{}, err
	}
	rows, err := e.recognize(ctx, s, of, p.Rows)
	return account.Page[ReportedOrder]{Rows: rows, Next: p.Next, Total: p.Total}, err
}

// rows reads the report, page by page, as far as somebody wants to know.
func (f OrderFilter) rows(ctx context.Context, client *certinext.Client) iter.Seq2[certinext.ReportRow, error] {
	rows := client.OrdersReport(ctx, certinext.ReportFilter{From: f.From, To: f.To, Status: f.Status, GroupNumber: f.GroupNumber})
	if f.Domain == "" {
		return rows
	}
	return account.Filter(rows, func(r certinext.ReportRow) bool { return strings.EqualFold(r.Domain, f.Domain) })
}

// recognize finds this mount's own orders among rows. It costs a look into storage or two for each row that carries a marker.
func (e *Engine) recognize(ctx context.Context, s logical.Storage, id string, rows []certinext.ReportRow) ([]ReportedOrder, error) {
	open, err := e.Orders.Marked(ctx, s, rows)
	if err != nil {
		return nil, err
	}
	out := make([]ReportedOrder, 0, len(rows))
	for _, row := range rows {
		o := ReportedOrder{ReportRow: row, Serial: reportedSerial(row.SerialNumber)}
		if slices.ContainsFunc(row.Tags, account.IsMarker) {
			if o.Role, o.LocalID, err = open.Of(ctx, s, row); err != nil {
				return nil, err
			}
			if err := e.claimIssued(ctx, s, id, &o); err != nil {
				return nil, err
			}
		}
		o.Serial = strings.ReplaceAll(o.Serial, "-", ":")
		out = append(out, o)
	}
	return out, nil
}

// claimIssued makes o the order that its certificate was recorded for.
func (e *Engine) claimIssued(ctx context.Context, s logical.Storage, id string, o *ReportedOrder) error {
	if o.Role != "" || o.Serial == "" {
		return nil
	}
	c, err := certificates.Read(ctx, s, o.Serial)
	if err != nil || c == nil {
		return err
	}
	if c.CAOrderID == o.OrderID && (c.Account == "" || account.SameAccount(c.Account, id)) {
		o.Role, o.LocalID = c.Role, c.OrderID
	}
	return nil
}

// reportedSerial reads a serial number in the report and returns it in the form of storage keys, or "". It is decimal on the
// live service (observed 2026) and hexadecimal in the documentation, which has no report.
func reportedSerial(text string) string {
	if n, ok := new(big.Int).SetString(text, 10); ok && n.Sign() > 0 && len(text) <= 50 {
		return serials.Key(n)
	}
	if key, err := serials.Parse("serial", text); err == nil {
		return key
	}
	return ""
}

// A LedgerRow is a movement of the account's balance. No source shows its fields, so it holds what came, tidied.
type LedgerRow = map[string]any

// Ledger returns the movements of the account's balance, or a billing group's.
func (e *Engine) Ledger(ctx context.Context, s logical.Storage, group string, w account.Window) (account.Page[LedgerRow], error) {
	if err := w.Validate(); err != nil {
		return account.Page[LedgerRow]{}, err
	}
	p, err := account.Ask(ctx, e.Account, s, func(ctx context.Context, a *account.Session) (account.Page[LedgerRow], error) {
		return account.ReadPage(a.Client.Ledger(ctx, group), func(LedgerRow) string { return "" }, w)
	})
	for i, row := range p.Rows {
		p.Rows[i] = tidyObject(row, 0)
	}
	return p, err
}

// Bounds of what is repeated of an object whose fields nobody knows.
const (
	maxDepth  = 4
	maxFields = 100
)

// tidy makes a value of unknown shape fit to be shown: texts are one printable line, names are spelled as all of this mount's,
// and neither size nor depth is the sender's to choose.
func tidy(v any, depth int) any {
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
			return tidyObject(v, depth+1)
		}
	case []any:
		if depth < maxDepth {
			out := make([]any, 0, min(len(v), maxFields))
			for _, x := range v[:min(len(v), maxFields)] {
				out = append(out, tidy(x, depth+1))
			}
			return out
		}
	case bool, nil:
		return v
	}
	return "…"
}

func tidyObject(o map[string]any, depth int) map[string]any {
	names := slices.Sorted(maps.Keys(o))
	out := make(map[string]any, len(o))
	for _, name := range names[:min(len(names), maxFields)] {
		to := snakeCase(sanitize.OneLine(name))
		if _, taken := out[to]; taken {
			to = sanitize.OneLine(name)
		}
		out[to] = tidy(o[name], depth)
	}
	return out
}

// snakeCase spells groupNumber as group_number and categoryID as category_id.
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
