// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package issuing

import (
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/internal/phrase"
	"github.com/ryanuber/go-glob"
	"golang.org/x/net/idna"
)

var hostnames = idna.New(
	idna.MapForLookup(), idna.StrictDomainName(true), idna.VerifyDNSLength(true), idna.BidiRule(),
)

// parseDNSName returns name in the form in which it is ordered: lower-case A-labels. Only a whole
// first label may be a wildcard.
func parseDNSName(field, name string) (string, error) {
	host, wildcard := strings.CutPrefix(name, "*.")
	ascii, err := hostnames.ToASCII(host)
	if err == nil {
		// After invalid UTF-8, for example, the ASCII form is not a name itself, and the CA would
		// not certify it as it was ordered.
		_, err = hostnames.ToASCII(ascii)
	}
	if err != nil || ascii == "" || len(ascii) > 253 ||
		strings.HasSuffix(ascii, ".") || net.ParseIP(ascii) != nil {
		return "", fault.BadField(field, "%q is not a DNS host name", sanitize.Short(name))
	}
	if wildcard {
		return "*." + ascii, nil
	}
	return ascii, nil
}

// SplitDNSNames returns the names in the form in which they are ordered, without empty and repeated
// ones. Its error is a [*fault.FieldError] that names field.
func SplitDNSNames(field string, names []string) ([]string, error) {
	var out []string
	for _, n := range names {
		if n = strings.TrimSpace(n); n == "" {
			continue
		}
		p, err := parseDNSName(field, n)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out, nil
}

// parseIPs returns the addresses, without empty and repeated ones.
func parseIPs(field string, texts []string) ([]net.IP, error) {
	var out []net.IP
	for _, t := range texts {
		if t = strings.TrimSpace(t); t == "" {
			continue
		}
		ip := net.ParseIP(t)
		if ip == nil {
			return nil, fault.BadField(field, "%q is not an IP address", sanitize.Short(t))
		}
		if !slices.ContainsFunc(out, ip.Equal) {
			out = append(out, ip)
		}
	}
	return out, nil
}

// nameRules are a role's constraints on names. Each means what it means in Vault's PKI engine.
type nameRules struct {
	domains   []string // see [Role.AllowedNames]
	bare      bool
	subdomain bool
	glob      bool
	wildcard  bool
	any       bool
}

// allow returns an error about field unless a certificate may hold name, which is of the form that
// parseDNSName returns. public says that a public CA issues the certificate.
func (r nameRules) allow(field, name string, public bool) error {
	if account.IsWildcard(name) && !r.wildcard {
		return fault.BadField(field,
			"the role does not allow wildcard names such as %q (allow_wildcard_certificates)", name)
	}
	if public {
		if problem := publicProblem(name); problem != "" {
			return fault.BadField(field, "%s", problem)
		}
	}
	covered := func(domain string) bool { return r.covers(domain, name) }
	if r.any || slices.ContainsFunc(r.domains, covered) {
		return nil
	}
	if len(r.domains) == 0 {
		return fault.BadField(field,
			"%q is not allowed: the role names no allowed_domains and allow_any_name is off", name)
	}
	return fault.BadField(field, "%q is not allowed by the role, whose allowed_domains are %s: "+
		"it allows %s", name, r.shownDomains(), r.allowedOf())
}

// shownDomains lists the first of the allowed domains.
func (r nameRules) shownDomains() string {
	const most = 5
	if more := len(r.domains) - most; more > 1 {
		return phrase.And(append(r.domains[:most:most], fmt.Sprintf("%d more", more))...)
	}
	return phrase.And(r.domains...)
}

// allowedOf says which names the role allows of each allowed domain.
func (r nameRules) allowedOf() string {
	var names []string
	if r.bare {
		names = append(names, "these names themselves (allow_bare_domains)")
	}
	if r.subdomain {
		names = append(names, "names below them (allow_subdomains)")
	}
	if r.glob {
		names = append(names, "what a * in them stands for (allow_glob_domains)")
	}
	if len(names) == 0 {
		return "nothing of them until allow_bare_domains, allow_subdomains or " +
			"allow_glob_domains is set"
	}
	return phrase.And(names...)
}

// covers reports whether an allowed domain allows name.
func (r nameRules) covers(domain, name string) bool {
	if domain == "" {
		return false
	}
	if r.bare && name == domain {
		return true
	}
	if r.subdomain && strings.HasSuffix(name, "."+domain) {
		return true
	}
	return r.glob && strings.Contains(domain, "*") && glob.Glob(domain, name)
}

// NonEmpty returns the texts that are not empty.
func NonEmpty(texts ...string) []string {
	var out []string
	for _, t := range texts {
		if t != "" {
			out = append(out, t)
		}
	}
	return out
}
