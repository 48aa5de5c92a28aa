// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"maps"
	"strings"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
)

// tidyWishes are what operators have tidied, with the buffers of a history, which is short: see
// ADR 0045. "spared" are the buffers that the engine has where nobody sets any.
var tidyWishes = map[string]map[string]any{
	"certs": {"tidy_cert_store": true, "tidy_revoked_certs": true, "safety_buffer": "1h"},
	"live":  {"tidy_cert_store": true, "safety_buffer": "1h"},
	"orders": {
		"tidy_orders": true, "order_safety_buffer": "24h", "lose_spending_history": true,
		"tidy_refused_orders": true, "refused_order_safety_buffer": "24h",
	},
	"spared": {
		"tidy_cert_store": true, "tidy_revoked_certs": true, "tidy_orders": true,
		"tidy_refused_orders": true, "tidy_reuse_keys": true, "tidy_personal_data": true,
	},
	"slow": {
		"tidy_cert_store": true, "tidy_revoked_certs": true, "safety_buffer": "1h",
		"pause_duration": "20s",
	},
	"all": {
		"tidy_cert_store": true, "tidy_revoked_certs": true, "safety_buffer": "1h",
		"tidy_orders": true, "order_safety_buffer": "24h", "lose_spending_history": true,
		"tidy_refused_orders": true, "refused_order_safety_buffer": "24h",
		"tidy_reuse_keys": true, "tidy_named_orders": true,
	},
}

// tidyTrials have a mount tidied, by a word or by itself, once certificates of it have expired, and
// before: while clients come back for others, leases and orders end, and something fails.
var tidyTrials = []trial{
	{"tidy", 4, func(d *dice) []Action {
		role := func() string {
			return pick(d, "web", "bare", "bare", "hasty", "rekey", "lasting", "shared", "shared",
				"once", "hand")
		}
		r, other := d.fresh(role()), d.fresh(role())
		if d.IntN(4) == 0 {
			r = d.named(other)
			other = d.fresh(role())
		}
		out := []Action{
			{Do: pick(d, "issue", "issue", "order"), Request: r},
			{Do: pick(d, "issue", "issue", "async"), Request: other},
		}
		if d.IntN(3) == 0 {
			out = append(out, Action{
				Do: "tidy", How: pick(d, "auto-all", "auto-certs", "auto-slow"),
				For: pick(d, time.Hour, 12*time.Hour),
			})
		}
		for range d.IntN(3) {
			out = append(out, tidyMeets(d, pick(d, r, other)))
		}
		out = append(out, Action{Do: "time", For: pick(d, 2*aDay, 33*aDay, 33*aDay, 370*aDay)})
		for range 1 + d.IntN(3) {
			if d.IntN(2) == 0 {
				out = append(out, tidyFault(d))
			}
			out = append(out, tidies(d))
			for range d.IntN(4) {
				out = append(out, tidyMeets(d, pick(d, r, r, other, d.fresh(role()))))
			}
		}
		if d.IntN(3) == 0 {
			out = append(out, Action{Do: "time", For: pick(d, 32*aDay, 370*aDay)},
				tidies(d))
		}
		return out
	}},
	{"tidy by a clock that jumps", 2, func(d *dice) []Action {
		var out []Action
		for range 2 + d.IntN(3) { // what is revoked is erased when it expires
			r := d.fresh(pick(d, "web", "bare", "once"))
			out = append(out, Action{Do: "issue", Request: r},
				Action{Do: "revoke", How: "serial", Request: r})
		}
		out = append(out, Action{Do: "time", For: 20 * time.Minute},
			Action{Do: "tidy", How: pick(d, "slow", "slow", "all", "auto-slow")},
			Action{Do: "time", For: pick(d, time.Second, 10*time.Second)},
			Action{Do: "clock", For: pick(d, twoMonths, twoMonths, -twoMonths)},
			Action{Do: "time", For: pick(d, 20*time.Second, 2*time.Minute)})
		if d.IntN(2) == 0 {
			out = append(out, Action{Do: "clock"},
				Action{Do: pick(d, "restart", "pass", "tidy"), How: "all"})
		}
		return out
	}},
}

func tidies(d *dice) Action {
	return Action{
		Do: "tidy",
		How: pick(d, "all", "all", "all", "certs", "certs", "live", "orders", "slow", "spared",
			"dry"),
	}
}

