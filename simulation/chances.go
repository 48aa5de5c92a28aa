// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"slices"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// callChances are the calls of clients, operators and Vault.
var callChances = []chance{
	{38, func(d *dice) Action { return d.impatient(Action{Do: "issue", Request: d.request()}) }},
	{3, func(d *dice) Action {
		r := d.known()
		if r.ID != "" { // a request_id already says which certificate is wanted
			return d.impatient(Action{Do: "issue", Request: r})
		}
		return d.impatient(Action{Do: "issue", How: "force", Request: r})
	}},
	{10, func(d *dice) Action {
		return d.impatient(Action{
			Do:      pick(d, "async", "order"),
			Request: d.request(),
		})
	}},
	{10, func(d *dice) Action { return d.impatient(Action{Do: "collect", Request: d.known()}) }},
	{2, func(d *dice) Action {
		return Action{Do: "steal", Request: d.known(), How: pick(d, "collect", "cancel")}
	}},
	{3, func(d *dice) Action {
		return Action{
			Do: "show", Request: d.known(),
			How: pick(d, "", "", "/dcv"),
		}
	}},
	{4, func(d *dice) Action { return d.impatient(Action{Do: "cancel", Request: d.known()}) }},
	{2, func(d *dice) Action { return Action{Do: "never-placed", Request: d.known()} }},
	{2, func(d *dice) Action { return Action{Do: "adopt", Request: d.known()} }},
	{2, func(d *dice) Action { return Action{Do: "release", Request: d.known()} }},
	{3, func(d *dice) Action { return d.impatient(Action{Do: "renew", Request: d.known()}) }},
	{2, func(d *dice) Action { return Action{Do: "reissue", Request: d.reissuable()} }},
	{2, func(d *dice) Action {
		return Action{
			Do: "collect", How: "reissued",
			Request: d.reissuable(),
		}
	}},
	{5, func(d *dice) Action {
		return Action{
			Do: "revoke", Request: d.known(),
			How: pick(d, "serial", "order", "key", "mount", "forged", "role", "wrong-key"),
		}
	}},
	{6, func(d *dice) Action { return Action{Do: "lease-end", Request: d.known()} }},
	{4, func(d *dice) Action {
		return Action{
			Do: "lease-renew", Request: d.known(),
			For: pick(d, time.Minute, time.Hour, 12*time.Hour),
		}
	}},
	{2, func(d *dice) Action { return Action{Do: "logout", Request: Request{Who: d.known().Who}} }},
	{2, func(d *dice) Action {
		return Action{
			Do: "role", Request: Request{Role: pick(d, roleNames...)},
			How: pick(d, "write", "write", "patch", "delete"),
		}
	}},
	{2, func(d *dice) Action {
		return Action{
			Do:  "config",
			How: pick(d, "write", "write", "unverified", "spelling", "delete", "paused", "paused"),
		}
	}},
	{4, func(*dice) Action { return Action{Do: "sync"} }},
	{2, func(d *dice) Action { return d.impatient(Action{Do: "draft", Request: d.draft()}) }},
	{2, func(d *dice) Action {
		if len(d.drafts) == 0 {
			return Action{Do: "draft", Request: d.draft()}
		}
		return d.impatient(Action{Do: "promote", Request: pick(d, d.drafts...)})
	}},
	{2, func(d *dice) Action {
		return Action{
			Do: "read",
			How: pick(d, "config/check", "certs", "orders/web", "catalog/products", "ca_chain",
				"sync"),
		}
	}},
	{3, func(d *dice) Action {
		return d.impatient(Action{Do: "dry", How: pick(d, "", "order"), Request: d.known()})
	}},
	{4, func(*dice) Action { return Action{Do: "pass"} }},
}

