// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// A badDay is something that happens to all certificates of a fleet at once.
type badDay struct {
	// strikes is what happens at the CA, or in the world.
	strikes func(b *disaster)
	// campaign is what the operator writes then; nil where the roles replace by themselves what the CA has revoked.
	campaign func(b *disaster) map[string]any
	// isRevoked is set when the campaign revokes what it has replaced, and reissues when it need not buy for roles that reissue.
	isRevoked, reissues bool
}

// badDays are those that the simulator can play.
var badDays = map[string]badDay{
	"the key of the issuing CA is public": {
		strikes: func(b *disaster) {
			require.NoError(b.t, b.ca.ExposeIssuer(certinexttest.FamilySSL))
		},
	},
	"the CA revokes in bulk, untold": {
		strikes: func(b *disaster) { b.blocks() },
	},
	"the CA announces that it revokes in bulk within a day": {
		strikes: func(b *disaster) { b.blocks() },
		campaign: func(b *disaster) map[string]any {
			return map[string]any{"serial_numbers": b.serials(), "revoke": true, "reason": "superseded", "revoke_after": "1h"}
		},
		isRevoked: true,
	},
	"the issuing CA is replaced": {
		strikes: func(b *disaster) {
			b.issuer = b.authorityNow(false).Subject
			require.NoError(b.t, b.ca.ReplaceIssuer(certinexttest.FamilySSL))
		},
		campaign: func(b *disaster) map[string]any {
			_, name, _ := strings.Cut(b.issuer, "CN=")
			name, _, _ = strings.Cut(name, ",")
			return map[string]any{"issuers": name}
		},
		reissues: true,
	},
	"one family of clients drops the root": {
		strikes: func(b *disaster) {
			require.NoError(b.t, b.ca.DropRoot("mozilla", b.authorityNow(true).Name))
			require.NoError(b.t, b.ca.ReplaceRoot(certinexttest.FamilySSL))
		},
		campaign: func(b *disaster) map[string]any {
			roots, err := b.ca.ClientRoots("mozilla")
			require.NoError(b.t, err)
			b.operates("config/trust/mozilla", map[string]any{"roots": string(roots)})
			return map[string]any{"refused_by": "mozilla", "revoke": true, "reason": "superseded", "revoke_after": "24h"}
		},
		isRevoked: true,
	},
}

// A disaster is a bad day of a fleet: clients of three roles, which come by every few hours, and two nodes.
type disaster struct {
	*fleet
	day     badDay
	clients []*badClient
	struck  time.Time
	issuer  string         // subject of the CA before the day
	ended   sync.WaitGroup // of the clients

	noticed   bool // clients are counted as refused, or without a certificate
	refused   int  // requests that got nothing
	without   int  // clients that had no valid certificate when looked at
	longest   time.Duration
	killed    int
	isStopped bool
}

// comesBy is how often a client asks for its certificate.
const comesBy = 6 * time.Hour

// A badClient is a client that asks every few hours for its certificate, and mostly is answered with the one that it has.
type badClient struct {
	name, role string
	// key is that of a client that makes its own; nil for most.
	key    *ecdsa.PrivateKey
	serial string // that it holds
	first  string // that it held when the day began
	due    bool   // it was told to ask for another one
}

// request is what the client asks for.
func (c *badClient) request(t *testing.T) (path string, data map[string]any) {
	if c.role != "signs" {
		return "issue/" + c.role, map[string]any{"common_name": c.name}
	}
	if c.key == nil || c.due {
		c.key, c.due = newKey(t, elliptic.P256()), false // another key with each request would be another order
	}
	return "sign/" + c.role, map[string]any{"csr": csr(t, c.key, c.name)}
}

// campaignSize is how many certificates are hit: few, unless CAMPAIGN says how many.
func campaignSize(t *testing.T) int {
	t.Helper()
	text := os.Getenv("CAMPAIGN")
	if text == "" {
		return 40
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err, "CAMPAIGN is a number of certificates")
	require.True(t, n >= 10 && n <= 100_000, "CAMPAIGN is from 10 to 100000")
	return n
}

// newDisaster mounts the engine for a fleet that has its certificates, before the day begins.
func newDisaster(t *testing.T, day badDay) *disaster {
	t.Helper()
	ca := validated(certinexttest.Live)
	ca.IssueDelay = time.Minute
	b := &disaster{day: day, fleet: &fleet{
		mount: newMount(t, ca), dice: rand.New(rand.NewPCG(1, 2)), issued: make(map[any]bool),
	}}
	b.system.EntityVal = &logical.Entity{ID: "entity"}
	b.mount.config(map[string]any{"sync_interval": "1h"})
	for role, fields := range map[string]map[string]any{
		"orders": {"renewal": "order"}, "reissues": {"renewal": "reissue"}, "signs": {"renewal": "order"},
	} {
		b.write("roles/"+role, dvRole(map[string]any{
			"generate_lease": false, "reuse": true, "replace_revoked": day.campaign == nil, "issue_timeout": "75s",
		}))
		b.must(call{op: logical.PatchOperation, path: "roles/" + role, data: fields})
	}
	b.active, b.standby = b.newNode(false), b.newNode(true)
	for i := range campaignSize(t) {
		role := []string{"orders", "orders", "orders", "reissues", "signs"}[i%5]
		b.clients = append(b.clients, &badClient{name: fmt.Sprintf("host-%d.example.com", i), role: role})
	}
	return b
}

