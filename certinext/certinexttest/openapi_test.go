// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"encoding/json"
	"flag"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

var update = flag.Bool("update", false, "rewrite docs/openapi")

// allDialects runs f once for each, the one without tokens included.
func allDialects(t *testing.T, f func(t *testing.T, d certinexttest.Dialect)) {
	t.Helper()
	for _, d := range []certinexttest.Dialect{certinexttest.Live, certinexttest.Documented, certinexttest.V1} {
		t.Run(d.String(), func(t *testing.T) { f(t, d) })
	}
}

func TestTheOpenAPIDocumentIsValid(t *testing.T) {
	allDialects(t, func(t *testing.T, d certinexttest.Dialect) {
		doc := contractOf(t, d).doc
		require.NoError(t, doc.Validate(t.Context()))
		text := string(certinexttest.OpenAPI(d))
		require.Equal(t, text, string(certinexttest.OpenAPI(d)), "the same document is the same text")
		for _, kind := range []struct {
			name string
			of   []string
		}{
			{"schemas", slices.Collect(maps.Keys(doc.Components.Schemas))},
			{"responses", slices.Collect(maps.Keys(doc.Components.Responses))},
			{"headers", slices.Collect(maps.Keys(doc.Components.Headers))},
		} {
			for _, name := range kind.of {
				require.Contains(t, text, `"#/components/`+kind.name+"/"+name+`"`, "nothing refers to it")
			}
		}
		for path, item := range doc.Paths.Map() {
			for method, o := range item.Operations() {
				require.NotEmpty(t, o.Summary, "%s %s", method, path)
				for _, p := range o.Parameters {
					require.True(t, p.Value.In != "path" || p.Value.Description != "", "%s %s: %s", method, path, p.Value.Name)
				}
			}
		}
	})
}

// operations are those of a document, as method and path.
func operations(doc *openapi3.T) []string {
	var all []string
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			all = append(all, method+" "+path)
		}
	}
	slices.Sort(all)
	return all
}

var parameters = regexp.MustCompile(`\{[a-z]+\}`)

// TestTheDocumentHasEveryPathAndNoOther: a path is in the document of a dialect if and only if the
// server answers it in that dialect.
func TestTheDocumentHasEveryPathAndNoOther(t *testing.T) {
	var steered []string
	for _, found := range regexp.MustCompile(`(?m)^  (GET|POST|PUT|DELETE) +(/_sandbox/\S+)`).FindAllStringSubmatch(certinexttest.AdminHelp, -1) {
		steered = append(steered, found[1]+" "+found[2])
	}
	require.Greater(t, len(steered), 20)
	all := slices.Concat(certinexttest.Routes(), certinexttest.Publications(), steered)
	allDialects(t, func(t *testing.T, d certinexttest.Dialect) {
		srv := &certinexttest.Server{Dialect: d}
		r := &rig{t: t, srv: srv, http: srv.Client(), base: host}
		var answered []string
		for _, route := range all {
			method, path, _ := strings.Cut(parameters.ReplaceAllString(route, "1"), " ")
			a := r.do(method, path, "")
			nowhere := strings.Contains(string(a.body), "No such resource") || strings.Contains(string(a.body), "page not found")
			if a.status != http.StatusMethodNotAllowed && (a.status != http.StatusNotFound || !nowhere) {
				answered = append(answered, route)
			}
		}
		slices.Sort(answered)
		require.Equal(t, answered, operations(contractOf(t, d).doc))
	})
}

