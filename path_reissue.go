// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets

import (
	"context"

	"github.com/certinext/vault-plugin-secrets-certinext/backend"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

func (b *secretsBackend) pathReissue() []*framework.Path {
	return []*framework.Path{{
		Pattern: "orders/" + framework.GenericNameRegex("role") +
			"/" + framework.GenericNameRegex("id") + "/reissue$",
		Fields: merge(roleField(), orderField(), map[string]*framework.FieldSchema{
			"csr": {
				Type:        framework.TypeString,
				Description: "CSR in PEM with a new key; when empty, a key is generated.",
			},
			"alt_names": {
				Type: framework.TypeCommaStringSlice,
				Description: "All names besides the common name from now on, for multi-domain " +
					"products; the order's names are kept when it is omitted.",
			},
			"reason": {
				Type:        framework.TypeString,
				Description: "Reason for the reissue. CERTInext keeps it.",
			},
			"revoke_previous": {
				Type:        framework.TypeBool,
				Description: "Have CERTInext revoke the previous certificate.",
			},
			"revoke_reason": {
				Type: framework.TypeString,
				Description: "Reason for that revocation, as named in RFC 5280; superseded when " +
					"empty.",
			},
		}),
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.UpdateOperation: writing(b.reissueOrder,
				"Have CERTInext issue another certificate within an order.",
				"reissue", "order", orderFields()),
		},
		HelpSynopsis: "Another certificate within an issued order: with a new key, or with other " +
			"names.",
		HelpDescription: reissueHelp,
	}}
}

func (b *secretsBackend) reissueOrder(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	names, update, err := d.GetOkErr("alt_names")
	if err != nil {
		return nil, &backend.FieldError{Field: "alt_names", Problem: err.Error()}
	}
	r := backend.ReissueRequest{
		Role:           d.Get("role").(string),
		ID:             d.Get("id").(string),
		Requester:      requester(req),
		EntityID:       req.EntityID,
		DisplayName:    req.DisplayName,
		VaultID:        req.ID,
		CSR:            d.Get("csr").(string),
		UpdateNames:    update,
		Reason:         d.Get("reason").(string),
		RevokePrevious: d.Get("revoke_previous").(bool),
		RevokeReason:   d.Get("revoke_reason").(string),
	}
	if update {
		r.AltNames = names.([]string)
	}
	o, err := b.engine.Orders.Reissue(ctx, req.Storage, r)
	if err != nil {
		return nil, err
	}
	return &logical.Response{Data: encodeOrder(o)}, nil
}

const reissueHelp = `
The answer is a new order; orders/<role>/<id>/collect returns its certificate once it is issued.
The role has to allow it (allow_reissue): what CERTInext charges for a reissue is not documented,
and none has been observed.

CERTInext revokes whole orders. Revoking the newest certificate also revokes those that it has
replaced, and those can no longer be revoked on their own. The end of a lease on a replaced
certificate revokes nothing, and when the last lease on the newest one ends, its revocation waits
while a replaced one is in use. With revoke_previous, CERTInext revokes the previous certificate
as part of the reissue. Until there is a new certificate, revoking the present one also ends the
reissue; a reissue cannot be deleted by itself. Version 1 of the API has no reissues.
`
