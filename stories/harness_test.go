// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	certinextsecrets "github.com/certinext/vault-plugin-secrets-certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// A mount is the engine behind the door that Vault uses, with a simulated CA and in-memory storage.
type mount struct {
	t       *testing.T
	ca      *certinexttest.Server
	storage *countingStorage
	system  *logical.StaticSystemView
	backend logical.Backend
	manual  logical.Backend // the engine itself, whatever stands before it, for its help
	log     *lockedBuffer
	events  *eventBus
	ahead   atomic.Int64 // by how many nanoseconds the plugin's clock is ahead of time
	step    atomic.Int64 // by how many nanoseconds it goes on each time it is looked at
}

// later puts the plugin's clock forward, for tests that cannot run under a simulated one since they use real servers.
func (m *mount) later(d time.Duration) { m.ahead.Add(int64(d)) }

func (m *mount) now() time.Time {
	return time.Now().Add(time.Duration(m.ahead.Add(m.step.Load())))
}

// noResolver refuses every question at once: a test that needs the DNS says whom to ask.
const noResolver = "127.0.0.1:9"

const sandboxURL = "https://sandbox.certinext.test"

// newMount mounts the engine on ca, configured with ca's credentials, and a role "web" for DV certificates below
// example.com.
func newMount(t *testing.T, ca *certinexttest.Server) *mount {
	t.Helper()
	m := bareMount(t, ca)
	m.write("config", m.account())
	m.write("roles/web", map[string]any{
		"product_code": "842", "product_variant": "dv", "allowed_domains": "example.com",
		"allow_bare_domains": true, "allow_subdomains": true,
	})
	return m
}

// bareMount mounts the engine on ca without a config.
func bareMount(t *testing.T, ca *certinexttest.Server) *mount {
	t.Helper()
	m := &mount{
		t: t, ca: ca, storage: counting(logical.NewStorageView(new(logical.InmemStorage), "")), log: new(lockedBuffer), events: new(eventBus),
		system: &logical.StaticSystemView{DefaultLeaseTTLVal: 24 * time.Hour, MaxLeaseTTLVal: 365 * 24 * time.Hour},
	}
	m.start()
	return m
}

// start starts a plugin process on the mount's storage; restart is a new one.
func (m *mount) start() {
	m.t.Helper()
	m.startWith(m.ca.Client())
}

// startWith is start with another way to CERTInext.
func (m *mount) startWith(client *http.Client) {
	m.t.Helper()
	m.startWithOptions(certinextsecrets.Options{HTTPClient: client})
}

// startWithOptions is start with options, and the mount's clock.
func (m *mount) startWithOptions(o certinextsecrets.Options) {
	m.t.Helper()
	o.Now, o.TickTime, o.Resolvers = m.now, 90*time.Second, []string{noResolver}
	b, err := certinextsecrets.FactoryWith(o)(m.t.Context(), &logical.BackendConfig{
		Logger:       hclog.New(&hclog.LoggerOptions{Level: hclog.Trace, Output: m.log}),
		System:       m.system,
		StorageView:  m.storage,
		EventsSender: m.events.sender(),
	})
	require.NoError(m.t, err)
	require.NoError(m.t, b.Initialize(m.t.Context(), &logical.InitializationRequest{Storage: m.storage}))
	m.backend, m.manual = b, b
	m.t.Cleanup(func() { b.Cleanup(context.Background()) })
}

// account is a config that ca accepts.
func (m *mount) account() map[string]any {
	config := map[string]any{
		"base_url": sandboxURL, "requestor_name": "Platform Team", "requestor_email": "platform@example.com",
		"requestor_phone": "+14155550123", "signer_name": "Platform Team", "signer_place": "Bengaluru",
		"signer_ip": "203.0.113.7", "technical_contact_name": "Platform Team",
		"technical_contact_email": "platform@example.com", "technical_contact_phone": "+14155550123",
	}
	switch m.ca.Dialect {
	case certinexttest.Documented:
		config["account_number"] = certinexttest.DefaultAccountNumber
		config["access_key"] = certinexttest.DefaultAccessKey
		config["trust_idempotency_key"] = true
	case certinexttest.V1:
		config["api_version"] = "v1"
		config["account_number"] = certinexttest.DefaultAccountNumber
		config["access_key"] = certinexttest.DefaultAccessKey
		config["organization_number"] = certinexttest.DefaultOrganization // whose validated domains count
	default:
		config["client_id"] = certinexttest.DefaultAccountNumber
		config["client_secret"] = certinexttest.DefaultClientSecret
	}
	return config
}

