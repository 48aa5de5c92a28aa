// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// noSuccesses are answers with a successful status that say nothing of what CERTInext did.
var noSuccesses = map[string]page{
	"a sentence":            {"text/plain", "Access denied by policy"},
	"an error":              {"application/json", `{"status":"error"}`},
	"good news of nobody's": {"application/json", `{"status":"ok"}`},
	"version 1's failure":   {"application/json", `{"meta":{"status":"0","errorCode":"EMS-943","errorMessage":"Invalid Order ID."}}`},
	"version 1's failure with the order": {
		"application/json", `{"orderId":"1","requestId":"1","meta":{"status":"0","errorCode":"EMS-943","errorMessage":"Invalid"}}`,
	},
	"a problem":             {"application/problem+json", problem(403, "Caller lacks permission")},
	"a page":                {"text/html", `<!DOCTYPE html><html><title>Sign in</title></html>`},
	"a page, called JSON":   {"application/json", `<html></html>`},
	"nothing":               {"", ""},
	"an empty object":       {"application/json", `{}`},
	"a list":                {"application/json", `[{"orderId":"1"}]`},
	"null":                  {"application/json", `null`},
	"another order":         {"application/json", `{"orderId":"2","requestId":"2"}`},
	"the order, in trouble": {"application/json", `{"orderId":"1","requestId":"1","status":"error"}`},
	"the order, an error":   {"application/json", `{"orderId":"1","requestId":"1","error":"Forbidden"}`},
	"half an object":        {"application/json", `{"orderId":"1"`},
}

// changes are the calls of which only success or failure matters.
var changes = []string{"csr", "agreement", "cancel", "cancel draft", "revoke", "verify"}

func TestQuirk34SuccessesAreCERTInextsOwn(t *testing.T) {
	for _, name := range changes {
		call := every[name]
		_, c := newRig(always(204, ``))
		assert.NoError(t, call(t.Context(), c), "%s: 204 is documented", name)
		for what, p := range noSuccesses {
			for _, status := range []int{200, 201, 202, 203, 205, 206, 226} {
				_, c := newRig(always(status, p.body, "Content-Type", p.contentType))
				err := call(t.Context(), c)
				e := asErr(t, err)
				assert.True(t, e.Acted, "%s, %s, status %d", name, what, status)
				assert.False(t, e.Own)
				assert.Equal(t, status, e.Status)
				assert.False(t, certinext.IsRefusal(err))
			}
		}
	}
	t.Run("a gateway's page is told by its title", func(t *testing.T) {
		_, c := newRig(always(200, `<!DOCTYPE html><html><title>Sign in</title></html>`, "Content-Type", "text/html"))
		for _, name := range changes {
			assert.ErrorContains(t, every[name](t.Context(), c), `an HTML page titled "Sign in"`, name)
		}
	})
	t.Run("JSON that names the order is observed now and then", func(t *testing.T) {
		for name, body := range map[string]string{
			"csr":          `{"orderId":"1","requestId":"9","status":"pending-approval"}`,
			"agreement":    `{"orderNumber":1}`,
			"cancel":       `{"orderId":"1","status":"CANCELLED"}`,
			"cancel draft": `{"requestId":"1","status":"cancelled"}`,
			"revoke":       `{"orderId":"1","status":"revoked"}`,
			"verify":       `{"overallStatus":"VERIFIED"}`,
		} {
			for _, status := range []int{200, 201, 202} {
				_, c := newRig(always(status, body))
				assert.NoError(t, every[name](t.Context(), c), "%s, status %d", name, status)
			}
			_, c := newRig(always(207, body))
			assert.True(t, asErr(t, every[name](t.Context(), c)).Acted, "%s: nobody has seen a 207", name)
		}
	})
	t.Run("unless it says that something else became of it", func(t *testing.T) {
		for name, body := range map[string]string{
			"cancel": `{"orderId":"1","status":"issued"}`, "revoke": `{"orderId":"1","status":"issued"}`,
			"cancel draft": `{"requestId":"1","status":"pending-csr"}`,
		} {
			_, c := newRig(always(200, body))
			assert.True(t, asErr(t, every[name](t.Context(), c)).Acted, name)
		}
	})
	t.Run("what it was is lost with its body", func(t *testing.T) {
		_, c := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "500") })
		for _, name := range changes {
			assert.True(t, asErr(t, every[name](t.Context(), c)).Acted, name)
		}
		_, c = serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
		assert.NoError(t, every["csr"](t.Context(), c))
	})
}

