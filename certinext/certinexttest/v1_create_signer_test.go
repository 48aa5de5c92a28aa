// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// v1Subject is whom a certificate of a type is for.
func v1Subject(subjectType string) m {
	person := m{"firstName": "Platform", "lastName": "Team", "email": "platform@example.com", "countryCode": "US", "state": "New York", "locality": "Albany"}
	switch subjectType {
	case "legal-person":
		return merge(person, m{"organizationName": "Example Corporation", "organizationUnit": "Records"})
	case "legal-entity":
		return merge(person, m{"firstName": nil, "lastName": nil, "organizationName": "Example Corporation", "registeredId": "US-12-3456789"})
	}
	return merge(person, m{"identificationNumber": "P-1"})
}

// v1Signer is the orderDetails for a document signer.
func v1Signer(subjectType string) m {
	order := merge(v1Order(""), m{"productCode": signerProducts[subjectType], "organizationDetails": nil})
	order["certificateInformation"] = v1Subject(subjectType)
	return order
}

// v1Mail is the orderDetails for an S/MIME certificate.
func v1Mail() m { return merge(v1Signer("natural-person"), m{"productCode": "914"}) }

// place sends a create verb and returns the order's number.
func (r *rig) place(verb string, order m) string {
	r.t.Helper()
	return r.call(verb, m{"orderDetails": order}).block("orderDetails")["orderNumber"].(string)
}

// v1Leaf is the certificate of an order, downloaded through version 1.
func (r *rig) v1Leaf(number string) (cert, ca *x509.Certificate) {
	r.t.Helper()
	v := r.call("GetCertificate", m{"orderDetails": ref(number)}).block("certificateDetails")
	return leaf(r.t, v["endEntityCertificate"].(string)), leaf(r.t, v["caCertificate"].(string))
}

func TestV1SignerPassesEveryStage(t *testing.T) {
	names := map[string]pkix.Name{
		"natural-person": {CommonName: "Platform Team", SerialNumber: "P-1"},
		"legal-person":   {CommonName: "Platform Team", Organization: []string{"Example Corporation"}, OrganizationalUnit: []string{"Records"}},
		"legal-entity":   {CommonName: "Example Corporation", SerialNumber: "US-12-3456789", Organization: []string{"Example Corporation"}},
	}
	for subjectType, want := range names {
		want.Country, want.Province, want.Locality = []string{"US"}, []string{"New York"}, []string{"Albany"}
		t.Run(subjectType, func(t *testing.T) {
			eachDialect(t, func(t *testing.T, d certinexttest.Dialect) {
				r := newRig(t, &certinexttest.Server{Dialect: d})
				a := r.call("GenerateOrderSignature", m{"orderDetails": v1Signer(subjectType)})
				require.Contains(t, a.header.Get("Link"), "/signature-certificates>")
				number := a.block("orderDetails")["orderNumber"].(string)
				require.Equal(t, "2/3", r.ids(number))
				require.Nil(t, r.tracked(number)["domainVerification"])
				require.Equal(t, "1", r.tracked(number)["subscriberAgreement"].(m)["status"], "it is signed with the order")
				require.Equal(t, "pending-documents", r.statusAt(signaturePath+"/"+number), "version 2 knows it")

				r.call("SubmitDocument", v1Documents(number, pdf)).ok()
				require.Equal(t, "8/2", r.ids(number))
				require.NoError(t, r.srv.Approve(number))
				require.Equal(t, "2/1", r.ids(number))
				key := newKey(t)
				request := csrFrom(t, key, &x509.CertificateRequest{EmailAddresses: []string{"platform@example.com"}})
				r.call("SubmitCSR", m{"orderDetails": merge(ref(number), m{"csr": request})}).ok()
				require.Equal(t, "6/20", r.ids(number))
				cert, _ := r.v1Leaf(number)
				require.Equal(t, want.String(), cert.Subject.String())
				require.Equal(t, key.Public(), cert.PublicKey)
				require.Equal(t, []string{"platform@example.com"}, cert.EmailAddresses)
				require.Len(t, cert.UnknownExtKeyUsage, 1, "document signing")
			})
		})
	}
}

