// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"cmp"
	"encoding/json"
	"flag"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// Whatever a Go program can set, a file can set, functions and what they stand for excepted.
func TestEveryFieldIsASetting(t *testing.T) {
	properties := certinexttest.SettingsSchema()["properties"].(m)
	names := make(map[string]bool)
	for name := range properties {
		require.False(t, names[strings.ToLower(name)], name)
		names[strings.ToLower(name)] = true
	}
	longer := map[string]string{"Blocked": "blockedKeys", "Lookups": "caaLookups", "Issuers": "caaIssuers"}
	noText := []string{"Now", "Rand", "BeforeCall", "AfterCall"}
	var fields []reflect.StructField
	for _, field := range reflect.VisibleFields(reflect.TypeFor[certinexttest.Server]()) {
		if field.Type.Kind() == reflect.Struct && field.IsExported() { // several that belong together
			fields = append(fields, reflect.VisibleFields(field.Type)...)
		} else {
			fields = append(fields, field)
		}
	}
	for _, field := range fields {
		if !field.IsExported() {
			continue
		}
		name := strings.ToLower(cmp.Or(longer[field.Name], field.Name))
		if !slices.Contains(noText, field.Name) {
			require.True(t, names[name], "%s has no name", field.Name)
		}
		delete(names, name)
	}
	require.Empty(t, names, "settings of no field")
}

// TestSettingsSetTheirOwnField: a name that sets the field of another would be worse than none.
func TestSettingsSetTheirOwnField(t *testing.T) {
	longer := map[string]string{"blockedKeys": "Blocked", "caaLookups": "Lookups", "caaIssuers": "Issuers"}
	given := map[string]string{
		"resolver": `"127.0.0.1:53"`, "baseURL": `"http://ca.test"`, "largestRSA": "3072", "insufficientStatus": "402",
		"blockedKeys": `["` + strings.Repeat("ab", 32) + `"]`, "accountBalance": `"7.00"`, "refundFee": `"7.00"`,
		"challengeHosts": `["_x.{domain}"]`, "currency": `"EUR"`,
		"parkWithout": `["group"]`, "organizations": `[{"number":"7","name":"Seven"}]`, "groups": `[{"number":"7"}]`, "catalog": `[{"code":"7","type":"13"}]`,
	}
	for name, property := range certinexttest.SettingsSchema()["properties"].(m) {
		text := given[name]
		if text == "" {
			text = settable(property.(m))
		}
		var srv certinexttest.Server
		require.NoError(t, srv.LoadSettings([]byte(`{"`+name+`":`+text+`}`)), name)
		require.Equal(t, []string{strings.ToLower(cmp.Or(longer[name], name))}, changed(reflect.ValueOf(&srv).Elem()), name)
	}
}

// settable is a value that a setting does not have already.
func settable(property m) string {
	if names, ok := property["enum"].([]string); ok {
		return `"` + names[len(names)-1] + `"`
	}
	switch property["type"] {
	case "string":
		if property["pattern"] != nil {
			return `"7s"`
		}
		return `"seven"`
	case "array":
		return `["seven"]`
	case "boolean":
		return "true"
	default:
		return "7"
	}
}

// changed are the names of the exported fields that are not zero, those of groups of fields included.
func changed(v reflect.Value) (names []string) {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		switch {
		case !field.IsExported() || v.Field(i).IsZero():
		case v.Field(i).Kind() == reflect.Struct && field.Type.NumField() > 1:
			names = append(names, changed(v.Field(i))...)
		default:
			names = append(names, strings.ToLower(field.Name))
		}
	}
	return names
}

