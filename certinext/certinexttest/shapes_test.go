// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// gatewayV1 is an order as Keyfactor's gateway sends it to version 1: each member there, empty where
// nothing is configured, the group on the delegation, the technical contact on the order.
func gatewayV1(product, domain string, more ...string) m {
	certificate := m{"domainName": domain, "autoSecureWWW": "0"}
	if more != nil {
		certificate["additionalDomains"] = more
	}
	return m{
		"productCode": product, "accountingModel": "2", "saveAndHold": "0", "requestNumber": "", "emailNotifications": "0",
		"requestorInformation": v1Requestor(),
		"delegationInformation": m{
			"contactName": "", "email": "", "groupNumber": certinexttest.DefaultGroup,
		},
		"organizationDetails": m{
			"preVetting": "1", "organizationNumber": certinexttest.DefaultOrganization, "prevettingToken": "", "representativeNumber": "",
		},
		"subscriptionDetails":    m{"validity": "1", "autoRenew": "0", "renewCriteria": "30"},
		"certificateInformation": certificate,
		"agreementDetails":       v1Agreement(),
		"technicalPointOfContact": m{
			"tpcName": "T C", "tpcEmail": "tc@example.com", "tpcIsdCode": "1", "tpcMobileNumber": "4155550199",
		},
		"additionalInformation": m{"remarks": "Order", "tags": []string{}, "customFields": []m{}, "recipientEmail": ""},
	}
}

// What Keyfactor's gateway and scripts send to version 1 is taken as it is.
func TestGatewayOrdersAreTakenInV1(t *testing.T) {
	address := m{
		"autoSecureWWW": "0", "organizationName": "Example", "organizationUnit": "", "streetAddress1": "3 Example Street",
		"streetAddress2": "Floor 4", "locality": "Boston", "state": "Massachusetts", "countryCode": "US", "postalCode": "02108",
		"companyRegistrationNumber": "77",
	}
	full := func(domain string, more ...string) m {
		return merge(address, m{"domainName": domain, "additionalDomains": append([]string{}, more...)})
	}
	person := m{"name": "P", "email": "p@example.com", "isdCode": "1", "mobileNumber": "4155551234", "designation": "D", "employeeID": "1"}
	ev := m{"contractSignerInfo": person, "certificateApproverInfo": person}
	for name, c := range map[string]struct {
		order  m
		status string
	}{
		"DV":                             {gatewayV1("842", "www.example.com"), "issued"},
		"DV, no organization configured": {merge(gatewayV1("842", "www.example.com"), m{"organizationDetails": nil}), "pending-dcv"},
		"DV wildcard":                    {gatewayV1("843", "*.example.com"), "issued"},
		"DV UCC":                         {gatewayV1("844", "www.example.com", "a.example.com"), "issued"},
		"DV wildcard UCC":                {gatewayV1("845", "*.example.com", "example.com"), "issued"},
		"OV":                             {gatewayV1("846", "www.example.com"), "pending-approval"},
		"OV with the full address": {
			merge(gatewayV1("846", "www.example.com"), m{"certificateInformation": full("www.example.com")}), "pending-approval",
		},
		"OV UCC": {
			merge(gatewayV1("848", "www.example.com"), m{"certificateInformation": full("www.example.com", "a.example.com")}), "pending-approval",
		},
		"EV": {
			merge(merge(gatewayV1("850", "www.example.com"), ev), m{"certificateInformation": full("www.example.com")}), "pending-approval",
		},
		"EV UCC": {
			merge(merge(gatewayV1("851", "www.example.com"), ev), m{"certificateInformation": full("www.example.com", "a.example.com")}), "pending-approval",
		},
		"a draft":           {merge(gatewayV1("842", "www.example.com"), m{"saveAndHold": "1"}), "draft"},
		"the cash model":    {merge(gatewayV1("842", "www.example.com"), m{"accountingModel": "1"}), "issued"},
		"three years":       {merge(gatewayV1("842", "www.example.com"), m{"subscriptionDetails": m{"validity": "3", "autoRenew": "1", "renewCriteria": "60"}}), "issued"},
		"absent is null":    {merge(gatewayV1("842", "www.example.com"), m{"contractSignerInfo": any(nil)}), "issued"},
		"a group for order": {merge(gatewayV1("842", "www.example.com"), m{"groupNumber": certinexttest.DefaultGroup}), "issued"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, withEVOrganization())
			domain := c.order["certificateInformation"].(m)["domainName"].(string)
			created := r.call("GenerateOrderSSL", m{"orderDetails": merge(c.order, m{"csr": csr(t, newKey(t), domain)})}).block("orderDetails")
			o := r.srv.Orders()[0]
			require.Equal(t, created["requestNumber"], o.RequestID)
			require.Equal(t, c.status, o.Status)
			require.Equal(t, certinexttest.DefaultGroup, o.Group)
		})
	}
	t.Run("private PKI with an agreement", func(t *testing.T) {
		r := newRig(t, verified(certinexttest.Live))
		order := merge(gatewayV1("149", "h.local", "p.local", "10.0.0.5"), m{"csr": csr(t, newKey(t), "h.local"), "organizationDetails": nil})
		order["certificateInformation"] = merge(order["certificateInformation"].(m), m{
			"autoSecureWWW": nil, "organizationName": "Example", "state": "Massachusetts", "countryCode": "US", "dnsType": "1",
		})
		r.call("GenerateOrderPrivatePKI", m{"orderDetails": order}).ok()
		require.Equal(t, "issued", r.srv.Orders()[0].Status)
	})
}

