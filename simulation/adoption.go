// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
)

// adoptionTrials have operators give certificates to roles that were ordered in the portal, or by
// another mount, and take them back (ADR 0044), while their new owners renew, reissue and revoke
// them, and something fails.
var adoptionTrials = []trial{
	{"adoption", 4, func(d *dice) []Action {
		r := Request{
			Who: pick(d, "ann", "bob"), Name: d.fresh("web").Name,
			Role: pick(d, "web", "bare", "rekey", "lasting", "lasting", "once", "hasty"),
		}
		d.requests[len(d.requests)-1] = r
		out := []Action{{Do: "portal", How: "order", Request: r}}
		if d.IntN(4) == 0 {
			out[0] = Action{Do: "neighbour", How: "order", Request: r}
		}
		if d.IntN(2) == 0 {
			out = append(out, Action{Do: "sync-every", For: 10 * time.Minute})
		}
		out = append(out, Action{Do: "time", For: 10 * time.Minute}, Action{Do: "sync"},
			Action{Do: "time", For: time.Minute})
		if d.IntN(2) == 0 {
			out = append(out, adoptionFault(d))
		}
		out = append(out, takes(r, ""))
		for range 5 + d.IntN(5) {
			out = append(out, adopteeMeets(d, r))
		}
		return append(out, takes(r, ""), Action{Do: pick(d, "renew", "issue"), Request: r})
	}},
}

func takes(r Request, how string) Action { return Action{Do: "take", How: how, Request: r} }

// adopteeMeets is what may become of a certificate that is adopted, or is to be.
func adopteeMeets(d *dice, r Request) Action {
	return pick(d,
		takes(r, pick(d, "", "", "undo", "undo", "else")),
		takes(r, pick(d, "other-mount", "other-mount-all", "nobody")),
		d.impatient(Action{Do: "renew", Request: r}), Action{Do: "renew", Request: r},
		d.impatient(Action{Do: "issue", Request: r}), Action{Do: "issue", Request: r},
		Action{Do: "reissue", Request: r},
		Action{Do: "collect", How: "reissued", Request: r},
		Action{
			Do: pick(d, "revoke", "cancel"), Request: r, How: pick(d, "serial", "order", "mount"),
		},
		Action{Do: "revoke", Request: r, How: "role"},
		Action{Do: "steal", Request: r, How: pick(d, "renew", "revoke", "revoke-order", "cancel")},
		Action{Do: "portal", How: pick(d, "revoke", "reissue", "order"), Request: r},
		Action{Do: pick(d, "sync", "sync", "pass", "restart", "failover", "standby")},
		Action{Do: pick(d, "snapshot", "rollback")},
		Action{Do: "tidy", How: "all"},
		Action{Do: "neighbour", How: pick(d, "revoke", "sync", "collect"), Request: r},
		adoptionFault(d), adoptionFault(d),
		Action{Do: "time", For: pick(d, 20*time.Second, 6*time.Minute, 9*time.Hour, 17*aDay)})
}

// adoptionFault has something fail in an adoption, or when it is undone.
func adoptionFault(d *dice) Action {
	if d.IntN(4) == 0 {
		return Action{
			Do: "wire", At: pick(d, "> track", "< track", "< track"), For: 20 * time.Second,
			Bad: pick(d, "slow", "before", "crash", "html-503", "error-200"),
		}
	}
	return Action{
		Do: "disk", Skip: d.IntN(2), For: 10 * time.Second,
		At: pick(d, "put order/closed/", "put cert/", "put cert/", "delete order/closed/",
			"put number/", "put newest/", "put "),
		Bad: pick(d, "before", "after", "crash", "crash", "slow"),
	}
}

// An adoption is what an operator has said of a certificate, by its answers.
type adoption struct {
	role, who string
	serial    string // with dashes
	number    string
	calls     []*call // the operators' calls about it
	stands    bool    // the latest answer says that it is the role's
}

