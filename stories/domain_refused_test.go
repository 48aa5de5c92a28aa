// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/certinext/vault-plugin-secrets-certinext/dcv/dcvtest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// hangingDomain begins to register a domain whose verification hangs, and a pass that wants the same domain. end waits for both.
func hangingDomain(t *testing.T) (z *zoned, end func()) {
	t.Helper()
	z = newZoned(t, new(certinexttest.Server), dcvtest.Zone{Name: "example.com"})
	z.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpVerifyDomain, Kind: certinexttest.FaultLatency, Delay: 2 * time.Minute, Times: 5})
	first, passed := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(first)
		_, _ = z.send(call{op: logical.UpdateOperation, path: "domains/example.com", data: map[string]any{
			"organization_number": certinexttest.DefaultOrganization, "dcv_solver": "corp", "dcv_resolvers": z.dns.Addr, "dcv_propagation_servers": z.dns.Addr,
			"keep_validated": true,
		}})
	}()
	require.Eventually(t, func() bool { return z.ca.Calls()[certinexttest.OpVerifyDomain] > 0 }, 10*time.Second, 5*time.Millisecond)
	go func() { defer close(passed); z.pass() }()
	time.Sleep(500 * time.Millisecond)
	return z, func() { <-first; <-passed }
}

func TestARequestThatHasEndedDoesNotWaitForADomain(t *testing.T) {
	z, end := hangingDomain(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	begun := time.Now()
	_, _ = z.send(call{op: logical.UpdateOperation, path: "domains/example.com/verify", ctx: ctx})
	took := time.Since(begun)
	z.backend.Cleanup(context.Background())
	end()
	require.Less(t, took, 5*time.Second)
}

func TestClosingTheMountDoesNotWaitForADomain(t *testing.T) {
	z, end := hangingDomain(t)
	begun := time.Now()
	z.backend.Cleanup(context.Background())
	took := time.Since(begun)
	end()
	require.Less(t, took, 5*time.Second, "the pass waits for the domain, and the mount for the pass")
}

func TestADomainThatCERTInextRefusesIsNotTriedAgain(t *testing.T) {
	z := newZoned(t, new(certinexttest.Server), dcvtest.Zone{Name: "example.com"})
	require.Contains(t, z.refused("domains/example.com", map[string]any{"organization_number": "7", "dcv_solver": "corp"}), "Invalid Organization Number")
	require.Empty(t, z.list("domains/"))
	require.LessOrEqual(t, z.ca.Calls()[certinexttest.OpAddDomain], 2)
}

func TestADomainIsLeftAloneForAsLongAsCERTInextAsks(t *testing.T) {
	z := newZoned(t, new(certinexttest.Server), dcvtest.Zone{Name: "example.com"})
	z.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpVerifyDomain, Kind: certinexttest.FaultRateLimit, RetryAfter: time.Hour, Times: 100})
	go func() { time.Sleep(3 * time.Second); z.later(askPatience) }()
	z.register("example.com", map[string]any{"keep_validated": true})
	before := z.ca.Calls()[certinexttest.OpVerifyDomain]
	for range 3 {
		z.later(5 * time.Minute)
		z.pass()
	}
	require.LessOrEqual(t, z.ca.Calls()[certinexttest.OpVerifyDomain]-before, 1, "CERTInext asked for an hour")
}

func TestADomainThatLosesItsSolverKeepsNoRecord(t *testing.T) {
	z := newZoned(t, new(certinexttest.Server), dcvtest.Zone{Name: "example.com"})
	blind := dcvtest.Start(t, dcvtest.Zone{Name: "example.com"})
	z.ca.Configure(func(ca *certinexttest.Server) { ca.Resolver = blind.Addr })
	go func() { time.Sleep(4 * time.Second); z.later(askPatience) }()
	z.register("example.com", nil)
	require.NotEmpty(t, z.dns.Challenges("example.com"))
	z.register("example.com", map[string]any{"dcv_solver": ""})
	before := z.ca.Calls()[certinexttest.OpVerifyDomain]
	for range 10 {
		z.later(24 * time.Hour)
		z.pass()
	}
	require.Equal(t, before, z.ca.Calls()[certinexttest.OpVerifyDomain], "nobody works on it")
	require.Empty(t, z.dns.Challenges("example.com"), "nobody needs it, and it is there after 10 days")
}

