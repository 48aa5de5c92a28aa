// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"encoding/xml"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// measured is a case whose n calls took 1 to n milliseconds within a second.
func measured(c Case, n int) *Measure {
	m := &Measure{Case: c, Wall: time.Second, RSS: 40 << 20}
	for i := range n {
		m.Took = append(m.Took, time.Duration(n-i)*time.Millisecond)
	}
	m.Spent = Usage{Plugin: time.Second, Reads: float64(8 * n), Writes: float64(6 * n), CACalls: float64(2 * n)}
	return m
}

func result(ours, theirs int) *Result {
	r := &Result{Share: Share{Wall: 5e6, CA: 3e6, Storage: 1e6, Key: 1e4, Own: 9e5}, Start: 80 * time.Millisecond, Stored: 1000}
	for _, c := range []Case{
		{IssueEC, true, 1, 0, Certinext}, {IssueEC, true, 1, 50 * time.Millisecond, Certinext},
	} {
		r.Measures = append(r.Measures, measured(c, ours))
	}
	r.Measures = append(r.Measures, measured(Case{IssueEC, true, 1, 0, PKI}, theirs))
	return r
}

func TestPercentilesAreOfCallsThatWereMade(t *testing.T) {
	m := measured(Case{}, 200)
	require.Equal(t, 100*time.Millisecond, m.Percentile(50))
	require.Equal(t, 190*time.Millisecond, m.Percentile(95))
	require.Equal(t, 198*time.Millisecond, m.Percentile(99))
	require.Equal(t, 200*time.Millisecond, m.Percentile(100))
	require.Equal(t, time.Millisecond, measured(Case{}, 1).Percentile(99))
	require.Zero(t, new(Measure).Percentile(50))
}

func TestBlocksOfACaseAddUp(t *testing.T) {
	m := measured(Case{}, 10)
	m.add(*measured(Case{}, 30))
	require.InDelta(t, 20, m.Rate(), 0.001)
	require.InDelta(t, 8, m.Each(m.Spent.Reads), 0.001)
	require.Equal(t, 2*time.Second, m.Spent.Plugin)
}

func TestTargetsAreMetOrNot(t *testing.T) {
	met := func(r *Result) map[string]bool {
		out := make(map[string]bool)
		for _, target := range targets(r, []int{1}, 50*time.Millisecond) {
			out[strings.SplitN(target.What, ",", 2)[0]] = target.Met
		}
		return out
	}
	require.Equal(t, map[string]bool{
		"issue": true, "our own time of an issue": true, "memory of the plugin": true, "start to first answer": true,
		"issue with a CA of 50 ms a call": true,
	}, met(result(60, 100)))
	r := result(49, 100)
	r.Share.Own, r.Start = 1.1e6, time.Second
	for _, m := range r.Measures {
		m.RSS = 65 << 20
		for i := range m.Took {
			m.Took[i] *= 10
		}
	}
	require.Equal(t, map[string]bool{
		"issue": false, "our own time of an issue": false, "memory of the plugin": false, "start to first answer": false,
		"issue with a CA of 50 ms a call": false,
	}, met(r))
}

func TestSharesAreReadFromGosBenchmark(t *testing.T) {
	s, err := readShares("goos: linux\nBenchmarkShareOfAnIssue-2 \t 318\t 7107348 ns/op\t 2969203 ca-ns/op\t 9316 key-ns/op\t" +
		" 4096962 own-ns/op\t 7.000 reads/op\t 31867 storage-ns/op\t 4.000 writes/op\nPASS\n")
	require.NoError(t, err)
	require.Equal(t, Share{Wall: 7107348, CA: 2969203, Key: 9316, Own: 4096962, Storage: 31867}, s)
	for _, broken := range []string{"", "PASS\n", "BenchmarkShareOfAnIssue-2 318 7107348 ns/op\n"} {
		_, err := readShares(broken)
		require.Error(t, err)
	}
}

func TestThePageIsWrittenBetweenItsLines(t *testing.T) {
	page, err := replaced("# A\n\n"+pageBegin+"\nold\n"+pageEnd+"\n\nB\n", "new\n")
	require.NoError(t, err)
	require.Equal(t, "# A\n\n"+pageBegin+"\n\nnew\n\n"+pageEnd+"\n\nB\n", page)
	_, err = replaced("# A\n", "new")
	require.Error(t, err)
}

func TestTheChartIsXMLAndHasABarForEachRate(t *testing.T) {
	text := chart(result(60, 100))
	for d := xml.NewDecoder(strings.NewReader(text)); ; {
		if _, err := d.Token(); err != nil {
			require.ErrorIs(t, err, io.EOF)
			break
		}
	}
	require.Contains(t, text, ">60<")
	require.Contains(t, text, ">100<")
	require.Equal(t, 1, strings.Count(text, string(IssueEC)), "a slow CA is no match for PKI")
}

func TestFiguresOfVaultAreAddedUp(t *testing.T) {
	text := "# TYPE vault_barrier_get summary\nvault_barrier_get{quantile=\"0.5\"} 0.1\nvault_barrier_get_sum 3\nvault_barrier_get_count 41\nvault_barrier_list_count 1\n"
	require.InDelta(t, 42, count(text, "vault_barrier_get_count", "vault_barrier_list_count"), 0.001)
}
