// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// addDomain registers a domain of the default organization, with changes to
// the request.
func (r *rig) addDomain(name string, change m) answer {
	r.t.Helper()
	return r.post(api+"/domains", merge(m{
		"domainName": name, "organizationId": certinexttest.DefaultOrganization, "dcvMethod": "dns-txt", "skipCAA": false,
	}, change))
}

// opened is addDomain that must succeed; it returns the domain's path and the
// token to publish.
func (r *rig) opened(name string, change m) (path, token string) {
	r.t.Helper()
	v := r.addDomain(name, change).must(201)
	return api + "/domains/" + v["domainId"].(string), v["dcv"].(m)["txtToken"].(string)
}

func (r *rig) shown(path string) m {
	r.t.Helper()
	return r.get(path).must(200)
}

const challengeOfExampleCom = "_emudhra-challenge.example.com"

func TestARenewalLeavesTheOldValidationInForce(t *testing.T) {
	c := newClock()
	z := newZone(t)
	r := zoned(t, z, &certinexttest.Server{Now: c.now, TokenTTL: 10000 * time.Hour, DomainValidity: 100 * time.Hour})
	path, first := r.opened("example.com", nil)
	z.setTXT(challengeOfExampleCom, first)
	r.post(path+"/dcv/verify", m{}).must(200)
	require.False(t, r.srv.Domains()[0].Open)
	till := r.shown(path)["validTill"]

	c.advance(90 * time.Hour)
	again := r.addDomain("example.com", nil).must(409)
	require.Equal(t, path, api+"/domains/"+again["existingDomainId"].(string))
	r.addDomain("example.com", m{"mode": "again"}).refused(400, "")
	same, second := r.opened("Example.com", m{"mode": "renew"})
	require.Equal(t, path, same)
	require.NotEqual(t, first, second)
	require.Equal(t, second, r.get(path + "/dcv").must(200)["txtToken"], "the open challenge is shown")
	require.Equal(t, till, r.shown(path)["validTill"])
	require.Equal(t, "VERIFIED", r.shown(path)["dcvStatus"])
	require.Equal(t, "pending-csr", r.status(r.order(dvOrder("www.example.com"))))

	p := r.post(path+"/dcv/verify", m{}).refused(422, "EMS-1161")
	require.Equal(t, "RECORD_MISMATCH", p["diagnostics"].(m)["failureClass"], "what was published before is no good")
	third := r.do("PATCH", path+"/dcv/method", `{"dcvMethod":"dns-txt"}`).must(200)["txtToken"].(string)
	z.setTXT(challengeOfExampleCom, second)
	r.post(path+"/dcv/verify", m{}).refused(422, "EMS-1161")
	require.Equal(t, till, r.shown(path)["validTill"])
	z.setTXT(challengeOfExampleCom, third)
	r.post(path+"/dcv/verify", m{}).must(200)
	require.NotEqual(t, till, r.shown(path)["validTill"])
	r.post(path+"/dcv/verify", m{}).refused(422, "EMS-1080")
	require.Equal(t, m{"method": "dns-txt"}, r.get(path+"/dcv").must(200))
	r.do("PATCH", path+"/dcv/method", `{"dcvMethod":"dns-txt"}`).refused(422, "EMS-1080")

	c.advance(99 * time.Hour)
	require.Equal(t, "pending-csr", r.status(r.order(dvOrder("www.example.com"))))
	c.advance(2 * time.Hour)
	require.Equal(t, "EXPIRED", r.shown(path)["dcvStatus"])
	require.Equal(t, "pending-dcv", r.status(r.order(dvOrder("www.example.com"))))
}