// doTake has an operator have a role adopt the certificate that was ordered for a request in the
// portal, or by the neighbour; for its client, for "nobody", into another role ("else"), or undo
// that.
func doTake(w *world, a Action) {
	serial, number := adoptee(w, a)
	if serial == "" {
		return
	}
	known := w.upkeep.adoptions[serial]
	if known == nil {
		known = &adoption{role: a.Role, serial: serial, number: number}
		w.upkeep.adoptions[serial] = known
	}
	if strings.HasSuffix(a.How, "-all") {
		w.books.typed[number] = true // an operator answers for it
	}
	role, who := a.Role, a.Who
	if a.How == "else" {
		role = otherRole(role)
	}
	if a.How == "nobody" {
		who = ""
	}
	path := "operator/adopt/" + role
	c := update(path, map[string]any{
		"serial_number": serial, "entity_id": requesters[who].entity,
		"from_other_mount": strings.HasSuffix(a.How, "-all"),
	})
	if a.How == "undo" {
		c = &call{op: logical.DeleteOperation, path: path + "/" + serial}
	}
	c.what, c.who = "take "+a.Name+" "+a.How, operator
	known.calls = append(known.calls, c)
	w.send(c).answer = func(c *call) {
		if c.err != nil || c.resp.IsError() || c.lost() {
			return
		}
		known.stands, known.role, known.who = c.op != logical.DeleteOperation, role, who
		if known.stands && who != "" {
			meet(w, w.client(Request{Who: who, Role: role, Name: a.Name}), known, c)
		}
	}
}

// adoptee returns the serial number, with dashes, of the certificate that is meant, and CERTInext's
// number of its order; empty when there is none.
func adoptee(w *world, a Action) (serial, number string) {
	o := w.upkeep.portal.boughtFor(w, a.Request)
	for _, placed := range w.ca.Orders() {
		if (o == nil || strings.HasPrefix(a.How, "other-mount")) && w.neighbour.has(&placed) &&
			placed.Domain == a.commonName() {
			o = &placed
		}
	}
	if o == nil || len(o.Serials) == 0 {
		return "", ""
	}
	for _, c := range w.storedCerts() { // in the form that the mount has it in
		if plain(c.Serial) == last(o.Serials) {
			return c.Serial, o.ID
		}
	}
	return "", ""
}

// meet tells a client of the certificate that it was given.
func meet(w *world, k *client, a *adoption, c *call) {
	if serial := withColons(a.serial); !slices.Contains(k.serials, serial) {
		k.serials = append(k.serials, serial)
	}
	all, _ := c.resp.Data["adopted"].([]any)
	for _, one := range all {
		fields, _ := one.(map[string]any)
		if id, _ := fields["order_id"].(string); id != "" {
			w.books.told[id] = k.request.Who
			if !slices.Contains(k.orders, id) {
				k.orders = append(k.orders, id)
			}
		}
	}
}

// watchOwner checks that nobody takes a certificate from its owner, and that what another mount has
// ordered is adopted by an operator's word only.
func watchOwner(w *world, by *call, key string, was, is *storedCert) {
	if was.Role == is.Role && was.Requester == is.Requester {
		return
	}
	adopts := by != nil && strings.HasPrefix(by.path, "operator/adopt/")
	switch {
	case !adopts && was.Role == "" && selfRoles[is.Role] != nil:
		// CERTInext has made it for a request that has its key, and a synchronization was faster.
	case !adopts:
		w.violate("adopt/owner", "%s was of %s, role %q, and is of %s, role %q, by no adoption",
			key, was.Requester, was.Role, is.Requester, is.Role)
	case by.op == logical.DeleteOperation && is.Role != "",
		by.op != logical.DeleteOperation && was.Role != "":
		w.violate("adopt/two-owners", "%s was of %s, role %q, and is adopted by %s, role %q", key,
			was.Requester, was.Role, is.Requester, is.Role)
	}
	if by == nil || is.Role == "" || by.data["from_other_mount"] == true {
		return
	}
	for _, o := range w.ca.Orders() {
		if o.ID == is.CAOrderID && w.neighbour.has(&o) {
			w.violate("adopt/other-mount", "%s is adopted by role %s, and another mount has "+
				"ordered it", key, is.Role)
		}
	}
}

