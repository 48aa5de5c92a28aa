// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"fmt"
	"slices"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
)

// do begins an action. An action without anything to act on has no effect.
func (w *world) do(a Action) {
	act, known := actions[a.Do]
	if !known {
		panic(fmt.Sprintf("unknown action %q", a.Do))
	}
	synctest.Wait() // or what an action finds stored would depend on how far the calls have come
	if isAway(w, a) {
		return
	}
	before := len(w.calls)
	act(w, a)
	for _, c := range w.calls[before:] {
		c.hangUp, c.loss = a.Hang, a.Loss
	}
}

// actions maps the names of actions to their implementations.
var actions map[string]func(*world, Action)

func init() {
	actions = map[string]func(*world, Action){
		"issue":        doIssue,
		"async":        doIssue,
		"order":        doIssue,
		"collect":      doCollect,
		"steal":        doSteal,
		"show":         doShow,
		"cancel":       doCancel,
		"never-placed": doNeverPlaced,
		"misissue":     doMisissue,
		"release":      doRelease,
		"adopt":        doAdopt,
		"draft":        doDraft,
		"promote":      doPromote,
		"renew":        doRenew,
		"reissue":      doReissue,
		"revoke":       doRevoke,
		"lease-end":    doLeaseEnd,
		"lease-renew":  doLeaseRenew,
		"logout":       func(w *world, a Action) { w.vault.logout(a.Who) },
		"role":         doRole,
		"config":       doConfig,
		"sync":         (*world).doSync,
		"read":         doRead,
		"dry":          doDry,
		"entity":       doEntity,
		"tidy":         doTidy,
		"portal":       doPortal,
		"sync-every":   doSyncEvery,
		"take":         doTake,
		"hold":         doHold,

		"pass": (*world).doPass,
		"time": doTime,
		"restart": func(w *world, _ Action) {
			w.note("the plugin dies and starts again")
			w.restart()
		},
		"neighbour": doNeighbour,

		"snapshot": doSnapshot,
		"rollback": doRollback,
		"future":   doFuture,
		"present":  doPresent,
		"standby":  (*world).doStandby,
		"failover": func(w *world, _ Action) { w.note("the standby becomes active"); w.failover() },
		"clock":    doClock,
		"ca-clock": func(w *world, a Action) {
			w.note("CERTInext's clock is %s ahead", a.For)
			w.caAhead.Store(max(w.caAhead.Load(), int64(a.For)))
			noteSkew(w)
		},
		"disk": (*world).arm,
		"wire": (*world).arm,
		"ca":   doFault,
		"validate": func(w *world, _ Action) {
			w.note("hand.example is validated")
			for _, ca := range servers(w) {
				ca.VerifyDomain("hand.example")
			}
		},
		"decide":  doDecide,
		"approve": doApprove,
		"reject":  doApprove,
	}
}

// doClock sets how far the plugin's clock is ahead.
func doClock(w *world, a Action) {
	w.note("the plugin's clock is %s ahead", a.For)
	setClock(w, int64(a.For))
	w.moment()
}

func (w *world) note(format string, args ...any) { w.sched.trace.line(format, args...) }

// doIssue has a client request a certificate, or repeat its request.
func doIssue(w *world, a Action) {
	k := w.client(a.Request)
	k.wants = true
	extra := map[string]any{}
	if a.How == "force" {
		extra["force_new"] = true
	}
	w.ask(k, a.Do, extra)
}

// existing returns the client of an earlier request, or nil.
func (w *world) existing(r Request) *client { return w.clients[r] }

func (w *world) orderCall(
	who requester, k *client, id, what string, op logical.Operation, suffix string,
	data map[string]any,
) *call {
	path := "orders/" + k.request.Role + "/" + id + suffix
	if who == operator && op == logical.UpdateOperation {
		path = "operator/" + path
	}
	c := &call{
		what: what + " " + k.request.Name, op: op, path: path, data: data, who: who,
		request: &k.request,
	}
	if who.name == k.request.Who {
		c.answer = func(call *call) { w.learn(k, call) }
	}
	return w.send(c)
}

