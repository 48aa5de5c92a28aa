// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// A key is erased in time although the config does not name its order's account, and CERTInext
// therefore never tells its clock: by what has really passed within the process. The true time of
// the history says how long that is, whatever the plugin's clock shows (ADR 0022).

// A formerConfig is the account that the config named until it was written: nil for none.
type formerConfig struct {
	account *certinexttest.Server
	until   time.Time
}

// noteConfig records which account the config named until now.
func noteConfig(w *world, key string, before []byte) {
	if key == "config" {
		w.formerly = append(w.formerly, formerConfig{accountIn(w, before), time.Now()})
	}
}

// accountIn returns the account that a stored config names; nil when it is none of the history's.
func accountIn(w *world, stored []byte) *certinexttest.Server {
	var c struct {
		BaseURL  string `json:"base_url"`
		ClientID string `json:"client_id"`
		Number   string `json:"account_number"`
	}
	if json.Unmarshal(stored, &c) != nil {
		return nil
	}
	at, err := url.Parse(c.BaseURL)
	if err != nil {
		return nil
	}
	for _, move := range visited(w) {
		e := w.elsewhere[move]
		if e.number == c.ClientID+c.Number && strings.HasSuffix(e.url, "//"+at.Hostname()) {
			return e.server
		}
	}
	if strings.EqualFold("https://"+at.Hostname(), caURL) &&
		c.ClientID+c.Number == certinexttest.DefaultAccountNumber {
		return w.ca
	}
	return nil
}

// wasStranded reports whether the config did not name the account of an order of CERTInext's, for
// some time of a call at least.
func wasStranded(w *world, by *call, number string) bool {
	home := serverOf(w, number)
	return accountIn(w, w.disk.entries["config"]) != home ||
		slices.ContainsFunc(w.formerly, func(f formerConfig) bool {
			return f.account != home && !f.until.Before(by.started)
		})
}

// A rest is since when a stored certificate was there for its client, and when it was handed over,
// as storage has it: an answer that was taken back does not count.
type rest struct {
	since   time.Time
	answers []time.Time
}

// noteRest records a change of a stored certificate.
func (b *books) noteRest(c *storedCert) {
	r := b.rests[c.Serial]
	if r == nil || len(c.Held) > 0 || c.Imported {
		r = &rest{since: time.Now()}
		b.rests[c.Serial] = r
	}
	n := 0
	if c.Delivery != nil {
		n = max(c.Delivery.Times, 1)
	}
	for len(r.answers) < n {
		r.answers = append(r.answers, time.Now())
	}
	r.answers = r.answers[:n]
}

// hasOutlived reports whether a key may be erased because of time in a call, although the clock is
// in doubt: its order is stranded, and longer than the key is kept has really passed, within the
// process that erases it, since the latest answer that held the certificate, or since the
// certificate could first be fetched when there is none.
func hasOutlived(w *world, by *call, c *storedCert) bool {
	if by == nil || !wasStranded(w, by, c.CAOrderID) {
		return false
	}
	since, life := by.proc.since, pickup(c.Role)
	r := w.books.rests[c.Serial]
	if r == nil {
		return false
	}
	last := r.since
	if n := len(r.answers); n > 0 {
		last, life = r.answers[n-1], keyLife(c.Role)
	}
	if last.After(since) {
		since = last
	}
	return time.Since(since) > life
}

// certOf reads the certificate of an order of the mount; nil if there is none.
func certOf(w *world, id string) *storedCert {
	for _, key := range w.disk.under("cert/") {
		c := new(storedCert)
		if json.Unmarshal(w.disk.entries[key], c) == nil && c.OrderID == id {
			return c
		}
	}
	return nil
}
