// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/stretchr/testify/require"
)

// A caller that hangs up while its answer is on its way through Vault makes Vault give up storing the lease, and end it. The
// moments between the engine's answer and the client's are swept through, a little later with every request.
func TestACallerThatHangsUpWhileItsAnswerIsOnItsWayGetsItFromItsNextRequest(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}})
	v := startVault(t)
	v.configure(ca)
	hungUp := 0
	for i := range 40 {
		name := fmt.Sprintf("host-%d.example.com", i)
		request := map[string]any{"common_name": name, "request_id": name}
		downloaded := make(chan struct{})
		onCall(ca, certinexttest.OpCertificate, 1, func() { close(downloaded) })
		ctx, hangUp := context.WithCancel(t.Context())
		go func() {
			<-downloaded
			time.Sleep(time.Duration(i) * time.Millisecond)
			hangUp()
		}()
		if _, err := v.api.Logical().WriteWithContext(ctx, "certinext/issue/web", request); err != nil {
			hungUp++
		}
		hangUp()
		ca.check(t, v.persist(30*time.Second, "certinext/issue/web", request))
		require.Len(t, ca.ordersFor(name), 1)
		require.Equal(t, "issued", ca.ordersFor(name)[0].Status, "nobody ended a lease of %s", name)
	}
	require.NotZero(t, hungUp)
	t.Logf("%d of 40 callers hung up in time", hungUp)
}
