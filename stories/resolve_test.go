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

// remove deletes a path, and returns whatever comes back.
func (m *mount) remove(path string) *logical.Response {
	m.t.Helper()
	resp, err := m.send(call{op: logical.DeleteOperation, path: path})
	require.NoError(m.t, err)
	return resp
}

// Whoever may settle the orders of one role may not take, end or learn of another role's.
func TestAnOrderOfAnotherRoleCannotBeAdopted(t *testing.T) {
	for name, inDoubt := range map[string]func(m *mount) string{
		"by a draft":           func(m *mount) string { return m.write("orders/web", draft()).Data["order_id"].(string) },
		"by an order in doubt": func(m *mount) string { return m.unresolved(certinexttest.FaultDropped) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				ca.HoldForApproval = true
				m := newMount(t, ca)
				m.write("roles/other", map[string]any{"product_code": "842", "product_variant": "dv", "allow_any_name": true})
				m.write("orders/other", www)
				m.write("orders/other", map[string]any{"common_name": "secret-project.example.com"})
				path := "orders/web/" + inDoubt(m)
				require.NotContains(t, m.refused("operator/"+path, map[string]any{"ca_order_id": ca.Orders()[1].ID}), "secret-project")
				m.refused("operator/"+path, map[string]any{"ca_order_id": ca.Orders()[0].ID})
				m.remove(path)
				require.Equal(t, "pending-approval", ca.Orders()[0].Status)
			})
		})
	}
}

func TestAnOrderOfAnotherAccountCannotBeAdopted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		path := "orders/web/" + m.unresolved(certinexttest.FaultDropped)
		other := validated(certinexttest.Live)
		other.HoldForApproval, other.AccountNumber = true, "2222222222"
		m.ca = other
		m.start()
		m.write("config", map[string]any{"client_id": "2222222222", "client_secret": certinexttest.DefaultClientSecret, "force": true})
		m.write("orders/web", www)
		require.Contains(t, m.refused("operator/"+path, map[string]any{"ca_order_id": other.Orders()[0].ID}), "another CERTInext account")
	})
}

func TestAPromotionThatWasNeverPlacedLeavesTheDraft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		path := "orders/web/" + m.write("orders/web", draft()).Data["order_id"].(string)
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultDropped, Times: 1})
		require.Equal(t, "unresolved", m.write(path, map[string]any{"promote": true}).Data["state"])
		time.Sleep(4 * time.Minute)
		require.Equal(t, "draft", m.write("operator/"+path, map[string]any{"never_placed": true}).Data["state"])
		m.write(path, map[string]any{"promote": true})
		m.chainOK(m.write(path+"/collect", nil))
		require.Len(t, ca.Orders(), 1)
	})
}

func TestAPromotionObeysTheRoleOfToday(t *testing.T) {
	for field, change := range map[string]map[string]any{
		"common_name:": {"allowed_domains": "example.net"},
		"promote:":     {"product_code": "846", "product_variant": "ov", "organization_number": certinexttest.DefaultOrganization},
	} {
		synctest.Test(t, func(t *testing.T) {
			m := newMount(t, validated(certinexttest.Live))
			path := "orders/web/" + m.write("orders/web", draft()).Data["order_id"].(string)
			m.must(call{op: logical.PatchOperation, path: "roles/web", data: change})
			require.Contains(t, m.refused(path, map[string]any{"promote": true}), field)
			require.Equal(t, "draft", m.read(path).Data["state"])
		})
	}
}

