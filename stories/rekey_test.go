// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// freshCSR is a CSR with a key of its own, as cert-manager makes one for every attempt.
func freshCSR(t *testing.T, cn string, dns ...string) (*ecdsa.PrivateKey, map[string]any) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return key, map[string]any{"csr": csr(t, key, cn, dns...)}
}

// rekeying mounts the engine with a role whose orders may be re-keyed, and waits a second for them.
func rekeying(t *testing.T, ca *certinexttest.Server, changes map[string]any) *mount {
	t.Helper()
	m := newMount(t, ca)
	data := map[string]any{"rekey_orders": true, "issue_timeout": "1s"}
	for k, v := range changes {
		data[k] = v
	}
	m.must(call{op: logical.PatchOperation, path: "roles/web", data: data})
	return m
}

func TestACSRThatSaysTheSameOtherwiseIsNoReasonToReissue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.IssueDelay = 30 * time.Minute
		m := rekeying(t, ca, nil)
		key, first := freshCSR(t, "www.example.com")
		m.refused("sign/web", first)
		time.Sleep(time.Hour)
		m.pass()
		again := map[string]any{"csr": csr(t, key, "www.example.com", "www.example.com")}
		require.True(t, m.chainOK(m.write("sign/web", again)).PublicKey.(*ecdsa.PublicKey).Equal(&key.PublicKey))
		require.Len(t, ca.Orders(), 1)
		require.Zero(t, ca.Calls()[certinexttest.OpReissue])
	})
}

// The client of the first key comes back while CERTInext is asked how the order stands, and gets its certificate.
func TestACertificateThatIsHandedOverMeanwhileIsNotReissued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.IssueDelay = 30 * time.Minute
		m := rekeying(t, ca, map[string]any{"issue_timeout": "30s"})
		_, first := freshCSR(t, "www.example.com")
		m.refused("sign/web", first)
		time.Sleep(time.Hour)
		m.pass()
		ca.Configure(func(s *certinexttest.Server) { s.IssueDelay = 0 })
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpTrack, Kind: certinexttest.FaultSlowReply, Delay: 6 * time.Second})
		_, second := freshCSR(t, "www.example.com")
		done := make(chan *logical.Response)
		go func() { done <- m.write("sign/web", second) }()
		time.Sleep(2 * time.Second)
		early := m.write("sign/web", first)
		m.chainOK(early)
		m.chainOK(<-done)
		require.Zero(t, ca.Calls()[certinexttest.OpReissue])
		require.Len(t, ca.Orders(), 2)
		m.endLease(early)
		require.Equal(t, 1, ca.Calls()[certinexttest.OpRevoke])
	})
}

func TestAClientThatComesBackWithAnotherKeyPaysOnce(t *testing.T) {
	for name, c := range map[string]struct {
		between func(m *mount) // what happens until it comes back
		tries   int
	}{
		"the order is issued meanwhile, and nobody noticed":               {func(*mount) { time.Sleep(time.Hour) }, 1},
		"the background pass has fetched the certificate":                 {func(m *mount) { time.Sleep(time.Hour); m.pass() }, 1},
		"the plugin has died":                                             {func(m *mount) { time.Sleep(time.Hour); m.start() }, 1},
		"the order takes longer still, and it comes back again and again": {func(*mount) { time.Sleep(10 * time.Minute) }, 6},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { comesBack(t, c.between, c.tries) })
		})
	}
}

// comesBack has a client ask for a certificate with one key, and after a while with others until it has one.
func comesBack(t *testing.T, between func(*mount), tries int) {
	t.Helper()
	ca := validated(certinexttest.Live)
	ca.IssueDelay = 30 * time.Minute
	m := rekeying(t, ca, nil)
	_, first := freshCSR(t, "www.example.com")
	require.Contains(t, m.refused("sign/web", first), "is not finished")
	ca.Configure(func(s *certinexttest.Server) { s.IssueDelay = 0 }) // of what is reissued
	var resp *logical.Response
	var key *ecdsa.PrivateKey
	for range tries {
		between(m)
		var again map[string]any
		key, again = freshCSR(t, "www.example.com")
		var err error
		resp, err = m.send(call{op: logical.UpdateOperation, path: "sign/web", data: again})
		require.NoError(t, err)
		if !resp.IsError() {
			break
		}
		require.Contains(t, resp.Error().Error(), "is not finished")
	}
	require.False(t, resp.IsError(), "%v", resp)
	require.True(t, key.PublicKey.Equal(m.chainOK(resp).PublicKey), "the certificate is for the key that is there now")
	require.Len(t, ca.Orders(), 1)
	require.Equal(t, 1, ca.Orders()[0].Creates)
	require.Equal(t, 1, ca.Calls()[certinexttest.OpReissue])
}

// The published API has no reissue, and version 1 none either.
func TestWhereNothingIsReissuedAnOrderIsPlaced(t *testing.T) {
	for _, dialect := range []certinexttest.Dialect{certinexttest.Documented, certinexttest.V1} {
		t.Run(dialect.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(dialect)
				ca.IssueDelay = 30 * time.Minute
				m := rekeying(t, ca, nil)
				_, first := freshCSR(t, "www.example.com")
				m.refused("sign/web", first)
				time.Sleep(time.Hour)
				ca.Configure(func(s *certinexttest.Server) { s.IssueDelay = 0 })
				key, second := freshCSR(t, "www.example.com")
				resp := m.write("sign/web", second)
				require.True(t, key.PublicKey.Equal(m.chainOK(resp).PublicKey))
				require.Len(t, ca.Orders(), 2)
			})
		})
	}
}

