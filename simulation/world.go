// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"context"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/go-uuid"
	"github.com/hashicorp/vault/sdk/logical"
)

// A world is everything that a history happens in.
type world struct {
	sched *scheduler
	disk  *disk
	ca    *certinexttest.Server
	books *books
	vault *vault

	active    *process
	standby   *process
	procs     []*process // all that were ever started
	processes int

	pluginAhead, caAhead atomic.Int64 // by how much the clocks are wrong, in nanoseconds
	latestMu             sync.Mutex
	latest               time.Time // that the plugin has seen
	ids                  *rand.Rand
	wireCalls            atomic.Int64
	calls                []*call
	faults               []*armed
	still                bool // storage does not wait for its turn: what is looked at is no part of the history
	log                  io.Writer

	over       bool      // nothing starts again
	reportAway time.Time // when CERTInext's records could not be read last
	lastStruck time.Time // when storage failed last
	configs    []*call   // that wrote the config
	doubted    []func()  // what has to be looked at before anything is judged, since an answer left it open
	pausedAt   time.Time // since when an operator has ordering paused; zero while that is not so

	roles   []string
	clients map[Request]*client
	asked   []Request // in the order in which they were first asked
	broken  []Violation
	manners Manners
}

// newWorld makes a mount that is configured, with its roles.
func newWorld(h History, text, log io.Writer) *world {
	w := &world{
		disk: &disk{entries: make(map[string][]byte)}, ids: rand.New(rand.NewPCG(h.Seed, 3)), //nolint:gosec // it has to be repeatable
		log: log, clients: make(map[Request]*client), manners: h.Manners, roles: rolesOf(h),
	}
	w.sched = newScheduler(h.Seed, newTrace(time.Now(), text))
	w.sched.judge, w.sched.orderly = w.judge, h.Orderly
	w.disk.written = w.wrote
	w.ca, w.books, w.vault = w.newCA(h.Manners), newBooks(), new(vault)
	w.books.world, w.vault.world = w, w
	w.still = true
	w.active = w.start(false)
	w.still = false
	w.procs = append(w.procs, w.active)
	w.setUp()
	return w
}

func (w *world) pluginNow() time.Time { return time.Now().Add(time.Duration(w.pluginAhead.Load())) }

func (w *world) newID() (string, error) {
	b := make([]byte, 16)
	for i := range b {
		b[i] = byte(w.ids.UintN(256)) //nolint:gosec // below 256
	}
	return uuid.FormatUUID(b)
}

// setUp writes config and roles, one after the other.
func (w *world) setUp() {
	w.mustWrite("config", w.account())
	for _, name := range w.roles {
		w.mustWrite("roles/"+name, w.roleOf(name))
	}
}

// mustWrite writes as an operator does who has to: what is refused is written again. Where every token ends the ones before, and another
// client of a config that is gone is still at work, the first try may be.
func (w *world) mustWrite(path string, data map[string]any) {
	for try := 1; ; try++ {
		c := w.send(&call{what: "set up " + path, op: logical.UpdateOperation, path: path, data: data, who: operator})
		w.until(func() bool { return c.done.Load() }, 5*time.Minute)
		if c.err == nil && !c.resp.IsError() {
			return
		}
		if try == 3 {
			w.violate("wish/refused", "%s was written %d times while nothing fails, and refused: %s", path, try, c.answered())
			return
		}
	}
}

// account is a config that the CA accepts.
func (w *world) account() map[string]any {
	config := map[string]any{
		"base_url": caURL, "requestor_name": "Platform Team", "requestor_email": "platform@example.com",
		"requestor_phone": "+14155550123", "signer_name": "Platform Team", "signer_place": "Bengaluru",
		"signer_ip": "203.0.113.7", "technical_contact_name": "Platform Team",
		"technical_contact_email": "platform@example.com", "technical_contact_phone": "+14155550123", "ordering": "on",
	}
	switch w.manners.Dialect {
	case certinexttest.Documented:
		config["account_number"], config["access_key"] = certinexttest.DefaultAccountNumber, certinexttest.DefaultAccessKey
		config["trust_idempotency_key"] = true
	case certinexttest.V1:
		config["api_version"] = "v1"
		config["account_number"], config["access_key"] = certinexttest.DefaultAccountNumber, certinexttest.DefaultAccessKey
		config["organization_number"] = certinexttest.DefaultOrganization
	default:
		config["client_id"], config["client_secret"] = certinexttest.DefaultAccountNumber, certinexttest.DefaultClientSecret
	}
	return config
}

// until has the history go on until something is so, for patience of virtual time at most. It reports whether it is so.
func (w *world) until(so func() bool, patience time.Duration) bool {
	end := time.Now().Add(patience)
	for w.tend(); !so(); w.tend() {
		left := time.Until(end)
		if left <= 0 || w.runaway() {
			return false
		}
		w.sched.step(left)
	}
	return true
}

// goOn has the history go on until the next action begins.
func (w *world) goOn(then int) {
	if then > 0 {
		w.forSteps(then)
		return
	}
	w.until(w.idle, longestCall+time.Minute)
}

// forSteps has the history go on for some steps, or until nothing is under way any more.
func (w *world) forSteps(n int) {
	for range n {
		if w.runaway() || w.idle() {
			return
		}
		w.sched.step(time.Minute)
		w.tend()
	}
}

// longest is how many steps a history may take. One that takes more has begun to run in a circle.
const longest = 60_000

// runaway reports whether something goes round in a circle, at somebody's cost.
func (w *world) runaway() bool {
	if w.sched.steps > longest {
		w.violate("rest/circle", "the history did not end within %d operations", longest)
		return true
	}
	if w.books.orders > mostOrders {
		w.violate("money/without-end", "%d orders were paid for by %d calls", w.books.orders, len(w.calls))
		return true
	}
	return false
}

// mostOrders is more than any history asks for.
const mostOrders = 150

// idle reports whether no call is under way.
func (w *world) idle() bool {
	for _, c := range w.calls {
		if !c.done.Load() && !c.proc.dead.Load() {
			return false
		}
	}
	return true
}

// wrote is told of every change of storage.
func (w *world) wrote(ctx context.Context, by *process, key string, value []byte) {
	w.invalidate(by, key)
	w.books.stored(ctx, key, value)
	if !strings.HasPrefix(key, "order/open/") && strings.Contains(string(value), "PRIVATE KEY") {
		w.violate("key/misplaced", "a private key was stored under %s", key)
	}
}

// end stops all processes, and reports those that do not end.
func (w *world) end() {
	w.over = true
	w.kill(w.active)
	if w.standby != nil {
		w.kill(w.standby)
		w.procs = append(w.procs, w.standby)
	}
	for _, p := range w.procs {
		if !w.until(p.ended.Load, 10*time.Minute) {
			w.violate("rest/process", "process %d did not end within 10 minutes", p.number)
		}
	}
}
