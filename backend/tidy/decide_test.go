// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package tidy

import (
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/orders"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/reuse"
	"github.com/stretchr/testify/require"
)

var now = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// whole wants everything tidied.
func whole(change func(*Request)) decider {
	r := NewRequest()
	r.CertStore, r.RevokedCerts, r.Orders, r.RefusedOrders = true, true, true, true
	r.ReuseKeys, r.PersonalData = true, true
	if change != nil {
		change(r)
	}
	return decider{request: *r, now: now}
}

func TestWhyACertificateStays(t *testing.T) {
	// gone is what lets a certificate go; each case has one thing otherwise.
	gone := func(change func(*certificates.ErasureFacts)) certificates.ErasureFacts {
		f := certificates.ErasureFacts{NotAfter: now.Add(-defaultSafetyBuffer), Looked: true}
		change(&f)
		return f
	}
	type facts = certificates.ErasureFacts
	for name, c := range map[string]struct {
		change  func(*facts)
		request func(*Request)
		want    Reason
	}{
		"nothing needs it":      {change: func(*facts) {}, want: goes},
		"it is valid":           {change: func(f *facts) { f.NotAfter = now.Add(1) }, want: ReasonNotExpired},
		"it has just expired":   {change: func(f *facts) { f.NotAfter = now }, want: ReasonBuffer},
		"the buffer ends later": {change: func(f *facts) { f.NotAfter = f.NotAfter.Add(1) }, want: ReasonBuffer},
		"a lease runs":          {change: func(f *facts) { f.LastLease = now.Add(1) }, want: ReasonLease},
		"its lease is over":     {change: func(f *facts) { f.LastLease = now }, want: goes},
		"its revocation waits":  {change: func(f *facts) { f.Queued = true }, want: ReasonRevoking},
		"its order is open":     {change: func(f *facts) { f.OrderOpen = true }, want: ReasonOpen},
		"a valid one names it":  {change: func(f *facts) { f.Linked = true }, want: ReasonLinked},
		"it answers requests":   {change: func(f *facts) { f.Reused = true }, want: ReasonReused},
		"its term runs": {
			change: func(f *facts) { f.SubscriptionEnds = now.Add(1) }, want: ReasonSubscription,
		},
		"its term is over": {change: func(f *facts) { f.SubscriptionEnds = now }, want: goes},
		"its term runs, by a newer one": {
			change: func(f *facts) { f.SubscriptionEnds, f.Superseded = now.Add(1), true }, want: goes,
		},
		"its term has ended with its revocation": {
			change: func(f *facts) { f.SubscriptionEnds, f.Revoked = now.Add(1), true }, want: goes,
		},
		"nobody wants those tidied": {
			change: func(*facts) {}, request: func(r *Request) { r.CertStore = false },
			want: ReasonNotAsked,
		},
		"nobody wants revoked ones tidied": {
			change:  func(f *facts) { f.Revoked = true },
			request: func(r *Request) { r.RevokedCerts = false }, want: ReasonNotAsked,
		},
		"what is not known yet is not asked": {
			change: func(f *facts) { f.Looked, f.SubscriptionEnds = false, now.Add(1) }, want: goes,
		},
	} {
		require.Equal(t, c.want, whole(c.request).certificate(gone(c.change)), name)
	}
}

