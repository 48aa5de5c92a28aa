// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package spending keeps the budgets of a mount: how many orders may be placed, how many may be
// open, and what they may cost, in a day, a month or a year, together or for each role or
// requester.
//
// It promises that no order is placed that a budget does not admit, however many requests come at
// once, whatever crashes, and whichever node comes next: an order is reserved in the counters,
// which are stored, before its intent is (ADR 0036). What becomes of a reservation is not told to
// this package. It asks the journal whenever it looks at a counter, so that no path by which an
// order ends can be forgotten: an order that CERTInext certainly never took is given back, and
// whatever else becomes of it stays counted.
//
// [Budget.admits] and what it calls decide, and are pure. A [Keeper] locks, reads and stores. It
// asks no CA, waits for nothing but storage, and reads no more than the counters of one order and
// the orders that they hold reservations of. While there are no budgets, it touches no storage.
//
// The package knows orders by their ids and products by their codes. It knows neither roles nor
// certificates nor CERTInext, nor how an order is placed: it asks for what it has to know through
// [Books].
package spending

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/keyed"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/notices"
	"github.com/hashicorp/vault/sdk/logical"
)

// Books are what the budgets have to know of the rest of the engine.
type Books interface {
	// Time returns the time by which periods begin and end.
	Time() time.Time
	// Fate returns what has become of a purchase that was reserved.
	Fate(ctx context.Context, s logical.Storage, r Reserved) (Fate, error)
	// Price returns what a purchase costs. With ask, it may look into the catalog; without, a price
	// that is not at hand is not known. An unknown price is no error.
	Price(ctx context.Context, s logical.Storage, p Purchase, ask bool) (Price, error)
}

// A Fate is what has become of a purchase.
type Fate int

// The fates of a purchase.
const (
	// FateOpen is that of an order that CERTInext may have, or has, and has not issued.
	FateOpen Fate = iota
	// FateTaken is that of an order that CERTInext has issued, or that has ended after CERTInext
	// had taken it, or may have.
	FateTaken
	// FateFree is that of an order that CERTInext certainly never took, and that of a draft.
	FateFree
	// FateGone is that of an order that the journal does not have.
	FateGone
)

// A Purchase is an order that is about to be placed.
type Purchase struct {
	OrderID     string
	Key         string // random, and of this purchase alone: a promoted draft has another one
	Role        string
	Requester   string
	ProductCode string
	Years       int    // of the subscription
	Group       string // the billing group; empty for the account's default
}

// A Reserved is a purchase that was reserved before.
type Reserved struct {
	Role, OrderID, Key string // see [Purchase]
	// Held is set when it is asked about because another purchase of the same order is about to be
	// reserved, so that nobody is about to store the earlier one.
	Held bool
}

// A Keeper keeps the budgets of a mount and counts what is ordered under them. Its methods may be
// called concurrently.
type Keeper struct {
	*host.Host
	books Books
	// Notices are told when a budget is spent; nobody is when nil.
	Notices *notices.Teller

	budgets budgets
	writes  keyed.Mutex // of budgets, by their names
	locks   keyed.Mutex // of counters, by their storage keys

	process atomic.Pointer[process]
	tending atomic.Int64 // where the next background pass goes on
	idle    idleness
}

// New returns a keeper. It touches neither storage nor network.
func New(h *host.Host, books Books) *Keeper { return &Keeper{Host: h, books: books} }
