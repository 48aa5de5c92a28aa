// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

const signaturePath = api + "/signature-certificates"

// signerProducts are the one-year products by type of subject.
var signerProducts = map[string]string{"natural-person": "819", "legal-person": "822", "legal-entity": "825"}

// signerOrder is a complete order for a signer, in the spelling of a dialect.
func signerOrder(d certinexttest.Dialect, subjectType string) m {
	subject := m{
		"email": "platform@example.com", "countryCode": "US", "state": "New York", "locality": "Albany",
		"organizationName": "Example Corporation", "organizationUnit": "Records",
	}
	first, last := "firstName", "lastName"
	if d == certinexttest.Documented {
		first, last = "givenName", "surname"
	}
	switch subjectType {
	case "natural-person":
		subject = merge(subject, m{"organizationName": nil, "organizationUnit": nil, first: "Platform", last: "Team", "identificationNumber": "P-1"})
	case "legal-person":
		subject = merge(subject, m{first: "Platform", last: "Team"})
	case "legal-entity":
		subject["organizationIdentificationNumber"] = "US-12-3456789"
	}
	return m{
		"subjectType": subjectType, "subject": subject, "emailNotifications": "all",
		"requestor":    m{"name": "Ops", "email": "ops@example.com"},
		"subscription": m{"validityYears": 1, "autoRenew": false},
		"agreement":    m{"signerName": "Platform Team", "signerPlace": "New York", "accepted": true},
	}
}

// signer places an order for a signer and returns its id and path.
func (r *rig) signer(subjectType string, change m) (id, path string) {
	r.t.Helper()
	v := r.post(signaturePath, merge(signerOrder(r.srv.Dialect, subjectType), change), "X-Product-Code", signerProducts[subjectType]).
		must(http.StatusCreated)
	id = v["orderId"].(string)
	return id, signaturePath + "/" + id
}

func (r *rig) statusAt(path string) string {
	r.t.Helper()
	return r.get(path).must(http.StatusOK)["status"].(string)
}

// vetted takes an order for a natural person to pending-csr.
func (r *rig) vetted() (id, path string) {
	r.t.Helper()
	id, path = r.signer("natural-person", nil)
	require.NoError(r.t, r.srv.AddDocuments(id, 1))
	require.NoError(r.t, r.srv.Approve(id))
	require.Equal(r.t, "pending-csr", r.statusAt(path))
	return id, path
}

func TestSignerPassesEveryStage(t *testing.T) {
	names := map[string]pkix.Name{
		"natural-person": {CommonName: "Platform Team", SerialNumber: "P-1"},
		"legal-person":   {CommonName: "Platform Team", Organization: []string{"Example Corporation"}, OrganizationalUnit: []string{"Records"}},
		"legal-entity": {
			CommonName: "Example Corporation", SerialNumber: "US-12-3456789", Organization: []string{"Example Corporation"},
			OrganizationalUnit: []string{"Records"},
		},
	}
	for subjectType, want := range names {
		want.Country, want.Province, want.Locality = []string{"US"}, []string{"New York"}, []string{"Albany"}
		t.Run(subjectType, func(t *testing.T) {
			eachDialect(t, func(t *testing.T, d certinexttest.Dialect) {
				live := d == certinexttest.Live
				r := newRig(t, &certinexttest.Server{Dialect: d})
				v := r.post(signaturePath, signerOrder(d, subjectType), "X-Product-Code", signerProducts[subjectType]).must(http.StatusCreated)
				require.Equal(t, "pending-documents", v["status"])
				require.Equal(t, want.CommonName, v["subjectDisplayName"])
				id := v["orderId"].(string)
				path := signaturePath + "/" + id

				require.NoError(t, r.srv.AddDocuments(id, 2))
				vetting := "pending-vetting"
				if live {
					vetting = "pending-approval"
				}
				require.Equal(t, vetting, r.statusAt(path))
				require.NoError(t, r.srv.Approve(id))
				require.Equal(t, "pending-csr", r.statusAt(path))

				key := newKey(t)
				request := csrFrom(t, key, &x509.CertificateRequest{
					Subject: pkix.Name{CommonName: want.CommonName}, EmailAddresses: []string{"Platform@example.com"},
				})
				r.put(path+"/csr", m{"csr": request, "attested": true}).must(http.StatusNoContent)
				if !live {
					require.Equal(t, "pending-agreement", r.statusAt(path))
					r.post(path+"/agreement", m{"agreement": signerOrder(d, subjectType)["agreement"]}).must(http.StatusNoContent)
				}
				require.Equal(t, "issued", r.statusAt(path))

				cert := leaf(t, r.get(path + "/certificate").must(200)["certificatePem"].(string))
				require.Equal(t, want.String(), cert.Subject.String())
				require.Equal(t, key.Public(), cert.PublicKey)
				o, _ := r.srv.Order(id)
				require.Equal(t, want.CommonName, o.Subject)
				require.Equal(t, 2, o.Documents)
				require.Empty(t, o.Domain)
				require.Len(t, o.Serials, 1)

				r.post(path+"/cancel", m{"reason": "x"}).refused(422, "EMS-930")
				if !live {
					r.post(path+"/revoke", m{"reason": "caCompromise"}).refused(400, "")
				}
				r.post(path+"/revoke", m{"reason": "superseded"}).must(204)
				require.Equal(t, "revoked", r.statusAt(path))
				r.get(path+"/certificate").refused(422, "EMS-969")
			})
		})
	}
}

