// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// The roots that the tests set are trusted alone, whatever the system trusts.
//go:debug x509usefallbackroots=1

package dcv_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/dcv"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The clients of DNS hosts know the names of their hosts, and most take no other. So the tests talk
// to the real names, by way of a proxy on loopback that is all hosts there are: it ends TLS with
// certificates of a CA that the process trusts, and asks the stand-in of the host. It never dials
// out.

// internet is that proxy, for all tests.
var internet = &proxy{hosts: map[string]http.Handler{}, conns: make(chan net.Conn)}

// TestMain sets the environment before anything reads it: Go reads the settings of the proxy once.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "dcv")
	if err != nil {
		panic(err)
	}
	address, err := internet.start()
	if err != nil {
		panic(err)
	}
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		for _, prefix := range []string{"AWS_", "AZURE_", "GOOGLE_", "GCE_", "IDENTITY_", "IMDS_", "MSI_", "NO_PROXY", "no_proxy", "https_proxy", "http_proxy"} {
			if strings.HasPrefix(name, prefix) {
				_ = os.Unsetenv(name)
			}
		}
	}
	for name, value := range map[string]string{
		"HTTPS_PROXY": "http://" + address, "HTTP_PROXY": "http://" + address,
		"HOME": dir, "AWS_EC2_METADATA_DISABLED": "true",
	} {
		_ = os.Setenv(name, value)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

type proxy struct {
	mu    sync.Mutex
	hosts map[string]http.Handler
	conns chan net.Conn // that clients have opened to a host

	ca    *x509.Certificate
	key   *ecdsa.PrivateKey
	leafs sync.Map // by name
}

func (p *proxy) start() (address string, err error) {
	if p.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return "", err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "stand-ins"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, p.key.Public(), p.key)
	if err != nil {
		return "", err
	}
	if p.ca, err = x509.ParseCertificate(der); err != nil {
		return "", err
	}
	roots := x509.NewCertPool()
	roots.AddCert(p.ca)
	x509.SetFallbackRoots(roots)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	go func() {
		_ = (&http.Server{Handler: http.HandlerFunc(p.connect), ReadHeaderTimeout: time.Minute}).Serve(listener)
	}()
	go func() {
		_ = (&http.Server{Handler: http.HandlerFunc(p.answer), ReadHeaderTimeout: time.Minute}).Serve(p)
	}()
	return listener.Addr().String(), nil
}

// connect takes the connections of clients. Whoever is nobody's stand-in cannot be reached.
func (p *proxy) connect(w http.ResponseWriter, r *http.Request) {
	host, port, _ := net.SplitHostPort(r.Host)
	if r.Method != http.MethodConnect || port != "443" || p.host(host) == nil {
		http.Error(w, "there is no "+r.Host, http.StatusBadGateway)
		return
	}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	_, _ = conn.Write([]byte("HTTP/1.1 200 Connection established\r\n\r\n"))
	p.conns <- tls.Server(bufferedConn{conn, buffered.Reader}, &tls.Config{GetCertificate: p.certificate})
}

// A bufferedConn reads what has been read ahead.
type bufferedConn struct {
	net.Conn
	reader *bufio.Reader
}

func (c bufferedConn) Read(b []byte) (int, error) { return c.reader.Read(b) }

// Accept, Close and Addr make the proxy the listener of the stand-ins' server.
func (p *proxy) Accept() (net.Conn, error) { return <-p.conns, nil }
func (p *proxy) Close() error              { return nil }
func (p *proxy) Addr() net.Addr            { return &net.TCPAddr{} }

func (p *proxy) answer(w http.ResponseWriter, r *http.Request) {
	handler := p.host(r.Host)
	if handler == nil { // on a connection that was kept
		http.Error(w, "there is no "+r.Host, http.StatusBadGateway)
		return
	}
	handler.ServeHTTP(w, r)
}

func (p *proxy) host(name string) http.Handler {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hosts[name]
}

func (p *proxy) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if known, ok := p.leafs.Load(hello.ServerName); ok {
		return known.(*tls.Certificate), nil
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: []string{hello.ServerName},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, p.ca, p.key.Public(), p.key)
	leaf := &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: p.key}
	p.leafs.Store(hello.ServerName, leaf)
	return leaf, err
}

// standIn puts a handler in the place of a host until the test ends.
func standIn(t *testing.T, host string, handler http.Handler) {
	t.Helper()
	internet.mu.Lock()
	defer internet.mu.Unlock()
	require.NotContains(t, internet.hosts, host)
	internet.hosts[host] = handler
	t.Cleanup(func() {
		internet.mu.Lock()
		defer internet.mu.Unlock()
		delete(internet.hosts, host)
	})
}

