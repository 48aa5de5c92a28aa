// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext_test

import (
	"context"
	"errors"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

var (
	errBroken = errors.New("connection reset by peer")
	broken    = func(int, sent) (*http.Response, error) { return nil, errBroken }
	hangs     = func(int, sent) (*http.Response, error) { return nil, nil }
)

func TestReadsAreRepeated(t *testing.T) {
	for name, first := range map[string]func(int, sent) (*http.Response, error){
		"after a lost connection": broken,
		"after a 429":             always(429, ``),
		"after a 500":             always(500, `oops`),
		"after a 503":             always(503, `<html><title>503 Service Unavailable</title></html>`),
		"after a timeout":         hangs,
		"after an answer that broke off": func(int, sent) (*http.Response, error) {
			res := response(200, ``)
			res.Body = brokenBody{}
			return res, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, c := newRig(inTurn(first, first, always(200, meBody)))
				_, err := c.Me(t.Context())
				require.NoError(t, err)
				assert.Len(t, g.sentCalls(), 3)
			})
		})
	}
}

type brokenBody struct{}

func (brokenBody) Read([]byte) (int, error) { return 0, errBroken }
func (brokenBody) Close() error             { return nil }

func TestReadsAreNotRepeatedInVain(t *testing.T) {
	for _, status := range []int{400, 403, 404, 406, 409, 422, 501} {
		g, c := newRig(always(status, `{"detail":"no"}`))
		_, err := c.Me(t.Context())
		assert.True(t, certinext.HasStatus(err, status))
		assert.Len(t, g.sentCalls(), 1, "status %d", status)
	}
}

func TestPausesGrowAndTheLastErrorIsReturned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := newRig(inTurn(always(500, `{"detail":"first"}`), always(500, `{"detail":"middle"}`),
			always(500, `{"detail":"middle"}`), always(500, `{"detail":"middle"}`), always(503, `{"detail":"last"}`)))
		start := time.Now()
		_, err := c.Me(t.Context())
		e := asErr(t, err)
		assert.Equal(t, 503, e.Status)
		assert.Equal(t, "last", e.Detail)
		assert.Len(t, g.sentCalls(), 5)
		// 0.5 + 1 + 2 + 4 s, each half of it up or down.
		assert.GreaterOrEqual(t, time.Since(start), 3750*time.Millisecond)
		assert.LessOrEqual(t, time.Since(start), 11250*time.Millisecond)
	})
}

func TestRetriesField(t *testing.T) {
	for retries, want := range map[int]int{-1: 1, 0: 5, 1: 2, 6: 7} {
		synctest.Test(t, func(t *testing.T) {
			g, c := newRig(always(500, ``))
			c.Retries = retries
			_, err := c.Me(t.Context())
			require.Error(t, err)
			assert.Len(t, g.sentCalls(), want, "Retries: %d", retries)
		})
	}
}

func TestQuirk42RetryAfterInBothForms(t *testing.T) {
	for name, tc := range map[string]struct {
		header   func() string
		min, max time.Duration
		reported time.Duration
	}{
		"seconds": {func() string { return "7" }, 7 * time.Second, 8 * time.Second, 7 * time.Second},
		"a date": {
			func() string { return time.Now().Add(9 * time.Second).UTC().Format(http.TimeFormat) },
			8 * time.Second, 10 * time.Second, 9 * time.Second,
		},
		"an hour is waited for a minute": {func() string { return "3600" }, time.Minute, 67 * time.Second, time.Hour},
		"a date in the past":             {func() string { return "Fri, 31 Dec 1999 23:59:59 GMT" }, 0, time.Second, 0},
		"nonsense":                       {func() string { return "soon" }, 0, time.Second, 0},
		"a negative number":              {func() string { return "-5" }, 0, time.Second, 0},
		"an endless number":              {func() string { return "1e300" }, time.Minute, 67 * time.Second, 24 * time.Hour},
		"not a number":                   {func() string { return "NaN" }, 0, time.Second, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				answer := func(int, sent) (*http.Response, error) {
					return response(429, `{"detail":"slow down"}`, "Retry-After", tc.header()), nil
				}
				_, c := newRig(inTurn(answer, always(200, meBody)))
				start := time.Now()
				_, err := c.Me(t.Context())
				require.NoError(t, err)
				assert.GreaterOrEqual(t, time.Since(start), tc.min)
				assert.LessOrEqual(t, time.Since(start), tc.max)

				_, c = newRig(answer)
				c.Retries = -1
				_, err = c.Me(t.Context())
				assert.InDelta(t, tc.reported, asErr(t, err).RetryAfter, float64(time.Second))
			})
		})
	}
}

func TestPauseThatOutlastsTheContextIsNotBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := newRig(always(429, ``, "Retry-After", "50"))
		ctx, cancel := context.WithTimeout(t.Context(), 45*time.Second)
		defer cancel()
		start := time.Now()
		_, err := c.Me(ctx)
		e := asErr(t, err)
		assert.Equal(t, 429, e.Status)
		assert.Equal(t, 50*time.Second, e.RetryAfter)
		assert.Zero(t, time.Since(start))
		assert.Len(t, g.sentCalls(), 1)
	})
}

func TestEndOfTheContextKeepsTheLastError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c := newRig(always(503, `{"detail":"maintenance"}`))
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		start := time.Now()
		_, err := c.Me(ctx)
		e := asErr(t, err)
		assert.Equal(t, 503, e.Status)
		assert.Equal(t, "maintenance", e.Detail)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorContains(t, err, "gave up repeating it")
		assert.Equal(t, 2*time.Second, time.Since(start))
	})
}

