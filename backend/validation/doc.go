// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package validation publishes the challenges of domains at DNS hosts, and never forgets what it has published.
//
// A [Run] validates the domains of one owner: an order, a registered domain, or the check of a solver. It promises that a
// record is in the journal before it is published, and stays there until it was taken away, whatever happens in between.
// It asks for challenges through a [Challenger], and knows neither orders nor roles.
package validation

import (
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/keyed"
)

// A Publisher keeps the solvers of a mount, and the journal of what they have published. Its methods may be called
// concurrently.
type Publisher struct {
	*host.Host

	resolvers   []string                   // of DNS; those of the machine when there are none
	solvers     keyed.Values[*readySolver] // by name
	recordLocks keyed.Mutex
}

// New returns the publisher of a mount. It touches neither storage nor network.
func New(h *host.Host, resolvers []string) *Publisher {
	return &Publisher{Host: h, resolvers: resolvers}
}
