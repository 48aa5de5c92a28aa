// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets

import (
	"context"
	"maps"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

// pathRevocations has what operators do to queued revocations. Everybody may list the queue, at
// certs/revocation-queue.
func (b *secretsBackend) pathRevocations() []*framework.Path {
	return []*framework.Path{{
		Pattern: `operator/revocations/(?P<serial>[0-9A-Fa-f:-]+)$`,
		Fields: merge(serialField(), map[string]*framework.FieldSchema{
			"end": {
				Type: framework.TypeBool,
				Description: "Take the revocation out of the queue, although CERTInext was not " +
					"asked for it. Only one that is blocked is ended.",
			},
			"reason": {
				Type:        framework.TypeString,
				Description: "With end: why. It stays with the certificate.",
			},
		}),
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.ReadOperation: operation(b.readQueuedRevocation,
				"Read a queued revocation.",
				"read", "queued-revocation", queuedRevocationFields()),
			logical.UpdateOperation: writing(b.endQueuedRevocation,
				"End a queued revocation that cannot be tried.",
				"end", "queued-revocation", queuedRevocationFields()),
		},
		HelpSynopsis:    "What operators do to a queued revocation.",
		HelpDescription: revocationsHelp,
	}}
}

func queuedRevocationFields() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"serial_number": {
			Type:        framework.TypeString,
			Description: "Serial number, colon-separated hexadecimal.",
		},
		"state": {
			Type:        framework.TypeString,
			Description: "queued, or ended.",
		},
		"reason": {
			Type:        framework.TypeString,
			Description: "Reason that CERTInext is given.",
		},
		"note": {
			Type:        framework.TypeString,
			Description: "Remark for CERTInext's records.",
		},
		"queued_at": {
			Type:        framework.TypeString,
			Description: "Since when it is queued, in RFC 3339.",
		},
		"attempts": {
			Type:        framework.TypeInt,
			Description: "Number of attempts that failed through its own fault.",
		},
		"next_attempt": {
			Type:        framework.TypeString,
			Description: "When it is tried next, in RFC 3339.",
		},
		"last_error": {
			Type:        framework.TypeString,
			Description: "Why the latest attempt failed; empty when there was none.",
		},
		"account": {
			Type: framework.TypeString,
			Description: "CERTInext account in which the certificate was ordered: address and " +
				"number.",
		},
		"ca_order_id": {
			Type:        framework.TypeString,
			Description: "CERTInext's order number.",
		},
		"role": {
			Type:        framework.TypeString,
			Description: "Role under which the certificate was ordered.",
		},
		"order_id": {
			Type:        framework.TypeString,
			Description: "Id of its order in this mount.",
		},
		"blocked": {
			Type:        framework.TypeString,
			Description: "Why it cannot be tried; empty when it can be.",
		},
	}
}

func (b *secretsBackend) readQueuedRevocation(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	q, err := b.engine.Certificates.QueuedFor(ctx, req.Storage, d.Get("serial").(string))
	if err != nil || q == nil {
		return nil, err
	}
	return &logical.Response{Data: encodeQueued(q, "queued")}, nil
}

func (b *secretsBackend) endQueuedRevocation(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	if !d.Get("end").(bool) {
		return nil, &backend.FieldError{
			Field:   "end",
			Problem: "write end=true to take the revocation out of the queue",
		}
	}
	q, left, err := b.engine.Certificates.EndQueued(ctx, req.Storage,
		d.Get("serial").(string), d.Get("reason").(string))
	if err != nil {
		return nil, err
	}
	resp := &logical.Response{Data: encodeQueued(q, "ended")}
	if left != "" {
		resp.AddWarning(left)
	}
	return resp, nil
}

// encodeQueued is the answer about a queued revocation.
func encodeQueued(q *backend.QueuedRevocation, state string) map[string]any {
	data := map[string]any{
		"serial_number": q.Serial,
		"state":         state,
		"note":          q.Note,
		"role":          q.Role,
		"order_id":      q.OrderID,
	}
	maps.Copy(data, encodeQueueInfo(q))
	return data
}

// encodeQueueInfo is what the queue says of each of its entries.
func encodeQueueInfo(q *backend.QueuedRevocation) map[string]any {
	info := map[string]any{
		"reason":       string(q.Reason),
		"queued_at":    q.QueuedAt.UTC().Format(time.RFC3339),
		"attempts":     q.Attempts,
		"next_attempt": q.Next.UTC().Format(time.RFC3339),
		"last_error":   q.LastError,
		"account":      q.Account,
		"ca_order_id":  q.CAOrderID,
		"blocked":      q.Blocked,
	}
	if !q.HeldUntil.IsZero() {
		info["held_until"] = q.HeldUntil.UTC().Format(time.RFC3339)
	}
	return info
}

const revocationsHelp = `
A queued revocation (certs/revocation-queue lists them) is tried until it succeeds, or until the
certificate has expired. It is blocked while it cannot be tried: config does not hold the
certificate's CERTInext account, or no account at all, or the mount is held (CERTINEXT_HOLD).
blocked says so. It goes on by itself when that is over.

end=true takes a blocked one out of the queue for good. The certificate stays valid at CERTInext:
the answer and Vault's log say which one that is, and in which account. This mount hands it to
nobody any more. Revoke it in CERTInext's portal, or leave it to the mount that owns it.
`
