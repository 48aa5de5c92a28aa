// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets

import (
	"context"

	"github.com/certinext/vault-plugin-secrets-certinext/backend"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

func (b *secretsBackend) pathSync() []*framework.Path {
	return []*framework.Path{{
		Pattern: "sync$",
		Fields: map[string]*framework.FieldSchema{
			"include_expired": {Type: framework.TypeBool, Description: "Take in certificates that have expired, too."},
		},
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.ReadOperation:   operation(b.readSync, "Show how far the last synchronization has got.", "read", "synchronization", syncFields()),
			logical.UpdateOperation: writing(b.startSync, "Take in the account's certificates that this mount does not know.", "start", "synchronization", syncFields()),
		},
		HelpSynopsis:    "Take in certificates that were not ordered here.",
		HelpDescription: syncHelp,
	}}
}

func syncFields() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"state":           {Type: framework.TypeString, Description: "never, running, done or failed."},
		"include_expired": {Type: framework.TypeBool, Description: "Whether expired certificates are taken in."},
		"started_at":      {Type: framework.TypeString, Description: "RFC 3339."},
		"finished_at":     {Type: framework.TypeString, Description: "RFC 3339; empty while it runs."},
		"seen":            {Type: framework.TypeInt, Description: "Orders looked at."},
		"imported":        {Type: framework.TypeInt, Description: "Certificates that the mount did not know."},
		"revoked":         {Type: framework.TypeInt, Description: "Certificates of the mount that were revoked at CERTInext without it."},
		"unavailable":     {Type: framework.TypeInt, Description: "Certificates that CERTInext does not serve, e.g. since they are revoked."},
		"failed":          {Type: framework.TypeInt, Description: "Orders whose certificate could not be had this time."},
		"last_error":      {Type: framework.TypeString, Description: "What failed last."},
	}
}

func (b *secretsBackend) readSync(ctx context.Context, req *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
	st, err := b.engine.Inventory.Status(ctx, req.Storage)
	if err != nil {
		return nil, err
	}
	return &logical.Response{Data: encodeSync(st)}, nil
}

func (b *secretsBackend) startSync(ctx context.Context, req *logical.Request, d *framework.FieldData) (*logical.Response, error) {
	st, err := b.engine.Inventory.Sync(ctx, req.Storage, backend.SyncRequest{IncludeExpired: d.Get("include_expired").(bool)})
	if err != nil {
		return nil, err
	}
	return &logical.Response{Data: encodeSync(st)}, nil
}

func encodeSync(st *backend.SyncStatus) map[string]any {
	return map[string]any{
		"state": st.State, "include_expired": st.IncludeExpired, "started_at": rfc3339(st.StartedAt), "finished_at": rfc3339(st.FinishedAt),
		"seen": st.Seen, "imported": st.Imported, "revoked": st.Revoked, "unavailable": st.Unavailable, "failed": st.Failed,
		"last_error": st.LastError,
	}
}

const syncHelp = `
Writing begins to read CERTInext's orders report, and stores the certificates of orders that were placed in the portal, through ACME, by other
mounts or by other programs, so that cert/<serial> shows them and revoke reaches them. They have no role, no key and no lease. Certificates of
this mount that somebody has revoked at CERTInext are marked so. It works in the background, under requests_per_second, and reading shows
how far it has got; one that was cut short begins anew with the next background pass. What the mount knows is not downloaded again, and what could not be
had is asked for again by the next one.
`
