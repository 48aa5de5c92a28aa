// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package terms knows how long what was bought lasts, which certificates have room in it,
// and when a CA renews one by itself. It decides and does nothing: times come in, and steps and
// times come out. An [Agenda] keeps what is to be done until its time has come.
package terms

import "time"

// Terms are what a customer and the CA have agreed on.
type Terms struct {
	// Begins is when the subscription starts; it lasts for Years.
	Begins time.Time
	Years  int
	// AutoRenew has the CA renew certificates by itself, RenewBefore their end.
	AutoRenew   bool
	RenewBefore time.Duration
}

// Ends is the first moment after the subscription.
func (t Terms) Ends() time.Time { return t.Begins.AddDate(t.Years, 0, 0) }

// IsOver reports whether the subscription has ended.
func (t Terms) IsOver(now time.Time) bool { return !now.Before(t.Ends()) }

// Life is how long a certificate lives that begins then, where the CA's own have the given life:
// never beyond the end of the subscription.
func (t Terms) Life(begins time.Time, life time.Duration) time.Duration {
	return min(life, t.Ends().Sub(begins))
}

// A Policy is what a CA does of itself where a subscription asks for automatic renewal.
type Policy int

const (
	// UntilEnd issues another certificate within the subscription, and none after its end.
	UntilEnd Policy = iota
	// BeyondEnd does so, and places a new order before the subscription ends.
	BeyondEnd
	// ByOrder places a new order for each certificate that ends.
	ByOrder
	// Never renews nothing.
	Never
)

// A Step is what a CA does next of itself.
type Step int

const (
	// Nothing is done.
	Nothing Step = iota
	// Reissue issues another certificate of the same order.
	Reissue
	// Reorder places a new order like this one.
	Reorder
)

// shortest is the life below which a certificate is not renewed by the CA. Those of tests that live
// for seconds would be renewed a million times in a year.
const shortest = 24 * time.Hour

// Next decides what becomes of the newest certificate of a subscription, and when.
func (t Terms) Next(policy Policy, begins, ends time.Time) (Step, time.Time) {
	life := ends.Sub(begins)
	if !t.AutoRenew || policy == Never || life < shortest {
		return Nothing, time.Time{}
	}
	// One of 30 days that is renewed 30 days before its end would be renewed at once, and for ever.
	at := ends.Add(-min(t.RenewBefore, life/2))
	switch {
	case policy == ByOrder:
		return Reorder, at
	case ends.Before(t.Ends()):
		return Reissue, at
	case policy == BeyondEnd:
		return Reorder, at
	default:
		return Nothing, time.Time{}
	}
}