// doCollect has a client fetch the certificate of its order.
func doCollect(w *world, a Action) {
	k := w.existing(a.Request)
	if k != nil && a.How == "reissued" {
		k = k.reissue
	}
	if k != nil && k.order() != "" {
		w.orderCall(requesters[k.request.Who], k, k.order(), "collect", logical.UpdateOperation,
			"/collect", nil)
	}
}

func doShow(w *world, a Action) {
	if k := w.existing(a.Request); k != nil && k.order() != "" {
		w.orderCall(requesters[k.request.Who], k, k.order(), "show", logical.ReadOperation, a.How,
			nil)
	}
}

// doCancel has a client cancel its order.
func doCancel(w *world, a Action) {
	if k := w.existing(a.Request); k != nil && k.order() != "" {
		w.books.ask(k.order())
		k.wants = false
		w.orderCall(requesters[k.request.Who], k, k.order(), "cancel", logical.DeleteOperation, "",
			nil)
	}
}

// doNeverPlaced has a hasty operator declare that CERTInext never accepted an order. The engine
// must check that before it believes it (ADR 0021).
func doNeverPlaced(w *world, a Action) {
	k := w.existing(a.Request)
	if k == nil || k.order() == "" {
		return
	}
	id, marker := k.order(), ""
	blind := w.moved || w.disk.entries["config"] == nil
	if o := w.storedOrder(id); o != nil {
		marker = o.marker()
	}
	w.orderCall(operator, k, id, "never placed", logical.UpdateOperation, "",
		map[string]any{"never_placed": true}).answer = func(c *call) {
		blind = blind || w.disk.entries["config"] == nil
		switch {
		case c.err == nil && !c.resp.IsError():
			oracle{w}.believed(id, marker, c, blind)
		case c.err != nil && c.excused:
			// Storage failed, so the declaration may or may not take effect.
			w.pendingChecks = append(w.pendingChecks, func() {
				o := w.storedOrder(id)
				if o != nil && (o.State == "failed" || o.marker() != marker) {
					// A new marker means that the name belongs to another order by now.
					oracle{w}.believed(id, marker, c, blind)
				}
			})
		}
	}
}

// doAdopt has a hasty operator resolve an order with the number of another order for the same name.
func doAdopt(w *world, a Action) {
	k := w.existing(a.Request)
	if k == nil || k.order() == "" {
		return
	}
	id := k.order()
	for _, o := range ordersOf(w) {
		if o.Domain == k.request.commonName() && o.ID != "" && !w.upkeep.portal.has(&o) {
			caNow := time.Now().Add(time.Duration(w.caAhead.Load()))
			shown := !w.moved && !caNow.Before(o.CreatedAt.Add(w.manners.ReportDelay))
			w.books.typed[o.ID] = true
			c := w.orderCall(operator, k, id, "adopt", logical.UpdateOperation, "",
				map[string]any{"ca_order_id": o.ID})
			c.answer = func(c *call) {
				if c.err == nil && !c.resp.IsError() {
					oracle{w}.adopted(id, o, shown && w.reportAway.Before(c.started))
				}
			}
			return
		}
	}
}

// doDraft has a client save an order as a draft.
func doDraft(w *world, a Action) {
	k := w.client(a.Request)
	w.ask(k, "order", map[string]any{"save_as_draft": true})
}

func doPromote(w *world, a Action) {
	if k := w.existing(a.Request); k != nil && k.order() != "" {
		w.orderCall(requesters[k.request.Who], k, k.order(), "promote", logical.UpdateOperation, "",
			map[string]any{"promote": true})
	}
}

// doApprove has the approver approve all waiting orders, or reject one.
func doApprove(w *world, a Action) {
	for _, o := range ordersOf(w) {
		if o.Status != "pending-approval" {
			continue
		}
		if a.Do == "reject" {
			w.note("the approver refuses %s", o.ID)
			_ = serverOf(w, o.ID).Reject(o.ID, "not this one")
			return
		}
		_ = serverOf(w, o.ID).Approve(o.ID)
	}
}

