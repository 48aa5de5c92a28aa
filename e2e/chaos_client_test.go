// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"
)

// A chaosClient is somebody who asks for certificates, one after the other. Its requests are its own: nobody else may ever
// get what it has ordered.
type chaosClient struct {
	chaos  *chaos
	name   string
	tokens []*api.Client // of one and the same requester
	rng    *rand.Rand

	mu      sync.Mutex // two requests of a pair run together
	wishes  []*wish
	mine    []*holder
	errands []*errand // revocations and ends of leases without a final answer
}

// An errand is something that is asked for until it is answered.
type errand struct {
	kind, what string
	do         request
	done       func(*api.Secret)
	last       string
}

// enrol makes the clients: people who have an identity, some of them with two tokens at a time, and tokens without one, of
// which batch tokens have no accessor either.
func (c *chaos) enrol() {
	c.t.Helper()
	ctx := c.t.Context()
	require.NoError(c.t, c.v.api.Sys().PutPolicyWithContext(ctx, "chaos", `
path "certinext/*"        { capabilities = ["create", "read", "update", "delete", "list"] }
path "sys/leases/*"       { capabilities = ["update"] }
`))
	c.v.enableLogins()
	auths, err := c.v.api.Sys().ListAuthWithContext(ctx)
	require.NoError(c.t, err)
	for i := range c.size.clients {
		client := &chaosClient{chaos: c, name: fmt.Sprintf("client-%d", i)}
		client.rng = chaosRand(c.size.seed, client.name)
		switch i % 4 {
		case 1, 2:
			kind := []string{"service", "batch"}[i%4-1]
			resp := c.v.write("auth/token/create", map[string]any{"type": kind, "policies": "chaos", "ttl": "2h"})
			client.join(resp.Auth.ClientToken, false)
			if kind == "service" {
				c.requesters["accessor:"+resp.Auth.Accessor] = client
			}
		default:
			password := "the password of " + client.name
			c.v.write("auth/userpass/users/"+client.name, map[string]any{"password": password, "token_policies": "chaos"})
			entity := c.v.write("identity/entity", map[string]any{"name": client.name})
			c.v.write("identity/entity-alias", map[string]any{
				"name": client.name, "canonical_id": entity.Data["id"], "mount_accessor": auths["userpass/"].Accessor,
			})
			c.requesters["entity:"+text(c.t, entity.Data["id"])] = client
			for range 1 + i%4/3 {
				resp := c.v.write("auth/userpass/login/"+client.name, map[string]any{"password": password})
				client.join(resp.Auth.ClientToken, i%4 == 0)
			}
		}
		c.clients = append(c.clients, client)
	}
}

// join gives the client one more token. Some leave it to Vault's own client to send a call again that was answered 5xx.
func (k *chaosClient) join(token string, resends bool) {
	a := k.chaos.v.as(token).api
	a.SetMaxRetries(0)
	if resends {
		a.SetMaxRetries(2)
		a.SetMinRetryWait(100 * time.Millisecond)
		a.SetMaxRetryWait(time.Second)
		a.SetCheckRetry(k.resend)
	}
	k.tokens = append(k.tokens, a)
}

// resend is what Vault's own client does, with a note of it: the answer that it passes over may have held a certificate.
func (k *chaosClient) resend(ctx context.Context, resp *http.Response, err error) (bool, error) {
	again, err := api.DefaultRetryPolicy(ctx, resp, err)
	if again {
		now := time.Now()
		if !k.chaos.incidents.touch(now, now) {
			k.chaos.wrong("%s was answered %v while nothing was killed, and asked again", k.name, resp)
		}
		if n, ok := ctx.Value(resends{}).(*atomic.Int64); ok {
			n.Add(1)
		}
		k.chaos.tally.add("calls", "again by Vault's client", 1)
	}
	return again, err
}

// resends is the key under which a call counts how often it was sent again.
type resends struct{}

// A fate is what became of a call.
type fate int

const (
	answered fate = iota
	refused       // a 400: nothing is lost
	lost          // nobody knows
)

func (f fate) String() string { return []string{"answered", "refused", "lost"}[f] }

// A reply is what a client has of a call.
type reply struct {
	*api.Secret
	fate   fate
	reason string
	lost   int // answers that may have been given and did not arrive
}

