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
		Fields: merge(roleField(), orderField(), operatorFields()),
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.UpdateOperation: writing(b.operateOrder,
				"Settle, release, end or hand over an order.",
				"operate", "order", orderFields()),
		},
		HelpSynopsis:    "What operators do to an order, whoever placed it.",
		HelpDescription: operatorHelp,
	}}
}

func operatorFields() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"ca_order_id": {
			Type: framework.TypeString,
			Description: "CERTInext's number of an unresolved order, or of a draft that was " +
				"promoted in CERTInext's portal.",
		},
		"never_placed": {
			Type: framework.TypeBool,
			Description: "Declare that CERTInext certainly never accepted this unresolved order, " +
				"or no longer holds this draft. The order is closed, and the next such request " +
				"buys a new one.",
		},
		"release": {
			Type: framework.TypeBool,
			Description: "Hand over the order's certificate although it is not what was " +
				"ordered.",
		},
		"end": {
			Type: framework.TypeBool,
			Description: "End the order as deleting it does: discard a draft, cancel an order, " +
				"or revoke a certificate that nobody has received.",
		},
		"reason": {
			Type:        framework.TypeString,
			Description: "With end: why. CERTInext keeps it.",
		},
		"entity_id": {
			Type: framework.TypeString,
			Description: "Hand the order over to this identity entity, which may collect it from " +
				"then on.",
		},
	}
}

func (b *secretsBackend) operateOrder(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	act, err := b.operation(d)
	if err != nil {
		return nil, err
	}
	o, err := act(ctx, req.Storage, d.Get("role").(string), d.Get("id").(string))
	if err != nil {
		return nil, err
	}
	resp := &logical.Response{Data: encodeOrder(o)}
	if o.Left != "" {
		resp.AddWarning(o.Left)
	}
	return resp, nil
}

// An operatorAct is what an operator does to an order.
type operatorAct func(
	ctx context.Context, s logical.Storage, role, id string,
) (*backend.Order, error)

// operation returns what the fields ask for, which has to be one thing.
func (b *secretsBackend) operation(d *framework.FieldData) (operatorAct, error) {
	orders := b.engine.Orders
	number, entity := d.Get("ca_order_id").(string), d.Get("entity_id").(string)
	settle := func(number string) operatorAct {
		return func(
			ctx context.Context, s logical.Storage, role, id string,
		) (*backend.Order, error) {
			return orders.ResolveOrder(ctx, s, role, id, number)
		}
	}
	var acts []operatorAct
	if number != "" {
		acts = append(acts, settle(number))
	}
	if d.Get("never_placed").(bool) {
		acts = append(acts, settle(""))
	}
	if d.Get("release").(bool) {
		acts = append(acts, orders.ReleaseOrder)
	}
	if d.Get("end").(bool) {
		acts = append(acts, func(
			ctx context.Context, s logical.Storage, role, id string,
		) (*backend.Order, error) {
			return orders.CancelOrder(ctx, s, role, id, d.Get("reason").(string), backend.Operator)
		})
	}
	if entity != "" {
		acts = append(acts, func(
			ctx context.Context, s logical.Storage, role, id string,
		) (*backend.Order, error) {
			return orders.HandOver(ctx, s, role, id, entityRequester(entity))
		})
	}
	if len(acts) != 1 {
		return nil, &backend.FieldError{
			Field: "ca_order_id",
			Problem: "write exactly one of ca_order_id (CERTInext's number of the order), " +
				"never_placed=true, release=true, end=true and entity_id",
		}
	}
	return acts[0], nil
}

const operatorHelp = `
An order is unresolved when CERTInext's answer to it was lost, or came from an intermediary, and
CERTInext's records do not show it. Write CERTInext's number as ca_order_id if the portal shows the
order, or never_placed=true if it is certain that CERTInext does not have it. The latter is refused
while CERTInext may still be working on the order (create_timeout in config), while its records
show the order, and while they cannot be read; the next such request is a new order then. A number
that turns out to be another order's is taken back. A draft is settled in the same way when it was
promoted or discarded in CERTInext's portal.

A certificate that is not what was ordered is not handed over: its order is held, and needs says
why. Look at the certificate (cert/<serial> shows it, its remarks and why it is held), then write
release=true to hand it over like any other one, with a warning, or revoke it. Until then its key is
kept, at most until the certificate expires, and the same request buys no other one.

end=true ends the order of whoever placed it, as deleting orders/<role>/<id> does for those who may.
When config does not hold the order's account, it is ended in this mount alone and its key is
erased: a warning and Vault's log say what stays at CERTInext.
entity_id hands an order that nobody has collected over to another identity entity, for example when
the token that placed it has expired.
`
