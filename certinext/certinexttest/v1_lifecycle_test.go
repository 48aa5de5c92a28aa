// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

func TestV1OrderTakesItsStepsInAnyOrder(t *testing.T) {
	eachDialect(t, func(t *testing.T, d certinexttest.Dialect) {
		r := newRig(t, &certinexttest.Server{Dialect: d})
		key := newKey(t)
		number := r.buy(merge(v1Order("example.com"), m{"agreementDetails": nil}))
		submit := m{"orderDetails": merge(ref(number), m{"csr": csr(t, key, "example.com")})}
		require.Equal(t, "0", r.tracked(number)["csr"])
		r.call("SubmitCSR", submit).ok()
		require.Equal(t, "1", r.tracked(number)["csr"], "a CSR is taken while DCV is open")
		r.call("SubmitCSR", m{"orderDetails": merge(ref(number), m{"csr": csr(t, newKey(t), "example.com")})}).fails("EMS-1068")

		sign := m{"agreementDetails": merge(v1Agreement(), ref(number))}
		require.Equal(t, "0", r.tracked(number)["subscriberAgreement"].(m)["status"])
		r.call("AgreementAcceptance", sign).ok()
		require.Equal(t, "1", r.tracked(number)["subscriberAgreement"].(m)["status"])
		r.call("AgreementAcceptance", sign).fails("EMS-1082")
		r.srv.VerifyDomain("example.com")
		require.Equal(t, "issued", r.status(number))
		require.Equal(t, key.Public(), r.certificate(number).PublicKey)
	})
}

func TestV1StepRefusals(t *testing.T) {
	r := v1Rig(t)
	open := r.buy(merge(v1Order("www.example.com"), m{"agreementDetails": nil}))
	issued := r.buy(merge(v1Order("www.example.com"), m{"csr": csr(t, newKey(t), "www.example.com")}))
	cancelled := r.buy(merge(v1Order("www.example.com"), m{"agreementDetails": nil}))
	reject := func(number, remarks string) m {
		return m{"orderDetails": m{"orderNumber": number, "rejectRemarks": remarks}}
	}
	r.call("RejectOrder", reject(cancelled, "not wanted")).ok()
	refused := r.buy(v1Order("www.example.com"))
	require.NoError(t, r.srv.Reject(refused, "no"))
	submit := func(number, text string) m { return m{"orderDetails": merge(ref(number), m{"csr": text})} }
	sign := func(number string, change m) m {
		return m{"agreementDetails": merge(merge(v1Agreement(), ref(number)), change)}
	}
	cases := map[string]struct {
		verb string
		body m
		code string
	}{
		"a CSR for an unknown order":                {"SubmitCSR", submit("1", "x"), "EMS-943"},
		"no CSR":                                    {"SubmitCSR", submit(open, ""), "EMS-1006"},
		"a CSR that is none":                        {"SubmitCSR", submit(open, "x"), "EMS-952"},
		"a CSR for another name":                    {"SubmitCSR", submit(open, csr(t, newKey(t), "a.example.com")), "EMS-1056"},
		"a CSR for a cancelled order":               {"SubmitCSR", submit(cancelled, csr(t, newKey(t), "www.example.com")), "EMS-1165"},
		"an agreement for an unknown order":         {"AgreementAcceptance", sign("1", nil), "EMS-943"},
		"an agreement that is signed":               {"AgreementAcceptance", sign(issued, nil), "EMS-1082"},
		"an agreement of a cancelled order":         {"AgreementAcceptance", sign(cancelled, nil), "EMS-1165"},
		"an agreement that is not accepted":         {"AgreementAcceptance", sign(open, m{"acceptAgreement": "0"}), "EMS-920"},
		"an agreement signed at home":               {"AgreementAcceptance", sign(open, m{"signerIP": "192.168.1.1"}), "EMS-1091"},
		"cancelling without a reason":               {"RejectOrder", reject(open, ""), "EMS-964"},
		"cancelling twice":                          {"RejectOrder", reject(cancelled, "x"), "EMS-985"},
		"cancelling what was rejected":              {"RejectOrder", reject(refused, "x"), "EMS-986"},
		"cancelling what is issued":                 {"RejectOrder", reject(issued, "x"), "EMS-987"},
		"cancelling an unknown order":               {"RejectOrder", reject("1", "x"), "EMS-943"},
		"cancelling with a field RejectOrder lacks": {"RejectOrder", m{"orderDetails": ref(open)}, "EMS-902"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) { r.on(t).call(c.verb, c.body).fails(c.code) })
	}
	o, _ := r.srv.Order(cancelled)
	require.Equal(t, "not wanted", o.CancelReason)
	require.Equal(t, "cancelled", r.status(cancelled))
}

