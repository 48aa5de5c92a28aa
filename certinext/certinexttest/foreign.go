// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import "fmt"

// AddForeignOrders places n orders of another user of the account, which are
// cancelled at once. They carry no tags, and fill the orders report.
func (s *Server) AddForeignOrders(n int) {
	s.once.Do(s.setUp)
	s.mu.Lock()
	defer s.mu.Unlock()
	now, product := s.now(), s.catalog()[0]
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
