// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ocsp"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

var nonceID = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 2}

// nonced is a request for cert with a nonce extension of that value.
func nonced(t *testing.T, cert, issuer *x509.Certificate, value []byte) []byte {
	t.Helper()
	raw, err := ocsp.CreateRequest(cert, issuer, &ocsp.RequestOptions{Hash: crypto.SHA1})
	require.NoError(t, err)
	var plain struct{ Asked struct{ List asn1.RawValue } }
	_, err = asn1.Unmarshal(raw, &plain)
	require.NoError(t, err)
	type extended struct {
		List       asn1.RawValue
		Extensions []pkix.Extension `asn1:"explicit,tag:2"`
	}
	out, err := asn1.Marshal(struct{ Asked extended }{
		extended{plain.Asked.List, []pkix.Extension{{Id: nonceID, Value: value}}},
	})
	require.NoError(t, err)
	return out
}

// octets is a nonce as it is written.
func octets(t *testing.T, value []byte) []byte {
	t.Helper()
	out, err := asn1.Marshal(value)
	require.NoError(t, err)
	return out
}

// echoed is the nonce extension of an answer, nil for none.
func echoed(t *testing.T, answer []byte) []byte {
	t.Helper()
	var outer struct {
		Status asn1.Enumerated
		Bytes  struct {
			Type asn1.ObjectIdentifier
			Body []byte
		} `asn1:"explicit,tag:0"`
	}
	_, err := asn1.Unmarshal(answer, &outer)
	require.NoError(t, err)
	var basic struct {
		Said struct {
			Responder  asn1.RawValue
			ProducedAt asn1.RawValue
			Answers    asn1.RawValue
			Extensions []pkix.Extension `asn1:"explicit,tag:1,optional"`
		}
	}
	_, err = asn1.Unmarshal(outer.Bytes.Body, &basic)
	require.NoError(t, err)
	for _, e := range basic.Said.Extensions {
		if e.Id.Equal(nonceID) {
			return e.Value
		}
	}
	return nil
}

// asked sends a request by either method.
func (r *rig) asked(method, responder string, raw []byte) []byte {
	r.t.Helper()
	if method == http.MethodGet {
		return r.fetch(responder + "/" + url.PathEscape(base64.StdEncoding.EncodeToString(raw)))
	}
	resp, err := r.http.Post(responder, "application/ocsp-request", bytes.NewReader(raw))
	require.NoError(r.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(r.t, err)
	return body
}

func TestOCSPEchoesNonces(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		t.Run(method, func(t *testing.T) {
			r := newRig(t, verified(certinexttest.Documented))
			id, _ := r.issued("www.example.com")
			cert := r.certificate(id)
			issuer := r.issuerOf(cert)
			root := r.issuerOf(issuer)
			for _, about := range [][2]*x509.Certificate{{cert, issuer}, {issuer, root}} {
				for _, length := range []int{1, 16, 32} {
					value := octets(t, bytes.Repeat([]byte{0xfb}, length))
					raw := nonced(t, about[0], about[1], value)
					body := r.asked(method, cert.OCSPServer[0], raw)
					require.Equal(t, value, echoed(t, body))
					answer, err := ocsp.ParseResponseForCert(body, about[0], about[1])
					require.NoError(t, err, "signed with the nonce")
					require.Equal(t, ocsp.Good, answer.Status)
				}
			}
			raw, err := ocsp.CreateRequest(cert, issuer, nil)
			require.NoError(t, err)
			require.Nil(t, echoed(t, r.asked(method, cert.OCSPServer[0], raw)))
			for name, value := range map[string][]byte{
				"an empty one": octets(t, nil), "33 bytes": octets(t, make([]byte, 33)), "no octet string": {1, 1, 255},
			} {
				body := r.asked(method, cert.OCSPServer[0], nonced(t, cert, issuer, value))
				require.Equal(t, ocsp.MalformedRequestErrorResponse, body, name)
			}
		})
	}
}

// An answer is produced when it is asked for, by the clock of the CA: not by the machine's, and not
// before the time as of which it says something.
func TestOCSPIsProducedByTheClockOfTheCA(t *testing.T) {
	srv, clock := verified(certinexttest.Documented), newClock()
	srv.Now = clock.now
	r := &rig{t: t, srv: srv, http: srv.Client(), base: host}
	number := r.place("GenerateOrderSSL", merge(v1Order("www.example.com"), m{
		"csr": csr(t, newKey(t), "www.example.com"),
	}))
	cert, issuer := r.v1Leaf(number)
	clock.advance(40*time.Second + time.Millisecond)
	plain, err := ocsp.CreateRequest(cert, issuer, nil)
	require.NoError(t, err)
	for _, raw := range [][]byte{plain, nonced(t, cert, issuer, octets(t, []byte{1, 2}))} {
		body := r.asked(http.MethodPost, cert.OCSPServer[0], raw)
		answer, err := ocsp.ParseResponseForCert(body, cert, issuer)
		require.NoError(t, err)
		require.Equal(t, newClock().at.Add(40*time.Second), answer.ProducedAt)
		require.Equal(t, answer.ProducedAt, answer.ThisUpdate)
	}
}
