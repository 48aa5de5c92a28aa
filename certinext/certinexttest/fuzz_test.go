// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
)

// FuzzDecode: what decode takes, encoding/json takes as well, with the same
// result, and marshalling it again is taken once more.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{}`, `[]`, `{"productVariant":"dv","certificate":{"domain":"example.com","additionalDomains":["a"]}}`,
		`{"emailNotifications":["a","b"]}`, `{"emailNotifications":"all"}`, `{"subscription":{"validityYears":1}}`,
		`{"Csr":"x"}`, `{"csr":"x","csr":"y"}`, `{"csr":null}`, `{"tags":[null]}`, `{"subscription":{"validityYears":1e2}}`,
		`{"agreement":{"accepted":true}} {}`, strings.Repeat(`{"certificate":`, 40), "{\"csr\":\"\xff\"}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var got wireCreateSSL
		if decode(body, &got) != nil {
			return
		}
		var want wireCreateSSL
		if err := json.Unmarshal(body, &want); err != nil {
			t.Fatalf("decode took what encoding/json refuses: %v", err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("decoded %+v, want %+v", got, want)
		}
		again, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		if p := decode(again, new(wireCreateSSL)); p != nil {
			t.Fatalf("refused its own form %s: %s", again, p.detail)
		}
	})
}

// FuzzRequest: no request, whatever its path, header or body, makes the server
// panic or answer a status that no one documented.
func FuzzRequest(f *testing.F) {
	f.Add("POST", "/oauth/token", "application/x-www-form-urlencoded", "grant_type=client_credentials&client_id=1")
	f.Add("POST", "/api/certinext/v2/ssl-certificates", "application/json", `{"productVariant":"dv"}`)
	f.Add("POST", "/api/certinext/v2/signature-certificates", "application/json",
		`{"subjectType":"legal-entity","subject":{"email":"a@\u0000","organizationName":"x","organizationIdentificationNumber":"1"},"requestor":{"name":"J","email":"a@b"}}`)
	f.Add("POST", "/_sandbox/orders/1/documents", "", `{"count":9223372036854775807}`)
	f.Add("PUT", "/api/certinext/v2/ssl-certificates/1/csr", "application/json", `{"csr":"x"}`)
	f.Add("GET", "/ocsp/MEMwQTA%2FMD0wOzAJBgUrDgMCGgUA", "", "")
	f.Add("GET", "/api/certinext/v2/reports/orders?page=9223372036854775807&size=1", "", "")
	f.Add("GET", "/api/certinext/v2/domains?offset=-1&limit=-5", "", "")
	f.Add("POST", "/_sandbox/knobs", "", `{"chainOrder":"good","misissue":"no-chain"}`)
	f.Fuzz(func(t *testing.T, method, target, contentType, body string) {
		if !strings.HasPrefix(target, "/") || strings.ContainsAny(target, " \r\n\t") || method == "" || strings.ContainsAny(method, " /\r\n\t") {
			return
		}
		for _, d := range []Dialect{Live, Documented} {
			s := &Server{Dialect: d, PendingDomains: []string{"example.com"}}
			s.once.Do(s.setUp)
			s.tokens.access["t"] = accessToken{expires: s.now().Add(1 << 40)}
			req, err := http.NewRequestWithContext(t.Context(), method, "http://ca.test"+target, strings.NewReader(body))
			if err != nil {
				return
			}
			req.Header.Set("Content-Type", contentType)
			req.Header.Set("Authorization", "Bearer t")
			w := httptest.NewRecorder()
			s.ServeHTTP(w, req)
			if w.Code >= 500 && w.Code != 501 {
				t.Fatalf("%s %s: status %d", method, target, w.Code)
			}
		}
	})
}

// FuzzSubject: whoever passes the checks can be certified, under the name that
// the order shows.
func FuzzSubject(f *testing.F) {
	f.Add("Platform", "Team", "platform@example.com", "Example Corporation", "US", "P-1")
	f.Add("", "\x00", "a@b", "\u202e", "", "é")
	f.Add("a", "b", "é@example.com", "", "US", "")
	f.Fuzz(func(t *testing.T, first, last, email, organization, country, number string) {
		valid := func(s string) string { return strings.ToValidUTF8(s, "?") } // as JSON has it
		w := wireSubject{
			FirstName: valid(first), LastName: valid(last), Email: valid(email), OrganizationName: valid(organization),
			CountryCode: valid(country), Locality: valid(number), IdentificationNumber: valid(number),
			OrganizationIdentificationNumber: valid(number),
		}
		s := new(Server)
		s.once.Do(s.setUp)
		s.ca.Locate("http://ca.test")
		key := s.ca.Signing.Root().PublicKey
		for _, subjectType := range subjectTypes {
			var l checklist
			if l.subject(subjectType, &w, Live); l.problem() != nil {
				continue
			}
			o := &order{family: FamilySignature, subject: newSubject(subjectType, w)}
			a := s.hierarchy(o.family)
			cert := a.Sign(a.Issuer(), s.leafProfile(o, s.now()), key)
			if cert.Subject.CommonName != o.commonName() || cert.EmailAddresses[0] != w.Email {
				t.Fatalf("certified %q, %q", cert.Subject, cert.EmailAddresses)
			}
		}
	})
}
