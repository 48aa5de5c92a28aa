// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package main_test

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// v1 calls a verb of version 1, signed with the default access key, and returns the answer.
func (p *process) v1(verb string, body object) object {
	p.t.Helper()
	ts, txn := time.Now().Format("2006-01-02T15:04:05-07:00"), rand.Text()[:20]
	sum := sha256.Sum256([]byte("sandbox-access-key" + ts + txn))
	body["meta"] = object{
		"ver":           "1.0",
		"ts":            ts,
		"txn":           txn,
		"accountNumber": "1234567890",
		"authKey":       hex.EncodeToString(sum[:]),
	}
	status, v := p.call("POST", "/emSignHub-API/"+verb, "", body)
	require.Equal(p.t, http.StatusOK, status)
	return v
}

// code is the error code of an answer, "ok" for a success.
func code(answer object) string {
	meta := answer["meta"].(object)
	if meta["status"] == "1" {
		return "ok"
	}
	return meta["errorCode"].(string)
}

// until repeats a call until it is done.
func until(t *testing.T, done func() bool) {
	t.Helper()
	require.Eventually(t, done, 20*time.Second, 50*time.Millisecond)
}

// The flow of a client with an access key: order with the CSR, wait for the slot, publish, verify,
// wait for the result, fetch, and revoke.
func TestFlowOfVersion1(t *testing.T) {
	records := new(txtRecords)
	p := start(t, "-resolver", records.serve(t), "-issue-delay", "200ms", "-dcv-slot-delay",
		"200ms", "-dcv-challenge-delay", "200ms", "-dcv-result-delay", "200ms")
	require.Equal(t, "ok", code(p.v1("ValidateCredentials", object{})))
	key, csr := request(t, "a.example.com")
	created := p.v1("GenerateOrderSSL", object{"orderDetails": object{
		"productCode":        "842",
		"accountingModel":    "2",
		"saveAndHold":        "0",
		"emailNotifications": "0",
		"csr":                csr,
		"requestorInformation": object{
			"requestorName":         "Platform Team",
			"requestorEmail":        "platform@example.com",
			"requestorIsdCode":      "1",
			"requestorMobileNumber": "4155551234",
		},
		"subscriptionDetails":    object{"validity": "1", "autoRenew": "0", "renewCriteria": "30"},
		"certificateInformation": object{"domainName": "a.example.com", "autoSecureWWW": "0"},
		"agreementDetails": object{
			"acceptAgreement": "1",
			"signerName":      "Platform Team",
			"signerPlace":     "New York",
			"signerIP":        "203.0.113.7",
		},
		"technicalPointOfContact": object{
			"tpcName":         "Platform Team",
			"tpcEmail":        "platform@example.com",
			"tpcIsdCode":      "1",
			"tpcMobileNumber": "4155551234",
		},
		"additionalInformation": object{"remarks": "flow test"},
	}})
	require.Equal(t, "ok", code(created), created)
	number := created["orderDetails"].(object)["orderNumber"].(string)
	track := func() object {
		return p.v1("TrackOrder",
			object{"orderDetails": object{"orderNumber": number}})["orderDetails"].(object)
	}
	dcv := func(verb string) object {
		return p.v1(verb, object{"dcvDetails": object{
			"requestorEmail": "platform@example.com",
			"orderNumber":    number,
			"domainName":     "a.example.com",
			"dcvMethod":      "1",
		}})
	}
	require.Nil(t, track()["domainVerification"])
	require.Equal(t, "EMS-956", code(dcv("GetDcv")))
	until(t, func() bool { return track()["domainVerification"] != nil })
	var challenge object
	until(t, func() bool { challenge = dcv("GetDcv"); return code(challenge) == "ok" })
	records.set("_emsign-validation.a.example.com",
		challenge["dcvDetails"].(object)["token"].(string))
	require.Equal(t, "ok", code(dcv("VerifyDcv")))
	until(t, func() bool {
		return track()["domainVerification"].(object)["a.example.com"].(object)["dcvStatus"] == "1"
	})
	ref := object{"requestorEmail": "platform@example.com", "orderNumber": number}
	var got object
	until(t, func() bool {
		got = p.v1("GetCertificate", object{"orderDetails": ref})
		return code(got) == "ok"
	})
	chain := got["certificateDetails"].(object)
	p.requireCertificate(object{
		"certificatePem": chain["endEntityCertificate"],
		"chainPem":       []any{chain["caCertificate"], chain["rootCertificate"]},
	}, key, "a.example.com")

	revoke := object{
		"requestorEmail": "platform@example.com",
		"orderNumber":    number,
		"revokeReasonId": "5",
		"revokeRemarks":  "test over",
	}
	require.Equal(t, "ok", code(p.v1("RevokeOrder", object{"revocationDetails": revoke})))
	require.Equal(t, "22", track()["certificateStatusId"])
	_, v2 := p.call("GET", sslPath+"/"+number, p.login(), nil)
	require.Equal(t, "revoked", v2["status"], "both versions tell of one order")
}

func TestAccountWithoutOAuth(t *testing.T) {
	p := start(t, "-dialect", "v1")
	require.Contains(t, p.banner, "dialect:     v1")
	require.Contains(t, p.banner, "-access-key")
	require.NotContains(t, p.banner, "secret", "it gets no tokens")
	resp, err := http.PostForm(p.url+"/oauth/token", url.Values{
		"grant_type":    {"client_credentials"},
		"client_id":     {"1234567890"},
		"client_secret": {"sandbox-client-secret"},
	})
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, http.StatusForbidden, resp.StatusCode)
	require.Equal(t, "ok", code(p.v1("ValidateCredentials", object{})))
	require.Equal(t, "ok", code(p.v1("GetProductDetails", object{"productDetails": object{}})))
}
