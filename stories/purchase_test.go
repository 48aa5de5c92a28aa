// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// The same request is one purchase.

// An agent whose template fails after the answer asks again every few seconds (measured: six paid orders in 25 s).
func TestAnAgentThatAsksAgainForADayPaysOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		first := m.write("issue/web", www)
		require.Equal(t, false, first.Data["reused"])
		began := time.Now()
		for time.Since(began) < 25*time.Hour {
			time.Sleep(4 * time.Minute) // the window is five minutes, from the latest answer
			again := m.write("issue/web", www)
			m.pass()
			if again.Data["reused"] == false {
				break
			}
			require.Equal(t, first.Data["serial_number"], again.Data["serial_number"])
			require.Equal(t, first.Data["private_key"], again.Data["private_key"])
		}
		require.InDelta(t, 24*time.Hour, time.Since(began), float64(10*time.Minute), "a key does not rest for ever")
		require.Len(t, ca.Orders(), 2)
	})
}

// Copies of one application that rotate at the same instant, with one identity.
func TestAFleetThatAsksAtTheSameInstantPaysOnceAndTheLastLeaseRevokes(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := validated(dialect)
		ca.IssueDelay = 10 * time.Second
		m := newMount(t, ca)
		var (
			mu      sync.Mutex
			answers []*logical.Response
			wg      sync.WaitGroup
		)
		for i := range 24 {
			wg.Go(func() {
				time.Sleep(time.Duration(i%5) * 100 * time.Millisecond)
				resp := m.write("issue/web", www)
				mu.Lock()
				defer mu.Unlock()
				answers = append(answers, resp)
			})
		}
		wg.Wait()
		require.Len(t, ca.Orders(), 1)
		bought, leases := 0, map[any]bool{}
		for _, a := range answers {
			require.Equal(t, answers[0].Data["serial_number"], a.Data["serial_number"])
			if a.Data["reused"] == false {
				bought++
			}
			leases[a.Secret.InternalData["lease"]] = true
		}
		require.Equal(t, 1, bought)
		require.Len(t, leases, len(answers), "each has a lease of its own")
		for i, a := range answers {
			require.Equal(t, "issued", ca.Orders()[0].Status, "%d leases live", len(answers)-i)
			m.endLease(a)
		}
		require.Equal(t, "revoked", ca.Orders()[0].Status)
		fresh := m.write("issue/web", www)
		require.Equal(t, false, fresh.Data["reused"], "revoking ends reuse")
	})
}

func TestReuseIsWhatTheRoleSays(t *testing.T) {
	for name, c := range map[string]struct {
		role   map[string]any
		wait   time.Duration
		orders int
	}{
		"within the grace, by default":        {nil, 4 * time.Minute, 1},
		"after the grace, by default":         {nil, 6 * time.Minute, 2},
		"a grace of an hour":                  {map[string]any{"delivery_grace": "1h"}, 55 * time.Minute, 1},
		"no reuse":                            {map[string]any{"reuse_window": 0}, time.Second, 2},
		"a window of its own":                 {map[string]any{"reuse_window": "2h"}, 110 * time.Minute, 1},
		"and its end":                         {map[string]any{"reuse_window": "2h"}, 121 * time.Minute, 2},
		"a window that is shorter":            {map[string]any{"reuse_window": "1m", "delivery_grace": "10m"}, 2 * time.Minute, 2},
		"a window that needs the key no more": {map[string]any{"reuse_window": "1m", "delivery_grace": 0}, 30 * time.Second, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				m := newMount(t, ca)
				if c.role != nil {
					m.must(call{op: logical.PatchOperation, path: "roles/web", data: c.role})
				}
				first := m.write("issue/web", www)
				m.pass()
				time.Sleep(c.wait)
				m.pass()
				second := m.write("issue/web", www)
				require.Len(t, ca.Orders(), c.orders)
				require.Equal(t, c.orders == 1, first.Data["serial_number"] == second.Data["serial_number"])
				require.Equal(t, c.orders == 1, second.Data["reused"])
				time.Sleep(25 * time.Hour)
				m.pass()
				requireNoKeys(t, m)
			})
		})
	}
}

