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

// pathApprovals is never below orders/, so that no team's policy lets it approve its own orders by
// a wildcard.
func (b *secretsBackend) pathApprovals() []*framework.Path {
	role := framework.GenericNameRegex("role")
	listed := merge(keysField("Orders that wait, as <role>/<id>."), approvalInfoField())
	listedOfRole := merge(keysField("Ids of the orders that wait."), approvalInfoField())
	return []*framework.Path{
		{
			Pattern: "approvals/?$",
			Fields:  listFields(),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ListOperation: operation(b.listApprovals,
					"List the orders that wait for their approval, of all roles.",
					"list", "approvals", listed),
			},
			HelpSynopsis:    "The orders that wait for the approval of another person.",
			HelpDescription: approvalHelp,
		},
		{
			Pattern: "approvals/" + role + "/?$",
			Fields:  merge(roleField(), listFields()),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ListOperation: operation(b.listApprovalsOfRole,
					"List the orders of a role that wait for their approval.",
					"list", "role-approvals", listedOfRole),
			},
			HelpSynopsis:    "The orders of a role that wait for the approval of another person.",
			HelpDescription: approvalHelp,
		},
		{
			Pattern: "approvals/" + role + "/" + framework.GenericNameRegex("id") + "$",
			Fields:  merge(roleField(), orderField(), decisionFields()),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ReadOperation: writing(b.readApproval, // which asks CERTInext what it costs
					"Show what would be ordered, and for whom.",
					"read", "approval", merge(outlookFields(), approvalFields())),
				logical.UpdateOperation: writing(b.decideApproval,
					"Approve or reject an order.",
					"decide", "approval", approvalFields()),
			},
			HelpSynopsis:    "Approve or reject an order of somebody else's.",
			HelpDescription: approvalHelp,
		},
	}
}

func approvalInfoField() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"key_info": {
			Type: framework.TypeMap,
			Description: "For each key what reading approvals/<role>/<id> shows: what would be " +
				"ordered, who has asked for it, and until when it waits.",
		},
	}
}

func decisionFields() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"decision": {
			Type:          framework.TypeString,
			AllowedValues: []any{"approve", "reject"},
			Description:   "For write: approve, which places the order, or reject, which ends it.",
		},
		"proposal": {
			Type: framework.TypeString,
			Description: "For write: the proposal that reading has shown, so that what is " +
				"approved is what was read. Required for the order of a request with a request_id.",
		},
		"remark": {
			Type: framework.TypeString,
			Description: "For write: why, for the requester, who reads it in the order; at most " +
				"500 bytes. Required to reject. It is no secret.",
		},
	}
}

func approvalFields() map[string]*framework.FieldSchema {
	return merge(proposalFields(), map[string]*framework.FieldSchema{
		"order_id": {Type: framework.TypeString, Description: "Id of the order in this mount."},
		"role": {
			Type:        framework.TypeString,
			Description: "Role under which it was requested.",
		},
		"state": {
			Type: framework.TypeString,
			Description: "State of the order: approval while it waits; orders/<role>/<id> has " +
				"the others.",
		},
		"proposal": {
			Type: framework.TypeString,
			Description: "Digest of what would be ordered, and for whom, which an approval " +
				"repeats.",
		},
		"promotes_draft": {
			Type: framework.TypeBool,
			Description: "CERTInext keeps the order as a draft already, and the approval would " +
				"promote it.",
		},
		"requester_entity_id": {
			Type:        framework.TypeString,
			Description: "Identity entity of the requester; empty for a token without one.",
		},
		"requester_entity_name": {
			Type:        framework.TypeString,
			Description: "Name of that entity.",
		},
		"requester_aliases": {
			Type: framework.TypeStringSlice,
			Description: "How that entity logs in, as kind of auth method and name, such as " +
				"userpass/ann.",
		},
		"handed_over_to": {
			Type: framework.TypeString,
			Description: "Requester that an operator has handed the order over to, who gets its " +
				"certificate; empty when that is whoever has asked for it.",
		},
		"requester_display_name": {
			Type:        framework.TypeString,
			Description: "Display name of the requester's token.",
		},
		"vault_request_id": vaultRequestID(),
		"owner":            orderOwner(),
		"cert_metadata":    orderMetadata(),
		"asked_at": {
			Type:        framework.TypeString,
			Description: "When the order was requested, in RFC 3339.",
		},
		"waited": {
			Type: framework.TypeInt64,
			Description: "For how many seconds it has waited, until now or until it was decided " +
				"on.",
		},
		"expires_at": {
			Type: framework.TypeString,
			Description: "Until when it waits, in RFC 3339 (approval_timeout of the role). " +
				"Then it is over, and its private key is erased.",
		},
		"decision": {
			Type: framework.TypeString,
			Description: "approved, rejected, expired, ended (cancelled by its requester), or " +
				"waived (the role required no approval when the request came again); empty while " +
				"the order waits.",
		},
		"decided_at": {
			Type:        framework.TypeString,
			Description: "When that was decided, in RFC 3339; empty before.",
		},
		"approver_entity_id": {
			Type:        framework.TypeString,
			Description: "Identity entity that has approved or rejected the order.",
		},
		"approver": {
			Type:        framework.TypeString,
			Description: "Name of that entity, or of its token.",
		},
		"remark": {Type: framework.TypeString, Description: "The approver's remark."},
		"last_error": {
			Type: framework.TypeString,
			Description: "Why the order was not placed after an earlier approval, or how it has " +
				"ended.",
		},
	})
}

