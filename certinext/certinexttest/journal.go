// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// journalSize is how many requests the server remembers.
const journalSize = 1000

// A Request is what the server remembers of a request to the API: not its body
// and no header, which hold secrets.
type Request struct {
	At        time.Time `json:"at"`
	Method    string    `json:"method"`
	Path      string    `json:"path"`
	Operation string    `json:"operation,omitempty"` // "" for a path that there is not
	Status    int       `json:"status,omitempty"`    // 0 if no answer was sent
	// Refusal is why it was refused, in the server's own words.
	Refusal string `json:"refusal,omitempty"`
	// Rule names the rule by which it was refused, such as public-suffix, and Source says where
	// that rule is known from.
	Rule   string   `json:"rule,omitempty"`
	Source string   `json:"source,omitempty"`
	Faults []string `json:"faults,omitempty"` // those that struck it
}

// A journal is the last requests. It has a lock of its own: requests are noted
// while others are served.
type journal struct {
	mu   sync.Mutex
	last []*Request
}

// longestReason bounds in bytes what is remembered of a refusal, which may quote the request.
const longestReason = 2000

type requestKey struct{}

// begin notes a request, and returns it with a context in which it is known.
func (j *journal) begin(r *http.Request, now time.Time) *http.Request {
	noted := &Request{At: now.UTC(), Method: cutTo(r.Method, 40), Path: cutTo(r.URL.Path, 500)}
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.last) >= 2*journalSize {
		j.last = slices.Clone(j.last[journalSize:])
	}
	j.last = append(j.last, noted)
	return r.WithContext(context.WithValue(r.Context(), requestKey{}, noted))
}

// note changes what is remembered of a request.
func (j *journal) note(r *http.Request, change func(*Request)) {
	noted, known := r.Context().Value(requestKey{}).(*Request)
	if !known {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	change(noted)
}

// Requests returns the last requests to the API, at most 1,000, the newest
// last.
func (s *Server) Requests() []Request {
	s.journal.mu.Lock()
	defer s.journal.mu.Unlock()
	out := []Request{}
	for _, r := range s.journal.last[max(0, len(s.journal.last)-journalSize):] {
		known := *r
		known.Faults = slices.Clone(r.Faults)
		out = append(out, known)
	}
	return out
}

// refuse notes why, or with nothing that it was not refused.
func (r *Request) refuse(why string, by reason) {
	r.Refusal, r.Rule, r.Source = why, by.Name, by.Source
}

// ResetRequests forgets the requests so far.
func (s *Server) ResetRequests() {
	s.journal.mu.Lock()
	defer s.journal.mu.Unlock()
	s.journal.last = nil
}

// noteRefusal remembers why a request was refused.
func (s *Server) noteRefusal(r *http.Request, p *problem, inV1 bool) {
	why := strings.TrimSpace(cmp.Or(p.oauth, p.ems, p.slug) + " " + p.detail)
	for _, field := range p.errors {
		why += fmt.Sprintf("; %s %s", field.Field, field.Message)
	}
	why = cutTo(why, longestReason)
	broken := p.why(inV1)
	s.journal.note(r, func(noted *Request) {
		noted.refuse(why, broken)
	})
}
