// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

func TestTrackIsTolerant(t *testing.T) {
	for name, tc := range map[string]struct {
		body string
		want func(t *testing.T, o *certinext.Order)
	}{
		"an empty object is an order of unknown status": {`{}`, func(t *testing.T, o *certinext.Order) {
			assert.Equal(t, certinext.Order{Status: certinext.StatusUnknown}, *o)
		}},
		"an odd request id is none": {`{"requestId":"a b"}`, func(t *testing.T, o *certinext.Order) {
			assert.Empty(t, o.RequestID)
		}},
		"numbers for ids": {`{"orderId":1000000001,"requestId":2000000001}`, func(t *testing.T, o *certinext.Order) {
			assert.Equal(t, "1000000001", o.ID)
			assert.Equal(t, "2000000001", o.RequestID)
		}},
		"a status in another case": {`{"status":" Pending_CSR "}`, func(t *testing.T, o *certinext.Order) {
			assert.Equal(t, certinext.StatusPendingCSR, o.Status)
		}},
		"a new status is kept": {`{"status":"pending-moon"}`, func(t *testing.T, o *certinext.Order) {
			assert.Equal(t, certinext.Status("pending-moon"), o.Status)
			assert.False(t, o.Status.Known())
			assert.False(t, o.Status.Terminal())
		}},
		"the vetting of a signer is known": {`{"status":"PENDING_VETTING"}`, func(t *testing.T, o *certinext.Order) {
			assert.Equal(t, certinext.StatusPendingVetting, o.Status)
			assert.True(t, o.Status.Known())
			assert.False(t, o.Status.Terminal())
		}},
		"everything of the wrong kind": {
			`{"status":["x"],"domain":{},"verifications":"none","subscriberAgreement":[],"revocation":false,"subscription":"yes","csrSubmitted":"perhaps","createdAt":[],"expiresAt":"soon"}`,
			func(t *testing.T, o *certinext.Order) {
				assert.Equal(t, certinext.Order{Status: certinext.StatusUnknown}, *o)
			},
		},
		"lists of the wrong kind": {
			`{"verifications":{"domain":{"domains":""},"organization":null}}`,
			func(t *testing.T, o *certinext.Order) { assert.Empty(t, o.Domains) },
		},
		"one domain without brackets": {
			`{"verifications":{"domain":{"domains":{"domain":"a.example","dcvStatus":"verified"}}}}`,
			func(t *testing.T, o *certinext.Order) {
				require.Len(t, o.Domains, 1)
				assert.True(t, o.Domains[0].Verified())
			},
		},
		"a time without a zone": {`{"createdAt":"2026-05-12 13:00:00","expiresAt":"2026-07-11T17:01:16+05:30"}`, func(t *testing.T, o *certinext.Order) {
			assert.Equal(t, time.Date(2026, 5, 12, 13, 0, 0, 0, time.UTC), o.CreatedAt)
			assert.Equal(t, time.Date(2026, 7, 11, 11, 31, 16, 0, time.UTC), o.ExpiresAt)
		}},
		"the term that was bought": {`{"subscription":{"validityYears":1,"endDate":"2027-06-11T17:01:17Z","status":"active"}}`, func(t *testing.T, o *certinext.Order) {
			ends := time.Date(2027, 6, 11, 17, 1, 17, 0, time.UTC)
			assert.Equal(t, &certinext.Subscription{EndsAt: ends, Status: "active"}, o.Subscription)
		}},
		"a term that is not told": {`{"subscription":null}`, func(t *testing.T, o *certinext.Order) {
			assert.Nil(t, o.Subscription)
		}},
		"display words are cleaned": {`{"orderState":"a\u0000\u202eb` + strings.Repeat("x", 500) + `"}`, func(t *testing.T, o *certinext.Order) {
			assert.True(t, strings.HasPrefix(o.OrderState, "a bxxx"))
			assert.LessOrEqual(t, len(o.OrderState), 210)
		}},
		"an approver's remark": {`{"status":"rejected","rejectionReason":"no such person"}`, func(t *testing.T, o *certinext.Order) {
			assert.Equal(t, "no such person", o.Remark)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			_, c := newRig(always(200, tc.body))
			o, err := c.TrackOrder(t.Context(), certinext.FamilySSL, "1000000001")
			require.NoError(t, err)
			tc.want(t, o)
		})
	}
	for name, body := range map[string]string{
		"empty": ``, "a list": `[]`, "a string": `"x"`, "garbage": `{`, "null": `null`,
		"another order": `{"orderId":"1000000002","status":"issued"}`, "an id that is none": `{"orderId":"../x"}`,
	} {
		t.Run(name+" is an error", func(t *testing.T) {
			_, c := newRig(always(200, body))
			_, err := c.TrackOrder(t.Context(), certinext.FamilySSL, "1000000001")
			assert.False(t, asErr(t, err).Acted)
		})
	}
}

