// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"context"
	"encoding/base64"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// before does something once, before a number of reads, whoever makes them.
type before struct {
	logical.Storage
	do    func()
	reads int64
	seen  atomic.Int64
}

func (s *before) Get(ctx context.Context, key string) (*logical.StorageEntry, error) {
	if s.seen.Add(1) == s.reads {
		s.do()
	}
	return s.Storage.Get(ctx, key)
}

// changes are CERTInext's orders as far as somebody can change them, and how often each change was asked for.
func changes(ca *certinexttest.Server) string {
	text := ""
	for _, o := range ca.Orders() {
		text += fmt.Sprintln(o.ID, o.RequestID, o.Status, o.Serials, o.Documents)
	}
	for _, op := range []string{certinexttest.OpCancel, certinexttest.OpCancelDraft, certinexttest.OpCreateSSL, certinexttest.OpRevoke, certinexttest.OpReissue, certinexttest.OpDocuments} {
		text += fmt.Sprintln(op, ca.Calls()[op])
	}
	return text
}

// A placedOrder is one of ann's orders.
type placedOrder struct{ path, id, serial string }

// A requesterAct is what a requester does to an order, of which CERTInext hears as operation.
type requesterAct struct {
	place     func(m *mount) placedOrder
	op        logical.Operation
	to        func(o placedOrder) (path string, data map[string]any)
	operation string
}

func (a requesterAct) mount(t *testing.T) *mount {
	m := newMount(t, validated(certinexttest.Live))
	if a.operation == certinexttest.OpDocuments {
		m.vettedRole("web", "ov", nil)
	}
	m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"allow_reissue": true}})
	return m
}

// requesterActs are what ann may do to her orders.
func requesterActs() map[string]requesterAct {
	place := func(data map[string]any, issue bool) func(m *mount) placedOrder {
		return func(m *mount) placedOrder {
			m.ca.Configure(func(s *certinexttest.Server) { s.HoldForApproval = true })
			resp, refusal := m.asEntity("ann", logical.UpdateOperation, "orders/web", data)
			require.Empty(m.t, refusal)
			id := resp.Data["order_id"].(string)
			o := placedOrder{path: "orders/web/" + id, id: id}
			if issue {
				require.NoError(m.t, m.ca.Approve(resp.Data["ca_order_id"].(string)))
				time.Sleep(time.Minute)
				m.pass()
				o.serial = m.read(o.path).Data["serial_number"].(string)
			}
			return o
		}
	}
	unseen := func(m *mount) placedOrder { // issued, and its certificate cannot be downloaded
		o := place(www, false)(m)
		require.NoError(m.t, m.ca.Approve(m.read(o.path).Data["ca_order_id"].(string)))
		m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCertificate, Kind: certinexttest.FaultServerError})
		return o
	}
	return map[string]requesterAct{
		"cancel":        {place(www, false), logical.DeleteOperation, func(o placedOrder) (string, map[string]any) { return o.path, nil }, certinexttest.OpCancel},
		"cancel issued": {place(www, true), logical.DeleteOperation, func(o placedOrder) (string, map[string]any) { return o.path, nil }, certinexttest.OpRevoke},
		"cancel unseen": {unseen, logical.DeleteOperation, func(o placedOrder) (string, map[string]any) { return o.path, nil }, certinexttest.OpRevoke},
		"discard":       {place(draft(), false), logical.DeleteOperation, func(o placedOrder) (string, map[string]any) { return o.path, nil }, certinexttest.OpCancelDraft},
		"promote": {place(draft(), false), logical.UpdateOperation, func(o placedOrder) (string, map[string]any) {
			return o.path, map[string]any{"promote": true}
		}, certinexttest.OpCreateSSL},
		"documents": {place(www, false), logical.UpdateOperation, func(o placedOrder) (string, map[string]any) {
			return o.path + "/documents", map[string]any{"file_name": "a.pdf", "description": "passport", "content": base64.StdEncoding.EncodeToString([]byte(aPDF))}
		}, certinexttest.OpDocuments},
		"reissue": {place(www, true), logical.UpdateOperation, func(o placedOrder) (string, map[string]any) { return o.path + "/reissue", nil }, certinexttest.OpReissue},
		"revoke by order": {place(www, true), logical.UpdateOperation, func(o placedOrder) (string, map[string]any) {
			return "revoke/web", map[string]any{"order_id": o.id}
		}, certinexttest.OpRevoke},
		"revoke by serial": {place(www, true), logical.UpdateOperation, func(o placedOrder) (string, map[string]any) {
			return "revoke/web", map[string]any{"serial_number": o.serial}
		}, certinexttest.OpRevoke},
	}
}