func TestAReuseWindowThatIsTooLongIsRefused(t *testing.T) {
	m := newMount(t, validated(certinexttest.Live))
	for _, window := range []any{"25h", -1} {
		resp, err := m.send(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"reuse_window": window}})
		require.NoError(t, err)
		require.ErrorContains(t, resp.Error(), "reuse_window: ")
	}
	require.Equal(t, int64(300), m.read("roles/web").Data["reuse_window"], "the delivery grace")
}

// A restarted process knows no more than storage.
func TestReuseOutlivesARestart(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := validated(dialect)
		m := newMount(t, ca)
		first := m.write("issue/web", www)
		m.start()
		second := m.write("issue/web", www)
		require.Equal(t, first.Data["serial_number"], second.Data["serial_number"])
		require.Equal(t, true, second.Data["reused"])
		require.Len(t, ca.Orders(), 1)
		m.start()
		forced := m.write("issue/web", map[string]any{"common_name": "www.example.com", "force_new": true})
		require.NotEqual(t, first.Data["serial_number"], forced.Data["serial_number"])
		require.Len(t, ca.Orders(), 2)
	})
}

func TestForceNewPassesOverWhatWasHandedOverAndNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		force := map[string]any{"common_name": "www.example.com", "force_new": true}
		first := m.write("issue/web", www)
		second := m.write("issue/web", force)
		require.NotEqual(t, first.Data["serial_number"], second.Data["serial_number"])
		require.Equal(t, false, second.Data["reused"])
		require.Len(t, ca.Orders(), 2)

		// A client that resends, while its order is open and afterwards uncollected.
		ca.Configure(func(s *certinexttest.Server) { s.IssueDelay = 5 * time.Minute })
		m.refused("issue/web", force)
		m.refused("issue/web", force)
		require.Len(t, ca.Orders(), 3)
		time.Sleep(10 * time.Minute)
		m.pass()
		third := m.write("issue/web", force)
		require.Len(t, ca.Orders(), 3)
		require.NotEqual(t, second.Data["serial_number"], third.Data["serial_number"])

		// Two at the same instant share what they buy.
		ca.Configure(func(s *certinexttest.Server) { s.IssueDelay = 10 * time.Second })
		serials := make(chan any, 2)
		for range 2 {
			go func() { serials <- m.write("issue/web", force).Data["serial_number"] }()
		}
		one, other := <-serials, <-serials
		require.Equal(t, one, other)
		require.Len(t, ca.Orders(), 4)

		require.Contains(t, m.refused("issue/web", map[string]any{"common_name": "www.example.com", "force_new": true, "request_id": "x"}), "force_new: ")
	})
}

// A name of its own keeps a request apart from those without one.
func TestARequestWithANameSharesWithNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		first := m.write("issue/web", www)
		named := m.write("issue/web", map[string]any{"common_name": "www.example.com", "request_id": "a"})
		require.NotEqual(t, first.Data["serial_number"], named.Data["serial_number"])
		require.Equal(t, true, m.write("issue/web", map[string]any{"common_name": "www.example.com", "request_id": "a"}).Data["reused"])
		require.Equal(t, first.Data["serial_number"], m.write("issue/web", www).Data["serial_number"])
		require.Len(t, ca.Orders(), 2)
	})
}

// Revoking tells how many are hit.
func TestARevocationSaysToHowManyTheCertificateWasHanded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		first := m.write("issue/web", www)
		m.write("issue/web", www)
		m.write("issue/web", www)
		resp := m.write("revoke", map[string]any{"serial_number": first.Data["serial_number"]})
		require.Equal(t, 3, resp.Data["handed_to"])
		require.Contains(t, strings.Join(resp.Warnings, " "), "delivered 3 times")
		require.Equal(t, false, m.write("issue/web", www).Data["reused"])
		require.Len(t, ca.Orders(), 2)
	})
}

