// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package validation publishes domain validation challenges at DNS hosts, and removes them again.
//
// A [Run] validates the domains of one owner: an order, a registered domain, or the check of a
// solver. A record is in the journal before the DNS host is asked to publish it, and stays there
// until the DNS host has confirmed its removal, so that no crash leaves a record behind (ADR 0015).
// The package asks for challenges through a [Challenger], and knows neither orders nor roles.
package validation

import (
	"net/http"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/keyed"
	"github.com/certinext/vault-plugin-secrets-certinext/dcv"
)

// A Publisher keeps the solvers of a mount, and the journal of the records that they have
// published. Its methods may be called concurrently.
type Publisher struct {
	*host.Host

	client       *http.Client               // for all DNS hosts that are asked by HTTP
	resolvers    []string                   // DNS resolvers; those of the machine when empty
	solvers      keyed.Values[*readySolver] // by name
	solverWrites keyed.Mutex                // one store of a solver at a time, by its key
	recordLocks  keyed.Mutex                // by the hash that the keys of equal records end in
}

// New returns the publisher of a mount. Its resolvers, as host:port, serve roles that name none;
// those of the machine do when there are none. New touches neither storage nor network.
func New(h *host.Host, resolvers []string) *Publisher {
	return &Publisher{Host: h, client: dcv.NewHTTPClient(), resolvers: resolvers}
}

// Close closes the connections to DNS hosts that are idle. A call that is made later opens new
// ones.
func (pub *Publisher) Close() { pub.client.CloseIdleConnections() }