func TestLoadSettings(t *testing.T) {
	var srv certinexttest.Server
	require.NoError(t, srv.LoadSettings([]byte(`{
		"dialect": "documented", "issueDelay": "90s", "rateLimit": 2.5, "reportPageSize": 7,
		"holdForApproval": true, "verifiedDomains": ["example.com"], "idempotency": "off",
		"keyState": "not-oauth", "chainOrder": "root-first",
		"organizations": [{"number": "77", "name": "Example Seven", "vetted": true}],
		"catalog": [{"code": "842", "name": "SSL DV", "type": "13", "years": {"1 Year": "40.00"}}]
	}`)))
	require.Equal(t, certinexttest.Documented, srv.Dialect)
	require.Equal(t, 90*time.Second, srv.IssueDelay)
	require.InDelta(t, 2.5, srv.RateLimit, 0)
	require.Equal(t, 7, srv.ReportPageSize)
	require.True(t, srv.HoldForApproval)
	require.Equal(t, []string{"example.com"}, srv.VerifiedDomains)
	require.Equal(t, certinexttest.Off, srv.Idempotency)
	require.Equal(t, certinexttest.KeyNotOAuth, srv.KeyState)
	require.Equal(t, certinexttest.ChainRootFirst, srv.ChainOrder)
	require.Equal(t, "Example Seven", srv.Organizations[0].Name)
	require.Equal(t, map[string]string{"1 Year": "40.00"}, srv.Catalog[0].Years)
}

