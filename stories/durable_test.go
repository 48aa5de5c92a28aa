// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
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

var www = map[string]any{"common_name": "www.example.com"}

// brokenStorage fails in ways that a storage below Vault does.
type brokenStorage struct {
	logical.Storage
	deletesFail bool
	// ambiguous makes the next write of an open order succeed and report an error all the same.
	ambiguous bool
}

func (s *brokenStorage) Delete(ctx context.Context, key string) error {
	if s.deletesFail {
		return errors.New("storage is away")
	}
	return s.Storage.Delete(ctx, key)
}

func (s *brokenStorage) Put(ctx context.Context, e *logical.StorageEntry) error {
	err := s.Storage.Put(ctx, e)
	if s.ambiguous && strings.HasPrefix(e.Key, "order/open/") {
		s.ambiguous = false
		return errors.New("leadership lost while committing log")
	}
	return err
}

// breakStorage puts a storage that can fail below the mount.
func (m *mount) breakStorage() *brokenStorage {
	s := &brokenStorage{Storage: m.storage.under()}
	m.storage.lay(s)
	return s
}

// withoutCSR takes the CSR out of creates, so that orders stop for it.
type withoutCSR struct{ next http.RoundTripper }

func (w withoutCSR) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/ssl-certificates") {
		return w.next.RoundTrip(r)
	}
	var body map[string]any
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		return nil, err
	}
	delete(body, "csr")
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	return w.next.RoundTrip(r)
}

func TestARefusedOrderThatCouldNotBeClosedIsClosedLater(t *testing.T) {
	for name, restart := range map[string]bool{"by the same process": false, "after a restart": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				m := newMount(t, ca)
				storage := m.breakStorage()
				storage.deletesFail = true
				ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultRateLimit, Times: 1})
				_, err := m.send(call{op: logical.UpdateOperation, path: "issue/web", data: www})
				require.Error(t, err)
				storage.deletesFail = false
				if restart {
					m.start()
					m.pass()
				}
				m.chainOK(m.write("issue/web", www))
				require.Len(t, ca.Orders(), 1)
			})
		})
	}
}

func TestAnIntentWhoseWriteFailedIsNotTakenForAnOrder(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := validated(dialect)
		m := newMount(t, ca)
		m.breakStorage().ambiguous = true
		_, err := m.send(call{op: logical.UpdateOperation, path: "issue/web", data: www})
		require.Error(t, err)
		m.chainOK(m.write("issue/web", www))
		m.start()
		time.Sleep(10 * time.Minute)
		m.pass()
		require.Len(t, ca.Orders(), 1, "an order that nobody asked for")
	})
}

func TestAnEntryThatCannotBeReadStopsNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		m.write("roles/other", map[string]any{"product_code": "842", "product_variant": "dv", "allow_any_name": true})
		require.NoError(t, m.storage.Put(t.Context(), &logical.StorageEntry{Key: "order/open/web/x", Value: []byte("{")}))
		m.start()
		m.chainOK(m.write("issue/other", www))
		m.pass()
		m.pass()
		require.Equal(t, 1, strings.Count(m.log.String(), "order/open/web/x"), "it is told once")
		require.Contains(t, m.refused("issue/web", www), "order/open/web/x", "it may be the same request's")
		require.Equal(t, "failed", m.write("operator/orders/web/x", map[string]any{"end": true}).Data["state"])
		m.chainOK(m.write("issue/web", www))
		require.NotContains(t, m.storageKeys(), "order/open/web/x")
	})
}

// withoutRecords takes version 1 from the documented API, which has no orders report of its own.
func withoutRecords(ca *certinexttest.Server) {
	ca.Inject(certinexttest.Fault{Operation: certinexttest.OpOrdersReport, Kind: certinexttest.FaultSpring, Status: http.StatusNotImplemented})
}

