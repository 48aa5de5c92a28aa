// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

var timestamp = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`)

// longAgo stores n certificates, with their orders and numbers, as they are left of requests that long ago.
func (m *mount) longAgo(n int, ago time.Duration) {
	m.t.Helper()
	issued := m.write("issue/web", map[string]any{"common_name": "old.example.com"}).Data
	m.everyMinute(10) // the order is closed
	serial, order, number := key(issued["serial_number"]), issued["order_id"].(string), issued["ca_order_id"].(string)
	keyOf := func(number string) string {
		sum := sha256.Sum256([]byte(number))
		return "number/" + hex.EncodeToString(sum[:])
	}
	templates := map[string]string{"cert/" + serial: "", "order/closed/web/" + order: "", keyOf(number): ""}
	for key := range templates {
		e, err := m.storage.under().Get(m.t.Context(), key)
		require.NoError(m.t, err)
		require.NotNil(m.t, e, key)
		templates[key] = timestamp.ReplaceAllStringFunc(string(e.Value), func(at string) string {
			t, err := time.Parse(time.RFC3339, at)
			require.NoError(m.t, err)
			return t.Add(-ago).Format(time.RFC3339Nano)
		})
	}
	for i := range n {
		other := fmt.Sprintf("7%09d", i)
		of := strings.NewReplacer(serial, fmt.Sprintf("01-%02x-%02x-%02x", i>>16, i>>8&0xff, i&0xff),
			order, fmt.Sprintf("old-%06x", i), number, other, keyOf(number), keyOf(other))
		for key, value := range templates {
			require.NoError(m.t, m.storage.under().Put(m.t.Context(), &logical.StorageEntry{
				Key: of.Replace(key), Value: []byte(of.Replace(value)),
			}))
		}
	}
}

// weighedStorage takes a millisecond for each operation, and looks at the memory now and then.
type weighedStorage struct {
	logical.Storage
	ops   atomic.Int64
	peak  atomic.Uint64 // bytes on the heap
	every int64
}

func (s *weighedStorage) wait() {
	time.Sleep(time.Millisecond)
	if n := s.ops.Add(1); s.every > 0 && n%s.every == 0 {
		s.peak.Store(max(s.peak.Load(), onHeap()))
	}
}

func onHeap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func (s *weighedStorage) Get(ctx context.Context, key string) (*logical.StorageEntry, error) {
	s.wait()
	return s.Storage.Get(ctx, key)
}

func (s *weighedStorage) List(ctx context.Context, prefix string) ([]string, error) {
	s.wait()
	return s.Storage.List(ctx, prefix)
}

func (s *weighedStorage) Put(ctx context.Context, e *logical.StorageEntry) error {
	s.wait()
	return s.Storage.Put(ctx, e)
}

func (s *weighedStorage) Delete(ctx context.Context, key string) error {
	s.wait()
	return s.Storage.Delete(ctx, key)
}

// Clients issue, renew and revoke while thousands of certificates go: none waits for that, and nothing of theirs goes. TIDIED says
// how many; make tidied prints what that takes.
func TestThousandsAreTidiedWhileClientsIssue(t *testing.T) {
	atSize(t)
	n, err := strconv.Atoi(cmp.Or(os.Getenv("TIDIED"), "5000"))
	require.NoError(t, err)
	synctest.Test(t, func(t *testing.T) {
		m := tidied(t, map[string]any{"generate_lease": true})
		m.longAgo(n, 800*day)
		slow := &weighedStorage{Storage: m.storage.under(), every: int64(n)}
		m.storage.lay(slow)
		issue := func(name string) (time.Duration, *logical.Response) {
			began := time.Now()
			resp := m.write("issue/web", map[string]any{"common_name": name + ".example.com"})
			return time.Since(began), resp
		}
		issue("warm")
		alone, _ := issue("alone")
		before := onHeap()
		m.write("tidy", everything(map[string]any{"dry_run": true})) // the storage does not get smaller meanwhile
		for m.read("tidy-status").Data["state"] == "Running" {
			time.Sleep(time.Second)
		}
		require.Equal(t, n, m.read("tidy-status").Data["cert_store_deleted_count"])
		grown := int64(slow.peak.Load()) - int64(before)
		require.Less(t, grown, int64(n)*200+(4<<20), "memory on the heap")
		computed, ops, began := cpuTime(), slow.ops.Load(), time.Now()
		m.write("tidy", everything(nil))
		var slowest time.Duration
		live := 3 // with those of before
		for i := 0; ; i++ {
			if m.read("tidy-status").Data["state"] != "Running" {
				break
			}
			took, resp := issue(fmt.Sprintf("w%d", i))
			slowest = max(slowest, took)
			live++
			if i%10 == 3 {
				m.write("revoke", map[string]any{"serial_number": resp.Data["serial_number"]})
			}
			if i%10 == 7 {
				m.pass()
			}
			time.Sleep(5 * time.Second)
		}
		require.Greater(t, live, 10)
		status := m.read("tidy-status").Data
		require.Equal(t, "Finished", status["state"], "%v", status["error"])
		require.Equal(t, n, status["cert_store_deleted_count"])
		require.Equal(t, n, status["order_deleted_count"])
		require.Len(t, m.list("certs"), live)
		require.Len(t, m.stored("number/"), live)
		require.LessOrEqual(t, slowest, alone+5*time.Millisecond, "issuing waited")
		t.Logf("%d certificates and as many orders: %v of CPU time, clients and the simulator included, %d storage operations (%v at 1 ms each), at most %d KB more on the heap in a dry run; "+
			"an issue took %v, and %v alone", n, (cpuTime() - computed).Round(time.Millisecond), slow.ops.Load()-ops, time.Since(began).Round(time.Second),
			max(grown, 0)>>10, slowest, alone)
	})
}

// cpuTime is what this process has computed so far: a simulated clock does not tell.
func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
