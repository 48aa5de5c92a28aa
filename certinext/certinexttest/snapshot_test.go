// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ocsp"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// TestASnapshotGoesOnElsewhere: what one server has begun another one finishes.
func TestASnapshotGoesOnElsewhere(t *testing.T) {
	now := time.Date(2026, 5, 12, 20, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	a := priced("1000.00")
	a.Now, a.Idempotency = clock, certinexttest.On
	r := newRig(t, a)
	kept, _ := r.issued("kept.example.com")
	gone, _ := r.issued("gone.example.com")
	goneCert := r.certificate(gone)
	r.post(sslPath+"/"+gone+"/revoke", m{"reason": "superseded"}).must(204)
	open := r.order(dvOrder("www.example.net"))
	r.get(sslPath + "/" + open + "/dcv?method=dns-txt&domain=www.example.net").must(200)
	repeated := r.post(sslPath, dvOrder("again.example.com"), "X-Product-Code", "842", "Idempotency-Key", "k1").must(201)
	a.Inject(certinexttest.Fault{Operation: certinexttest.OpRevoke, Kind: certinexttest.FaultServerError, Times: 1})
	a.Configure(func(s *certinexttest.Server) { s.PEMLag = time.Minute })
	document := r.get("/_sandbox/snapshot")
	require.Equal(t, 200, document.status)

	b := &certinexttest.Server{Now: clock}
	e := &rig{t: t, srv: b, http: b.Client(), base: host, token: r.token}
	require.Equal(t, 204, e.do("POST", "/_sandbox/restore", string(document.body)).status)
	for _, what := range []string{"orders", "domains", "ledger", "calls", "faults", "knobs", "roots.pem"} {
		require.Equal(t, string(r.get("/_sandbox/"+what).body), string(e.get("/_sandbox/"+what).body), what)
	}
	require.Equal(t, string(withoutTime(document.body)), string(withoutTime(e.get("/_sandbox/snapshot").body)))

	require.Equal(t, ocsp.Revoked, e.revocationOf(goneCert), "its OCSP answers are the first one's")
	now = now.Add(2 * time.Minute)
	keptCert := e.certificate(kept)
	require.Equal(t, ocsp.Good, e.revocationOf(keptCert))
	require.Equal(t, 503, e.post(sslPath+"/"+kept+"/revoke", m{"reason": "superseded"}).status, "the fault strikes")
	e.post(sslPath+"/"+kept+"/revoke", m{"reason": "superseded"}).must(204)
	require.Equal(t, ocsp.Revoked, e.revocationOf(keptCert))
	require.Equal(t, ocsp.Good, r.revocationOf(keptCert), "two servers, two states")

	require.Equal(t, 204, e.do("POST", "/_sandbox/domains/www.example.net/verify", "").status)
	require.Equal(t, "pending-csr", e.get(sslPath + "/" + open).must(200)["status"])
	key := newKey(t)
	e.put(sslPath+"/"+open+"/csr", m{"csr": csr(t, key, "www.example.net")}).must(204)
	now = now.Add(2 * time.Minute)
	require.Equal(t, key.Public(), e.certificate(open).PublicKey)
	same := e.post(sslPath, dvOrder("again.example.com"), "X-Product-Code", "842", "Idempotency-Key", "k1").must(201)
	require.Equal(t, repeated["orderId"], same["orderId"])
	require.Equal(t, a.Ledger(), b.Ledger(), "nothing more was bought")
	e.order(dvOrder("more.example.com"))
	require.Len(t, b.Ledger(), len(a.Ledger())+1)

	b.Reset()
	require.Empty(t, b.Orders())
	require.Zero(t, b.PEMLag, "a reset goes back to the start of the first server")
	require.Equal(t, certinexttest.On, b.Idempotency)
}

var takenAt = regexp.MustCompile(`"takenAt":"[^"]*"`)

func withoutTime(document []byte) []byte { return takenAt.ReplaceAll(document, nil) }

// TestASnapshotInEachDialect: it is what its server is, and restored there changes nothing.
func TestASnapshotInEachDialect(t *testing.T) {
	allDialects(t, func(t *testing.T, d certinexttest.Dialect) {
		srv := verified(d)
		srv.AddForeignOrders(3)
		r := &rig{t: t, srv: srv, http: srv.Client(), base: host}
		before := r.get("/_sandbox/snapshot").body
		require.Equal(t, 204, r.do("POST", "/_sandbox/restore", string(before)).status)
		require.Equal(t, string(withoutTime(before)), string(withoutTime(r.get("/_sandbox/snapshot").body)))
		require.Len(t, srv.Orders(), 3)
	})
}

// TestABadSnapshotChangesNothing: each is refused with its reason, and the server stays as it is.
func TestABadSnapshotChangesNothing(t *testing.T) {
	a := verified(certinexttest.Live)
	r := newRig(t, a)
	r.issued("www.example.com")
	good := string(r.get("/_sandbox/snapshot").body)
	for reason, bad := range map[string]string{
		"no JSON document":       `{"version":1`,
		"with a version":         `{}`,
		"has version 2":          strings.Replace(good, `"version":1`, `"version":2`, 1),
		"surprise is no member":  strings.Replace(good, `"version":1`, `"version":1,"surprise":1`, 1),
		"version is there twice": strings.Replace(good, `"version":1`, `"version":1,"version":1`, 1),
		"it was written by":      strings.Replace(good, `"idempotencyKey":`, `"otherKey":`, 1),
		"settings: pemLag":       strings.Replace(good, `"pemLag":"0s"`, `"pemLag":"-1s"`, 1),
		"there is no object":     regexp.MustCompile(`"newest":\d+`).ReplaceAllString(good, `"newest":9999`),
		"certificate in the mak": regexp.MustCompile(`"signings":\[\d+\]`).ReplaceAllString(good, `"signings":[]`),
		"a table is missing":     regexp.MustCompile(`"calls":\[\[.*?\]\]`).ReplaceAllString(good, `"calls":null`),
		"asn1":                   regexp.MustCompile(`"MII[^"]{40}`).ReplaceAllString(good, `"MIIAAAA`),
	} {
		t.Run(reason, func(t *testing.T) {
			require.NotEqual(t, good, bad)
			b := verified(certinexttest.Live)
			e := newRig(t, b)
			e.order(dvOrder("mine.example.com"))
			before := e.get("/_sandbox/snapshot").body
			refusal := e.do("POST", "/_sandbox/restore", bad)
			require.Equal(t, 400, refusal.status, "%s", refusal.body)
			require.Contains(t, string(refusal.body), reason)
			require.Equal(t, string(withoutTime(before)), string(withoutTime(e.get("/_sandbox/snapshot").body)))
		})
	}
}

// TestASnapshotForgetsNothing: each field of what a reset empties is in a snapshot, and a server has
// no field beside it that is neither a setting nor known not to be in it.
func TestASnapshotForgetsNothing(t *testing.T) {
	srv := new(certinexttest.Server)
	var document bytes.Buffer
	require.NoError(t, srv.Snapshot(&document))
	var parts struct {
		Held struct{ Objects []json.RawMessage }
	}
	require.NoError(t, json.Unmarshal(document.Bytes(), &parts))
	var written map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(parts.Held.Objects[0], &written))
	server := reflect.TypeFor[certinexttest.Server]()
	state, found := server.FieldByName("state")
	require.True(t, found)
	for i := range state.Type.NumField() {
		require.Contains(t, written, state.Type.Field(i).Name)
	}
	var beside []string
	for i := range server.NumField() {
		if f := server.Field(i); !f.IsExported() {
			beside = append(beside, f.Name)
		}
	}
	require.Equal(t, []string{"once", "mu", "asStarted", "resets", "foreign", "unfit", "unfitAtStart", "tlsRoot", "ca", "state", "journal"}, beside)
}