func TestSignerCertificateIsForSigningDocuments(t *testing.T) {
	r := newRig(t, new(certinexttest.Server))
	_, path := r.vetted()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	r.put(path+"/csr", m{"csr": csrFrom(t, rsaKey, &x509.CertificateRequest{}), "attested": true}).must(204)
	v := r.get(path + "/certificate").must(200)
	cert := leaf(t, v["certificatePem"].(string))
	require.Equal(t, x509.KeyUsageDigitalSignature|x509.KeyUsageContentCommitment, cert.KeyUsage, "for RSA too")
	require.Empty(t, cert.ExtKeyUsage)
	require.Equal(t, "[1.3.6.1.5.5.7.3.36]", toText(cert.UnknownExtKeyUsage))
	require.Equal(t, []string{"platform@example.com"}, cert.EmailAddresses)
	require.Empty(t, cert.DNSNames)
	require.Equal(t, "1.3.6.1.4.1.32473.1.5", cert.Policies[0].String(), "the sandbox's own")
	require.Equal(t, []string{host + "/crl/signing.crl"}, cert.CRLDistributionPoints)

	issuer := leaf(t, v["chainPem"].([]any)[0].(string))
	require.Contains(t, issuer.Subject.CommonName, "Documents")
	intermediates := x509.NewCertPool()
	intermediates.AddCert(issuer)
	_, err = cert.Verify(x509.VerifyOptions{
		Roots: r.srv.Roots(), Intermediates: intermediates, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	require.NoError(t, err)

	r.post(path+"/revoke", m{"reason": "unspecified"}).must(204)
	list, err := x509.ParseRevocationList(r.fetch(cert.CRLDistributionPoints[0]))
	require.NoError(t, err)
	require.NoError(t, list.CheckSignatureFrom(issuer))
	require.Len(t, list.RevokedCertificateEntries, 1)
}

func toText(oids []asn1.ObjectIdentifier) string {
	text := "["
	for _, oid := range oids {
		text += oid.String()
	}
	return text + "]"
}

func TestSignerRefusals(t *testing.T) {
	const live, documented = certinexttest.Live, certinexttest.Documented
	person, entity := "natural-person", "legal-entity"
	subject := func(d certinexttest.Dialect, subjectType string, change m) m {
		return m{"subjectType": subjectType, "subject": merge(signerOrder(d, subjectType)["subject"].(m), change)}
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
		{"no subject type is a field error", live, m{"subjectType": nil}, "819", 400, "", []string{"subjectType"}},
		{"an unknown subject type is a field error", live, m{"subjectType": "person"}, "819", 400, "", []string{"subjectType"}},
		{"no subject names all that is needed", live, m{"subject": nil}, "819", 400, "", []string{"subject.email", "subject.firstName", "subject.lastName"}},
		{"it is spelled differently as documented", documented, m{"subject": m{}}, "819", 400, "", []string{"subject.email", "subject.givenName", "subject.surname"}},
		{"the documented spelling is unknown live", live, subject(live, person, m{"firstName": nil, "givenName": "Platform"}), "819", 400, "", []string{"subject.firstName", "subject.givenName"}},
		{"the live spelling is unknown as documented", documented, subject(documented, person, m{"lastName": "Team"}), "819", 400, "", []string{"subject.lastName"}},
		{"a common name has 64 characters", live, subject(live, person, m{"firstName": strings.Repeat("é", 60)}), "819", 400, "", []string{"subject.lastName"}},
		{"and as documented", documented, subject(documented, person, m{"surname": strings.Repeat("x", 60)}), "819", 400, "", []string{"subject.surname"}},
		{"an organization has 64", live, subject(live, entity, m{"organizationName": strings.Repeat("x", 65)}), "825", 400, "", []string{"subject.organizationName"}},
		{"its number, too", live, subject(live, entity, m{"organizationIdentificationNumber": strings.Repeat("x", 65)}), "825", 400, "", []string{"subject.organizationIdentificationNumber"}},
		{"a place has 128", live, subject(live, person, m{"locality": strings.Repeat("x", 129)}), "819", 400, "", []string{"subject.locality"}},
		{"an email is needed", live, subject(live, entity, m{"email": nil}), "825", 400, "", []string{"subject.email"}},
		{"an email has an at sign", live, subject(live, person, m{"email": "platform"}), "819", 400, "", []string{"subject.email"}},
		{"an email is ASCII, as certificates have it", live, subject(live, person, m{"email": "jané@example.com"}), "819", 400, "", []string{"subject.email"}},
		{"a phone is one E.164 number", live, subject(live, person, m{"phone": "415 555"}), "819", 400, "", []string{"subject.phone"}},
		{"a country is a code", live, subject(live, person, m{"countryCode": "usa"}), "819", 400, "", []string{"subject.countryCode"}},
		{"an employee has an employer", live, subject(live, "legal-person", m{"organizationName": " "}), "822", 400, "", []string{"subject.organizationName"}},
		{"an employee has a name", documented, subject(documented, "legal-person", m{"surname": nil}), "822", 400, "", []string{"subject.surname"}},
		{"an organization has a name and a number", live, subject(live, entity, m{"organizationName": nil, "organizationIdentificationNumber": nil}), "825", 400, "", []string{"subject.organizationName", "subject.organizationIdentificationNumber"}},
		{"a member nobody knows is named", live, subject(live, person, m{"title": "Dr"}), "819", 400, "", []string{"subject.title"}},
		{"no requestor is two field errors live", live, m{"requestor": nil}, "819", 400, "", []string{"requestor.name", "requestor.email"}},
		{"an agreement without a place names agreementDetails", live, m{"agreement": m{"signerName": "J", "accepted": true}}, "819", 400, "", []string{"agreementDetails.signerPlace"}},
		{"a signer has no domain", live, m{"certificate": m{"domain": "example.com"}}, "819", 400, "", []string{"certificate"}},
		{"a product for another type is EMS-915", live, nil, "822", 422, "EMS-915", nil},
		{"an SSL product is EMS-915", live, nil, "842", 422, "EMS-915", nil},
		{"an S/MIME product is EMS-915", live, nil, "914", 422, "EMS-915", nil},
		{"three terms do not determine a product", live, nil, "", 422, "EMS-915", nil},
		{"an unknown group is refused", live, m{"groupNumber": "1"}, "819", 422, "", nil},
		{"an unknown custom field is a field error", live, m{"customFields": []m{{"fieldId": "1", "value": "x"}}}, "819", 400, "", []string{"customFields.fieldId"}},
		{"an unknown organization is refused", live, m{"organization": m{"organizationNumber": "1"}}, "819", 422, "EMS-1073", nil},
		{"a wrong consent token is refused", live, m{"organization": m{"organizationNumber": "4000001", "preVettingToken": "x"}}, "819", 422, "", nil},
		{"a request id that is no draft is a field error", live, m{"requestId": "1"}, "819", 400, "", []string{"requestId"}},
		{"a CSR in the create is not attested", live, m{"csr": csr(t, newKey(t), "Platform Team")}, "819", 422, "EMS-917", nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, &certinexttest.Server{Dialect: c.dialect})
			v := r.post(signaturePath, merge(signerOrder(c.dialect, person), c.change), "X-Product-Code", c.product).refused(c.status, c.code)
			require.Equal(t, c.fields, fields(v))
			require.Empty(t, r.srv.Orders(), "a refused order is no order")
		})
	}
}

