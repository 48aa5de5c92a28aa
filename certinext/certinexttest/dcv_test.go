// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// zoned is a rig whose server looks names up in z.
func zoned(t *testing.T, z *zone, srv *certinexttest.Server) *rig {
	t.Helper()
	srv.Resolver, srv.HTTPPort = z.dns, z.port
	return newRig(t, srv)
}

func (r *rig) verify(id, domain, method string) answer {
	r.t.Helper()
	return r.post(sslPath+"/"+id+"/dcv/verify", m{"domain": domain, "method": method})
}

func TestLiveDNSValidation(t *testing.T) {
	z := newZone(t)
	r := zoned(t, z, new(certinexttest.Server))
	id := r.order(dvOrder("example.com"))

	v := r.get(sslPath + "/" + id + "/dcv").must(200)
	require.Len(t, v, 2, "token and tokenExpiryDate, nothing else")
	_, err := time.Parse("2006-01-02 15:04:05", v["tokenExpiryDate"].(string))
	require.NoError(t, err)
	token := v["token"].(string)
	require.Equal(t, v, r.get(sslPath+"/"+id+"/dcv?domain=example.com&method=dns-txt").must(200), "asking again changes nothing")

	p := r.verify(id, "example.com", "dns-txt").refused(422, "EMS-1160")
	d := p["diagnostics"].(m)
	require.Equal(t, "RECORD_MISSING", d["failureClass"])
	require.Equal(t, "DNS_TXT", d["method"])
	require.Equal(t, "FAILED", d["overallStatus"])
	require.EqualValues(t, 1, d["schemaVersion"])

	z.setTXT("_emudhra-challenge.example.com", "something else")
	p = r.verify(id, "example.com", "dns-txt").refused(422, "EMS-1161")
	require.Equal(t, "RECORD_MISMATCH", p["diagnostics"].(m)["failureClass"])

	z.setTXT("_emudhra-challenge.example.com", "something else", token)
	v = r.verify(id, "example.com", "dns-txt").must(200)
	require.Equal(t, "VERIFIED", v["overallStatus"])
	require.Equal(t, "pending-csr", r.status(id))

	r.verify(id, "example.com", "dns-txt").refused(422, "EMS-1080")
	r.get(sslPath+"/"+id+"/dcv").refused(422, "EMS-1080")
}

func TestDocumentedFileValidation(t *testing.T) {
	z := newZone(t)
	r := zoned(t, z, &certinexttest.Server{Dialect: certinexttest.Documented})
	id := r.order(merge(dvOrder("example.com"), m{"certificate": m{"domain": "example.com", "autoSecureWww": true}}))

	r.get(sslPath+"/"+id+"/dcv").refused(422, "EMS-1157")
	offer := r.get(sslPath + "/" + id + "/dcv?domain=example.com").must(200)["domains"].([]any)[0].(m)
	methods := offer["methods"].(m)
	require.Equal(t, "_emudhra-challenge.example.com", methods["dns-txt"].(m)["host"])
	require.Equal(t, []any{"admin@example.com", "webmaster@example.com"}, methods["email"].(m)["sendTo"])
	file := methods["http-url"].(m)

	p := r.verify(id, "example.com", "http-url").refused(422, "EMS-1160")
	require.NotContains(t, p, "diagnostics")
	z.setFile(file["path"].(string), "wrong")
	r.verify(id, "example.com", "http-url").refused(422, "EMS-1161")
	z.setFile("/elsewhere", file["expectedContent"].(string))
	z.setFile(file["path"].(string), "redirect:/elsewhere")
	r.verify(id, "example.com", "http-url").refused(422, "EMS-1160")
	z.setFile(file["path"].(string), file["expectedContent"].(string)+"\n")
	r.verify(id, "example.com", "http-url").must(http.StatusNoContent)

	require.Equal(t, "pending-csr", r.status(id), "www. is covered by its parent")
	require.Contains(t, z.hosts[0], "example.com:")
	r.verify(id, "example.com", "http-url").must(http.StatusNoContent)
}

