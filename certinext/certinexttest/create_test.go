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

func TestCreateAnswers(t *testing.T) {
	live := newRig(t, new(certinexttest.Server))
	v := live.post(sslPath, merge(dvOrder("example.com"), m{"productVariant": "dv", "certificate": m{"domain": "Example.COM"}})).must(http.StatusCreated)
	require.Regexp(t, `^[0-9]{10}$`, v["orderId"])
	require.Regexp(t, `^[0-9]{10}$`, v["requestId"])
	require.NotEqual(t, v["orderId"], v["requestId"])
	require.Equal(t, "pending-dcv", v["status"])
	require.Equal(t, "example.com", v["domain"])
	require.Equal(t, "842", v["resolvedProductCode"])
	require.NotContains(t, v, "_links")

	docs := newRig(t, &certinexttest.Server{Dialect: certinexttest.Documented})
	v = docs.post(sslPath, dvOrder("example.com")).must(http.StatusCreated)
	require.Regexp(t, `^ord_[0-9a-f]+$`, v["orderId"])
	require.Regexp(t, `^req_[0-9a-f]+$`, v["requestId"])
	self := v["_links"].(m)["self"].(m)["href"].(string)
	require.Equal(t, sslPath+"/"+v["orderId"].(string), self)
	require.Len(t, v["_links"], 7)
	require.NotContains(t, v, "resolvedProductCode")
}

func TestOrderSuffix(t *testing.T) {
	r := newRig(t, &certinexttest.Server{OrderSuffix: "R007"})
	id := r.order(dvOrder("example.com"))
	require.True(t, strings.HasSuffix(id, "R007"), id)
	require.Equal(t, "pending-dcv", r.status(id))
}

