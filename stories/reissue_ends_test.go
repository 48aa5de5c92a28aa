// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"bytes"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net/http"
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// A reissue that waits for a name that nobody validates must not make the present certificate irrevocable: its key may be stolen.
func TestACertificateIsRevocableWhileItsReissueWaits(t *testing.T) {
	for name, revoke := range map[string]func(first, order map[string]any) call{
		"revoke": func(first, _ map[string]any) call {
			return call{path: "revoke", data: map[string]any{"serial_number": first["serial_number"], "reason": "key-compromise"}}
		},
		"revoke-with-key": func(first, _ map[string]any) call {
			return call{path: "revoke-with-key", data: map[string]any{"serial_number": first["serial_number"], "private_key": first["private_key"]}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, first := reissuing(t, "844", "old.example.com")
				order := m.reissue(first, map[string]any{"alt_names": "a.example.org"})
				require.Equal(t, "pending-dcv", order.Data["ca_status"])
				c := revoke(first.Data, order.Data)
				c.op = logical.UpdateOperation
				m.must(c)
				m.passes(2)
				require.Equal(t, []string{first.Data["serial_number"].(string)}, m.list("certs/revoked"))
				require.Equal(t, "revoked", m.ca.Orders()[0].Status)
				require.Equal(t, "revoked", m.read("orders/web/" + order.Data["order_id"].(string)).Data["state"])
			})
		})
	}
}

// The lease of the only certificate ends while a reissue waits, and then that reissue is rejected.
func TestALeaseThatEndsDuringAReissueThatIsRejected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, first := reissuing(t, "844", "old.example.com")
		lies := &rewriting{next: m.ca.Client().Transport, edit: func(_ string, body []byte) []byte {
			return bytes.ReplaceAll(body, []byte(`"status":"pending-dcv"`), []byte(`"status":"rejected"`))
		}}
		order := m.reissue(first, map[string]any{"alt_names": "a.example.org"})
		m.endLease(first)
		m.backend.Cleanup(t.Context())
		m.startWith(&http.Client{Transport: lies})
		for range 48 {
			time.Sleep(time.Hour)
			m.pass()
		}
		require.Equal(t, "rejected", m.read("orders/web/" + order.Data["order_id"].(string)).Data["state"])
		resp, err := m.send(call{op: logical.UpdateOperation, path: "revoke", data: map[string]any{"serial_number": first.Data["serial_number"]}})
		require.NoError(t, err)
		require.False(t, resp.IsError(), "nobody revokes the certificate any more, nor can: %v", resp)
		require.NotEmpty(t, m.list("certs/revoked"))
	})
}

// rewriting edits CERTInext's answers.
type rewriting struct {
	next http.RoundTripper
	edit func(path string, body []byte) []byte
}

func (w *rewriting) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := w.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		return nil, err
	}
	body = w.edit(r.URL.Path, body)
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	resp.Header.Del("Content-Length")
	return resp, nil
}

// Somebody was told that the revocation is queued and will be tried until it succeeds.
func TestAQueuedRevocationIsNotDroppedByAReissue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, first := reissuing(t, "842")
		m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpRevoke, Kind: certinexttest.FaultServerError})
		resp := m.write("revoke", map[string]any{"serial_number": first.Data["serial_number"], "reason": "key-compromise"})
		require.Equal(t, "queued", resp.Data["state"])
		m.ca.ClearFaults()
		require.Contains(t, m.refused("orders/web/"+first.Data["order_id"].(string)+"/reissue", nil), "is to be revoked")
		for range 10 {
			time.Sleep(time.Hour)
			m.pass()
		}
		require.Contains(t, m.list("certs/revoked"), first.Data["serial_number"].(string), "queue: %v", m.list("certs/revocation-queue"))
	})
}

// DELETE says that it ends an order that nobody has got a certificate of.
func TestDeletingAnUncollectedOrderThatWasReissued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := reissuing(t, "842")
		parent := m.write("orders/web", map[string]any{"common_name": "b.example.com"})
		m.pass()
		id := parent.Data["order_id"].(string)
		require.Equal(t, "issued", m.read("orders/web/" + id).Data["state"])
		m.reissue(parent, nil)
		m.must(call{op: logical.DeleteOperation, path: "orders/web/" + id})
		remote, _ := m.ca.Order(parent.Data["ca_order_id"].(string))
		require.NotEqual(t, "revoked", remote.Status, "the reissue's certificate is of the same order")
		m.refused("orders/web/"+id+"/collect", nil)
		require.Empty(t, m.read("orders/web/" + id).Data["private_key"])
	})
}

// The certificate before has that key, too, and CERTInext may deliver it until the new one is there: they could not be told apart.
func TestAReissueForTheSameKeyIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, first := reissuing(t, "842")
		block, _ := pem.Decode([]byte(first.Data["private_key"].(string)))
		key, err := x509.ParseECPrivateKey(block.Bytes)
		require.NoError(t, err)
		text := m.refused("orders/web/"+first.Data["order_id"].(string)+"/reissue", map[string]any{"csr": csr(t, key, "www.example.com")})
		require.Contains(t, text, "csr: has the key of the order's certificate")
		require.Zero(t, m.ca.Calls()[certinexttest.OpReissue])
	})
}

