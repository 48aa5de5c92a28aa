// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// sandbox returns a client of srv, with the credentials of its dialect.
func sandbox(srv *certinexttest.Server) *certinext.Client {
	c := &certinext.Client{BaseURL: testBase, HTTPClient: srv.Client(), Credentials: certinext.OAuth{
		ClientID: certinexttest.DefaultAccountNumber, ClientSecret: certinexttest.DefaultClientSecret,
	}}
	if srv.Dialect != certinexttest.Live {
		c.Credentials = certinext.AccessKey{
			AccountNumber: certinexttest.DefaultAccountNumber, AccessKey: certinexttest.DefaultAccessKey,
		}
	}
	if srv.Dialect == certinexttest.V1 {
		c.Version = certinext.V1
	}
	return c
}

// eachDialect runs a test against all dialects, in a bubble where waiting takes no time.
func eachDialect(t *testing.T, f func(t *testing.T, srv *certinexttest.Server)) {
	for _, d := range []certinexttest.Dialect{certinexttest.Live, certinexttest.Documented, certinexttest.V1} {
		t.Run(d.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f(t, &certinexttest.Server{Dialect: d, VerifiedDomains: []string{"example.com"}})
			})
		})
	}
}

func newCSR(t testing.TB, name string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
	}, key)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

// completeOrder is a request with everything in it that issuance needs. Version 1 counts the
// validated domains of an organization only for an order that names it, whatever the product;
// version 2 counts the account's for DV.
func completeOrder(t testing.TB, srv *certinexttest.Server) certinext.OrderRequest {
	r := dvOrder()
	if srv.Dialect == certinexttest.V1 {
		r.Organization = &certinext.OrganizationRef{Number: certinexttest.DefaultOrganization}
	}
	r.CSR = newCSR(t, r.Domain)
	r.Agreement = &certinext.Agreement{SignerName: "Platform Team", SignerPlace: "New York", SignerIP: "203.0.113.7", Accepted: true}
	r.Tags = []string{"vault:4f1c"}
	return r
}

func TestSandboxLifeOfAnOrder(t *testing.T) {
	eachDialect(t, func(t *testing.T, srv *certinexttest.Server) {
		ctx, c := t.Context(), sandbox(srv)
		r := completeOrder(t, srv)
		csr := r.CSR
		r.CSR = "" // submitted later
		o, err := c.CreateOrder(ctx, r)
		require.NoError(t, err)

		for range 20 { // whatever stages come, in whatever order
			if o.Status == certinext.StatusIssued {
				break
			}
			switch o.Status {
			case certinext.StatusPendingCSR:
				require.NoError(t, c.SubmitCSR(ctx, certinext.FamilySSL, o.ID, csr, false))
			case certinext.StatusPendingAgreement:
				require.NoError(t, c.AcceptAgreement(ctx, certinext.FamilySSL, o.ID, *r.Agreement))
			case certinext.StatusPendingDCV:
				t.Fatal("the domain is validated already")
			}
			time.Sleep(5 * time.Second)
			o, err = c.TrackOrder(ctx, certinext.FamilySSL, o.ID)
			require.NoError(t, err)
		}
		require.Equal(t, certinext.StatusIssued, o.Status)

		for _, download := range []func() (*certinext.Bundle, error){
			func() (*certinext.Bundle, error) { return c.Certificate(ctx, certinext.FamilySSL, o.ID) },
			func() (*certinext.Bundle, error) { return c.CertificatePEM(ctx, certinext.FamilySSL, o.ID) },
		} {
			b, err := download()
			require.NoError(t, err)
			block, _ := pem.Decode([]byte(b.Certificate))
			leaf, err := x509.ParseCertificate(block.Bytes)
			require.NoError(t, err)
			assert.Equal(t, []string{"host.example.com"}, leaf.DNSNames)
			assert.Equal(t, o.ID, b.OrderID)
		}

		sent, err := c.RevokeOrder(ctx, certinext.FamilySSL, o.ID, certinext.RevokeRequest{
			Reason: certinext.ReasonCessationOfOperation, Note: "gone; for good",
		})
		require.NoError(t, err)
		assert.Equal(t, certinext.ReasonCessationOfOperation, sent)
		sent, err = c.RevokeOrder(ctx, certinext.FamilySSL, o.ID, certinext.RevokeRequest{Reason: certinext.ReasonSuperseded})
		require.NoError(t, err, "revoking again is a success")
		if srv.Dialect != certinexttest.Documented {
			assert.Equal(t, certinext.ReasonCessationOfOperation, sent, "with the reason that stands")
		}
		record, _ := srv.Order(o.ID)
		assert.Equal(t, "revoked", record.Status)
		assert.Equal(t, 1, record.Creates)
		assert.Len(t, record.Serials, 1)

		_, err = c.Certificate(ctx, certinext.FamilySSL, o.ID)
		assert.Error(t, err, "quirk 27: the certificate of a revoked order is not served")
	})
}

