// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package issuing

import (
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/dcv"
)

// A DNSValidation says how domains are validated by TXT records.
type DNSValidation struct {
	Solver string // that publishes the records; the requester publishes them when empty
	// Hosts are the names of the TXT records, with {domain} in the place of the domain. A solver
	// publishes all of them, unless CERTInext names one itself.
	Hosts []string
	// Resolvers find zones, delegations and servers, as host or host:port; the machine's when
	// empty.
	Resolvers []string
	// PropagationServers are asked whether a record can be seen, as host or host:port; the zone's
	// authoritative servers when empty.
	PropagationServers []string
	// PropagationTimeout is how long the servers may take to show a record before CERTInext is
	// asked to look all the same (ADR 0017).
	PropagationTimeout time.Duration
}

// DefaultHosts are the names in CERTInext's documents and sources. The live service's answer names
// none.
var DefaultHosts = []string{"_emudhra-challenge.{domain}", "_emsign-validation.{domain}"}

const defaultPropagation = 2 * time.Minute

// NewDNSValidation returns a DNSValidation with the default of every field.
func NewDNSValidation() DNSValidation {
	return DNSValidation{Hosts: slices.Clone(DefaultHosts), PropagationTimeout: defaultPropagation}
}

// Validate returns a [*fault.FieldError] for the first field of n that is wrong.
func (n *DNSValidation) Validate() error {
	if len(n.Hosts) == 0 || len(n.Hosts) > 5 {
		return fault.BadField("dcv_hosts", "must be 1 to 5 names, such as %s", DefaultHosts[0])
	}
	for _, host := range n.Hosts {
		example := strings.Replace(host, "{domain}", "example.com", 1)
		if strings.Count(host, "{domain}") != 1 || !IsZone(example) {
			return fault.BadField("dcv_hosts",
				"%q is not a DNS name with {domain} in it, such as %s",
				sanitize.Short(host), DefaultHosts[0])
		}
	}
	for field, servers := range map[string][]string{
		"dcv_resolvers":           n.Resolvers,
		"dcv_propagation_servers": n.PropagationServers,
	} {
		for _, server := range servers {
			if _, err := dcv.Address(server, "53"); err != nil {
				return fault.BadField(field, "%q %v", sanitize.Short(server), err)
			}
		}
	}
	if n.PropagationTimeout < 0 || n.PropagationTimeout > time.Hour {
		return fault.BadField("dcv_propagation_timeout", "must be between 0s and 1h")
	}
	return nil
}

// CheckDCVMethod returns an error about the field unless method is one of CERTInext's.
func CheckDCVMethod(field string, method certinext.DCVMethod) error {
	switch method {
	case certinext.DCVMethodDNS, certinext.DCVMethodHTTP, certinext.DCVMethodEmail:
		return nil
	}
	return fault.BadField(field, "must be dns-txt, http-url or email")
}

// ValidateFor is [DNSValidation.Validate] for domains that are validated by a method. It refuses
// another method than CERTInext's, and fields that have no effect with this one.
func (n *DNSValidation) ValidateFor(method certinext.DCVMethod) error {
	if err := CheckDCVMethod("dcv_method", method); err != nil {
		return err
	}
	if n.Solver != "" && method != certinext.DCVMethodDNS {
		return fault.BadField("dcv_solver", "publishes DNS records, for dns-txt: dcv_method is %s",
			method)
	}
	defaults := NewDNSValidation()
	for _, f := range []struct {
		name        string
		given       bool
		needsSolver bool
	}{
		{"dcv_hosts", !slices.Equal(n.Hosts, defaults.Hosts), false},
		{"dcv_resolvers", len(n.Resolvers) > 0, false},
		{"dcv_propagation_servers", len(n.PropagationServers) > 0, false},
		{"dcv_propagation_timeout", n.PropagationTimeout != defaults.PropagationTimeout, true},
	} {
		switch {
		case f.given && method != certinext.DCVMethodDNS:
			return fault.BadField(f.name,
				"has an effect with dns-txt only: dcv_method is %s", method)
		case f.given && f.needsSolver && n.Solver == "":
			return fault.BadField(f.name, "has an effect with a dcv_solver only, and none is set")
		}
	}
	return n.Validate()
}

// Names returns the names of the TXT records for a domain: the one that CERTInext's challenge asks
// for, or else all of Hosts.
func (n *DNSValidation) Names(c *certinext.Challenge, domain string) []string {
	if c.DNSHost != "" {
		return []string{c.DNSHost}
	}
	out := make([]string, len(n.Hosts))
	for i, host := range n.Hosts {
		out[i] = Fill(host, domain)
	}
	return out
}

// documentedHosts are further names in CERTInext's documents.
var documentedHosts = []string{"_certinext-challenge.{domain}"}

// Permits reports whether a record may be published at the name that CERTInext asks for: one of
// Hosts, or one in CERTInext's documents. If CERTInext could choose any name, it could have a
// record published that proves control of the domain to another CA or service.
func (n *DNSValidation) Permits(host, domain string) bool {
	for _, known := range slices.Concat(n.Hosts, DefaultHosts, documentedHosts) {
		if dcv.Canonical(Fill(known, domain)) == dcv.Canonical(host) {
			return true
		}
	}
	return false
}

// Fill returns a host template with the domain filled in. A wildcard is validated by the record of
// the domain below it.
func Fill(host, domain string) string {
	return strings.Replace(host, "{domain}", strings.TrimPrefix(domain, "*."), 1)
}

// IsZone reports whether a name can be that of a DNS zone to publish records in: at least two
// labels of letters, digits, hyphens and underscores, with or without a final dot.
func IsZone(name string) bool {
	name = strings.TrimSuffix(name, ".")
	if len(name) > 253 || !strings.Contains(name, ".") {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || strings.ContainsFunc(label, foreignToLabels) {
			return false
		}
	}
	return true
}

// foreignToLabels reports whether the labels of a zone's name cannot contain r.
func foreignToLabels(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_':
		return false
	}
	return true
}

// A StoredDNS is the stored form of a [DNSValidation], within the entry of a role or domain.
type StoredDNS struct {
	Solver             string        `json:"solver,omitempty"`
	Hosts              []string      `json:"hosts,omitempty"`
	Resolvers          []string      `json:"resolvers,omitempty"`
	PropagationServers []string      `json:"propagation_servers,omitempty"`
	PropagationTimeout time.Duration `json:"propagation_timeout"` // nanoseconds
}

// Validation returns the DNSValidation that s is the stored form of. An entry from before there
// were solvers has none, and gives the defaults.
func (s StoredDNS) Validation() DNSValidation {
	if len(s.Hosts) == 0 {
		return NewDNSValidation()
	}
	return DNSValidation(s)
}
