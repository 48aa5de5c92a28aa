// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// rekey is a reissue for a key that the caller chooses.
func (r *rig) rekey(id string, key *ecdsa.PrivateKey, change m) answer {
	r.t.Helper()
	return r.post(sslPath+"/"+id+"/reissue", merge(m{
		"mode": "rekey", "reason": "x", "csr": csr(r.t, key, "www.example.com"),
	}, change))
}

// compromised revokes an order because its key is out.
func (r *rig) compromised(id string) {
	r.t.Helper()
	r.post(sslPath+"/"+id+"/revoke", m{"reason": "key-compromise", "note": "x"}).must(204)
}

func hashOf(t *testing.T, key *ecdsa.PrivateKey) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	require.NoError(t, err)
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

func TestAReissueDoesNotCertifyTheKeyThatItRevokesAsCompromised(t *testing.T) {
	r := newTerm(t, nil)
	id, key := r.issued("www.example.com")
	lost := m{"revokePrevious": true, "revokeReason": "key-compromise"}
	problem := r.rekey(id, key, lost).refused(422, "EMS-917")
	require.Contains(t, problem["detail"], "compromised")
	order, _ := r.srv.Order(id)
	require.Len(t, order.Serials, 1)
	require.Equal(t, "issued", order.Status, "nothing was revoked either")
	r.rekey(id, newKey(t), lost).must(201)
	require.Equal(t, "issued", r.status(id))
	r.rekey(id, key, nil).refused(422, "EMS-917")
}

func TestAnOrderThatIsRejectedForItsKeyIsPaidBack(t *testing.T) {
	r := newRig(t, priced("1000"))
	id, key := r.issued("www.example.com")
	r.srv.Configure(func(s *certinexttest.Server) { s.HoldForApproval = true })
	same := m{"csr": csr(t, key, "www.example.com")}
	open := r.order(merge(dvOrder("www.example.com"), same))
	draft := r.post(sslPath, merge(dvOrder("www.example.com"), merge(same, m{"saveAsDraft": true}))).must(201)
	request := draft["requestId"].(string)
	r.compromised(id)
	require.Equal(t, "rejected", r.status(open))
	paid := []string{"order -150.00", "order -150.00", "refund 150.00"}
	require.Equal(t, paid, moved(r.srv))
	require.Equal(t, "850.00", r.balance())

	require.ErrorIs(t, r.srv.Promote(request), certinexttest.ErrNoOrder)
	r.post(sslPath, merge(dvOrder("www.example.com"), m{"requestId": request})).refused(400, "")
	r.post(sslPath+"/requests/"+request+"/cancel", m{"reason": "x"}).refused(422, "EMS-930")
	reject := m{"orderDetails": m{"requestNumber": request, "rejectRemarks": "x"}}
	r.call("RejectRequest", reject).fails("EMS-986")
	require.Equal(t, paid, moved(r.srv), "a draft that was rejected costs nothing")
}

func TestACompromisedKeyIsNotRenewedEither(t *testing.T) {
	for name, policy := range map[string]certinexttest.AutoRenewal{
		"within its order": certinexttest.RenewUntilEnd, "by an order": certinexttest.RenewByOrder,
	} {
		t.Run(name, func(t *testing.T) {
			r := newTerm(t, func(s *certinexttest.Server) { s.Subscriptions.AutoRenewal = policy })
			id, key := r.issued("www.example.com")
			other, _ := r.renewing(m{"csr": csr(t, key, "www.example.com")})
			r.on(69)
			r.clock.advance(12 * time.Hour)
			r.login()
			r.compromised(id)
			r.on(70) // when it would be renewed, and before it is revoked
			require.Equal(t, "issued", r.status(other))
			require.Len(t, r.srv.Orders(), 2)
			require.Len(t, r.srv.Orders()[1].Serials, 1)
			r.on(99)
			require.Equal(t, "revoked", r.status(other))
			require.Len(t, r.srv.Orders(), 2)
			require.Len(t, r.srv.Orders()[1].Serials, 1)
			require.Equal(t, []string{"order -150.00", "order -150.00"}, moved(r.srv))
		})
	}
}

func TestAKeyThatIsBlockedWhileAnOrderWaitsIsNotIssued(t *testing.T) {
	r := newTerm(t, func(s *certinexttest.Server) { s.HoldForApproval = true })
	key := newKey(t)
	same := m{"csr": csr(t, key, "www.example.com")}
	id := r.order(merge(dvOrder("www.example.com"), same))
	draft := r.post(sslPath, merge(dvOrder("www.example.com"), merge(same, m{"saveAsDraft": true}))).must(201)
	r.srv.Configure(func(s *certinexttest.Server) {
		s.Keys.Blocked, s.HoldForApproval = []string{hashOf(t, key)}, false
	})
	require.Equal(t, "rejected", r.status(id))
	order, _ := r.srv.Order(id)
	require.Empty(t, order.Serials)
	require.Contains(t, order.RejectRemark, "compromised")
	require.ErrorContains(t, r.srv.Promote(draft["requestId"].(string)), "compromised")
	require.Equal(t, []string{"order -150.00", "refund 150.00"}, moved(r.srv))
}

func TestAReissueThatLosesItsKeyWaitsForAnother(t *testing.T) {
	r := newTerm(t, nil)
	elsewhere, key := r.issued("www.example.com")
	id, _ := r.issued("www.example.com")
	first := r.certificate(id)
	r.srv.Configure(func(s *certinexttest.Server) { s.IssueDelay = time.Hour })
	r.rekey(id, key, nil).must(201)
	r.compromised(elsewhere)
	require.Equal(t, "pending-csr", r.status(id), "its certificate has another key, and stays")
	require.Equal(t, first.SerialNumber, r.certificate(id).SerialNumber)
	r.put(sslPath+"/"+id+"/csr", m{"csr": csr(t, key, "www.example.com")}).refused(422, "EMS-917")
	r.put(sslPath+"/"+id+"/csr", m{"csr": csr(t, newKey(t), "www.example.com")}).must(204)
	r.on(1)
	require.Equal(t, "issued", r.status(id))
	require.NotEqual(t, first.SerialNumber, r.certificate(id).SerialNumber)
}

func TestNewKeysOnlyHoldsForReissues(t *testing.T) {
	r := newTerm(t, func(s *certinexttest.Server) { s.NewKeysOnly = true })
	_, used := r.issued("www.example.com")
	id, own := r.issued("www.example.com")
	r.rekey(id, used, nil).refused(422, "EMS-1099")
	r.rekey(id, own, nil).must(201)
	order, _ := r.srv.Order(id)
	require.Len(t, order.Serials, 2, "its own key is no other order's")
	require.False(t, order.ReusedKey)
	r.rekey(id, newKey(t), m{"csr": nil}).must(201)
	r.put(sslPath+"/"+id+"/csr", m{"csr": csr(t, used, "www.example.com")}).refused(422, "EMS-1099")
	r.put(sslPath+"/"+id+"/csr", m{"csr": csr(t, own, "www.example.com")}).must(204)
}
