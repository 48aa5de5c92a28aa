// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"crypto/rand"
	"crypto/rsa"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// with overlays members of a block of an order.
func with(block string, change m) m {
	return m{block: merge(v1Order("www.example.com")[block].(m), change)}
}

func TestV1CreateAnswers(t *testing.T) {
	r := v1Rig(t)
	key := newKey(t)
	a := r.call("GenerateOrderSSL", m{"orderDetails": merge(v1Order("WWW.Example.com"), m{
		"csr": csr(t, key, "www.example.com"), "delegationInformation": m{"groupNumber": certinexttest.DefaultGroup},
		"additionalInformation": m{"remarks": "r", "tags": []string{"vault-order:1"}},
	})})
	v := a.block("orderDetails")
	require.Len(t, v, 3)
	require.Regexp(t, `^[0-9]{10}$`, v["orderNumber"])
	require.Regexp(t, `^[0-9]{10}$`, v["requestNumber"])
	require.Contains(t, v["trackingURL"], v["requestNumber"])
	require.Contains(t, a.header.Get("Link"), "/api/certinext/v2/ssl-certificates>")

	o, ok := r.srv.Order(v["orderNumber"].(string))
	require.True(t, ok)
	require.Equal(t, "842", o.ProductCode)
	require.Equal(t, "dv", o.Variant)
	require.Equal(t, "www.example.com", o.Domain)
	require.Equal(t, certinexttest.DefaultOrganization, o.Organization)
	require.Equal(t, certinexttest.DefaultGroup, o.Group)
	require.Equal(t, []string{"vault-order:1"}, o.Tags)
	require.Equal(t, "r", o.Remarks)
	require.Equal(t, 1, o.Creates)
	require.Equal(t, "issued", o.Status, "the validated domain of the pre-vetted organization counts")

	docs := newRig(t, verified(certinexttest.Documented))
	v = docs.call("GenerateOrderSSL", m{"orderDetails": v1Order("www.example.com")}).block("orderDetails")
	require.Regexp(t, `^ord_`, v["orderNumber"])
	require.Contains(t, v, "trackingUrl", "the published spelling")
	require.NotContains(t, v, "trackingURL")
}

func TestV1KnowsNoIdempotencyKey(t *testing.T) {
	r := newRig(t, &certinexttest.Server{Idempotency: certinexttest.On, VerifiedDomains: []string{"example.com"}})
	for range 2 {
		body := toJSON(m{"meta": v1Meta(time.Now(), nil), "orderDetails": v1Order("www.example.com")})
		v1Answer{r.do("POST", v1+"GenerateOrderSSL", body, "Idempotency-Key", "same")}.ok()
	}
	require.Len(t, r.srv.Orders(), 2)
	require.Empty(t, r.srv.Orders()[0].IdempotencyKey)
}

