// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// TestNothingOfBeforeAResetHappensAfterIt: a look-up for an order that is forgotten meanwhile
// leads to no certificate, no renewal and no charge.
func TestNothingOfBeforeAResetHappensAfterIt(t *testing.T) {
	for name, c := range map[string]struct {
		record string
		verify func(r *rig, id, domain string) (get, verify func() (answer, error))
	}{
		"version 1": {"_emsign-validation.", func(r *rig, id, domain string) (get, verify func() (answer, error)) {
			call := func(verb string) func() (answer, error) {
				return func() (answer, error) {
					a, err := r.tryCall(verb, dcv(id, domain, "1"))
					return a.answer, err
				}
			}
			return call("GetDcv"), call("VerifyDcv")
		}},
		"version 2": {"_emudhra-challenge.", func(r *rig, id, domain string) (get, verify func() (answer, error)) {
			path := sslPath + "/" + id + "/dcv"
			return func() (answer, error) { return r.try("GET", path, "") }, func() (answer, error) {
				return r.try("POST", path+"/verify", toJSON(m{"domain": domain, "method": "dns-txt"}))
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			z := newZone(t)
			r := newTerm(t, func(s *certinexttest.Server) {
				s.Resolver, s.CAA.Lookups = z.dns, certinexttest.CAANever
				s.Billing.ChargeReissues = true
			})
			const domain = "www.example.org"
			id, _ := r.renewing(m{
				"certificate": m{"domain": domain, "autoSecureWww": false}, "csr": csr(t, newKey(t), domain),
			})
			get, verify := c.verify(r.rig, id, domain)
			challenge, err := get()
			require.NoError(t, err)
			_, token, _ := strings.Cut(string(challenge.body), `"token":"`)
			token, _, _ = strings.Cut(token, `"`)
			z.setTXT(c.record+domain, token)
			z.whenAsked(r.srv.Reset)
			_, err = verify()
			require.ErrorIs(t, err, io.ErrUnexpectedEOF, "who is served during a reset hears no more")
			r.on(80)
			require.Empty(t, r.srv.Orders())
			require.Empty(t, r.srv.Ledger())
			for _, d := range r.srv.Domains() {
				require.NotEqual(t, domain, d.Name)
			}
		})
	}
}

// TestACallOfBeforeAResetIsNotProcessedAfterIt: version 1 has no tokens that a reset could void.
func TestACallOfBeforeAResetIsNotProcessedAfterIt(t *testing.T) {
	r := newRig(t, priced("1000"))
	waits, goOn := make(chan struct{}), make(chan struct{})
	r.srv.BeforeCall = func(op string, _ *http.Request) {
		if op == certinexttest.OpCreateSSL {
			close(waits)
			<-goOn
		}
	}
	failed := make(chan error, 1)
	go func() {
		_, err := r.tryCall("GenerateOrderSSL", m{"orderDetails": v1Order("www.example.com")})
		failed <- err
	}()
	<-waits
	r.srv.Reset()
	close(goOn)
	require.Error(t, <-failed)
	require.Empty(t, r.srv.Orders())
	require.Empty(t, r.srv.Ledger())
}

// TestResetsAndCallsAtOnce is for the race detector.
func TestResetsAndCallsAtOnce(t *testing.T) {
	srv := verified(certinexttest.Live)
	srv.BaseURL = "http://ca.test"
	socket := httptest.NewServer(srv)
	defer socket.Close()
	client := &http.Client{Timeout: 10 * time.Second}
	send := func(method, path, body string) {
		req, err := http.NewRequestWithContext(t.Context(), method, socket.URL+path, strings.NewReader(body))
		if err != nil {
			panic(err)
		}
		if resp, err := client.Do(req); err == nil {
			resp.Body.Close()
		}
	}
	var group sync.WaitGroup
	for _, call := range [][3]string{
		{"POST", "/_sandbox/reset", ""},
		{"GET", api + "/groups", ""},
		{"GET", "/nowhere", ""},
		{"POST", "/_sandbox/knobs", `{"idempotency":"on","rateLimit":1000,"caaLookups":"never"}`},
		{"GET", "/_sandbox/health", ""},
		{"POST", "/oauth/token", "grant_type=client_credentials"},
		{"GET", "/_sandbox/openapi.json", ""},
		{"POST", "/emSignHub-API/VerifyDcv", "{}"},
		{"GET", "/crl/public.crl", ""},
		{"POST", sslPath, "{}"},
	} {
		group.Go(func() {
			for range 20 {
				send(call[0], call[1], call[2])
			}
		})
	}
	group.Wait()
	require.Empty(t, srv.Orders())
}