func TestQuirk18PerDomainStatusDecides(t *testing.T) {
	_, c := newRig(always(200, `{"status":"cancelled","verifications":{"domain":{"status":"PENDING","domains":[
		{"domain":"a.example","dcvStatus":"REJECTED"},{"domain":"b.example","dcvStatus":"VERIFIED"}]}}}`))
	o, err := c.TrackOrder(t.Context(), certinext.FamilySSL, "1")
	require.NoError(t, err)
	assert.False(t, o.Domains[0].Verified())
	assert.True(t, o.Domains[1].Verified())
}

func TestAgreementMustBeAccepted(t *testing.T) {
	g, c := newRig(always(204, ``))
	requireInvalid(t, c.AcceptAgreement(t.Context(), certinext.FamilySSL, "1", certinext.Agreement{SignerName: "x"}), "Agreement.Accepted")
	requireInvalid(t, c.AcceptAgreement(t.Context(), certinext.FamilyPrivatePKI, "1", certinext.Agreement{Accepted: true}), "Family")
	requireInvalid(t, c.SubmitCSR(t.Context(), certinext.FamilySSL, "1", " ", false), "csr")
	assert.Empty(t, g.sentCalls())
}

func TestCancelCountsWhatIsCancelledAlready(t *testing.T) {
	for status, done := range map[certinext.Status]bool{
		certinext.StatusCancelled: true, certinext.StatusIssued: false, certinext.StatusPendingDCV: false,
	} {
		for _, refusal := range []int{404, 409, 422} {
			g, c := newRig(func(_ int, r sent) (*http.Response, error) {
				if r.method == http.MethodGet {
					return response(200, `{"orderId":"1","status":"`+string(status)+`"}`), nil
				}
				return response(refusal, `{"detail":"[EMS-930] Order not in cancellable state"}`), nil
			})
			err := c.CancelOrder(t.Context(), certinext.FamilySSL, "1", "")
			if done {
				assert.NoError(t, err)
			} else {
				assert.True(t, certinext.HasCode(err, "EMS-930"), "%v", err)
			}
			assert.Equal(t, "No longer required", func() any {
				var body map[string]any
				require.NoError(t, json.Unmarshal([]byte(g.sentCalls()[0].body), &body))
				return body["reason"]
			}())
		}
	}
	g, c := newRig(always(500, ``))
	require.Error(t, c.CancelOrder(t.Context(), certinext.FamilySSL, "1", ""))
	assert.Len(t, g.sentCalls(), 1)
}

// Half a domain name is another domain.
func TestADomainNameIsKeptWholeOrNotAtAll(t *testing.T) {
	longest := strings.Repeat("a.", 120) + "example.com" // 251 bytes
	for name, want := range map[string]string{longest: longest, strings.Repeat("a.", 130) + "example.com": ""} {
		_, c := newRig(always(http.StatusOK, `{"orderId":"1000000001","status":"pending-dcv","domain":"`+name+`","verifications":{"domain":{"domains":[{"domain":"`+name+`"}]}}}`))
		o, err := c.TrackOrder(t.Context(), certinext.FamilySSL, "1000000001")
		require.NoError(t, err)
		require.Equal(t, want, o.Domain)
		require.Equal(t, want, o.Domains[0].Domain)
	}
}