// A call is a request as Vault's core hands it over.
type call struct {
	op       logical.Operation
	path     string
	data     map[string]any
	entity   string
	display  string // display name of the token
	accessor string
	batch    bool // the token has no accessor
	secret   *logical.Secret
	id       string // Vault's, of the request
	ctx      context.Context
}

// send sends a request and returns the answer, whatever it is.
func (m *mount) send(c call) (*logical.Response, error) {
	m.t.Helper()
	if c.ctx == nil {
		c.ctx = m.t.Context()
	}
	if c.accessor == "" && !c.batch {
		c.accessor = "accessor-of-the-test"
	}
	resp, err := m.backend.HandleRequest(c.ctx, &logical.Request{
		Operation: c.op, Path: c.path, Data: maps.Clone(c.data), Storage: m.storage, MountPoint: "certinext/",
		EntityID: c.entity, DisplayName: c.display, ClientTokenAccessor: c.accessor, Secret: c.secret,
		ID: c.id,
	})
	m.hear(c, resp)
	return resp, err
}

// must sends a request that has to succeed.
func (m *mount) must(c call) *logical.Response {
	m.t.Helper()
	resp, err := m.send(c)
	require.NoError(m.t, err, "%s %s", c.op, c.path)
	if resp.IsError() {
		require.FailNow(m.t, "refused", "%s %s: %v", c.op, c.path, resp.Error())
	}
	return resp
}

func (m *mount) write(path string, data map[string]any) *logical.Response {
	m.t.Helper()
	return m.must(call{op: logical.UpdateOperation, path: path, data: data})
}

func (m *mount) read(path string) *logical.Response {
	m.t.Helper()
	return m.must(call{op: logical.ReadOperation, path: path})
}

func (m *mount) list(path string) []string {
	m.t.Helper()
	keys, _ := m.must(call{op: logical.ListOperation, path: path}).Data["keys"].([]string)
	return keys
}

// refused sends a write that has to be answered with a 400, and returns its text.
func (m *mount) refused(path string, data map[string]any) string {
	m.t.Helper()
	resp, err := m.send(call{op: logical.UpdateOperation, path: path, data: data})
	require.NoError(m.t, err, "a refusal must not be a server fault")
	require.NotNil(m.t, resp)
	require.True(m.t, resp.IsError(), "%s was not refused: %v", path, resp.Data)
	return resp.Error().Error()
}

// pass runs the background pass, as Vault does every minute.
func (m *mount) pass() {
	m.t.Helper()
	_, err := m.backend.HandleRequest(m.t.Context(), &logical.Request{
		Operation: logical.RollbackOperation, Storage: m.storage, Data: map[string]any{"immediate": true},
	})
	if err != nil {
		require.ErrorIs(m.t, err, logical.ErrUnsupportedOperation)
	}
}

// passes runs the background pass as often as Vault does within some hours: what CERTInext says for good is believed when it was seen twice.
func (m *mount) passes(hours int) {
	m.t.Helper()
	for range hours {
		time.Sleep(time.Hour)
		m.pass()
	}
}

// endLease ends the lease of an answer, as Vault does when it expires.
func (m *mount) endLease(resp *logical.Response) {
	m.t.Helper()
	require.NotNil(m.t, resp.Secret, "the answer has no lease")
	m.must(call{op: logical.RevokeOperation, path: "issue/web", secret: leased(resp)})
}

// leased is the lease of an answer as Vault names it once it has stored it.
func leased(resp *logical.Response) *logical.Secret {
	secret := *resp.Secret
	secret.IssueTime = time.Now()
	return &secret
}