// The gateway's calls in the order in which it makes them.
func TestGatewayRunsThroughV1(t *testing.T) {
	z := newZone(t)
	r := zoned(t, z, new(certinexttest.Server))
	r.call("ValidateCredentials", nil).ok()
	r.call("GetProductDetails", m{"productDetails": m{"groupNumber": certinexttest.DefaultGroup}}).ok()
	order := merge(gatewayV1("842", "www.example.com"), m{"csr": csr(t, newKey(t), "www.example.com")})
	number := r.buy(order)
	require.Contains(t, r.tracked(number)["domainVerification"], "www.example.com")
	about := m{"requestorEmail": "platform@example.com", "orderNumber": number, "domainName": "www.example.com", "dcvMethod": "1"}
	token := r.call("GetDcv", m{"dcvDetails": about}).block("dcvDetails")["token"].(string)
	z.setTXT("_emsign-validation.www.example.com", token)
	r.call("VerifyDcv", m{"dcvDetails": about}).ok()
	require.Equal(t, "6/20", r.ids(number))
	certificate := r.call("GetCertificate", m{"orderDetails": ref(number)}).block("certificateDetails")
	require.NotEmpty(t, certificate["endEntityCertificate"])
	r.call("GetOrderReport", m{"searchCriteria": m{
		"productCode": "", "groupNumber": "", "orderDateFrom": "", "orderDateTill": "", "domainName": "www.example.com", "pageNumber": "1", "pageSize": "100",
	}}).ok()
	r.call("RevokeOrder", m{"revocationDetails": m{
		"orderNumber": number, "requestorEmail": "platform@example.com", "revokeReasonId": "4", "revokeRemarks": "superseded",
	}}).ok()
	require.Equal(t, "revoked", r.srv.Orders()[0].Status)
}

// What its version 2 sends is taken as it is: the product's code always, notifications off, each
// default of the server written out.
func TestGatewayOrdersAreTakenInV2(t *testing.T) {
	order := func(variant, domain string, more ...string) m {
		return m{
			"productVariant": variant, "emailNotifications": "0", "saveAsDraft": false, "groupNumber": certinexttest.DefaultGroup,
			"requestor":               m{"name": "Jane Doe", "email": "jane@example.com", "phone": "+14155551234", "designation": "PKI Manager"},
			"certificate":             m{"domain": domain, "additionalDomains": append([]string{}, more...), "autoSecureWww": false},
			"subscription":            m{"validityYears": 1, "autoRenew": false, "renewBeforeDays": 30},
			"agreement":               m{"signerName": "Jane Doe", "signerPlace": "Austin", "signerIp": "203.0.113.7", "accepted": true},
			"technicalPointOfContact": m{"name": "T C", "email": "tc@example.com", "phone": "+14155550199", "designation": "Technical Contact"},
			"recipientEmails":         []string{}, "tags": []string{}, "customFields": []m{}, "remarks": "Order",
		}
	}
	org := m{"organization": m{"organizationNumber": certinexttest.DefaultOrganization, "preVetted": true}}
	for name, c := range map[string]struct {
		product string
		order   m
		status  string
	}{
		"DV":           {"842", order("dv", "www.example.com"), "issued"},
		"DV wildcard":  {"843", order("dv", "*.example.com"), "issued"},
		"DV UCC":       {"844", order("dv", "www.example.com", "a.example.com"), "issued"},
		"OV":           {"846", merge(order("ov", "www.example.com"), org), "pending-approval"},
		"OV UCC":       {"848", merge(order("ov", "www.example.com", "a.example.com"), org), "pending-approval"},
		"EV":           {"850", merge(order("ev", "www.example.com"), org), "pending-approval"},
		"all mails":    {"842", merge(order("dv", "www.example.com"), m{"emailNotifications": "all"}), "issued"},
		"no product":   {"", order("dv-ucc", "www.example.com", "a.example.com"), "issued"},
		"no signer ip": {"842", merge(order("dv", "www.example.com"), m{"agreement": m{"signerName": "J", "signerPlace": "P", "accepted": true}}), "issued"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, withEVOrganization())
			id := r.order(c.order, "X-Product-Code", c.product)
			domain := c.order["certificate"].(m)["domain"].(string)
			r.put(sslPath+"/"+id+"/csr", m{"csr": csr(t, newKey(t), domain), "attested": false}).must(http.StatusNoContent)
			require.Equal(t, c.status, r.status(id))
			require.Equal(t, certinexttest.DefaultGroup, r.srv.Orders()[0].Group)
		})
	}
}

