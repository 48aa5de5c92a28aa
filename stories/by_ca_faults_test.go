// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// whenRenewed is a mount of which ann has a certificate that CERTInext has renewed by itself, and whose key is kept.
func whenRenewed(t *testing.T, how certinexttest.AutoRenewal, more map[string]any) (m *mount, first map[string]any) {
	t.Helper()
	role := map[string]any{"validity_years": 2, "reuse": true, "issue_timeout": "30s"}
	for name, value := range more {
		role[name] = value
	}
	m = byCA(t, how, role)
	first = m.asksFor("ann", "www.example.com")
	m.rests(2 * time.Hour)
	time.Sleep(time.Until(time.Unix(first["renew_after"].(int64), 0)))
	m.pass()
	return m, first
}

// takesIn asks until ann is answered, and fails unless that is what CERTInext has made, for the kept key, with nothing bought.
func (m *mount) takesIn(first map[string]any, what string, args ...any) {
	m.t.Helper()
	what = fmt.Sprintf(what, args...)
	var second map[string]any
	for range 20 {
		resp, err := m.send(call{op: logical.UpdateOperation, path: "issue/web", data: map[string]any{"common_name": "www.example.com"}, entity: "ann"})
		if err == nil && !resp.IsError() {
			second = resp.Data
			break
		}
		time.Sleep(time.Hour)
		m.pass()
	}
	require.NotNil(m.t, second, what)
	require.NotEqual(m.t, first["serial_number"], second["serial_number"], what)
	require.Equal(m.t, first["private_key"], second["private_key"], what)
	m.isFor(second, "www.example.com")
	require.Equal(m.t, 1, m.ca.Calls()[certinexttest.OpCreateSSL], what)
	require.Zero(m.t, m.ca.Calls()[certinexttest.OpReissue], what)
	m.rests(3 * time.Hour)
	again := m.asksFor("ann", "www.example.com")
	require.Equal(m.t, second["serial_number"], again["serial_number"], what)
	require.Equal(m.t, second["serial_number"], m.certificate(first)["renewed_by"], what)
}

// TestWhatTheCAHasRenewedIsTakenInWhateverStorageRefuses refuses each write of the request that takes it in, in each way.
func TestWhatTheCAHasRenewedIsTakenInWhateverStorageRefuses(t *testing.T) {
	refused := errors.New("storage refuses")
	for kind, renewal := range map[string]certinexttest.AutoRenewal{"within": certinexttest.RenewUntilEnd, "by order": certinexttest.RenewByOrder} {
		for name, how := range map[string]struct {
			err  error
			dies bool // the process, at that write
		}{
			"refused": {err: refused}, "stored, and answered with an error": {err: errStored},
			"the process dies": {err: refused, dies: true}, "stored, and the process dies": {err: errStored, dies: true},
		} {
			t.Run(kind+", "+name, func(t *testing.T) {
				most := 0
				for n, reached := 0, true; reached; n++ {
					synctest.Test(t, func(t *testing.T) {
						m, first := whenRenewed(t, renewal, nil)
						reached = m.cutAt(n, how.err, how.dies, func() {
							_, _ = m.send(call{op: logical.UpdateOperation, path: "issue/web", data: map[string]any{"common_name": "www.example.com"}, entity: "ann"})
						})
						if how.dies {
							m.start()
						}
						m.takesIn(first, "write %d", n)
					})
					most = n
				}
				require.Greater(t, most, 2, "the request has written less than it has to")
			})
		}
	}
}

// cutAt refuses the nth write or deletion of what is done, and reports whether there was one.
func (m *mount) cutAt(n int, err error, dies bool, do func()) (reached bool) {
	m.t.Helper()
	writes := 0
	m.storage.cutBy(func(string) error {
		writes++
		switch {
		case writes == n+1:
			reached = true
			return err
		case dies && writes > n:
			return errors.New("the process is dead")
		}
		return nil
	})
	do()
	synctest.Wait()
	m.storage.cutBy(nil)
	return reached
}

// TestWhatTheCAHasRenewedIsTakenInWhateverIsLost loses CERTInext's answers to the request that takes it in.
func TestWhatTheCAHasRenewedIsTakenInWhateverIsLost(t *testing.T) {
	for kind, renewal := range map[string]certinexttest.AutoRenewal{"within": certinexttest.RenewUntilEnd, "by order": certinexttest.RenewByOrder} {
		for _, op := range []string{certinexttest.OpCertificate, certinexttest.OpOrdersReport, certinexttest.OpTrack} {
			for _, fault := range []certinexttest.FaultKind{
				certinexttest.FaultLostReply, certinexttest.FaultServerError, certinexttest.FaultHTML, certinexttest.FaultMalformedJSON, certinexttest.FaultMiddleman,
			} {
				for skip := range 3 {
					synctest.Test(t, func(t *testing.T) {
						m, first := whenRenewed(t, renewal, nil)
						m.ca.Inject(certinexttest.Fault{Operation: op, Kind: fault, Times: 8, Skip: skip})
						m.takesIn(first, "%s, %s: %s after %d", kind, op, fault, skip)
					})
				}
			}
		}
	}
}