func TestV1GetCertificate(t *testing.T) {
	c := newClock()
	r := newRig(t, &certinexttest.Server{Now: c.now, VerifiedDomains: []string{"example.com"}, PEMLag: time.Minute})
	key := newKey(t)
	number := r.buy(merge(v1Order("www.example.com"), m{"csr": csr(t, key, "www.example.com")}))
	get := m{"orderDetails": ref(number)}

	a := r.call("GetCertificate", get)
	a.fails("EMS-946")
	empty := m{"rootCertificate": "", "caCertificate": "", "endEntityCertificate": "", "expiryDate": "", "ceritficateSerialNumber": ""}
	require.Equal(t, empty, a.must(200)["certificateDetails"], "a failure carries empty strings")
	c.advance(time.Minute)

	v := r.call("GetCertificate", get).block("certificateDetails")
	require.Len(t, v, 5)
	cert, ca, root := leaf(t, v["endEntityCertificate"].(string)), leaf(t, v["caCertificate"].(string)), leaf(t, v["rootCertificate"].(string))
	require.Equal(t, key.Public(), cert.PublicKey)
	require.NoError(t, cert.CheckSignatureFrom(ca))
	require.NoError(t, ca.CheckSignatureFrom(root))
	require.NoError(t, root.CheckSignatureFrom(root))
	require.Equal(t, cert.SerialNumber.String(), v["ceritficateSerialNumber"], "decimal, and misspelt")
	require.Equal(t, cert.NotAfter.Format("2006-01-02 15:04:05"), v["expiryDate"])
	require.Equal(t, trimPEM(v["endEntityCertificate"].(string)), v["endEntityCertificate"], "no trailing newline")

	r.srv.Configure(func(s *certinexttest.Server) { s.ChainOrder = certinexttest.ChainAbsent })
	v = r.call("GetCertificate", get).block("certificateDetails")
	require.Empty(t, v["caCertificate"])
	require.NotEmpty(t, v["endEntityCertificate"])

	r.srv.Inject(certinexttest.Fault{Operation: certinexttest.OpCertificate, Kind: certinexttest.FaultWrongKey, Times: 1})
	v = r.call("GetCertificate", get).block("certificateDetails")
	require.NotEqual(t, key.Public(), leaf(t, v["endEntityCertificate"].(string)).PublicKey)

	r.call("RevokeOrder", m{"revocationDetails": merge(ref(number), m{"revokeReasonId": "1", "revokeRemarks": "x"})}).ok()
	r.call("GetCertificate", get).fails("EMS-973")
	r.call("GetCertificate", m{"orderDetails": ref("1")}).fails("EMS-943")
	r.call("GetCertificate", m{"orderDetails": m{"orderNumber": number}}).fails("EMS-924")
}