// A run sends the requests of testdata/collection.json, each to an order that can take it.
type run struct {
	*rig
	order, family string // the last one that was created
	fresh         func() string
}

// The requests of the published collection of version 2 are answered as the collection says, folder
// by folder from top to bottom.
func TestPublishedRequestsAreAnswered(t *testing.T) {
	text, err := os.ReadFile("testdata/collection.json")
	require.NoError(t, err)
	var requests []struct {
		Request string `json:"request"`
		Body    m      `json:"body"`
	}
	require.NoError(t, json.Unmarshal(text, &requests))
	var revocations []func()
	p := run{rig: newRig(t, verified(certinexttest.Documented))}
	for _, sent := range requests[2:] { // the first two are the token's, which the rig asks for
		method, path, _ := strings.Cut(sent.Request, " ")
		product := "842"
		if strings.Contains(path, "signature-") {
			product = "819"
		} else if strings.Contains(path, "private-pki-") {
			product = "149"
		}
		create := method == http.MethodPost && strings.HasSuffix(path, "-certificates")
		if create {
			body := toJSON(sent.Body)
			p.fresh = func() string {
				return p.do(http.MethodPost, path, body, "X-Product-Code", product).must(http.StatusCreated)["orderId"].(string)
			}
			p.order, p.family = p.fresh(), path
			continue
		}
		want := p.prepare(method, path)
		path = strings.Replace(path, "/1", "/"+p.subject(path), 1)
		if strings.HasSuffix(path, "/csr") {
			sent.Body["csr"] = csrFrom(t, newKey(t), &x509.CertificateRequest{Subject: pkix.Name{CommonName: p.commonName()}})
		}
		body := ""
		if sent.Body != nil {
			body = toJSON(sent.Body)
		}
		send := func() {
			a := p.do(method, path, body)
			require.Equal(t, want, a.status, "%s: %s", sent.Request, a.body)
		}
		if strings.HasSuffix(path, "/revoke") {
			revocations = append(revocations, send) // what is revoked cannot be downloaded
		} else {
			send()
		}
	}
	require.Len(t, revocations, 3)
	for _, revoke := range revocations {
		revoke()
	}
}

// prepare does what is no part of the collection and has to be done before a request, and returns
// the status of its answer.
func (p *run) prepare(method, path string) int {
	switch {
	case strings.HasSuffix(path, "/documents"), strings.Contains(path, "/reports/orders"):
		return http.StatusNotImplemented
	case strings.HasSuffix(path, "/csr") && p.family == signaturePath:
		p.post("/_sandbox/orders/"+p.order+"/documents", m{"count": 1}).must(http.StatusNoContent)
		p.post("/_sandbox/orders/"+p.order+"/approve", nil).must(http.StatusNoContent)
		return http.StatusNoContent
	case strings.HasSuffix(path, "/verify"), strings.HasSuffix(path, "/csr"), strings.HasSuffix(path, "/agreement"),
		strings.HasSuffix(path, "/cancel"), strings.HasSuffix(path, "/revoke"):
		return http.StatusNoContent
	default:
		require.Equal(p.t, http.MethodGet, method)
		return http.StatusOK
	}
}

// subject is what a path is about where the collection has a variable.
func (p *run) subject(path string) string {
	switch {
	case strings.Contains(path, "/requests/"):
		draft := merge(dvOrder("www.example.com"), m{"saveAsDraft": true})
		return p.post(sslPath, draft).must(http.StatusCreated)["requestId"].(string)
	case strings.HasSuffix(path, "/cancel"):
		return p.fresh() // the other one goes on
	case strings.Contains(path, "/organizations/"):
		return certinexttest.DefaultOrganization
	case strings.Contains(path, "/catalog/products/"):
		return "842"
	default:
		return p.order
	}
}

// commonName is that of the last order.
func (p *run) commonName() string {
	o, known := p.srv.Order(p.order)
	require.True(p.t, known)
	if o.Subject != "" {
		return o.Subject
	}
	return o.Domain
}
