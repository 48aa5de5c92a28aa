// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package preview

// An Answer is how a request for a certificate is answered.
type Answer string

// The answers.
const (
	// Join: an order that the same request has placed goes on, or its certificate waits to be
	// fetched.
	Join Answer = "join"
	// Reuse: a certificate that was handed over before is handed over again.
	Reuse Answer = "reuse"
	// Reissue: CERTInext is asked for another certificate within an order that is paid for.
	Reissue Answer = "reissue"
	// Order: a new order is placed, or waits for its approval.
	Order Answer = "order"
	// Draft: CERTInext keeps an order that costs nothing until it is promoted.
	Draft Answer = "draft"
	// Refuse: the request is refused.
	Refuse Answer = "refuse"
)

// Begins reports whether the answer has CERTInext do something that it would not do otherwise, so
// that domains and CAA records matter.
func (a Answer) Begins() bool { return a == Reissue || a == Order || a == Draft }

// Buys reports whether the answer counts to budgets. A draft does until CERTInext has it as one.
func (a Answer) Buys() bool { return a == Order || a == Draft }

// Settled returns the answer to a request that would have the given one, and of which some checks
// have failed.
func (a Answer) Settled(failed bool) Answer {
	if failed {
		return Refuse
	}
	return a
}
