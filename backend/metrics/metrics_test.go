// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package metrics

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/standing"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// full is a standing of which every metric has something to say, with so many of what may be many.
func full(many int) *standing.Status {
	now := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	left := 7
	s := &standing.Status{
		At: now,
		Revocations: standing.Revocations{
			Queued: many, Due: many, Sent: 1, Failing: 1, Blocked: map[string]int{"held": many},
			Oldest: "5b:a3", OldestQueuedAt: now, Complete: true,
		},
		Certificates: standing.CountCertificates([]int{1, 2, 3, 4, 5, many}),
		Budgets: []standing.Budget{
			{Name: "all", Per: "mount", OrdersLeft: &left, OpenLeft: &left, SpendLeft: "12.50"},
			{Name: "each", Per: "role", Subject: "web", OrdersLeft: &left},
			{Name: "own", Per: "requester", Subject: "entity:jane", OrdersLeft: &left},
		},
		CA: standing.CA{
			Configured: true, LastGood: now, ClockKnown: true, RatePerSecond: 2.5,
			Operations: []standing.Operation{{
				Name: "placing order", Outcomes: map[string]int{"ok": 3, "failed": 1}, Timed: 4,
				Took: 5 * time.Second, Within: map[float64]uint64{0.5: 1, 5: 4},
				Error: "placing order: Jane Roe has not signed",
			}},
			Background: standing.Breaker{Until: now.Add(time.Minute)},
		},
		Pass: standing.Pass{Ended: 3, Failed: 1, Began: now, Took: time.Second},
		Sync: standing.Sync{State: "failed", FinishedAt: now},
		Tidy: standing.Tidy{
			State: "Error", Failed: true, FinishedAt: now, Erased: map[string]int{"orders": many},
			Kept: map[string]map[string]int{"certificates": {"valid": many, "leased": 1}},
		},
		Changes: []standing.Change{{Change: "order-failed", Role: "web", Count: 2}},
	}
	s.Certificates.Trust = standing.Trust{
		Distrusted: many, Partly: 2, Unknown: 1,
		Refused: map[string]int{"mozilla": many, "java": 0},
	}
	var orders []standing.Order
	var domains []standing.Domain
	for n := range many {
		orders = append(orders, standing.Order{
			ID: fmt.Sprintf("order-%d", n), Role: "web", State: "pending", WaitsFor: "certinext",
			CreatedAt: now.Add(-time.Duration(n) * time.Minute),
		})
		domains = append(domains, standing.Domain{
			Name: fmt.Sprintf("d%d.example.com", n), ValidTill: now.Add(50 * 24 * time.Hour),
		})
	}
	s.Orders, s.Domains = standing.CountOrders(orders), standing.CountDomains(domains, now)
	return s
}

func exposition(t *testing.T, many int) string {
	t.Helper()
	text, err := Write(full(many), "v1.2.3")
	require.NoError(t, err)
	return string(text)
}

func TestEveryMetricIsTold(t *testing.T) {
	text := exposition(t, 5)
	for _, name := range Names() {
		assert.Contains(t, text, "# TYPE "+name+" ")
		assert.True(t, strings.HasPrefix(name, "certinext_"), name)
	}
	for _, line := range []string{
		`certinext_orders{role="web",state="pending",waits_for="certinext"} 5`,
		`certinext_domains_expiring{within_days="30"} 0`,
		`certinext_domains_expiring{within_days="60"} 5`,
		`certinext_certificates 20`,
		`certinext_certificates_expiring{within_days="30"} 6`,
		`certinext_certificates_distrusted 5`,
		`certinext_certificates_partly_distrusted 2`,
		`certinext_certificates_trust_unknown 1`,
		`certinext_certificates_refused{family="mozilla"} 5`,
		`certinext_certificates_refused{family="java"} 0`,
		`certinext_budget_spend_left{budget="all",role=""} 12.5`,
		`certinext_budget_orders_left{budget="each",role="web"} 7`,
		`certinext_breaker_open{work="background"} 1`,
		`certinext_request_duration_seconds_bucket{operation="placing order",le="5"} 4`,
		`certinext_request_duration_seconds_sum{operation="placing order"} 5`,
		`certinext_tidy_failed 1`,
		`certinext_tidy_erased{kind="orders"} 5`,
		`certinext_tidy_kept{kind="certificates",reason="leased"} 1`,
		`certinext_info{version="v1.2.3"} 1`,
	} {
		assert.Contains(t, text, line+"\n")
	}
}

