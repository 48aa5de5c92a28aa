// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

func TestV1CreateRefusesWhatCannotSucceed(t *testing.T) {
	for field, change := range map[string]func(*certinext.OrderRequest){
		"Family":          func(r *certinext.OrderRequest) { r.Family = "code-signing" },
		"ProductCode":     func(r *certinext.OrderRequest) { r.ProductCode = "" },
		"Requestor.Email": func(r *certinext.OrderRequest) { r.Requestor.Email = "" },
		"Domain":          func(r *certinext.OrderRequest) { r.Domain = "10.0.0.1" },
		"CAProfileID":     func(r *certinext.OrderRequest) { r.CAProfileID = "1" },
		"MasterProductID": func(r *certinext.OrderRequest) { r.MasterProductID = "1" },
		"AccountingModel": func(r *certinext.OrderRequest) { r.AccountingModel = "barter" },
		"CSR":             func(r *certinext.OrderRequest) { r.Family, r.Variant = certinext.FamilyPrivatePKI, "intranet-ssl" },
		"Subject.Email":   func(r *certinext.OrderRequest) { r.Family, r.Subject = certinext.FamilySMIME, &certinext.Subject{} },
		"Extra[x]":        func(r *certinext.OrderRequest) { r.Extra = map[string]any{"x": func() {}} },
	} {
		g, c := newV1Rig(always(200, createdV1))
		r := dvOrder()
		change(&r)
		_, err := c.CreateOrder(t.Context(), r)
		var invalid *certinext.InvalidRequestError
		require.ErrorAs(t, err, &invalid, field)
		assert.Equal(t, field, invalid.Field)
		assert.False(t, certinext.MayHaveActed(err))
		assert.Empty(t, g.sentCalls())
	}
}

func TestQuirk44SignerIPAndRemarks(t *testing.T) {
	for ip, ok := range map[string]bool{
		"203.0.113.7": true, "2001:db8::7": true, "": false, "127.0.0.1": false, "::1": false, "10.1.2.3": false, "fe80::1": false,
		"fd00::1": false, "0.0.0.0": false, "224.0.0.1": false, "host.example.com": false, "255.255.255.255": false, "169.254.0.1": false,
	} {
		agreement := certinext.Agreement{SignerName: "Platform Team", SignerPlace: "New York", SignerIP: ip, Accepted: true}
		_, c := newV1Rig(byVerb(always(200, createdV1)))
		r := dvOrder()
		r.Agreement = &agreement
		_, err := c.CreateOrder(t.Context(), r)
		assert.Equal(t, ok, err == nil, "%q: %v", ip, err)
		err = c.AcceptAgreement(t.Context(), certinext.FamilySSL, "1", agreement)
		assert.Equal(t, ok, err == nil, "%q: %v", ip, err)
	}
	g, c := newV1Rig(always(200, createdV1))
	for _, remarks := range []string{"", ";;", "one; two\nthree", strings.Repeat("x", 600)} {
		r := dvOrder()
		r.Remarks = remarks
		_, err := c.CreateOrder(t.Context(), r)
		require.NoError(t, err)
	}
	for i, want := range []string{"Ordered through the CERTInext API", ",,", "one, two three", strings.Repeat("x", 499) + "…"} {
		assert.Contains(t, g.sentCalls()[i].body, `"remarks":"`+want+`"`)
	}
}

func TestV1Phones(t *testing.T) {
	for phone, want := range map[string][2]string{
		"+14155550123": {"1", "4155550123"}, "+79161234567": {"7", "9161234567"}, "+442071234567": {"44", "2071234567"},
		"+91 98765-43210": {"91", "9876543210"}, "+353 86 123 4567": {"353", "861234567"}, "+8801712345678": {"880", "1712345678"},
		"+6591234567": {"65", "91234567"}, "+6731234567": {"673", "1234567"}, "+2348012345678": {"234", "8012345678"},
		"+27821234567": {"27", "821234567"}, "5551234567": {"", "5551234567"}, "": {"1", ""}, "+": {"1", ""}, "+4": {"4", ""}, "+1": {"1", ""},
	} {
		g, c := newV1Rig(always(200, createdV1))
		r := dvOrder()
		r.Requestor.Phone = phone
		_, err := c.CreateOrder(t.Context(), r)
		require.NoError(t, err)
		assert.Contains(t, g.sentCalls()[0].body,
			`"requestorIsdCode":"`+want[0]+`","requestorMobileNumber":"`+want[1]+`"`, phone)
	}
}