// TestWhatTheCAHasRenewedEndsWithItsLastLease: it is the requester's from when it was handed over.
func TestWhatTheCAHasRenewedEndsWithItsLastLease(t *testing.T) {
	for _, renewal := range []certinexttest.AutoRenewal{certinexttest.RenewUntilEnd, certinexttest.RenewByOrder} {
		synctest.Test(t, func(t *testing.T) {
			m := byCA(t, renewal, map[string]any{"validity_years": 2, "reuse": true, "generate_lease": true})
			ask := map[string]any{"common_name": "www.example.com"}
			first := m.asksAgain("ann", "issue/web", ask)
			m.rests(2 * time.Hour)
			time.Sleep(time.Until(time.Unix(first.Data["renew_after"].(int64), 0)))
			m.pass()
			second := m.asksAgain("ann", "issue/web", ask)
			m.rests(3 * time.Hour)
			isOne := renewal == certinexttest.RenewUntilEnd // an order, which CERTInext revokes as a whole

			m.endLease(first)
			m.rests(3 * time.Hour)
			require.Zero(t, m.certificate(second.Data)["revocation_time"], "it was revoked with the one that it renews")
			require.Equal(t, isOne, m.certificate(first.Data)["revocation_time"] == int64(0))

			m.endLease(second)
			m.rests(3 * time.Hour)
			require.NotZero(t, m.certificate(second.Data)["revocation_time"])
			require.NotZero(t, m.certificate(first.Data)["revocation_time"])
			for _, order := range m.ca.Orders() {
				require.NotZero(t, order.RevokedAt, "CERTInext was not told")
			}
			require.Empty(t, m.kept())
		})
	}
}

// TestRequestsForWhatTheCAHasRenewedMeet: many of one requester are answered with one certificate.
func TestRequestsForWhatTheCAHasRenewedMeet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, first := whenRenewed(t, certinexttest.RenewUntilEnd, nil)
		answers := make(chan any, 20)
		for range cap(answers) {
			go func() {
				resp, err := m.send(call{op: logical.UpdateOperation, path: "issue/web", data: map[string]any{"common_name": "www.example.com"}, entity: "ann"})
				if err != nil || resp.IsError() {
					answers <- fmt.Sprint(resp, err)
					return
				}
				answers <- resp.Data["serial_number"]
			}()
		}
		serial := <-answers
		for range cap(answers) - 1 {
			require.Equal(t, serial, <-answers)
		}
		require.NotEqual(t, first["serial_number"], serial)
		require.Len(t, m.ca.Orders(), 1)
	})
}

// staleDownloads answers some downloads as it has answered the first one: a replica of CERTInext's that lags.
type staleDownloads struct {
	next  http.RoundTripper
	first []byte
	lags  func() bool
}

func (s *staleDownloads) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := s.next.RoundTrip(r)
	if err != nil || !strings.HasSuffix(r.URL.Path, "/certificate") || resp.StatusCode != http.StatusOK {
		return resp, err
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if s.first == nil {
		s.first = text
	}
	if s.lags != nil && s.lags() {
		text = s.first
	}
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	return resp, nil
}

// TestTheCertificateBeforeIsNotTakenForItsRenewal has CERTInext deliver the earlier certificate again, which has the same key.
func TestTheCertificateBeforeIsNotTakenForItsRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := byCA(t, certinexttest.RenewUntilEnd, map[string]any{"validity_years": 2, "reuse": true, "issue_timeout": "30s"})
		client := m.ca.Client()
		stale := &staleDownloads{next: client.Transport}
		client.Transport = stale
		m.startWith(client)
		first := m.asksFor("ann", "www.example.com")
		m.rests(2 * time.Hour)
		time.Sleep(time.Until(time.Unix(first["renew_after"].(int64), 0)))
		m.pass()
		downloads := 0
		stale.lags = func() bool { downloads++; return downloads > 1 } // after the look
		refused := m.refusedFor("ann", "issue/web", map[string]any{"common_name": "www.example.com"})
		require.Contains(t, refused, "is not finished")
		require.Greater(t, downloads, 1)
		stale.lags = nil
		m.takesIn(first, "the replica has caught up")
	})
}
