// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

// A listing is what the paths for certificates and those for orders differ in.
type listing struct {
	what   string // certs or orders
	rows   string // field of the rows in answers
	sort   string // by default
	sorts  []string
	states []string
	read   func(
		context.Context, *backend.Engine, logical.Storage, backend.ListQuery,
	) (*backend.List, error)
	encode func(backend.Listed) map[string]any
	fields map[string]*framework.FieldSchema
	about  string // of the rows
}

func certificateListing() *listing {
	return &listing{
		what: "certs", rows: "certificates", sort: "not_after",
		sorts: []string{
			"not_after", "not_before", "subscription_end", "revoked_at", "name", "role",
		},
		states: []string{"valid", "expired", "revoked", "held"},
		read:   backend.ListCertificates, encode: encodeListedCertificate,
		fields: map[string]*framework.FieldSchema{
			"issuer": filterField("Only certificates of the CA with this common name."),
			"key_type": filterField("Only certificates with such a key: rsa-2048, rsa-3072, " +
				"rsa-4096, ec-256 or ec-384."),
			"root": filterField("Only certificates with a chain that leads to the root with this " +
				"common name, or through it, where it is cross-signed."),
			"chain_key": filterField("Only certificates with this key in one of their chains: " +
				"the SHA-256 of a CA's SubjectPublicKeyInfo, in hexadecimal."),
			"trust": filterField("Only certificates of which clients make this: accepted, " +
				"partly, refused, distrusted or unknown."),
			"refused_by": filterField("Only certificates that this family of clients, of " +
				"config/trust, does not accept."),
			"expires_within": {
				Type: framework.TypeDurationSecond, Query: true,
				Description: "Only certificates that expire within this time, such as 30d, and " +
					"are neither expired nor revoked.",
			},
		},
		about: listedCertificateHelp,
	}
}

func orderListing() *listing {
	return &listing{
		what: "orders", rows: "orders", sort: "-created_at",
		sorts: []string{"created_at", "updated_at", "subscription_end", "name", "role"},
		read:  backend.ListOrders, encode: encodeListedOrder,
		fields: map[string]*framework.FieldSchema{
			"waits_for": filterField("Only orders that wait for this party, such as " +
				"domain-owner, approver or operator."),
		},
		about: listedOrderHelp,
	}
}

func filterField(description string) *framework.FieldSchema {
	return &framework.FieldSchema{
		Type: framework.TypeString, Query: true, Description: description,
	}
}

// filterFields are what both lists are filtered by, and how they are answered.
func (l *listing) filterFields() map[string]*framework.FieldSchema {
	what := map[string]string{"certs": "certificates", "orders": "orders"}[l.what]
	return merge(windowFields(), l.fields, map[string]*framework.FieldSchema{
		"name": filterField("Only " + what + " with this name, or with a wildcard that covers it."),
		"text": filterField("Only " + what + " with this text in a name, role, requester, owner, " +
			"issuer, serial number or id."),
		"requester": filterField("Only " + what + " of this requester, such as entity:<id>."),
		"owner":     filterField("Only " + what + " with this owner."),
		"state":     filterField("Only " + what + " in this state."),
		"sort": {
			Type: framework.TypeString, Query: true, Default: l.sort,
			Description: "What they are sorted by: " + strings.Join(l.sorts, ", ") + "; with a - " +
				"before it, the last comes first.",
		},
		"format": {
			Type: framework.TypeString, Query: true, Default: "json",
			Description: "json, or csv for the rows as a file.",
		},
		"encoding": {
			Type: framework.TypeString, Query: true, Default: "raw",
			Description: "With format=csv: raw for the file itself, or base64 for JSON that " +
				"holds it.",
		},
	})
}

func (b *secretsBackend) pathInventory() []*framework.Path {
	var out []*framework.Path
	for _, l := range []*listing{certificateListing(), orderListing()} {
		all := map[string]*framework.FieldSchema{"role": filterField("Only those of this role.")}
		answers := merge(fileFields(), pageFields(l.rows, l.about), totalField(), completeField())
		read := func(
			ctx context.Context, req *logical.Request, d *framework.FieldData,
		) (*logical.Response, error) {
			return b.readListing(ctx, req, d, l)
		}
		out = append(out, &framework.Path{
			Pattern: "inventory/" + l.what + "/?$",
			Fields:  merge(l.filterFields(), all),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ReadOperation: operation(read,
					"Search the mount's "+l.rows+".", "search", l.rows, answers),
			},
			HelpSynopsis:    "The mount's " + l.rows + ", filtered, sorted and page by page.",
			HelpDescription: inventoryHelp,
		}, &framework.Path{
			Pattern: "inventory/" + l.what + "/" + framework.GenericNameRegex("role") + "$",
			Fields:  merge(l.filterFields(), roleField()),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ReadOperation: operation(read,
					"Search a role's "+l.rows+".", "search", "role-"+l.rows, answers),
			},
			HelpSynopsis:    "A role's " + l.rows + ", filtered, sorted and page by page.",
			HelpDescription: inventoryHelp,
		})
	}
	return out
}