// doRenew has a client request the successor of its certificate.
func doRenew(w *world, a Action) {
	k := w.existing(a.Request)
	if k == nil || k.serial() == "" {
		return
	}
	next := k.request
	next.ID, next.Key = "renew:"+k.serial(), 0
	heir := w.client(next)
	heir.wants = true
	w.send(&call{
		what: "renew " + k.request.Name, op: logical.UpdateOperation,
		path: "renew/" + k.request.Role + "/" + k.serial(), data: map[string]any{},
		who: requesters[k.request.Who], request: &heir.request,
		answer: func(call *call) { w.learn(heir, call) },
	})
}

// doReissue has a client reissue the certificate of its order. The leases of the old certificate
// remain: CERTInext cannot revoke one certificate of an order alone.
func doReissue(w *world, a Action) {
	if k := w.existing(a.Request); k != nil && k.serial() != "" && k.order() != "" {
		id := k.order()
		c := w.orderCall(requesters[k.request.Who], k, id, "reissue", logical.UpdateOperation,
			"/reissue", map[string]any{"reason": "rotation"})
		next := k.request
		next.ID, next.Key = "reissue:"+id, 0
		k.reissue = w.client(next)
		heir := k.reissue
		c.answer = func(call *call) {
			w.learn(heir, call)
			// A refusal names the order that was to be reissued, which is not the reissue's own.
			heir.orders = slices.DeleteFunc(heir.orders,
				func(told string) bool { return told == id })
		}
	}
}

// doRevoke has a client revoke its certificate, identified in one of several ways, or has another
// requester try to do so without permission.
func doRevoke(w *world, a Action) {
	k := w.existing(a.Request)
	if k == nil {
		return
	}
	path, data := "revoke/"+k.request.Role, map[string]any{"reason": "superseded"}
	switch {
	case a.How == "order" && k.order() != "":
		data["order_id"] = k.order()
		w.books.ask(k.order())
	case k.serial() == "":
		return
	case a.How == "key" && k.keyPEM[k.serial()] != "":
		path = "revoke-with-key"
		data["private_key"] = k.keyPEM[k.serial()]
		data["serial_number"] = k.serial()
	case a.How == "mount":
		path, data["serial_number"] = "revoke", k.serial()
	case a.How == "forged":
		w.send(&call{
			what: "revoke by a forgery " + k.request.Name, op: logical.UpdateOperation, path: path,
			who:  requesters["bob"],
			data: map[string]any{"certificate": forgery(k.serial())},
		})
		return
	case a.How == "role", a.How == "wrong-key":
		// These attempts must be refused, so they are not recorded as requests for the
		// certificate's end.
		data["serial_number"] = k.serial()
		path = "revoke/" + otherRole(k.request.Role)
		if a.How == "wrong-key" {
			path, data["private_key"] = "revoke-with-key", newKeyPEM()
		}
		w.send(&call{
			what: "revoke what one may not " + k.request.Name, op: logical.UpdateOperation,
			path: path, who: requesters["bob"], data: data,
		})
		return
	default:
		data["serial_number"] = k.serial()
	}
	w.books.ask(k.serial())
	k.wants = false
	w.send(&call{
		what: "revoke " + k.request.Name, op: logical.UpdateOperation, path: path, data: data,
		who: requesters[k.request.Who],
		answer: func(c *call) {
			serial, named := data["serial_number"].(string)
			if named && c.err == nil && !c.resp.IsError() && w.books.revoked[serial].IsZero() {
				w.books.revoked[serial] = c.ended
			}
		},
	})
}

func otherRole(role string) string {
	if role == "web" {
		return "bare"
	}
	return "web"
}

// leaseOf returns the newest live lease on a client's certificate, or nil.
func (w *world) leaseOf(a Action) *lease {
	k := w.existing(a.Request)
	if k == nil || k.serial() == "" {
		return nil
	}
	all := w.vault.of(k.serial())
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].live() {
			return all[i]
		}
	}
	return nil
}

func doLeaseEnd(w *world, a Action) {
	if l := w.leaseOf(a); l != nil {
		w.vault.end(l)
	}
}

func doLeaseRenew(w *world, a Action) {
	if l := w.leaseOf(a); l != nil {
		w.vault.renew(l, a.For)
	}
}

