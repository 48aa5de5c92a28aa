// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"strings"

	"github.com/stretchr/testify/require"
)

// entries returns what the mount has stored below prefix, decrypted, by key.
func (v *server) entries(mount, prefix string) map[string]string {
	v.t.Helper()
	config, err := v.api.Sys().ListMountsWithContext(v.t.Context())
	require.NoError(v.t, err)
	require.Contains(v.t, config, mount+"/")
	base := "sys/raw/logical/" + config[mount+"/"].UUID + "/"
	out := make(map[string]string)
	var walk func(folder string)
	walk = func(folder string) {
		for _, key := range v.list(base + folder) {
			if strings.HasSuffix(key, "/") {
				walk(folder + key)
				continue
			}
			if key = folder + key; strings.HasPrefix(key, prefix) {
				resp, err := v.api.Logical().ReadWithContext(v.t.Context(), base+key)
				require.NoError(v.t, err)
				if resp != nil { // it may have gone since it was listed
					out[key], _ = resp.Data["value"].(string)
				}
			}
		}
	}
	walk("")
	return out
}

// stored is all of entries in one text.
func (v *server) stored(mount, prefix string) string {
	v.t.Helper()
	var all strings.Builder
	for key, value := range v.entries(mount, prefix) {
		all.WriteString(key + "\n" + value + "\n")
	}
	return all.String()
}
