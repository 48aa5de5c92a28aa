// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// freshOrder is a DV order that re-uses nothing.
func freshOrder(domain string) m {
	return merge(v1Order(domain), m{"organizationDetails": nil})
}

// dcv is the block of GetDcv and VerifyDcv.
func dcv(number, domain, method string) m {
	return m{"dcvDetails": merge(ref(number), m{"domainName": domain, "dcvMethod": method})}
}

// domain is what TrackOrder says of one name.
func (r *rig) domain(number, name string) m {
	r.t.Helper()
	return r.tracked(number)["domainVerification"].(m)[name].(m)
}

func TestV1DNSValidation(t *testing.T) {
	eachDialect(t, func(t *testing.T, d certinexttest.Dialect) {
		z := newZone(t)
		r := zoned(t, z, &certinexttest.Server{Dialect: d})
		number := r.buy(freshOrder("example.com"))
		require.Equal(t, m{"dcvMethod": "", "dcvStatus": "0", "status": "1", "verifiedDate": "", "caaStatus": "3"}, r.domain(number, "example.com"))
		require.Equal(t, "0", r.tracked(number)["domainVerification"].(m)["status"])

		r.call("VerifyDcv", dcv(number, "example.com", "1")).fails("EMS-956")
		v := r.call("GetDcv", dcv(number, "example.com", "1")).block("dcvDetails")
		require.Len(t, v, 1, "the token, and no name to publish it at")
		require.Equal(t, v, r.call("GetDcv", dcv(number, "example.com", "1")).block("dcvDetails"), "asking again changes nothing")

		z.setTXT("_emudhra-challenge.example.com", v["token"].(string))
		require.Nil(t, r.call("VerifyDcv", dcv(number, "example.com", "1")).ok()["dcvDetails"], "meta only")
		require.Equal(t, "0", r.domain(number, "example.com")["dcvStatus"], "that is the name of version 2")

		z.setTXT("_emsign-validation.example.com", "something else", v["token"].(string))
		r.call("VerifyDcv", dcv(number, "example.com", "1")).ok()
		got := r.domain(number, "example.com")
		require.Equal(t, "1", got["dcvStatus"])
		require.Equal(t, "DNS TXT Record", got["dcvMethod"])
		require.NotEmpty(t, got["verifiedDate"])
		require.Equal(t, "pending-csr", r.status(number))

		r.call("VerifyDcv", dcv(number, "example.com", "1")).fails("EMS-1080")
		r.call("GetDcv", dcv(number, "example.com", "1")).fails("EMS-1080")
	})
}

func TestV1ConfiguredChallengeHostsServeBothVersions(t *testing.T) {
	z := newZone(t)
	r := zoned(t, z, &certinexttest.Server{ChallengeHosts: []string{"_dcv.{domain}"}})
	number := r.buy(freshOrder("example.com"))
	v := r.call("GetDcv", dcv(number, "example.com", "1")).block("dcvDetails")
	z.setTXT("_dcv.example.com", v["token"].(string))
	r.call("VerifyDcv", dcv(number, "example.com", "1")).ok()
	require.Equal(t, "1", r.domain(number, "example.com")["dcvStatus"])
}

func TestV1FileValidation(t *testing.T) {
	z := newZone(t)
	r := zoned(t, z, new(certinexttest.Server))
	number := r.buy(freshOrder("example.com"))
	v := r.call("GetDcv", dcv(number, "example.com", "2")).block("dcvDetails")
	require.Len(t, v, 2)
	require.NotContains(t, v["fileName"], ".")
	z.setFile("/.well-known/pki-validation/"+v["fileName"].(string)+".txt", v["fileContent"].(string))
	r.call("VerifyDcv", dcv(number, "example.com", "2")).ok()
	require.Equal(t, "HTTP/HTTPS URL based verification", r.domain(number, "example.com")["dcvMethod"])

	www := r.buy(merge(freshOrder("example.org"), m{"certificateInformation": m{"domainName": "example.org"}}))
	r.call("GetDcv", dcv(www, "example.org", "2")).fails("EMS-1106")
	r.call("GetDcv", dcv(www, "example.org", "1")).ok()
}

func TestV1EmailValidation(t *testing.T) {
	r := v1Rig(t)
	number := r.buy(freshOrder("example.com"))
	v := r.call("GetDcv", dcv(number, "example.com", "3")).block("dcvDetails")
	require.Equal(t, []any{
		"admin@example.com", "administrator@example.com", "webmaster@example.com", "hostmaster@example.com", "postmaster@example.com",
	}, v["dcvEmails"])
	verify := dcv(number, "example.com", "3")
	r.call("VerifyDcv", verify).fails("EMS-1166")
	verify["dcvDetails"].(m)["dcvEmail"] = "me@example.com"
	r.call("VerifyDcv", verify).fails("EMS-1167")
	verify["dcvDetails"].(m)["dcvEmail"] = "hostmaster@example.com"
	r.call("VerifyDcv", verify).ok()
	require.Equal(t, "0", r.domain(number, "example.com")["dcvStatus"], "nobody answered the mail")
}

