// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

func TestQuirk33MixedErrorBodies(t *testing.T) {
	for name, tc := range map[string]struct {
		body, contentType string
		want              certinext.Error
	}{
		"RFC 7807": {
			body: `{"type":"about:blank","title":"Unprocessable Entity","status":422,"detail":"[EMS-1180] Organization Name cannot be empty",
				"errors":[{"field":"organization","message":"must not be null"},{"field":"x"},{},"plain sentence"]}`,
			want: certinext.Error{
				Code: "EMS-1180", Detail: "[EMS-1180] Organization Name cannot be empty",
				Fields: []certinext.FieldError{{Field: "organization", Message: "must not be null"}, {Field: "x"}, {Message: "plain sentence"}},
			},
		},
		"an em dash after the code": {
			body: `{"detail":"EMS-917 — CN mismatch"}`,
			want: certinext.Error{Code: "EMS-917", Detail: "EMS-917 — CN mismatch"},
		},
		"a code with parts":      {body: `{"detail":"[EMS-A1-22] x"}`, want: certinext.Error{Code: "EMS-A1-22", Detail: "[EMS-A1-22] x"}},
		"a domain's code":        {body: `{"title":"DOMAIN-002","detail":"exists"}`, want: certinext.Error{Code: "DOMAIN-002", Detail: "exists"}},
		"the code in the type":   {body: `{"type":"https://api.example/errors/EMS-930","title":"No"}`, want: certinext.Error{Code: "EMS-930", Detail: "No"}},
		"a code by itself":       {body: `{"code":"idempotency_conflict","detail":"Same key"}`, want: certinext.Error{Code: "idempotency_conflict", Detail: "Same key"}},
		"Spring":                 {body: `{"timestamp":"2026","status":404,"error":"Not Found","message":"No such order","path":"/x"}`, want: certinext.Error{Detail: "No such order"}},
		"Spring without message": {body: `{"status":404,"error":"Not Found","path":"/x"}`, want: certinext.Error{Detail: "Not Found"}},
		"version 1": {
			body: `{"meta":{"status":"0","errorCode":"EMS-913","errorMessage":"Invalid"}}`,
			want: certinext.Error{Code: "EMS-913", Detail: "Invalid"},
		},
		"errors by field": {
			body: `{"title":"Bad Request","errors":{"b":"second","a":"first"}}`,
			want: certinext.Error{Detail: "Bad Request", Fields: []certinext.FieldError{{Field: "a", Message: "first"}, {Field: "b", Message: "second"}}},
		},
		"errors of the wrong kind": {body: `{"title":"Bad Request","errors":7}`, want: certinext.Error{
			Detail: "Bad Request", Fields: []certinext.FieldError{{Message: "7"}},
		}},
		"HTML": {
			body: "<html><head><title>502 Bad Gateway\n</title></head><body>" + strings.Repeat("x", 1<<20) + `</body></html>`, contentType: "text/html",
			want: certinext.Error{Detail: `an HTML page titled "502 Bad Gateway" instead of an answer`},
		},
		"HTML that claims to be JSON": {body: " <!doctype html>", want: certinext.Error{Detail: "an HTML page instead of an answer"}},
		"plain text":                  {body: "upstream\r\n\tEMS-1 timed out\x00\x1b[31m", want: certinext.Error{Code: "EMS-1", Detail: "upstream EMS-1 timed out [31m"}},
		"nothing":                     {want: certinext.Error{}},
		"an array":                    {body: `["no"]`, want: certinext.Error{Detail: `["no"]`}},
		"half a document":             {body: `{"detail":"x`, want: certinext.Error{Detail: `{"detail":"x`}},
	} {
		t.Run(name, func(t *testing.T) {
			contentType := tc.contentType
			if contentType == "" {
				contentType = "application/problem+json"
			}
			_, c := newRig(always(422, tc.body, "Content-Type", contentType))
			e := asErr(t, every["me"](t.Context(), c))
			assert.Equal(t, tc.want.Code, e.Code)
			assert.Equal(t, tc.want.Detail, e.Detail)
			assert.Equal(t, tc.want.Fields, e.Fields)
			assert.True(t, strings.HasPrefix(e.Error(), "reading account: CERTInext answered 422"), e.Error())
		})
	}
}

