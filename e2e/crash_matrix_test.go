// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The crash matrix kills every flow of the engine at every place of its journal: before and after each call to the CA, before
// and after each write to storage, and around each answer: while the plugin has it in its hands, and when Vault has stored
// its lease and the client has not heard. Then the client repeats what it was at, and in the end the books have to show one
// order, one certificate, one usable key, and no key that should be gone.
//
// The places are those of an undisturbed run, so none can be forgotten. Every client is stopped at its own place; when all
// stand at theirs, one SIGKILL ends them together, which takes a minute where a crash for each would take many. What they
// share is the server and, but for the flows that need one of their own, the mount and the CA.
//
// In the suite, some flows are killed in one manner only, with the server and the plugin. CRASH_FLOWS=all plays all of them in every
// manner, and CRASH_FLOWS=issue,lease those.
func TestACrashAnywhereLosesNothingAndPaysNothingTwice(t *testing.T) {
	t.Parallel()
	onLinux(t)
	for name, manner := range map[string]crashManner{
		"server and plugin are killed": {kill: powerLoss, exact: true, all: true},
		"the plugin is killed":         {kill: pluginLoss, exact: true, apart: true},
		"the server is killed":         {kill: serverLoss},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newCrashRig(t, manner)
			journals, references := r.reference()
			all := slices.Concat(references, r.onceKilled(journals), r.twiceKilled(journals))
			r.compare(all)
			t.Logf("%s\n%s", name, r.tally.String())
		})
	}
}

// playedFlows are the flows that are killed in a manner.
func playedFlows(manner crashManner) []*crashFlow {
	var flows []*crashFlow
	named := os.Getenv("CRASH_FLOWS")
	for i := range crashFlows {
		f, isPlayed := &crashFlows[i], true
		switch named {
		case "":
			isPlayed = !f.rarely || manner.all
		case "all":
		default:
			isPlayed = slices.Contains(strings.Split(named, ","), f.name)
		}
		if isPlayed {
			flows = append(flows, f)
		}
	}
	return flows
}

// reference runs every flow without a crash, or with its first one only, and returns what happened.
func (r *crashRig) reference() (map[string]journal, []*point) {
	r.t.Helper()
	var undisturbed, struck []*point
	for _, f := range playedFlows(r.crashManner) {
		if f.first == nil {
			undisturbed = append(undisturbed, r.point(f))
		} else {
			struck = append(struck, r.point(f, *f.first))
		}
	}
	r.run(undisturbed)
	r.run(struck)
	points := slices.Concat(undisturbed, struck)
	journals := make(map[string]journal)
	for _, p := range points {
		require.NoError(r.t, p.failed, "%s does not come to its end undisturbed: %s", p, r.desk.journal(p.label))
		j := slices.DeleteFunc(r.desk.journal(p.label), func(s journalStep) bool {
			return !slices.Contains(p.flow.killed, s.name)
		})
		if p.flow.fleet {
			j = j.sorted()
		}
		if j.String() != p.flow.journal {
			r.t.Errorf("%s: the journal has changed: %q", p.flow.name, j.String())
		}
		journals[p.flow.name] = j
	}
	return journals, points
}

// onceKilled kills the flows that begin undisturbed.
func (r *crashRig) onceKilled(journals map[string]journal) []*point {
	return r.killed(journals, func(f *crashFlow) bool { return f.first == nil })
}

// twiceKilled kills again those that a crash has struck before.
func (r *crashRig) twiceKilled(journals map[string]journal) []*point {
	return r.killed(journals, func(f *crashFlow) bool { return f.first != nil })
}

func (r *crashRig) killed(journals map[string]journal, which func(*crashFlow) bool) []*point {
	r.t.Helper()
	var points []*point
	for _, f := range playedFlows(r.crashManner) {
		if !which(f) {
			continue
		}
		before := len(points)
		for _, at := range journals[f.name].spots(f.killed) {
			if f.only != nil && !slices.Contains(f.only, at.event) {
				continue
			}
			spots := []spot{at}
			if f.first != nil {
				spots = []spot{*f.first, at}
			}
			points = append(points, r.point(f, spots...))
		}
		require.Greater(r.t, len(points), before, "%s is killed nowhere", f.name)
	}
	r.run(points)
	return points
}