// trackV1 tracks an order whose orderDetails are these.
func trackV1(t *testing.T, details string) *certinext.Order {
	t.Helper()
	_, c := newV1Rig(always(200, `{"meta":{"status":"1"},"orderDetails":`+details+`}`))
	o, err := c.TrackOrder(t.Context(), certinext.FamilySSL, "1000000001")
	require.NoError(t, err, details)
	return o
}

func TestV1EveryStatusID(t *testing.T) {
	const waits = certinext.StatusUnknown
	certificates := map[int]certinext.Status{
		1: waits, 2: "pending-approval", 3: "pending-documents", 4: waits, 5: "rejected", 6: "pending-approval", 7: waits,
		8: "rejected", 9: "issued", 10: waits, 11: waits, 12: "expired", 13: "cancelled", 14: "rejected", 15: waits,
		16: "pending-approval", 17: waits, 18: "rejected", 19: "rejected", 20: "issued", 21: "rejected", 22: "revoked",
		23: waits, 24: "pending-approval", 25: "pending-approval", 26: waits, 27: "rejected", 28: waits, 0: waits, 99: waits,
	}
	orders := map[int]certinext.Status{
		0: waits, 1: waits, 2: waits, 3: waits, 4: "rejected", 5: "cancelled", 6: "issued", 7: "draft", 8: "pending-approval",
		9: "pending-approval", 10: waits, 99: waits,
	}
	const rest = `"csr":"1","subscriberAgreement":{"status":"1"},"domainVerification":{"status":"0","a.example":{"dcvStatus":"1"}}`
	for id, want := range certificates {
		for _, format := range []string{`{"orderStatusId":"2","certificateStatusId":"%d",%s}`, `{"certificateStatusId":%d,%s}`} {
			details := fmt.Sprintf(format, id, rest)
			assert.Equal(t, want, trackV1(t, details).Status, details)
		}
	}
	for id, want := range orders {
		details := fmt.Sprintf(`{"orderStatusId":"%d",%s}`, id, rest)
		assert.Equal(t, want, trackV1(t, details).Status, details)
	}
	for pair, want := range map[[2]string]certinext.Status{
		{"5", "24"}: "cancelled", {"4", "1"}: "rejected", {"7", "1"}: "draft", // what the order has come to
		{"5", "20"}: "issued", {"5", "22"}: "revoked", {"4", "12"}: "expired", // what became of the certificate
		{"6", "15"}: waits, {"6", "20"}: "issued", {"8", "1"}: "pending-approval", {"8", "4"}: "pending-approval",
		{"8", "77"}: waits, {"77", "2"}: "pending-approval", {"77", "1"}: waits, {"5", "77"}: "cancelled", {"", ""}: waits,
	} {
		details := fmt.Sprintf(`{"orderStatusId":%q,"certificateStatusId":%q,%s}`, pair[0], pair[1], rest)
		assert.Equal(t, want, trackV1(t, details).Status, details)
	}
}