func TestPublishedSampleOfASignerIsTaken(t *testing.T) {
	r := newRig(t, &certinexttest.Server{Dialect: certinexttest.Documented})
	v := r.do("POST", signaturePath, `{
	    "subjectType": "natural-person",
	    "emailNotifications": "all",
	    "requestor": {"name": "Platform Team", "email": "platform@example.com", "phone": "+19481081094", "designation": "Signer"},
	    "subject": {"givenName": "Platform", "surname": "Team", "email": "platform@example.com", "countryCode": "IN"},
	    "subscription": { "validityYears": 1, "autoRenew": false },
	    "agreement": {"signerName": "Platform Team", "signerIp": "10.24.108.199", "signerPlace": "Bangalore", "accepted": true}
	}`, "X-Product-Code", "819").must(http.StatusCreated)
	base := signaturePath + "/" + v["orderId"].(string)
	for _, rel := range []string{"csr", "agreement", "certificate", "cancel", "revoke"} {
		require.Equal(t, base+"/"+rel, v["_links"].(m)[rel].(m)["href"])
	}
	require.Len(t, v["_links"], 6)
	track := r.get(base).must(200)
	require.Equal(t, "Platform Team", track["subjectDisplayName"])
	require.Equal(t, "natural-person", track["subjectType"])
	require.NotContains(t, track, "hostname")
	require.Equal(t, m{"self": m{"href": base}, "cancel": m{"href": base + "/cancel"}}, track["_links"])
}

