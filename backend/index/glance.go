// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package index

import "time"

// A Glance is the part of a certificate's row that figures are made of, in no memory of its own.
type Glance struct {
	Role, Chain string
	Origin      Origin
	Key         KeyID
	State       State
	NotBefore   time.Time
	serial      string // packed
}

// Serial returns the certificate's serial number, with dashes.
func (g *Glance) Serial() string { return unpackID(g.serial) }

// Glance calls look with each certificate, in no order, until it reports false. look must not call
// the index, and does not keep what it is given.
func (x *Index) Glance(now time.Time, look func(*Glance) bool) {
	at := now.Unix()
	var g Glance
	x.scan(func(p *packed) bool {
		w := x.words.all
		g = Glance{
			Role: w[p.role], Chain: w[p.chain], Origin: Origin(w[p.origin]), Key: p.publicKey,
			State: p.stateAt(at), NotBefore: moment(p.notBefore), serial: p.serial,
		}
		return look(&g)
	})
}

// Chains returns the chains of all certificates, each with the serial number, with dashes, of one
// that has it.
func (x *Index) Chains() map[string]string {
	seen, out := make(map[uint32]bool), make(map[string]string)
	x.scan(func(p *packed) bool {
		if !seen[p.chain] && x.words.all[p.state] == "" {
			seen[p.chain] = true
			out[x.words.all[p.chain]] = unpackID(p.serial)
		}
		return true
	})
	return out
}
