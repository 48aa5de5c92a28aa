// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets

import (
	"context"
	"fmt"

	"github.com/certinext/vault-plugin-secrets-certinext/backend"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

// pathTidy are the paths by which Vault's PKI engine is tidied, with its field names where it has
// them (ADR 0045).
func (b *secretsBackend) pathTidy() []*framework.Path {
	dryRun := map[string]*framework.FieldSchema{"dry_run": {
		Type: framework.TypeBool,
		Description: "Erase nothing, and have tidy-status tell what would be erased and what " +
			"would stay.",
	}}
	return []*framework.Path{
		{
			Pattern: "tidy$",
			Fields:  merge(schemas(tidyFields(), backend.NewTidyRequest()), dryRun),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.UpdateOperation: writing(b.startTidy,
					"Begin to erase what nobody needs any more, in the background.",
					"start", "tidying", tidyStatusFields()),
			},
			HelpSynopsis:    "Erase what is stored and nobody needs any more.",
			HelpDescription: tidyHelp,
		},
		{
			Pattern: "tidy-status$",
			Operations: map[logical.Operation]framework.OperationHandler{
				// It is forwarded: a dry run is known to the node that does it, and to no other.
				logical.ReadOperation: writing(b.readTidy,
					"Show the progress of the tidying under way, or else of the latest one.",
					"read", "tidying", tidyStatusFields()),
			},
			HelpSynopsis:    "Show what was erased, and what stays for which reason.",
			HelpDescription: tidyHelp,
		},
		{
			Pattern: "tidy-cancel$",
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.UpdateOperation: writing(b.cancelTidy,
					"End the tidying under way after the entry that it is at.",
					"cancel", "tidying", tidyStatusFields()),
			},
			HelpSynopsis:    "End the tidying under way.",
			HelpDescription: tidyHelp,
		},
		{
			Pattern: "config/auto-tidy$",
			Fields:  schemas(autoTidyFields(), backend.NewTidyConfig()),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ReadOperation: operation(b.readAutoTidy,
					"Read when the mount is tidied by itself, and what of it.",
					"read", "auto-tidy-configuration", readable(autoTidyFields())),
				logical.UpdateOperation: writing(b.writeAutoTidy,
					"Set when the mount is tidied by itself. Omitted fields stay as they are.",
					"configure", "auto-tidy", readable(autoTidyFields())),
			},
			HelpSynopsis:    "Have the mount tidied by itself.",
			HelpDescription: tidyHelp,
		},
	}
}

func (b *secretsBackend) startTidy(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	r := backend.NewTidyRequest()
	if err := write(tidyFields(), d, r, backend.NewTidyRequest()); err != nil {
		return nil, err
	}
	r.DryRun = isDryRun(d)
	outcome, err := b.engine.Tidier.Start(ctx, req.Storage, *r)
	if err != nil {
		return nil, err
	}
	resp, err := b.tidyStatus(ctx, req.Storage)
	if err != nil {
		return nil, err
	}
	switch outcome {
	case backend.TidyNothing:
		resp.AddWarning("Nothing was begun: set one of tidy_cert_store, tidy_revoked_certs, " +
			"tidy_orders, tidy_refused_orders, tidy_reuse_keys and tidy_personal_data.")
	case backend.TidyAlready:
		resp.AddWarning("Tidying is under way already, and goes on as it was requested: " +
			"<mount>/tidy-status shows it, and <mount>/tidy-cancel ends it.")
	default:
		resp.AddWarning("Tidying has begun, in the background: <mount>/tidy-status shows it.")
	}
	return resp, nil
}

func (b *secretsBackend) readTidy(
	ctx context.Context, req *logical.Request, _ *framework.FieldData,
) (*logical.Response, error) {
	return b.tidyStatus(ctx, req.Storage)
}

func (b *secretsBackend) cancelTidy(
	ctx context.Context, req *logical.Request, _ *framework.FieldData,
) (*logical.Response, error) {
	cancelled, err := b.engine.Tidier.Cancel(ctx, req.Storage)
	if err != nil {
		return nil, err
	}
	resp, err := b.tidyStatus(ctx, req.Storage)
	if err == nil && !cancelled {
		resp.AddWarning("Nothing was cancelled: no tidying is under way.")
	}
	return resp, err
}

func (b *secretsBackend) readAutoTidy(
	ctx context.Context, req *logical.Request, _ *framework.FieldData,
) (*logical.Response, error) {
	c, err := backend.ReadTidyConfig(ctx, req.Storage)
	if err != nil {
		return nil, err
	}
	return &logical.Response{Data: read(autoTidyFields(), c)}, nil
}