// TestLargeBodiesAreRefusedAsTheDocumentSays: by each operation that takes one, before and after it
// has read too much.
func TestLargeBodiesAreRefusedAsTheDocumentSays(t *testing.T) {
	allDialects(t, func(t *testing.T, d certinexttest.Dialect) {
		srv := &certinexttest.Server{Dialect: d}
		r := &rig{t: t, srv: srv, http: srv.Client(), base: host}
		for path, item := range contractOf(t, d).doc.Paths.Map() {
			for method, o := range item.Operations() {
				if o.RequestBody == nil || !strings.HasPrefix(path, "/_sandbox/") || path == "/_sandbox/restore" {
					continue
				}
				a := r.do(method, parameters.ReplaceAllString(path, "1"), strings.Repeat(" ", 1<<20+1))
				require.Equal(t, 413, a.status, path)
				require.Contains(t, string(a.body), "at most 1048576 bytes")
				require.NotNil(t, o.Responses.Value("413"), path)
				body := io.MultiReader(strings.NewReader(strings.Repeat(" ", 1<<20)), strings.NewReader("  ")) // of no known length
				request, err := http.NewRequestWithContext(t.Context(), method, host+parameters.ReplaceAllString(path, "1"), body)
				require.NoError(t, err)
				response, err := r.http.Do(request)
				require.NoError(t, err)
				require.NoError(t, response.Body.Close())
				require.Equal(t, 413, response.StatusCode, path)
			}
		}
	})
	ts := httptest.NewServer(new(certinexttest.Server))
	t.Cleanup(ts.Close)
	status, _ := raw(t, strings.TrimPrefix(ts.URL, "http://"),
		"POST /_sandbox/restore HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 300000000\r\n\r\n")
	require.Equal(t, "413", status, "not a byte of it is read")
}

func TestTheDocumentIsServed(t *testing.T) {
	allDialects(t, func(t *testing.T, d certinexttest.Dialect) {
		srv := &certinexttest.Server{Dialect: d}
		r := &rig{t: t, srv: srv, http: srv.Client(), base: host}
		a := r.get("/_sandbox/openapi.json")
		require.Equal(t, "application/json", a.header.Get("Content-Type"))
		require.Equal(t, string(certinexttest.OpenAPI(d)), string(a.body))
	})
}

// TestTheOpenAPIDocumentsAreUpToDate holds docs/openapi to what servers answer; with -update it is
// written. The dialect v1 is live without a token.
func TestTheOpenAPIDocumentsAreUpToDate(t *testing.T) {
	for _, d := range []certinexttest.Dialect{certinexttest.Live, certinexttest.Documented} {
		path := filepath.Join("..", "..", "docs", "openapi", d.String()+".json")
		if *update {
			require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
			require.NoError(t, os.WriteFile(path, certinexttest.OpenAPI(d), 0o644))
		}
		written, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, string(certinexttest.OpenAPI(d)), string(written), "%s is not what is served: make docs writes it", path)
	}
}

// TestTheVendorsRequestsAreInTheDocument: testdata/collection.json has the requests of the published
// collection of version 2, in their order, with values of our own.
func TestTheVendorsRequestsAreInTheDocument(t *testing.T) {
	text, err := os.ReadFile("testdata/collection.json")
	require.NoError(t, err)
	var requests []struct {
		Request string          `json:"request"`
		Headers []string        `json:"headers"`
		Body    json.RawMessage `json:"body"`
	}
	require.NoError(t, json.Unmarshal(text, &requests))
	require.Len(t, requests, 35)
	c := contractOf(t, certinexttest.Documented)
	for _, sent := range requests {
		method, target, _ := strings.Cut(sent.Request, " ")
		req, err := http.NewRequestWithContext(t.Context(), method, host+target, strings.NewReader(string(sent.Body)))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/json")
		route, params := c.route(method, req.URL.Path)
		require.NotNil(t, route, sent.Request)
		known := map[string]bool{}
		for _, p := range route.Operation.Parameters {
			known[p.Value.Name] = true
		}
		for _, name := range sent.Headers {
			require.True(t, known[name], "%s: %s", sent.Request, name)
			req.Header.Set(name, "842")
		}
		for name := range req.URL.Query() {
			require.True(t, known[name], "%s: %s", sent.Request, name)
		}
		require.NoError(t, openapi3filter.ValidateRequest(t.Context(), &openapi3filter.RequestValidationInput{
			Request: req, PathParams: params, Route: route, Options: &openapi3filter.Options{
				AuthenticationFunc:                openapi3filter.NoopAuthenticationFunc,
				RejectWhenRequestBodyNotSpecified: sent.Body != nil,
			},
		}), sent.Request)
	}
}

