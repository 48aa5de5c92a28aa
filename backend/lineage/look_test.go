// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package lineage

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/index"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/trust"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// A mount is storage with certificates, each of its own CA, and what lists them.
type mount struct {
	storage logical.Storage
	certs   *certificates.Keeper
	keeper  *Keeper
	now     time.Time
	cas     []*x509.Certificate
}

// newMount returns a mount with n certificates, each below a CA of its own.
func newMount(t *testing.T, n int) *mount {
	t.Helper()
	m := &mount{storage: new(logical.InmemStorage), now: time.Now()}
	h := host.New(host.Options{Now: func() time.Time { return m.now }})
	m.certs = certificates.New(h, nil, 1)
	m.keeper = New(h, m.certs, new(trust.Keeper), func() time.Time { return m.now })
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	for i := range n {
		m.add(t, i, key)
	}
	return m
}

// add stores a certificate below a CA of its own, and has it listed.
func (m *mount) add(t *testing.T, i int, leafKey *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	ca := sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(int64(1000 + i)), Subject: pkix.Name{CommonName: fmt.Sprint("CA ", i)},
		NotBefore: m.now.AddDate(-1, 0, 0), NotAfter: m.now.AddDate(0, 0, 10+i),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil, key, key)
	leaf := sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(int64(100_000 + i)), DNSNames: []string{"www.example.com"},
		NotBefore: m.now, NotAfter: m.now.AddDate(1, 0, 0),
	}, ca, leafKey, key)
	c := certificates.NewEntry(&certificates.Downloaded{
		Leaf: leaf, Chain: []*x509.Certificate{ca},
	}, m.now)
	require.NoError(t, store.Put(t.Context(), m.storage, c.Key(), c))
	m.cas = append(m.cas, ca)
}

func sign(
	t *testing.T, c, parent *x509.Certificate, of, by *ecdsa.PrivateKey,
) *x509.Certificate {
	t.Helper()
	if parent == nil {
		parent = c
	}
	raw, err := x509.CreateCertificate(rand.Reader, c, parent, &of.PublicKey, by)
	require.NoError(t, err)
	out, err := x509.ParseCertificate(raw)
	require.NoError(t, err)
	return out
}

// look has the index filled, and looks.
func (m *mount) look(t *testing.T, s logical.Storage) (*View, error) {
	t.Helper()
	Await(t.Context(), m.keeper, m.storage)
	require.True(t, m.certs.Index.IsComplete())
	return Look(t.Context(), m.keeper, s)
}

// CERTInext chooses how many chains there are. One call reads so many, and says that there are more.
func TestOneCallReadsSomeChainsOnly(t *testing.T) {
	m := newMount(t, maxRead+20)
	for _, want := range []struct {
		known int
		whole bool
	}{{maxRead, false}, {maxRead + 20, true}} {
		v, err := m.look(t, m.storage)
		require.NoError(t, err)
		require.Len(t, v.known, want.known)
		require.Equal(t, want.whole, v.Whole)
		survey, err := Take(t.Context(), m.keeper, &failing{m.storage, nil})
		require.NoError(t, err)
		require.Equal(t, maxRead+20, survey.Counts.Live)
	}
}

// failing is storage whose reads fail, or are counted.
type failing struct {
	logical.Storage
	err error
}

func (f *failing) Get(ctx context.Context, key string) (*logical.StorageEntry, error) {
	if f.err != nil {
		return nil, f.err
	}
	return f.Storage.Get(ctx, key)
}

// What was looked at is not read again, until CAs may have expired: a storage that fails is not
// noticed before.
func TestAVerdictHoldsForAnHour(t *testing.T) {
	m := newMount(t, 3)
	v, err := m.look(t, m.storage)
	require.NoError(t, err)
	require.True(t, v.Whole)
	broken := &failing{m.storage, errors.New("storage is away")}
	_, err = m.look(t, broken)
	require.NoError(t, err)
	m.now = m.now.Add(judgedFor + time.Second)
	v, err = m.look(t, broken)
	require.ErrorContains(t, err, "storage is away")
	require.Len(t, v.known, 3, "what was known is said beside the error")
}

// A certificate that cannot be read is unknown, and nothing else is.
func TestWhatCannotBeReadIsUnknown(t *testing.T) {
	m := newMount(t, 2)
	Await(t.Context(), m.keeper, m.storage)
	chains := m.certs.Index.Chains()
	require.Len(t, chains, 2)
	spoilt := ""
	for chain, serial := range chains {
		c, err := certificates.Read(t.Context(), m.storage, serial)
		require.NoError(t, err)
		c.Chain = []string{"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"}
		require.NoError(t, store.Put(t.Context(), m.storage, c.Key(), c))
		spoilt = chain
		break
	}
	v, err := m.look(t, m.storage)
	require.NoError(t, err)
	require.True(t, v.Whole, "it was looked at")
	for chain := range chains {
		want := Accepted
		if chain == spoilt {
			want = Unknown
		}
		require.Equal(t, want, v.Standing(chain, index.KeyID{}))
	}
	chosen := v.Select(Want{Standing: Unknown})
	require.True(t, chosen(spoilt, index.KeyID{}))
	require.True(t, chosen("a chain that came since", index.KeyID{}))
	require.False(t, v.Select(Want{Standing: Accepted})("a chain that came since", index.KeyID{}))
}

// Selection is by any CA's key or name.
func TestCertificatesAreSelectedByTheirCAs(t *testing.T) {
	m := newMount(t, 3)
	v, err := m.look(t, m.storage)
	require.NoError(t, err)
	count := func(w Want) (n int) {
		chosen := v.Select(w)
		for chain := range v.known {
			if chosen(chain, index.KeyID{}) {
				n++
			}
		}
		return n
	}
	require.Equal(t, 1, count(Want{Key: trust.KeyOf(m.cas[1])}))
	require.Equal(t, 1, count(Want{Root: "ca 2"}))
	require.Equal(t, 0, count(Want{Root: "CA 2", Key: trust.KeyOf(m.cas[1])}))
	require.Equal(t, 3, count(Want{Standing: Accepted}))
	require.Equal(t, 0, count(Want{RefusedBy: "mozilla"}))
	require.Nil(t, v.Select(Want{}))
	require.ErrorContains(t, v.Check(Want{RefusedBy: "mozilla"}), "no family of clients is known")
}

// BenchmarkTake counts 100,000 certificates of a few chains.
func BenchmarkTake(b *testing.B) {
	m := &mount{storage: new(logical.InmemStorage), now: time.Now()}
	h := host.New(host.Options{})
	m.certs = certificates.New(h, nil, 1)
	m.keeper = New(h, m.certs, new(trust.Keeper), time.Now)
	for i := range 100_000 {
		m.certs.Index.Put(index.Row{
			Serial: fmt.Sprintf("01-%02x-%02x-%02x", i>>16, i>>8&0xff, i&0xff), Role: "web",
			Chain: fmt.Sprintf("%064x", i%5), Key: index.KeyID{byte(i), byte(i >> 8), 1},
			NotBefore: m.now, NotAfter: m.now.AddDate(1, 0, 0),
		})
	}
	for b.Loop() {
		if _, err := Take(b.Context(), m.keeper, m.storage); err != nil {
			b.Fatal(err)
		}
	}
}
