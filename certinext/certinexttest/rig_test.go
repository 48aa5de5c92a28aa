// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// host is where the tests reach a server without a socket.
const host = "http://ca.test"

// api is the v2 prefix.
const api = "/api/certinext/v2"

// m is a JSON object.
type m = map[string]any

// A rig is a caller of one server, holding a token for it.
type rig struct {
	t     *testing.T
	srv   *certinexttest.Server
	http  *http.Client
	base  string
	token string
}

func newRig(t *testing.T, srv *certinexttest.Server) *rig {
	t.Helper()
	r := &rig{t: t, srv: srv, http: srv.Client(), base: host}
	r.login()
	return r
}

// login obtains a token the way the dialect wants it.
func (r *rig) login() {
	r.t.Helper()
	if r.srv.Dialect == certinexttest.Documented {
		a := r.post("/oauth/token", signedToken(time.Now(), nil))
		r.token = a.must(http.StatusOK)["tokenDetails"].(m)["accessToken"].(string)
		return
	}
	a := r.form(url.Values{
		"grant_type": {"client_credentials"}, "client_id": {"1234567890"}, "client_secret": {"sandbox-client-secret"},
	})
	r.token = a.must(http.StatusOK)["access_token"].(string)
}

// signedToken is a documented token request made at now, with changes.
func signedToken(now time.Time, change m) m {
	ts, txn := now.UTC().Format("2006-01-02T15:04:05-07:00"), "txn"+rand.Text()[:20]
	sum := sha256.Sum256([]byte("sandbox-access-key" + ts + txn))
	body := m{
		"grant_type": "client_credentials", "accountNumber": "1234567890", "authKey": hex.EncodeToString(sum[:]),
		"ver": "1.0", "ts": ts, "txn": txn,
	}
	return merge(body, change)
}

// merge overlays change on body; a nil value removes the member.
func merge(body, change m) m {
	out := maps.Clone(body)
	for k, v := range change {
		if v == nil {
			delete(out, k)
		} else {
			out[k] = v
		}
	}
	return out
}

// An answer is a response that was read to its end.
type answer struct {
	t      *testing.T
	status int
	header http.Header
	body   []byte
}

// do sends a request with the rig's token. Headers come in pairs; an empty
// value removes one.
func (r *rig) do(method, path, body string, headers ...string) answer {
	r.t.Helper()
	a, err := r.try(method, path, body, headers...)
	require.NoError(r.t, err)
	return a
}

func (r *rig) try(method, path, body string, headers ...string) (answer, error) {
	return r.tryContext(r.t.Context(), method, path, body, headers...)
}

func (r *rig) tryContext(ctx context.Context, method, path, body string, headers ...string) (answer, error) {
	r.t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, r.base+path, reader)
	require.NoError(r.t, err)
	if r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.srv.Dialect == certinexttest.Documented {
		req.Header.Set("X-Product-Code", "842")
		req.Header.Set("Idempotency-Key", rand.Text())
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
		if headers[i+1] == "" {
			req.Header.Del(headers[i])
		}
	}
	seen := len(r.srv.Requests())
	resp, err := r.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	a := answer{r.t, resp.StatusCode, resp.Header, b}
	if err == nil && !struck(r.srv, req.URL.Path, seen) && !isUnusual(r.srv) {
		r.toldWhy(seen)
		require.NoError(r.t, contractOf(r.t, r.srv.Dialect).holds(req, body, a))
	}
	return a, err
}

func (r *rig) get(path string, headers ...string) answer {
	r.t.Helper()
	return r.do("GET", path, "", headers...)
}

func (r *rig) post(path string, body m, headers ...string) answer {
	r.t.Helper()
	return r.do("POST", path, toJSON(body), headers...)
}

func (r *rig) put(path string, body m) answer {
	r.t.Helper()
	return r.do("PUT", path, toJSON(body))
}

func (r *rig) form(values url.Values, headers ...string) answer {
	r.t.Helper()
	return r.do("POST", "/oauth/token", values.Encode(), append([]string{"Content-Type", "application/x-www-form-urlencoded"}, headers...)...)
}

func toJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// must asserts the status and decodes the body, if there is one.
func (a answer) must(status int) m {
	a.t.Helper()
	require.Equal(a.t, status, a.status, "body: %s", a.body)
	if len(a.body) == 0 {
		return nil
	}
	var v m
	require.NoError(a.t, json.Unmarshal(a.body, &v), "body: %s", a.body)
	return v
}

// refused asserts a problem document whose detail holds code ("" for none).
func (a answer) refused(status int, code string) m {
	a.t.Helper()
	v := a.must(status)
	require.Equal(a.t, "application/problem+json", a.header.Get("Content-Type"))
	require.EqualValues(a.t, status, v["status"])
	if code == "" {
		require.NotContains(a.t, v["detail"], "EMS-")
	} else {
		require.Contains(a.t, v["detail"], code)
	}
	return v
}

