// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// A weather is what happens to a fleet.
type weather string

const (
	calm      weather = "undisturbed"
	stormy    weather = "disturbed"      // agents and the plugin are restarted, answers of the CA are lost, and it is away
	failovers weather = "with failovers" // from one node to the other, while requests are in flight
)

// A fleet are agents that keep a certificate each for years, as Vault Agent does: they ask for it, keep it in memory, ask again when the answer
// said so, and lose it when they are restarted.
type fleet struct {
	*mount
	agents  int
	years   int
	life    time.Duration // of a certificate
	weather weather
	dice    *rand.Rand

	mu        sync.Mutex
	active    *node
	standby   *node
	ending    sync.WaitGroup // of the nodes that have lost their place
	failed    int            // failovers
	settled   int            // orders in doubt that an operator has settled
	refusal   string         // the latest that an agent was told
	issued    map[any]bool   // serial numbers
	uncovered int            // how often an agent was without a valid certificate when it needed one
	renewals  int            // how often an agent asked because its certificate was due
	late      int            // how often such a request was not answered within seconds
}

func (f *fleet) roll(n int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dice.IntN(n)
}

// fleetSize is how many agents and years are played, and how long certificates live, in days: few, unless FLEET says how many agents.
func fleetSize(t *testing.T) (agents, years int, lives []int) {
	t.Helper()
	text := os.Getenv("FLEET")
	if text == "" {
		return 2, 2, []int{199, 46}
	}
	agents, err := strconv.Atoi(text)
	require.NoError(t, err, "FLEET is a number of agents")
	require.True(t, agents > 0 && agents <= 1000, "FLEET is from 1 to 1000")
	return agents, 3, []int{199, 99, 46}
}

// play runs the fleet to its end.
func (f *fleet) play() {
	end := time.Now().Add(time.Duration(f.years) * 365 * day)
	var agents sync.WaitGroup
	for i := range f.agents {
		agents.Go(func() { f.agent(fmt.Sprintf("host-%d.example.com", i), fmt.Sprintf("entity-%d", i), end) })
	}
	over := make(chan struct{})
	var weather sync.WaitGroup
	weather.Go(func() { f.keep(over) })
	agents.Wait()
	close(over)
	weather.Wait()
	f.ending.Wait()
}

// keep runs the background pass, and has the plugin die and the CA be away now and then.
func (f *fleet) keep(over <-chan struct{}) {
	for hour := 0; ; hour++ {
		select {
		case <-over:
			return
		case <-time.After(6 * time.Hour):
		}
		f.ca.ClearFaults()
		if f.weather == stormy {
			f.disturb()
		}
		if f.weather == failovers {
			f.settle()
		}
		_, _ = f.serving().handle(&logical.Request{
			Operation: logical.RollbackOperation, Data: map[string]any{"immediate": true},
		})
	}
}

func (f *fleet) disturb() {
	switch f.roll(40) {
	case 0:
		f.restart()
	case 1:
		f.ca.Inject(certinexttest.Fault{Kind: certinexttest.FaultServerError})
	case 2:
		f.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpReissue, Kind: certinexttest.FaultLostReply})
		f.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultLostReply})
	case 3:
		f.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpTrack, Kind: certinexttest.FaultDropped})
	}
}

// agent keeps one name's certificate until the end.
func (f *fleet) agent(name, entity string, end time.Time) {
	time.Sleep(time.Duration(f.roll(1000)) * time.Minute)
	var valid time.Time // until when the agent has a certificate
	isDue := false      // it asks since its certificate is to be renewed
	tries := 0          // that were in vain
	for time.Now().Before(end) {
		if f.weather == failovers && f.roll(8) == 0 {
			f.failOverSoon()
			isDue = false
		}
		began := time.Now()
		resp, err := f.serving().handle(&logical.Request{
			Operation: logical.UpdateOperation, Path: "issue/web", Data: map[string]any{"common_name": name},
			MountPoint: "certinext/", EntityID: entity, ClientTokenAccessor: "accessor-" + entity,
		})
		answered := err == nil && resp != nil && !resp.IsError()
		f.count(isDue, answered && time.Since(began) < 10*time.Second) // CERTInext is asked once more about a certificate that has waited
		isDue = false
		if !answered {
			f.miss(valid, refusal(resp, err))
			time.Sleep(min(time.Minute<<tries, time.Hour)) // as Vault Agent does
			tries = min(tries+1, 6)
			continue
		}
		tries = 0
		valid = time.Unix(resp.Data["expiration"].(int64), 0)
		f.mu.Lock()
		f.issued[resp.Data["serial_number"]] = true
		f.mu.Unlock()
		wait := time.Until(time.Unix(resp.Data["renew_after"].(int64), 0))
		isDue = true
		if f.weather == stormy && f.roll(12) == 0 { // it is restarted before that, and has lost its key
			wait = time.Duration(f.roll(int(max(wait, time.Hour)/time.Minute))) * time.Minute
			isDue = false
		}
		time.Sleep(max(wait, time.Minute))
	}
}

// miss notes that an agent got no certificate when it asked, and whether it still has a valid one.
func (f *fleet) miss(valid time.Time, why string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refusal = why
	if !valid.IsZero() && !time.Now().Before(valid) {
		f.uncovered++
	}
}

// refusal is what a request was answered with that got no certificate.
func refusal(resp *logical.Response, err error) string {
	if err == nil && resp != nil && resp.IsError() {
		err = resp.Error()
	}
	return fmt.Sprint(err)
}

