// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// While storage fails, each pass finds out the same change anew.
func TestAChangeIsToldOnceWhileStorageFails(t *testing.T) {
	// Each brings about a change, and returns what has a pass, or a person, find it out.
	for name, brings := range map[string]func(m *mount) func(){
		"order-unclaimed": func(m *mount) func() {
			m.write("orders/web", www)
			m.pass()
			time.Sleep(8 * day)
			return func() {}
		},
		"revoked-outside": func(m *mount) func() {
			m.config(map[string]any{"sync_interval": "5m"})
			issued := m.write("issue/web", www).Data
			m.passes(3)
			portal := newMount(m.t, m.ca)
			portal.synchronize()
			portal.write("revoke", map[string]any{"serial_number": issued["serial_number"]})
			return func() {}
		},
		"revoked-outside, of an open order": func(m *mount) func() {
			m.ca.Configure(func(s *certinexttest.Server) { s.IssueDelay = time.Hour })
			id := m.write("orders/web", www).Data["order_id"].(string)
			time.Sleep(2 * time.Hour)
			portal := newMount(m.t, m.ca)
			portal.synchronize()
			portal.write("revoke", map[string]any{"serial_number": portal.list("certs")[0]})
			return func() {
				_, _ = m.send(call{op: logical.ReadOperation, path: "orders/web/" + id})
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMount(t, validated(certinexttest.Live))
				asks := brings(m)
				change, _, _ := strings.Cut(name, ",")
				m.storage.failing(func(key string) error {
					isOrder := strings.HasPrefix(key, "order/closed/") || (strings.HasPrefix(key, "order/") && change == name)
					if isOrder || strings.HasPrefix(key, "cert/") || strings.HasPrefix(key, "revoked/") {
						return errors.New("storage is full")
					}
					return nil
				})
				for range 60 {
					_, _ = m.send(call{op: logical.RollbackOperation, data: map[string]any{"immediate": true}})
					asks()
					time.Sleep(time.Minute)
				}
				told := func() (n int) {
					for _, notice := range m.notices() {
						if notice["change"] == change {
							n++
						}
					}
					return n
				}
				require.Equal(t, 1, told(), "it does not wait for the storage")
				m.storage.failing(nil)
				m.everyMinute(200)
				require.Equal(t, 1, told())
			})
		})
	}
}
