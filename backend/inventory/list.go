// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package inventory

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/index"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sheet"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/lineage"
	"github.com/hashicorp/vault/sdk/logical"
)

// Bounds of one answer.
const (
	// MaxRows is the largest number of rows of a page.
	MaxRows = 1000
	// MaxDescribed is of how many keys a list tells more than the key.
	MaxDescribed = 1000
)

// A Query selects certificates or orders.
type Query struct {
	index.Query
	// Above selects certificates by what is above them.
	Above lineage.Want
}

// A Listed is a certificate, or an order together with its certificate, as it is listed.
type Listed struct {
	// Row is the certificate's, and for an order that has none yet, or none any more, has only the
	// names, the term and the serial number of the order. Its State is empty.
	index.Row
	Status string // the state of the certificate or, in a list of orders, of the order
	// Order is the order's row in a list of orders; else nil.
	Order *index.Row
	// Root is the name of the root of a certificate's chain, Trust what clients make of the
	// certificate, and RefusedBy are the families of clients that do not accept it. They are empty
	// in a list of orders.
	Root      string
	Trust     lineage.Standing
	RefusedBy []string
	// Given is how many certificates of the mount CERTInext's order has given, as far as the index
	// has them; 0 when CERTInext has no number for it.
	Given int
}

// A List is a page of certificates or of orders.
type List struct {
	Rows []Listed
	// Next, Matches and Complete are those of [index.Page].
	Next     string
	Matches  int
	Complete bool
	columns  []column
}

// ListCertificates returns a page of the certificates that a query selects. It reads no storage but
// for chains that nobody has looked at yet, and waits at most a second for an index that is being
// filled.
func ListCertificates(
	ctx context.Context, inv *Inventory, s logical.Storage, q Query,
) (*List, error) {
	inv.Certificates.Index.Await(ctx, s)
	view, err := lineage.Look(ctx, inv.Lineage, s)
	if err != nil && !q.Above.IsZero() {
		return nil, err
	}
	if err := view.Check(q.Above); err != nil {
		return nil, err
	}
	q.Select = view.Select(q.Above)
	l, err := list(inv, inv.Certificates.Index, q, certificateColumns)
	if err != nil {
		return nil, err
	}
	for i := range l.Rows {
		l.Rows[i].judge(view)
	}
	l.Complete = l.Complete && (view.Whole || q.Above.IsZero())
	return l, nil
}

// judge says what is above a listed certificate.
func (l *Listed) judge(view *lineage.View) {
	verdict, _ := view.Verdict(l.Chain, l.Key)
	l.Trust, l.RefusedBy = view.Standing(l.Chain, l.Key), verdict.Refuse
	l.Root = view.Root(l.Chain)
}

// ListOrders is [ListCertificates] for orders, with what is listed of their certificates.
func ListOrders(
	ctx context.Context, inv *Inventory, s logical.Storage, q Query,
) (*List, error) {
	inv.Certificates.Index.Await(ctx, s)
	inv.orders.Index.Await(ctx, s)
	return list(inv, inv.orders.Index, q, orderColumns)
}

func list(inv *Inventory, x *index.Index, q Query, columns []column) (*List, error) {
	if q.Limit < 1 || q.Limit > MaxRows {
		return nil, fault.BadField("limit", "must be between 1 and %d", MaxRows)
	}
	q.Now = inv.Now()
	p, err := x.Page(q.Query)
	if err != nil {
		return nil, err
	}
	return &List{
		Rows: listed(inv, p.Rows), Next: p.Next, Matches: p.Matches, Complete: p.Complete,
		columns: columns,
	}, nil
}

// listed joins the rows of orders with those of their certificates.
func listed(inv *Inventory, rows []index.Row) []Listed {
	var serials []string
	for _, r := range rows {
		if r.State != "" && r.Serial != "" {
			serials = append(serials, r.Serial)
		}
	}
	certs, out := inv.Certificates.Index.Find(serials), make([]Listed, 0, len(rows))
	given := givenBy(inv, rows)
	for _, r := range rows {
		l := Listed{Row: r, Status: index.StateOf(r, inv.Now()), Given: given[numbered(r)]}
		if r.State != "" {
			l.Order = &r
			if cert, there := certs[r.Serial]; there {
				l.Row = cert
			}
			l.State = ""
		}
		out = append(out, l)
	}
	return out
}

// givenBy returns how many certificates each order of CERTInext's has given that some rows name.
func givenBy(inv *Inventory, rows []index.Row) map[index.Numbered]int {
	numbers, given := make(map[string]bool), make(map[index.Numbered]int)
	for _, r := range rows {
		if r.Number != "" {
			numbers[r.Number] = true
		}
	}
	for of, n := range index.CountNumbered(inv.Certificates.Index, numbers) {
		of.Account = account.CanonicalAccount(of.Account)
		given[of] += n
	}
	return given
}

// numbered returns what a row's number is counted by.
func numbered(r index.Row) index.Numbered {
	return index.Numbered{Account: account.CanonicalAccount(r.Account), Number: r.Number}
}

// DescribeCertificates returns what is listed of certificates, by their serial numbers, which have
// dashes. It tells of the first MaxDescribed only. whole is false when some are missing because the
// index is being filled.
func DescribeCertificates(
	ctx context.Context, inv *Inventory, s logical.Storage, serials []string,
) (found map[string]Listed, whole bool) {
	found, whole = describe(ctx, inv, s, inv.Certificates.Index, serials)
	if len(found) == 0 {
		return found, whole
	}
	view, err := lineage.Look(ctx, inv.Lineage, s)
	if err != nil {
		inv.Log.Debug("which clients accept certificates is not listed", "error", err)
	}
	for serial, l := range found {
		l.judge(view)
		found[serial] = l
	}
	return found, whole
}

