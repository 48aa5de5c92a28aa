// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

func TestSandboxClockSkew(t *testing.T) {
	eachDialect(t, func(t *testing.T, srv *certinexttest.Server) {
		c := sandbox(srv)
		c.Retries = -1
		ahead := time.Duration(0)
		srv.Now = func() time.Time { return time.Now().Add(ahead) }
		_, known := c.ClockSkew()
		assert.False(t, known, "nothing was asked yet")
		expect := func(want time.Duration, why string) {
			t.Helper()
			skew, known := c.ClockSkew()
			assert.True(t, known)
			assert.InDelta(t, want, skew, float64(time.Second), why)
		}
		if srv.Dialect != certinexttest.Live { // a signature bears the time
			_, err := c.Me(t.Context())
			require.NoError(t, err)
			expect(0, "a success")
		}
		ahead = -60 * time.Second
		_, err := c.Me(t.Context())
		require.NoError(t, err)
		expect(ahead, "a success")
		ahead = -2 * time.Minute
		_, err = c.TrackOrder(t.Context(), certinext.FamilySSL, "1")
		require.True(t, certinext.IsRefusal(err))
		expect(ahead, "a refusal of CERTInext's own")

		for _, status := range []int{200, 204, 403, 502} {
			ahead += time.Hour
			srv.Inject(certinexttest.Fault{Kind: certinexttest.FaultMiddleman, Operation: certinexttest.OpMe, Status: status, Times: 1})
			_, err = c.Me(t.Context())
			require.Error(t, err, status)
			expect(-2*time.Minute, "somebody in between has a clock of his own")
		}
	})
}

func TestClockSkewOfHostileDates(t *testing.T) {
	const century = 100 * 365 * 24 * time.Hour
	now := time.Date(2026, 5, 12, 13, 0, 0, 0, time.UTC)
	for date, want := range map[string]struct {
		skew  time.Duration
		known bool
	}{
		now.Add(90 * time.Minute).Format(http.TimeFormat): {90 * time.Minute, true},
		now.Add(-time.Hour).Format(http.TimeFormat):       {-time.Hour, true},
		"Fri, 31 Dec 9999 23:59:59 GMT":                   {century, true},
		"Mon, 01 Jan 0001 00:00:00 GMT":                   {-century, true},
		"":                                                {0, false},
		"soon":                                            {0, false},
		"2026-05-12T13:00:00Z":                            {0, false},
	} {
		_, c := newRig(always(200, meBody, "Date", date))
		c.Now = func() time.Time { return now }
		_, err := c.Me(t.Context())
		require.NoError(t, err)
		skew, known := c.ClockSkew()
		assert.Equal(t, want.known, known, date)
		assert.InDelta(t, want.skew, skew, float64(time.Second), date)
	}
	t.Run("the token endpoint may be somebody in between until a token has proved good", func(t *testing.T) {
		g, c := newRig(always(403, `<html></html>`))
		g.token = func(int, context.Context) (*http.Response, error) {
			return response(200, grantBody("t", "3600"), "Date", now.Add(time.Hour).Format(http.TimeFormat)), nil
		}
		_, err := c.Me(t.Context())
		require.Error(t, err)
		_, known := c.ClockSkew()
		assert.False(t, known)
	})
	t.Run("an answer from a cache tells when it was made", func(t *testing.T) {
		date := now.Add(-time.Hour).Format(http.TimeFormat)
		for age, known := range map[string]bool{"3600": false, "0": true} {
			_, c := newRig(always(200, meBody, "Date", date, "Age", age))
			c.Now = func() time.Time { return now }
			_, err := c.Me(t.Context())
			require.NoError(t, err)
			_, got := c.ClockSkew()
			assert.Equal(t, known, got, age)
		}
	})
	t.Run("an answer without a date leaves the last one", func(t *testing.T) {
		_, c := newRig(inTurn(always(200, meBody, "Date", now.Add(time.Hour).Format(http.TimeFormat)), always(200, meBody)))
		c.Now = func() time.Time { return now }
		for range 2 {
			_, err := c.Me(t.Context())
			require.NoError(t, err)
			skew, known := c.ClockSkew()
			assert.True(t, known)
			assert.InDelta(t, time.Hour, skew, float64(time.Second))
		}
	})
}

// The Client's clock jumps between two answers.
func TestClockSkewSeesAJumpAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ahead time.Duration
		_, c := newRig(func(int, sent) (*http.Response, error) {
			return response(200, meBody, "Date", time.Now().UTC().Format(http.TimeFormat)), nil
		})
		c.Now = func() time.Time { return time.Now().Add(ahead) }
		_, err := c.Me(t.Context())
		require.NoError(t, err)
		for _, jump := range []time.Duration{0, 60 * 24 * time.Hour, -2 * time.Hour} {
			ahead = jump
			time.Sleep(time.Hour)
			skew, known := c.ClockSkew()
			assert.True(t, known)
			assert.InDelta(t, -jump, skew, float64(time.Second))
		}
	})
}
