// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package caa

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

// A Resolver looks CAA records up at recursive DNS servers.
type Resolver struct {
	// Servers are host:port; the next is asked where one fails.
	Servers []string
	// Timeout bounds one query; zero means two seconds. Each server is asked twice, as the
	// Baseline Requirements have it: "the lookup has been retried at least once".
	Timeout time.Duration
}

// SystemResolver is a Resolver of the servers that this machine uses.
func SystemResolver() (*Resolver, error) {
	config, err := dns.ClientConfigFromFile("/etc/resolv.conf")
	if err != nil {
		return nil, fmt.Errorf("reading the system's DNS servers: %w", err)
	}
	r := new(Resolver)
	for _, host := range config.Servers {
		r.Servers = append(r.Servers, net.JoinHostPort(host, config.Port))
	}
	return r, nil
}

// mostAliases bounds how many answers one look-up reads.
const mostAliases = 8

var (
	errNoServer = errors.New("no DNS server to ask")
	errAliases  = errors.New("the aliases do not end")
)

// Lookup is a [Lookup]. A resolver answers with the records behind an alias; where one answers with
// the alias alone, its target is asked for.
func (r *Resolver) Lookup(ctx context.Context, name string) ([]Record, error) {
	for range mostAliases {
		answer, err := r.ask(ctx, name)
		if err != nil {
			return nil, err
		}
		records, alias := read(answer, name)
		if len(records) > 0 || alias == "" {
			return records, nil
		}
		name = alias
	}
	return nil, errAliases
}

// read takes the records at name out of an answer, along its aliases. Where an alias leads out of
// the answer, its target is returned; a name that does not exist has no records.
func read(answer *dns.Msg, name string) (records []Record, alias string) {
	owner := dns.CanonicalName(name)
	for range len(answer.Answer) + 1 {
		target := ""
		for _, rr := range answer.Answer {
			if dns.CanonicalName(rr.Header().Name) != owner {
				continue
			}
			switch rr := rr.(type) {
			case *dns.CAA:
				records = append(records, Record{rr.Flag&critical != 0, rr.Tag, rr.Value})
			case *dns.CNAME:
				target = dns.CanonicalName(rr.Target)
			}
		}
		switch {
		case len(records) > 0:
			return records, ""
		case target == "" && (owner == dns.CanonicalName(name) || isNegative(answer)):
			return nil, ""
		case target == "":
			return nil, strings.TrimSuffix(owner, ".")
		}
		owner = target
	}
	return nil, strings.TrimSuffix(owner, ".") // they go in a circle
}

// isNegative reports whether an answer says that there is nothing at the end of its aliases: no
// such name, or an authority section that holds the zone's SOA (RFC 2308).
func isNegative(answer *dns.Msg) bool {
	return answer.Rcode == dns.RcodeNameError || slices.ContainsFunc(answer.Ns, isSOA)
}

// isSOA reports whether rr is what a negative answer has in its authority section.
func isSOA(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeSOA }

// critical is bit 0 of the flags, the most significant one.
const critical = 0x80

// ask returns an answer that says something: records, none, or no such name.
func (r *Resolver) ask(ctx context.Context, name string) (*dns.Msg, error) {
	failure := errNoServer
	for range 2 {
		for _, server := range r.Servers {
			answer, err := r.exchange(ctx, name, server)
			switch {
			case err != nil:
				failure = err
			case answer.Rcode == dns.RcodeSuccess, answer.Rcode == dns.RcodeNameError:
				return answer, nil
			default:
				failure = fmt.Errorf("the DNS answers %s", dns.RcodeToString[answer.Rcode])
			}
			if ctx.Err() != nil {
				return nil, failure
			}
		}
	}
	return nil, failure
}

// exchange asks one server, by TCP where the answer is too long for UDP.
func (r *Resolver) exchange(ctx context.Context, name, server string) (*dns.Msg, error) {
	query := new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeCAA)
	query.SetEdns0(1232, false)
	client := &dns.Client{Timeout: r.Timeout}
	if client.Timeout == 0 {
		client.Timeout = 2 * time.Second
	}
	answer, _, err := client.ExchangeContext(ctx, query, server)
	if err == nil && answer.Truncated {
		client.Net = "tcp"
		answer, _, err = client.ExchangeContext(ctx, query, server)
	}
	if err != nil {
		return nil, fmt.Errorf("asking the DNS: %w", err)
	}
	return answer, nil
}