func TestTheDomainOfAnotherOrganizationIsNotTakenForOurs(t *testing.T) {
	z := newZoned(t, new(certinexttest.Server), dcvtest.Zone{Name: "example.com"})
	z.register("example.com", map[string]any{"dcv_solver": ""})
	id := z.onlyDomain().ID
	require.NoError(t, z.storage.Delete(t.Context(), "dcv/domain/example.com"))
	z.rewriting(func(r *http.Request, status int, body []byte) (int, []byte) {
		switch {
		case r.Method == "POST" && strings.HasSuffix(r.URL.Path, "/domains"):
			return 409, []byte(`{"title":"Conflict","detail":"[DOMAIN-002] Domain already exists","status":409,"existingDomainId":"` + id + `"}`)
		case r.Method == "GET" && strings.HasSuffix(r.URL.Path, "/domains") && strings.Contains(r.URL.RawQuery, "organizationId=4000002"):
			return 200, []byte(`{"content":[],"page":0,"size":50,"totalElements":0,"totalPages":0}`)
		}
		return status, body
	})
	require.Contains(t, z.refused("domains/example.com", map[string]any{"organization_number": "4000002", "dcv_solver": "corp", "keep_validated": true}),
		"CERTInext has the domain example.com for the organization "+certinexttest.DefaultOrganization)
	for _, d := range z.ca.Domains() {
		require.False(t, d.ID == id && d.Verified, "the other organization's domain was validated instead")
	}
}

func TestARefusedRegistrationIsNotKept(t *testing.T) {
	z := newZoned(t, new(certinexttest.Server), dcvtest.Zone{Name: "example.com"})
	require.Contains(t, z.refused("domains/example.com", map[string]any{"organization_number": "7"}), "Invalid Organization Number")
	require.Empty(t, z.list("domains/"))
	z.register("example.com", nil)
}

func TestReadingADomainChangesNothingAtCERTInext(t *testing.T) {
	z := newZoned(t, &certinexttest.Server{ChallengeTTL: time.Second}, dcvtest.Zone{Name: "example.com"})
	z.register("example.com", map[string]any{"dcv_solver": ""})
	time.Sleep(1100 * time.Millisecond)
	z.read("domains/example.com")
	require.Zero(t, z.ca.Calls()[certinexttest.OpDomainDCVMethod], "a read has made CERTInext mint a token")
}

func TestFieldsOfADomainThatWouldDoNothingAreRefused(t *testing.T) {
	z := newZoned(t, new(certinexttest.Server), dcvtest.Zone{Name: "example.com"})
	require.NotEmpty(t, z.refused("domains/example.com", map[string]any{
		"organization_number": certinexttest.DefaultOrganization, "dcv_method": "http-url", "dcv_hosts": "_x.{domain}", "dcv_propagation_timeout": "5m", "renew_before": "99h", "dcv_propagation_servers": "10.0.0.1",
	}))
}

func TestFieldsOfARoleThatWouldDoNothingAreRefused(t *testing.T) {
	z := newZoned(t, new(certinexttest.Server), dcvtest.Zone{Name: "example.com"})
	require.NotEmpty(t, z.refused("roles/other", map[string]any{
		"product_code": "842", "product_variant": "dv", "allow_any_name": true, "dcv_method": "http-url",
		"dcv_hosts": "_x.{domain}", "dcv_resolvers": "10.0.0.1", "dcv_propagation_servers": "10.0.0.1", "dcv_propagation_timeout": "5m",
	}))
}
