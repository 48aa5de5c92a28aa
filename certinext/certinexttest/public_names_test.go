// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// brokenBy is the rule by which the last request was refused, and its source.
func (r *rig) brokenBy() (name, source string) {
	r.t.Helper()
	all := r.srv.Requests()
	last := all[len(all)-1]
	require.NotEmpty(r.t, last.Refusal)
	return last.Rule, last.Source
}

// uncertifiable are names that no public CA certifies, by the rule that each breaks.
func uncertifiable() map[string][]string {
	label := strings.Repeat("a", 64)
	return map[string][]string{
		"public-suffix":            {"co.uk", "*.co.uk", "com", "*.com", "a.kawasaki.jp", "*.kawasaki.jp"},
		"special-use-name":         {"a.localhost", "a.local", "*.local", "a.invalid", "a.test", "a.onion", "db.internal", "a.home.arpa", "1.in-addr.arpa"},
		"unknown-top-level-domain": {"db.corp", "www.lan"},
		"internal-name":            {"intranet"},
		"address":                  {"8.8.8.8", "2606:4700::1"},
		"reserved-address":         {"10.0.0.5", "127.0.0.1", "192.0.2.1", "fe80::1"},
		"common-name-length":       {strings.Repeat("a", 54) + ".example.com"}, // 66 characters
		"label-length":             {label + ".com"},
		"host-name-length":         {strings.Repeat("a.", 122) + "example.com"},
		"underscore":               {"a_b.example.com"},
		"punycode":                 {"xn--0.example.com", "xn--a.example.com"},
		"reserved-label":           {"ab--c.example.com"},
		"host-name-form":           {"a..example.com", "-a.example.com", "bücher.example.com"},
	}
}

func TestNoPublicCAMayCertify(t *testing.T) {
	v2 := map[string]any{"v2 live": certinexttest.Live, "v2 documented": certinexttest.Documented}
	for broken, names := range uncertifiable() {
		for _, name := range names {
			for what, d := range v2 {
				t.Run(what+" "+name, func(t *testing.T) {
					r := newRig(t, verified(d.(certinexttest.Dialect)))
					product := "842"
					if strings.HasPrefix(name, "*.") {
						product = "843"
					}
					r.post(sslPath, dvOrder(name), "X-Product-Code", product).refused(422, "EMS-917")
					rule, source := r.brokenBy()
					require.Equal(t, broken, rule)
					require.NotEmpty(t, source)
					require.Empty(t, r.srv.Orders())
				})
			}
			t.Run("v1 "+name, func(t *testing.T) {
				r := v1Rig(t)
				product := "842"
				if strings.HasPrefix(name, "*.") {
					product = "843"
				}
				r.call("GenerateOrderSSL", m{"orderDetails": merge(v1Order(name), m{"productCode": product})}).fails("EMS-1057")
				rule, _ := r.brokenBy()
				require.Equal(t, broken, rule)
				require.Empty(t, r.srv.Orders())
			})
		}
	}
}

// Only the common name has to be short, and all names have to be certifiable.
func TestAdditionalNamesAreLookedAt(t *testing.T) {
	ucc := func(more ...string) m {
		return merge(dvOrder("example.com"), m{"certificate": m{"domain": "example.com", "additionalDomains": more, "autoSecureWww": false}})
	}
	r := newRig(t, verified(certinexttest.Live))
	r.order(ucc(strings.Repeat("a", 54) + ".example.com"))
	for broken, names := range uncertifiable() {
		if broken == "common-name-length" {
			continue
		}
		product := "844"
		if strings.HasPrefix(names[0], "*.") {
			product = "845"
		}
		r.post(sslPath, ucc(names[0]), "X-Product-Code", product).refused(422, "EMS-917")
		rule, _ := r.brokenBy()
		require.Equal(t, broken, rule)
		v1 := r.call("GenerateOrderSSL", m{"orderDetails": merge(v1Order("example.com"), m{
			"productCode": product, "certificateInformation": m{"domainName": "example.com", "additionalDomains": names[:1], "autoSecureWWW": "0"},
		})})
		v1.fails("EMS-1057")
		rule, _ = r.brokenBy()
		require.Equal(t, broken, rule)
	}
}

