// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package caa

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// understood are the tags that a CA has to know (section 3.2.2.8 of the Baseline Requirements),
// and the two by which a domain's owner says how to be reached.
var understood = []string{"issue", "issuewild", "iodef", "contactemail", "contactphone"}

// forbidden says why a set of records, which is not empty, does not let the CA issue; "" if it
// does.
func forbidden(records []Record, wildcard bool, issuers []string) string {
	for _, r := range records {
		// "The issuer MUST NOT issue certificates for any FQDN if the Relevant RRset for that
		// FQDN contains a Property with the Critical Flag set and an unknown Tag."
		if r.Critical && !slices.Contains(understood, strings.ToLower(r.Tag)) {
			return fmt.Sprintf("the tag %q is critical and not known", r.Tag)
		}
	}
	tag, values := deciding(records, wildcard)
	if len(values) == 0 {
		return "" // such as iodef alone, which restricts nobody
	}
	for _, v := range values {
		if slices.ContainsFunc(issuers, func(name string) bool {
			return strings.EqualFold(name, issuerOf(v))
		}) {
			return ""
		}
	}
	return fmt.Sprintf("%s names none of %s", tag, strings.Join(issuers, ", "))
}

// deciding are the values that count. "issuewild properties take precedence over issue properties
// when specified", for wildcards; for other names issuewild counts for nothing.
func deciding(records []Record, wildcard bool) (tag string, values []string) {
	if wildcard {
		if values = valuesOf(records, "issuewild"); len(values) > 0 {
			return "issuewild", values
		}
	}
	return "issue", valuesOf(records, "issue")
}

// valuesOf are the values with a tag. "Matching of tags is case insensitive."
func valuesOf(records []Record, tag string) (values []string) {
	for _, r := range records {
		if strings.EqualFold(r.Tag, tag) {
			values = append(values, r.Value)
		}
	}
	return values
}

var (
	issuerName = regexp.MustCompile(`^[A-Za-z0-9](-*[A-Za-z0-9])*(\.[A-Za-z0-9](-*[A-Za-z0-9])*)*$`)
	parameter  = regexp.MustCompile(
		`^[A-Za-z0-9](-*[A-Za-z0-9])*[ \t]*=[ \t]*[\x21-\x3a\x3c-\x7e]*$`,
	)
)

// IsIssuer tells whether a value of a record can name a CA so.
func IsIssuer(name string) bool { return issuerName.MatchString(name) }

const blanks = " \t"

// issuerOf is the CA that a value names; "" for none. "An issue Property Tag where the issue-value
// does not match the ABNF grammar MUST be treated the same as one specifying an empty issuer-domain
// -name." Parameters are the CA's own affair, and no source says that this one has any: they
// have to be well-formed and mean nothing.
func issuerOf(value string) string {
	name, parameters, _ := strings.Cut(value, ";")
	name, parameters = strings.Trim(name, blanks), strings.Trim(parameters, blanks)
	if !issuerName.MatchString(name) {
		return ""
	}
	if parameters == "" {
		return name
	}
	for p := range strings.SplitSeq(parameters, ";") {
		if !parameter.MatchString(strings.Trim(p, blanks)) {
			return ""
		}
	}
	return name
}
