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
)

// sentBody returns the JSON that was sent last.
func sentBody(t *testing.T, g *rig) map[string]any {
	t.Helper()
	calls := g.sentCalls()
	require.NotEmpty(t, calls)
	var body map[string]any
	require.NoError(t, json.Unmarshal([]byte(calls[len(calls)-1].body), &body))
	return body
}

func TestQuirk11DefaultsThatCostMoneyAreSentExplicitly(t *testing.T) {
	g, c := newRig(always(201, createdBody))
	_, err := c.CreateOrder(t.Context(), dvOrder())
	require.NoError(t, err)
	body := sentBody(t, g)
	assert.Equal(t, map[string]any{"domain": "host.example.com", "autoSecureWww": false}, body["certificate"])
	assert.Equal(t, map[string]any{"validityYears": 1.0, "autoRenew": false}, body["subscription"])

	r := dvOrder()
	r.AutoSecureWWW, r.AutoRenew, r.ValidityYears = true, true, 2
	_, err = c.CreateOrder(t.Context(), r)
	require.NoError(t, err)
	assert.Equal(t, true, sentBody(t, g)["certificate"].(map[string]any)["autoSecureWww"])
	assert.Equal(t, map[string]any{"validityYears": 2.0, "autoRenew": true}, sentBody(t, g)["subscription"])
}

func TestCreateRefusesWhatCannotSucceed(t *testing.T) {
	edit := func(f func(*certinext.OrderRequest)) certinext.OrderRequest {
		r := dvOrder()
		f(&r)
		return r
	}
	for name, tc := range map[string]struct {
		request certinext.OrderRequest
		field   string
	}{
		"no family":                      {edit(func(r *certinext.OrderRequest) { r.Family = "" }), "Family"},
		"no product":                     {edit(func(r *certinext.OrderRequest) { r.ProductCode = "" }), "ProductCode"},
		"a product that breaks a header": {edit(func(r *certinext.OrderRequest) { r.ProductCode = "1\r\nX: 1" }), "ProductCode"},
		"no variant":                     {edit(func(r *certinext.OrderRequest) { r.Variant = "" }), "Variant"},
		"no requestor":                   {edit(func(r *certinext.OrderRequest) { r.Requestor.Name = " " }), "Requestor.Name"},
		"no address":                     {edit(func(r *certinext.OrderRequest) { r.Requestor.Email = "" }), "Requestor.Email"},
		"no domain":                      {edit(func(r *certinext.OrderRequest) { r.Domain = "" }), "Domain"},
		"quirk 12: OV without organization": {
			edit(func(r *certinext.OrderRequest) { r.Variant = "ov" }), "Organization",
		},
		"quirk 12: EV without organization": {
			edit(func(r *certinext.OrderRequest) { r.Variant = "EV-ucc" }), "Organization",
		},
		"quirk 12: OV with an empty organization": {
			edit(func(r *certinext.OrderRequest) { r.Variant, r.Organization = "ov", &certinext.OrganizationRef{} }),
			"Organization.Number",
		},
		"quirk 46: an IP address": {
			edit(func(r *certinext.OrderRequest) { r.AdditionalDomains = []string{"a.example.com", "192.0.2.1"} }), "AdditionalDomains",
		},
		"quirk 46: an IPv6 address": {edit(func(r *certinext.OrderRequest) { r.Domain = "2001:db8::1" }), "Domain"},
		"quirk 46: a mail address": {
			edit(func(r *certinext.OrderRequest) { r.AdditionalDomains = []string{"ops@example.com"} }), "AdditionalDomains",
		},
		"quirk 46: a URL":          {edit(func(r *certinext.OrderRequest) { r.Domain = "https://example.com" }), "Domain"},
		"a name in Unicode":        {edit(func(r *certinext.OrderRequest) { r.Domain = "bücher.example" }), "Domain"},
		"a wildcard in the middle": {edit(func(r *certinext.OrderRequest) { r.Domain = "a.*.example.com" }), "Domain"},
		"an empty label":           {edit(func(r *certinext.OrderRequest) { r.Domain = "a..example.com" }), "Domain"},
		"a label too long":         {edit(func(r *certinext.OrderRequest) { r.Domain = strings.Repeat("a", 64) + ".example" }), "Domain"},
		"a name too long":          {edit(func(r *certinext.OrderRequest) { r.Domain = strings.Repeat("a.", 130) + "example" }), "Domain"},
		"a label with a dash":      {edit(func(r *certinext.OrderRequest) { r.Domain = "-a.example" }), "Domain"},
		"a key that breaks a header": {
			edit(func(r *certinext.OrderRequest) { r.IdempotencyKey = "a\nb" }), "IdempotencyKey",
		},
		"extra that is not JSON": {
			edit(func(r *certinext.OrderRequest) { r.Extra = map[string]any{"f": func() {}} }), "Extra[f]",
		},
		"a private PKI draft": {
			edit(func(r *certinext.OrderRequest) { r.Family, r.SaveAsDraft = certinext.FamilyPrivatePKI, true }), "SaveAsDraft",
		},
		"private PKI without a host": {
			edit(func(r *certinext.OrderRequest) { r.Family, r.Domain = certinext.FamilyPrivatePKI, "" }), "Domain",
		},
	} {
		t.Run(name, func(t *testing.T) {
			g, c := newRig(always(201, createdBody))
			_, err := c.CreateOrder(t.Context(), tc.request)
			requireInvalid(t, err, tc.field)
			assert.Empty(t, g.sentCalls())
			assert.Zero(t, g.grantCount(), "nothing is sent, not even for a token")
		})
	}
	t.Run("an organization in Extra will do", func(t *testing.T) {
		_, c := newRig(always(201, createdBody))
		_, err := c.CreateOrder(t.Context(), edit(func(r *certinext.OrderRequest) {
			r.Variant, r.Extra = "ov", map[string]any{"organization": map[string]any{"organizationNumber": "1"}}
		}))
		assert.NoError(t, err)
	})
}

