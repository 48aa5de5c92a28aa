// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package index

import (
	"time"
)

// ByExpiry counts the certificates that are neither revoked nor expired by how long they are still
// valid. bounds ascend; element i of the answer counts those that are valid for bounds[i] at most,
// and for more than the bound before, and the last element those that are valid for longer.
func (x *Index) ByExpiry(now time.Time, bounds []time.Duration) []int {
	counts, from := make([]int, len(bounds)+1), now.Unix()
	x.scan(func(p *packed) bool {
		if p.revoked != 0 || p.notAfter <= from {
			return true
		}
		left, i := p.notAfter-from, 0
		for i < len(bounds) && left > int64(bounds[i]/time.Second) {
			i++
		}
		counts[i]++
		return true
	})
	return counts
}
