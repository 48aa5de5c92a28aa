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

// pathNamedOrder has to precede the other paths below orders, since a request_id may end like one
// of them.
func (b *secretsBackend) pathNamedOrder() []*framework.Path {
	return []*framework.Path{{
		Pattern: "orders/" + framework.GenericNameRegex("role") + "/request/(?P<request_id>.+)$",
		Fields: merge(roleField(), map[string]*framework.FieldSchema{
			"request_id": {
				Type: framework.TypeString, Required: true,
				Description: "request_id of the request that placed the order.",
			},
		}),
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.ReadOperation: operation(b.readNamedOrder,
				"Find an order by its request_id.",
				"find", "order", orderFields()),
		},
		HelpSynopsis: "Find an order by the request_id that its requester chose.",
		HelpDescription: "When an answer was lost, this shows whether there is an order with " +
			"that request_id and what state it is in, without requesting the certificate again. " +
			"Requesters find only their own orders.",
	}}
}

func (b *secretsBackend) pathOrders() []*framework.Path {
	role, id := framework.GenericNameRegex("role"), framework.GenericNameRegex("id")
	key := map[string]*framework.FieldSchema{
		"private_key": {
			Type:        framework.TypeString,
			Description: "Private key, unless the order was placed with a CSR.",
		},
		"private_key_type": {
			Type:        framework.TypeString,
			Description: "Type of the private key: ec or rsa.",
		},
	}
	return []*framework.Path{
		{
			Pattern: "orders/" + role + "/" + id + "/collect$",
			Fields:  merge(roleField(), orderField(), formatFields(), keyFormatField()),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.UpdateOperation: writing(b.collectOrder,
					"Return the certificate of an issued order.",
					"collect", "order", merge(certificateFields(), key)),
			},
			HelpSynopsis: "Return certificate, key and lease of an order.",
			HelpDescription: "Returns the certificate of an issued order to the requester that " +
				"placed it; before the order is issued, the answer says what it is waiting for. " +
				"Since an answer may be lost, collecting works again as long as the order's key " +
				"is kept: for the longer of the role's delivery_grace and reuse_window after the " +
				"latest answer, but at most 24 hours after the first. Then the key is erased.",
		},
		{
			Pattern: "orders/" + role + "/" + id + `/download/(?P<form>\w+)$`,
			Fields:  merge(roleField(), orderField(), formField(), downloadFields()),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ReadOperation: operation(b.downloadOrder,
					"Download an order's certificate as a file.",
					"download", "order", fileFields()),
			},
			HelpSynopsis: "Download the certificate of an order in one of several forms.",
			HelpDescription: "The form csr is available as long as the order is, the others once " +
				"its certificate is stored. A download does not count as collecting.\n" +
				downloadHelp,
		},
		{
			Pattern: "orders/" + role + "/" + id + "/dcv$",
			Fields:  merge(roleField(), orderField(), dcvFields()),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ReadOperation: writing(b.readChallenges,
					"Show what to publish for the order's domains.",
					"read", "order-challenges", challengeFields()),
				logical.UpdateOperation: writing(b.verifyDomains,
					"Ask CERTInext to look for the challenges now.",
					"verify", "order-challenges", challengeFields()),
			},
			HelpSynopsis:    "Domain control validation of an order.",
			HelpDescription: dcvHelp,
		},
		{
			Pattern: "orders/" + role + "/" + id + "$",
			Fields: merge(roleField(), orderField(), map[string]*framework.FieldSchema{
				"reason": {
					Type: framework.TypeString, Query: true,
					Description: "For delete: why the order is cancelled. CERTInext keeps it.",
				},
				"promote": {
					Type:        framework.TypeBool,
					Description: "For write: promote a draft, which places its order.",
				},
			}),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ReadOperation: operation(b.readOrder,
					"Show an order.",
					"read", "order", orderFields()),
				logical.UpdateOperation: writing(b.promoteOrder,
					"Promote a draft.",
					"promote", "order", orderFields()),
				logical.DeleteOperation: writing(b.cancelOrder,
					"Cancel an order whose certificate has not been delivered.",
					"cancel", "order", orderFields()),
			},
			HelpSynopsis: "An order: its state, what it is waiting for, and what has happened to " +
				"it.",
			HelpDescription: orderHelp,
		},
		{
			Pattern: "orders/?$",
			Fields:  listFields(),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ListOperation: operation(b.listAllOrders,
					"List the orders of all roles.",
					"list", "all-orders",
					merge(keysField("<role>/<id> of each order: what follows orders/ in its path."),
						keyInfoField(aboutListedOrder))),
			},
			HelpSynopsis: "The orders of all roles.",
			HelpDescription: "Lists the orders of this mount, open and closed. To find some of " +
				"them, read inventory/orders.",
		},
		{
			Pattern: "orders/" + role + "/?$",
			Fields: merge(roleField(), nameFields(), requestFields(),
				map[string]*framework.FieldSchema{
					"csr": {
						Type:        framework.TypeString,
						Description: "CSR in PEM; when empty, a key is generated.",
					},
				}),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ListOperation: operation(b.listOrders,
					"List the orders of a role.",
					"list", "orders",
					merge(keysField("Ids of the orders."), keyInfoField(aboutListedOrder))),
				logical.UpdateOperation: writing(b.placeOrder,
					"Place an order without waiting for its certificate.",
					"place", "order", merge(dryRunFields(), orderFields())),
			},
			HelpSynopsis: "The orders of a role.",
			HelpDescription: "Writing places an order, with the fields of issue or sign, and " +
				"returns within seconds of CERTInext's answer to it; orders/<role>/<id>/collect " +
				"returns the certificate once it is issued. A request that is the same as an " +
				"earlier one finds its order while that is open, and for the role's reuse_window " +
				"after each answer. With dry_run=true, nothing is ordered: the answer says what " +
				"the same request would come to.",
		},
	}
}

