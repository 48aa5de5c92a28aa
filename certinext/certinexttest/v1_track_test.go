// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

func TestV1TrackOfAnIssuedOrder(t *testing.T) {
	c := newClock()
	r := newRig(t, &certinexttest.Server{Now: c.now, VerifiedDomains: []string{"example.com"}})
	number := r.buy(merge(v1Order("www.example.com"), m{"csr": csr(t, newKey(t), "www.example.com")}))
	v := r.tracked(number)
	require.Equal(t, "6", v["orderStatusId"])
	require.Equal(t, "Order Fulfilled", v["orderStatus"])
	require.Equal(t, "20", v["certificateStatusId"])
	require.Equal(t, "Certificate Generated", v["certificateStatus"])
	require.Equal(t, "2026-11-27 12:59:59", v["certificateExpiryDate"], "UTC, without a zone")
	require.Equal(t, "1", v["csr"])
	require.Equal(t, m{
		"status": "1",
		"www.example.com": m{
			"dcvMethod": "DNS TXT Record", "dcvStatus": "1", "status": "1", "verifiedDate": "2026-05-12 13:00:00", "caaStatus": "1",
		},
	}, v["domainVerification"])
	require.Equal(t, m{
		"status": "1", "signerName": "Platform Team", "signedDate": "2026-05-12 13:00:00", "signedPlace": "New York",
		"consentStatus": "0", "consentSentTo": "platform@example.com",
	}, v["subscriberAgreement"])
	require.Nil(t, v["organizationVerification"])
	requestor := v["requestorInformation"].(m)
	require.Equal(t, "Platform Team", requestor["requestorName"])
	require.Equal(t, "14155551234", requestor["requestorMobileNumber"])
	require.Equal(t, m{"revokeRequestStatusId": "", "revokeReasonId": "", "revokeProcessedDate": "", "revokeRequestStatus": ""}, v["revocationDetails"])
}

// TestV1StatusIDs goes through the table of statuses, with version 2 beside it.
func TestV1StatusIDs(t *testing.T) {
	late := newClock()
	request := func(t *testing.T) m { return m{"csr": csr(t, newKey(t), "www.example.com")} }
	cases := map[string]struct {
		srv    *certinexttest.Server
		change func(t *testing.T) m
		then   func(t *testing.T, r *rig, number string)
		ids    string
		status string // of version 2
	}{
		"domain control is open": {nil, func(*testing.T) m { return m{"organizationDetails": nil} }, nil, "2/24", "pending-dcv"},
		"the CSR is missing":     {nil, nil, nil, "2/1", "pending-csr"},
		"the agreement is not signed": {
			nil, func(t *testing.T) m { return m{"csr": request(t)["csr"], "agreementDetails": nil} }, nil, "2/1", "pending-agreement",
		},
		"the organization is not vetted": {
			nil, func(*testing.T) m {
				return m{"productCode": "846", "organizationDetails": m{"preVetting": "1", "organizationNumber": certinexttest.UnvettedOrganization}}
			},
			func(_ *testing.T, r *rig, _ string) { r.srv.VerifyDomain("www.example.com") }, "2/25", "pending-organization-verification",
		},
		"an approver is to act":                {&certinexttest.Server{HoldForApproval: true}, request, nil, "8/2", "pending-approval"},
		"the CA is signing":                    {&certinexttest.Server{IssueDelay: time.Hour}, request, nil, "3/15", "pending-approval"},
		"approved is not issued":               {&certinexttest.Server{PEMLag: time.Hour}, request, nil, "3/15", "issued"},
		"the certificate can be had":           {nil, request, nil, "6/20", "issued"},
		"approved by a person, and not issued": {&certinexttest.Server{HoldForApproval: true, PEMLag: time.Hour}, request, approve, "3/4", "issued"},
		"the certificate was downloaded": {nil, request, func(_ *testing.T, r *rig, number string) {
			r.call("GetCertificate", m{"orderDetails": ref(number)}).ok()
		}, "6/9", "issued"},
		"the certificate is revoked": {nil, request, func(_ *testing.T, r *rig, number string) {
			r.call("RevokeOrder", m{"revocationDetails": merge(ref(number), m{"revokeReasonId": "4", "revokeRemarks": "x"})}).ok()
		}, "6/22", "revoked"},
		"the certificate has expired": {
			&certinexttest.Server{CertificateLifetime: time.Hour, TokenTTL: 24 * time.Hour, Now: late.now}, request,
			func(_ *testing.T, _ *rig, _ string) { late.advance(2 * time.Hour) }, "6/12", "expired",
		},
		"the order was cancelled": {nil, nil, func(_ *testing.T, r *rig, number string) {
			r.call("RejectOrder", m{"orderDetails": m{"orderNumber": number, "rejectRemarks": "x"}}).ok()
		}, "5/13", "cancelled"},
		"the approver refused": {nil, nil, func(t *testing.T, r *rig, number string) { require.NoError(t, r.srv.Reject(number, "x")) }, "4/5", "rejected"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if c.srv == nil {
				c.srv = new(certinexttest.Server)
			}
			c.srv.VerifiedDomains = []string{"example.com"}
			r := newRig(t, c.srv)
			order := v1Order("www.example.com")
			if c.change != nil {
				order = merge(order, c.change(t))
			}
			number := r.buy(order)
			if c.then != nil {
				c.then(t, r, number)
			}
			require.Equal(t, c.ids, r.ids(number))
			require.Equal(t, c.status, r.status(number))
		})
	}
}

