// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// v1 is the prefix of version 1.
const v1 = "/emSignHub-API/"

// now is the time that the server's clock shows.
func (r *rig) now() time.Time {
	if r.srv.Now != nil {
		return r.srv.Now()
	}
	return time.Now()
}

// v1Meta is a signed head, with a txn of its own, and changes that come after
// the signature.
func v1Meta(now time.Time, change m) m {
	ts, txn := now.UTC().Format("2006-01-02T15:04:05-07:00"), rand.Text()[:20]
	return merge(m{"ver": "1.0", "ts": ts, "txn": txn, "accountNumber": "1234567890", "authKey": v1Key(ts, txn)}, change)
}

func v1Key(ts, txn string) string {
	sum := sha256.Sum256([]byte("sandbox-access-key" + ts + txn))
	return hex.EncodeToString(sum[:])
}

// call sends a verb of version 1 with a signature and no bearer token.
func (r *rig) call(verb string, body m) v1Answer {
	r.t.Helper()
	a, err := r.tryCall(verb, body)
	require.NoError(r.t, err)
	return a
}

func (r *rig) tryCall(verb string, body m) (v1Answer, error) {
	r.t.Helper()
	body = merge(m{"meta": v1Meta(r.now(), nil)}, body)
	a, err := r.try("POST", v1+verb, toJSON(body), "Authorization", "", "X-Product-Code", "", "Idempotency-Key", "")
	return v1Answer{a}, err
}

// A v1Answer is an answer of version 1.
type v1Answer struct{ answer }

// ok asserts success and returns the whole body.
func (a v1Answer) ok() m {
	a.t.Helper()
	v := a.must(http.StatusOK)
	require.Equal(a.t, "1", v["meta"].(m)["status"], "body: %s", a.body)
	return v
}

// block is a member of a successful answer.
func (a v1Answer) block(name string) m {
	a.t.Helper()
	return a.ok()[name].(m)
}

// fails asserts a failure with the code ("" for words only), and returns the
// words.
func (a v1Answer) fails(code string) string {
	a.t.Helper()
	v := a.must(http.StatusOK)["meta"].(m)
	require.Equal(a.t, "0", v["status"], "body: %s", a.body)
	require.Equal(a.t, code, v["errorCode"], "body: %s", a.body)
	require.NotEmpty(a.t, v["errorMessage"])
	require.NotContains(a.t, v["errorMessage"], "EMS-", "the code has a member of its own")
	return v["errorMessage"].(string)
}

// v1Requestor is somebody who orders.
func v1Requestor() m {
	return m{
		"requestorName": "Platform Team", "requestorIsdCode": "1", "requestorMobileNumber": "4155551234",
		"requestorEmail": "platform@example.com", "requestorDesignation": "Team",
	}
}

// v1Order is the orderDetails of a DV order that re-uses what the default
// organization has validated.
func v1Order(domain string) m {
	return m{
		"productCode": "842", "accountingModel": "2", "saveAndHold": "0", "emailNotifications": "0",
		"requestorInformation":   v1Requestor(),
		"organizationDetails":    m{"preVetting": "1", "organizationNumber": certinexttest.DefaultOrganization},
		"subscriptionDetails":    m{"validity": "1", "autoRenew": "0", "renewCriteria": "30"},
		"certificateInformation": m{"domainName": domain, "autoSecureWWW": "0"},
		"agreementDetails":       v1Agreement(),
		"additionalInformation":  m{"remarks": "test run"},
	}
}

func v1Agreement() m {
	return m{"acceptAgreement": "1", "signerName": "Platform Team", "signerPlace": "New York", "signerIP": "203.0.113.7"}
}

// buy places an SSL order through version 1 and returns its number.
func (r *rig) buy(order m) string {
	r.t.Helper()
	return r.call("GenerateOrderSSL", m{"orderDetails": order}).block("orderDetails")["orderNumber"].(string)
}

// on is r for a subtest.
func (r *rig) on(t *testing.T) *rig {
	t.Helper()
	sub := *r
	sub.t = t
	return &sub
}

// tracked is what TrackOrder says of an order.
func (r *rig) tracked(number string) m {
	r.t.Helper()
	return r.call("TrackOrder", m{"orderDetails": m{"orderNumber": number}}).block("orderDetails")
}

// ids are the two status ids of an order, as "order/certificate".
func (r *rig) ids(number string) string {
	r.t.Helper()
	v := r.tracked(number)
	return fmt.Sprintf("%s/%s", v["orderStatusId"], v["certificateStatusId"])
}

// ref is the block by which most verbs name an order.
func ref(number string) m {
	return m{"orderNumber": number, "requestorEmail": "platform@example.com"}
}

// v1Rig is a rig of the live dialect whose account has validated example.com.
func v1Rig(t *testing.T) *rig {
	t.Helper()
	return newRig(t, verified(certinexttest.Live))
}
