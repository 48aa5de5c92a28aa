// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"bytes"
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

const anotherRegion = "https://eu.certinext.test"

// movedAway is a config of another account.
func (m *mount) movedAway(force bool) map[string]any {
	config := m.account()
	config["base_url"], config["force"] = anotherRegion, force
	return config
}

// loseAccount is how config may come to hold an account no more.
var loseAccount = map[string]func(m *mount, force bool) *logical.Response{
	"the config is written for another account": func(m *mount, force bool) *logical.Response {
		resp, err := m.attempt("config", m.movedAway(force))
		require.NoError(m.t, err)
		return resp
	},
	"the config is deleted": func(m *mount, force bool) *logical.Response {
		resp, err := m.send(call{op: logical.DeleteOperation, path: "config", data: map[string]any{"force": force}})
		require.NoError(m.t, err)
		return resp
	},
}

func stranding(t *testing.T, story func(t *testing.T, m *mount, lose func(m *mount, force bool) *logical.Response)) {
	t.Helper()
	for name, lose := range loseAccount {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { story(t, newMount(t, validated(certinexttest.Live)), lose) })
		})
	}
}

// waiting is an order that waits for CERTInext, as all others from now on.
func (m *mount) waiting(name string) (path, number string) {
	m.t.Helper()
	m.ca.Configure(func(ca *certinexttest.Server) { ca.HoldForApproval = true })
	order := m.write("orders/web", map[string]any{"common_name": name}).Data
	return "orders/web/" + order["order_id"].(string), order["ca_order_id"].(string)
}

func TestAConfigIsNotLostWithWhatBelongsToIt(t *testing.T) {
	stranding(t, func(t *testing.T, m *mount, lose func(m *mount, force bool) *logical.Response) {
		require.Nil(t, lose(m, false), "nothing is stranded yet")
		m.write("config", m.account())

		leased := m.write("issue/web", www).Data["serial_number"].(string)
		m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpRevoke, Kind: certinexttest.FaultDropped, Times: 1})
		queued := m.write("issue/web", map[string]any{"common_name": "api.example.com"}).Data["serial_number"].(string)
		m.write("revoke", map[string]any{"serial_number": queued})
		order, _ := m.waiting("waiting.example.com")

		resp := lose(m, false)
		require.True(t, resp.IsError())
		refusal := resp.Error().Error()
		for _, part := range []string{
			"force: account " + certinexttest.DefaultAccountNumber + " at " + sandboxURL + " has 1 open order (" + strings.TrimPrefix(order, "orders/") + ")", "1 queued revocation (" + queued + ")",
			"certificates with leases", leased, "write force=true",
		} {
			require.Contains(t, refusal, part)
		}
		require.Equal(t, sandboxURL, m.read("config").Data["base_url"], "nothing is changed")
		require.Equal(t, "issued", m.ca.Orders()[0].Status)

		resp = lose(m, true)
		require.False(t, resp.IsError())
		require.Len(t, resp.Warnings, 1)
		require.Contains(t, resp.Warnings[0], order[len("orders/"):])
		require.Contains(t, resp.Warnings[0], "operator/revocations")
		require.Contains(t, m.log.String(), "config no longer holds an account")
	})
}

// TestTheSameAccountStrandsNothing: however its address is spelled.
func TestTheSameAccountStrandsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		order, number := m.waiting("www.example.com")
		for _, spelling := range []string{"https://SANDBOX.certinext.test", sandboxURL + ":443/", sandboxURL + "/emSignHub-API"} {
			config := m.account()
			config["base_url"] = spelling
			m.write("config", config)
		}
		require.NoError(t, m.ca.Approve(number))
		m.passes(2)
		require.Equal(t, "issued", m.read(order).Data["state"])
	})
}

