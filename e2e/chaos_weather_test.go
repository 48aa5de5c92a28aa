// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

func hashOf(text string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(text))
	return h.Sum64()
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// How long the CA takes to issue: mostly within a request, at times longer than any request waits.
const (
	quickIssue = 300 * time.Millisecond
	slowIssue  = 2500 * time.Millisecond
)

// A weather decides what strikes the CA's calls. The simulator's own Probability is drawn from no seed, so what strikes is
// drawn here, by the operation and how often it was called, and injected for that one call.
type weather struct {
	ca    *authority
	seed  uint64
	tally *tally

	mu     sync.Mutex
	on     bool
	outage time.Time      // until when nothing works
	counts map[string]int // of calls, by operation
	struck map[string]int // those that were struck
}

// chances are how likely a call of an operation is struck, in percent.
var chances = map[string]float64{
	certinexttest.OpCreateSSL: 25, certinexttest.OpCreatePrivatePKI: 25, certinexttest.OpTrack: 12, certinexttest.OpCertificate: 30,
	certinexttest.OpRevoke: 30, certinexttest.OpCancel: 30, certinexttest.OpOrdersReport: 20, certinexttest.OpToken: 15,
}

// faults are what strikes: every kind of the simulator's, in the forms that matter here.
var faults = []certinexttest.Fault{
	{Kind: certinexttest.FaultLatency, Delay: 300 * time.Millisecond},
	{Kind: certinexttest.FaultLatency, Delay: 1300 * time.Millisecond}, // longer than the config's timeouts
	{Kind: certinexttest.FaultSlowReply, Delay: 300 * time.Millisecond},
	{Kind: certinexttest.FaultSlowReply, Delay: 1300 * time.Millisecond},
	{Kind: certinexttest.FaultDropped},
	{Kind: certinexttest.FaultLostReply},
	{Kind: certinexttest.FaultRateLimit},
	{Kind: certinexttest.FaultRateLimit, RetryAfter: time.Second},
	{Kind: certinexttest.FaultServerError},
	{Kind: certinexttest.FaultServerErrorAfter},
	{Kind: certinexttest.FaultServerErrorAfter, Status: http.StatusInternalServerError},
	{Kind: certinexttest.FaultMetaError},
	{Kind: certinexttest.FaultMetaErrorAfter},
	{Kind: certinexttest.FaultHTML},
	{Kind: certinexttest.FaultSpring},
	{Kind: certinexttest.FaultTruncated},
	{Kind: certinexttest.FaultMalformedJSON},
	{Kind: certinexttest.FaultOversized, Size: 9 << 20},
	{Kind: certinexttest.FaultTokenDeath},
	{Kind: certinexttest.FaultRootFirst},
	{Kind: certinexttest.FaultWrongKey},
}

// suits reports whether a fault means anything to an operation.
func (w *weather) suits(f certinexttest.Fault, op string) bool {
	switch f.Kind {
	case certinexttest.FaultMetaError, certinexttest.FaultMetaErrorAfter:
		return w.ca.Dialect == certinexttest.V1
	case certinexttest.FaultRootFirst, certinexttest.FaultWrongKey:
		return op == certinexttest.OpCertificate
	case certinexttest.FaultTokenDeath:
		return op != certinexttest.OpToken
	}
	return true
}

func (w *weather) set(on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.on = on
}

func (w *weather) breakDown(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.outage = time.Now().Add(d)
}

// strike runs before a call is looked at.
func (w *weather) strike(op string) {
	f, ok := w.draw(op)
	if !ok {
		return
	}
	f.Operation, f.Times = op, 1
	w.tally.add("faults", string(f.Kind), 1)
	w.ca.Inject(f)
}

