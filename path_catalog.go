// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets

import (
	"context"

	"github.com/certinext/vault-plugin-secrets-certinext/backend"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

func (b *secretsBackend) pathCatalog() []*framework.Path {
	code := map[string]*framework.FieldSchema{
		"code": {Type: framework.TypeString, Description: "Product code.", Required: true},
	}
	return []*framework.Path{
		{
			Pattern: "catalog/products/?$",
			Fields: merge(windowFields(), groupField(), map[string]*framework.FieldSchema{
				"family":   {Type: framework.TypeString, Description: "Products of this family only.", Query: true, AllowedValues: []any{"ssl", "private-pki", "signature", "smime"}},
				"category": {Type: framework.TypeString, Description: "Products of this category only: its number, or a part of its name.", Query: true},
				"refresh":  {Type: framework.TypeBool, Description: "Ask CERTInext anew. Otherwise its answer is remembered for five minutes.", Query: true},
			}),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ReadOperation: writing(b.readProducts, "Read which products the account may order.", "read", "products",
					merge(pageFields("products", "Products, each with the fields of catalog/products/<code>."), totalField())),
			},
			HelpSynopsis:    "The products that the account may order.",
			HelpDescription: catalogHelp,
		},
		{
			Pattern: "catalog/products/" + framework.GenericNameRegex("code") + "/custom-fields$",
			Fields:  code,
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ReadOperation: writing(b.readCustomFields, "Read the custom fields of a product.", "read", "custom-fields", map[string]*framework.FieldSchema{
					"custom_fields": {Type: framework.TypeSlice, Description: "Fields, each with id, name, section, type, max_length (0 for no limit), mandatory, and the permitted values (none for any)."},
				}),
			},
			HelpSynopsis:    "The custom fields of a product.",
			HelpDescription: "A role fills them in with custom_fields, by id. A role that leaves a mandatory one empty, or gives a value that the field does not take, is refused.",
		},
		{
			Pattern: "catalog/products/" + framework.GenericNameRegex("code") + "$",
			Fields:  merge(code, groupField()),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ReadOperation: writing(b.readProduct, "Read a product that the account may order.", "read", "product", map[string]*framework.FieldSchema{
					"product_code":    {Type: framework.TypeString, Description: "For a role's product_code."},
					"product_name":    {Type: framework.TypeString, Description: "Name. Products of one kind and of several lengths differ in nothing else."},
					"product_variant": {Type: framework.TypeString, Description: "Kind, e.g. dv or ov-ucc; private-pki may be intranet-ssl or igtf-host, which a role has to say; empty when it is not known."},
					"family":          {Type: framework.TypeString, Description: "ssl, private-pki, signature or smime; empty for others."},
					"category":        {Type: framework.TypeString, Description: "Part of the catalog."},
					"category_id":     {Type: framework.TypeString, Description: "Its number."},
					"type_id":         {Type: framework.TypeString, Description: "CERTInext's number of the kind."},
					"currency":        {Type: framework.TypeString, Description: "Currency of the prices."},
					"prices":          {Type: framework.TypeMap, Description: "Prices by length of the subscription."},
				}),
			},
			HelpSynopsis:    "A product that the account may order.",
			HelpDescription: catalogHelp,
		},
	}
}

func (b *secretsBackend) readProducts(ctx context.Context, req *logical.Request, d *framework.FieldData) (*logical.Response, error) {
	page, err := b.engine.Account.Products(ctx, req.Storage, backend.ProductFilter{
		GroupNumber: d.Get("group_number").(string), Family: backend.Family(d.Get("family").(string)),
		Category: d.Get("category").(string), Refresh: d.Get("refresh").(bool),
	}, window(d))
	if err != nil {
		return nil, err
	}
	return pageResponse("products", page, encodeProduct), nil
}

func (b *secretsBackend) readCustomFields(ctx context.Context, req *logical.Request, d *framework.FieldData) (*logical.Response, error) {
	fields, err := b.engine.Account.CustomFields(ctx, req.Storage, d.Get("code").(string))
	if err != nil {
		return nil, err
	}
	out := make([]map[string]any, 0, len(fields))
	for _, f := range fields {
		out = append(out, map[string]any{
			"id": f.ID, "name": f.Name, "section": f.Section, "type": f.Type, "max_length": f.MaxLength,
			"mandatory": f.Mandatory, "values": append([]string{}, f.Values...),
		})
	}
	return &logical.Response{Data: map[string]any{"custom_fields": out}}, nil
}

func (b *secretsBackend) readProduct(ctx context.Context, req *logical.Request, d *framework.FieldData) (*logical.Response, error) {
	p, err := b.engine.Account.Product(ctx, req.Storage, d.Get("code").(string), d.Get("group_number").(string))
	if err != nil || p == nil {
		return nil, err
	}
	return &logical.Response{Data: encodeProduct(*p)}, nil
}

func encodeProduct(p backend.Product) map[string]any {
	prices := make(map[string]any, len(p.Prices))
	for term, price := range p.Prices {
		prices[term] = amount(price)
	}
	return map[string]any{
		"product_code": p.Code, "product_name": p.Name, "product_variant": p.Variant, "family": string(p.Family),
		"category": p.Category.Name, "category_id": p.Category.ID, "type_id": p.TypeID, "currency": p.Currency, "prices": prices,
	}
}

const catalogHelp = `
Product codes differ between accounts and environments: the same code is a DV product here and an OV product there. A role is
held against this catalog whenever it is written.

CERTInext's answer is remembered for five minutes, for each billing group. refresh=true of catalog/products
asks anew; so does a product that is not in what is remembered, and a new config.
`
