// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"fmt"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/internal/phrase"
)

// A Target is what a figure is to come to.
type Target struct {
	What   string
	Wanted string
	Is     string
	Met    bool
}

// The targets: how much of PKI's rate, how much time of our own, how much memory, and how long a
// start takes.
const (
	wantedRatio = 0.5
	wantedOwn   = time.Millisecond
	wantedRSS   = 64 << 20
	wantedStart = 100 * time.Millisecond
	// wantedExcess is by how much a call to a slow CA may take longer than what it waits for.
	wantedExcess = 0.05
)

// targets holds the result to what is wanted.
func targets(r *Result, clients []int, latency time.Duration) []Target {
	var out []Target
	for _, call := range []Call{IssueEC, Sign} {
		for _, n := range clients {
			is, ok := r.ratio(Case{call, true, n, 0, Certinext})
			if !ok {
				continue
			}
			out = append(out, Target{
				What:   fmt.Sprintf("%s with leases, %d clients: rate by PKI's", call, n),
				Wanted: fmt.Sprintf("≥ %.2f", wantedRatio), Is: fmt.Sprintf("%.2f", is),
				Met: is >= wantedRatio,
			})
		}
	}
	if own := time.Duration(r.Share.Own); own > 0 {
		out = append(out, Target{
			"our own time of an issue, one client", "≤ 1 ms", millis(own), own <= wantedOwn,
		})
	}
	if slow, fast := r.of(Case{IssueEC, true, 1, latency, Certinext}),
		r.of(Case{IssueEC, true, 1, 0, Certinext}); slow != nil && fast != nil {
		least := time.Duration(slow.Each(slow.Spent.CACalls)*float64(latency)) +
			time.Duration(r.Share.Storage)
		excess := float64(slow.Percentile(50))/float64(least) - 1
		out = append(out, Target{
			fmt.Sprintf("issue with a CA of %s a call, one client: beyond its CA calls and storage",
				phrase.Duration(latency)), "≤ 5 %", fmt.Sprintf("%.0f %%", 100*excess), excess <= wantedExcess,
		})
	}
	most := clients[len(clients)-1]
	if m := r.of(Case{IssueEC, true, most, latency, Certinext}); m != nil && m.RSS > 0 {
		out = append(out, Target{
			fmt.Sprintf("memory of the plugin, %d clients and a CA of %s a call", most,
				phrase.Duration(latency)),
			"≤ 64 MB", fmt.Sprintf("%d MB", m.RSS>>20), m.RSS <= wantedRSS,
		})
	}
	if r.Start > 0 {
		out = append(out, Target{
			fmt.Sprintf("start to first answer, %d certificates stored", r.Stored), "≤ 100 ms",
			millis(r.Start), r.Start <= wantedStart,
		})
	}
	return out
}

// millis writes a time in milliseconds, with as many digits as matter.
func millis(d time.Duration) string {
	if d == 0 {
		return "0 ms"
	}
	ms := float64(d) / float64(time.Millisecond)
	switch {
	case ms < 10:
		return fmt.Sprintf("%.2f ms", ms)
	case ms < 100:
		return fmt.Sprintf("%.1f ms", ms)
	}
	return fmt.Sprintf("%.0f ms", ms)
}