// A request is what a call does.
type request func(ctx context.Context, a *api.Client) (*api.Secret, error)

// call makes one call. What Vault answers has to be a success or a 400, unless it was being killed.
func (k *chaosClient) call(kind string, patience time.Duration, do request) reply {
	var resent atomic.Int64
	ctx, cancel := context.WithTimeout(context.WithValue(k.chaos.t.Context(), resends{}, &resent), patience)
	defer cancel()
	k.mu.Lock()
	a := k.tokens[k.rng.IntN(len(k.tokens))]
	k.mu.Unlock()
	started := time.Now()
	resp, err := do(ctx, a)
	k.chaos.pace.answer()
	r := reply{Secret: resp, lost: int(resent.Load())}
	if err == nil {
		k.chaos.tally.add("answers", "2xx", 1)
		return r
	}
	if r.fate, r.reason = k.judge(ctx, kind, patience < fullPatience, started, err); r.fate == lost {
		r.lost++
	}
	return r
}

// judge says what a call that failed has come to.
func (k *chaosClient) judge(ctx context.Context, kind string, hasty bool, started time.Time, err error) (fate, string) {
	c, now := k.chaos, time.Now()
	var answer *api.ResponseError
	if !errors.As(err, &answer) {
		switch {
		case ctx.Err() != nil && hasty:
			c.tally.add("answers", "hung up", 1)
		case c.incidents.touch(started, now):
			c.tally.add("answers", "Vault away", 1)
		default:
			c.tally.add("answers", "none", 1)
			c.wrong("%s by %s was not answered in %s: %v", kind, k.name, now.Sub(started).Round(time.Millisecond), err)
		}
		return lost, err.Error()
	}
	reason := strings.Join(answer.Errors, "; ")
	c.tally.add("answers", fmt.Sprint(answer.StatusCode), 1)
	switch {
	case answer.StatusCode == http.StatusBadRequest:
		return refused, reason
	case !c.incidents.touch(started, now):
		c.wrong("%s by %s was answered %d while nothing was killed: %s", kind, k.name, answer.StatusCode, reason)
	}
	return lost, reason
}

// fullPatience is longer than any request may take.
const fullPatience = 40 * time.Second

// patience is how long the client waits this time: at times it hangs up.
func (k *chaosClient) patience() time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.chaos.stopped.Load() && k.rng.IntN(100) < 12 {
		return time.Duration(10+k.rng.IntN(1500)) * time.Millisecond
	}
	return fullPatience
}

func (k *chaosClient) draw(n int) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.rng.IntN(n)
}

// live is the client's life in the storm.
func (k *chaosClient) live() {
	for k.chaos.begin() {
		switch n := k.draw(100); {
		case n < 32:
			k.pursue(k.wish("issue"))
		case n < 44:
			k.pursue(k.wish("sign"))
		case n < 60:
			k.pursue(k.wish("order"))
		case n < 68:
			k.pursue(k.wish("cancel"))
		case n < 73:
			k.fleet()
		case n < 76:
			k.again()
		case n < 84:
			k.repeat()
		case n < 91:
			k.revoke()
		default:
			k.endLease()
		}
	}
}

// pick draws one of the client's certificates for which fits is true.
func (k *chaosClient) pick(fits func(*holder) bool) *holder {
	k.mu.Lock()
	defer k.mu.Unlock()
	var some []*holder
	for _, h := range k.mine {
		h.mu.Lock()
		if fits(h) {
			some = append(some, h)
		}
		h.mu.Unlock()
	}
	if len(some) == 0 {
		return nil
	}
	return some[k.rng.IntN(len(some))]
}

