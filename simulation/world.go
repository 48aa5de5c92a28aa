// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"context"
	"io"
	"math/rand/v2"
	"strings"
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
	procs     []*process // all processes that were started as the active one
	processes int

	pluginAhead, caAhead atomic.Int64 // how far the clocks are ahead, in nanoseconds
	leapt                atomic.Int64 // nanoseconds by which the plugin's was set forward in all
	ids                  *rand.Rand
	wireCalls            atomic.Int64
	calls                []*call
	faults               []*armed
	unscheduled          bool // storage is not scheduled, for accesses outside the history
	log                  io.Writer

	over          bool      // the history has ended: a dead process is not restarted
	reportAway    time.Time // when CERTInext's records last could not be read
	lastStruck    time.Time // when storage last failed
	configs       []*call   // the calls that wrote the config
	pendingChecks []func()  // checks to run before judging, where an answer left the outcome open
	pausedAt      time.Time // when an operator paused ordering; zero while it is on

	released map[string]bool // orders whose certificate an operator has released, by id

	elsewhere    map[string]*elsewhere // other accounts, by move
	moved        bool                  // the config has named another account
	unconfigured bool                  // the config was deleted once

	neighbour *neighbour // a second mount of the account, or nil

	snapshot  *snapshot         // the latest; nil before the first
	rollbacks []time.Time       // when it was restored
	unknown   map[string]bool   // orders of which the mount knows nothing since, by number
	future    map[string][]byte // entries of a later version

	misissued bool // CERTInext has made mistakes
	// skewedSince is since when the clocks differ by over an hour; nil while they agree.
	skewedSince atomic.Pointer[time.Time]

	formerly []formerConfig  // the accounts that the config has named before
	outlived map[string]bool // certificates whose revocation is queued since their key's end

	queuedAt map[string]time.Time // since when revocations are queued, by plain serial number

	decisions map[string]*deciding // of the approver, by the order's id

	upkeep upkeep

	ahead   map[string]*aheadOrder // made before they were asked for, by the key of their records
	away    map[string]absence     // whom Vault does not let in, by name
	deleted map[string]bool        // roles that were deleted once

	roles   []string
	clients map[Request]*client
	asked   []Request // in the order of their first call
	broken  []Violation
	manners Manners
}

