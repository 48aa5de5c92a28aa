// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/openapi"
)

// documentInfo introduces the document of a dialect.
func documentInfo(d Dialect) openapi.Info {
	info := openapi.Info{
		Title:   "CERTInext, as certinext-sandbox answers in the dialect " + d.String(),
		Version: "2.0.0",
		Description: "NOT A REAL CA, and not the vendor's document: this is what the simulator " +
			"takes and answers. " + dialectTexts[d] + "\n\n" +
			"*Observed* is what the service was seen to do, *documented* what was published and " +
			"not seen, *inferred* what is made up by analogy. A member of a request that is " +
			"null counts as absent. Members that are not described are refused by name.\n\n" +
			"An EMS code stands in the `detail` of a problem, as in `[EMS-1180] Organization " +
			"Name cannot be empty`, and in `meta.errorCode` in version 1.\n\n" +
			"Not described is what faults make of an answer. HEAD is answered wherever what is " +
			"published or the administration has GET. With senseless fields, as a Go program " +
			"may set them, the server answers each request with 500 and their names.",
	}
	info.License.Name, info.License.URL = "MPL-2.0", "https://mozilla.org/MPL/2.0/"
	return info
}

var dialectTexts = map[Dialect]string{
	Live: "Live is the API as it was observed.",
	Documented: "Documented is the API as the published collection of version 2 describes it, " +
		"an older edition of which differs from what runs.",
	V1: "V1 is a live account whose key is not in OAuth mode: it gets no token, so that " +
		"version 1 " +
		"alone serves it.",
}

// Chapters of the document.
const (
	tagToken     = "Token"
	tagSSL       = "SSL orders"
	tagPrivate   = "Private PKI orders"
	tagSignature = "Signature orders"
	tagAccount   = "Account"
	tagDomains   = "Domains"
	tagV1        = "Version 1"
	tagPublic    = "Published"
	tagAdmin     = "Administration"
)

var documentTags = []openapi.Tag{
	{Name: tagToken, Description: "The exchange of credentials for a token of version 2."},
	{Name: tagSSL, Description: "Certificates of the public CA for DNS names."},
	{Name: tagPrivate, Description: "Certificates of the customer's own CA."},
	{Name: tagSignature, Description: "Document signers."},
	{Name: tagAccount, Description: "Who is charged and vetted, what may be ordered, what was."},
	{Name: tagDomains, Description: "Domains that are validated ahead of orders."},
	{Name: tagV1, Description: "Verbs of version 1: each call is signed, each refusal is HTTP " +
		"200."},
	{
		Name: tagPublic, Description: "What certificates name: status, revocation lists and CAs. " +
			"No credentials are asked for.",
	},
	{
		Name: tagAdmin, Description: "What steers the simulator. No credentials are asked for, " +
			"and web pages and foreign names are refused.",
	},
}

// tagOf is the chapter of a route.
func tagOf(rt *route) string {
	switch {
	case rt.v1():
		return tagV1
	case rt.op == OpToken:
		return tagToken
	case rt.family == FamilySSL:
		return tagSSL
	case rt.family == FamilyPrivatePKI:
		return tagPrivate
	case rt.family == FamilySignature:
		return tagSignature
	case strings.HasPrefix(rt.pattern, "/domains"):
		return tagDomains
	}
	return tagAccount
}

var securitySchemes = map[string]openapi.SecurityScheme{
	"bearer": {
		Type: "http", Scheme: "bearer",
		Description: "A token of the token endpoint. Version 1 takes one in the place of a " +
			"signature where `meta.authKey` is empty (observed of one client).",
	},
}
