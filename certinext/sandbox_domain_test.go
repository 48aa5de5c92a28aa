// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// account returns a server that looks names up in the zone, and a client of it, on one clock.
func account(t *testing.T) (*certinexttest.Server, *certinext.Client, *zone, *moment) {
	t.Helper()
	z, clock := newZone(t), &moment{at: time.Now()}
	srv := &certinexttest.Server{Resolver: z.resolver, HTTPPort: z.port, Now: clock.now, DomainValidity: 100 * 24 * time.Hour}
	c := sandbox(srv)
	c.Now, c.Retries = clock.now, -1
	return srv, c, z, clock
}

func record(domain string) string { return "_emudhra-challenge." + domain }

func TestSandboxLifeOfADomain(t *testing.T) {
	ctx := t.Context()
	srv, c, z, clock := account(t)
	request := example()
	d, ch, err := c.AddDomain(ctx, request)
	require.NoError(t, err)
	assert.Equal(t, "PENDING", d.DCVStatus)
	assert.Equal(t, certinexttest.DefaultOrganization, d.OrganizationID)
	assert.Equal(t, "dns-txt", d.DCVMethod)
	assert.Empty(t, ch.DNSHost, "quirk 14: the host is the caller's configuration")
	assert.WithinDuration(t, clock.now().Add(48*time.Hour), ch.Expires, time.Minute)

	err = c.VerifyDomain(ctx, d.ID)
	assert.True(t, certinext.IsVerifying(err), "%v", err)
	diagnosis, err := c.DomainDiagnosis(ctx, d.ID)
	require.NoError(t, err)
	assert.Equal(t, "RECORD_MISSING", diagnosis.FailureClass)

	z.publish(record("example.com"), ch.DNSValue, "", "")
	again, err := c.DomainChallenge(ctx, d.ID, "example.com", certinext.DCVMethodDNS)
	require.NoError(t, err)
	assert.Equal(t, ch, again)
	clock.pass(49 * time.Hour)
	_, err = c.DomainChallenge(ctx, d.ID, "example.com", certinext.DCVMethodDNS)
	require.ErrorIs(t, err, certinext.ErrChallengeExpired)
	e := asErr(t, c.VerifyDomain(ctx, d.ID))
	require.NotNil(t, e.Diagnostics)
	assert.Equal(t, "TOKEN_EXPIRED", e.Diagnostics.FailureClass)
	fresh, err := c.RenewDomainChallenge(ctx, d.ID, "example.com", certinext.DCVMethodDNS)
	require.NoError(t, err)
	assert.NotEqual(t, ch.DNSValue, fresh.DNSValue)
	assert.Error(t, c.VerifyDomain(ctx, d.ID), "the old value is void")
	z.publish(record("example.com"), fresh.DNSValue, "", "")
	for range 2 {
		require.NoError(t, c.VerifyDomain(ctx, d.ID), "verifying again is a success")
	}
	diagnosis, err = c.DomainDiagnosis(ctx, d.ID)
	require.NoError(t, err)
	assert.Empty(t, diagnosis.FailureClass)

	first, err := c.Domain(ctx, d.ID)
	require.NoError(t, err)
	assert.Equal(t, "VERIFIED", first.DCVStatus)
	assert.WithinDuration(t, clock.now().AddDate(0, 0, 100), first.ValidTill, time.Minute)
	for name, ask := range map[string]func() (*certinext.Challenge, error){
		"read": func() (*certinext.Challenge, error) {
			return c.DomainChallenge(ctx, d.ID, "example.com", request.Method)
		},
		"renewed": func() (*certinext.Challenge, error) {
			return c.RenewDomainChallenge(ctx, d.ID, "example.com", request.Method)
		},
	} {
		ch, err := ask()
		require.NoError(t, err, name)
		assert.Equal(t, certinext.Challenge{Domain: "example.com", AlreadyVerified: true}, *ch, name)
	}
	o, err := c.CreateOrder(ctx, completeOrder(t, srv))
	require.NoError(t, err)
	assert.Equal(t, certinext.StatusIssued, track(t, c, certinext.FamilySSL, o.ID).Status, "a name below it needs nothing more")

	clock.pass(80 * 24 * time.Hour)
	request.Renew = true
	renewed, ch, err := c.AddDomain(ctx, request)
	require.NoError(t, err)
	assert.Equal(t, d.ID, renewed.ID)
	assert.Equal(t, first.ValidTill, renewed.ValidTill, "what was validated goes on to count")
	again, err = c.DomainChallenge(ctx, d.ID, "example.com", request.Method)
	require.NoError(t, err)
	assert.Equal(t, ch.DNSValue, again.DNSValue)
	z.publish(record("example.com"), ch.DNSValue, "", "")
	require.NoError(t, c.VerifyDomain(ctx, d.ID))
	renewed, err = c.Domain(ctx, d.ID)
	require.NoError(t, err)
	assert.WithinDuration(t, clock.now().AddDate(0, 0, 100), renewed.ValidTill, time.Minute)

	clock.pass(101 * 24 * time.Hour)
	late, err := c.Domain(ctx, d.ID)
	require.NoError(t, err)
	assert.Equal(t, "EXPIRED", late.DCVStatus)
	assert.False(t, srv.Domains()[0].Verified)
	r := completeOrder(t, srv)
	o, err = c.CreateOrder(ctx, r)
	require.NoError(t, err)
	assert.Equal(t, certinext.StatusPendingDCV, track(t, c, certinext.FamilySSL, o.ID).Status)
}