func TestOperatorsEndStrandedOrders(t *testing.T) {
	stranding(t, func(t *testing.T, m *mount, lose func(m *mount, force bool) *logical.Response) {
		order, number := m.waiting("waiting.example.com")
		m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultDropped, Times: 1})
		doubtful := "orders/web/" + m.write("orders/web", map[string]any{"common_name": "doubtful.example.com"}).Data["order_id"].(string)
		draft := "orders/web/" + m.write("orders/web", map[string]any{"common_name": "draft.example.com", "save_as_draft": true}).Data["order_id"].(string)
		lose(m, true)
		m.passes(2)
		before := statuses(m)
		for path, named := range map[string]string{order: number, doubtful: "vault-order:", draft: m.read(draft).Data["ca_request_id"].(string)} {
			require.Equal(t, "operator", m.read(path).Data["waits_for"])
			require.Error(t, m.tryDelete(path).Error(), "a team cannot end it")
			ended := m.write("operator/"+path, map[string]any{"end": true, "reason": "the account is closed"})
			require.Equal(t, "failed", ended.Data["state"])
			require.Len(t, ended.Warnings, 1)
			for _, part := range []string{named, "account " + certinexttest.DefaultAccountNumber + " at " + sandboxURL, "portal"} {
				require.Contains(t, ended.Warnings[0], part)
			}
			require.Contains(t, m.log.String(), "an operator has ended an order whose account config does not hold")
			require.Equal(t, "failed", m.read(path).Data["state"])
		}
		require.Empty(t, m.stored("order/open/"))
		for key, value := range m.storage.dump(t) {
			require.NotContains(t, string(value), "PRIVATE KEY", key)
		}
		require.Equal(t, before, statuses(m), "CERTInext is not asked")
	})
}

// TestAStrandedCertificateThatNobodyHasIsEndedInTwoSteps: the order first, and then its revocation, which cannot be tried.
func TestAStrandedCertificateThatNobodyHasIsEndedInTwoSteps(t *testing.T) {
	stranding(t, func(t *testing.T, m *mount, lose func(m *mount, force bool) *logical.Response) {
		order := "orders/web/" + m.write("orders/web", www).Data["order_id"].(string)
		time.Sleep(time.Minute)
		m.pass()
		serial := m.read(order).Data["serial_number"].(string)
		require.NotEmpty(t, serial)
		lose(m, true)
		ended := m.write("operator/"+order, map[string]any{"end": true})
		require.Contains(t, ended.Warnings[0], serial)
		require.Contains(t, ended.Warnings[0], "operator/revocations/"+strings.ReplaceAll(serial, ":", "-"))
		require.Empty(t, m.stored("order/open/"), "its key is erased")
		require.Contains(t, m.write("operator/revocations/"+serial, map[string]any{"end": true}).Warnings[0], serial)
		require.Empty(t, m.list("certs/revocation-queue"))
		require.Equal(t, "issued", m.ca.Orders()[0].Status)
	})
}

func TestOperatorsEndStrandedRevocations(t *testing.T) {
	stranding(t, func(t *testing.T, m *mount, lose func(m *mount, force bool) *logical.Response) {
		issued := m.write("issue/web", www)
		serial, number := issued.Data["serial_number"].(string), issued.Data["ca_order_id"].(string)
		m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpRevoke, Kind: certinexttest.FaultDropped, Times: 1})
		m.endLease(issued)
		path := "operator/revocations/" + serial
		require.Empty(t, m.read(path).Data["blocked"])
		require.Contains(t, m.refused(path, map[string]any{"end": true}), "can be tried")
		require.Contains(t, m.refused(path, nil), "end: write end=true")

		lose(m, true)
		blocked := m.read(path).Data["blocked"].(string)
		require.Contains(t, blocked, "the certificate is of account "+certinexttest.DefaultAccountNumber+" at "+sandboxURL)
		info := m.must(call{op: logical.ListOperation, path: "certs/revocation-queue"}).Data["key_info"].(map[string]any)
		entry := info[serial].(map[string]any)
		require.Equal(t, blocked, entry["blocked"], "the queue says which cannot be tried, and why")
		require.Equal(t, sandboxURL+"|"+certinexttest.DefaultAccountNumber, entry["account"])

		ended := m.write(path, map[string]any{"end": true, "reason": "the account is closed"})
		require.Equal(t, "ended", ended.Data["state"])
		for _, part := range []string{serial, number, certinexttest.DefaultAccountNumber, "stays valid"} {
			require.Contains(t, ended.Warnings[0], part)
			require.Contains(t, m.log.String(), part)
		}
		require.Empty(t, m.list("certs/revocation-queue"))
		m.absent(path)
		require.Contains(t, m.read("cert/" + serial).Data["remarks"].([]string)[0], "the account is closed")

		m.write("config", m.account())
		require.NotEqual(t, serial, m.write("issue/web", www).Data["serial_number"], "it is handed to nobody")
		m.passes(3)
		require.Equal(t, "issued", m.ca.Orders()[0].Status, "it is ended for good")
		require.Equal(t, "revoked", m.write("revoke", map[string]any{"serial_number": serial}).Data["state"], "unless somebody asks again")
	})
}

