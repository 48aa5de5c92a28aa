// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

func TestCallsOfDomainsAreRepeatedAsTheirKindAllows(t *testing.T) {
	const body = `{"domainId":"` + testDomainID + `","domainName":"example.com","txtToken":"v","method":"dns-txt","dcvStatus":"VERIFIED"}`
	reads := map[string]bool{"read": true, "challenge": true, "diagnosis": true}
	for name, call := range everyOfDomains {
		for what, tc := range map[string]struct {
			answer func(int, sent) (*http.Response, error)
			again  bool
		}{
			"429":             {always(429, ``, "Retry-After", "1"), true},
			"503":             {always(503, ``), reads[name]},
			"lost connection": {broken, reads[name]},
			"timeout":         {hangs, reads[name]},
			"409":             {always(409, ``), false},
		} {
			t.Run(name+" after "+what, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					g, c := newRig(inTurn(tc.answer, always(200, body)))
					err := call(t.Context(), c)
					if tc.again {
						require.NoError(t, err)
						assert.Len(t, g.sentCalls(), 2)
						return
					}
					e := asErr(t, err)
					assert.Len(t, g.sentCalls(), 1)
					assert.Equal(t, !reads[name], e.Acted)
				})
			})
		}
	}
}

func TestQuirk47SingleDomainsAreSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := newRig(func(int, sent) (*http.Response, error) {
			time.Sleep(6 * time.Second)
			return response(200, `{"domainName":"example.com","txtToken":"v"}`), nil
		})
		start := time.Now()
		_, err := c.Domain(t.Context(), testDomainID)
		require.NoError(t, err)
		_, err = c.DomainChallenge(t.Context(), testDomainID, "example.com", certinext.DCVMethodDNS)
		require.NoError(t, err)
		assert.Equal(t, 12*time.Second, time.Since(start))
		assert.Len(t, g.sentCalls(), 2)
		assert.Equal(t, "/api/certinext/v2/domains/"+testDomainID, g.sentCalls()[0].path)
	})
	for name, call := range every { // none of the calls that an order needs asks for a domain
		g, c := newRig(done)
		require.NoError(t, call(t.Context(), c), name)
		for _, r := range g.sentCalls() {
			assert.NotContains(t, r.path, "/domains")
		}
	}
}