// The plugin's clock is 60 days ahead of the CA's, whose certificates live 30: one request had bought 1,684 orders in 5 s.
func TestARequestThatBuysAnExpiredCertificateSaysSoAndBuysNoOther(t *testing.T) {
	for _, path := range []string{"issue/web", "orders/web"} {
		t.Run(path, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := monthly(certinexttest.Live)
				m := newMount(t, ca)
				m.later(60 * 24 * time.Hour)
				for range 20 {
					m.try(logical.UpdateOperation, path, www)
					time.Sleep(time.Second)
				}
				require.Len(t, ca.Orders(), 1)
				text := m.refused("issue/web", www)
				require.Contains(t, text, "is issued and is not handed over: it expired at")
				require.Contains(t, text, m.list("orders/web")[0])
				m.later(-60 * 24 * time.Hour) // somebody sets the clock right
				m.chainOK(m.write("issue/web", www))
				require.Len(t, ca.Orders(), 1)
			})
		})
	}
}

// A meddler answers in CERTInext's place: once, or as often as wanted.
type meddler struct {
	next   http.RoundTripper
	mu     sync.Mutex
	answer func(r *http.Request) *http.Response // nil passes the call on
}

func (d *meddler) set(answer func(r *http.Request) *http.Response) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.answer = answer
}

func (d *meddler) RoundTrip(r *http.Request) (*http.Response, error) {
	d.mu.Lock()
	answer := d.answer
	d.mu.Unlock()
	if answer != nil {
		if resp := answer(r); resp != nil {
			return resp, nil
		}
	}
	return d.next.RoundTrip(r)
}

// meddle puts a meddler between the plugin and its CA.
func (m *mount) meddle() *meddler {
	m.t.Helper()
	d := &meddler{next: m.ca.Client().Transport}
	m.startWith(&http.Client{Transport: d})
	return d
}

func reply(r *http.Request, status int, contentType, body string) *http.Response {
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {contentType}}, Body: io.NopCloser(bytes.NewReader([]byte(body))), ContentLength: int64(len(body)),
	}
}

// A proxy's word is not CERTInext's: {"status":"expired"} had closed the order, erased its key and bought another one.
func TestOneAnswerToAStatusQuestionEndsNoOrder(t *testing.T) {
	for name, body := range map[string]string{
		"a session that is over":      `{"status":"expired","message":"session expired"}`,
		"another order's number":      `{"orderId":"9999999999","status":"rejected"}`,
		"its own number, but wrongly": "own",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				ca.IssueDelay = 10 * time.Minute
				m := newMount(t, ca)
				d := m.meddle()
				id := m.write("orders/web", www).Data["order_id"].(string)
				number := ca.Orders()[0].ID
				said := body
				if said == "own" {
					said = `{"orderId":"` + number + `","status":"cancelled"}`
				}
				d.set(func(r *http.Request) *http.Response {
					if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/"+number) {
						return reply(r, http.StatusOK, "application/json", said)
					}
					return nil
				})
				time.Sleep(time.Minute)
				m.pass()
				m.refused("issue/web", www)
				require.Equal(t, "pending", m.read("orders/web/" + id).Data["state"])
				d.set(nil)
				time.Sleep(10 * time.Minute)
				m.chainOK(m.write("issue/web", www))
				require.Len(t, ca.Orders(), 1)
			})
		})
	}
}