// TestKeysAreErasedWithoutAnyAccount: also by a process that has never heard of CERTInext, and without a word in the order's entry
// that its certificate was handed over.
func TestKeysAreErasedWithoutAnyAccount(t *testing.T) {
	stranding(t, func(t *testing.T, m *mount, lose func(m *mount, force bool) *logical.Response) {
		m.write("issue/web", www)
		m.write("issue/web", map[string]any{"common_name": "api.example.com"})
		lose(m, true)
		require.Len(t, m.stored("order/open/"), 2)
		m.ca.Inject(certinexttest.Fault{Kind: certinexttest.FaultDropped, Times: 1 << 30})
		m.start()
		m.passes(48)
		require.Empty(t, m.stored("order/open/"))
		for key, value := range m.storage.dump(t) {
			require.NotContains(t, string(value), "PRIVATE KEY", key)
		}
	})
}

// And so is the key of a certificate that nobody has collected, once its pickup_window is over, and no sooner.
func TestUncollectedKeysAreErasedWithoutAnyAccount(t *testing.T) {
	stranding(t, func(t *testing.T, m *mount, lose func(m *mount, force bool) *logical.Response) {
		m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"pickup_window": "24h", "revoke_unclaimed": true}})
		issued := m.write("orders/web", www)
		time.Sleep(time.Minute)
		m.pass()
		path := "orders/web/" + issued.Data["order_id"].(string)
		require.Equal(t, "issued", m.read(path).Data["state"])
		lose(m, true)
		m.ca.Inject(certinexttest.Fault{Kind: certinexttest.FaultDropped, Times: 1 << 30})
		m.start()
		m.passes(23)
		require.Len(t, m.stored("order/open/"), 1)
		m.passes(3)
		require.Empty(t, m.stored("order/open/"))
		require.Equal(t, "unclaimed", m.read(path).Data["state"])
		for key, value := range m.storage.dump(t) {
			require.NotContains(t, string(value), "PRIVATE KEY", key)
		}
		require.Len(t, m.list("certs/revocation-queue"), 1)
	})
}

