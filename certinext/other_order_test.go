// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// A status comes with the number of its order, or with none; with another's it is an error.
func TestSandboxStatusOfNobodyAndOfAnother(t *testing.T) {
	eachDialect(t, func(t *testing.T, srv *certinexttest.Server) {
		c := sandbox(srv)
		o, err := c.CreateOrder(t.Context(), completeOrder(t, srv))
		require.NoError(t, err)
		truth := track(t, c, certinext.FamilySSL, o.ID)
		assert.Equal(t, o.ID, truth.ID, "every dialect tells whose status it is")

		for _, status := range []certinext.Status{
			certinext.StatusExpired, certinext.StatusCancelled, certinext.StatusRejected, certinext.StatusRevoked,
		} {
			srv.Inject(certinexttest.Fault{Kind: certinexttest.FaultWrongStatus, OrderStatus: string(status), Times: 1})
			lie := track(t, c, certinext.FamilySSL, o.ID)
			assert.Empty(t, lie.ID, "nobody's")
			assert.Equal(t, status, lie.Status)

			srv.Inject(certinexttest.Fault{Kind: certinexttest.FaultOtherOrder, OrderStatus: string(status), Operation: certinexttest.OpTrack, Times: 1})
			lie, err := c.TrackOrder(t.Context(), certinext.FamilySSL, o.ID)
			if srv.Dialect == certinexttest.V1 {
				require.NoError(t, err)
				assert.Empty(t, lie.ID, "the answer to another call")
				continue
			}
			assert.Nil(t, lie)
			assert.ErrorContains(t, err, "about another order")
			assert.False(t, certinext.MayHaveActed(err), "a read changes nothing")
			assert.False(t, certinext.IsRefusal(err), "and nobody refused it")
		}
		assert.Equal(t, truth, track(t, c, certinext.FamilySSL, o.ID))
	})
}

// An order that is neither revoked nor cancelled does not become so by an answer about another one, or about none.
func TestSandboxEndsAreNotTakenFromAnother(t *testing.T) {
	for _, kind := range []certinexttest.FaultKind{certinexttest.FaultWrongStatus, certinexttest.FaultOtherOrder} {
		t.Run(string(kind), func(t *testing.T) {
			eachDialect(t, func(t *testing.T, srv *certinexttest.Server) {
				c := sandbox(srv)
				issued, held, draft := changeable(t, srv, c)
				calls := everyChange(t, c, issued, held, draft)
				for op, status := range map[string]string{certinexttest.OpRevoke: "revoked", certinexttest.OpCancel: "cancelled"} {
					srv.Inject(certinexttest.Fault{
						Operation: op, Kind: certinexttest.FaultMiddleman, Times: 1, Status: 404, ContentType: "application/json", Body: `{}`,
					})
					srv.Inject(certinexttest.Fault{Operation: certinexttest.OpTrack, Kind: kind, OrderStatus: status})
					assert.Error(t, calls[op](), op)
					srv.ClearFaults()
				}
			})
		})
	}
}

func TestAnswersAboutAnotherOrder(t *testing.T) {
	const leaf = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----"
	download := func(c *certinext.Client) error {
		_, err := c.Certificate(t.Context(), certinext.FamilySSL, "1")
		return err
	}
	reissue := func(c *certinext.Client) error {
		_, err := c.ReissueOrder(t.Context(), certinext.FamilySSL, "1", certinext.ReissueRequest{CSR: "csr"})
		return err
	}
	promote := func(c *certinext.Client) error {
		r := dvOrder()
		r.RequestID = "2000000001"
		_, err := c.CreateOrder(t.Context(), r)
		return err
	}
	for name, tc := range map[string]struct {
		call  func(*certinext.Client) error
		body  string
		ok    bool
		acted bool
	}{
		"a certificate of nobody's":    {download, `{"certificatePem":` + quote(readFile(t, "leaf.pem")) + `}`, true, false},
		"a certificate of the order's": {download, `{"orderId":"1","certificatePem":` + quote(readFile(t, "leaf.pem")) + `}`, true, false},
		"a certificate of another's":   {download, `{"orderId":"2","certificatePem":` + quote(readFile(t, "leaf.pem")) + `}`, false, false},
		"a certificate of an odd id":   {download, `{"orderId":"../1","certificatePem":` + quote(leaf) + `}`, false, false},
		"a reissue of the order":       {reissue, `{"orderId":"1","requestId":"2000000002","status":"pending-csr"}`, true, false},
		"a reissue of another":         {reissue, `{"orderId":"2","requestId":"2000000002","status":"pending-csr"}`, false, true},
		"a reissue of nobody's":        {reissue, `{"status":"pending-csr"}`, false, true},
		"the draft, promoted":          {promote, `{"orderId":"7","requestId":"2000000001","status":"pending-csr"}`, true, false},
		"a promotion of no draft":      {promote, `{"orderId":"7","status":"pending-csr"}`, true, false},
		"another draft, promoted":      {promote, `{"orderId":"7","requestId":"2000000002","status":"pending-csr"}`, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			_, c := newRig(always(200, tc.body))
			err := tc.call(c)
			if tc.ok {
				require.NoError(t, err)
				return
			}
			assert.Equal(t, tc.acted, asErr(t, err).Acted)
		})
	}
	t.Run("a promotion in version 1", func(t *testing.T) {
		for body, ok := range map[string]bool{
			createdV1: true, `{"meta":{"status":"1"},"orderDetails":{"requestNumber":"2000000002","orderNumber":"1000000001"}}`: false,
		} {
			_, c := newV1Rig(always(200, body))
			err := promote(c)
			assert.Equal(t, ok, err == nil, "%v", err)
			assert.Equal(t, !ok, err != nil && certinext.MayHaveActed(err))
		}
	})
	t.Run("a status in version 1 that names its order", func(t *testing.T) {
		for number, want := range map[string]string{"1": "1", "2": ""} {
			_, c := newV1Rig(always(200, `{"meta":{"status":"1"},"orderDetails":{"orderNumber":"`+number+`","certificateStatusId":"12"}}`))
			o, err := c.TrackOrder(t.Context(), certinext.FamilySSL, "1")
			if want == "" {
				assert.Error(t, err)
				continue
			}
			require.NoError(t, err)
			assert.Equal(t, want, o.ID)
		}
	})
}

// Somebody who looks for an order is not told that there is none by an answer to another call.
func TestV1NothingFoundIsOfThisCall(t *testing.T) {
	const nothing = `{"meta":{"status":"0","errorCode":"","errorMessage":"No records found."}}`
	report := func(body string) error {
		_, c := newV1Rig(always(200, body))
		c.Retries = -1
		_, err := collect(c.OrdersReport(t.Context(), certinext.ReportFilter{}))
		return err
	}
	assert.NoError(t, report(nothing))
	assert.Error(t, report(`{"meta":{"status":"0","txn":"vp0123456789","errorCode":"","errorMessage":"No records found."}}`))
	_, c := newV1Rig(repeating(nothing))
	_, err := collect(c.OrdersReport(t.Context(), certinext.ReportFilter{}))
	assert.NoError(t, err)
}

func quote(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}