func TestV1CreateRefusals(t *testing.T) {
	const documented = certinexttest.Documented
	rsaKey, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	long := strings.Repeat("x", 31)
	tagged := func(tag string) m { return with("additionalInformation", m{"tags": []string{tag}}) }
	cases := map[string]struct {
		change  m
		code    string
		dialect certinexttest.Dialect
	}{
		"a product the account lacks":              {m{"productCode": "838"}, "EMS-1162", 0},
		"no product":                               {m{"productCode": ""}, "EMS-914", 0},
		"a product of private PKI":                 {m{"productCode": "149"}, "EMS-915", 0},
		"a document signer":                        {m{"productCode": "819"}, "EMS-915", 0},
		"S/MIME":                                   {m{"productCode": "914"}, "EMS-915", 0},
		"a product the group lacks":                {m{"delegationInformation": m{"groupNumber": "3000000002"}}, "EMS-1269", 0},
		"an unknown group":                         {m{"delegationInformation": m{"groupNumber": "1"}}, "EMS-1137", 0},
		"two groups":                               {m{"groupNumber": certinexttest.DefaultGroup, "delegationInformation": m{"groupNumber": "3000000002"}}, "EMS-1137", 0},
		"a wildcard product without a wildcard":    {m{"productCode": "843"}, "EMS-1059", 0},
		"a wildcard without its product":           {with("certificateInformation", m{"domainName": "*.example.com"}), "EMS-1058", 0},
		"several names without UCC":                {with("certificateInformation", m{"additionalDomains": []string{"a.example.com"}}), "EMS-1173", 0},
		"an address for a name":                    {with("certificateInformation", m{"domainName": "192.0.2.1"}), "EMS-1057", 0},
		"no name":                                  {with("certificateInformation", m{"domainName": nil}), "EMS-1157", 0},
		"no certificate information":               {m{"certificateInformation": nil}, "EMS-917", 0},
		"no requestor":                             {m{"requestorInformation": nil}, "EMS-916", 0},
		"a requestor without an address":           {with("requestorInformation", m{"requestorEmail": ""}), "EMS-924", 0},
		"a number with a plus":                     {with("requestorInformation", m{"requestorMobileNumber": "+14155551234"}), "EMS-923", 0},
		"empty remarks":                            {m{"additionalInformation": m{"remarks": ""}}, "EMS-918", 0},
		"no additional information":                {m{"additionalInformation": nil}, "EMS-918", 0},
		"no subscription":                          {m{"subscriptionDetails": nil}, "EMS-919", 0},
		"a term of four years":                     {with("subscriptionDetails", m{"validity": "4"}), "EMS-1216", 0},
		"renewal after 45 days":                    {with("subscriptionDetails", m{"renewCriteria": "45"}), "EMS-1218", 0},
		"an agreement that is not accepted":        {with("agreementDetails", m{"acceptAgreement": "0"}), "EMS-920", 0},
		"an agreement nobody signed":               {with("agreementDetails", m{"signerName": ""}), "EMS-1088", 0},
		"no agreement for a new organization":      {m{"agreementDetails": nil, "organizationDetails": nil}, "EMS-1084", 0},
		"a signer on this host":                    {with("agreementDetails", m{"signerIP": "127.0.0.1"}), "EMS-1091", 0},
		"a signer on a private network":            {with("agreementDetails", m{"signerIP": "10.1.2.3"}), "EMS-1091", 0},
		"a signer on a private network, in IPv6":   {with("agreementDetails", m{"signerIP": "::ffff:10.1.2.3"}), "EMS-1091", 0},
		"a signer with a name for an address":      {with("agreementDetails", m{"signerIP": "host.example.com"}), "EMS-1091", 0},
		"an unknown organization":                  {with("organizationDetails", m{"organizationNumber": "1"}), "EMS-1073", 0},
		"an organization that is not re-used":      {with("organizationDetails", m{"preVetting": "0"}), "EMS-1075", 0},
		"re-use of no organization":                {with("organizationDetails", m{"organizationNumber": ""}), "EMS-1134", 0},
		"a foreign consent token":                  {with("organizationDetails", m{"prevettingToken": "00"}), "EMS-1214", 0},
		"OV without an organization":               {m{"productCode": "846", "organizationDetails": nil}, "EMS-1180", 0},
		"an unknown custom field":                  {with("additionalInformation", m{"customFields": []m{{"fieldID": "9", "fieldValue": "x"}}}), "EMS-1203", 0},
		"a tag without a colon":                    {tagged("vault"), "EMS-1128", 0},
		"a long tag value, as published":           {tagged("vault:" + long), "EMS-1148", documented},
		"a long tag name, as published":            {tagged(long + ":x"), "EMS-1146", documented},
		"a CSR that is none":                       {m{"csr": "x"}, "EMS-952", 0},
		"a CSR for another name":                   {m{"csr": csr(t, newKey(t), "a.example.com")}, "EMS-1056", 0},
		"a key that is too small, in words only":   {m{"csr": csr(t, rsaKey, "www.example.com")}, "", 0},
		"an unknown request number":                {m{"requestNumber": "1"}, "EMS-1005", 0},
		"true for 1":                               {m{"saveAndHold": "true"}, "", 0},
		"a JSON true for 1":                        {m{"saveAndHold": true}, "EMS-902", 0},
		"a misspelt field":                         {with("certificateInformation", m{"domain": "x"}), "EMS-902", 0},
		"a technical contact without an address":   {m{"technicalPointOfContact": m{"tpcEmail": "nobody"}}, "EMS-1047", 0},
		"a technical contact of the other version": {m{"technicalPointOfContact": m{"pocEmail": "a@example.com"}}, "EMS-902", 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, &certinexttest.Server{
				Dialect: c.dialect, VerifiedDomains: []string{"example.com"},
				Groups: []certinexttest.Group{
					{Number: certinexttest.DefaultGroup, Default: true}, {Number: "3000000002", Products: []string{"846"}},
				},
			})
			r.call("GenerateOrderSSL", m{"orderDetails": merge(v1Order("www.example.com"), c.change)}).fails(c.code)
			require.Empty(t, r.srv.Orders())
		})
	}
}

