// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/openapi"
)

// A publicDescription is what the document says of what is published.
type publicDescription struct {
	id, summary string
	takes       string   // the media type of the body, "" for none
	gives       []string // media types
	rest        string   // what the end of the path is
	missing     string   // why it may be 404
}

// publicPaths describes what is published.
var publicPaths = map[string]publicDescription{
	"POST /ocsp": {
		id: "ocspByBody", summary: "The status of a certificate (RFC 6960, appendix A)",
		takes: "application/ocsp-request", gives: []string{"application/ocsp-response"},
	},
	"GET /ocsp/{request}": {
		id: "ocspByPath", summary: "The status of a certificate (RFC 6960, appendix A)",
		gives: []string{"application/ocsp-response"},
		rest:  "The request in base64. A slash may stand in it as it is.",
	},
	"GET /crl/{file}": {
		id: "revocationList", summary: "A CA's list of revoked certificates (RFC 5280)",
		gives: []string{"application/pkix-crl"}, missing: "There is no such CA.",
		rest: "The CA's name in /_sandbox/ca and `.crl`.",
	},
	"GET /ca/{file}": {
		id: "authorityCertificate", summary: "A CA's certificate, or its chain",
		gives:   []string{"application/pkix-cert", "application/pkcs7-mime"},
		missing: "There is no such CA, or no older root has certified it.",
		rest: "The CA's name in /_sandbox/ca and `.cer` (its certificate), `-crossed.cer` (the " +
			"one by the older root) or `.p7c` (its chain).",
	},
}

// describePublications enters what is published.
func (w *describer) describePublications() {
	file := &openapi.Schema{Type: "string", Format: "binary"}
	for _, pattern := range Publications() {
		about, ok := publicPaths[pattern]
		if !ok {
			panic("certinexttest: no description of " + pattern)
		}
		done := &openapi.Response{
			Description: about.summary + ".", Content: make(map[string]openapi.Media),
		}
		for _, mediaType := range about.gives {
			done.Content[mediaType] = openapi.Media{Schema: file}
		}
		method, path, _ := strings.Cut(pattern, " ")
		o := &openapi.Operation{
			Tags: []string{tagPublic}, ID: about.id, Summary: about.summary,
			Security:  []map[string][]string{{}},
			Responses: map[string]*openapi.Response{"200": done},
		}
		for _, match := range pathParameter.FindAllStringSubmatch(path, -1) {
			o.Parameters = append(o.Parameters, openapi.Parameter{
				Name: match[1], In: "path", Required: true, Schema: openapi.Text(),
				Description: about.rest,
			})
		}
		if about.takes != "" {
			o.RequestBody = &openapi.Body{
				Content: map[string]openapi.Media{about.takes: {Schema: file}},
			}
		}
		if about.missing != "" {
			o.Responses["404"] = plainly(about.missing)
		}
		if err := w.doc.Add(method, path, o); err != nil {
			panic("certinexttest: " + err.Error())
		}
	}
}

// plainly is an answer in plain text.
func plainly(why string) *openapi.Response {
	return &openapi.Response{
		Description: why, Content: map[string]openapi.Media{typeText: {Schema: openapi.Text()}},
	}
}
