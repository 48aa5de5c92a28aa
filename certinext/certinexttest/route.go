// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/authority"
)

// apiPrefix is the path below which all v2 resources live; the token endpoint
// stands outside it.
const apiPrefix = "/api/certinext/v2"

// A route is one operation of the API: method, path and what it demands.
type route struct {
	op       string
	method   string
	pattern  string    // segments, {name} for a parameter
	family   string    // product family, where the path implies one
	dialects []Dialect // nil means all
	query    []string  // query parameters it defines
	body     bool      // takes a JSON body
	bodiless bool      // live callers may leave the body out
	formats  bool      // negotiates the media type itself
	creates  bool      // places an order
	keyed    bool      // the collection sends Idempotency-Key with it
	unlocked bool      // takes the server's lock itself
	maxBody  int64     // bytes of the request; zero means maxBody
	// successor is set on the verbs of version 1: the collection of version 2
	// that their answers point to.
	successor string
	handle    handler
}

var (
	onlyLive = []Dialect{Live, V1}
	routes   = slices.Concat(
		sslRoutes(), privateRoutes(), signatureRoutes(), accountRoutes(), domainRoutes(),
		v1Routes(),
	)
)

// Routes lists what a [Server] answers in any of its dialects, each as method and path, with {name}
// where the path takes a parameter, e.g. "GET /api/certinext/v2/organizations/{id}". It is sorted.
func Routes() []string {
	var out []string
	for i := range routes {
		out = append(out, routes[i].method+" "+routes[i].path())
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Publications lists what a [Server] publishes without asking for credentials, each as method and
// path: the OCSP responder, CRLs, and the certificates of CAs, e.g. "GET /crl/{file}". The URLs in
// certificates name them. GET stands for HEAD, too.
func Publications() []string { return authority.Publications() }

// orderRoutes are the operations all orders of a family share.
func orderRoutes(family string) []route {
	base := "/" + family + "-certificates"
	return []route{
		{op: OpTrack, method: "GET", pattern: base + "/{id}", handle: by(version2.trackOrder)},
		{
			op: OpSubmitCSR, method: "PUT", pattern: base + "/{id}/csr", body: true,
			handle: by(version2.submitCSR),
		},
		{
			op: OpCertificate, method: "GET", pattern: base + "/{id}/certificate",
			query: []string{"format"}, formats: true, handle: by(version2.downloadCertificate),
		},
		{
			op: OpCancel, method: "POST", pattern: base + "/{id}/cancel", body: true,
			bodiless: true, handle: by(version2.cancelOrder),
		},
		{
			op: OpRevoke, method: "POST", pattern: base + "/{id}/revoke", body: true, keyed: true,
			handle: by(version2.revokeOrder),
		},
	}
}

func inFamily(family string, rs ...route) []route {
	for i := range rs {
		rs[i].family = family
	}
	return rs
}

func sslRoutes() []route {
	const base = "/ssl-certificates"
	return inFamily(FamilySSL, append(orderRoutes(FamilySSL),
		route{
			op: OpCreateSSL, method: "POST", pattern: base, body: true, creates: true, keyed: true,
			handle: by(version2.createSSL),
		},
		route{
			op: OpDCV, method: "GET", pattern: base + "/{id}/dcv",
			query: []string{"domain", "method"}, handle: by(version2.getChallenge),
		},
		route{
			op: OpVerifyDCV, method: "POST", pattern: base + "/{id}/dcv/verify", body: true,
			unlocked: true, handle: by(version2.verifyChallenge),
		},
		route{
			op: OpAgreement, method: "POST", pattern: base + "/{id}/agreement", body: true,
			handle: by(version2.acceptAgreement),
		},
		route{
			op: OpReject, method: "POST", pattern: base + "/{id}/reject", dialects: onlyLive,
			body: true, bodiless: true, handle: by(version2.rejectOrder),
		},
		route{
			op: OpReissue, method: "POST", pattern: base + "/{id}/reissue", dialects: onlyLive,
			body: true, handle: by(version2.reissueOrder),
		},
		route{
			op: OpCancelDraft, method: "POST", pattern: base + "/requests/{id}/cancel", body: true,
			handle: by(version2.cancelDraft),
		},
	)...)
}

func privateRoutes() []route {
	return inFamily(FamilyPrivatePKI, append(orderRoutes(FamilyPrivatePKI),
		route{
			op: OpCreatePrivatePKI, method: "POST", pattern: "/private-pki-certificates",
			body: true, creates: true, keyed: true, handle: by(version2.createPrivatePKI),
		},
	)...)
}

// signatureRoutes: documents for a signer cannot be handed in through v2.
func signatureRoutes() []route {
	const base = "/signature-certificates"
	return inFamily(FamilySignature, append(orderRoutes(FamilySignature),
		route{
			op: OpCreateSignature, method: "POST", pattern: base, body: true, creates: true,
			keyed: true, handle: by(version2.createSignature),
		},
		route{
			op: OpDocuments, method: "POST", pattern: base + "/{id}/documents",
			handle: by(version2.documentsNotWired),
		},
		route{
			op: OpAgreement, method: "POST", pattern: base + "/{id}/agreement", body: true,
			handle: by(version2.acceptAgreement),
		},
	)...)
}

func accountRoutes() []route {
	group := []string{"groupNumber"}
	return []route{
		{
			op: OpToken, method: "POST", pattern: "/oauth/token",
			handle: by(tokenEndpoint.grantToken),
		},
		{op: OpMe, method: "GET", pattern: "/auth/me", handle: by(version2.whoAmI)},
		{op: OpGroups, method: "GET", pattern: "/groups", handle: by(version2.listGroups)},
		{
			op: OpOrganizations, method: "GET", pattern: "/organizations", query: group,
			handle: by(version2.listOrganizations),
		},
		{
			op: OpOrganization, method: "GET", pattern: "/organizations/{id}",
			handle: by(version2.getOrganization),
		},
		{
			op: OpProducts, method: "GET", pattern: "/catalog/products", query: group,
			handle: by(version2.listProducts),
		},
		{
			op: OpCustomFields, method: "GET", pattern: "/catalog/products/{id}/custom-fields",
			query:  []string{"organizationNumber", "groupNumber"},
			handle: by(version2.listCustomFields),
		},
		{
			op: OpOrdersReport, method: "GET", pattern: "/reports/orders",
			query:  []string{"page", "size", "groupNumber", "status", "from", "to", "productType"},
			handle: by(version2.ordersReport),
		},
		{
			op: OpLedger, method: "GET", pattern: "/reports/ledger",
			query: []string{"page", "size", "groupNumber"}, handle: by(version2.ledgerReport),
		},
	}
}

func domainRoutes() []route {
	return []route{
		{
			op: OpDomains, method: "GET", pattern: "/domains", query: domainFilters,
			handle: by(domainCalls.listDomains),
		},
		{
			op: OpAddDomain, method: "POST", pattern: "/domains", dialects: onlyLive, body: true,
			handle: by(domainCalls.addDomain),
		},
		{
			op: OpDomain, method: "GET", pattern: "/domains/{id}", dialects: onlyLive,
			handle: by(domainCalls.getDomain),
		},
		{
			op: OpDomainDCV, method: "GET", pattern: "/domains/{id}/dcv", dialects: onlyLive,
			handle: by(domainCalls.getDomainChallenge),
		},
		{
			op: OpDomainDCVMethod, method: "PATCH", pattern: "/domains/{id}/dcv/method",
			dialects: onlyLive, body: true, handle: by(domainCalls.changeDomainMethod),
		},
		{
			op: OpVerifyDomain, method: "POST", pattern: "/domains/{id}/dcv/verify",
			dialects: onlyLive, body: true, unlocked: true,
			handle: by(domainCalls.verifyDomainChallenge),
		},
		{
			op: OpDomainAttempts, method: "GET", pattern: "/domains/{id}/dcv/attempts",
			dialects: onlyLive, handle: by(domainCalls.listDomainAttempts),
		},
		{
			op: OpDomainAttempts, method: "GET", pattern: "/domains/{id}/dcv/attempts/{attempt}",
			dialects: onlyLive, handle: by(domainCalls.getDomainAttempt),
		},
		{
			op: OpDeactivateDomain, method: "POST", pattern: "/domains/{id}/deactivate",
			dialects: onlyLive, body: true, handle: by(domainCalls.deactivateDomain),
		},
	}
}

// route finds the operation of r. A path that no operation has is 404, a path served under other
// methods is 405 with Allow.
func (s *Server) route(r *http.Request) (*call, *problem) {
	var allow []string
	for i := range routes {
		rt := &routes[i]
		if rt.dialects != nil && !slices.Contains(rt.dialects, s.Dialect) {
			continue
		}
		params, ok := rt.match(r.URL.EscapedPath())
		if !ok {
			continue
		}
		if rt.method == r.Method {
			return &call{route: rt, params: params, r: r, query: r.URL.Query()}, nil
		}
		allow = append(allow, rt.method)
	}
	if len(allow) > 0 {
		sort.Strings(allow)
		return nil, methodNotAllowed(strings.Join(slices.Compact(allow), ", "))
	}
	return nil, noSuchPath()
}

// path is the full pattern, prefix included.
func (rt *route) path() string {
	switch {
	case rt.op == OpToken:
		return rt.pattern
	case rt.v1():
		return v1Prefix + rt.pattern
	default:
		return apiPrefix + rt.pattern
	}
}

// match compares an escaped path segment by segment, without cleaning it.
func (rt *route) match(path string) (map[string]string, bool) {
	want, got := strings.Split(rt.path(), "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return nil, false
	}
	params := make(map[string]string)
	for i, w := range want {
		name, isParam := strings.CutPrefix(w, "{")
		if !isParam {
			if w != got[i] {
				return nil, false
			}
			continue
		}
		value, err := url.PathUnescape(got[i])
		if err != nil || value == "" {
			return nil, false
		}
		params[strings.TrimSuffix(name, "}")] = value
	}
	return params, true
}
