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
		Pattern: "orders/" + framework.GenericNameRegex("role") + "/" + framework.GenericNameRegex("id") + "/reissue$",
		Fields: merge(roleField(), orderField(), map[string]*framework.FieldSchema{
			"csr":             {Type: framework.TypeString, Description: "CSR in PEM with a new key; when empty, a key is generated."},
			"alt_names":       {Type: framework.TypeCommaStringSlice, Description: "All names beside the common name from now on, for multi-domain products; the order's names stay when it is left out."},
			"reason":          {Type: framework.TypeString, Description: "Why; CERTInext keeps it."},
			"revoke_previous": {Type: framework.TypeBool, Description: "Have CERTInext revoke the certificate before."},
			"revoke_reason":   {Type: framework.TypeString, Description: "Reason of that revocation, as RFC 5280 names it; superseded when empty."},
		}),
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.UpdateOperation: writing(b.reissueOrder, "Have CERTInext make another certificate within an order.", "reissue", "order", orderFields()),
		},
		HelpSynopsis:    "Another certificate within an issued order: with a new key, or with other names.",
		HelpDescription: reissueHelp,
	}}
}

func (b *secretsBackend) reissueOrder(ctx context.Context, req *logical.Request, d *framework.FieldData) (*logical.Response, error) {
	names, update, err := d.GetOkErr("alt_names")
	if err != nil {
		return nil, &backend.FieldError{Field: "alt_names", Problem: err.Error()}
	}
	r := backend.ReissueRequest{
		Role: d.Get("role").(string), ID: d.Get("id").(string), Requester: requester(req), EntityID: req.EntityID,
		CSR: d.Get("csr").(string), UpdateNames: update, Reason: d.Get("reason").(string),
		RevokePrevious: d.Get("revoke_previous").(bool), RevokeReason: d.Get("revoke_reason").(string),
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
The answer is an order of its own, whose certificate orders/<role>/<id>/collect hands over when it is there. The role has to allow
it (allow_reissue): what CERTInext charges for a reissue is not documented, and nobody was seen to run one.

CERTInext revokes whole orders. Revoking the newest certificate revokes those that it has replaced, which cannot be revoked alone any more.
The end of a lease on one of those revokes nothing, and the end of the newest one's last lease waits while one of those is in use.
revoke_previous has CERTInext revoke the certificate before as part of the reissue. Until there is a new certificate, revoking the present one ends the reissue with it; a reissue
cannot be deleted by itself. Version 1 of the API has none.
`
