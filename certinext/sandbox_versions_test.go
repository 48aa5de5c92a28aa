// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext_test

import (
	"crypto/x509"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

func mailOrder() certinext.OrderRequest {
	r := signerOrder("natural-person")
	r.Family, r.ProductCode, r.Variant = certinext.FamilySMIME, "914", ""
	return r
}

// Whatever the client's version and credentials are, an S/MIME order lives in version 1, with a token or a signature.
func TestSandboxSMIME(t *testing.T) {
	eachDialect(t, func(t *testing.T, srv *certinexttest.Server) {
		ctx, c := t.Context(), sandbox(srv)
		const family = certinext.FamilySMIME
		products, err := c.Products(ctx, "")
		require.NoError(t, err)
		families := map[string]certinext.Family{}
		for _, p := range products {
			families[p.Code] = p.Family
		}
		assert.Equal(t, family, families["914"])

		r := mailOrder()
		o, err := c.CreateOrder(ctx, r)
		require.NoError(t, err)
		require.Equal(t, certinext.StatusPendingCSR, track(t, c, family, o.ID).Status)
		_, err = c.Certificate(ctx, family, o.ID)
		assert.True(t, certinext.IsNotReady(err), "%v", err)
		require.NoError(t, c.SubmitCSR(ctx, family, o.ID, newSignerCSR(t), false))
		require.Equal(t, certinext.StatusIssued, track(t, c, family, o.ID).Status)
		leaf := download(t, srv, c, family, o.ID)
		assert.Equal(t, []string{r.Subject.Email}, leaf.EmailAddresses)
		assert.Equal(t, r.Subject.FirstName+" "+r.Subject.LastName, leaf.Subject.CommonName)
		assert.Equal(t, []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}, leaf.ExtKeyUsage)

		_, err = c.RevokeOrder(ctx, family, o.ID, certinext.RevokeRequest{Reason: certinext.ReasonUnspecified})
		var unsupported *certinext.UnsupportedReasonError
		require.ErrorAs(t, err, &unsupported, "version 1 has no such reason")
		sent, err := c.RevokeOrder(ctx, family, o.ID, certinext.RevokeRequest{Reason: certinext.ReasonKeyCompromise})
		require.NoError(t, err)
		assert.Equal(t, certinext.ReasonKeyCompromise, sent)
		assert.Equal(t, 1, srv.Calls()[certinexttest.OpCreateSMIME])

		o, err = c.CreateOrder(ctx, mailOrder())
		require.NoError(t, err)
		for range 2 {
			require.NoError(t, c.CancelOrder(ctx, family, o.ID, "mistake"))
		}
		assert.Equal(t, certinext.StatusCancelled, track(t, c, family, o.ID).Status)
	})
}

// Both versions work on one book of orders.
func TestSandboxOrdersOfTheOtherVersion(t *testing.T) {
	for _, d := range []certinexttest.Dialect{certinexttest.Live, certinexttest.Documented} {
		t.Run(d.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := &certinexttest.Server{Dialect: d, VerifiedDomains: []string{"example.com"}}
				ctx, v1, v2 := t.Context(), signedBy(srv), sandbox(srv)
				token := sandbox(srv) // version 1 with what version 2 signs in with
				token.Version = certinext.V1
				for name, pair := range map[string][2]*certinext.Client{
					"placed in 1, driven in 2": {v1, v2}, "placed in 2, driven in 1": {v2, v1}, "and with a token": {v2, token},
				} {
					r := completeOrder(t, srv)
					csr := r.CSR
					r.CSR = ""
					r.Organization = &certinext.OrganizationRef{Number: certinexttest.DefaultOrganization}
					o, err := pair[0].CreateOrder(ctx, r)
					require.NoError(t, err, name)
					driver := pair[1]
					o = track(t, driver, certinext.FamilySSL, o.ID)
					if o.Status == certinext.StatusPendingAgreement {
						require.NoError(t, driver.AcceptAgreement(ctx, certinext.FamilySSL, o.ID, *r.Agreement), name)
					}
					require.NoError(t, driver.SubmitCSR(ctx, certinext.FamilySSL, o.ID, csr, false), name)
					for range 5 {
						if o = track(t, driver, certinext.FamilySSL, o.ID); o.Status == certinext.StatusPendingAgreement {
							require.NoError(t, driver.AcceptAgreement(ctx, certinext.FamilySSL, o.ID, *r.Agreement), name)
						}
						time.Sleep(time.Second)
					}
					for _, c := range pair {
						require.Equal(t, certinext.StatusIssued, track(t, c, certinext.FamilySSL, o.ID).Status, name)
					}
					first, second := download(t, srv, pair[0], certinext.FamilySSL, o.ID), download(t, srv, driver, certinext.FamilySSL, o.ID)
					assert.True(t, first.Equal(second), name)

					_, err = driver.RevokeOrder(ctx, certinext.FamilySSL, o.ID, certinext.RevokeRequest{Reason: certinext.ReasonSuperseded})
					require.NoError(t, err, name)
					o = track(t, pair[0], certinext.FamilySSL, o.ID)
					assert.Equal(t, certinext.StatusRevoked, o.Status, name)
					_, err = pair[0].RevokeOrder(ctx, certinext.FamilySSL, o.ID, certinext.RevokeRequest{Reason: certinext.ReasonKeyCompromise})
					assert.NoError(t, err, "%s: revoked already", name)
				}
				assert.Len(t, srv.Orders(), 3)
			})
		})
	}
}
