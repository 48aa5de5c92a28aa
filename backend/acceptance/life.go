// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"crypto/x509"
	"fmt"
	"time"
)

// soon is how far in the future the beginning of a certificate may lie to be waited for.
const soon = 10 * time.Minute

const day = 24 * time.Hour

// publicLives are how long certificates that browsers trust may live, by when they begin (Baseline
// Requirements for TLS, 6.3.2, since ballot SC-081v3), the latest rule first.
var publicLives = []struct {
	from time.Time
	days int
}{
	{time.Date(2029, time.March, 15, 0, 0, 0, 0, time.UTC), 47},
	{time.Date(2027, time.March, 15, 0, 0, 0, 0, time.UTC), 100},
	{time.Date(2026, time.March, 15, 0, 0, 0, 0, time.UTC), 200},
	{time.Time{}, 398},
}

// judgeLife looks at when the certificate begins, and for how long it is valid. That it is over is
// not its concern: by whose clock it is, decides (ADR 0022).
func (v *Verdict) judgeLife(leaf *x509.Certificate, ordered *Ordered, now time.Time) {
	switch begins := leaf.NotBefore; {
	case begins.After(now.Add(soon)):
		v.Faults = append(v.Faults, fmt.Sprintf("it begins to be valid only at %s",
			begins.UTC().Format(time.RFC3339)))
	case begins.After(now):
		v.Begins = begins
	}
	life := leaf.NotAfter.Sub(leaf.NotBefore)
	switch {
	case life <= 0:
		v.Faults = append(v.Faults, "it ends before it begins")
	case ordered.Public:
		if days := publicDays(leaf.NotBefore); life > time.Duration(days)*day {
			v.Faults = append(v.Faults, fmt.Sprintf(
				"it is valid for %d days: public rules allow %d, and clients may refuse it",
				inDays(life), days))
		}
	case ordered.Years > 0 && leaf.NotAfter.After(leaf.NotBefore.AddDate(ordered.Years, 2, 0)):
		v.Faults = append(v.Faults, fmt.Sprintf(
			"it is valid for %d days, longer than its subscription of validity_years=%d",
			inDays(life), ordered.Years))
	}
}

// inDays returns a life in days. What is beyond a whole day counts as another one (Baseline
// Requirements for TLS, 6.3.2).
func inDays(life time.Duration) time.Duration {
	if life%day > 0 {
		return life/day + 1
	}
	return life / day
}

// publicDays returns for how many days a certificate that begins then may be valid.
func publicDays(begins time.Time) int {
	for _, rule := range publicLives {
		if !begins.Before(rule.from) {
			return rule.days
		}
	}
	return 0 // not reached: the last rule has no beginning
}