// A middleman that answers a revocation with success had left the certificate valid for ever.
func TestARevocationIsBelievedWhenTheOrderShowsIt(t *testing.T) {
	for name, c := range map[string]struct{ contentType, body string }{
		"an empty success": {"application/json", ""},
		"a text":           {"text/plain", "Access denied by policy"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				m := newMount(t, ca)
				d := m.meddle()
				issued := m.write("issue/web", www)
				d.set(func(r *http.Request) *http.Response {
					if strings.Contains(r.URL.Path, "/revoke") {
						return reply(r, http.StatusOK, c.contentType, c.body)
					}
					return nil
				})
				resp := m.write("revoke", map[string]any{"serial_number": issued.Data["serial_number"]})
				require.Equal(t, "queued", resp.Data["state"])
				require.Empty(t, m.list("certs/revoked"))
				require.Len(t, m.list("certs/revocation-queue"), 1)
				d.set(nil)
				m.passes(2)
				require.Equal(t, "revoked", ca.Orders()[0].Status)
				require.Len(t, m.list("certs/revoked"), 1)
				require.Empty(t, m.list("certs/revocation-queue"))
			})
		})
	}
}

// "Cancelled", the key erased, and the certificate issued and paid for.
func TestACancellationIsBelievedWhenTheOrderShowsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.IssueDelay = 10 * time.Minute
		m := newMount(t, ca)
		d := m.meddle()
		id := m.write("orders/web", www).Data["order_id"].(string)
		d.set(func(r *http.Request) *http.Response {
			if strings.HasSuffix(r.URL.Path, "/cancel") {
				return reply(r, http.StatusNoContent, "", "")
			}
			return nil
		})
		resp, err := m.send(call{op: logical.DeleteOperation, path: "orders/web/" + id})
		require.NoError(t, err)
		require.ErrorContains(t, resp.Error(), "try again")
		require.Equal(t, "pending", m.read("orders/web/" + id).Data["state"])
		d.set(nil)
		time.Sleep(15 * time.Minute)
		m.chainOK(m.write("issue/web", www))
		require.Len(t, ca.Orders(), 1)
	})
}

// Vault died between the plugin's answer and the lease: nobody will ever end it.
func TestALeaseThatVaultNeverStoredEndsByItself(t *testing.T) {
	for name, ttl := range map[string]time.Duration{"while its order is open": 2 * time.Minute, "after its order was closed": 3 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				m := newMount(t, ca)
				m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"ttl": ttl.String()}})
				m.write("issue/web", www)
				kept := m.write("issue/web", map[string]any{"common_name": "kept.example.com"})
				for time.Sleep(time.Minute); ; time.Sleep(time.Minute) {
					m.pass()
					if time.Since(kept.Secret.IssueTime) > 0 && len(m.list("certs/revoked")) > 0 {
						break
					}
					resp := m.must(call{op: logical.RenewOperation, path: "issue/web", secret: renewed(kept, ttl)})
					require.Equal(t, ttl, resp.Secret.TTL)
					require.Less(t, time.Since(ca.Orders()[0].CreatedAt), ttl+10*time.Minute, "nobody ends it")
				}
				require.GreaterOrEqual(t, time.Since(ca.Orders()[0].CreatedAt), ttl)
				require.Equal(t, "revoked", ca.Orders()[0].Status)
				require.Equal(t, "issued", ca.Orders()[1].Status, "its lease is renewed all the time")
				for range 3 * int(ttl/time.Minute) {
					time.Sleep(time.Minute)
					m.pass()
				}
				require.Equal(t, "revoked", ca.Orders()[1].Status, "and not any more")
				keys := m.storage.dump(t)
				for key := range keys {
					require.False(t, strings.HasPrefix(key, "lease/"), key)
				}
			})
		})
	}
}

// renewed is the lease of an answer as Vault names it when it is renewed.
func renewed(resp *logical.Response, increment time.Duration) *logical.Secret {
	s := leased(resp)
	s.Increment = increment
	return s
}

