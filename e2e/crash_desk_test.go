// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/stretchr/testify/require"
)

// A spot is a place in a flow where it can be killed: before or after one event of one step.
type spot struct {
	step  string
	after bool
	event string
	nth   int // of its kind in the step
}

func (s spot) String() string { return s.step + ": " + s.place() }

// place is the spot as it is armed with.
func (s spot) place() string {
	side := "before"
	if s.after {
		side = "after"
	}
	return fmt.Sprintf("%s %s %d", side, s.event, s.nth)
}

// theAnswer is the event that the engine has given its answer to a request. Before it the answer is in the plugin's hands;
// after it Vault has stored the lease, and the client has not heard.
const theAnswer = "answer"

// A crashDesk is the test's side of the folder that it shares with the plugin; the plugin's side says what is in it.
type crashDesk struct {
	t   *testing.T
	dir string

	mu   sync.Mutex
	seen map[string]int // calls to the CA since their label was armed
	dead chan struct{}  // closed when what is held is killed
}

func newCrashDesk(t *testing.T, dir string) *crashDesk {
	t.Helper()
	for _, folder := range []string{"armed", "held", "clock"} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, folder), 0o700))
	}
	return &crashDesk{t: t, dir: dir, seen: make(map[string]int), dead: make(chan struct{})}
}

func (d *crashDesk) path(folder, name string) string { return filepath.Join(d.dir, folder, name) }

// arm makes the label stop at a spot.
func (d *crashDesk) arm(label string, at spot) error {
	d.mu.Lock()
	for key := range d.seen {
		if strings.HasPrefix(key, label+"\x00") {
			delete(d.seen, key)
		}
	}
	d.mu.Unlock()
	draft := d.path("armed", "."+label)
	if err := os.WriteFile(draft, []byte(at.place()), 0o600); err != nil {
		return err
	}
	return os.Rename(draft, d.path("armed", label))
}

// armed is where the label is to stop.
func (d *crashDesk) armed(label string) string {
	place, _ := os.ReadFile(d.path("armed", label))
	return string(place)
}

// stop holds the caller until everything held is killed, if the label is armed with this place. It reports whether it did.
func (d *crashDesk) stop(label, place string) bool {
	d.mu.Lock()
	dead := d.dead
	d.mu.Unlock()
	if d.armed(label) != place || os.Rename(d.path("armed", label), d.path("held", label)) != nil {
		return false
	}
	<-dead
	return true
}

func (d *crashDesk) held(label string) bool {
	_, err := os.Stat(d.path("held", label))
	return err == nil
}