// Where version 2 says that it has no records, version 1's are read with the same key.
func TestAnOrderInDoubtOfTheDocumentedAPIIsFoundInVersion1sRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Documented)
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultLostReply, Times: 1})
		m := newMount(t, ca)
		m.write("config", map[string]any{"trust_idempotency_key": false})
		m.refused("issue/web", www)
		time.Sleep(time.Minute)
		m.pass()
		m.chainOK(m.write("issue/web", www))
		require.Len(t, ca.Orders(), 1)
		require.Equal(t, 1, ca.Calls()[certinexttest.OpCreateSSL])
	})
}

func TestAnIdempotencyKeyIsTrustedOnlyWhenTheConfigSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Documented)
		ca.Idempotency = certinexttest.Off // a service that does not keep its promise
		withoutRecords(ca)
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultLostReply, Times: 1})
		m := newMount(t, ca)
		m.write("config", map[string]any{"trust_idempotency_key": false})
		m.refused("issue/web", www)
		for range 5 {
			time.Sleep(5 * time.Minute)
			m.pass()
			m.refused("issue/web", www)
		}
		require.Len(t, ca.Orders(), 1)
		require.Equal(t, 1, ca.Calls()[certinexttest.OpCreateSSL])
	})
}

func TestAnOrderIsAskedForAgainInTheSameWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Documented)
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultLostReply, Times: 1})
		m := newMount(t, ca)
		m.refused("issue/web", www)
		m.write("config", map[string]any{"requestor_phone": "+14155550199"})
		m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"remarks": "changed", "tags": "team:x"}})
		m.chainOK(m.write("issue/web", www))
		require.Len(t, ca.Orders(), 1)
	})
}

func TestAnOrderThatIsRefusedWhenAskedForAgainHasFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Documented)
		m := newMount(t, ca)
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultDropped, Times: 1})
		m.refused("issue/web", www)
		ca.Configure(func(s *certinexttest.Server) { s.Catalog = []certinexttest.Product{} })
		time.Sleep(time.Hour)
		m.pass()
		require.Equal(t, "failed", m.read("orders/web/" + m.list("orders/web")[0]).Data["state"])
		requireNoKeys(t, m)
	})
}

func TestAnOrderIsNeverDrivenWithAnotherAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Documented)
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultLostReply, Times: 1})
		m := newMount(t, ca)
		m.refused("issue/web", www)
		first := m.list("orders/web")[0]

		other := validated(certinexttest.Documented)
		other.AccountNumber = "2222222222"
		m.ca = other
		m.start()
		m.write("config", map[string]any{"account_number": "2222222222", "access_key": certinexttest.DefaultAccessKey, "force": true})
		time.Sleep(5 * time.Minute)
		m.pass()
		require.Empty(t, other.Orders(), "bought in two accounts")
		require.Contains(t, m.read("orders/web/" + first).Data["needs"].([]string)[0], "another CERTInext account")

		m.chainOK(m.write("issue/web", www)) // a new request is an order of the new account
		require.Len(t, other.Orders(), 1)
	})
}

func TestTwoMountsOfOneAccountKeepTheirOrdersApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.IssueDelay = time.Hour
		a, b := newMount(t, ca), newMount(t, ca)
		request := map[string]any{"common_name": "www.example.com", "request_id": "deploy-17"}
		a.refused("issue/web", request)
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultDropped, Times: 1})
		b.refused("issue/web", request)
		b.refused("issue/web", request)
		require.Empty(t, b.read("orders/web/" + b.list("orders/web")[0]).Data["ca_order_id"], "one mount adopted the other's order")
	})
}

