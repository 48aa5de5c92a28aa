// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// without are actions that histories are to do without, to see what else is broken while the fault behind them is open:
// SIM_WITHOUT=spelling,clock leaves out those whose text holds one of the words.
var without = strings.FieldsFunc(os.Getenv("SIM_WITHOUT"), func(r rune) bool { return r == ',' })

// callsPerHistory is how many calls a history has, about.
const callsPerHistory = 40

// A dice makes a history of a seed.
type dice struct {
	*rand.Rand
	h        History
	requests []Request
	names    int
}

// generate is the history of a seed.
func generate(seed uint64) History {
	d := &dice{Rand: rand.New(rand.NewPCG(seed, 2)), h: History{Seed: seed}} //nolint:gosec // it has to be repeatable
	d.h.Manners = d.manners()
	stormy := d.IntN(10) < 8
	for calls := 0; calls < callsPerHistory; {
		if stormy && d.IntN(4) == 0 {
			d.add(d.weather())
			continue
		}
		a := d.call()
		calls++
		d.add(a)
	}
	return d.h
}

func (d *dice) add(a Action) {
	a.Then = d.then()
	for _, words := range without {
		if strings.Contains(a.String(), words) {
			return
		}
	}
	d.h.Actions = append(d.h.Actions, a)
}

// then is how far the history goes on before the next action: often at once, often not before everything is answered.
func (d *dice) then() int {
	switch n := d.IntN(10); {
	case n < 4:
		return 0
	case n < 7:
		return 1 + d.IntN(4)
	}
	return 5 + d.IntN(40)
}

func pick[T any](d *dice, from ...T) T { return from[d.IntN(len(from))] }

func (d *dice) manners() Manners {
	return Manners{
		Dialect:     pick(d, certinexttest.Live, certinexttest.Live, certinexttest.Documented, certinexttest.V1),
		IssueDelay:  pick(d, 0, 0, 2*time.Second, 40*time.Second, 90*time.Second),
		PEMLag:      pick(d, 0, 0, 3*time.Second),
		ReportDelay: pick(d, 0, 0, 30*time.Second),
		TokenTTL:    pick(d, time.Hour, time.Hour, 2*time.Minute),
		SingleToken: d.IntN(4) == 0,
	}
}

// request is a new wish, or, more often than not, one that was made before.
func (d *dice) request() Request {
	if len(d.requests) > 0 && d.IntN(10) < 6 {
		return d.requests[d.IntN(len(d.requests))]
	}
	d.names++
	r := Request{
		Who: pick(d, "ann", "ann", "bob", "tok", "bat"), Role: pick(d, "web", "web", "web", "bare", "bare", "hasty", "hand", "inside", "rekey"),
		Name: fmt.Sprintf("n%d", d.names),
	}
	if d.IntN(5) == 0 {
		r.Name = pick(d, "shared", "common")
	}
	if d.IntN(4) == 0 {
		r.ID = fmt.Sprintf("deploy-%d", d.names)
	}
	if d.IntN(4) == 0 {
		r.Key = d.names
	}
	if !slices.Contains(d.requests, r) {
		d.requests = append(d.requests, r)
	}
	return r
}

// known is a wish that was made before.
func (d *dice) known() Request {
	if len(d.requests) == 0 {
		return d.request()
	}
	return d.requests[d.IntN(len(d.requests))]
}

