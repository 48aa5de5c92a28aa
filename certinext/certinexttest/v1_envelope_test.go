// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"crypto/rand"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

func TestV1Envelope(t *testing.T) {
	eachDialect(t, func(t *testing.T, d certinexttest.Dialect) {
		r := newRig(t, &certinexttest.Server{Dialect: d})
		head := v1Meta(time.Now(), nil)
		a := r.call("ValidateCredentials", m{"meta": head})
		meta := a.ok()["meta"].(m)
		require.Len(t, meta, 6)
		require.Equal(t, head["txn"], meta["txn"], "the answer names the request")
		for k, v := range meta {
			require.IsType(t, "", v, "%s is a string", k)
		}
		ts, err := time.Parse(time.RFC3339, meta["ts"].(string))
		require.NoError(t, err)
		require.WithinDuration(t, time.Now(), ts, 5*time.Second)
		require.True(t, strings.HasSuffix(meta["ts"].(string), "+05:30"))

		require.Equal(t, "true", a.header.Get("Deprecation"))
		require.Equal(t, `<http://ca.test/api/certinext/v2/auth/me>; rel="successor-version"`, a.header.Get("Link"))
		require.Empty(t, a.header.Get("X-API-Version"), "that is version 2")
		require.Equal(t, "application/json;charset=UTF-8", a.header.Get("Content-Type"))
		require.Equal(t, 1, r.srv.Calls()[certinexttest.OpMe])
	})
}

func TestV1RefusesABadHead(t *testing.T) {
	now := time.Now()
	stamp := func(at time.Time, layout string) m {
		ts, txn := at.Format(layout), rand.Text()[:20]
		return m{"ts": ts, "txn": txn, "authKey": v1Key(ts, txn)}
	}
	txn := func(txn string) m {
		ts := now.UTC().Format(time.RFC3339)
		return m{"ts": ts, "txn": txn, "authKey": v1Key(ts, txn)}
	}
	const zoneless = "2006-01-02T15:04:05"
	indian := time.FixedZone("", 19800)
	cases := map[string]struct {
		change m
		code   string // "ok" for success
	}{
		"an offset counts":                     {stamp(now.In(indian), "2006-01-02T15:04:05-07:00"), "ok"},
		"no offset is Indian time":             {stamp(now.In(indian), zoneless), "ok"},
		"UTC without an offset is stale":       {stamp(now.UTC(), zoneless), "EMS-910"},
		"an old ts is stale":                   {stamp(now.Add(-6*time.Minute).UTC(), time.RFC3339), "EMS-910"},
		"a ts to come is stale, too":           {stamp(now.Add(6*time.Minute).UTC(), time.RFC3339), "EMS-910"},
		"a ts that is no time is refused":      {stamp(now.UTC(), time.RFC1123), "EMS-910"},
		"a missing ts is named":                {m{"ts": nil}, "EMS-1133"},
		"a missing version is named":           {m{"ver": nil}, "EMS-1131"},
		"another version is refused":           {m{"ver": "2.0"}, "EMS-911"},
		"a missing txn is named":               {m{"txn": nil}, "EMS-908"},
		"a txn of 9 characters is too short":   {txn("123456789"), "EMS-909"},
		"a txn of 51 characters is too long":   {txn(strings.Repeat("1", 51)), "EMS-909"},
		"a txn with a dash is refused":         {txn("0123456789-a"), "EMS-909"},
		"another account is refused":           {m{"accountNumber": "1234567891"}, "EMS-913"},
		"a signature over other words is bad":  {m{"authKey": v1Key("x", "y")}, "EMS-1065"},
		"the access key itself is no authKey":  {m{"authKey": "sandbox-access-key"}, "EMS-1065"},
		"neither a signature nor a token":      {m{"authKey": ""}, "EMS-1066"},
		"an unknown member of meta is refused": {m{"groupNumber": "1"}, "EMS-902"},
		"a number for a string is refused":     {m{"ver": 1.0}, "EMS-902"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			a := v1Rig(t).call("ValidateCredentials", m{"meta": v1Meta(now, c.change)})
			if c.code == "ok" {
				a.ok()
			} else {
				a.fails(c.code)
			}
		})
	}
	t.Run("an upper-case authKey is refused", func(t *testing.T) {
		head := v1Meta(now, nil)
		head["authKey"] = strings.ToUpper(head["authKey"].(string))
		v1Rig(t).call("ValidateCredentials", m{"meta": head}).fails("EMS-1065")
	})
	t.Run("an inactive key is refused", func(t *testing.T) {
		srv := &certinexttest.Server{KeyState: certinexttest.KeyInactive}
		r := &rig{t: t, srv: srv, http: srv.Client(), base: host}
		r.call("ValidateCredentials", nil).fails("EMS-1065")
	})
}