// DescribeOrders is [DescribeCertificates] for orders, whose keys are <role>/<id>.
func DescribeOrders(
	ctx context.Context, inv *Inventory, s logical.Storage, keys []string,
) (found map[string]Listed, whole bool) {
	if len(keys) > 0 {
		inv.Certificates.Index.Await(ctx, s)
	}
	return describe(ctx, inv, s, inv.orders.Index, keys)
}

func describe(
	ctx context.Context, inv *Inventory, s logical.Storage, x *index.Index, keys []string,
) (found map[string]Listed, whole bool) {
	keys = keys[:min(len(keys), MaxDescribed)]
	if len(keys) == 0 {
		return nil, true
	}
	x.Await(ctx, s)
	rows := x.Find(keys)
	found = make(map[string]Listed, len(rows))
	in := make([]index.Row, 0, len(rows))
	names := make([]string, 0, len(rows))
	for key, r := range rows {
		names, in = append(names, key), append(in, r)
	}
	for i, l := range listed(inv, in) {
		found[names[i]] = l
	}
	return found, len(rows) == len(keys) || x.IsComplete()
}

// A column is one of a list as CSV.
type column struct {
	name string
	cell func(l *Listed) string
}

var certificateColumns = []column{
	{"serial_number", func(l *Listed) string { return Colons(l.Serial) }},
	{"names", func(l *Listed) string { return strings.Join(l.Names, " ") }},
	{"state", func(l *Listed) string { return l.Status }},
	{"role", func(l *Listed) string { return l.Role }},
	{"requester", func(l *Listed) string { return l.Requester }},
	{"owner", func(l *Listed) string { return l.Owner }},
	{"not_before", func(l *Listed) string { return stamp(l.NotBefore) }},
	{"not_after", func(l *Listed) string { return stamp(l.NotAfter) }},
	{"subscription_end", func(l *Listed) string { return stamp(l.PaidUntil) }},
	{"subscription_price", func(l *Listed) string { return l.SubscriptionPrice() }},
	{"subscription_currency", func(l *Listed) string { return l.SubscriptionCurrency() }},
	{"subscription_certificates", func(l *Listed) string { return strconv.Itoa(l.Given) }},
	{"revoked_at", func(l *Listed) string { return stamp(l.Revoked) }},
	{"issuer", func(l *Listed) string { return l.Issuer }},
	{"root", func(l *Listed) string { return l.Root }},
	{"trust", func(l *Listed) string { return string(l.Trust) }},
	{"refused_by", func(l *Listed) string { return strings.Join(l.RefusedBy, " ") }},
	{"key_type", func(l *Listed) string { return l.KeyType }},
	{"origin", func(l *Listed) string { return string(l.Origin) }},
	{"order_id", func(l *Listed) string { return l.OrderID }},
	{"ca_order_id", func(l *Listed) string { return l.Number }},
	{"account", func(l *Listed) string { return l.Account }},
}

var orderColumns = []column{
	{"order_id", func(l *Listed) string { return l.Order.OrderID }},
	{"names", func(l *Listed) string { return strings.Join(l.Order.Names, " ") }},
	{"state", func(l *Listed) string { return l.Status }},
	{"waits_for", func(l *Listed) string { return l.Order.WaitsFor }},
	{"role", func(l *Listed) string { return l.Order.Role }},
	{"requester", func(l *Listed) string { return l.Order.Requester }},
	{"owner", func(l *Listed) string { return l.Order.Owner }},
	{"created_at", func(l *Listed) string { return stamp(l.Order.MadeAt) }},
	{"updated_at", func(l *Listed) string { return stamp(l.Order.ChangedAt) }},
	{"ca_order_id", func(l *Listed) string { return l.Order.Number }},
	{"account", func(l *Listed) string { return l.Order.Account }},
	{"serial_number", func(l *Listed) string { return Colons(l.Order.Serial) }},
	{"not_after", func(l *Listed) string { return stamp(l.NotAfter) }},
	{"subscription_end", func(l *Listed) string { return stamp(l.PaidUntil) }},
	{"subscription_price", func(l *Listed) string { return l.SubscriptionPrice() }},
	{"subscription_currency", func(l *Listed) string { return l.SubscriptionCurrency() }},
	{"subscription_certificates", func(l *Listed) string { return strconv.Itoa(l.Given) }},
	{"revoked_at", func(l *Listed) string { return stamp(l.Revoked) }},
	{"issuer", func(l *Listed) string { return l.Issuer }},
	{"key_type", func(l *Listed) string { return l.KeyType }},
}

// CSV writes the rows below the names of their columns. Each says whether the list was whole, and
// next.
func (l *List) CSV() ([]byte, error) {
	var names []string
	for _, c := range l.columns {
		names = append(names, c.name)
	}
	rows := make([][]string, 0, len(l.Rows))
	for i := range l.Rows {
		var cells []string
		for _, c := range l.columns {
			cells = append(cells, c.cell(&l.Rows[i]))
		}
		rows = append(rows, append(cells, strconv.FormatBool(l.Complete), l.Next))
	}
	return sheet.CSV(append(names, "complete", "next"), rows)
}

// SubscriptionPrice returns what the term of a listed certificate or order has cost; empty when
// that is not known.
func (l *Listed) SubscriptionPrice() string {
	price, _, _ := strings.Cut(l.Price, " ")
	return price
}

// SubscriptionCurrency returns the currency of that price.
func (l *Listed) SubscriptionCurrency() string {
	_, currency, _ := strings.Cut(l.Price, " ")
	return currency
}

// Colons returns a serial number with colons.
func Colons(serial string) string { return strings.ReplaceAll(serial, "-", ":") }

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