func TestSandboxValidation(t *testing.T) {
	eachDialect(t, func(t *testing.T, srv *certinexttest.Server) {
		srv.VerifiedDomains = nil
		ctx, c := t.Context(), sandbox(srv)
		o, err := c.CreateOrder(ctx, completeOrder(t, srv))
		require.NoError(t, err)
		o, err = c.TrackOrder(ctx, certinext.FamilySSL, o.ID) // version 1 answers a create with no status
		require.NoError(t, err)
		require.Equal(t, certinext.StatusPendingDCV, o.Status)
		ch, err := c.DCVChallenge(ctx, o.ID, "host.example.com", certinext.DCVMethodDNS)
		require.NoError(t, err)
		assert.NotEmpty(t, ch.DNSValue)
		assert.Equal(t, srv.Dialect == certinexttest.Documented, ch.DNSHost != "", "quirk 14: the live challenge names no host")

		srv.VerifyDomain("host.example.com")
		ch, err = c.DCVChallenge(ctx, o.ID, "host.example.com", certinext.DCVMethodDNS)
		require.NoError(t, err)
		assert.Equal(t, srv.Dialect != certinexttest.Documented, ch.AlreadyVerified, "EMS-1080 is no part of the documentation")
		assert.NoError(t, c.VerifyDCV(ctx, o.ID, "host.example.com", certinext.DCVMethodDNS))
	})
}

func TestSandboxCancel(t *testing.T) {
	eachDialect(t, func(t *testing.T, srv *certinexttest.Server) {
		srv.HoldForApproval = true
		ctx, c := t.Context(), sandbox(srv)
		o, err := c.CreateOrder(ctx, completeOrder(t, srv))
		require.NoError(t, err)
		for range 2 { // the second time it is cancelled already
			require.NoError(t, c.CancelOrder(ctx, certinext.FamilySSL, o.ID, "changed; our mind"))
		}
		record, _ := srv.Order(o.ID)
		assert.Equal(t, "cancelled", record.Status)
		assert.Equal(t, "changed, our mind", record.CancelReason)
		o, err = c.TrackOrder(ctx, certinext.FamilySSL, o.ID)
		require.NoError(t, err)
		assert.Equal(t, certinext.StatusCancelled, o.Status)
		assert.True(t, o.Status.Terminal())
	})
}

func TestSandboxDraft(t *testing.T) {
	eachDialect(t, func(t *testing.T, srv *certinexttest.Server) {
		ctx, c := t.Context(), sandbox(srv)
		r := completeOrder(t, srv)
		r.SaveAsDraft = true
		draft, err := c.CreateOrder(ctx, r)
		require.NoError(t, err)
		assert.Equal(t, certinext.StatusDraft, draft.Status)
		assert.Empty(t, draft.ID)
		_, err = c.TrackOrder(ctx, certinext.FamilySSL, draft.RequestID)
		assert.True(t, certinext.HasStatus(err, 404), "quirk 35: a request id is no key")

		r.SaveAsDraft, r.RequestID = false, draft.RequestID
		o, err := c.CreateOrder(ctx, r)
		require.NoError(t, err)
		assert.NotEmpty(t, o.ID)

		r.SaveAsDraft, r.RequestID, r.CSR = true, "", newCSR(t, r.Domain)
		draft, err = c.CreateOrder(ctx, r)
		require.NoError(t, err)
		require.NoError(t, c.CancelDraft(ctx, draft.RequestID, ""))
		assert.Len(t, srv.Orders(), 2)
	})
}