// What is refused is named, all of it at once, and nothing of the object is taken.
func TestSettingsAreRefusedByName(t *testing.T) {
	for object, want := range map[string][]string{
		`{"issueDelay":"-5s"}`:                                                     {"issueDelay -5s: must not be negative"},
		`{"issueDelay":5}`:                                                         {"issueDelay 5: must be a duration, such as 1m30s"},
		`{"issueDelay":"soon"}`:                                                    {`issueDelay "soon": must be a duration`},
		`{"issueDelai":"5s"}`:                                                      {"issueDelai \"5s\": is no setting; did you mean issueDelay?"},
		`{"IssueDelay":"5s"}`:                                                      {"did you mean issueDelay?"},
		`{"issueDelay":"5s","issueDelay":"6s"}`:                                    {"issueDelay \"6s\": is there twice"},
		`{"issueDelay":null}`:                                                      {"issueDelay null: must be a duration"},
		`{"holdForApproval":"yes"}`:                                                {"holdForApproval \"yes\": must be true or false"},
		`{"dialect":"martian"}`:                                                    {`dialect "martian": must be one of live, documented, v1`},
		`{"dialect":1}`:                                                            {"must be one of live, documented, v1"},
		`{"currency":"<script>"}`:                                                  {"is no currency: three capital letters"},
		`{"accountNumber":"1\n2"}`:                                                 {"accountNumber", "must be visible ASCII characters without spaces"},
		`{"clientId":"a b"}`:                                                       {"clientId", "must be visible ASCII characters without spaces"},
		`{"rateLimit":-1}`:                                                         {"rateLimit -1: must not be negative"},
		`{"reportPageSize":1.5}`:                                                   {"reportPageSize 1.5: must be a whole number"},
		`{"httpPort":0}`:                                                           {"httpPort 0: must be more than 0"},
		`{"httpPort":70000}`:                                                       {"httpPort 70000: must be a port"},
		`{"clientSecret":""}`:                                                      {"clientSecret \"\": must not be empty"},
		`{"certificateLifetime":"4801h"}`:                                          {"200 days"},
		`{"verifiedDomains":"example.com"}`:                                        {"verifiedDomains \"example.com\": must be a list of texts"},
		`{"organizations":[{"nummer":"7"}]}`:                                       {`organizations [{"nummer":"7"}]: must be as the schema says ([0].nummer is no member: did you mean number?)`},
		`{"organizations":[{"Number":"7"}]}`:                                       {"[0].Number is no member: did you mean number?"},
		`{"organizations":[null]}`:                                                 {"[0] must be an object, not null"},
		`{"organizations":[{"number":null}]}`:                                      {"[0].number must be a text, not null: leave it out instead"},
		`{"groups":[{"number":"7","number":"8"}]}`:                                 {"[0].number is there twice"},
		`{"groups":[{"number":"7","balance":null}]}`:                               {"[0].balance must be a text, not null"},
		`{"catalog":[{"years":{"1 Year":"1","1 Year":"2"}}]}`:                      {`[0].years."1 Year" is there twice`},
		`{"verifiedDomains":["example.com",null]}`:                                 {"must be a list of texts ([1] must be a text, not null"},
		`{"resolver":"1.1.1.1","baseURL":"x:y"}`:                                   {"resolver 1.1.1.1: must be host:port", "baseURL x:y: must be http"},
		`{"catalog":[{"code":"1","type":"99"}]}`:                                   {`catalog`, `product 1: type "99" must be one of 10, 11`},
		`{"catalog":[{"code":"x","type":"13"}]}`:                                   {`the code of a product "x" must be digits`},
		`{"catalog":[{"code":"1","type":"13"},{"code":"1","type":"14"}]}`:          {"the code of a product 1 is there twice"},
		`{"catalog":[{"code":"1","type":"13","years":{"One":"1"}}]}`:               {`years has "One"`},
		`{"catalog":[{"code":"1","type":"13","customFields":[{"name":"x"}]}]}`:     {"must have an id"},
		`{"organizations":[{"number":"7"}]}`:                                       {"organization 7 must have a name"},
		`{"organizations":[{"number":"7","name":"x","countryCode":"usa"}]}`:        {"two capital letters"},
		`{"organizations":[{"number":"7","name":"x","validationFor":"3"}]}`:        {"must be 1 (OV) or 2"},
		`{"groups":[{"number":"1","default":true},{"number":"2","default":true}]}`: {"only one group"},
		`{"groups":[{"number":"1","products":["nine"]}]}`:                          {`the product "nine", which the catalog has not`},
		`{"parkWithout":["money"]}`:                                                {`has "money", must be of organization, technical-contact, group`},
		`{"adminHosts":["https://sandbox.internal"]}`:                              {`"https://sandbox.internal" must be a name or an address alone`},
		`{"adminHosts":["*.sandbox.internal"]}`:                                    {"must be a name or an address alone"},
		`{"adminHosts":["sandbox.internal:8093"]}`:                                 {"without scheme, port, path or wildcard"},
		`{"adminHosts":["192.0.2.7:80"]}`:                                          {"must be a name or an address alone"},
		`{"adminHosts":["[::1]"]}`:                                                 {"must be a name or an address alone"},
		`{"adminHosts":["fe80::1%eth0"]}`:                                          {"must be a name or an address alone"},
		`{"adminHosts":["127.1"]}`:                                                 {"must be a name or an address alone"},
		`{"adminHosts":["sandbox.internal/x"]}`:                                    {"must be a name or an address alone"},
		`{"adminHosts":["exa mple"]}`:                                              {"must be a name or an address alone"},
		`{"adminHosts":["a",""]}`:                                                  {"adminHosts a,: must have no empty element: leave it out"},
		`{"caProfiles":[""]}`:                                                      {"must have no empty element"},
		`{"parkWithout":["group",""]}`:                                             {"must have no empty element"},
		`{"caaIssuers":["https://emsign.com"]}`:                                    {"must be a domain, as CAA records name a CA"},
		`{"caaIssuers":["*.emsign.com"]}`:                                          {"must be a domain"},
		`{"caaIssuers":["emsign.com:443"]}`:                                        {"must be a domain"},
		`{"caaIssuers":["emsign.com."]}`:                                           {"a dot at its end"},
		`{"caaIssuers":["emsign.com; policy=ev"]}`:                                 {"must be a domain"},
		`{"caaIssuers":["_x.example"]}`:                                            {"must be a domain"},
		`{"exceptedZones":["*.test"]}`:                                             {"must be a domain"},
		`{"exceptedZones":["Test"]}`:                                               {"in small letters"},
		`{"challengeHosts":["https://{domain}"]}`:                                  {"must be a name with {domain} in it"},
		`{"challengeHosts":["*.{domain}"]}`:                                        {"must be a name with {domain} in it"},
		`{"resolver":"*:53"}`:                                                      {"must be host:port"},
		`{"baseURL":"http://*/"}`:                                                  {"must be http"},
		`[]`:                                                                       {"not a JSON object"},
		``:                                                                         {"not a JSON object"},
		`{"pemLag":"5s"`:                                                           {"not JSON"},
		`{"pemLag":"5s"}{}`:                                                        {"something follows"},
	} {
		srv := certinexttest.Server{PEMLag: time.Second}
		err := srv.LoadSettings([]byte(object))
		for _, text := range want {
			require.ErrorContains(t, err, text, object)
		}
		require.Equal(t, time.Second, srv.PEMLag)
		require.Empty(t, srv.Resolver)
		require.Zero(t, srv.IssueDelay)
	}
	err := new(certinexttest.Server).LoadSettings([]byte(`{"tokenTTL":"soon"}`))
	var refused *certinexttest.SettingError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "tokenTTL", refused.Name)
	require.Equal(t, "token-ttl", refused.Flag())
}

