// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/certinext/vault-plugin-secrets-certinext/dcv/dcvtest"
	"github.com/stretchr/testify/require"
)

// The chaos run is a storm and a calm. In the storm, clients of every kind ask for certificates, hang up, ask again, cancel,
// collect, revoke and end leases, while the CA fails in every way that the simulator knows, and the plugin and the server are
// killed under them. In the calm everybody gets what is still open, and then the books of the CA, of Vault and of the clients
// have to agree line by line.
//
// Without further words it is a small one, always of the same seed. CHAOS_CALLS and CHAOS_CLIENTS make it larger, as make chaos
// does: CHAOS_CALLS=2000 CHAOS_CLIENTS=32 takes some minutes. CHAOS_SEED repeats what a run has drawn: what each client does,
// what strikes the n-th call of each operation, and which disturbance comes when. How all this interleaves is the machine's.

// chaosSize is how much of it there is.
type chaosSize struct {
	calls, clients int
	seed           uint64
}

func chaosSizeOf(t *testing.T) chaosSize {
	t.Helper()
	number := func(name string, or uint64) uint64 {
		text := os.Getenv(name)
		if text == "" {
			return or
		}
		n, err := strconv.ParseUint(text, 10, 63)
		require.NoError(t, err, name)
		require.Positive(t, n, name)
		return n
	}
	seed := uint64(1)
	if os.Getenv("CHAOS_CALLS") != "" {
		seed = uint64(time.Now().UnixNano()) % 1_000_000
	}
	return chaosSize{
		calls:   int(number("CHAOS_CALLS", 150)),
		clients: int(number("CHAOS_CLIENTS", 16)),
		seed:    number("CHAOS_SEED", seed),
	}
}

// large reports whether the run is long enough to wait for Vault's own minute.
func (s chaosSize) large() bool { return s.calls >= 1000 }

func TestChaosLosesNothingAndPaysNothingTwice(t *testing.T) {
	t.Parallel()
	onLinux(t)
	size := chaosSizeOf(t)
	for _, dialect := range allDialects {
		t.Run(dialect.String(), func(t *testing.T) {
			t.Parallel()
			t.Logf("CHAOS_SEED=%d CHAOS_CALLS=%d CHAOS_CLIENTS=%d", size.seed, size.calls, size.clients)
			c := newChaos(t, dialect, size)
			c.storm()
			c.calm()
			c.compare(c.readBooks())
			c.report()
		})
	}
}

// The roles of the run. A grace outlasts every disturbance, but for "hasty", whose keys go while the run is under way.
var chaosRoles = map[string]map[string]any{
	"plain": {"issue_timeout": "1s"},
	"free":  {"issue_timeout": "2s", "generate_lease": false},
	"brief": {"issue_timeout": "1s", "ttl": "6s"}, // its leases end by themselves
	"hasty": {"issue_timeout": "1s", "delivery_grace": "2s"},
	// What was handed over is not handed over again, or long after the grace.
	"apart":   {"issue_timeout": "1s", "reuse_window": "0s"},
	"patient": {"issue_timeout": "1s", "delivery_grace": "2s", "reuse_window": "1h"},
	"wild":    {"issue_timeout": "3s", "allowed_domains": unvalidated, "dcv_solver": "corp"},
	"intranet": {
		"issue_timeout": "2s", "product_code": "149", "product_variant": "intranet-ssl",
		"allowed_domains": "corp.internal",
	},
}

// chaosRoleNames is chaosRoles in an order that is always the same. The last one is of private PKI.
var chaosRoleNames = []string{"plain", "free", "brief", "hasty", "apart", "patient", "wild", "intranet"}

// windowOf is how long after an answer the same request gets the same certificate again. But for "hasty" and "apart" it is longer than
// any run.
func windowOf(role string) time.Duration {
	for _, field := range []string{"reuse_window", "delivery_grace"} {
		if text, ok := chaosRoles[role][field].(string); ok {
			window, err := time.ParseDuration(text)
			if err != nil {
				panic(err)
			}
			return window
		}
	}
	return 10 * time.Minute
}

// lapses reports whether the role's window may end before the run does.
func lapses(role string) bool { return windowOf(role) < 10*time.Minute }

// unvalidated is a domain that a solver validates, for every order anew.
const unvalidated = "example.org"

// unproven is a domain that the CA never validates: orders below it stay open until they are cancelled.
const unproven = "unproven.example.net"

// A chaos is one run in one dialect.
type chaos struct {
	t       *testing.T
	size    chaosSize
	ca      *authority
	dns     *dcvtest.Server
	v       *server
	weather *weather
	clients []*chaosClient

	begun     atomic.Int64 // calls that count
	stopped   atomic.Bool  // the storm is over
	tally     tally
	incidents incidents
	pace      pace

	mu     sync.Mutex
	wrongs []string           // discrepancies
	counts map[finding]int    // of them, by kind
	held   map[string]*holder // what was handed over, by serial number in hexadecimal
	orders map[string]*chaosClient
	missed map[string]bool // orders that were collected by an answer that did not arrive
	secret int             // keys that the logs are searched for

	raw        string                  // where sys/raw has the mount
	requesters map[string]*chaosClient // as orders remember them
	taken      map[string]bool         // orders, by id, and certificates that need no looking at before the end
}

