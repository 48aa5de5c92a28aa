// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// twoMonths is how far a clock is wrong here.
const twoMonths = 60 * 24 * time.Hour

func TestALeaseThatWasRenewedByAClockBehindRunsOn(t *testing.T) {
	for _, known := range []bool{true, false} {
		t.Run(fmt.Sprint(known), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMount(t, monthly(certinexttest.Live))
				m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"ttl": "1h"}})
				resp := m.write("issue/web", www)
				lease := leased(resp)
				time.Sleep(30 * time.Minute)
				m.later(-60 * 24 * time.Hour)
				m.start()
				if known {
					m.read("config/check")
				}
				time.Sleep(20 * time.Minute)
				lease.Increment = time.Hour
				renewed := m.must(call{op: logical.RenewOperation, path: "issue/web", secret: lease})
				t.Log("renewed for", renewed.Secret.TTL)
				time.Sleep(5 * time.Minute)
				m.later(60 * 24 * time.Hour)
				m.read("config/check")
				m.everyMinute(20) // 75 minutes after the issue; the renewed lease ends after 110
				require.Zero(t, m.revokedAtCA(), "%v", m.log.String()[max(0, len(m.log.String())-600):])
			})
		})
	}
}

func TestALeaseThatWasRenewedByAClockBehindRunsOnInOneProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, monthly(certinexttest.Live))
		m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"ttl": "1h"}})
		lease := leased(m.write("issue/web", www))
		m.later(-twoMonths)
		m.read("config/check")
		time.Sleep(50 * time.Minute)
		lease.Increment = time.Hour
		m.must(call{op: logical.RenewOperation, path: "issue/web", secret: lease})
		m.later(twoMonths)
		m.read("config/check")
		m.everyMinute(25)
		require.Zero(t, m.revokedAtCA())
	})
}

func TestAShortLeaseByAClockThatIsALittleBehindRunsOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"ttl": "30m"}})
		m.later(-50 * time.Minute)
		m.start()
		m.read("config/check")
		m.write("issue/web", www)
		time.Sleep(time.Minute)
		m.later(50 * time.Minute)
		m.read("config/check")
		m.everyMinute(5)
		require.Zero(t, m.revokedAtCA(), "the lease runs for 24 minutes more")
	})
}

func TestAClockAheadHidesNoLeaseFromAMoveOfTheConfig(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, monthly(certinexttest.Live))
		m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"ttl": "24h"}})
		m.write("issue/web", www)
		m.later(twoMonths)
		m.read("config/check")
		resp, err := m.attempt("config", m.movedAway(false))
		require.NoError(t, err)
		require.True(t, resp.IsError(), "a leased certificate is stranded without force")
	})
}

func TestAConfigIsNotMovedUnseenBeyondAThousandCertificates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		m.write("issue/web", www)
		var key string
		for _, k := range m.storageKeys() {
			if len(k) > 5 && k[:5] == "cert/" {
				key = k
			}
		}
		require.NotEmpty(t, key)
		e, err := m.storage.Get(t.Context(), key)
		require.NoError(t, err)
		fields := map[string]any{}
		require.NoError(t, json.Unmarshal(e.Value, &fields))
		fields["revocation"] = map[string]any{"at": time.Now(), "reason": "superseded"}
		for i := range 1000 {
			serial := fmt.Sprintf("00-00-%02x-%02x", i/256, i%256)
			fields["serial"] = serial
			v, _ := json.Marshal(fields)
			require.NoError(t, m.storage.under().Put(t.Context(), &logical.StorageEntry{Key: "cert/" + serial, Value: v}))
		}
		resp, err := m.attempt("config", m.movedAway(false))
		require.NoError(t, err)
		require.True(t, resp.IsError(), "a leased certificate is stranded without force")
	})
}
