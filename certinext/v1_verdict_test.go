// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

func TestV1CreatesAreSentOnce(t *testing.T) {
	for name, answer := range map[string]func(int, sent) (*http.Response, error){
		"a lost answer":            broken,
		"a 503":                    always(503, ``),
		"a real 429":               always(429, ``),
		"EMS-939":                  always(200, refusalV1("EMS-939", "Unknown error.")),
		"a server's failure":       always(200, refusalV1("EMS-937", "DB Connectivity Error.")),
		"a repeated transaction":   always(200, refusalV1("EMS-947", "Duplicate request Txn.")),
		"a refusal":                always(200, refusalV1("EMS-918", "Additional Information cannot be empty.")),
		"words that nobody knows":  always(200, refusalV1("", "Please try again")),
		"no verdict":               always(200, `{"orderDetails":{"orderNumber":"1"}}`),
		"a verdict of its own":     always(200, `{"meta":{"status":"2"},"orderDetails":{"orderNumber":"1"}}`),
		"success without an order": always(200, successV1),
		"a page":                   always(200, `<html><title>Bad Gateway</title></html>`),
		"nothing":                  always(200, ``),
	} {
		t.Run(name, func(t *testing.T) {
			g, c := newV1Rig(answer)
			_, err := c.CreateOrder(t.Context(), dvOrder())
			e := asErr(t, err)
			assert.Equal(t, name != "a refusal", e.Acted, "%v", err)
			assert.Equal(t, e.Acted, certinext.MayHaveActed(err))
			assert.Len(t, g.sentCalls(), 1)
		})
	}
}

// everyV1 lists the verbs that change something, beside the create.
var everyV1 = map[string]func(context.Context, *certinext.Client) error{
	"csr": every["csr"], "cancel": every["cancel"], "cancel draft": every["cancel draft"], "revoke": every["revoke"],
	"verify": every["verify"],
	"agreement": func(ctx context.Context, c *certinext.Client) error {
		return c.AcceptAgreement(ctx, certinext.FamilySSL, "1", certinext.Agreement{Accepted: true, SignerIP: "203.0.113.7"})
	},
	"documents": func(ctx context.Context, c *certinext.Client) error {
		return c.SubmitDocuments(ctx, certinext.FamilySSL, "1", []certinext.Document{{FileName: "x.pdf", Content: []byte("%PDF")}})
	},
}

func TestQuirk43FailuresComeWithStatus200(t *testing.T) {
	for code, want := range map[string]struct {
		status int
		acted  bool
	}{
		"EMS-913": {404, false}, "EMS-943": {404, false}, "EMS-1197": {404, false}, "EMS-1040": {404, false},
		"EMS-1082": {422, false}, "EMS-984": {422, false}, "EMS-1099": {422, false}, "EMS-918": {422, false},
		"EMS-1091": {422, false}, "EMS-1162": {422, false}, "EMS-1269": {422, false}, "EMS-970": {422, false},
		"EMS-4711": {422, true}, "out of words": {422, true}, // nobody knows what they leave behind
		"EMS-1065": {401, false}, "EMS-2037": {401, false}, "EMS-1155": {401, false}, "EMS-2022": {403, false},
		"EMS-939": {500, true}, "EMS-937": {500, true}, "EMS-976": {500, true}, "EMS-947": {409, true}, "EMS-972": {409, true},
	} {
		for name, call := range everyV1 {
			_, c := newV1Rig(byVerb(always(200, refusalV1(code, "words"))))
			c.Retries = -1
			err := call(t.Context(), c)
			e := asErr(t, err)
			assert.True(t, certinext.HasStatus(err, want.status), "%s, %s: %v", name, code, e.Status)
			assert.True(t, certinext.HasCode(err, code), "%s, %s: %s", name, code, e.Code)
			assert.Equal(t, want.acted, certinext.MayHaveActed(err), "%s, %s", name, code)
			assert.Equal(t, "words", e.Detail)
			assert.NotRegexp(t, `\b(200|40\d|422|500)\b`, err.Error(), "no HTTP status told of it")
		}
		_, c := newV1Rig(always(200, refusalV1(code, "words")))
		c.Retries = -1
		_, err := c.TrackOrder(t.Context(), certinext.FamilySSL, "1")
		assert.False(t, certinext.MayHaveActed(err), "tracking changes nothing, %s", code)
	}
	for text, acted := range map[string]bool{
		"Invalid key size": false, "Insufficient Credits. Please contact your Account Administrator": false,
		"Something is wrong": true, "": true, "The order has an Invalid key size": true, "No records found.": true,
	} {
		_, c := newV1Rig(always(200, refusalV1("", text)))
		_, err := c.CreateOrder(t.Context(), dvOrder())
		assert.Equal(t, acted, certinext.MayHaveActed(err), text)
		assert.Equal(t, !acted, certinext.HasStatus(err, 422), text)
	}
	t.Run("an account that is not known is no order that is not known", func(t *testing.T) {
		_, c := newV1Rig(always(200, refusalV1("EMS-913", "Invalid Account Number.")))
		_, err := c.Me(t.Context())
		assert.True(t, certinext.HasStatus(err, 401))
		assert.NotEmpty(t, asErr(t, err).Hint)
	})
	t.Run("an HTTP status is told as it came", func(t *testing.T) {
		_, c := newV1Rig(always(415, `{"meta":{"status":"0","errorCode":"EMS-901","errorMessage":"Invalid Request."}}`))
		_, err := c.Me(t.Context())
		assert.Contains(t, err.Error(), "answered 415 EMS-901: Invalid Request.")
	})
}

func TestV1ChangesWithoutAVerdictMayHaveActed(t *testing.T) {
	for _, body := range []string{``, `{}`, `{"meta":{}}`, `{"meta":"1"}`, `[]`, `{"meta":{"status":"1"`, `<html>`} {
		for name, call := range everyV1 {
			_, c := newV1Rig(byVerb(always(200, body)))
			err := call(t.Context(), c)
			assert.True(t, certinext.MayHaveActed(err), "%s, %s", name, body)
			assert.Error(t, err, "%s, %s", name, body)
		}
	}
	for name, call := range everyV1 {
		_, c := newV1Rig(byVerb(func(int, sent) (*http.Response, error) {
			res := response(200, ``)
			res.Body = brokenBody{}
			return res, nil
		}))
		err := call(t.Context(), c)
		assert.True(t, certinext.MayHaveActed(err), "%s: the success stood in the body that broke off", name)
	}
}