// TestV1WaitingOrders holds that an order whose ids only say that it waits has the stage that its
// own facts name.
func TestV1WaitingOrders(t *testing.T) {
	const (
		open         = `"domainVerification":{"status":"1","a.example":{"dcvStatus":"1"},"b.example":{"dcvStatus":"0"}}`
		proven       = `"domainVerification":{"status":"0","a.example":{"dcvStatus":"1"}}`
		organization = `"organizationVerification":{"status":"0"}`
		csr          = `"csr":"0"`
		agreement    = `"subscriberAgreement":{"status":"0"}`
	)
	for _, tc := range []struct {
		facts string
		want  certinext.Status
	}{
		{strings.Join([]string{open, organization, csr, agreement}, ","), "pending-dcv"},
		{strings.Join([]string{proven, organization, csr, agreement}, ","), "pending-organization-verification"},
		{strings.Join([]string{proven, csr, agreement}, ","), "pending-csr"},
		{strings.Join([]string{proven, agreement}, ","), "pending-agreement"},
		{`"domainVerification":null,` + csr, "pending-csr"},
		{`"domainVerification":null`, "unknown"},
	} {
		for _, ids := range []string{`"orderStatusId":"1","certificateStatusId":"1"`, `"orderStatusId":"3"`, `"certificateStatusId":"15"`, `"certificateStatusId":"24"`} {
			want := tc.want
			if want == "unknown" && strings.Contains(ids, "24") {
				want = "pending-approval"
			}
			assert.Equal(t, want, trackV1(t, "{"+ids+","+tc.facts+"}").Status, "%s, %s", ids, tc.facts)
		}
		assert.Equal(t, certinext.StatusPendingApproval, trackV1(t, `{"certificateStatusId":"2",`+tc.facts+"}").Status, "the CA says more than the facts")
		for _, unknown := range []string{`"certificateStatusId":"77"`, `"orderStatusId":"77","certificateStatusId":"1"`} {
			assert.Equal(t, certinext.StatusUnknown, trackV1(t, "{"+unknown+","+tc.facts+"}").Status, "an unknown id waits for nothing known")
		}
	}
}

func TestV1TrackIsTolerant(t *testing.T) {
	for _, details := range []string{
		`{}`, `{"domainVerification":""}`, `{"domainVerification":[]}`, `{"domainVerification":{"status":"0"}}`,
		`{"orderStatusId":null,"csr":null,"subscriberAgreement":[],"revocationDetails":""}`,
	} {
		o := trackV1(t, details)
		assert.Empty(t, o.ID, "the answer is not bound to the call")
		assert.Equal(t, certinext.StatusUnknown, o.Status)
		assert.Empty(t, o.Domains)
		assert.Nil(t, o.Revocation)
		assert.Nil(t, o.AgreementSigned)
	}
	o := trackV1(t, `{"domainVerification":{"b.example":{"dcvStatus":1,"caaStatus":2,"status":3,"dcvMethod":"HTTP URL / HTTPS URL"},
		"status":{"dcvStatus":"2","dcvMethod":"Email based verification"},"a.example":{"dcvStatus":"new","dcvMethod":"1"},"x":"1"},
		"revocationDetails":{"revokeRequestStatusId":"3","revokeReasonId":"1"},"certificateStatusId":20}`)
	assert.Equal(t, []certinext.DomainVerification{
		{Domain: "a.example", DCVMethod: "dns-txt", DCVStatus: "new"},
		{Domain: "b.example", Status: "EXPIRED", DCVMethod: "http-url", DCVStatus: "VERIFIED", CAAStatus: "FAILED"},
		{Domain: "status", DCVMethod: "email", DCVStatus: "REJECTED"},
	}, o.Domains)
	assert.Nil(t, o.Revocation, "a request to revoke that was rejected")
	assert.Equal(t, "Certificate Generated", o.CertificateState, "the words are left out of some answers")

	for _, body := range []string{`{"meta":{"status":"1"}}`, `{"meta":{"status":"1"},"orderDetails":[]}`} {
		_, c := newV1Rig(always(200, body))
		_, err := c.TrackOrder(t.Context(), certinext.FamilySSL, "1")
		require.Error(t, err, body)
	}
}

func TestV1IDsAndFamilies(t *testing.T) {
	g, c := newV1Rig(always(200, trackedV1))
	for _, id := range []string{"", "..", "1/2", "1\n", strings.Repeat("1", 65)} {
		_, err := c.TrackOrder(t.Context(), certinext.FamilySSL, id)
		require.Error(t, err)
		require.Error(t, c.CancelOrder(t.Context(), certinext.FamilySSL, id, ""))
		require.Error(t, c.CancelDraft(t.Context(), id, ""))
		require.Error(t, c.SubmitCSR(t.Context(), certinext.FamilySSL, id, "csr", false))
	}
	_, err := c.TrackOrder(t.Context(), "code-signing", "1")
	require.Error(t, err)
	assert.Empty(t, g.sentCalls())
	for _, f := range []certinext.Family{certinext.FamilySSL, certinext.FamilyPrivatePKI, certinext.FamilySignature, certinext.FamilySMIME} {
		_, err := c.TrackOrder(t.Context(), f, "1")
		require.NoError(t, err)
	}
}

