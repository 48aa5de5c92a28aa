// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A FaultKind is one way in which the network or the service hurts.
type FaultKind string

// The kinds of fault. Those marked "before" leave the state as it was, those
// marked "after" change it first.
const (
	// FaultLatency waits Delay, then processes the call; a caller that hangs
	// up meanwhile was never there (before).
	FaultLatency FaultKind = "latency"
	// FaultSlowReply processes the call, then waits Delay before it answers:
	// a caller that times out has bought an order (after).
	FaultSlowReply FaultKind = "slow-reply"
	// FaultDropped closes the connection without processing the call (before).
	FaultDropped FaultKind = "dropped"
	// FaultLostReply processes the call and closes the connection (after).
	FaultLostReply FaultKind = "lost-reply"
	// FaultRateLimit answers 429 with Retry-After (before).
	FaultRateLimit FaultKind = "rate-limit"
	// FaultServerError answers Status, 503 by default, as a problem (before).
	FaultServerError FaultKind = "server-error"
	// FaultServerErrorAfter does the same once the call was processed (after).
	FaultServerErrorAfter FaultKind = "server-error-after"
	// FaultMetaError answers a call of version 1 with HTTP 200 and EMS-939, "an
	// unknown error" (before). Calls of version 2 pass it by.
	FaultMetaError FaultKind = "meta-error"
	// FaultMetaErrorAfter does the same once the call was processed (after).
	FaultMetaErrorAfter FaultKind = "meta-error-after"
	// FaultHTML answers Status, 502 by default, with a gateway's HTML page
	// (before).
	FaultHTML FaultKind = "html"
	// FaultSpring answers Status, 500 by default, in the shape of the
	// framework below the API (before).
	FaultSpring FaultKind = "spring"
	// FaultTruncated sends half of the body and closes the connection (after).
	FaultTruncated FaultKind = "truncated"
	// FaultMalformedJSON sends a body that stops being JSON (after).
	FaultMalformedJSON FaultKind = "malformed-json"
	// FaultOversized puts Size bytes of white space before the body, which
	// stays valid JSON (after).
	FaultOversized FaultKind = "oversized"
	// FaultTokenDeath revokes all tokens and then takes the call, so that it
	// is answered 401 (before).
	FaultTokenDeath FaultKind = "token-death"
	// FaultRootFirst serves the chain of a download root first (after). Version 1
	// has a member for each certificate, and no first.
	FaultRootFirst FaultKind = "root-first"
	// FaultWrongKey serves a certificate for a key that no CSR had; the order's own certificate is
	// not changed (after).
	FaultWrongKey FaultKind = "wrong-key"
	// FaultMiddleman is an answer of a host in between, such as a gateway, a filter or a cache:
	// Status, 403 by default and any from 200 on, with ContentType and Body (before).
	FaultMiddleman FaultKind = "middleman"
	// FaultMiddlemanAfter replaces CERTInext's own answer by such a one: the
	// call was processed, and its caller hears something else (after).
	FaultMiddlemanAfter FaultKind = "middleman-after"
	// FaultWrongStatus answers tracking with OrderStatus, "expired" by default,
	// whatever the order's status is, and without the order's number unless
	// Named is set (after). Version 1 has no number there: its answers lose or
	// keep the transaction id. An answer that it would leave as it is passes it by and does not
	// count: one that already says so, with Named, and a refusal.
	FaultWrongStatus FaultKind = "wrong-status"
	// FaultOtherOrder puts another order's number in the place of the one that
	// was asked for, and OrderStatus, if that is set, in place of the status
	// (after). In version 1 the transaction id is another call's as well.
	FaultOtherOrder FaultKind = "other-order"
	// FaultRefusal is a refusal by the service itself, with Code and Text: Status, 422 by default,
	// as a problem in version 2, HTTP 200 and an envelope in version 1 (before).
	FaultRefusal FaultKind = "refusal"
	// FaultRefusalAfter does the same once the call was processed (after): what was refused has
	// happened.
	FaultRefusalAfter FaultKind = "refusal-after"
	// FaultReissueRevokes has a reissue revoke all certificates that the order had before, as
	// key-compromise, whatever the customer asked for (after). A fault of eMudhra's revoked 311 so
	// (Mozilla's bug 1941009). Their keys are not certified again.
	FaultReissueRevokes FaultKind = "reissue-revokes"
)