func TestV1SMIME(t *testing.T) {
	eachDialect(t, func(t *testing.T, d certinexttest.Dialect) {
		r := newRig(t, &certinexttest.Server{Dialect: d})
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		require.NoError(t, err)
		number := r.place("GenerateOrderSMIME", merge(v1Mail(), m{"csr": csrFrom(t, key, &x509.CertificateRequest{})}))
		require.Equal(t, "6/20", r.ids(number))
		cert, ca := r.v1Leaf(number)
		require.NoError(t, cert.CheckSignatureFrom(ca))
		require.Equal(t, []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}, cert.ExtKeyUsage)
		require.Empty(t, cert.UnknownExtKeyUsage, "it signs mail and no documents")
		require.Equal(t, x509.KeyUsageDigitalSignature|x509.KeyUsageContentCommitment|x509.KeyUsageKeyEncipherment, cert.KeyUsage)
		require.Equal(t, []string{"platform@example.com"}, cert.EmailAddresses)
		require.Equal(t, "Platform Team", cert.Subject.CommonName)
		require.Empty(t, cert.DNSNames)
		require.Contains(t, ca.Subject.CommonName, "S/MIME")
		_, err = cert.Verify(x509.VerifyOptions{
			Roots: r.srv.Roots(), Intermediates: poolOf(ca), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection},
		})
		require.NoError(t, err)

		o, _ := r.srv.Order(number)
		require.Equal(t, certinexttest.FamilySMIME, o.Family)
		for _, family := range []string{"ssl", "private-pki", "signature"} { // version 2 has no path for it
			path := api + "/" + family + "-certificates/" + number
			r.get(path).refused(404, "")
			r.get(path+"/certificate").refused(404, "")
			r.put(path+"/csr", m{"csr": "x", "attested": false}).refused(404, "")
			r.post(path+"/cancel", m{"reason": "x"}).refused(404, "")
			r.post(path+"/revoke", m{"reason": "superseded"}).refused(404, "")
		}
		r.call("RevokeOrder", m{"revocationDetails": merge(ref(number), m{"revokeReasonId": "4", "revokeRemarks": "x"})}).ok()
		list, err := x509.ParseRevocationList(r.fetch(cert.CRLDistributionPoints[0]))
		require.NoError(t, err)
		require.NoError(t, list.CheckSignatureFrom(ca))
		require.Len(t, list.RevokedCertificateEntries, 1)
		require.Equal(t, cert.SerialNumber, list.RevokedCertificateEntries[0].SerialNumber)
	})
}

func poolOf(cert *x509.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return pool
}

func TestV1SMIMEIsForAnAddress(t *testing.T) {
	r := v1Rig(t)
	nameless := merge(v1Mail(), m{"certificateInformation": m{"email": "ops@example.com"}, "csr": csrFrom(t, newKey(t), &x509.CertificateRequest{})})
	number := r.place("GenerateOrderSMIME", nameless)
	cert, _ := r.v1Leaf(number)
	require.Equal(t, "ops@example.com", cert.Subject.CommonName, "somebody without a name")
	require.Equal(t, x509.KeyUsageDigitalSignature|x509.KeyUsageContentCommitment|x509.KeyUsageKeyAgreement, cert.KeyUsage, "an EC key agrees on what enciphers")

	nameless["saveAndHold"], nameless["csr"] = "1", ""
	draft := r.call("GenerateOrderSMIME", m{"orderDetails": nameless}).block("orderDetails")
	require.Empty(t, draft["orderNumber"])
	promotion := merge(nameless, m{"saveAndHold": "0", "requestNumber": draft["requestNumber"]})
	signer := merge(v1Signer("natural-person"), m{"requestNumber": draft["requestNumber"]})
	r.call("GenerateOrderSignature", m{"orderDetails": signer}).fails("EMS-1005")
	number = r.place("GenerateOrderSMIME", promotion)
	require.Equal(t, "2/1", r.ids(number), "it waits for its CSR")
	require.Len(t, r.srv.Orders(), 2)
	r.call("GetDcv", m{"dcvDetails": merge(ref(number), m{"domainName": "example.com", "dcvMethod": "1"})}).fails("EMS-956")
}