func TestDCVRefusals(t *testing.T) {
	cases := map[string]struct {
		domain, method string
		status         int
		code           string
	}{
		"no domain":                  {"", "dns-txt", 422, "EMS-1157"},
		"a domain of another order":  {"example.org", "dns-txt", 422, "EMS-1157"},
		"no method":                  {"example.com", "", 422, "EMS-1158"},
		"a method by its number":     {"example.com", "2", 422, "EMS-1158"},
		"a mail that nobody answers": {"example.com", "email", 422, "EMS-1160"},
		"a file that is not there":   {"example.com", "http-url", 422, "EMS-1160"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			eachDialect(t, func(t *testing.T, d certinexttest.Dialect) {
				r := zoned(t, newZone(t), &certinexttest.Server{Dialect: d})
				id := r.order(dvOrder("example.com"))
				r.get(sslPath + "/" + id + "/dcv?domain=example.com").must(200)
				r.verify(id, c.domain, c.method).refused(c.status, c.code)
			})
		})
	}
}

func TestDCVOfAnEndedOrderIsRefused(t *testing.T) {
	r := newRig(t, new(certinexttest.Server))
	id := r.order(dvOrder("example.com"))
	r.post(sslPath+"/"+id+"/cancel", m{"reason": "x"}).must(204)
	r.get(sslPath+"/"+id+"/dcv").refused(422, "EMS-984")
	r.verify(id, "example.com", "dns-txt").refused(422, "EMS-984")
	r.verify("1", "example.com", "dns-txt").refused(404, "")
}

func TestResolverFailureIsNotAMissingRecord(t *testing.T) {
	r := zoned(t, newZone(t), new(certinexttest.Server))
	id := r.order(dvOrder("a.servfail.example"))
	r.get(sslPath + "/" + id + "/dcv").must(200)
	p := r.verify(id, "a.servfail.example", "dns-txt").refused(422, "EMS-1160")
	require.Equal(t, "LOOKUP_FAILED", p["diagnostics"].(m)["failureClass"])
}

func TestChallengeHostsAreConfigurable(t *testing.T) {
	z := newZone(t)
	r := zoned(t, z, &certinexttest.Server{ChallengeHosts: []string{"_a.{domain}", "_emsign-validation.{domain}"}})
	id := r.order(dvOrder("example.com"))
	token := r.get(sslPath + "/" + id + "/dcv").must(200)["token"].(string)
	z.setTXT("_emudhra-challenge.example.com", token)
	r.verify(id, "example.com", "dns-txt").refused(422, "EMS-1160")
	z.setTXT("_emsign-validation.example.com", token)
	r.verify(id, "example.com", "dns-txt").must(200)
}

func TestWildcardIsValidatedAtItsBase(t *testing.T) {
	z := newZone(t)
	r := zoned(t, z, new(certinexttest.Server))
	id := r.order(dvOrder("*.example.com"))
	r.get(sslPath+"/"+id+"/dcv?domain=*.example.com&method=http-url").refused(422, "EMS-1158")
	token := r.get(sslPath + "/" + id + "/dcv?domain=*.example.com").must(200)["token"].(string)
	r.verify(id, "*.example.com", "http-url").refused(422, "EMS-1158")
	z.setTXT("_emudhra-challenge.example.com", token)
	r.verify(id, "*.example.com", "dns-txt").must(200)
	require.Equal(t, "pending-csr", r.status(id))
}

