// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"crypto/x509"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

func TestSignerWaitsForDocumentsThenForTheApprover(t *testing.T) {
	c := newClock()
	r := newRig(t, &certinexttest.Server{Now: c.now, ApprovalDelay: time.Hour, TokenTTL: 48 * time.Hour})
	id, path := r.signer("natural-person", m{"agreement": nil})
	r.put(path+"/csr", m{"csr": csrFrom(t, newKey(t), &x509.CertificateRequest{}), "attested": true}).must(204)
	c.advance(2 * time.Hour)
	require.Equal(t, "pending-documents", r.statusAt(path), "the approver has nothing to look at yet")
	require.NoError(t, r.srv.AddDocuments(id, 1))
	c.advance(59 * time.Minute)
	require.Equal(t, "pending-approval", r.statusAt(path))
	require.NoError(t, r.srv.AddDocuments(id, 1))
	c.advance(time.Minute)
	require.Equal(t, "pending-agreement", r.statusAt(path), "the first document counts; nobody approves twice")
	r.post(path+"/agreement", m{"agreement": m{"signerName": "J", "signerPlace": "NY", "accepted": true}}).must(204)
	require.Equal(t, "issued", r.statusAt(path))
}

func TestRejectedSigner(t *testing.T) {
	r := newRig(t, new(certinexttest.Server))
	id, path := r.signer("natural-person", nil)
	require.NoError(t, r.srv.AddDocuments(id, 1))
	require.NoError(t, r.srv.Reject(id, "the passport has expired"))
	v := r.get(path).must(200)
	require.Equal(t, "rejected", v["status"])
	require.Equal(t, "the passport has expired", v["rejection"].(m)["reason"])
	require.Error(t, r.srv.AddDocuments(id, 1))
}

func TestDocumentsAreForOrdersThatNeedThem(t *testing.T) {
	r, admin := adminRig(t, verified(certinexttest.Live))
	id, path := r.signer("legal-entity", nil)
	require.ErrorIs(t, r.srv.AddDocuments("1", 1), certinexttest.ErrNoOrder)
	require.ErrorContains(t, r.srv.AddDocuments(id, 0), "1 to 100")
	require.ErrorContains(t, r.srv.AddDocuments(id, 101), "1 to 100")
	v := r.do("POST", path+"/documents", "").refused(http.StatusNotImplemented, "")
	require.Contains(t, v["detail"], "/emSignHub-API/SubmitDocument")

	require.Equal(t, 400, admin.post("/orders/"+id+"/documents", m{"count": -1}).status)
	require.Equal(t, 400, admin.post("/orders/"+id+"/documents", m{"colour": "red"}).status)
	require.Equal(t, 404, admin.post("/orders/1/documents", m{"count": 1}).status)
	require.Equal(t, "pending-documents", r.statusAt(path))
	admin.post("/orders/"+id+"/documents", m{"count": 3}).must(204)
	require.EqualValues(t, 3, admin.get("/orders/" + id).must(200)["documents"])
	require.Equal(t, "pending-approval", r.statusAt(path))

	require.ErrorContains(t, r.srv.AddDocuments(r.order(dvOrder("www.example.com")), 1), "takes no documents")
	require.NoError(t, r.srv.AddDocuments(r.order(ovOrder("www.example.com")), 1), "an OV order's prove the organization")
	issued, _ := r.issued("www.example.com")
	require.Error(t, r.srv.AddDocuments(issued, 1))
	r.post(path+"/cancel", m{"reason": "x"}).must(204)
	require.ErrorContains(t, r.srv.AddDocuments(id, 1), "cancelled")
}