// count notes a request for a certificate that is due, and whether it was answered at once.
func (f *fleet) count(isDue, atOnce bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if isDue {
		f.renewals++
	}
	if isDue && !atOnce {
		f.late++
	}
}

// newFleet mounts the engine for a fleet whose role renews as said.
func newFleet(t *testing.T, renewal, ahead string, life time.Duration, w weather) *fleet {
	t.Helper()
	ca := validated(certinexttest.Live)
	ca.CertificateLifetime, ca.DomainValidity = life, 100*365*day
	if ahead != "" {
		ca.IssueDelay = 10 * time.Minute // longer than a request waits
	}
	f := &fleet{
		mount: newMount(t, ca), life: life, weather: w, dice: rand.New(rand.NewPCG(1, 2)), issued: make(map[any]bool),
	}
	f.agents, f.years, _ = fleetSize(t)
	f.system.EntityVal = &logical.Entity{ID: "entity"}
	f.write("roles/web", map[string]any{
		"product_code": "842", "allowed_domains": "example.com", "allow_subdomains": true, "renewal": renewal, "generate_lease": false,
		"renew_ahead": ahead,
	})
	f.active, f.standby = f.newNode(false), f.newNode(true)
	return f
}

// TestAFleetBuysTheLeastThatItsRoleAllows plays a fleet undisturbed, with restarts, lost answers and a CA that is away, and with failovers between two
// nodes; and each of them again with a role that renews ahead. What is bought is the same, and nobody is ever without a certificate. FLEET=50 plays 50
// agents over three years.
func TestAFleetBuysTheLeastThatItsRoleAllows(t *testing.T) {
	atSize(t)
	agents, _, lives := fleetSize(t)
	for _, days := range lives {
		for _, renewal := range []string{"order", "reissue"} {
			bought := make(map[weather]int)
			for _, w := range []weather{calm, stormy, failovers} {
				t.Run(fmt.Sprintf("%d days, %s, %s", days, renewal, w), func(t *testing.T) {
					var certificates int
					synctest.Test(t, func(t *testing.T) {
						bought[w], certificates = playsWhenAsked(t, renewal, days, w)
					})
					if w != stormy { // the restarts of agents, which lose their keys, cost a certificate each
						require.LessOrEqual(t, bought[w], bought[calm]+spreadOf(agents), "failovers have cost money")
					}
					if renewal == "reissue" {
						require.LessOrEqual(t, bought[w], bought[calm], "failures have cost money")
					}
					synctest.Test(t, func(t *testing.T) { playsAhead(t, renewal, days, w, bought[w], certificates) })
				})
			}
		}
	}
}

// spreadOf is by how many orders two fleets of the same policy differ at most: renewals are spread by serial numbers, which are random.
func spreadOf(agents int) int { return 1 + agents/10 }

// playsWhenAsked plays a fleet whose certificates are renewed when they are asked for.
func playsWhenAsked(t *testing.T, renewal string, days int, w weather) (bought, certificates int) {
	t.Helper()
	f := newFleet(t, renewal, "", time.Duration(days)*day, w)
	f.play()
	bought, certificates = len(f.ca.Orders()), len(f.issued)
	t.Logf("%d agents, %d years, certificates of %d days, renewal=%s, %s: %d certificates, %d orders, %d failovers, "+
		"%d orders settled by an operator", f.agents, f.years, days, renewal, w, certificates, bought, f.failed, f.settled)
	require.Zero(t, f.uncovered, "an agent was without a valid certificate: %s", f.refusal)
	require.Equal(t, w == failovers, f.failed > 0)
	if renewal == "order" {
		require.Equal(t, certificates, bought, "an order that gave no certificate")
	}
	return bought, certificates
}

// playsAhead plays a fleet whose role renews ahead, with a CA that takes longer than a request waits. Every certificate that is due is there when it is
// asked for, unless the node that is asked fails at that moment. It costs what it costs without, and at most one more for each agent, which is switched off
// at the end.
func playsAhead(t *testing.T, renewal string, days int, w weather, without, certificates int) {
	t.Helper()
	f := newFleet(t, renewal, "10%", time.Duration(days)*day, w)
	f.play()
	bought := len(f.ca.Orders())
	t.Logf("%d agents, %d years, certificates of %d days, renewal=%s, renew_ahead=10%%, %s: %d certificates, %d orders (%d without), "+
		"%d of %d renewals not answered at once, %d failovers, %d orders settled by an operator",
		f.agents, f.years, days, renewal, w, len(f.issued), bought, without, f.late, f.renewals, f.failed, f.settled)
	require.Zero(t, f.uncovered, "an agent was without a valid certificate: %s", f.refusal)
	require.Zero(t, f.late, "an agent has waited for the CA")
	require.NotZero(t, f.renewals)
	require.Equal(t, w == failovers, f.failed > 0)
	if renewal == "reissue" {
		require.LessOrEqual(t, bought, without, "what is made ahead has cost money")
		return
	}
	require.LessOrEqual(t, bought, len(f.issued)+f.agents, "more than one for an agent was not collected")
	if w != stormy {
		spread := spreadOf(f.agents)
		require.LessOrEqual(t, len(f.issued), certificates+spread, "what was made ahead is renewed earlier")
		require.LessOrEqual(t, bought, without+f.agents+spread, "what is made ahead has cost money")
	}
}
