// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package ctlog

import "time"

// longLife is the life beyond which browsers want a third timestamp (the CT policies of Chrome and
// Apple).
const longLife = 180 * 24 * time.Hour

// Wanted are the first of logs whose promises a certificate of a life needs, so that browsers take
// it: two, or three for one that lives for more than 180 days. The first two logs are of two
// operators.
func Wanted(logs []*Log, life time.Duration) []*Log {
	wanted := 2
	if life > longLife {
		wanted = 3
	}
	return logs[:min(wanted, len(logs))]
}
