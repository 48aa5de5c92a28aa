// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

func TestStrictOnTheWire(t *testing.T) {
	good := toJSON(dvOrder("www.example.com"))
	cases := map[string]struct {
		method, path, body string
		headers            []string
		status             int
		field              string // expected in errors, "" for none
	}{
		"no token is 401":                    {"GET", api + "/auth/me", "", []string{"Authorization", ""}, 401, ""},
		"another scheme is 401":              {"GET", api + "/auth/me", "", []string{"Authorization", "Basic eDp5"}, 401, ""},
		"a foreign token is 401":             {"GET", api + "/auth/me", "", []string{"Authorization", "Bearer x"}, 401, ""},
		"a wrong method is 405":              {"DELETE", api + "/groups", "", nil, 405, ""},
		"a form is 415":                      {"POST", sslPath, good, []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, ""},
		"no content type is 415":             {"POST", sslPath, good, []string{"Content-Type", ""}, 415, ""},
		"latin-1 is 415":                     {"POST", sslPath, good, []string{"Content-Type", "application/json; charset=latin1"}, 415, ""},
		"XML cannot be had":                  {"GET", api + "/groups", "", []string{"Accept", "application/xml"}, 406, ""},
		"JSON refused by q=0 cannot be had":  {"GET", api + "/groups", "", []string{"Accept", "application/json;q=0"}, 406, ""},
		"an unknown member is named":         {"POST", sslPath, withMember(good, `"colour":"red"`), nil, 400, "colour"},
		"a nested unknown member is named":   {"POST", sslPath, toJSON(merge(dvOrder("a.example.com"), m{"certificate": m{"domain": "a.example.com", "sans": []string{}}})), nil, 400, "certificate.sans"},
		"a member in another case is named":  {"POST", sslPath, withMember(good, `"Csr":"x"`), nil, 400, "Csr"},
		"a number for a string is named":     {"POST", sslPath, withMember(good, `"requestId":7`), nil, 400, "requestId"},
		"a string for a number is named":     {"POST", sslPath, toJSON(merge(dvOrder("a.example.com"), m{"subscription": m{"validityYears": "1"}})), nil, 400, "subscription.validityYears"},
		"a fraction for an integer is named": {"POST", sslPath, toJSON(merge(dvOrder("a.example.com"), m{"subscription": m{"validityYears": 1.5}})), nil, 400, "subscription.validityYears"},
		"a string for a bool is named":       {"POST", sslPath, withMember(good, `"saveAsDraft":"1"`), nil, 400, "saveAsDraft"},
		"a string for a list is named":       {"POST", sslPath, withMember(good, `"tags":"a"`), nil, 400, "tags"},
		"null in a list is named":            {"POST", sslPath, withMember(good, `"tags":[null]`), nil, 400, "tags[0]"},
		"a list for an object is named":      {"POST", sslPath, withMember(good, `"delegation":[]`), nil, 400, "delegation"},
		"a member given twice is refused":    {"POST", sslPath, withMember(good, `"remarks":"again"`), nil, 400, ""},
		"garbage after the body is refused":  {"POST", sslPath, good + "x", nil, 400, ""},
		"two bodies are refused":             {"POST", sslPath, good + good, nil, 400, ""},
		"a list is no body":                  {"POST", sslPath, "[]", nil, 400, ""},
		"half a body is refused":             {"POST", sslPath, good[:len(good)/2], nil, 400, ""},
		"an empty body is refused":           {"POST", sslPath, " ", nil, 400, ""},
		"deep nesting is refused":            {"POST", sslPath, `{"tags":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, nil, 400, ""},
		"a huge body is refused":             {"POST", sslPath, `{"remarks":"` + strings.Repeat("x", 1<<20) + `"}`, nil, 413, ""},
		"an unknown parameter is named":      {"GET", api + "/groups?colour=red", "", nil, 400, "colour"},
		"a repeated parameter is named":      {"GET", api + "/organizations?groupNumber=1&groupNumber=2", "", nil, 400, "groupNumber"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			eachDialect(t, func(t *testing.T, d certinexttest.Dialect) {
				r := newRig(t, verified(d))
				v := r.do(c.method, c.path, c.body, c.headers...).refused(c.status, "")
				if c.field != "" {
					require.Equal(t, []string{c.field}, fields(v))
				}
				require.Empty(t, r.srv.Orders())
			})
		})
	}
}

// withMember adds raw members to an object.
func withMember(object, member string) string {
	return strings.TrimSuffix(object, "}") + "," + member + "}"
}

func TestMethodNotAllowedNamesTheOthers(t *testing.T) {
	r := newRig(t, new(certinexttest.Server))
	a := r.do("PUT", api+"/domains", "")
	a.refused(http.StatusMethodNotAllowed, "")
	require.Equal(t, "GET, POST", a.header.Get("Allow"))
}

func TestUnknownPaths(t *testing.T) {
	paths := map[string]string{
		"no prefix":                     "/ssl-certificates",
		"the v1 prefix":                 "/emSignHub-API/ssl-certificates",
		"the v1 prefix before the v2's": "/emSignHub-API" + sslPath,
		"a doubled slash":               api + "//groups",
		"a trailing slash":              api + "/groups/",
		"an empty order id":             sslPath + "/",
		"another version":               "/api/certinext/v3/groups",
		"token below the prefix":        api + "/oauth/token",
	}
	for name, path := range paths {
		t.Run(name, func(t *testing.T) {
			live := newRig(t, new(certinexttest.Server))
			a := live.get(path)
			v := a.must(http.StatusNotFound)
			require.Equal(t, "application/json", a.header.Get("Content-Type"))
			require.Equal(t, path, v["path"])
			require.Contains(t, v, "timestamp", "the framework's own shape")

			documented := newRig(t, &certinexttest.Server{Dialect: certinexttest.Documented})
			documented.get(path).refused(http.StatusNotFound, "")
		})
	}
}

func TestDocumentedHeadersAreRequired(t *testing.T) {
	r := newRig(t, verified(certinexttest.Documented))
	cases := map[string]struct {
		path, header string
		body         m
	}{
		"a create needs X-Product-Code":       {sslPath, "X-Product-Code", dvOrder("www.example.com")},
		"a create needs Idempotency-Key":      {sslPath, "Idempotency-Key", dvOrder("www.example.com")},
		"a private create needs its code too": {privatePath, "X-Product-Code", privateOrder("h.local")},
		"a revocation needs Idempotency-Key":  {sslPath + "/ord_1/revoke", "Idempotency-Key", m{"reason": "superseded"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			v := r.post(c.path, c.body, c.header, "").refused(http.StatusBadRequest, "")
			require.Equal(t, []string{c.header}, fields(v))
		})
	}
	live := newRig(t, verified(certinexttest.Live))
	live.order(dvOrder("www.example.com"), "X-Product-Code", "", "Idempotency-Key", "")
}

func TestProblemDocumentsByDialect(t *testing.T) {
	live := newRig(t, new(certinexttest.Server)).post(sslPath, m{}).refused(http.StatusBadRequest, "")
	require.Equal(t, "about:blank", live["type"])
	require.Equal(t, sslPath, live["instance"])
	require.NotContains(t, live, "code")

	docs := newRig(t, &certinexttest.Server{Dialect: certinexttest.Documented}).post(sslPath, m{}).refused(422, "EMS-916")
	require.Equal(t, "https://api.certinext.io/errors/business-rule", docs["type"])
	require.Equal(t, "business_rule", docs["code"])
}

func TestResponseHeaders(t *testing.T) {
	a := newRig(t, new(certinexttest.Server)).get(api + "/groups")
	a.must(http.StatusOK)
	require.Equal(t, "2.0.0", a.header.Get("X-API-Version"))
	require.Contains(t, a.header.Get("Cache-Control"), "no-store")
}
