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

// A fleet are agents that keep a certificate each for years, as Vault Agent does: they ask for it, keep it in memory, ask again when the answer
// said so, and lose it when they are restarted.
type fleet struct {
	*mount
	agents    int
	years     int
	life      time.Duration // of a certificate
	disturbed bool
	dice      *rand.Rand

	mu        sync.Mutex
	issued    map[any]bool // serial numbers
	uncovered int          // how often an agent was without a valid certificate when it needed one
	renewals  int          // how often an agent asked because its certificate was due
	late      int          // how often such a request was not answered within seconds
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
		if f.disturbed {
			f.disturb()
		}
		_, _ = f.processNow().HandleRequest(f.t.Context(), &logical.Request{
			Operation: logical.RollbackOperation, Storage: f.storage, Data: map[string]any{"immediate": true},
		})
	}
}

// processNow is the plugin process that serves.
func (f *fleet) processNow() logical.Backend {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.backend
}

func (f *fleet) disturb() {
	switch f.roll(40) {
	case 0:
		old := f.processNow()
		f.mu.Lock()
		f.start()
		f.mu.Unlock()
		old.Cleanup(f.t.Context())
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
	for time.Now().Before(end) {
		began := time.Now()
		resp, err := f.processNow().HandleRequest(f.t.Context(), &logical.Request{
			Operation: logical.UpdateOperation, Path: "issue/web", Data: map[string]any{"common_name": name}, Storage: f.storage,
			MountPoint: "certinext/", EntityID: entity, ClientTokenAccessor: "accessor-" + entity,
		})
		answered := err == nil && resp != nil && !resp.IsError()
		f.count(isDue, answered && time.Since(began) < 10*time.Second) // CERTInext is asked once more about a certificate that has waited
		isDue = false
		if !answered {
			f.miss(valid)
			time.Sleep(time.Hour)
			continue
		}
		valid = time.Unix(resp.Data["expiration"].(int64), 0)
		f.mu.Lock()
		f.issued[resp.Data["serial_number"]] = true
		f.mu.Unlock()
		wait := time.Until(time.Unix(resp.Data["renew_after"].(int64), 0))
		isDue = true
		if f.disturbed && f.roll(12) == 0 { // it is restarted before that, and has lost its key
			wait = time.Duration(f.roll(int(max(wait, time.Hour)/time.Minute))) * time.Minute
			isDue = false
		}
		time.Sleep(max(wait, time.Minute))
	}
}

// miss notes that an agent got no certificate when it asked, and whether it still has a valid one.
func (f *fleet) miss(valid time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !valid.IsZero() && !time.Now().Before(valid) {
		f.uncovered++
	}
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
func newFleet(t *testing.T, renewal, ahead string, life time.Duration, disturbed bool) *fleet {
	t.Helper()
	ca := validated(certinexttest.Live)
	ca.CertificateLifetime, ca.DomainValidity = life, 100*365*day
	if ahead != "" {
		ca.IssueDelay = 10 * time.Minute // longer than a request waits
	}
	f := &fleet{
		mount: newMount(t, ca), life: life, disturbed: disturbed, dice: rand.New(rand.NewPCG(1, 2)), issued: make(map[any]bool),
	}
	f.agents, f.years, _ = fleetSize(t)
	f.system.EntityVal = &logical.Entity{ID: "entity"}
	f.write("roles/web", map[string]any{
		"product_code": "842", "allowed_domains": "example.com", "allow_subdomains": true, "renewal": renewal, "generate_lease": false,
		"renew_ahead": ahead,
	})
	return f
}

// TestAFleetBuysTheLeastThatItsRoleAllows plays a fleet undisturbed, and then with restarts, lost answers and a CA that is away. What is bought is the
// same, and nobody is ever without a certificate. FLEET=50 plays 50 agents over three years.
func TestAFleetBuysTheLeastThatItsRoleAllows(t *testing.T) {
	_, _, lives := fleetSize(t)
	for _, days := range lives {
		for _, renewal := range []string{"order", "reissue"} {
			t.Run(fmt.Sprintf("%d days, %s", days, renewal), func(t *testing.T) {
				bought := make(map[bool]int)
				for _, disturbed := range []bool{false, true} {
					synctest.Test(t, func(t *testing.T) {
						f := newFleet(t, renewal, "", time.Duration(days)*day, disturbed)
						f.play()
						bought[disturbed] = len(f.ca.Orders())
						t.Logf("%d agents, %d years, certificates of %d days, renewal=%s, disturbed: %t: %d certificates, %d orders",
							f.agents, f.years, days, renewal, disturbed, len(f.issued), bought[disturbed])
						require.Zero(t, f.uncovered, "an agent was without a valid certificate")
						if renewal == "order" {
							require.Equal(t, len(f.issued), bought[disturbed], "an order that gave no certificate")
						}
					})
				}
				if renewal == "reissue" {
					require.LessOrEqual(t, bought[true], bought[false], "failures have cost money")
				}
			})
		}
	}
}

// TestNoAgentOfAFleetWaitsForTheCA plays fleets whose role renews ahead, with a CA that takes longer than a request waits. Every certificate that is due is there
// when it is asked for. It costs what it costs without, and at most one more for each agent, which is switched off at the end.
func TestNoAgentOfAFleetWaitsForTheCA(t *testing.T) {
	_, _, lives := fleetSize(t)
	for _, days := range lives {
		for _, renewal := range []string{"order", "reissue"} {
			for _, disturbed := range []bool{false, true} {
				t.Run(fmt.Sprintf("%d days, %s, disturbed: %t", days, renewal, disturbed), func(t *testing.T) {
					var without, certificates int
					synctest.Test(t, func(t *testing.T) {
						f := newFleet(t, renewal, "", time.Duration(days)*day, disturbed)
						f.play()
						without, certificates = len(f.ca.Orders()), len(f.issued)
					})
					synctest.Test(t, func(t *testing.T) {
						f := newFleet(t, renewal, "10%", time.Duration(days)*day, disturbed)
						f.play()
						bought := len(f.ca.Orders())
						t.Logf("%d agents, %d years, certificates of %d days, renewal=%s, renew_ahead=10%%, disturbed: %t: %d certificates, "+
							"%d orders (%d without), %d of %d renewals not answered at once",
							f.agents, f.years, days, renewal, disturbed, len(f.issued), bought, without, f.late, f.renewals)
						require.Zero(t, f.uncovered, "an agent was without a valid certificate")
						require.Zero(t, f.late, "an agent has waited for the CA")
						require.NotZero(t, f.renewals)
						if renewal == "reissue" {
							require.LessOrEqual(t, bought, without, "what is made ahead has cost money")
							return
						}
						require.LessOrEqual(t, bought, len(f.issued)+f.agents, "more than one for an agent was not collected")
						if !disturbed {
							spread := 1 + f.agents/10 // renewals are spread by serial numbers, which are random
							require.LessOrEqual(t, len(f.issued), certificates+spread, "what was made ahead is renewed earlier")
							require.LessOrEqual(t, bought, without+f.agents+spread, "what is made ahead has cost money")
						}
					})
				})
			}
		}
	}
}
