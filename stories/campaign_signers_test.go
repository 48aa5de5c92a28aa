// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// Two servers of one identity sign, each for a key of its own: who comes has its own certificate replaced, and not that of the other one.
func TestASignersOwnCertificateIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := inCampaign(t, map[string]any{"reuse": true})
		_, a := freshCSR(t, "www.example.com")
		_, b := freshCSR(t, "www.example.com")
		one := m.asks("sign/web", a)
		m.rests(30 * time.Hour)
		two := m.asks("sign/web", b)
		m.rests(time.Hour)
		m.campaign(map[string]any{"revoke": true, "revoke_after": "24h", "each": true})
		m.campaigns(3)
		m.asks("sign/web", b) // the second server, with its own key
		m.rests(40 * time.Hour)
		require.Equal(t, "valid", m.certificate(one.Data)["state"], "its server has not come")
		require.Equal(t, "revoked", m.certificate(two.Data)["state"])
	})
}

// The same with a new key for each certificate, where one server has an RSA key.
func TestACertificateOfTheSameTypeOfKeyIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := inCampaign(t, map[string]any{"key_type": "any", "reuse": true})
		ec := func() map[string]any {
			_, csr := freshCSR(t, "www.example.com")
			return m.asks("sign/web", csr).Data
		}
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		require.NoError(t, err)
		one := m.asks("sign/web", map[string]any{"csr": csr(t, key, "www.example.com")}).Data
		m.rests(30 * time.Hour)
		two := ec()
		m.rests(time.Hour)
		m.campaign(map[string]any{"revoke": true, "revoke_after": "24h"})
		m.campaigns(3)
		ec()
		m.rests(40 * time.Hour)
		require.Equal(t, "valid", m.certificate(one)["state"], "its server has not come")
		require.Equal(t, "revoked", m.certificate(two)["state"])
	})
}

// While a campaign is paused, nothing is bought for it, not by a requester that has the key either: what the request would be answered with
// without the campaign is what it gets.
func TestAPausedCampaignTakesNoRequestForAReplacement(t *testing.T) {
	for name, role := range map[string]map[string]any{"reuse": {"reuse": true}, "within the window": {"reuse_window": "2h"}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := inCampaign(t, role)
				request := map[string]any{"csr": csr(t, newKey(t, elliptic.P256()), "www.example.com")}
				first := m.asks("sign/web", request).Data["serial_number"]
				m.campaign(nil)
				m.campaigns(3)
				require.Equal(t, map[string]int{"requester": 1}, m.stages())
				m.write("replace/friday/pause", nil)
				require.Equal(t, first, m.asks("sign/web", request).Data["serial_number"])
				require.Len(t, m.ca.Orders(), 1)
				m.write("replace/friday/resume", nil)
				require.NotEqual(t, first, m.asks("sign/web", request).Data["serial_number"])
				require.Len(t, m.ca.Orders(), 2)
				m.campaigns(3)
				require.Equal(t, map[string]int{"replaced": 1}, m.stages())
			})
		})
	}
}