func (b *secretsBackend) collectOrder(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	f, err := decodeFormat(d)
	if err != nil {
		return nil, err
	}
	issued, err := b.engine.Orders.CollectOrder(ctx, req.Storage, d.Get("role").(string),
		d.Get("id").(string), requester(req))
	if err != nil {
		return nil, err
	}
	return b.certificateResponse(req, issued, f)
}

func (b *secretsBackend) downloadOrder(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	found, err := b.engine.Orders.DownloadOrder(ctx, req.Storage, d.Get("role").(string),
		d.Get("id").(string))
	if err != nil || found == nil {
		return nil, err
	}
	return downloadResponse(found, d)
}

func (b *secretsBackend) readChallenges(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	method, err := decodeMethod(d)
	if err != nil {
		return nil, err
	}
	domains, err := b.engine.Orders.Challenges(ctx, req.Storage, d.Get("role").(string),
		d.Get("id").(string), d.Get("domain").(string), method)
	if err != nil {
		return nil, err
	}
	return encodeChallenges(domains), nil
}

func (b *secretsBackend) verifyDomains(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	method, err := decodeMethod(d)
	if err != nil {
		return nil, err
	}
	domains, err := b.engine.Orders.VerifyDomains(ctx, req.Storage, d.Get("role").(string),
		d.Get("id").(string), d.Get("domain").(string), method)
	if err != nil {
		return nil, err
	}
	return encodeChallenges(domains), nil
}

func decodeMethod(d *framework.FieldData) (backend.DCVMethod, error) {
	method := backend.DCVMethod(d.Get("method").(string))
	if method == "" {
		return "", nil
	}
	return method, backend.CheckDCVMethod("method", method)
}

func encodeChallenges(domains []backend.DomainChallenge) *logical.Response {
	out := make([]map[string]any, 0, len(domains))
	for _, d := range domains {
		out = append(out, encodeChallenge(d))
	}
	return &logical.Response{Data: map[string]any{"domains": out}}
}

func encodeChallenge(d backend.DomainChallenge) map[string]any {
	m := map[string]any{"domain": d.Domain, "verified": d.Verified}
	c := d.Challenge
	for field, v := range map[string]string{
		"dns_value":    c.DNSValue,
		"http_path":    c.HTTPPath,
		"http_url":     d.HTTPURL,
		"http_content": c.HTTPContent,
		"expires":      c.ExpiresText,
		"error":        d.Error,
		"found":        d.Found,
	} {
		if v != "" {
			m[field] = v
		}
	}
	if c.DNSValue != "" {
		m["dns_names"] = d.DNSNames
	}
	if len(c.EmailTo) > 0 {
		m["email_to"] = c.EmailTo
	}
	return m
}

