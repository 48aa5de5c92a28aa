// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets

import (
	"errors"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend"
	"github.com/hashicorp/go-secure-stdlib/parseutil"
	"github.com/hashicorp/vault/sdk/framework"
)

// Reasons why a field of Vault's PKI engine has nothing to tidy here.
const (
	noIssuers  = "the mount has no issuers of its own"
	noACME     = "the mount is no ACME server"
	noClusters = "revocations wait in one queue, which empties itself"
	noCounts   = "certificates are counted without"
)

// tidyRequestFields are the fields that say what is tidied.
func tidyRequestFields[T any](at func(*T) *backend.TidyRequest) []binding[T] {
	return []binding[T]{
		flag("tidy_cert_store",
			"Erase certificates that were not revoked and have expired a safety_buffer ago.",
			func(t *T) *bool { return &at(t).CertStore }),
		flag("tidy_revoked_certs",
			"Erase certificates that were revoked and have expired a safety_buffer ago, with the "+
				"records of their revocations.",
			func(t *T) *bool { return &at(t).RevokedCerts }),
		seconds("safety_buffer",
			"How long a certificate stays after it has expired.",
			func(t *T) *time.Duration { return &at(t).SafetyBuffer }),
		flag("tidy_orders",
			"Erase the records of orders that are over, an order_safety_buffer later.",
			func(t *T) *bool { return &at(t).Orders }),
		seconds("order_safety_buffer",
			"How long the record of an order stays after its end. Less than 9600h (400 days) "+
				"needs lose_spending_history: reports/spend reads these records.",
			func(t *T) *time.Duration { return &at(t).OrderBuffer }),
		flag("lose_spending_history",
			"Let records of orders of the past 13 months go, which are missing in reports/spend "+
				"then.",
			func(t *T) *bool { return &at(t).LoseSpending }),
		flag("tidy_named_orders",
			"Let tidy_orders erase the records of named requests (request_id), too: the same "+
				"name buys again then.",
			func(t *T) *bool { return &at(t).NamedOrders }),
		flag("tidy_refused_orders",
			"Erase the records of orders that CERTInext never took, a "+
				"refused_order_safety_buffer later.",
			func(t *T) *bool { return &at(t).RefusedOrders }),
		seconds("refused_order_safety_buffer",
			"How long the record of an order stays that CERTInext never took; at least 24h.",
			func(t *T) *time.Duration { return &at(t).RefusedBuffer }),
		flag("tidy_reuse_keys",
			"Erase keys that were kept for reuse and are over, which the background pass has "+
				"missed.",
			func(t *T) *bool { return &at(t).ReuseKeys }),
		flag("tidy_personal_data",
			"Erase personal data from the records of orders of document signers and S/MIME, a "+
				"personal_data_safety_buffer after their end and once the certificate has expired.",
			func(t *T) *bool { return &at(t).PersonalData }),
		seconds("personal_data_safety_buffer",
			"How long personal data stay after the end of an order; at least 24h.",
			func(t *T) *time.Duration { return &at(t).PersonalBuffer }),
		pause("pause_duration",
			"How long to pause between two entries, as 0.1s: the mount and its storage have other "+
				"work to do.",
			func(t *T) *time.Duration { return &at(t).Pause }),
		fixed[T]("tidy_revocation_list", framework.TypeBool, false,
			"it is tidy_revoked_certs by now"),
		fixed[T]("tidy_revoked_cert_issuer_associations", framework.TypeBool, false, noIssuers),
		fixed[T]("tidy_expired_issuers", framework.TypeBool, false, noIssuers),
		fixed[T]("tidy_move_legacy_ca_bundle", framework.TypeBool, false, noIssuers),
		fixed[T]("issuer_safety_buffer", framework.TypeSignedDurationSecond, 8760*time.Hour,
			noIssuers),
		fixed[T]("tidy_acme", framework.TypeBool, false, noACME),
		fixed[T]("acme_account_safety_buffer", framework.TypeSignedDurationSecond, 720*time.Hour,
			noACME),
		fixed[T]("tidy_cert_metadata", framework.TypeBool, false,
			"what a request has kept with its order goes with the order"),
		fixed[T]("tidy_cmpv2_nonce_store", framework.TypeBool, false, "the mount speaks no CMP"),
		fixed[T]("tidy_revocation_queue", framework.TypeBool, false, noClusters),
		fixed[T]("revocation_queue_safety_buffer", framework.TypeSignedDurationSecond,
			48*time.Hour, noClusters),
		fixed[T]("tidy_cross_cluster_revoked_certs", framework.TypeBool, false, noClusters),
	}
}