// judgeAdoptions checks that a certificate is whose an operator has said that it is, as an own one
// would be: with an order of that role, which is whose certificate it is.
func judgeAdoptions(w *world) {
	for _, serial := range slices.Sorted(maps.Keys(w.upkeep.adoptions)) {
		a := w.upkeep.adoptions[serial]
		c, latest := w.storedCert(serial), last(a.calls)
		if c == nil || beforeRollback(w, latest.started) || !plainlyAnswered(latest) {
			continue
		}
		owner, owned := "", c.Role == a.role && c.Role != ""
		if a.who != "" {
			owner = requesters[a.who].entity
		}
		if a.stands && (!owned || !strings.HasSuffix(c.Requester, owner)) {
			w.violate("adopt/lost", "certificate %s was adopted by role %s for %s, and is of %q, "+
				"role %q", serial, a.role, a.who, c.Requester, c.Role)
		}
		judgeAdoptedOrder(w, c)
	}
}

// plainlyAnswered reports whether what a call has done is known: its answer has come, and is no
// fault.
func plainlyAnswered(c *call) bool { return c.done.Load() && c.err == nil && !c.lost() }

// judgeAdoptedOrder checks that an adopted certificate has its order, and no other role has one.
func judgeAdoptedOrder(w *world, c *storedCert) {
	found := false
	for _, o := range everyOrder(w) {
		if o.AdoptedAt.IsZero() || o.Serial != c.Serial {
			continue
		}
		found = found || (o.ID == c.OrderID && o.Role == c.Role && o.CAOrderID == c.CAOrderID)
	}
	if isAdoptee(w, c) && !found {
		w.violate("adopt/orderless", "certificate %s is adopted by role %s, and its order %s is "+
			"not stored", c.Serial, c.Role, c.OrderID)
	}
}

// isReissueOfAdopted reports whether two orders have one number of CERTInext's since one of them
// has reissued what was adopted, whose order has no marker of the mount's.
func isReissueOfAdopted(w *world, one, two *storedOrder) bool {
	return isAdopted(w, one.CAOrderID) && (one.Reissue != nil || two.Reissue != nil)
}

// isAdoptee reports whether a stored certificate is adopted.
func isAdoptee(w *world, c *storedCert) bool {
	var entry struct {
		AdoptedAt time.Time `json:"adopted_at"`
	}
	_ = json.Unmarshal(w.disk.entries["cert/"+c.Serial], &entry)
	return !entry.AdoptedAt.IsZero()
}

// outliveAdopted lets the certificates expire that were adopted and succeeded within their order:
// as long as one is valid, the revocation of its successor, which would end both, is held.
func outliveAdopted(w *world) {
	for range 10 {
		if len(w.upkeep.adoptions) == 0 || len(w.disk.under("revocation/")) == 0 || w.runaway() {
			return
		}
		w.until(func() bool { return false }, 4*aDay)
		w.pass()
		w.until(w.idle, longestCall)
	}
}

// judgeGivenUp checks that an adopted certificate is revoked whose owner was told so.
func judgeGivenUp(w *world) {
	for _, serial := range slices.Sorted(maps.Keys(w.upkeep.adoptions)) {
		told := w.books.revoked[withColons(serial)]
		o := bySerial(ordersOf(w), serial)
		if told.IsZero() || beforeRollback(w, told) || o == nil {
			continue
		}
		if o.Status != "revoked" && o.Status != "expired" {
			w.violate("adopt/not-revoked", "adopted certificate %s was revoked at %s, and "+
				"CERTInext's order %s is %s", serial, told, o.ID, o.Status)
		}
	}
}
