// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package authority

// Clients are those that keep a root store of their own.
var Clients = []string{"mozilla", "chrome", "apple", "microsoft", "java"}

// A trust is what a client thinks of a root, by their names.
type trust struct{ client, root string }

// Trusted are the roots in the store of a client: all those of the public hierarchies that it has
// not dropped. The customer's own root is in no client's.
func (p *PKI) Trusted(client string) (roots []*Signer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.publicRoots() {
		if !p.dropped[trust{client, s.name}] {
			roots = append(roots, s)
		}
	}
	return roots
}

// Trust has a client drop a root, or take it again. It reports whether there is such a public root.
func (p *PKI) Trust(client, root string, trusted bool) (known bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.publicRoots() {
		if s.name == root {
			p.dropped[trust{client, root}] = !trusted
			return true
		}
	}
	return false
}

// publicRoots are those that clients may have.
func (p *PKI) publicRoots() (roots []*Signer) {
	for _, s := range p.Roots() {
		if s.of != p.Private {
			roots = append(roots, s)
		}
	}
	return roots
}
