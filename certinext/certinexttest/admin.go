// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/exact"
)

// adminPrefix is the path below which a test author steers the server. It is
// no part of the API, needs no credentials, and is meant for loopback only.
const adminPrefix = "/_sandbox/"

// AdminHelp lists the administration paths, for a command's help text.
const AdminHelp = `  GET    /_sandbox/roots.pem                   the roots to trust, as PEM
  GET    /_sandbox/tls-root.pem                the root of the TLS listener, if there is one
  GET    /_sandbox/ca                          the roots and issuing CAs, of now and before
  POST   /_sandbox/ca/{family}/replace         another issuing CA signs for ssl, private-pki,
                                               signature or smime; old certificates keep their chain
  POST   /_sandbox/ca/{family}/replace-root    another root with another CA signs, and
                                               nothing is revoked
  POST   /_sandbox/ca/{family}/expose          its key is public: it and what it has issued are
                                               revoked, another root with another CA signs
                                               (happened to emSign in 2026, reported)
  GET    /_sandbox/ca/keys.pem                 the keys that are public, after their certificates
  GET    /_sandbox/ca/logs.json                the logs whose signed timestamps stand in public
                                               certificates, with their keys, as Chrome's log list
  GET    /_sandbox/roots/{client}              the roots that a family of clients trusts, as PEM:
                                               mozilla, chrome, apple, microsoft or java
  DELETE /_sandbox/roots/{client}/{root}       it drops one, by its name in /_sandbox/ca (Mozilla
                                               dropped three of emSign in 2026, reported)
  PUT    /_sandbox/roots/{client}/{root}       it takes it again
  GET    /_sandbox/health                      that the server is up, and what it is
  GET    /_sandbox/openapi.json                all of this and both APIs, as an OpenAPI document
  GET    /_sandbox/operations                  the names of operations, for faults and calls
  GET    /_sandbox/orders                      all orders, as the CA sees them
  GET    /_sandbox/orders/{id}                 one order
  POST   /_sandbox/orders/{id}/approve         the approver consents
  POST   /_sandbox/orders/{id}/reject          {"remark":"..."}: the approver refuses
  POST   /_sandbox/orders/{id}/documents       {"count":1}: a signer's documents are handed in
  POST   /_sandbox/orders/{id}/supply          {"organization":"4000001"}, {"group":"3000000001"} or
                                               {"technicalContact":{"name":"...","email":"..."}}:
                                               a parked order is given what it lacked
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
  GET    /_sandbox/snapshot                    all that it holds as one document, private keys and
                                               credentials included
  POST   /_sandbox/restore                     {"version":1,...}: be what a snapshot says
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
	handle("POST /_sandbox/orders/{id}/supply", s.supplyOrder)
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
	handle("GET /_sandbox/snapshot", s.writeSnapshot)
	all = append(all, adminRoute{"POST /_sandbox/restore", http.HandlerFunc(s.restore)})
	handle("GET /_sandbox/knobs", func(*http.Request) (any, error) { return s.readKnobs() })
	handle("POST /_sandbox/knobs", s.knobs)
	handle("GET /_sandbox/ca", func(*http.Request) (any, error) { return s.CAs(), nil })
	handle("POST /_sandbox/ca/{family}/replace", s.successor(s.ReplaceIssuer))
	handle("POST /_sandbox/ca/{family}/replace-root", s.successor(s.ReplaceRoot))
	handle("POST /_sandbox/ca/{family}/expose", s.successor(s.ExposeIssuer))
	file("GET /_sandbox/ca/keys.pem", typePEM, s.ExposedKeys)
	handle("GET /_sandbox/ca/logs.json", s.showLogs)
	all = append(all, adminRoute{
		"GET /_sandbox/roots/{client}", http.HandlerFunc(s.clientRoots),
	})
	handle("DELETE /_sandbox/roots/{client}/{root}", s.trusting(s.DropRoot))
	handle("PUT /_sandbox/roots/{client}/{root}", s.trusting(s.KeepRoot))
	file("GET /_sandbox/roots.pem", typePEM, s.RootPEM)
	all = append(all, adminRoute{"GET /_sandbox/tls-root.pem", http.HandlerFunc(s.showTLSRoot)})
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

// writeAdmin answers JSON, 204 for nothing, and what refuseAdmin says of an error.
func writeAdmin(w http.ResponseWriter, r *http.Request, f func(*http.Request) (any, error)) {
	if !limitBody(w, r, maxBody) {
		return
	}
	v, err := f(r)
	switch {
	case err != nil:
		refuseAdmin(w, err)
	case v == nil:
		w.WriteHeader(http.StatusNoContent)
	default:
		w.Header().Set("Content-Type", typeJSON)
		_ = json.NewEncoder(w).Encode(v)
	}
}

// refuseAdmin answers 404 for an unknown order or CA, 413 for a body that is too large, and 400 for
// any other mistake.
func refuseAdmin(w http.ResponseWriter, err error) {
	var tooLarge *http.MaxBytesError
	status, text := http.StatusBadRequest, err.Error()
	switch {
	case errors.Is(err, ErrNoOrder), errors.Is(err, ErrNoCA), errors.Is(err, ErrNoRoot):
		status = http.StatusNotFound
	case errors.As(err, &tooLarge):
		status = http.StatusRequestEntityTooLarge
		text = fmt.Sprintf("the body must have at most %d bytes", tooLarge.Limit)
	}
	http.Error(w, text, status)
}

// limitBody keeps whoever reads the body from reading more than so many bytes. A body that says
// itself that it is larger is refused before it is sent.
func limitBody(w http.ResponseWriter, r *http.Request, most int64) bool {
	if r.ContentLength > most {
		refuseAdmin(w, &http.MaxBytesError{Limit: most})
		return false
	}
	r.Body = http.MaxBytesReader(w, r.Body, most)
	return true
}

// UnmarshalExactly stores JSON in what dst points to, as encoding/json does, and refuses what that
// forgives: a member of another name or of another case, one that is there twice or is null, and
// whatever follows the value. Its error joins one for each, with its line and path, and dst is then
// not changed. The server reads all that is not a call of the API by it.
func UnmarshalExactly(text []byte, dst any) error { return exact.Unmarshal(text, dst) }

func adminBody(r *http.Request, dst any) error {
	_, err := adminText(r, dst)
	return err
}

// adminText reads a body into dst, and returns it as it was written, too.
func adminText(r *http.Request, dst any) ([]byte, error) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	return text, exact.Unmarshal(text, dst)
}

func (s administration) showTLSRoot(w http.ResponseWriter, _ *http.Request) {
	if s.tlsRoot == nil {
		http.Error(w, "there is no TLS listener: -tls-listen makes one", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", typePEM)
	_, _ = w.Write(s.tlsRoot)
}

func (s administration) showOrder(r *http.Request) (any, error) {
	o, ok := s.Order(r.PathValue("id"))
	if !ok {
		return nil, ErrNoOrder
	}
	return o, nil
}

// successor does something to the CA of the family in the path, which is found below the URL that
// the caller has used.
func (s administration) successor(do func(string) error) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		s.ca.Locate(orDefault(s.BaseURL, baseURL(r)))
		return nil, do(r.PathValue("family"))
	}
}

func (s administration) rejectOrder(r *http.Request) (any, error) {
	var body wireAdminReject
	if err := adminBody(r, &body); err != nil {
		return nil, err
	}
	return nil, s.Reject(r.PathValue("id"), body.Remark)
}

func (s administration) supplyOrder(r *http.Request) (any, error) {
	var body Supplement
	if err := adminBody(r, &body); err != nil {
		return nil, err
	}
	return nil, s.Supply(r.PathValue("id"), body)
}

func (s administration) topUp(r *http.Request) (any, error) {
	var body wireTopUp
	if err := adminBody(r, &body); err != nil {
		return nil, err
	}
	return nil, s.TopUp(body.Group, body.Amount)
}
