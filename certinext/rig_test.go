// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

const (
	testSecret = "client-secret+with/odd=chars"
	testBase   = "https://certinext.example"
)

// A sent is a request as it left the client.
type sent struct {
	method, path, query, body string
	header                    http.Header
}

// A rig is a CERTInext without sockets: it hands out the tokens token-1, token-2, ... and leaves
// every other request to answer. It tells the client's tracing what net/http's own transport would.
type rig struct {
	answer func(n int, r sent) (*http.Response, error) // n counts from one

	mu     sync.Mutex
	grants int
	calls  []sent
	// hideProgress makes it a transport that traces nothing.
	hideProgress bool
	// token, if set, answers the requests for a token instead.
	token func(n int, ctx context.Context) (*http.Response, error)
}

// newRig returns a rig and a client of it.
func newRig(answer func(n int, r sent) (*http.Response, error)) (*rig, *certinext.Client) {
	g := &rig{answer: answer}
	return g, &certinext.Client{
		BaseURL:     testBase,
		Credentials: certinext.OAuth{ClientID: "1234567890", ClientSecret: testSecret},
		HTTPClient:  &http.Client{Transport: g},
	}
}

// always answers everything alike.
func always(status int, body string, header ...string) func(int, sent) (*http.Response, error) {
	return func(int, sent) (*http.Response, error) { return response(status, body, header...), nil }
}

// inTurn answers the first request with the first response, and so on; the last one stays.
func inTurn(responses ...func(int, sent) (*http.Response, error)) func(int, sent) (*http.Response, error) {
	return func(n int, r sent) (*http.Response, error) { return responses[min(n, len(responses))-1](n, r) }
}

func response(status int, body string, header ...string) *http.Response {
	h := http.Header{"Content-Type": {"application/json"}}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{
		StatusCode: status, Status: strconv.Itoa(status), Header: h, Body: io.NopCloser(strings.NewReader(body)),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
}

// problem is the body of a refusal as the live service writes it (observed 2026).
func problem(status int, detail string) string {
	b, _ := json.Marshal(map[string]any{
		"type": "about:blank", "title": http.StatusText(status), "status": status, "detail": detail,
	})
	return string(b)
}

// refuses answers everything with a refusal of CERTInext's own.
func refuses(status int, detail string, header ...string) func(int, sent) (*http.Response, error) {
	return always(status, problem(status, detail), append([]string{"Content-Type", "application/problem+json"}, header...)...)
}

func (g *rig) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
		r.Body.Close()
	}
	if trace := httptrace.ContextClientTrace(r.Context()); trace != nil && !g.hideProgress {
		trace.GetConn(r.URL.Host)
		trace.WroteHeaders()
	}
	s := sent{method: r.Method, path: r.URL.EscapedPath(), query: r.URL.RawQuery, body: string(body), header: r.Header.Clone()}
	g.mu.Lock()
	if strings.HasSuffix(s.path, "/oauth/token") {
		g.grants++
		n, token := g.grants, g.token
		g.mu.Unlock()
		if token != nil {
			return token(n, r.Context())
		}
		return response(200, `{"access_token":"token-`+strconv.Itoa(n)+`","token_type":"Bearer","expires_in":3600}`), nil
	}
	g.calls = append(g.calls, s)
	n := len(g.calls)
	g.mu.Unlock()
	res, err := g.answer(n, s)
	if res == nil && err == nil { // hangs
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return res, err
}

// sentCalls returns the requests so far, without those for tokens.
func (g *rig) sentCalls() []sent {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]sent(nil), g.calls...)
}

func (g *rig) grantCount() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.grants
}

// dvOrder is the smallest useful request.
func dvOrder() certinext.OrderRequest {
	return certinext.OrderRequest{
		Family: certinext.FamilySSL, ProductCode: "842", Variant: "dv", Domain: "host.example.com",
		Requestor: certinext.Contact{Name: "Platform Team", Email: "ops@example.com"},
	}
}

const createdBody = `{"orderId":"1000000001","requestId":"2000000001","status":"pending-dcv"}`

func readFile(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	return string(b)
}

// asErr returns the *Error that err must hold.
func asErr(t testing.TB, err error) *certinext.Error {
	t.Helper()
	require.Error(t, err)
	var e *certinext.Error
	require.ErrorAs(t, err, &e)
	return e
}

// done answers every call of every with a success of CERTInext's.
func done(_ int, r sent) (*http.Response, error) {
	switch {
	case r.method == http.MethodGet:
		return response(200, `{"orderId":"1","status":"pending-dcv","accountNumber":"1234567890"}`), nil
	case strings.HasSuffix(r.path, "/ssl-certificates"):
		return response(201, createdBody), nil
	}
	return response(204, ``), nil
}

// every lists all verbs: what changes something and what does not.
var every = map[string]func(ctx context.Context, c *certinext.Client) error{
	"create": func(ctx context.Context, c *certinext.Client) error {
		_, err := c.CreateOrder(ctx, dvOrder())
		return err
	},
	"track": func(ctx context.Context, c *certinext.Client) error {
		_, err := c.TrackOrder(ctx, certinext.FamilySSL, "1")
		return err
	},
	"csr": func(ctx context.Context, c *certinext.Client) error {
		return c.SubmitCSR(ctx, certinext.FamilySSL, "1", "csr", false)
	},
	"agreement": func(ctx context.Context, c *certinext.Client) error {
		return c.AcceptAgreement(ctx, certinext.FamilySSL, "1", certinext.Agreement{Accepted: true})
	},
	"verify": func(ctx context.Context, c *certinext.Client) error {
		return c.VerifyDCV(ctx, "1", "example.com", certinext.DCVMethodDNS)
	},
	"cancel": func(ctx context.Context, c *certinext.Client) error {
		return c.CancelOrder(ctx, certinext.FamilySSL, "1", "")
	},
	"cancel draft": func(ctx context.Context, c *certinext.Client) error { return c.CancelDraft(ctx, "1", "") },
	"revoke": func(ctx context.Context, c *certinext.Client) error {
		_, err := c.RevokeOrder(ctx, certinext.FamilySSL, "1", certinext.RevokeRequest{Reason: certinext.ReasonSuperseded})
		return err
	},
	"me": func(ctx context.Context, c *certinext.Client) error {
		_, err := c.Me(ctx)
		return err
	},
}