// Records that lag behind do not show that the draft was promoted in the portal.
func TestADraftThatTheCAWouldNotDiscardIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.ReportDelay = 10 * time.Minute
		m := newMount(t, ca)
		path := "orders/web/" + m.write("orders/web", draft()).Data["order_id"].(string)
		require.NoError(t, ca.Promote(ca.Orders()[0].RequestID))
		require.ErrorContains(t, m.remove(path).Error(), "would not discard")
		require.Equal(t, "draft", m.read(path).Data["state"])
		m.write("operator/"+path, map[string]any{"ca_order_id": ca.Orders()[0].ID})
		m.chainOK(m.write(path+"/collect", nil))
	})
	for _, status := range []int{404, 409, 422} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				m := newMount(t, ca)
				path := "orders/web/" + m.write("orders/web", draft()).Data["order_id"].(string)
				ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCancelDraft, Kind: certinexttest.FaultServerError, Status: status, Times: 1})
				require.True(t, m.remove(path).IsError())
				require.Equal(t, "draft", m.read(path).Data["state"])
				require.Equal(t, "cancelled", m.must(call{op: logical.DeleteOperation, path: path}).Data["state"])
			})
		})
	}
}

func TestADiscardedDraftFreesItsName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		named := map[string]any{"common_name": "www.example.com", "request_id": "deploy-17"}
		m.must(call{op: logical.DeleteOperation, path: "orders/web/" + m.write("orders/web", draft(named)).Data["order_id"].(string)})
		m.chainOK(m.write("issue/web", named))
	})
}

func TestAnAdoptionThatCouldNotBeStoredIsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		id := m.write("orders/web", draft()).Data["order_id"].(string)
		require.NoError(t, ca.Promote(ca.Orders()[0].RequestID))
		m.storage.failing(func(string) error { return errors.New("storage is away") })
		_, err := m.send(call{op: logical.UpdateOperation, path: "operator/orders/web/" + id, data: map[string]any{"ca_order_id": ca.Orders()[0].ID}})
		require.Error(t, err)
		m.storage.failing(nil)
		require.NotEqual(t, id, m.write("issue/web", www).Data["order_id"], "a draft has answered a request for an order")
	})
}

// A certificate that is to be revoked is nobody's any more, whatever keeps CERTInext from revoking it.
func TestACertificateThatIsToBeRevokedIsNotHandedOver(t *testing.T) {
	down := certinexttest.Fault{Operation: certinexttest.OpRevoke, Kind: certinexttest.FaultServerError}
	for name, c := range map[string]func(m *mount, id string){
		"revoked while the CA is down": func(m *mount, id string) {
			m.ca.Inject(down)
			require.Equal(m.t, "queued", m.write("revoke/web", map[string]any{"order_id": id, "reason": "key-compromise"}).Data["state"])
		},
		"cancelled, and the process died before it closed the order": func(m *mount, id string) {
			m.ca.Inject(down)
			m.storage.failing(func(key string) error {
				if strings.HasPrefix(key, "order/closed/") {
					return errors.New("the process dies")
				}
				return nil
			})
			_, err := m.send(call{op: logical.DeleteOperation, path: "orders/web/" + id})
			require.Error(m.t, err)
			m.storage.failing(nil)
			m.start()
		},
		"cancelled, and the CA refuses to revoke": func(m *mount, id string) {
			m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpRevoke, Kind: certinexttest.FaultServerError, Status: 422})
			m.must(call{op: logical.DeleteOperation, path: "orders/web/" + id})
			require.Len(m.t, m.list("certs/revocation-queue"), 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				m := newMount(t, ca)
				id := m.write("orders/web", www).Data["order_id"].(string)
				m.pass()
				c(m, id)
				require.Contains(t, m.refused("orders/web/"+id+"/collect", nil), "is over")
				requireNoKeys(t, m)
			})
		})
	}
}

// A bubble's clock stands still while somebody waits for a lock, so this runs in real time.
func TestAnOrderIsNotBothEndedAndHandedOver(t *testing.T) {
	ca := validated(certinexttest.Live)
	m := newMount(t, ca)
	path := "orders/web/" + m.write("orders/web", www).Data["order_id"].(string)
	m.pass()
	ca.Inject(certinexttest.Fault{Operation: certinexttest.OpRevoke, Kind: certinexttest.FaultLatency, Delay: 500 * time.Millisecond})
	ca.Inject(certinexttest.Fault{Operation: certinexttest.OpRevoke, Kind: certinexttest.FaultLostReply})
	ended := make(chan error, 1)
	go func() {
		resp, err := m.send(call{op: logical.DeleteOperation, path: path})
		if err == nil {
			err = resp.Error()
		}
		ended <- err
	}()
	time.Sleep(200 * time.Millisecond)
	got, err := m.send(call{op: logical.UpdateOperation, path: path + "/collect"})
	require.NoError(t, err)
	require.True(t, <-ended != nil || got.IsError(), "ended with success, and handed over")
}

