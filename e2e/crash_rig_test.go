// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/certinext/vault-plugin-secrets-certinext/dcv/dcvtest"
	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"
)

// crashProgram is the engine that can be stopped at a place, built once.
var crashProgram = sync.OnceValues(func() (string, error) {
	target := filepath.Join(programs.pluginDir, "crashplugin")
	_, err := output("go", "build", "-buildvcs=false", "-o", target, "./crashplugin")
	return target, err
})

// notForSale is a product that the catalog lists, and that CERTInext refuses when it is ordered.
const notForSale = "860"

// A crashRig is a server whose clients are stopped and killed.
type crashRig struct {
	t       *testing.T
	v       *server
	desk    *crashDesk
	program string
	crashManner
	plugins []int

	requester, approver *api.Client // people who have an identity

	cells map[string]*cell
	made  map[string]int  // points, by flow
	dns   *dcvtest.Server // where solvers publish and CAs look

	mu    sync.Mutex
	count int           // crashes
	back  time.Time     // when the server was there again after the last one
	up    chan struct{} // closed while the server is there
	down  map[string]bool
	tally tally

	searched atomic.Int64 // keys that the logs are searched for
}

// write is a client's write.
func (r *crashRig) write(path string, data map[string]any) (*api.Secret, error) {
	return r.v.api.Logical().WriteWithContext(r.t.Context(), path, data)
}

// A cell is a mount with its CA.
type cell struct {
	mount string
	raw   string // where sys/raw has it
	ca    *authority
	desk  *crashDesk
	clock atomic.Int64 // nanoseconds that mount and CA are ahead

	mu     sync.Mutex
	waited map[int]bool // crashes after which the calls under way have been waited for
}

// createPatience is longer than the engine gives the CA to answer a create: by then it has taken the order or never will.
const createPatience = 3 * time.Minute

// waitForCreates puts the clocks forward until what was under way at the n-th crash has ended at the CA, too.
func (c *cell) waitForCreates(n int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waited[n] {
		return nil
	}
	if c.waited == nil {
		c.waited = make(map[int]bool)
	}
	c.waited[n] = true
	return c.forward(createPatience)
}

// forward puts the clocks of mount and CA forward.
func (c *cell) forward(by time.Duration) error {
	return c.desk.forward(c.mount, time.Duration(c.clock.Add(int64(by))))
}

func (c *cell) now() time.Time { return time.Now().Add(time.Duration(c.clock.Load())) }

func newCrashRig(t *testing.T, manner crashManner) *crashRig {
	t.Helper()
	program, err := crashProgram()
	require.NoError(t, err)
	r := &crashRig{
		t: t, program: program, crashManner: manner, cells: make(map[string]*cell), made: make(map[string]int),
		up: make(chan struct{}), down: make(map[string]bool),
	}
	close(r.up)
	t.Cleanup(func() { killAll(r.plugins, program) })
	r.v = bareVault(t)
	r.v.api.SetMaxRetries(0)
	r.v.api.SetClientTimeout(2 * time.Minute)
	r.desk = newCrashDesk(t, filepath.Join(r.v.dir, "crash"))

	binary, err := os.ReadFile(program)
	require.NoError(t, err)
	sum := sha256.Sum256(binary)
	require.NoError(t, r.v.api.Sys().RegisterPluginWithContext(t.Context(), &api.RegisterPluginInput{
		Name: crashPlugin, Type: api.PluginTypeSecrets, Command: filepath.Base(program),
		SHA256: hex.EncodeToString(sum[:]), Version: programs.version, Env: []string{"CRASH_DIR=" + r.desk.dir},
	}))
	r.admitPeople()
	r.dns = dcvtest.Start(t, dcvtest.Zone{Name: "example.com"})
	for _, kind := range []string{"live", "paper", "signed", "parked", "wild"} {
		r.cells[kind] = r.newCell(kind, kind, "")
	}
	return r
}

// crashPlugin is the program's name in Vault's catalog.
const crashPlugin = "certinext-crash"

// searchedCells bounds the CAs whose tokens the logs are searched for, as maxSearched bounds the keys.
const searchedCells = 6

// newCell mounts the engine and gives it a CA. Calls of one that is own belong to that label, and are watched from its first step on.
func (r *crashRig) newCell(kind, mount, own string) *cell {
	r.t.Helper()
	c := &cell{mount: mount, desk: r.desk}
	s := &certinexttest.Server{VerifiedDomains: []string{"example.com"}, HoldForApproval: kind == "parked", Now: c.now}
	s.Catalog = append(certinexttest.SandboxCatalog(), certinexttest.Product{
		Code: notForSale, Name: "SSL DV that is listed only", Type: "13", Refused: true,
	})
	switch kind {
	case "paper":
		s.Dialect = certinexttest.Documented
	case "signed":
		s.Dialect = certinexttest.V1
	case "dear":
		s.Catalog[0].Years = map[string]string{"1 Year": "150.00"}
		s.Billing.Ledger, s.Billing.ChargeReissues = certinexttest.LedgerSample, true
	case "wild":
		s.VerifiedDomains, s.Resolver, s.NoReuse = nil, r.dns.Addr, true
	}
	c.ca = newAuthority(r.t, s)
	r.t.Cleanup(r.desk.bury) // a CA that holds calls does not close
	require.NoError(r.t, r.v.api.Sys().MountWithContext(r.t.Context(), mount, &api.MountInput{
		Type: crashPlugin, Config: api.MountConfigInput{PluginVersion: programs.version},
	}))
	mounts, err := r.v.api.Sys().ListMountsWithContext(r.t.Context())
	require.NoError(r.t, err)
	c.raw = "sys/raw/logical/" + mounts[mount+"/"].UUID + "/"
	if len(r.cells) < searchedCells {
		c.ca.keepSecrets(r.v)
	}
	r.v.write(mount+"/config", c.ca.account())
	r.v.write(mount+"/dcv/solvers/corp", r.dns.Settings())
	if own == "" {
		r.desk.watch(c.ca, "", r.isDown)
	}
	return c
}

