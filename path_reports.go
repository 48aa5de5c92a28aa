// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets

import (
	"context"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

func (b *secretsBackend) pathReports() []*framework.Path {
	group := map[string]*framework.FieldSchema{
		"group_number": {
			Type: framework.TypeString, Query: true,
			Description: "Only entries of this billing group.",
		},
	}
	return []*framework.Path{
		{
			Pattern: "reports/orders/?$",
			Fields: merge(windowFields(), group, map[string]*framework.FieldSchema{
				"from": {
					Type: framework.TypeString, Query: true,
					Description: "First day, YYYY-MM-DD.",
				},
				"to": {
					Type: framework.TypeString, Query: true,
					Description: "Last day, YYYY-MM-DD.",
				},
				"status": {
					Type: framework.TypeString, Query: true,
					Description: "Only orders with this status, e.g. issued, revoked or " +
						"pending-approval, and those whose status is unknown.",
				},
				"domain": {
					Type: framework.TypeString, Query: true,
					Description: "Only orders for this domain.",
				},
			}),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ReadOperation: writing(b.readReportedOrders,
					"Read the account's orders, including those placed elsewhere.",
					"read", "orders-report",
					pageFields("orders", reportedOrdersHelp)),
			},
			HelpSynopsis:    "The account's orders.",
			HelpDescription: ordersReportHelp,
		},
		{
			Pattern: "reports/ledger/?$",
			Fields:  merge(windowFields(), group),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ReadOperation: writing(b.readLedger,
					"Read the movements of the balance.",
					"read", "ledger",
					pageFields("movements", "Movements, with CERTInext's fields.")),
			},
			HelpSynopsis: "What orders have cost.",
			HelpDescription: "Returns the movements of the account's balance, or a billing " +
				"group's. CERTInext does not document their fields: they are returned as " +
				"received, with names in this mount's spelling. Movements have no id, so a page " +
				"begins at a position: if new ones arrive between two pages, some may be shown " +
				"twice.",
		},
	}
}

func (b *secretsBackend) readReportedOrders(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	from, err := decodeDay(d, "from")
	if err != nil {
		return nil, err
	}
	to, err := decodeDay(d, "to")
	if err != nil {
		return nil, err
	}
	page, err := b.engine.ReportedOrders(ctx, req.Storage, backend.OrderFilter{
		From:        from,
		To:          to,
		Status:      backend.Status(d.Get("status").(string)),
		GroupNumber: d.Get("group_number").(string),
		Domain:      d.Get("domain").(string),
	}, window(d))
	if err != nil {
		return nil, err
	}
	return pageResponse("orders", page, encodeReportedOrder), nil
}

// decodeDay reads a date. It returns the zero time when the field is empty.
func decodeDay(d *framework.FieldData, field string) (time.Time, error) {
	text := d.Get(field).(string)
	if text == "" {
		return time.Time{}, nil
	}
	day, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return time.Time{}, &backend.FieldError{
			Field:   field,
			Problem: "is not a date such as 2026-01-31",
		}
	}
	return day, nil
}

// maxTags limits the tags that are returned for one order. A report has many pages, and the orders
// in it may have been tagged by other programs.
const maxTags = 50

func encodeReportedOrder(o backend.ReportedOrder) map[string]any {
	data := map[string]any{
		"ca_order_id":        o.OrderID,
		"ca_request_id":      o.RequestID,
		"status":             string(o.Status()),
		"order_status":       o.OrderStatus,
		"certificate_status": o.CertificateStatus,
		"product_code":       o.ProductCode,
		"domain":             o.Domain,
		"organization_name":  o.Organization,
		"country":            o.Country,
		"group_number":       o.GroupNumber,
		"serial_number":      o.Serial,
		"expires_at":         rfc3339(o.ExpiresAt),
		"issuer":             o.IssuerCA,
		"tags":               append([]string{}, o.Tags[:min(len(o.Tags), maxTags)]...),
		"remarks":            o.Remarks,
		"originator":         o.Originator,
		"ordered_at":         rfc3339(o.OrderedAt),
	}
	if o.LocalID != "" {
		data["order_id"], data["role"] = o.LocalID, o.Role
	}
	return data
}

func (b *secretsBackend) readLedger(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	page, err := b.engine.Ledger(ctx, req.Storage, d.Get("group_number").(string), window(d))
	if err != nil {
		return nil, err
	}
	encode := func(row backend.LedgerRow) map[string]any { return row }
	return pageResponse("movements", page, encode), nil
}

const reportedOrdersHelp = "Orders, each with ca_order_id, ca_request_id, status, order_status " +
	"and certificate_status (CERTInext's words), product_code, domain, organization_name, " +
	"country, group_number, serial_number, expires_at, issuer, tags, remarks, originator and " +
	"ordered_at, and order_id and role when this mount placed it."

const ordersReportHelp = `
Returns the account's orders as CERTInext's report lists them, including cancelled orders and
those placed elsewhere. It is not known whether from and to mean the day of the order or of its
certificate; allow for some days.

status is the engine's interpretation of CERTInext's words, and unknown when it does not know
them. product_code is often empty.

An order of this mount has its order_id and role while it is open, and afterwards as long as its
certificate is on record. One that was cancelled or rejected, or whose certificate is no longer on
record, has only its tag. Reading a page reads the report from its beginning up to that page: from
and to shorten it.
`
