// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// CERTInext answers a create with a number that the mount has already, for something that is over. The number stays what it was,
// whatever becomes of the second order.
func TestANumberThatIsAnsweredAgainStaysWhoseItIs(t *testing.T) {
	type first struct{ number, named string }
	for name, setUp := range map[string]func(m *mount) first{
		"of an order that is closed": func(m *mount) first {
			issued := m.write("issue/web", map[string]any{"common_name": "a.example.com", "ttl": "200h"}).Data
			m.everyMinute(10)
			return first{issued["ca_order_id"].(string), "order " + issued["order_id"].(string)}
		},
		"of an order that is cancelled": func(m *mount) first {
			m.ca.Configure(func(s *certinexttest.Server) { s.HoldForApproval = true })
			order := m.write("orders/web", map[string]any{"common_name": "a.example.com"}).Data
			require.False(m.t, m.tryDelete("orders/web/"+order["order_id"].(string)).IsError())
			m.ca.Configure(func(s *certinexttest.Server) { s.HoldForApproval = false })
			return first{order["ca_order_id"].(string), "order " + order["order_id"].(string)}
		},
		"of a certificate that was synchronized": func(m *mount) first {
			_, number := elsewhere(m.t, m.ca, "a.example.com")
			require.Equal(m.t, 1, m.synchronize()["imported"])
			return first{number, "certificate " + m.list("certs")[0]}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				m := newMount(t, ca)
				a := setUp(m)
				n := m.otherNumbers()
				before, _ := ca.Order(a.number)
				n.set(a.number)
				ca.Configure(func(s *certinexttest.Server) { s.ReportDelay = 10 * time.Minute })
				b := m.write("orders/web", map[string]any{"common_name": "b.example.com"}).Data
				n.set("")
				path := "orders/web/" + b["order_id"].(string)
				require.Equal(t, "unresolved", m.read(path).Data["state"])
				told := m.read(path).Data["last_error"]
				require.Contains(t, told, a.number)
				require.Contains(t, told, a.named, "the order that has the number is not named")
				require.Contains(t, told, b["order_id"], "nor the one that cannot have it")
				require.Contains(t, m.refused("operator/"+path, map[string]any{"ca_order_id": a.number}), "cannot be order")
				m.tryDelete(path)
				after, _ := ca.Order(a.number)
				require.Equal(t, before.Status, after.Status, "the other order was ended by its number")

				m.everyMinute(15) // the records show the second order by now
				m.chainOK(m.write(path+"/collect", nil))
				require.Equal(t, lastOrder(ca).ID, m.read(path).Data["ca_order_id"])
			})
		})
	}
}

var tagsMember = regexp.MustCompile(`"tags":\[[^\]]*\],?`)

// tagless is an edition whose report shows no tags, so that nothing in a row tells whose order it is.
type tagless struct{ next http.RoundTripper }

func (q tagless) RoundTrip(r *http.Request) (*http.Response, error) {
	return (&rewriting{next: q.next, edit: func(_ string, body []byte) []byte {
		if !strings.Contains(r.URL.Path, "report") {
			return body
		}
		return tagsMember.ReplaceAll(body, nil)
	}}).RoundTrip(r)
}

// A synchronization comes upon an order of the mount that was placed after it began, and that has no certificate here yet.
func TestASynchronizationLeavesAnOrderUnderWayToItself(t *testing.T) {
	for name, c := range map[string]struct {
		tags bool
		ca   func(ca *certinexttest.Server)
	}{
		"the order's number is not known yet": {true, func(ca *certinexttest.Server) {
			ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultSlowReply, Delay: 2 * time.Minute, Times: 1})
		}},
		"the order gets its number while its certificate is downloaded": {false, func(ca *certinexttest.Server) {
			ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultSlowReply, Delay: 80 * time.Second, Times: 1})
			ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCertificate, Kind: certinexttest.FaultLatency, Delay: 50 * time.Second, Times: 1})
			ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCertificate, Kind: certinexttest.FaultLatency, Delay: 50 * time.Second, Times: 1, Skip: 1})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				m := newMount(t, ca)
				if !c.tags {
					m.backend.Cleanup(t.Context())
					m.startWith(&http.Client{Transport: tagless{ca.Client().Transport}})
				}
				ca.Inject(certinexttest.Fault{Operation: certinexttest.OpOrdersReport, Kind: certinexttest.FaultLatency, Delay: 50 * time.Second, Times: 1})
				c.ca(ca)
				m.write("sync", nil)
				time.Sleep(5 * time.Second)
				order := m.write("orders/web", www).Data["order_id"].(string)
				require.Len(t, ca.Orders(), 1, "CERTInext has it, and the report shows it")
				time.Sleep(10 * time.Minute)
				synctest.Wait()
				status := m.read("sync").Data
				require.Equal(t, "done", status["state"], status)
				require.Equal(t, []any{1, 0, 0}, []any{status["seen"], status["imported"], status["failed"]}, "its certificate was taken for another program's")
				m.pass()
				path := "orders/web/" + order
				issued := m.write(path+"/collect", nil)
				m.chainOK(issued)
				serial := issued.Data["serial_number"].(string)
				require.Equal(t, "web", m.read("cert/" + serial).Data["role"])
				m.synchronize()
				require.Equal(t, "web", m.read("cert/" + serial).Data["role"])
				require.Equal(t, "revoked", m.write("revoke/web", map[string]any{"serial_number": serial}).Data["state"])
				require.Len(t, ca.Orders(), 1)
			})
		})
	}
}