func TestARenewalThatIsNeverMetRunsOutWithItsDomain(t *testing.T) {
	c := newClock()
	srv := verified(certinexttest.Live)
	srv.Now, srv.TokenTTL, srv.DomainValidity = c.now, 10000*time.Hour, 100*time.Hour
	r := newRig(t, srv)
	path, _ := r.opened("example.com", m{"mode": "renew"})
	require.True(t, srv.Domains()[0].Verified)
	require.True(t, srv.Domains()[0].Open)
	c.advance(50 * time.Hour)
	require.Empty(t, r.get(path + "/dcv").must(200)["txtToken"], "the token dies before the domain")
	p := r.post(path+"/dcv/verify", m{}).refused(422, "EMS-1160")
	require.Equal(t, "TOKEN_EXPIRED", p["diagnostics"].(m)["failureClass"])
	require.Equal(t, "VERIFIED", r.shown(path)["dcvStatus"])
	c.advance(50 * time.Hour)
	require.Equal(t, "EXPIRED", r.shown(path)["dcvStatus"])
	require.False(t, srv.Domains()[0].Verified)
}

func TestRenewalOfWhatIsNotValid(t *testing.T) {
	c := newClock()
	z := newZone(t)
	srv := verified(certinexttest.Live)
	srv.Now, srv.TokenTTL = c.now, 10000*time.Hour
	r := zoned(t, z, srv)
	renew := m{"mode": "renew"}

	added, first := r.opened("example.org", renew)
	require.Equal(t, "PENDING", r.shown(added)["dcvStatus"], "an unknown name is added")
	pending, second := r.opened("example.org", renew)
	require.Equal(t, added, pending)
	require.NotEqual(t, first, second)

	other, _ := r.opened("example.com", merge(renew, m{"organizationId": certinexttest.UnvettedOrganization}))
	domains := srv.Domains()
	require.Len(t, domains, 3, "another organization's domain of that name is another domain")
	require.Equal(t, other, api+"/domains/"+domains[2].ID)
	require.Equal(t, certinexttest.UnvettedOrganization, domains[2].Organization)
	require.False(t, domains[0].Open)
	require.False(t, domains[2].Verified)

	c.advance(199 * 24 * time.Hour)
	require.False(t, srv.Domains()[0].Verified)
	r.addDomain("example.com", nil).must(409)
	expired, token := r.opened("example.com", renew)
	z.setTXT(challengeOfExampleCom, token)
	r.post(expired+"/dcv/verify", m{}).must(200)
	domains = srv.Domains()
	require.True(t, domains[0].Verified)
	require.Equal(t, c.at, domains[0].VerifiedAt)
	require.Equal(t, c.at.Add(199*24*time.Hour), domains[0].ValidTill)
	require.Equal(t, 1, domains[0].Attempts)
}

func TestAnExpiredTokenOfADomainIsEmptyUntilAnotherIsAskedFor(t *testing.T) {
	c := newClock()
	z := newZone(t)
	r := zoned(t, z, &certinexttest.Server{Now: c.now, TokenTTL: 10000 * time.Hour})
	path, token := r.opened("example.com", nil)
	z.setTXT(challengeOfExampleCom, token)
	c.advance(48 * time.Hour)
	for range 3 {
		v := r.get(path + "/dcv").must(200)
		require.Empty(t, v["txtToken"])
		require.NotEmpty(t, v["tokenExpiry"])
		p := r.post(path+"/dcv/verify", m{}).refused(422, "EMS-1160")
		require.Equal(t, "TOKEN_EXPIRED", p["diagnostics"].(m)["failureClass"])
	}
	v := r.do("PATCH", path+"/dcv/method", `{"dcvMethod":"http-url"}`).must(200)
	require.NotEmpty(t, v["fileToken"])
	z.setFile("/.well-known/pki-validation/"+v["fileName"].(string), v["fileToken"].(string))
	r.post(path+"/dcv/verify", m{}).must(200)
	require.Equal(t, m{"method": "http-url"}, r.get(path+"/dcv").must(200))
}

func TestAChallengeVoidedDuringTheLookupProvesNothing(t *testing.T) {
	z := newZone(t)
	r := zoned(t, z, new(certinexttest.Server))
	path, token := r.opened("example.com", nil)
	z.setTXT(challengeOfExampleCom, token)
	patched := make(chan error, 1)
	z.whenAsked(func() {
		_, err := r.try("PATCH", path+"/dcv/method", `{"dcvMethod":"dns-txt"}`)
		patched <- err
	})
	p := r.post(path+"/dcv/verify", m{}).refused(422, "EMS-1161")
	require.NoError(t, <-patched)
	require.Equal(t, "TOKEN_EXPIRED", p["diagnostics"].(m)["failureClass"])
	require.False(t, r.srv.Domains()[0].Verified)
}

