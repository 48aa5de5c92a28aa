// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets

import (
	"context"
	"time"

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
			"ignore_expired": {
				Type: framework.TypeBool,
				Description: "Do not download certificates that have expired, which is what " +
					"happens when include_expired is not set. With ignore_expired=false, they " +
					"are imported, too.",
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
		"automatic": {
			Type:        framework.TypeBool,
			Description: "Whether the background pass started it (sync_interval in config).",
		},
		"seen": {Type: framework.TypeInt, Description: "Number of orders examined."},
		"total": {
			Type: framework.TypeInt,
			Description: "Number of orders that CERTInext's report announces; 0 while it has " +
				"not, or does not say.",
		},
		"rate": {
			Type:        framework.TypeFloat,
			Description: "Orders examined per second; 0 when none is running on this node.",
		},
		"remaining": {
			Type: framework.TypeInt,
			Description: "Seconds that it takes from now on, as estimated by the rate until " +
				"now; 0 when that cannot be told.",
		},
		"complete": {
			Type: framework.TypeBool,
			Description: "Whether every order that the report announces was seen. Only then are " +
				"gone and gone_orders brought up to date.",
		},
		"imported": {
			Type:        framework.TypeInt,
			Description: "Number of certificates imported, which the mount did not know.",
		},
		"distrusted": {
			Type: framework.TypeInt,
			Description: "Number of imported certificates with a key that clients refused in " +
				"each of their chains, when they were imported.",
		},
		"refused": {
			Type: framework.TypeInt,
			Description: "Number of other imported certificates that a family of clients did not " +
				"accept then. inventory/certs lists both as of now, by trust.",
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
		"failures": {
			Type: framework.TypeSlice,
			Description: "The first 20 of those orders: order is CERTInext's number, and error " +
				"what was wrong.",
		},
		"gone": {
			Type: framework.TypeInt,
			Description: "Number of orders that the report has shown before and shows no more. " +
				"Their certificates are kept as they are.",
		},
		"gone_orders": {
			Type:        framework.TypeStringSlice,
			Description: "CERTInext's numbers of the first 100 of them.",
		},
		"last_success": {
			Type: framework.TypeString,
			Description: "When a synchronization was done the last time, in RFC 3339; empty " +
				"while none was.",
		},
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
	include := d.Get("include_expired").(bool)
	if ignore, given := d.GetOk("ignore_expired"); given {
		if ignore.(bool) && include {
			return nil, &backend.FieldError{
				Field: "ignore_expired", Problem: "contradicts include_expired: write one of them",
			}
		}
		include = !ignore.(bool)
	}
	st, err := b.engine.Inventory.Sync(ctx, req.Storage,
		backend.SyncRequest{IncludeExpired: include})
	if err != nil {
		return nil, err
	}
	return &logical.Response{Data: encodeSync(st)}, nil
}

func encodeSync(st *backend.SyncStatus) map[string]any {
	failures := make([]any, 0, len(st.Failures))
	for _, f := range st.Failures {
		failures = append(failures, map[string]any{"order": f.Order, "error": f.Error})
	}
	return map[string]any{
		"state":           st.State,
		"automatic":       st.Automatic,
		"total":           st.Total,
		"rate":            st.Rate(),
		"remaining":       int(st.Remaining() / time.Second),
		"complete":        st.Whole,
		"failures":        failures,
		"gone":            st.Gone,
		"gone_orders":     append([]string{}, st.GoneOrders...),
		"last_success":    rfc3339(st.LastSuccess),
		"include_expired": st.IncludeExpired,
		"started_at":      rfc3339(st.StartedAt),
		"finished_at":     rfc3339(st.FinishedAt),
		"seen":            st.Seen,
		"imported":        st.Imported,
		"distrusted":      st.Distrusted,
		"refused":         st.Refused,
		"revoked":         st.Revoked,
		"unavailable":     st.Unavailable,
		"failed":          st.Failed,
		"last_error":      st.LastError,
	}
}

const syncHelp = `
Writing starts a synchronization. It reads CERTInext's orders report and imports the certificates
of orders that were placed in the portal, through ACME, by other mounts or by other programs, so
that cert/<serial> shows them and revoke reaches them. They have no role, no key and no lease, until
an operator has a role adopt them (operator/adopt/<role>). Certificates of this mount that were
revoked at CERTInext by other means are marked as revoked.

It runs in the background, within requests_per_second, one at a time, and reading shows its
progress: seen of total, rate and remaining. With sync_interval in config, the background pass
starts one when the last one has started that long ago. One that was interrupted goes on with the
next background pass, from the page of the report that it had come to. Certificates that the mount
already knows are not downloaded again, and those that could not be fetched are requested again by
the next synchronization. One that sync_interval has started, and that CERTInext's errors have
ended, is tried again within half an hour.

Orders that the report does not list any more are counted as gone, and nothing else happens to them
and to their certificates: what a report leaves out proves nothing.
`