func TestV1SignerRefusals(t *testing.T) {
	const signature, mail = "GenerateOrderSignature", "GenerateOrderSMIME"
	person, entity := v1Signer("natural-person"), v1Signer("legal-entity")
	subject := func(order m, change m) m {
		return merge(order, m{"certificateInformation": merge(order["certificateInformation"].(m), change)})
	}
	cases := map[string]struct {
		verb        string
		order       m
		code, words string
	}{
		"a person has a first name":             {signature, subject(person, m{"firstName": " "}), "", "First Name"},
		"a person has a last name":              {signature, subject(person, m{"lastName": nil}), "", "Last Name"},
		"a legal person has an organization":    {signature, subject(v1Signer("legal-person"), m{"organizationName": ""}), "EMS-1180", "Organization Name"},
		"a legal entity has an organization":    {signature, subject(entity, m{"organizationName": nil}), "EMS-1180", "Organization Name"},
		"a legal entity has a number":           {signature, subject(entity, m{"registeredId": nil}), "", "Identification Number"},
		"a signer has an address":               {signature, subject(person, m{"email": ""}), "", "Email"},
		"an address has an at sign":             {signature, subject(person, m{"email": "platform"}), "EMS-1047", "Email"},
		"S/MIME has an address":                 {mail, subject(v1Mail(), m{"email": nil}), "", "Email"},
		"a country has two capitals":            {signature, subject(person, m{"countryCode": "usa"}), "", "Country"},
		"a number has digits":                   {signature, subject(person, m{"mobileNumber": "+14155551234"}), "", "Mobile"},
		"a signer has no domain":                {signature, subject(person, m{"domainName": "www.example.com"}), "", "Domain names"},
		"S/MIME has no www to secure":           {mail, subject(v1Mail(), m{"autoSecureWWW": "0"}), "", "Domain names"},
		"S/MIME has no type of DNS":             {mail, subject(v1Mail(), m{"dnsType": "1"}), "", "Domain names"},
		"a host has no first name":              {"GenerateOrderSSL", subject(v1Order("www.example.com"), m{"firstName": "Platform"}), "", "members of a person"},
		"a host has no identity document":       {"GenerateOrderSSL", subject(v1Order("www.example.com"), m{"identityDocumentType": "passport"}), "", "members of a person"},
		"somebody has to be named":              {signature, merge(person, m{"certificateInformation": nil}), "EMS-917", ""},
		"a member that is not known":            {signature, subject(person, m{"surname": "Team"}), "EMS-902", "surname"},
		"remarks are mandatory":                 {mail, merge(v1Mail(), m{"additionalInformation": m{"remarks": " "}}), "EMS-918", ""},
		"so is a subscription":                  {mail, merge(v1Mail(), m{"subscriptionDetails": nil}), "EMS-919", ""},
		"which has no four years":               {mail, merge(v1Mail(), m{"subscriptionDetails": m{"validity": "4"}}), "EMS-1216", ""},
		"so is an agreement":                    {signature, merge(person, m{"agreementDetails": nil}), "EMS-1084", ""},
		"which is signed from the Internet":     {signature, merge(person, m{"agreementDetails": merge(v1Agreement(), m{"signerIP": "127.0.0.1"})}), "EMS-1091", ""},
		"an organization that is not there":     {signature, merge(entity, m{"organizationDetails": m{"preVetting": "1", "organizationNumber": "1"}}), "EMS-1073", ""},
		"a signer's product is no mail":         {mail, merge(v1Mail(), m{"productCode": "819"}), "EMS-915", ""},
		"a mail product signs no documents":     {signature, merge(person, m{"productCode": "914"}), "EMS-915", ""},
		"a server's product signs no documents": {signature, merge(person, m{"productCode": "842"}), "EMS-915", ""},
		"a product that is not there":           {mail, merge(v1Mail(), m{"productCode": "838"}), "EMS-1162", ""},
		"a CSR for somebody else":               {mail, merge(v1Mail(), m{"csr": csr(t, newKey(t), "Another Team")}), "EMS-1056", ""},
		"a CSR for another address": {mail, merge(v1Mail(), m{"csr": csrFrom(t, newKey(t), &x509.CertificateRequest{
			EmailAddresses: []string{"another@example.com"},
		})}), "EMS-1056", "email address"},
		"a CSR for a host":          {mail, merge(v1Mail(), m{"csr": csrFrom(t, newKey(t), &x509.CertificateRequest{DNSNames: []string{"example.com"}})}), "EMS-1056", "name"},
		"a draft that is not there": {mail, merge(v1Mail(), m{"requestNumber": "1"}), "EMS-1005", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := v1Rig(t)
			words := r.call(c.verb, m{"orderDetails": c.order}).fails(c.code)
			require.Contains(t, words, c.words)
			require.Empty(t, r.srv.Orders())
		})
	}
}

func TestV1SignerOfAnOrganization(t *testing.T) {
	r := newRig(t, new(certinexttest.Server))
	number := r.place("GenerateOrderSignature", merge(v1Signer("legal-entity"), m{
		"organizationDetails": m{"preVetting": "1", "organizationNumber": certinexttest.DefaultOrganization, "prevettingToken": certinexttest.DefaultConsentToken},
	}))
	o, _ := r.srv.Order(number)
	require.Equal(t, certinexttest.DefaultOrganization, o.Organization)
	r.call("RejectOrder", m{"orderDetails": m{"orderNumber": number, "rejectRemarks": "mistake"}}).ok()
	require.Equal(t, "5/13", r.ids(number))
}