// weatherChances are events that happen by themselves.
var weatherChances = []chance{
	{20, func(d *dice) Action {
		return Action{
			Do:  "time",
			For: pick(d, 20*time.Second, 2*time.Minute, 6*time.Minute, time.Hour, 9*time.Hour),
		}
	}},
	{15, func(d *dice) Action {
		return Action{
			Do: "disk", At: pick(d, diskPlaces...),
			Bad: pick(d, "before", "before", "after", "slow"), Skip: d.IntN(4),
			Times: pick(d, 1, 1, 1, 3), For: pick(d, time.Second, 30*time.Second),
		}
	}},
	{20, func(d *dice) Action {
		return Action{
			Do: "wire", At: pick(d, wirePlaces...), Bad: d.bad(), Skip: d.IntN(3),
			Times: pick(d, 1, 1, 3), For: pick(d, time.Second, 20*time.Second, 2*time.Minute),
		}
	}},
	{20, func(d *dice) Action {
		return Action{
			Do: "ca", At: pick(d, caPlaces...), Bad: pick(d, caFaults...),
			Skip: d.IntN(3), Times: pick(d, 1, 1, 2, 6),
			For: pick(d, time.Second, 10*time.Second, 70*time.Second),
		}
	}},
	{6, func(d *dice) Action { // a middleman answers as CERTInext does after success
		return Action{
			Do: "wire", At: pick(d, "> revoke", "> cancel", "> cancel"), Bad: "empty-204",
			Skip: d.IntN(2),
		}
	}},
	{2, func(d *dice) Action { return d.lie() }},
	{8, func(*dice) Action { return Action{Do: "restart"} }},
	{8, func(d *dice) Action {
		return Action{Do: "disk", At: pick(d, diskPlaces...), Bad: "crash", Skip: d.IntN(4)}
	}},
	{8, func(d *dice) Action {
		return Action{Do: "wire", At: pick(d, wirePlaces...), Bad: "crash", Skip: d.IntN(3)}
	}},
	{4, func(d *dice) Action {
		return Action{Do: "disk", At: pick(d, diskPlaces...), Bad: "leaves", Skip: d.IntN(4)}
	}},
	{3, func(*dice) Action { return Action{Do: "standby"} }},
	{3, func(*dice) Action { return Action{Do: "failover"} }},
	{3, func(d *dice) Action {
		return Action{
			Do:  "clock",
			For: pick(d, 0, 0, 10*time.Minute, -10*time.Minute, 60*24*time.Hour),
		}
	}},
	{2, func(d *dice) Action {
		return Action{
			Do:  "ca-clock",
			For: pick(d, time.Minute, 3*time.Minute),
		}
	}},
	{3, func(d *dice) Action {
		if d.IntN(3) == 0 {
			return Action{Do: "misissue", Bad: certinexttest.MisissueNone.String()}
		}
		return Action{Do: "misissue", Bad: pick(d, mistakes...).String()}
	}},
	{4, func(*dice) Action { return Action{Do: "validate"} }},
	{3, func(d *dice) Action { return Action{Do: pick(d, "approve", "approve", "reject")} }},
}

// diskPlaces are the places at which storage may fail: prefixes of operations.
var diskPlaces = []string{
	"put ", "put order/open/", "put order/open/", "put order/closed/", "put cert/",
	"put revocation/", "put revoked/", "put config", "put role/", "put sync",
	"delete ", "delete order/open/", "delete revocation/", "get ", "get order/open/",
	"get order/closed/", "get cert/", "get role/", "get revocation/", "list ",
	"put number/", "get number/", "put chain/",
}

// wirePlaces are the places at which something may intervene between the plugin and CERTInext: on
// the way there (>) or on the way back (<).
var wirePlaces = []string{
	"> ", "< ", "> create-", "< create-", "< create-", "< track", "> revoke", "< revoke",
	"> cancel", "< cancel", "< certificate", "> orders-report", "> token", "< reissue",
}

// caPlaces are the operations that may fail in CERTInext itself.
var caPlaces = []string{
	"", "create-ssl", "create-ssl", "track", "certificate", "revoke", "cancel",
	"orders-report", "token",
}

// caFaults are the faults of the simulated CERTInext, except the one that needs 16 MiB and those
// that need a reason.
var caFaults = slices.DeleteFunc(certinexttest.FaultKinds(), func(kind string) bool {
	return slices.Contains([]string{"oversized", "refusal", "refusal-after"}, kind)
})

// lie returns an answer of CERTInext itself, with the order's number, which falsely says that the
// order has ended. A history has only one: if two of them agreed, the engine would have to believe
// them.
func (d *dice) lie() Action {
	if d.lied {
		return Action{Do: "time", For: 20 * time.Second}
	}
	d.lied = true
	return Action{
		Do: "ca", At: "track", Bad: string(certinexttest.FaultWrongStatus), How: "named",
		Skip: d.IntN(4), Times: 1,
	}
}

// bad returns a fault of the wire.
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
