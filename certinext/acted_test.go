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
)

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

// rawServer answers every connection with the same bytes, in which %s is what a malicious server would echo.
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