func TestErrorTextIsBoundedAndPrintable(t *testing.T) {
	noise := "\u202eright\u200b-to-left\x07\xff\n" + strings.Repeat("long ", 400)
	body, err := json.Marshal(map[string]any{
		"detail": noise, "code": noise,
		"errors":      []map[string]string{{"field": noise, "message": noise}},
		"diagnostics": map[string]any{"failureClass": noise, "method": noise, "nextSteps": []map[string]string{{"key": noise}}},
	})
	require.NoError(t, err)
	_, c := newRig(always(422, string(body)))
	e := asErr(t, every["verify"](t.Context(), c))
	assert.LessOrEqual(t, utf8.RuneCountInString(e.Detail), 500)
	assert.LessOrEqual(t, utf8.RuneCountInString(e.Fields[0].Message), 200)
	assert.Less(t, len(e.Error()), 3000)
	for _, s := range []string{e.Error(), e.Code, e.Detail, e.Fields[0].Field, e.Diagnostics.FailureClass, e.Diagnostics.NextSteps[0]} {
		assert.NotContains(t, s, "\u202e")
		assert.NotContains(t, s, "\u200b")
		for _, r := range s {
			if !unicode.IsPrint(r) {
				t.Fatalf("unprintable %q in %q", r, s)
			}
		}
	}
	many := `{"title":"x","errors":[` + strings.TrimSuffix(strings.Repeat(`{"field":"f","message":"m"},`, 500), ",") + `]}`
	_, c = newRig(always(400, many))
	assert.Len(t, asErr(t, every["me"](t.Context(), c)).Fields, 20)
}

// TestSecretsAreNeverShown has a server send back whatever it got, in every field and every
// disguise that it could think of, and looks for the secrets in the errors.
func TestSecretsAreNeverShown(t *testing.T) {
	const consent = "5ca1ab1e-consent&token"
	const token = "opaque/bearer+token=0123456789"
	disguises := map[string]func(string) string{
		"as it is":      func(s string) string { return s },
		"URL-escaped":   url.QueryEscape,
		"path-escaped":  url.PathEscape,
		"HTML-escaped":  html.EscapeString,
		"base64":        func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
		"split by NULs": func(s string) string { return s[:4] + "\x00" + s[4:] },
		"in a sentence": func(s string) string { return "You sent (" + s + "), didn't you?" },
		"very late":     func(s string) string { return strings.Repeat("x", 480) + s },
	}
	shapes := map[string]func(string) (string, string){
		"problem": func(s string) (string, string) {
			b, _ := json.Marshal(map[string]any{
				"detail": s, "title": s, "code": s, "errors": []map[string]string{{"field": s, "message": s}},
				"diagnostics": map[string]any{"failureClass": s, "nextSteps": []map[string]string{{"key": s}}},
			})
			return string(b), "application/problem+json"
		},
		"oauth": func(s string) (string, string) {
			b, _ := json.Marshal(map[string]string{"error": s, "error_description": s})
			return string(b), "application/json"
		},
		"legacy": func(s string) (string, string) {
			b, _ := json.Marshal(map[string]any{"meta": map[string]string{"status": "0", "errorCode": s, "errorMessage": s}})
			return string(b), "application/json"
		},
		"plain": func(s string) (string, string) { return s, "text/plain" },
		"html":  func(s string) (string, string) { return "<title>" + s + "</title>", "text/html" },
	}
	secrets := []string{testSecret, consent, token, "the-access-key/+"}
	check := func(t *testing.T, err error) {
		t.Helper()
		e := asErr(t, err)
		all := fmt.Sprintf("%v %+v %#v", err, *e, *e)
		for _, f := range append(e.Fields, certinext.FieldError{}) {
			all += fmt.Sprintf("%#v", f)
		}
		if e.Diagnostics != nil {
			all += fmt.Sprintf("%#v", *e.Diagnostics)
		}
		for _, s := range secrets {
			for how, disguise := range disguises {
				if strings.Contains(all, strings.TrimLeft(disguise(s), "x")) && how != "in a sentence" {
					t.Errorf("%q is shown %s: %s", s, how, all)
				}
			}
			assert.NotContains(t, all, s[:len(s)-1])
		}
	}
	for shape, write := range shapes {
		for how, disguise := range disguises {
			t.Run(shape+" "+how, func(t *testing.T) {
				for _, s := range secrets {
					body, contentType := write(disguise(s))
					g, c := newRig(always(422, body, "Content-Type", contentType))
					g.token = func(int, context.Context) (*http.Response, error) {
						return response(200, grantBody(token, "3600")), nil
					}
					r := dvOrder()
					r.Organization = &certinext.OrganizationRef{Number: "1", ConsentToken: consent}
					if s == "the-access-key/+" {
						c.Credentials = certinext.AccessKey{AccountNumber: "1", AccessKey: certinext.Secret(s)}
					}
					_, err := c.CreateOrder(t.Context(), r)
					check(t, err)

					if s == token || s == consent {
						continue // the token endpoint does not get these
					}
					g.token = func(int, context.Context) (*http.Response, error) {
						return response(400, body, "Content-Type", contentType), nil
					}
					c = &certinext.Client{BaseURL: testBase, Credentials: c.Credentials, HTTPClient: c.HTTPClient}
					_, err = c.Me(t.Context())
					check(t, err)
				}
			})
		}
	}
	t.Run("in a transport's error", func(t *testing.T) {
		_, c := newRig(func(int, sent) (*http.Response, error) {
			return nil, fmt.Errorf("malformed HTTP response %q", "Bearer token-1 "+testSecret)
		})
		_, err := c.CreateOrder(t.Context(), dvOrder())
		check(t, err)
		assert.NotContains(t, err.Error(), "token-1")
		assert.Contains(t, err.Error(), "malformed HTTP response")
	})
	t.Run("in a redirect", func(t *testing.T) {
		_, c := newRig(always(307, ``, "Location", "https://"+"token-1"+".example/?s="+url.QueryEscape(testSecret)))
		_, err := c.CreateOrder(t.Context(), dvOrder())
		check(t, err)
		assert.NotContains(t, err.Error(), "token-1")
	})
}