func completeField() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"complete": {
			Type: framework.TypeBool,
			Description: "Whether everything that is stored was looked at. After a start, it " +
				"takes some seconds, or for 100,000 certificates a minute, until it is.",
		},
	}
}

func (b *secretsBackend) readListing(
	ctx context.Context, req *logical.Request, d *framework.FieldData, l *listing,
) (*logical.Response, error) {
	q, err := l.decode(d)
	if err != nil {
		return nil, err
	}
	format, encoding := d.Get("format").(string), d.Get("encoding").(string)
	switch {
	case encoding != "raw" && encoding != "base64":
		return nil, wrongField("encoding", "%q is not raw or base64", encoding)
	case format != "json" && format != "csv":
		return nil, wrongField("format", "%q is not json or csv", format)
	}
	page, err := l.read(ctx, b.engine, req.Storage, q)
	if err != nil {
		return nil, err
	}
	if format == "json" {
		resp := pageResponse(l.rows, backend.Page[backend.Listed]{
			Rows: page.Rows, Next: page.Next, Total: page.Matches,
		}, l.encode)
		resp.Data["complete"] = page.Complete
		return resp, nil
	}
	file, err := page.CSV()
	if err != nil {
		return nil, err
	}
	return csvResponse(file, l.rows+".csv", encoding), nil
}

// csvResponse is the answer that holds a table, as it is or as JSON.
func csvResponse(file []byte, name, encoding string) *logical.Response {
	const kind = "text/csv; charset=utf-8"
	if encoding == "raw" {
		return rawResponse(file, kind)
	}
	return &logical.Response{Data: map[string]any{
		"content":      base64.StdEncoding.EncodeToString(file),
		"content_type": kind,
		"file_name":    name,
	}}
}

func wrongField(field, format string, args ...any) error {
	return &backend.FieldError{Field: field, Problem: fmt.Sprintf(format, args...)}
}

// decode reads what a list is to show.
func (l *listing) decode(d *framework.FieldData) (backend.ListQuery, error) {
	text := func(field string) string {
		if _, declared := d.Schema[field]; !declared {
			return ""
		}
		return d.Get(field).(string)
	}
	var q backend.ListQuery
	q.Name, q.Text, q.Role, q.Owner = text("name"), text("text"), text("role"), text("owner")
	q.Requester, q.State, q.Issuer = text("requester"), text("state"), text("issuer")
	q.KeyType, q.WaitsFor = text("key_type"), text("waits_for")
	q.After, q.Limit = text("after"), d.Get("limit").(int)
	above, err := backend.ParseLineage(
		text("chain_key"), text("root"), text("trust"), text("refused_by"))
	if err != nil {
		return q, err
	}
	q.Above = above
	by, descending := strings.CutPrefix(text("sort"), "-")
	q.Sort, q.Descending = backend.ListSort(by), descending
	if !slices.Contains(l.sorts, by) {
		return q, wrongField("sort", "%q is none of %s", by, strings.Join(l.sorts, ", "))
	}
	if q.State != "" && l.states != nil && !slices.Contains(l.states, q.State) {
		return q, wrongField("state", "%q is none of %s", q.State, strings.Join(l.states, ", "))
	}
	if _, declared := d.Schema["expires_within"]; declared {
		within := d.Get("expires_within").(int)
		if within < 0 {
			return q, wrongField("expires_within", "must not be negative")
		}
		q.ExpiresWithin = time.Duration(within) * time.Second
	}
	return q, nil
}

// encodeListedCertificate returns what is listed of a certificate.
func encodeListedCertificate(l backend.Listed) map[string]any {
	data := listedInfo(l)
	data["serial_number"] = strings.ReplaceAll(l.Serial, "-", ":")
	return data
}

// listedInfo is what a list tells of a certificate beside its serial number.
func listedInfo(l backend.Listed) map[string]any {
	return map[string]any{
		"names":            append([]string{}, l.Names...),
		"state":            l.Status,
		"role":             l.Role,
		"requester":        l.Requester,
		"owner":            l.Owner,
		"not_before":       rfc3339(l.NotBefore),
		"not_after":        rfc3339(l.NotAfter),
		"subscription_end": rfc3339(l.PaidUntil),

		"subscription_price":        l.SubscriptionPrice(),
		"subscription_currency":     l.SubscriptionCurrency(),
		"subscription_certificates": l.Given,

		"revoked_at":  rfc3339(l.Revoked),
		"issuer":      l.Issuer,
		"root":        l.Root,
		"trust":       string(l.Trust),
		"refused_by":  append([]string{}, l.RefusedBy...),
		"key_type":    l.KeyType,
		"origin":      string(l.Origin),
		"order_id":    l.OrderID,
		"ca_order_id": l.Number,
		"account":     l.Account,
	}
}