func TestACSRIsRefusedOnlyWhenCERTInextRefusesIt(t *testing.T) {
	for name, fault := range map[string]certinexttest.Fault{
		"a rate limit": {Operation: certinexttest.OpSubmitCSR, Kind: certinexttest.FaultRateLimit, Times: 5},
		"an outage":    {Operation: certinexttest.OpSubmitCSR, Kind: certinexttest.FaultServerError, Times: 5},
		"a lost reply": {Operation: certinexttest.OpSubmitCSR, Kind: certinexttest.FaultLostReply, Times: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				m := newMount(t, ca)
				m.startWith(&http.Client{Transport: withoutCSR{ca.Client().Transport}})
				ca.Inject(fault)
				_, err := m.send(call{op: logical.UpdateOperation, path: "issue/web", data: www})
				require.NoError(t, err)
				time.Sleep(time.Hour)
				m.pass()
				m.write("issue/web", www)
				for _, o := range ca.Orders() {
					require.Equal(t, "issued", o.Status)
				}
			})
		})
	}
}

func TestAnOrderThatIsIssuedWithoutItsCSRGetsItInTheSameRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.IssuedBeforeCSR = true
		m := newMount(t, ca)
		m.startWith(&http.Client{Transport: withoutCSR{ca.Client().Transport}})
		m.chainOK(m.write("issue/web", www))
		require.Len(t, ca.Orders(), 1)
	})
}

func TestAnAnswerThatTimedOutNamesCERTInextsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.IssueDelay = time.Hour
		m := newMount(t, ca)
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpTrack, Kind: certinexttest.FaultLatency, Delay: 50 * time.Second, Skip: 1})
		require.Contains(t, m.refused("issue/web", www), ca.Orders()[0].ID)
	})
}

func TestTheBackgroundPassBacksOffFromAQuietOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.HoldForApproval = true
		m := newMount(t, ca)
		m.refused("issue/web", www)
		ca.ResetCalls()
		m.storage.reset()
		for range 24 * 60 {
			time.Sleep(time.Minute)
			m.pass()
		}
		require.Less(t, ca.Calls()[certinexttest.OpTrack], 100, "in a day")
		require.Less(t, len(m.storage.writes()), 10, "in a day in which nothing happened")
	})
}

func TestClosingTheMountEndsItsWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.IssueDelay = time.Hour
		m := newMount(t, ca)
		go func() { _, _ = m.send(call{op: logical.UpdateOperation, path: "issue/web", data: www}) }()
		time.Sleep(5 * time.Second)
		start := time.Now()
		m.backend.Cleanup(t.Context())
		require.Less(t, time.Since(start), time.Second)
		m.start()
		m.refused("issue/web", www)
		require.Len(t, ca.Orders(), 1)
	})
}

func TestARequestIDIsFreeWhenCERTInextNeverTookItsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultRateLimit, Times: 1})
		request := map[string]any{"common_name": "www.example.com", "request_id": "deploy-17"}
		m.refused("issue/web", request)
		m.chainOK(m.write("issue/web", request))
	})
}

func TestACallerThatHungUpGetsItsCertificateHoweverLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		ctx, hangUp := context.WithCancel(t.Context())
		m.storage.failing(func(key string) error {
			if strings.HasPrefix(key, "cert/") {
				hangUp()
			}
			return nil
		})
		_, err := m.send(call{op: logical.UpdateOperation, path: "issue/web", data: www, ctx: ctx})
		require.NoError(t, err)
		time.Sleep(6 * time.Minute)
		m.pass()
		issued := m.write("issue/web", www)
		require.Len(t, ca.Orders(), 1, "nobody got the first certificate, and a second was bought")
		m.endLease(issued)
		require.Equal(t, "revoked", ca.Orders()[0].Status, "the lease that nobody got keeps the certificate")
	})
}

