// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"strings"

	"github.com/hashicorp/vault/sdk/logical"
)

// meddling is what a stranger may try with what somebody else has ordered.
var meddling = []string{
	"collect", "collect", "cancel", "cancel", "promote", "reissue", "renew", "revoke",
	"revoke-order",
}

// strangerTrials have somebody else meddle with an order, at each point of its life.
var strangerTrials = []trial{
	{"strangers", 3, func(d *dice) []Action {
		r := d.fresh(pick(d, "web", "bare", "hand", "rekey", "hasty"))
		begin := Action{Do: pick(d, "order", "issue", "async"), Request: r}
		if d.IntN(5) == 0 {
			r = d.draft()
			begin = Action{Do: "draft", Request: r}
		}
		out := []Action{begin}
		for range 3 + d.IntN(5) {
			out = append(out, Action{Do: "steal", Request: r, How: pick(d, meddling...)})
			switch d.IntN(6) {
			case 0:
				out = append(out, Action{Do: "issue", Request: r})
			case 1:
				out = append(out, Action{Do: "collect", Request: r})
			case 2:
				out = append(out, Action{Do: "reissue", Request: r})
			}
		}
		return out
	}},
}

// doSteal has another requester try to fetch, change or end what a client has ordered. Nothing of
// that is counted as asked for.
func doSteal(w *world, a Action) {
	k := w.existing(a.Request)
	if k == nil || k.order() == "" {
		return
	}
	thief := requesters["bob"]
	if k.request.Who == "bob" {
		thief = requesters["ann"]
	}
	c := theft(k, a.How)
	if c == nil {
		return
	}
	c.what, c.who, c.request, c.stranger = "steal "+k.request.Name, thief, &k.request, true
	w.send(c).answer = func(c *call) {
		if c.err == nil && !c.resp.IsError() {
			w.violate("privacy/meddled", "%s did %s with order %s of %s: %s", thief.name, c.op,
				c.path, k.request.Who, c.answered())
		}
	}
}

// theft is the call by which a stranger meddles with the latest order of a client, or with its
// certificate; nil while there is none.
func theft(k *client, how string) *call {
	role, id := k.request.Role, k.order()
	path := "orders/" + role + "/" + id
	switch how {
	case "cancel":
		return &call{op: logical.DeleteOperation, path: path}
	case "promote":
		return update(path, map[string]any{"promote": true})
	case "reissue":
		return update(path+"/reissue", map[string]any{"reason": "rotation"})
	case "revoke-order":
		return update("revoke/"+role, map[string]any{"order_id": id})
	case "renew", "revoke":
		switch {
		case k.serial() == "":
			return nil
		case how == "renew":
			return update("renew/"+role+"/"+k.serial(), map[string]any{})
		}
		return update("revoke/"+role, map[string]any{"serial_number": k.serial()})
	}
	return update(path+"/collect", nil)
}

func update(path string, data map[string]any) *call {
	return &call{op: logical.UpdateOperation, path: path, data: data}
}

// changesOrders reports whether an operation of CERTInext places, changes or ends an order.
func changesOrders(name string) bool {
	for _, prefix := range []string{"create-", "cancel", "revoke", "reissue", "submit-csr", "csr"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// watchConduct checks that what a call has CERTInext do is its to do, before CERTInext hears of it.
func watchConduct(w *world, by *call, name string) {
	if by == nil || !changesOrders(name) {
		return
	}
	switch {
	case by.stranger:
		w.violate("privacy/acted", "%s had CERTInext do %s with an order of %s: %s %s",
			by.who.name, name, by.request.Who, by.op, by.path)
	case by.path == "sync":
		w.violate("sync/acted", "a synchronization had CERTInext do %s", name)
	}
}
