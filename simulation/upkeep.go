// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"slices"
	"time"
)

// upkeepTrials are what operators do to a mount that has been there for long, and what happens to
// its account without it. A third of the histories has one or two. They have a random source of
// their own, so that earlier seeds remain what they were but for these.
var upkeepTrials = slices.Concat(tidyTrials, portalTrials, adoptionTrials,
	holdTrials, byCATrials)

// withUpkeep returns a history with the upkeep of its seed.
func withUpkeep(h History) History { return withKinds(h, upkeepTrials, 8, 300, 0, 0, 0, 0, 1, 2) }

// An upkeep is what the oracle remembers of it.
type upkeep struct {
	tidies       bool // the mount was tidied, or is to be
	tidiesItself bool // at intervals

	// What tidying has erased: certificates by serial number, with dashes, and orders.
	certs  map[string]*storedCert
	orders []*storedOrder

	held bool // what is started is held

	portal    portal
	adoptions map[string]*adoption // by serial number, with dashes
	syncs     bool                 // the config had a sync_interval once
	interval  time.Duration        // the config's sync_interval; 0 for none
}

// hasErased reports whether tidying has erased the record of an order, by CERTInext's number.
func (u *upkeep) hasErased(number string) bool {
	return slices.ContainsFunc(u.orders, func(o *storedOrder) bool { return o.CAOrderID == number })
}

// everyOrder returns all orders of the mount that are stored, and those that were until tidying has
// erased their records.
func everyOrder(w *world) []*storedOrder { return append(w.storedOrders(), w.upkeep.orders...) }
