// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package orders is the journal of a mount's orders, and drives them: it places them, finds them
// again, tracks them, downloads their certificates, reissues, re-keys, cancels and resolves them,
// and hands certificates over.
//
// It promises that one request buys at most one certificate, whatever crashes, hangs or answers
// wrongly on the way to CERTInext. An entry is stored before CERTInext hears of an order, and says
// what may have been sent; CERTInext's own records say what became of it (ADR 0002). Pure functions
// ([advance], [handoverTo]) decide what happens next, and a driver that holds the order does it.
// Where a role requires it, CERTInext does not hear of an order before another person has approved
// it (ADR 0037).
//
// Locks are taken in one order: an order is held first, then its certificate is locked. A caller
// does not wait for either while CERTInext is asked for another one, and every wait ends with its
// caller's context.
//
// The package knows nothing of paths and FieldData, and nothing of what the mount keeps beside its
// own orders.
package orders

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/ahead"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/index"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/keyed"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/notices"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/trust"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/validation"
	"github.com/hashicorp/vault/sdk/logical"
)

// A Journal keeps and drives the orders of a mount. Its methods may be called concurrently.
type Journal struct {
	*host.Host
	Account      *account.Account
	Publisher    *validation.Publisher
	Certificates *certificates.Keeper
	// Index is what is listed of the orders.
	Index *index.Index
	// CheckProduct returns an error when the catalog does not have the role's product as the role
	// orders it, or cannot be asked while that was never looked up. It is called before an order is
	// stored, and may ask CERTInext. When nil, every product is taken.
	CheckProduct func(ctx context.Context, s logical.Storage, role *issuing.Role) error
	// Spending is asked before an order is placed, and may refuse it. When nil, every order may be.
	Spending Spending
	// Trust knows which clients accept a certificate. When nil, nothing is said of that.
	Trust *trust.Keeper
	// Notices are told what a person has to know of an order; nobody is when nil.
	Notices *notices.Teller
	// KeepValidated has domains validated until a time by what a role says of that, ahead of the
	// next request for them. When nil, none is.
	KeepValidated func(
		ctx context.Context, s logical.Storage, role *issuing.Role, names []string, until time.Time,
	) error

	// MayReplace is asked before a certificate is replaced for a campaign, which may have been
	// paused since. When nil, every one may be.
	MayReplace func(ctx context.Context, s logical.Storage, campaign string) (bool, error)

	begun       time.Time    // when this process began, by the clock that nobody sets
	answers     atomic.Int64 // of this process that held a certificate; numbers them, too
	registry    registry
	laterOrders laterOrders
	replacing   ahead.Replacing // what is to be replaced before its time
	refused     refusedOrders
	rejected    rejectedOrders
	ends        endSightings
	report      *ordersReport
	leases      recentLeases
	names       keyed.Mutex   // by orderEntry.Names: one request at a time begins an order for them
	behind      chan struct{} // holds an element for each order that is driven behind its request
}

// New returns the journal of a mount. At most behind orders at a time are driven after their
// requests were answered. New registers the journal as the origin of certs, and touches neither
// storage nor network.
func New(
	h *host.Host,
	acct *account.Account,
	pub *validation.Publisher,
	certs *certificates.Keeper,
	behind int,
) *Journal {
	journal := &Journal{
		Host: h, Account: acct, Publisher: pub, Certificates: certs,
		begun: h.Steady(), report: newOrdersReport(),
		behind: make(chan struct{}, behind),
	}
	journal.registry.since = h.Steady()
	certs.Origin, certs.Succession = journal, succession(journal)
	journal.Index = index.New(h, "order", rows{journal})
	return journal
}