// The role wants what nobody fetches revoked, and no lease holds the order's certificates any more.
func TestAnUnclaimedReissueIsRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, first := reissuing(t, "842")
		m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"revoke_unclaimed": true, "pickup_window": "1h"}})
		m.reissue(first, nil)
		m.pass()
		m.endLease(first)
		for range 10 {
			time.Sleep(time.Hour)
			m.pass()
		}
		require.Equal(t, "revoked", m.ca.Orders()[0].Status, "neither certificate is anybody's, and both live on")
	})
}

// The whole order is revoked in the portal while its reissue waits: the books have to say so of the certificate that there is.
func TestARevocationInThePortalDuringAReissueIsNoted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, first := reissuing(t, "842")
		m.ca.Configure(func(ca *certinexttest.Server) { ca.IssueDelay = 10 * time.Hour })
		order := m.reissue(first, nil)
		client, _ := elsewhere(t, m.ca, "shop.example.com")
		_, err := client.RevokeOrder(t.Context(), certinext.FamilySSL, first.Data["ca_order_id"].(string), certinext.RevokeRequest{Reason: certinext.ReasonKeyCompromise})
		require.NoError(t, err)
		for range 5 {
			time.Sleep(time.Hour)
			m.pass()
		}
		require.Equal(t, "revoked", m.read("orders/web/" + order.Data["order_id"].(string)).Data["state"])
		require.Equal(t, []string{first.Data["serial_number"].(string)}, m.list("certs/revoked"))
	})
}

// The order was reissued in the portal, and a synchronization took the new certificate in. The lease on the old one ends.
func TestALeaseEndsOnACertificateThatThePortalReissued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, first := reissuing(t, "842")
		time.Sleep(time.Hour)
		m.pass()
		client, _ := elsewhere(t, m.ca, "shop.example.com")
		_, err := client.ReissueOrder(t.Context(), certinext.FamilySSL, first.Data["ca_order_id"].(string), certinext.ReissueRequest{
			CSR: csr(t, newKey(t, elliptic.P256()), "www.example.com"), Reason: "portal",
		})
		require.NoError(t, err)
		time.Sleep(time.Minute)
		m.write("sync", nil)
		synctest.Wait()
		require.Len(t, m.list("certs"), 3, m.read("sync").Data)
		m.endLease(first)
		remote, _ := m.ca.Order(first.Data["ca_order_id"].(string))
		require.NotEqual(t, "revoked", remote.Status, "the new certificate went with the old one")
		require.Contains(t, m.refused("revoke", map[string]any{"serial_number": first.Data["serial_number"]}), "was reissued")
		require.Contains(t, m.refused("orders/web/"+first.Data["order_id"].(string)+"/reissue", nil), "was reissued already")
		for _, serial := range m.list("certs") {
			c := m.read("cert/" + serial).Data
			if c["ca_order_id"] == first.Data["ca_order_id"] && serial != first.Data["serial_number"] {
				m.write("revoke", map[string]any{"serial_number": serial})
			}
		}
		require.Len(t, m.list("certs/revoked"), 2)
	})
}

// A reissue that was never taken is not the one that somebody else has made meanwhile.
func TestAnotherReissueIsNotTakenForTheLostOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, first := reissuing(t, "842")
		m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpReissue, Kind: certinexttest.FaultDropped, Times: 1})
		order := m.reissue(first, nil)
		require.Equal(t, "unresolved", order.Data["state"])
		client, _ := elsewhere(t, m.ca, "shop.example.com")
		_, err := client.ReissueOrder(t.Context(), certinext.FamilySSL, first.Data["ca_order_id"].(string), certinext.ReissueRequest{
			CSR: csr(t, newKey(t, elliptic.P256()), "www.example.com"), Reason: "portal",
		})
		require.NoError(t, err)
		for range 48 {
			time.Sleep(time.Hour)
			m.pass()
		}
		o := m.read("orders/web/" + order.Data["order_id"].(string)).Data
		require.Equal(t, "failed", o["state"], "it waits for ever for a certificate that will never come; needs %v", o["needs"])
	})
}

// Who has seen in the portal that the reissue was taken settles it by the order's number.
func TestALostReissueIsAdoptedByHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, first := reissuing(t, "842")
		m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpReissue, Kind: certinexttest.FaultLostReply, Times: 1})
		order := m.reissue(first, nil)
		require.Equal(t, "unresolved", order.Data["state"])
		resp, err := m.send(call{op: logical.UpdateOperation, path: "operator/orders/web/" + order.Data["order_id"].(string), data: map[string]any{"ca_order_id": first.Data["ca_order_id"]}})
		require.NoError(t, err)
		require.False(t, resp.IsError(), "%v", resp)
	})
}