func tidyFields() []binding[backend.TidyRequest] {
	return tidyRequestFields(func(r *backend.TidyRequest) *backend.TidyRequest { return r })
}

// autoTidyFields are those of config/auto-tidy.
func autoTidyFields() []binding[backend.TidyConfig] {
	type config = backend.TidyConfig
	return append([]binding[config]{
		flag("enabled",
			"Whether the background pass tidies the mount by itself.",
			func(c *config) *bool { return &c.Enabled }),
		seconds("interval_duration",
			"How long after a run has begun the next one begins.",
			func(c *config) *time.Duration { return &c.Interval }),
		fixed[config]("min_startup_backoff_duration", framework.TypeSignedDurationSecond,
			5*time.Minute, "the background pass waits for as long after a start"),
		fixed[config]("max_startup_backoff_duration", framework.TypeSignedDurationSecond,
			15*time.Minute, "the background pass waits for 5 minutes after a start"),
		fixed[config]("maintain_stored_certificate_counts", framework.TypeBool, false, noCounts),
		fixed[config]("publish_stored_certificate_count_metrics", framework.TypeBool, false,
			noCounts),
	}, tidyRequestFields(func(c *config) *backend.TidyRequest { return &c.Request })...)
}

// pause is a duration that is written and read as a text, as 0.1s.
func pause[T any](name, help string, at func(*T) *time.Duration) binding[T] {
	return binding[T]{
		name: name, kind: framework.TypeString, help: help,
		get: func(t *T) any { return at(t).String() }, reset: as(at),
		set: func(t *T, v any) {
			*at(t), _ = parseutil.ParseDurationSecond(v) // check has seen it
		},
		check: func(v any) error {
			if _, err := parseutil.ParseDurationSecond(v); err != nil {
				// What was sent may be secret.
				return errors.New("must be a duration, such as 500ms")
			}
			return nil
		},
	}
}

func tidyStatusFields() map[string]*framework.FieldSchema {
	text := func(help string) *framework.FieldSchema {
		return &framework.FieldSchema{Type: framework.TypeString, Description: help}
	}
	count := func(help string) *framework.FieldSchema {
		return &framework.FieldSchema{
			Type: framework.TypeInt, Description: help + " In a dry run, those that would be.",
		}
	}
	return merge(readable(tidyFields()), map[string]*framework.FieldSchema{
		"state": text("Inactive (nothing was tidied yet), Running, Cancelling, Cancelled, " +
			"Finished or Error."),
		"error": text("Why the run has ended early, or the latest failure with an entry; " +
			"absent when there is none."),
		"message":       text("How many entries were looked at, while the run is under way."),
		"time_started":  text("When the run began, in RFC 3339; absent when there was none."),
		"time_finished": text("When the run ended, in RFC 3339; absent while it is under way."),
		"last_auto_tidy_finished": text("When the last run that the mount has begun by itself " +
			"has finished, in RFC 3339; absent when none has."),
		"auto": {
			Type:        framework.TypeBool,
			Description: "Whether the mount has begun the run by itself.",
		},
		"dry_run": {
			Type:        framework.TypeBool,
			Description: "Whether nothing is erased. A dry run is forgotten with the process.",
		},
		"cert_store_deleted_count":   count("Certificates erased that were not revoked."),
		"revoked_cert_deleted_count": count("Certificates erased that were revoked."),
		"revocation_record_deleted_count": count("Records of revocations erased that " +
			"had no certificate."),
		"order_deleted_count": count("Records of orders erased."),
		"refused_order_deleted_count": count("Records erased of orders that CERTInext never " +
			"took."),
		"personal_data_erased_count": count("Records of orders from which personal data were " +
			"erased."),
		"reuse_key_deleted_count": count("Keys erased that were kept for reuse."),
		"kept": {
			Type: framework.TypeMap,
			Description: "How many entries stay, by kind (certificates, revoked_certificates, " +
				"revocation_records, orders, refused_orders, personal_data, reuse_keys) and by " +
				"reason.",
		},
	})
}
