// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"testing/synctest"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
)

// A lease is what Vault stores for an answer with a lease.
type lease struct {
	serial  string
	secret  *logical.Secret
	path    string
	who     requester
	ends    time.Time
	ending  *call // the call by which Vault ended it; nil while it is live
	over    bool  // the plugin has accepted its end
	byClock bool  // the plugin could not tell whether a client or a wrong clock has ended it
	tries   int
	unknown bool // Vault has not stored it

	handedBack bool // Vault could not store it, and has told the plugin so

	takenBack bool // the plugin knows that its answer was not delivered
	backAt    moment
	answer    *call // the call that it belongs to
	renewal   *call // the latest renewal
}

// live reports whether the client may still rely on the lease.
func (l *lease) live() bool {
	return !l.unknown && l.ending == nil && !l.over && time.Now().Before(l.ends)
}

// A vault is the part of Vault's core that the mount needs: its leases.
type vault struct {
	world  *world
	leases []*lease
}

// register stores the lease of an answer, unless Vault dies before that, or cannot store it because
// the caller has hung up.
func (v *vault) register(c *call) {
	secret := *c.resp.Secret
	l := &lease{
		serial: c.text("serial_number"), secret: &secret, path: c.path, who: c.who,
		answer: c,
	}
	switch {
	case c.proc.dead.Load(), c.loss == "unstored":
		l.unknown = true
		v.leases = append(v.leases, l)
		return
	case c.hungUp, c.loss == "unleasable":
		// Vault could not store the lease, and hands it back without an issue time. It does not
		// check whether that succeeds.
		v.world.send(&call{
			what: "take back", op: logical.RevokeOperation, path: c.path, who: c.who,
			secret: &secret,
			answer: func(c *call) {
				l.takenBack = c.err == nil && !c.resp.IsError() && !c.lost()
				l.backAt = v.world.moment()
			},
		})
		l.unknown, l.handedBack = true, true
		v.leases = append(v.leases, l)
		return
	}
	secret.IssueTime = v.world.pluginNow()
	l.ends = time.Now().Add(secret.TTL)
	v.leases = append(v.leases, l)
}

// end tells the plugin that a lease is over. Vault tries again if that fails.
func (v *vault) end(l *lease) {
	ending := l.ending != nil && !l.ending.done.Load()
	if l.over || l.unknown || ending || l.renewal.underWay() {
		return
	}
	l.tries++
	v.seeClock(l)
	l.ending = v.world.send(&call{
		what: "end of a lease on " + l.serial, op: logical.RevokeOperation, path: l.path,
		secret: l.secret,
		answer: func(c *call) {
			v.seeClock(l) // it may have jumped meanwhile
			if c.err == nil && !c.resp.IsError() && !c.lost() {
				l.over = true
			}
		},
	})
	// The certificate may be revoked from now on, whether or not the plugin answers.
	v.world.books.leaseOver(l)
}

// setClock sets how far the plugin's clock is ahead, in nanoseconds. A lease that is being ended
// meanwhile may have been looked at by the clock as it was before, or as it is now.
func setClock(w *world, ahead int64) {
	w.vault.seeClocks()
	if leap := ahead - w.pluginAhead.Load(); leap > 0 {
		w.leapt.Add(leap)
	}
	w.pluginAhead.Store(ahead)
	noteSkew(w)
	w.vault.seeClocks()
}

// seeClocks is seeClock for each lease whose end is under way.
func (v *vault) seeClocks() {
	for _, l := range v.leases {
		if l.ending.underWay() {
			v.seeClock(l)
		}
	}
}

// seeClock records that the lease is over by a clock of the plugin's that is hours wrong.
func (v *vault) seeClock(l *lease) {
	synctest.Wait() // or what is stored would depend on how far others have come
	skew := time.Duration(v.world.pluginAhead.Load() - v.world.caAhead.Load())
	id, _ := l.secret.InternalData["lease"].(string)
	c := v.world.storedCert(l.serial)
	if c != nil && skew.Abs() > time.Hour && !v.world.pluginNow().Before(c.Leases[id]) {
		l.byClock = true
	}
}

// renew extends a lease.
func (v *vault) renew(l *lease, increment time.Duration) {
	if l.renewal.underWay() {
		return
	}
	secret := *l.secret
	secret.Increment = increment
	synctest.Wait() // as in seeClock
	stored := v.world.storedCert(l.serial)
	revoked := stored != nil && stored.Revocation != nil
	l.renewal = v.world.send(&call{
		what: "renewal of a lease on " + l.serial, op: logical.RenewOperation, path: l.path,
		secret: &secret,
		answer: func(c *call) {
			if c.err != nil || c.resp == nil || c.resp.IsError() {
				return
			}
			if revoked {
				v.world.violate("lease/renewed",
					"a lease on %s was renewed although the certificate is revoked", l.serial)
			}
			if c.resp.Secret != nil && !c.lost() && l.live() {
				l.ends = time.Now().Add(c.resp.Secret.TTL)
			}
		},
	})
}

// underWay reports whether a call is unanswered: Vault does only one thing at a time with a lease.
func (c *call) underWay() bool { return c != nil && !c.done.Load() && !c.proc.dead.Load() }

// tookBack reports whether the lease of an answer was handed back within the window, so that the
// answer does not count as delivered.
func (v *vault) tookBack(c *call, window time.Duration) bool {
	for _, l := range v.leases {
		if l.answer == c {
			return l.takenBack && l.backAt.within(window, c.began)
		}
	}
	return false
}

// logout ends every lease of a requester whose token is revoked.
func (v *vault) logout(who string) {
	for _, l := range v.leases {
		if l.who.name == who && l.live() {
			v.end(l)
		}
	}
}

// expire ends every lease whose time is over, and retries those whose end has failed.
func (v *vault) expire() {
	for _, l := range v.leases {
		switch {
		case l.over, l.unknown:
		case l.ending != nil && l.ending.done.Load(), l.ending != nil && l.ending.proc.dead.Load():
			v.end(l)
		case l.ending == nil && !time.Now().Before(l.ends):
			v.end(l)
		}
	}
}

// of returns the leases on a certificate.
func (v *vault) of(serial string) []*lease {
	var out []*lease
	for _, l := range v.leases {
		if l.serial == serial {
			out = append(out, l)
		}
	}
	return out
}
