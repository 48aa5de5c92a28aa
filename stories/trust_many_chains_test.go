// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// deliversEachFrom has CERTInext deliver each certificate from a CA of its own, below a root, that expires at a time.
func (m *mount) deliversEachFrom(root strangeCA, until time.Time) {
	m.t.Helper()
	leaves, chains := make(map[string]string), make(map[string][]string)
	m.backend.Cleanup(m.t.Context())
	m.startWith(&http.Client{Transport: &rewriting{next: m.ca.Client().Transport, edit: func(_ string, body []byte) []byte {
		var members map[string]any
		if json.Unmarshal(body, &members) != nil || members["certificatePem"] == nil {
			return body
		}
		text := members["certificatePem"].(string)
		if leaves[text] == "" {
			issuer := newStrangeCA(m.t, fmt.Sprintf("Issuer %d", len(leaves)))
			old := parseCertificate(m.t, text)
			template := *old
			template.SignatureAlgorithm, template.AuthorityKeyId, template.RawSubject, template.RawIssuer = 0, nil, nil, nil
			der, err := x509.CreateCertificate(rand.Reader, &template, &x509.Certificate{Subject: pkix.Name{CommonName: issuer.name}}, old.PublicKey, issuer.key)
			require.NoError(m.t, err)
			c, err := x509.ParseCertificate(der)
			require.NoError(m.t, err)
			leaves[text] = pemText(c)
			chains[text] = []string{pemText(issuer.under(m.t, root, time.Now().Add(-time.Hour), until))}
		}
		members["certificatePem"], members["chainPem"] = leaves[text], chains[text]
		out, err := json.Marshal(members)
		require.NoError(m.t, err)
		return out
	}}})
}

// More chains than are read at once have expired since they were judged: an answer that calls itself complete has all of them.
func TestManyChainsAreJudgedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const many = 130
		m := trusting(t, map[string]any{"generate_lease": false})
		root := newStrangeCA(t, "Strange Root")
		m.deliversEachFrom(root, time.Now().Add(30*day))
		self := root.under(t, root, time.Now().Add(-time.Hour), time.Now().Add(9*365*day))
		m.write("config/trust/mine", map[string]any{"roots": pemText(self)})
		for n := range many {
			m.write("issue/web", map[string]any{"common_name": fmt.Sprintf("h%d.example.com", n)})
		}
		refused := func() (matches, complete any) {
			data := m.query("inventory/certs", map[string]any{"trust": "refused", "limit": 1})
			return data["total"], data["complete"]
		}
		for range 3 {
			refused()
		}
		matches, complete := refused()
		require.EqualValues(t, 0, matches)
		require.Equal(t, true, complete)
		time.Sleep(31 * day)
		for range 4 { // somebody asks once a day
			matches, complete = refused()
			if complete == true {
				require.EqualValues(t, many, matches, "it is not complete")
			}
			time.Sleep(day)
		}
		for range 2 {
			refused()
		}
		matches, complete = refused()
		require.EqualValues(t, many, matches)
		require.Equal(t, true, complete)
	})
}