func (w *weather) draw(op string) (certinexttest.Fault, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.on {
		return certinexttest.Fault{}, false
	}
	w.counts[op]++
	rng := chaosRand(w.seed, fmt.Sprintf("%s %d", op, w.counts[op]))
	if time.Now().Before(w.outage) {
		return []certinexttest.Fault{
			{Kind: certinexttest.FaultDropped}, {Kind: certinexttest.FaultServerError}, {Kind: certinexttest.FaultHTML},
		}[rng.IntN(3)], true
	}
	if rng.Float64()*100 >= chances[op] {
		return certinexttest.Fault{}, false
	}
	var fit []certinexttest.Fault
	for _, f := range faults {
		if w.suits(f, op) {
			fit = append(fit, f)
		}
	}
	// Each operation goes through all of them, in an order of its own, so that none is left out by chance.
	at := chaosRand(w.seed, op).Perm(len(fit))[w.struck[op]%len(fit)]
	w.struck[op]++
	return fit[at], true
}

// A disturbance is something that happens to the whole house.
type disturbance struct {
	name string
	act  func(*chaos, *rand.Rand)
}

var (
	killing  = disturbance{"plugin killed", (*chaos).killThePlugin}
	outage   = disturbance{"CA outage", (*chaos).outage}
	slowness = disturbance{"CA slow", (*chaos).slowness}
	stepping = disturbance{"Vault stepped down", (*chaos).stepDown}
	sealing  = disturbance{"Vault sealed", (*chaos).seal}
	crashing = disturbance{"Vault crashed", (*chaos).crash}
)

// disturbances are those of this run, in their order. A node that stands alone needs more than ten seconds to come back after
// it has stepped down, so a small run does without.
func (c *chaos) disturbances(rng *rand.Rand) []disturbance {
	list := []disturbance{killing, outage, killing, slowness, []disturbance{sealing, crashing}[rng.IntN(2)], outage}
	if c.size.large() {
		list = slices.Concat(list, []disturbance{stepping, sealing, crashing}, list, list)
	}
	rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

// disturb spreads the disturbances over the storm. It runs in the test's own goroutine.
func (c *chaos) disturb(done <-chan struct{}) {
	started := time.Now()
	rng := chaosRand(c.size.seed, "disturbances of the dialect "+c.ca.Dialect.String())
	list := c.disturbances(rng)
	for i, d := range list {
		due := int64(c.size.calls * (i + 1) / (len(list) + 1))
		for c.begun.Load() < due {
			select {
			case <-done:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
		c.tally.add("events", d.name, 1)
		c.t.Logf("%s after %s", d.name, time.Since(started).Round(100*time.Millisecond))
		d.act(c, rng)
	}
}

func (c *chaos) killThePlugin(*rand.Rand) {
	c.incidents.during(func() { killAll(c.v.pluginPIDs(), programs.plugin) })
}

func (c *chaos) outage(rng *rand.Rand) {
	c.weather.breakDown(time.Second + time.Duration(rng.IntN(1500))*time.Millisecond)
}

// slowness makes the CA take longer than any request waits, for a while.
func (c *chaos) slowness(*rand.Rand) {
	c.ca.Configure(func(s *certinexttest.Server) { s.IssueDelay = slowIssue })
	time.AfterFunc(3*time.Second, func() {
		c.ca.Configure(func(s *certinexttest.Server) { s.IssueDelay = quickIssue })
	})
}

func (c *chaos) stepDown(*rand.Rand) {
	c.incidents.during(func() {
		if err := c.v.api.Sys().StepDownWithContext(c.t.Context()); err != nil {
			c.t.Logf("stepping down: %v", err)
		}
		time.Sleep(time.Second) // it is still active for a moment
		c.v.awaken()
	})
}

func (c *chaos) seal(*rand.Rand) {
	c.incidents.during(func() {
		if err := c.v.api.Sys().SealWithContext(c.t.Context()); err != nil {
			c.t.Logf("sealing: %v", err)
		}
		c.v.awaken()
	})
}

func (c *chaos) crash(*rand.Rand) {
	c.incidents.during(func() {
		c.v.crash()
		c.v.restart()
	})
}