// unexpected fails the test of a stand-in that does not know a call.
func unexpected(t *testing.T, w http.ResponseWriter, r *http.Request) {
	t.Errorf("unexpected call: %s https://%s%s", r.Method, r.Host, r.URL)
	http.Error(w, "unexpected", http.StatusNotImplemented)
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// An object is one of JSON.
type object map[string]any

// solverOf opens a provider with bounded patience.
func solverOf(t *testing.T, kind string, s dcv.Settings) *dcv.Solver {
	t.Helper()
	p, err := dcv.Open(kind, s)
	require.NoError(t, err)
	return &dcv.Solver{Provider: p, Patience: 20 * time.Second}
}

// changed are values with other ones instead of some.
func changed(values, changes map[string]string) map[string]string {
	out := map[string]string{}
	for _, from := range []map[string]string{values, changes} {
		for name, value := range from {
			out[name] = value
		}
	}
	return out
}

const (
	ownName = "_challenge.www.example.test."
	foreign = "of somebody else; with a semicolon"
)

var ours = dcv.Record{Name: ownName, Zone: "example.test.", Value: "token-1_AB="}

// publishesBesideOthers is what every DNS host has to do that keeps several values at a name.
func publishesBesideOthers(t *testing.T, solver *dcv.Solver, values func() []string) {
	t.Helper()
	require.Equal(t, []string{foreign}, values())
	require.NoError(t, solver.Remove(t.Context(), ours), "it is not there")
	require.NoError(t, solver.Publish(t.Context(), ours))
	require.NoError(t, solver.Publish(t.Context(), ours), "publishing twice is no harm")
	require.ElementsMatch(t, []string{foreign, ours.Value}, values())
	require.NoError(t, solver.Remove(t.Context(), ours))
	require.NoError(t, solver.Remove(t.Context(), ours), "nor is removing twice")
	require.Equal(t, []string{foreign}, values())
}

// comesAndGoes is what is left where there is nobody else.
func comesAndGoes(t *testing.T, solver *dcv.Solver, values func() []string) {
	t.Helper()
	require.NoError(t, solver.Publish(t.Context(), ours))
	require.Equal(t, []string{ours.Value}, values())
	require.NoError(t, solver.Remove(t.Context(), ours))
	require.Empty(t, values())
}

// takesManyAtOnce publishes several values at one name at the same time.
func takesManyAtOnce(t *testing.T, solver *dcv.Solver, values func() []string) {
	t.Helper()
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			r := ours
			r.Value = fmt.Sprint("token-", i)
			assert.NoError(t, solver.Publish(t.Context(), r))
		})
	}
	all.Wait()
	require.Len(t, values(), 8)
}

// failsWithout tells that publishing and removing fail, in words that have what is wanted and no
// secret.
func failsWithout(t *testing.T, solver *dcv.Solver, r dcv.Record, want string, secrets ...string) {
	t.Helper()
	for _, do := range []func(context.Context, dcv.Record) error{solver.Publish, solver.Remove} {
		err := do(t.Context(), r)
		require.ErrorContains(t, err, want)
		for _, secret := range secrets {
			require.NotContains(t, err.Error(), secret)
		}
	}
}

func TestWhatAnErrorWrapsCanBeAskedFor(t *testing.T) {
	p, err := dcv.Open("cloudflare", dcv.Settings{Values: map[string]string{"api_token": "t"}})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, p.Publish(ctx, ours, time.Minute), context.Canceled)
}

func TestAHostThatCannotBeReachedIsToldWithoutSecrets(t *testing.T) {
	account, _ := googleKey(t)
	for kind, values := range map[string]map[string]string{
		"cloudflare":     {"api_token": "token-of-the-api", "zone_token": "token-of-the-zone"},
		"route53":        awsKey,
		"azure":          azureApplication,
		"googleclouddns": {"project": "p1", "service_account_json": account},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			p, err := dcv.Open(kind, dcv.Settings{Values: values})
			require.NoError(t, err)
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			err = p.Publish(ctx, ours, time.Minute)
			require.Error(t, err)
			for name, value := range values {
				if secretField(t, kind, name) {
					require.NotContains(t, err.Error(), value)
				}
			}
		})
	}
}

func secretField(t *testing.T, kind, name string) bool {
	t.Helper()
	for _, k := range dcv.Kinds() {
		for _, f := range k.Fields {
			if k.Name == kind && f.Name == name {
				return f.Secret
			}
		}
	}
	t.Fatalf("%s has no field %s", kind, name)
	return false
}
