// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
)

// moves are the ways to name another account than the usual one in the config: another account at
// the same address, and the account with the same number at another address.
var moves = []string{"number", "region"}

// accountTrials change the account that the config names, or delete the config, while orders are
// open, keys rest and leases run; and change back, sooner or later.
var accountTrials = []trial{
	{"another account", 4, func(d *dice) []Action {
		r := d.fresh(pick(d, "web", "web", "bare", "hasty", "hand", "rekey", "inside"))
		other := d.fresh(pick(d, "web", "bare"))
		how := pick(d, "number", "number", "region", "region", "delete")
		out := []Action{
			{Do: pick(d, "issue", "order", "async"), Request: r},
			{Do: "config", How: pick(d, how, how, how, "spelling")},
		}
		for range 3 + d.IntN(5) {
			out = append(out, pick(d,
				Action{Do: "issue", Request: r},
				Action{Do: "issue", Request: other},
				Action{Do: "collect", Request: pick(d, r, other)},
				Action{Do: "cancel", Request: pick(d, r, other)},
				Action{Do: "revoke", Request: r, How: pick(d, "serial", "order", "key", "mount")},
				Action{Do: "lease-end", Request: pick(d, r, other)},
				Action{Do: "reissue", Request: r},
				Action{Do: "renew", Request: r},
				Action{Do: "never-placed", Request: r},
				Action{Do: "adopt", Request: r},
				Action{Do: "sync"},
				Action{Do: "restart"},
				Action{Do: "time", For: pick(d, 6*time.Minute, 9*time.Hour)},
				Action{Do: "config", How: pick(d, "number", "region", "delete", "write")},
				Action{Do: "wire", At: "< create-", Bad: pick(d, "before", "crash")}))
		}
		if d.IntN(3) > 0 {
			out = append(out, Action{Do: "config", How: pick(d, "write", "write", "spelling")},
				Action{Do: "issue", Request: pick(d, r, other)})
		}
		return out
	}},
}

// An elsewhere is an account of CERTInext that is not the mount's usual one. Each has its own
// orders, and refuses the credentials and the order numbers of the others.
type elsewhere struct {
	server      *certinexttest.Server
	url, number string
	tokens      []string // that it has granted
}

const otherNumber, otherKey, otherSecret = "9876543210", "other-access-key", "other-client-secret"

// elsewhereAt returns the account of a move, which begins to exist when it is first needed; nil for
// another word.
func elsewhereAt(w *world, move string) *elsewhere {
	if e := w.elsewhere[move]; e != nil || !slices.Contains(moves, move) {
		return e
	}
	e := &elsewhere{
		server: w.newCA(w.manners), url: caURL, number: certinexttest.DefaultAccountNumber,
	}
	if move == "number" {
		e.number = otherNumber
		e.server.AccountNumber, e.server.AccessKey = otherNumber, otherKey
		e.server.ClientSecret = otherSecret
	} else {
		e.url = "https://region.certinext.test"
		e.server.BaseURL = e.url
	}
	w.elsewhere[move] = e
	return e
}

// configOf returns a config that names the account of a move, or the usual one, whatever of the
// former account is open.
func configOf(w *world, move string) map[string]any {
	config := w.account()
	config["force"] = true
	e := elsewhereAt(w, move)
	if e == nil {
		return config
	}
	config["base_url"] = e.url
	if e.number == otherNumber {
		for field, value := range map[string]string{
			"account_number": otherNumber, "access_key": otherKey,
			"client_id": otherNumber, "client_secret": otherSecret,
		} {
			if config[field] != nil {
				config[field] = value
			}
		}
	}
	return config
}

// visited returns the moves that a history has made, in order.
func visited(w *world) []string { return slices.Sorted(maps.Keys(w.elsewhere)) }

// servers returns all accounts, the usual one first.
func servers(w *world) []*certinexttest.Server {
	out := []*certinexttest.Server{w.ca}
	for _, move := range visited(w) {
		out = append(out, w.elsewhere[move].server)
	}
	return out
}

// ordersOf returns the orders of all accounts.
func ordersOf(w *world) []certinexttest.OrderRecord {
	var out []certinexttest.OrderRecord
	for _, s := range servers(w) {
		out = append(out, s.Orders()...)
	}
	return out
}

// serverOf returns the account that has an order, or nil.
func serverOf(w *world, number string) *certinexttest.Server {
	for _, s := range servers(w) {
		if _, there := s.Order(number); there && number != "" {
			return s
		}
	}
	return nil
}

// verifies reports whether a certificate verifies against the roots of any account.
func verifies(w *world, leaf *x509.Certificate, with x509.VerifyOptions) (err error) {
	for _, s := range servers(w) {
		with.Roots = s.Roots()
		if _, err = leaf.Verify(with); err == nil {
			return nil
		}
	}
	return err
}

