// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package terms

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPublicCertificatesLiveShorterByDate(t *testing.T) {
	for name, c := range map[string]struct {
		begins       time.Time
		limit, usual time.Duration
	}{
		"long ago":           {time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), 398 * day, 199 * day},
		"before 2026-03-15":  {time.Date(2026, 3, 14, 23, 59, 59, 0, time.UTC), 398 * day, 199 * day},
		"since 2026-03-15":   {time.Date(2026, 3, 15, 0, 0, 0, 0, time.UTC), 200 * day, 199 * day},
		"before 2027-03-15":  {time.Date(2027, 3, 14, 23, 59, 59, 0, time.UTC), 200 * day, 199 * day},
		"from 2027-03-15 on": {time.Date(2027, 3, 15, 0, 0, 0, 0, time.UTC), 100 * day, 99 * day},
		"before 2029-03-15":  {time.Date(2029, 3, 14, 23, 59, 59, 0, time.UTC), 100 * day, 99 * day},
		"from 2029-03-15 on": {time.Date(2029, 3, 15, 0, 0, 0, 0, time.UTC), 47 * day, 46 * day},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.limit, PublicLimit(c.begins))
			require.Equal(t, c.usual-time.Second, UsualPublic(c.begins))
			for _, life := range []time.Duration{c.limit, c.limit + time.Second} {
				cut, tooLong := CutPublic(c.begins, life)
				require.Equal(t, c.limit-time.Second, cut)
				require.Equal(t, life > c.limit, tooLong)
			}
			cut, tooLong := CutPublic(c.begins, time.Hour)
			require.Equal(t, time.Hour, cut)
			require.False(t, tooLong)
		})
	}
}
