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
	// Name and Type are what was asked for, e.g. "example.com." and "SOA".
	Name, Type string
	// Server is the one that was asked last, as host:port, or words where there were several.
	Server string
	// Problem is a code such as SERVFAIL, or what the network reported.
	Problem string
}

// Error names the question, the server and the problem.
func (e *LookupError) Error() string {
	return fmt.Sprintf("looking up %s %s at %s: %s", e.Type, bare(e.Name), e.Server, e.Problem)
}

// A NoZoneError is a name that no zone was found for.
type NoZoneError struct {
	// Name is the name that was to be written at, in the form of [Canonical].
	Name string
	// Err is that of the last look-up; nil when it was answered, and named no zone.
	Err error
}

// Error names the name and why no zone was found.
func (e *NoZoneError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("no DNS zone was found for %s: %v", bare(e.Name), e.Err)
	}
	return fmt.Sprintf(
		"no DNS zone was found for %s: no name above it has an SOA record", bare(e.Name),
	)
}

// Unwrap returns the error of the last look-up.
func (e *NoZoneError) Unwrap() error { return e.Err }

// maxAliases is how many CNAMEs are followed.
const maxAliases = 8

// An OutsideError is a name that a CNAME delegates to another zone, in which no operator has
// allowed records to be written.
type OutsideError struct {
	// Name is the alias, Target the name that it stands for, and Zone the zone that Target is in,
	// all in the form of [Canonical].
	Name, Target, Zone string
}

// Error names all three, and what an operator can do.
func (e *OutsideError) Error() string {
	return fmt.Sprintf("%s is an alias of %s in another zone, %s: name that as the solver's zone "+
		"if it is there for delegated challenges",
		bare(e.Name), bare(e.Target), bare(e.Zone))
}

// Locate returns where the TXT record of a name has to be written: target, which is the name itself
// or the name that a CNAME delegates it to, and inZone, the zone of target.
//
// With a zone, target has to lie in it ([*NoZoneError]). Without one, inZone is found by its SOA
// record and has to be the zone of name as well ([*OutsideError]): anyone who controls name could
// point it at a name in another zone of the same operator, so an operator has to name a zone that
// is there for delegated challenges.
func (r *Resolver) Locate(
	ctx context.Context, name, zone string,
) (target, inZone string, err error) {
	name = Canonical(name)
	if target, err = r.follow(ctx, name); err != nil {
		return "", "", err
	}
	if zone != "" {
		if zone = Canonical(zone); !dns.IsSubDomain(zone, target) {
			return "", "", &NoZoneError{
				Name: target,
				Err:  fmt.Errorf("it is not in the zone %s that the solver is for", bare(zone)),
			}
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

// follow returns the name that a name is an alias of, and the name itself when it is none. A name
// that is an alias only by a wildcard, as every name beside it is, counts as none: once it has a
// TXT record of its own, the wildcard does not apply to it any more (RFC 4592, section 2.2.1).
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
			return "", &LookupError{
				Name: seen[0], Type: "CNAME", Server: "several servers",
				Problem: "its aliases go round in a circle",
			}
		case len(seen) > maxAliases:
			return "", &LookupError{
				Name: seen[0], Type: "CNAME", Server: "several servers",
				Problem: "it is an alias of an alias too often",
			}
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

// noSuchLabel begins a name that has no record of its own, unless a wildcard gives it one.
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

// Zone returns the zone that a name is in, which is the nearest name above it, or the name itself,
// that has an SOA record. A top-level domain is never returned: no record is to be written there. A
// name without a zone is a [*NoZoneError].
func (r *Resolver) Zone(ctx context.Context, name string) (string, error) {
	name = Canonical(name)
	var last error
	for _, i := range dns.Split(name) {
		candidate := name[i:]
		if dns.CountLabel(candidate) < 2 {
			break
		}
		answer, err := r.ask(ctx, candidate, dns.TypeSOA)
		if err != nil {
			last = err
			break // a server that does not answer must not make a parent look like the zone
		}
		if zone := zoneOf(answer, candidate); zone != "" {
			return zone, nil
		}
	}
	return "", &NoZoneError{Name: name, Err: last}
}

// zoneOf returns the zone that an answer to the question for a name's SOA record names; empty when
// it names none. A name that has no SOA record is answered with the one of its zone.
func zoneOf(answer *dns.Msg, name string) string {
	records := answer.Answer
	if len(records) == 0 { // with an alias in it, the rest is not about this name
		records = answer.Ns
	}
	for _, rr := range records {
		zone := Canonical(rr.Header().Name)
		if rr.Header().Rrtype == dns.TypeSOA && dns.IsSubDomain(zone, name) &&
			dns.CountLabel(zone) >= 2 {
			return zone
		}
	}
	return ""
}

// A Nameserver is a server that is authoritative for a zone.
type Nameserver struct {
	// Name is the server's, in the form of [Canonical]; empty where only the address is known.
	Name string
	// Address is host:port.
	Address string
}

// String returns the name and the address, as far as they are known.
func (n Nameserver) String() string {
	if n.Name == "" {
		return n.Address
	}
	return bare(n.Name) + " (" + n.Address + ")"
}

// maxServers is how many servers of a zone are asked. The root has 13.
const maxServers = 13

// Authoritative returns one address of each of the first 13 servers that are authoritative for a
// zone. A server whose address is not found is left out; when that is every server, the error is
// that of the last look-up.
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
		servers = append(servers, Nameserver{
			Name: Canonical(ns.Ns), Address: net.JoinHostPort(address, "53"),
		})
	}
	if len(servers) > 0 {
		return servers, nil
	}
	if err == nil {
		err = &LookupError{
			Name: zone, Type: "NS", Server: "the resolver", Problem: "the zone names no server",
		}
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
	return "", &LookupError{
		Name: host, Type: "A", Server: "the resolver", Problem: "it has no address",
	}
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
func query(
	ctx context.Context, server, name string, kind uint16, recurse bool, patience time.Duration,
) (*dns.Msg, error) {
	if patience == 0 {
		patience = 3 * time.Second
	}
	m := new(dns.Msg).SetQuestion(dns.Fqdn(name), kind)
	m.RecursionDesired = recurse
	m.SetEdns0(1232, false)
	failed := func(problem string) error {
		return &LookupError{
			Name: name, Type: dns.TypeToString[kind], Server: server, Problem: problem,
		}
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

// plain returns the text of a network error without the addresses, which a LookupError has already.
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
