// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// Storage refuses to erase a kept key while its certificate is revoked, by whatever door. Once it takes writes again, the key goes.
func TestTheKeyOfARevokedCertificateIsErasedOnceStorageLets(t *testing.T) {
	doors := map[string]func(m *mount, first map[string]any){
		"revoke": func(m *mount, first map[string]any) {
			_, _ = m.send(call{op: logical.UpdateOperation, path: "revoke", data: map[string]any{"serial_number": first["serial_number"]}})
		},
		"elsewhere": func(m *mount, first map[string]any) {
			elsewhere := newMount(m.t, m.ca)
			elsewhere.synchronize()
			elsewhere.write("revoke", map[string]any{"serial_number": first["serial_number"]})
			elsewhere.passes(4)
			_, _ = m.attempt("sync", nil)
			time.Sleep(time.Minute)
			synctest.Wait()
		},
	}
	for name, revoke := range doors {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := reusing(t, nil)
				first := m.asksFor("ann", "www.example.com")
				m.rests(3 * time.Hour)
				require.Len(t, m.kept(), 1)
				refused := 0
				m.storage.cutBy(func(key string) error {
					if strings.HasPrefix(key, "reuse/key/") {
						refused++
						return errors.New("storage refuses this one")
					}
					return nil
				})
				revoke(m, first)
				require.NotZero(t, refused)
				m.storage.cutBy(nil)
				m.rests(3 * time.Hour)
				m.synchronize()
				m.rests(time.Hour)
				require.NotZero(t, m.certificate(first)["revocation_time"])
				require.Empty(t, m.kept(), "the key of a revoked certificate rests")
			})
		})
	}
}
