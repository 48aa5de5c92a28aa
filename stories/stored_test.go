// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// storedBefore puts n certificates into storage, with the orders that they came from, as an earlier version has left them: each
// with its chain, unless there is none, and none in an index.
func (m *mount) storedBefore(n int, chain []string) {
	m.t.Helper()
	issued := m.write("issue/web", www).Data
	m.everyMinute(10) // the order is closed
	serial, order := strings.ReplaceAll(issued["serial_number"].(string), ":", "-"), issued["order_id"].(string)
	entry := make(map[string]any)
	require.NoError(m.t, json.Unmarshal(m.storage.dump(m.t)["cert/"+serial], &entry))
	delete(entry, "chain_ref")
	if entry["chain"] = issued["ca_chain"]; chain != nil {
		entry["chain"] = chain
	}
	cert, err := json.Marshal(entry)
	require.NoError(m.t, err)
	closed := m.storage.dump(m.t)["order/closed/web/"+order]
	require.NotEmpty(m.t, closed)
	number := issued["ca_order_id"].(string)
	for i := range n {
		of := strings.NewReplacer(serial, fmt.Sprintf("01-%02x-%02x-%02x", i>>16, i>>8&0xff, i&0xff), order, fmt.Sprintf("before-%06x", i), number, fmt.Sprintf("7%09d", i))
		for key, value := range map[string][]byte{"cert/" + serial: cert, "order/closed/web/" + order: closed, "revoked/" + serial: []byte("{}")} {
			require.NoError(m.t, m.storage.under().Put(m.t.Context(), &logical.StorageEntry{
				Key: of.Replace(key), Value: []byte(of.Replace(string(value))),
			}))
		}
	}
	require.NoError(m.t, m.storage.under().Delete(m.t.Context(), "number-index"))
}

// upgraded starts this version on what storedBefore has left, and has its passes index that.
func (m *mount) upgraded(n int) {
	m.t.Helper()
	m.start()
	m.everyMinute(n/1000 + 2)
	require.Contains(m.t, string(m.storage.dump(m.t)["number-index"]), `"complete":true`)
}

// What is done most, in a mount in which so many certificates are stored: storage operations of each, and each key that is listed
// counts like one more.
func storageWork(t *testing.T, stored int) map[string]int64 {
	t.Helper()
	work := make(map[string]int64)
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		m.storedBefore(stored, nil)
		m.upgraded(stored)
		client, _ := elsewhere(t, ca, "first.example.com")
		m.synchronize()
		count := &tally{Storage: m.storage.under()}
		m.storage.lay(count)
		measure := func(what string, do func()) {
			m.start()
			m.pass()                                                              // the open orders are read once
			time.Sleep(10*time.Second + time.Duration(stored)*2*time.Millisecond) // and what is listed is, in the background
			synctest.Wait()
			count.ops.Store(0)
			do()
			synctest.Wait()
			work[what] = count.ops.Load()
		}
		issue := func(name string) map[string]any {
			return m.write("issue/web", map[string]any{"common_name": name}).Data
		}
		measure("a pass", m.pass)
		measure("the first pass after a start", func() { m.start(); m.pass() })
		measure("an issue", func() { issue("a.example.com") })
		issued := issue("b.example.com")
		measure("a revocation by serial number", func() {
			m.write("revoke/web", map[string]any{"serial_number": issued["serial_number"]})
		})
		leased := m.write("issue/web", map[string]any{"common_name": "c.example.com"})
		measure("the end of a lease", func() { m.endLease(leased) })
		gone := issue("d.example.com")
		_, err := client.RevokeOrder(t.Context(), certinext.FamilySSL, gone["ca_order_id"].(string), certinext.RevokeRequest{Reason: certinext.ReasonSuperseded})
		require.NoError(t, err)
		measure("passes over an order that CERTInext has revoked", func() { m.passes(2) })
		require.NotZero(t, m.read("cert/" + gone["serial_number"].(string)).Data["revocation_time"])
		kept := issue("e.example.com")
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpTrack, Kind: certinexttest.FaultServerError})
		measure("a revocation by an order that is not known to be issued", func() {
			m.write("revoke/web", map[string]any{"order_id": kept["order_id"]})
		})
		ca.ClearFaults()
		time.Sleep(time.Hour)
		elsewhere(t, ca, "shop.example.com")
		measure("a synchronization of one certificate", func() { require.Equal(t, 1, m.synchronize()["imported"]) })
		measure("ca/pem", func() { m.read("ca/pem") })
		recordless(ca)
		id := m.unresolved(certinexttest.FaultLostReply)
		measure("an operator's word for a number", func() {
			m.write("operator/orders/web/"+id, map[string]any{"ca_order_id": lastOrder(ca).ID})
		})
	})
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		m.storedBefore(stored, []string{})
		require.NoError(t, m.storage.Delete(t.Context(), "ca"))
		m.upgraded(stored)
		m.start()
		count := &tally{Storage: m.storage.under()}
		m.storage.lay(count)
		require.Equal(t, 204, m.read("ca/pem").Data[logical.HTTPStatusCode])
		work["ca/pem without any chain"] = count.ops.Load()
	})
	return work
}

// `make stored` compares with as many as STORED says.
func TestWorkDoesNotGrowWithWhatIsStored(t *testing.T) {
	atSize(t)
	many := 2000
	if text := os.Getenv("STORED"); text != "" {
		n, err := strconv.Atoi(text)
		require.NoError(t, err)
		many = n
	}
	few, grown := storageWork(t, 100), storageWork(t, many)
	require.Len(t, grown, len(few))
	for what, ops := range few {
		t.Logf("%-60s %5d with 100 stored, %5d with %d", what, ops, grown[what], many)
		require.LessOrEqual(t, float64(grown[what]), 1.2*float64(ops), what)
	}
}