func approve(t *testing.T, r *rig, number string) {
	t.Helper()
	require.NoError(t, r.srv.Approve(number))
}

func TestV1AndV2ShareTheBook(t *testing.T) {
	eachDialect(t, func(t *testing.T, d certinexttest.Dialect) {
		r := newRig(t, verified(d))
		id, _ := r.issued("www.example.com")
		require.Equal(t, "6/20", r.ids(id), "an order of version 2 is tracked in version 1")
		v := r.call("GetCertificate", m{"orderDetails": ref(id)}).block("certificateDetails")
		require.Equal(t, r.certificate(id).Raw, leaf(t, v["endEntityCertificate"].(string)).Raw)
		r.call("RevokeOrder", m{"revocationDetails": merge(ref(id), m{"revokeReasonId": "1", "revokeRemarks": "leaked"})}).ok()
		require.Equal(t, "revoked", r.status(id), "and is revoked for both")

		number := r.buy(merge(v1Order("a.example.com"), m{"csr": csr(t, newKey(t), "a.example.com")}))
		require.Equal(t, "issued", r.status(number))
		r.certificate(number)
		require.Equal(t, "6/9", r.ids(number), "a download is a download")
		reason := map[certinexttest.Dialect]string{certinexttest.Live: "cessation-of-operation", certinexttest.Documented: "cessationOfOperation"}[d]
		r.post(sslPath+"/"+number+"/revoke", m{"reason": reason, "note": "x"}).must(204)
		require.Equal(t, "5", r.tracked(number)["revocationDetails"].(m)["revokeReasonId"])
	})
}

func TestV1TracksASigner(t *testing.T) {
	r := newRig(t, new(certinexttest.Server))
	id, _ := r.signer("natural-person", nil)
	require.Equal(t, "2/3", r.ids(id))
	v := r.tracked(id)
	require.Nil(t, v["domainVerification"])
	require.NotNil(t, v["subscriberAgreement"])
	require.NoError(t, r.srv.AddDocuments(id, 1))
	require.Equal(t, "8/2", r.ids(id))
	require.NoError(t, r.srv.Approve(id))
	require.Equal(t, "2/1", r.ids(id), "what is missing is the CSR")
	rows, _ := r.found(m{"orderNumber": id})
	require.Empty(t, rows[0]["domainName"])
	r.call("GetDcv", dcv(id, "example.com", "1")).fails("EMS-956")
}

func TestV1TrackRefusals(t *testing.T) {
	r := v1Rig(t)
	r.buy(v1Order("www.example.com"))
	request := r.srv.Orders()[0].RequestID
	for name, c := range map[string]struct{ number, code string }{
		"an unknown order":          {"1", "EMS-943"},
		"a request number":          {request, "EMS-943"},
		"no order number":           {"", "EMS-942"},
		"an order number of spaces": {"  ", "EMS-942"},
	} {
		t.Run(name, func(t *testing.T) {
			r.on(t).call("TrackOrder", m{"orderDetails": m{"orderNumber": c.number}}).fails(c.code)
		})
	}
}
