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
// moments between the engine's answer and the client's are swept through, a little later with every request. The next request finds the
// certificate whether it has a name or not.
func TestACallerThatHangsUpWhileItsAnswerIsOnItsWayGetsItFromItsNextRequest(t *testing.T) {
	t.Parallel()
	for name, story := range map[string]struct {
		named bool
		role  map[string]any
	}{
		"with a name":                 {named: true},
		"without a name":              {},
		"without a name and a lease":  {role: map[string]any{"generate_lease": false}},
		"with a window of a few secs": {role: map[string]any{"delivery_grace": 0, "reuse_window": "20s"}},
	} {
		t.Run(name, func(t *testing.T) { hangUpAtTheLastMoment(t, story.named, story.role) })
	}
}

func hangUpAtTheLastMoment(t *testing.T, named bool, role map[string]any) {
	ca := newAuthority(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}})
	v := startVault(t)
	v.configure(ca)
	v.role("web", role)
	hungUp := 0
	for i := range 40 {
		name := fmt.Sprintf("host-%d.example.com", i)
		request := map[string]any{"common_name": name}
		if named {
			request["request_id"] = name
		}
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
