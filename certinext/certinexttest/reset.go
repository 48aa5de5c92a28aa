// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import "net/http"

// Reset forgets all orders, domains, tokens, faults and calls, and sets the fields back to what
// they were at the first request. The certificate authority stays: its roots may be trusted,
// and what it has issued remains issued or revoked. The connections of calls that are being
// processed are closed, as if the server had been started anew.
func (s *Server) Reset() {
	s.once.Do(s.setUp)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.resets++
	s.settings().Restore(s.asStarted)
	s.unfit = s.unfitAtStart
	s.begin()
	s.placeForeignOrders(s.foreign)
	s.ResetRequests()
}

// arrive counts a call of an operation, and notes for it how often the server was reset so far.
func (s *Server) arrive(c *call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[c.route.op]++
	c.resets = s.resets
}

// lockFor takes the lock for a call, and hangs up on one that has arrived before a reset: nothing
// of before happens after.
func (s *Server) lockFor(c *call) {
	s.mu.Lock()
	if c.resets != s.resets {
		s.mu.Unlock()
		panic(http.ErrAbortHandler)
	}
}
