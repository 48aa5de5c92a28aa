// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"errors"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// What was paid for is re-keyed once CERTInext and storage are there again, and nothing is bought in its place.
func TestWhatKeepsARekeyFromCERTInextBuysNothing(t *testing.T) {
	for name, c := range map[string]struct {
		hurt func(m *mount, away *atomic.Bool)
		heal func(m *mount, away *atomic.Bool)
	}{
		"CERTInext is busy": {
			func(m *mount, _ *atomic.Bool) {
				m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpReissue, Kind: certinexttest.FaultRateLimit})
			},
			func(m *mount, _ *atomic.Bool) { m.ca.ClearFaults() },
		},
		"the connection is refused": {
			func(_ *mount, away *atomic.Bool) { away.Store(true) },
			func(_ *mount, away *atomic.Bool) { away.Store(false) },
		},
		"the sign-in fails": {
			func(m *mount, _ *atomic.Bool) {
				m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpReissue, Kind: certinexttest.FaultTokenDeath})
				m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpToken, Kind: certinexttest.FaultServerError})
			},
			func(m *mount, _ *atomic.Bool) { m.ca.ClearFaults() },
		},
		"the intent cannot be stored": {
			func(m *mount, _ *atomic.Bool) {
				m.storage.failing(func(key string) error {
					if strings.HasPrefix(key, "order/open/") {
						return errors.New("storage is away")
					}
					return nil
				})
			},
			func(m *mount, _ *atomic.Bool) { m.storage.failing(nil) },
		},
	} {
		for then, restart := range map[string]bool{"": false, ", and the plugin dies": true} {
			t.Run(name+then, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					ca := validated(certinexttest.Live)
					ca.IssueDelay = 30 * time.Minute
					m := rekeying(t, ca, nil)
					away := new(atomic.Bool)
					client := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
						if away.Load() && strings.HasSuffix(r.URL.Path, "/reissue") {
							return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
						}
						return ca.Client().Transport.RoundTrip(r)
					})}
					m.startWith(client)
					_, first := freshCSR(t, "www.example.com")
					m.refused("sign/web", first)
					time.Sleep(time.Hour)
					m.pass()
					ca.Configure(func(s *certinexttest.Server) { s.IssueDelay = 0 })
					c.hurt(m, away)
					_, second := freshCSR(t, "www.example.com")
					resp, err := m.send(call{op: logical.UpdateOperation, path: "sign/web", data: second})
					require.True(t, err != nil || resp.IsError())
					require.Len(t, ca.Orders(), 1, "bought a second one")
					if restart {
						m.startWith(client)
					}
					c.heal(m, away)
					time.Sleep(2 * time.Hour)
					m.pass()
					key, third := freshCSR(t, "www.example.com")
					got := m.write("sign/web", third)
					require.True(t, key.PublicKey.Equal(m.chainOK(got).PublicKey))
					require.Len(t, ca.Orders(), 1, "bought a second one")
				})
			})
		}
	}
}

// CERTInext refuses to reissue in its own words: a new order is placed, and the other one is not tried again.
func TestWhatCERTInextRefusesToReissueIsNotTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.IssueDelay = 30 * time.Minute
		m := rekeying(t, ca, nil)
		_, first := freshCSR(t, "www.example.com")
		m.refused("sign/web", first)
		time.Sleep(time.Hour)
		ca.Configure(func(s *certinexttest.Server) { s.IssueDelay = 0 })
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpReissue, Kind: certinexttest.FaultServerError, Status: http.StatusUnprocessableEntity})
		for range 2 {
			key, again := freshCSR(t, "www.example.com")
			require.True(t, key.PublicKey.Equal(m.chainOK(m.write("sign/web", again)).PublicKey))
			m.start()
			time.Sleep(time.Minute)
			m.pass()
		}
		require.Len(t, ca.Orders(), 3)
		require.Equal(t, 1, ca.Calls()[certinexttest.OpReissue])
	})
}
