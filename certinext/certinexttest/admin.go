// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
)

// adminPrefix is the path below which a test author steers the server. It is
// no part of the API, needs no credentials, and is meant for loopback only.
const adminPrefix = "/_sandbox/"

// AdminHelp lists the administration paths, for a command's help text.
const AdminHelp = `  GET    /_sandbox/roots.pem                   the roots to trust, as PEM
  GET    /_sandbox/health                      that the server is up, and what it is
  GET    /_sandbox/openapi.json                all of this and both APIs, as an OpenAPI document
  GET    /_sandbox/operations                  the names of operations, for faults and calls
  GET    /_sandbox/orders                      all orders, as the CA sees them
  GET    /_sandbox/orders/{id}                 one order
  POST   /_sandbox/orders/{id}/approve         the approver consents
  POST   /_sandbox/orders/{id}/reject          {"remark":"..."}: the approver refuses
  POST   /_sandbox/orders/{id}/documents       {"count":1}: a signer's documents are handed in
  GET    /_sandbox/ledger                      all movements of money, as the CA's books have them
  POST   /_sandbox/ledger/top-up               {"group":"","amount":"100.00"}: pay into the purse of
                                               a group, or the account's own
  GET    /_sandbox/domains                     all domains of the account, as the CA sees them
  POST   /_sandbox/domains/{name}/verify       a domain is validated, whatever DNS says
  POST   /_sandbox/drafts/{id}/promote         a draft, by its request id, is ordered in the portal
  POST   /_sandbox/organizations/{n}/vet       an organization's vetting is complete
  POST   /_sandbox/tokens/kill                 all tokens die
  GET    /_sandbox/requests                    the last requests, and why each refusal was one
  DELETE /_sandbox/requests                    forget them
  GET    /_sandbox/calls                       number of calls by operation
  DELETE /_sandbox/calls                       set them to zero
  GET    /_sandbox/faults                      faults that can still strike
  POST   /_sandbox/faults                      {"operation":"create-ssl",` +
	`"kind":"lost-reply","times":1}
                                               {"kind":"middleman-after","status":403,` +
	`"contentType":"text/html","body":"..."}
                                               {"kind":"wrong-status",` +
	`"orderStatus":"cancelled","times":1}
                                               {"operation":"create-ssl","kind":"refusal",` +
	`"status":422,
                                                "code":"EMS-1162","text":"Invalid Product Code."}
  DELETE /_sandbox/faults                      remove all faults
  POST   /_sandbox/reset                       forget orders, domains, tokens, faults and calls; the
                                               settings are those of the start, the CA stays
  GET    /_sandbox/knobs                       the settings that can be changed
  POST   /_sandbox/knobs                       {"issueDelay":"5s","pemLag":"2s"}: change some
                                               {"misissue":"extra-name"}: err from now on
`

// serve answers the administration paths with the standard mux.
func (s administration) serve(w http.ResponseWriter, r *http.Request) {
	mux := http.NewServeMux()
	for _, rt := range s.routes() {
		mux.Handle(rt.pattern, rt.handler)
	}
	mux.ServeHTTP(w, r)
}

// An adminRoute is one of the administration paths, as the standard mux writes it.
type adminRoute struct {
	pattern string
	handler http.Handler
}

