// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package issuing

import (
	"slices"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
)

// A role may allow names that no order of its product can be for: those below corp.internal for a
// publicly trusted one, or no wildcard name for a product that takes nothing else. That is found by
// trying: for each allowed domain, a request for some of the names that it may stand for is planned
// as issue would plan it.

// prefixes are what stands before an allowed domain in the names that are tried. Rules of the
// public suffix list such as *.kawasaki.jp need two labels more.
var prefixes = []string{
	"", standIn + ".", standIn + "." + standIn + ".", "*.", "*." + standIn + ".",
}

// useless returns an error for each allowed domain under which no name can be ordered. all is true
// when there is no other one, and nothing else that the role allows.
func (r *Role) useless() (found fault.Fields, all bool) {
	all = !r.AllowAnyName
	var company *neighbours
	for _, domain := range r.AllowedDomains {
		reason := r.uselessness(domain)
		if reason != "" {
			if company == nil {
				company = r.neighbours()
			}
			if r.isUsefulAmong(company, domain) {
				reason = ""
			}
		}
		if reason == "" {
			all = false
			continue
		}
		found.Bad("allowed_domains", "no name can be ordered for %q: %s",
			sanitize.Short(domain), reason)
	}
	return found, all && len(found) > 0
}

// uselessness says why no name under an allowed domain can be ordered. It is empty when one can, or
// when that cannot be told, and for a domain that [Role.checkDomains] or [Role.idleDomains] is for.
func (r *Role) uselessness(domain string) (reason string) {
	pattern, problem := r.patternOf(domain)
	if problem != "" || pattern == "" || !r.hasFixedEnd(domain) || r.AllowAnyName {
		return ""
	}
	rules := r.rules([]string{pattern})
	for _, name := range stoodFor(pattern) {
		if !rules.covers(pattern, name) {
			continue
		}
		err := mayName(r, []string{pattern}, Request{CommonName: name})
		if err == nil {
			return ""
		}
		_, text, _ := strings.Cut(err.Error(), ": ")
		if problem := publicProblem(name); problem != "" && r.Shape().Public() {
			text = problem // whatever else is wrong with the name
		}
		if reason == "" {
			reason = strings.ReplaceAll(text, name, strings.TrimPrefix(pattern, "*."))
		}
	}
	return reason
}

// Neighbours are what stands beside an allowed domain in a role.
type neighbours struct {
	patterns []string // of all allowed domains
	name     string   // that can be ordered by itself; empty when none was found
}

// mostNeighbours bounds the patterns that a name is tried among. Beyond it, no domain is said to be
// useless.
const mostNeighbours = 500

// neighbours returns what stands beside each of the role's allowed domains.
func (r *Role) neighbours() *neighbours {
	n := new(neighbours)
	for _, domain := range r.AllowedDomains {
		if pattern, problem := r.patternOf(domain); problem == "" && pattern != "" {
			n.patterns = append(n.patterns, pattern)
		}
	}
	if len(n.patterns) > mostNeighbours {
		return n
	}
	for _, pattern := range n.patterns {
		for _, name := range stoodFor(pattern) {
			if err := mayName(r, n.patterns, Request{CommonName: name}); err == nil {
				n.name = name
				return n
			}
		}
	}
	return n
}

// isUsefulAmong reports whether a name under an allowed domain can be ordered together with what
// other ones allow: as an alternative name, or since auto_secure_www adds a name under another one.
func (r *Role) isUsefulAmong(n *neighbours, domain string) bool {
	if len(n.patterns) > mostNeighbours {
		return true
	}
	pattern, _ := r.patternOf(domain)
	rules := r.rules([]string{pattern})
	for _, name := range stoodFor(pattern) {
		if !rules.covers(pattern, name) {
			continue
		}
		err := mayName(r, n.patterns, Request{CommonName: name})
		if err != nil && n.name != "" {
			beside := Request{CommonName: n.name, AltNames: []string{name}}
			err = mayName(r, n.patterns, beside)
		}
		if err == nil {
			return true
		}
	}
	return false
}

// hasFixedEnd reports whether the last label of an allowed domain is the same in all names that it
// stands for.
func (r *Role) hasFixedEnd(domain string) bool {
	end := domain[strings.LastIndex(domain, "*")+1:]
	if r.AllowedDomainsTemplate {
		if _, after, found := cutLast(end, "}}"); found {
			end = after
		}
	}
	return end == domain || strings.Contains(end, ".")
}

// cutLast is [strings.Cut] at the last separator.
func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// stoodFor returns some of the names that a pattern may stand for.
func stoodFor(pattern string) []string {
	var names []string
	for _, star := range []string{standIn + "." + standIn, standIn, "*"} {
		for _, prefix := range prefixes {
			name := prefix + strings.ReplaceAll(pattern, "*", star)
			if _, err := parseDNSName("", name); err == nil && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// validateUse returns an error when no name that the role allows can be ordered.
func (r *Role) validateUse() error {
	if found, all := r.useless(); all {
		return found.First()
	}
	return nil
}

// PlainDomains returns the role's allowed domains without templates and * in them, in the form of
// names.
func (r *Role) PlainDomains() []string {
	var out []string
	for _, domain := range r.AllowedDomains {
		if r.AllowedDomainsTemplate && IsTemplate(domain) {
			continue
		}
		pattern, problem := parseDomain(domain)
		if problem == "" && pattern != "" && !strings.Contains(pattern, "*") {
			out = append(out, pattern)
		}
	}
	return out
}
