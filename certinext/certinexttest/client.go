// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// Client returns an HTTP client whose requests, whatever their host, are
// answered by s without a socket. Cancelling a request's context ends it at
// once, while the server may still finish the work, as over a network.
func (s *Server) Client() *http.Client {
	return &http.Client{Transport: handlerTransport{s}}
}

// handlerTransport is a RoundTripper in front of a handler.
type handlerTransport struct {
	handler http.Handler
}

// RoundTrip runs the handler in a goroutine of its own and waits for it or for
// the request's context, whichever ends first. An answer that is there when the
// context ends is taken.
func (t handlerTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		defer req.Body.Close()
	}
	incoming, err := asReceived(req)
	if err != nil {
		return nil, err
	}
	rec := &recorder{header: make(http.Header)}
	done := make(chan any, 1)
	go func() {
		defer func() { done <- recover() }()
		t.handler.ServeHTTP(rec, incoming)
	}()
	p, ended := await(req.Context(), done)
	if !ended {
		return nil, req.Context().Err()
	}
	res, err := rec.response(req, p)
	if gone := req.Context().Err(); err != nil && gone != nil {
		// A handler that hangs up because its caller has left is no lost connection.
		return nil, gone
	}
	return res, err
}

// await waits for the handler's end and returns what it panicked with. It
// prefers that to the end of ctx, so that chance has no say in which of the two
// a caller sees when both are there.
func await(ctx context.Context, done <-chan any) (panicked any, ended bool) {
	select {
	case p := <-done:
		return p, true
	case <-ctx.Done():
	}
	select {
	case p := <-done:
		return p, true
	default:
		return nil, false
	}
}

// asReceived turns an outgoing request into the one a server would see.
func asReceived(req *http.Request) (*http.Request, error) {
	in := req.Clone(req.Context())
	in.Body = http.NoBody
	if req.Body != nil {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		in.Body = io.NopCloser(bytes.NewReader(body))
	}
	if in.Host == "" {
		in.Host = req.URL.Host
	}
	if req.URL.Scheme == "https" {
		in.TLS = &tls.ConnectionState{}
	}
	in.RequestURI = req.URL.RequestURI()
	in.RemoteAddr = "127.0.0.1:1"
	in.URL.Scheme, in.URL.Host = "", ""
	return in, nil
}

// A recorder keeps what a handler writes.
type recorder struct {
	mu     sync.Mutex
	header http.Header
	status int
	sent   http.Header
	body   bytes.Buffer
}

// Header returns the header of the answer.
func (r *recorder) Header() http.Header { return r.header }

// WriteHeader fixes status and header.
func (r *recorder) WriteHeader(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.begin(status)
}

func (r *recorder) begin(status int) {
	if r.status == 0 {
		r.status, r.sent = status, r.header.Clone()
	}
}

// Write adds to the body.
func (r *recorder) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.begin(http.StatusOK)
	return r.body.Write(b)
}

// response is what came over the wire. A handler that aborted before it wrote
// anything leaves a transport error, one that aborted later a short body.
func (r *recorder) response(req *http.Request, panicked any) (*http.Response, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	cause, _ := panicked.(error)
	switch {
	case panicked != nil && !errors.Is(cause, http.ErrAbortHandler):
		panic(panicked)
	case panicked != nil && r.status == 0:
		return nil, fmt.Errorf(
			"%s %s: connection lost: %w", req.Method, req.URL.Redacted(), io.ErrUnexpectedEOF,
		)
	}
	r.begin(http.StatusOK)
	var body io.Reader = bytes.NewReader(r.body.Bytes())
	length := int64(r.body.Len())
	if panicked != nil {
		body = io.MultiReader(body, brokenReader{})
		length = declaredLength(r.sent)
	}
	return &http.Response{
		Status: strconv.Itoa(r.status) + " " + http.StatusText(r.status), StatusCode: r.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: r.sent, Body: io.NopCloser(body), ContentLength: length, Request: req,
	}, nil
}

func declaredLength(h http.Header) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(h.Get("Content-Length")), 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// brokenReader is the end of a connection that was cut.
type brokenReader struct{}

// Read fails.
func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