func TestCreateIsSentOnce(t *testing.T) {
	for name, answer := range map[string]func(int, sent) (*http.Response, error){
		"lost connection": broken,
		"429":             always(429, ``, "Retry-After", "1"),
		"500":             always(500, ``),
		"503":             always(503, ``),
		"timeout":         hangs,
		"garbage":         always(201, `{"orderId":`),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, c := newRig(answer)
				_, err := c.CreateOrder(t.Context(), dvOrder())
				require.Error(t, err)
				assert.Len(t, g.sentCalls(), 1)
			})
		})
	}
}

func TestChangesAreRepeatedOnlyWhenCertainlyNotDone(t *testing.T) {
	revoke := every["revoke"]
	for name, tc := range map[string]struct {
		answer func(int, sent) (*http.Response, error)
		want   int
	}{
		"429 is":                 {always(429, ``), 5},
		"500 is not":             {always(500, ``), 1},
		"503 is not":             {always(503, ``, "Retry-After", "1"), 1},
		"lost connection is not": {broken, 1},
		"timeout is not":         {hangs, 1},
		"408 is not":             {always(408, ``), 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, c := newRig(tc.answer)
				require.Error(t, revoke(t.Context(), c))
				assert.Len(t, g.sentCalls(), tc.want)
			})
		})
	}
	t.Run("a connection that was never made is", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			dials, orders := 0, 0
			g, c := newRig(always(204, ``))
			c.HTTPClient = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				if r.URL.Path == "/oauth/token" {
					return g.RoundTrip(r)
				}
				httptrace.ContextClientTrace(r.Context()).GetConn(r.URL.Host)
				if r.Method == http.MethodPost && r.URL.Path == "/api/certinext/v2/ssl-certificates" {
					orders++
					return nil, errors.New("dial tcp: connection refused")
				}
				if dials++; dials < 3 {
					return nil, errors.New("dial tcp: connection refused")
				}
				return g.RoundTrip(r)
			})}
			require.NoError(t, revoke(t.Context(), c))
			assert.Equal(t, 3, dials)

			_, err := c.CreateOrder(t.Context(), dvOrder())
			assert.False(t, asErr(t, err).Acted)
			assert.Equal(t, 1, orders, "a create is not repeated even then")
		})
	})
}

func TestTimeouts(t *testing.T) {
	elapsed := func(t *testing.T, c *certinext.Client, call func(context.Context, *certinext.Client) error) time.Duration {
		start := time.Now()
		err := call(t.Context(), c)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorContains(t, err, "no answer within")
		return time.Since(start)
	}
	synctest.Test(t, func(t *testing.T) {
		_, c := newRig(hangs)
		c.HTTPClient.Timeout = time.Second // would lose orders, and is not used
		c.Retries = -1
		assert.Equal(t, 60*time.Second, elapsed(t, c, every["me"]))
		assert.Equal(t, 60*time.Second, elapsed(t, c, every["revoke"]))
		assert.Equal(t, 180*time.Second, elapsed(t, c, every["create"]))

		_, c = newRig(hangs)
		c.Retries, c.Timeout, c.CreateTimeout = -1, 3*time.Second, 4*time.Second
		assert.Equal(t, 3*time.Second, elapsed(t, c, every["me"]))
		assert.Equal(t, 4*time.Second, elapsed(t, c, every["create"]))
	})
}

func TestLimiter(t *testing.T) {
	t.Run("every request waits its turn", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, c := newRig(always(200, meBody))
			c.Limiter = rate.NewLimiter(rate.Every(time.Second), 1)
			start := time.Now()
			for range 3 { // and one for a token
				_, err := c.Me(t.Context())
				require.NoError(t, err)
			}
			assert.Equal(t, 3*time.Second, time.Since(start))
		})
	})
	t.Run("a turn that comes too late is an error, and nothing is sent", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g, c := newRig(always(201, createdBody))
			c.Limiter = rate.NewLimiter(rate.Every(time.Hour), 2)
			_, err := c.Me(t.Context()) // uses up both
			require.NoError(t, err)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			_, err = c.CreateOrder(ctx, dvOrder())
			assert.False(t, asErr(t, err).Acted)
			var late *certinext.RateError
			assert.ErrorAs(t, err, &late)
			assert.ErrorContains(t, err, "requests_per_second (0.0002777777777777778) leaves no room for this call in time")
			assert.Len(t, g.sentCalls(), 1)
		})
	})
}

// Two clients with the same seed pause alike.
func TestPausesFollowTheSeed(t *testing.T) {
	pauses := func(source io.Reader) (at []time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			limited := refuses(429, "Too many requests", "Retry-After", "9")
			g, c := newRig(nil)
			c.Rand, c.Retries = source, 7
			g.answer = func(n int, r sent) (*http.Response, error) {
				at = append(at, time.Since(start))
				return inTurn(always(503, ``), always(503, ``), limited, always(503, ``))(n, r)
			}
			_, err := c.Me(t.Context())
			require.Error(t, err)
		})
		return at
	}
	seeded := func(seed byte) io.Reader { return mathrand.NewChaCha8([32]byte{seed}) }
	first := pauses(seeded(1))
	assert.Equal(t, first, pauses(seeded(1)))
	assert.NotEqual(t, pauses(seeded(1)), pauses(seeded(2)))

	t.Run("without random bytes there are pauses nevertheless", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g, c := newRig(always(503, ``))
			_, err := c.Me(t.Context())
			require.Error(t, err)
			start := time.Now()
			spent := len(g.sentCalls())
			c.Rand = iotest.ErrReader(errBroken)
			_, err = c.Me(t.Context()) // with the token that is there already
			require.Error(t, err)
			assert.Equal(t, 500*time.Millisecond+time.Second+2*time.Second+4*time.Second, time.Since(start), "none is spread")
			assert.Len(t, g.sentCalls(), spent+5)
		})
	})
}
