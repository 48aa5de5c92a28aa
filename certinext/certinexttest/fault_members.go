// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/exact"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/sure"
)

// everyFaultHas are the members that each kind of fault goes by.
var everyFaultHas = []string{"operation", "kind", "times", "skip", "probability"}

// faultHas are the members that a kind goes by beside those. A kind that is not here has no others.
var faultHas = map[FaultKind][]string{
	FaultLatency:          {"delay"},
	FaultSlowReply:        {"delay"},
	FaultRateLimit:        {"status", "retryAfter", "retryAfterDate"},
	FaultServerError:      {"status"},
	FaultServerErrorAfter: {"status"},
	FaultHTML:             {"status"},
	FaultSpring:           {"status"},
	FaultOversized:        {"size"},
	FaultMiddleman:        {"status", "contentType", "body"},
	FaultMiddlemanAfter:   {"status", "contentType", "body"},
	FaultWrongStatus:      {"orderStatus", "named"},
	FaultOtherOrder:       {"orderStatus"},
	FaultRefusal:          {"status", "code", "text"},
	FaultRefusalAfter:     {"status", "code", "text"},
}

// injectFault takes a fault as a client writes it. A member that the kind has no use for is refused
// even where it is zero.
func (s administration) injectFault(r *http.Request) (any, error) {
	var wire wireFault
	text, err := adminText(r, &wire)
	if err != nil {
		return nil, err
	}
	var given map[string]json.RawMessage
	if err := json.Unmarshal(text, &given); err != nil {
		return nil, err
	}
	f := wire.fault()
	if err := f.validate(); err != nil {
		return nil, err
	}
	if err := f.validateMembers(given); err != nil {
		return nil, err
	}
	s.Inject(f)
	return nil, nil
}

// members are those of f that are not zero, by their names.
func (f Fault) members() map[string]json.RawMessage {
	text := sure.Must(json.Marshal(f))
	members := make(map[string]json.RawMessage)
	if err := json.Unmarshal(text, &members); err != nil {
		panic("certinexttest: internal error: " + err.Error())
	}
	return members
}

// validateMembers refuses a member that the kind has no use for, and a wait of no time: a test that
// counts on them would prove nothing.
func (f Fault) validateMembers(given map[string]json.RawMessage) error {
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if slices.Contains(everyFaultHas, name) || slices.Contains(faultHas[f.Kind], name) {
			continue
		}
		var users []string
		for _, kind := range faultKinds {
			if slices.Contains(faultHas[kind], name) {
				users = append(users, string(kind))
			}
		}
		return fmt.Errorf("fault %q has no use for %s, which is for %s: leave it out", f.Kind, name,
			strings.Join(users, ", "))
	}
	switch {
	case slices.Contains(faultHas[f.Kind], "delay") && f.Delay == 0:
		return fmt.Errorf("fault %q needs a delay, such as 1m30s", f.Kind)
	case f.RetryAfterDate && f.RetryAfter == 0:
		return fmt.Errorf("fault %q needs a retryAfter, such as 30s, for retryAfterDate to write",
			f.Kind)
	case f.OrderStatus != "" && !slices.Contains(wireStatuses, f.OrderStatus):
		return fmt.Errorf("fault %q: orderStatus %.40q is none of CERTInext's, which are %s",
			f.Kind, f.OrderStatus, strings.Join(wireStatuses, ", "))
	}
	return nil
}

// fault is what w spells.
func (w wireFault) fault() Fault {
	return Fault{
		w.Operation, w.Kind, w.Times, w.Skip, w.Probability, time.Duration(w.Delay), w.Status,
		time.Duration(w.RetryAfter), w.RetryAfterDate, w.Size, w.ContentType, w.Body, w.OrderStatus,
		w.Named, w.Code, w.Text,
	}
}

// UnmarshalJSON reads what MarshalJSON writes.
func (f *Fault) UnmarshalJSON(b []byte) error {
	var w wireFault
	if err := exact.Unmarshal(b, &w); err != nil {
		return err
	}
	*f = w.fault()
	return nil
}