// FuzzRestore puts another value in the place of one in a snapshot: whatever is restored or refused,
// the server goes on answering.
func FuzzRestore(f *testing.F) {
	a := verified(certinexttest.Live)
	a.AddForeignOrders(1)
	var document bytes.Buffer
	require.NoError(f, a.Snapshot(&document))
	places := regexp.MustCompile(`"[^"]*"|\d+|null|true|false`).FindAllIndex(document.Bytes(), -1)
	for i, with := range []string{"null", "0", "99", `""`, "[]", "{}", "-1", `"AAAA"`, "true"} {
		f.Add(uint16(i*37), with)
	}
	f.Fuzz(func(t *testing.T, place uint16, with string) {
		at := places[int(place)%len(places)]
		text := slices.Concat(document.Bytes()[:at[0]], []byte(with), document.Bytes()[at[1]:])
		b := verified(certinexttest.Live)
		if b.Restore(bytes.NewReader(text)) != nil {
			return
		}
		for _, path := range []string{
			"/_sandbox/orders", "/_sandbox/domains", "/_sandbox/snapshot", "/crl/public.crl", sslPath + "/1",
		} {
			response, err := b.Client().Get(host + path)
			require.NoError(t, err, "the handler has panicked")
			require.NoError(t, response.Body.Close())
			require.Less(t, response.StatusCode, 500)
		}
	})
}
