// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// signerOrder is an order for a document signer of a type, with everything that its subject needs.
func signerOrder(subjectType string) certinext.OrderRequest {
	subject := map[string]certinext.Subject{
		"natural-person": {FirstName: "Platform", LastName: "Team"},
		"legal-person":   {FirstName: "Platform", LastName: "Team", OrganizationName: "Example Corporation"},
		"legal-entity":   {OrganizationName: "Example Corporation", OrganizationIdentificationNumber: "US-12-3456789"},
	}[subjectType]
	subject.Email, subject.CountryCode = "platform@example.com", "US"
	return certinext.OrderRequest{
		Family: certinext.FamilySignature, Variant: subjectType, Subject: &subject, Requestor: dvOrder().Requestor,
		ProductCode: map[string]string{"natural-person": "819", "legal-person": "822", "legal-entity": "825"}[subjectType],
		Agreement:   &certinext.Agreement{SignerName: "Platform Team", SignerPlace: "New York", SignerIP: "203.0.113.7", Accepted: true},
	}
}

func TestSubjectsNeedWhatTheirTypeSays(t *testing.T) {
	blank := map[string]func(*certinext.Subject){
		"Subject.Email":            func(s *certinext.Subject) { s.Email = " " },
		"Subject.FirstName":        func(s *certinext.Subject) { s.FirstName = "" },
		"Subject.LastName":         func(s *certinext.Subject) { s.LastName = "\t" },
		"Subject.OrganizationName": func(s *certinext.Subject) { s.OrganizationName = "" },
		"Subject.OrganizationIdentificationNumber": func(s *certinext.Subject) {
			s.OrganizationIdentificationNumber = ""
		},
	}
	for subjectType, needed := range map[string][]string{
		"natural-person": {"Subject.Email", "Subject.FirstName", "Subject.LastName"},
		"legal-person":   {"Subject.Email", "Subject.FirstName", "Subject.LastName", "Subject.OrganizationName"},
		"legal-entity":   {"Subject.Email", "Subject.OrganizationName", "Subject.OrganizationIdentificationNumber"},
	} {
		for field, without := range blank {
			t.Run(subjectType+" without "+field, func(t *testing.T) {
				g, c := newRig(always(201, createdBody))
				r := signerOrder(subjectType)
				without(r.Subject)
				_, err := c.CreateOrder(t.Context(), r)
				if !slices.Contains(needed, field) {
					assert.NoError(t, err)
					return
				}
				requireInvalid(t, err, field)
				assert.Contains(t, err.Error(), subjectType)
				assert.Empty(t, g.sentCalls())
			})
		}
	}
}

func TestSignerOrdersThatCannotSucceed(t *testing.T) {
	edit := func(f func(*certinext.OrderRequest)) certinext.OrderRequest {
		r := signerOrder("natural-person")
		f(&r)
		return r
	}
	for name, tc := range map[string]struct {
		request certinext.OrderRequest
		field   string
	}{
		"an unknown type of subject": {edit(func(r *certinext.OrderRequest) { r.Variant = "person" }), "Variant"},
		"a type in capitals":         {edit(func(r *certinext.OrderRequest) { r.Variant = "Natural-Person" }), "Variant"},
		"no subject":                 {edit(func(r *certinext.OrderRequest) { r.Subject = nil }), "Subject"},
		"a CSR that nothing attests": {edit(func(r *certinext.OrderRequest) { r.CSR = "csr" }), "CSR"},
		"no requestor":               {edit(func(r *certinext.OrderRequest) { r.Requestor.Email = "" }), "Requestor.Email"},
	} {
		t.Run(name, func(t *testing.T) {
			g, c := newRig(always(201, createdBody))
			_, err := c.CreateOrder(t.Context(), tc.request)
			requireInvalid(t, err, tc.field)
			assert.Zero(t, g.grantCount())
		})
	}
	t.Run("a subject in Extra is CERTInext's to judge", func(t *testing.T) {
		g, c := newRig(always(201, createdBody))
		_, err := c.CreateOrder(t.Context(), edit(func(r *certinext.OrderRequest) {
			r.Subject, r.Extra = nil, map[string]any{"subject": map[string]any{"email": "platform@example.com", "pseudonym": "PT"}}
		}))
		require.NoError(t, err)
		assert.Equal(t, map[string]any{"email": "platform@example.com", "pseudonym": "PT"}, sentBody(t, g)["subject"])
	})
	t.Run("a Subject wins over the one in Extra", func(t *testing.T) {
		g, c := newRig(always(201, createdBody))
		_, err := c.CreateOrder(t.Context(), edit(func(r *certinext.OrderRequest) {
			r.Extra = map[string]any{"subject": "loses"}
		}))
		require.NoError(t, err)
		assert.Equal(t, "Platform", sentBody(t, g)["subject"].(map[string]any)["firstName"])
	})
}

