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
				"family": {
					Type: framework.TypeString, Query: true,
					AllowedValues: []any{"ssl", "private-pki", "signature", "smime"},
					Description:   "Only products of this family.",
				},
				"category": {
					Type: framework.TypeString, Query: true,
					Description: "Only products of this category: its number, or a part of its " +
						"name.",
				},
				"refresh": {
					Type: framework.TypeBool, Query: true,
					Description: "Ask CERTInext again instead of using its answer from the last " +
						"five minutes.",
				},
			}),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ReadOperation: writing(b.readProducts,
					"Read the products that the account may order.",
					"read", "products",
					merge(pageFields("products", productsHelp), totalField())),
			},
			HelpSynopsis:    "The products that the account may order.",
			HelpDescription: catalogHelp,
		},
		{
			Pattern: "catalog/products/" + framework.GenericNameRegex("code") + "/custom-fields$",
			Fields:  code,
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ReadOperation: writing(b.readCustomFields,
					"Read the custom fields of a product.",
					"read", "custom-fields", customFieldFields()),
			},
			HelpSynopsis: "The custom fields of a product.",
			HelpDescription: "A role sets them by id in custom_fields. A role that omits a " +
				"mandatory field, or sets a value that a field does not permit, is refused.",
		},
		{
			Pattern: "catalog/products/" + framework.GenericNameRegex("code") + "$",
			Fields:  merge(code, groupField()),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ReadOperation: writing(b.readProduct,
					"Read a product that the account may order.",
					"read", "product", productFields()),
			},
			HelpSynopsis:    "A product that the account may order.",
			HelpDescription: catalogHelp,
		},
	}
}

// customFieldFields are the answer of catalog/products/<code>/custom-fields.
func customFieldFields() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"custom_fields": {
			Type: framework.TypeSlice,
			Description: "Fields, each with id, name, section, type, max_length (0 means no " +
				"limit), mandatory, and values (the permitted ones; empty means any).",
		},
	}
}

// productFields are the answer of catalog/products/<code>.
func productFields() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"product_code": {
			Type:        framework.TypeString,
			Description: "Product code, for product_code of a role.",
		},
		"product_name": {
			Type: framework.TypeString,
			Description: "Name of the product. It alone distinguishes products of the same kind " +
				"that differ in length.",
		},
		"product_variant": {
			Type: framework.TypeString,
			Description: "Kind of the product, e.g. dv or ov-ucc. private-pki may be " +
				"intranet-ssl or igtf-host: the role has to say which. Empty when the kind is " +
				"not known.",
		},
		"family": {
			Type:        framework.TypeString,
			Description: "ssl, private-pki, signature or smime; empty for others.",
		},
		"category": {
			Type:        framework.TypeString,
			Description: "Category of the product in the catalog.",
		},
		"category_id": {
			Type:        framework.TypeString,
			Description: "Number of the category.",
		},
		"type_id": {
			Type:        framework.TypeString,
			Description: "CERTInext's number for the kind of product.",
		},
		"currency": {
			Type:        framework.TypeString,
			Description: "Currency of the prices.",
		},
		"prices": {
			Type:        framework.TypeMap,
			Description: "Prices, by length of the subscription.",
		},
	}
}

func (b *secretsBackend) readProducts(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	page, err := b.engine.Account.Products(ctx, req.Storage, backend.ProductFilter{
		GroupNumber: d.Get("group_number").(string),
		Family:      backend.Family(d.Get("family").(string)),
		Category:    d.Get("category").(string),
		Refresh:     d.Get("refresh").(bool),
	}, window(d))
	if err != nil {
		return nil, err
	}
	return pageResponse("products", page, encodeProduct), nil
}

func (b *secretsBackend) readCustomFields(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	fields, err := b.engine.Account.CustomFields(ctx, req.Storage, d.Get("code").(string))
	if err != nil {
		return nil, err
	}
	out := make([]map[string]any, 0, len(fields))
	for _, f := range fields {
		out = append(out, map[string]any{
			"id":         f.ID,
			"name":       f.Name,
			"section":    f.Section,
			"type":       f.Type,
			"max_length": f.MaxLength,
			"mandatory":  f.Mandatory,
			"values":     append([]string{}, f.Values...),
		})
	}
	return &logical.Response{Data: map[string]any{"custom_fields": out}}, nil
}

func (b *secretsBackend) readProduct(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	p, err := b.engine.Account.Product(ctx, req.Storage, d.Get("code").(string),
		d.Get("group_number").(string))
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
		"product_code":    p.Code,
		"product_name":    p.Name,
		"product_variant": p.Variant,
		"family":          string(p.Family),
		"category":        p.Category.Name,
		"category_id":     p.Category.ID,
		"type_id":         p.TypeID,
		"currency":        p.Currency,
		"prices":          prices,
	}
}

const productsHelp = "Products, each with the fields of catalog/products/<code>."

const catalogHelp = `
Product codes differ between accounts and environments: the same code may be a DV product in one
and an OV product in another. Whenever a role is written, its product is checked against this
catalog.

CERTInext's answer is cached for five minutes, for each billing group. CERTInext is asked again
when catalog/products is read with refresh=true, when a product is not in the cached answer, and
after the config has been written.
`