var faultKinds = []FaultKind{
	FaultLatency, FaultSlowReply, FaultDropped, FaultLostReply, FaultRateLimit, FaultServerError,
	FaultServerErrorAfter, FaultMetaError, FaultMetaErrorAfter, FaultHTML, FaultSpring,
	FaultTruncated, FaultMalformedJSON, FaultOversized, FaultTokenDeath, FaultRootFirst,
	FaultWrongKey, FaultMiddleman, FaultMiddlemanAfter, FaultWrongStatus, FaultOtherOrder,
	FaultRefusal, FaultRefusalAfter, FaultReissueRevokes,
}

// A Fault is something that goes wrong with API calls until it is spent or cleared. Several faults
// may strike one call. A field that the kind has no use for must be zero.
type Fault struct {
	// Operation is the operation it strikes (see the Op constants), in either
	// version of the API, "" for any.
	Operation string
	// Kind is what happens.
	Kind FaultKind
	// Times is how many calls it strikes; zero means until cleared.
	Times int
	// Skip is how many matching calls pass before it begins.
	Skip int
	// Probability is the chance that it strikes a matching call; zero means
	// always.
	Probability float64
	// Delay is the wait of FaultLatency and FaultSlowReply, which need one.
	Delay time.Duration
	// Status overrides the HTTP status of kinds that answer an error. A refusal by version 1 is
	// HTTP 200 whatever it says.
	Status int
	// RetryAfter is the hint of FaultRateLimit, in whole seconds; zero means
	// no header. RetryAfterDate writes it as an HTTP date, and needs one.
	RetryAfter     time.Duration
	RetryAfterDate bool
	// Size is the padding of FaultOversized in bytes, 256 MiB at most; zero means 16 MiB.
	Size int
	// ContentType and Body are what FaultMiddleman and FaultMiddlemanAfter
	// answer; either may be empty.
	ContentType, Body string
	// OrderStatus is what FaultWrongStatus and FaultOtherOrder claim: one of version 2's statuses,
	// such as "pending-dcv".
	OrderStatus string
	// Named lets FaultWrongStatus name the order that was asked for.
	Named bool
	// Code and Text are what FaultRefusal and FaultRefusalAfter refuse with, such as EMS-1162 and
	// "Invalid Product Code.". One of them may be empty: some refusals were seen without a code.
	Code, Text string
}

// wireFault is a Fault as the administration paths spell it.
type wireFault struct {
	Operation      string    `json:"operation,omitempty"`
	Kind           FaultKind `json:"kind"`
	Times          int       `json:"times,omitempty"`
	Skip           int       `json:"skip,omitempty"`
	Probability    float64   `json:"probability,omitempty"`
	Delay          duration  `json:"delay,omitempty"`
	Status         int       `json:"status,omitempty"`
	RetryAfter     duration  `json:"retryAfter,omitempty"`
	RetryAfterDate bool      `json:"retryAfterDate,omitempty"`
	Size           int       `json:"size,omitempty"`
	ContentType    string    `json:"contentType,omitempty"`
	Body           string    `json:"body,omitempty"`
	OrderStatus    string    `json:"orderStatus,omitempty"`
	Named          bool      `json:"named,omitempty"`
	Code           string    `json:"code,omitempty"`
	Text           string    `json:"text,omitempty"`
}

// MarshalJSON writes durations as strings such as "1m30s".
func (f Fault) MarshalJSON() ([]byte, error) {
	return json.Marshal(wireFault{
		f.Operation, f.Kind, f.Times, f.Skip, f.Probability, duration(f.Delay), f.Status,
		duration(f.RetryAfter), f.RetryAfterDate, f.Size, f.ContentType, f.Body, f.OrderStatus,
		f.Named, f.Code, f.Text,
	})
}

// validate refuses a fault that could never strike.
func (f Fault) validate() error {
	if !slices.Contains(faultKinds, f.Kind) {
		return fmt.Errorf("unknown fault kind %q: it is one of %s", f.Kind,
			strings.Join(FaultKinds(), ", "))
	}
	known := func(r route) bool { return r.op == f.Operation && f.strikes(&r) }
	if f.Operation != "" && !slices.ContainsFunc(routes, known) {
		return fmt.Errorf("unknown operation %q, or none that %s can strike: it is one of %s",
			f.Operation, f.Kind, strings.Join(Operations(), ", "))
	}
	if err := f.validateNumbers(); err != nil {
		return err
	}
	if err := f.validateMembers(f.members()); err != nil {
		return err
	}
	if f.Status != 0 && (f.Status < f.leastStatus() || f.Status > 599) {
		return fmt.Errorf("fault %q: status %d is none that it can answer: it must be from %d to "+
			"599", f.Kind, f.Status, f.leastStatus())
	}
	if err := f.validateRefusal(); err != nil {
		return err
	}
	return f.validateLie()
}

