// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/campaigns"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/domains"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/keyed"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/inventory"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/notices"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/orders"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/readiness"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/spending"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/tidy"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/trust"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/validation"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/logical"
)

// Options are what an [Engine] takes from its environment. Every zero value is usable.
type Options struct {
	Logger hclog.Logger // discards when nil
	// System answers questions about the server: who an entity is, whether this node is active.
	// When nil, templated domains match nothing and the node counts as active.
	System func() logical.SystemView

	HTTPClient *http.Client           // for CERTInext; the client's own when nil
	Now        func() time.Time       // time.Now when nil
	Steady     func() time.Time       // a clock that nobody sets; time.Now when nil
	NewID      func() (string, error) // a random UUID when nil
	// Rand is the randomness of the CERTInext client, for transaction ids and pauses; crypto/rand
	// when nil. It has to be safe for concurrent use. Private keys always come from crypto/rand.
	Rand io.Reader
	// Shuffle puts the work of a background pass into random order; rand.Shuffle when nil. A
	// simulation shuffles by its seed.
	Shuffle  func(n int, swap func(i, j int))
	TickTime time.Duration // that [Engine.Tick] waits at most; a quarter of a second when 0
	// SendEvent sends one of Vault's events; none are sent when nil.
	SendEvent notices.Sender
	// Hold is set when nothing may be changed outside the mount's storage, neither at CERTInext nor
	// at DNS hosts (ADR 0031).
	Hold bool
	// Resolvers are DNS resolvers, as host:port, for roles that name none; the machine's when nil.
	Resolvers []string
}

// An Engine is one mount's issuing engine. Its methods may be called concurrently. Close it when
// Vault unloads the mount.
type Engine struct {
	*host.Host
	Account      *account.Account
	Publisher    *validation.Publisher
	Domains      *domains.Keeper
	Certificates *certificates.Keeper
	Orders       *orders.Journal
	Inventory    *inventory.Inventory
	Readiness    *readiness.Checker
	Spending     *spending.Keeper
	Trust        *trust.Keeper
	Tidier       *tidy.Tidier
	Campaigns    *campaigns.Runner
	Notices      *notices.Teller

	roleWrites keyed.Mutex // one store of a role at a time
	tickTime   time.Duration

	warnHeld sync.Once // logs once that the mount is held
	passes   passLog
	passing  chan struct{} // of capacity 1; full while a pass runs, and while Close waits
}

// New returns an engine for one mount. It touches neither storage nor network.
func New(o Options) *Engine {
	e := &Engine{
		Host: host.New(host.Options{
			Log: newQuietLogger(o.Logger), System: o.System, Now: o.Now, Steady: o.Steady,
			NewID: o.NewID, Shuffle: o.Shuffle, Hold: o.Hold,
		}),
		tickTime: o.TickTime,
	}
	e.Account = account.New(e.Host, account.Options{HTTPClient: o.HTTPClient, Rand: o.Rand})
	e.Publisher = validation.New(e.Host, o.Resolvers)
	e.Domains = domains.New(e.Host, e.Account, e.Publisher)
	e.Certificates = certificates.New(e.Host, e.Account, passWorkers)
	e.Orders = orders.New(e.Host, e.Account, e.Publisher, e.Certificates, passWorkers)
	e.Orders.CheckProduct = e.checkBeforeOrder
	e.Orders.KeepValidated = e.keepValidated
	e.Trust = new(trust.Keeper)
	e.Orders.Trust = e.Trust
	e.Spending = spending.New(e.Host, books{e})
	e.Orders.Spending = purse{e}
	e.Inventory = inventory.New(e.Host, e.Account, e.Certificates, e.Orders)
	e.Tidier = tidy.New(e.Host, e.Account, e.Certificates, e.Orders)
	e.Campaigns = campaigns.New(e.Orders, e.Trust)
	e.Campaigns.Price = priceOfRole(e)
	e.Readiness = readiness.New(e.Account, e.Publisher.CheckNamed)
	e.Notices = notices.New(e.Host, o.SendEvent)
	e.Orders.Notices, e.Certificates.Notices = e.Notices, e.Notices
	e.Spending.Notices, e.Campaigns.Notices = e.Notices, e.Notices
	if e.tickTime == 0 {
		e.tickTime = 250 * time.Millisecond
	}
	e.passing = make(chan struct{}, 1)
	return e
}

// Initialize reads what is kept in memory of the mount, so that no request has to. What cannot be
// read now is read by the first one that needs it.
func (e *Engine) Initialize(ctx context.Context, s logical.Storage) {
	if err := e.Spending.Load(ctx, s); err != nil {
		e.Log.Warn("the budgets could not be read: the next order reads them", "error", err)
	}
	if err := e.Trust.Load(ctx, s); err != nil {
		e.Log.Warn("what clients trust could not be read: the next answer reads it", "error", err)
	}
}

// Close stops the background pass and the work that outlives its requests, waits for both, and
// closes the connections that they leave idle. Open orders stay in storage, and the next engine of
// the mount continues them.
func (e *Engine) Close() {
	e.Stop()
	e.passing <- struct{}{}
	defer func() { <-e.passing }()
	e.Work.Wait()
	e.Publisher.Close()
	e.Account.Close()
}

// Invalidate drops everything that was cached of a storage key. Vault calls it when another node
// has changed the entry.
func (e *Engine) Invalidate(key string) {
	e.Account.Invalidate(key)
	e.Publisher.Invalidate(key)
	e.Orders.Invalidate(key)
	e.Spending.Invalidate(key)
	e.Trust.Invalidate(key)
	invalidateIndexes(e, key)
}
