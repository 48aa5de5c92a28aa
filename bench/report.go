// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"fmt"
	"strings"
	"time"
)

// line tells of one case.
func line(m *Measure) string {
	return fmt.Sprintf("%-66s %7.1f/s  p50 %-8s p95 %-8s p99 %-8s plugin %s  server %s  CA %s  "+
		"storage %.1f+%.1f  calls %.1f  %d MB\n",
		strings.TrimPrefix(m.Case.Name(), "BenchmarkCall/"), m.Rate(),
		millis(m.Percentile(50)), millis(m.Percentile(95)), millis(m.Percentile(99)),
		each(m, m.Spent.Plugin), each(m, m.Spent.Server), each(m, m.Spent.CA),
		m.Each(m.Spent.Reads), m.Each(m.Spent.Writes), m.Each(m.Spent.CACalls), m.RSS>>20)
}

// each is a time by the call.
func each(m *Measure, total time.Duration) string {
	return millis(time.Duration(m.Each(float64(total))))
}

// benchstat writes the calls as Go's benchmarks do.
func benchstat(r *Result) string {
	var b strings.Builder
	for _, m := range r.Measures {
		fmt.Fprintf(&b, "%s %d %d ns/op %d p95-ns %.2f calls/s\n", m.Case.Name(), len(m.Took),
			m.Percentile(50).Nanoseconds(), m.Percentile(95).Nanoseconds(), m.Rate())
	}
	return b.String()
}

// verdicts says which targets are met.
func verdicts(all []Target) string {
	var b strings.Builder
	for _, t := range all {
		verdict := "not met"
		if t.Met {
			verdict = "met"
		}
		fmt.Fprintf(&b, "%-8s %s: %s (%s)\n", verdict, t.What, t.Is, t.Wanted)
	}
	return b.String()
}

// tables writes the figures as tables of Markdown.
func tables(r *Result, all []Target) string {
	var b strings.Builder
	b.WriteString("| target | wanted | measured | |\n|---|---|---|---|\n")
	for _, t := range all {
		verdict := "not met"
		if t.Met {
			verdict = "met"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", t.What, t.Wanted, t.Is, verdict)
	}
	b.WriteString("\n| call | leases | clients | CA | engine | per second | p50 | p95 | p99 " +
		"| CPU of plugin | of server | of CA | storage reads, writes | CA calls |\n" +
		"|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, m := range r.Measures {
		c := m.Case
		leases, ca, plugin, simulator := "no", "", "", ""
		if c.Leases {
			leases = "yes"
		}
		if c.Engine == Certinext {
			ca, plugin, simulator = millis(c.Latency), each(m, m.Spent.Plugin), each(m, m.Spent.CA)
		}
		fmt.Fprintf(&b, "| %s | %s | %d | %s | %s | %.1f | %s | %s | %s | %s | %s | %s "+
			"| %.1f, %.1f | %.1f |\n",
			c.Call, leases, c.Clients, ca, c.Engine, m.Rate(), millis(m.Percentile(50)),
			millis(m.Percentile(95)), millis(m.Percentile(99)), plugin, each(m, m.Spent.Server),
			simulator, m.Each(m.Spent.Reads), m.Each(m.Spent.Writes), m.Each(m.Spent.CACalls))
	}
	s := r.Share
	fmt.Fprintf(&b, "\nOf one issue within the plugin's process, %s: the simulator %s, storage %s, "+
		"the key %s, our own %s.\n", micros(s.Wall), micros(s.CA), micros(s.Storage), micros(s.Key),
		micros(s.Own))
	return b.String()
}

// micros writes nanoseconds as microseconds.
func micros(ns float64) string { return fmt.Sprintf("%.0f µs", ns/1000) }
