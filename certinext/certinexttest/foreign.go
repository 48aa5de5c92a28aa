// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"fmt"
	"slices"
)

// MaxForeignOrders is how many orders of another user a program should add: they are kept in
// memory, and take about a gigabyte.
const MaxForeignOrders = 1_000_000

// AddForeignOrders places n orders of another user of the account, which are
// cancelled at once. They carry no tags, and fill the orders report. They belong to the account:
// Reset places as many anew.
func (s *Server) AddForeignOrders(n int) {
	s.once.Do(s.setUp)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.foreign += n
	s.placeForeignOrders(n)
}

func (s *Server) placeForeignOrders(n int) {
	now, product := s.now(), s.foreignProduct()
	for range n {
		o := &order{
			id: s.newOrderID(), requestID: s.newRequestID(), family: FamilySSL,
			product: product, variant: "dv", years: 1, createdAt: now, creates: 1,
			signings:  []*signing{{requestedAt: now}},
			cancelled: &ending{reason: "not needed", at: now},
		}
		o.domain = fmt.Sprintf("h%s.example.net", o.requestID)
		s.book.sequence = append(s.book.sequence, o)
		s.book.file(o)
	}
}

// foreignProduct is the first that is for public servers. What another user has bought need not be
// on offer any more.
func (s *Server) foreignProduct() Product {
	for _, p := range slices.Concat(s.catalog(), SandboxCatalog()) {
		if productTypes[p.Type].family == FamilySSL {
			return p
		}
	}
	return Product{}
}
