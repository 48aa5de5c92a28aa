// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"context"
	"encoding/json"
	"time"
)

// holdTrials start the plugin with CERTINEXT_HOLD, mostly after a snapshot was restored, and later
// without it (ADR 0031). Meanwhile clients come, leases end, and operators try what they may not.
var holdTrials = []trial{
	{"held mount", 3, func(d *dice) []Action {
		r := d.fresh(pick(d, "web", "bare", "hasty", "rekey", "late", "hand", "lasting"))
		other := d.fresh(pick(d, "web", "bare"))
		out := []Action{{Do: pick(d, "issue", "order"), Request: r}}
		if d.IntN(2) == 0 {
			out = append(out, Action{Do: "snapshot"}, Action{Do: "issue", Request: other},
				Action{Do: "rollback"})
		}
		out = append(out, Action{Do: "hold", How: "on"})
		for range 4 + d.IntN(6) {
			out = append(out, pick(d,
				Action{Do: pick(d, "issue", "async", "order"), Request: pick(d, r, other)},
				Action{Do: "collect", Request: r},
				Action{Do: pick(d, "renew", "reissue"), Request: r},
				Action{
					Do: pick(d, "revoke", "cancel"), Request: r,
					How: pick(d, "serial", "order", "key", "mount"),
				},
				Action{
					Do: pick(d, "lease-end", "lease-end", "lease-renew"), Request: r,
					For: 12 * time.Hour,
				},
				Action{Do: "draft", Request: d.draft()},
				Action{Do: "tidy", How: pick(d, "all", "dry", "auto-all")},
				Action{Do: pick(d, "sync", "pass", "restart", "standby", "failover")},
				Action{Do: "sync-every", For: 10 * time.Minute},
				Action{Do: pick(d, "never-placed", "release", "adopt"), Request: r},
				Action{Do: "clock", For: pick(d, 0, twoMonths)},
				Action{Do: "time", For: pick(d, 6*time.Minute, 9*time.Hour, 33*aDay)}))
		}
		return append(out, Action{Do: "hold", How: "off"}, Action{Do: "issue", Request: r},
			Action{Do: "time", For: 6 * time.Minute})
	}},
}

// doHold starts the plugin anew, held or not.
func doHold(w *world, a Action) {
	w.note("the plugin starts, held: %s", a.How)
	w.upkeep.held = a.How == "on"
	if w.standby != nil { // it has the environment of before
		w.kill(w.standby)
		w.procs = append(w.procs, w.standby)
		w.standby = nil
	}
	w.restart()
}

// watchHold checks that a process which is held has CERTInext change nothing.
func watchHold(w *world, p *process, by *call, name string) {
	if !p.held || (!changesOrders(name) && name != "agreement" && name != "verify-dcv") {
		return
	}
	what := "the engine"
	if by != nil {
		what = by.what
	}
	w.violate("hold/changed", "%s had CERTInext do %s while the mount is held", what, name)
}

// watchHeld checks that such a process begins no synchronization by itself; [watchErasure] that it
// tidies nothing.
func watchHeld(ctx context.Context, w *world, key string, before, after []byte) {
	by := callOf(ctx)
	if by == nil || !by.proc.held || key != "sync" {
		return
	}
	var was, is struct {
		StartedAt time.Time `json:"started_at"`
		Automatic bool      `json:"automatic"`
	}
	_, _ = json.Unmarshal(before, &was), json.Unmarshal(after, &is)
	if is.Automatic && !is.StartedAt.Equal(was.StartedAt) {
		w.violate("hold/synced", "a synchronization has begun by itself while the mount is held")
	}
}