// routes are the administration paths. What each takes and answers stands in adminPaths.
func (s administration) routes() []adminRoute {
	var all []adminRoute
	handle := func(pattern string, f func(r *http.Request) (any, error)) {
		handler := func(w http.ResponseWriter, r *http.Request) { writeAdmin(w, r, f) }
		all = append(all, adminRoute{pattern, http.HandlerFunc(handler)})
	}
	file := func(pattern, mediaType string, content func() []byte) {
		handler := func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", mediaType)
			_, _ = w.Write(content())
		}
		all = append(all, adminRoute{pattern, http.HandlerFunc(handler)})
	}
	handle("GET /_sandbox/health", func(*http.Request) (any, error) {
		return wireHealth{"ok", s.Dialect.String(), "CERTInext sandbox, NOT A REAL CA"}, nil
	})
	handle("GET /_sandbox/operations", func(*http.Request) (any, error) {
		return Operations(), nil
	})
	handle("GET /_sandbox/orders", func(*http.Request) (any, error) { return s.Orders(), nil })
	handle("GET /_sandbox/orders/{id}", s.showOrder)
	handle("POST /_sandbox/orders/{id}/approve", func(r *http.Request) (any, error) {
		return nil, s.Approve(r.PathValue("id"))
	})
	handle("POST /_sandbox/orders/{id}/reject", s.rejectOrder)
	handle("POST /_sandbox/orders/{id}/documents", s.documents)
	handle("GET /_sandbox/ledger", func(*http.Request) (any, error) { return s.Ledger(), nil })
	handle("POST /_sandbox/ledger/top-up", s.topUp)
	handle("GET /_sandbox/domains", func(*http.Request) (any, error) { return s.Domains(), nil })
	handle(
		"POST /_sandbox/domains/{name}/verify",
		func(r *http.Request) (any, error) { s.VerifyDomain(r.PathValue("name")); return nil, nil },
	)
	handle("POST /_sandbox/drafts/{id}/promote", func(r *http.Request) (any, error) {
		return nil, s.Promote(r.PathValue("id"))
	})
	handle("POST /_sandbox/organizations/{n}/vet", func(r *http.Request) (any, error) {
		return nil, s.Vet(r.PathValue("n"))
	})
	handle(
		"POST /_sandbox/tokens/kill",
		func(*http.Request) (any, error) { s.KillTokens(); return nil, nil },
	)
	handle("GET /_sandbox/requests", func(*http.Request) (any, error) { return s.Requests(), nil })
	handle("DELETE /_sandbox/requests", func(*http.Request) (any, error) {
		s.ResetRequests()
		return nil, nil
	})
	handle("GET /_sandbox/calls", func(*http.Request) (any, error) { return s.Calls(), nil })
	handle(
		"DELETE /_sandbox/calls",
		func(*http.Request) (any, error) { s.ResetCalls(); return nil, nil },
	)
	handle("GET /_sandbox/faults", func(*http.Request) (any, error) {
		return s.activeFaults(), nil
	})
	handle("POST /_sandbox/faults", s.injectFault)
	handle(
		"DELETE /_sandbox/faults",
		func(*http.Request) (any, error) { s.ClearFaults(); return nil, nil },
	)
	handle(
		"POST /_sandbox/reset",
		func(*http.Request) (any, error) { s.Reset(); return nil, nil },
	)
	handle("GET /_sandbox/knobs", func(*http.Request) (any, error) { return s.readKnobs() })
	handle("POST /_sandbox/knobs", s.knobs)
	file("GET /_sandbox/roots.pem", typePEM, s.RootPEM)
	file("GET /_sandbox/openapi.json", typeJSON, func() []byte { return OpenAPI(s.Dialect) })
	return all
}

type wireHealth struct {
	Status  string `json:"status"`
	Dialect string `json:"dialect"`
	What    string `json:"what"`
}

type wireTopUp struct {
	Group  string `json:"group"`
	Amount Amount `json:"amount"`
}

type wireAdminReject struct {
	Remark string `json:"remark"`
}

type wireAdminDocuments struct {
	Count int `json:"count"`
}

// writeAdmin answers JSON, 204 for nothing, 404 for an unknown order and 400
// for any other mistake.
func writeAdmin(w http.ResponseWriter, r *http.Request, f func(*http.Request) (any, error)) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	v, err := f(r)
	switch {
	case errors.Is(err, ErrNoOrder):
		http.Error(w, err.Error(), http.StatusNotFound)
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadRequest)
	case v == nil:
		w.WriteHeader(http.StatusNoContent)
	default:
		w.Header().Set("Content-Type", typeJSON)
		_ = json.NewEncoder(w).Encode(v)
	}
}

// strictJSON decodes one value into dst and refuses members it does not have.
func strictJSON(b []byte, dst any) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(dst); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errSyntax
	}
	return nil
}

func adminBody(r *http.Request, dst any) error {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	return strictJSON(b, dst)
}

func (s administration) showOrder(r *http.Request) (any, error) {
	o, ok := s.Order(r.PathValue("id"))
	if !ok {
		return nil, ErrNoOrder
	}
	return o, nil
}

func (s administration) rejectOrder(r *http.Request) (any, error) {
	var body wireAdminReject
	if err := adminBody(r, &body); err != nil {
		return nil, err
	}
	return nil, s.Reject(r.PathValue("id"), body.Remark)
}

func (s administration) topUp(r *http.Request) (any, error) {
	var body wireTopUp
	if err := adminBody(r, &body); err != nil {
		return nil, err
	}
	return nil, s.TopUp(body.Group, body.Amount)
}

func (s administration) injectFault(r *http.Request) (any, error) {
	var f Fault
	if err := adminBody(r, &f); err != nil {
		return nil, err
	}
	if err := f.validate(); err != nil {
		return nil, err
	}
	s.Inject(f)
	return nil, nil
}
