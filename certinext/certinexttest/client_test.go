// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

func TestClientHonoursItsTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := new(certinexttest.Server)
		srv.Inject(certinexttest.Fault{Kind: certinexttest.FaultLatency, Delay: time.Hour})
		client := srv.Client()
		client.Timeout = time.Second
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, host+api+"/groups", nil)
		require.NoError(t, err)
		_, err = client.Do(req)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		synctest.Wait()
	})
}

func TestClientDoesNotWaitForAHookThatHangs(t *testing.T) {
	hang := make(chan struct{})
	srv := new(certinexttest.Server)
	srv.BeforeCall = func(string, *http.Request) { <-hang }
	defer close(hang)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	r := &rig{t: t, srv: srv, http: srv.Client(), base: host}
	_, err := r.tryContext(ctx, "GET", api+"/groups", "")
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestHTTPSBaseStandsInCertificates(t *testing.T) {
	r := newRig(t, verified(certinexttest.Live))
	r.base = "https://ca.test:8443"
	id, _ := r.issued("www.example.com")
	require.Equal(t, []string{"https://ca.test:8443/ocsp"}, r.certificate(id).OCSPServer)
}

func TestConcurrentOrders(t *testing.T) {
	srv := verified(certinexttest.Live)
	r := newRig(t, srv)
	key := newKey(t)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			name := fmt.Sprintf("h%d.example.com", i)
			id := r.order(merge(dvOrder(name), m{"csr": csr(t, key, name)}))
			if r.certificate(id).Subject.CommonName != name {
				t.Errorf("order %s got another certificate", id)
			}
			srv.Orders()
			r.get(reportPath).must(200)
			r.post(sslPath+"/"+id+"/revoke", m{"reason": "superseded"}).must(204)
			srv.Configure(func(s *certinexttest.Server) { s.PEMLag = 0 })
		})
	}
	wg.Wait()
	require.Len(t, srv.Orders(), 16)
	ids := map[string]bool{}
	for _, o := range srv.Orders() {
		require.Equal(t, "revoked", o.Status)
		ids[o.ID] = true
	}
	require.Len(t, ids, 16)
	require.Equal(t, 16, srv.Calls()[certinexttest.OpRevoke])
	srv.ResetCalls()
	require.Empty(t, srv.Calls())
}

// No two verifications of one name both succeed, and neither races.
func TestConcurrentVerifications(t *testing.T) {
	z := newZone(t)
	r := zoned(t, z, new(certinexttest.Server))
	id := r.order(dvOrder("example.com"))
	z.setTXT("_emudhra-challenge.example.com", r.get(sslPath + "/" + id + "/dcv").must(200)["token"].(string))
	var mu sync.Mutex
	statuses := map[int]int{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			a := r.verify(id, "example.com", "dns-txt")
			mu.Lock()
			defer mu.Unlock()
			statuses[a.status]++
		})
	}
	wg.Wait()
	require.Equal(t, map[int]int{200: 1, 422: 7}, statuses)
}
