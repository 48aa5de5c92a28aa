// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets

import (
	"context"
	"fmt"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

func (b *secretsBackend) pathRevoke() []*framework.Path {
	key := map[string]*framework.FieldSchema{
		"private_key": {
			Type: framework.TypeString, Required: true,
			DisplayAttrs: &framework.DisplayAttributes{Sensitive: true},
			Description:  "Private key of the certificate, in PEM.",
		},
	}
	order := map[string]*framework.FieldSchema{
		"order_id": {
			Type:        framework.TypeString,
			Description: "Id of the order whose certificate is to be revoked.",
		},
	}
	return []*framework.Path{
		{
			Pattern: "revoke$",
			Fields:  merge(revokeFields(), keepField()),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.UpdateOperation: writing(b.revoke,
					"Revoke any certificate of this mount.",
					"revoke", "certificate", revokedFields()),
			},
			HelpSynopsis:    "Revoke a certificate at CERTInext.",
			HelpDescription: revokeHelp,
		},
		{
			Pattern: "revoke/" + framework.GenericNameRegex("role") + "$",
			Fields:  merge(roleField(), revokeFields(), keepField(), order),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.UpdateOperation: writing(b.revoke,
					"Revoke a certificate of a role.",
					"revoke", "role-certificate", revokedFields()),
			},
			HelpSynopsis:    "Revoke a certificate of one role at CERTInext.",
			HelpDescription: revokeHelp,
		},
		{
			Pattern: "revoke-with-key$",
			Fields:  merge(revokeFields(), key),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.UpdateOperation: writing(b.revokeWithKey,
					"Revoke a certificate whose private key the caller holds.",
					"revoke", "certificate-with-key", revokedFields()),
			},
			HelpSynopsis:    "Revoke a certificate at CERTInext, by proving possession of its key.",
			HelpDescription: revokeHelp,
		},
	}
}

func revokeFields() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"serial_number": {
			Type:        framework.TypeString,
			Description: "Serial number in hexadecimal, with colons or dashes.",
		},
		"certificate": {
			Type: framework.TypeString,
			Description: "The certificate in PEM, instead of its serial number. It has to be one " +
				"of this mount: another CA's certificate with the same serial number is not " +
				"found.",
		},
		"reason": {
			Type: framework.TypeString,
			Description: "One of the reasons of RFC 5280, e.g. superseded or key-compromise; " +
				"cessation-of-operation when empty. A reason that CERTInext cannot express is " +
				"refused.",
		},
		"note": {
			Type:        framework.TypeString,
			Description: "Remark for CERTInext's records.",
		},
	}
}

func keepField() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"keep": {
			Type: framework.TypeBool,
			Description: "Revoke nothing, and keep the certificate valid although another one " +
				"has replaced it (revoke_replaced_after of the role).",
		},
	}
}

func revokedFields() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"revocation_time": {
			Type: framework.TypeInt64,
			Description: "When the revocation was seen at CERTInext, in seconds since 1970; 0 " +
				"while it is queued.",
		},
		"revocation_time_rfc3339": {
			Type:        framework.TypeString,
			Description: "The same time in RFC 3339; empty while it is queued.",
		},
		"state": {
			Type:        framework.TypeString,
			Description: "revoked, queued, expired, or kept.",
		},
		"reason": {
			Type:        framework.TypeString,
			Description: "Reason given to CERTInext.",
		},
		"handed_to": {
			Type: framework.TypeInt,
			Description: "Number of answers that contained the certificate. Identical requests " +
				"share a certificate, so the revocation affects all of them.",
		},
	}
}

func (b *secretsBackend) revoke(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	r := decodeRevoke(d)
	if role, ok := d.Schema["role"]; ok && role != nil {
		r.Role, r.OrderID = d.Get("role").(string), d.Get("order_id").(string)
		r.Requester = requester(req)
	}
	if d.Get("keep").(bool) {
		return b.keepReplaced(ctx, req, r)
	}
	return encodeRevoked(b.engine.Orders.Revoke(ctx, req.Storage, r))
}

// keepReplaced answers keep=true as a revocation of which nothing came.
func (b *secretsBackend) keepReplaced(
	ctx context.Context, req *logical.Request, r backend.RevokeRequest,
) (*logical.Response, error) {
	if r.Reason != "" || r.Note != "" {
		return nil, &backend.FieldError{
			Field: "keep", Problem: "revokes nothing: it does not go with reason or note",
		}
	}
	serial, err := backend.Keep(ctx, b.engine.Orders, req.Storage, r)
	if err != nil {
		return nil, err
	}
	resp, err := encodeRevoked(&backend.Revoked{Serial: serial, Queued: true}, nil)
	if err != nil {
		return nil, err
	}
	resp.Data["state"], resp.Warnings = "kept", nil
	return resp, nil
}

func (b *secretsBackend) revokeWithKey(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	r := decodeRevoke(d)
	r.WithKey, r.PrivateKey = true, d.Get("private_key").(string)
	return encodeRevoked(b.engine.Orders.Revoke(ctx, req.Storage, r))
}

func decodeRevoke(d *framework.FieldData) backend.RevokeRequest {
	return backend.RevokeRequest{
		Serial:      d.Get("serial_number").(string),
		Certificate: d.Get("certificate").(string),
		Reason:      d.Get("reason").(string),
		Note:        d.Get("note").(string),
	}
}

func encodeRevoked(r *backend.Revoked, err error) (*logical.Response, error) {
	if err != nil {
		return nil, err
	}
	resp := &logical.Response{Data: map[string]any{
		"revocation_time":         int64(0),
		"revocation_time_rfc3339": "",
		"state":                   "revoked",
		"reason":                  string(r.Reason),
		"handed_to":               r.HandedTo,
	}}
	if r.HandedTo > 1 {
		resp.AddWarning(fmt.Sprintf("the certificate was delivered %d times: "+
			"every client that received it has to replace it", r.HandedTo))
	}
	switch {
	case r.Expired:
		resp.Data["state"] = "expired"
		resp.AddWarning("certificate " + r.Serial +
			" has already expired: there is nothing to revoke")
	case r.Queued:
		resp.Data["state"] = "queued"
		resp.AddWarning("CERTInext has not confirmed the revocation yet: " +
			"it is queued and will be retried until it succeeds")
	default:
		resp.Data["revocation_time"] = r.At.Unix()
		resp.Data["revocation_time_rfc3339"] = r.At.UTC().Format(time.RFC3339Nano)
	}
	return resp, nil
}

const revokeHelp = `
Revoking is idempotent, and skips certificates that have expired. The revocation is stored before
CERTInext is asked, and from then on the certificate is no longer delivered. It counts as done
when the status of the order at CERTInext says so. Until then, and while CERTInext cannot be
reached, it is queued (certs/revocation-queue) and retried.

Identical requests share a certificate: handed_to says how many answers contained it.

With keep=true, which revoke and revoke/<role> take, nothing is revoked: a certificate that another
one has replaced, and that is to be revoked for that (revoke_at of cert/<serial>), stays valid.
`