func newChaos(t *testing.T, dialect certinexttest.Dialect, size chaosSize) *chaos {
	t.Helper()
	c := &chaos{
		t: t, size: size, held: make(map[string]*holder), orders: make(map[string]*chaosClient),
		counts: make(map[finding]int), missed: make(map[string]bool),
		requesters: make(map[string]*chaosClient), taken: make(map[string]bool),
	}
	c.weather = &weather{seed: size.seed, counts: make(map[string]int), struck: make(map[string]int), tally: &c.tally}
	c.dns = dcvtest.Start(t, dcvtest.Zone{Name: unvalidated})
	c.ca = newAuthority(t, &certinexttest.Server{
		Dialect: dialect, VerifiedDomains: []string{"example.com"}, Resolver: c.dns.Addr, NoReuse: true, IssueDelay: quickIssue, PEMLag: 200 * time.Millisecond,
		ReportDelay: 300 * time.Millisecond, BeforeCall: func(op string, _ *http.Request) { c.weather.strike(op) },
	})
	c.weather.ca = c.ca
	c.v = startVault(t)
	c.v.configure(c.ca)
	config := c.ca.account()
	config["request_timeout"], config["create_timeout"] = "1s", "1s"
	c.v.write("certinext/config", config)
	c.v.keep("the TSIG secret", c.dns.KeySecret)
	c.v.write("certinext/dcv/solvers/corp", c.dns.Settings())
	for _, name := range chaosRoleNames {
		fields := map[string]any{"allowed_domains": "example.com,example.net", "delivery_grace": "10m"}
		if name == "intranet" && dialect != certinexttest.V1 {
			fields["ca_profile_id"], fields["master_product_id"] = "1", "1" // version 1 has no place for them
		}
		for k, v := range chaosRoles[name] {
			fields[k] = v
		}
		if fields["dcv_solver"] != nil {
			fields["dcv_resolvers"], fields["dcv_propagation_servers"] = c.dns.Addr, c.dns.Addr
		}
		c.v.role(name, fields)
	}
	mounts, err := c.v.api.Sys().ListMountsWithContext(t.Context())
	require.NoError(t, err)
	c.raw = "sys/raw/logical/" + mounts["certinext/"].UUID + "/"
	c.enrol()
	return c
}

// storm lets everything loose until the calls are made.
func (c *chaos) storm() {
	started := time.Now()
	c.pace.begin()
	c.weather.set(true)
	done := make(chan struct{})
	var all sync.WaitGroup
	for _, client := range c.clients {
		all.Go(client.live)
	}
	go func() {
		all.Wait()
		close(done)
	}()
	c.disturb(done)
	<-done
	c.stopped.Store(true)
	c.weather.set(false)
	c.ca.ClearFaults()
	c.ca.Configure(func(s *certinexttest.Server) { s.IssueDelay = quickIssue })
	c.t.Logf("the storm took %s; %s", time.Since(started).Round(time.Second), &c.pace)
}

// calm lets everybody have what is still open, and settles by hand what cannot be found out.
func (c *chaos) calm() {
	started := time.Now()
	defer func() { c.t.Logf("the calm took %s", time.Since(started).Round(time.Second)) }()
	// What the storm has kept from its turn has it in one of the passes of Vault's minutes.
	for round, deadline := 0, started.Add(3*time.Minute); round < 20 || time.Now().Before(deadline); round++ {
		open := c.everyClient((*chaosClient).finish)
		if round > 0 {
			open += c.settle()
		}
		if open == 0 {
			open += c.clearUp() // not before: the order may be one that somebody still asks for
		}
		open += c.everyClient((*chaosClient).runErrands)
		open += c.drain()
		if open == 0 && round > 0 {
			break
		}
		time.Sleep(300 * time.Millisecond)
	}
	for _, client := range c.clients {
		for _, w := range client.wishes {
			if w.open() {
				c.wrong("request %s: never answered for good: %s\n%s", w, w.last, w.told())
			}
		}
		for _, e := range client.errands {
			c.wrong("%s of %s by %s: never answered for good: %s", e.kind, e.what, client.name, e.last)
		}
	}
	if c.size.large() {
		c.waitForPass()
		c.waitForLeases()
	}
	c.waitForSweep()
}

// waitForSweep waits until the pass of Vault's minute has removed the records that a crash has left.
func (c *chaos) waitForSweep() {
	c.tally.add("DNS", "records left for the pass", len(c.dns.Challenges(unvalidated)))
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(time.Second) {
		left := c.dns.Challenges(unvalidated)
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			c.found(litter, "%q", left)
			return
		}
	}
}

