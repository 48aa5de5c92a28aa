// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// stories are sequences of actions that chance seldom applies to one certificate.
var stories = []func(*dice) []Action{
	// More is asked for at once than a budget allows, and a process or a write dies meanwhile.
	func(d *dice) []Action {
		out := []Action{{
			Do: "disk", At: pick(d, "put spending/", "put order/open/"),
			Bad: pick(d, "crash", "before", "after"),
		}}
		for range budgets["tight"] + 2 {
			out = append(out,
				Action{Do: "order", Request: d.fresh("tight"), Then: pick(d, 0, 1, 5)})
		}
		again := out[1].Request
		return append(out, Action{Do: "issue", Request: again},
			Action{Do: "issue", Request: d.fresh("tight")})
	},
	// Two requests share a certificate. One lease on it ends, and the other one is renewed beyond
	// its first end.
	func(d *dice) []Action {
		r := d.fresh("web")
		return []Action{
			{Do: "issue", Request: r},
			{Do: "issue", Request: r},
			{Do: "lease-end", Request: r},
			{Do: "lease-renew", Request: r, For: pick(d, 12*time.Hour, 15*time.Hour)},
			{Do: "time", For: pick(d, 7*time.Hour, 9*time.Hour)},
		}
	},
	// A certificate is revoked while its client, which does not know, renews its lease and asks
	// again.
	func(d *dice) []Action {
		r := d.fresh("web")
		return []Action{
			{Do: "issue", Request: r},
			{Do: "wire", At: "> revoke", Bad: pick(d, "empty-204", "html-503", "before")},
			{Do: "revoke", Request: r, How: pick(d, "serial", "key", "mount")},
			{Do: "lease-renew", Request: r, For: time.Hour},
			{Do: "issue", Request: r},
		}
	},
	// An order that waits for its validation is cancelled, and a proxy answers that it is
	// cancelled.
	func(d *dice) []Action {
		r := d.fresh("hand")
		return []Action{
			{Do: "order", Request: r},
			{Do: "wire", At: "> cancel", Bad: pick(d, "empty-204", "html-503", "before")},
			{Do: "cancel", Request: r},
		}
	},
	// A certificate is reissued within its order, and the lease on the earlier one ends.
	func(d *dice) []Action {
		r := d.fresh("rekey")
		return []Action{
			{Do: "issue", Request: r},
			{Do: "reissue", Request: r},
			{Do: "collect", How: "reissued", Request: r},
			{Do: "time", For: 2 * time.Minute},
			{Do: "collect", How: "reissued", Request: r},
			{Do: "lease-end", Request: r},
		}
	},
	// The account is synchronized while an order is placed and answered. Slow operations make both
	// reach its certificate at the same time.
	func(d *dice) []Action {
		r := d.fresh(pick(d, "web", "bare"))
		return []Action{
			{
				Do: "wire", At: "> orders-report", Bad: "slow",
				For: d.h.Manners.IssueDelay + 2*time.Second,
			},
			{Do: "wire", At: "> certificate", Bad: "slow", For: 3 * time.Second},
			{Do: "disk", At: "put cert/", Bad: "slow", For: 3 * time.Second},
			{Do: "sync"},
			{Do: "issue", Request: r},
			{Do: "issue", Request: d.fresh("web")},
			{Do: "issue", Request: r},
		}
	},
	// An answer is lost, CERTInext's records may not be readable, and a hasty operator declares
	// that the order was never placed.
	func(d *dice) []Action {
		r := d.fresh("web")
		return []Action{
			{Do: "wire", At: "< create-", Bad: "before"},
			{
				Do: "wire", At: pick(d, "> orders-report", "< orders-report"),
				Bad: pick(d, "before", "html-503"), Times: pick(d, 1, 30),
			},
			{Do: "issue", Request: r},
			{Do: "time", For: pick(d, 20*time.Second, 6*time.Minute)},
			{Do: "never-placed", Request: r},
		}
	},
	// Two requesters want a certificate for the same name, both answers are lost, and an operator
	// confuses the orders.
	func(d *dice) []Action {
		r := d.fresh("web")
		other := r
		other.Who = pick(d, otherThan(r.Who)...)
		d.requests = append(d.requests, other)
		return []Action{
			{Do: "wire", At: "< create-", Bad: "before", Times: 2},
			{Do: "order", Request: r},
			{Do: "order", Request: other},
			{Do: "adopt", Request: other},
		}
	},
	// Every caller hangs up before its answer, again and again: that is one order, however many
	// hang up.
	func(d *dice) []Action {
		r := d.fresh(pick(d, "web", "bare", "once", "rekey", "lasting"))
		var out []Action
		for range 4 + d.IntN(5) {
			out = append(out,
				Action{Do: pick(d, "issue", "issue", "async"), Request: r, Hang: 1 + d.IntN(20)})
		}
		return append(out, Action{Do: "time", For: pick(d, 20*time.Second, 6*time.Minute)},
			Action{Do: "issue", Request: r, Hang: 1 + d.IntN(20)})
	},
	// A caller hangs up just as its certificate is stored, and returns when the key of a delivered
	// certificate would be erased.
	func(d *dice) []Action {
		r := d.fresh(pick(d, "web", "bare"))
		return []Action{
			{Do: "disk", At: "put cert/", Bad: "leaves"},
			{Do: "issue", Request: r},
			{Do: "time", For: 6 * time.Minute},
			{Do: "issue", Request: r},
		}
	},
	// Vault cannot store the lease of an answer, and its caller returns when the key of a delivered
	// certificate would be erased.
	func(d *dice) []Action {
		r := d.fresh("web")
		return []Action{
			{Do: "issue", Request: r, Loss: "unleasable"},
			{Do: "time", For: 6 * time.Minute},
			{Do: "issue", Request: r},
		}
	},
	// Two requesters use the same request_id.
	func(d *dice) []Action {
		r := d.fresh(pick(d, "web", "bare"))
		r.ID = fmt.Sprintf("deploy-%d", d.names)
		other := r
		other.Who = pick(d, otherThan(r.Who)...)
		d.requests = append(d.requests, r, other)
		return []Action{
			{Do: "issue", Request: r},
			{Do: pick(d, "issue", "order"), Request: other},
			{Do: "collect", Request: other},
		}
	},
	// CERTInext's answer does not say whether it has accepted an order.
	func(d *dice) []Action {
		r := d.fresh("web")
		return []Action{
			{Do: "ca", At: "create-ssl", Bad: pick(d, caFaults...), Times: 1},
			{Do: "issue", Request: r},
			{Do: "issue", Request: r},
		}
	},
	// A middleman forwards an order to CERTInext and answers in its place.
	func(d *dice) []Action {
		r := d.fresh("web")
		return []Action{
			{
				Do: "wire", At: "< create-",
				Bad: pick(d, "html-401", "html-401", "html-503", "json-403", "html-429",
					"error-200"),
			},
			{Do: "issue", Request: r},
			{Do: "issue", Request: r},
		}
	},
	// The plugin dies while a draft is promoted.
	func(d *dice) []Action {
		r := d.draft()
		return []Action{
			{Do: "draft", Request: r},
			{Do: "wire", At: pick(d, "> create-", "< create-"), Bad: "crash"},
			{Do: "promote", Request: r},
			{Do: "time", For: 2 * time.Minute},
		}
	},
	// Storage fails when an order is stored, and again when the order is given up because of that.
	func(d *dice) []Action {
		r := d.fresh("web")
		return []Action{
			{Do: "disk", At: "put order/open/", Bad: pick(d, "before", "after")},
			{Do: "disk", At: pick(d, "delete order/open/", "put order/closed/"), Bad: "before"},
			{Do: "issue", Request: r},
			{Do: "time", For: 2 * time.Minute},
		}
	},
}

// otherThan returns the names of all requesters except one, and except those who may be gone.
func otherThan(who string) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(requesters)),
		func(name string) bool { return name == who || name == "abe" || name == "amy" })
}

// fresh returns a new request.
func (d *dice) fresh(role string) Request {
	d.names++
	r := Request{
		Who: pick(d, "ann", "bob", "tok", "bat"), Role: role,
		Name: fmt.Sprintf("n%d", d.names),
	}
	d.requests = append(d.requests, r)
	return r
}
