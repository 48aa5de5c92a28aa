// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// over runs f on a rig without a socket and on one with.
func over(t *testing.T, f func(t *testing.T, r *rig)) {
	t.Helper()
	t.Run("in memory", func(t *testing.T) { f(t, newRig(t, verified(certinexttest.Live))) })
	t.Run("over a socket", func(t *testing.T) {
		srv := verified(certinexttest.Live)
		ts := httptest.NewServer(srv)
		t.Cleanup(ts.Close)
		r := newRig(t, srv)
		r.http, r.base = ts.Client(), ts.URL
		f(t, r)
	})
}

func create(r *rig) (answer, error) {
	return r.try("POST", sslPath, toJSON(dvOrder("www.example.com")))
}

func TestFaultsOnCreate(t *testing.T) {
	cases := map[string]struct {
		fault  certinexttest.Fault
		status int // 0 for a transport error
		orders int
		check  func(t *testing.T, a answer)
	}{
		"dropped leaves no order":           {certinexttest.Fault{Kind: certinexttest.FaultDropped}, 0, 0, nil},
		"a lost reply leaves one":           {certinexttest.Fault{Kind: certinexttest.FaultLostReply}, 0, 1, nil},
		"latency only takes time":           {certinexttest.Fault{Kind: certinexttest.FaultLatency, Delay: time.Millisecond}, 201, 1, nil},
		"a slow reply only takes time":      {certinexttest.Fault{Kind: certinexttest.FaultSlowReply, Delay: time.Millisecond}, 201, 1, nil},
		"a server error leaves no order":    {certinexttest.Fault{Kind: certinexttest.FaultServerError}, 503, 0, isProblem},
		"with a status of its own":          {certinexttest.Fault{Kind: certinexttest.FaultServerError, Status: 500}, 500, 0, isProblem},
		"a server error after leaves one":   {certinexttest.Fault{Kind: certinexttest.FaultServerErrorAfter, Status: 504}, 504, 1, isProblem},
		"an HTML page leaves no order":      {certinexttest.Fault{Kind: certinexttest.FaultHTML}, 502, 0, isHTML},
		"a spring error leaves no order":    {certinexttest.Fault{Kind: certinexttest.FaultSpring}, 500, 0, isSpring},
		"token death is a 401":              {certinexttest.Fault{Kind: certinexttest.FaultTokenDeath}, 401, 0, isProblem},
		"malformed JSON leaves an order":    {certinexttest.Fault{Kind: certinexttest.FaultMalformedJSON}, 201, 1, isNotJSON},
		"an oversized body leaves an order": {certinexttest.Fault{Kind: certinexttest.FaultOversized, Size: 1 << 20}, 201, 1, isLarge},
		"a rate limit gives seconds":        {certinexttest.Fault{Kind: certinexttest.FaultRateLimit, RetryAfter: 7 * time.Second}, 429, 0, retriesIn("7")},
		"a rate limit may give no hint":     {certinexttest.Fault{Kind: certinexttest.FaultRateLimit}, 429, 0, retriesIn("")},
		"a rate limit may give a date": {
			certinexttest.Fault{Kind: certinexttest.FaultRateLimit, RetryAfter: time.Hour, RetryAfterDate: true},
			429, 0,
			func(t *testing.T, a answer) {
				at, err := http.ParseTime(a.header.Get("Retry-After"))
				require.NoError(t, err)
				require.InDelta(t, 60, time.Until(at).Minutes(), 1)
			},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			over(t, func(t *testing.T, r *rig) {
				c.fault.Operation, c.fault.Times = certinexttest.OpCreateSSL, 1
				r.srv.Inject(c.fault)
				a, err := create(r)
				require.Len(t, r.srv.Orders(), c.orders)
				require.Equal(t, 1, r.srv.Calls()[certinexttest.OpCreateSSL])
				if c.status == 0 {
					require.Error(t, err)
				} else {
					require.NoError(t, err)
					require.Equal(t, c.status, a.status)
				}
				if c.check != nil {
					c.check(t, a)
				}
				r.login()
				a, err = create(r)
				require.NoError(t, err, "a fault is over when it is spent")
				require.Equal(t, 201, a.status)
			})
		})
	}
}

func isProblem(t *testing.T, a answer) {
	t.Helper()
	require.Equal(t, "application/problem+json", a.header.Get("Content-Type"))
}

func isHTML(t *testing.T, a answer) {
	t.Helper()
	require.Equal(t, "text/html", a.header.Get("Content-Type"))
	require.Contains(t, string(a.body), "<html>")
}

func isSpring(t *testing.T, a answer) {
	t.Helper()
	require.Contains(t, string(a.body), `"timestamp"`)
	require.Contains(t, string(a.body), `"error":"Internal Server Error"`)
}

func isNotJSON(t *testing.T, a answer) {
	t.Helper()
	require.False(t, json.Valid(a.body))
}

func isLarge(t *testing.T, a answer) {
	t.Helper()
	require.Greater(t, len(a.body), 1<<20)
	require.True(t, json.Valid(a.body))
}

func retriesIn(want string) func(*testing.T, answer) {
	return func(t *testing.T, a answer) {
		t.Helper()
		require.Equal(t, want, a.header.Get("Retry-After"))
	}
}