func TestQuirk20DCVIsNotReadyAtFirst(t *testing.T) {
	_, c := newV1Rig(byVerb(always(200, refusalV1("EMS-956", "Invalid Request for this API."))))
	_, err := c.DCVChallenge(t.Context(), "1", "host.example.com", certinext.DCVMethodDNS)
	assert.True(t, certinext.IsDCVNotReady(err))
	assert.True(t, certinext.HasStatus(err, 422))
	err = c.VerifyDCV(t.Context(), "1", "host.example.com", certinext.DCVMethodDNS)
	assert.True(t, certinext.IsDCVNotReady(err))
	assert.False(t, certinext.IsVerifying(err))

	_, c = newV1Rig(byVerb(always(200, refusalV1("EMS-1080", "Domain is already verified."))))
	ch, err := c.DCVChallenge(t.Context(), "1", "host.example.com", certinext.DCVMethodDNS)
	require.NoError(t, err)
	assert.True(t, ch.AlreadyVerified)
	assert.False(t, certinext.IsDCVNotReady(err))
	require.NoError(t, c.VerifyDCV(t.Context(), "1", "host.example.com", certinext.DCVMethodDNS))
}

func TestV1VerifyTracksOnce(t *testing.T) {
	domain := func(name, status string) string {
		return fmt.Sprintf(`{"meta":{"status":"1"},"orderDetails":{"certificateStatusId":"24",
			"requestorInformation":{"requestorEmail":"ops@example.com"},"domainVerification":{%q:{"dcvStatus":%q}}}}`, name, status)
	}
	for name, tc := range map[string]struct {
		after     func(int, sent) (*http.Response, error)
		domain    string
		ok        bool
		verifying bool
	}{
		"verified":                  {always(200, domain("host.example.com", "1")), "host.example.com", true, false},
		"verified for the wildcard": {always(200, domain("example.com", "1")), "*.example.com", true, false},
		"another domain is":         {always(200, domain("other.example.com", "1")), "host.example.com", false, true},
		"not yet":                   {always(200, domain("host.example.com", "0")), "host.example.com", false, true},
		"rejected":                  {always(200, domain("host.example.com", "2")), "host.example.com", false, false},
		"no word of it":             {always(200, trackedV1), "host.example.com", false, true},
		"issued meanwhile":          {always(200, `{"meta":{"status":"1"},"orderDetails":{"certificateStatusId":"20"}}`), "host.example.com", true, false},
		"tracking is lost":          {broken, "host.example.com", false, true},
	} {
		t.Run(name, func(t *testing.T) {
			g, c := newV1Rig(inTurn(always(200, domain("host.example.com", "0")), always(200, successV1), tc.after))
			c.Retries = -1
			err := c.VerifyDCV(t.Context(), "1", tc.domain, certinext.DCVMethodDNS)
			assert.Equal(t, tc.ok, err == nil, "%v", err)
			assert.Equal(t, tc.verifying, certinext.IsVerifying(err), "%v", err)
			if err != nil {
				assert.True(t, certinext.HasStatus(err, 422), "as version 2 answers it")
			}
			require.Len(t, g.sentCalls(), 3)
			assert.True(t, strings.HasSuffix(g.sentCalls()[2].path, "/TrackOrder"))
		})
	}
	_, c := newV1Rig(byVerb(always(200, refusalV1("EMS-1077", "No valid TXT record found for the domain."))))
	assert.True(t, certinext.IsVerifying(c.VerifyDCV(t.Context(), "1", "host.example.com", certinext.DCVMethodDNS)))
	_, c = newRig(always(422, `{"detail":"no record","diagnostics":{"failureClass":"RECORD_MISSING"}}`))
	assert.True(t, certinext.IsVerifying(c.VerifyDCV(t.Context(), "1", "host.example.com", certinext.DCVMethodDNS)), "version 2")
	_, c = newRig(always(200, `{"overallStatus":"PENDING"}`))
	assert.True(t, certinext.IsVerifying(c.VerifyDCV(t.Context(), "1", "host.example.com", certinext.DCVMethodDNS)), "version 2")
	_, c = newRig(always(200, `{"overallStatus":"FAILED"}`))
	assert.False(t, certinext.IsVerifying(c.VerifyDCV(t.Context(), "1", "host.example.com", certinext.DCVMethodDNS)))
	_, c = newRig(always(422, `{"detail":"no"}`))
	assert.False(t, certinext.IsVerifying(c.VerifyDCV(t.Context(), "1", "host.example.com", certinext.DCVMethodDNS)))
}

