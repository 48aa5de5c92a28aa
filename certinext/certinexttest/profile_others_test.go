// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ocsp"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// inHouse are rules of the public's that a customer's own hosts cannot keep: what they are called
// and where they are is the customer's.
var inHouse = map[string]string{
	"e_dnsname_not_valid_tld":        "the customer's names end as it likes",
	"e_ext_san_contains_reserved_ip": "the customer's networks are private",
}

// requireChainPasses looks at a certificate, at all above it, and at who answers for their status.
func (r *rig) requireChainPasses(cert, issuer *x509.Certificate, not map[string]string) {
	r.t.Helper()
	requirePasses(r.t, cert, not)
	requirePasses(r.t, issuer)
	require.NoError(r.t, cert.CheckSignatureFrom(issuer))
	answer := r.ocsp(cert, issuer, http.MethodGet, crypto.SHA1)
	require.Equal(r.t, ocsp.Good, answer.Status)
	requirePasses(r.t, answer.Certificate)
	list, err := x509.ParseRevocationList(r.fetch(cert.CRLDistributionPoints[0]))
	require.NoError(r.t, err)
	require.NoError(r.t, list.CheckSignatureFrom(issuer))
	for _, ca := range r.srv.CAs() {
		requirePasses(r.t, leaf(r.t, ca.CertificatePEM))
	}
	issuers := poolOf(issuer)
	_, err = cert.Verify(x509.VerifyOptions{
		Roots: r.srv.Roots(), Intermediates: issuers, CurrentTime: cert.NotBefore,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	require.NoError(r.t, err)
}

func TestPrivateCertificatesPassZLint(t *testing.T) {
	for variant, product := range map[string]string{"intranet-ssl": "149", "igtf-host": "104"} {
		t.Run(variant, func(t *testing.T) {
			r := newRig(t, verified(certinexttest.Live))
			order := merge(privateOrder("h.local"), m{
				"variant": variant, "csr": csr(t, newKey(t), "h.local"),
				"additionalHosts": []string{"storage.local", "10.0.0.5", "2001:db8::5"},
			})
			id := r.post(privatePath, order, "X-Product-Code", product).must(201)["orderId"].(string)
			cert, issuer := r.v1Leaf(id)
			r.requireChainPasses(cert, issuer, inHouse)
		})
	}
}

func TestSignersCertificatesPassZLint(t *testing.T) {
	for subjectType := range signerProducts {
		t.Run(subjectType, func(t *testing.T) {
			r := newRig(t, verified(certinexttest.Live))
			number := r.place("GenerateOrderSignature", v1Signer(subjectType))
			r.call("SubmitDocument", v1Documents(number, pdf)).ok()
			require.NoError(t, r.srv.Approve(number))
			request := csrFrom(t, newKey(t), &x509.CertificateRequest{})
			r.call("SubmitCSR", m{"orderDetails": merge(ref(number), m{"csr": request})}).ok()
			cert, issuer := r.v1Leaf(number)
			r.requireChainPasses(cert, issuer, nil)
		})
	}
}

// mailOf is an S/MIME certificate, for whom change says.
func (r *rig) mailOf(key crypto.Signer, change m, order m) (cert, issuer *x509.Certificate) {
	r.t.Helper()
	all := merge(v1Mail(), order)
	all["certificateInformation"] = merge(v1Subject("natural-person"), change)
	all["csr"] = csrFrom(r.t, key, &x509.CertificateRequest{})
	return r.v1Leaf(r.place("GenerateOrderSMIME", all))
}

// The S/MIME Baseline Requirements have a profile for each of who is in a certificate.
func TestMailCertificatesPassZLint(t *testing.T) {
	const (
		mailbox, sponsor, individual = "2.23.140.1.5.1.3", "2.23.140.1.5.3.3", "2.23.140.1.5.4.3"
	)
	unnamed := m{"firstName": nil, "lastName": nil}
	employed := m{"organizationName": "Example Limited", "organizationUnit": "Records"}
	registered := merge(employed, m{"registeredId": "12-3456789"})
	own := m{"organizationDetails": m{"preVetting": "1", "organizationNumber": "4000001"}}
	for name, c := range map[string]struct {
		change, order m
		policy        string
		subject       string
	}{
		"a long mailbox": {
			merge(unnamed, m{"email": strings.Repeat("x", 60) + "@example.com"}), nil, mailbox, "",
		},
		"a mailbox": {unnamed, nil, mailbox, "CN=platform@example.com"},
		"a person": {
			nil, nil, individual,
			"SERIALNUMBER=P-1,CN=Platform Team,L=Albany,ST=New York,C=US,SN=Team,GN=Platform",
		},
		"a person by half a name": {
			m{"firstName": nil},
			nil, individual,
			"SERIALNUMBER=P-1,CN=Team,L=Albany,ST=New York,C=US,SN=Team",
		},
		"a person in an organization that nobody can tell": {
			employed, nil, individual,
			"SERIALNUMBER=P-1,CN=Platform Team,L=Albany,ST=New York,C=US,SN=Team,GN=Platform",
		},
		"a member of an organization": {
			registered, nil, sponsor,
			"SERIALNUMBER=P-1,CN=Platform Team,O=Example Limited,L=Albany,ST=New York,C=US," +
				"ID=NTRUS-12-3456789,SN=Team,GN=Platform",
		},
		"a member of one with another register": {
			merge(registered, m{"registeredId": "VATUS-7"}), nil, sponsor,
			"SERIALNUMBER=P-1,CN=Platform Team,O=Example Limited,L=Albany,ST=New York,C=US," +
				"ID=VATUS-7,SN=Team,GN=Platform",
		},
		"a member of one without a country": {
			merge(registered, m{"countryCode": ""}), nil, individual,
			"SERIALNUMBER=P-1,CN=Platform Team,L=Albany,ST=New York,SN=Team,GN=Platform",
		},
		"a member of the account's": {
			employed, own, sponsor,
			"SERIALNUMBER=P-1,CN=Platform Team,O=Example Corporation,L=New York,ST=New York," +
				"C=US,ID=NTRUS-4000001,SN=Team,GN=Platform",
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, verified(certinexttest.Live))
			rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
			require.NoError(t, err)
			for _, key := range []crypto.Signer{newKey(t), rsaKey} {
				cert, issuer := r.mailOf(key, c.change, c.order)
				r.requireChainPasses(cert, issuer, nil)
				require.Equal(t, c.policy, cert.Policies[0].String())
				require.Equal(t, c.subject, written(cert))
				require.Len(t, cert.EmailAddresses, 1)
			}
		})
	}
}