// serverFor returns the account that a request is for, by its address and its credentials. An order
// of one account is none of the others': no request about it may reach them.
func serverFor(w *world, req *http.Request, body []byte) *certinexttest.Server {
	to := w.ca
	for _, move := range visited(w) {
		if e := w.elsewhere[move]; e.takes(req, body) {
			to = e.server
		}
	}
	if len(w.elsewhere) > 0 {
		number := numberIn(req, body)
		if home := serverOf(w, number); home != nil && home != to && !w.books.typed[number] {
			w.violate("account/foreign-call",
				"CERTInext's order %s was asked about, with %s %s, in another account than its own",
				number, req.Method, req.URL.Path)
		}
	}
	return to
}

// takes reports whether a request is for this account.
func (e *elsewhere) takes(req *http.Request, body []byte) bool {
	if e.url != caURL {
		return strings.HasSuffix(e.url, "//"+req.URL.Host)
	}
	if id, _, basic := req.BasicAuth(); basic {
		return id == e.number
	}
	text := req.Header.Get("Authorization") + string(body)
	return strings.Contains(text, e.number) || slices.ContainsFunc(e.tokens,
		func(token string) bool { return strings.Contains(text, token) })
}

var v1Number = regexp.MustCompile(`"orderNumber"\s*:\s*"([^"]+)"`)

// numberIn returns the order that a request is about; empty when it is about none.
func numberIn(req *http.Request, body []byte) string {
	if m := familyPath.FindStringSubmatch(req.URL.Path); m != nil {
		return m[2]
	}
	if m := v1Number.FindSubmatch(body); m != nil {
		return string(m[1])
	}
	return ""
}

// noteToken keeps the tokens that an account elsewhere grants.
func noteToken(w *world, from *certinexttest.Server, resp *http.Response) {
	for _, e := range w.elsewhere {
		if e.server != from || resp == nil {
			continue
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		resp.Body = io.NopCloser(bytes.NewReader(body))
		e.tokens = append(e.tokens, tokensIn(body)...)
	}
}

// tokensIn returns the tokens in an answer, at whatever depth.
func tokensIn(body []byte) []string {
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil {
		return nil
	}
	var out []string
	for name, value := range fields {
		var text string
		if json.Unmarshal(value, &text) != nil {
			out = append(out, tokensIn(value)...)
		} else if strings.Contains(strings.ToLower(name), "token") && len(text) > 12 {
			out = append(out, text)
		}
	}
	return out
}

// strand has the mount go on for some hours without its account, and checks that no key outlives
// its grace because of that: to erase one needs no CERTInext.
func strand(w *world) {
	var c *call
	switch {
	case w.runaway():
		return
	case w.unconfigured && (!w.moved || w.sched.seed%2 == 0):
		c = noConfig()
	case w.moved:
		c = update("config", configOf(w, visited(w)[0]))
	default:
		return
	}
	w.note("--- stranded ---")
	c.who, c.what = operator, "strand"
	w.configs = append(w.configs, w.send(c))
	w.until(w.idle, longestCall)
	for range 5 {
		w.until(func() bool { return false }, 40*time.Minute)
		w.pass()
		w.until(w.idle, longestCall)
	}
	for _, o := range w.storedOrders() {
		if !o.open || o.PrivateKey == "" {
			continue
		}
		for _, c := range w.storedCerts() {
			if c.OrderID == o.ID && c.Delivery != nil &&
				w.pluginNow().After(c.Delivery.Last.Add(grace(o.Role)+2*time.Hour)) {
				w.violate("key/stranded", "the key of order %s (%s) is still there, and was last "+
					"handed over at %s", o.ID, o.Role, c.Delivery.Last)
			}
		}
	}
}

// goRound has the config name each account in turn while rounds go on, and the usual one in the
// round -1.
func goRound(w *world, round int) {
	if !w.moved && (!w.unconfigured || round != 0) {
		return
	}
	all := append([]string{""}, visited(w)...)
	w.mustWrite("config", configOf(w, all[max(round, 0)%len(all)]))
}

// eachAccount takes care of the mount in each account in turn, the usual one last. account is what
// orders call it.
func eachAccount(w *world, do func(account string)) {
	for _, move := range visited(w) {
		w.mustWrite("config", configOf(w, move))
		do(w.elsewhere[move].url + "|" + w.elsewhere[move].number)
	}
	if len(w.elsewhere) > 0 {
		w.mustWrite("config", configOf(w, ""))
	}
	do(caURL + "|" + certinexttest.DefaultAccountNumber)
}

// noConfig is a call that deletes the config, whatever of its account is open.
func noConfig() *call {
	return &call{
		op: logical.DeleteOperation, path: "config", data: map[string]any{"force": true},
	}
}