// tidyMeets is what happens between two runs, or during one.
func tidyMeets(d *dice, r Request) Action {
	return pick(d,
		Action{Do: "issue", Request: r}, Action{Do: "issue", Request: r},
		d.impatient(Action{Do: pick(d, "issue", "order", "async"), Request: r}),
		Action{Do: "issue", How: "force", Request: r},
		d.impatient(Action{Do: "renew", Request: r}),
		Action{Do: "reissue", Request: r},
		Action{Do: "collect", How: pick(d, "", "reissued"), Request: r},
		Action{
			Do: pick(d, "revoke", "revoke", "cancel"), Request: r,
			How: pick(d, "serial", "order", "key", "mount"),
		},
		Action{Do: pick(d, "lease-end", "lease-renew"), Request: r, For: 12 * time.Hour},
		Action{Do: pick(d, "restart", "standby", "failover", "pass", "pass")},
		Action{Do: "sync"},
		Action{Do: "tidy", How: pick(d, "cancel", "status", "dry", "auto-all", "auto-off")},
		Action{Do: "clock", For: pick(d, 0, twoMonths, twoMonths, -twoMonths)},
		Action{Do: pick(d, "snapshot", "snapshot", "rollback")},
		Action{Do: "config", How: pick(d, "paused", "write", "number", "delete")},
		Action{Do: "misissue", Bad: "extra-name"},
		tidyFault(d),
		Action{Do: "time", For: pick(d, 20*time.Second, time.Hour, 2*aDay)})
}

// tidyFault has something fail in a run.
func tidyFault(d *dice) Action {
	if d.IntN(5) == 0 {
		return Action{
			Do: "wire", At: "> revoke", Bad: pick(d, "html-503", "before", "slow"), Times: 3,
			For: 20 * time.Second,
		}
	}
	return Action{
		Do: "disk", Skip: d.IntN(3), Times: pick(d, 1, 1, 3), For: 10 * time.Second,
		Bad: pick(d, "before", "after", "crash", "crash", "slow", "slow"),
		At: pick(d, "delete cert/", "delete cert/", "delete number/", "put number/",
			"delete order/closed/", "delete order/closed/", "delete revoked/", "delete ",
			"put tidy/status", "put tidy/status", "get cert/", "get order/closed/", "list cert/",
			"get number/", "delete reuse/"),
	}
}

// doTidy has an operator tidy the mount, look at that, end it, or have it done by itself.
func doTidy(w *world, a Action) {
	w.upkeep.tidies = true
	c := update("tidy", maps.Clone(tidyWishes[a.How]))
	auto, isAuto := strings.CutPrefix(a.How, "auto-")
	switch {
	case a.How == "cancel":
		c = update("tidy-cancel", map[string]any{})
	case a.How == "status":
		c = &call{op: logical.ReadOperation, path: "tidy-status"}
	case a.How == "dry":
		c.data = maps.Clone(tidyWishes["all"])
		c.data["dry_run"] = true
	case isAuto:
		c.path, c.data = "config/auto-tidy", maps.Clone(tidyWishes[auto])
		if c.data == nil {
			c.data = map[string]any{}
		}
		c.data["enabled"] = auto != "off"
		w.upkeep.tidiesItself = true
		c.data["interval_duration"] = max(a.For, time.Hour).String()
	}
	c.what, c.who = "tidy "+a.How, operator
	w.send(c)
}

// tidyUp has a mount that is tidied be so to its end, once nothing happens there any more and its
// certificates are over: whatever a run that was cut short has left goes with the next one, and
// each does what a dry run has told.
func tidyUp(w *world) {
	if !w.upkeep.tidies || w.runaway() {
		return
	}
	w.note("--- tidied up ---")
	if run := tidyRunOf(w); run.isUnderWay() && !w.upkeep.tidiesItself {
		w.violate("rest/tidy", "a run is under way at the end: %+v", run)
	}
	w.mustWrite("config/auto-tidy", map[string]any{"enabled": false})
	for range 10 { // for longer than what is paid for lasts
		w.until(func() bool { return false }, 40*aDay)
		w.pass()
		w.until(w.idle, longestCall)
	}
	told := tidyNow(w, true)
	done := tidyNow(w, false)
	if told != done {
		w.violate("tidy/dry", "a dry run told of %s, and the run after it came to %s", told, done)
	}
	judgeLeft(w)
	for range 2 { // what is listed is stored in its new form
		w.until(func() bool { return false }, 50*time.Minute)
		w.pass()
		w.until(w.idle, longestCall)
	}
}
