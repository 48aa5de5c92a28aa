// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package dcv

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// A Resolver finds its way in the DNS. The zero value asks the resolvers of the machine.
type Resolver struct {
	// Servers are recursive resolvers, as host:port, asked one after the other; those of
	// /etc/resolv.conf when empty.
	Servers []string
	// Patience bounds every question to one server; 3 seconds when zero.
	Patience time.Duration
}

// A LookupError is a question that was not answered.
type LookupError struct {
	Name, Type string // what was asked for
	Server     string // who was asked last
	Problem    string // NXDOMAIN, SERVFAIL, or what the network said
}

func (e *LookupError) Error() string {
	return fmt.Sprintf("looking up %s %s at %s: %s", e.Type, bare(e.Name), e.Server, e.Problem)
}

// A NoZoneError is a name that no zone was found for.
type NoZoneError struct {
	Name string
	Err  error // of the last look-up; nil when it was answered, and named no zone
}

func (e *NoZoneError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("no DNS zone was found for %s: %v", bare(e.Name), e.Err)
	}
	return fmt.Sprintf("no DNS zone was found for %s: no name above it has an SOA record", bare(e.Name))
}

func (e *NoZoneError) Unwrap() error { return e.Err }

// maxAliases is how many CNAMEs are followed.
const maxAliases = 8

// An OutsideError is a name that is delegated by a CNAME to another zone, where nobody has said
// that records may be written.
type OutsideError struct {
	Name, Target, Zone string
}

func (e *OutsideError) Error() string {
	return fmt.Sprintf("%s is an alias of %s in another zone, %s: name that as the solver's zone if it is there for delegated challenges",
		bare(e.Name), bare(e.Target), bare(e.Zone))
}

// Locate says where the TXT record of a name has to be written: at the name itself, or where a
// CNAME delegates it to. With a zone that is in it; without one, it is in the name's own zone,
// which is found by its SOA record. Who controls a name may point it anywhere, so without a zone
// that somebody has named, no record is written outside of the name's own ([*OutsideError]).
func (r *Resolver) Locate(ctx context.Context, name, zone string) (target, inZone string, err error) {
	name = Canonical(name)
	if target, err = r.follow(ctx, name); err != nil {
		return "", "", err
	}
	if zone != "" {
		if zone = Canonical(zone); !dns.IsSubDomain(zone, target) {
			return "", "", &NoZoneError{Name: target, Err: fmt.Errorf("it is not in the zone %s that the solver is for", bare(zone))}
		}
		return target, zone, nil
	}
	if zone, err = r.Zone(ctx, target); err != nil || target == name {
		return target, zone, err
	}
	if own, err := r.Zone(ctx, name); err != nil || own != zone {
		return "", "", errors.Join(err, &OutsideError{Name: name, Target: target, Zone: zone})
	}
	return target, zone, nil
}

// follow returns the name that a name is an alias of, itself when it is none. One that is an alias
// only because every name beside it is, by a wildcard, is none: a record of its own takes it out of
// that.
func (r *Resolver) follow(ctx context.Context, name string) (string, error) {
	seen := []string{name}
	for {
		next, err := r.alias(ctx, name)
		switch {
		case err != nil:
			return "", err
		case next == "":
			return name, nil
		case slices.Contains(seen, next):
			return "", &LookupError{Name: seen[0], Type: "CNAME", Server: "several servers", Problem: "its aliases go round in a circle"}
		case len(seen) > maxAliases:
			return "", &LookupError{Name: seen[0], Type: "CNAME", Server: "several servers", Problem: "it is an alias of an alias too often"}
		}
		if labels := dns.Split(name); len(seen) == 1 && len(labels) > 1 {
			beside, err := r.alias(ctx, noSuchLabel+name[labels[1]:])
			if err != nil {
				return "", err
			}
			if beside == next {
				return name, nil
			}
		}
		seen, name = append(seen, next), next
	}
}

// noSuchLabel begins a name that nobody has made a record for.
const noSuchLabel = "_no-such-name-of-this-solver."

// alias returns what a name is an alias of, empty when it is none.
func (r *Resolver) alias(ctx context.Context, name string) (string, error) {
	answer, err := r.ask(ctx, name, dns.TypeCNAME)
	if err != nil {
		return "", err
	}
	for _, rr := range answer.Answer {
		if alias, ok := rr.(*dns.CNAME); ok && Canonical(alias.Hdr.Name) == name {
			return Canonical(alias.Target), nil
		}
	}
	return "", nil
}

// Zone finds the zone that a name is in: the nearest name above it, or itself, with an SOA record.
// A top-level domain is not taken for one.
func (r *Resolver) Zone(ctx context.Context, name string) (string, error) {
	name = Canonical(name)
	var last error
	for _, i := range dns.Split(name) {
		candidate := name[i:]
		if dns.CountLabel(candidate) < 2 {
			break
		}
		answer, err := r.ask(ctx, candidate, dns.TypeSOA)
		if last = err; err != nil {
			break // a server that does not answer must not make a parent look like the zone
		}
		if zone := zoneOf(answer, candidate); zone != "" {
			return zone, nil
		}
	}
	return "", &NoZoneError{Name: name, Err: last}
}

