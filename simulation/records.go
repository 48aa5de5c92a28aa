// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"context"
	"encoding/json"
	"strings"
	"time"
)

// syncTrials synchronize the account while certificates are ordered, revoked and reissued, and
// their leases end; and have CERTInext confuse its answers to orders that are placed at that time.
var syncTrials = []trial{
	{"sync under way", 3, func(d *dice) []Action {
		r := d.fresh(pick(d, "web", "web", "rekey", "bare"))
		slow := Action{
			Do: "wire", Bad: "slow", Times: pick(d, 1, 2, 4),
			At:  pick(d, "> orders-report", "< orders-report", "> certificate", "> track"),
			For: pick(d, 3*time.Second, 40*time.Second, 2*time.Minute),
		}
		out := []Action{slow, {Do: "issue", Request: r}, {Do: "sync"}}
		for range 3 + d.IntN(4) {
			out = append(out, pick(d,
				Action{Do: "issue", Request: r},
				Action{Do: "issue", Request: d.fresh("web")},
				Action{Do: "revoke", Request: r, How: pick(d, "serial", "order", "key")},
				Action{Do: "lease-end", Request: r},
				Action{Do: "lease-renew", Request: r, For: 12 * time.Hour},
				Action{Do: "reissue", Request: r},
				Action{Do: "collect", How: "reissued", Request: r},
				Action{Do: "cancel", Request: r},
				Action{Do: "sync"},
				Action{Do: "restart"},
				Action{
					Do: "disk", At: "put cert/", Bad: pick(d, "slow", "before"),
					For: 3 * time.Second,
				},
				Action{Do: "pass"}))
		}
		return append(out, Action{Do: "time", For: pick(d, 20*time.Second, 9*time.Hour)})
	}},
	{"a number given twice", 2, func(d *dice) []Action {
		first := d.fresh(pick(d, "web", "bare"))
		second := pick(d, d.fresh(first.Role), d.another(first))
		return []Action{
			{Do: pick(d, "order", "issue"), Request: first},
			{Do: "ca", At: "create-ssl", Bad: "other-order", Skip: d.IntN(2)},
			{Do: pick(d, "order", "issue"), Request: second},
			{Do: pick(d, "adopt", "cancel", "sync"), Request: second},
			{Do: pick(d, "cancel", "revoke", "lease-end"), Request: second, How: "order"},
			{Do: pick(d, "time", "sync", "adopt"), Request: second, For: 6 * time.Minute},
			{Do: "cancel", Request: pick(d, first, second)},
		}
	}},
}

// A keptCert is the part of a stored certificate that nothing may take back.
type keptCert struct {
	storedCert
	ReissuedAs string `json:"reissued_as"`
}

// watchRecord checks that a change of storage takes nothing back that was on record.
func watchRecord(ctx context.Context, w *world, key string, before, after []byte) {
	if before == nil || after == nil || !strings.HasPrefix(key, "cert/") {
		return // what is deleted is looked at by watchErasure
	}
	was, is := new(keptCert), new(keptCert)
	if json.Unmarshal(before, was) != nil {
		return
	}
	if json.Unmarshal(after, is) != nil {
		w.violate("record/overwritten", "%s cannot be read any more", key)
		return
	}
	switch {
	case was.Revocation != nil && is.Revocation == nil:
		w.violate("record/revived", "%s was on record as revoked, and is not any more", key)
	case was.CAOrderID != is.CAOrderID, !was.Imported && is.Imported,
		!was.Imported && (was.Role != is.Role || was.Requester != is.Requester),
		was.ReissuedAs != "" && is.ReissuedAs == "":
		w.violate("record/overwritten", "%s was %+v, and is %+v now", key, was, is)
	}
	watchOwner(w, callOf(ctx), key, &was.storedCert, &is.storedCert)
	if by := callOf(ctx); by != nil && by.path == "sync" && is.Revocation == nil &&
		(len(was.Leases) != len(is.Leases) ||
			(was.Delivery == nil) != (is.Delivery == nil)) {
		w.violate("sync/overwrote", "a synchronization changed leases or delivery of %s", key)
	}
}
