// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// unresolved orders www.example.com while kind strikes the create, and returns the order's id.
func (m *mount) unresolved(kind certinexttest.FaultKind) string {
	m.t.Helper()
	m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: kind, Times: 1})
	require.Contains(m.t, m.refused("issue/web", www), "not known yet whether CERTInext took the order")
	for _, id := range m.list("orders/web") {
		if m.read("orders/web/" + id).Data["state"] == "unresolved" {
			return id
		}
	}
	m.t.Fatal("no order is unresolved")
	return ""
}

// The CA's records show an order that was placed an hour later, and not the one in doubt: that settles it.
func TestAnOrderThatIsCertainlyAbsentIsPlacedAgainByTheRequestThatWaitsForIt(t *testing.T) {
	for name, request := range map[string]map[string]any{
		"unnamed": www, "named": {"common_name": "www.example.com", "request_id": "deploy-17"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				m := newMount(t, ca)
				ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultDropped, Times: 1})
				require.Contains(t, m.refused("issue/web", request), "not known yet")
				m.write("issue/web", map[string]any{"common_name": "too-soon.example.com"})
				time.Sleep(2 * time.Hour)
				require.Contains(t, m.refused("issue/web", request), "not known yet", "silence proves nothing")
				m.write("issue/web", map[string]any{"common_name": "later.example.com"})

				m.chainOK(m.write("issue/web", request))
				require.Len(t, ca.Orders(), 3)
				m.write("issue/web", map[string]any{"common_name": "another.example.com"})
				require.Len(t, ca.Orders(), 4)
			})
		})
	}
}

func TestTheBackgroundPassClosesWhatIsCertainlyAbsentAndBuysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		id := m.unresolved(certinexttest.FaultDropped)
		time.Sleep(2 * time.Hour)
		m.write("issue/web", map[string]any{"common_name": "later.example.com"})
		m.pass()
		order := m.read("orders/web/" + id).Data
		require.Equal(t, "failed", order["state"])
		require.Contains(t, order["last_error"], ca.Orders()[0].ID, "the proof is named")
		require.Len(t, ca.Orders(), 1)
		time.Sleep(time.Hour)
		m.pass()
		requireNoKeys(t, m)
		require.Contains(t, m.refused("orders/web/"+id+"/collect", nil), "is over: failed")
	})
}

// Records that lag behind lag for the later order, too.
func TestRecordsThatLagBehindProveNothing(t *testing.T) {
	for _, lag := range []time.Duration{10 * time.Minute, 3 * time.Hour, 30 * time.Hour} {
		t.Run(lag.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				ca.ReportDelay = lag
				m := newMount(t, ca)
				m.unresolved(certinexttest.FaultLostReply)
				for i := range 80 {
					time.Sleep(30 * time.Minute)
					m.pass()
					m.write("issue/web", map[string]any{"common_name": fmt.Sprintf("w%d.example.com", i)})
				}
				m.chainOK(m.write("issue/web", www))
				require.Equal(t, 1, countOrders(ca, "www.example.com"), "bought twice")
			})
		})
	}
}

// A report that leaves out other groups must not be taken for one that leaves out nothing.
func TestAnOrderOfAnotherGroupProvesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		m.write("roles/other", map[string]any{
			"product_code": "842", "product_variant": "dv", "allow_any_name": true, "group_number": certinexttest.DefaultGroup,
		})
		m.unresolved(certinexttest.FaultDropped)
		time.Sleep(2 * time.Hour)
		m.write("issue/other", map[string]any{"common_name": "later.example.com"})
		require.Contains(t, m.refused("issue/web", www), "not known yet")
	})
}

func TestARestartForgetsWhatWouldProveAbsence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		m.unresolved(certinexttest.FaultDropped)
		time.Sleep(2 * time.Hour)
		m.write("issue/web", map[string]any{"common_name": "later.example.com"})
		m.start()
		require.Contains(t, m.refused("issue/web", www), "not known yet", "who else placed orders, and when, is not known")
		m.write("issue/web", map[string]any{"common_name": "later-still.example.com"})
		require.Contains(t, m.refused("issue/web", www), "not known yet", "by whose clock the order is older is not known")
		time.Sleep(time.Hour)
		m.write("issue/web", map[string]any{"common_name": "an-hour-later.example.com"})
		m.chainOK(m.write("issue/web", www))
		require.Equal(t, 1, countOrders(ca, "www.example.com"))
	})
}

func TestAbsentAfterIsTheOperatorsToSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		require.Contains(t, m.refused("config", map[string]any{"absent_after": "9m"}), "absent_after:")
		require.Contains(t, m.refused("config", map[string]any{"absent_after": "12m", "create_timeout": "180s"}), "absent_after:")
		require.Contains(t, m.refused("config", map[string]any{"absent_after": "-1h"}), "absent_after:")
		m.write("config", map[string]any{"absent_after": "48h"})
		require.EqualValues(t, 48*3600, m.read("config").Data["absent_after"])
		m.unresolved(certinexttest.FaultDropped)
		time.Sleep(24 * time.Hour)
		m.write("issue/web", map[string]any{"common_name": "a-day-later.example.com"})
		require.Contains(t, m.refused("issue/web", www), "not known yet")
		time.Sleep(25 * time.Hour)
		m.write("issue/web", map[string]any{"common_name": "two-days-later.example.com"})
		m.chainOK(m.write("issue/web", www))
	})
}

