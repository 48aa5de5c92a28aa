// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"crypto/x509"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// erring sets the mistake of a rig's server.
func (r *rig) erring(mistake certinexttest.Misissuance) {
	r.srv.Configure(func(s *certinexttest.Server) { s.Misissue = mistake })
}

// What is added or left out depends on what was ordered.
func TestMistakesInNamesFollowTheOrder(t *testing.T) {
	const (
		www     = certinexttest.MisissueAddedWWW
		base    = certinexttest.MisissueBaseDomain
		missing = certinexttest.MisissueMissingName
		extra   = certinexttest.MisissueExtraName
	)
	for name, c := range map[string]struct {
		mistake certinexttest.Misissuance
		product string
		names   string // the first is the common name
		auto    bool   // autoSecureWww
		want    string
	}{
		"www.": {
			www, "842", "example.com", false,
			"example.com www.example.com",
		},
		"www. is there": {
			www, "842", "example.com", true,
			"example.com www.example.com",
		},
		"www. was ordered": {
			www, "844", "example.com www.example.com", false,
			"example.com www.example.com",
		},
		"www. of www.": {
			www, "842", "www.example.com", false,
			"www.example.com",
		},
		"www. of a wildcard": {
			www, "843", "*.example.com", false,
			"*.example.com",
		},
		"a wildcard's base": {
			base, "843", "*.example.com", false,
			"*.example.com example.com",
		},
		"a base that was ordered": {
			base, "845", "*.example.com example.com", false,
			"*.example.com example.com",
		},
		"the base of a second name": {
			base, "845", "a.example.com *.b.example.com", false,
			"a.example.com *.b.example.com b.example.com",
		},
		"one name of one": {
			missing, "842", "example.com", false,
			"evil.example.org",
		},
		"one name of one, with www.": {
			missing, "842", "example.com", true,
			"evil.example.org www.example.com",
		},
		"one name of three": {
			missing, "844", "example.com b.example.com c.example.com", false,
			"example.com b.example.com",
		},
		"one of several, with www.": {
			missing, "844", "example.com b.example.com", true,
			"example.com www.example.com",
		},
		"a stranger that was ordered": {
			extra, "842", "evil.example.org", false,
			"evil.example.org evil.evil.example.org",
		},
		"a stranger below a wildcard": {
			extra, "843", "*.example.org", false,
			"*.example.org evil.evil.example.org",
		},
	} {
		t.Run(name, func(t *testing.T) {
			srv := verified(certinexttest.Live)
			srv.VerifiedDomains = append(srv.VerifiedDomains, "example.org")
			r := newRig(t, srv)
			r.erring(c.mistake)
			names := strings.Fields(c.names)
			body := m{"csr": csr(t, newKey(t), names...), "certificate": m{
				"domain": names[0], "additionalDomains": names[1:], "autoSecureWww": c.auto,
			}}
			id := r.order(merge(dvOrder(names[0]), body), "X-Product-Code", c.product)
			cert := r.certificate(id)
			require.Equal(t, strings.Fields(c.want), cert.DNSNames)
			require.Equal(t, names[0], cert.Subject.CommonName)
		})
	}
}

func TestMistakesOfAPrivateCA(t *testing.T) {
	eachMistake(t, func(t *testing.T, mistake certinexttest.Misissuance, want []string) {
		switch mistake {
		case certinexttest.MisissueAddedWWW:
			want = []string{"extra DNS www.h.local"}
		case certinexttest.MisissueMissingName:
			want = []string{"no IP 10.0.0.5"}
		}
		r := dialectRig(t, certinexttest.Live)
		r.erring(mistake)
		key, names := newKey(t), []string{"h.local", "portal"}
		o := ordered{
			commonName: "h.local", dns: names, ips: ipsOf("2001:db8::1", "10.0.0.5"),
			key: key.Public(), usage: x509.ExtKeyUsageServerAuth, life: 30 * aDay,
		}
		hosts := []string{"portal", "2001:db8::1", "10.0.0.5"}
		body := merge(privateOrder("h.local"), m{
			"additionalHosts": hosts, "csr": csr(t, key, names...),
		})
		v := r.post(privatePath, body, "X-Product-Code", "149").must(http.StatusCreated)
		id := v["orderId"].(string)
		require.ElementsMatch(t, want, r.delivered(id, privatePath+"/"+id).faults(t, r.srv, o))
	})
}

// ofASigner are the mistakes in a certificate for a person, who has an email
// address and no DNS name.
func ofASigner(mistake certinexttest.Misissuance, want []string) []string {
	switch mistake {
	case certinexttest.MisissueAddedWWW:
		return nil
	case certinexttest.MisissueMissingName:
		return []string{"extra email evil@example.org", "no email platform@example.com"}
	default:
		return want
	}
}