// The entry of the reissue was stored, and storage reported an error all the same: nothing was sent to CERTInext.
func TestAReissueWhoseIntentIsStoredInDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, first := reissuing(t, "842")
		time.Sleep(time.Hour)
		m.pass() // the parent is closed, so the next open entry that is written is the reissue's
		m.breakStorage().ambiguous = true
		path := "orders/web/" + first.Data["order_id"].(string) + "/reissue"
		_, err := m.send(call{op: logical.UpdateOperation, path: path})
		require.Error(t, err)
		for range 48 {
			time.Sleep(time.Hour)
			m.pass()
		}
		require.Zero(t, m.ca.Calls()[certinexttest.OpReissue])
		resp, err := m.send(call{op: logical.UpdateOperation, path: "revoke", data: map[string]any{"serial_number": first.Data["serial_number"]}})
		require.NoError(t, err)
		require.False(t, resp.IsError(), "days later: %v", resp)
	})
}

// Vault's worker that ends a lease is not to be held for longer than 10 s (leaseEndPatience), also while somebody reissues. It
// takes its time, since a mutex does not let synctest's clock go on.
func TestTheEndOfALeaseIsNotHeldUpByAReissue(t *testing.T) {
	m, first := reissuing(t, "842")
	m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpTrack, Kind: certinexttest.FaultLatency, Delay: 16 * time.Second, Times: 1})
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = m.send(call{op: logical.UpdateOperation, path: "orders/web/" + first.Data["order_id"].(string) + "/reissue"})
	}()
	time.Sleep(time.Second)
	began := time.Now()
	m.endLease(first)
	took := time.Since(began)
	<-done
	require.LessOrEqual(t, took, 12*time.Second)
}

// What ends a reissue that nobody has collected is its own certificate once it has one, also while config does not hold its account.
func TestWhatEndsAnUncollectedReissueIsItsNewestCertificate(t *testing.T) {
	for name, stranded := range map[string]bool{"config holds its account": false, "config holds another account": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, first := reissuing(t, "842")
				order := m.reissue(first, nil)
				time.Sleep(time.Minute)
				m.pass()
				path := "orders/web/" + order.Data["order_id"].(string)
				newest := m.read(path).Data["serial_number"].(string)
				require.NotEmpty(t, newest)
				if stranded {
					m.must(call{op: logical.UpdateOperation, path: "config", data: m.movedAway(true)})
				}
				for _, from := range []string{path, "operator/" + path} {
					op, data := logical.Operation(logical.DeleteOperation), map[string]any(nil)
					if from != path {
						op, data = logical.UpdateOperation, map[string]any{"end": true}
					}
					resp, err := m.send(call{op: op, path: from, data: data})
					require.NoError(t, err)
					require.True(t, resp.IsError())
					require.Contains(t, resp.Error().Error(), "revoke certificate "+newest)
				}
				resp := m.write("revoke", map[string]any{"serial_number": newest})
				if stranded {
					require.Equal(t, "queued", resp.Data["state"])
					return
				}
				m.waits(time.Hour)
				require.Equal(t, 1, m.revokedAtCA())
				require.Len(t, m.list("certs/revoked"), 2)
			})
		})
	}
}

// whatEnds is the command that a message says ends a reissue.
var whatEnds = regexp.MustCompile(`vault write certinext/(\S+) (\w+)=([\w:-]+)`)

// A reissue waits for a name that nobody validates. Whoever wants to be rid of it is told a command, wherever he tries, and the command does it.
func TestWhatIsSaidToEndAReissueEndsIt(t *testing.T) {
	for name, previousRevoked := range map[string]bool{"the previous certificate lives": false, "it was revoked with the reissue": true} {
		for _, asked := range []string{"delete", "operator", "revoke"} {
			t.Run(name+", "+asked, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					m, first := reissuing(t, "844", "old.example.com")
					order := m.reissue(first, map[string]any{"alt_names": "a.example.org", "revoke_previous": previousRevoked})
					require.Equal(t, "pending-dcv", order.Data["ca_status"])
					id := order.Data["order_id"].(string)
					c := map[string]call{
						"delete":   {op: logical.DeleteOperation, path: "orders/web/" + id},
						"operator": {op: logical.UpdateOperation, path: "operator/orders/web/" + id, data: map[string]any{"end": true}},
						"revoke":   {op: logical.UpdateOperation, path: "revoke/web", data: map[string]any{"order_id": id}},
					}[asked]
					resp, err := m.send(c)
					require.NoError(t, err)
					require.True(t, resp.IsError())
					command := whatEnds.FindStringSubmatch(resp.Error().Error())
					require.NotNil(t, command, resp.Error())
					if previousRevoked {
						require.Contains(t, resp.Error().Error(), "Wait until this one is issued")
						m.ca.VerifyDomain("a.example.org")
						m.passMinutes(10)
					}
					m.write(command[1], map[string]any{command[2]: command[3]})
					m.passes(2)
					require.Equal(t, "revoked", m.ca.Orders()[0].Status)
					require.Contains(t, []any{"revoked", "issued"}, m.read("orders/web/" + id).Data["state"])
					require.Contains(t, m.list("certs/revoked"), serialOf(first))
					require.Empty(t, m.list("certs/revocation-queue"))
				})
			})
		}
	}
}
