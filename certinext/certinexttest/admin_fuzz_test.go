// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// isAdministration, isPublished and isResource say which operations, as "METHOD /path/{parameter}", the
// target of each kind has.
func isAdministration(operation string) bool { return strings.Contains(operation, " /_sandbox/") }

func isPublished(operation string) bool {
	return slices.Contains(certinexttest.Publications(), operation)
}

func isResource(operation string) bool {
	return strings.Contains(operation, " "+api) || strings.Contains(operation, " /oauth/")
}

// operationsThat are those of the documents of all dialects that a target has.
func operationsThat(has func(string) bool) (list []string) {
	for d := range contracts {
		c, err := contracts[d]()
		if err != nil {
			panic(err)
		}
		list = append(list, slices.DeleteFunc(operations(c.doc), func(o string) bool { return !has(o) })...)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// unharmed sends a request to a server that has issued a certificate. It must not panic, nor answer
// with a status that its document does not have; afterwards the server is still up.
func unharmed(t *testing.T, method, path, contentType, body string) {
	t.Helper()
	srv := verified(certinexttest.Live)
	srv.AddForeignOrders(1)
	asked(t, srv, method, path, body, http.Header{"Content-Type": {contentType}})
}

// asked sends a request that a fuzzer has made up.
func asked(t *testing.T, srv *certinexttest.Server, method, path, body string, header http.Header) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, host+path, strings.NewReader(body))
	if err != nil {
		return // no client can send it
	}
	request.Header = header
	response, err := srv.Client().Transport.RoundTrip(request) // redirects are not followed
	require.NoError(t, err, "the handler has panicked")
	require.NoError(t, response.Body.Close())
	require.True(t, isDocumented(contractOf(t, srv.Dialect), request, response.StatusCode),
		"%s %s is answered with %d", method, path, response.StatusCode)
	response, err = srv.Client().Get(host + "/_sandbox/health")
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, 200, response.StatusCode)
}

// isDocumented tells whether the document has a status. It has none for what is no operation, and the
// way to one: another method, a path that is not clean.
func isDocumented(c contract, request *http.Request, status int) bool {
	method := request.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	route, _ := c.route(method, request.URL.EscapedPath())
	switch status {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusTemporaryRedirect, http.StatusMovedPermanently:
		return true
	}
	return route != nil && (route.Operation.Responses.Status(status) != nil)
}

// FuzzAdministration: each administration path, whatever its parameter and body. Those of the
// document are the targets, so that a new path is among them.
func FuzzAdministration(f *testing.F) {
	paths := operationsThat(isAdministration)
	require.Greater(f, len(paths), 25)
	for i := range paths {
		for _, body := range []string{
			``, `{}`, `null`, `[]`, `{"count":-1}`, `{"group":"","amount":"1e9"}`, `{"issueDelay":"-1s"}`,
			`{"operation":"create-ssl","kind":"refusal","status":999}`, `{"version":1,"held":{}}`, `{"remark":"\u0000"}`,
		} {
			f.Add(uint8(i), "1", body)
		}
		f.Add(uint8(i), "%00", `{"count":9223372036854775807}`)
	}
	f.Fuzz(func(t *testing.T, which uint8, parameter, body string) {
		method, path, _ := strings.Cut(paths[int(which)%len(paths)], " ")
		path = parameters.ReplaceAllLiteralString(path, parameter)
		unharmed(t, method, path, "application/json", body)
	})
}

// published are the beginnings of the addresses that stand in certificates.
func published() (all []string) {
	for _, operation := range operationsThat(isPublished) {
		_, path, _ := strings.Cut(operation, " ")
		path, _, _ = strings.Cut(path, "{")
		all = append(all, path)
	}
	return all
}