func TestCreateRefusals(t *testing.T) {
	const live, documented = certinexttest.Live, certinexttest.Documented
	org := func(number, token string) m {
		return m{"organization": m{"organizationNumber": number, "preVetted": true, "preVettingToken": token}}
	}
	names := func(domain string, more ...string) m {
		return m{"certificate": m{"domain": domain, "additionalDomains": more, "autoSecureWww": false}}
	}
	cases := []struct {
		name    string
		dialect certinexttest.Dialect
		change  m
		product string
		status  int
		code    string
		fields  []string
	}{
		{"no variant is a field error", live, m{"productVariant": nil}, "", 400, "", []string{"productVariant"}},
		{"an unknown variant is a field error", live, m{"productVariant": "xv"}, "", 400, "", []string{"productVariant"}},
		{"documented variants have no shape in them", documented, m{"productVariant": "dv-ucc"}, "844", 400, "", []string{"productVariant"}},
		{"no requestor is two field errors live", live, m{"requestor": nil}, "", 400, "", []string{"requestor.name", "requestor.email"}},
		{"no requestor is EMS-916 as documented", documented, m{"requestor": nil}, "842", 422, "EMS-916", nil},
		{"a blank requestor is a field error in both", documented, m{"requestor": m{"name": " ", "email": "a@b"}}, "842", 400, "", []string{"requestor.name"}},
		{"a phone is one E.164 number", live, m{"requestor": m{"name": "J", "email": "a@b", "phone": "415 555"}}, "", 400, "", []string{"requestor.phone"}},
		{"no certificate block is a field error live", live, m{"certificate": nil}, "", 400, "", []string{"certificate.domain"}},
		{"no certificate block is EMS-917 as documented", documented, m{"certificate": nil}, "842", 422, "EMS-917", nil},
		{"no domain is a field error", live, m{"certificate": m{"domain": ""}}, "", 400, "", []string{"certificate.domain"}},
		{"no remarks is EMS-918 as documented", documented, m{"remarks": nil}, "842", 422, "EMS-918", nil},
		{"no subscription is EMS-919 as documented", documented, m{"subscription": nil}, "842", 422, "EMS-919", nil},
		{"no agreement is EMS-920 as documented", documented, m{"agreement": nil}, "842", 422, "EMS-920", nil},
		{"a declined agreement is EMS-920 as documented", documented, m{"agreement": m{"signerName": "J", "signerPlace": "NY", "accepted": false}}, "842", 422, "EMS-920", nil},
		{"an agreement without a place names agreementDetails", live, m{"agreement": m{"signerName": "J", "accepted": true}}, "", 400, "", []string{"agreementDetails.signerPlace"}},
		{"four years are too many", live, m{"subscription": m{"validityYears": 4}}, "", 400, "", []string{"subscription.validityYears"}},
		{"an unknown product is EMS-915", live, nil, "9999", 422, "EMS-915", nil},
		{"a product of another validation is EMS-915", live, nil, "846", 422, "EMS-915", nil},
		{"a product of another family is EMS-915", live, nil, "149", 422, "EMS-915", nil},
		{"a document signer is no SSL product", live, nil, "819", 422, "EMS-915", nil},
		{"S/MIME is no SSL product", live, nil, "914", 422, "EMS-915", nil},
		{"a wildcard needs a wildcard product", live, names("*.example.com"), "842", 422, "EMS-915", nil},
		{"a wildcard product needs a wildcard", live, names("example.com"), "843", 422, "EMS-915", nil},
		{"additional names need a UCC product", live, names("example.com", "a.example.com"), "842", 422, "EMS-915", nil},
		{"a wildcard among them needs a wildcard UCC product", live, names("example.com", "*.example.com"), "844", 422, "EMS-915", nil},
		{"there is no EV wildcard", live, m{"productVariant": "ev", "certificate": m{"domain": "*.example.com"}}, "", 422, "EMS-915", nil},
		{"a long variant must fit the names", live, m{"productVariant": "dv-wildcard"}, "", 422, "EMS-915", nil},
		{"an address is no public name", live, names("10.0.0.1"), "", 422, "EMS-917", nil},
		{"an address among the names is refused", live, names("example.com", "10.0.0.1"), "844", 422, "EMS-917", nil},
		{"an email among the names is refused", live, names("example.com", "a@example.com"), "844", 422, "EMS-917", nil},
		{"a single label is no public name", live, names("localhost"), "", 422, "EMS-917", nil},
		{"a wildcard in the middle is refused", live, names("a.*.example.com"), "", 422, "EMS-917", nil},
		{"OV needs an organization", live, m{"productVariant": "ov"}, "", 422, "EMS-1180", nil},
		{"EV needs an organization", documented, m{"productVariant": "ev"}, "850", 422, "EMS-1180", nil},
		{"an unknown organization is refused", live, merge(m{"productVariant": "ov"}, org("1", "")), "", 422, "EMS-1073", nil},
		{"a wrong consent token is refused", live, merge(m{"productVariant": "ov"}, org("4000001", "x")), "", 422, "", nil},
		{"an unknown group is refused", live, m{"groupNumber": "1"}, "", 422, "", nil},
		{"an unknown custom field is a field error", live, m{"customFields": []m{{"fieldId": "1", "value": "x"}}}, "", 400, "", []string{"customFields.fieldId"}},
		{"a request id that is no draft is a field error", live, m{"requestId": "1"}, "", 400, "", []string{"requestId"}},
		{"a broken CSR refuses the whole order", live, m{"csr": "x"}, "", 422, "EMS-917", nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, verified(c.dialect))
			v := r.post(sslPath, merge(dvOrder("www.example.com"), c.change), "X-Product-Code", c.product).refused(c.status, c.code)
			require.Equal(t, c.fields, fields(v))
			require.Empty(t, r.srv.Orders(), "a refused order is no order")
		})
	}
}

func TestProductFollowsFromVariantAndNames(t *testing.T) {
	cases := map[string]struct {
		variant, domain string
		more            []string
		header          string
		want            string
	}{
		"one name":                          {"dv", "example.com", nil, "", "842"},
		"a wildcard":                        {"dv", "*.example.com", nil, "", "843"},
		"several names":                     {"dv", "example.com", []string{"a.example.com"}, "", "844"},
		"several names with a wildcard":     {"dv", "example.com", []string{"*.example.com"}, "", "845"},
		"the common name repeated is one":   {"dv", "example.com", []string{"EXAMPLE.com"}, "", "842"},
		"a long variant":                    {"dv-ucc", "example.com", []string{"a.example.com"}, "", "844"},
		"OV":                                {"ov", "example.com", nil, "", "846"},
		"an OV wildcard with several names": {"ov-wildcard-ucc", "*.example.com", []string{"example.com"}, "", "849"},
		"EV":                                {"ev", "example.com", nil, "850", "850"},
		"EV with several names":             {"ev-ucc", "example.com", []string{"a.example.com"}, "", "851"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, new(certinexttest.Server))
			id := r.order(merge(ovOrder(c.domain), m{
				"productVariant": c.variant,
				"certificate":    m{"domain": c.domain, "additionalDomains": c.more, "autoSecureWww": false},
			}), "X-Product-Code", c.header)
			o, ok := r.srv.Order(id)
			require.True(t, ok)
			require.Equal(t, c.want, o.ProductCode)
		})
	}
}