// zoneOf returns the zone that an answer to the question for a name's SOA record tells. A name
// without one is answered with that of its zone.
func zoneOf(answer *dns.Msg, name string) string {
	records := answer.Answer
	if len(records) == 0 { // with an alias in it, the rest is not about this name
		records = answer.Ns
	}
	for _, rr := range records {
		zone := Canonical(rr.Header().Name)
		if rr.Header().Rrtype == dns.TypeSOA && dns.IsSubDomain(zone, name) && dns.CountLabel(zone) >= 2 {
			return zone
		}
	}
	return ""
}

// A Nameserver is a server that is authoritative for a zone.
type Nameserver struct {
	Name    string // empty where only the address is known
	Address string // host:port
}

func (n Nameserver) String() string {
	if n.Name == "" {
		return n.Address
	}
	return bare(n.Name) + " (" + n.Address + ")"
}

// maxServers is how many servers of a zone are asked. The root has 13.
const maxServers = 13

// Authoritative returns one address of each server that is authoritative for a zone, of the first
// 13. One whose address is not found is left out unless there is no other.
func (r *Resolver) Authoritative(ctx context.Context, zone string) ([]Nameserver, error) {
	answer, err := r.ask(ctx, zone, dns.TypeNS)
	if err != nil {
		return nil, err
	}
	var servers []Nameserver
	for _, rr := range answer.Answer {
		ns, ok := rr.(*dns.NS)
		if !ok || len(servers) == maxServers {
			continue
		}
		address, lookup := r.address(ctx, ns.Ns)
		if lookup != nil {
			err = lookup
			continue
		}
		servers = append(servers, Nameserver{Name: Canonical(ns.Ns), Address: net.JoinHostPort(address, "53")})
	}
	if len(servers) > 0 {
		return servers, nil
	}
	if err == nil {
		err = &LookupError{Name: zone, Type: "NS", Server: "the resolver", Problem: "the zone names no server"}
	}
	return nil, err
}

// address finds an address of a host. IPv4 comes first: a machine without IPv6 is more common than
// one without the other.
func (r *Resolver) address(ctx context.Context, host string) (string, error) {
	for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA} {
		answer, err := r.ask(ctx, host, kind)
		if err != nil {
			return "", err
		}
		for _, rr := range answer.Answer {
			switch rr := rr.(type) {
			case *dns.A:
				return rr.A.String(), nil
			case *dns.AAAA:
				return rr.AAAA.String(), nil
			}
		}
	}
	return "", &LookupError{Name: host, Type: "A", Server: "the resolver", Problem: "it has no address"}
}

// ask puts a question to the resolvers until one answers. That a name does not exist is an answer.
func (r *Resolver) ask(ctx context.Context, name string, kind uint16) (*dns.Msg, error) {
	servers, err := r.servers()
	if err != nil {
		return nil, err
	}
	for _, server := range servers {
		var answer *dns.Msg
		if answer, err = query(ctx, server, name, kind, true, r.Patience); err == nil {
			return answer, nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, err
}

func (r *Resolver) servers() ([]string, error) {
	if len(r.Servers) > 0 {
		return r.Servers, nil
	}
	config, err := dns.ClientConfigFromFile("/etc/resolv.conf")
	if err != nil {
		return nil, fmt.Errorf("finding this machine's resolvers: %w", err)
	}
	servers := make([]string, 0, len(config.Servers))
	for _, s := range config.Servers {
		servers = append(servers, net.JoinHostPort(s, config.Port))
	}
	if len(servers) == 0 {
		return nil, errors.New("finding this machine's resolvers: /etc/resolv.conf names none")
	}
	return servers, nil
}

// query asks one server. An answer other than success and NXDOMAIN is an error.
func query(ctx context.Context, server, name string, kind uint16, recurse bool, patience time.Duration) (*dns.Msg, error) {
	if patience == 0 {
		patience = 3 * time.Second
	}
	m := new(dns.Msg).SetQuestion(dns.Fqdn(name), kind)
	m.RecursionDesired = recurse
	m.SetEdns0(1232, false)
	failed := func(problem string) error {
		return &LookupError{Name: name, Type: dns.TypeToString[kind], Server: server, Problem: problem}
	}
	var answer *dns.Msg
	for _, network := range []string{"udp", "tcp"} {
		ctx, cancel := context.WithTimeout(ctx, patience)
		client := &dns.Client{Net: network, Timeout: patience}
		got, _, err := client.ExchangeContext(ctx, m, server)
		cancel()
		if err != nil {
			return nil, failed(plain(err))
		}
		if answer = got; !answer.Truncated {
			break
		}
	}
	if answer.Rcode != dns.RcodeSuccess && answer.Rcode != dns.RcodeNameError {
		return nil, failed(dns.RcodeToString[answer.Rcode])
	}
	return answer, nil
}

// plain is a network error without the addresses, which its reader is told already.
func plain(err error) string {
	var e *net.OpError
	if errors.As(err, &e) && e.Timeout() {
		return "no answer in time"
	}
	text := err.Error()
	if i := strings.LastIndex(text, ": "); i >= 0 {
		text = text[i+2:]
	}
	return text
}