func TestV1Revoke(t *testing.T) {
	r := v1Rig(t)
	buy := func(t *testing.T) string {
		return r.on(t).buy(merge(v1Order("www.example.com"), m{"csr": csr(t, newKey(t), "www.example.com")}))
	}
	revoke := func(t *testing.T, number, reason, remarks string) v1Answer {
		return r.on(t).call("RevokeOrder", m{"revocationDetails": merge(ref(number), m{"revokeReasonId": reason, "revokeRemarks": remarks})})
	}
	for id, name := range map[string]string{
		"1": "key-compromise", "3": "affiliation-changed", "4": "superseded", "5": "cessation-of-operation", "9": "privilege-withdrawn",
	} {
		t.Run("reason "+id, func(t *testing.T) {
			number := buy(t)
			revoke(t, number, id, "no longer needed").ok()
			v := r.on(t).tracked(number)["revocationDetails"].(m)
			require.Equal(t, "2", v["revokeRequestStatusId"])
			require.Equal(t, "Certificate Revoked", v["revokeRequestStatus"])
			require.Equal(t, id, v["revokeReasonId"])
			require.NotEmpty(t, v["revokeProcessedDate"])
			o, _ := r.srv.Order(number)
			require.Equal(t, name, o.RevokeReason)
			require.Equal(t, "no longer needed", o.RevokeNote)
			revoke(t, number, id, "again").fails("EMS-973")
		})
	}
	number := buy(t)
	for name, c := range map[string]struct{ number, reason, remarks, code string }{
		"reason 0":                {number, "0", "x", "EMS-970"},
		"reason 2":                {number, "2", "x", "EMS-970"},
		"reason 6":                {number, "6", "x", "EMS-970"},
		"the name of a reason":    {number, "superseded", "x", "EMS-970"},
		"no reason":               {number, "", "x", "EMS-969"},
		"no remarks":              {number, "4", " ", "EMS-971"},
		"a semicolon":             {number, "4", "a; b", "EMS-1213"},
		"an unknown order":        {"1", "4", "x", "EMS-943"},
		"an order without a leaf": {r.buy(v1Order("www.example.com")), "4", "x", "EMS-946"},
		"a request number":        {r.srv.Orders()[0].RequestID, "4", "x", "EMS-943"},
	} {
		t.Run(name, func(t *testing.T) { revoke(t, c.number, c.reason, c.remarks).fails(c.code) })
	}
	require.Equal(t, "issued", r.status(number))
}

// A draft has a request number only: by that it is tracked, and is given its CSR.
func TestV1DraftIsKnownByItsRequestNumber(t *testing.T) {
	for _, d := range []certinexttest.Dialect{certinexttest.Live, certinexttest.Documented} {
		r := newRig(t, verified(d))
		order := v1Order("www.example.com")
		draft := r.call("GenerateOrderSSL", m{"orderDetails": merge(order, m{"saveAndHold": "1"})}).block("orderDetails")["requestNumber"].(string)
		byRequest := m{"orderDetails": m{"requestNumber": draft}}
		v := r.call("TrackOrder", byRequest).block("orderDetails")
		require.Equal(t, "7", v["orderStatusId"])
		require.Equal(t, "On Hold", v["orderStatus"])
		require.Equal(t, "0", v["csr"])

		submit := func(number, text string) m {
			return m{"orderDetails": m{"requestNumber": number, "requestorEmail": "platform@example.com", "csr": text}}
		}
		request := csr(t, newKey(t), "www.example.com")
		r.call("SubmitCSR", submit(draft, csr(t, newKey(t), "a.example.com"))).fails("EMS-1056")
		r.call("SubmitCSR", submit(draft, request)).ok()
		r.call("SubmitCSR", submit(draft, request)).fails("EMS-1068")
		require.Equal(t, "1", r.call("TrackOrder", byRequest).block("orderDetails")["csr"])

		number := r.buy(merge(order, m{"requestNumber": draft}))
		v = r.call("TrackOrder", byRequest).block("orderDetails")
		require.Equal(t, "6", v["orderStatusId"], "the order has the CSR of the draft, and the number still names it")
		require.Equal(t, v, r.tracked(number))

		r.call("TrackOrder", m{"orderDetails": m{"requestNumber": "1"}}).fails("EMS-1005")
		r.call("TrackOrder", m{"orderDetails": m{}}).fails("EMS-942")
		r.call("TrackOrder", m{"orderDetails": m{"orderNumber": draft}}).fails("EMS-943")
		r.call("SubmitCSR", submit("1", request)).fails("EMS-1005")
	}
}
