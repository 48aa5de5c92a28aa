// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package domains

import (
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/stretchr/testify/require"
)

func TestWhenADomainIsValidatedAnew(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	kept, other := &stored{Keep: true, RenewBefore: 30 * day}, &stored{RenewBefore: 30 * day}
	require.False(t, kept.due(now.Add(31*day), now))
	require.True(t, kept.due(now.Add(30*day), now))
	require.True(t, kept.due(now.Add(-day), now))
	require.False(t, other.due(now.Add(30*day), now), "it is not kept validated")
	require.True(t, other.due(now, now))

	require.Equal(t, now.Add(day), kept.nextCheck(now.Add(90*day), now, 0),
		"daily, since a portal may deactivate it")
	require.Equal(t, now.Add(time.Hour), kept.nextCheck(now.Add(30*day+time.Hour), now, 0))
	require.Equal(t, now.Add(30*time.Second), kept.nextCheck(now, now, 1))
	require.Equal(t, now.Add(6*time.Hour), kept.nextCheck(now, now, 100),
		"not more often, whatever goes wrong")
}

func TestAValidatedDomainIsOneWhoseTimeHasNotRunOut(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		domain *certinext.Domain
		want   bool
	}{
		"none":     {nil, false},
		"verified": {&certinext.Domain{DCVStatus: "VERIFIED"}, true},
		"verified, and time is left": {
			&certinext.Domain{DCVStatus: "VERIFIED", ValidTill: now.Add(1)}, true,
		},
		"verified, and time is up": {
			&certinext.Domain{DCVStatus: "VERIFIED", ValidTill: now}, false,
		},
		"verified, and deactivated": {
			&certinext.Domain{DCVStatus: "VERIFIED", Status: "inactive", ValidTill: now.Add(1)},
			false,
		},
		"pending": {&certinext.Domain{DCVStatus: "PENDING"}, false},
		"pending anew, and still good": {
			&certinext.Domain{DCVStatus: "PENDING", ValidTill: now.Add(1)}, true,
		},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, isValidated(c.domain, now)) })
	}
}