func (b *secretsBackend) writeAutoTidy(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	c, err := b.engine.Tidier.WriteConfig(ctx, req.Storage, func(c *backend.TidyConfig) error {
		return write(autoTidyFields(), d, c, backend.NewTidyConfig())
	})
	if err != nil {
		return nil, err
	}
	return &logical.Response{Data: read(autoTidyFields(), c)}, nil
}

func (b *secretsBackend) tidyStatus(
	ctx context.Context, s logical.Storage,
) (*logical.Response, error) {
	st, err := b.engine.Tidier.Status(ctx, s)
	if err != nil {
		return nil, err
	}
	return &logical.Response{Data: encodeTidy(st)}, nil
}

func encodeTidy(st *backend.TidyStatus) map[string]any {
	data := read(tidyFields(), &st.Request)
	data["state"], data["auto"], data["dry_run"] = st.State, st.Auto, st.DryRun
	looked := 0
	for _, n := range st.Erased {
		looked += n
	}
	kept := make(map[string]any, len(st.Kept))
	for kind, reasons := range st.Kept {
		row := make(map[string]int, len(reasons))
		for why, n := range reasons {
			row[string(why)] = n
			looked += n
		}
		kept[kind] = row
	}
	message := ""
	if !st.IsOver() {
		message = fmt.Sprintf("%d entries were looked at", looked)
	}
	for field, text := range map[string]string{
		"error": st.Error, "message": message, "time_started": rfc3339(st.StartedAt),
		"time_finished":           rfc3339(st.FinishedAt),
		"last_auto_tidy_finished": rfc3339(st.LastAuto),
	} {
		if text != "" { // Vault PKI's are null otherwise
			data[field] = text
		}
	}
	data["kept"] = kept
	for kind, field := range tidyCounts {
		data[field] = st.Erased[kind]
	}
	return data
}

// tidyCounts are the fields of a status that count what was erased, by the kind of entry.
var tidyCounts = map[string]string{
	backend.TidyCertificates: "cert_store_deleted_count",
	backend.TidyRevoked:      "revoked_cert_deleted_count",
	backend.TidyOrphans:      "revocation_record_deleted_count",
	backend.TidyOrders:       "order_deleted_count",
	backend.TidyRefused:      "refused_order_deleted_count",
	backend.TidyPersonal:     "personal_data_erased_count",
	backend.TidyReuse:        "reuse_key_deleted_count",
}

const tidyHelp = `
Writing tidy erases, in the background, what the mount stores and nobody needs any more, as the
fields say. What a field does not name stays. Fields have the names of Vault's PKI engine where it
has them; those about issuers, ACME and clusters, which this engine does not have, are accepted with
their defaults only. Nothing is erased at CERTInext.

dry_run=true erases nothing and stores nothing: tidy-status tells what would be erased, and, in
kept, how many entries of each kind would stay for which reason:

- not_expired, safety_buffer: it is valid, or was until lately
- not_asked: no field names it
- lease: a lease on the certificate runs
- revocation_queued: CERTInext is yet to revoke it
- order_open: its order, or one that reissues it, is open
- subscription: the term that is paid for runs, so that it may be reissued
- linked: another certificate that is needed refers to it
- reused: requests are answered with it, or its key is kept for that
- certificate: a certificate of the order is stored
- spending: the order is younger than 13 months, and reports/spend tells of it
- request_id: the order's request has a name, and the same name would buy again
- unreadable, storage_failed: it cannot be read, or storage failed

Records of orders are what reports/spend reads: one that is erased is missing there. So those that
may cost money stay for 13 months, and a shorter order_safety_buffer is refused unless
lose_spending_history=true says that history may be lost. What budgets have counted stays counted.
Records of named requests (request_id) stay unless tidy_named_orders=true.

A certificate goes with all that is only about it. The hashes of compromised keys never go, and
neither do the chains of CAs, of which there are few. sync include_expired=true brings back a
certificate that was tidied, as one that was ordered elsewhere.

Personal data are those of document signers and S/MIME: once the order is over, and its certificate
has expired, names, addresses, phone numbers, names of documents, the CSR and free texts are erased
from its record, which stays. Who asked and who approved stay by their entity ids.

While this server's clock cannot be compared with CERTInext's, or differs by more than an hour,
nothing is erased. While the mount is held (CERTINEXT_HOLD), only a dry run begins. A run that a
restart has cut short goes on with the next background pass. tidy-cancel ends the run after the
entry that it is at. The mount is tidied by itself, as config/auto-tidy says, once
interval_duration has passed since a run last began, and not within 5 minutes after a start.
`