func TestEachNameOfAUCCOrderHasItsChallenge(t *testing.T) {
	z := newZone(t)
	r := zoned(t, z, new(certinexttest.Server))
	body := merge(dvOrder("a.example.com"), m{"certificate": m{
		"domain": "a.example.com", "additionalDomains": []string{"b.example.com"}, "autoSecureWww": false,
	}})
	id := r.order(body)
	token := func(domain string) string {
		return r.get(sslPath + "/" + id + "/dcv?domain=" + domain).must(200)["token"].(string)
	}
	require.NotEqual(t, token("a.example.com"), token("b.example.com"))
	require.Equal(t, token("a.example.com"), token(""), "without a domain the first open name is meant")
	z.setTXT("_emudhra-challenge.a.example.com", token("a.example.com"))
	r.verify(id, "a.example.com", "dns-txt").must(200)
	require.Equal(t, "pending-dcv", r.status(id))
	require.Equal(t, token("b.example.com"), token(""))
	z.setTXT("_emudhra-challenge.b.example.com", token("b.example.com"))
	r.verify(id, "b.example.com", "dns-txt").must(200)
	require.Equal(t, "pending-csr", r.status(id))
}

func TestChallengeExpiry(t *testing.T) {
	c := newClock()
	z := newZone(t)
	r := zoned(t, z, &certinexttest.Server{Now: c.now, TokenTTL: 1000 * time.Hour})
	id := r.order(dvOrder("example.com"))
	token := func() string { return r.get(sslPath + "/" + id + "/dcv").must(200)["token"].(string) }
	first := token()
	z.setTXT("_emudhra-challenge.example.com", first)
	c.advance(48 * time.Hour)
	p := r.verify(id, "example.com", "dns-txt").refused(422, "EMS-1160")
	require.Equal(t, "TOKEN_EXPIRED", p["diagnostics"].(m)["failureClass"])
	require.Empty(t, token(), "an expired token reads back empty")
	second := token()
	require.NotEmpty(t, second, "and is minted again when asked for once more")
	require.NotEqual(t, first, second)
	z.setTXT("_emudhra-challenge.example.com", second)
	r.verify(id, "example.com", "dns-txt").must(200)
}

func TestPropagationTakesTime(t *testing.T) {
	c := newClock()
	z := newZone(t)
	r := zoned(t, z, &certinexttest.Server{Now: c.now, PropagationDelay: time.Minute})
	id := r.order(dvOrder("example.com"))
	z.setTXT("_emudhra-challenge.example.com", r.get(sslPath + "/" + id + "/dcv").must(200)["token"].(string))
	r.verify(id, "example.com", "dns-txt").refused(422, "EMS-1160")
	c.advance(time.Minute)
	r.verify(id, "example.com", "dns-txt").must(200)
}

func TestChallengeShapes(t *testing.T) {
	cases := map[string]struct {
		shape  certinexttest.DCVShape
		method string
		keys   []string
	}{
		"live, DNS":        {certinexttest.DCVLive, "dns-txt", []string{"token", "tokenExpiryDate"}},
		"live, file":       {certinexttest.DCVLive, "http-url", []string{"fileName", "token", "tokenExpiryDate"}},
		"doc1":             {certinexttest.DCVDoc1, "dns-txt", []string{"domains"}},
		"doc2, DNS":        {certinexttest.DCVDoc2, "dns-txt", []string{"orderNumber", "domainName", "dcvMethod", "fileNameContent", "dvFileToken", "dvFileName", "tokenExpiryDate"}},
		"doc2, file":       {certinexttest.DCVDoc2, "http-url", []string{"orderNumber", "domainName", "dcvMethod", "fileNameContent", "dvFileToken", "dvFileName", "tokenExpiryDate"}},
		"doc2 prose, DNS":  {certinexttest.DCVDoc2Prose, "dns-txt", []string{"method", "txtToken"}},
		"doc2 prose, file": {certinexttest.DCVDoc2Prose, "http-url", []string{"fileName", "fileToken"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, &certinexttest.Server{DCVShape: c.shape})
			id := r.order(dvOrder("example.com"))
			v := r.get(sslPath + "/" + id + "/dcv?method=" + c.method).must(200)
			var keys []string
			for k := range v {
				keys = append(keys, k)
			}
			require.ElementsMatch(t, c.keys, keys)
			if n, ok := v["dcvMethod"]; ok {
				require.Equal(t, map[string]string{"dns-txt": "2", "http-url": "1"}[c.method], n, "numbered the other way round than v1")
			}
		})
	}
}