// An operator hands an order over at any instant of what its requester does to it: from then on, nothing comes of that.
func TestAFormerRequesterChangesNothingAfterAHandOver(t *testing.T) {
	atSize(t) // it changes storage beside the index, which reads it
	for name, act := range requesterActs() {
		t.Run(name, func(t *testing.T) {
			handed, refused := 0, 0
			for reads := 1; reads <= 40; reads++ {
				synctest.Test(t, func(t *testing.T) {
					m := act.mount(t)
					o := act.place(m)
					path, data := act.to(o)
					var seen string
					under := m.storage.under()
					m.storage.lay(&before{Storage: under, reads: int64(reads), do: func() {
						m.storage.lay(under)
						ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // the certificate may be locked
						defer cancel()
						resp, err := m.send(call{op: logical.UpdateOperation, path: "operator/orders/web/" + o.id, data: map[string]any{"entity_id": "bob"}, ctx: ctx})
						if err == nil && !resp.IsError() && len(m.list("orders/web")) == 1 { // a reissue has not begun before
							seen = changes(m.ca)
						}
					}})
					_, refusal := m.asEntity("ann", act.op, path, data)
					m.storage.lay(under)
					if seen == "" {
						return
					}
					handed++
					if refusal != "" {
						refused++
					}
					m.waits(time.Hour)
					require.Equal(t, seen, changes(m.ca), "handed over before read %d: %s", reads, refusal)
				})
			}
			require.NotZero(t, handed)
			require.NotZero(t, refused, "never in between")
		})
	}
}

// CERTInext is asked for what the requester does to the order when an operator hands it over: that is refused, and nobody but the requester has it.
func TestAnOrderIsNotHandedOverWhileCERTInextIsAskedToChangeIt(t *testing.T) {
	for name, act := range requesterActs() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := act.mount(t)
				o := act.place(m)
				path, data := act.to(o)
				m.ca.Inject(certinexttest.Fault{Operation: act.operation, Kind: certinexttest.FaultLatency, Delay: 10 * time.Second, Times: 1})
				before := m.ca.Calls()[act.operation]
				var acted sync.WaitGroup
				var refusal string
				acted.Go(func() { _, refusal = m.asEntity("ann", act.op, path, data) })
				for range 60 { // a certificate that cannot be downloaded is tried again
					if time.Sleep(time.Second); m.ca.Calls()[act.operation] > before {
						break
					}
				}
				require.Equal(t, before+1, m.ca.Calls()[act.operation], "CERTInext is not being asked")
				require.Regexp(t, "is being worked on|is being revoked|was reissued", m.refused("operator/orders/web/"+o.id, map[string]any{"entity_id": "bob"}))
				acted.Wait()
				require.Empty(t, refusal)
				for _, id := range m.list("orders/web") {
					_, foreign := m.asEntity("bob", logical.UpdateOperation, "orders/web/"+id+"/collect", nil)
					require.NotEmpty(t, foreign)
				}
			})
		})
	}
}

// The certificate is not what was ordered. One operator revokes it, and another one releases it meanwhile.
func TestACertificateIsNotReleasedWhileItIsRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, wrongly(certinexttest.MisissueExtraName))
		m.refused("issue/web", www)
		order := m.heldOrder()
		m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpRevoke, Kind: certinexttest.FaultLatency, Delay: 10 * time.Second, Times: 1})
		var revoked sync.WaitGroup
		revoked.Go(func() { m.write("revoke", map[string]any{"serial_number": order["serial_number"]}) })
		time.Sleep(3 * time.Second)
		require.Contains(t, m.refused("operator/orders/web/"+order["order_id"].(string), map[string]any{"release": true}), "is being revoked")
		revoked.Wait()
		require.Equal(t, 1, m.revokedAtCA())
	})
}

// A new CSR of the former requester's is none of the order's business once it is handed over: it has nothing reissued, and whoever has the
// order now is handed its certificate.
func TestAHandOverEndsTheReKeyingOfTheFormerRequester(t *testing.T) {
	atSize(t) // it changes storage beside the index, which reads it
	handed := 0
	for reads := 1; reads <= 40; reads++ {
		synctest.Test(t, func(t *testing.T) {
			ca := validated(certinexttest.Live)
			ca.IssueDelay = 30 * time.Minute
			m := rekeying(t, ca, nil)
			_, first := freshCSR(t, "www.example.com")
			_, refusal := m.asEntity("ann", logical.UpdateOperation, "sign/web", first)
			require.Contains(t, refusal, "is not finished")
			id := m.list("orders/web")[0]
			time.Sleep(time.Hour)
			m.pass()
			ca.Configure(func(s *certinexttest.Server) { s.IssueDelay = 0 })
			_, second := freshCSR(t, "www.example.com")
			under, accepted, reissues := m.storage.under(), false, 0
			m.storage.lay(&before{Storage: under, reads: int64(reads), do: func() {
				m.storage.lay(under)
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				resp, err := m.send(call{op: logical.UpdateOperation, path: "operator/orders/web/" + id, data: map[string]any{"entity_id": "bob"}, ctx: ctx})
				accepted, reissues = err == nil && !resp.IsError(), ca.Calls()[certinexttest.OpReissue]
			}})
			m.asEntity("ann", logical.UpdateOperation, "sign/web", second)
			m.storage.lay(under)
			if !accepted {
				return
			}
			handed++
			m.waits(3 * time.Hour)
			require.Equal(t, reissues, ca.Calls()[certinexttest.OpReissue], "reissued after the hand-over, before read %d", reads)
			_, refusal = m.asEntity("bob", logical.UpdateOperation, "orders/web/"+id+"/collect", nil)
			require.Empty(t, refusal)
		})
	}
	require.NotZero(t, handed)
}
