// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"crypto/elliptic"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// reissuing mounts the engine on a live CA with a role "web" that allows reissues, and issues one certificate for
// www.example.com and, since such products need them, more names.
func reissuing(t *testing.T, product string, more ...string) (*mount, *logical.Response) {
	t.Helper()
	m := newMount(t, monthly(certinexttest.Live))
	m.write("roles/web", map[string]any{
		"product_code": product, "allowed_domains": "example.com,example.org", "allow_subdomains": true, "allow_reissue": true,
	})
	return m, m.write("issue/web", map[string]any{"common_name": "www.example.com", "alt_names": more})
}

// reissue reissues the certificate of an answer, and returns the order of the new one.
func (m *mount) reissue(of *logical.Response, data map[string]any) *logical.Response {
	m.t.Helper()
	return m.write("orders/web/"+of.Data["order_id"].(string)+"/reissue", data)
}

func TestAReissueIsANewKeyWithinTheOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, first := reissuing(t, "842")
		order := m.reissue(first, map[string]any{"reason": "key rotation"})
		require.Equal(t, first.Data["order_id"], order.Data["reissue_of"])
		require.NotEqual(t, first.Data["order_id"], order.Data["order_id"])
		second := m.write("orders/web/"+order.Data["order_id"].(string)+"/collect", nil)

		leaf := m.chainOK(second)
		require.Equal(t, []string{"www.example.com"}, leaf.DNSNames)
		require.NotEqual(t, first.Data["serial_number"], second.Data["serial_number"])
		require.NotEqual(t, first.Data["private_key"], second.Data["private_key"])
		require.Len(t, m.ca.Orders(), 1, "a reissue must not be a second order")
		require.Len(t, m.ca.Orders()[0].Serials, 2)
		require.Equal(t, 1, m.ca.Calls()[certinexttest.OpCreateSSL])
		require.Len(t, m.list("certs"), 2)

		require.Contains(t, m.refused("orders/web/"+first.Data["order_id"].(string)+"/reissue", nil), "was reissued already")
		third := m.reissue(second, nil)
		require.Equal(t, second.Data["order_id"], third.Data["reissue_of"], "the newest one can be reissued again")
	})
}

func TestLeasesOfReissuedCertificates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, first := reissuing(t, "842")
		second := m.write("orders/web/"+m.reissue(first, nil).Data["order_id"].(string)+"/collect", nil)

		m.endLease(first)
		require.Equal(t, "issued", m.ca.Orders()[0].Status, "the end of the old certificate's lease took the new one with it")
		require.Empty(t, m.list("certs/revoked"))
		require.Empty(t, m.list("certs/revocation-queue"))
		require.Contains(t, m.refused("revoke", map[string]any{"serial_number": first.Data["serial_number"]}), "revoke the newest certificate of its order, which revokes this one, too")

		m.endLease(second)
		require.Equal(t, "revoked", m.ca.Orders()[0].Status)
		require.Len(t, m.list("certs/revoked"), 2, "CERTInext revokes whole orders, and the books have to say so")
	})
}

func TestAReissueMayRevokeTheCertificateBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, first := reissuing(t, "842")
		order := m.reissue(first, map[string]any{"revoke_previous": true, "revoke_reason": "keyCompromise"})
		second := m.write("orders/web/"+order.Data["order_id"].(string)+"/collect", nil)
		require.Equal(t, []string{first.Data["serial_number"].(string)}, m.list("certs/revoked"))
		require.Equal(t, "issued", m.ca.Orders()[0].Status)
		m.endLease(first)
		m.endLease(second)
		require.Equal(t, "revoked", m.ca.Orders()[0].Status)
	})
}

func TestAReissueChangesNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, first := reissuing(t, "844", "old.example.com")
		order := m.reissue(first, map[string]any{"alt_names": "a.example.com,www.example.com,b.example.com"})
		leaf := m.chainOK(m.write("orders/web/"+order.Data["order_id"].(string)+"/collect", nil))
		require.ElementsMatch(t, []string{"www.example.com", "a.example.com", "b.example.com"}, leaf.DNSNames)

		path := "orders/web/" + order.Data["order_id"].(string) + "/reissue"
		require.Contains(t, m.refused(path, map[string]any{"alt_names": "a.example.net"}), "alt_names: ")
		waiting := m.write(path, map[string]any{"alt_names": "a.example.org"})
		require.Equal(t, "pending-dcv", waiting.Data["ca_status"], "a name that is not validated yet has to be")
		require.Equal(t, "domain-owner", waiting.Data["waits_for"])
	})
}

func TestReissuesAreRefusedByField(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, first := reissuing(t, "842")
		path := "orders/web/" + first.Data["order_id"].(string) + "/reissue"
		require.Contains(t, m.refused(path, map[string]any{"alt_names": "a.example.com"}), "alt_names: ")
		require.Contains(t, m.refused(path, map[string]any{"revoke_previous": true, "revoke_reason": "boredom"}), "revoke_reason: ")
		require.Contains(t, m.refused(path, map[string]any{"revoke_reason": "superseded"}), "revoke_reason: ")
		require.Contains(t, m.refused(path, map[string]any{"csr": "x"}), "csr: ")
		require.Contains(t, m.refused("orders/web/none/reissue", nil), "no order")
		require.Contains(t, m.refused(path, map[string]any{"csr": csr(t, newKey(t, elliptic.P256()), "other.example.com")}), "csr: its common name")

		m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"allow_reissue": false}})
		require.Contains(t, m.refused(path, nil), "allow_reissue")
		require.Zero(t, m.ca.Calls()[certinexttest.OpReissue], "CERTInext was asked")
	})
}

