// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package dcv

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// A Sighting is what the servers of a zone answered to the question for a record.
type Sighting struct {
	// Name is the record's owner, in the form of [Canonical].
	Name string
	// Value is the text that was looked for.
	Value string
	// Answers has one answer of each server, in the order of the servers.
	Answers []Answer
}

// An Answer is one server's.
type Answer struct {
	// Server is the one that was asked.
	Server Nameserver
	// Values are those of the TXT records that it has at the name, each record's strings joined.
	Values []string
	// Problem is why there are no values to show: NXDOMAIN, another code, or what the network
	// reported; empty when the server answered.
	Problem string
}

// Look asks every server at once for the TXT records at a name, and waits at most patience for each
// of the two questions that an answer may take; 3 seconds when zero. Servers are from
// [Resolver.Authoritative]; a server that fails is an Answer with a Problem.
func Look(
	ctx context.Context, servers []Nameserver, name, value string, patience time.Duration,
) Sighting {
	s := Sighting{Name: Canonical(name), Value: value, Answers: make([]Answer, len(servers))}
	var wg sync.WaitGroup
	for i, server := range servers {
		wg.Go(func() { s.Answers[i] = lookAt(ctx, server, name, patience) })
	}
	wg.Wait()
	return s
}

func lookAt(ctx context.Context, server Nameserver, name string, patience time.Duration) Answer {
	a := Answer{Server: server}
	answer, err := query(ctx, server.Address, name, dns.TypeTXT, false, patience)
	if err != nil {
		a.Problem = err.(*LookupError).Problem //nolint:errorlint // query returns no other
		return a
	}
	if answer.Rcode == dns.RcodeNameError {
		a.Problem = "NXDOMAIN"
	}
	for _, rr := range answer.Answer {
		if txt, ok := rr.(*dns.TXT); ok {
			a.Values = append(a.Values, strings.Join(txt.Txt, ""))
		}
	}
	return a
}

// Complete reports whether every server has the value. It is false without servers.
func (s Sighting) Complete() bool {
	return len(s.Answers) > 0 && !slices.ContainsFunc(s.Answers, func(a Answer) bool {
		return !slices.Contains(a.Values, s.Value)
	})
}

// Gone reports whether no server that answered has the value, and at least one answered.
func (s Sighting) Gone() bool {
	answered := 0
	for _, a := range s.Answers {
		if slices.Contains(a.Values, s.Value) {
			return false
		}
		if a.Problem == "" || a.Problem == "NXDOMAIN" {
			answered++
		}
	}
	return answered > 0
}

// Somewhere reports whether any server has the value.
func (s Sighting) Somewhere() bool {
	return slices.ContainsFunc(s.Answers, func(a Answer) bool {
		return slices.Contains(a.Values, s.Value)
	})
}

// maxListed bounds how many servers, and values of one server, String lists.
const maxListed = 4

// String says which record was looked for, where, and what was found.
func (s Sighting) String() string {
	var found []string
	for _, a := range s.Answers[:min(maxListed, len(s.Answers))] {
		found = append(found, a.String())
	}
	if more := len(s.Answers) - len(found); more > 0 {
		found = append(found, fmt.Sprintf("%d more servers", more))
	}
	if len(found) == 0 {
		found = []string{"no server to ask is known"}
	}
	return fmt.Sprintf(
		"looked for the TXT record %s with the value %q: %s", bare(s.Name), s.Value,
		strings.Join(found, "; "),
	)
}

// String names the server and what it has.
func (a Answer) String() string {
	switch {
	case a.Problem != "":
		return fmt.Sprintf("%s answered %s", a.Server, a.Problem)
	case len(a.Values) == 0:
		return fmt.Sprintf("%s has no TXT record there", a.Server)
	}
	var values []string
	for _, v := range a.Values[:min(maxListed, len(a.Values))] {
		values = append(values, fmt.Sprintf("%.80q", v))
	}
	return fmt.Sprintf("%s has %s", a.Server, strings.Join(values, ", "))
}
