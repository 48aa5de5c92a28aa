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

func TestV1FaultsOnCreate(t *testing.T) {
	cases := map[string]struct {
		fault  certinexttest.Fault
		status int // 0 for a transport error
		orders int
		check  func(t *testing.T, a answer)
	}{
		"dropped leaves no order":           {certinexttest.Fault{Kind: certinexttest.FaultDropped}, 0, 0, nil},
		"a lost reply leaves one":           {certinexttest.Fault{Kind: certinexttest.FaultLostReply}, 0, 1, nil},
		"latency only takes time":           {certinexttest.Fault{Kind: certinexttest.FaultLatency, Delay: time.Millisecond}, 200, 1, nil},
		"a slow reply only takes time":      {certinexttest.Fault{Kind: certinexttest.FaultSlowReply, Delay: time.Millisecond}, 200, 1, nil},
		"a server error leaves no order":    {certinexttest.Fault{Kind: certinexttest.FaultServerError}, 503, 0, nil},
		"with a status of its own":          {certinexttest.Fault{Kind: certinexttest.FaultServerError, Status: 500}, 500, 0, nil},
		"a server error after leaves one":   {certinexttest.Fault{Kind: certinexttest.FaultServerErrorAfter, Status: 504}, 504, 1, nil},
		"a meta error leaves no order":      {certinexttest.Fault{Kind: certinexttest.FaultMetaError}, 200, 0, isMetaError},
		"a meta error after leaves one":     {certinexttest.Fault{Kind: certinexttest.FaultMetaErrorAfter}, 200, 1, isMetaError},
		"an HTML page leaves no order":      {certinexttest.Fault{Kind: certinexttest.FaultHTML}, 502, 0, isHTML},
		"a spring error leaves no order":    {certinexttest.Fault{Kind: certinexttest.FaultSpring}, 500, 0, isSpring},
		"token death is nothing to a key":   {certinexttest.Fault{Kind: certinexttest.FaultTokenDeath}, 200, 1, nil},
		"malformed JSON leaves an order":    {certinexttest.Fault{Kind: certinexttest.FaultMalformedJSON}, 200, 1, isNotJSON},
		"a truncated body leaves an order":  {certinexttest.Fault{Kind: certinexttest.FaultTruncated}, 0, 1, nil},
		"an oversized body leaves an order": {certinexttest.Fault{Kind: certinexttest.FaultOversized, Size: 1 << 20}, 200, 1, isLarge},
		"a rate limit gives seconds":        {certinexttest.Fault{Kind: certinexttest.FaultRateLimit, RetryAfter: 7 * time.Second}, 429, 0, retriesIn("7")},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			over(t, func(t *testing.T, r *rig) {
				c.fault.Operation, c.fault.Times = certinexttest.OpCreateSSL, 1
				r.srv.Inject(c.fault)
				a, err := r.tryCall("GenerateOrderSSL", m{"orderDetails": v1Order("www.example.com")})
				require.Len(t, r.srv.Orders(), c.orders)
				require.Equal(t, 1, r.srv.Calls()[certinexttest.OpCreateSSL])
				if c.status == 0 {
					require.Error(t, err)
				} else {
					require.NoError(t, err)
					require.Equal(t, c.status, a.status, "body: %s", a.body)
				}
				if c.check != nil {
					c.check(t, a.answer)
				}
				r.buy(v1Order("www.example.com"))
			})
		})
	}
}

func isMetaError(t *testing.T, a answer) {
	t.Helper()
	v1Answer{a}.fails("EMS-939")
	require.NotEmpty(t, a.must(http.StatusOK)["meta"].(m)["txn"])
	require.Equal(t, "true", a.header.Get("Deprecation"))
}

func TestMetaErrorsPassVersion2By(t *testing.T) {
	r := v1Rig(t)
	r.srv.Inject(certinexttest.Fault{Kind: certinexttest.FaultMetaError, Times: 1})
	r.order(dvOrder("www.example.com"))
	r.call("ValidateCredentials", nil).fails("EMS-939")
	r.call("ValidateCredentials", nil).ok()
	require.Panics(t, func() {
		r.srv.Inject(certinexttest.Fault{Operation: certinexttest.OpReissue, Kind: certinexttest.FaultMetaError})
	}, "version 1 has no such operation")
}

// TestV1OperationsHaveOneName strikes each verb by the name of its operation.
func TestV1OperationsHaveOneName(t *testing.T) {
	for verb, op := range map[string]string{
		"ValidateCredentials": certinexttest.OpMe, "GenerateOrderSSL": certinexttest.OpCreateSSL,
		"GenerateOrderPrivatePKI": certinexttest.OpCreatePrivatePKI, "GenerateOrderSignature": certinexttest.OpCreateSignature,
		"GenerateOrderSMIME": certinexttest.OpCreateSMIME, "SubmitDocument": certinexttest.OpDocuments, "TrackOrder": certinexttest.OpTrack,
		"GetDcv": certinexttest.OpDCV, "VerifyDcv": certinexttest.OpVerifyDCV, "SubmitCSR": certinexttest.OpSubmitCSR,
		"AgreementAcceptance": certinexttest.OpAgreement, "GetCertificate": certinexttest.OpCertificate,
		"RevokeOrder": certinexttest.OpRevoke, "RejectOrder": certinexttest.OpCancel, "RejectRequest": certinexttest.OpCancelDraft,
		"GetOrderReport": certinexttest.OpOrdersReport, "GetLedgerStatementDetails": certinexttest.OpLedger,
		"GetGroupDetails": certinexttest.OpGroups, "GetGroupDetailsV2": certinexttest.OpGroups,
		"GetOrganizationDetails": certinexttest.OpOrganization, "GetDomainDetails": certinexttest.OpDomains,
		"GetProductDetails": certinexttest.OpProducts, "GetFieldDetails": certinexttest.OpCustomFields,
	} {
		t.Run(verb, func(t *testing.T) {
			var before, after []string
			srv := &certinexttest.Server{
				BeforeCall: func(op string, _ *http.Request) { before = append(before, op) },
				AfterCall:  func(op string, _ *http.Request) { after = append(after, op) },
			}
			r := &rig{t: t, srv: srv, http: srv.Client(), base: host}
			srv.Inject(certinexttest.Fault{Operation: op, Kind: certinexttest.FaultMetaErrorAfter, Times: 1})
			r.call(verb, nil).fails("EMS-939")
			require.Equal(t, []string{op}, before)
			require.Equal(t, []string{op}, after)
		})
	}
}

func TestV1RateLimit(t *testing.T) {
	c := newClock()
	srv := &certinexttest.Server{Now: c.now, RateLimit: 1}
	r := &rig{t: t, srv: srv, http: srv.Client(), base: host}
	r.call("ValidateCredentials", nil).ok()
	a := r.call("ValidateCredentials", nil)
	require.Equal(t, http.StatusTooManyRequests, a.status)
	require.Equal(t, "1", a.header.Get("Retry-After"))
	c.advance(time.Second)
	r.call("ValidateCredentials", nil).ok()
}