// blocks has the CA learn that the keys of what the clients hold are out, or so it says: it revokes them within a day.
func (b *disaster) blocks() {
	var hashes []string
	for _, o := range b.ca.Orders() {
		hashes = append(hashes, o.Keys...)
	}
	b.ca.Configure(func(s *certinexttest.Server) { s.Keys.Blocked = hashes })
}

// serials are the numbers of what the clients hold.
func (b *disaster) serials() (all []string) {
	for _, c := range b.clients {
		all = append(all, c.first)
	}
	return all
}

// operates sends a request of the operator's.
func (b *disaster) operates(path string, data map[string]any) map[string]any {
	b.t.Helper()
	var op logical.Operation = logical.UpdateOperation
	if data == nil {
		op = logical.ReadOperation
	}
	resp, err := b.serving().handle(&logical.Request{
		Operation: op, Path: path, Data: data, MountPoint: "certinext/",
		EntityID: "operator", ClientTokenAccessor: "accessor-of-the-operator",
	})
	require.NoError(b.t, err, path)
	if resp == nil {
		return nil
	}
	require.False(b.t, resp.IsError(), "%s: %v", path, resp.Error())
	return resp.Data
}

// campaigns begins what the operator answers the day with, and returns how many certificates a dry run has found.
func (b *disaster) campaigns() int {
	if b.day.campaign == nil {
		return len(b.clients)
	}
	data := b.day.campaign(b)
	data["note"], data["per_hour"] = "a bad day", max(1, len(b.clients)/4)
	dry := maps.Clone(data)
	dry["dry_run"] = true
	before := changes(b.ca)
	found := b.operates("replace/friday", dry)["total"].(int)
	require.Equal(b.t, before, changes(b.ca), "a dry run does nothing")
	b.operates("replace/friday", data)
	return found
}

// isOver reports whether nothing is left to be done.
func (b *disaster) isOver() bool {
	if b.replaced() < len(b.clients) || b.without > 0 {
		return false
	}
	return b.day.campaign == nil || b.operates("replace/friday", nil)["state"] == "done"
}

// keepsAsking is the life of a client.
func (b *disaster) keepsAsking(c *badClient) {
	time.Sleep(time.Duration(b.roll(int(comesBy/time.Second))) * time.Second)
	for !b.stopped() {
		if b.asks(c) {
			time.Sleep(comesBy)
		} else {
			time.Sleep(10 * time.Minute)
		}
	}
}

// asks sends one request of a client, and reports whether it was answered with a certificate.
func (b *disaster) asks(c *badClient) bool {
	path, data := c.request(b.t)
	resp, err := b.serving().handle(&logical.Request{
		Operation: logical.UpdateOperation, Path: path, Data: data, MountPoint: "certinext/",
		EntityID: "entity-" + c.name, ClientTokenAccessor: "accessor-" + c.name,
	})
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil || resp == nil || resp.IsError() {
		b.refusal = refusal(resp, err)
		if strings.Contains(b.refusal, "compromised") {
			c.due = true
		}
		if b.noticed {
			b.refused++
		}
		return false
	}
	c.serial = resp.Data["serial_number"].(string)
	c.due = resp.Data["renew_after"].(int64) <= time.Now().Unix()
	return !c.due || c.role != "signs" // who is told to, asks again at once
}

func (b *disaster) stopped() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.isStopped
}

// rests lets time pass, with a background pass every minute, and looks each hour who has no valid certificate.
func (b *disaster) rests(d time.Duration) {
	end, looked := time.Now().Add(d), time.Now()
	for time.Now().Before(end) {
		_, _ = b.serving().handle(&logical.Request{
			Operation: logical.RollbackOperation, Data: map[string]any{"immediate": true},
		})
		time.Sleep(b.disturb())
		if time.Since(looked) >= time.Hour {
			looked = time.Now()
			b.look()
		}
	}
	b.look()
}

