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
			"include_expired": {
				Type:        framework.TypeBool,
				Description: "Import certificates that have expired, too.",
			},
		},
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.ReadOperation: operation(b.readSync,
				"Show the progress of the last synchronization.",
				"read", "synchronization", syncFields()),
			logical.UpdateOperation: writing(b.startSync,
				"Import the account's certificates that this mount does not know.",
				"start", "synchronization", syncFields()),
		},
		HelpSynopsis:    "Import certificates that were not ordered by this mount.",
		HelpDescription: syncHelp,
	}}
}

func syncFields() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"state": {
			Type:        framework.TypeString,
			Description: "never, running, done or failed.",
		},
		"include_expired": {
			Type:        framework.TypeBool,
			Description: "Whether expired certificates are imported, too.",
		},
		"started_at": {Type: framework.TypeString, Description: "When it started, in RFC 3339."},
		"finished_at": {
			Type:        framework.TypeString,
			Description: "When it finished, in RFC 3339; empty while it is running.",
		},
		"seen": {Type: framework.TypeInt, Description: "Number of orders examined."},
		"imported": {
			Type:        framework.TypeInt,
			Description: "Number of certificates imported, which the mount did not know.",
		},
		"revoked": {
			Type: framework.TypeInt,
			Description: "Number of certificates of the mount that were found to have been " +
				"revoked at CERTInext by other means.",
		},
		"unavailable": {
			Type: framework.TypeInt,
			Description: "Number of certificates that CERTInext does not serve, e.g. because " +
				"they are revoked.",
		},
		"failed": {
			Type:        framework.TypeInt,
			Description: "Number of orders whose certificate could not be fetched this time.",
		},
		"last_error": {Type: framework.TypeString, Description: "The last failure."},
	}
}

func (b *secretsBackend) readSync(
	ctx context.Context, req *logical.Request, _ *framework.FieldData,
) (*logical.Response, error) {
	st, err := b.engine.Inventory.Status(ctx, req.Storage)
	if err != nil {
		return nil, err
	}
	return &logical.Response{Data: encodeSync(st)}, nil
}

func (b *secretsBackend) startSync(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	st, err := b.engine.Inventory.Sync(ctx, req.Storage,
		backend.SyncRequest{IncludeExpired: d.Get("include_expired").(bool)})
	if err != nil {
		return nil, err
	}
	return &logical.Response{Data: encodeSync(st)}, nil
}

func encodeSync(st *backend.SyncStatus) map[string]any {
	return map[string]any{
		"state":           st.State,
		"include_expired": st.IncludeExpired,
		"started_at":      rfc3339(st.StartedAt),
		"finished_at":     rfc3339(st.FinishedAt),
		"seen":            st.Seen,
		"imported":        st.Imported,
		"revoked":         st.Revoked,
		"unavailable":     st.Unavailable,
		"failed":          st.Failed,
		"last_error":      st.LastError,
	}
}

const syncHelp = `
Writing starts a synchronization. It reads CERTInext's orders report and imports the certificates
of orders that were placed in the portal, through ACME, by other mounts or by other programs, so
that cert/<serial> shows them and revoke reaches them. They have no role, no key and no lease.
Certificates of this mount that were revoked at CERTInext by other means are marked as revoked. It
runs in the background, within requests_per_second, and reading shows its progress; one that was
interrupted starts again with the next background pass. Certificates that the mount already knows
are not downloaded again, and those that could not be fetched are requested again by the next
synchronization.
`
