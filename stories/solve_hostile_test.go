// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/certinext/vault-plugin-secrets-certinext/dcv/dcvtest"
	"github.com/stretchr/testify/require"
)

// A CA that could choose where a record is published could prove something to another CA with it.
func TestARecordIsPublishedAtNoNameOfTheCAsChoice(t *testing.T) {
	z := newZoned(t, &certinexttest.Server{Dialect: certinexttest.Documented, ChallengeHosts: []string{"_acme-challenge.{domain}"}},
		dcvtest.Zone{Name: "example.com"})
	z.role("web", map[string]any{"product_code": "842", "product_variant": "dv", "issue_timeout": "1s"})
	request := map[string]any{"common_name": "www.example.com"}
	text := z.refused("issue/web", request)
	require.Contains(t, text, "CERTInext asks for a TXT record at _acme-challenge.www.example.com: if that is right, add it to dcv_hosts")
	require.Equal(t, "operator", z.onlyOrder("web")["waits_for"])
	require.Empty(t, z.dns.Challenges("example.com"))

	z.role("web", map[string]any{"product_code": "842", "product_variant": "dv", "dcv_hosts": "_acme-challenge.{domain}"})
	z.chainOK(z.write("issue/web", request))
	z.requireClean("example.com")
}

func TestTheOtherLabelOfTheDocumentsIsPublishedWhenCERTInextNamesIt(t *testing.T) {
	z := newZoned(t, &certinexttest.Server{Dialect: certinexttest.Documented, ChallengeHosts: []string{"_certinext-challenge.{domain}"}},
		dcvtest.Zone{Name: "example.com"})
	z.chainOK(z.write("issue/web", map[string]any{"common_name": "www.example.com"}))
	z.requireClean("example.com")
}

// otherDomain has the CA ask for control of another domain than the order's.
type otherDomain struct {
	next   http.RoundTripper
	domain string
}

func (o otherDomain) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := o.next.RoundTrip(r)
	if err != nil || r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/ssl-certificates/") || strings.HasSuffix(r.URL.Path, "/dcv") {
		return resp, err
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	var body map[string]any
	if json.Unmarshal(text, &body) == nil {
		if v, ok := body["verifications"].(map[string]any); ok {
			for _, d := range v["domain"].(map[string]any)["domains"].([]any) {
				d.(map[string]any)["domain"] = o.domain
			}
			text, err = json.Marshal(body)
		}
	}
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	resp.Header.Del("Content-Length")
	return resp, err
}

func TestNothingIsPublishedForADomainThatNobodyHasOrderedFor(t *testing.T) {
	z := newZoned(t, new(certinexttest.Server), dcvtest.Zone{Name: "example.com"}, dcvtest.Zone{Name: "victim.net"})
	z.ca.Configure(func(ca *certinexttest.Server) { ca.Resolver = noResolver }) // so that the status, which names the domain, is asked for
	z.startWith(&http.Client{Transport: otherDomain{z.ca.Client().Transport, "www.victim.net"}})
	z.role("web", map[string]any{"product_code": "842", "product_variant": "dv", "issue_timeout": "2s"})
	text := z.refused("issue/web", map[string]any{"common_name": "www.example.com"})
	require.Contains(t, text, "CERTInext asks for control of www.victim.net, which is none of this order's names")
	require.Equal(t, "operator", z.onlyOrder("web")["waits_for"])
	z.requireClean("example.com", "victim.net")
	require.NotContains(t, z.story("web"), "victim.net in the zone")
}

// A domain may be validated for all names below it.
func TestAParentOfTheOrdersNameIsValidated(t *testing.T) {
	z := newZoned(t, new(certinexttest.Server), dcvtest.Zone{Name: "example.com"})
	z.ca.Configure(func(ca *certinexttest.Server) { ca.Resolver = noResolver })
	z.startWith(&http.Client{Transport: otherDomain{z.ca.Client().Transport, "example.com"}})
	z.role("web", map[string]any{"product_code": "842", "product_variant": "dv", "issue_timeout": "2s"})
	require.Contains(t, z.refused("issue/web", map[string]any{"common_name": "www.example.com"}), "the solver corp validates control of example.com: ")
}

func TestADomainsOwnerDoesNotChooseWhereRecordsAreWritten(t *testing.T) {
	z := newZoned(t, new(certinexttest.Server),
		dcvtest.Zone{Name: "corp.com", Records: []string{"* A 192.0.2.1"}},
		dcvtest.Zone{Name: "customer.net", Closed: true, Records: []string{"_emudhra-challenge CNAME login.corp.com.", "_emsign-validation CNAME login.corp.com."}})
	blind := dcvtest.Start(t, dcvtest.Zone{Name: "customer.net"})
	z.ca.Configure(func(ca *certinexttest.Server) { ca.Resolver = blind.Addr })
	z.role("web", map[string]any{"product_code": "842", "product_variant": "dv", "issue_timeout": "2s", "allow_any_name": false, "allowed_domains": "customer.net", "allow_bare_domains": true})
	z.refused("issue/web", map[string]any{"common_name": "customer.net"})
	require.Empty(t, z.dns.Challenges("corp.com"), "the customer has had login.corp.com written to, which hides *.corp.com")
}
