// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// V1Seeds are bodies for the verbs of version 1, what stands beside meta in each. A verb without one is
// fuzzed by nobody, and a test tells.
func V1Seeds() map[string][]string {
	seeds := make(map[string][]string)
	add := func(verb, body string) { seeds[verb] = append(seeds[verb], body) }
	const create = `"orderDetails":{"productCode":"846","requestorInformation":{"requestorName":"a","requestorEmail":"a@b"},` +
		`"subscriptionDetails":{},"certificateInformation":{"domainName":"www.example.com","additionalDomains":[]},"csr":"x",` +
		`"agreementDetails":{"acceptAgreement":"1","signerName":"a","signerPlace":"b","signerIP":"203.0.113.7"},` +
		`"additionalInformation":{"remarks":"r","tags":["a:b"],"customFields":[{"fieldID":"1","fieldValue":"2"}]}}`
	add("GenerateOrderSSL", create)
	add("GenerateOrderPrivatePKI", create)
	const somebody = `"orderDetails":{"productCode":"PRODUCT","requestorInformation":{"requestorName":"a","requestorEmail":"a@b"},` +
		`"subscriptionDetails":{"validity":"1"},"certificateInformation":{"firstName":"a","lastName":"b","email":"a@b","countryCode":"US"},` +
		`"agreementDetails":{"acceptAgreement":"1","signerName":"a","signerPlace":"b","signerIP":"203.0.113.7"},"additionalInformation":{"remarks":"r"}}`
	add("GenerateOrderSignature", strings.Replace(somebody, "PRODUCT", "819", 1))
	add("GenerateOrderSMIME", strings.Replace(somebody, "PRODUCT", "914", 1))
	add("SubmitDocument", `"documentDetails":{"requestorEmail":"a@b","orderNumber":"SIGNER","numberOfDocuments":"1",`+
		`"documentsAttached":[{"id":"1","fileName":"x.pdf","description":"x","base64Value":"JVBERi0xLjcK%2Fw%3D%3D"}]}`)
	add("TrackOrder", `"orderDetails":{"orderNumber":"SIGNER"}`)
	add("TrackOrder", `"orderDetails":{"orderNumber":"ORDER"}`)
	add("GetDcv", `"dcvDetails":{"requestorEmail":"a@b","orderNumber":"ORDER","domainName":"www.example.com","dcvMethod":"2"}`)
	add("VerifyDcv", `"dcvDetails":{"requestorEmail":"a@b","orderNumber":"ORDER","domainName":"www.example.com","dcvMethod":"3","dcvEmail":"x"}`)
	add("SubmitCSR", `"orderDetails":{"requestorEmail":"a@b","orderNumber":"ORDER","csr":"-----BEGIN"}`)
	add("AgreementAcceptance", `"agreementDetails":{"requestorEmail":"a@b","orderNumber":"ORDER","acceptAgreement":"1","signerIP":"fe80::1%eth0"}`)
	add("GetCertificate", `"orderDetails":{"requestorEmail":"a@b","orderNumber":"ORDER"}`)
	add("RevokeOrder", `"revocationDetails":{"requestorEmail":"a@b","orderNumber":"ORDER","revokeReasonId":"1","revokeRemarks":"x"}`)
	add("RejectOrder", `"orderDetails":{"orderNumber":"ORDER","rejectRemarks":"x"}`)
	add("RejectRequest", `"orderDetails":{"requestNumber":"1","rejectRemarks":"x"}`)
	add("GetOrderReport", `"searchCriteria":{"pageNumber":"9999999999","orderDateTill":"9999-12-31","tags":[":"],"domainName":",,"}`)
	add("GetLedgerStatementDetails", `"statementDetails":{"pageNumber":"-1"}`)
	add("GetGroupDetailsV2", `"groupDetails":null`)
	add("GetOrganizationDetails", `"organizationDetails":{"organizationNumber":"4000001"}`)
	add("GetFieldDetails", `"productDetails":{"productCode":"842"}`)
	add("GetGroupDetails", `"groupDetails":{"groupNumber":"3000000001"}`)
	add("GetProductDetails", `"productDetails":{"groupNumber":"3000000001"}`)
	add("GetDomainDetails", ``)
	add("ValidateCredentials", ``)
	return seeds
}

// FuzzV1: whatever stands beside a good meta, a verb answers HTTP 200 with a
// meta that says how it went, and panics at nothing. ORDER stands for the
// number of an order, SIGNER for that of a document signer's.
func FuzzV1(f *testing.F) {
	for verb, bodies := range V1Seeds() {
		for _, body := range bodies {
			f.Add(verb, body)
		}
	}
	f.Fuzz(func(t *testing.T, name, body string) {
		if !slices.ContainsFunc(routes, func(rt route) bool { return rt.v1() && rt.pattern == "/"+name }) {
			return
		}
		for _, d := range []Dialect{Live, Documented, V1} {
			s := &Server{Dialect: d, Resolver: "127.0.0.1:1", CAA: CAAPolicy{Lookups: CAANever}, VerifiedDomains: []string{"example.com"}}
			s.once.Do(s.setUp)
			s.tokens.access["t"] = accessToken{expires: s.now().Add(time.Hour)}
			host := &order{
				family: FamilySSL, product: s.catalog()[0], domain: "www.example.com",
				years: 1, createdAt: s.now(), signings: []*signing{{requestedAt: s.now()}},
			}
			host.targets = newTargets(host.leafNames())
			product, _ := s.product("819")
			signer := &order{
				family: FamilySignature, product: product, subject: &subject{displayName: "a b", email: "a@b"},
				years: 1, createdAt: s.now(), signings: []*signing{{requestedAt: s.now()}},
			}
			for i, o := range []*order{host, signer} {
				o.id, o.requestID = s.newOrderID(), strconv.Itoa(i)
				s.book.file(o)
				s.book.sequence = append(s.book.sequence, o)
			}
			body := strings.NewReplacer("ORDER", host.id, "SIGNER", signer.id).Replace(body)
			fuzzV1(t, s, name, body)
		}
	})
}

func fuzzV1(t *testing.T, s *Server, name, body string) {
	t.Helper()
	meta := `{"meta":{"ver":"1.0","ts":"` + s.now().Format(time.RFC3339) + `","txn":"0123456789","accountNumber":"1234567890","authKey":""}`
	if body != "" {
		meta += ","
	}
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, v1Prefix+"/"+name, strings.NewReader(meta+body+"}"))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer t")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, req)
	var answer struct {
		Meta struct {
			Status       string `json:"status"`
			ErrorMessage string `json:"errorMessage"`
		} `json:"meta"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != http.StatusOK {
		t.Fatalf("%s: status %d, %v: %s", name, w.Code, err, w.Body)
	}
	if ok := answer.Meta.Status == "1"; !ok && (answer.Meta.Status != "0" || answer.Meta.ErrorMessage == "") {
		t.Fatalf("%s: neither a success nor a failure: %s", name, w.Body)
	}
}