// wholeBooks holds storage to what every certificate needs: its chain, and to be found by its CERTInext order.
func (m *mount) wholeBooks() {
	m.t.Helper()
	all := m.storage.dump(m.t)
	var numbers strings.Builder
	for key, value := range all {
		if strings.HasPrefix(key, "number/") {
			numbers.Write(value)
		}
	}
	for key, value := range all {
		if !strings.HasPrefix(key, "cert/") {
			continue
		}
		var c struct {
			Serial   string   `json:"serial"`
			ChainRef string   `json:"chain_ref"`
			Chain    []string `json:"chain"`
		}
		require.NoError(m.t, json.Unmarshal(value, &c))
		require.NotEmpty(m.t, c.ChainRef)
		require.Empty(m.t, c.Chain, "the chain is stored with each certificate")
		require.Contains(m.t, all, "chain/"+c.ChainRef)
		require.Contains(m.t, numbers.String(), `"serial":"`+c.Serial+`"`)
	}
}

// The process dies between any two writes of an issue, before or after the write.
func TestACertificateIsNeverWithoutItsChainAndItsNumber(t *testing.T) {
	for _, prefix := range []string{"number/", "chain/", "ca", "cert/"} {
		for name, after := range map[string]bool{"before it is written": false, "after it is written": true} {
			t.Run(prefix+" "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					ca := validated(certinexttest.Live)
					m := newMount(t, ca)
					dead := false
					m.storage.failing(func(key string) error {
						hit := strings.HasPrefix(key, prefix) && (prefix != "ca" || key == "ca")
						if dead || (hit && !after) {
							dead = true
							return errors.New("the process dies")
						}
						dead = hit
						return nil
					})
					_, err := m.send(call{op: logical.UpdateOperation, path: "issue/web", data: www})
					if prefix != "cert/" || !after { // nothing is written after it
						require.Error(t, err)
					}
					require.True(t, dead)
					m.storage.failing(nil)
					m.wholeBooks()
					m.start()
					issued := m.write("issue/web", www)
					m.chainOK(issued)
					require.Len(t, ca.Orders(), 1)
					m.wholeBooks()
					m.start()
					require.Equal(t, strings.Join(issued.Data["ca_chain"].([]string), "\n"), m.read("cert/" + issued.Data["serial_number"].(string)).Data["ca_chain"])
					require.NotEmpty(t, m.read("ca").Data[logical.HTTPRawBody])
				})
			})
		}
	}
}

// before has the mount forget what this version stores beside a certificate, as an earlier version has left it.
func (m *mount) before(serial string, chain any) {
	m.t.Helper()
	m.rewrite("cert/"+strings.ReplaceAll(serial, ":", "-"), func(entry map[string]any) {
		delete(entry, "chain_ref")
		entry["chain"] = chain
	})
	for key := range m.storage.dump(m.t) {
		if strings.HasPrefix(key, "number") || strings.HasPrefix(key, "chain/") || key == "ca" {
			require.NoError(m.t, m.storage.Delete(m.t.Context(), key))
		}
	}
	m.start()
}