// A status comes with the number of its order, or with none; with another's it is an error.
func TestSandboxStatusOfNobodyAndOfAnother(t *testing.T) {
	eachDialect(t, func(t *testing.T, srv *certinexttest.Server) {
		c := sandbox(srv)
		o, err := c.CreateOrder(t.Context(), completeOrder(t, srv))
		require.NoError(t, err)
		truth := track(t, c, certinext.FamilySSL, o.ID)
		assert.Equal(t, o.ID, truth.ID, "every dialect tells whose status it is")

		for _, status := range []certinext.Status{
			certinext.StatusExpired, certinext.StatusCancelled, certinext.StatusRejected, certinext.StatusRevoked,
		} {
			srv.Inject(certinexttest.Fault{Kind: certinexttest.FaultWrongStatus, OrderStatus: string(status), Times: 1})
			lie := track(t, c, certinext.FamilySSL, o.ID)
			assert.Empty(t, lie.ID, "nobody's")
			assert.Equal(t, status, lie.Status)

			srv.Inject(certinexttest.Fault{Kind: certinexttest.FaultOtherOrder, OrderStatus: string(status), Operation: certinexttest.OpTrack, Times: 1})
			lie, err := c.TrackOrder(t.Context(), certinext.FamilySSL, o.ID)
			if srv.Dialect == certinexttest.V1 {
				require.NoError(t, err)
				assert.Empty(t, lie.ID, "the answer to another call")
				continue
			}
			assert.Nil(t, lie)
			assert.ErrorContains(t, err, "about another order")
			assert.False(t, certinext.MayHaveActed(err), "a read changes nothing")
			assert.False(t, certinext.IsRefusal(err), "and nobody refused it")
		}
		assert.Equal(t, truth, track(t, c, certinext.FamilySSL, o.ID))
	})
}

// An order that is neither revoked nor cancelled does not become so by an answer about another one,
// or about none.
func TestSandboxEndsAreNotTakenFromAnother(t *testing.T) {
	for _, kind := range []certinexttest.FaultKind{certinexttest.FaultWrongStatus, certinexttest.FaultOtherOrder} {
		t.Run(string(kind), func(t *testing.T) {
			eachDialect(t, func(t *testing.T, srv *certinexttest.Server) {
				c := sandbox(srv)
				issued, held, draft := changeable(t, srv, c)
				calls := everyChange(t, c, issued, held, draft)
				for op, status := range map[string]string{certinexttest.OpRevoke: "revoked", certinexttest.OpCancel: "cancelled"} {
					srv.Inject(certinexttest.Fault{
						Operation: op, Kind: certinexttest.FaultMiddleman, Times: 1, Status: 404, ContentType: "application/json", Body: `{}`,
					})
					srv.Inject(certinexttest.Fault{Operation: certinexttest.OpTrack, Kind: kind, OrderStatus: status})
					assert.Error(t, calls[op](), op)
					srv.ClearFaults()
				}
			})
		})
	}
}