// FuzzPublished: OCSP by GET and POST, CRLs, and the certificates of issuers.
func FuzzPublished(f *testing.F) {
	paths := published()
	for which := range paths {
		for _, rest := range []string{
			"", "public.crl", "mail.crl", "public.p7c", "public.cer", "public-root.cer", "../public.crl", "%2e%2e", "%00",
			"MEMwQTA%2FMD0wOzAJBgUrDgMCGgUA", strings.Repeat("A", 2000),
		} {
			f.Add(uint8(which), "GET", rest, "")
			f.Add(uint8(which), "HEAD", rest, "")
			f.Add(uint8(which), "POST", rest, "\x30\x03\x02\x01\x01")
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, method, rest, body string) {
		unharmed(t, method, paths[int(which)%len(paths)]+rest, "application/ocsp-request", body)
	})
}

// FuzzResources: each operation of version 2 in each dialect, and the token endpoint, whatever the
// parameter of its path, its query and its body. ORDER stands for an order's id.
func FuzzResources(f *testing.F) {
	paths := operationsThat(isResource)
	require.Greater(f, len(paths), 40)
	for i := range paths {
		for _, body := range []string{``, `{}`, `null`, toJSON(dvOrder("www.example.com")), toJSON(privateOrder("h.local")), `{"csr":"x","reason":"x"}`} {
			f.Add(uint8(i), uint8(i), "ORDER", "", body)
		}
		f.Add(uint8(i), uint8(0), "%00", "page=9223372036854775807&size=-1&method=dns-txt&domain=%ff", `{"certificate":{"domain":"\u0000"}}`)
	}
	f.Fuzz(func(t *testing.T, which, dialect uint8, parameter, query, body string) {
		d := certinexttest.Dialect(dialect % 2)
		srv := verified(d)
		srv.Resolver, srv.CAA.Lookups = "127.0.0.1:1", certinexttest.CAANever
		r := newRig(t, srv)
		id := r.order(dvOrder("www.example.com"))
		method, path, _ := strings.Cut(paths[int(which)%len(paths)], " ")
		path = parameters.ReplaceAllLiteralString(path, strings.ReplaceAll(parameter, "ORDER", id))
		if query != "" {
			path += "?" + query
		}
		asked(t, srv, method, path, body, http.Header{
			"Content-Type": {"application/json"}, "Authorization": {"Bearer " + r.token},
			"X-Product-Code": {"842"}, "Idempotency-Key": {"k"},
		})
	})
}

// fuzzTargets are the targets by what they have of the operations. Each takes its own from here, so
// that the list does not tell of what is not so.
var fuzzTargets = map[string]struct {
	fuzz func(*testing.F)
	has  func(operation string) bool
}{
	"FuzzAdministration": {FuzzAdministration, isAdministration},
	"FuzzPublished":      {FuzzPublished, isPublished},
	"FuzzResources":      {FuzzResources, isResource},
	"FuzzV1": {certinexttest.FuzzV1, func(operation string) bool {
		verb, isVerb := strings.CutPrefix(operation, "POST "+v1)
		return isVerb && len(certinexttest.V1Seeds()[verb]) > 0
	}},
}

// TestEveryPathIsFuzzed: what the server answers in any dialect, one target or another has. The
// document has what the server answers: TestTheDocumentHasEveryPathAndNoOther.
func TestEveryPathIsFuzzed(t *testing.T) {
	all := operationsThat(func(string) bool { return true })
	require.Subset(t, all, certinexttest.Routes())
	require.Subset(t, all, certinexttest.Publications())
	for _, operation := range all {
		fuzzed := false
		for _, target := range fuzzTargets {
			fuzzed = fuzzed || target.has(operation)
		}
		require.True(t, fuzzed, "no fuzz target has %s", operation)
	}
}

// TestWhatIsPublishedIsFuzzed: what stands in a certificate is below one of the fuzzed addresses.
func TestWhatIsPublishedIsFuzzed(t *testing.T) {
	eachDialect(t, func(t *testing.T, d certinexttest.Dialect) {
		r := newRig(t, verified(d))
		id, _ := r.issued("www.example.com")
		cert := r.certificate(id)
		for _, address := range slices.Concat(cert.OCSPServer, cert.CRLDistributionPoints, cert.IssuingCertificateURL) {
			path := strings.TrimPrefix(address, host)
			require.Condition(t, func() bool {
				for _, p := range published() {
					if strings.HasPrefix(path, p) {
						return true
					}
				}
				return false
			}, path)
		}
	})
}