// The brake.
func TestPausedOrderingRefusesNewPurchasesAndNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.IssueDelay, ca.Demands.LoneUCC = 5*time.Minute, true
		m := newMount(t, ca)
		m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"allow_reissue": true, "product_code": "844", "product_variant": "dv-ucc"}})
		open := m.write("orders/web", www).Data
		draft := m.write("orders/web", map[string]any{"common_name": "draft.example.com", "save_as_draft": true}).Data
		ca.Configure(func(s *certinexttest.Server) { s.IssueDelay = 0 })
		leased := m.write("issue/web", map[string]any{"common_name": "leased.example.com"})
		bought := len(ca.Orders())
		m.write("config", map[string]any{"ordering": "paused"})
		require.Equal(t, "paused", m.read("config").Data["ordering"])
		for path, data := range map[string]map[string]any{
			"issue/web":  {"common_name": "new.example.com"},
			"orders/web": {"common_name": "new.example.com"},
			"renew/web/" + leased.Data["serial_number"].(string):          nil,
			"orders/web/" + leased.Data["order_id"].(string) + "/reissue": nil,
			"orders/web/" + draft["order_id"].(string):                    {"promote": true},
		} {
			require.Contains(t, m.refused(path, data), "ordering: is paused", path)
		}
		require.Len(t, ca.Orders(), bought)
		time.Sleep(10 * time.Minute)
		m.pass()
		m.chainOK(m.write("orders/web/"+open["order_id"].(string)+"/collect", nil))
		m.endLease(leased)
		m.write("config", map[string]any{"ordering": "on"})
		m.chainOK(m.write("issue/web", map[string]any{"common_name": "new.example.com"}))
		require.Contains(t, m.refused("config", map[string]any{"ordering": "sometimes"}), "ordering: ")
	})
}

// orders/<role> had taken 42 s with a 429 on the certificate call, and the client never learnt the order's number.
func TestAPlacementAnswersWithinABoundOfItsOwn(t *testing.T) {
	for name, fault := range map[string]certinexttest.Fault{
		"a certificate that is refused for now": {Operation: certinexttest.OpCertificate, Kind: certinexttest.FaultRateLimit, RetryAfter: 10 * time.Second},
		"a status that hangs":                   {Operation: certinexttest.OpTrack, Kind: certinexttest.FaultLatency, Delay: time.Hour},
		"a status that fails":                   {Operation: certinexttest.OpTrack, Kind: certinexttest.FaultServerError},
	} {
		t.Run(name, func(t *testing.T) {
			dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
				ca := validated(dialect)
				m := newMount(t, ca)
				ca.Inject(fault)
				start := time.Now()
				resp := m.write("orders/web", www)
				require.LessOrEqual(t, time.Since(start), 6*time.Second)
				require.Equal(t, ca.Orders()[0].ID, resp.Data["ca_order_id"])
				ca.ClearFaults()
				m.passes(1)
				m.chainOK(m.write("issue/web", www))
				require.Len(t, ca.Orders(), 1)
			})
		})
	}
}

// Taken half a second after a create was answered 503, while the report already held that order's marker.
func TestNeverPlacedIsBelievedAfterALook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultServerErrorAfter, Times: 1})
		m.refused("issue/web", www)
		path := "orders/web/" + m.list("orders/web")[0]
		never := map[string]any{"never_placed": true}
		time.Sleep(500 * time.Millisecond)
		require.Contains(t, m.refused("operator/"+path, never), "it goes on by itself")
		time.Sleep(5 * time.Minute)
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpOrdersReport, Kind: certinexttest.FaultServerError})
		require.Contains(t, m.refused("operator/"+path, never), "cannot be read now")
		ca.ClearFaults()
		require.Contains(t, m.refused("operator/"+path, never), ca.Orders()[0].ID)
		m.chainOK(m.write("issue/web", www))
		require.Len(t, ca.Orders(), 1)
	})
}

