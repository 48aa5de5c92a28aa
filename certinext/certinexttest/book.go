// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"math/big"
	"strconv"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/sure"
)

// An orderBook holds all orders and drafts, in the order they were placed.
type orderBook struct {
	orders   map[string]*order // by order id
	requests map[string]*order // by request id, drafts included
	sequence []*order
	keys     map[[sha256.Size]byte]string // public key to the order that first used it
	newest   *order                       // order placed last by a client
	// compromised are the public keys whose certificate was revoked as key-compromise.
	compromised map[[sha256.Size]byte]bool
	next        int64
}

func newOrderBook() orderBook {
	// Numeric ids start anywhere, so that no test can know one beforehand.
	start := sure.Must(rand.Int(rand.Reader, big.NewInt(8_000_000_000)))
	return orderBook{
		orders:   make(map[string]*order),
		requests: make(map[string]*order),
		keys:     make(map[[sha256.Size]byte]string),

		compromised: make(map[[sha256.Size]byte]bool),
		next:        1_000_000_000 + start.Int64(),
	}
}

// newOrderID mints an id in the dialect's form: ten digits with an optional
// suffix as seen live, or ord_ and hexadecimal as documented.
func (s *Server) newOrderID() string {
	if s.Dialect == Documented {
		return "ord_" + hex.EncodeToString(sure.RandomBytes(8))
	}
	s.book.next++
	return strconv.FormatInt(s.book.next, 10) + s.OrderSuffix
}

// newRequestID mints a request id, which never equals an order id.
func (s *Server) newRequestID() string {
	if s.Dialect == Documented {
		return "req_" + hex.EncodeToString(sure.RandomBytes(8))
	}
	s.book.next++
	return strconv.FormatInt(s.book.next, 10)
}

// file makes o findable by the ids it has; a draft has no order id yet.
func (b *orderBook) file(o *order) {
	b.requests[o.requestID] = o
	if o.id != "" {
		b.orders[o.id] = o
	}
}

// find looks an order up by id within the family of the call. A request id is
// not an order key, and an order of another family is not there.
func (s *Server) find(c *call) (*order, *problem) {
	o := s.book.orders[c.param("id")]
	if o == nil || o.family != c.route.family {
		return nil, notFound("Order not found")
	}
	s.settle(o, c.now)
	return o, nil
}

// checkNewKey refuses a public key that another order had before it, as
// version 1 was seen to do, and version 2 with [Server.NewKeysOnly].
func (s *Server) checkNewKey(c *call, csr *submittedCSR, requestID string) *problem {
	first, seen := s.book.keys[csr.fingerprint()]
	switch {
	case !seen || s.book.areOneOrder(first, requestID):
		return nil
	case c.route.v1():
		return v1Failure("EMS-1099", "Duplicate CSR.")
	case s.NewKeysOnly:
		return rule("EMS-1099", "Duplicate CSR.")
	}
	return nil
}

// noteKey records whose public key a CSR carries. The v1 API refuses a key it
// has seen; nothing is known of v2, so it is only remembered.
func (b *orderBook) noteKey(o *order, csr *submittedCSR) {
	fp := csr.fingerprint()
	first, seen := b.keys[fp]
	switch {
	case !seen:
		b.keys[fp] = o.requestID
	case !b.areOneOrder(first, o.requestID):
		o.reusedKey = true
	}
}

// areOneOrder reports whether both request ids are those of one order, which has another one with
// each of its reissues.
func (b *orderBook) areOneOrder(one, other string) bool {
	return one == other || (b.requests[one] != nil && b.requests[one] == b.requests[other])
}
