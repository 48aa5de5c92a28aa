// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"maps"
	"slices"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// selfRoles have CERTInext renew by itself (ADR 0042), which it does within the subscription when
// half of a certificate's life is over: before the mount would.
var selfRoles = map[string]map[string]any{
	"self":  role(map[string]any{"generate_lease": false, "auto_renew": true, "reuse": true}),
	"signs": role(map[string]any{"generate_lease": false, "auto_renew": true}),
}

// byCATrials have clients come back for what CERTInext has renewed meanwhile.
var byCATrials = []trial{
	{"renewed by CERTInext", 3, func(d *dice) []Action {
		r := d.fresh(pick(d, "self", "self", "signs"))
		r.Who = pick(d, "ann", "bob")
		if r.Role == "signs" {
			r.Key = d.names
		}
		d.requests[len(d.requests)-1] = r
		other := d.another(r)
		act := func() Action {
			return pick(d,
				Action{Do: "issue", Request: r}, Action{Do: "issue", Request: r},
				d.impatient(Action{Do: "issue", Request: r}),
				Action{Do: "issue", Request: other},
				Action{Do: "collect", Request: r},
				Action{Do: "revoke", How: "serial", Request: pick(d, r, other)},
				Action{Do: pick(d, "sync", "pass", "restart", "failover")},
				Action{Do: "steal", Request: r, How: pick(d, "collect", "renew", "revoke")},
				Action{Do: "clock", For: pick(d, 0, twoMonths, -twoMonths)},
				tidies(d), syncFault(d), aheadFault(d),
				Action{Do: "time", For: pick(d, 20*time.Second, 9*time.Hour, 2*aDay)})
		}
		out := []Action{{Do: "issue", Request: r}}
		for range 2 + d.IntN(2) {
			for range d.IntN(3) {
				out = append(out, act())
			}
			out = append(out, Action{Do: "time", For: pick(d, 14*aDay, 16*aDay, 19*aDay)},
				Action{Do: "issue", Request: r})
		}
		return out
	}},
}

// usesSelf reports whether CERTInext renews by itself for a mount.
func usesSelf(w *world) bool {
	return slices.ContainsFunc(slices.Collect(maps.Keys(selfRoles)),
		func(name string) bool { return slices.Contains(w.roles, name) })
}

// judgeBesideCA checks that a request has bought nothing beside an order that CERTInext renews by
// itself, and whose newest certificate was valid for days. It reports whether it is about that.
func judgeBesideCA(
	w *world, r Request, first, next *certinexttest.OrderRecord, by *call, at moment,
) bool {
	if selfRoles[r.Role] == nil {
		return false
	}
	leaf, err := parseCertificate(first.CertificatePEM)
	renewed := len(first.Serials) > 1 && err == nil &&
		at.true.After(leaf.NotBefore.Add(time.Hour)) && at.true.Before(leaf.NotAfter.Add(-aDay))
	// Whose key nobody has is another client, which may buy while the certificate is not due.
	hasKey := r.Key > 0 || requesters[r.Who].entity != ""
	// What was held back, and ended so, is nobody's.
	wasHanded := w.clients[r] != nil && slices.ContainsFunc(w.clients[r].serials,
		func(serial string) bool { return slices.Contains(first.Serials, plain(serial)) })
	isPlain := !by.forced() && r.ID == ""
	if renewed && hasKey && wasHanded && isPlain && w.leapt.Load() == 0 && first.AutoRenew {
		w.violate("by-ca/beside", "%s bought %s at %s beside %s, which CERTInext has renewed by "+
			"itself as %s", r.Who, next.ID, at.true, first.ID, last(first.Serials))
	}
	return renewed
}