func (b *secretsBackend) readOrder(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	o, err := b.engine.Orders.Order(ctx, req.Storage, d.Get("role").(string), d.Get("id").(string))
	if err != nil || o == nil {
		return nil, err
	}
	return b.shownOrder(ctx, req, o)
}

// shownOrder is the answer that shows an order. A certificate whose revocation is held back is
// neither revoked nor queued like others, and its order is over: the answer says so.
func (b *secretsBackend) shownOrder(
	ctx context.Context, req *logical.Request, o *backend.Order,
) (*logical.Response, error) {
	if o.Serial == "" {
		resp := &logical.Response{Data: encodeOrder(o)}
		b.countCertificates(ctx, req.Storage, resp, o.Account, o.CAOrderID)
		return resp, nil
	}
	c, err := b.engine.Certificates.Certificate(ctx, req.Storage, o.Serial)
	if err != nil {
		return nil, err
	}
	if c != nil && c.Subscription.Told && !o.Subscription.Told {
		o.Subscription = c.Subscription // the delivery has not written the order's entry (ADR 0005)
	}
	resp := &logical.Response{Data: encodeOrder(o)}
	b.countCertificates(ctx, req.Storage, resp, o.Account, o.CAOrderID)
	if c != nil && !c.RevocationHeldUntil.IsZero() {
		resp.AddWarning("the last lease on the certificate has ended, and revocation_delay holds " +
			"its revocation back until " + c.RevocationHeldUntil.UTC().Format(time.RFC3339))
	}
	return resp, nil
}

// countCertificates adds to an answer how many certificates an order of CERTInext's has given. What
// cannot be counted now is told, and keeps nobody from the rest of the answer.
func (b *secretsBackend) countCertificates(
	ctx context.Context, s logical.Storage, resp *logical.Response, account, number string,
) {
	count, err := b.engine.Certificates.Numbers.Count(ctx, s, account, number)
	if err != nil {
		b.Logger().Warn("the certificates of an order of CERTInext's cannot be counted",
			"error", err)
		resp.AddWarning("subscription_certificates is missing: what storage knows of CERTInext's " +
			"order cannot be read now")
		return
	}
	resp.Data["subscription_certificates"] = count
}

func (b *secretsBackend) readNamedOrder(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	o, err := b.engine.Orders.NamedOrder(ctx, req.Storage, d.Get("role").(string), requester(req),
		d.Get("request_id").(string))
	if err != nil || o == nil {
		return nil, err
	}
	return b.shownOrder(ctx, req, o)
}

func (b *secretsBackend) cancelOrder(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	o, err := b.engine.Orders.CancelOrder(ctx, req.Storage, d.Get("role").(string),
		d.Get("id").(string), d.Get("reason").(string), requester(req))
	if err != nil {
		return nil, err
	}
	return &logical.Response{Data: encodeOrder(o)}, nil
}

func (b *secretsBackend) promoteOrder(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	if !d.Get("promote").(bool) {
		return nil, &backend.FieldError{
			Field:   "promote",
			Problem: "is missing: write promote=true to place the order of a draft",
		}
	}
	o, err := b.engine.Orders.PromoteOrder(ctx, req.Storage, d.Get("role").(string),
		d.Get("id").(string), requester(req))
	if err != nil {
		return nil, err
	}
	return &logical.Response{Data: encodeOrder(o)}, nil
}

func (b *secretsBackend) listOrders(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	ids, err := b.engine.Orders.Orders(ctx, req.Storage, d.Get("role").(string))
	if err != nil {
		return nil, err
	}
	role := d.Get("role").(string)
	keys := make([]string, len(ids))
	for i, id := range ids {
		keys[i] = role + "/" + id
	}
	described, whole := backend.DescribeListedOrders(ctx, b.engine, req.Storage, keys)
	byID := make(map[string]backend.Listed, len(described))
	for _, l := range described {
		byID[l.Order.OrderID] = l
	}
	return detailedList(ids, byID, whole, listedOrderInfo), nil
}

func (b *secretsBackend) listAllOrders(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	keys, err := backend.OrderKeys(ctx, req.Storage)
	if err != nil {
		return nil, err
	}
	keys = listed(keys, d)
	described, whole := backend.DescribeListedOrders(ctx, b.engine, req.Storage, keys)
	return detailedList(keys, described, whole, listedOrderInfo), nil
}

