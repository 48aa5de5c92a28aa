// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package orders is the journal of a mount's orders, and whatever drives them: it places them, finds them again, tracks them,
// downloads their certificates, reissues, re-keys, cancels and settles them, and hands certificates over.
//
// It promises that one request buys at most one certificate, whatever dies, hangs or lies in between. An entry is stored before
// CERTInext hears of an order, and says what may have been sent; CERTInext's own records say what became of it. What happens
// next is decided by pure functions ([advance], [handoverTo]) and done by a driver that holds the order.
//
// Locks come in one order: an order is held, then its certificate is locked. Neither is waited for while CERTInext is asked
// on behalf of somebody else, and every wait ends with its caller's context.
//
// The package knows nothing of paths and FieldData, and nothing of what the mount keeps beside its own orders.
package orders

import (
	"sync/atomic"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/validation"
)

// A Journal keeps and drives the orders of a mount. Its methods may be called concurrently.
type Journal struct {
	*host.Host
	Account      *account.Account
	Publisher    *validation.Publisher
	Certificates *certificates.Keeper

	begun       time.Time    // when this process began, by its own clock
	answers     atomic.Int64 // counts those that held a certificate
	registry    registry
	laterOrders laterOrders
	report      *ordersReport
	leases      recentLeases
	behind      chan struct{} // holds an element for each order that is worked on behind a request
}

// New returns the journal of a mount, which works on so many orders behind their requests at a time. It answers what certificates
// ask of their orders. It touches neither storage nor network.
func New(h *host.Host, acct *account.Account, pub *validation.Publisher, certs *certificates.Keeper, behind int) *Journal {
	journal := &Journal{
		Host: h, Account: acct, Publisher: pub, Certificates: certs,
		begun: h.Now(), report: newOrdersReport(), behind: make(chan struct{}, behind),
	}
	certs.Origin = journal
	return journal
}