// TestSecretIsNeverPrinted renders what holds a secret in every way that fmt, log and encoders
// know.
func TestSecretIsNeverPrinted(t *testing.T) {
	_, c := newRig(always(200, meBody))
	_, err := c.Me(t.Context())
	require.NoError(t, err)
	oauth := certinext.OAuth{ClientID: "1", ClientSecret: testSecret}
	values := map[string]any{
		"the secret": certinext.Secret(testSecret), "credentials": oauth, "a pointer": &oauth, "a client": c,
		"an access key": certinext.AccessKey{AccountNumber: "1", AccessKey: testSecret},
		"a map":         map[string]certinext.Secret{"x": testSecret},
		"an order":      certinext.OrganizationRef{Number: "1", ConsentToken: testSecret},
	}
	for name, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%e", "%c", "%U", "%b", "%10.3s", "%!"} {
			out := fmt.Sprintf(verb, v)
			assert.NotContains(t, out, testSecret, "%s as %s", name, verb)
			assert.NotContains(t, out, fmt.Sprintf("%x", testSecret), "%s as %s", name, verb)
			assert.NotContains(t, out, "token-1", "%s as %s", name, verb)
		}
		var b bytes.Buffer
		slog.New(slog.NewTextHandler(&b, nil)).Info("x", "v", v)
		text, err := certinext.Secret(testSecret).MarshalText()
		require.NoError(t, err)
		b.Write(text)
		slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "v", v)
		if name != "a client" {
			j, err := json.Marshal(v)
			require.NoError(t, err)
			b.Write(j)
		}
		assert.NotContains(t, b.String(), testSecret, name)
	}
	assert.Equal(t, "certinext.Client("+testBase+") certinext.Client(nil)", fmt.Sprintf("%+v %#v", c, (*certinext.Client)(nil)))
	hidden := struct{ c *certinext.Client }{c}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d"} {
		assert.NotContains(t, fmt.Sprintf(verb, hidden), "token-1")
	}
	assert.Equal(t, testSecret, certinext.Secret(testSecret).Reveal())
	assert.Equal(t, "[redacted]", certinext.Secret(testSecret).String())
	assert.Equal(t, "[redacted]", certinext.Secret(testSecret).GoString())
}

func TestErrorQuestions(t *testing.T) {
	err := fmt.Errorf("issuing: %w", &certinext.Error{Operation: "downloading", Status: 422, Code: "EMS-1165", Detail: "EMS-1165 wait"})
	assert.True(t, certinext.HasCode(err, "EMS-1165"))
	assert.False(t, certinext.HasCode(err, "EMS-915"))
	assert.True(t, certinext.HasStatus(err, 404, 422))
	assert.False(t, certinext.HasStatus(err, 404))
	assert.False(t, certinext.HasStatus(nil, 422))
	assert.False(t, certinext.HasStatus(errBroken, 422))
	assert.Equal(t, "issuing: downloading: CERTInext answered 422: EMS-1165 wait", err.Error())

	for text, e := range map[string]certinext.Error{
		"placing order: CERTInext answered 400 and gave no reason":               {Status: 400},
		"placing order: CERTInext answered 400 X and gave no reason":             {Status: 400, Code: "X"},
		"placing order: connection reset by peer":                                {Err: errBroken},
		"placing order: CERTInext answered 503: down (connection reset by peer)": {Status: 503, Detail: "down", Err: errBroken},
	} {
		e.Operation = "placing order"
		assert.Equal(t, text, e.Error())
	}
}

func TestQuirk49CodesDoNotDecide(t *testing.T) {
	for _, detail := range []string{"[EMS-917] Certificate information missing", "EMS-917 - CN does not match"} {
		_, c := newRig(always(422, `{"detail":"`+detail+`"}`))
		_, err := c.CreateOrder(t.Context(), dvOrder())
		e := asErr(t, err)
		assert.Equal(t, "EMS-917", e.Code)
		assert.Contains(t, e.Error(), detail, "the words are what tells the two apart")
		assert.False(t, e.Acted)
	}
}
