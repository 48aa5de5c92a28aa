// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package campaigns replaces many certificates before their time (ADR 0049): since a CA is not
// trusted any more, or since they have to be revoked by a certain day.
//
// It promises four things. What a campaign is about is settled when it is made: what is issued
// later is not in it. Nothing is counted beside what is stored for each certificate, so no count
// drifts. No certificate is revoked before its replacement was handed over, unless the campaign
// says so, nor by this server's clock alone (ADR 0022). And whatever dies, the next pass goes on:
// [next] decides from what it finds, is pure, and decides the same again.
//
// It buys nothing itself: the room orders makes replacements, and the requests of those who need
// them. It knows no paths, and asks CERTInext nothing but its time.
package campaigns

import (
	"context"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/keyed"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/notices"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/orders"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/trust"
	"github.com/hashicorp/vault/sdk/logical"
)

// A Runner keeps the campaigns of a mount, and moves them on. Its methods may be called
// concurrently, except Pass, which only the background pass calls.
type Runner struct {
	*host.Host
	Account      *account.Account
	Certificates *certificates.Keeper
	Orders       *orders.Journal
	Trust        *trust.Keeper
	Notices      *notices.Teller
	// Price returns what an order of a role costs; nothing is known of prices when it is nil.
	Price func(ctx context.Context, s logical.Storage, role string) (Price, error)

	writes keyed.Mutex // of a campaign, by its name
	// cursors are where the passes of this process have come to among the open items of a campaign.
	cursors map[string]string
}

// New returns the runner of a mount. It touches neither storage nor network.
func New(journal *orders.Journal, t *trust.Keeper) *Runner {
	r := &Runner{
		Host: journal.Host, Account: journal.Account, Certificates: journal.Certificates,
		Orders: journal, Trust: t, cursors: make(map[string]string),
	}
	journal.MayReplace = r.mayReplace
	return r
}