func TestV1RevocationReasons(t *testing.T) {
	numbers := map[certinext.Reason]string{
		"key-compromise": "1", "affiliation-changed": "3", "superseded": "4", "cessation-of-operation": "5", "privilege-withdrawn": "9",
	}
	for _, f := range []certinext.Family{certinext.FamilySSL, certinext.FamilyPrivatePKI, certinext.FamilySignature, certinext.FamilySMIME} {
		for number := range 11 {
			reason, err := certinext.ParseReason(strconv.Itoa(number))
			if err != nil {
				continue // 7 and 8 are no reasons
			}
			g, c := newV1Rig(byVerb(always(200, successV1)))
			sent, err := c.RevokeOrder(t.Context(), f, "1", certinext.RevokeRequest{Reason: reason})
			if numbers[reason] == "" {
				var unsupported *certinext.UnsupportedReasonError
				require.ErrorAs(t, err, &unsupported)
				assert.Len(t, unsupported.Supported, 5)
				assert.Empty(t, g.sentCalls(), "%s", reason)
				continue
			}
			require.NoError(t, err)
			assert.Equal(t, reason, sent)
			assert.Contains(t, g.sentCalls()[1].body, `"revokeReasonId":"`+numbers[reason]+`"`)
		}
	}
	t.Run("what is revoked already is a success", func(t *testing.T) {
		revoked := `{"meta":{"status":"1"},"orderDetails":{"certificateStatusId":"22","revocationDetails":{"revokeReasonId":"1"},
			"requestorInformation":{"requestorEmail":"ops@example.com"}}}`
		_, c := newV1Rig(inTurn(always(200, revoked), always(200, refusalV1("EMS-973", "Certificate already Revoked.")), repeating(revoked)))
		sent, err := c.RevokeOrder(t.Context(), certinext.FamilySSL, "1", certinext.RevokeRequest{Reason: certinext.ReasonSuperseded})
		require.NoError(t, err)
		assert.Equal(t, certinext.ReasonKeyCompromise, sent)
	})
	t.Run("but not by an answer to somebody else's call", func(t *testing.T) {
		revoked := `{"meta":{"status":"1","txn":"vp0123456789"},"orderDetails":{"certificateStatusId":"22",
			"requestorInformation":{"requestorEmail":"ops@example.com"}}}`
		_, c := newV1Rig(inTurn(always(200, revoked), always(200, refusalV1("EMS-973", "Certificate already Revoked.")), always(200, revoked)))
		_, err := c.RevokeOrder(t.Context(), certinext.FamilySSL, "1", certinext.RevokeRequest{Reason: certinext.ReasonSuperseded})
		assert.True(t, certinext.HasCode(err, "EMS-973"), "%v", err)
	})
}

func TestV1CertificateIsNotReady(t *testing.T) {
	for name, body := range map[string]string{
		"empty strings":           `{"meta":{"status":"1"},"certificateDetails":{"endEntityCertificate":""}}`,
		"no details":              successV1,
		"still being processed":   refusalV1("EMS-946", "Certificate Request still being processed."),
		"a certificate not there": refusalV1("EMS-915", "Invalid Certificate ID."),
	} {
		_, c := newV1Rig(byVerb(always(200, body)))
		_, err := c.Certificate(t.Context(), certinext.FamilySSL, "1")
		assert.True(t, certinext.IsNotReady(err), name)
		_, err = c.CertificatePEM(t.Context(), certinext.FamilySSL, "1")
		assert.True(t, certinext.IsNotReady(err), name)
	}
}