// Additional domains are among what each UCC product requires.
func TestUCCProductNeedsAdditionalNames(t *testing.T) {
	alone := func(domain string, more ...string) m {
		return merge(ovOrder(domain), m{"certificate": m{"domain": domain, "additionalDomains": more, "autoSecureWww": false}})
	}
	cases := map[string]struct {
		body    m
		product string
	}{
		"by its code":          {merge(alone("example.com"), m{"productVariant": "dv"}), "844"},
		"by a long variant":    {merge(alone("example.com"), m{"productVariant": "dv-ucc"}), ""},
		"the name repeated":    {merge(alone("example.com", "EXAMPLE.com"), m{"productVariant": "dv-ucc"}), ""},
		"a wildcard alone":     {merge(alone("*.example.com"), m{"productVariant": "dv-wildcard-ucc"}), ""},
		"an OV certificate":    {merge(alone("example.com"), m{"productVariant": "ov-ucc"}), "848"},
		"an OV wildcard alone": {merge(alone("*.example.com"), m{"productVariant": "ov-wildcard-ucc"}), ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, verified(certinexttest.Live))
			r.post(sslPath, c.body, "X-Product-Code", c.product).refused(422, "EMS-915")
			require.Empty(t, r.srv.Orders())
			r.srv.Configure(func(s *certinexttest.Server) { s.Demands.LoneUCC = true })
			r.order(c.body, "X-Product-Code", c.product)
		})
	}
	r := v1Rig(t)
	body := m{"orderDetails": merge(v1Order("www.example.com"), m{"productCode": "844"})}
	require.Equal(t, "Invalid Additional Domain Names.", r.call("GenerateOrderSSL", body).fails("EMS-1173"))
	r.srv.Configure(func(s *certinexttest.Server) { s.Demands.LoneUCC = true })
	r.call("GenerateOrderSSL", body).ok()
}

func TestAmbiguousProductIsRefusedWithoutACode(t *testing.T) {
	short := certinexttest.Product{Code: "959", Name: "SSL DV 30 days", Type: "13"}
	r := newRig(t, &certinexttest.Server{Catalog: append(certinexttest.SandboxCatalog(), short)})
	r.post(sslPath, dvOrder("example.com")).refused(422, "EMS-915")
	r.order(dvOrder("example.com"), "X-Product-Code", "959")
}

func TestMandatoryCustomField(t *testing.T) {
	catalog := []certinexttest.Product{{
		Code: "842", Name: "SSL DV", Type: "13",
		CustomFields: []certinexttest.CustomField{{ID: "456", Name: "Cost centre", Mandatory: true}},
	}}
	r := newRig(t, &certinexttest.Server{Catalog: catalog})
	r.post(sslPath, dvOrder("example.com")).refused(422, "EMS-918")
	r.order(merge(dvOrder("example.com"), m{"customFields": []m{{"fieldId": "456", "value": "x"}}}))
	v := r.get(api + "/catalog/products/842/custom-fields").must(http.StatusOK)
	info := v["customFields"].([]any)[0].(m)["additionalInformation"].([]any)[0].(m)
	require.Equal(t, "456", info["fieldId"])
	require.Equal(t, "1", info["isMandatory"])
	require.Equal(t, "100", info["maxlength"])
	require.Empty(t, info["values"])
}

func TestCustomFieldTakesItsValuesOnly(t *testing.T) {
	catalog := []certinexttest.Product{{
		Code: "842", Name: "SSL DV", Type: "13",
		CustomFields: []certinexttest.CustomField{{ID: "456", Name: "Region", Values: []string{"emea", "apac"}}, {ID: "457", MaxLength: 4}},
	}}
	r := newRig(t, &certinexttest.Server{Catalog: catalog})
	order := func(id, value string) m {
		return merge(dvOrder("example.com"), m{"customFields": []m{{"fieldId": id, "value": value}}})
	}
	r.post(sslPath, order("456", "mars")).refused(400, "")
	r.post(sslPath, order("457", "47110")).refused(400, "")
	r.order(order("456", "apac"))
	r.order(order("457", "4711"))
	info := r.get(api + "/catalog/products/842/custom-fields").must(http.StatusOK)["customFields"].([]any)[0].(m)["additionalInformation"].([]any)
	require.Equal(t, []any{"emea", "apac"}, info[0].(m)["values"])
	require.Equal(t, "4", info[1].(m)["maxlength"])
}