// validateNumbers names the number that is out of its range.
func (f Fault) validateNumbers() error {
	if !(f.Probability >= 0 && f.Probability <= 1) {
		return fmt.Errorf("fault %q: probability is to be from 0 to 1, and 0 is always", f.Kind)
	}
	for _, number := range []struct {
		name  string
		value int64
	}{
		{"times", int64(f.Times)},
		{"skip", int64(f.Skip)},
		{"size", int64(f.Size)},
		{"delay", int64(f.Delay)},
		{"retryAfter", int64(f.RetryAfter)},
	} {
		if number.value < 0 {
			return fmt.Errorf("fault %q: %s is below 0", f.Kind, number.name)
		}
	}
	if f.Size > mostPadding {
		return fmt.Errorf("fault %q: size must be at most %d bytes", f.Kind, mostPadding)
	}
	return nil
}

// mostPadding is the most white space that FaultOversized puts before a body, in bytes.
const mostPadding = 256 << 20

// strikes reports whether f can strike calls of rt.
func (f Fault) strikes(rt *route) bool {
	switch f.Kind {
	case FaultMetaError, FaultMetaErrorAfter:
		return rt.v1()
	case FaultWrongStatus:
		return rt.op == OpTrack
	case FaultReissueRevokes:
		return rt.op == OpReissue
	case FaultWrongKey:
		return rt.op == OpCertificate
	case FaultRootFirst:
		return rt.op == OpCertificate && !rt.v1()
	}
	return true
}

// activeFault is a Fault with what is left of it.
type activeFault struct {
	Fault
	skip, left int
}

// Inject adds a fault. It panics if the fault is of no known kind or
// operation, since a test that injects nothing proves nothing.
func (s *Server) Inject(f Fault) {
	if err := f.validate(); err != nil {
		panic("certinexttest: " + err.Error())
	}
	s.once.Do(s.setUp)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &activeFault{Fault: f, skip: f.Skip, left: f.Times})
}

// ClearFaults removes all faults.
func (s *Server) ClearFaults() {
	s.once.Do(s.setUp)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// activeFaults lists the faults that can still strike, with the calls they
// have left in Times.
func (s *Server) activeFaults() []Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []Fault{}
	for _, a := range s.faults {
		if a.isSpent() {
			continue
		}
		f := a.Fault
		f.Skip = a.skip
		if f.Times > 0 {
			f.Times = a.left
		}
		list = append(list, f)
	}
	return list
}

// drawFaults takes what strikes a call of rt, and spends it.
func (s *Server) drawFaults(rt *route) drawnFaults {
	s.mu.Lock()
	defer s.mu.Unlock()
	var drawn drawnFaults
	for _, a := range s.faults {
		if a.draw(rt, s.chance) {
			drawn = append(drawn, a)
		}
	}
	s.faults = slices.DeleteFunc(s.faults, func(a *activeFault) bool {
		return a.isSpent() && a.Kind != FaultWrongStatus // that one may be given back, see tellLie
	})
	return drawn
}

// isSpent tells whether a has struck as often as it was to.
func (a *activeFault) isSpent() bool { return a.Times > 0 && a.left <= 0 }

func (a *activeFault) draw(rt *route, chance func() float64) bool {
	switch {
	case a.isSpent(), a.Operation != "" && a.Operation != rt.op, !a.strikes(rt):
		return false
	case a.skip > 0:
		a.skip--
		return false
	case a.Probability > 0 && chance() >= a.Probability:
		return false
	}
	a.left--
	return true
}

// kinds are the names of the faults.
func (d drawnFaults) kinds() []string {
	var all []string
	for _, f := range d {
		all = append(all, string(f.Kind))
	}
	return all
}

// FaultKinds returns the names of all fault kinds.
func FaultKinds() []string {
	names := make([]string, len(faultKinds))
	for i, k := range faultKinds {
		names[i] = string(k)
	}
	return names
}