func TestSMIMEGoesThroughVersion1(t *testing.T) {
	g, c := newRig(always(200, `{"meta":{"status":"1"},"orderDetails":{"orderNumber":"1000000001","requestNumber":"2000000001"}}`))
	c.Credentials = certinext.AccessKey{AccountNumber: "1234567890", AccessKey: testSecret}
	r := signerOrder("natural-person")
	r.Family, r.ProductCode, r.Variant = certinext.FamilySMIME, "914", "smime"
	o, err := c.CreateOrder(t.Context(), r)
	require.NoError(t, err)
	assert.Equal(t, "1000000001", o.ID)
	_, err = c.TrackOrder(t.Context(), certinext.FamilySMIME, o.ID)
	require.NoError(t, err)
	assert.Equal(t, "/emSignHub-API/GenerateOrderSMIME", g.sentCalls()[0].path)
	assert.Equal(t, "/emSignHub-API/TrackOrder", g.sentCalls()[1].path)
}

func TestIdentityNumberIsNotRepeated(t *testing.T) {
	_, c := newRig(always(http.StatusUnprocessableEntity, `{"detail":"identificationNumber P-7741903 is not valid"}`))
	r := signerOrder("natural-person")
	r.Subject.IdentificationNumber = "P-7741903"
	_, err := c.CreateOrder(t.Context(), r)
	require.ErrorContains(t, err, "is not valid")
	assert.NotContains(t, err.Error(), "7741903")
}

func TestSandboxLifeOfASigner(t *testing.T) {
	for subjectType, name := range map[string]string{
		"natural-person": "Platform Team", "legal-person": "Platform Team", "legal-entity": "Example Corporation",
	} {
		t.Run(subjectType, func(t *testing.T) {
			eachDialect(t, func(t *testing.T, srv *certinexttest.Server) {
				ctx, c := t.Context(), sandbox(srv)
				const family = certinext.FamilySignature
				r, csr := signerOrder(subjectType), newSignerCSR(t)
				o, err := c.CreateOrder(ctx, r)
				require.NoError(t, err)
				inV1 := srv.Dialect == certinexttest.V1
				if inV1 { // its answers to a create say numbers only, and none says a name
					o, err = c.TrackOrder(ctx, family, o.ID)
					require.NoError(t, err)
				} else {
					assert.Equal(t, name, o.SubjectName)
				}
				require.Equal(t, certinext.StatusPendingDocuments, o.Status)
				_, err = c.TrackOrder(ctx, certinext.FamilySSL, o.ID)
				assert.Equal(t, !inV1, certinext.HasStatus(err, 404), "quirk 36: the wrong family, which version 1 cannot tell")

				for range 20 { // whatever stages come, in whatever order
					switch o.Status {
					case certinext.StatusPendingDocuments:
						require.NoError(t, c.SubmitDocuments(ctx, family, o.ID, []certinext.Document{
							{FileName: "passport.pdf", Description: "ID proof", Content: []byte("%PDF-1.7 +/=\xff")},
							{FileName: "register.PDF", Content: []byte("%PDF-1.4")},
						}))
					case certinext.StatusPendingVetting, certinext.StatusPendingApproval:
						assert.Equal(t, srv.Dialect == certinexttest.Documented, o.Status == certinext.StatusPendingVetting)
						require.NoError(t, srv.Approve(o.ID))
					case certinext.StatusPendingCSR:
						// Version 1 does not ask, and the published collection says false itself.
						if !inV1 && srv.Dialect != certinexttest.Documented {
							err := c.SubmitCSR(ctx, family, o.ID, csr, false)
							assert.True(t, certinext.HasStatus(err, 422), "a signer's key is attested: %v", err)
						}
						require.NoError(t, c.SubmitCSR(ctx, family, o.ID, csr, true))
					case certinext.StatusPendingAgreement:
						require.NoError(t, c.AcceptAgreement(ctx, family, o.ID, *r.Agreement))
					}
					o, err = c.TrackOrder(ctx, family, o.ID)
					require.NoError(t, err)
					assert.Empty(t, o.Domains)
					if o.Status == certinext.StatusIssued {
						break
					}
				}
				require.Equal(t, certinext.StatusIssued, o.Status)
				b, err := c.Certificate(ctx, family, o.ID)
				require.NoError(t, err)
				block, _ := pem.Decode([]byte(b.Certificate))
				leaf, err := x509.ParseCertificate(block.Bytes)
				require.NoError(t, err)
				assert.Equal(t, name, leaf.Subject.CommonName)
				assert.Equal(t, []string{"platform@example.com"}, leaf.EmailAddresses)

				reason := certinext.ReasonUnspecified
				if inV1 { // which has the same five reasons for all families
					reason = certinext.ReasonSuperseded
				}
				sent, err := c.RevokeOrder(ctx, family, o.ID, certinext.RevokeRequest{Reason: reason})
				require.NoError(t, err)
				assert.Equal(t, reason, sent)
			})
		})
	}
}