func TestValidationIsInherited(t *testing.T) {
	cases := map[string]struct {
		change func(*certinexttest.Server)
		order  m
		want   string
	}{
		"a validated domain covers itself":          {nil, dvOrder("example.com"), "pending-csr"},
		"and the names below it":                    {nil, dvOrder("a.b.example.com"), "pending-csr"},
		"and wildcards":                             {nil, dvOrder("*.example.com"), "pending-csr"},
		"and www.":                                  {nil, merge(dvOrder(""), m{"certificate": m{"domain": "example.com"}}), "pending-csr"},
		"but not a name that only ends alike":       {nil, dvOrder("notexample.com"), "pending-dcv"},
		"nor its parent":                            {nil, dvOrder("example.org"), "pending-dcv"},
		"nor an order of another organization":      {nil, merge(ovOrder("example.com"), m{"organization": m{"organizationNumber": "4000002", "preVetted": true}}), "pending-dcv"},
		"inheritance can be off":                    {func(s *certinexttest.Server) { s.NoInheritance = true }, dvOrder("a.example.com"), "pending-dcv"},
		"which asks for www. separately":            {func(s *certinexttest.Server) { s.NoInheritance = true }, merge(dvOrder(""), m{"certificate": m{"domain": "example.com"}}), "pending-dcv"},
		"a domain that is only pending covers none": {func(s *certinexttest.Server) { s.VerifiedDomains, s.PendingDomains = nil, []string{"example.com"} }, dvOrder("example.com"), "pending-dcv"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			srv := verified(certinexttest.Live)
			if c.change != nil {
				c.change(srv)
			}
			r := newRig(t, srv)
			require.Equal(t, c.want, r.status(r.order(c.order)))
		})
	}
}

func TestValidationServesLaterOrders(t *testing.T) {
	for name, c := range map[string]struct {
		noReuse bool
		want    string
	}{
		"by default":          {false, "pending-csr"},
		"unless reuse is off": {true, "pending-dcv"},
	} {
		t.Run(name, func(t *testing.T) {
			z := newZone(t)
			r := zoned(t, z, &certinexttest.Server{NoReuse: c.noReuse})
			first := r.order(dvOrder("example.com"))
			z.setTXT("_emudhra-challenge.example.com", r.get(sslPath + "/" + first + "/dcv").must(200)["token"].(string))
			r.verify(first, "example.com", "dns-txt").must(200)
			require.Equal(t, c.want, r.status(r.order(dvOrder("www.example.com"))))
		})
	}
}

func TestAParentCoversTheNamesOfItsOwnOrder(t *testing.T) {
	for name, c := range map[string]struct {
		noInheritance bool
		want          string
	}{
		"even where nothing else is reused": {false, "pending-csr"},
		"unless inheritance is off":         {true, "pending-dcv"},
	} {
		t.Run(name, func(t *testing.T) {
			z := newZone(t)
			r := zoned(t, z, &certinexttest.Server{NoReuse: true, NoInheritance: c.noInheritance})
			id := r.order(merge(dvOrder(""), m{"certificate": m{"domain": "example.com"}}))
			z.setTXT("_emudhra-challenge.example.com", r.get(sslPath + "/" + id + "/dcv").must(200)["token"].(string))
			r.verify(id, "example.com", "dns-txt").must(200)
			require.Equal(t, c.want, r.status(id))
		})
	}
}

func TestValidationOfADomainExpires(t *testing.T) {
	c := newClock()
	srv := verified(certinexttest.Live)
	srv.Now, srv.TokenTTL = c.now, 10000*time.Hour
	r := newRig(t, srv)
	id := r.order(dvOrder("www.example.com"))
	require.Equal(t, "pending-csr", r.status(id))
	c.advance(200 * 24 * time.Hour)
	require.Equal(t, "pending-dcv", r.status(id))
}
