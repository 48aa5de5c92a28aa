// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext_test

import (
	"context"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// v1Cases are the calls of version 1 for TestGolden. Those that end with -oauth use a token, all
// others sign.
func v1Cases(t *testing.T) map[string]func(*certinext.Client) (any, error) {
	t.Helper()
	type client = *certinext.Client
	ctx := context.Background()
	const ssl, id, host = certinext.FamilySSL, "1000000001", "host.example.com"
	csr := readFile(t, "leaf.csr")
	void := func(err error) (any, error) { return nil, err }
	agreement := certinext.Agreement{
		SignerName: "Platform Team", SignerPlace: "New York", SignerIP: "203.0.113.7", Accepted: true,
	}

	dv := dvOrder()
	dv.Agreement, dv.CSR = &agreement, csr
	draft := dvOrder()
	draft.SaveAsDraft = true
	everything := certinext.OrderRequest{
		AccountingModel: certinext.AccountingCash,
		Family:          ssl, ProductCode: "850", Variant: "ev", Domain: host,
		AdditionalDomains: []string{"a.example.com"}, CSR: csr,
		Requestor: certinext.Contact{
			Name: "Platform Team", Email: "ops@example.com", Phone: "+1 (415) 555-0123", Designation: "PKI Manager",
		},
		Delegation:       &certinext.Contact{Name: "Second Team", Email: "second@example.com"},
		TechnicalContact: &certinext.Contact{Name: "Technical Team", Email: "tech@example.com", Phone: "+353861234567"},
		Organization:     &certinext.OrganizationRef{Number: "4000001", ConsentToken: "5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e"},
		Agreement:        &agreement, GroupNumber: "3000000001", ValidityYears: 3, AutoRenew: true, RenewBeforeDays: 60,
		AutoSecureWWW: true, EmailNotifications: "all", RecipientEmails: []string{"ops@example.com", "tech@example.com"},
		Tags: []string{"department:IT", "vault:4f1c"}, Remarks: "for the shop; vault 4f1c",
		CustomFields: []certinext.CustomField{{FieldID: "456", Value: "x"}}, RequestID: "2000000001",
		Extra: map[string]any{
			"contractSignerInfo":     map[string]any{"name": "Platform Team"},
			"certificateInformation": map[string]any{"companyRegistrationNumber": "HRB 1", "domainName": "loses"},
			"productCode":            "loses",
		},
	}
	private := certinext.OrderRequest{
		Family: certinext.FamilyPrivatePKI, ProductCode: "149", Variant: "intranet-ssl", Domain: "intranet.example.local",
		AdditionalDomains: []string{"portal.example.local", "10.0.0.5"}, CSR: csr, Requestor: dv.Requestor,
		Subject:   &certinext.Subject{OrganizationName: "Example", State: "New York", CountryCode: "US"},
		Agreement: &agreement, Organization: everything.Organization, Delegation: everything.Delegation,
	}
	subject := certinext.Subject{
		FirstName: "Platform", LastName: "Team", Email: "signer@example.com", Phone: "+442071234567", Designation: "Manager",
		IdentityDocumentType: "Passport", IdentificationNumber: "X1", StreetAddress1: "1 Example Street",
		StreetAddress2: "Floor 2", Locality: "London", State: "London", PostalCode: "N1", CountryCode: "GB",
		OrganizationName: "Example", OrganizationUnit: "IT", OrganizationIdentificationNumber: "OID-1", BusinessCategory: "1",
	}
	signer := certinext.OrderRequest{
		Family: certinext.FamilySignature, ProductCode: "822", Variant: "legal-entity", Subject: &subject,
		Requestor: dv.Requestor, Agreement: &agreement,
	}
	mail := certinext.OrderRequest{
		Family: certinext.FamilySMIME, ProductCode: "914", Subject: &certinext.Subject{Email: "someone@example.com"},
		Requestor: dv.Requestor, Agreement: &agreement, CSR: csr,
	}
	create := func(r certinext.OrderRequest) func(client) (any, error) {
		return func(c client) (any, error) { return c.CreateOrder(ctx, r) }
	}
	track := func(c client) (any, error) { return c.TrackOrder(ctx, ssl, id) }
	challenge := func(m certinext.DCVMethod) func(client) (any, error) {
		return func(c client) (any, error) { return c.DCVChallenge(ctx, id, host, m) }
	}
	verify := func(m certinext.DCVMethod) func(client) (any, error) {
		return func(c client) (any, error) { return void(c.VerifyDCV(ctx, id, host, m)) }
	}
	download := func(c client) (any, error) { return c.Certificate(ctx, ssl, id) }
	me := func(c client) (any, error) { return c.Me(ctx) }
	report := func(c client) (any, error) {
		return collect(c.OrdersReport(ctx, certinext.ReportFilter{
			From: time.Date(2026, 4, 8, 0, 0, 0, 0, time.UTC), GroupNumber: "3000000001", Domain: host,
			Status: certinext.StatusIssued,
		}))
	}
	fields := func(c client) (any, error) { return c.CustomFields(ctx, "974") }

	return map[string]func(client) (any, error){
		"v1-me":                   me,
		"v1-me-refused":           me,
		"v1-me-oauth":             me,
		"v1-create-ssl-dv":        create(dv),
		"v1-create-ssl-dv-oauth":  create(dv),
		"v1-create-every-field":   create(everything),
		"v1-create-draft":         create(draft),
		"v1-create-private-pki":   create(private),
		"v1-create-signature":     create(signer),
		"v1-create-smime":         create(mail),
		"v1-create-refused":       create(dv),
		"v1-create-in-doubt":      create(dv),
		"v1-track-just-placed":    track,
		"v1-track-pending-dcv":    track,
		"v1-track-issued":         track,
		"v1-track-revoked":        track,
		"v1-track-unknown-order":  track,
		"v1-dcv-dns":              challenge(certinext.DCVMethodDNS),
		"v1-dcv-http":             challenge(certinext.DCVMethodHTTP),
		"v1-dcv-email":            challenge(certinext.DCVMethodEmail),
		"v1-dcv-not-ready":        challenge(certinext.DCVMethodDNS),
		"v1-verify-verified":      verify(certinext.DCVMethodDNS),
		"v1-verify-not-yet":       verify(certinext.DCVMethodHTTP),
		"v1-verify-by-mail":       verify(certinext.DCVMethodEmail),
		"v1-submit-csr":           func(c client) (any, error) { return void(c.SubmitCSR(ctx, ssl, id, csr, false)) },
		"v1-accept-agreement":     func(c client) (any, error) { return void(c.AcceptAgreement(ctx, ssl, id, agreement)) },
		"v1-cancel":               func(c client) (any, error) { return void(c.CancelOrder(ctx, ssl, id, "mistake; sorry")) },
		"v1-cancel-already":       func(c client) (any, error) { return void(c.CancelOrder(ctx, ssl, id, "")) },
		"v1-cancel-draft":         func(c client) (any, error) { return void(c.CancelDraft(ctx, "2000000009", "")) },
		"v1-certificate":          download,
		"v1-certificate-none-yet": download,
		"v1-revoke": func(c client) (any, error) {
			return c.RevokeOrder(ctx, ssl, id, certinext.RevokeRequest{
				Reason: certinext.ReasonCessationOfOperation, Note: "gone; for good",
			})
		},
		"v1-submit-documents": func(c client) (any, error) {
			return void(c.SubmitDocuments(ctx, certinext.FamilySignature, id, []certinext.Document{
				{FileName: "passport.pdf", Description: "Passport", Content: []byte("%PDF-1.7 \xff\xfe\xfd?>")},
				{FileName: "Registration.PDF", Content: []byte("%PDF-1.4")},
			}))
		},
		"v1-groups":              func(c client) (any, error) { return c.Groups(ctx) },
		"v1-organizations":       func(c client) (any, error) { return c.Organizations(ctx) },
		"v1-organization":        func(c client) (any, error) { return c.Organization(ctx, "4000002") },
		"v1-products":            func(c client) (any, error) { return c.Products(ctx, "3000000001") },
		"v1-custom-fields":       fields,
		"v1-custom-fields-group": fields,
		"v1-custom-fields-none":  fields,
		"v1-domains": func(c client) (any, error) {
			return collect(c.Domains(ctx, certinext.DomainFilter{Search: "EXAMPLE.com", DCVStatus: "verified"}))
		},
		"v1-orders-report":       report,
		"v1-orders-report-empty": report,
		"v1-ledger":              func(c client) (any, error) { return collect(c.Ledger(ctx, "3000000001")) },
		"orders-report-documented-older": func(c client) (any, error) {
			return collect(c.OrdersReport(ctx, certinext.ReportFilter{}))
		},
	}
}
