// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	certinextsecrets "github.com/certinext/vault-plugin-secrets-certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

var errDied = errors.New("the process has died")

// old has a few certificates whose terms are over, one of them revoked, and their orders.
func old(t *testing.T) *mount {
	t.Helper()
	m := tidied(t, map[string]any{"renewal": "reissue"})
	for i := range 4 {
		m.write("issue/web", map[string]any{"common_name": fmt.Sprintf("www%d.example.com", i)})
	}
	revokes(m)
	refuses(m)
	m.passes(4)
	m.idles(410)
	return m
}

// isBare requires that nothing is left of certificates and orders but chains.
func (m *mount) isBare() {
	m.t.Helper()
	for _, prefix := range []string{"cert/", "revoked/", "number/", "order/", "renewal/newest/", "held-back/", "reuse/"} {
		require.Empty(m.t, m.stored(prefix))
	}
	require.NotEmpty(m.t, m.stored("chain/"))
}

// The process dies at each write of a run, or storage takes the write and says that it failed; the next process goes on.
func TestTidyingIsCutShortAtEachWriteAndGoesOn(t *testing.T) {
	for _, fails := range []error{errDied, errStored} {
		cuts := 0
		for n := 1; n < 60; n++ {
			reached := false
			synctest.Test(t, func(t *testing.T) {
				m := old(t)
				writes := 0
				m.storage.cutBy(func(string) error {
					if writes++; writes < n {
						return nil
					}
					if writes == n {
						reached = true
						return fails
					}
					return errDied
				})
				_, _ = m.attempt("tidy", everything(nil))
				synctest.Wait()
				m.storage.cutBy(nil)
				m.start()
				m.pass()
				synctest.Wait()
				m.write("tidy", everything(nil))
				synctest.Wait()
				status := m.read("tidy-status").Data
				require.Equal(t, "Finished", status["state"], "write %d: %v", n, status["error"])
				require.Equal(t, map[string]any{}, status["kept"], "write %d", n)
				m.isBare()
			})
			if !reached {
				break
			}
			cuts++
		}
		require.Greater(t, cuts, 20, "it was cut short less often than it writes")
	}
}

// A run that a restart has cut short goes on behind what it had looked at, by itself; it does not begin again.
func TestTidyingGoesOnAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := old(t)
		m.write("tidy", everything(map[string]any{"pause_duration": "1s"}))
		time.Sleep(2500 * time.Millisecond)
		left := len(m.stored("cert/"))
		require.Less(t, left, 5)
		require.Positive(t, left)
		require.Equal(t, "Running", m.read("tidy-status").Data["state"])
		require.Contains(t, m.read("tidy-status").Data["message"], "looked at")
		m.backend.Cleanup(t.Context())
		m.start()
		require.Equal(t, "Running", m.read("tidy-status").Data["state"])
		require.Len(t, m.stored("cert/"), left)
		m.pass()
		time.Sleep(time.Minute)
		status := m.read("tidy-status").Data
		require.Equal(t, "Finished", status["state"])
		m.isBare()
	})
}

// Cancelling ends a run between two entries, wherever it is asked for; what is left goes with the next one.
func TestTidyingIsCancelled(t *testing.T) {
	for name, restart := range map[string]bool{"in the process that tidies": false, "after that has died": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := old(t)
				require.Contains(t, m.write("tidy-cancel", nil).Warnings[0], "no tidying is under way")
				m.write("tidy", everything(map[string]any{"pause_duration": "1s"}))
				again := m.write("tidy", everything(nil))
				require.Contains(t, again.Warnings[0], "under way already")
				time.Sleep(1500 * time.Millisecond)
				if restart {
					m.backend.Cleanup(t.Context())
					m.start()
				}
				status := m.write("tidy-cancel", nil).Data
				require.Contains(t, []any{"Cancelling", "Cancelled"}, status["state"])
				time.Sleep(5 * time.Second)
				m.pass()
				time.Sleep(time.Minute)
				require.Equal(t, "Cancelled", m.read("tidy-status").Data["state"])
				require.NotEmpty(t, m.stored("cert/"))
				m.tidy(everything(nil))
				m.isBare()
			})
		})
	}
}

