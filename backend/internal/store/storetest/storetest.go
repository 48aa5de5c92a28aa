// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package storetest compares stored entries with fixtures of every version of their format.
package storetest

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the fixtures of stored entries")

// Compare encodes entries, one of each kind with every field set, and compares them with the
// fixtures testdata/storage/<version>/<kind>.json. Then it decodes the fixtures again. A type that
// has lost or renamed a field fails here before it fails in an upgraded mount. A later format keeps
// the fixtures of the earlier ones and adds its own.
func Compare(t *testing.T, version string, entries map[string]any) {
	t.Helper()
	for kind, entry := range entries {
		t.Run(version+"/"+kind, func(t *testing.T) {
			path := filepath.Join("testdata", "storage", version, kind+".json")
			text, err := json.MarshalIndent(entry, "", "  ")
			require.NoError(t, err)
			text = append(text, '\n')
			if *update {
				require.NoError(t, os.WriteFile(path, text, 0o600))
			}
			fixture, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, string(fixture), string(text))

			back := reflect.New(reflect.TypeOf(entry).Elem()).Interface()
			strict := json.NewDecoder(bytes.NewReader(fixture))
			strict.DisallowUnknownFields()
			require.NoError(t, strict.Decode(back))
			require.Equal(t, entry, back)
		})
	}
}