func TestSandboxDomainByAFile(t *testing.T) {
	ctx := t.Context()
	srv, c, z, _ := account(t)
	d, _, err := c.AddDomain(ctx, example())
	require.NoError(t, err)
	_, err = c.DomainChallenge(ctx, d.ID, "example.com", certinext.DCVMethodHTTP)
	require.ErrorContains(t, err, "no challenge", "a domain has one method at a time")
	ch, err := c.RenewDomainChallenge(ctx, d.ID, "example.com", certinext.DCVMethodHTTP)
	require.NoError(t, err)
	z.publish("", "", ch.HTTPPath, ch.HTTPContent)
	require.NoError(t, c.VerifyDomain(ctx, d.ID))
	assert.Equal(t, "http-url", srv.Domains()[0].Method)
}

func TestSandboxDomainThatIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &certinexttest.Server{VerifiedDomains: []string{"example.com"}}
		ctx, c := t.Context(), sandbox(srv)
		_, _, err := c.AddDomain(ctx, example())
		e := asErr(t, err)
		assert.Equal(t, "DOMAIN-002", e.Code)
		require.Equal(t, srv.Domains()[0].ID, e.ExistingDomainID)
		d, err := c.Domain(ctx, e.ExistingDomainID)
		require.NoError(t, err)
		assert.Equal(t, "example.com", d.Name)

		r := example()
		r.OrganizationID = certinexttest.UnvettedOrganization
		other, _, err := c.AddDomain(ctx, r)
		require.NoError(t, err, "the same name of another organization is another domain")
		assert.NotEqual(t, d.ID, other.ID)
		listed, err := collect(c.Domains(ctx, certinext.DomainFilter{Search: "example.com", Exact: true}))
		require.NoError(t, err)
		assert.Len(t, listed, 2)

		r.OrganizationID = "1"
		_, _, err = c.AddDomain(ctx, r)
		assert.True(t, certinext.HasCode(err, "EMS-1073"), "%v", err)
		assert.False(t, certinext.MayHaveActed(err))
		_, err = c.Domain(ctx, "none")
		assert.True(t, certinext.HasStatus(err, 404), "%v", err)
		_, err = c.DomainDiagnosis(ctx, d.ID)
		assert.True(t, certinext.HasStatus(err, 404), "none yet: %v", err)
	})
}

