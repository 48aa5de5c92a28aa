// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package reuse

import (
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/renewal"
	"github.com/stretchr/testify/require"
)

func TestWhatAnswersARequest(t *testing.T) {
	const day = 24 * time.Hour
	issued := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		change func(c *Candidate, w *Wish, at *Clock)
		why    string
	}{
		"the same request":  {},
		"another requester": {func(_ *Candidate, w *Wish, _ *Clock) { w.Requester = "b" }, "requester"},
		"other terms":       {func(_ *Candidate, w *Wish, _ *Clock) { w.Terms = "u" }, "something else"},
		"no terms on either side": {
			func(c *Candidate, w *Wish, _ *Clock) { c.Terms, w.Terms = "", "" }, "something else",
		},
		"revoked":    {func(c *Candidate, _ *Wish, _ *Clock) { c.Revoked = true }, "is revoked"},
		"ending":     {func(c *Candidate, _ *Wish, _ *Clock) { c.Ending = true }, "to be revoked"},
		"held":       {func(c *Candidate, _ *Wish, _ *Clock) { c.Held = true }, "held"},
		"superseded": {func(c *Candidate, _ *Wish, _ *Clock) { c.Superseded = true }, "replaced"},
		"before renew_after": {func(c *Candidate, _ *Wish, at *Clock) {
			at.Now = renewal.After(c.Serial, c.Life).Add(-time.Second)
			at.Corrected = at.Now
		}, ""},
		"at renew_after": {func(c *Candidate, _ *Wish, at *Clock) {
			at.Now = renewal.After(c.Serial, c.Life)
			at.Corrected = at.Now
		}, "to be renewed"},
		"by this clock alone, which may be ahead": {func(_ *Candidate, _ *Wish, at *Clock) {
			at.Now = issued.Add(80 * day)
		}, ""},
		"by a clock in doubt": {func(_ *Candidate, _ *Wish, at *Clock) {
			at.Now, at.Corrected, at.InDoubt = issued.Add(80*day), issued.Add(80*day), true
		}, ""},
		"expired by a clock in doubt": {func(_ *Candidate, _ *Wish, at *Clock) {
			at.Now, at.Corrected, at.InDoubt = issued.Add(91*day), issued.Add(91*day), true
		}, "expired"},
		"reuse_for is over": {func(_ *Candidate, w *Wish, _ *Clock) { w.For = day }, "renewed"},
		"reuse_for goes on": {func(_ *Candidate, w *Wish, _ *Clock) { w.For = 3 * day }, ""},
	} {
		c := Candidate{
			Serial: "0a-1b", Requester: "a", Terms: "t", Received: issued,
			Life: renewal.Life{NotBefore: issued, NotAfter: issued.Add(90 * day)},
		}
		w := Wish{Requester: "a", Terms: "t"}
		at := Clock{Now: issued.Add(2 * day), Corrected: issued.Add(2 * day)}
		if test.change != nil {
			test.change(&c, &w, &at)
		}
		why := Why(c, w, at)
		if test.why == "" {
			require.Empty(t, why, name)
			continue
		}
		require.Contains(t, why, test.why, name)
	}
}

// Whichever share of a certificate's life a client renews at, it is not answered with one that is
// due: pkiCert templates at nine tenths, cert-manager at two thirds, others at renew_after.
func TestNoClientRenewsAtOnceWhatItIsAnsweredWith(t *testing.T) {
	issued := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	for _, days := range []int{10, 47, 100, 199} {
		life := renewal.Life{NotBefore: issued, NotAfter: issued.AddDate(0, 0, days)}
		until := Until(Candidate{Serial: "0a-1b", Life: life, Received: issued}, Wish{})
		share := float64(until.Sub(issued)) / float64(life.NotAfter.Sub(issued))
		require.LessOrEqual(t, share, 2.0/3)
		require.Greater(t, share, 0.6)
	}
}

// What CERTInext renews by itself is reused until then, and its key is kept for what it makes.
func TestTheKeyOfWhatTheCARenewsIsKept(t *testing.T) {
	issued := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	ends := issued.AddDate(0, 0, 100)
	c := Candidate{
		Serial: "0a-1b", Requester: "a", Terms: "t", Received: issued,
		Life: renewal.Life{NotBefore: issued, NotAfter: ends},
	}
	w := Wish{Requester: "a", Terms: "t"}
	at := func(days int) Clock {
		now := issued.AddDate(0, 0, days)
		return Clock{Now: now, Corrected: now}
	}
	require.Equal(t, Until(c, w), KeyUntil(c, w))
	require.False(t, KeepsKey(c, w, at(69)), "nobody renews it")
	c.RenewsAt = issued.AddDate(0, 0, 70)
	require.Equal(t, c.RenewsAt, Until(c, w))
	require.Equal(t, ends, KeyUntil(c, w))
	require.Empty(t, Why(c, w, at(69)))
	require.NotEmpty(t, Why(c, w, at(70)))
	c.Superseded = true
	require.True(t, KeepsKey(c, w, at(99)), "what CERTInext has made is for this key")
	require.False(t, KeepsKey(c, w, at(100)))
	require.True(t, KeepsKey(c, w, Clock{Now: ends, Corrected: issued}), "by both clocks")
	c.RenewsAt = issued.AddDate(0, 0, 50)
	require.Equal(t, renewal.After(c.Serial, c.Life), Until(c, w), "never earlier for that")

	require.False(t, KeepsKey(c, Wish{Requester: "b", Terms: "t"}, at(1)))
	require.False(t, KeepsKey(c, Wish{Requester: "a", Terms: "u"}, at(1)))
	w.For = 24 * time.Hour
	require.Equal(t, issued.Add(w.For), KeyUntil(c, w))
	w.For = 0
	for _, ended := range []func(*Candidate){
		func(c *Candidate) { c.Revoked = true }, func(c *Candidate) { c.Ending = true },
		func(c *Candidate) { c.Held = true }, func(c *Candidate) { c.Terms = "" },
	} {
		over := c
		ended(&over)
		require.False(t, KeepsKey(over, w, at(1)))
	}
}
