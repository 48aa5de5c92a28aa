// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

var allReasons = []certinext.Reason{
	certinext.ReasonUnspecified, certinext.ReasonKeyCompromise, certinext.ReasonCACompromise,
	certinext.ReasonAffiliationChanged, certinext.ReasonSuperseded, certinext.ReasonCessationOfOperation,
	certinext.ReasonCertificateHold, certinext.ReasonPrivilegeWithdrawn, certinext.ReasonAACompromise,
}

func TestParseReason(t *testing.T) {
	for want, spellings := range map[certinext.Reason][]string{
		certinext.ReasonUnspecified:          {"unspecified", "Unspecified", "0"},
		certinext.ReasonKeyCompromise:        {"key-compromise", "keyCompromise", "key_compromise", "KEY_COMPROMISE", "1", " 1 "},
		certinext.ReasonCACompromise:         {"ca-compromise", "cACompromise", "caCompromise", "ca_compromise", "2"},
		certinext.ReasonAffiliationChanged:   {"affiliation-changed", "affiliationChanged", "3"},
		certinext.ReasonSuperseded:           {"superseded", "4"},
		certinext.ReasonCessationOfOperation: {"cessation-of-operation", "cessationOfOperation", "cessation_of_operation", "5"},
		certinext.ReasonCertificateHold:      {"certificate-hold", "certificateHold", "6"},
		certinext.ReasonPrivilegeWithdrawn:   {"privilege-withdrawn", "privilegeWithdrawn", "9"},
		certinext.ReasonAACompromise:         {"aa-compromise", "aACompromise", "aa_compromise", "10"},
	} {
		for _, s := range spellings {
			got, err := certinext.ParseReason(s)
			assert.NoError(t, err)
			assert.Equal(t, want, got, s)
		}
	}
	for _, s := range []string{"", "7", "8", "11", "-1", "removeFromCRL", "remove-from-crl", "because", "1.0", "\x00"} {
		_, err := certinext.ParseReason(s)
		var invalid *certinext.InvalidRequestError
		assert.ErrorAs(t, err, &invalid, s)
	}
}

func TestQuirk24ReasonsThatCERTInextCannotExpressAreRefused(t *testing.T) {
	live := certinext.OAuth{ClientID: "1", ClientSecret: testSecret}
	documented := certinext.AccessKey{AccountNumber: "1", AccessKey: testSecret}
	for name, tc := range map[string]struct {
		creds   certinext.Credentials
		family  certinext.Family
		refused []certinext.Reason
	}{
		"live SSL takes five": {live, certinext.FamilySSL, []certinext.Reason{
			certinext.ReasonUnspecified, certinext.ReasonCertificateHold, certinext.ReasonCACompromise, certinext.ReasonAACompromise,
		}},
		"live private PKI takes nine": {live, certinext.FamilyPrivatePKI, nil},
		"documented SSL takes seven": {documented, certinext.FamilySSL, []certinext.Reason{
			certinext.ReasonCertificateHold, certinext.ReasonAACompromise,
		}},
		"documented signature takes six": {documented, certinext.FamilySignature, []certinext.Reason{
			certinext.ReasonCertificateHold, certinext.ReasonAACompromise, certinext.ReasonCACompromise,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, reason := range allReasons {
				g, c := newRig(always(204, ``))
				g.token = nil
				c.Credentials = tc.creds
				sent, err := c.RevokeOrder(t.Context(), tc.family, "1", certinext.RevokeRequest{Reason: reason})
				refused := false
				for _, r := range tc.refused {
					refused = refused || r == reason
				}
				if !refused {
					require.NoError(t, err)
					assert.Equal(t, reason, sent, "the caller's reason is never exchanged")
					continue
				}
				var unsupported *certinext.UnsupportedReasonError
				require.ErrorAs(t, err, &unsupported)
				assert.Equal(t, reason, unsupported.Reason)
				assert.NotContains(t, unsupported.Supported, reason)
				assert.Len(t, unsupported.Supported, len(allReasons)-len(tc.refused))
				assert.ErrorContains(t, err, string(reason))
				assert.False(t, certinext.MayHaveActed(err))
				assert.Empty(t, sent)
				assert.Empty(t, g.sentCalls())
			}
		})
	}
	_, c := newRig(always(204, ``))
	_, err := c.RevokeOrder(t.Context(), certinext.FamilySSL, "1", certinext.RevokeRequest{})
	requireInvalid(t, err, "Reason")
}

// strictReasons takes the spelling alone that it is given, like the live service and the
// documentation do.
func strictReasons(want string) func(int, sent) (*http.Response, error) {
	return func(_ int, r sent) (*http.Response, error) {
		if strings.Contains(r.body, `"`+want+`"`) {
			return response(204, ``), nil
		}
		return refuses(400, "unknown value for reason")(0, r)
	}
}

