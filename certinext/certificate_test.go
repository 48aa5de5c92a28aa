// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext_test

import (
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

func TestQuirk22EveryShapeOfADownload(t *testing.T) {
	leaf, intermediate, root := readFile(t, "leaf.pem"), readFile(t, "intermediate.pem"), readFile(t, "root.pem")
	bare := func(s string) string { return strings.TrimSpace(s) }
	object := func(fields map[string]any) string {
		b, err := json.Marshal(fields)
		require.NoError(t, err)
		return string(b)
	}
	block, _ := pem.Decode([]byte(leaf))
	base64Only := strings.ReplaceAll(strings.Split(strings.Split(leaf, "-----BEGIN CERTIFICATE-----")[1], "-----END")[0], "\n", "")
	for name, tc := range map[string]struct {
		body  string
		chain []string
	}{
		"live: no final newline, root included": {
			object(map[string]any{"certificatePem": bare(leaf), "chainPem": []string{bare(intermediate), bare(root)}}), []string{intermediate, root},
		},
		"root right after the leaf stays where it came": {
			object(map[string]any{"certificatePem": leaf, "chainPem": []string{root, intermediate}}), []string{root, intermediate},
		},
		"chain null":                    {object(map[string]any{"certificatePem": leaf, "chainPem": nil}), []string{}},
		"chain absent":                  {object(map[string]any{"certificatePem": leaf}), []string{}},
		"chain empty string":            {object(map[string]any{"certificatePem": leaf, "chainPem": ""}), []string{}},
		"chain of empty strings":        {object(map[string]any{"certificatePem": leaf, "chainPem": []string{"", "\n"}}), []string{}},
		"chain as one string":           {object(map[string]any{"certificatePem": leaf, "chainPem": intermediate + root}), []string{intermediate, root}},
		"chain behind the leaf":         {object(map[string]any{"certificatePem": leaf + intermediate}), []string{intermediate}},
		"Windows line ends":             {object(map[string]any{"certificatePem": strings.ReplaceAll(leaf, "\n", "\r\n")}), []string{}},
		"base64 without PEM lines":      {object(map[string]any{"certificatePem": base64Only}), []string{}},
		"a PEM file, leaf first":        {leaf + intermediate + root, []string{intermediate, root}},
		"a PEM file, leaf last":         {root + intermediate + leaf, []string{root, intermediate}},
		"a PEM file with other things":  {leaf + string(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: []byte{1}})), []string{}},
		"a byte order mark before JSON": {"\ufeff" + object(map[string]any{"orderId": 1, "certificatePem": leaf}), []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			_, c := newRig(always(200, tc.body))
			b, err := c.Certificate(t.Context(), certinext.FamilySSL, "1")
			require.NoError(t, err)
			assert.Equal(t, certinext.Bundle{OrderID: "1", Certificate: leaf, Chain: tc.chain}, *b)
			got, rest := pem.Decode([]byte(b.Certificate))
			assert.Empty(t, rest)
			assert.Equal(t, block.Bytes, got.Bytes)
		})
	}
	many := strings.Repeat(root, 40)
	for name, body := range map[string]string{
		"not PEM":          object(map[string]any{"certificatePem": "certificate"}),
		"base64 of junk":   object(map[string]any{"certificatePem": "AAAA"}),
		"a private key":    object(map[string]any{"certificatePem": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte{1}}))}),
		"a broken chain":   object(map[string]any{"certificatePem": leaf, "chainPem": []string{"junk"}}),
		"an endless chain": object(map[string]any{"certificatePem": leaf, "chainPem": many}),
		"plain text":       "not yet",
		"cut off":          `{"certificatePem":"-----BEGIN`,
	} {
		t.Run(name+" is an error", func(t *testing.T) {
			_, c := newRig(always(200, body))
			_, err := c.Certificate(t.Context(), certinext.FamilySSL, "1")
			assert.False(t, asErr(t, err).Acted)
			assert.False(t, certinext.IsNotReady(err))
		})
	}
}

func TestQuirk07IssuedBeforePEM(t *testing.T) {
	for name, tc := range map[string]struct {
		status int
		body   string
		want   bool
	}{
		"quirk 50: 422":             {422, `{"detail":"[EMS-1165] Certificate not yet issued"}`, true},
		"quirk 50: 409":             {409, `{"detail":"not issued"}`, true},
		"quirk 50: 404":             {404, ``, true},
		"an empty success":          {200, ``, true},
		"a success without a PEM":   {200, `{"orderId":"1","certificatePem":""}`, true},
		"a success with null":       {200, `{"certificatePem":null,"chainPem":null}`, true},
		"forbidden is another":      {403, ``, false},
		"an outage is another":      {503, ``, false},
		"PKCS #7 refused, quirk 23": {406, ``, false},
	} {
		t.Run(name, func(t *testing.T) {
			_, c := newRig(always(tc.status, tc.body))
			c.Retries = -1
			for _, download := range []func() error{
				func() error { _, err := c.Certificate(t.Context(), certinext.FamilySSL, "1"); return err },
				func() error { _, err := c.CertificatePEM(t.Context(), certinext.FamilySSL, "1"); return err },
			} {
				err := download()
				require.Error(t, err)
				assert.Equal(t, tc.want, certinext.IsNotReady(err))
			}
		})
	}
	assert.False(t, certinext.IsNotReady(nil))
	assert.False(t, certinext.IsNotReady(errBroken))
}

func TestQuirk23PKCS7IsNeverAskedFor(t *testing.T) {
	g, c := newRig(always(200, readFile(t, "leaf.pem")))
	_, err := c.Certificate(t.Context(), certinext.FamilySSL, "1")
	require.NoError(t, err)
	_, err = c.CertificatePEM(t.Context(), certinext.FamilySSL, "1")
	require.NoError(t, err)
	var accepts []string
	for _, r := range g.sentCalls() {
		accepts = append(accepts, r.header.Get("Accept"))
		assert.Empty(t, r.query)
	}
	assert.Equal(t, []string{"application/json", "application/x-pem-file"}, accepts)
}

func TestQuirk21SerialNumberIsNotRead(t *testing.T) {
	for _, serial := range []string{`"123456789012345678901234567890123456"`, `"0A:1B"`, `123456789012345678901234567890123456`, `{}`} {
		leaf, err := json.Marshal(readFile(t, "leaf.pem"))
		require.NoError(t, err)
		_, c := newRig(always(200, `{"serialNumber":`+serial+`,"certificatePem":`+string(leaf)+`}`))
		_, err = c.Certificate(t.Context(), certinext.FamilySSL, "1")
		assert.NoError(t, err)
	}
}