func TestCheckFindsWhatGoProgramsSet(t *testing.T) {
	require.NoError(t, new(certinexttest.Server).Check())
	require.NoError(t, (&certinexttest.Server{ApprovalDelay: -1}).Check(), "approves at once")
	err := (&certinexttest.Server{PEMLag: -1, BaseURL: "ftp://x"}).Check()
	require.ErrorContains(t, err, "pemLag -1ns: must not be negative")
	require.ErrorContains(t, err, "baseURL ftp://x: must be http:// or https://")
}

// TestAServerWithSenselessFieldsDoesNotServe: a Go program that has not called Check is told at its
// first request, whatever that is, and by name.
func TestAServerWithSenselessFieldsDoesNotServe(t *testing.T) {
	for name, srv := range map[string]*certinexttest.Server{
		"tokenTTL 1ns: must be at least 1s":   {TokenTTL: 1},
		"pemLag -1ns: must not be negative":   {PEMLag: -1},
		"baseURL ftp://x: must be http://":    {BaseURL: "ftp://x"},
		`adminHosts *.example.com: "*.exam`:   {AdminHosts: []string{"*.example.com"}},
		"verifiedDomains ,: must have no em":  {VerifiedDomains: []string{"", ""}},
		"must be one of live, documented, v1": {Dialect: 7},
	} {
		for _, path := range []string{api + "/groups", "/_sandbox/health", "/crl/public.crl", "/nowhere"} {
			response, err := srv.Client().Get(host + path)
			require.NoError(t, err)
			text, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
			require.Equal(t, 500, response.StatusCode, "%s %s", name, path)
			require.Contains(t, string(text), name)
		}
		require.Empty(t, srv.Requests())
	}
	srv := verified(certinexttest.Live)
	r := newRig(t, srv)
	srv.Configure(func(s *certinexttest.Server) { s.IssueDelay = -1 })
	response, err := srv.Client().Get(host + api + "/groups")
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, 500, response.StatusCode)
	srv.Configure(func(s *certinexttest.Server) { s.IssueDelay = 0 })
	r.get(api + "/groups").must(200)
	srv.Configure(func(s *certinexttest.Server) { s.IssueDelay = -1 })
	srv.Reset()
	r.login()
	r.get(api + "/groups").must(200)
}

// TestKnobsLookAtEverySetting: what may not be changed while the server runs may still contradict
// what may.
func TestKnobsLookAtEverySetting(t *testing.T) {
	_, admin := adminRig(t, &certinexttest.Server{
		Groups:  []certinexttest.Group{{Number: "1", Products: []string{"7"}}},
		Catalog: []certinexttest.Product{{Code: "7", Type: "13"}},
	})
	before := admin.get("/knobs").must(200)
	a := admin.post("/knobs", m{"catalog": []m{{"code": "8", "type": "13"}}})
	require.Equal(t, 400, a.status)
	require.Contains(t, string(a.body), `group 1 has the product "7", which the catalog has not`)
	require.Equal(t, before, admin.get("/knobs").must(200))
}

