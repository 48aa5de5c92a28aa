// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets

import (
	"context"

	"github.com/certinext/vault-plugin-secrets-certinext/backend"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

// pathOperator has what operators do to the orders of others. It is never below orders/, so that no
// team's policy grants it by a wildcard.
func (b *secretsBackend) pathOperator() []*framework.Path {
	return []*framework.Path{{
		Pattern: "operator/orders/" + framework.GenericNameRegex("role") +
			"/" + framework.GenericNameRegex("id") + "$",
		Fields: merge(roleField(), orderField(), map[string]*framework.FieldSchema{
			"release": {
				Type: framework.TypeBool,
				Description: "Hand over the order's certificate although it is not what was " +
					"ordered.",
			},
		}),
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.UpdateOperation: writing(b.operateOrder,
				"Release the certificate of an order that is held.",
				"operate", "order", orderFields()),
		},
		HelpSynopsis:    "Let go a certificate that is held.",
		HelpDescription: operatorHelp,
	}}
}

func (b *secretsBackend) operateOrder(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	if release, _ := d.Get("release").(bool); !release {
		return nil, &backend.FieldError{
			Field:   "release",
			Problem: "is missing: write release=true to hand the held certificate over",
		}
	}
	o, err := b.engine.Orders.ReleaseOrder(ctx, req.Storage, d.Get("role").(string),
		d.Get("id").(string))
	if err != nil {
		return nil, err
	}
	return &logical.Response{Data: encodeOrder(o)}, nil
}

const operatorHelp = `A certificate that is not what was ordered is not handed over: its order is
held, and needs says why. Look at the certificate (cert/<serial> shows it, its remarks and why it is
held), then write release=true here to hand it over like any other one, with a warning, or revoke it
with revoke. Until then its key is kept, at most until the certificate expires, and the same request
buys no other one.`
