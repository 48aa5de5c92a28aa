// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
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

// A wish is one certificate that a client wants, however often it has to ask.
type wish struct {
	client *chaosClient
	verb   string // issue, sign, or order; an order may be meant to be cancelled
	role   string
	cn     string
	id     string            // request_id; empty for most
	key    *ecdsa.PrivateKey // of the client's own CSR; nil when Vault makes the key
	csr    string
	cancel bool // the order is to be cancelled, not collected
	again  bool // its name has been answered before
	given  bool // up: the client has hung up and does not care any more

	mu        sync.Mutex
	order     string // of verb order: the id that was answered
	cancelled bool
	serial    string // of the certificate that it got
	refused   string // why it never gets one
	lost      int    // answers that may have been given and did not arrive
	last      string // what was answered last
}

func (w *wish) String() string {
	s := fmt.Sprintf("%s %s/%s by %s", w.verb, w.role, w.cn, w.client.name)
	if w.id != "" {
		s += " named " + w.id
	}
	if w.order != "" {
		s += " (order " + w.order + ")"
	}
	return s
}

func (w *wish) open() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.given && !w.cancelled && w.serial == "" && w.refused == ""
}

// A holder is a certificate that was handed over, with everything that hangs on it.
type holder struct {
	serial string // as Vault writes it
	wish   *wish
	pem    string
	keyPEM string
	order  string
	owners []*chaosClient

	mu      sync.Mutex
	leases  []string
	ended   []string // those that the client has ended
	revoked bool     // the client has asked for that, and Vault has taken it
	tried   bool     // the client has asked for that
}

// An errand is something that is asked for until it is answered.
type errand struct {
	kind, what string
	do         func(ctx context.Context, a *api.Client) (*api.Secret, error)
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
	c.v.write("sys/auth/userpass", map[string]any{"type": "userpass"})
	auths, err := c.v.api.Sys().ListAuthWithContext(ctx)
	require.NoError(c.t, err)
	for i := range c.size.clients {
		client := &chaosClient{chaos: c, name: fmt.Sprintf("client-%d", i)}
		client.rng = chaosRand(c.size.seed, client.name)
		switch i % 4 {
		case 1, 2:
			kind := []string{"service", "batch"}[i%4-1]
			resp := c.v.write("auth/token/create", map[string]any{"type": kind, "policies": "chaos", "ttl": "2h"})
			client.join(resp.Auth.ClientToken)
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
				client.join(resp.Auth.ClientToken)
			}
		}
		c.clients = append(c.clients, client)
	}
}

// join gives the client one more token. Every answer is the client's to see, so nothing is sent again behind its back.
func (k *chaosClient) join(token string) {
	a := k.chaos.v.as(token).api
	a.SetMaxRetries(0)
	k.tokens = append(k.tokens, a)
}

// A fate is what became of a call.
type fate int

const (
	answered fate = iota
	refused       // a 400: nothing is lost
	lost          // nobody knows
)

// call makes one call. What Vault answers has to be a success or a 400, unless it was being killed.
func (k *chaosClient) call(kind string, patience time.Duration, do func(ctx context.Context, a *api.Client) (*api.Secret, error)) (*api.Secret, fate, string) {
	c := k.chaos
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	k.mu.Lock()
	a := k.tokens[k.rng.IntN(len(k.tokens))]
	k.mu.Unlock()
	started := time.Now()
	resp, err := do(ctx, a)
	if err == nil {
		c.tally.add("answers", "2xx", 1)
		return resp, answered, ""
	}
	var answer *api.ResponseError
	if !errors.As(err, &answer) {
		hungUp := ctx.Err() != nil
		switch {
		case hungUp && patience < fullPatience:
			c.tally.add("answers", "hung up", 1)
		case c.incidents.touch(started, time.Now()):
			c.tally.add("answers", "Vault away", 1)
		default:
			c.tally.add("answers", "none", 1)
			c.wrong("%s by %s was not answered in %s: %v", kind, k.name, time.Since(started).Round(time.Millisecond), err)
		}
		return nil, lost, err.Error()
	}
	reason := strings.Join(answer.Errors, "; ")
	c.tally.add("answers", fmt.Sprint(answer.StatusCode), 1)
	switch {
	case answer.StatusCode == http.StatusBadRequest:
		return nil, refused, reason
	case !c.incidents.touch(started, time.Now()):
		c.wrong("%s by %s was answered %d while nothing was killed: %s", kind, k.name, answer.StatusCode, reason)
	}
	return nil, lost, reason
}

