// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext_test

import (
	"crypto/x509"
	"encoding/pem"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// inV1 runs a test against an account that version 1 alone serves, in a bubble where waiting takes
// no time.
func inV1(t *testing.T, f func(t *testing.T, srv *certinexttest.Server, c *certinext.Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		srv := &certinexttest.Server{Dialect: certinexttest.V1, VerifiedDomains: []string{"example.com"}}
		f(t, srv, sandbox(srv))
	})
}

// signedBy returns a client of version 1 for the account of srv, whatever its dialect.
func signedBy(srv *certinexttest.Server) *certinext.Client {
	c := sandbox(srv)
	c.Version, c.Credentials = certinext.V1, certinext.AccessKey{
		AccountNumber: certinexttest.DefaultAccountNumber, AccessKey: certinexttest.DefaultAccessKey,
	}
	return c
}

// track returns an order as it is now.
func track(t *testing.T, c *certinext.Client, f certinext.Family, id string) *certinext.Order {
	t.Helper()
	o, err := c.TrackOrder(t.Context(), f, id)
	require.NoError(t, err)
	return o
}

// download returns the leaf of an order, once it is known to chain to a root of srv.
func download(t *testing.T, srv *certinexttest.Server, c *certinext.Client, f certinext.Family, id string) *x509.Certificate {
	t.Helper()
	b, err := c.CertificatePEM(t.Context(), f, id) // the documented JSON names no chain
	require.NoError(t, err)
	intermediates := x509.NewCertPool()
	for _, text := range b.Chain {
		require.True(t, intermediates.AppendCertsFromPEM([]byte(text)))
	}
	block, _ := pem.Decode([]byte(b.Certificate))
	require.NotNil(t, block)
	leaf, err := x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	_, err = leaf.Verify(x509.VerifyOptions{
		Roots: srv.Roots(), Intermediates: intermediates, CurrentTime: leaf.NotBefore.Add(time.Hour),
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	require.NoError(t, err)
	return leaf
}

// A moment is a clock that a test sets, where sockets keep it out of a bubble.
type moment struct {
	mu sync.Mutex
	at time.Time
}

func (m *moment) now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.at
}

func (m *moment) pass(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.at = m.at.Add(d)
}

// The slot for the validation appears late, the challenge later, and what a verification saw is
// told by tracking alone.
func TestSandboxV1Validation(t *testing.T) {
	for _, method := range []certinext.DCVMethod{certinext.DCVMethodDNS, certinext.DCVMethodHTTP} {
		t.Run(string(method), func(t *testing.T) {
			z, clock := newZone(t), &moment{at: time.Now()}
			srv := &certinexttest.Server{
				Dialect: certinexttest.V1, Resolver: z.resolver, HTTPPort: z.port, Now: clock.now,
				DCVSlotDelay: 10 * time.Second, DCVChallengeDelay: time.Minute, DCVResultDelay: 10 * time.Second,
			}
			ctx, c := t.Context(), sandbox(srv)
			c.Now = clock.now
			const domain = "host.example.com"
			r := dvOrder()
			r.CSR, r.Agreement = newCSR(t, r.Domain), completeOrder(t, srv).Agreement
			o, err := c.CreateOrder(ctx, r)
			require.NoError(t, err)
			assert.Equal(t, certinext.StatusUnknown, o.Status, "a create is answered with numbers alone")
			assert.Empty(t, track(t, c, certinext.FamilySSL, o.ID).Domains, "there is no slot yet")
			clock.pass(30 * time.Second)
			o = track(t, c, certinext.FamilySSL, o.ID)
			require.Equal(t, certinext.StatusPendingDCV, o.Status)
			require.Len(t, o.Domains, 1)
			assert.Equal(t, "PENDING", o.Domains[0].DCVStatus)
			_, err = c.DCVChallenge(ctx, o.ID, domain, method)
			require.True(t, certinext.IsDCVNotReady(err), "quirk 20: %v", err)

			clock.pass(time.Minute)
			ch, err := c.DCVChallenge(ctx, o.ID, domain, method)
			require.NoError(t, err)
			assert.Empty(t, ch.DNSHost)
			err = c.VerifyDCV(ctx, o.ID, domain, method)
			require.True(t, certinext.IsVerifying(err), "nothing is published yet: %v", err)
			assert.False(t, certinext.IsDCVNotReady(err))
			z.publish("_emsign-validation."+domain, ch.DNSValue, ch.HTTPPath, ch.HTTPContent)
			err = c.VerifyDCV(ctx, o.ID, domain, method)
			require.True(t, certinext.IsVerifying(err), "the result takes its time: %v", err)
			clock.pass(time.Minute)
			o = track(t, c, certinext.FamilySSL, o.ID)
			require.True(t, o.Domains[0].Verified())
			assert.Equal(t, string(method), o.Domains[0].DCVMethod)
			assert.NoError(t, c.VerifyDCV(ctx, o.ID, domain, method), "quirk 17: verified already")
			assert.Equal(t, certinext.StatusIssued, o.Status)
			assert.Equal(t, []string{domain}, download(t, srv, c, certinext.FamilySSL, o.ID).DNSNames)
		})
	}
}

func TestSandboxV1ValidationByMail(t *testing.T) {
	inV1(t, func(t *testing.T, srv *certinexttest.Server, c *certinext.Client) {
		srv.DCVResultDelay = 10 * time.Second
		r := completeOrder(t, srv)
		r.Organization = nil
		o, err := c.CreateOrder(t.Context(), r)
		require.NoError(t, err)
		ch, err := c.DCVChallenge(t.Context(), o.ID, r.Domain, certinext.DCVMethodEmail)
		require.NoError(t, err)
		assert.Contains(t, ch.EmailTo, "hostmaster@"+r.Domain)
		err = c.VerifyDCV(t.Context(), o.ID, r.Domain, certinext.DCVMethodEmail)
		require.True(t, certinext.IsVerifying(err), "nobody has answered the mail: %v", err)
		srv.VerifyDomain(r.Domain)
		assert.NoError(t, c.VerifyDCV(t.Context(), o.ID, r.Domain, certinext.DCVMethodEmail))
	})
}

func TestSandboxV1PrivatePKI(t *testing.T) {
	inV1(t, func(t *testing.T, srv *certinexttest.Server, c *certinext.Client) {
		r := privateOrder(srv, certinext.OrderRequest{
			ProductCode: "149", Variant: "intranet-ssl", Domain: "intranet.example.local",
			AdditionalDomains: []string{"10.0.0.5"}, CSR: newCSR(t, "intranet.example.local"),
			Subject: &certinext.Subject{OrganizationName: "Example Corporation", State: "New York", CountryCode: "US"},
		})
		o, err := c.CreateOrder(t.Context(), r)
		require.NoError(t, err)
		o = track(t, c, certinext.FamilyPrivatePKI, o.ID)
		require.Equal(t, certinext.StatusIssued, o.Status)
		assert.Nil(t, o.AgreementSigned, "there is none to sign")
		assert.Empty(t, o.Domains)
		leaf := download(t, srv, c, certinext.FamilyPrivatePKI, o.ID)
		assert.Equal(t, []string{"intranet.example.local"}, leaf.DNSNames)
		assert.Equal(t, "10.0.0.5", leaf.IPAddresses[0].String())
		record, _ := srv.Order(o.ID)
		assert.Equal(t, certinexttest.FamilyPrivatePKI, record.Family)
	})
}

func TestSandboxV1HasNoReissue(t *testing.T) {
	inV1(t, func(t *testing.T, srv *certinexttest.Server, c *certinext.Client) {
		o, err := c.CreateOrder(t.Context(), completeOrder(t, srv))
		require.NoError(t, err)
		_, err = c.ReissueOrder(t.Context(), certinext.FamilySSL, o.ID, certinext.ReissueRequest{CSR: newCSR(t, "host.example.com")})
		requireInvalid(t, err, "Version")
		assert.Zero(t, srv.Calls()[certinexttest.OpReissue])
	})
}

// An account without OAuth tells a client that wants a token, in either version, what its key is
// good for.
func TestSandboxV1AccountHasNoTokens(t *testing.T) {
	for _, version := range []certinext.APIVersion{certinext.V1, certinext.V2} {
		inV1(t, func(t *testing.T, srv *certinexttest.Server, _ *certinext.Client) {
			r, c := completeOrder(t, srv), sandbox(srv)
			c.Version, c.Credentials = version, certinext.OAuth{
				ClientID: certinexttest.DefaultAccountNumber, ClientSecret: certinexttest.DefaultClientSecret,
			}
			_, err := c.CreateOrder(t.Context(), r)
			e := asErr(t, err)
			assert.True(t, e.SigningIn, "%v", err)
			assert.False(t, e.Acted)
			assert.Equal(t, "unauthorized_client", e.Code)
			assert.Contains(t, e.Hint, "OAuth")
			assert.Empty(t, srv.Orders())
		})
	}
}

func mailOrder() certinext.OrderRequest {
	r := signerOrder("natural-person")
	r.Family, r.ProductCode, r.Variant = certinext.FamilySMIME, "914", ""
	return r
}

// Whatever the client's version and credentials are, an S/MIME order lives in version 1, with a
// token or a signature.
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
