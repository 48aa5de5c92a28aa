// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	certinextsecrets "github.com/certinext/vault-plugin-secrets-certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// harmless are the CA's operations that change nothing there.
var harmless = []string{
	certinexttest.OpTrack, certinexttest.OpDCV, certinexttest.OpCertificate, certinexttest.OpMe, certinexttest.OpGroups,
	certinexttest.OpOrganizations, certinexttest.OpOrganization, certinexttest.OpProducts, certinexttest.OpCustomFields,
	certinexttest.OpDomains, certinexttest.OpDomain, certinexttest.OpDomainDCV, certinexttest.OpDomainAttempts,
	certinexttest.OpOrdersReport, certinexttest.OpLedger,
}

// mayBeHeld are the requests that change something outside storage, so that a held mount refuses them, at least where there is
// something to do.
var mayBeHeld = []string{
	"issue/", "sign/", "issuer/", "renew/", "orders/", "revoke", "domains/", "dcv/solvers/", "approvals/",
	"tidy", // which erases what another owner of the same certificates may count on
}

// TestAHeldMountChangesNothingAtTheCA sends everything that can be asked of a mount to one that was restored from a snapshot of that
// moment, and is held.
func TestAHeldMountChangesNothingAtTheCA(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := recorded(t)
		s := shadowOf(m, certinextsecrets.Options{Hold: true}, new(logical.StaticSystemView), func(of logical.Storage) logical.Storage {
			return snapshot(t, of)
		})
		s.mayRead = true
		tellEverything(m)
		tellLeases(m)
		m.pass()
		tellEnd(m)
		s.everyOperation()
		refused := map[string]bool{}
		for _, a := range s.asked {
			what := fmt.Sprintf("%s %s", a.op, a.path)
			for _, op := range a.calls {
				require.Contains(t, harmless, op, what)
			}
			require.NoError(t, a.err, what)
			if !a.resp.IsError() {
				continue // it was served from what was restored, or kept there
			}
			require.Contains(t, a.resp.Error().Error(), "CERTINEXT_HOLD", what)
			i := slices.IndexFunc(mayBeHeld, func(prefix string) bool { return strings.HasPrefix(a.path, prefix) })
			require.GreaterOrEqual(t, i, 0, "%s is refused", what)
			refused[mayBeHeld[i]] = true
		}
		for _, prefix := range mayBeHeld {
			require.True(t, refused[prefix], "nothing was refused below %s", prefix)
		}
	})
}

// snapshot copies storage.
func snapshot(t *testing.T, of logical.Storage) logical.Storage {
	t.Helper()
	copied := new(logical.InmemStorage)
	keys, err := logical.CollectKeys(context.Background(), of)
	require.NoError(t, err)
	for _, key := range keys {
		e, err := of.Get(context.Background(), key)
		require.NoError(t, err)
		if e != nil {
			require.NoError(t, copied.Put(context.Background(), e))
		}
	}
	return copied
}

// restored is a held mount on a copy of m's storage, on the same CA.
func (m *mount) restored() *mount {
	m.t.Helper()
	r := &mount{t: m.t, ca: m.ca, storage: counting(snapshot(m.t, m.storage)), log: new(lockedBuffer), system: m.system}
	r.startWithOptions(certinextsecrets.Options{HTTPClient: m.ca.Client(), Hold: true})
	return r
}

func TestARestoredMountWaitsForItsRelease(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		m := newMount(t, validated(dialect))
		shared := m.write("issue/web", www)
		open := m.write("orders/web", map[string]any{"common_name": "open.example.com"}).Data["order_id"].(string)
		r := m.restored()
		before, entries := statuses(m), r.stored("order/")

		r.endLease(shared)
		r.passes(3)
		require.Equal(t, before, statuses(m), "the CA's orders are as they were")
		require.Equal(t, entries, r.stored("order/"), "open orders wait as they are")
		serial := shared.Data["serial_number"].(string)
		require.Equal(t, []string{serial}, r.list("certs/revocation-queue"), "the end of a lease is kept")
		require.Equal(t, 1, strings.Count(r.log.String(), "this mount is held"), "the log says so once per start")

		const remedy = "start the plugin without CERTINEXT_HOLD"
		require.Contains(t, r.refused("issue/web", map[string]any{"common_name": "new.example.com"}), remedy)
		require.Contains(t, r.refused("revoke", map[string]any{"serial_number": serial}), remedy)
		require.Contains(t, r.tryDelete("orders/web/"+open).Error().Error(), remedy)
		require.Equal(t, entries, r.stored("order/"), "what is refused leaves nothing behind")
		check := r.read("config/check").Data
		require.Equal(t, true, check["held"])
		require.Equal(t, false, check["ok"])
		require.Contains(t, check["problems"].([]string)[0], remedy)
		require.Contains(t, r.read("config").Warnings[0], remedy)
		require.Equal(t, before, statuses(m))
		r.write("sync", nil)
		synctest.Wait()
		require.Equal(t, "done", r.read("sync").Data["state"], "it may be compared with what the CA has")

		r.startWithOptions(certinextsecrets.Options{HTTPClient: m.ca.Client()}) // released
		r.passes(2)
		require.Empty(t, r.list("certs/revocation-queue"), "it goes on where it was held")
		require.NotEqual(t, before, statuses(m))
		require.Equal(t, false, r.read("config/check").Data["held"])
	})
}

// TestAHeldMountErasesKeys: erasing what is not handed over any more is harmless, whoever owns the certificate.
func TestAHeldMountErasesKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		order := "orders/web/" + m.write("orders/web", www).Data["order_id"].(string)
		time.Sleep(time.Minute)
		m.pass()
		m.write(order+"/collect", nil)
		r := m.restored()
		require.Len(t, r.stored("order/open/"), 1)
		time.Sleep(48 * time.Hour)
		r.passes(2)
		require.Empty(t, r.stored("order/open/"))
	})
}

// stored are the entries below a prefix.
func (m *mount) stored(prefix string) map[string]string {
	out := map[string]string{}
	for key, value := range m.storage.dump(m.t) {
		if strings.HasPrefix(key, prefix) {
			out[key] = string(value)
		}
	}
	return out
}

// statuses are the CA's orders by name, with their statuses.
func statuses(m *mount) map[string]string {
	out := map[string]string{}
	for _, o := range m.ca.Orders() {
		out[o.ID+" "+o.Domain] = o.Status
	}
	return out
}
