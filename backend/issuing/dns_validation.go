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

// DNSValidation is how domains are validated by records that a solver publishes.
type DNSValidation struct {
	Solver string // by name; domains are validated by hand when empty
	// Hosts are the names of the TXT records, with {domain} in the place of the domain. All of them are published, unless CERTInext names
	// one itself.
	Hosts []string
	// Resolvers find zones, delegations and servers, as host or host:port; the machine's when empty.
	Resolvers []string
	// PropagationServers are asked whether a record can be seen, as host or host:port; the zone's authoritative servers when empty.
	PropagationServers []string
	// PropagationTimeout is how long a record may take to be seen by all servers before CERTInext is asked all the same.
	PropagationTimeout time.Duration
}

// DefaultHosts are what CERTInext's sources name; the live answer names none.
var DefaultHosts = []string{"_emudhra-challenge.{domain}", "_emsign-validation.{domain}"}

const defaultPropagation = 2 * time.Minute

// NewDNSValidation returns the default of every field.
func NewDNSValidation() DNSValidation {
	return DNSValidation{Hosts: slices.Clone(DefaultHosts), PropagationTimeout: defaultPropagation}
}

// Validate says which field of n is wrong, if any.
func (n *DNSValidation) Validate() error {
	if len(n.Hosts) == 0 || len(n.Hosts) > 5 {
		return fault.BadField("dcv_hosts", "must be 1 to 5 names, such as %s", DefaultHosts[0])
	}
	for _, host := range n.Hosts {
		if strings.Count(host, "{domain}") != 1 || !IsZone(strings.Replace(host, "{domain}", "example.com", 1)) {
			return fault.BadField("dcv_hosts", "%q is not a DNS name with {domain} in it, such as %s", sanitize.Short(host), DefaultHosts[0])
		}
	}
	for field, servers := range map[string][]string{"dcv_resolvers": n.Resolvers, "dcv_propagation_servers": n.PropagationServers} {
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

// ValidateFor is validate for domains that are validated by a method: what has no effect with it is refused.
func (n *DNSValidation) ValidateFor(method certinext.DCVMethod) error {
	usual := NewDNSValidation()
	for _, f := range []struct {
		name  string
		given bool
		needs bool // a solver
	}{
		{"dcv_hosts", !slices.Equal(n.Hosts, usual.Hosts), false},
		{"dcv_resolvers", len(n.Resolvers) > 0, false},
		{"dcv_propagation_servers", len(n.PropagationServers) > 0, false},
		{"dcv_propagation_timeout", n.PropagationTimeout != usual.PropagationTimeout, true},
	} {
		switch {
		case f.given && method != certinext.DCVMethodDNS:
			return fault.BadField(f.name, "is for dns-txt, and dcv_method is %s", method)
		case f.given && f.needs && n.Solver == "":
			return fault.BadField(f.name, "is for a dcv_solver, and there is none")
		}
	}
	return n.Validate()
}

// Names are the owners of the TXT records for a domain.
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

// Permits reports whether a record may be published that CERTInext names: one that the role names, or that CERTInext's documents do. A CA
// that could choose the name could have a record published that proves something to somebody else.
func (n *DNSValidation) Permits(host, domain string) bool {
	for _, known := range slices.Concat(n.Hosts, DefaultHosts, []string{"_certinext-challenge.{domain}"}) {
		if dcv.Canonical(Fill(known, domain)) == dcv.Canonical(host) {
			return true
		}
	}
	return false
}

// Fill puts a domain into the template of a host. A wildcard and its apex share a record.
func Fill(host, domain string) string {
	return strings.Replace(host, "{domain}", strings.TrimPrefix(domain, "*."), 1)
}

// IsZone reports whether a name can be that of a DNS zone that records are published in.
func IsZone(name string) bool {
	name = strings.TrimSuffix(name, ".")
	return len(name) <= 253 && strings.Contains(name, ".") && !slices.ContainsFunc(strings.Split(name, "."), func(label string) bool {
		return label == "" || len(label) > 63 || strings.ContainsFunc(label, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
		})
	})
}

// StoredDNS is a DNSValidation within another entry.
type StoredDNS struct {
	Solver             string        `json:"solver,omitempty"`
	Hosts              []string      `json:"hosts,omitempty"`
	Resolvers          []string      `json:"resolvers,omitempty"`
	PropagationServers []string      `json:"propagation_servers,omitempty"`
	PropagationTimeout time.Duration `json:"propagation_timeout"` // nanoseconds
}

// Validation fills in what an entry lacks that was stored before there were solvers.
func (s StoredDNS) Validation() DNSValidation {
	if len(s.Hosts) == 0 {
		return NewDNSValidation()
	}
	return DNSValidation(s)
}
