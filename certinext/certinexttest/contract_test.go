// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// A contract is the OpenAPI document of a dialect, to hold messages against.
type contract struct{ doc *openapi3.T }

var contracts = func() map[certinexttest.Dialect]func() (contract, error) {
	all := make(map[certinexttest.Dialect]func() (contract, error))
	for _, d := range []certinexttest.Dialect{certinexttest.Live, certinexttest.Documented, certinexttest.V1} {
		all[d] = sync.OnceValues(func() (contract, error) {
			doc, err := openapi3.NewLoader().LoadFromData(certinexttest.OpenAPI(d))
			return contract{doc}, err
		})
	}
	return all
}()

func init() {
	for _, file := range []string{
		"application/x-pem-file", "application/pkix-cert", "application/pkix-crl", "application/pkcs7-mime",
		"application/ocsp-request", "application/ocsp-response",
	} {
		openapi3filter.RegisterBodyDecoder(file, openapi3filter.FileBodyDecoder)
	}
}

func contractOf(t testing.TB, d certinexttest.Dialect) contract {
	t.Helper()
	c, err := contracts[d]()
	require.NoError(t, err)
	return c
}

// route finds the operation of a request; nil if the document has none.
func (c contract) route(method, path string) (*routers.Route, map[string]string) {
	if request, isOCSP := strings.CutPrefix(path, "/ocsp/"); isOCSP {
		path = "/ocsp/" + strings.ReplaceAll(request, "/", "%2F") // one parameter, whatever is in it
	}
	var found *routers.Route
	params := map[string]string{}
	for pattern, item := range c.doc.Paths.Map() {
		o := item.GetOperation(method)
		got, ok := matched(pattern, path)
		if o == nil || !ok || (found != nil && len(got) > len(params)) {
			continue
		}
		found = &routers.Route{Spec: c.doc, Path: pattern, PathItem: item, Method: method, Operation: o}
		params = got
	}
	return found, params
}

// matched compares a path with a pattern, segment by segment.
func matched(pattern, path string) (map[string]string, bool) {
	want, got := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return nil, false
	}
	params := map[string]string{}
	for i, w := range want {
		name, isParam := strings.CutPrefix(w, "{")
		switch {
		case isParam && got[i] != "":
			params[strings.TrimSuffix(name, "}")] = got[i]
		case isParam || w != got[i]:
			return nil, false
		}
	}
	return params, true
}

// taken tells a success from a refusal, which version 1 hides in its body.
func (a answer) taken(path string) bool {
	if a.status < 200 || a.status > 299 {
		return false
	}
	var v struct {
		Meta struct {
			Status string `json:"status"`
		} `json:"meta"`
	}
	_ = json.Unmarshal(a.body, &v)
	return !strings.HasPrefix(path, v1) || v.Meta.Status == "1"
}

// holds checks an exchange: the answer always, the request if it was taken.
func (c contract) holds(req *http.Request, body string, a answer) error {
	route, params := c.route(req.Method, req.URL.EscapedPath())
	absent := a.status == http.StatusNotFound || a.status == http.StatusMethodNotAllowed
	switch {
	case route == nil && absent:
		return nil
	case route == nil:
		return fmt.Errorf("%s %s is answered, and the document has no such operation", req.Method, req.URL.Path)
	}
	options := &openapi3filter.Options{
		IncludeResponseStatus: true, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, SkipSettingDefaults: true,
	}
	in := &openapi3filter.RequestValidationInput{
		Request: req.Clone(req.Context()), PathParams: params, Route: route, Options: options,
	}
	in.Request.Body = io.NopCloser(strings.NewReader(withoutNulls(body)))
	in.Request.GetBody = nil // it has the nulls
	taken := a.taken(req.URL.Path)
	if taken {
		if err := openapi3filter.ValidateRequest(req.Context(), in); err != nil {
			return fmt.Errorf("%s %s was taken, and the document refuses it: %w: %s", req.Method, req.URL, err, body)
		}
	}
	out := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: a.status, Header: a.header,
		Body: io.NopCloser(bytes.NewReader(a.body)), Options: options,
	}
	if err := openapi3filter.ValidateResponse(req.Context(), out); err != nil {
		return fmt.Errorf("%s %s: the document has no such answer: %w: %d %s", req.Method, req.URL, err, a.status, a.body)
	}
	if taken {
		successes.Store(req.Method+" "+route.Path, true)
	}
	return nil
}

// successes are the operations that have been answered with one.
var successes sync.Map

// TestMain holds the whole suite to the documents: a success that was never answered may be none.
func TestMain(all *testing.M) {
	flag.Parse()
	code := all.Run()
	if code == 0 && isWholeSuite() {
		for _, unseen := range unseenSuccesses() {
			fmt.Println("the OpenAPI document has a success that no test has seen:", unseen)
			code = 1
		}
	}
	os.Exit(code)
}

func isWholeSuite() bool {
	for _, name := range []string{"test.run", "test.skip", "test.fuzz", "test.list", "test.bench"} {
		if flag.Lookup(name).Value.String() != "" {
			return false
		}
	}
	return !testing.Short()
}

func unseenSuccesses() []string {
	var unseen []string
	for d := range contracts {
		c, err := contracts[d]()
		if err != nil {
			return []string{err.Error()}
		}
		for path, item := range c.doc.Paths.Map() {
			for method, o := range item.Operations() {
				_, seen := successes.Load(method + " " + path)
				hasOne := o.Responses.Value("200") != nil || o.Responses.Value("201") != nil || o.Responses.Value("204") != nil
				if hasOne && !seen {
					unseen = append(unseen, d.String()+": "+method+" "+path)
				}
			}
		}
	}
	slices.Sort(unseen)
	return unseen
}

// isUnusual tells whether a setting has the server answer otherwise than the document says, which
// describes what is answered without it.
func isUnusual(srv *certinexttest.Server) bool {
	return srv.Unknowns != certinexttest.Unknowns{} || (srv.Billing.InsufficientStatus != 0 && srv.Billing.InsufficientStatus != 402)
}

// withoutNulls is a body without the members that are null: they count as absent, as the document says.
func withoutNulls(body string) string {
	var v m
	if json.Unmarshal([]byte(body), &v) != nil {
		return body
	}
	return toJSON(dropNulls(v))
}

func dropNulls(v any) any {
	switch v := v.(type) {
	case m:
		for name, member := range v {
			if member == nil {
				delete(v, name)
			} else {
				v[name] = dropNulls(member)
			}
		}
	case []any:
		for i := range v {
			v[i] = dropNulls(v[i])
		}
	}
	return v
}

// struck tells whether a fault may have had its hand in the answer to a request for a path, since
// the server had seen so many requests. What faults make of an answer is no part of the contract.
func struck(srv *certinexttest.Server, path string, seen int) bool {
	all := srv.Requests()
	if seen >= len(all) {
		seen = max(0, len(all)-20) // older ones have been forgotten meanwhile
	}
	return slices.ContainsFunc(all[seen:], func(r certinexttest.Request) bool {
		return r.Path == path && len(r.Faults) > 0
	})
}