func TestV1TakesBothSpellingsOfAnOrder(t *testing.T) {
	cases := map[string]struct {
		change m
		check  func(t *testing.T, o certinexttest.OrderRecord)
	}{
		"the group on the delegation": {
			m{"delegationInformation": m{"groupNumber": certinexttest.DefaultGroup}},
			func(t *testing.T, o certinexttest.OrderRecord) { require.Equal(t, certinexttest.DefaultGroup, o.Group) },
		},
		"autoSecureWWW on the order": {
			m{"autoSecureWWW": "0", "certificateInformation": m{"domainName": "example.com"}},
			func(t *testing.T, o certinexttest.OrderRecord) { require.False(t, o.AutoSecureWWW) },
		},
		"autoSecureWWW in the certificate": {
			m{"certificateInformation": m{"domainName": "example.com", "autoSecureWWW": "0"}},
			func(t *testing.T, o certinexttest.OrderRecord) { require.False(t, o.AutoSecureWWW) },
		},
		"autoSecureWWW is 1 where nothing is said": {
			m{"certificateInformation": m{"domainName": "example.com"}},
			func(t *testing.T, o certinexttest.OrderRecord) { require.True(t, o.AutoSecureWWW) },
		},
		"the technical contact on the order": {
			m{"technicalPointOfContact": m{"tpcName": "T", "tpcEmail": "t@example.com", "tpcIsdCode": "1", "tpcMobileNumber": "4155550199"}}, nil,
		},
		"the technical contact inside": {
			with("additionalInformation", m{"technicalPointOfContact": m{"pocName": "T", "pocEmail": "t@example.com", "pocIsdCode": "1", "pocMobileNumber": "1", "pocDesignation": "T"}}), nil,
		},
		"cash": {m{"accountingModel": "1"}, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := v1Rig(t)
			o, ok := r.srv.Order(r.buy(merge(v1Order("example.com"), c.change)))
			require.True(t, ok)
			if c.check != nil {
				c.check(t, o)
			}
		})
	}
}