func TestV1DCVRefusals(t *testing.T) {
	r := v1Rig(t)
	number := r.buy(freshOrder("example.com"))
	cancelled := r.buy(freshOrder("example.net"))
	r.call("RejectOrder", m{"orderDetails": m{"orderNumber": cancelled, "rejectRemarks": "x"}}).ok()
	require.Equal(t, "2", r.domain(cancelled, "example.net")["dcvStatus"])
	wild := r.buy(merge(freshOrder("*.example.org"), m{"productCode": "843"}))
	for name, c := range map[string]struct {
		body m
		code string
	}{
		"an unknown order":                      {dcv("1", "example.com", "1"), "EMS-943"},
		"a cancelled order":                     {dcv(cancelled, "example.net", "1"), "EMS-956"},
		"no domain":                             {dcv(number, "", "1"), "EMS-1157"},
		"a domain of another order":             {dcv(number, "example.org", "1"), "EMS-1164"},
		"no method":                             {dcv(number, "example.com", ""), "EMS-1158"},
		"a method that does not exist":          {dcv(number, "example.com", "4"), "EMS-1159"},
		"the name of a method":                  {dcv(number, "example.com", "dns-txt"), "EMS-1159"},
		"a file for a wildcard":                 {dcv(wild, "*.example.org", "2"), "EMS-1159"},
		"nobody who asks":                       {m{"dcvDetails": m{"orderNumber": number, "domainName": "example.com", "dcvMethod": "1"}}, "EMS-924"},
		"the block that the samples have wrong": {m{"orderDetails": dcv(number, "example.com", "1")["dcvDetails"]}, "EMS-902"},
	} {
		t.Run(name, func(t *testing.T) {
			r.on(t).call("GetDcv", c.body).fails(c.code)
			r.on(t).call("VerifyDcv", c.body).fails(c.code)
		})
	}
	require.NotEmpty(t, r.call("GetDcv", dcv(wild, "*.example.org", "1")).block("dcvDetails")["token"])
	require.Contains(t, r.tracked(wild)["domainVerification"], "example.org", "a wildcard goes by its base")
}

func TestV1DCVTakesItsTime(t *testing.T) {
	c, z := newClock(), newZone(t)
	r := zoned(t, z, &certinexttest.Server{
		Now: c.now, TokenTTL: 24 * time.Hour, DCVSlotDelay: 5 * time.Second, DCVChallengeDelay: time.Hour, DCVResultDelay: 10 * time.Second,
	})
	number := r.buy(freshOrder("example.com"))
	require.Nil(t, r.tracked(number)["domainVerification"], "there is no slot at first")
	r.call("GetDcv", dcv(number, "example.com", "1")).fails("EMS-956")
	c.advance(5 * time.Second)
	require.Equal(t, "0", r.domain(number, "example.com")["dcvStatus"])
	r.call("GetDcv", dcv(number, "example.com", "1")).fails("EMS-956")
	c.advance(time.Hour)

	token := r.call("GetDcv", dcv(number, "example.com", "1")).block("dcvDetails")["token"].(string)
	z.setTXT("_emsign-validation.example.com", token)
	r.call("VerifyDcv", dcv(number, "example.com", "1")).ok()
	require.Equal(t, "0", r.domain(number, "example.com")["dcvStatus"], "the result is asynchronous")
	require.Equal(t, "pending-dcv", r.status(number))
	later := r.buy(v1Order("example.com"))
	require.Equal(t, "pending-dcv", r.status(later), "and serves nobody before it is there")
	c.advance(10 * time.Second)
	require.Equal(t, "1", r.domain(number, "example.com")["dcvStatus"])
	require.Equal(t, "pending-csr", r.status(number))
	require.Equal(t, "pending-csr", r.status(later))
}

func TestV1ResultUnderWaySuspendsNothing(t *testing.T) {
	z := newZone(t)
	r := zoned(t, z, &certinexttest.Server{VerifiedDomains: []string{"example.com"}, DCVResultDelay: time.Hour})
	number := r.buy(freshOrder("example.com"))
	token := r.call("GetDcv", dcv(number, "example.com", "1")).block("dcvDetails")["token"].(string)
	z.setTXT("_emsign-validation.example.com", token)
	r.call("VerifyDcv", dcv(number, "example.com", "1")).ok()
	require.Equal(t, "pending-dcv", r.status(number))
	require.Equal(t, "pending-csr", r.status(r.buy(v1Order("example.com"))), "what was validated before goes on to count")
}