// leaseTTL is longer than the time that passes before the leases are ended.
const leaseTTL = 24 * time.Hour

// point makes a client of a flow, which is struck at spots.
func (r *crashRig) point(f *crashFlow, spots ...spot) *point {
	r.t.Helper()
	r.made[f.name]++
	p := &point{rig: r, flow: f, label: fmt.Sprintf("%s-%02d", f.name, r.made[f.name]), spots: spots, done: make(chan struct{})}
	switch {
	case f.own:
		r.cells[p.label] = r.newCell(f.cell, p.label, p.label)
	case r.apart && len(spots) > 1:
		r.cells[p.label] = r.newCell(f.cell, p.label, "")
	}
	if p.cell = r.cells[p.label]; p.cell == nil {
		p.cell = r.cells[f.cell]
	}
	role := map[string]any{
		"product_code": "842", "product_variant": "dv", "allowed_domains": "example.com", "allow_subdomains": true,
		"delivery_grace": "10m", "ttl": leaseTTL.String(), "issue_timeout": "75s",
	}
	if maps.Copy(role, f.role); role["dcv_solver"] != nil {
		role["dcv_resolvers"], role["dcv_propagation_servers"] = r.dns.Addr, r.dns.Addr
	}
	r.v.write(p.cell.mount+"/roles/"+p.label, role)
	if f.budget != nil {
		r.v.write(p.cell.mount+"/budgets/"+p.label, f.budget)
	}
	if f.own {
		// The role has asked the catalog, and a config that says the same keeps its client and token: after one that is new, the first
		// step signs in by itself.
		_, err := r.v.api.Logical().DeleteWithContext(r.t.Context(), p.cell.mount+"/config")
		require.NoError(r.t, err)
		config := p.cell.ca.account()
		config["verify_connection"] = false
		r.v.write(p.cell.mount+"/config", config)
		r.desk.watch(p.cell.ca, p.label, r.isDown)
	}
	if f.request["csr"] != nil {
		p.key, p.csr = newCSR(r.t, p.domain())
	}
	return p
}

// run lets all points walk, kills them together as often as they have spots, and returns when they have come to the end of
// their flows. All of them stand at their spots when they are killed, so that one crash serves many.
func (r *crashRig) run(points []*point) {
	r.t.Helper()
	started := time.Now()
	crashes := 0
	for _, p := range points {
		crashes = max(crashes, len(p.spots))
		go p.walk()
	}
	for n := range crashes {
		r.strike(slices.DeleteFunc(slices.Clone(points), func(p *point) bool { return len(p.spots) <= n }))
	}
	for _, p := range points {
		select {
		case <-p.done:
			if p.failed != nil {
				r.t.Errorf("%s: the client got stuck: %v", p, p.failed)
			}
		case <-time.After(3 * stepPatience):
			require.FailNow(r.t, "a client does not come to its end", "%s", p)
		}
	}
	r.t.Logf("%d clients, %d crashes: %s", len(points), crashes, time.Since(started).Round(100*time.Millisecond))
}

// strike waits until all points stand at their spots, and kills them.
func (r *crashRig) strike(points []*point) {
	r.t.Helper()
	deadline := time.Now().Add(stepPatience)
	points = slices.DeleteFunc(points, func(p *point) bool {
		for !r.desk.held(p.label) {
			select {
			case <-p.done:
				r.t.Errorf("%s: the client was not stopped there: %s", p, r.desk.journal(p.label))
				return true
			case <-time.After(20 * time.Millisecond):
			}
			require.True(r.t, time.Now().Before(deadline), "%s has not come there: %s", p, r.desk.journal(p.label))
		}
		return false
	})
	r.tally.add("crashes", "in all", 1)
	up := make(chan struct{})
	r.mu.Lock()
	r.count++
	r.up = up
	r.mu.Unlock()
	again := sync.OnceFunc(func() {
		for _, p := range points {
			p.struck++
			require.NoError(r.t, p.begin(p.step+"'"))
			r.tally.add("clients", "stopped at a place and killed there", 1)
		}
	})
	started := time.Now()
	r.kill(r, again)
	r.mu.Lock()
	r.back = time.Now()
	r.mu.Unlock()
	close(up)
	r.t.Logf("a crash at %d places, and the server is back after %s", len(points), time.Since(started).Round(100*time.Millisecond))
}

// awaitServer returns when the server is there, with the number of crashes so far.
func (r *crashRig) awaitServer() int {
	r.mu.Lock()
	up, n := r.up, r.count
	r.mu.Unlock()
	<-up
	return n
}

func (r *crashRig) crashes() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.count
}

// justBack reports whether the server has come back from a crash a moment ago.
func (r *crashRig) justBack() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Since(r.back) < recovery
}

// setDown says whether the CA takes no revocation of a label.
func (r *crashRig) setDown(label string, down bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down[label] = down
}

func (r *crashRig) isDown(op, label string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return op == certinexttest.OpRevoke && r.down[label]
}
