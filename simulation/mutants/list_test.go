// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestTheListFollowsTheCode: whoever changes the code that a mutant changes is told at once, and
// not when the simulation is measured next.
func TestTheListFollowsTheCode(t *testing.T) {
	root, err := os.OpenRoot("../..")
	require.NoError(t, err)
	defer root.Close()
	assert.Len(t, mutants, 82)
	names := make(map[string]bool)
	for _, m := range mutants {
		_, err := m.fits(root)
		assert.NoError(t, err)
		assert.False(t, names[m.Name], "%q is in the list twice", m.Name)
		names[m.Name] = true
	}
}