// The change is answered by somebody in between, and CERTInext has not heard of it: it is neither
// done nor refused.
func TestSandboxSuccessesOfMiddlemenAreDoubt(t *testing.T) {
	for what, p := range noSuccesses {
		for _, status := range []int{200, 202} {
			t.Run(fmt.Sprintf("%s, %d", what, status), func(t *testing.T) {
				eachDialect(t, func(t *testing.T, srv *certinexttest.Server) {
					c := sandbox(srv)
					issued, held, draft := changeable(t, srv, c)
					for op, change := range everyChange(t, c, issued, held, draft) {
						srv.Inject(certinexttest.Fault{
							Operation: op, Kind: certinexttest.FaultMiddleman, Times: 1, Status: status, ContentType: p.contentType, Body: p.body,
						})
						err := change()
						if srv.Dialect == certinexttest.V1 && strings.HasPrefix(what, "version 1's failure") && status == 200 {
							assert.True(t, certinext.IsRefusal(err), "that is version 1's own shape")
							continue
						}
						assert.True(t, certinext.MayHaveActed(err), "%s: %v", op, err)
						require.Error(t, err, op)
					}
					o, _ := srv.Order(issued)
					assert.Empty(t, o.RevokeReason, "the certificate is in use")
				})
			})
		}
	}
}

// serve runs a real server that hands out a token and leaves the rest to h.
func serve(t *testing.T, h http.HandlerFunc) (*httptest.Server, *certinext.Client) {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/oauth/token" {
			_, _ = io.WriteString(w, grantBody("t", "3600"))
			return
		}
		h(w, r)
	}))
	t.Cleanup(srv.Close)
	return srv, &certinext.Client{
		BaseURL: srv.URL, HTTPClient: srv.Client(),
		Credentials: certinext.OAuth{ClientID: "1234567890", ClientSecret: testSecret},
	}
}

// hangUp drops the connection after the request was read, as a gateway does that loses its backend.
func hangUp(w http.ResponseWriter, r *http.Request) {
	_, _ = io.ReadAll(r.Body)
	conn, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		conn.Close()
	}
}

func TestActedWhenTheConnectionFails(t *testing.T) {
	create := func(ctx context.Context, c *certinext.Client) *certinext.Error {
		_, err := c.CreateOrder(ctx, dvOrder())
		return asErr(t, err)
	}
	t.Run("connection refused: nobody heard", func(t *testing.T) {
		srv, c := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, meBody) })
		_, err := c.Me(t.Context()) // a token, while the server lives
		require.NoError(t, err)
		srv.Listener.Close()
		srv.Client().CloseIdleConnections()
		e := create(t.Context(), c)
		assert.False(t, e.Acted)
		assert.Zero(t, e.Status)
	})
	t.Run("TLS refused: nobody heard", func(t *testing.T) {
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("reached") }))
		srv.Config.ErrorLog = log.New(io.Discard, "", 0)
		srv.StartTLS()
		defer srv.Close()
		g, c := newRig(nil)
		c.BaseURL = srv.URL
		untrusting := &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}}
		c.HTTPClient = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.URL.Path == "/oauth/token" {
				return g.RoundTrip(r)
			}
			return untrusting.RoundTrip(r)
		})}
		e := create(t.Context(), c)
		assert.False(t, e.Acted)
		assert.ErrorContains(t, e, "certificate")
	})
	t.Run("the reply is lost", func(t *testing.T) {
		_, c := serve(t, hangUp)
		e := create(t.Context(), c)
		assert.True(t, e.Acted)
		assert.Zero(t, e.Status)
		assert.ErrorIs(t, e, io.EOF)
	})
	t.Run("the reply is lost on a kept connection, and net/http does not send again", func(t *testing.T) {
		var orders atomic.Int32
		_, c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				_, _ = io.WriteString(w, meBody)
				return
			}
			orders.Add(1)
			hangUp(w, r)
		})
		for range 3 {
			_, err := c.Me(t.Context())
			require.NoError(t, err)
			e := create(t.Context(), c) // carries an Idempotency-Key, which net/http takes for leave to repeat
			assert.True(t, e.Acted)
		}
		assert.EqualValues(t, 3, orders.Load())
	})
	t.Run("the reply is lost over HTTP/2", func(t *testing.T) {
		var orders atomic.Int32
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/oauth/token" {
				_, _ = io.WriteString(w, grantBody("t", "3600"))
				return
			}
			assert.Equal(t, 2, r.ProtoMajor)
			orders.Add(1)
			panic(http.ErrAbortHandler)
		}))
		srv.EnableHTTP2 = true
		srv.StartTLS()
		defer srv.Close()
		_, c := newRig(nil)
		c.BaseURL, c.HTTPClient = srv.URL, srv.Client()
		assert.True(t, create(t.Context(), c).Acted)
		assert.EqualValues(t, 1, orders.Load())
	})
	t.Run("the time is up", func(t *testing.T) {
		release := make(chan struct{})
		_, c := serve(t, func(http.ResponseWriter, *http.Request) { <-release })
		defer close(release)
		c.CreateTimeout = 50 * time.Millisecond
		e := create(t.Context(), c)
		assert.True(t, e.Acted)
		assert.ErrorIs(t, e, context.DeadlineExceeded)
	})
	t.Run("the caller leaves", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		release := make(chan struct{})
		_, c := serve(t, func(http.ResponseWriter, *http.Request) { cancel(); <-release })
		defer close(release)
		e := create(ctx, c)
		assert.True(t, e.Acted)
		assert.ErrorIs(t, e, context.Canceled)
	})
	t.Run("the caller had left before", func(t *testing.T) {
		g, c := newRig(always(201, createdBody))
		_, err := c.Me(t.Context())
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		e := create(ctx, c)
		assert.False(t, e.Acted)
		assert.ErrorIs(t, e, context.Canceled)
		assert.Len(t, g.sentCalls(), 1)
	})
	t.Run("the server answers nonsense", func(t *testing.T) {
		srv := rawServer(t, "Authorization: Bearer %s was what you sent\r\n\r\n")
		c := &certinext.Client{BaseURL: "http://" + srv, Credentials: certinext.OAuth{ClientID: "1", ClientSecret: testSecret}, Retries: -1}
		_, err := c.Me(t.Context())
		require.Error(t, err)
		assert.NotContains(t, err.Error(), testSecret)
	})
	t.Run("a transport that traces nothing is not trusted", func(t *testing.T) {
		g, c := newRig(func(int, sent) (*http.Response, error) { return nil, errBroken })
		g.hideProgress = true
		assert.True(t, create(t.Context(), c).Acted)
	})
	t.Run("a read changes nothing", func(t *testing.T) {
		_, c := serve(t, hangUp)
		c.Retries = -1
		_, err := c.Me(t.Context())
		assert.False(t, certinext.MayHaveActed(err))
	})
	t.Run("an error of somebody else's is not safe", func(t *testing.T) {
		assert.True(t, certinext.MayHaveActed(errors.New("other")))
		assert.True(t, certinext.MayHaveActed(nil))
		assert.False(t, certinext.MayHaveActed(fmt.Errorf("wrapped: %w", &certinext.Error{})))
	})
}