func TestACertificateThatIsNoLongerGoodIsNotHandedOver(t *testing.T) {
	for name, spoil := range map[string]func(m *mount, order string){
		"revoked": func(m *mount, order string) {
			m.write("revoke/web", map[string]any{"order_id": order, "reason": "key-compromise"})
			requireNoKeys(m.t, m)
		},
		"expired": func(*mount, string) { time.Sleep(40 * 24 * time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := monthly(certinexttest.Live)
				m := newMount(t, ca)
				order := m.write("orders/web", www).Data["order_id"].(string)
				m.pass()
				synctest.Wait() // an order that is held is closed by the next pass only
				spoil(m, order)
				m.pass()
				requireNoKeys(t, m)
				require.Contains(t, m.refused("orders/web/"+order+"/collect", nil), "is over")
				require.Equal(t, false, m.read("orders/web/" + order).Data["delivered"])
				require.Greater(t, m.write("issue/web", www).Data["expiration"], time.Now().Unix())
				require.Len(t, ca.Orders(), 2)
			})
		})
	}
}

func TestARevokedCertificateIsNotGivenAgainWithinItsGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		named := map[string]any{"common_name": "www.example.com", "request_id": "pod-1"}
		m.endLease(m.write("issue/web", named))
		requireNoKeys(t, m)
		require.Contains(t, m.refused("issue/web", named), "request_id:")

		first := m.write("issue/web", www)
		m.start()
		m.endLease(first)
		require.NotEqual(t, first.Data["serial_number"], m.write("issue/web", www).Data["serial_number"])
		order := m.read("orders/web/" + first.Data["order_id"].(string)).Data
		require.Equal(t, true, order["delivered"])
		require.Equal(t, first.Data["serial_number"], order["serial_number"])
	})
}

func TestACertificateThatNobodyFetchesLosesItsKeyAfterThePickupWindow(t *testing.T) {
	for name, revoke := range map[string]bool{"and is kept": false, "and is revoked": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				m := newMount(t, ca)
				m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"pickup_window": "24h", "revoke_unclaimed": revoke}})
				id := m.write("orders/web", www).Data["order_id"].(string)
				time.Sleep(23 * time.Hour)
				m.pass()
				require.Equal(t, "issued", ca.Orders()[0].Status)
				time.Sleep(2 * time.Hour)
				m.pass()
				requireNoKeys(t, m)
				m.pass()
				require.Equal(t, map[bool]string{false: "issued", true: "revoked"}[revoke], ca.Orders()[0].Status)
				order := m.read("orders/web/" + id).Data
				require.Equal(t, false, order["delivered"])
				require.Len(t, m.list("certs"), 1)
				m.chainOK(m.write("issue/web", www))
				require.Len(t, ca.Orders(), 2)
			})
		})
	}
}

func TestAChainThatCouldNotBeFetchedIsFetchedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Documented) // its JSON form holds no chain
		m := newMount(t, ca)
		// The first download is the JSON form, and every try of the second fails.
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCertificate, Kind: certinexttest.FaultServerError, Skip: 1, Times: 5})
		resp := m.write("issue/web", www)
		require.NotEmpty(t, resp.Data["ca_chain"])
		m.chainOK(resp)
	})
}

func TestAnOrderThatWasAnsweredBeforeARestartCanBeRevokedByItsID(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := validated(dialect)
		m := newMount(t, ca)
		id := m.write("issue/web", www).Data["order_id"]
		m.start()
		require.Equal(t, "revoked", m.write("revoke/web", map[string]any{"order_id": id}).Data["state"])
		require.Equal(t, "revoked", ca.Orders()[0].Status)
		requireNoKeys(t, m)
	})
}

func TestRevokingAnOrderThatIsRevokedAlreadyIsNoError(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := validated(dialect)
		m := newMount(t, ca)
		first := m.write("issue/web", www)
		m.start() // the order looks pending to the new process, and is revoked before it is looked at
		m.storage.failing(func(key string) error {
			if strings.HasPrefix(key, "order/closed/") {
				return errors.New("storage is away")
			}
			return nil
		})
		m.endLease(first) // the order could not be closed, which is no reason for Vault to keep the lease
		require.Len(t, m.list("certs/revoked"), 1)
		m.storage.failing(nil)
		m.start()
		require.Equal(t, "revoked", m.write("revoke/web", map[string]any{"order_id": first.Data["order_id"]}).Data["state"])
	})
}