func TestMistakesInCertificatesOfSigners(t *testing.T) {
	person := ordered{commonName: "Platform Team", emails: []string{"platform@example.com"}, life: 30 * aDay}
	eachMistake(t, func(t *testing.T, mistake certinexttest.Misissuance, want []string) {
		r := dialectRig(t, certinexttest.Live)
		r.erring(mistake)
		key, o := newKey(t), person
		o.key, o.usage = key.Public(), x509.ExtKeyUsageAny // document signing has no name
		id, path := r.vetted()
		request := csrFrom(t, key, new(x509.CertificateRequest))
		r.put(path+"/csr", m{"csr": request, "attested": true}).must(http.StatusNoContent)
		got := r.delivered(id, path).faults(t, r.srv, o)
		require.ElementsMatch(t, ofASigner(mistake, want), got)
	})
	eachMistake(t, func(t *testing.T, mistake certinexttest.Misissuance, want []string) {
		r := dialectRig(t, certinexttest.V1)
		r.erring(mistake)
		key, o := newKey(t), person
		o.key, o.usage = key.Public(), x509.ExtKeyUsageEmailProtection
		request := csrFrom(t, key, new(x509.CertificateRequest))
		id := r.place("GenerateOrderSMIME", merge(v1Mail(), m{"csr": request}))
		got := r.delivered(id, "").faults(t, r.srv, o)
		require.ElementsMatch(t, ofASigner(mistake, want), got)
	})
}

// The chain keeps the order of the server's switch, and the fault of one call.
func TestAMistakenChainComesInTheOrderOfOthers(t *testing.T) {
	for name, change := range map[string]func(*certinexttest.Server){
		"as a switch": func(s *certinexttest.Server) {
			s.ChainOrder = certinexttest.ChainRootFirst
		},
		"as a fault": func(s *certinexttest.Server) {
			s.Inject(certinexttest.Fault{Kind: certinexttest.FaultRootFirst})
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := dialectRig(t, certinexttest.Live)
			r.erring(certinexttest.MisissueLeafIssuer)
			id, path, _ := r.twoNames()
			straight := r.delivered(id, path).chain
			require.Len(t, straight, 3)
			change(r.srv)
			var got []*x509.Certificate
			for _, text := range anys(r.get(path + "/certificate").must(200)["chainPem"]) {
				got = append(got, leaf(t, text.(string)))
			}
			require.Equal(t, pemOf(straight[2], straight[0], straight[1]), pemOf(got...))
			r.srv.ClearFaults()
			r.srv.Configure(func(s *certinexttest.Server) {
				s.ChainOrder = certinexttest.ChainAbsent
			})
			require.Empty(t, r.delivered(id, path).chain)
		})
	}
}

func TestMistakesHaveNames(t *testing.T) {
	named := make(map[string]bool)
	for mistake := range mistakes {
		text, err := mistake.MarshalText()
		require.NoError(t, err)
		var back certinexttest.Misissuance
		require.NoError(t, back.UnmarshalText(text))
		require.Equal(t, mistake, back)
		require.Equal(t, mistake.String(), string(text))
		require.Contains(t, certinexttest.MisissuanceKinds(), string(text))
		named[string(text)] = true
	}
	require.Len(t, named, len(mistakes))
	var none certinexttest.Misissuance
	require.Equal(t, certinexttest.MisissuanceKinds()[0], none.String())
	require.ErrorContains(t, none.UnmarshalText([]byte("smudged")), "smudged")
	require.Equal(t, "unknown", certinexttest.Misissuance(-1).String())
}

func TestAdminSetsTheMistake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, admin := adminRig(t, verified(certinexttest.Live))
		require.Equal(t, "none", admin.get("/knobs").must(200)["misissue"])
		v := admin.post("/knobs", m{"misissue": "too-long"}).must(200)
		require.Equal(t, "too-long", v["misissue"])
		id, path, o := r.twoNames()
		require.Equal(t, "too-long", admin.post("/knobs", m{"pemLag": "0s"}).must(200)["misissue"])
		require.Equal(t, 400, admin.post("/knobs", m{"misissue": "smudged"}).status)
		admin.post("/knobs", m{"misissue": "none"}).must(200)
		want := mistakes[certinexttest.MisissueTooLong]
		require.ElementsMatch(t, want, r.delivered(id, path).faults(t, r.srv, o))
		id, path, o = r.twoNames()
		require.Empty(t, r.delivered(id, path).faults(t, r.srv, o))
	})
}