// A series for each order, domain or requester would fill Prometheus, and tell names.
func TestTheNumberOfSeriesDoesNotGrow(t *testing.T) {
	few, many := exposition(t, 5), exposition(t, 500)
	require.Equal(t, strings.Count(few, "\n"), strings.Count(many, "\n"))
	for _, private := range []string{"jane", "Jane", "example.com", "order-", "5b:a3"} {
		require.NotContains(t, strings.ReplaceAll(many, "order-failed", ""), private)
	}
}

var named = regexp.MustCompile(`\bcertinext_[a-z_]+\b`)

// notNames are what looks like a metric's name in the files, and is none.
var notNames = []string{"certinext_order", "certinext_"}

// What the files of docs/monitoring name is there, and what is there is in the documentation.
func TestTheFilesNameTheMetricsThatThereAre(t *testing.T) {
	names := Names()
	found := make(map[string]bool)
	for _, file := range []string{
		"monitoring/alerts.yml", "monitoring/dashboard.json", "monitoring.md",
	} {
		text, err := os.ReadFile("../../docs/" + file)
		require.NoError(t, err)
		for _, name := range named.FindAllString(string(text), -1) {
			for _, part := range []string{"_bucket", "_sum", "_count"} {
				if base, is := strings.CutSuffix(name, part); is && base == Durations {
					name = base
				}
			}
			assert.True(t, slices.Contains(names, name) || slices.Contains(notNames, name),
				"%s names %s, which is no metric", file, name)
			if file == "monitoring.md" {
				found[name] = true
			}
		}
	}
	for _, name := range names {
		assert.True(t, found[name], "docs/monitoring.md does not have %s", name)
	}
}

// The dashboard is one that Grafana takes: a title and a query for each panel, and none upon
// another.
func TestTheDashboardIsWhole(t *testing.T) {
	text, err := os.ReadFile("../../docs/monitoring/dashboard.json")
	require.NoError(t, err)
	var dashboard struct {
		Title  string
		Panels []struct {
			ID      int
			Title   string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr string }
		}
	}
	require.NoError(t, json.Unmarshal(text, &dashboard))
	require.NotEmpty(t, dashboard.Title)
	ids, cells := map[int]bool{}, map[[2]int]string{}
	for _, p := range dashboard.Panels {
		require.NotEmpty(t, p.Title)
		require.NotEmpty(t, p.Targets, p.Title)
		require.False(t, ids[p.ID], p.Title)
		ids[p.ID] = true
		require.LessOrEqual(t, p.GridPos.X+p.GridPos.W, 24, p.Title)
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				cell := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
				require.Empty(t, cells[cell], "%s is upon another", p.Title)
				cells[cell] = p.Title
			}
		}
		for _, target := range p.Targets {
			require.Regexp(t, named, target.Expr, p.Title)
		}
	}
}

// Prometheus' own tool finds nothing wrong with names and types, nor with the rules.
func TestPromtoolFindsNothingWrong(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("no promtool (Debian: apt-get install prometheus)")
	}
	check := exec.CommandContext(t.Context(), promtool, "check", "metrics")
	check.Stdin = strings.NewReader(exposition(t, 5))
	out, err := check.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Empty(t, bytes.TrimSpace(out))
	out, err = exec.CommandContext(t.Context(), promtool, "check", "rules",
		"../../docs/monitoring/alerts.yml").CombinedOutput()
	require.NoError(t, err, "%s", out)
	out, err = exec.CommandContext(t.Context(), promtool, "test", "rules",
		"testdata/trust_alerts.yml").CombinedOutput()
	require.NoError(t, err, "%s", out)
	out, err = exec.CommandContext(t.Context(), promtool, "check", "config", "--syntax-only",
		"../../docs/monitoring/prometheus.yml").CombinedOutput()
	require.NoError(t, err, "%s", out)
}

func BenchmarkWrite(b *testing.B) {
	s := full(10_000)
	for b.Loop() {
		if _, err := Write(s, "v1"); err != nil {
			b.Fatal(err)
		}
	}
}
