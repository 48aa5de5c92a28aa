// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"slices"
	"time"
)

// burstWindow is the time over which create calls of version 1 are counted.
const burstWindow = 10 * time.Second

// checkBurst refuses a create call that is one too many. Observed: the words
// are those for a user who is truly inactive, so a client cannot tell.
func (s version1) checkBurst(now time.Time) *problem {
	if s.CreateBurst <= 0 {
		return nil
	}
	s.creates = slices.DeleteFunc(s.creates, func(at time.Time) bool {
		return now.Sub(at) >= burstWindow
	})
	if len(s.creates) >= s.CreateBurst {
		return v1Failure(wordsOnly, "Inactive Account User.").because(reason{
			Name: "create-burst", Source: sourceLive,
		})
	}
	s.creates = append(s.creates, now)
	return nil
}