// A reissue cannot be undone without undoing its order.
func TestAReissueIsNotDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, first := reissuing(t, "842")
		m.ca.Configure(func(ca *certinexttest.Server) { ca.IssueDelay = time.Hour })
		order := m.reissue(first, nil)
		resp, err := m.send(call{op: logical.DeleteOperation, path: "orders/web/" + order.Data["order_id"].(string)})
		require.NoError(t, err)
		require.True(t, resp.IsError())
		require.Contains(t, resp.Error().Error(), "is a reissue")
		require.Equal(t, 0, m.ca.Calls()[certinexttest.OpRevoke]+m.ca.Calls()[certinexttest.OpCancel])
	})
}

// Until the new certificate is there, CERTInext delivers the one before, which must not be taken for it.
func TestAReissueWaitsForItsOwnCertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, first := reissuing(t, "842")
		m.ca.Configure(func(ca *certinexttest.Server) { ca.IssueDelay = 10 * time.Minute })
		path := "orders/web/" + m.reissue(first, nil).Data["order_id"].(string)
		require.Contains(t, m.refused(path+"/collect", nil), "is not finished")
		time.Sleep(11 * time.Minute)
		m.pass()
		second := m.write(path+"/collect", nil)
		require.NotEqual(t, first.Data["serial_number"], second.Data["serial_number"])
	})
}

// The answer to a reissue is lost, before or after CERTInext has taken it: it is never sent twice.
func TestALostReissueIsFoundByItsRequestNumber(t *testing.T) {
	for name, c := range map[string]struct {
		kind  certinexttest.FaultKind
		certs int
	}{
		"after it was taken": {certinexttest.FaultLostReply, 2},
		"before":             {certinexttest.FaultDropped, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, first := reissuing(t, "842")
				m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpReissue, Kind: c.kind, Times: 1})
				order := m.reissue(first, nil)
				require.Equal(t, "unresolved", order.Data["state"])
				m.endLease(first)
				require.Equal(t, "issued", m.ca.Orders()[0].Status, "what is in doubt was revoked")

				path := "orders/web/" + order.Data["order_id"].(string)
				for range 8 {
					time.Sleep(15 * time.Minute)
					m.pass()
				}
				require.Equal(t, 1, m.ca.Calls()[certinexttest.OpReissue], "a reissue in doubt was sent again")
				require.Len(t, m.ca.Orders()[0].Serials, c.certs)
				if c.certs == 2 {
					m.chainOK(m.write(path+"/collect", nil))
					require.Equal(t, "issued", m.ca.Orders()[0].Status)
					return
				}
				require.Equal(t, "failed", m.read(path).Data["state"])
				require.Equal(t, "revoked", m.ca.Orders()[0].Status, "the lease of the only certificate has ended")
			})
		})
	}
}

// The process dies at one write after another. Whoever repeats himself gets one new certificate, and CERTInext makes no more.
func TestAReissueSurvivesADeathAtEveryWrite(t *testing.T) {
	for write := 1; write <= 6; write++ {
		t.Run(fmt.Sprint("write ", write), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, first := reissuing(t, "842")
				written := 0
				m.storage.failing(func(string) error {
					if written++; written >= write {
						return errors.New("the process is dead")
					}
					return nil
				})
				path := "orders/web/" + first.Data["order_id"].(string) + "/reissue"
				_, _ = m.send(call{op: logical.UpdateOperation, path: path})
				m.storage.failing(nil)
				m.start()

				second := m.reissueUntilIssued(path)
				require.NotEqual(t, first.Data["serial_number"], second.Data["serial_number"])
				require.Len(t, m.ca.Orders(), 1)
				require.Len(t, m.ca.Orders()[0].Serials, 2, "CERTInext was asked for more than one new certificate")
			})
		})
	}
}

// reissueUntilIssued is a client that repeats a reissue for hours, and collects whatever order it comes to.
func (m *mount) reissueUntilIssued(path string) *logical.Response {
	m.t.Helper()
	for range 12 {
		resp, err := m.send(call{op: logical.UpdateOperation, path: path})
		require.NoError(m.t, err)
		id, _ := resp.Data["order_id"].(string)
		if resp.IsError() {
			id = reissuedAs.FindString(resp.Error().Error())
		}
		collected, err := m.send(call{op: logical.UpdateOperation, path: "orders/web/" + strings.TrimPrefix(id, "as order ") + "/collect"})
		if err == nil && !collected.IsError() {
			return collected
		}
		time.Sleep(15 * time.Minute)
		m.pass()
	}
	require.FailNow(m.t, "there is no new certificate after hours")
	return nil
}

var reissuedAs = regexp.MustCompile(`as order [0-9a-f-]+`)

func TestVersion1HasNoReissue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, first := reissuing(t, "842")
		m.write("config", map[string]any{"api_version": "v1"})
		require.Contains(t, m.refused("orders/web/"+first.Data["order_id"].(string)+"/reissue", nil), "api_version:")
		require.Len(t, m.list("orders/web"), 1, "nothing was stored")
		warned := m.write("roles/intranet", map[string]any{"product_code": "149", "product_variant": "intranet-ssl", "ca_profile_id": "1", "allow_any_name": true})
		require.Contains(t, strings.Join(warned.Warnings, " "), "ca_profile_id")
	})
}