// written is the subject of cert, with names for what has none in Go.
func written(cert *x509.Certificate) string {
	text := cert.Subject
	text.Names = nil
	short := map[string]string{"2.5.4.4": "SN", "2.5.4.42": "GN", "2.5.4.97": "ID"}
	out := text.String()
	for i := len(cert.Subject.Names) - 1; i >= 0; i-- {
		n := cert.Subject.Names[i]
		if name := short[n.Type.String()]; name != "" {
			out += "," + name + "=" + n.Value.(string)
		}
	}
	return out
}

func TestMailCertificatesLiveForAtMost825Days(t *testing.T) {
	for days, cut := range map[time.Duration]bool{30: false, 825: false, 826: true} {
		srv := verified(certinexttest.Live)
		srv.OtherLifetime = days * aDay
		r := newRig(t, srv)
		order := m{"subscriptionDetails": m{"validity": "3", "autoRenew": "0", "renewCriteria": "30"}}
		cert, _ := r.mailOf(newKey(t), nil, order)
		require.LessOrEqual(t, livesFor(cert), 825*aDay)
		require.Greater(t, livesFor(cert), min(days, 825)*aDay-2*time.Second)
		require.Equal(t, cut, srv.Orders()[0].LifetimeCut)
	}
}

func TestASubjectOfVersion1HasRoom(t *testing.T) {
	r := v1Rig(t)
	for _, long := range []m{{"lastName": strings.Repeat("x", 60)}, {"organizationUnit": strings.Repeat("x", 65)}} {
		for verb, order := range map[string]m{
			"GenerateOrderSMIME": v1Mail(), "GenerateOrderSignature": v1Signer("legal-person"),
		} {
			order["certificateInformation"] = merge(order["certificateInformation"].(m), long)
			r.call(verb, m{"orderDetails": order}).fails("")
		}
	}
	require.Empty(t, r.srv.Orders())
}