// privateOrder completes a request for a certificate of the customer's own CA. Version 1 has no
// word for a CA profile.
func privateOrder(srv *certinexttest.Server, r certinext.OrderRequest) certinext.OrderRequest {
	r.Family, r.Requestor = certinext.FamilyPrivatePKI, dvOrder().Requestor
	if srv.Dialect != certinexttest.V1 {
		r.CAProfileID, r.MasterProductID = "1", "7"
	}
	return r
}

func TestSandboxPrivatePKI(t *testing.T) {
	eachDialect(t, func(t *testing.T, srv *certinexttest.Server) {
		ctx, c := t.Context(), sandbox(srv)
		products, err := c.Products(ctx, "")
		require.NoError(t, err)
		i := slices.IndexFunc(products, func(p certinext.Product) bool { return p.Family == certinext.FamilyPrivatePKI })
		require.GreaterOrEqual(t, i, 0)
		o, err := c.CreateOrder(ctx, privateOrder(srv, certinext.OrderRequest{
			ProductCode: products[i].Code, Variant: "intranet-ssl", Domain: "intranet.example.local",
			AdditionalDomains: []string{"portal.example.local", "10.0.0.5"}, CSR: newCSR(t, "intranet.example.local"),
		}))
		require.NoError(t, err)
		_, err = c.TrackOrder(ctx, certinext.FamilySSL, o.ID)
		assert.Equal(t, srv.Dialect != certinexttest.V1, certinext.HasStatus(err, 404), "quirk 36: the wrong family, which version 1 cannot tell")
		_, err = c.TrackOrder(ctx, certinext.FamilyPrivatePKI, o.ID)
		assert.NoError(t, err)
	})
}

