// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package lineage says of all the mount's certificates at once which CAs are above them, and which
// clients accept them.
//
// A mount has many certificates and few chains. So every chain is looked at once, by one
// certificate that has it, and what follows is said of all the others. A certificate's own key is
// compared with those that clients refuse, and nothing else of it is read. Nothing is stored of a
// verdict: it follows from the chain and from what clients trust now (ADR 0047, ADR 0048).
//
// It promises that a list reads nothing but chains that were not looked at yet, and these within
// bounds; and that it says so where it does not know.
package lineage

import (
	"sync"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/index"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/trust"
)

// A Keeper keeps in memory what is above a mount's certificates. Its methods may be called
// concurrently.
type Keeper struct {
	*host.Host
	certs *certificates.Keeper
	trust *trust.Keeper
	// now is the time by which CAs have expired.
	now func() time.Time

	// turn is full while chains are read.
	turn chan struct{}

	mu    sync.Mutex
	known map[string]*above // by chain; none is changed
	// leaves are the keys that clients refuse, as certificates are listed by them, and judge is
	// who refuses them.
	leaves map[index.KeyID]trust.Link
	judge  *trust.Judge
}

// New returns the keeper of what is above a mount's certificates. now is the time by which CAs have
// expired. It touches neither storage nor network.
func New(
	h *host.Host, certs *certificates.Keeper, clients *trust.Keeper, now func() time.Time,
) *Keeper {
	return &Keeper{
		Host: h, certs: certs, trust: clients, now: now, turn: make(chan struct{}, 1),
		known: make(map[string]*above),
	}
}