// rawServer answers every connection with the same bytes, in which %s is what a malicious server
// would echo.
func rawServer(t *testing.T, answer string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			buf := make([]byte, 4096)
			_, _ = conn.Read(buf)
			fmt.Fprintf(conn, answer, testSecret)
			conn.Close()
		}
	}()
	return l.Addr().String()
}

func TestCreateWithAnUnusableSuccess(t *testing.T) {
	long := strings.Repeat("9", 65)
	for name, body := range map[string]string{
		"empty":                   ``,
		"garbage":                 `ok`,
		"cut off":                 `{"orderId":"10000`,
		"HTML":                    `<html><body>Welcome</body></html>`,
		"no order id":             `{"requestId":"2000000001","status":"pending-dcv"}`,
		"empty order id":          `{"orderId":"","status":"pending-dcv"}`,
		"null order id":           `{"orderId":null}`,
		"order id is a table":     `{"orderId":{"id":"1"}}`,
		"order id too long":       `{"orderId":"` + long + `"}`,
		"order id climbs":         `{"orderId":"../domains"}`,
		"order id is dots":        `{"orderId":".."}`,
		"order id with a slash":   `{"orderId":"1/revoke"}`,
		"order id with a percent": `{"orderId":"1%2Frevoke"}`,
		"order id with a newline": `{"orderId":"1\n2"}`,
		"a list":                  `[{"orderId":"1"}]`,
		"a string":                `"1000000001"`,
		"two documents":           `{"orderId":"1"}{"orderId":"2"}`,
	} {
		t.Run(name, func(t *testing.T) {
			_, c := newRig(always(201, body))
			o, err := c.CreateOrder(t.Context(), dvOrder())
			e := asErr(t, err)
			assert.Nil(t, o)
			assert.True(t, e.Acted, "the order may exist")
			assert.Equal(t, 201, e.Status)
			assert.NotContains(t, err.Error(), long)
		})
	}
	t.Run("broken off on the way", func(t *testing.T) {
		_, c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "500")
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, `{"orderId":"1000000001"`)
		})
		_, err := c.CreateOrder(t.Context(), dvOrder())
		e := asErr(t, err)
		assert.True(t, e.Acted)
		assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
	})
	t.Run("endless", func(t *testing.T) {
		_, c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			chunk := strings.Repeat(" ", 1<<20)
			for range 9 {
				if _, err := io.WriteString(w, chunk); err != nil {
					return
				}
			}
		})
		_, err := c.CreateOrder(t.Context(), dvOrder())
		assert.True(t, asErr(t, err).Acted)
		assert.ErrorContains(t, err, "longer than")
	})
	for _, status := range []int{200, 201, 202} {
		_, c := newRig(always(status, createdBody))
		o, err := c.CreateOrder(t.Context(), dvOrder())
		require.NoError(t, err)
		assert.Equal(t, "1000000001", o.ID)
	}
	t.Run("a draft was asked for and an order made", func(t *testing.T) {
		_, c := newRig(always(201, createdBody))
		r := dvOrder()
		r.SaveAsDraft = true
		o, err := c.CreateOrder(t.Context(), r)
		require.NoError(t, err)
		assert.Equal(t, "1000000001", o.ID)
		assert.Equal(t, certinext.StatusPendingDCV, o.Status)
	})
	t.Run("a draft without a request id", func(t *testing.T) {
		_, c := newRig(always(201, `{}`))
		r := dvOrder()
		r.SaveAsDraft = true
		_, err := c.CreateOrder(t.Context(), r)
		assert.True(t, asErr(t, err).Acted)
	})
}