func TestV1Drafts(t *testing.T) {
	r := v1Rig(t)
	key := newKey(t)
	order := merge(v1Order("www.example.com"), m{"csr": csr(t, key, "www.example.com")})
	v := r.call("GenerateOrderSSL", m{"orderDetails": merge(order, m{"saveAndHold": "1"})}).block("orderDetails")
	require.Empty(t, v["orderNumber"])
	draft := v["requestNumber"].(string)
	r.call("TrackOrder", m{"orderDetails": m{"orderNumber": draft}}).fails("EMS-943")
	require.Equal(t, "draft", r.srv.Orders()[0].Status)

	number := r.buy(merge(order, m{"requestNumber": draft}))
	require.Len(t, r.srv.Orders(), 1, "the draft became the order, key and all")
	require.Equal(t, "issued", r.status(number))
	r.call("GenerateOrderSSL", m{"orderDetails": merge(order, m{"requestNumber": draft})}).fails("EMS-1169")

	v = r.call("GenerateOrderSSL", m{"orderDetails": merge(v1Order("a.example.com"), m{"saveAndHold": "1"})}).block("orderDetails")
	reject := m{"orderDetails": m{"requestNumber": v["requestNumber"], "rejectRemarks": "not wanted"}}
	r.call("RejectRequest", m{"orderDetails": m{"requestNumber": v["requestNumber"]}}).fails("EMS-964")
	r.call("RejectRequest", reject).ok()
	r.call("RejectRequest", reject).fails("EMS-985")
	r.call("RejectRequest", m{"orderDetails": m{"requestNumber": draft, "rejectRemarks": "x"}}).fails("EMS-1169")
	r.call("RejectRequest", m{"orderDetails": m{"requestNumber": "1", "rejectRemarks": "x"}}).fails("EMS-1005")
	require.Equal(t, "not wanted", r.srv.Orders()[1].CancelReason)
}

func TestV1RefusesAKeyItHasSeen(t *testing.T) {
	r := v1Rig(t)
	key := newKey(t)
	r.order(merge(dvOrder("www.example.com"), m{"csr": csr(t, key, "www.example.com")}))
	again := merge(v1Order("www.example.com"), m{"csr": csr(t, key, "www.example.com")})
	r.call("GenerateOrderSSL", m{"orderDetails": again}).fails("EMS-1099")
	require.Len(t, r.srv.Orders(), 1)

	number := r.buy(v1Order("www.example.com"))
	r.call("SubmitCSR", m{"orderDetails": merge(ref(number), m{"csr": again["csr"]})}).fails("EMS-1099")
	r.call("SubmitCSR", m{"orderDetails": merge(ref(number), m{"csr": csr(t, newKey(t), "www.example.com")})}).ok()
	r.order(merge(dvOrder("www.example.com"), m{"csr": csr(t, key, "www.example.com")}))
	require.True(t, r.srv.Orders()[2].ReusedKey, "version 2 only remembers")
}

func TestV1ValidatedDomainsServeTheirOrganizationOnly(t *testing.T) {
	r := v1Rig(t)
	alone := r.buy(merge(v1Order("www.example.com"), m{"organizationDetails": nil, "csr": csr(t, newKey(t), "www.example.com")}))
	require.Equal(t, "pending-dcv", r.status(alone), "a DV order re-uses nothing without a pre-vetted organization")
	r.srv.VerifyDomain("www.example.com")
	require.Equal(t, "issued", r.status(alone))
	other := r.buy(merge(v1Order("www.example.com"), m{"organizationDetails": nil}))
	require.Equal(t, "pending-dcv", r.status(other), "not even a validation of its own")
}

