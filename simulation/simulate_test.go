// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestSimulate plays many seeds: those of SIM_RANGE, or 500, or 20 with the race detector. A
// history is repeatable on one processor only, so each core runs a process. It reports every broken
// promise by name, with the shortest history of the first seed that breaks it.
func TestSimulate(t *testing.T) {
	text := os.Getenv("SIM_RANGE")
	if text == "" {
		text = "1-500"
		if raceEnabled {
			text = "1-20"
		}
	}
	from, to, err := seedRange(text)
	require.NoError(t, err)
	begun := time.Now()
	s := &simulation{next: from, last: to}
	var workers sync.WaitGroup
	cores := min(runtime.NumCPU(), int(to-from+1))
	for range cores {
		workers.Go(func() {
			for s.work(t) {
			}
		})
	}
	workers.Wait()
	minutes := time.Since(begun).Minutes()
	t.Logf("%d histories, %d operations, %d calls, %d orders, %d of the histories broken; "+
		"%.0f histories a minute and core on %d cores",
		len(s.all), s.steps, s.calls, s.orders, s.broken,
		float64(len(s.all))/minutes/float64(cores), cores)
	s.tell(t)
}

// A simulation is a range of seeds with their outcomes.
type simulation struct {
	mu                           sync.Mutex
	next, last                   uint64
	all                          []played
	steps, calls, orders, broken int
}

// chunk is the number of seeds that one process plays, so that memory which long histories do not
// free cannot accumulate.
const chunk = 100

// work plays the next seeds in another process. It reports whether there were any.
func (s *simulation) work(t *testing.T) bool {
	s.mu.Lock()
	from := s.next
	to := min(from+chunk-1, s.last)
	s.next = to + 1
	s.mu.Unlock()
	if from > to {
		return false
	}
	for from <= to {
		from = s.play(t, from, to)
	}
	return true
}

// play plays a range in another process. It returns the seed to continue with, which is inside the
// range if the process died.
func (s *simulation) play(t *testing.T, from, to uint64) (next uint64) {
	reader, writer := io.Pipe()
	playing := from
	var lines sync.WaitGroup
	lines.Go(func() {
		scan := bufio.NewScanner(reader)
		scan.Buffer(nil, 16<<20)
		for scan.Scan() {
			if seed, ok := strings.CutPrefix(scan.Text(), "playing "); ok {
				_, _ = fmt.Sscan(seed, &playing)
			}
			if line, ok := strings.CutPrefix(scan.Text(), "played "); ok {
				s.take(t, line)
			}
		}
	})
	var last tail
	err := reexec(&last, writer, "^TestSeeds$", fmt.Sprintf("SIM_SEEDS=%d-%d", from, to))
	_ = writer.Close()
	lines.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil || slices.ContainsFunc(s.all, func(p played) bool { return p.Seed == to }) {
		return to + 1
	}
	// The process has died, of a deadlock or a panic.
	s.broken++
	died := Violation{Name: "rest/died", Text: last.String()}
	s.all = append(s.all, played{Seed: playing, Outcome: Outcome{Broken: []Violation{died}}})
	return playing + 1
}

func (s *simulation) take(t *testing.T, line string) {
	var p played
	if err := json.Unmarshal([]byte(line), &p); err != nil {
		t.Errorf("%q: %v", line, err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, p)
	s.steps += p.Steps
	s.calls += p.Calls
	s.orders += p.Orders
	if len(p.Broken) > 0 {
		s.broken++
	}
}

// tell reports each broken promise, with the number of seeds that break it, and shrinks the first
// of them.
func (s *simulation) tell(t *testing.T) {
	slices.SortFunc(s.all, func(a, b played) int { return int(a.Seed) - int(b.Seed) })
	first, count := make(map[string]played), make(map[string]int)
	for _, p := range s.all {
		for _, v := range p.Broken {
			count[v.Name]++
			if count[v.Name] == 1 {
				first[v.Name] = p
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(first)) {
		p := first[name]
		t.Errorf("%s: broken by %d histories, seed %d the first\n%s", name, count[name], p.Seed,
			story(p.Seed, name))
	}
}

// story shrinks a seed in another process.
func story(seed uint64, name string) string {
	var out strings.Builder
	_ = reexec(io.Discard, &out, "^TestSeeds$", fmt.Sprintf("SIM_SEEDS=%d", seed),
		"SIM_SHRINK="+name)
	_, text, _ := strings.Cut(out.String(), "STORY ")
	text, _, found := strings.Cut(text, "\nEND")
	if !found {
		return "again: " + repeats(seed)
	}
	return text
}

// again runs one of these tests in another process, on one processor.
func again(t *testing.T, test string, out io.Writer, env ...string) {
	t.Helper()
	require.NoError(t, reexec(out, out, test, env...))
}

func reexec(errors, out io.Writer, test string, env ...string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, "-test.run", test, "-test.v=false", "-test.timeout=30m")
	cmd.Env = append(append(os.Environ(), "GOMAXPROCS=1"), env...)
	cmd.Stdout, cmd.Stderr = out, errors
	return cmd.Run()
}

// A tail keeps the first lines that a dying process prints.
type tail struct{ strings.Builder }

func (l *tail) Write(b []byte) (int, error) {
	if l.Len() < 12<<10 {
		return l.Builder.Write(b)
	}
	return len(b), nil
}
