// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

func TestUnknownSpellings(t *testing.T) {
	eachDialect(t, func(t *testing.T, d certinexttest.Dialect) {
		srv := verified(d)
		srv.Unknowns = certinexttest.Unknowns{
			NumericIDs: true, CapitalStatuses: true, Timestamps: certinexttest.TimestampsWithoutZone,
		}
		r := newRig(t, srv)
		created := r.post(sslPath, dvOrder("www.example.com"), "X-Product-Code", "842", "Idempotency-Key", "77").must(201)
		if d != certinexttest.Documented {
			require.IsType(t, 1.0, created["orderId"], "a number")
			require.Regexp(t, `^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$`, created["createdAt"])
		}
		require.Equal(t, "PENDING-CSR", created["status"])
	})
}

func TestUnknownNotifications(t *testing.T) {
	for _, c := range []struct {
		takes  certinexttest.NotificationsType
		value  any
		status int
	}{
		{certinexttest.NotificationsEither, "all", 201},
		{certinexttest.NotificationsEither, []string{"all"}, 201},
		{certinexttest.NotificationsText, "all", 201},
		{certinexttest.NotificationsText, []string{"all"}, 400},
		{certinexttest.NotificationsList, "all", 400},
		{certinexttest.NotificationsList, []string{"all"}, 201},
	} {
		srv := verified(certinexttest.Live)
		srv.Unknowns.Notifications = c.takes
		r := newRig(t, srv)
		answer := r.post(sslPath, merge(dvOrder("www.example.com"), m{"emailNotifications": c.value}), "X-Product-Code", "842")
		require.Equal(t, c.status, answer.status, "%v %v %s", c.takes, c.value, answer.body)
	}
}

func TestUnknownReportDays(t *testing.T) {
	at := time.Date(2026, 5, 12, 20, 0, 0, 0, time.UTC) // the 13th in India
	for _, c := range []struct {
		days     certinexttest.ReportDays
		from, to string
		rows     float64
	}{
		{certinexttest.DaysInclusive, "2026-05-12", "2026-05-12", 1},
		{certinexttest.DaysInclusive, "2026-05-13", "", 0},
		{certinexttest.DaysToExclusive, "2026-05-12", "2026-05-12", 0},
		{certinexttest.DaysToExclusive, "2026-05-12", "2026-05-13", 1},
		{certinexttest.DaysIndian, "2026-05-13", "2026-05-13", 1},
		{certinexttest.DaysIndian, "", "2026-05-12", 0},
		{certinexttest.DaysIgnored, "2030-01-01", "", 1},
	} {
		srv := verified(certinexttest.Live)
		srv.Unknowns.ReportDays = c.days
		srv.Now = func() time.Time { return at }
		r := newRig(t, srv)
		r.order(dvOrder("www.example.com"))
		query := url.Values{"from": {c.from}}
		if c.to != "" {
			query.Set("to", c.to)
		}
		got := r.get(api + "/reports/orders?" + query.Encode()).must(200)
		require.InDelta(t, c.rows, got["totalElements"], 0, "%v %s %s: %v", c.days, c.from, c.to, got)
	}
}

func TestUnknownValidation(t *testing.T) {
	srv := new(certinexttest.Server)
	srv.Unknowns.NoFileValidation = true
	srv.Unknowns.FirstChallengeOnly = true
	r := newRig(t, srv)
	id := r.order(merge(dvOrder("a.example.com"), m{
		"productVariant": "dv-ucc",
		"certificate":    m{"domain": "a.example.com", "additionalDomains": []string{"b.example.com"}},
	}), "X-Product-Code", "844")
	path := sslPath + "/" + id + "/dcv"
	r.get(path+"?method=http-url").refused(422, "EMS-1158")
	first := r.get(path + "?domain=a.example.com").must(200)
	require.Equal(t, first, r.get(path+"?domain=b.example.com").must(200))
	require.NotEmpty(t, first)
}