// fullPatience is longer than any request may take.
const fullPatience = 20 * time.Second

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
		case n < 34:
			k.pursue(k.wish("issue"))
		case n < 44:
			k.pursue(k.wish("sign"))
		case n < 60:
			k.pursue(k.wish("order"))
		case n < 68:
			k.pursue(k.wish("cancel"))
		case n < 73:
			k.pair()
		case n < 76:
			k.again()
		case n < 86:
			k.revoke()
		default:
			k.endLease()
		}
	}
}

// wish makes a wish for a new certificate. Some names are wanted by many clients, and by one client more than once. What is to
// be cancelled is for a domain that the CA never validates.
func (k *chaosClient) wish(verb string) *wish {
	k.mu.Lock()
	defer k.mu.Unlock()
	w := &wish{client: k, verb: verb, role: chaosRoleNames[k.rng.IntN(len(chaosRoleNames))]}
	if w.cancel = verb == "cancel"; w.cancel {
		w.verb, w.role = "order", chaosRoleNames[0]
	}
	w.cn = fmt.Sprintf("%s-%d.example.com", k.name, len(k.wishes))
	switch n := k.rng.IntN(100); {
	case n < 15:
		w.cn = fmt.Sprintf("shared-%d.example.com", k.rng.IntN(3))
	case n < 40:
		w.id = fmt.Sprintf("deploy-%d", len(k.wishes))
	}
	switch {
	case w.cancel:
		w.cn = strings.Replace(w.cn, "example.com", unproven, 1)
	case w.role == "intranet":
		w.cn = strings.Replace(w.cn, "example.com", "corp.internal", 1)
	}
	if verb == "sign" || verb == "order" && k.rng.IntN(3) == 0 {
		w.key, w.csr = newCSR(k.chaos.t, w.cn)
	}
	k.wishes = append(k.wishes, w)
	return w
}

// tries are how often a client asks, with growing pauses as consul-template does, before it leaves the rest to another day.
const tries = 7

// pursue asks until the wish is granted, refused for good, or the client has lost patience.
func (k *chaosClient) pursue(w *wish) {
	pause := 100 * time.Millisecond
	for try := range tries {
		if try > 0 {
			if k.chaos.stopped.Load() {
				return
			}
			k.chaos.tally.add("calls", "again", 1)
		}
		before := w.lost
		k.ask(w, try == 0)
		if !w.open() {
			return
		}
		if w.lost > before && w.id == "" && k.draw(100) < 6 {
			w.given = true // somebody stopped the program that asked
			return
		}
		time.Sleep(pause)
		pause = min(2*pause, time.Second)
	}
}

// ask makes the call that brings a wish forward.
func (k *chaosClient) ask(w *wish, first bool) {
	count := func(kind string) string {
		if first {
			k.chaos.tally.add("calls", kind, 1)
		}
		return kind
	}
	switch {
	case w.verb != "order":
		data := map[string]any{"common_name": w.cn}
		if w.csr != "" {
			data = map[string]any{"csr": w.csr}
		}
		k.write(w, count(w.verb), "certinext/"+w.verb+"/"+w.role, named(data, w))
	case w.order == "":
		path, data := "certinext/orders/"+w.role, map[string]any{"common_name": w.cn}
		if w.csr != "" {
			data["csr"] = w.csr
		} else if len(w.cn)%2 == 0 {
			path, data["async"] = "certinext/issue/"+w.role, true
		}
		k.write(w, count("order"), path, named(data, w))
		if w.order != "" && w.open() {
			k.chaos.begun.Add(1)
			k.next(w, true)
		}
	default:
		k.next(w, false)
	}
}

func named(data map[string]any, w *wish) map[string]any {
	if w.id != "" {
		data["request_id"] = w.id
	}
	return data
}