// TestTheContractIsStrict: what holds the document to the suite refuses an exchange that is a little
// other than a real one.
func TestTheContractIsStrict(t *testing.T) {
	r := newRig(t, verified(certinexttest.Live))
	id, _ := r.issued("www.example.com")
	c := contractOf(t, certinexttest.Live)
	order := dvOrder("www.example.com")
	verb := m{"meta": v1Meta(r.now(), nil), "orderDetails": m{"orderNumber": id}}
	for name, e := range map[string]struct {
		method, path string
		body         m
		change       func(body m, a *answer, sent m)
	}{
		"an unknown member of an answer":   {"GET", sslPath + "/" + id, nil, func(v m, _ *answer, _ m) { v["colour"] = "red" }},
		"a nested one":                     {"GET", sslPath + "/" + id, nil, func(v m, _ *answer, _ m) { v["requestor"].(m)["colour"] = "red" }},
		"a member that is missing":         {"GET", sslPath + "/" + id, nil, func(v m, _ *answer, _ m) { delete(v, "orderState") }},
		"a status that orders do not have": {"GET", sslPath + "/" + id, nil, func(v m, _ *answer, _ m) { v["status"] = "done" }},
		"a number for a string":            {"GET", sslPath + "/" + id, nil, func(v m, _ *answer, _ m) { v["requestId"] = 7 }},
		"null for a string":                {"GET", sslPath + "/" + id, nil, func(v m, _ *answer, _ m) { v["requestId"] = nil }},
		"a status code":                    {"GET", sslPath + "/" + id, nil, func(_ m, a *answer, _ m) { a.status = 202 }},
		"a header that is missing":         {"GET", sslPath + "/" + id, nil, func(_ m, a *answer, _ m) { a.header.Del("X-API-Version") }},
		"a media type":                     {"GET", sslPath + "/" + id, nil, func(_ m, a *answer, _ m) { a.header.Set("Content-Type", "text/plain") }},
		"a refusal without a title":        {"GET", sslPath + "/1", nil, func(v m, _ *answer, _ m) { delete(v, "title") }},
		"a member of a request":            {"POST", sslPath, order, func(_ m, _ *answer, sent m) { sent["colour"] = "red" }},
		"a request without a name":         {"POST", sslPath, order, func(_ m, _ *answer, sent m) { sent["certificate"] = m{} }},
		"a variant":                        {"POST", sslPath, order, func(_ m, _ *answer, sent m) { sent["productVariant"] = "xv" }},
		"a success of version 1 without its block": {
			"POST", v1 + "TrackOrder", verb, func(v m, _ *answer, _ m) { delete(v, "orderDetails") },
		},
		"a failure of version 1 with a block": {
			"POST", v1 + "TrackOrder", verb, func(v m, _ *answer, _ m) { v["meta"].(m)["status"] = "0" },
		},
		"an id that version 1 does not have": {
			"POST", v1 + "TrackOrder", verb, func(v m, _ *answer, _ m) { v["orderDetails"].(m)["orderStatusId"] = "99" },
		},
	} {
		t.Run(name, func(t *testing.T) {
			sub := r.on(t)
			if meta, ok := e.body["meta"]; ok && meta != nil {
				e.body["meta"] = v1Meta(r.now(), nil)
			}
			body := ""
			if e.body != nil {
				body = toJSON(e.body)
			}
			a := sub.do(e.method, e.path, body)
			req, err := http.NewRequestWithContext(t.Context(), e.method, host+e.path, http.NoBody)
			require.NoError(t, err)
			req.Header.Set("Content-Type", "application/json")
			require.NoError(t, c.holds(req, body, a))

			v, sent := m{}, maps.Clone(e.body)
			require.NoError(t, json.Unmarshal(a.body, &v))
			e.change(v, &a, sent)
			a.body = []byte(toJSON(v))
			if sent != nil {
				body = toJSON(sent)
			}
			require.Error(t, c.holds(req, body, a))
		})
	}
	req, err := http.NewRequestWithContext(t.Context(), "GET", host+api+"/colours", http.NoBody)
	require.NoError(t, err)
	require.Error(t, c.holds(req, "", answer{t: t, status: 200, header: http.Header{}}), "the document has no such path")
}