func TestSignerCSRRules(t *testing.T) {
	key := newKey(t)
	template := func(cn string, emails ...string) string {
		return csrFrom(t, key, &x509.CertificateRequest{Subject: pkix.Name{CommonName: cn}, EmailAddresses: emails})
	}
	cases := map[string]struct {
		csr      string
		attested bool
		docs     string // the documented code, "" for accepted
	}{
		"the subject's name and email are taken":  {template("Platform Team", "platform@example.com"), true, ""},
		"no name is taken":                        {template(""), true, ""},
		"another name is refused":                 {template("Another Team"), true, "EMS-922"},
		"another email is refused":                {template("Platform Team", "another@example.com"), true, "EMS-922"},
		"a DNS name is refused":                   {csrFrom(t, key, &x509.CertificateRequest{DNSNames: []string{"example.com"}}), true, "EMS-922"},
		"an attested key has a good size as well": {csr(t, ed25519Key(), "Platform Team"), true, "EMS-921"},
	}
	for title, c := range cases {
		t.Run(title, func(t *testing.T) {
			eachDialect(t, func(t *testing.T, d certinexttest.Dialect) {
				r := newRig(t, &certinexttest.Server{Dialect: d})
				_, path := r.vetted()
				a := r.put(path+"/csr", m{"csr": c.csr, "attested": c.attested})
				switch {
				case c.docs == "":
					a.must(204)
				case d == certinexttest.Live:
					a.refused(422, "EMS-917")
				default:
					a.refused(422, c.docs)
				}
				if c.docs != "" {
					require.Equal(t, "pending-csr", r.statusAt(path))
				}
			})
		})
	}
}

