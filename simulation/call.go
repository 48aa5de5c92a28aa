// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"context"
	"fmt"
	"maps"
	"runtime/debug"
	"sync/atomic"
	"testing/synctest"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
)

// A requester identifies a caller to the plugin, as Vault does.
type requester struct {
	name                    string
	entity, accessor, token string
}

// requesters are some with an identity, one with a token but no identity, and one with a batch
// token, which has no accessor.
var requesters = map[string]requester{
	"ann": {name: "ann", entity: "entity-of-ann", accessor: "accessor-of-ann"},
	"bob": {name: "bob", entity: "entity-of-bob", accessor: "accessor-of-bob"},
	"tok": {name: "tok", accessor: "accessor-of-tok"},
	"bat": {name: "bat", token: "batch-token-of-bat"},
	// Two whose identity entity may be deleted or disabled.
	"abe": {name: "abe", entity: "entity-of-abe", accessor: "accessor-of-abe"},
	"amy": {name: "amy", entity: "entity-of-amy", accessor: "accessor-of-amy"},
}

var operator = requester{
	name: "operator", entity: "entity-of-the-operator",
	accessor: "accessor-of-the-operator",
}

// A call is one request that Vault passes to the plugin, with its answer.
type call struct {
	actor   string
	what    string
	op      logical.Operation
	path    string
	data    map[string]any
	who     requester
	secret  *logical.Secret
	request *Request // the request that it repeats; nil if it does not ask for a certificate

	proc    *process
	cancel  context.CancelFunc
	hangUp  int // the caller hangs up after this many steps of the history; 0 for never
	started time.Time
	began   moment
	ended   time.Time
	done    atomic.Bool
	excused bool // storage has failed meanwhile, so it may be answered with a fault
	hungUp  bool
	loss    string // what becomes of the answer
	// stranger is set when somebody else than the requester acts on an order.
	stranger bool
	resp     *logical.Response
	err      error
	heard    bool // the answer has been delivered
	gone     bool // its process had died by then
	answer   func(*call)
}

// send passes a call to the active process.
func (w *world) send(c *call) *call { return w.sendTo(w.active, c) }

func (w *world) sendTo(p *process, c *call) *call {
	// No timer of this call must end at the same instant as one of another call.
	time.Sleep(tick)
	w.calls = append(w.calls, c)
	c.actor = fmt.Sprintf("c%03d", len(w.calls))
	c.proc = p
	c.started = time.Now()
	c.began = w.moment()
	ctx, cancel := context.WithCancel(context.WithValue(p.ctx, actorKey{}, c))
	c.cancel = cancel
	w.sched.trace.line("%s %s: %s %s %s", c.actor, c.who.name, c.what, c.op, c.path)
	req := &logical.Request{
		ID:                  c.actor,
		Operation:           c.op,
		Path:                c.path,
		Data:                maps.Clone(c.data),
		Storage:             p.storage,
		MountPoint:          "certinext/",
		EntityID:            c.who.entity,
		ClientTokenAccessor: c.who.accessor,
		ClientToken:         c.who.token,
		Secret:              c.secret,
	}
	go func() {
		defer cancel()
		c.resp, c.err = w.handle(ctx, p, c, req)
		c.ended = time.Now()
		if ctx.Err() != nil {
			c.hungUp = true
		}
		c.done.Store(true)
		w.sched.stir()
	}()
	return c
}

// handle has a process handle a request. A panic would end the plugin process, with every mount
// that it serves, so it is a violation.
func (w *world) handle(
	ctx context.Context, p *process, c *call, req *logical.Request,
) (resp *logical.Response, err error) {
	defer func() {
		if r := recover(); r != nil {
			w.violate("answer/panic", "%s: %s %s: %v\n%s", c.who.name, c.what, c.path, r,
				debug.Stack())
			err = fmt.Errorf("panic: %v", r)
			c.excused = true
		}
	}()
	return p.backend.HandleRequest(ctx, req)
}

// answered describes the answer in a few words.
func (c *call) answered() string {
	switch {
	case !c.done.Load():
		return "no answer"
	case c.proc.dead.Load():
		return "lost with its process"
	case c.err != nil:
		return "fault: " + c.err.Error()
	case c.resp == nil:
		return "done"
	case c.resp.IsError():
		return "refused: " + c.resp.Error().Error()
	case c.text("certificate") != "":
		return "certificate " + c.text("serial_number") + " of order " + c.text("order_id")
	case c.text("order_id") != "":
		return "order " + c.text("order_id") + ", " + c.text("state")
	case c.text("state") != "":
		return c.text("state")
	}
	return "done"
}

func (c *call) text(field string) string {
	if c.resp == nil || c.resp.Data == nil {
		return ""
	}
	s, _ := c.resp.Data[field].(string)
	return s
}

// lost reports whether the answer did not reach the caller.
func (c *call) lost() bool { return c.hungUp || c.proc.dead.Load() || c.loss != "" }

// tend restarts a plugin that has died, delivers the answers that have arrived, and has callers
// hang up whose patience is over.
func (w *world) tend() {
	if w.active.dead.Load() && !w.over {
		w.note("the plugin has died and starts again")
		w.restart()
	}
	for _, c := range w.calls {
		if c.heard {
			continue
		}
		if c.done.Load() {
			c.heard = true
			w.hear(c)
			continue
		}
		if c.hangUp > 0 {
			c.hangUp--
			if c.hangUp == 0 {
				w.leaves(c)
			}
		}
		if time.Since(c.started) > longestCall && !c.proc.dead.Load() && !c.excused {
			c.excused = true
			w.violate("call/never-ends", "%s: %s %s has no answer after %s", c.who.name, c.what,
				c.path, longestCall)
		}
	}
}

// leaves has a caller hang up.
func (w *world) leaves(c *call) {
	w.sched.trace.line("%s hangs up", c.actor)
	synctest.Wait() // or how far the call has come would depend on chance
	c.hungUp = true
	c.cancel()
	synctest.Wait()
}

// longestCall is longer than any call may take: Vault itself allows a request 90 seconds.
const longestCall = 3 * time.Minute

// hear delivers an answer to its caller.
func (w *world) hear(c *call) {
	c.gone = c.proc.dead.Load()
	w.sched.trace.line("%s %s: %s", c.actor, c.what, c.answered())
	//nolint:errorlint // Vault compares it like this, too
	unsupported := c.err == logical.ErrUnsupportedOperation
	fault := c.err != nil && !unsupported && c.op != logical.RollbackOperation
	// Vault tries again to end a lease that only a later version of the plugin can end.
	later := len(w.future) > 0 && c.op == logical.RevokeOperation
	if fault && !c.lost() && !c.excused && !later {
		w.violate("answer/fault", "%s: %s %s was answered with a fault and nothing had failed: %v",
			c.who.name, c.what, c.path, c.err)
	}
	if c.resp != nil && !c.resp.IsError() && c.text("certificate") != "" &&
		c.op == logical.UpdateOperation {
		w.delivered(c)
	}
	if c.answer != nil {
		c.answer(c)
	}
}