// TestARotatedCredentialIsTheSameAccount: what CERTInext takes for the same account is one, whatever its credential is called.
func TestARotatedCredentialIsTheSameAccount(t *testing.T) {
	for name, c := range map[string]struct {
		number  string // that CERTInext tells of the new credential
		unknown bool   // that of the old one was not asked for when it was written
		same    bool
	}{
		"the same number":                     {number: certinexttest.DefaultAccountNumber, same: true},
		"the same number, not known before":   {number: certinexttest.DefaultAccountNumber, unknown: true, same: true},
		"another number":                      {number: "9999999999"},
		"another number, which was not known": {number: "9999999999", unknown: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				ca.ClientID = "application-1"
				m := bareMount(t, ca)
				way := &http.Client{Transport: &rotated{RoundTripper: ca.Client().Transport, number: c.number}}
				m.startWith(way)
				config := m.account()
				config["client_id"], config["verify_connection"] = "application-1", !c.unknown
				m.write("config", config)
				m.write("roles/web", map[string]any{
					"product_code": "842", "product_variant": "dv", "allowed_domains": "example.com",
					"allow_bare_domains": true, "allow_subdomains": true,
				})
				issued := m.write("issue/web", map[string]any{"common_name": "api.example.com"})
				order, number := m.waiting("www.example.com")
				config = m.account()
				config["client_id"] = "application-2"
				if !c.same {
					require.Contains(t, m.refused("config", config), "has 1 open order")
					return
				}
				m.write("config", config)
				again := m.write("issue/web", map[string]any{"common_name": "api.example.com"})
				require.Equal(t, issued.Data["serial_number"], again.Data["serial_number"], "the same request buys nothing")
				m.startWith(way)
				require.NoError(t, ca.Approve(number))
				m.passes(2)
				require.Equal(t, "issued", m.read(order).Data["state"])
				m.endLease(again)
				m.endLease(issued)
				require.Equal(t, "revoked", m.ca.Orders()[0].Status)

				config["client_id"] = "application-1"
				m.write("config", config)
				require.Equal(t, "application-1", m.read("config").Data["client_id"])
			})
		})
	}
}

// A detour over another account, or over no config, does not make two accounts of one.
func TestACredentialThatIsRotatedAfterADetour(t *testing.T) {
	for name, detour := range map[string]func(m *mount) *logical.Response{
		"another account": func(m *mount) *logical.Response {
			config := m.movedAway(true)
			config["client_id"] = "application-1"
			resp, err := m.attempt("config", config)
			require.NoError(m.t, err)
			return resp
		},
		"no config": func(m *mount) *logical.Response { return loseAccount["the config is deleted"](m, true) },
	} {
		for _, unknown := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", its number is not known: ", unknown), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					ca := validated(certinexttest.Live)
					ca.ClientID = "application-1"
					m := bareMount(t, ca)
					way := &http.Client{Transport: &rotated{RoundTripper: ca.Client().Transport, number: certinexttest.DefaultAccountNumber}}
					m.startWith(way)
					config := m.account()
					config["client_id"], config["verify_connection"] = "application-1", !unknown
					m.write("config", config)
					m.write("roles/web", map[string]any{
						"product_code": "842", "product_variant": "dv", "allowed_domains": "example.com",
						"allow_bare_domains": true, "allow_subdomains": true,
					})
					issued := m.write("issue/web", map[string]any{"common_name": "api.example.com"})
					order, number := m.waiting("www.example.com")
					require.False(t, detour(m).IsError())
					m.startWith(way)
					m.endLease(issued)
					m.waits(time.Minute)
					require.Zero(t, m.revokedAtCA(), "config does not hold its account")
					config = m.account()
					config["client_id"] = "application-2"
					m.write("config", config)
					require.NoError(t, ca.Approve(number))
					m.waits(time.Hour)
					require.Equal(t, "issued", m.read(order).Data["state"])
					require.Equal(t, 1, m.revokedAtCA(), "its lease has ended")
					config["client_id"] = "application-1"
					m.write("config", config)
					require.Equal(t, "issued", m.read(order).Data["state"])
				})
			})
		}
	}
}

// And another account at the same address stays another one.
func TestAnotherAccountAfterADetourStaysAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.ClientID = "application-1"
		m := bareMount(t, ca)
		m.startWith(&http.Client{Transport: &rotated{RoundTripper: ca.Client().Transport, number: "9999999999"}})
		config := m.account()
		config["client_id"] = "application-1"
		m.write("config", config)
		m.write("roles/web", map[string]any{"product_code": "842", "product_variant": "dv", "allow_any_name": true})
		issued := m.write("issue/web", www)
		require.False(t, loseAccount["the config is deleted"](m, true).IsError())
		config["client_id"] = "application-2"
		m.write("config", config)
		m.endLease(issued)
		m.waits(time.Hour)
		require.Zero(t, m.revokedAtCA(), "it is another account's")
		config["client_id"] = "application-1"
		m.write("config", config)
		m.waits(time.Hour)
		require.Equal(t, 1, m.revokedAtCA())
	})
}