// newSignerCSR leaves whom the certificate is for to the order.
func newSignerCSR(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

func TestSandboxEveryFieldOfASubject(t *testing.T) {
	eachDialect(t, func(t *testing.T, srv *certinexttest.Server) {
		ctx, c := t.Context(), sandbox(srv)
		r := signerOrder("legal-person")
		r.Subject = &certinext.Subject{
			FirstName: "Platform", LastName: "Team", Email: "platform@example.com", Phone: "+14155550123", Designation: "Registrar",
			IdentityDocumentType: "passport", IdentificationNumber: "X1234567", StreetAddress1: "1 Main Street",
			StreetAddress2: "Floor 2", Locality: "New York", State: "New York", PostalCode: "10001", CountryCode: "US",
			OrganizationName: "Example Corporation", OrganizationUnit: "Records",
			OrganizationIdentificationNumber: "US-12-3456789", BusinessCategory: "Private Organization",
		}
		r.Organization = &certinext.OrganizationRef{
			Number: certinexttest.DefaultOrganization, ConsentToken: certinexttest.DefaultConsentToken,
		}
		r.Tags, r.GroupNumber, r.RenewBeforeDays = []string{"vault:4f1c"}, certinexttest.DefaultGroup, 30
		r.Delegation, r.TechnicalContact = &r.Requestor, &r.Requestor
		o, err := c.CreateOrder(ctx, r)
		require.NoError(t, err, "the simulator knows every field, and refuses those it does not know")
		require.NoError(t, c.CancelOrder(ctx, certinext.FamilySignature, o.ID, "mistake"))
		record, _ := srv.Order(o.ID)
		assert.Equal(t, "cancelled", record.Status)
		assert.Equal(t, certinexttest.DefaultOrganization, record.Organization)
		if srv.Dialect != certinexttest.Documented {
			rows, err := collect(c.OrdersReport(ctx, certinext.ReportFilter{}))
			require.NoError(t, err)
			assert.Equal(t, []string{"vault:4f1c"}, rows[0].Tags)
			assert.Empty(t, rows[0].Domain)
		}
	})
}

func TestSandboxDraftOfASigner(t *testing.T) {
	eachDialect(t, func(t *testing.T, srv *certinexttest.Server) {
		ctx, c := t.Context(), sandbox(srv)
		r := signerOrder("natural-person")
		r.SaveAsDraft = true
		draft, err := c.CreateOrder(ctx, r)
		require.NoError(t, err)
		require.Equal(t, certinext.StatusDraft, draft.Status)
		r.SaveAsDraft, r.RequestID = false, draft.RequestID
		o, err := c.CreateOrder(ctx, r)
		require.NoError(t, err)
		o, err = c.TrackOrder(ctx, certinext.FamilySignature, o.ID) // version 1 answers a create with no status
		require.NoError(t, err)
		assert.Equal(t, certinext.StatusPendingDocuments, o.Status)
		assert.Len(t, srv.Orders(), 1)
	})
}

// sentBody returns the JSON that was sent last.
func sentBody(t *testing.T, g *rig) map[string]any {
	t.Helper()
	calls := g.sentCalls()
	require.NotEmpty(t, calls)
	var body map[string]any
	require.NoError(t, json.Unmarshal([]byte(calls[len(calls)-1].body), &body))
	return body
}

func TestQuirk11DefaultsThatCostMoneyAreSentExplicitly(t *testing.T) {
	g, c := newRig(always(201, createdBody))
	_, err := c.CreateOrder(t.Context(), dvOrder())
	require.NoError(t, err)
	body := sentBody(t, g)
	assert.Equal(t, map[string]any{"domain": "host.example.com", "autoSecureWww": false}, body["certificate"])
	assert.Equal(t, map[string]any{"validityYears": 1.0, "autoRenew": false}, body["subscription"])

	r := dvOrder()
	r.AutoSecureWWW, r.AutoRenew, r.ValidityYears = true, true, 2
	_, err = c.CreateOrder(t.Context(), r)
	require.NoError(t, err)
	assert.Equal(t, true, sentBody(t, g)["certificate"].(map[string]any)["autoSecureWww"])
	assert.Equal(t, map[string]any{"validityYears": 2.0, "autoRenew": true}, sentBody(t, g)["subscription"])
}

func TestCreateRefusesWhatCannotSucceed(t *testing.T) {
	edit := func(f func(*certinext.OrderRequest)) certinext.OrderRequest {
		r := dvOrder()
		f(&r)
		return r
	}
	for name, tc := range map[string]struct {
		request certinext.OrderRequest
		field   string
	}{
		"no family":                      {edit(func(r *certinext.OrderRequest) { r.Family = "" }), "Family"},
		"no product":                     {edit(func(r *certinext.OrderRequest) { r.ProductCode = "" }), "ProductCode"},
		"a product that breaks a header": {edit(func(r *certinext.OrderRequest) { r.ProductCode = "1\r\nX: 1" }), "ProductCode"},
		"no variant":                     {edit(func(r *certinext.OrderRequest) { r.Variant = "" }), "Variant"},
		"no requestor":                   {edit(func(r *certinext.OrderRequest) { r.Requestor.Name = " " }), "Requestor.Name"},
		"no address":                     {edit(func(r *certinext.OrderRequest) { r.Requestor.Email = "" }), "Requestor.Email"},
		"no domain":                      {edit(func(r *certinext.OrderRequest) { r.Domain = "" }), "Domain"},
		"quirk 12: OV without organization": {
			edit(func(r *certinext.OrderRequest) { r.Variant = "ov" }), "Organization",
		},
		"quirk 12: EV without organization": {
			edit(func(r *certinext.OrderRequest) { r.Variant = "EV-ucc" }), "Organization",
		},
		"quirk 12: OV with an empty organization": {
			edit(func(r *certinext.OrderRequest) { r.Variant, r.Organization = "ov", &certinext.OrganizationRef{} }),
			"Organization.Number",
		},
		"quirk 46: an IP address": {
			edit(func(r *certinext.OrderRequest) { r.AdditionalDomains = []string{"a.example.com", "192.0.2.1"} }), "AdditionalDomains",
		},
		"quirk 46: an IPv6 address": {edit(func(r *certinext.OrderRequest) { r.Domain = "2001:db8::1" }), "Domain"},
		"quirk 46: a mail address": {
			edit(func(r *certinext.OrderRequest) { r.AdditionalDomains = []string{"ops@example.com"} }), "AdditionalDomains",
		},
		"quirk 46: a URL":          {edit(func(r *certinext.OrderRequest) { r.Domain = "https://example.com" }), "Domain"},
		"a name in Unicode":        {edit(func(r *certinext.OrderRequest) { r.Domain = "bücher.example" }), "Domain"},
		"a wildcard in the middle": {edit(func(r *certinext.OrderRequest) { r.Domain = "a.*.example.com" }), "Domain"},
		"an empty label":           {edit(func(r *certinext.OrderRequest) { r.Domain = "a..example.com" }), "Domain"},
		"a label too long":         {edit(func(r *certinext.OrderRequest) { r.Domain = strings.Repeat("a", 64) + ".example" }), "Domain"},
		"a name too long":          {edit(func(r *certinext.OrderRequest) { r.Domain = strings.Repeat("a.", 130) + "example" }), "Domain"},
		"a label with a dash":      {edit(func(r *certinext.OrderRequest) { r.Domain = "-a.example" }), "Domain"},
		"a key that breaks a header": {
			edit(func(r *certinext.OrderRequest) { r.IdempotencyKey = "a\nb" }), "IdempotencyKey",
		},
		"extra that is not JSON": {
			edit(func(r *certinext.OrderRequest) { r.Extra = map[string]any{"f": func() {}} }), "Extra[f]",
		},
		"a private PKI draft": {
			edit(func(r *certinext.OrderRequest) { r.Family, r.SaveAsDraft = certinext.FamilyPrivatePKI, true }), "SaveAsDraft",
		},
		"private PKI without a host": {
			edit(func(r *certinext.OrderRequest) { r.Family, r.Domain = certinext.FamilyPrivatePKI, "" }), "Domain",
		},
	} {
		t.Run(name, func(t *testing.T) {
			g, c := newRig(always(201, createdBody))
			_, err := c.CreateOrder(t.Context(), tc.request)
			requireInvalid(t, err, tc.field)
			assert.Empty(t, g.sentCalls())
			assert.Zero(t, g.grantCount(), "nothing is sent, not even for a token")
		})
	}
	t.Run("an organization in Extra will do", func(t *testing.T) {
		_, c := newRig(always(201, createdBody))
		_, err := c.CreateOrder(t.Context(), edit(func(r *certinext.OrderRequest) {
			r.Variant, r.Extra = "ov", map[string]any{"organization": map[string]any{"organizationNumber": "1"}}
		}))
		assert.NoError(t, err)
	})
}

func TestRemarksAreAlwaysSentAndClean(t *testing.T) {
	g, c := newRig(always(201, createdBody))
	for given, want := range map[string]string{
		"":                        "Ordered through the CERTInext API",
		" \n":                     "Ordered through the CERTInext API",
		"a; b\r\nc":               "a, b c",
		strings.Repeat("ü", 1000): strings.Repeat("ü", 499) + "…",
	} {
		r := dvOrder()
		r.Remarks = given
		_, err := c.CreateOrder(t.Context(), r)
		require.NoError(t, err)
		assert.Equal(t, want, sentBody(t, g)["remarks"])
	}
}

func TestExtraLosesAgainstKnownFields(t *testing.T) {
	g, c := newRig(always(201, createdBody))
	r := dvOrder()
	r.Extra = map[string]any{
		"certificate": "loses", "subscription": "loses", "requestor": "loses", "productVariant": "ev", "remarks": "loses",
		"emailNotifications": []string{"ops@example.com"}, "contractSigner": map[string]any{"n": json.Number("1")},
	}
	_, err := c.CreateOrder(t.Context(), r)
	require.NoError(t, err)
	body := sentBody(t, g)
	for _, field := range []string{"certificate", "subscription", "requestor", "remarks"} {
		assert.NotEqual(t, "loses", body[field], field)
	}
	assert.Equal(t, "dv", body["productVariant"])
	assert.Equal(t, []any{"ops@example.com"}, body["emailNotifications"], "what was left out may come from Extra")
	assert.Equal(t, map[string]any{"n": 1.0}, body["contractSigner"])
}

func TestIdempotencyKey(t *testing.T) {
	g, c := newRig(always(201, createdBody))
	r := dvOrder()
	for range 2 {
		_, err := c.CreateOrder(t.Context(), r)
		require.NoError(t, err)
	}
	r.IdempotencyKey = "mine"
	_, err := c.CreateOrder(t.Context(), r)
	require.NoError(t, err)
	calls := g.sentCalls()
	key := func(i int) string { return calls[i].header.Get("Idempotency-Key") }
	assert.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, key(0))
	assert.NotEqual(t, key(0), key(1))
	assert.Equal(t, "mine", key(2))
}