func TestV1OrganizationOrders(t *testing.T) {
	address := m{
		"domainName": "www.example.com", "autoSecureWWW": "0", "organizationName": "Example Startup", "organizationUnit": "Web",
		"streetAddress1": "3 Example Street", "locality": "Boston", "state": "Massachusetts", "countryCode": "US", "postalCode": "02108",
	}
	newcomer := merge(v1Order("www.example.com"), m{"productCode": "846", "organizationDetails": m{"preVetting": "0"}, "certificateInformation": address})
	t.Run("a pre-vetted organization and its token need no approver", func(t *testing.T) {
		r := v1Rig(t)
		number := r.buy(merge(v1Order("www.example.com"), m{
			"productCode": "846", "csr": csr(t, newKey(t), "www.example.com"), "organizationDetails": m{
				"preVetting": "1", "organizationNumber": certinexttest.DefaultOrganization, "prevettingToken": certinexttest.DefaultConsentToken,
			},
		}))
		require.Equal(t, "issued", r.status(number))
		require.Equal(t, []string{"Example Corporation"}, r.certificate(number).Subject.Organization)
	})
	for _, field := range []string{"organizationName", "streetAddress1", "locality", "state", "countryCode", "postalCode"} {
		t.Run("a new organization needs its "+field, func(t *testing.T) {
			order := merge(newcomer, m{"certificateInformation": merge(address, m{field: ""})})
			v1Rig(t).call("GenerateOrderSSL", m{"orderDetails": order}).fails("EMS-1180")
		})
	}
	t.Run("a new organization is vetted like any other", func(t *testing.T) {
		r := v1Rig(t)
		number := r.buy(merge(newcomer, m{"csr": csr(t, newKey(t), "www.example.com")}))
		r.srv.VerifyDomain("www.example.com")
		require.Equal(t, "2/25", r.ids(number))
		o, _ := r.srv.Order(number)
		require.NotEmpty(t, o.Organization)
		require.NoError(t, r.srv.Vet(o.Organization))
		require.Equal(t, "8/2", r.ids(number))
		require.NoError(t, r.srv.Approve(number))
		require.Equal(t, "6/20", r.ids(number))
		require.Equal(t, []string{"Example Startup"}, r.certificate(number).Subject.Organization)
	})
	person := m{"name": "P", "email": "p@example.com", "isdCode": "1", "mobileNumber": "4155551234", "designation": "D", "employeeID": "1"}
	ev := merge(newcomer, m{
		"productCode": "850", "contractSignerInfo": person, "certificateApproverInfo": person,
		"certificateInformation": merge(address, m{"streetAddress2": "Floor 4", "companyRegistrationNumber": "77"}),
	})
	v1Rig(t).buy(ev)
	for name, c := range map[string]struct {
		change m
		code   string
	}{
		"a second line of its address":  {m{"certificateInformation": merge(ev["certificateInformation"].(m), m{"streetAddress2": ""})}, "EMS-1180"},
		"a company registration number": {m{"certificateInformation": merge(ev["certificateInformation"].(m), m{"companyRegistrationNumber": ""})}, "EMS-1180"},
		"a contract signer":             {m{"contractSignerInfo": nil}, "EMS-1220"},
		"a certificate approver":        {m{"certificateApproverInfo": nil}, "EMS-1221"},
	} {
		t.Run("EV needs "+name, func(t *testing.T) {
			v1Rig(t).call("GenerateOrderSSL", m{"orderDetails": merge(ev, c.change)}).fails(c.code)
		})
	}
}

func TestV1PrivatePKI(t *testing.T) {
	r := v1Rig(t)
	order := func(change m) m {
		return m{"orderDetails": merge(m{
			"productCode": "149", "requestorInformation": v1Requestor(), "csr": csr(t, newKey(t), "h.local"),
			"certificateInformation": m{"domainName": "h.local", "additionalDomains": []string{"p.local", "10.0.0.5"}, "organizationName": "O", "state": "S", "countryCode": "US", "dnsType": "1"},
			"additionalInformation":  m{"remarks": ""},
		}, change)}
	}
	a := r.call("GenerateOrderPrivatePKI", order(nil))
	number := a.block("orderDetails")["orderNumber"].(string)
	require.Contains(t, a.header.Get("Link"), "/private-pki-certificates>")
	require.Equal(t, "issued", r.get(privatePath + "/" + number).must(200)["status"])
	require.Equal(t, "6/20", r.ids(number))
	v := r.tracked(number)
	require.Nil(t, v["domainVerification"])
	require.Nil(t, v["subscriberAgreement"])
	pem := r.call("GetCertificate", m{"orderDetails": ref(number)}).block("certificateDetails")["endEntityCertificate"].(string)
	require.Equal(t, []string{"h.local", "p.local"}, leaf(t, pem).DNSNames)
	require.Equal(t, "10.0.0.5", leaf(t, pem).IPAddresses[0].String())

	r.call("GenerateOrderPrivatePKI", order(m{"csr": ""})).fails("EMS-1006")
	r.call("GenerateOrderPrivatePKI", order(m{"productCode": "842"})).fails("EMS-915")
	r.call("GenerateOrderPrivatePKI", order(m{"productCode": "100"})).fails("EMS-1162")
	r.call("AgreementAcceptance", m{"agreementDetails": merge(v1Agreement(), ref(number))}).fails("EMS-956")
	r.call("GetDcv", m{"dcvDetails": merge(ref(number), m{"domainName": "h.local", "dcvMethod": "1"})}).fails("EMS-956")
	require.Len(t, r.srv.Orders(), 1)

	signed := order(m{"agreementDetails": v1Agreement(), "csr": csr(t, newKey(t), "h.local")})
	number = r.call("GenerateOrderPrivatePKI", signed).block("orderDetails")["orderNumber"].(string)
	require.Equal(t, "6/20", r.ids(number), "one client sends an agreement, which is taken")
	require.Nil(t, r.tracked(number)["subscriberAgreement"])

	outside := order(m{"csr": csr(t, newKey(t), "www.example.com"), "certificateInformation": m{"domainName": "www.example.com", "dnsType": "2"}})
	number = r.call("GenerateOrderPrivatePKI", outside).block("orderDetails")["orderNumber"].(string)
	require.Equal(t, "2/24", r.ids(number), "an external name is to be validated")
}

