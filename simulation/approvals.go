// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"encoding/json"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
)

// approver decides on the orders of roles that require an approval.
var approver = requester{name: "eve", entity: "entity-of-eve", accessor: "accessor-of-eve"}

// approvalTrials have orders wait for the approver (ADR 0037), who approves, rejects, or lets them
// expire, while processes die, storage and CERTInext fail, and snapshots are restored.
var approvalTrials = []trial{
	{"approvals", 4, func(d *dice) []Action {
		r := d.fresh("asked")
		if d.IntN(3) == 0 {
			r = d.named(r)
		}
		later := d.fresh("asked")
		decide := func(how ...string) Action {
			return Action{Do: "decide", How: pick(d, how...), Request: r}
		}
		act := func() Action {
			return pick(d,
				decide("approve", "approve", "approve", "reject", "self"),
				decide("approve"), decide("approve"), decide("self"),
				Action{Do: pick(d, "issue", "order", "async"), Request: r},
				Action{Do: "issue", Request: pick(d, r, later), How: pick(d, "", "force")},
				Action{Do: "decide", How: "approve", Request: later},
				Action{Do: "collect", Request: r},
				Action{Do: "cancel", Request: r},
				Action{Do: "steal", Request: r, How: pick(d, "cancel", "collect")},
				Action{Do: "renew", Request: r},
				Action{Do: "pass"},
				Action{Do: pick(d, "restart", "standby", "failover", "sync")},
				Action{Do: "config", How: "paused"}, Action{Do: "config"},
				Action{Do: "role", How: pick(d, "delete", ""), Request: Request{Role: "asked"}},
				Action{Do: "disk", At: "put order/open/", Bad: pick(d, "before", "after", "crash")},
				Action{
					Do: "wire", At: pick(d, "> create-", "< create-"),
					Bad: pick(d, "slow", "before", "after", "crash", "html-503"),
					For: 20 * time.Second,
				},
				Action{Do: "time", For: pick(d, 20*time.Second, 6*time.Minute, 9*time.Hour)},
				Action{Do: "time", For: pick(d, 20*time.Second, 31*time.Hour)})
		}
		out := []Action{{Do: pick(d, "issue", "order", "async"), Request: r}}
		for range 2 + d.IntN(4) {
			out = append(out, act())
		}
		if d.IntN(3) == 0 {
			out = append(out, Action{Do: "snapshot"}, decide("approve"), act(),
				Action{Do: "rollback"}, act(), decide("approve", "reject"))
		}
		for range 1 + d.IntN(4) {
			out = append(out, act())
		}
		return out
	}},
}

// A deciding is what the approver has said of an order.
type deciding struct {
	approved []*call // the calls to approve it since it was last rejected
}

// doDecide has the approver, or with "self" the requester itself, decide on a client's order.
func doDecide(w *world, a Action) {
	k := w.existing(a.Request)
	if k == nil || k.order() == "" {
		return
	}
	who, how := approver, a.How
	if how == "self" {
		who, how = requesters[k.request.Who], "approve"
	}
	c := decide(w, k.request.Role, k.order(), how, who)
	c.request, c.stranger = &k.request, who != approver
	c.answer = func(c *call) {
		if c.err != nil || c.resp == nil || c.resp.IsError() {
			return
		}
		if c.stranger {
			w.violate("approval/self", "%s has approved its own order: %s", who.name, c.path)
		}
		if how == "reject" && !c.lost() {
			k.wants = false
		}
	}
}

// decide reads what an order is for, and sends a decision on it.
func decide(w *world, role, id, how string, who requester) *call {
	path, short := "approvals/"+role+"/"+id, id[:min(8, len(id))]
	seen := w.send(&call{what: "read " + short, op: logical.ReadOperation, path: path, who: who})
	w.until(seen.done.Load, time.Minute)
	data := map[string]any{"decision": how, "remark": "as agreed"}
	if seen.done.Load() && seen.resp != nil && !seen.resp.IsError() {
		data["proposal"] = seen.resp.Data["proposal"]
	}
	c := w.send(&call{
		what: how + " " + short, op: logical.UpdateOperation, path: path, who: who, data: data,
	})
	if who == approver && how == "approve" {
		d := w.decisions[id]
		if d == nil {
			d = new(deciding)
			w.decisions[id] = d
		}
		d.approved = append(d.approved, c)
	}
	return c
}

// approveAll has the approver approve whatever waits, and returns how many orders that were.
func approveAll(w *world) int {
	n := 0
	for _, o := range w.storedOrders() {
		if !o.open || o.State != "approval" {
			continue
		}
		n++
		c := decide(w, o.Role, o.ID, "approve", approver)
		if p := w.books.purchases[o.marker()]; p != nil && p.call != nil {
			c.request = p.call.request
		}
		w.until(w.idle, longestCall)
	}
	return n
}

// noteDecision forgets what was said of an order before it was rejected.
func noteDecision(w *world, key string, value []byte) {
	if value == nil || !strings.HasPrefix(key, "order/closed/") {
		return
	}
	o := new(storedOrder)
	if json.Unmarshal(value, o) == nil && o.Approval.Decision == "rejected" {
		delete(w.decisions, path.Base(key))
	}
}

// noteNewMarker records that the mount does not know an order of CERTInext's any more: it was sent
// after the snapshot that was restored, and what waited again goes on under a marker of its own.
func noteNewMarker(w *world, key string, before, after []byte) {
	if !strings.HasPrefix(key, "order/open/") || before == nil || after == nil {
		return
	}
	was, is := new(storedOrder), new(storedOrder)
	if json.Unmarshal(before, was) != nil || json.Unmarshal(after, is) != nil ||
		was.State != "approval" || was.marker() == is.marker() {
		return
	}
	for _, o := range ordersOf(w) {
		if o.ID != "" && markerIn(o) == was.marker() {
			w.unknown[o.ID] = true
		}
	}
}

// forgetDecisions forgets what was said of the orders that wait again since a snapshot was
// restored.
func forgetDecisions(w *world) {
	for _, o := range w.storedOrders() {
		if o.State == "approval" {
			delete(w.decisions, o.ID)
		}
	}
}

// watchApproval checks that an order which needs an approval has one, before CERTInext hears of it:
// since its request, in time, and while ordering is not paused.
func watchApproval(w *world, by *call, name, marker string) {
	if !strings.HasPrefix(name, "create-") || marker == "" {
		return
	}
	all := w.storedOrders()
	i := slices.IndexFunc(all, func(o *storedOrder) bool { return o.marker() == marker })
	if i < 0 {
		return
	}
	o := all[i]
	if needs, _ := roles[o.Role]["require_approval"].(bool); !needs {
		return
	}
	d := w.decisions[o.ID]
	if d == nil || len(d.approved) == 0 {
		w.violate("approval/missing", "order %s was sent to CERTInext, and nobody has approved it",
			o.ID)
		return
	}
	if by == nil || !strings.HasPrefix(by.path, "approvals/") {
		return // it was sent before, and is looked for by its key
	}
	if paused := w.pausedAt; !paused.IsZero() && by.started.After(paused) {
		w.violate("money/paused", "%s was about to buy although ordering is paused since %s",
			by.what, paused)
	}
	if end := o.Approval.ExpiresAt; !by.began.plugin.Before(end) && !w.pluginNow().Before(end) {
		w.violate("approval/late", "order %s was approved after %s", o.ID, end)
	}
}