// Nothing is indexed yet of what an earlier version has stored, and the order looks pending to a new process.
func TestWhatAnEarlierVersionHasStoredIsFound(t *testing.T) {
	revokedElsewhere := func(m *mount, issued map[string]any) {
		client, _ := elsewhere(m.t, m.ca, "other.example.com")
		_, err := client.RevokeOrder(m.t.Context(), certinext.FamilySSL, issued["ca_order_id"].(string), certinext.RevokeRequest{Reason: certinext.ReasonSuperseded})
		require.NoError(m.t, err)
	}
	for name, use := range map[string]func(m *mount, issued map[string]any){
		"when it is read, without a write": func(m *mount, issued map[string]any) {
			m.storage.reset()
			require.Equal(m.t, strings.Join(issued["ca_chain"].([]string), "\n"), m.read("cert/" + issued["serial_number"].(string)).Data["ca_chain"])
			require.Equal(m.t, strings.Join(issued["ca_chain"].([]string), "\n"), m.read("cert/ca_chain").Data["ca_chain"])
			require.Empty(m.t, m.storage.writes())
		},
		"when its order is revoked by its id": func(m *mount, issued map[string]any) {
			m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpTrack, Kind: certinexttest.FaultServerError})
			m.write("revoke/web", map[string]any{"order_id": issued["order_id"]})
			m.ca.ClearFaults()
			m.passes(2)
			require.NotZero(m.t, m.read("cert/" + issued["serial_number"].(string)).Data["revocation_time"])
			m.wholeBooks()
		},
		"when CERTInext has revoked it": func(m *mount, issued map[string]any) {
			revokedElsewhere(m, issued)
			m.passes(2)
			require.NotZero(m.t, m.read("cert/" + issued["serial_number"].(string)).Data["revocation_time"])
		},
		"when its number is given to another order": func(m *mount, issued map[string]any) {
			m.everyMinute(10)
			recordless(m.ca)
			m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultLostReply, Times: 1})
			b := m.write("orders/web", www).Data["order_id"].(string)
			m.before(issued["serial_number"].(string), issued["ca_chain"])
			require.Contains(m.t, m.refused("operator/orders/web/"+b, map[string]any{"ca_order_id": issued["ca_order_id"]}), issued["order_id"])
		},
		"after a rollback, since when it was stored": func(m *mount, issued map[string]any) {
			for key, entry := range map[string]any{
				"number-index": map[string]any{"version": 1, "complete": true},
				"ca":           map[string]any{"version": 1, "chain": issued["ca_chain"]},
			} {
				e, err := logical.StorageEntryJSON(key, entry)
				require.NoError(m.t, err)
				require.NoError(m.t, m.storage.Put(m.t.Context(), e))
			}
			revokedElsewhere(m, issued)
			m.passes(2)
			require.NotZero(m.t, m.read("cert/" + issued["serial_number"].(string)).Data["revocation_time"])
			require.Equal(m.t, strings.Join(issued["ca_chain"].([]string), "\n"), m.read("cert/ca_chain").Data["ca_chain"])
			m.wholeBooks()
		},
		"once its mount has indexed it": func(m *mount, issued map[string]any) {
			m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpTrack, Kind: certinexttest.FaultServerError})
			m.pass() // it cannot find the order issued
			m.ca.ClearFaults()
			m.start()
			revokedElsewhere(m, issued)
			m.passes(2)
			require.NotZero(m.t, m.read("cert/" + issued["serial_number"].(string)).Data["revocation_time"])
			require.NotEmpty(m.t, m.read("cert/ca_chain").Data["ca_chain"])
			m.wholeBooks()
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMount(t, validated(certinexttest.Live))
				issued := m.write("issue/web", www).Data
				m.before(issued["serial_number"].(string), issued["ca_chain"])
				use(m, issued)
			})
		})
	}
}

// A synchronization has taken in the certificate of an order whose number was not known yet. It carries the order's key, so the number
// and the certificate are the order's.
func TestAnOrderTakesOverItsCertificateFromASynchronization(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		m.backend.Cleanup(t.Context())
		m.startWith(&http.Client{Transport: tagless{ca.Client().Transport}})
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultSlowReply, Delay: 2 * time.Minute, Times: 1})
		path := "orders/web/" + m.write("orders/web", www).Data["order_id"].(string)
		require.Equal(t, 1, m.synchronize()["imported"])
		time.Sleep(5 * time.Minute)
		m.pass()
		issued := m.write(path+"/collect", nil)
		m.chainOK(issued)
		serial := issued.Data["serial_number"].(string)
		require.Equal(t, []string{serial}, m.list("certs"))
		require.Equal(t, "web", m.read("cert/" + serial).Data["role"])
		m.wholeBooks()
		m.start()
		require.Equal(t, "revoked", m.write("revoke/web", map[string]any{"order_id": issued.Data["order_id"]}).Data["state"])
		require.Len(t, ca.Orders(), 1)
	})
}

// Storage cannot tell whose a number is when CERTInext answers with it. The order keeps it: it is paid for.
func TestANumberIsKeptWhileStorageCannotTellWhoseItIs(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := validated(dialect)
		ca.IssueDelay = time.Minute
		m := newMount(t, ca)
		m.storage.lay(&faultyNumbers{Storage: m.storage.under(), broken: true})
		order := m.write("orders/web", www).Data
		path := "orders/web/" + order["order_id"].(string)
		require.Equal(t, ca.Orders()[0].ID, m.read(path).Data["ca_order_id"])
		m.storage.under().(*faultyNumbers).broken = false
		m.everyMinute(5)
		m.chainOK(m.write(path+"/collect", nil))
		m.wholeBooks()
		require.Len(t, ca.Orders(), 1)
	})
}

// faultyNumbers is a storage that cannot read what is known of numbers.
type faultyNumbers struct {
	logical.Storage
	broken bool
}

func (s *faultyNumbers) Get(ctx context.Context, key string) (*logical.StorageEntry, error) {
	if s.broken && strings.HasPrefix(key, "number/") {
		return nil, errors.New("storage is away")
	}
	return s.Storage.Get(ctx, key)
}