// fields are the names in a problem's errors list.
func fields(problem m) []string {
	var names []string
	list, _ := problem["errors"].([]any)
	for _, e := range list {
		names = append(names, e.(m)["field"].(string))
	}
	return names
}

// newKey makes the key that most tests certify.
func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return key
}

// csr makes a PEM request for names, the first of which is the common name.
func csr(t testing.TB, key crypto.Signer, names ...string) string {
	t.Helper()
	return csrFrom(t, key, &x509.CertificateRequest{Subject: pkix.Name{CommonName: names[0]}, DNSNames: names})
}

func csrFrom(t testing.TB, key crypto.Signer, template *x509.CertificateRequest) string {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

// dvOrder is a complete DV order body that both dialects take.
func dvOrder(domain string) m {
	return m{
		"productVariant": "dv",
		"requestor":      m{"name": "Platform Team", "email": "platform@example.com", "phone": "+14155551234"},
		"certificate":    m{"domain": domain, "autoSecureWww": false},
		"subscription":   m{"validityYears": 1, "autoRenew": false},
		"agreement":      m{"signerName": "Platform Team", "signerPlace": "New York", "accepted": true},
		"remarks":        "test run",
	}
}

// ovOrder is the same for an OV certificate of the default organization, with
// consent.
func ovOrder(domain string) m {
	return merge(dvOrder(domain), m{
		"productVariant": "ov",
		"organization": m{
			"organizationNumber": certinexttest.DefaultOrganization, "preVetted": true,
			"preVettingToken": certinexttest.DefaultConsentToken,
		},
	})
}

func privateOrder(hostname string) m {
	return m{
		"variant": "intranet-ssl", "hostname": hostname, "caProfileId": "1", "masterProductId": "1",
		"requestor": m{"name": "Ops", "email": "ops@example.com"}, "subscription": m{"validityYears": 1},
	}
}

const (
	sslPath     = api + "/ssl-certificates"
	privatePath = api + "/private-pki-certificates"
)

// order places an SSL order and returns its id.
func (r *rig) order(body m, headers ...string) string {
	r.t.Helper()
	return r.post(sslPath, body, headers...).must(http.StatusCreated)["orderId"].(string)
}

// status is what track says.
func (r *rig) status(id string) string {
	r.t.Helper()
	return r.get(sslPath + "/" + id).must(http.StatusOK)["status"].(string)
}

// issued places a DV order for a domain the account has validated, and expects
// it to be issued at once.
func (r *rig) issued(domain string) (id string, key *ecdsa.PrivateKey) {
	r.t.Helper()
	key = newKey(r.t)
	id = r.order(merge(dvOrder(domain), m{"csr": csr(r.t, key, domain)}))
	if r.srv.Dialect == certinexttest.Documented {
		r.post(sslPath+"/"+id+"/agreement", m{"agreement": dvOrder(domain)["agreement"]}).must(http.StatusNoContent)
	}
	require.Equal(r.t, "issued", r.status(id))
	return id, key
}

// leaf parses the PEM of a download.
func leaf(t testing.TB, text string) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode([]byte(text))
	require.NotNil(t, block, "no PEM in %q", text)
	cert, err := x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	return cert
}

func (r *rig) certificate(id string) *x509.Certificate {
	r.t.Helper()
	v := r.get(sslPath + "/" + id + "/certificate").must(http.StatusOK)
	return leaf(r.t, v["certificatePem"].(string))
}

// verified is a server whose account has validated example.com.
func verified(d certinexttest.Dialect) *certinexttest.Server {
	return &certinexttest.Server{Dialect: d, VerifiedDomains: []string{"example.com"}}
}

// eachDialect runs f once for each.
func eachDialect(t *testing.T, f func(t *testing.T, d certinexttest.Dialect)) {
	t.Helper()
	for _, d := range []certinexttest.Dialect{certinexttest.Live, certinexttest.Documented} {
		t.Run(fmt.Sprint(d), func(t *testing.T) { f(t, d) })
	}
}

// clock is a clock that tests set.
type clock struct{ at time.Time }

func newClock() *clock { return &clock{time.Date(2026, 5, 12, 13, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time          { return c.at }
func (c *clock) advance(d time.Duration) { c.at = c.at.Add(d) }

func trimPEM(s string) string { return string(bytes.TrimSpace([]byte(s))) }

// toldWhy asserts that the journal has a reason for each refusal since the request with an index.
func (r *rig) toldWhy(since int) {
	r.t.Helper()
	all := r.srv.Requests()
	for _, seen := range all[min(since, len(all)):] { // a reset may have forgotten some
		if seen.Refusal != "" {
			require.NotEmpty(r.t, seen.Rule, seen.Refusal)
			require.NotEmpty(r.t, seen.Source, seen.Refusal)
		} else {
			require.Empty(r.t, seen.Rule+seen.Source)
			require.Less(r.t, seen.Status, 400, "refused without a reason: %s", seen.Path)
		}
	}
}