func TestDraftBecomesAnOrder(t *testing.T) {
	eachDialect(t, func(t *testing.T, d certinexttest.Dialect) {
		r := newRig(t, verified(d))
		draft := merge(dvOrder("www.example.com"), m{"saveAsDraft": true})
		v := r.post(sslPath, draft).must(http.StatusCreated)
		require.NotContains(t, v, "orderId")
		require.NotContains(t, v, "status")
		requestID := v["requestId"].(string)
		require.Equal(t, "draft", r.srv.Orders()[0].Status)

		v = r.post(sslPath, merge(dvOrder("www.example.com"), m{"requestId": requestID})).must(http.StatusCreated)
		require.Equal(t, requestID, v["requestId"])
		require.Equal(t, "pending-csr", r.status(v["orderId"].(string)))
		require.Len(t, r.srv.Orders(), 1)
		require.Equal(t, 2, r.srv.Orders()[0].Creates)

		r.post(sslPath+"/requests/"+requestID+"/cancel", m{"reason": "x"}).refused(422, "EMS-930")
		r.post(sslPath, merge(dvOrder("www.example.com"), m{"requestId": requestID})).refused(400, "")
	})
}

func TestDraftIsCancelledByRequestID(t *testing.T) {
	r := newRig(t, new(certinexttest.Server))
	requestID := r.post(sslPath, merge(dvOrder("example.com"), m{"saveAsDraft": true})).must(http.StatusCreated)["requestId"].(string)
	cancel := sslPath + "/requests/" + requestID + "/cancel"
	require.Equal(t, []string{"reason"}, fields(r.post(cancel, m{}).refused(400, "")))
	r.post(cancel, m{"reason": "no longer needed"}).must(http.StatusNoContent)
	r.post(cancel, m{"reason": "again"}).refused(422, "EMS-930")
	r.post(sslPath+"/requests/1/cancel", m{"reason": "x"}).refused(404, "")
	require.Equal(t, "no longer needed", r.srv.Orders()[0].CancelReason)
	require.Equal(t, "cancelled", r.srv.Orders()[0].Status)
}

func TestOrderIsKeyedByIDAndFamily(t *testing.T) {
	r := newRig(t, new(certinexttest.Server))
	v := r.post(sslPath, dvOrder("example.com")).must(http.StatusCreated)
	r.get(sslPath+"/"+v["requestId"].(string)).refused(404, "")
	r.get(privatePath+"/"+v["orderId"].(string)).refused(404, "")
	r.get(api+"/signature-certificates/"+v["orderId"].(string)).refused(404, "")
	r.get(sslPath + "/" + v["orderId"].(string)).must(http.StatusOK)
}

func TestPrivatePKIRefusals(t *testing.T) {
	cases := []struct {
		name    string
		dialect certinexttest.Dialect
		change  m
		product string
		status  int
		code    string
		fields  []string
	}{
		{"no host name is a field error", certinexttest.Live, m{"hostname": nil}, "", 400, "", []string{"hostname"}},
		{"an unknown variant is a field error", certinexttest.Live, m{"variant": "x"}, "", 400, "", []string{"variant"}},
		{"a variant nobody is entitled to is EMS-915", certinexttest.Live, m{"variant": "vpn"}, "", 422, "EMS-915", nil},
		{"a product of another variant is EMS-915", certinexttest.Live, nil, "104", 422, "EMS-915", nil},
		{"an SSL product is EMS-915", certinexttest.Live, nil, "842", 422, "EMS-915", nil},
		{"an S/MIME product is EMS-915", certinexttest.Live, nil, "914", 422, "EMS-915", nil},
		{"the intranet product is no IGTF host's", certinexttest.Live, m{"variant": "igtf-host"}, "149", 422, "EMS-915", nil},
		{"a profile without entitlement is EMS-915", certinexttest.Live, m{"caProfileId": "9"}, "", 422, "EMS-915", nil},
		{"documented profiles are required", certinexttest.Documented, m{"caProfileId": nil, "masterProductId": nil}, "149", 400, "", []string{"caProfileId", "masterProductId"}},
		{"a blank in a host is refused", certinexttest.Live, m{"additionalHosts": []string{"a b"}}, "", 422, "EMS-917", nil},
		{"an SSL member is unknown here", certinexttest.Live, m{"agreement": m{}}, "", 400, "", []string{"agreement"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, &certinexttest.Server{Dialect: c.dialect})
			v := r.post(privatePath, merge(privateOrder("h.local"), c.change), "X-Product-Code", c.product).refused(c.status, c.code)
			require.Equal(t, c.fields, fields(v))
		})
	}
}