// everyClient runs act for all clients together and adds up what it returns.
func (c *chaos) everyClient(act func(*chaosClient) int) int {
	var (
		all sync.WaitGroup
		sum atomic.Int64
	)
	for _, client := range c.clients {
		all.Go(func() { sum.Add(int64(act(client))) })
	}
	all.Wait()
	return int(sum.Load())
}

// begin takes one call from those that are to be made.
func (c *chaos) begin() bool { return c.begun.Add(1) <= int64(c.size.calls) }

// A finding is what kind of discrepancy one is.
type finding string

// What must never be found. The last one is for whatever is wrong beside these.
const (
	duplicate  finding = "duplicate orders"
	orphan     finding = "orphaned orders"
	lostKey    finding = "lost keys"
	unrevoked  finding = "ended leases neither revoked nor queued"
	unlisted   finding = "certificates not listed"
	litter     finding = "records left in the DNS"
	otherwrong finding = "other discrepancies"
)

var findings = []finding{duplicate, orphan, lostKey, unrevoked, unlisted, litter, otherwrong}

// found records a discrepancy.
func (c *chaos) found(what finding, format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.note(what, format, args...)
}

// note is found for who holds mu.
func (c *chaos) note(what finding, format string, args ...any) {
	c.counts[what]++
	c.wrongs = append(c.wrongs, string(what)+": "+fmt.Sprintf(format, args...))
}

// wrong records a discrepancy of no particular kind.
func (c *chaos) wrong(format string, args ...any) { c.found(otherwrong, format, args...) }

// report prints the figures, and every discrepancy as a failure.
func (c *chaos) report() {
	verdict := make([]string, 0, len(findings))
	for _, f := range findings {
		verdict = append(verdict, fmt.Sprintf("%s: %d", f, c.counts[f]))
	}
	c.t.Logf("CHAOS_SEED=%d, %s dialect\n%s\n%s", c.size.seed, c.ca.Dialect, c.tally.String(), strings.Join(verdict, "\n"))
	for _, w := range c.wrongs {
		c.t.Errorf("CHAOS_SEED=%d: %s", c.size.seed, w)
	}
}

// A tally counts by name, from many goroutines.
type tally struct {
	mu     sync.Mutex
	counts map[string]int
}

func (t *tally) add(group, name string, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts == nil {
		t.counts = make(map[string]int)
	}
	t.counts[group+"\x00"+name] += n
}

// String is one line for every group.
func (t *tally) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var (
		out  strings.Builder
		last string
	)
	for _, key := range sortedKeys(t.counts) {
		group, name, _ := strings.Cut(key, "\x00")
		if group != last {
			fmt.Fprintf(&out, "\n  %-10s", group)
			last = group
		} else {
			out.WriteString(",")
		}
		fmt.Fprintf(&out, " %s %d", name, t.counts[key])
	}
	return strings.TrimPrefix(out.String(), "\n")
}

// incidents are the times in which Vault or the plugin were being killed, so that a 5xx is nobody's fault.
type incidents struct {
	mu    sync.Mutex
	spans [][2]time.Time
}

// recovery is how long after an incident an answer may still suffer from it.
const recovery = 5 * time.Second

// during notes the time that act takes.
func (i *incidents) during(act func()) {
	started := time.Now()
	i.mu.Lock()
	n := len(i.spans)
	i.spans = append(i.spans, [2]time.Time{started, started.Add(time.Hour)})
	i.mu.Unlock()
	act()
	i.mu.Lock()
	defer i.mu.Unlock()
	i.spans[n][1] = time.Now().Add(recovery)
}

// touch reports whether a call between two times met an incident.
func (i *incidents) touch(from, to time.Time) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, s := range i.spans {
		if from.Before(s[1]) && to.After(s[0]) {
			return true
		}
	}
	return false
}

// A pace knows when nobody was answered for a while.
type pace struct {
	mu            sync.Mutex
	started, last time.Time
	silences      []string
}

// silent is how long nobody is answered before that is worth a word: longer than a CA call may take.
const silent = 1500 * time.Millisecond

func (p *pace) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.started = time.Now()
	p.last = p.started
}

// answer notes that a call has ended.
func (p *pace) answer() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if silence := now.Sub(p.last); silence > silent {
		p.silences = append(p.silences, fmt.Sprintf("%.1fs after %.1fs", silence.Seconds(), p.last.Sub(p.started).Seconds()))
	}
	p.last = now
}

func (p *pace) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return fmt.Sprintf("nobody was answered for longer than %s %d times: %s", silent, len(p.silences), strings.Join(p.silences, ", "))
}

// chaosRand is a source of its own for everybody who draws.
func chaosRand(seed uint64, who string) *rand.Rand {
	return rand.New(rand.NewPCG(seed, hashOf(who)))
}