// A lost answer is made up for by asking: adding again tells the id, verifying again succeeds, and
// another challenge does no harm.
func TestSandboxDomainsInDoubt(t *testing.T) {
	for kind, tc := range map[certinexttest.FaultKind]struct{ acted, done bool }{
		certinexttest.FaultLostReply:        {true, true},
		certinexttest.FaultServerErrorAfter: {true, true},
		certinexttest.FaultDropped:          {true, false},
		certinexttest.FaultServerError:      {true, false},
		certinexttest.FaultHTML:             {true, false},
		certinexttest.FaultRateLimit:        {false, false},
	} {
		t.Run(string(kind), func(t *testing.T) {
			ctx := t.Context()
			srv, c, z, _ := account(t)
			if tc.acted {
				c.Retries = 0 // repeats what may be
			}
			strike := func(op string) {
				srv.Inject(certinexttest.Fault{Operation: op, Kind: kind, Times: 1})
			}
			doubt := func(op string, err error) {
				t.Helper()
				assert.Equal(t, tc.acted, asErr(t, err).Acted, "%s: %v", op, err)
				assert.Equal(t, 1, srv.Calls()[op], "it is not sent again")
			}

			strike(certinexttest.OpAddDomain)
			_, _, err := c.AddDomain(ctx, example())
			doubt(certinexttest.OpAddDomain, err)
			d, _, err := c.AddDomain(ctx, example())
			require.Len(t, srv.Domains(), 1)
			id := srv.Domains()[0].ID
			if tc.done {
				require.Equal(t, id, asErr(t, err).ExistingDomainID)
			} else {
				require.NoError(t, err)
				require.Equal(t, id, d.ID)
			}

			strike(certinexttest.OpDomainDCVMethod)
			_, err = c.RenewDomainChallenge(ctx, id, "example.com", certinext.DCVMethodDNS)
			doubt(certinexttest.OpDomainDCVMethod, err)
			ch, err := c.RenewDomainChallenge(ctx, id, "example.com", certinext.DCVMethodDNS)
			require.NoError(t, err)

			z.publish(record("example.com"), ch.DNSValue, "", "")
			strike(certinexttest.OpVerifyDomain)
			doubt(certinexttest.OpVerifyDomain, c.VerifyDomain(ctx, id))
			require.Equal(t, tc.done, srv.Domains()[0].Verified)
			require.NoError(t, c.VerifyDomain(ctx, id))
			require.True(t, srv.Domains()[0].Verified)
		})
	}
	t.Run("half an answer", func(t *testing.T) {
		for _, kind := range []certinexttest.FaultKind{certinexttest.FaultTruncated, certinexttest.FaultMalformedJSON} {
			srv, c, _, _ := account(t)
			srv.Inject(certinexttest.Fault{Operation: certinexttest.OpAddDomain, Kind: kind, Times: 1})
			_, _, err := c.AddDomain(t.Context(), example())
			assert.True(t, asErr(t, err).Acted)
			require.Len(t, srv.Domains(), 1)

			id := srv.Domains()[0].ID
			srv.Inject(certinexttest.Fault{Operation: certinexttest.OpDomainDCVMethod, Kind: kind, Times: 1})
			_, err = c.RenewDomainChallenge(t.Context(), id, "example.com", certinext.DCVMethodDNS)
			assert.True(t, asErr(t, err).Acted, "whose answer it was is not known")
			ch, err := c.RenewDomainChallenge(t.Context(), id, "example.com", certinext.DCVMethodDNS)
			require.NoError(t, err, "one more does no harm")
			assert.NotEmpty(t, ch.DNSValue)
		}
	})
	t.Run("a token that dies is replaced", func(t *testing.T) {
		srv, c, _, _ := account(t)
		srv.Inject(certinexttest.Fault{Operation: certinexttest.OpAddDomain, Kind: certinexttest.FaultTokenDeath, Times: 1})
		_, _, err := c.AddDomain(t.Context(), example())
		require.NoError(t, err)
		assert.Len(t, srv.Domains(), 1)
	})
}

func TestSandboxV1HasNoSingleDomains(t *testing.T) {
	inV1(t, func(t *testing.T, srv *certinexttest.Server, c *certinext.Client) {
		for name, call := range everyOfDomains {
			requireInvalid(t, call(t.Context(), c), "Version")
			assert.False(t, certinext.MayHaveActed(call(t.Context(), c)), name)
		}
		assert.Empty(t, srv.Calls())
	})
}