func TestV1CreateBurst(t *testing.T) {
	c := newClock()
	r := newRig(t, &certinexttest.Server{Now: c.now, CreateBurst: 2})
	order := m{"orderDetails": v1Order("www.example.com")}
	r.call("GenerateOrderSSL", order).ok()
	c.advance(5 * time.Second)
	r.call("GenerateOrderPrivatePKI", order).fails("EMS-915")
	require.Equal(t, "Inactive Account User.", r.call("GenerateOrderSSL", order).fails(""), "refused calls count, and the third is one too many")
	r.call("ValidateCredentials", nil).ok()
	r.order(dvOrder("www.example.com"))
	c.advance(5 * time.Second)
	r.call("GenerateOrderSSL", order).ok()
	r.call("GenerateOrderSSL", order).fails("")
	require.Len(t, r.srv.Orders(), 3)
}

// An order that names its group where the service does not look is taken, and billed to the default group, as the orders report shows.
func TestV1AnOrderIsBilledToTheGroupThatItNamesInTheRightPlace(t *testing.T) {
	outer, inner := m{"groupNumber": "3000000002"}, m{"delegationInformation": m{"groupNumber": "3000000002"}}
	for name, c := range map[string]struct {
		dialect certinexttest.Dialect
		change  m
		billed  string
	}{
		"live, in the delegation":       {certinexttest.V1, inner, "3000000002"},
		"live, on the order":            {certinexttest.V1, outer, certinexttest.DefaultGroup},
		"live, in both":                 {certinexttest.V1, merge(outer, inner), "3000000002"},
		"as published, on the order":    {certinexttest.Documented, outer, "3000000002"},
		"as published, the delegation":  {certinexttest.Documented, inner, certinexttest.DefaultGroup},
		"as published, in both":         {certinexttest.Documented, merge(outer, inner), "3000000002"},
		"live, with no group":           {certinexttest.V1, m{}, certinexttest.DefaultGroup},
		"live, in version 1 with OAuth": {certinexttest.Live, inner, "3000000002"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := verified(c.dialect)
			srv.Groups = []certinexttest.Group{{Number: certinexttest.DefaultGroup, Default: true}, {Number: "3000000002"}}
			r := &rig{t: t, srv: srv, http: srv.Client(), base: host}
			r.call("GenerateOrderSSL", m{"orderDetails": merge(v1Order("www.example.com"), c.change)}).ok()
			rows := r.call("GetOrderReport", m{"searchCriteria": m{"groupNumber": c.billed}}).block("orderDetails")["ordersArray"].([]any)
			require.Len(t, rows, 1)
			require.Equal(t, c.billed, rows[0].(m)["groupNumber"])
		})
	}
}