func TestWhyTheRecordOfAnOrderStays(t *testing.T) {
	type facts = orders.ErasureFacts
	old := now.Add(-spendHistory)
	gone := func(change func(*facts)) facts {
		f := facts{AskedAt: old, EndedAt: old, MayCost: true, Looked: true}
		change(&f)
		return f
	}
	for name, c := range map[string]struct {
		change           func(*facts)
		request          func(*Request)
		record, personal Reason
	}{
		"nothing needs it": {change: func(*facts) {}},
		"it is open": {
			change: func(f *facts) { f.Open = true }, record: ReasonOpen, personal: ReasonOpen,
		},
		"it was asked for in the past year": {
			change: func(f *facts) { f.AskedAt = old.Add(1) }, record: ReasonSpending,
		},
		"it has ended lately": {
			change: func(f *facts) { f.EndedAt = old.Add(1) }, record: ReasonBuffer,
		},
		"it has just ended": {
			change: func(f *facts) { f.EndedAt = now }, record: ReasonBuffer, personal: ReasonBuffer,
		},
		"history may be lost": {
			change:   func(f *facts) { f.AskedAt, f.EndedAt = now.Add(-day), now.Add(-day) },
			request:  func(r *Request) { r.OrderBuffer, r.LoseSpending = day, true },
			personal: ReasonBuffer,
		},
		"it cost nothing, and a buffer has passed": {
			change: func(f *facts) {
				f.NeverTaken, f.MayCost = true, false
				f.AskedAt, f.EndedAt = now.Add(-30*day), now.Add(-30*day)
			},
		},
		"it cost nothing, and has ended lately": {
			change: func(f *facts) {
				f.NeverTaken, f.MayCost = true, false
				f.AskedAt, f.EndedAt = now.Add(-30*day), now.Add(-30*day+1)
			},
			record: ReasonBuffer, personal: ReasonBuffer,
		},
		"a client has named it": {
			change: func(f *facts) { f.Named = true }, record: ReasonNamed,
		},
		"a client has named it, and may buy again": {
			change: func(f *facts) { f.Named = true }, request: func(r *Request) { r.NamedOrders = true },
		},
		"its certificate is stored": {
			change: func(f *facts) { f.Certificates = true }, record: ReasonCertificate,
		},
		"its certificate is valid": {
			change: func(f *facts) { f.Certificates, f.Unrevoked, f.LiveUntil = true, true, now.Add(1) },
			record: ReasonCertificate, personal: ReasonNotExpired,
		},
		"its certificate may be reissued": {
			change: func(f *facts) {
				f.Certificates, f.Unrevoked, f.SubscriptionEnds = true, true, now.Add(1)
			},
			record: ReasonSubscription, personal: ReasonSubscription,
		},
		"its certificate is revoked": {
			change: func(f *facts) { f.Certificates, f.SubscriptionEnds = true, now.Add(1) },
			record: ReasonCertificate,
		},
		"it says what became of another one": {
			change: func(f *facts) { f.Linked = true }, record: ReasonLinked,
		},
		"nobody wants those tidied": {
			change:  func(*facts) {},
			request: func(r *Request) { r.Orders, r.PersonalData = false, false },
			record:  ReasonNotAsked, personal: ReasonNotAsked,
		},
		"nobody wants refused ones tidied": {
			change:  func(f *facts) { f.NeverTaken, f.MayCost = true, false },
			request: func(r *Request) { r.RefusedOrders = false }, record: ReasonNotAsked,
		},
	} {
		d, f := whole(c.request), gone(c.change)
		require.Equal(t, c.record, d.record(f), name)
		require.Equal(t, c.personal, d.personal(f), name)
	}
}

func TestWhyAKeyStays(t *testing.T) {
	require.Equal(t, ReasonReused, whole(nil).kept(&reuse.Kept{Until: now.Add(1)}))
	require.Equal(t, goes, whole(nil).kept(&reuse.Kept{Until: now}))
}

func TestWhatMayBeRequested(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Request)
		field  string
	}{
		"the defaults":         {change: func(*Request) {}},
		"no buffer":            {change: func(r *Request) { r.SafetyBuffer = 0 }, field: "safety_buffer"},
		"a buffer of a minute": {change: func(r *Request) { r.RefusedBuffer = time.Minute }, field: "refused_order_safety_buffer"},
		"a pause of a day":     {change: func(r *Request) { r.Pause = day }, field: "pause_duration"},
		"a pause of less than none": {
			change: func(r *Request) { r.Pause = -1 }, field: "pause_duration",
		},
		"history that is lost unsaid": {
			change: func(r *Request) { r.Orders, r.OrderBuffer = true, spendHistory-1 },
			field:  "order_safety_buffer",
		},
		"history that is lost": {
			change: func(r *Request) { r.Orders, r.OrderBuffer, r.LoseSpending = true, day, true },
		},
	} {
		r := NewRequest()
		c.change(r)
		err := r.Validate()
		if c.field == "" {
			require.NoError(t, err, name)
			continue
		}
		require.ErrorContains(t, err, c.field+":", name)
	}
}

// A cursor is a key; what comes before it in the order of a run is not looked at again.
func TestWhereARunGoesOn(t *testing.T) {
	all := stages()
	for cursor, want := range map[string][]bool{ // cert/, revoked/, order/closed/web-2/, …/web/
		"":                     {true, true, true, true},
		"cert/01":              {true, true, true, true},
		"revoked/01":           {false, true, true, true},
		"order/closed/web-2/a": {false, false, true, true},
		"order/closed/web/a":   {false, false, false, true},
		"reuse/key/web/a":      {false, false, false, false},
	} {
		got := []bool{
			isAhead(all[0], "cert/", cursor), isAhead(all[1], "revoked/", cursor),
			isAhead(all[2], "order/closed/web-2/", cursor), isAhead(all[2], "order/closed/web/", cursor),
		}
		require.Equal(t, want, got, cursor)
	}
}