func (b *secretsBackend) placeOrder(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	r, err := decodeRequest(req, d)
	if err != nil {
		return nil, err
	}
	r.CSR = d.Get("csr").(string)
	if isDryRun(d) {
		return b.dryRun(ctx, req, r, true)
	}
	o, err := b.engine.Orders.PlaceOrder(ctx, req.Storage, r)
	if err != nil {
		return nil, err
	}
	return placedResponse(req, o), nil
}

// tokenAlone is the warning to a requester without an identity, whose order is lost to it with its
// token.
const tokenAlone = "the token of this request has no identity entity: only this very token can " +
	"collect the order, and once it has expired, only an operator can hand the order over"

// placedResponse returns an order that its requester has to collect.
func placedResponse(req *logical.Request, o *backend.Order) *logical.Response {
	resp := &logical.Response{Data: encodeOrder(o)}
	if req.EntityID == "" {
		resp.AddWarning(tokenAlone)
	}
	return resp
}

func encodeOrder(o *backend.Order) map[string]any {
	timeline := make([]map[string]any, 0, len(o.Timeline))
	for _, e := range o.Timeline {
		timeline = append(timeline,
			map[string]any{"at": e.At.UTC().Format(time.RFC3339), "what": e.What})
	}
	return map[string]any{
		"order_id":      o.ID,
		"ca_order_id":   o.CAOrderID,
		"ca_request_id": o.CARequestID,
		"role":          o.Role,
		"state":         string(o.State),
		"ca_status":     string(o.CAStatus),
		"ca_state":      o.CAState,
		"request_id":    o.RequestID,
		"common_name":   o.CommonName,
		"names":         append([]string{}, o.Names...),
		"product_code":  o.ProductCode,
		"serial_number": o.Serial,
		"delivered":     o.Delivered,
		"waits_for":     string(o.WaitsFor),
		"needs":         append([]string{}, o.Needs...),
		"last_error":    o.LastError,
		"created_at":    o.CreatedAt.UTC().Format(time.RFC3339),
		"updated_at":    o.UpdatedAt.UTC().Format(time.RFC3339),
		"reissue_of":    o.ReissueOf,
		"timeline":      timeline,

		"requester_entity_id":    o.Asked.By.EntityID,
		"requester_entity_name":  o.Asked.By.Name,
		"requester_display_name": o.Asked.By.DisplayName,
		"vault_request_id":       o.Asked.VaultID,
		"owner":                  o.Asked.Owner,
		"cert_metadata":          o.Asked.Metadata,

		"subscription_end":    rfc3339(o.Subscription.EndsAt),
		"subscription_status": o.Subscription.Status,
		"subscription_told":   o.Subscription.Told,

		"subscription_price":    o.Subscription.Price,
		"subscription_currency": o.Subscription.Currency,

		"price":    o.Cost.Price,
		"currency": o.Cost.Currency,
		"charged":  string(o.Charged),
	}
}

const orderHelp = `
Deleting an order cancels it at CERTInext and erases its key. If CERTInext has issued it in the
meantime, the certificate is revoked. The order is closed once its own status at CERTInext says
that it is cancelled or revoked; until then the answer is an error, and the order stays open. An
order whose certificate was delivered is left alone: revoke the certificate instead.

When CERTInext says that it has rejected, cancelled or revoked an order, or that it has expired,
the order is closed and its key erased once that has been seen twice, at least 20 seconds apart;
for answers of version 1 of the API that do not name the order, a day apart.

A draft (save_as_draft=true) costs nothing. Writing promote=true places its order, and deleting it
discards it. CERTInext does not report what becomes of a draft in its portal: an operator settles
one that was promoted or discarded there.

An order is unresolved when CERTInext's answer to it was lost, or came from an intermediary, and
CERTInext's records do not show the order. It is never sent a second time. Once the records show
an order that was placed much later (absent_after in config) and still not this one, this one has
failed. Until then an operator can settle it.

Who may promote and delete an order is the role's order_access: the requester that placed it, or
whoever may use this path. Operators act on every order at operator/orders/<role>/<id>.
`

const dcvHelp = `
Reading shows, for every domain of the order, whether it is validated and, if not, what to
publish: a TXT record with dns_value at each of dns_names, or a file with http_content and nothing
else at http_url; or the addresses that have received an email to answer. Writing asks CERTInext
to look for it now. If CERTInext does not see a TXT record, found says what the zone's own servers
answer.

A role with a dcv_solver does all of this automatically.
`