// The report pages from one, clamps, and serves its last page again: the order may be on any page. The first and the last page are read before the others.
func TestALostOrderIsFoundOnAnyPageOfTheRecords(t *testing.T) {
	for _, c := range []struct{ earlier, later, pages int }{{0, 0, 1}, {0, 99, 1}, {0, 100, 2}, {0, 250, 2}, {250, 0, 1}, {150, 150, 3}} {
		earlier, later := c.earlier, c.later
		t.Run(fmt.Sprintf("behind %d orders and before %d", later, earlier), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				ca.HoldForApproval = true
				m := newMount(t, ca)
				order := func(n int, name string) {
					for i := range n {
						m.write("orders/web", map[string]any{"common_name": fmt.Sprintf("%s%d.example.com", name, i)})
					}
				}
				order(earlier, "earlier")
				m.unresolved(certinexttest.FaultLostReply)
				order(later, "later")
				require.Contains(t, m.refused("issue/web", www), "pending-approval")
				require.Equal(t, 1, countOrders(ca, "www.example.com"))
				require.Equal(t, c.pages, ca.Calls()[certinexttest.OpOrdersReport])
			})
		})
	}
}

// An outage leaves many orders in doubt. They are looked for together, since every page of the records costs a call.
func TestManyOrdersInDoubtAreLookedForTogether(t *testing.T) {
	for name, c := range map[string]struct {
		kind  certinexttest.FaultKind
		state string
	}{
		"all of them are there": {certinexttest.FaultLostReply, "pending"},
		"none of them is there": {certinexttest.FaultDropped, "unresolved"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const inDoubt, others = 150, 250
				ca := validated(certinexttest.Live)
				ca.HoldForApproval = true
				m := newMount(t, ca)
				for i := range others {
					m.write("orders/web", map[string]any{"common_name": fmt.Sprintf("w%d.example.com", i)})
				}
				ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: c.kind, Times: inDoubt})
				ids := make([]string, inDoubt)
				for i := range ids {
					ids[i] = m.write("orders/web", map[string]any{"common_name": fmt.Sprintf("d%d.example.com", i)}).Data["order_id"].(string)
				}
				time.Sleep(time.Hour)
				ca.ResetCalls()
				for range 2 { // a pass does 200 orders
					m.pass()
				}
				for _, id := range ids {
					require.Equal(t, c.state, m.read("orders/web/" + id).Data["state"])
				}
				t.Logf("%d orders in doubt among %d cost %d pages of the records", inDoubt, len(ca.Orders()), ca.Calls()[certinexttest.OpOrdersReport])
				require.LessOrEqual(t, ca.Calls()[certinexttest.OpOrdersReport], 20)
			})
		})
	}
}

// A create of 150 s outlives its request. Whoever asks again meanwhile waits for its answer, and nothing is looked up.
func TestACreateOf150SecondsIsOneOrderForAnAgentThatRetriesTwelveTimes(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := validated(dialect)
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultSlowReply, Delay: 150 * time.Second, Times: 1})
		m := newMount(t, ca)
		pause := 250 * time.Millisecond
		for try := range 12 {
			ctx, hangUp := context.WithCancel(t.Context())
			resp, err := m.send(call{op: logical.UpdateOperation, path: "issue/web", data: www, ctx: ctx})
			hangUp() // as Vault does when a request is over
			require.NoError(t, err)
			if !resp.IsError() {
				m.chainOK(resp)
				require.Positive(t, try, "the create was not slow")
				require.Len(t, ca.Orders(), 1)
				require.Equal(t, 1, ca.Orders()[0].Creates)
				require.Zero(t, ca.Calls()[certinexttest.OpOrdersReport], "the create was cut off and had to be looked for")
				return
			}
			time.Sleep(pause)
			pause = min(2*pause, time.Minute)
		}
		t.Fatal("twelve tries, and no certificate")
	})
}

// countOrders counts the CA's orders for a name.
func countOrders(ca *certinexttest.Server, name string) int {
	n := 0
	for _, o := range ca.Orders() {
		if o.Domain == name {
			n++
		}
	}
	return n
}

// Version 1 knows no Idempotency-Key, so an order that was placed there is not found by repeating it in version 2.
func TestAnOrderOfVersion1IsNotRepeatedInVersion2(t *testing.T) {
	for name, kind := range map[string]certinexttest.FaultKind{"lost reply": certinexttest.FaultLostReply, "unknown error": certinexttest.FaultMetaErrorAfter} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Documented)
				ca.ReportDelay = 24 * time.Hour
				m := bareMount(t, ca)
				config := m.account()
				config["api_version"] = "v1"
				m.write("config", config)
				m.write("roles/web", map[string]any{"product_code": "842", "product_variant": "dv", "allowed_domains": "example.com", "allow_subdomains": true})
				ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: kind, Times: 1})
				resp, err := m.send(call{op: logical.UpdateOperation, path: "issue/web", data: www})
				require.NoError(t, err)
				require.True(t, resp.IsError())
				require.Len(t, ca.Orders(), 1)

				m.write("config", map[string]any{"api_version": "v2"})
				for range 5 {
					time.Sleep(time.Hour)
					m.pass()
				}
				require.Len(t, ca.Orders(), 1, "the order was bought a second time")
			})
		})
	}
}