// While the clocks differ by more than an hour, or CERTInext cannot be asked for its, nothing goes.
func TestNothingIsTidiedByAClockThatIsInDoubt(t *testing.T) {
	for name, wrong := range map[string]func(m *mount){
		"the clock is ahead": func(m *mount) { m.later(400 * day) },
		"CERTInext does not answer": func(m *mount) {
			m.start()
			m.ca.Inject(certinexttest.Fault{Kind: certinexttest.FaultDropped})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := tidied(t, nil)
				issues(m)
				m.passes(4)
				wrong(m)
				m.write("tidy", everything(nil))
				time.Sleep(time.Minute)
				status := m.read("tidy-status").Data
				require.Equal(t, "Error", status["state"])
				require.Contains(t, status["error"], "clock")
				require.Len(t, m.stored("cert/"), 1)
				require.Empty(t, status["kept"])
				m.ahead.Store(0)
				m.ca.ClearFaults()
				m.read("config/check")
				require.Equal(t, map[string]int{"not_expired": 1}, stays(m.tidy(everything(nil)), "certificates"))
			})
		})
	}
}

// A clock that is less than an hour ahead of CERTInext's does not decide alone: the one that is behind does.
func TestTheClockThatIsBehindDecidesWhatIsTidied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := tidied(t, nil)
		m.ca.Subscriptions = certinexttest.Subscriptions{}
		serial := m.write("issue/web", map[string]any{"common_name": "www.example.com"}).Data
		m.passes(3)
		m.idles(370)
		end := time.Unix(serial["expiration"].(int64), 0)
		request := map[string]any{"tidy_cert_store": true, "safety_buffer": fmt.Sprintf("%ds", int(time.Since(end).Seconds())+600)}
		m.later(50 * time.Minute)
		m.read("config/check")
		require.Equal(t, map[string]int{"safety_buffer": 1}, stays(m.tidy(request), "certificates"))
		time.Sleep(15 * time.Minute)
		m.tidy(request)
		require.Empty(t, m.stored("cert/"))
	})
}

// A mount that is held is looked into as it is: a dry run tells, and nothing goes, a run that was under way included.
func TestAHeldMountIsNotTidied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := old(t)
		m.write("tidy", everything(map[string]any{"pause_duration": "1h"}))
		time.Sleep(time.Second)
		m.backend.Cleanup(t.Context())
		left := m.stored("cert/")
		m.startWithOptions(certinextsecrets.Options{HTTPClient: m.ca.Client(), Hold: true})
		require.Contains(t, m.refused("tidy", everything(nil)), "CERTINEXT_HOLD")
		m.pass()
		synctest.Wait()
		require.Equal(t, left, m.stored("cert/"))
		m.start()
		m.write("tidy-cancel", nil)
		m.startWithOptions(certinextsecrets.Options{HTTPClient: m.ca.Client(), Hold: true})
		m.pass() // before which this node asks CERTInext nothing for a request that writes nothing
		m.write("tidy", everything(map[string]any{"dry_run": true}))
		synctest.Wait()
		require.Equal(t, "Finished", m.read("tidy-status").Data["state"])
		require.Equal(t, left, m.stored("cert/"))
	})
}

// Storage that fails for one entry, or an entry that nobody can read, keeps no other one.
func TestAnEntryThatCannotBeReadStaysAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := old(t)
		var first string
		for k := range m.stored("cert/") {
			first = max(first, k)
		}
		require.NoError(t, m.storage.under().Put(t.Context(), &logical.StorageEntry{Key: first, Value: []byte(`{"version": 7}`)}))
		status := m.tidy(everything(nil))
		require.Equal(t, map[string]int{"unreadable": 1}, stays(status, "certificates"))
		require.Len(t, m.stored("cert/"), 1)
	})
	synctest.Test(t, func(t *testing.T) {
		m := old(t)
		var first string
		for k := range m.stored("cert/") {
			first = max(first, k)
		}
		m.storage.cutBy(func(key string) error {
			if key == first {
				return errDied
			}
			return nil
		})
		m.write("tidy", everything(nil))
		synctest.Wait()
		status := m.read("tidy-status").Data
		require.Equal(t, "Finished", status["state"])
		require.Equal(t, 1, stays(status, "certificates")["storage_failed"]+stays(status, "revoked_certificates")["storage_failed"])
		require.Contains(t, status["error"], strings.TrimPrefix(first, "cert/"))
		require.Len(t, m.stored("cert/"), 1)
	})
}