// The published sample says attested:false and promises 204; the text of version 1 demands an
// attested key.
func TestSignerKeyIsAttestedLive(t *testing.T) {
	request := csrFrom(t, newKey(t), &x509.CertificateRequest{Subject: pkix.Name{CommonName: "Platform Team"}})
	body := m{"csr": request, "attested": false}
	live := newRig(t, new(certinexttest.Server))
	_, path := live.vetted()
	live.put(path+"/csr", body).refused(422, "EMS-917")
	require.Equal(t, "pending-csr", live.statusAt(path))

	documented := newRig(t, &certinexttest.Server{Dialect: certinexttest.Documented})
	_, path = documented.vetted()
	documented.put(path+"/csr", body).must(204)
	require.Equal(t, "pending-agreement", documented.statusAt(path))
}

func TestSignerKeyReuseIsNoted(t *testing.T) {
	r := newRig(t, verified(certinexttest.Live))
	_, key := r.issued("www.example.com")
	id, path := r.vetted()
	r.put(path+"/csr", m{"csr": csrFrom(t, key, &x509.CertificateRequest{}), "attested": true}).must(204)
	o, _ := r.srv.Order(id)
	require.True(t, o.ReusedKey)
}

func TestLiveTrackOfASigner(t *testing.T) {
	r := newRig(t, new(certinexttest.Server))
	_, path := r.signer("natural-person", nil)
	v := r.get(path).must(200)
	require.Equal(t, "Platform Team", v["subjectDisplayName"])
	require.Equal(t, m{"empty": true}, v["verifications"], "there is no domain to verify")
	require.Equal(t, true, v["subscriberAgreement"].(m)["signed"], "accepted in the create")
	for _, absent := range []string{"domain", "hostname", "_links", "subjectType"} {
		require.NotContains(t, v, absent)
	}
	for number, want := range map[string]string{certinexttest.DefaultOrganization: "VERIFIED", certinexttest.UnvettedOrganization: "PENDING"} {
		_, path = r.signer("legal-person", m{"organization": m{"organizationNumber": number, "preVetted": true}})
		verifications := r.get(path).must(200)["verifications"].(m)
		require.NotContains(t, verifications, "domain")
		require.Equal(t, want, verifications["organization"].(m)["status"])
	}
}

func TestSignerInTheReport(t *testing.T) {
	r := newRig(t, new(certinexttest.Server))
	id, _ := r.signer("legal-entity", m{"tags": []string{"vault:4f1c"}})
	rows, _ := r.report("")
	require.Len(t, rows, 1)
	require.Equal(t, id, rows[0]["orderNumber"])
	require.Equal(t, []any{"vault:4f1c"}, rows[0]["tags"])
	require.Empty(t, rows[0]["domainName"])
	require.Equal(t, "Example Corporation", rows[0]["organizationName"])
	require.Equal(t, "US", rows[0]["countryName"])
	require.NoError(t, r.srv.AddDocuments(id, 1))
	rows, _ = r.report("?status=pending-approval")
	require.Len(t, rows, 1)
}

func TestSignerDraft(t *testing.T) {
	eachDialect(t, func(t *testing.T, d certinexttest.Dialect) {
		r := newRig(t, &certinexttest.Server{Dialect: d})
		draft := merge(signerOrder(d, "natural-person"), m{"saveAsDraft": true})
		v := r.post(signaturePath, draft, "X-Product-Code", "819").must(201)
		require.NotContains(t, v, "orderId")
		_, path := r.signer("natural-person", m{"requestId": v["requestId"]})
		require.Equal(t, "pending-documents", r.statusAt(path))
		require.Len(t, r.srv.Orders(), 1)
	})
}

func TestSignerBelongsToItsFamily(t *testing.T) {
	r := newRig(t, new(certinexttest.Server))
	id, path := r.signer("natural-person", nil)
	r.get(sslPath+"/"+id).refused(404, "")
	r.get(privatePath+"/"+id).refused(404, "")
	r.get(path).must(200)
}