// doRole has an operator write a role again, patch it, or delete it.
func doRole(w *world, a Action) {
	c := &call{
		what: "write role", op: logical.UpdateOperation, path: "roles/" + a.Role,
		who: operator, data: w.roleOf(a.Role),
	}
	switch a.How {
	case "delete":
		c.what = "delete role"
		w.deleted[a.Role] = true
		c.op = logical.DeleteOperation
		c.data = nil
	case "patch":
		c.what = "patch role"
		c.op = logical.PatchOperation
		c.data = map[string]any{"issue_timeout": "20s"}
	}
	w.send(c)
}

// doConfig has an operator write the config again, with a variation, or delete it.
func doConfig(w *world, a Action) {
	c := &call{
		what: "write config", op: logical.UpdateOperation, path: "config", who: operator,
		data: configOf(w, ""),
	}
	switch a.How {
	case "delete":
		c.what = "delete config"
		w.unconfigured = true
		c.op = logical.DeleteOperation
		c.data = noConfig().data
	case "paused":
		c.data["ordering"] = "paused"
		c.answer = func(c *call) {
			if c.err == nil && !c.resp.IsError() && w.configs[len(w.configs)-1] == c &&
				!beforeRollback(w, c.started) {
				w.pausedAt = time.Now()
			}
		}
	case "spelling":
		c.data["base_url"] = "https://Sandbox.CERTInext.test:443"
	case "unverified":
		c.data["verify_connection"] = false
	default:
		w.moved = w.moved || slices.Contains(moves, a.How)
		c.data = configOf(w, a.How)
	}
	w.pausedAt = time.Time{}
	w.configs = append(w.configs, w.send(c))
}

func (w *world) doSync(Action) {
	w.send(&call{
		what: "sync", op: logical.UpdateOperation, path: "sync", who: operator,
		data: map[string]any{},
	})
}

func doRead(w *world, a Action) {
	op := logical.Operation(logical.ReadOperation)
	if a.How == "certs" || a.How == "orders/web" {
		op = logical.ListOperation
	}
	w.send(&call{what: "read", op: op, path: a.How, who: operator})
}

// doPass runs the background pass, which Vault triggers every minute.
func (w *world) doPass(Action) { w.pass() }

func (w *world) pass() {
	w.vault.expire()
	w.send(&call{
		what: "pass", op: logical.RollbackOperation,
		data: map[string]any{"immediate": true},
	})
}

// doTime lets time pass, with a background pass every minute, or ten passes if the time is long.
func doTime(w *world, a Action) {
	every := max(time.Minute, a.For/10)
	for end := time.Now().Add(a.For); time.Now().Before(end) && !w.runaway(); {
		w.until(func() bool { return false }, min(every, time.Until(end)))
		w.pass()
	}
	if a.For > 100*aDay {
		validateAll(w)
	}
}

// validateAll has somebody validate the domains again, whose validations CERTInext forgets in time.
func validateAll(w *world) {
	for _, ca := range servers(w) {
		ca.VerifyDomain("example.com")
		ca.VerifyDomain("corp.internal")
	}
}

func (w *world) doStandby(Action) {
	if w.standby != nil {
		return
	}
	w.note("a standby starts")
	w.unscheduled = true
	w.standby = w.start(true)
	w.unscheduled = false
	w.sendTo(w.standby, &call{
		what: "read on the standby", op: logical.ListOperation, path: "orders/web", who: operator,
	})
	w.sendTo(w.standby, &call{
		what: "read on the standby", op: logical.ReadOperation, path: "config", who: operator,
	})
}

// doFault injects a fault into CERTInext. A kind that the named operation does not support applies
// to any operation instead.
func doFault(w *world, a Action) {
	f := certinexttest.Fault{
		Operation: a.At, Kind: certinexttest.FaultKind(a.Bad), Skip: a.Skip, Times: max(1, a.Times),
		Named: a.How == "named",
	}
	switch f.Kind {
	case certinexttest.FaultLatency, certinexttest.FaultSlowReply:
		if a.For == 0 {
			return // a wait of no time is none
		}
		f.Delay = a.For
	case certinexttest.FaultRateLimit:
		f.RetryAfter = a.For
	}
	defer func() {
		if recover() != nil {
			f.Operation = ""
			w.ca.Inject(f)
		}
	}()
	w.ca.Inject(f)
}