func (b *secretsBackend) listApprovals(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	return b.approvals(ctx, req, "", d.Get("after").(string), d.Get("limit").(int))
}

func (b *secretsBackend) listApprovalsOfRole(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	role := d.Get("role").(string)
	return b.approvals(ctx, req, role, role+"/"+d.Get("after").(string), d.Get("limit").(int))
}

// approvals lists what waits for its approval, of one role unless that is empty.
func (b *secretsBackend) approvals(
	ctx context.Context, req *logical.Request, role, after string, limit int,
) (*logical.Response, error) {
	waiting, err := b.engine.Approvals(ctx, req.Storage, role, after, limit)
	if err != nil {
		return nil, err
	}
	keys, info := make([]string, 0, len(waiting)), make(map[string]any, len(waiting))
	for _, a := range waiting {
		key := a.Order.ID
		if role == "" {
			key = a.Order.Role + "/" + key
		}
		keys, info[key] = append(keys, key), encodeApproval(a)
	}
	return logical.ListResponseWithInfo(keys, info), nil
}

func (b *secretsBackend) readApproval(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	a, err := b.engine.Approval(ctx, req.Storage, d.Get("role").(string), d.Get("id").(string))
	if err != nil || a == nil {
		return nil, err
	}
	data := encodeApproval(a)
	outlook, err := backend.ApprovalOutlook(ctx, b.engine, req.Storage, a)
	if err != nil {
		return nil, err
	}
	if outlook != nil {
		maps.Copy(data, encodeOutlook(outlook))
	}
	return &logical.Response{Data: data}, nil
}

func (b *secretsBackend) decideApproval(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	said := d.Get("decision").(string)
	if said != "approve" && said != "reject" {
		return nil, &backend.FieldError{
			Field: "decision", Problem: "must be approve, which places the order, or reject",
		}
	}
	a, err := b.engine.Decide(ctx, req.Storage, backend.Verdict{
		Role:        d.Get("role").(string),
		ID:          d.Get("id").(string),
		Approve:     said == "approve",
		Remark:      d.Get("remark").(string),
		Proposal:    d.Get("proposal").(string),
		EntityID:    req.EntityID,
		DisplayName: req.DisplayName,
	})
	if err != nil || a == nil {
		return nil, err
	}
	return &logical.Response{Data: encodeApproval(a)}, nil
}

func encodeApproval(a *backend.Approval) map[string]any {
	approver := a.DecidedBy.Name
	if approver == "" {
		approver = a.DecidedBy.DisplayName
	}
	data := map[string]any{
		"order_id": a.Order.ID,
		"role":     a.Order.Role,
		"state":    string(a.Order.State),

		"proposal":               a.Digest,
		"promotes_draft":         a.Promotes,
		"requester_entity_id":    a.Requester.EntityID,
		"requester_entity_name":  a.Requester.Name,
		"requester_aliases":      append([]string{}, a.Aliases...),
		"requester_display_name": a.Requester.DisplayName,
		"handed_over_to":         a.HandedTo,
		"vault_request_id":       a.Order.Asked.VaultID,
		"owner":                  a.Order.Asked.Owner,
		"cert_metadata":          a.Order.Asked.Metadata,

		"asked_at":           rfc3339(a.AskedAt),
		"waited":             int64(a.Waited / time.Second),
		"expires_at":         rfc3339(a.ExpiresAt),
		"decision":           string(a.Decision),
		"decided_at":         rfc3339(a.DecidedAt),
		"approver_entity_id": a.DecidedBy.EntityID,
		"approver":           approver,
		"remark":             a.Remark,
		"last_error":         a.Order.LastError,
	}
	maps.Copy(data, encodeProposal(&a.Proposal))
	return data
}

const approvalHelp = `
An order of a role with require_approval=true waits in Vault until another person approves it.
CERTInext hears nothing of it before. Listing shows what waits, with key_info: which names, which
product and for how many years, whose key, and who has asked for it. Reading one shows also what
dry_run would say of it now: what it costs, and in a year; which budgets it would count to, and
what would be left of them; whether each domain is validated; and whether CAA records forbid it.

decision=approve places the order as it was requested, whatever has been changed at its role since.
proposal=<what reading has shown> says that it is what was read: an order with a request_id is not
approved without. The answer shows how CERTInext has taken it. It is refused when the role does not
allow the names any more, orders another product now, or is gone. If CERTInext could not be reached,
the order waits again. decision=reject ends the order, with a remark that its requester reads, and
erases its private key. For 24 hours the same request is answered with that remark, and asks no
approver again, unless the order's record is deleted (vault delete certinext/orders/<role>/<id>).

An approver needs a token with an identity entity, and that entity must not be the requester's,
by whatever alias it has logged in. An order that nobody decides on within the role's
approval_timeout is over. After a snapshot of Vault was restored, an approval that was given since
the snapshot is not known any more: the order waits for another one. Before that is taken,
CERTInext's records are asked whether they show the order, which goes on as that one then.

What a draft waits for is the approval that it is promoted: keeping a draft costs nothing. A
reissue for the same names needs no approval, and one for further names is refused.
`