// bury ends everything that is held. It is called when what held it is dead.
func (d *crashDesk) bury() {
	d.mu.Lock()
	defer d.mu.Unlock()
	f, err := os.OpenFile(filepath.Join(d.dir, "crashes"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	require.NoError(d.t, err)
	_, err = f.WriteString("x")
	require.NoError(d.t, errors.Join(err, f.Close()))
	close(d.dead)
	d.dead = make(chan struct{})
	held, err := os.ReadDir(filepath.Join(d.dir, "held"))
	require.NoError(d.t, err)
	for _, f := range held {
		require.NoError(d.t, os.Remove(d.path("held", f.Name())))
	}
}

// forward puts a mount's clock forward.
func (d *crashDesk) forward(mount string, by time.Duration) error {
	draft := d.path("clock", "."+mount)
	if err := os.WriteFile(draft, []byte(by.String()), 0o600); err != nil {
		return err
	}
	return os.Rename(draft, d.path("clock", mount))
}

// note adds a line to the journal.
func (d *crashDesk) note(label, event string) {
	f, err := os.OpenFile(filepath.Join(d.dir, "journal"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.WriteString(label + " " + event + "\n")
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		d.t.Errorf("writing the journal: %v", err)
	}
}

// stepMark begins the line that says that a step begins.
const stepMark = "# "

// journal returns what has happened to a label, by steps. Looking twice at an order is one event: how often a request that
// waits does it is a matter of time.
func (d *crashDesk) journal(label string) journal {
	text, err := os.ReadFile(filepath.Join(d.dir, "journal"))
	require.NoError(d.t, err)
	var j journal
	for line := range strings.Lines(string(text)) {
		of, event, _ := strings.Cut(strings.TrimSpace(line), " ")
		if of != label {
			continue
		}
		if name, begins := strings.CutPrefix(event, stepMark); begins {
			j = append(j, journalStep{name: name})
			continue
		}
		require.NotEmpty(d.t, j, "%s: %q happened before the first step", label, event)
		last := &j[len(j)-1]
		if n := len(last.events); event != certinexttest.OpTrack || n == 0 || last.events[n-1] != event {
			last.events = append(last.events, event)
		}
	}
	return slices.DeleteFunc(j, func(s journalStep) bool { return len(s.events) == 0 })
}

// sorted puts the events of each step into an order that does not depend on which of several callers is faster.
func (j journal) sorted() journal {
	out := make(journal, len(j))
	for i, s := range j {
		events := slices.Sorted(slices.Values(s.events))
		var kept []string
		for n, event := range events {
			if event != certinexttest.OpTrack || n == 0 || events[n-1] != event { // as in the journal itself
				kept = append(kept, event)
			}
		}
		out[i] = journalStep{s.name, kept}
	}
	return out
}

// A journal is what happens in a flow.
type journal []journalStep

type journalStep struct {
	name   string
	events []string
}

func (j journal) String() string {
	steps := make([]string, len(j))
	for i, s := range j {
		steps[i] = s.name + ": " + strings.Join(s.events, ", ")
	}
	return strings.Join(steps, "; ")
}

// spots are all places in the journal's steps of the given names.
func (j journal) spots(steps []string) []spot {
	var out []spot
	for _, s := range j {
		if !slices.Contains(steps, s.name) {
			continue
		}
		nth := make(map[string]int)
		for _, event := range s.events {
			nth[event]++
			out = append(out, spot{s.name, false, event, nth[event]}, spot{s.name, true, event, nth[event]})
		}
	}
	return out
}

// watch makes a CA report its calls to the desk. Calls that name no order belong to the label own, if there is one.
func (d *crashDesk) watch(ca *authority, own string, down func(op, label string) bool) {
	ca.Configure(func(s *certinexttest.Server) {
		s.BeforeCall = func(op string, r *http.Request) {
			label := labelOf(ca, op, r, own)
			if label == "" {
				return
			}
			d.note(label, op)
			n := d.countCall(label, op)
			stopped := d.stop(label, fmt.Sprintf("before %s %d", op, n))
			if stopped || down(op, label) {
				d.stop(label, fmt.Sprintf("after %s %d", op, n)) // a call that is not taken is over, too
				panic(http.ErrAbortHandler)
			}
		}
		s.AfterCall = func(op string, r *http.Request) {
			label := labelOf(ca, op, r, own)
			if label != "" && d.stop(label, fmt.Sprintf("after %s %d", op, d.lastCall(label, op))) {
				panic(http.ErrAbortHandler)
			}
		}
	})
}

func (d *crashDesk) countCall(label, op string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seen[label+"\x00"+op]++
	return d.seen[label+"\x00"+op]
}

func (d *crashDesk) lastCall(label, op string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.seen[label+"\x00"+op]
}

// Where a call names its order: a create by the domain, which begins with the label, every other one by the CA's number, which
// version 1 has in the body.
var (
	namedDomain = regexp.MustCompile(`"([a-z0-9-]+)\.(?:example\.com|corp\.internal)"`)
	namedOrder  = regexp.MustCompile(`-certificates/([^/]+)`)
	namedInBody = regexp.MustCompile(`"orderNumber":"([^"]+)"`)
)

// labelOf finds out whose call it is.
func labelOf(ca *authority, op string, r *http.Request, own string) string {
	number := ""
	switch {
	case strings.HasPrefix(r.URL.Path, "/emSignHub-API/"), op == certinexttest.OpCreateSSL, op == certinexttest.OpCreatePrivatePKI:
		body := see(r)
		if m := namedDomain.FindStringSubmatch(body); m != nil && strings.HasPrefix(op, "create-") {
			return m[1]
		}
		if m := namedInBody.FindStringSubmatch(body); m != nil {
			number = m[1]
		}
	case namedOrder.MatchString(r.URL.Path):
		number = namedOrder.FindStringSubmatch(r.URL.Path)[1]
	}
	if number == "" {
		return own
	}
	o, _ := ca.Order(number)
	label, _, _ := strings.Cut(o.Domain, ".")
	return label
}

// see reads the body of a request, and leaves it to be read again.
func see(r *http.Request) string {
	if seen, ok := r.Body.(*seenBody); ok {
		return seen.text
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return ""
	}
	r.Body = &seenBody{Reader: strings.NewReader(string(body)), text: string(body)}
	return string(body)
}

// A seenBody is a body that has been read before.
type seenBody struct {
	io.Reader
	text string
}

func (*seenBody) Close() error { return nil }
