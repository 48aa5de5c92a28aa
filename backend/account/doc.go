// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package account manages the CERTInext account of a mount: its config, the client that is made
// from it, queries such as the product catalog, and the breakers that say when background work
// should leave CERTInext alone.
//
// It promises that all callers share one client for one account, that a new config is stored only
// after CERTInext has accepted its credentials (unless the operator waives that), and that
// background work makes no calls while CERTInext limits the rate or is down. On a node that may not
// write storage it calls nobody, and while the mount is held it changes nothing. It knows nothing
// of roles, orders or certificates, but for what the rooms above share: which names the
// certificates of a product may hold ([Shape]), and how the tag of an order is spelled
// ([MarkerPrefix]).
package account

import (
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/keyed"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// Options are the dependencies of an [Account]. Every zero value is usable.
type Options struct {
	HTTPClient *http.Client // for calls to CERTInext; the client's own when nil
	Rand       io.Reader    // the client's source of randomness; crypto/rand when nil
}

// An Account is the CERTInext account of a mount. Its methods may be called concurrently, except
// WatchClock, which only the background pass calls.
type Account struct {
	*host.Host

	httpClient *http.Client
	rand       io.Reader

	configWrites keyed.Mutex            // one write of config at a time
	pauses       atomic.Int64           // counts the writes that paused ordering
	wrote        atomic.Bool            // storage has taken a write of this process
	accounts     keyed.Values[*Session] // under ConfigKey
	connection   connection
	// Breaker says when background work makes no calls to CERTInext, and Revoking when it sends no
	// revocations: those do not wait until orders can be tracked again, and probe first.
	Breaker  Breaker
	Revoking Breaker
	// Calls are the requests that this process has sent to CERTInext.
	Calls        Calls
	lastClock    atomic.Pointer[certinext.Client] // the latest client that knew CERTInext's time
	clockHung    atomic.Pointer[time.Time]        // when it last did not tell it in time
	clockDoubted bool                             // WatchClock has logged a doubt of the clock
}

// New returns the account of a mount. It touches neither storage nor network.
func New(h *host.Host, o Options) *Account {
	return &Account{Host: h, httpClient: o.HTTPClient, rand: o.Rand}
}
