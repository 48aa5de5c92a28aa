// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"testing"
	"time"

	ct "github.com/google/certificate-transparency-go"
	"github.com/google/certificate-transparency-go/tls"
	ctx509 "github.com/google/certificate-transparency-go/x509"
	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// The extensions of RFC 6962.
var (
	timestampList = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 2}
	poisoned      = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 3}
)

// A knownLog is one of the list that the sandbox publishes.
type knownLog struct {
	operator string
	verifier *ct.SignatureVerifier
}

// logs reads the list of logs, as a client of Chrome's does, by their ids.
func (r *rig) logs() map[[sha256.Size]byte]knownLog {
	r.t.Helper()
	var list certinexttest.LogList
	require.NoError(r.t, json.Unmarshal(r.fetch(r.base+"/_sandbox/ca/logs.json"), &list))
	known := make(map[[sha256.Size]byte]knownLog)
	for _, operator := range list.Operators {
		for _, log := range operator.Logs {
			der, err := base64.StdEncoding.DecodeString(log.Key)
			require.NoError(r.t, err)
			key, err := x509.ParsePKIXPublicKey(der)
			require.NoError(r.t, err)
			id, err := base64.StdEncoding.DecodeString(log.ID)
			require.NoError(r.t, err)
			verifier, err := ct.NewSignatureVerifier(key)
			require.NoError(r.t, err)
			require.Equal(r.t, sha256.Sum256(der), [sha256.Size]byte(id))
			known[[sha256.Size]byte(id)] = knownLog{operator.Name, verifier}
		}
	}
	return known
}

// timestamps are what the logs have promised in a certificate, each checked by other code than that
// of the server: which logs, of how many operators, and when.
func (r *rig) timestamps(cert, issuer *x509.Certificate) (logs, operators int, at time.Time) {
	r.t.Helper()
	parsed, err := ctx509.ParseCertificate(cert.Raw)
	require.NoError(r.t, err)
	above, err := ctx509.ParseCertificate(issuer.Raw)
	require.NoError(r.t, err)
	ids, by := make(map[[sha256.Size]byte]bool), make(map[string]bool)
	for _, text := range parsed.SCTList.SCTList {
		var sct ct.SignedCertificateTimestamp
		rest, err := tls.Unmarshal(text.Val, &sct)
		require.NoError(r.t, err)
		require.Empty(r.t, rest)
		log, known := r.logs()[sct.LogID.KeyID]
		require.True(r.t, known, "the log is in the list")
		entry, err := ct.MerkleTreeLeafForEmbeddedSCT(
			[]*ctx509.Certificate{parsed, above}, sct.Timestamp)
		require.NoError(r.t, err)
		require.NoError(r.t, log.verifier.VerifySCTSignature(sct, ct.LogEntry{Leaf: *entry}))
		ids[sct.LogID.KeyID], by[log.operator] = true, true
		at = ct.TimestampToTime(sct.Timestamp)
	}
	return len(ids), len(by), at
}

func hasExtension(cert *x509.Certificate, id asn1.ObjectIdentifier) bool {
	for _, e := range cert.Extensions {
		if e.Id.Equal(id) {
			return true
		}
	}
	return false
}

func TestLogsHaveSignedForPublicCertificates(t *testing.T) {
	allDialects(t, func(t *testing.T, d certinexttest.Dialect) {
		for name, c := range map[string]struct {
			life time.Duration
			logs int
		}{
			"long": {0, 3}, "180 days": {180*aDay - time.Second, 2}, "more": {180 * aDay, 3},
			"short": {aDay, 2},
		} {
			t.Run(name, func(t *testing.T) {
				srv := verified(d)
				srv.CertificateLifetime = c.life
				now := time.Date(2026, 5, 12, 20, 0, 0, 123456789, time.UTC)
				srv.Now = func() time.Time { return now }
				r := &rig{t: t, srv: srv, http: srv.Client(), base: host}
				number := r.place("GenerateOrderSSL", merge(v1Order("www.example.com"), m{
					"csr": csr(t, newKey(t), "www.example.com"),
				}))
				cert, issuer := r.v1Leaf(number)
				logs, operators, at := r.timestamps(cert, issuer)
				require.Equal(t, c.logs, logs)
				require.Equal(t, 2, operators)
				require.Equal(t, now.Truncate(time.Millisecond), at.UTC())
				require.False(t, hasExtension(cert, poisoned))
			})
		}
	})
}

func TestLogsSignForReissuesAndForWhatIsMisissued(t *testing.T) {
	for _, mistake := range []certinexttest.Misissuance{
		certinexttest.MisissueNone, certinexttest.MisissueOtherName,
		certinexttest.MisissueCACertificate, certinexttest.MisissueLeafIssuer,
		certinexttest.MisissueBeginsLate,
	} {
		t.Run(mistake.String(), func(t *testing.T) {
			clock := newClock()
			srv := verified(certinexttest.Live)
			srv.Now = clock.now
			r := newRig(t, srv)
			id, _ := r.issued("www.example.com")
			srv.Configure(func(s *certinexttest.Server) { s.Misissue = mistake })
			r.rekey(id, newKey(t), nil).must(201)
			cert := r.certificate(id)
			download := r.get(sslPath + "/" + id + "/certificate").must(200)
			issuer := leaf(t, download["chainPem"].([]any)[0].(string))
			logs, _, at := r.timestamps(cert, issuer)
			require.GreaterOrEqual(t, logs, 2)
			require.Equal(t, clock.at.Truncate(time.Millisecond), at.UTC(), "when it was issued")
		})
	}
}

// Only what browsers use is logged.
func TestNoLogSignsForOthersThanServers(t *testing.T) {
	r := newRig(t, verified(certinexttest.Live))
	private := r.post(privatePath, merge(privateOrder("h.local"), m{
		"csr": csr(t, newKey(t), "h.local"),
	})).must(201)["orderId"].(string)
	mail := r.place("GenerateOrderSMIME", merge(v1Mail(), m{
		"csr": csrFrom(t, newKey(t), &x509.CertificateRequest{}),
	}))
	for _, number := range []string{private, mail} {
		cert, issuer := r.v1Leaf(number)
		require.False(t, hasExtension(cert, timestampList))
		require.False(t, hasExtension(issuer, timestampList))
	}
	id, _ := r.issued("www.example.com")
	cert, issuer := r.v1Leaf(id)
	require.True(t, hasExtension(cert, timestampList))
	require.False(t, hasExtension(issuer, timestampList))
	require.Len(t, r.logs(), 3)
}

func TestASnapshotKeepsTheLogs(t *testing.T) {
	a := newRig(t, verified(certinexttest.Documented))
	id, _ := a.issued("www.example.com")
	cert, before := a.certificate(id), a.logs()
	var text bytes.Buffer
	require.NoError(t, a.srv.Snapshot(&text))
	b := newRig(t, verified(certinexttest.Documented))
	require.NotEqual(t, before, b.logs())
	require.NoError(t, b.srv.Restore(&text))
	require.Equal(t, before, b.logs())
	b.token = a.token
	issuer := b.issuerOf(cert)
	b.timestamps(cert, issuer)
	again, _ := b.issued("api.example.com")
	b.timestamps(b.certificate(again), issuer)
}
