// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
)

// A tidyRun is the part of the stored status of a run that its deeds are judged by.
type tidyRun struct {
	State   string
	Request struct {
		CertStore      bool          `json:"cert_store"`
		RevokedCerts   bool          `json:"revoked_certs"`
		SafetyBuffer   time.Duration `json:"safety_buffer"`
		Orders         bool          `json:"orders"`
		OrderBuffer    time.Duration `json:"order_buffer"`
		RefusedOrders  bool          `json:"refused_orders"`
		NamedOrders    bool          `json:"named_orders"`
		LoseSpending   bool          `json:"lose_spending"`
		ReuseKeys      bool          `json:"reuse_keys"`
		PersonalBuffer time.Duration `json:"personal_buffer"`
	}
}

func tidyRunOf(w *world) (r tidyRun) {
	_ = json.Unmarshal(w.disk.entries["tidy/status"], &r)
	return r
}

func (r tidyRun) isUnderWay() bool { return r.State == "Running" || r.State == "Cancelling" }

// caNow is the time by CERTInext's clock.
func caNow(w *world) time.Time { return time.Now().Add(time.Duration(w.caAhead.Load())) }

// watchErasure checks that nothing is erased that is still needed, by the truth and not by what the
// engine's clock shows. Some time passes between its look and its deed.
func watchErasure(ctx context.Context, w *world, key string, before, after []byte) {
	if before == nil || after != nil {
		return
	}
	if by := callOf(ctx); by != nil && by.proc.held && strings.HasPrefix(key, "cert/") {
		w.violate("hold/tidied", "%s was erased while the mount is held", key)
	}
	switch {
	case strings.HasPrefix(key, "cert/"):
		c := new(storedCert)
		if json.Unmarshal(before, c) == nil {
			judgeErasedCert(w, c)
			w.upkeep.certs[c.Serial] = c
		}
	case strings.HasPrefix(key, "order/closed/"):
		o := new(storedOrder)
		if json.Unmarshal(before, o) == nil && !goesElsewhere(ctx, w, o) {
			judgeErasedOrder(w, o)
			w.upkeep.orders = append(w.upkeep.orders, o)
		}
	}
}

// judgeErasedCert checks that a certificate is over, and that neither a lease, nor a revocation,
// nor an order, nor a subscription, nor a request, nor another certificate needs it.
func judgeErasedCert(w *world, c *storedCert) {
	run, now := tidyRunOf(w), caNow(w)
	wanted := run.Request.CertStore
	if c.Revocation != nil {
		wanted = run.Request.RevokedCerts
	}
	wrong := func(promise, format string, args ...any) {
		w.violate("tidy/"+promise, "certificate %s was erased: %s", c.Serial,
			fmt.Sprintf(format, args...))
	}
	if !run.isUnderWay() || !wanted {
		wrong("unasked", "no run is under way that is to erase it: %+v", run)
	}
	if now.Add(time.Minute).Before(c.NotAfter.Add(run.Request.SafetyBuffer)) {
		wrong("early", "CERTInext's clock shows %s, and it expires at %s", now, c.NotAfter)
	}
	for _, l := range w.vault.of(withColons(c.Serial)) {
		if l.live() {
			wrong("lease", "%s has a lease on it", l.who.name)
		}
	}
	if w.disk.entries["revocation/"+c.Serial] != nil {
		wrong("queued", "its revocation is queued")
	}
	for _, o := range w.storedOrders() {
		if o.open && (o.ID == c.OrderID || (o.Reissue != nil && o.Reissue.Serial == c.Serial)) {
			wrong("open", "order %s is open", o.ID)
		}
	}
	for _, key := range w.disk.under(keptPrefix) {
		kept := keptAt(w, key)
		if kept.Serial == c.Serial && now.Before(kept.Until) {
			wrong("reused", "requests are answered with it until %s", kept.Until)
		}
	}
	for _, other := range w.storedCerts() {
		switch {
		case other.Serial == c.Serial:
		case (other.RenewedBy == c.Serial || other.ReissuedAs == c.Serial) &&
			now.Before(other.NotAfter):
			wrong("linked", "%s, which is valid, has it for its successor", other.Serial)
		}
	}
	if c.Revocation == nil && now.Before(c.Subscription.EndsAt) && isNewestOf(w, c) {
		wrong("subscription", "its order may be reissued until %s", c.Subscription.EndsAt)
	}
}

// isNewestOf reports whether no newer certificate of a certificate's order is stored, and not
// revoked.
func isNewestOf(w *world, c *storedCert) bool {
	return !slices.ContainsFunc(w.storedCerts(), func(other *storedCert) bool {
		return other.Serial != c.Serial && other.CAOrderID == c.CAOrderID &&
			other.Revocation == nil && other.NotBefore.After(c.NotBefore)
	})
}

// goesElsewhere reports whether the record of a closed order is deleted for another reason than
// that it is tidied: it is open again, has moved, was that of an adoption, or of a request that
// CERTInext has refused once more.
func goesElsewhere(ctx context.Context, w *world, o *storedOrder) bool {
	by := callOf(ctx)
	switch {
	case w.disk.entries["order/open/"+o.Role+"/"+o.ID] != nil:
		return true
	case o.CAOrderID == "" && o.RequestID == "" && o.Reissue == nil:
		return true
	case isCutShort(w, o):
		return true // the pass undoes what a crash has left of its adoption
	case by == nil:
		return false
	case !o.AdoptedAt.IsZero() && strings.HasPrefix(by.path, "operator/adopt/"):
		return true
	case o.CAOrderID == "" && by.op == logical.DeleteOperation:
		return true // its requester has deleted what CERTInext never had
	}
	return o.marker() != "" && slices.ContainsFunc(w.storedOrders(), func(s *storedOrder) bool {
		return s.marker() == o.marker() && s.ID != o.ID
	})
}