func TestDomainsInheritAndAreDeactivated(t *testing.T) {
	r := newRig(t, verified(certinexttest.Live))
	v := r.addDomain("a.b.example.com", nil).must(201)
	require.Equal(t, "PENDING", v["dcvStatus"], "what is inherited counts for orders, and no field tells of it")
	require.Equal(t, "pending-csr", r.status(r.order(dvOrder("x.a.b.example.com"))))
	r.post(api+"/domains/"+r.srv.Domains()[0].ID+"/deactivate", m{}).must(204)
	require.True(t, r.srv.Domains()[0].Inactive)
	require.False(t, r.srv.Domains()[0].Verified)
	require.Equal(t, "pending-dcv", r.status(r.order(dvOrder("x.a.b.example.com"))))
	r.addDomain("example.com", nil).must(409)
}

func TestChallengesBehindAnAlias(t *testing.T) {
	z := newZone(t)
	r := zoned(t, z, new(certinexttest.Server))
	path, token := r.opened("example.com", nil)
	z.setAlias(challengeOfExampleCom, "a.dcv.example.net")
	r.post(path+"/dcv/verify", m{}).refused(422, "EMS-1160")
	z.setAlias("a.dcv.example.net", "b.dcv.example.net")
	z.setTXT("b.dcv.example.net", "another's", token)
	r.post(path+"/dcv/verify", m{}).must(200)
}

func TestFaultsOnDomains(t *testing.T) {
	for kind, tc := range map[certinexttest.FaultKind]struct {
		status int // 0 for a transport error
		acted  bool
	}{
		certinexttest.FaultDropped:          {0, false},
		certinexttest.FaultLostReply:        {0, true},
		certinexttest.FaultServerError:      {503, false},
		certinexttest.FaultServerErrorAfter: {503, true},
		certinexttest.FaultRateLimit:        {429, false},
	} {
		t.Run(string(kind), func(t *testing.T) {
			z := newZone(t)
			r := zoned(t, z, new(certinexttest.Server))
			strike := func(op, method, path string, body m) {
				t.Helper()
				r.srv.Inject(certinexttest.Fault{Operation: op, Kind: kind, Times: 1})
				a, err := r.try(method, path, toJSON(body))
				if tc.status == 0 {
					require.Error(t, err)
					return
				}
				require.NoError(t, err)
				require.Equal(t, tc.status, a.status)
			}
			strike(certinexttest.OpAddDomain, "POST", api+"/domains", m{"domainName": "example.com", "organizationId": "4000001"})
			require.Equal(t, tc.acted, len(r.srv.Domains()) == 1)
			if tc.acted {
				require.Equal(t, r.srv.Domains()[0].ID, r.addDomain("example.com", nil).must(409)["existingDomainId"])
			} else {
				r.addDomain("example.com", nil).must(201)
			}

			path := api + "/domains/" + r.srv.Domains()[0].ID
			token := r.get(path + "/dcv").must(200)["txtToken"].(string)
			strike(certinexttest.OpDomainDCVMethod, "PATCH", path+"/dcv/method", m{"dcvMethod": "dns-txt"})
			now := r.get(path + "/dcv").must(200)["txtToken"].(string)
			require.Equal(t, tc.acted, now != token)

			z.setTXT(challengeOfExampleCom, now)
			strike(certinexttest.OpVerifyDomain, "POST", path+"/dcv/verify", m{})
			require.Equal(t, tc.acted, r.srv.Domains()[0].Verified)
			if tc.acted {
				r.post(path+"/dcv/verify", m{}).refused(422, "EMS-1080")
			} else {
				r.post(path+"/dcv/verify", m{}).must(200)
			}
		})
	}
}
