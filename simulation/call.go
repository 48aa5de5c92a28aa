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

// A requester is how Vault tells the plugin who calls.
type requester struct {
	name                    string
	entity, accessor, token string
}

// requesters are people with an identity, a token without one, and a batch token, which has no accessor either.
var requesters = map[string]requester{
	"ann": {name: "ann", entity: "entity-of-ann", accessor: "accessor-of-ann"},
	"bob": {name: "bob", entity: "entity-of-bob", accessor: "accessor-of-bob"},
	"tok": {name: "tok", accessor: "accessor-of-tok"},
	"bat": {name: "bat", token: "batch-token-of-bat"},
}

var operator = requester{name: "operator", entity: "entity-of-the-operator", accessor: "accessor-of-the-operator"}

// A call is one request that Vault's core hands over, and what came of it.
type call struct {
	actor   string
	what    string
	op      logical.Operation
	path    string
	data    map[string]any
	who     requester
	secret  *logical.Secret
	request *Request // that it repeats, if it asks for a certificate

	proc    *process
	cancel  context.CancelFunc
	hangUp  int // the caller leaves after that many steps of the history; 0 for never
	started time.Time
	began   moment
	ended   time.Time
	done    atomic.Bool
	excused bool // storage has failed meanwhile
	hungUp  bool
	loss    string // what becomes of the answer
	resp    *logical.Response
	err     error
	heard   bool // the answer was taken in
	answer  func(*call)
}

// send has the active process handle a call.
func (w *world) send(c *call) *call { return w.sendTo(w.active, c) }

func (w *world) sendTo(p *process, c *call) *call {
	time.Sleep(tick) // what this call is to wait for is not to end with what another one waits for
	w.calls = append(w.calls, c)
	c.actor, c.proc, c.started, c.began = fmt.Sprintf("c%03d", len(w.calls)), p, time.Now(), w.moment()
	ctx, cancel := context.WithCancel(context.WithValue(p.ctx, actorKey{}, c))
	c.cancel = cancel
	w.sched.trace.line("%s %s: %s %s %s", c.actor, c.who.name, c.what, c.op, c.path)
	req := &logical.Request{
		ID: c.actor, Operation: c.op, Path: c.path, Data: maps.Clone(c.data), Storage: p.storage, MountPoint: "certinext/",
		EntityID: c.who.entity, ClientTokenAccessor: c.who.accessor, ClientToken: c.who.token, Secret: c.secret,
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

// handle has a process handle a request. One that panics would take the plugin with it, and every mount that it serves.
func (w *world) handle(ctx context.Context, p *process, c *call, req *logical.Request) (resp *logical.Response, err error) {
	defer func() {
		if r := recover(); r != nil {
			w.violate("answer/panic", "%s: %s %s: %v\n%s", c.who.name, c.what, c.path, r, debug.Stack())
			err = fmt.Errorf("panic: %v", r)
			c.excused = true
		}
	}()
	return p.backend.HandleRequest(ctx, req)
}

// answered is what the caller was told, in a few words.
func (c *call) answered() string {
	switch {
	case !c.done.Load():
		return "no answer"
	case c.proc.dead.Load():
		return "nobody hears what it was"
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

// lost reports whether the caller never got the answer.
func (c *call) lost() bool { return c.hungUp || c.proc.dead.Load() || c.loss != "" }

// tend takes in the answers that have come, and has callers leave whose patience is over.
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
			if c.hangUp--; c.hangUp == 0 {
				w.leaves(c)
			}
		}
		if time.Since(c.started) > longestCall && !c.proc.dead.Load() && !c.excused {
			c.excused = true
			w.violate("call/never-ends", "%s: %s %s has no answer after %s", c.who.name, c.what, c.path, longestCall)
		}
	}
}

// leaves has a caller hang up.
func (w *world) leaves(c *call) {
	w.sched.trace.line("%s hangs up", c.actor)
	synctest.Wait() // or it is chance how far the call has come
	c.hungUp = true
	c.cancel()
	synctest.Wait()
}

// longestCall is more than any path may take: Vault itself gives a request 90 seconds.
const longestCall = 3 * time.Minute

// hear takes in an answer.
func (w *world) hear(c *call) {
	w.sched.trace.line("%s %s: %s", c.actor, c.what, c.answered())
	if c.err != nil && c.op != logical.RollbackOperation && !c.lost() && !c.excused && c.err != logical.ErrUnsupportedOperation { //nolint:errorlint // Vault compares it like that, too
		w.violate("answer/fault", "%s: %s %s was answered with a fault and nothing had failed: %v", c.who.name, c.what, c.path, c.err)
	}
	if c.resp != nil && !c.resp.IsError() && c.text("certificate") != "" && c.op == logical.UpdateOperation {
		w.delivered(c)
	}
	if c.answer != nil {
		c.answer(c)
	}
}
