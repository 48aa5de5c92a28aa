// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package terms

import "time"

const aDay = 24 * time.Hour

// publicLimits are the longest lives of publicly trusted TLS certificates by the day from which on
// they hold, the newest first (CA/Browser Forum, ballots SC-081v3 and SC-31).
var publicLimits = []struct {
	from  time.Time
	limit time.Duration
}{
	{time.Date(2029, time.March, 15, 0, 0, 0, 0, time.UTC), 47 * aDay},
	{time.Date(2027, time.March, 15, 0, 0, 0, 0, time.UTC), 100 * aDay},
	{time.Date(2026, time.March, 15, 0, 0, 0, 0, time.UTC), 200 * aDay},
	{time.Time{}, 398 * aDay},
}

// PublicLimit is the longest life of a publicly trusted TLS certificate that begins then.
func PublicLimit(begins time.Time) time.Duration {
	for _, l := range publicLimits {
		if !begins.Before(l.from) {
			return l.limit
		}
	}
	return 0
}

// UsualPublic is the life that a CA gives such a certificate: a day less than the limit, as
// Baseline Requirements §6.3.2 recommends, and never more than the 199 days of today. The last
// second counts (RFC 5280 §4.1.2.5), so that notAfter is a second less after notBefore.
func UsualPublic(begins time.Time) time.Duration {
	return min(PublicLimit(begins)-aDay, 199*aDay) - time.Second
}

// mailLimit is the longest life of an S/MIME certificate for mail alone (S/MIME Baseline
// Requirements §6.3.2).
const mailLimit = 825 * aDay

// CutMail is CutPublic for S/MIME.
func CutMail(life time.Duration) (cut time.Duration, tooLong bool) {
	return min(life, mailLimit-time.Second), life > mailLimit
}

// CutPublic is the life of such a certificate where the CA is set to give it another one, and
// whether that is more than the limit. Of that, too, the last second counts.
func CutPublic(begins time.Time, life time.Duration) (cut time.Duration, tooLong bool) {
	limit := PublicLimit(begins)
	return min(life, limit-time.Second), life > limit
}