// revoke revokes a certificate in one of the ways there are.
func (k *chaosClient) revoke() {
	h := k.pick(func(h *holder) bool { return !h.tried })
	if h == nil {
		k.pursue(k.wish("issue"))
		return
	}
	reason := []string{"superseded", "key-compromise", "affiliation-changed", "cessation-of-operation"}[k.draw(4)]
	data, path := map[string]any{"reason": reason, "note": "chaos"}, "certinext/revoke/"+h.wish.role
	switch k.draw(4) {
	case 0:
		data["serial_number"] = h.serial
	case 1:
		data["certificate"] = h.pem
	case 2:
		data["order_id"] = h.order
	case 3:
		path, data["serial_number"] = "certinext/revoke", h.serial
		if h.keyPEM != "" {
			path, data["private_key"] = "certinext/revoke-with-key", h.keyPEM
		}
	}
	h.mu.Lock()
	h.tried = true
	h.touch()
	h.mu.Unlock()
	k.run(&errand{
		kind: "revoke", what: "certificate " + h.serial,
		do: func(ctx context.Context, a *api.Client) (*api.Secret, error) {
			return a.Logical().WriteWithContext(ctx, path, data)
		},
		done: func(resp *api.Secret) {
			state, _ := resp.Data["state"].(string)
			k.chaos.tally.add("revocations", "asked for, answered "+state, 1)
			h.mu.Lock()
			defer h.mu.Unlock()
			h.revoked = state != "expired"
			if n := handedTo(resp); n < len(h.answers) {
				k.chaos.wrong("certificate %s was handed over %d times, and revoking it says %d", h.serial, len(h.answers), n)
			}
		},
	})
}

// handedTo is how many answers held the certificate, by the answer to its revocation.
func handedTo(resp *api.Secret) int {
	n, _ := resp.Data["handed_to"].(json.Number)
	times, _ := n.Int64()
	return int(times)
}

// endLease ends a lease, or renews it.
func (k *chaosClient) endLease() {
	h := k.pick(func(h *holder) bool { return len(h.leases) > len(h.ended) })
	if h == nil {
		k.pursue(k.wish("issue"))
		return
	}
	h.mu.Lock()
	lease := h.leases[len(h.ended)]
	h.mu.Unlock()
	if k.draw(6) == 0 {
		h.mu.Lock()
		h.touch() // it ends by itself, soon
		h.mu.Unlock()
		k.chaos.tally.add("calls", "lease-renew", 1)
		k.call("lease-renew", k.patience(), func(ctx context.Context, a *api.Client) (*api.Secret, error) {
			return a.Sys().RenewWithContext(ctx, lease, 10)
		})
		return
	}
	h.mu.Lock()
	h.ended = append(h.ended, lease)
	h.touch()
	h.mu.Unlock()
	end := func(sync bool) *errand {
		return &errand{
			kind: "lease-revoke", what: "lease " + lease,
			do: func(ctx context.Context, a *api.Client) (*api.Secret, error) {
				return nil, a.Sys().RevokeWithOptionsWithContext(ctx, &api.RevokeOptions{LeaseID: lease, Sync: sync})
			},
			done: func(*api.Secret) { k.chaos.tally.add("leases", "ended on request", 1) },
		}
	}
	if k.draw(4) > 0 {
		k.run(end(true))
		return
	}
	// Vault ends it when it comes to it. If that fails, it tries again much later than anybody wants to wait here.
	e := end(false)
	e.done = func(*api.Secret) {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.errands = append(k.errands, end(true))
	}
	k.run(e)
}

// run makes an errand, and keeps it for the calm when it has no final answer.
func (k *chaosClient) run(e *errand) {
	k.chaos.tally.add("calls", e.kind, 1)
	if !k.try(e) {
		k.mu.Lock()
		k.errands = append(k.errands, e)
		k.mu.Unlock()
	}
}

func (k *chaosClient) try(e *errand) bool {
	r := k.call(e.kind, k.patience(), e.do)
	e.last = r.reason
	if r.fate != answered {
		return false
	}
	e.done(r.Secret)
	return true
}

// finish asks once more for whatever is still open, and returns how much that is.
func (k *chaosClient) finish() int {
	open := 0
	for _, w := range k.wishes {
		for range 3 {
			if w.open() {
				k.chaos.tally.add("calls", "again in the calm", 1)
				k.ask(w, false)
			}
		}
		if w.open() {
			open++
		}
	}
	return open
}

// runErrands goes once more on every errand without a final answer, and returns how many are left.
func (k *chaosClient) runErrands() int {
	errands := k.errands
	k.errands = nil
	for _, e := range errands {
		if !k.try(e) {
			k.errands = append(k.errands, e)
		}
	}
	return len(k.errands)
}