func TestDocumentationUsesTheExampleDomains(t *testing.T) {
	eachDialect(t, func(t *testing.T, d certinexttest.Dialect) {
		r := newRig(t, verified(d))
		for _, name := range []string{"example.com", "www.example.net", "example.org", "db.example", "WWW.Example.COM", "a.github.io", "xn--bcher-kva.example"} {
			v := r.post(sslPath, dvOrder(name)).must(http.StatusCreated)
			if d == certinexttest.Live {
				require.Equal(t, strings.ToLower(name), v["domain"])
			}
		}
	})
	r := newRig(t, &certinexttest.Server{Names: certinexttest.NamePolicy{ExceptedZones: []string{"test"}}})
	r.order(dvOrder("www.test"))
	r.post(sslPath, dvOrder("db.example")).refused(422, "EMS-917")
	r.post(sslPath, dvOrder("db.internal")).refused(422, "EMS-917")
}

func TestAnyNameIsCertifiedWhereAsked(t *testing.T) {
	r := newRig(t, &certinexttest.Server{Names: certinexttest.NamePolicy{AnyName: true}})
	long := strings.Repeat("a", 54) + ".example.com"
	for _, name := range []string{"co.uk", "db.internal", "www.lan", long} {
		r.order(dvOrder(name))
		r.call("GenerateOrderSSL", m{"orderDetails": v1Order(name)}).ok()
	}
	r.post(sslPath, dvOrder("intranet")).refused(422, "EMS-917")
	rule, _ := r.brokenBy()
	require.Equal(t, "host-name-form", rule)
}

// Private PKI certifies what the customer's own hosts are called.
func TestPrivatePKICertifiesAnyName(t *testing.T) {
	r := newRig(t, verified(certinexttest.Live))
	for _, name := range []string{"db.internal", "printer", "co.uk"} {
		r.post(privatePath, privateOrder(name), "X-Product-Code", "149").must(http.StatusCreated)
	}
	r.post(privatePath, privateOrder("a b"), "X-Product-Code", "149").refused(422, "EMS-917")
	rule, _ := r.brokenBy()
	require.Equal(t, "host-name-form", rule)
}

// A CSR is refused for its names before it is held against the order.
func TestNamesOfACSRAreLookedAt(t *testing.T) {
	r := newRig(t, verified(certinexttest.Live))
	id := r.order(dvOrder("www.example.com"))
	number := r.buy(v1Order("www.example.com"))
	for broken, name := range map[string]string{
		"public-suffix": "co.uk", "special-use-name": "db.internal", "underscore": "a_b.example.com",
		"common-name-length": strings.Repeat("a", 54) + ".example.com",
	} {
		r.put(sslPath+"/"+id+"/csr", m{"csr": csr(t, newKey(t), name)}).refused(422, "EMS-917")
		rule, _ := r.brokenBy()
		require.Equal(t, broken, rule)
		words := r.call("SubmitCSR", m{"orderDetails": merge(ref(number), m{"csr": csr(t, newKey(t), name)})}).fails("EMS-1056")
		require.Equal(t, "CSR carries a name that cannot be certified", words)
		if broken != "common-name-length" {
			r.put(sslPath+"/"+id+"/csr", m{"csr": csr(t, newKey(t), "www.example.com", name)}).refused(422, "EMS-917")
			rule, _ = r.brokenBy()
			require.Equal(t, broken, rule)
		}
	}
	r.put(sslPath+"/"+id+"/csr", m{"csr": csr(t, newKey(t), "other.example.com")}).refused(422, "EMS-917")
	rule, _ := r.brokenBy()
	require.Equal(t, "csr-matches-order", rule)
	r.put(sslPath+"/"+id+"/csr", m{"csr": csr(t, newKey(t), "WWW.EXAMPLE.COM")}).must(http.StatusNoContent)
}

// A reissue changes the names by the same rules.
func TestNamesOfAReissueAreLookedAt(t *testing.T) {
	r := newRig(t, verified(certinexttest.Live))
	names := []string{"example.com", "a.example.com"}
	id := r.order(merge(dvOrder("example.com"), m{
		"certificate": m{"domain": "example.com", "additionalDomains": names[1:], "autoSecureWww": false},
		"csr":         csr(t, newKey(t), names...),
	}))
	require.Equal(t, "issued", r.status(id))
	reissue := func(more ...string) answer {
		return r.post(sslPath+"/"+id+"/reissue", m{"mode": "update-sans", "reason": "names", "additionalDomains": more})
	}
	reissue("db.internal").refused(422, "EMS-917")
	rule, _ := r.brokenBy()
	require.Equal(t, "special-use-name", rule)
	reissue().refused(422, "EMS-1063")
	reissue("example.com").refused(422, "EMS-1063")
	reissue("b.example.com").must(http.StatusCreated)
}