func TestAnswersAboutAnotherOrder(t *testing.T) {
	const leaf = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----"
	download := func(c *certinext.Client) error {
		_, err := c.Certificate(t.Context(), certinext.FamilySSL, "1")
		return err
	}
	reissue := func(c *certinext.Client) error {
		_, err := c.ReissueOrder(t.Context(), certinext.FamilySSL, "1", certinext.ReissueRequest{CSR: "csr"})
		return err
	}
	promote := func(c *certinext.Client) error {
		r := dvOrder()
		r.RequestID = "2000000001"
		_, err := c.CreateOrder(t.Context(), r)
		return err
	}
	for name, tc := range map[string]struct {
		call  func(*certinext.Client) error
		body  string
		ok    bool
		acted bool
	}{
		"a certificate of nobody's":    {download, `{"certificatePem":` + quote(readFile(t, "leaf.pem")) + `}`, true, false},
		"a certificate of the order's": {download, `{"orderId":"1","certificatePem":` + quote(readFile(t, "leaf.pem")) + `}`, true, false},
		"a certificate of another's":   {download, `{"orderId":"2","certificatePem":` + quote(readFile(t, "leaf.pem")) + `}`, false, false},
		"a certificate of an odd id":   {download, `{"orderId":"../1","certificatePem":` + quote(leaf) + `}`, false, false},
		"a reissue of the order":       {reissue, `{"orderId":"1","requestId":"2000000002","status":"pending-csr"}`, true, false},
		"a reissue of another":         {reissue, `{"orderId":"2","requestId":"2000000002","status":"pending-csr"}`, false, true},
		"a reissue of nobody's":        {reissue, `{"status":"pending-csr"}`, false, true},
		"the draft, promoted":          {promote, `{"orderId":"7","requestId":"2000000001","status":"pending-csr"}`, true, false},
		"a promotion of no draft":      {promote, `{"orderId":"7","status":"pending-csr"}`, true, false},
		"another draft, promoted":      {promote, `{"orderId":"7","requestId":"2000000002","status":"pending-csr"}`, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			_, c := newRig(always(200, tc.body))
			err := tc.call(c)
			if tc.ok {
				require.NoError(t, err)
				return
			}
			assert.Equal(t, tc.acted, asErr(t, err).Acted)
		})
	}
	t.Run("a promotion in version 1", func(t *testing.T) {
		for body, ok := range map[string]bool{
			createdV1: true, `{"meta":{"status":"1"},"orderDetails":{"requestNumber":"2000000002","orderNumber":"1000000001"}}`: false,
		} {
			_, c := newV1Rig(always(200, body))
			err := promote(c)
			assert.Equal(t, ok, err == nil, "%v", err)
			assert.Equal(t, !ok, err != nil && certinext.MayHaveActed(err))
		}
	})
	t.Run("a status in version 1 that names its order", func(t *testing.T) {
		for number, want := range map[string]string{"1": "1", "2": ""} {
			_, c := newV1Rig(always(200, `{"meta":{"status":"1"},"orderDetails":{"orderNumber":"`+number+`","certificateStatusId":"12"}}`))
			o, err := c.TrackOrder(t.Context(), certinext.FamilySSL, "1")
			if want == "" {
				assert.Error(t, err)
				continue
			}
			require.NoError(t, err)
			assert.Equal(t, want, o.ID)
		}
	})
}

// Somebody who looks for an order is not told that there is none by an answer to another call.
func TestV1NothingFoundIsOfThisCall(t *testing.T) {
	const nothing = `{"meta":{"status":"0","errorCode":"","errorMessage":"No records found."}}`
	report := func(body string) error {
		_, c := newV1Rig(always(200, body))
		c.Retries = -1
		_, err := collect(c.OrdersReport(t.Context(), certinext.ReportFilter{}))
		return err
	}
	assert.NoError(t, report(nothing))
	assert.Error(t, report(`{"meta":{"status":"0","txn":"vp0123456789","errorCode":"","errorMessage":"No records found."}}`))
	_, c := newV1Rig(repeating(nothing))
	_, err := collect(c.OrdersReport(t.Context(), certinext.ReportFilter{}))
	assert.NoError(t, err)
}

func quote(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

// Nothing is sent: the client has no way to a server.
func TestReissueRefusesWhatCannotSucceed(t *testing.T) {
	for name, c := range map[string]struct {
		version certinext.APIVersion
		family  certinext.Family
		request certinext.ReissueRequest
		field   string
	}{
		"version 1 has none":         {certinext.V1, certinext.FamilySSL, certinext.ReissueRequest{CSR: "x"}, "Version"},
		"other families have none":   {certinext.V2, certinext.FamilyPrivatePKI, certinext.ReissueRequest{CSR: "x"}, "Family"},
		"there is a new key":         {certinext.V2, certinext.FamilySSL, certinext.ReissueRequest{}, "CSR"},
		"names are DNS names":        {certinext.V2, certinext.FamilySSL, certinext.ReissueRequest{CSR: "x", UpdateNames: true, AdditionalDomains: []string{"192.0.2.1"}}, "AdditionalDomains"},
		"reasons are those of X.509": {certinext.V2, certinext.FamilySSL, certinext.ReissueRequest{CSR: "x", RevokePrevious: true, RevokeReason: "boredom"}, "Reason"},
	} {
		t.Run(name, func(t *testing.T) {
			client := &certinext.Client{
				BaseURL: "https://ca.test", Version: c.version,
				Credentials: certinext.OAuth{ClientID: "1234567890", ClientSecret: "client-secret"},
			}
			_, err := client.ReissueOrder(t.Context(), c.family, "1000000001", c.request)
			var invalid *certinext.InvalidRequestError
			require.ErrorAs(t, err, &invalid)
			require.Equal(t, c.field, invalid.Field)
			require.False(t, certinext.MayHaveActed(err))
		})
	}
}