func TestTruncatedBody(t *testing.T) {
	over(t, func(t *testing.T, r *rig) {
		r.srv.Inject(certinexttest.Fault{Kind: certinexttest.FaultTruncated, Times: 1})
		a, err := create(r)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		require.Equal(t, 201, a.status)
		require.NotEmpty(t, a.body)
		require.Len(t, r.srv.Orders(), 1)
	})
}

func TestFaultsOnDownload(t *testing.T) {
	r := newRig(t, verified(certinexttest.Live))
	id, key := r.issued("www.example.com")
	right := r.certificate(id)

	r.srv.Inject(certinexttest.Fault{Operation: certinexttest.OpCertificate, Kind: certinexttest.FaultWrongKey, Times: 1})
	wrong := r.certificate(id)
	require.NotEqual(t, key.Public(), wrong.PublicKey)
	require.Equal(t, right.DNSNames, wrong.DNSNames)
	require.NotEqual(t, right.SerialNumber, wrong.SerialNumber)
	require.True(t, right.Equal(r.certificate(id)))

	r.srv.Inject(certinexttest.Fault{Kind: certinexttest.FaultRootFirst, Times: 1})
	chain := r.get(sslPath + "/" + id + "/certificate").must(200)["chainPem"].([]any)
	root := leaf(t, chain[0].(string))
	require.Equal(t, root.RawSubject, root.RawIssuer)
}

func TestFaultsAreCountedSkippedAndCleared(t *testing.T) {
	r := newRig(t, new(certinexttest.Server))
	failed := func() bool { return r.get(api+"/groups").status != 200 }
	r.srv.Inject(certinexttest.Fault{Operation: certinexttest.OpGroups, Kind: certinexttest.FaultServerError, Times: 2, Skip: 1})
	require.Equal(t, []bool{false, true, true, false}, []bool{failed(), failed(), failed(), failed()})

	r.srv.Inject(certinexttest.Fault{Kind: certinexttest.FaultServerError})
	for range 5 {
		require.True(t, failed())
	}
	r.srv.ClearFaults()
	require.False(t, failed())

	r.srv.Inject(certinexttest.Fault{Kind: certinexttest.FaultServerError, Probability: 0.5})
	outcomes := map[bool]int{}
	for range 200 {
		outcomes[failed()]++
	}
	require.InDelta(t, 100, outcomes[true], 60)
}

func TestImpossibleFaultsPanic(t *testing.T) {
	for name, f := range map[string]certinexttest.Fault{
		"no kind":              {},
		"an unknown kind":      {Kind: "smoke"},
		"an unknown operation": {Kind: certinexttest.FaultHTML, Operation: "create"},
		"a negative count":     {Kind: certinexttest.FaultHTML, Times: -1},
		"a status of success":  {Kind: certinexttest.FaultHTML, Status: 200},
	} {
		t.Run(name, func(t *testing.T) {
			require.Panics(t, func() { new(certinexttest.Server).Inject(f) })
		})
	}
}

func TestLatencyEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for kind, orders := range map[certinexttest.FaultKind]int{
			certinexttest.FaultLatency:   0,
			certinexttest.FaultSlowReply: 1,
		} {
			r := newRig(t, verified(certinexttest.Live))
			r.srv.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: kind, Delay: time.Hour})
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			start := time.Now()
			_, err := r.tryContext(ctx, "POST", sslPath, toJSON(dvOrder("www.example.com")))
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Equal(t, time.Minute, time.Since(start))
			cancel()
			synctest.Wait()
			require.Len(t, r.srv.Orders(), orders, kind)
		}
	})
}

func TestLostReplyUnderAnIdempotencyKeyIsReplayed(t *testing.T) {
	r := newRig(t, verified(certinexttest.Documented))
	r.srv.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultLostReply, Times: 1})
	_, err := r.try("POST", sslPath, toJSON(dvOrder("www.example.com")), "Idempotency-Key", "k1")
	require.Error(t, err)
	id := r.order(dvOrder("www.example.com"), "Idempotency-Key", "k1")
	require.Len(t, r.srv.Orders(), 1)
	require.Equal(t, id, r.srv.Orders()[0].ID)
	require.Equal(t, 2, r.srv.Orders()[0].Creates)
}

func TestHooksSurroundTheStateChange(t *testing.T) {
	var seen []int
	srv := verified(certinexttest.Live)
	hook := func(op string, r *http.Request) {
		if op == certinexttest.OpCreateSSL {
			require.Equal(t, sslPath, r.URL.Path)
			seen = append(seen, len(srv.Orders()))
		}
	}
	srv.BeforeCall, srv.AfterCall = hook, hook
	r := newRig(t, srv)
	r.order(dvOrder("www.example.com"))
	require.Equal(t, []int{0, 1}, seen)
}

func TestAHookMayKillTheReply(t *testing.T) {
	srv := verified(certinexttest.Live)
	r := newRig(t, srv)
	srv.AfterCall = func(op string, _ *http.Request) {
		if op == certinexttest.OpCreateSSL {
			panic(http.ErrAbortHandler)
		}
	}
	_, err := create(r)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Len(t, srv.Orders(), 1)
}