// encodeListedOrder returns what is listed of an order.
func encodeListedOrder(l backend.Listed) map[string]any {
	data := listedOrderInfo(l)
	data["order_id"] = l.Order.OrderID
	return data
}

// listedOrderInfo is what a list tells of an order beside its id.
func listedOrderInfo(l backend.Listed) map[string]any {
	o := l.Order
	return map[string]any{
		"names":            append([]string{}, o.Names...),
		"state":            l.Status,
		"waits_for":        o.WaitsFor,
		"role":             o.Role,
		"requester":        o.Requester,
		"owner":            o.Owner,
		"created_at":       rfc3339(o.MadeAt),
		"updated_at":       rfc3339(o.ChangedAt),
		"ca_order_id":      o.Number,
		"account":          o.Account,
		"serial_number":    strings.ReplaceAll(o.Serial, "-", ":"),
		"not_after":        rfc3339(l.NotAfter),
		"subscription_end": rfc3339(l.PaidUntil),

		"subscription_price":        l.SubscriptionPrice(),
		"subscription_currency":     l.SubscriptionCurrency(),
		"subscription_certificates": l.Given,

		"revoked_at": rfc3339(l.Revoked),
		"issuer":     l.Issuer,
		"key_type":   l.KeyType,
	}
}

// detailedList is the answer to a list: keys, and what is listed of the first thousand of them.
func detailedList(
	keys []string, described map[string]backend.Listed, whole bool,
	encode func(backend.Listed) map[string]any,
) *logical.Response {
	info := make(map[string]any, len(described))
	for key, l := range described {
		info[key] = encode(l)
	}
	resp := logical.ListResponseWithInfo(keys, info)
	if !whole {
		resp.AddWarning("key_info is missing for some keys: after a start, what is stored is " +
			"read in the background. List again in a moment")
	}
	return resp
}

// keyInfoField describes what a list tells of its keys.
func keyInfoField(about string) map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"key_info": {
			Type: framework.TypeMap,
			Description: fmt.Sprintf("For each of the first %d keys: %s. vault list -detailed "+
				"shows it.", backend.MaxDescribed, about),
		},
	}
}

const (
	aboutListedCertificate = "names, state (valid, expired, revoked or held), role, requester, " +
		"owner, not_before, not_after, subscription_end, subscription_price, " +
		"subscription_currency, subscription_certificates, revoked_at, issuer (the CA's common " +
		"name), root (that of its chain), trust (accepted, partly, refused, distrusted or " +
		"unknown), refused_by (families of clients), key_type (such as ec-256), origin (order, " +
		"synchronized or adopted), order_id, ca_order_id and account"
	listedCertificateHelp = "Certificates, each with serial_number, " + aboutListedCertificate + "."
	aboutListedOrder      = "names, state, waits_for, role, requester, owner, created_at, " +
		"updated_at, ca_order_id, account, serial_number and, of its certificate, not_after, " +
		"subscription_end, subscription_price, subscription_currency, " +
		"subscription_certificates, revoked_at, issuer and key_type"
	listedOrderHelp = "Orders, each with order_id, " + aboutListedOrder + "."
)

const inventoryHelp = `
Reading searches what the mount has stored, without reading all of it: what is listed of
certificates and orders is kept in memory, about 0.4 MB for 1,000 certificates. total counts all
rows that match. A page ends with next: sent as after, with the same filters and the same sort, it
continues there, whatever has come and gone in between.

complete is false while the mount is still reading what it has stored, after a start: rows may be
missing then. Issuing never waits for that.

name is a whole name, and also finds the wildcards that cover it; text is part of any text. All
filters have to match. format=csv answers the rows as a file; cells that a spreadsheet would take
for a formula begin with an apostrophe, and each line ends with complete and next.

trust is what clients make of a certificate, by the keys and roots of config/trust: distrusted
when each of its chains has a key that clients refuse, refused when a family of clients knows no
root of its chains, partly when a client may build a chain with a refused key, and accepted when
nothing speaks against it that the mount knows of. chain_key and root find what a CA has issued,
by any of the chains.

A policy for inventory/certs/<role> and inventory/orders/<role> lets a team see what is its own.
`