// next collects or cancels an order that was placed.
func (k *chaosClient) next(w *wish, first bool) {
	path := "certinext/orders/" + w.role + "/" + w.order
	if !w.cancel {
		if first {
			k.chaos.tally.add("calls", "collect", 1)
		}
		k.write(w, "collect", path+"/collect", nil)
		return
	}
	if first {
		k.chaos.tally.add("calls", "cancel", 1)
	}
	resp, f, reason := k.call("cancel", k.patience(), func(ctx context.Context, a *api.Client) (*api.Secret, error) {
		return a.Logical().DeleteWithContext(ctx, path)
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = reason
	switch {
	case f == answered:
		w.cancelled = true
		if state, _ := resp.Data["state"].(string); state != "cancelled" {
			k.chaos.wrong("%s: cancelling was answered with the state %q", w, state)
		}
	case f == refused && strings.Contains(reason, "is over: cancelled"):
		w.cancelled = true
	case f == refused && strings.Contains(reason, "is over: failed"):
		w.cancelled = true // the CA has never had it
	case f == lost:
		w.lost++
	}
}

// write makes a call for a wish and takes in the answer.
func (k *chaosClient) write(w *wish, kind, path string, data map[string]any) {
	resp, f, reason := k.call(kind, k.patience(), func(ctx context.Context, a *api.Client) (*api.Secret, error) {
		return a.Logical().WriteWithContext(ctx, path, data)
	})
	if id := orderID.FindString(reason); f == refused && id != "" {
		k.chaos.told(id, w)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = reason
	switch f {
	case lost:
		w.lost++
	case refused:
		k.refusedTo(w, kind, reason)
	case answered:
		id, _ := resp.Data["order_id"].(string)
		k.chaos.told(id, w)
		if _, ok := resp.Data["certificate"]; !ok {
			w.order = id
			return
		}
		k.take(w, resp)
	}
}

// refusedTo takes in a 400. Most say that the order is not finished, or why the CA did not take it: the client asks again.
func (k *chaosClient) refusedTo(w *wish, kind, reason string) {
	switch {
	case strings.Contains(reason, "which is over"):
		w.refused = reason
		if w.lost == 0 && !w.again {
			k.chaos.wrong("%s: %s, and no answer was lost", w, reason)
		}
	case kind == "collect" && strings.Contains(reason, "collected already"):
		if w.lost == 0 {
			k.chaos.wrong("%s: %s, and no answer was lost", w, reason)
		}
		if w.id == "" {
			w.refused = reason
			return
		}
		w.verb = "issue" // the same name is always the same order
		if w.csr != "" {
			w.verb = "sign"
		}
	case kind == "collect" && (strings.Contains(reason, "is over: ") || strings.Contains(reason, "no order")):
		w.order = "" // the CA never had it, or its certificate is revoked: it is asked for once more
	}
}

// told remembers whose order it is. An order that two clients are told of is one of them's by mistake.
func (c *chaos) told(id string, w *wish) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if before := c.orders[id]; before != nil && before != w.client {
		c.wrongs = append(c.wrongs, fmt.Sprintf("order %s was told to %s and to %s (%s)", id, before.name, w.client.name, w))
	}
	c.orders[id] = w.client
}

// take checks a certificate that was handed over, and keeps it.
func (k *chaosClient) take(w *wish, resp *api.Secret) {
	c := k.chaos
	h := &holder{wish: w}
	h.serial, _ = resp.Data["serial_number"].(string)
	h.order, _ = resp.Data["order_id"].(string)
	h.pem, _ = resp.Data["certificate"].(string)
	h.keyPEM, _ = resp.Data["private_key"].(string)
	for _, problem := range c.examine(w, resp, h) {
		c.wrong("%s: certificate %s of order %s: %s", w, h.serial, h.order, problem)
	}
	c.mu.Lock()
	if known := c.held[h.serial]; known != nil {
		if known.order != h.order || known.keyPEM != h.keyPEM {
			c.wrongs = append(c.wrongs, fmt.Sprintf("certificate %s was handed over as of order %s and of order %s, or with two keys", h.serial, known.order, h.order))
		}
		h = known
	}
	c.held[h.serial] = h
	if c.secret++; c.secret <= 40 && h.keyPEM != "" {
		c.v.keep("a private key", h.keyPEM)
	}
	c.mu.Unlock()
	h.mu.Lock()
	if !slices.Contains(h.owners, k) {
		h.owners = append(h.owners, k)
	}
	if resp.LeaseID != "" {
		h.leases = append(h.leases, resp.LeaseID)
	}
	h.mu.Unlock()
	w.serial = h.serial
	k.mu.Lock()
	k.mine = append(k.mine, h)
	k.mu.Unlock()
}

// examine says what is wrong with an answer.
func (c *chaos) examine(w *wish, resp *api.Secret, h *holder) []string {
	var problems []string
	bad := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	leaf, err := readCertificate(h.pem)
	if err != nil {
		return []string{"the certificate cannot be read: " + err.Error()}
	}
	if leaf.Subject.CommonName != w.cn {
		bad("it is for %s", leaf.Subject.CommonName)
	}
	if got, want := leaf.SerialNumber.Text(16), plainSerial(h.serial); got != want {
		bad("its serial number is %s", got)
	}
	var public any
	switch block, _ := pem.Decode([]byte(h.keyPEM)); {
	case w.key != nil && h.keyPEM != "":
		bad("a key came with it, although the client has its own")
	case w.key != nil:
		public = w.key.Public()
	case block == nil:
		bad("no key came with it")
	default:
		key, err := x509.ParseECPrivateKey(block.Bytes)
		if err != nil {
			bad("the key cannot be read")
			break
		}
		public = key.Public()
	}
	if mine, ok := public.(*ecdsa.PublicKey); ok && !mine.Equal(leaf.PublicKey) {
		bad("the key is not the certificate's")
	}
	pool, above := x509.NewCertPool(), texts(resp.Data["ca_chain"])
	for _, text := range above {
		if up, err := readCertificate(text); err == nil {
			pool.AddCert(up)
		}
	}
	if len(above) == 0 {
		bad("it came without its chain")
	} else if _, err := leaf.Verify(x509.VerifyOptions{Roots: c.ca.Roots(), Intermediates: pool}); err != nil {
		bad("the chain does not hold: %v", err)
	}
	if lease := chaosRoles[w.role]["generate_lease"] != false; lease != (resp.LeaseID != "") {
		bad("the lease is %q", resp.LeaseID)
	}
	return problems
}

func readCertificate(text string) (*x509.Certificate, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("not PEM")
	}
	return x509.ParseCertificate(block.Bytes)
}

// plainSerial is a serial number as the CA's books have it.
func plainSerial(serial string) string {
	return strings.TrimLeft(strings.NewReplacer(":", "", "-", "").Replace(serial), "0")
}

// pair asks for the same thing twice at the same time. Without a name it is two orders, with one it is one.
func (k *chaosClient) pair() {
	first := k.wish("issue")
	k.mu.Lock()
	second := &wish{client: k, verb: first.verb, role: first.role, cn: first.cn, id: first.id, again: first.id != ""}
	first.again = second.again
	k.wishes = append(k.wishes, second)
	k.mu.Unlock()
	k.chaos.begun.Add(1)
	var both sync.WaitGroup
	both.Go(func() { k.pursue(first) })
	both.Go(func() { k.pursue(second) })
	both.Wait()
	if first.id != "" && first.serial != "" && second.serial != "" && first.serial != second.serial {
		k.chaos.wrong("%s: the same name brought the certificates %s and %s", first, first.serial, second.serial)
	}
}

// again asks by the name of a request that was answered before.
func (k *chaosClient) again() {
	k.mu.Lock()
	var old *wish
	for _, w := range k.wishes {
		if w.id != "" && w.serial != "" && w.verb == "issue" {
			old = w
		}
	}
	if old == nil {
		k.mu.Unlock()
		k.pursue(k.wish("issue"))
		return
	}
	w := &wish{client: k, verb: "issue", role: old.role, cn: old.cn, id: old.id, again: true}
	k.wishes = append(k.wishes, w)
	k.mu.Unlock()
	k.pursue(w)
	if w.serial != "" && w.serial != old.serial {
		k.chaos.wrong("%s: the same name brought the certificates %s and %s", w, old.serial, w.serial)
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
		},
	})
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
		k.chaos.tally.add("calls", "lease-renew", 1)
		k.call("lease-renew", k.patience(), func(ctx context.Context, a *api.Client) (*api.Secret, error) {
			return a.Sys().RenewWithContext(ctx, lease, 60)
		})
		return
	}
	h.mu.Lock()
	h.ended = append(h.ended, lease)
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
	resp, f, reason := k.call(e.kind, k.patience(), e.do)
	e.last = reason
	if f != answered {
		return false
	}
	e.done(resp)
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