func TestV1TxnIsGoodOnce(t *testing.T) {
	r := v1Rig(t)
	head := v1Meta(time.Now(), nil)
	r.call("ValidateCredentials", m{"meta": head}).ok()
	r.call("ValidateCredentials", m{"meta": head}).fails("EMS-947")

	head = v1Meta(time.Now(), nil)
	r.call("TrackOrder", m{"meta": head, "orderDetails": m{"orderNumber": "1"}}).fails("EMS-943")
	r.call("TrackOrder", m{"meta": head, "orderDetails": m{"orderNumber": "1"}}).fails("EMS-947")

	head = v1Meta(time.Now(), m{"authKey": v1Key("x", "y")})
	r.call("ValidateCredentials", m{"meta": head}).fails("EMS-1065")
	head["authKey"] = v1Key(head["ts"].(string), head["txn"].(string))
	r.call("ValidateCredentials", m{"meta": head}).ok()
}

func TestV1TakesABearerToken(t *testing.T) {
	r := v1Rig(t)
	send := func(token, authKey string) answer {
		return r.do("POST", v1+"ValidateCredentials", toJSON(m{"meta": v1Meta(time.Now(), m{"authKey": authKey})}), "Authorization", token)
	}
	v1Answer{send("Bearer "+r.token, "")}.ok()
	v1Answer{send("Bearer "+r.token, v1Key("x", "y"))}.fails("EMS-1065")

	a := send("Bearer unknown", "")
	require.Equal(t, http.StatusUnauthorized, a.status)
	require.Equal(t, "Bearer", a.header.Get("WWW-Authenticate"))
	r.srv.KillTokens()
	require.Equal(t, http.StatusUnauthorized, send("Bearer "+r.token, "").status)
}

func TestV1IsStrictOnTheWire(t *testing.T) {
	order := toJSON(m{"meta": v1Meta(time.Now(), nil), "orderDetails": m{"orderNumber": "1"}})
	cases := map[string]struct {
		method, path, body string
		headers            []string
		status             int
		code, words        string // of a failure in the envelope
	}{
		"a wrong method is 405":              {"GET", v1 + "TrackOrder", "", nil, 405, "", ""},
		"an unknown verb is 404":             {"POST", v1 + "GetEverything", order, nil, 404, "", ""},
		"a verb in another case is 404":      {"POST", v1 + "trackOrder", order, nil, 404, "", ""},
		"a verb without the prefix is 404":   {"POST", "/TrackOrder", order, nil, 404, "", ""},
		"a form is 415":                      {"POST", v1 + "TrackOrder", order, []string{"Content-Type", "text/plain"}, 415, "", ""},
		"XML cannot be had":                  {"POST", v1 + "TrackOrder", order, []string{"Accept", "application/xml"}, 406, "", ""},
		"a huge body is 413":                 {"POST", v1 + "TrackOrder", `{"x":"` + strings.Repeat("x", 1<<20) + `"}`, nil, 413, "", ""},
		"no meta is refused":                 {"POST", v1 + "TrackOrder", `{"orderDetails":{}}`, nil, 200, "EMS-901", "meta"},
		"half a body is refused":             {"POST", v1 + "TrackOrder", order[:len(order)/2], nil, 200, "EMS-902", ""},
		"a list is no body":                  {"POST", v1 + "TrackOrder", "[]", nil, 200, "EMS-902", ""},
		"a member given twice is refused":    {"POST", v1 + "TrackOrder", withMember(order, `"meta":{}`), nil, 200, "EMS-902", "twice"},
		"an unknown block is named":          {"POST", v1 + "TrackOrder", withMember(order, `"colour":{}`), nil, 200, "EMS-902", "colour"},
		"a misspelt field is named":          {"POST", v1 + "TrackOrder", strings.Replace(order, "orderNumber", "orderID", 1), nil, 200, "EMS-902", "orderDetails.orderID"},
		"a number for an order number is no": {"POST", v1 + "TrackOrder", strings.Replace(order, `"orderNumber":"1"`, `"orderNumber":1`, 1), nil, 200, "EMS-902", "must be a string"},
		"a query parameter is refused":       {"POST", v1 + "TrackOrder?orderNumber=1", order, nil, 200, "EMS-902", "orderNumber"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			a := v1Rig(t).do(c.method, c.path, c.body, append([]string{"Authorization", ""}, c.headers...)...)
			require.Equal(t, c.status, a.status, "body: %s", a.body)
			if c.status == http.StatusOK {
				require.Contains(t, v1Answer{a}.fails(c.code), c.words)
			} else if c.status != http.StatusMethodNotAllowed {
				require.Contains(t, string(a.body), `"timestamp"`, "the framework's own shape")
			}
		})
	}
}
