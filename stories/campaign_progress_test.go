// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// Storage fails between the items and the part that they are made of.
func TestProgressCountsNothingTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := inCampaign(t, nil)
		m.annIssues()
		m.asks("issue/web", map[string]any{"common_name": "b.example.com"})
		m.campaign(nil)
		m.storage.cutBy(func(key string) error {
			if strings.HasPrefix(key, "campaign/part/") {
				return errors.New("storage refuses")
			}
			return nil
		})
		m.tryPass()
		require.Equal(t, 2, m.read("replace/friday").Data["total"])
	})
}
