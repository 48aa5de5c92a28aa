// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

func TestIdempotencyKeys(t *testing.T) {
	const live, documented = certinexttest.Live, certinexttest.Documented
	for name, c := range map[string]struct {
		dialect  certinexttest.Dialect
		override certinexttest.Switch
		orders   int
	}{
		"documented replays the first answer": {documented, certinexttest.ByDialect, 1},
		"live buys a second certificate":      {live, certinexttest.ByDialect, 2},
		"live can be made to honour keys":     {live, certinexttest.On, 1},
		"documented can be made to forget":    {documented, certinexttest.Off, 2},
	} {
		t.Run(name, func(t *testing.T) {
			srv := verified(c.dialect)
			srv.Idempotency = c.override
			r := newRig(t, srv)
			first := r.order(dvOrder("www.example.com"), "Idempotency-Key", "k1")
			second := r.order(dvOrder("www.example.com"), "Idempotency-Key", "k1")
			require.Equal(t, c.orders == 1, first == second)
			orders := r.srv.Orders()
			require.Len(t, orders, c.orders)
			require.Equal(t, 3-c.orders, orders[0].Creates)
			require.Equal(t, "k1", orders[0].IdempotencyKey)
		})
	}
}

func TestIdempotencyConflict(t *testing.T) {
	r := newRig(t, verified(certinexttest.Documented))
	id := r.order(dvOrder("www.example.com"), "Idempotency-Key", "k1")
	v := r.post(sslPath, dvOrder("a.example.com"), "Idempotency-Key", "k1").refused(409, "")
	require.Equal(t, "idempotency_conflict", v["code"])
	r.post(sslPath+"/"+id+"/revoke", m{"reason": "superseded"}, "Idempotency-Key", "k1").refused(409, "")
	require.Len(t, r.srv.Orders(), 1)
}

func TestAKeyIsGoodForOnePath(t *testing.T) {
	r := newRig(t, verified(certinexttest.Documented))
	one, _ := r.issued("a.example.com")
	two, _ := r.issued("b.example.com")
	body := m{"reason": "superseded"}
	r.post(sslPath+"/"+one+"/revoke", body, "Idempotency-Key", "k1").must(204)
	r.post(sslPath+"/"+two+"/revoke", body, "Idempotency-Key", "k1").refused(409, "")
	require.Equal(t, "issued", r.status(two))
}

func TestARefusalDoesNotSpendItsKey(t *testing.T) {
	r := newRig(t, verified(certinexttest.Documented))
	id := r.order(dvOrder("www.example.com"))
	revoke := func() answer {
		return r.post(sslPath+"/"+id+"/revoke", m{"reason": "superseded"}, "Idempotency-Key", "k1")
	}
	revoke().refused(422, "EMS-931")
	r.put(sslPath+"/"+id+"/csr", m{"csr": csr(t, newKey(t), "www.example.com")}).must(204)
	r.post(sslPath+"/"+id+"/agreement", m{"agreement": dvOrder("")["agreement"]}).must(204)
	revoke().must(204)
	revoke().must(204)
}

func TestAnIdempotencyKeyIsForOneProduct(t *testing.T) {
	srv := verified(certinexttest.Live)
	srv.Idempotency = certinexttest.On
	r := newRig(t, srv)
	r.post(sslPath, dvOrder("www.example.com"), "Idempotency-Key", "1", "X-Product-Code", "842").must(201)
	r.post(sslPath, dvOrder("www.example.com"), "Idempotency-Key", "1", "X-Product-Code", "999").must(409)
	require.Equal(t, 1, srv.Orders()[0].Creates)
}
