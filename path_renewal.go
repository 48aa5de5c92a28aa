// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets

import (
	"context"

	"github.com/certinext/vault-plugin-secrets-certinext/backend"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

// pathRenewal has what an operator does about a role whose reissues CERTInext has charged for.
func (b *secretsBackend) pathRenewal() []*framework.Path {
	answer := map[string]*framework.FieldSchema{
		"renewal": {
			Type:        framework.TypeString,
			Description: "How certificates are succeeded, as the role says: order or reissue.",
		},
		"stopped": {
			Type: framework.TypeBool,
			Description: "Whether the role renews by new orders although it says reissue, since " +
				"CERTInext has charged for a reissue.",
		},
		"stopped_at": {
			Type:        framework.TypeString,
			Description: "When the charge was seen, in RFC 3339; empty when none was.",
		},
		"order_id": {
			Type:        framework.TypeString,
			Description: "The order of the reissue that was charged.",
		},
		"amount": {
			Type:        framework.TypeString,
			Description: "The charge, as CERTInext's ledger has it.",
		},
	}
	return []*framework.Path{{
		Pattern: "operator/renewal/" + framework.GenericNameRegex("role") + "$",
		Fields: merge(roleField(), map[string]*framework.FieldSchema{
			"allow": {
				Type: framework.TypeBool,
				Description: "Have the role renew by reissues again, although CERTInext has " +
					"charged for one.",
			},
		}),
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.ReadOperation: operation(b.readRenewal,
				"Read how the certificates of a role are renewed at present.",
				"read", "renewal-practice", answer),
			logical.UpdateOperation: writing(b.allowReissues,
				"Have a role renew by reissues again.",
				"allow", "reissues", answer),
		},
		HelpSynopsis: "How the certificates of a role are renewed, and whether a charge has " +
			"ended reissues.",
		HelpDescription: renewalHelp,
	}}
}

func (b *secretsBackend) readRenewal(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	return encodePractice(backend.RenewalPracticeOf(ctx, req.Storage, d.Get("role").(string)))
}

func (b *secretsBackend) allowReissues(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	if allow, _, err := d.GetOkErr("allow"); err != nil || allow != true {
		return nil, &backend.FieldError{Field: "allow", Problem: "must be true: it has the role " +
			"renew by reissues again. To end reissues, write renewal=order to the role"}
	}
	return encodePractice(backend.AllowReissues(
		ctx, req.Storage, d.Get("role").(string), b.engine.Orders.Now()))
}

func encodePractice(p *backend.RenewalPractice, err error) (*logical.Response, error) {
	if err != nil {
		return nil, err
	}
	return &logical.Response{Data: map[string]any{
		"renewal":    string(p.Renewal),
		"stopped":    !p.StoppedAt.IsZero(),
		"stopped_at": rfc3339(p.StoppedAt),
		"order_id":   p.OrderID,
		"amount":     p.Amount,
	}}, nil
}

const renewalHelp = `
With renewal=reissue in a role, certificates are renewed within the subscription that is paid for.
What CERTInext charges for that is not documented. After each such reissue the engine reads the
account's ledger. When it shows a charge, the role renews by new orders from then on, and the
order, its answer and the log say so. Reading this path shows whether that has happened; writing
allow=true has the role reissue again.
`