// chainOK verifies that the answer's chain leads from its certificate to the simulator's root.
func (m *mount) chainOK(resp *logical.Response) *x509.Certificate {
	m.t.Helper()
	leaf := parseCertificate(m.t, resp.Data["certificate"].(string))
	pool := x509.NewCertPool()
	for _, c := range resp.Data["ca_chain"].([]string) {
		pool.AddCert(parseCertificate(m.t, c))
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: m.ca.Roots(), Intermediates: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	require.NoError(m.t, err)
	return leaf
}

func parseCertificate(t *testing.T, text string) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode([]byte(text))
	require.NotNil(t, block, "not PEM: %q", text)
	c, err := x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	return c
}

// countingStorage counts the writes below it. What lies below may be exchanged while the engine works in the background.
type countingStorage struct {
	below atomic.Pointer[logical.Storage]
	mu    sync.Mutex
	puts  []string
	fail  func(key string) error // may refuse a write
	cut   func(key string) error // may refuse a write or a deletion
}

// counting counts what is written to below.
func counting(below logical.Storage) *countingStorage {
	s := new(countingStorage)
	s.lay(below)
	return s
}

// under is the storage that s counts for.
func (s *countingStorage) under() logical.Storage { return *s.below.Load() }

// lay has s count for another storage from now on.
func (s *countingStorage) lay(below logical.Storage) { s.below.Store(&below) }

// List implements [logical.Storage].
func (s *countingStorage) List(ctx context.Context, prefix string) ([]string, error) {
	return s.under().List(ctx, prefix)
}

// Get implements [logical.Storage].
func (s *countingStorage) Get(ctx context.Context, key string) (*logical.StorageEntry, error) {
	return s.under().Get(ctx, key)
}

// Put implements [logical.Storage].
func (s *countingStorage) Put(ctx context.Context, e *logical.StorageEntry) error {
	s.mu.Lock()
	s.puts = append(s.puts, e.Key)
	fail := s.fail
	cut := s.cutNow(e.Key)
	s.mu.Unlock()
	if errors.Is(cut, errStored) {
		return errors.Join(cut, s.under().Put(ctx, e))
	}
	if cut != nil {
		return cut
	}
	if fail != nil {
		if err := fail(e.Key); err != nil {
			return err
		}
	}
	return s.under().Put(ctx, e)
}

// Delete implements [logical.Storage].
func (s *countingStorage) Delete(ctx context.Context, key string) error {
	s.mu.Lock()
	cut := s.cutNow(key)
	s.mu.Unlock()
	if errors.Is(cut, errStored) {
		return errors.Join(cut, s.under().Delete(ctx, key))
	}
	if cut != nil {
		return cut
	}
	return s.under().Delete(ctx, key)
}

// errStored is what cut returns for a write or a deletion that takes place and is answered with an error all the same.
var errStored = errors.New("stored, and answered with an error")

// cutNow asks cut. The caller holds mu.
func (s *countingStorage) cutNow(key string) error {
	if s.cut == nil {
		return nil
	}
	return s.cut(key)
}

// failing has fail look at every write from now on; nil ends that.
func (s *countingStorage) failing(fail func(key string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = fail
}

func (s *countingStorage) writes() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.puts...)
}

func (s *countingStorage) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.puts = nil
}

// dump returns every key and value below s.
func (s *countingStorage) dump(t *testing.T) map[string][]byte {
	t.Helper()
	keys, err := logical.CollectKeys(t.Context(), s)
	require.NoError(t, err)
	out := make(map[string][]byte, len(keys))
	for _, k := range keys {
		e, err := s.Get(t.Context(), k)
		require.NoError(t, err)
		require.NotNil(t, e, "key %s is listed and cannot be read", k)
		out[k] = e.Value
	}
	return out
}

// lockedBuffer collects log lines of several goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

var _ fmt.Stringer = (*lockedBuffer)(nil)

// attempt sends a request that may be refused, or fail.
func (m *mount) attempt(path string, data map[string]any) (*logical.Response, error) {
	m.t.Helper()
	return m.send(call{op: logical.UpdateOperation, path: path, data: data})
}

// tryDelete deletes what may refuse to be deleted.
func (m *mount) tryDelete(path string) *logical.Response {
	m.t.Helper()
	resp, err := m.send(call{op: logical.DeleteOperation, path: path})
	require.NoError(m.t, err)
	return resp
}