func TestFlagsOfSettings(t *testing.T) {
	var srv certinexttest.Server
	flags := flag.NewFlagSet("test", flag.ContinueOnError)
	srv.DefineFlags(flags)
	require.NoError(t, flags.Parse([]string{
		"-issue-delay=5s", "-hold-for-approval", "-token-ttl", "2m",
		"-verified-domains", "a.example, b.example", "-dcv-shape=doc1", "-client-id", "77",
	}))
	require.Equal(t, 5*time.Second, srv.IssueDelay)
	require.True(t, srv.HoldForApproval)
	require.Equal(t, 2*time.Minute, srv.TokenTTL)
	require.Equal(t, []string{"a.example", "b.example"}, srv.VerifiedDomains)
	require.Equal(t, certinexttest.DCVDoc1, srv.DCVShape)
	require.Nil(t, flags.Lookup("catalog"), "no text can say it")
	require.Equal(t, "720h0m0s", flags.Lookup("other-lifetime").DefValue)
}

// A knob that is set by a list does not keep what the list before held.
func TestKnobsAreSetWhole(t *testing.T) {
	r, admin := adminRig(t, verified(certinexttest.Live))
	admin.post("/knobs", m{"catalog": []m{{"code": "1", "name": "One", "type": "13", "needsApproval": true}}}).must(200)
	admin.post("/knobs", m{"catalog": []m{{"code": "2", "name": "Two", "type": "14"}}}).must(200)
	require.False(t, r.srv.Catalog[0].NeedsApproval)
	require.Equal(t, admin.get("/knobs").must(200), admin.post("/knobs", admin.get("/knobs").must(200)).must(200))
	require.Equal(t, 400, admin.post("/knobs", m{"accountNumber": "77"}).status, "read once")
	answer := admin.post("/knobs", m{"pemLag": "-1s", "issueDelay": "1s"})
	require.Equal(t, 400, answer.status)
	require.Contains(t, string(answer.body), "pemLag -1s: must not be negative")
	require.Equal(t, "0s", admin.get("/knobs").must(200)["issueDelay"])
}

func TestReset(t *testing.T) {
	r, admin := adminRig(t, verified(certinexttest.Live))
	id, _ := r.issued("www.example.com")
	r.srv.VerifyDomain("other.example")
	admin.post("/knobs", m{"pemLag": "1h"}).must(200)
	admin.post("/faults", m{"operation": "track", "kind": "html"}).must(204)
	roots := r.srv.RootPEM()
	admin.do("POST", "/reset", "").must(204)
	require.Empty(t, r.srv.Orders())
	require.Empty(t, r.srv.Requests())
	require.Equal(t, "0s", admin.get("/knobs").must(200)["pemLag"])
	require.Equal(t, roots, r.srv.RootPEM(), "whoever trusts the roots still does")
	require.Equal(t, 401, r.get(sslPath+"/"+id).status, "the token is forgotten")
	r.login()
	require.Equal(t, 404, r.get(sslPath+"/"+id).status)
	require.Len(t, r.srv.Domains(), 1)
	r.issued("www.example.com")
}

func TestTheSchemaIsJSON(t *testing.T) {
	schema := certinexttest.SettingsSchema()
	_, err := json.Marshal(schema)
	require.NoError(t, err)
	properties := schema["properties"].(m)
	require.Equal(t, []string{"live", "documented", "v1"}, properties["dialect"].(m)["enum"])
	require.Equal(t, "720h0m0s", properties["otherLifetime"].(m)["default"])
	organization := properties["organizations"].(m)["items"].(m)["properties"].(m)
	require.Contains(t, organization, "consentToken")
	require.Contains(t, properties["catalog"].(m)["items"].(m)["properties"], "customFields")
}
