// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package account is one CERTInext account: its config, the client that is made of it, its catalog
// and what else it can be asked, and when to leave it alone.
//
// It promises that everybody uses the same client for the same account, that a write of config is
// verified before it counts, and that a CERTInext which has had enough is not asked by the background.
// It knows nothing of roles, orders or certificates.
package account

import (
	"io"
	"net/http"
	"sync/atomic"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/keyed"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// Options are what an [Account] takes from outside. Every zero value is usable.
type Options struct {
	HTTPClient *http.Client // for CERTInext; the client's own when nil
	Rand       io.Reader    // what the client draws; crypto/rand when nil
}

// An Account is the CERTInext account of a mount. Its methods may be called concurrently.
type Account struct {
	*host.Host

	httpClient *http.Client
	rand       io.Reader

	configWrites keyed.Mutex            // one write of config at a time
	pauses       atomic.Int64           // counts the writes that paused ordering
	accounts     keyed.Values[*Session] // under ConfigKey
	connection   connection
	// Breaker says when the background leaves CERTInext alone.
	Breaker   Breaker
	lastClock atomic.Pointer[certinext.Client] // the last one that has told CERTInext's time
	doubted   bool                             // the log has said that the clock is in doubt; the pass's own
}

// New returns the account of a mount. It touches neither storage nor network.
func New(h *host.Host, o Options) *Account {
	return &Account{Host: h, httpClient: o.HTTPClient, rand: o.Rand}
}
