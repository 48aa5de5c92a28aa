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
	Name    string
	Value   string
	Answers []Answer
}

// An Answer is one server's.
type Answer struct {
	Server  Nameserver
	Values  []string // of the TXT records that it has at the name
	Problem string   // why it has none to show; empty when it answered
}

// Look asks every server for the TXT records at a name.
func Look(ctx context.Context, servers []Nameserver, name, value string, patience time.Duration) Sighting {
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

// Complete reports whether every server has the value. Without servers nothing was seen.
func (s Sighting) Complete() bool {
	return len(s.Answers) > 0 && !slices.ContainsFunc(s.Answers, func(a Answer) bool { return !slices.Contains(a.Values, s.Value) })
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
	return slices.ContainsFunc(s.Answers, func(a Answer) bool { return slices.Contains(a.Values, s.Value) })
}

// maxTold bounds how many servers, and values of one, a message tells of.
const maxTold = 4

// String says which record was looked for, where, and what was found.
func (s Sighting) String() string {
	var found []string
	for _, a := range s.Answers[:min(maxTold, len(s.Answers))] {
		found = append(found, a.String())
	}
	if more := len(s.Answers) - len(found); more > 0 {
		found = append(found, fmt.Sprintf("%d more servers", more))
	}
	if len(found) == 0 {
		found = []string{"no server to ask is known"}
	}
	return fmt.Sprintf("looked for the TXT record %s with the value %q: %s", bare(s.Name), s.Value, strings.Join(found, "; "))
}

func (a Answer) String() string {
	switch {
	case a.Problem != "":
		return fmt.Sprintf("%s answered %s", a.Server, a.Problem)
	case len(a.Values) == 0:
		return fmt.Sprintf("%s has no TXT record there", a.Server)
	}
	var told []string
	for _, v := range a.Values[:min(maxTold, len(a.Values))] {
		told = append(told, fmt.Sprintf("%.80q", v))
	}
	return fmt.Sprintf("%s has %s", a.Server, strings.Join(told, ", "))
}