func TestSandboxIGTFHost(t *testing.T) {
	eachDialect(t, func(t *testing.T, srv *certinexttest.Server) {
		ctx, c := t.Context(), sandbox(srv)
		o, err := c.CreateOrder(ctx, privateOrder(srv, certinext.OrderRequest{
			ProductCode: "104", Variant: "igtf-host", Domain: "grid.example.edu",
			AdditionalDomains: []string{"storage.example.edu", "2001:db8::5"}, CSR: newCSR(t, "grid.example.edu"),
		}))
		require.NoError(t, err)
		if srv.Dialect == certinexttest.V1 { // which answers with numbers and nothing else
			o, err = c.TrackOrder(ctx, certinext.FamilyPrivatePKI, o.ID)
			require.NoError(t, err)
		} else {
			assert.Equal(t, "grid.example.edu", o.Domain)
		}
		assert.Equal(t, certinext.StatusIssued, o.Status)
		b, err := c.Certificate(ctx, certinext.FamilyPrivatePKI, o.ID)
		require.NoError(t, err)
		block, _ := pem.Decode([]byte(b.Certificate))
		leaf, err := x509.ParseCertificate(block.Bytes)
		require.NoError(t, err)
		assert.Equal(t, []string{"grid.example.edu", "storage.example.edu"}, leaf.DNSNames)
		assert.Equal(t, "2001:db8::5", leaf.IPAddresses[0].String())
		assert.Contains(t, leaf.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
	})
}

func TestSandboxOrganization(t *testing.T) {
	eachDialect(t, func(t *testing.T, srv *certinexttest.Server) {
		ctx, c := t.Context(), sandbox(srv)
		r := completeOrder(t, srv)
		r.ProductCode, r.Variant = "848", "ov"
		r.AdditionalDomains = []string{"www.example.com"}
		r.Organization = &certinext.OrganizationRef{Number: certinexttest.DefaultOrganization, ConsentToken: certinexttest.DefaultConsentToken}
		o, err := c.CreateOrder(ctx, r)
		require.NoError(t, err)
		if srv.Dialect == certinexttest.Documented { // which takes the agreement after the create only
			require.NoError(t, c.AcceptAgreement(ctx, certinext.FamilySSL, o.ID, *r.Agreement))
		}
		o = track(t, c, certinext.FamilySSL, o.ID)
		require.Equal(t, certinext.StatusIssued, o.Status, "the consent token spares the approver")
		leaf := download(t, srv, c, certinext.FamilySSL, o.ID)
		assert.Equal(t, []string{"Example Corporation"}, leaf.Subject.Organization)
		assert.Equal(t, []string{"host.example.com", "www.example.com"}, leaf.DNSNames)

		r.CSR, r.Organization.ConsentToken = newCSR(t, r.Domain), "0000"
		_, err = c.CreateOrder(ctx, r)
		assert.True(t, certinext.HasStatus(err, 422), "a foreign token: %v", err)
		assert.NotContains(t, err.Error(), "0000")
		r.Organization.Number = certinexttest.UnvettedOrganization
		r.Organization.ConsentToken = ""
		o, err = c.CreateOrder(ctx, r)
		require.NoError(t, err)
		o = track(t, c, certinext.FamilySSL, o.ID)
		require.Contains(t, []certinext.Status{certinext.StatusPendingDCV, certinext.StatusPendingOrganization}, o.Status)
		if srv.Dialect != certinexttest.Documented { // which tracks no organization
			require.NotNil(t, o.Organization)
			assert.Equal(t, "PENDING", o.Organization.Status)
		}
	})
}

// The simulator knows every field of either version, and refuses those that it does not know.
func TestSandboxEveryFieldOfAnOrder(t *testing.T) {
	eachDialect(t, func(t *testing.T, srv *certinexttest.Server) {
		srv.Catalog = append(certinexttest.SandboxCatalog(), certinexttest.Product{
			Code: "9001", Name: "SSL OV with a cost center", Type: "18",
			CustomFields: []certinexttest.CustomField{{ID: "77", Name: "Cost center", Mandatory: true, Values: []string{"4711"}}},
		})
		ctx, c := t.Context(), sandbox(srv)
		fields, err := c.CustomFields(ctx, "9001")
		require.NoError(t, err)
		require.Len(t, fields, 1)
		assert.Equal(t, "77", fields[0].ID)
		assert.True(t, fields[0].Mandatory)
		assert.Equal(t, []string{"4711"}, fields[0].Values)

		r := completeOrder(t, srv)
		r.ProductCode, r.Variant, r.AdditionalDomains = "9001", "ov", []string{"www.example.com"}
		r.Requestor.Phone, r.Requestor.Designation = "+14155550123", "Registrar"
		r.Delegation = &certinext.Contact{Name: "Another Team", Email: "another@example.com"}
		r.TechnicalContact = &certinext.Contact{Name: "Platform Team", Email: "platform@example.com", Phone: "+442071838750"}
		r.Organization = &certinext.OrganizationRef{
			Number: certinexttest.DefaultOrganization, ConsentToken: certinexttest.DefaultConsentToken,
		}
		r.GroupNumber, r.ValidityYears, r.AutoRenew, r.RenewBeforeDays = certinexttest.DefaultGroup, 2, true, 60
		r.EmailNotifications, r.RecipientEmails = "all", []string{"ops@example.com", "platform@example.com"}
		r.Remarks, r.CustomFields = "for the portal; not for us", []certinext.CustomField{{FieldID: "77", Value: "4711"}}
		o, err := c.CreateOrder(ctx, r)
		require.NoError(t, err)
		record, _ := srv.Order(o.ID)
		assert.Equal(t, "9001", record.ProductCode)
		assert.Equal(t, certinexttest.DefaultGroup, record.Group)
		assert.Equal(t, certinexttest.DefaultOrganization, record.Organization)
		assert.Equal(t, "for the portal, not for us", record.Remarks)
		assert.Equal(t, []string{"www.example.com"}, record.AdditionalDomains)

		r.CSR, r.CustomFields[0].Value = newCSR(t, r.Domain), "0815"
		_, err = c.CreateOrder(ctx, r)
		assert.True(t, certinext.HasStatus(err, 400, 422), "a value that the field does not take: %v", err)
		assert.False(t, certinext.MayHaveActed(err))
		assert.Len(t, srv.Orders(), 1)
	})
}
