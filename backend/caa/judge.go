// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package caa

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/dcv"
)

// A Verdict says whether the CA may issue.
type Verdict string

// The verdicts.
const (
	Allowed   Verdict = "allowed"
	Forbidden Verdict = "forbidden"
	Unknown   Verdict = "unknown" // the records could not be read
)

// Issuer is the name by which CAA records are taken to allow CERTInext's CA, emSign. CERTInext's
// documents do not say it; the CA's certification practice statement has to.
const Issuer = "emsign.com"

// understood are the tags that a CA has to know (Baseline Requirements, 3.2.2.8), and those by
// which a domain's owner says how to be reached.
var understood = []string{"issue", "issuewild", "iodef", "contactemail", "contactphone"}

// Judge says whether records let the CA issue, and why not. There is at least one record.
func Judge(records []dcv.CAARecord, isWildcard bool) (v Verdict, reason string) {
	for _, r := range records {
		if r.Critical && !slices.Contains(understood, strings.ToLower(r.Tag)) {
			return Forbidden, fmt.Sprintf("the tag %q is critical and not known",
				sanitize.Short(r.Tag))
		}
	}
	tag, values := deciding(records, isWildcard)
	if len(values) == 0 {
		return Allowed, "" // such as iodef alone, which restricts nobody
	}
	var others []string
	for _, value := range values {
		switch name := issuerOf(value); {
		case strings.EqualFold(name, Issuer):
			return Allowed, ""
		case name != "" && !slices.Contains(others, name):
			others = append(others, sanitize.Short(name))
		}
	}
	if len(others) == 0 {
		return Forbidden, tag + " allows no CA"
	}
	return Forbidden, fmt.Sprintf("%s allows %s, and not %s", tag, sanitize.Enumerate(others),
		Issuer)
}

// deciding returns the values that count: those of issuewild for a wildcard, if there are any, and
// else those of issue.
func deciding(records []dcv.CAARecord, isWildcard bool) (tag string, values []string) {
	if isWildcard {
		if values = valuesOf(records, "issuewild"); len(values) > 0 {
			return "issuewild", values
		}
	}
	return "issue", valuesOf(records, "issue")
}

func valuesOf(records []dcv.CAARecord, tag string) (values []string) {
	for _, r := range records {
		if strings.EqualFold(r.Tag, tag) {
			values = append(values, r.Value)
		}
	}
	return values
}

// The grammar of a value (RFC 8659, section 4.2).
const (
	label     = "[A-Za-z0-9](-*[A-Za-z0-9])*"
	blank     = "[ \t]*"
	parameter = label + blank + "=" + blank + "[\x21-\x3a\x3c-\x7e]*"
)

var grammar = regexp.MustCompile("^" + blank + "(" + label + "(\\." + label + ")*)?" + blank +
	"(;(" + blank + parameter + blank + ";)*" + blank + "(" + parameter + ")?" + blank + ")?$")

// issuerOf returns the CA that a value names; empty for none. A value that the grammar does not
// allow names none.
func issuerOf(value string) string {
	if !grammar.MatchString(value) {
		return ""
	}
	name, _, _ := strings.Cut(value, ";")
	return strings.Trim(name, " \t")
}