// A create that CERTInext did not take is not known to be lost until it has had its time.
func TestNeverPlacedWaitsForACreateThatMayStillArrive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultServerError, Times: 1})
		m.refused("issue/web", www)
		path := "orders/web/" + m.list("orders/web")[0]
		never := map[string]any{"never_placed": true}
		time.Sleep(500 * time.Millisecond)
		require.Contains(t, m.refused("operator/"+path, never), "may still be working on")
		time.Sleep(5 * time.Minute)
		require.Equal(t, "failed", m.write("operator/"+path, never).Data["state"])
		require.Empty(t, ca.Orders())
	})
}

// A caller that hangs up in a crowd takes nobody with it.
func TestWhoHangsUpInACrowdTakesNobodyWithIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.IssueDelay = 20 * time.Second
		m := newMount(t, ca)
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if i%2 == 0 {
					time.AfterFunc(time.Duration(i+1)*2*time.Second, cancel)
				}
				resp, err := m.send(call{op: logical.UpdateOperation, path: "issue/web", data: www, ctx: ctx})
				if i%2 == 1 {
					require.NoError(t, err)
					m.chainOK(resp)
				}
			})
		}
		wg.Wait()
		require.Len(t, ca.Orders(), 1)
	})
}

// While CERTInext's Date says otherwise, our clock alone erases, revokes and buys nothing.
func TestAClockThatJumpsDoesNothingThatCannotBeUndone(t *testing.T) {
	for name, jump := range map[string]time.Duration{"ahead": 60 * 24 * time.Hour, "behind": -60 * 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := monthly(certinexttest.Live)
				m := newMount(t, ca)
				m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"ttl": "1h", "revoke_unclaimed": true, "pickup_window": "1h"}})
				first := m.write("issue/web", www)
				lost := m.write("orders/web", map[string]any{"common_name": "lost.example.com"}).Data // nobody has fetched it yet
				m.later(jump)
				for range 10 {
					time.Sleep(time.Minute)
					m.pass()
				}
				check := m.read("config/check").Data
				require.Equal(t, true, check["ok"], "orders are placed")
				require.Contains(t, check["notes"].([]string)[0], "this server's clock is 60 days "+name)
				require.Contains(t, m.log.String(), "this server's clock is")
				require.Empty(t, m.list("certs/revoked"))
				if jump > 0 { // Vault ends what its clock says is over
					s := leased(first)
					s.IssueTime = m.now().Add(-2 * time.Hour)
					m.must(call{op: logical.RevokeOperation, path: "issue/web", secret: s})
				}
				again, err := m.send(call{op: logical.UpdateOperation, path: "issue/web", data: www})
				require.NoError(t, err)
				if jump > 0 {
					require.ErrorContains(t, again.Error(), "set the server's clock right")
				} else {
					require.Equal(t, first.Data["serial_number"], again.Data["serial_number"])
				}
				require.Len(t, ca.Orders(), 2)
				m.later(-jump)
				for range 10 {
					time.Sleep(time.Minute)
					m.pass()
				}
				require.Equal(t, "issued", ca.Orders()[0].Status, "its lease lives for an hour")
				require.Equal(t, "issued", ca.Orders()[1].Status)
				m.chainOK(m.write("orders/web/"+lost["order_id"].(string)+"/collect", nil))
				require.Equal(t, true, m.read("config/check").Data["ok"])
				m.passes(3)
				require.Equal(t, "revoked", ca.Orders()[0].Status, "and no longer")
			})
		})
	}
}

// The process dies between the plugin's answer and Vault's: without reuse, too, the same request gets what was bought for it.
func TestAnAnswerThatDiedWithItsProcessIsGivenAgainWithoutReuse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"reuse_window": 0}})
		first := m.write("issue/web", www)
		time.Sleep(time.Second)
		m.start()
		require.Equal(t, first.Data["serial_number"], m.write("issue/web", www).Data["serial_number"])
		require.Len(t, ca.Orders(), 1)
		time.Sleep(time.Second)
		require.NotEqual(t, first.Data["serial_number"], m.write("issue/web", www).Data["serial_number"], "that answer has left")
		require.Len(t, ca.Orders(), 2)
	})
}
