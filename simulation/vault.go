// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"time"

	"github.com/hashicorp/vault/sdk/logical"
)

// A lease is what Vault has stored of an answer.
type lease struct {
	serial  string
	secret  *logical.Secret
	path    string
	who     requester
	ends    time.Time
	ending  *call // Vault has told the plugin that it is over
	over    bool  // and the plugin has taken it
	byClock bool  // the plugin could not tell it from one that a wrong clock has ended
	tries   int
	unknown bool // Vault has died before it stored it

	takenBack bool // nobody has got the certificate by it, and the plugin knows
	backAt    moment
	answer    *call // that it belongs to
	renewal   *call // the last one
}

// live reports whether the client may still rely on it.
func (l *lease) live() bool {
	return !l.unknown && l.ending == nil && !l.over && time.Now().Before(l.ends)
}

// A vault is what Vault's core keeps of the mount's answers: its leases.
type vault struct {
	world  *world
	leases []*lease
}

// register stores the lease of an answer, unless Vault dies before it has, or cannot, since the caller has hung up.
func (v *vault) register(c *call) {
	secret := *c.resp.Secret
	l := &lease{serial: c.text("serial_number"), secret: &secret, path: c.path, who: c.who, answer: c}
	switch {
	case c.proc.dead.Load(), c.loss == "unstored":
		l.unknown = true
		v.leases = append(v.leases, l)
		return
	case c.hungUp, c.loss == "unleasable":
		// Vault could not store it, and hands it back without a time of issue. Whether that arrives, it does not look at.
		v.world.send(&call{
			what: "take back", op: logical.RevokeOperation, path: c.path, who: c.who, secret: &secret,
			answer: func(c *call) {
				l.takenBack, l.backAt = c.err == nil && !c.resp.IsError() && !c.lost(), v.world.moment()
			},
		})
		l.unknown = true
		v.leases = append(v.leases, l)
		return
	}
	secret.IssueTime = v.world.pluginNow()
	l.ends = time.Now().Add(secret.TTL)
	v.leases = append(v.leases, l)
}

// end tells the plugin that a lease is over. Vault tries again when that fails.
func (v *vault) end(l *lease) {
	if l.over || l.unknown || l.ending != nil && !l.ending.done.Load() || l.renewal.underWay() {
		return
	}
	l.tries++
	v.seeClock(l)
	l.ending = v.world.send(&call{
		what: "end of a lease on " + l.serial, op: logical.RevokeOperation, path: l.path, secret: l.secret,
		answer: func(c *call) {
			v.seeClock(l) // it may have jumped meanwhile
			if c.err == nil && !c.resp.IsError() && !c.lost() {
				l.over = true
			}
		},
	})
	v.world.books.leaseOver(l) // the certificate may be revoked from now on, whether the plugin answers or not
}

// seeClock notes that the lease is over by a clock of the plugin's that is hours wrong.
func (v *vault) seeClock(l *lease) {
	skew := time.Duration(v.world.pluginAhead.Load() - v.world.caAhead.Load())
	id, _ := l.secret.InternalData["lease"].(string)
	if c := v.world.storedCert(l.serial); c != nil && skew.Abs() > time.Hour && !v.world.pluginNow().Before(c.Leases[id]) {
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
	stored := v.world.storedCert(l.serial)
	revoked := stored != nil && stored.Revocation != nil
	l.renewal = v.world.send(&call{
		what: "renewal of a lease on " + l.serial, op: logical.RenewOperation, path: l.path, secret: &secret,
		answer: func(c *call) {
			if c.err != nil || c.resp == nil || c.resp.IsError() {
				return
			}
			if revoked {
				v.world.violate("lease/renewed", "a lease on %s was renewed, which is revoked", l.serial)
			}
			if c.resp.Secret != nil && !c.lost() && l.live() {
				l.ends = time.Now().Add(c.resp.Secret.TTL)
			}
		},
	})
}

// underWay reports whether a call has no answer yet: Vault does one thing at a time with a lease.
func (c *call) underWay() bool { return c != nil && !c.done.Load() && !c.proc.dead.Load() }

// tookBack reports whether the lease of an answer was handed back in time: nobody has got that.
func (v *vault) tookBack(c *call, window time.Duration) bool {
	for _, l := range v.leases {
		if l.answer == c {
			return l.takenBack && l.backAt.within(window, c.began)
		}
	}
	return false
}

// logout ends every lease of somebody, whose token is revoked.
func (v *vault) logout(who string) {
	for _, l := range v.leases {
		if l.who.name == who && l.live() {
			v.end(l)
		}
	}
}

// expire ends every lease whose time is over, and tries again what has failed.
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

// of lists the leases on a certificate.
func (v *vault) of(serial string) []*lease {
	var out []*lease
	for _, l := range v.leases {
		if l.serial == serial {
			out = append(out, l)
		}
	}
	return out
}