// An account has one name, the first, also after a credential of its own was written that CERTInext was not asked about.
func TestACredentialThatWasWrittenUnverified(t *testing.T) {
	for name, back := range map[string]string{"verified afterwards": "application-2", "taken back": "application-1"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				ca.ClientID = "application-1"
				m := bareMount(t, ca)
				m.startWith(&http.Client{Transport: &rotated{RoundTripper: ca.Client().Transport, number: certinexttest.DefaultAccountNumber}})
				config := m.account()
				config["client_id"], config["force"] = "application-1", true
				m.write("config", config)
				m.write("roles/web", map[string]any{"product_code": "842", "product_variant": "dv", "allowed_domains": "example.com", "allow_subdomains": true})
				issued := m.write("issue/web", map[string]any{"common_name": "api.example.com"})
				order, number := m.waiting("www.example.com")
				config["client_id"], config["verify_connection"] = "application-2", false
				m.write("config", config)
				config["client_id"], config["verify_connection"] = back, true
				m.write("config", config)
				require.Contains(t, m.refused("issue/web", www), "is not finished")
				m.endLease(issued)
				require.NoError(t, ca.Approve(number))
				m.waits(3 * time.Hour)
				require.Equal(t, "issued", m.read(order).Data["state"])
				require.Equal(t, 1, m.revokedAtCA(), "its lease has ended")
				require.Len(t, ca.Orders(), 2)
			})
		})
	}
}

// What is another account's by CERTInext's word is another account's, whatever the credential is called: nothing of the first is sent to it.
func TestACredentialThatIsAnotherAccountsByNow(t *testing.T) {
	for name, between := range map[string]func(m *mount){
		"written over": func(*mount) {},
		"deleted":      func(m *mount) { require.False(m.t, loseAccount["the config is deleted"](m, true).IsError()) },
		"rotated": func(m *mount) {
			config := m.account()
			config["client_id"] = "application-1" // of the same account
			m.write("config", config)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				ca.ClientID = "application-1"
				m := bareMount(t, ca)
				way := &rotated{RoundTripper: ca.Client().Transport, number: certinexttest.DefaultAccountNumber}
				m.startWith(&http.Client{Transport: way})
				config := m.account()
				config["client_id"] = "application-2"
				m.write("config", config)
				m.write("roles/web", map[string]any{"product_code": "842", "product_variant": "dv", "allow_any_name": true})
				issued := m.write("issue/web", www)
				between(m)
				way.number = "2222222222"
				config["force"] = true
				m.write("config", config)
				m.endLease(issued)
				m.waits(3 * time.Hour)
				require.Zero(t, m.revokedAtCA(), "it is another account's")
				way.number = certinexttest.DefaultAccountNumber
				m.write("config", config)
				m.waits(time.Hour)
				require.Equal(t, 1, m.revokedAtCA())
			})
		})
	}
}

// rotated has CERTInext know two credentials, and tell another number of the second one's account.
type rotated struct {
	http.RoundTripper
	number string
	second bool // the latest token is the second credential's
}

func (r *rotated) RoundTrip(req *http.Request) (*http.Response, error) {
	switch path := req.URL.Path; {
	case strings.HasSuffix(path, "/token"):
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		r.second = bytes.Contains(body, []byte("application-2"))
		body = bytes.Replace(body, []byte("application-2"), []byte("application-1"), 1)
		req = req.Clone(req.Context())
		req.Body = io.NopCloser(bytes.NewReader(body))
	case strings.HasSuffix(path, "/auth/me") && r.second:
		resp, err := r.RoundTripper.RoundTrip(req)
		if err != nil {
			return nil, err
		}
		body, err := io.ReadAll(resp.Body)
		body = bytes.Replace(body, []byte(certinexttest.DefaultAccountNumber), []byte(r.number), 1)
		resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		return resp, err
	}
	return r.RoundTripper.RoundTrip(req)
}
