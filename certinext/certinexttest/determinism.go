// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"math/rand/v2"
	"net/http"
	"time"
)

// chance draws a number from 0 to 1. The caller holds the lock.
func (s *Server) chance() float64 {
	if s.Rand != nil {
		return s.Rand.Float64()
	}
	return rand.Float64()
}

// shuffle is rand.Shuffle with the server's generator. The caller holds the
// lock.
func (s *Server) shuffle(n int, swap func(i, j int)) {
	if s.Rand != nil {
		s.Rand.Shuffle(n, swap)
		return
	}
	rand.Shuffle(n, swap)
}

// A datedWriter stamps an answer with the server's own clock in the moment in
// which it goes out, as RFC 9110, section 6.6.1, has it.
type datedWriter struct {
	http.ResponseWriter
	now   func() time.Time
	began bool
	sent  func(status int) // hears of the answer's status; may be nil
}

// WriteHeader stamps and sends the header.
func (w *datedWriter) WriteHeader(status int) {
	if !w.began {
		w.began = true
		w.Header().Set("Date", w.now().UTC().Format(http.TimeFormat))
		if w.sent != nil {
			w.sent(status)
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write sends the header first if it was not sent.
func (w *datedWriter) Write(b []byte) (int, error) {
	if !w.began {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(b)
}

// Flush sends what is buffered.
func (w *datedWriter) Flush() {
	if f, ok := w.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
}

// Unwrap lets an http.ResponseController see the writer below.
func (w *datedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
