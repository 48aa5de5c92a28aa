// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

func TestSubmitDocumentsRefusesWhatWouldBeRefused(t *testing.T) {
	good := func() certinext.Document {
		return certinext.Document{FileName: "x.pdf", Description: "ID Proof", Content: []byte("%PDF-1.7")}
	}
	for want, change := range map[string]func(*certinext.Document){
		"docs[1].FileName must be the name of a PDF file":     func(d *certinext.Document) { d.FileName = "x.doc" },
		"docs[1].FileName must be the name of a PDF file ":    func(d *certinext.Document) { d.FileName = ".pdf" },
		"docs[1].FileName must be the name of a PDF file  ":   func(d *certinext.Document) { d.FileName = "" },
		"docs[1].FileName must be a file name without a path": func(d *certinext.Document) { d.FileName = "../x.pdf" },
		"docs[1].FileName must be a file name without a path ": func(d *certinext.Document) {
			d.FileName = "x\n.pdf"
		},
		"docs[1].FileName is longer than 100 characters":   func(d *certinext.Document) { d.FileName = strings.Repeat("x", 97) + ".pdf" },
		"docs[1].Description is longer than 25 characters": func(d *certinext.Document) { d.Description = strings.Repeat("é", 26) },
		"docs[1].Content is not a PDF file":                func(d *certinext.Document) { d.Content = []byte("PK") },
		"docs[1].Content is larger than 3145728 bytes": func(d *certinext.Document) {
			d.Content = append([]byte("%PDF"), make([]byte, 3<<20)...)
		},
	} {
		bad := good()
		change(&bad)
		g, c := newV1Rig(always(200, trackedV1))
		err := c.SubmitDocuments(t.Context(), certinext.FamilySignature, "1", []certinext.Document{good(), bad})
		assert.EqualError(t, err, "submitting documents: "+strings.TrimRight(want, " "))
		assert.False(t, certinext.MayHaveActed(err))
		assert.Empty(t, g.sentCalls())
	}
	for _, n := range []int{0, 11} {
		_, c := newV1Rig(always(200, trackedV1))
		assert.ErrorContains(t, c.SubmitDocuments(t.Context(), certinext.FamilySSL, "1", make([]certinext.Document, n)), "1 to 10")
	}
}

func TestSubmitDocumentsGoThroughVersion1Always(t *testing.T) {
	docs := []certinext.Document{{FileName: "x.pdf", Content: append([]byte("%PDF"), make([]byte, 3<<20-4)...)}}
	g, c := newV1Rig(byVerb(always(200, successV1)))
	c.Version = certinext.V2
	require.NoError(t, c.SubmitDocuments(t.Context(), certinext.FamilySignature, "1", docs))
	assert.Equal(t, "/emSignHub-API/SubmitDocument", g.sentCalls()[1].path)
	assert.Zero(t, g.grantCount())

	g, c = newRig(byVerb(func(_ int, r sent) (*http.Response, error) {
		if strings.HasSuffix(r.path, "/auth/me") {
			return response(200, `{"accountNumber":"1234567890"}`), nil
		}
		return response(200, successV1), nil
	}))
	require.NoError(t, c.SubmitDocuments(context.Background(), certinext.FamilySignature, "1", docs))
	assert.Equal(t, "/emSignHub-API/SubmitDocument", g.sentCalls()[2].path)
	assert.Equal(t, "Bearer token-1", g.sentCalls()[2].header.Get("Authorization"))
}
