// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certificates

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

func TestWhoseANumberIs(t *testing.T) {
	const acct, other = "https://a.test|1", "https://a.test|2"
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	hash, err := hashKey(key.Public())
	require.NoError(t, err)
	claim := NumberClaim{Account: acct, OrderID: "own", Marker: "m", Key: key.Public()}
	shown := claim
	shown.Shown = true
	for name, c := range map[string]struct {
		claim  NumberClaim
		orders []NumberedOrder
		certs  []NumberedCertificate
		rival  string
	}{
		"nothing is known of it": {claim: claim},
		"its own certificate is stored": {
			claim: claim, certs: []NumberedCertificate{{Account: acct, Serial: "0a", OrderID: "own", Key: hash}},
		},
		"its own certificate was reissued for another key": {
			claim: claim, certs: []NumberedCertificate{
				{Account: acct, Serial: "0b", Key: "x"},
				{Account: acct, Serial: "0a", OrderID: "own", Key: hash},
				{Account: acct, Serial: "0c", OrderID: "reissue", Key: "y"},
			},
		},
		"its certificate was synchronized before it had the number": {
			claim: claim, certs: []NumberedCertificate{{Account: acct, Serial: "0a", Key: hash}},
		},
		"a certificate for another key was synchronized": {
			claim: claim, certs: []NumberedCertificate{{Account: acct, Serial: "0a-1b", Key: "x"}},
			rival: "certificate 0a:1b, which has another key",
		},
		"CERTInext's records do not outdo a certificate": {
			claim: shown, certs: []NumberedCertificate{{Account: acct, Serial: "0a", Key: "x"}},
			rival: "certificate 0a, which has another key",
		},
		"another order has a certificate, be it for the same key": {
			claim: claim, certs: []NumberedCertificate{{Account: acct, Serial: "0a", OrderID: "first", Key: hash}},
			rival: "order first",
		},
		"an earlier purchase of the same id has a certificate": {
			claim: claim, certs: []NumberedCertificate{{Account: acct, Serial: "0a", OrderID: "own", Key: "x"}},
			rival: "certificate 0a, which has another key",
		},
		"another account has it": {
			claim: claim, certs: []NumberedCertificate{{Account: other, Serial: "0a", OrderID: "first", Key: "x"}},
			orders: []NumberedOrder{{Account: other, ID: "first", Marker: "n"}},
		},
		"another order was closed with it": {
			claim: claim, orders: []NumberedOrder{{Account: acct, ID: "first", Marker: "n"}}, rival: "order first",
		},
		"another order was closed with it, and the records show this one": {
			claim: shown, orders: []NumberedOrder{{Account: acct, ID: "first", Marker: "n"}},
		},
		"it was closed with it itself": {
			claim: claim, orders: []NumberedOrder{{Account: acct, ID: "own", Marker: "m"}},
		},
		"an earlier purchase of the same id was closed with it": {
			claim: claim, orders: []NumberedOrder{{Account: acct, ID: "own", Marker: "n"}}, rival: "order own",
		},
	} {
		t.Run(name, func(t *testing.T) {
			n := &NumberEntry{Orders: c.orders, Certificates: c.certs}
			require.Equal(t, c.rival, n.rival(c.claim))
		})
	}
}

func TestANumberForgetsImportedCertificatesFirst(t *testing.T) {
	n := new(NumberEntry)
	require.True(t, n.add(NumberedCertificate{Serial: "own", OrderID: "o"}, true))
	for i := range 3 * maxNumbered {
		n.add(NumberedCertificate{Serial: fmt.Sprint(i), NotBefore: time.Unix(int64(i), 0)}, true)
	}
	require.Len(t, n.Certificates, maxNumbered)
	listed := n.newestFirst(func(NumberedCertificate) bool { return true })
	require.Contains(t, listed, "own")
	require.Equal(t, fmt.Sprint(3*maxNumbered-1), listed[0])
}

// One storage, which may fail to read a key.
type faulty struct {
	logical.InmemStorage
	unreadable string
}

func (s *faulty) Get(ctx context.Context, key string) (*logical.StorageEntry, error) {
	if s.unreadable != "" && strings.HasSuffix(key, s.unreadable) {
		return nil, errors.New("storage is away")
	}
	return s.InmemStorage.Get(ctx, key)
}

func newNumbers() *Numbers {
	return &New(host.New(host.Options{}), nil, 1).Numbers
}

func TestStoredCertificatesAreIndexedAPageAtATime(t *testing.T) {
	s, ctx := new(faulty), t.Context()
	const stored = 2*maxIndexPage + 500
	serial := func(i int) string { return fmt.Sprintf("00-%06x", i) }
	for i := range stored {
		require.NoError(t, store.Put(ctx, s, Prefix+serial(i), &Entry{
			Version: 1, Serial: serial(i), OrderID: fmt.Sprint("o", i), CAOrderID: fmt.Sprint("n", i/2),
			Certificate: "none", NotBefore: time.Unix(int64(i), 0),
		}))
	}
	require.NoError(t, s.Put(ctx, &logical.StorageEntry{Key: Prefix + serial(1), Value: []byte("{")}))
	indexed := func() (n int) {
		keys, err := store.List(ctx, s, numberPrefix)
		require.NoError(t, err)
		return len(keys)
	}
	lastOf := func(x *Numbers, i int) *Entry {
		c, err := x.OfOrder(ctx, s, fmt.Sprint("n", i/2), fmt.Sprint("o", i))
		require.NoError(t, err)
		return c
	}

	require.NoError(t, newNumbers().IndexPage(ctx, s))
	require.Equal(t, maxIndexPage/2, indexed(), "an entry that cannot be decoded holds up none")

	x := newNumbers() // the process has died, and another one goes on
	s.unreadable = serial(maxIndexPage + 10)
	require.ErrorContains(t, x.IndexPage(ctx, s), "storage is away")
	s.unreadable = ""
	require.NoError(t, x.IndexPage(ctx, s))
	require.Equal(t, maxIndexPage, indexed())
	require.NoError(t, s.Delete(ctx, Prefix+serial(1)))
	require.Equal(t, serial(stored-1), lastOf(x, stored-1).Serial, "found by reading all, until it is indexed")
	complete, err := x.isComplete(ctx, s)
	require.NoError(t, err)
	require.False(t, complete)
	require.NoError(t, x.IndexPage(ctx, s))
	require.Equal(t, stored/2, indexed())
	complete, err = newNumbers().isComplete(ctx, s)
	require.NoError(t, err)
	require.True(t, complete)
	for _, i := range []int{0, maxIndexPage - 1, maxIndexPage, stored - 1} {
		require.Equal(t, serial(i), lastOf(newNumbers(), i).Serial)
	}
	for _, c := range []struct{ except, newest string }{{"", serial(15)}, {serial(15), serial(14)}} {
		newest, err := x.Newest(ctx, s, "", "n7", c.except)
		require.NoError(t, err)
		require.Equal(t, c.newest, newest.Serial)
	}
	require.NoError(t, s.Delete(ctx, Prefix+serial(15))) // a crash has kept it from being stored
	newest, err := x.Newest(ctx, s, "", "n7", "")
	require.NoError(t, err)
	require.Equal(t, serial(14), newest.Serial)
	require.Nil(t, lastOf(x, stored+1))
}