// call is what a client, an operator or Vault asks of the plugin.
func (d *dice) call() Action {
	n := d.IntN(100)
	switch {
	case n < 38:
		return d.impatient(Action{Do: "issue", Request: d.request()})
	case n < 46:
		return d.impatient(Action{Do: pick(d, "async", "order"), Request: d.request()})
	case n < 56:
		return d.impatient(Action{Do: "collect", Request: d.known()})
	case n < 58:
		return Action{Do: "steal", Request: d.known()}
	case n < 61:
		return Action{Do: "show", Request: d.known(), How: pick(d, "", "", "/dcv")}
	case n < 65:
		return d.impatient(Action{Do: "cancel", Request: d.known()})
	case n < 66:
		return Action{Do: "never-placed", Request: d.known()}
	case n < 68:
		return d.impatient(Action{Do: "renew", Request: d.known()})
	case n < 69:
		return Action{Do: "reissue", Request: d.known()}
	case n < 73:
		return Action{Do: "revoke", Request: d.known(), How: pick(d, "serial", "order", "key", "mount")}
	case n < 80:
		return Action{Do: "lease-end", Request: d.known()}
	case n < 82:
		return Action{Do: "lease-renew", Request: d.known(), For: pick(d, time.Minute, time.Hour)}
	case n < 84:
		return Action{Do: "role", Request: Request{Role: pick(d, roleNames...)}, How: pick(d, "write", "write", "patch", "delete")}
	case n < 86:
		return Action{Do: "config", How: pick(d, "write", "unverified", "spelling", "delete")}
	case n < 88:
		return Action{Do: "sync"}
	case n < 90:
		return Action{Do: "read", How: pick(d, "config/check", "certs", "orders/web", "catalog/products", "ca_chain", "sync")}
	}
	return Action{Do: "pass"}
}

// impatient has some callers hang up, and some answers get lost on their way.
func (d *dice) impatient(a Action) Action {
	switch n := d.IntN(20); {
	case n < 3:
		a.Hang = 1 + d.IntN(30)
	case n == 3:
		a.Loss = pick(d, "unheard", "unstored", "unleasable")
	}
	return a
}

// weather is what happens by itself.
func (d *dice) weather() Action {
	n := d.IntN(100)
	switch {
	case n < 15:
		return Action{
			Do: "disk", At: pick(d, "put ", "put order/open/", "put order/closed/", "put cert/", "put revocation/", "put config", "delete ", "delete order/open/", "get ", "get order/open/", "get cert/", "get role/", "list "),
			Bad: pick(d, "before", "before", "after", "slow"), Skip: d.IntN(4), For: pick(d, time.Second, 30*time.Second),
		}
	case n < 35:
		return Action{Do: "wire", At: pick(d, "> ", "< ", "> create-", "< create-", "< create-", "< track", "> revoke", "< revoke", "< cancel", "< certificate", "> orders-report", "> token"), Bad: d.bad(), Skip: d.IntN(3), Times: pick(d, 1, 1, 3), For: pick(d, time.Second, 20*time.Second, 2*time.Minute)}
	case n < 55:
		return Action{Do: "ca", At: pick(d, "", "create-ssl", "create-ssl", "track", "certificate", "revoke", "cancel", "orders-report", "token"), Bad: pick(d, caFaults...), Skip: d.IntN(3), Times: pick(d, 1, 1, 2, 6), For: pick(d, time.Second, 10*time.Second, 70*time.Second)}
	case n < 70:
		return Action{Do: "restart"}
	case n < 74:
		return Action{Do: "standby"}
	case n < 78:
		return Action{Do: "failover"}
	case n < 81:
		return Action{Do: "clock", For: pick(d, 0, 0, 10*time.Minute, -10*time.Minute, 60*24*time.Hour)}
	case n < 83:
		return Action{Do: "ca-clock", For: pick(d, 10*time.Minute, 2*time.Hour)}
	case n < 87:
		return Action{Do: "validate"}
	}
	return Action{Do: "time", For: pick(d, 20*time.Second, 2*time.Minute, 6*time.Minute, time.Hour, 9*time.Hour)}
}

func (d *dice) bad() string {
	if d.IntN(2) == 0 {
		return pick(d, "before", "before", "slow")
	}
	return pick(d, middlemanNames...)
}

var middlemanNames = func() []string {
	var out []string
	for name := range middlemen {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}()

// caFaults are the ways in which the simulated CERTInext hurts; of those that take 16 MiB, none.
var caFaults = []string{
	"latency", "slow-reply", "dropped", "lost-reply", "lost-reply", "rate-limit", "server-error", "server-error-after", "meta-error",
	"meta-error-after", "html", "spring", "truncated", "malformed-json", "token-death", "root-first", "wrong-key",
}