func TestACancelEndsAnOrderWhoseCertificateCannotBeHad(t *testing.T) {
	for name, spoil := range map[string]func(m *mount){
		"issued without a CSR that is refused": func(m *mount) {
			m.ca.IssuedBeforeCSR = true
			m.startWith(&http.Client{Transport: withoutCSR{m.ca.Client().Transport}})
			m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpSubmitCSR, Kind: certinexttest.FaultServerError, Status: 422})
		},
		"issued for another key": func(m *mount) {
			m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCertificate, Kind: certinexttest.FaultWrongKey})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMount(t, validated(certinexttest.Live))
				spoil(m)
				path := "orders/web/" + m.write("orders/web", www).Data["order_id"].(string)
				m.must(call{op: logical.DeleteOperation, path: path})
				requireNoKeys(t, m)
				require.NotEqual(t, "issued", m.ca.Orders()[0].Status)
			})
		})
	}
}

// An order that CERTInext has forgotten is settled by hand, and one that it knows is not.
func TestAnOrderThatTheCAHasForgottenIsDeclaredGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.HoldForApproval = true
		m := newMount(t, ca)
		path := "orders/web/" + m.write("orders/web", www).Data["order_id"].(string)
		require.Contains(t, m.refused("operator/"+path, map[string]any{"never_placed": true}), "nothing to resolve")
		for _, op := range []string{certinexttest.OpTrack, certinexttest.OpCancel} {
			ca.Inject(certinexttest.Fault{Operation: op, Kind: certinexttest.FaultServerError, Status: 404})
		}
		require.ErrorContains(t, m.remove(path).Error(), "an operator of Vault can settle")
		require.Contains(t, m.refused("operator/"+path, map[string]any{"never_placed": true}), "CERTInext's records show order", "a 404 alone proves nothing")
		ca.Configure(func(s *certinexttest.Server) { s.ReportDelay = time.Hour })
		time.Sleep(time.Minute)
		require.Contains(t, m.refused("operator/"+path, map[string]any{"never_placed": true}), "may still be working")
		time.Sleep(2 * time.Minute)
		require.Equal(t, "failed", m.write("operator/"+path, map[string]any{"never_placed": true}).Data["state"])
		requireNoKeys(t, m)
	})
}

// A consent token is sent to the address that it was written for, and to no other.
func TestAPromotionSendsNoConsentTokenElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		seen := &bodies{next: ca.Client().Transport}
		m.startWith(&http.Client{Transport: seen})
		m.vettedRole("ov", "ov", nil)
		there := map[string]any{"base_url": "https://elsewhere.certinext.test", "client_secret": certinexttest.DefaultClientSecret, "force": true}
		here := map[string]any{"base_url": sandboxURL, "client_secret": certinexttest.DefaultClientSecret, "force": true}
		m.write("config", there)
		path := "orders/ov/" + m.write("orders/ov", draft()).Data["order_id"].(string)
		m.write("config", here)
		m.must(call{op: logical.PatchOperation, path: "roles/ov", data: map[string]any{"consent_token": certinexttest.DefaultConsentToken}})
		m.write("config", there)
		m.write(path, map[string]any{"promote": true})
		require.NotContains(t, seen.String(), certinexttest.DefaultConsentToken)
	})
}

// bodies remembers what was sent.
type bodies struct {
	next http.RoundTripper
	strings.Builder
}

func (b *bodies) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		text, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		b.Write(text)
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(text))
	}
	return b.next.RoundTrip(r)
}