// newWorld creates a mount with its config and its roles.
func newWorld(h History, text, log io.Writer) *world {
	w := &world{
		disk:      &disk{entries: make(map[string][]byte)},
		ids:       rand.New(rand.NewPCG(h.Seed, 3)), //nolint:gosec // it has to be repeatable
		log:       log,
		clients:   make(map[Request]*client),
		released:  make(map[string]bool),
		queuedAt:  make(map[string]time.Time),
		outlived:  make(map[string]bool),
		unknown:   make(map[string]bool),
		future:    make(map[string][]byte),
		elsewhere: make(map[string]*elsewhere),
		decisions: make(map[string]*deciding),
		ahead:     make(map[string]*aheadOrder),
		away:      make(map[string]absence),
		deleted:   make(map[string]bool),
		upkeep: upkeep{
			certs: make(map[string]*storedCert), adoptions: make(map[string]*adoption),
		},
		manners: h.Manners,
		roles:   rolesOf(h),
	}
	w.sched = newScheduler(h.Seed, newTrace(time.Now(), text))
	w.sched.judge, w.sched.orderly = w.judge, h.Orderly
	w.disk.written = w.wrote
	w.ca = w.newCA(h.Manners)
	w.books = newBooks()
	w.vault = new(vault)
	w.books.world, w.vault.world = w, w
	w.unscheduled = true
	w.active = w.start(false)
	w.unscheduled = false
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

// setUp writes the config and the roles, one after the other.
func (w *world) setUp() {
	w.mustWrite("config", configOf(w, ""))
	for _, name := range w.roles {
		w.mustWrite("roles/"+name, w.roleOf(name))
	}
	setBudget(w)
}

// mustWrite writes as an operator who tries again after a refusal. The first attempt may be refused
// if every new access token revokes the earlier ones, while a client of a deleted config is still
// at work.
func (w *world) mustWrite(path string, data map[string]any) {
	for try := 1; ; try++ {
		c := w.send(&call{
			what: "set up " + path, op: logical.UpdateOperation, path: path,
			data: data, who: operator,
		})
		w.until(func() bool { return c.done.Load() }, 5*time.Minute)
		if c.err == nil && !c.resp.IsError() {
			return
		}
		if try == 3 {
			w.violate("wish/refused",
				"%s was written %d times while nothing fails, and refused: %s", path, try,
				c.answered())
			return
		}
	}
}

// account is a config that CERTInext accepts.
func (w *world) account() map[string]any {
	config := map[string]any{
		"base_url":                caURL,
		"requestor_name":          "Platform Team",
		"requestor_email":         "platform@example.com",
		"requestor_phone":         "+14155550123",
		"signer_name":             "Platform Team",
		"signer_place":            "Bengaluru",
		"signer_ip":               "203.0.113.7",
		"technical_contact_name":  "Platform Team",
		"technical_contact_email": "platform@example.com",
		"technical_contact_phone": "+14155550123",
		"ordering":                "on",
	}
	if w.upkeep.syncs {
		config["sync_interval"] = w.upkeep.interval.String()
	}
	if w.manners.Priced {
		config["product_prices"] = map[string]any{"842": cents(listPrice * 100)}
	}
	switch w.manners.Dialect {
	case certinexttest.Documented:
		config["account_number"] = certinexttest.DefaultAccountNumber
		config["access_key"] = certinexttest.DefaultAccessKey
		// The operator knows: who trusts a key that is not honoured buys twice.
		config["trust_idempotency_key"] = w.manners.Idempotency != certinexttest.Off
	case certinexttest.V1:
		config["api_version"] = "v1"
		config["account_number"] = certinexttest.DefaultAccountNumber
		config["access_key"] = certinexttest.DefaultAccessKey
		config["organization_number"] = certinexttest.DefaultOrganization
	default:
		config["client_id"] = certinexttest.DefaultAccountNumber
		config["client_secret"] = certinexttest.DefaultClientSecret
	}
	return config
}

// until continues the history until so holds, for at most patience of virtual time, and reports
// whether it holds.
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

// proceed continues the history until the next action begins: for then steps, or until no call is
// in progress if then is 0.
func (w *world) proceed(then int) {
	if then > 0 {
		w.forSteps(then)
		return
	}
	w.until(w.idle, longestCall+time.Minute)
}

// forSteps continues the history for n steps, or until no call is in progress.
func (w *world) forSteps(n int) {
	for range n {
		if w.runaway() || w.idle() {
			return
		}
		w.sched.step(time.Minute)
		w.tend()
	}
}

// longest is the maximum number of steps of a history. A history that exceeds it repeats itself
// endlessly.
const longest = 60_000

// runaway reports whether the history repeats itself endlessly, or buys without end.
func (w *world) runaway() bool {
	if w.sched.steps > longest {
		w.violate("rest/circle", "the history did not end within %d operations", longest)
		return true
	}
	if w.books.orders > mostOrders {
		w.violate("money/without-end", "%d orders were paid for by %d calls", w.books.orders,
			len(w.calls))
		return true
	}
	return false
}

// mostOrders is more orders than any history asks for.
const mostOrders = 150

// idle reports whether no call is in progress.
func (w *world) idle() bool {
	for _, c := range w.calls {
		if !c.done.Load() && !c.proc.dead.Load() {
			return false
		}
	}
	return true
}

// wrote is called for every change of storage.
func (w *world) wrote(ctx context.Context, by *process, key string, before, value []byte) {
	w.invalidate(by, key)
	watchRecord(ctx, w, key, before, value)
	watchErasure(ctx, w, key, before, value)
	watchHeld(ctx, w, key, before, value)
	watchFuture(w, key, value)
	watchKey(ctx, w, key, before, value)
	noteQueued(w, callOf(ctx), key, before, value)
	noteConfig(w, key, before)
	noteDecision(w, key, value)
	noteNewMarker(w, key, before, value)
	w.books.stored(ctx, key, value)
	noteAhead(ctx, w, key, value)
	if !mayHoldKey(key) && strings.Contains(string(value), "PRIVATE KEY") {
		w.violate("key/misplaced", "a private key was stored under %s", key)
	}
}

// end stops all processes, and reports those that do not end.
func (w *world) end() {
	w.over = true
	if w.neighbour != nil {
		w.neighbour.backend.Cleanup(context.Background())
	}
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
