// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"encoding/json"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// TestRefusalsOfEveryOperation: whatever is called, in whatever dialect, is refused with the code
// and the text that were asked for, as its part of the API spells a refusal.
func TestRefusalsOfEveryOperation(t *testing.T) {
	const code, text = "EMS-1162", "Invalid Product Code."
	parameter := regexp.MustCompile(`\{[a-z]+\}`)
	for _, d := range []certinexttest.Dialect{certinexttest.Live, certinexttest.Documented, certinexttest.V1} {
		for _, route := range certinexttest.Routes() {
			method, path, _ := strings.Cut(parameter.ReplaceAllString(route, "1"), " ")
			srv := &certinexttest.Server{Dialect: d}
			r := &rig{t: t, srv: srv, http: srv.Client(), base: host}
			srv.Inject(certinexttest.Fault{Kind: certinexttest.FaultRefusal, Times: 1, Status: 409, Code: code, Text: text})
			a := r.do(method, path, "")
			if a.status == http.StatusNotFound || a.status == http.StatusMethodNotAllowed {
				require.Equal(t, certinexttest.Documented, d, "%s is not of %s", route, d)
				continue
			}
			switch {
			case strings.HasPrefix(path, v1):
				require.Equal(t, text, v1Answer{a}.fails(code), route)
				require.Equal(t, "true", a.header.Get("Deprecation"))
			case path == "/oauth/token" && d == certinexttest.Documented:
				meta := a.must(409)["meta"].(m)
				require.Equal(t, []any{code, text}, []any{meta["errorCode"], meta["errorMessage"]})
			case path == "/oauth/token":
				require.Equal(t, m{"error": "invalid_request", "error_description": "[" + code + "] " + text}, a.must(409))
			default:
				require.Equal(t, "["+code+"] "+text, a.refused(409, code)["detail"], route)
			}
			require.Len(t, srv.Requests(), 1)
			require.Contains(t, srv.Requests()[0].Refusal, text)
		}
	}
}

func TestARefusalHasTheStatusOfABusinessRule(t *testing.T) {
	r := newRig(t, verified(certinexttest.Live))
	r.srv.Inject(certinexttest.Fault{Operation: certinexttest.OpGroups, Kind: certinexttest.FaultRefusal, Code: "EMS-1"})
	require.Equal(t, "[EMS-1] Request refused", r.get(api+"/groups").refused(422, "EMS-1")["detail"])
	r.get(api + "/auth/me").must(200)
	r.srv.ClearFaults()
	r.srv.Inject(certinexttest.Fault{Kind: certinexttest.FaultRefusal, Status: 401, Text: "Inactive Account User."})
	a := r.get(api + "/groups")
	require.Equal(t, "Inactive Account User.", a.refused(401, "")["detail"])
	require.Equal(t, "Bearer", a.header.Get("WWW-Authenticate"))
	r.call("ValidateCredentials", nil).fails("")
	for status, code := range map[int]string{0: "invalid_request", 401: "invalid_client", 403: "unauthorized_client", 503: "server_error"} {
		r.srv.ClearFaults()
		r.srv.Inject(certinexttest.Fault{Kind: certinexttest.FaultRefusal, Status: status, Text: "no"})
		if status == 0 {
			status = 400
		}
		require.Equal(t, code, r.form(url.Values{"grant_type": {"client_credentials"}}).must(status)["error"])
	}
}

func TestDocumentedRefusalsHaveTheSlugOfTheirStatus(t *testing.T) {
	r := newRig(t, verified(certinexttest.Documented))
	for status, code := range map[int]string{
		400: "validation_failed", 403: "forbidden", 404: "not_found", 409: "conflict", 422: "business_rule",
		429: "too_many_requests", 500: "internal_error",
	} {
		r.srv.Inject(certinexttest.Fault{Kind: certinexttest.FaultRefusal, Times: 1, Status: status, Text: "no"})
		require.Equal(t, code, r.get(api+"/groups").refused(status, "")["code"])
	}
}

// TestARefusalAfterwardsHasBoughtTheOrder: the caller hears of a refusal, and the order is there.
func TestARefusalAfterwardsHasBoughtTheOrder(t *testing.T) {
	r := newRig(t, verified(certinexttest.Live))
	f := certinexttest.Fault{
		Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultRefusalAfter, Times: 1, Skip: 1, Code: "EMS-939", Text: "Something went wrong",
	}
	r.srv.Inject(f)
	r.order(dvOrder("www.example.com"))
	r.post(sslPath, dvOrder("www.example.com")).refused(422, "EMS-939")
	require.Len(t, r.srv.Orders(), 2)
	f.Skip = 0
	r.srv.Inject(f)
	r.call("GenerateOrderSSL", m{"orderDetails": v1Order("www.example.com")}).fails("EMS-939")
	require.Len(t, r.srv.Orders(), 3)
	r.order(dvOrder("www.example.com"))
}

func TestRefusalsAreToldAndChecked(t *testing.T) {
	r, admin := adminRig(t, new(certinexttest.Server))
	body := m{"operation": "groups", "kind": "refusal", "status": 403.0, "code": "EMS-1162", "text": "No", "probability": 1.0, "times": 3.0}
	admin.post("/faults", body).must(204)
	r.get(api+"/groups").refused(403, "EMS-1162")
	var left []m
	require.NoError(t, json.Unmarshal(admin.get("/faults").body, &left))
	body["times"] = 2.0
	require.Equal(t, []m{body}, left)

	for _, bad := range []struct{ fault, named string }{
		{`{"kind":"refusal"}`, "needs a code"},
		{`{"kind":"refusal","code":"1162"}`, "code is none"},
		{`{"kind":"refusal","code":"EMS-1162 "}`, "code is none"},
		{`{"kind":"refusal","code":"EMS-1\r\nX-A: b"}`, "code is none"},
		{`{"kind":"refusal","text":"two\nlines"}`, "text must be one line"},
		{`{"kind":"refusal","text":"` + strings.Repeat("x", 1001) + `"}`, "at most 1000"},
		{`{"kind":"refusal","code":"EMS-1","status":200}`, "status 200"},
		{`{"kind":"refusal","code":"EMS-1","status":600}`, "status 600"},
		{`{"kind":"refusal","code":"EMS-1","times":-1}`, "times"},
		{`{"kind":"refusal","code":"EMS-1","skip":-1}`, "skip"},
		{`{"kind":"refusal","code":"EMS-1","probability":1.5}`, "probability"},
		{`{"kind":"refusal","code":"EMS-1","operation":"buy"}`, `"buy"`},
		{`{"kind":"refusal","code":"EMS-1","body":"x"}`, "body"},
		{`{"kind":"server-error","code":"EMS-1"}`, `no use for code, which is for refusal`},
		{`{"kind":"oversized","size":-1}`, "size"},
		{`{"kind":"latency","delay":"-1s"}`, "delay"},
		{`{"kind":"rate-limit","retryAfter":"-1s"}`, "retryAfter"},
	} {
		a := admin.do("POST", "/faults", bad.fault)
		require.Equal(t, 400, a.status, bad.fault)
		require.Contains(t, string(a.body), bad.named, bad.fault)
	}
	require.Panics(t, func() {
		r.srv.Inject(certinexttest.Fault{Kind: certinexttest.FaultHTML, Probability: math.NaN()})
	})
	require.Contains(t, certinexttest.AdminHelp, `"kind":"refusal"`)
}
