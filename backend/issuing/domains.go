// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package issuing

import (
	"fmt"
	"net"
	"regexp"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
)

// A role keeps its allowed_domains as they were written, since clients such as Terraform compare
// what they read with what they wrote. They are brought into the form of names, lower-case
// A-labels, whenever names are compared with them.

// AllowedNames returns the role's allowed domains in the form of names, with its templates filled
// in. fill returns the value of one template for the requester. A template without a value allows
// nothing, and so does one whose value could widen the domain, since it is no plain name.
func (r *Role) AllowedNames(fill func(template string) (string, error)) []string {
	var out []string
	for _, domain := range r.AllowedDomains {
		if r.AllowedDomainsTemplate {
			var ok bool
			if domain, ok = fillDomain(domain, fill); !ok {
				continue
			}
		}
		if pattern, problem := parseDomain(domain); problem == "" && pattern != "" {
			out = append(out, pattern)
		}
	}
	return out
}

// template is an identity template within a text.
var template = regexp.MustCompile(`\{\{.*?\}\}`)

// fillDomain fills in the templates of an allowed domain. ok is false when it then allows nothing.
func fillDomain(
	domain string, fill func(template string) (string, error),
) (filled string, ok bool) {
	ok = true
	filled = template.ReplaceAllStringFunc(domain, func(t string) string {
		value, err := fill(t)
		ok = ok && err == nil && isPlain(value)
		return value
	})
	return filled, ok
}

// isPlain reports whether a value is a name by itself, of one label or more: no * and no white
// space, nothing that is left out where names are compared, and no dot at an end.
func isPlain(value string) bool {
	_, err := parseDNSName("allowed_domains", value)
	return err == nil && !strings.Contains(value, "*")
}

// parseDomain returns an allowed domain in the form of names. A * may stand anywhere in it. problem
// says why it can match no name; it is empty when it can.
func parseDomain(domain string) (pattern, problem string) {
	text := strings.TrimSuffix(strings.TrimSpace(domain), ".")
	switch {
	case text == "":
		return "", "" // which covers nothing, as in Vault's PKI engine
	case IsTemplate(text):
		return "", "is a template: set allowed_domains_template"
	case net.ParseIP(text) != nil:
		return "", "is an IP address: leave it out and set allow_ip_sans"
	case strings.HasPrefix(text, "."):
		return "", "begins with a dot: leave it out, and set allow_subdomains for what is below"
	}
	if !strings.Contains(text, "*") {
		parsed, err := parseDNSName("allowed_domains", text)
		if err != nil {
			return "", "is not a host name, such as example.com"
		}
		return parsed, ""
	}
	labels := strings.Split(text, ".")
	for i, label := range labels {
		ascii, err := parseLabel(label)
		if err != nil {
			return "", "is not a host name with * in it, such as web-*.example.com"
		}
		labels[i] = ascii
	}
	return strings.Join(labels, "."), ""
}

// plain are the characters of a label with * in it.
var plain = regexp.MustCompile(`^[a-z0-9*-]+$`)

// parseLabel returns a label of an allowed domain in the form of names.
func parseLabel(label string) (string, error) {
	if !strings.Contains(label, "*") {
		return parseDNSName("allowed_domains", label)
	}
	label = strings.ToLower(label)
	if !plain.MatchString(label) {
		return "", fmt.Errorf("%q is no label", label)
	}
	return label, nil
}

// checkDomains looks for allowed domains that can match no name.
func (r *Role) checkDomains(all *fault.Fields) {
	for _, domain := range r.AllowedDomains {
		if _, problem := r.patternOf(domain); problem != "" {
			all.Bad("allowed_domains", "%q can match no name: it %s",
				sanitize.Short(domain), problem)
		}
	}
}

// patternOf returns an allowed domain in the form of names, with standIn for each template. problem
// says why it can match no name.
func (r *Role) patternOf(domain string) (pattern, problem string) {
	if r.AllowedDomainsTemplate {
		domain = template.ReplaceAllString(domain, standIn)
		if strings.Contains(domain, "{{") || strings.Contains(domain, "}}") {
			return "", "holds a template that does not end or does not begin: write {{ and }}"
		}
	}
	pattern, problem = parseDomain(domain)
	if problem == "" && strings.Contains(pattern, "*") && !r.takesStars(pattern) {
		problem = "holds a *, which means something with allow_glob_domains only"
	}
	return pattern, problem
}

// standIn is a label in place of one that only a request gives.
const standIn = "x"

// takesStars reports whether an allowed domain with a * in it can match names. Without
// allow_glob_domains, it is itself a wildcard name.
func (r *Role) takesStars(pattern string) bool {
	host, isWildcard := strings.CutPrefix(pattern, "*.")
	return r.AllowGlobDomains || (isWildcard && !strings.Contains(host, "*") &&
		r.AllowBareDomains && r.AllowWildcardCertificates)
}

// idleDomains returns the allowed domains that match nothing for want of an allow_ field.
func (r *Role) idleDomains() []string {
	if r.AllowAnyName || r.AllowBareDomains || r.AllowSubdomains {
		return nil
	}
	var idle []string
	for _, domain := range r.AllowedDomains {
		if !strings.Contains(domain, "*") {
			idle = append(idle, domain)
		}
	}
	return idle
}