// isCutShort reports whether an order is that of an adoption whose certificate was never given to
// it.
func isCutShort(w *world, o *storedOrder) bool {
	c := w.storedCert(o.Serial)
	return !o.AdoptedAt.IsZero() && c != nil && c.OrderID != o.ID
}

// judgeErasedOrder checks that the record of an order is old enough, that no certificate of it is
// left, and that it is not what keeps a named request from buying again.
func judgeErasedOrder(w *world, o *storedOrder) {
	run, now := tidyRunOf(w), caNow(w)
	wrong := func(promise, format string, args ...any) {
		w.violate("tidy/"+promise, "the record of order %s was erased: %s", o.ID,
			fmt.Sprintf(format, args...))
	}
	taken := o.CAOrderID != ""
	if !run.isUnderWay() || (taken && !run.Request.Orders) ||
		(!taken && !run.Request.RefusedOrders && !run.Request.Orders) {
		wrong("unasked", "no run is under way that is to erase it: %+v", run)
	}
	if taken && o.RequestID != "" && !strings.HasPrefix(o.RequestID, "renew:") &&
		!run.Request.NamedOrders {
		wrong("named", "%q names it, and would buy again", o.RequestID)
	}
	buffer := run.Request.OrderBuffer
	if !run.Request.LoseSpending {
		buffer = max(buffer, 400*aDay)
	}
	if asked := o.CreatedAt; taken && now.Add(time.Minute).Before(asked.Add(buffer)) {
		wrong("spending", "it is of %s", asked)
	}
	for _, c := range w.storedCerts() {
		if c.OrderID == o.ID || (taken && c.CAOrderID == o.CAOrderID) {
			wrong("record", "certificate %s of it is stored", c.Serial)
		}
	}
}

// A keptKey is what a key that was kept for reuse is kept for.
type keptKey struct {
	Serial string    `json:"serial"`
	Until  time.Time `json:"until"`
}

func keptAt(w *world, key string) (k keptKey) {
	_ = json.Unmarshal(w.disk.entries[key], &k)
	return k
}

// tidyNow has everything tidied that may be, waits for that, and tells what came of it.
func tidyNow(w *world, dry bool) string {
	wish := map[string]any{"dry_run": dry}
	for field, value := range tidyWishes["all"] {
		wish[field] = value
	}
	w.mustWrite("tidy", wish)
	for range 60 {
		w.until(func() bool { return false }, 10*time.Second)
		c := w.send(&call{
			what: "look at tidying", op: logical.ReadOperation, path: "tidy-status", who: operator,
		})
		w.until(w.idle, longestCall)
		switch state := c.text("state"); state {
		case "Running":
			continue
		case "Finished":
			return countsOf(c)
		default:
			w.violate("tidy/fails", "tidying has ended as %q while nothing fails: %s", state,
				c.answered()+" "+c.text("error"))
			return ""
		}
	}
	w.violate("tidy/never-ends", "a run has not ended after ten minutes")
	return ""
}

// countsOf returns what a status counts.
func countsOf(c *call) string {
	var out []string
	for field, value := range c.resp.Data {
		if strings.HasSuffix(field, "_count") || field == "kept" {
			out = append(out, fmt.Sprintf("%s %v", field, value))
		}
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// judgeLeft checks what a run that has finished leaves behind.
func judgeLeft(w *world) {
	for _, key := range w.disk.under("number/") {
		var n numberEntry
		_ = json.Unmarshal(w.disk.entries[key], &n)
		for _, known := range n.Certificates {
			if w.upkeep.certs[known.Serial] != nil && w.storedCert(known.Serial) == nil {
				w.violate("tidy/leftover", "%s names certificate %s, which is erased", key,
					known.Serial)
			}
		}
	}
	for _, key := range w.disk.under("revoked/") {
		if w.disk.entries["cert/"+strings.TrimPrefix(key, "revoked/")] == nil {
			w.violate("tidy/leftover", "%s is the record of a certificate that is erased", key)
		}
	}
	now := w.pluginNow()
	if ca := caNow(w); ca.Before(now) {
		now = ca
	}
	for _, c := range w.storedCerts() {
		over := now.After(c.NotAfter.Add(2*time.Hour)) &&
			(c.Revocation != nil || !now.Before(termOf(w, c)))
		for _, ends := range c.Leases {
			over = over && now.After(ends)
		}
		if over && w.disk.entries["revocation/"+c.Serial] == nil && !isReused(w, c) {
			w.violate("tidy/left", "certificate %s has expired at %s, nothing needs it, and it is "+
				"still there", c.Serial, c.NotAfter)
		}
	}
}

// termOf returns when the term ends of a certificate's order, by any of its certificates.
func termOf(w *world, c *storedCert) (ends time.Time) {
	for _, other := range w.storedCerts() {
		if other.CAOrderID == c.CAOrderID && other.Subscription.EndsAt.After(ends) {
			ends = other.Subscription.EndsAt
		}
	}
	return ends
}

// isReused reports whether the key of a certificate is kept.
func isReused(w *world, c *storedCert) bool {
	return slices.ContainsFunc(w.disk.under(keptPrefix), func(key string) bool {
		return keptAt(w, key).Serial == c.Serial
	})
}