// disturb kills the process once a quarter is bought, and has the standby take over once half is. It returns when the next pass is: as Vault has it
// while that is being waited for, and seldom while nothing happens.
func (b *disaster) disturb() time.Duration {
	if !b.noticed {
		return time.Minute
	}
	bought := b.ca.Calls()[certinexttest.OpCreateSSL] + b.ca.Calls()[certinexttest.OpReissue] - len(b.clients)
	switch {
	case bought > len(b.clients)/4 && b.killed == 0:
		b.kill()
	case bought > len(b.clients)/2 && b.failed == 0:
		b.failOver()
	case bought <= 0 || b.failed > 0:
		return 10 * time.Minute
	}
	return time.Minute
}

// look notes which clients hold a certificate that is revoked, and for how long it was.
func (b *disaster) look() {
	revoked := make(map[string]time.Time)
	for _, o := range b.ca.Orders() {
		for i, serial := range o.Serials {
			if !o.RevokedAt.IsZero() && i == len(o.Serials)-1 {
				revoked[serial] = o.RevokedAt
			}
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.without = 0
	for _, c := range b.clients {
		if at, is := revoked[strings.ReplaceAll(c.serial, ":", "")]; is {
			b.without++
			b.longest = max(b.longest, time.Since(at))
		}
	}
}

// kill has the process of the active node end in the middle of what it does: it writes nothing any more.
func (b *disaster) kill() {
	fresh := b.newNode(false)
	b.mu.Lock()
	old := b.active
	old.fenced.Store(true)
	b.active = fresh
	b.killed++
	b.mu.Unlock()
	old.cancel()
	old.backend.Cleanup(b.t.Context())
}

// begins has all clients get their certificate.
func (b *disaster) begins() {
	for _, c := range b.clients {
		b.ended.Go(func() { b.keepsAsking(c) })
	}
	b.rests(comesBy + 2*time.Hour)
	require.Len(b.t, b.ca.Orders(), len(b.clients), "each has bought one: %s", b.refusal)
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.clients {
		require.NotEmpty(b.t, c.serial, b.refusal)
		c.first = c.serial
	}
	b.noticed = true
	b.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultLatency, Delay: 20 * time.Second}) // a CA that has much to do
}

// replaced counts the clients that hold another certificate than when the day began.
func (b *disaster) replaced() (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.clients {
		if c.serial != c.first {
			n++
		}
	}
	return n
}

// ends stops the clients.
func (b *disaster) ends() {
	b.mu.Lock()
	b.isStopped = true
	b.mu.Unlock()
	b.ended.Wait()
	b.fleet.ending.Wait()
}

// TestAFleetGetsOverABadDay plays each bad day against a fleet whose clients come by every six hours, with a kill and a failover in the middle. Nobody
// is left without a valid certificate, and none is bought twice. CAMPAIGN=2000 plays 2,000 certificates.
func TestAFleetGetsOverABadDay(t *testing.T) {
	atSize(t)
	for name, day := range badDays {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newDisaster(t, day)
				defer b.ends()
				b.begins()
				day.strikes(b)
				b.struck = time.Now()
				b.getsOver(t, name)
			})
		})
	}
}

// getsOver plays the day to its end, and looks at what it has cost.
func (b *disaster) getsOver(t *testing.T, name string) {
	t.Helper()
	hit, before := len(b.clients), len(b.ca.Orders())
	found := b.campaigns()
	for hours := 0; hours < 24*3 && !b.isOver(); hours++ {
		b.rests(time.Hour)
	}
	if b.day.campaign != nil {
		read := b.operates("replace/friday", nil)
		require.Equal(t, "done", read["state"], "%v, stuck: %v", read["stages"], read["stuck"])
	}
	took := time.Since(b.struck)
	b.ends()
	bought := len(b.ca.Orders()) - before
	t.Logf("%s: %d found, %d replaced, %d bought, in %s of simulated time; %d requests refused; a client was without a valid certificate "+
		"for %s at most, and %d are at the end; %d kill, %d failover",
		name, found, b.replaced(), bought, took.Round(time.Minute), b.refused, b.longest.Round(time.Minute), b.without, b.killed, b.failed)
	require.Equal(t, []int{hit, hit, 0}, []int{found, b.replaced(), b.without})
	require.Equal(t, []int{1, 1}, []int{b.killed, b.failed})
	byName, revoked := make(map[string]int), 0
	for _, o := range b.ca.Orders() {
		byName[o.Domain]++
		if !o.RevokedAt.IsZero() {
			revoked++
		}
	}
	for _, c := range b.clients {
		most := 2
		if b.day.reissues && c.role == "reissues" {
			most = 1
		}
		require.Equal(t, most, byName[c.name], "orders for %s (%s)", c.name, c.role)
	}
	if b.day.campaign != nil {
		require.Zero(t, b.longest, "a campaign in time leaves nobody without a certificate")
	}
	if b.day.isRevoked {
		require.Equal(t, hit, revoked, "what was replaced is revoked, and nothing else")
	}
}