func TestQuirk24TheOtherSpellingIsTriedOnce(t *testing.T) {
	t.Run("live credentials, documented service", func(t *testing.T) {
		g, c := newRig(strictReasons("keyCompromise"))
		sent, err := c.RevokeOrder(t.Context(), certinext.FamilySSL, "1", certinext.RevokeRequest{Reason: "key_compromise", IdempotencyKey: "mine"})
		require.NoError(t, err)
		assert.Equal(t, certinext.ReasonKeyCompromise, sent)
		calls := g.sentCalls()
		require.Len(t, calls, 2)
		assert.Equal(t, "mine", calls[0].header.Get("Idempotency-Key"))
		assert.NotEqual(t, "mine", calls[1].header.Get("Idempotency-Key"), "one key with two bodies is a conflict")
	})
	t.Run("documented credentials, live service", func(t *testing.T) {
		g, c := newRig(strictReasons("cessation-of-operation"))
		c.Credentials = certinext.AccessKey{AccountNumber: "1", AccessKey: testSecret}
		_, err := c.RevokeOrder(t.Context(), certinext.FamilySSL, "1", certinext.RevokeRequest{Reason: certinext.ReasonCessationOfOperation})
		require.NoError(t, err)
		assert.Len(t, g.sentCalls(), 2)
	})
	t.Run("neither helps: the first refusal is returned", func(t *testing.T) {
		g, c := newRig(inTurn(refuses(400, "first"), refuses(400, "second")))
		_, err := c.RevokeOrder(t.Context(), certinext.FamilySSL, "1", certinext.RevokeRequest{Reason: certinext.ReasonKeyCompromise})
		assert.Equal(t, "first", asErr(t, err).Detail)
		assert.Len(t, g.sentCalls(), 2)
	})
	t.Run("a reason that is spelled alike is sent once", func(t *testing.T) {
		g, c := newRig(refuses(400, "unknown"))
		_, err := c.RevokeOrder(t.Context(), certinext.FamilySSL, "1", certinext.RevokeRequest{Reason: certinext.ReasonSuperseded})
		require.Error(t, err)
		assert.Len(t, g.sentCalls(), 1)
	})
	t.Run("a failure of the second try is told", func(t *testing.T) {
		_, c := newRig(inTurn(refuses(400, "unknown"), always(500, `{"detail":"down"}`)))
		_, err := c.RevokeOrder(t.Context(), certinext.FamilySSL, "1", certinext.RevokeRequest{Reason: certinext.ReasonKeyCompromise})
		assert.True(t, asErr(t, err).Acted)
	})
}

func TestQuirk26RevokeRefusalsAreDisambiguated(t *testing.T) {
	const revoked = `{"orderId":"1","status":"revoked","revocation":{"reason":"keyCompromise"}}`
	for name, tc := range map[string]struct {
		refusal int
		track   func(int, sent) (*http.Response, error)
		want    certinext.Reason
		ok      bool
		calls   int
	}{
		"404, and it is revoked":            {404, always(200, revoked), certinext.ReasonKeyCompromise, true, 2},
		"422, and it is revoked":            {422, always(200, revoked), certinext.ReasonKeyCompromise, true, 2},
		"409, and it is revoked":            {409, always(200, revoked), certinext.ReasonKeyCompromise, true, 2},
		"revoked, and nobody says why":      {404, always(200, `{"orderId":"1","status":"revoked"}`), "", true, 2},
		"revoked for a reason of their own": {404, always(200, `{"orderId":"1","status":"revoked","revocation":{"reason":"mood"}}`), "", true, 2},
		"revoked, and nobody says whose":    {404, always(200, `{"status":"revoked"}`), "", false, 2},
		"another one is revoked":            {404, always(200, `{"orderId":"2","status":"revoked"}`), "", false, 2},
		"404, and it is still issued":       {404, always(200, `{"status":"issued"}`), "", false, 2},
		"422, and it is not issued yet":     {422, always(200, `{"status":"pending-dcv"}`), "", false, 2},
		"404, and it is unknown":            {404, always(404, ``), "", false, 2},
		"500 is not looked into":            {500, always(200, revoked), "", false, 1},
		"403 is not looked into":            {403, always(200, revoked), "", false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			g, c := newRig(func(n int, r sent) (*http.Response, error) {
				if r.method == http.MethodGet {
					return tc.track(n, r)
				}
				return response(tc.refusal, `{"detail":"Order not found or not in a revokable state"}`), nil
			})
			sent, err := c.RevokeOrder(t.Context(), certinext.FamilySSL, "1", certinext.RevokeRequest{Reason: certinext.ReasonSuperseded})
			assert.Equal(t, tc.want, sent)
			assert.Len(t, g.sentCalls(), tc.calls)
			if tc.ok {
				assert.NoError(t, err)
				return
			}
			e := asErr(t, err)
			assert.Equal(t, tc.refusal, e.Status, "the first refusal is the reason")
			assert.Equal(t, "revoking certificate", e.Operation)
		})
	}
}

func TestQuirk25NotesAreSanitized(t *testing.T) {
	for given, want := range map[string]string{
		"":                        "Revoked through the CERTInext API",
		"a; b;c":                  "a, b,c",
		"line\r\nbreak\x00 tab\t": "line break tab",
		"fine (1/2), yes.":        "fine (1/2), yes.",
		strings.Repeat("é", 300):  strings.Repeat("é", 199) + "…",
		"\u202eevil":              "evil",
	} {
		g, c := newRig(always(204, ``))
		_, err := c.RevokeOrder(t.Context(), certinext.FamilySSL, "1", certinext.RevokeRequest{Reason: certinext.ReasonSuperseded, Note: given})
		require.NoError(t, err)
		var body struct{ Reason, Note string }
		require.NoError(t, json.Unmarshal([]byte(g.sentCalls()[0].body), &body))
		assert.Equal(t, want, body.Note)
		assert.Equal(t, "superseded", body.Reason, "it is always sent")
	}
}
