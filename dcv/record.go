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

// A Record is a TXT record that proves control of a domain.
type Record struct {
	Name  string // its owner, absolute, in lower case, with the final dot
	Zone  string // where it is written, spelt like Name
	Value string
}

func (r Record) String() string {
	return fmt.Sprintf("TXT record %s in the zone %s", bare(r.Name), bare(r.Zone))
}

// Canonical is a domain name as records spell it.
func Canonical(name string) string { return dns.CanonicalName(name) }

// bare is a name for people.
func bare(name string) string {
	if name == "." {
		return "the root"
	}
	return strings.TrimSuffix(name, ".")
}

// MaxValue is the longest value of a record, in bytes: that of one string of a TXT record. A CA
// that compares single strings would not see a longer one.
const MaxValue = 255

var errAddress = errors.New("is not a host or host:port")

// Address completes host to host:port.
func Address(server, port string) (string, error) {
	if host, given, err := net.SplitHostPort(server); err == nil {
		if _, err := strconv.ParseUint(given, 10, 16); err != nil || host == "" || strings.ContainsAny(host, " /@") {
			return "", errAddress
		}
		return server, nil
	}
	host := strings.TrimSuffix(strings.TrimPrefix(server, "["), "]")
	if host == "" || strings.ContainsAny(host, " /@") || strings.Contains(host, ":") && net.ParseIP(host) == nil {
		return "", errAddress
	}
	return net.JoinHostPort(host, port), nil
}
