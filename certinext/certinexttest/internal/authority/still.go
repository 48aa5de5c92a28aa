// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package authority

import "time"

// Heed has the authority go by another clock, as [New] takes it, before it serves.
func (p *PKI) Heed(clock func() (time.Time, time.Duration)) { p.clock = clock }

// Still runs f while nothing is signed or revoked, for who writes all of the authority down.
func (p *PKI) Still(f func()) {
	for _, a := range p.All() {
		a.mu.Lock()
		defer a.mu.Unlock()
	}
	f()
}
