// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import "time"

// clockPatience is how far our clock and CERTInext's may be apart before ours is in doubt: then nothing that cannot be undone happens because
// of time alone.
const clockPatience = time.Hour

// clockInDoubt reports whether CERTInext's latest answer was dated so differently from our clock that one of the two is wrong.
func (e *Engine) clockInDoubt() bool {
	a, known, _ := e.accounts.known(configKey)
	if !known {
		return false
	}
	c, ok := any(a.client).(interface{ ClockSkew() (time.Duration, bool) })
	if !ok {
		return false
	}
	skew, known := c.ClockSkew()
	return known && skew.Abs() > clockPatience
}
