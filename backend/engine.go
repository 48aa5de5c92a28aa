// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/keyed"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/logical"
)

// Options are what an [Engine] takes from outside. Every zero value is usable.
type Options struct {
	Logger hclog.Logger // discards when nil
	// System answers questions about the server: who an entity is, whether this node is active. When nil,
	// templated domains match nothing and the node counts as active.
	System func() logical.SystemView

	HTTPClient *http.Client     // for CERTInext; the client's own when nil
	Now        func() time.Time // time.Now when nil
	NewID      func() (string, error)
	// Rand gives what the client of CERTInext draws: transaction ids, and how long it pauses. It has to be safe for
	// concurrent use; crypto/rand when nil. Keys come from crypto/rand whatever it is.
	Rand io.Reader
	// Shuffle puts the work of a background pass into an order of chance; rand.Shuffle when nil. A simulation draws from its seed.
	Shuffle  func(n int, swap func(i, j int))
	TickTime time.Duration // that [Engine.Tick] waits; a quarter of a second when 0
	// Resolvers are DNS resolvers, as host:port, for roles that name none; the machine's when nil.
	Resolvers []string
}

// An Engine is one mount's issuing engine. Its methods may be called concurrently. Close it when the mount goes away.
type Engine struct {
	*host.Host

	httpClient *http.Client
	rand       io.Reader
	tickTime   time.Duration
	resolvers  []string
	begun      time.Time

	configWrites keyed.Mutex            // one write of config at a time
	pauses       atomic.Int64           // counts the writes that paused ordering
	accounts     keyed.Values[*account] // under configKey
	connection   connection

	answers     atomic.Int64 // counts those that held a certificate
	orders      registry
	witnesses   witnesses
	records     *records
	certLocks   keyed.Mutex
	revocations keyed.TryMutex             // serial numbers that CERTInext is being asked to revoke
	solvers     keyed.Values[*readySolver] // by name

	domainLocks keyed.Mutex
	recordLocks keyed.Mutex
	caMu        sync.Mutex
	newest      []string                         // PEM chain of the newest certificate, issuing CA first
	passing     chan struct{}                    // holds an element while a pass runs
	behind      chan struct{}                    // holds an element for each order that is worked on behind a request
	lastClock   atomic.Pointer[certinext.Client] // the last one that has told CERTInext's time
	doubted     bool                             // the log has said that the clock is in doubt; the pass's own
	cursor      string                           // the queued revocation that the last pass ended with; the pass's own
	guard       guard
	sync        synchronizing
	leaseEnds   chan struct{} // holds one element for each lease's end that is asking CERTInext
}

// account is a client together with the config it was made from, and what it was told of the catalog.
type account struct {
	client  *certinext.Client
	config  *Config
	catalog *catalog
}

// A connection is the last client that was made, and what it was made of. The zero value is ready for use.
type connection struct {
	mu     sync.Mutex
	of     Config
	client *certinext.Client // nil when there is none
}

// connect returns a client for the account of c. A config that says the same of the account as the one before has the same client, and so the
// same token: where a new token ends the ones before, a write of config, which asks CERTInext, and whatever is under way would otherwise end
// each other's until one of them gives up.
func (e *Engine) connect(c *Config) (*certinext.Client, error) {
	e.connection.mu.Lock()
	defer e.connection.mu.Unlock()
	if e.connection.client != nil && e.connection.of == c.connects() {
		return e.connection.client, nil
	}
	client, err := c.newClient(e.httpClient, e.Now, e.rand)
	if err != nil {
		return nil, err
	}
	e.connection.of, e.connection.client = c.connects(), client
	return client, nil
}

// disconnect forgets the client, with its token.
func (e *Engine) disconnect() {
	e.connection.mu.Lock()
	defer e.connection.mu.Unlock()
	e.connection.of, e.connection.client = Config{}, nil
}

// New returns an engine. It touches neither storage nor network.
func New(o Options) *Engine {
	e := &Engine{
		Host: host.New(host.Options{
			Log: o.Logger, System: o.System, Now: o.Now, NewID: o.NewID, Shuffle: o.Shuffle,
		}),
		httpClient: o.HTTPClient, rand: o.Rand, tickTime: o.TickTime, resolvers: o.Resolvers,
	}
	if e.tickTime == 0 {
		e.tickTime = 250 * time.Millisecond
	}
	e.passing, e.leaseEnds, e.behind = make(chan struct{}, 1), make(chan struct{}, passWorkers), make(chan struct{}, passWorkers)
	e.begun, e.records = e.Now(), newRecords()
	return e
}

// Close stops the background pass and the work that outlives its requests, and waits for both. Open orders stay in storage.
func (e *Engine) Close() {
	e.Stop()
	e.passing <- struct{}{}
	defer func() { <-e.passing }()
	e.Work.Wait()
}

// Invalidate forgets what the engine remembers of a storage key that has changed elsewhere.
func (e *Engine) Invalidate(key string) {
	switch {
	case key == configKey:
		e.accounts.Forget(configKey)
		e.guard.lift()
	case strings.HasPrefix(key, openOrderPrefix):
		e.orders.forget()
	case strings.HasPrefix(key, solverPrefix):
		e.solvers.Forget(strings.TrimPrefix(key, solverPrefix))
	}
}

// client returns the CERTInext client of the mount's account, and the config it was made from.
func (e *Engine) client(ctx context.Context, s logical.Storage) (*certinext.Client, *Config, error) {
	a, err := e.account(ctx, s)
	if err != nil {
		return nil, nil, err
	}
	return a.client, a.config, nil
}

func (e *Engine) account(ctx context.Context, s logical.Storage) (*account, error) {
	return e.accounts.Get(ctx, configKey, func() (*account, error) {
		cfg, err := e.mustConfig(ctx, s)
		if err != nil {
			return nil, err
		}
		client, err := e.connect(cfg)
		if err != nil {
			return nil, err
		}
		return &account{client: client, config: cfg, catalog: e.newCatalog()}, nil
	})
}
