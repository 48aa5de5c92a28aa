// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"crypto/sha256"
	"net/http"
)

// A replay is the answer that was given under an idempotency key.
type replay struct {
	path    string
	product string // X-Product-Code
	body    [sha256.Size]byte
	reply   reply
	order   *order // the order it placed, if it placed one
}

// keepsReplays reports whether c's Idempotency-Key counts for anything. Version
// 1 knows no such header.
func (s *Server) keepsReplays(c *call) bool {
	return c.r.Method == http.MethodPost && c.route.op != OpToken && !c.route.unlocked &&
		!c.route.v1() &&
		c.r.Header.Get("Idempotency-Key") != "" && s.Idempotency.or(s.Dialect == Documented)
}

// replayOf returns the first answer to a request that was made before under
// the same key, and a conflict where the key comes with something else.
func (s *Server) replayOf(c *call) (*reply, *problem) {
	if !s.keepsReplays(c) {
		return nil, nil
	}
	old, ok := s.replays[c.r.Header.Get("Idempotency-Key")]
	if !ok {
		return nil, nil
	}
	if old.path != c.r.URL.Path || old.product != c.r.Header.Get("X-Product-Code") ||
		old.body != sha256.Sum256(c.body) {
		return nil, idempotencyConflict()
	}
	if old.order != nil {
		old.order.creates++
	}
	return &old.reply, nil
}

// rememberReply keeps a success for replays. A refusal changed nothing, so the
// same key may try again.
func (s *Server) rememberReply(c *call, rep reply) {
	if !s.keepsReplays(c) {
		return
	}
	r := replay{
		path: c.r.URL.Path, product: c.r.Header.Get("X-Product-Code"),
		body: sha256.Sum256(c.body), reply: rep,
	}
	if c.route.creates {
		r.order = s.book.newest
	}
	s.replays[c.r.Header.Get("Idempotency-Key")] = r
}
