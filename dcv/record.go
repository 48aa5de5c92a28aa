// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package dcv

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/miekg/dns"
)

// A Record is a TXT record that proves control of a domain. It has everything that [Solver.Remove]
// needs, so that it can be stored before it is published.
type Record struct {
	// Name is the record's owner: absolute, in lower case, with the final dot. See [Canonical].
	Name string
	// Zone is the zone that the record is written in, spelt like Name. See [Resolver.Locate].
	Zone string
	// Value is the record's text, at most [MaxValue] bytes.
	Value string
}

// String names the record and its zone, without the value.
func (r Record) String() string {
	return fmt.Sprintf("TXT record %s in the zone %s", bare(r.Name), bare(r.Zone))
}

// relativeName is the record's owner without its zone; "@" for the zone itself.
func relativeName(r Record) string {
	if r.Name == r.Zone {
		return "@"
	}
	return strings.TrimSuffix(r.Name, "."+r.Zone)
}

// Canonical returns a domain name as records spell it: absolute, in lower case, with the final dot.
func Canonical(name string) string { return dns.CanonicalName(name) }

// bare returns a name as people write it, without the final dot.
func bare(name string) string {
	if name == "." {
		return "the root"
	}
	return strings.TrimSuffix(name, ".")
}

// MaxValue is the longest value of a record, in bytes: one string of a TXT record has no more. A
// longer value would take several strings, and a CA that compares single ones would not see it.
const MaxValue = 255

var errAddress = errors.New("is not a host or host:port")

// Address completes host to host:port, with port where server names none. An IPv6 address may stand
// in brackets or not.
func Address(server, port string) (string, error) {
	if host, given, err := net.SplitHostPort(server); err == nil {
		if _, err := strconv.ParseUint(given, 10, 16); err != nil || host == "" ||
			strings.ContainsAny(host, " /@") {
			return "", errAddress
		}
		return server, nil
	}
	host := strings.TrimSuffix(strings.TrimPrefix(server, "["), "]")
	if host == "" || strings.ContainsAny(host, " /@") ||
		(strings.Contains(host, ":") && net.ParseIP(host) == nil) {
		return "", errAddress
	}
	return net.JoinHostPort(host, port), nil
}