func TestAClientThatComesBackWithAThirdKeyPaysOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.IssueDelay = 30 * time.Minute
		m := rekeying(t, ca, nil)
		for range 2 {
			_, data := freshCSR(t, "www.example.com")
			require.Contains(t, m.refused("sign/web", data), "is not finished")
			time.Sleep(time.Hour)
		}
		ca.Configure(func(s *certinexttest.Server) { s.IssueDelay = 0 })
		key, third := freshCSR(t, "www.example.com")
		resp := m.write("sign/web", third)
		require.True(t, key.PublicKey.Equal(m.chainOK(resp).PublicKey))
		require.Len(t, ca.Orders(), 1)
		require.Equal(t, 2, ca.Calls()[certinexttest.OpReissue])
	})
}

func TestTheRequestThatReKeyedAnOrderFindsItsCertificateAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.IssueDelay = 30 * time.Minute
		m := rekeying(t, ca, nil)
		_, first := freshCSR(t, "www.example.com")
		m.refused("sign/web", first)
		time.Sleep(time.Hour)
		ca.Configure(func(s *certinexttest.Server) { s.IssueDelay = 5 * time.Minute }) // the reissue takes its time, too
		key, second := freshCSR(t, "www.example.com")
		m.refused("sign/web", second)
		time.Sleep(time.Hour)
		resp := m.write("sign/web", second)
		require.True(t, key.PublicKey.Equal(m.chainOK(resp).PublicKey))
		require.Len(t, ca.Orders(), 1)
		require.Equal(t, 1, ca.Calls()[certinexttest.OpReissue])
	})
}

func TestWhoIsNotReKeyedGetsAnOrderOfItsOwn(t *testing.T) {
	for name, c := range map[string]struct {
		role    map[string]any
		request func(t *testing.T) call
		between func(m *mount, first map[string]any)
	}{
		"where the role does not allow it": {role: map[string]any{"rekey_orders": false}},
		"for other names": {request: func(t *testing.T) call {
			_, data := freshCSR(t, "api.example.com")
			return call{data: data}
		}},
		"for another requester": {request: func(t *testing.T) call {
			_, data := freshCSR(t, "www.example.com")
			return call{data: data, accessor: "somebody-else"}
		}},
		"when the first certificate was handed over": {between: func(m *mount, first map[string]any) { m.write("sign/web", first) }},
		"when its own request has a name": {request: func(t *testing.T) call {
			_, data := freshCSR(t, "www.example.com")
			data["request_id"] = "ci/1"
			return call{data: data}
		}},
		"when it does not wait": {request: func(t *testing.T) call {
			_, data := freshCSR(t, "www.example.com")
			data["async"] = true
			return call{data: data}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				ca.IssueDelay = 30 * time.Minute
				m := rekeying(t, ca, c.role)
				_, first := freshCSR(t, "www.example.com")
				m.refused("sign/web", first)
				time.Sleep(time.Hour)
				if c.between != nil {
					c.between(m, first)
				}
				ca.Configure(func(s *certinexttest.Server) { s.IssueDelay = 0 })
				request := call{}
				if c.request != nil {
					request = c.request(t)
				} else {
					_, request.data = freshCSR(t, "www.example.com")
				}
				request.op, request.path = logical.UpdateOperation, "sign/web"
				m.must(request)
				require.Len(t, ca.Orders(), 2)
				require.Zero(t, ca.Calls()[certinexttest.OpReissue])
			})
		})
	}
}

// The certificate that was re-keyed away is nobody's, and its end must not take the one in use with it.
func TestWhatIsReKeyedAwayTakesNothingWithIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.IssueDelay = 30 * time.Minute
		m := rekeying(t, ca, map[string]any{"pickup_window": "2h", "revoke_unclaimed": true, "generate_lease": false})
		_, first := freshCSR(t, "www.example.com")
		m.refused("sign/web", first)
		time.Sleep(time.Hour)
		ca.Configure(func(s *certinexttest.Server) { s.IssueDelay = 0 })
		_, second := freshCSR(t, "www.example.com")
		m.write("sign/web", second)
		for range 10 {
			time.Sleep(time.Hour)
			m.pass()
		}
		require.Equal(t, "issued", ca.Orders()[0].Status)
	})
}

func TestTwoReplicasThatAskTogetherHaveTwoOrders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.IssueDelay = 20 * time.Second
		m := rekeying(t, ca, map[string]any{"issue_timeout": "45s"})
		done := make(chan *logical.Response, 2)
		for range 2 {
			_, data := freshCSR(t, "www.example.com")
			go func() {
				resp, _ := m.send(call{op: logical.UpdateOperation, path: "sign/web", data: data})
				done <- resp
			}()
		}
		for range 2 {
			require.False(t, (<-done).IsError())
		}
		require.Len(t, ca.Orders(), 2)
	})
}