func TestRemarksAreAlwaysSentAndClean(t *testing.T) {
	g, c := newRig(always(201, createdBody))
	for given, want := range map[string]string{
		"":                        "Ordered through the CERTInext API",
		" \n":                     "Ordered through the CERTInext API",
		"a; b\r\nc":               "a, b c",
		strings.Repeat("ü", 1000): strings.Repeat("ü", 499) + "…",
	} {
		r := dvOrder()
		r.Remarks = given
		_, err := c.CreateOrder(t.Context(), r)
		require.NoError(t, err)
		assert.Equal(t, want, sentBody(t, g)["remarks"])
	}
}

func TestExtraLosesAgainstKnownFields(t *testing.T) {
	g, c := newRig(always(201, createdBody))
	r := dvOrder()
	r.Extra = map[string]any{
		"certificate": "loses", "subscription": "loses", "requestor": "loses", "productVariant": "ev", "remarks": "loses",
		"emailNotifications": []string{"ops@example.com"}, "contractSigner": map[string]any{"n": json.Number("1")},
	}
	_, err := c.CreateOrder(t.Context(), r)
	require.NoError(t, err)
	body := sentBody(t, g)
	for _, field := range []string{"certificate", "subscription", "requestor", "remarks"} {
		assert.NotEqual(t, "loses", body[field], field)
	}
	assert.Equal(t, "dv", body["productVariant"])
	assert.Equal(t, []any{"ops@example.com"}, body["emailNotifications"], "what was left out may come from Extra")
	assert.Equal(t, map[string]any{"n": 1.0}, body["contractSigner"])
}

func TestIdempotencyKey(t *testing.T) {
	g, c := newRig(always(201, createdBody))
	r := dvOrder()
	for range 2 {
		_, err := c.CreateOrder(t.Context(), r)
		require.NoError(t, err)
	}
	r.IdempotencyKey = "mine"
	_, err := c.CreateOrder(t.Context(), r)
	require.NoError(t, err)
	calls := g.sentCalls()
	key := func(i int) string { return calls[i].header.Get("Idempotency-Key") }
	assert.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, key(0))
	assert.NotEqual(t, key(0), key(1))
	assert.Equal(t, "mine", key(2))
}

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
			`{"status":["x"],"domain":{},"verifications":"none","subscriberAgreement":[],"revocation":false,"csrSubmitted":"perhaps","createdAt":[],"expiresAt":"soon"}`,
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
