// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package certinextsecrets is the Vault API of the CERTInext secrets engine. Its paths and fields
// follow Vault's own PKI engine wherever that engine has a path for the same purpose, so that its
// clients work unmodified.
//
// Each path_*.go file reads from top to bottom: the declaration of its paths, their handlers, their
// help texts. A handler decodes its fields, makes one call of
// [github.com/certinext/vault-plugin-secrets-certinext/backend.Engine], and encodes the result. The
// engine decides which names and keys a certificate may have and what becomes of an order.
//
// Most users need only [Factory].
package certinextsecrets

import (
	"context"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

// Name is the plugin's name and the default path of its mount.
const Name = "certinext"

// Options replace the network, the clock and other sources of chance in tests. The zero value of
// every field selects the real one.
type Options struct {
	HTTPClient *http.Client
	Now        func() time.Time
	Steady     func() time.Time // see [backend.Options]
	NewID      func() (string, error)
	Rand       io.Reader                        // see [backend.Options]
	Shuffle    func(n int, swap func(i, j int)) // see [backend.Options]
	TickTime   time.Duration                    // see [backend.Options]
	Resolvers  []string                         // see [backend.Options]
	Hold       bool                             // see [backend.Options]
}

// Factory makes the backend of a mount. It touches neither storage nor network. The environment
// variable CERTINEXT_HOLD holds the mount: see [backend.Options].
func Factory(ctx context.Context, conf *logical.BackendConfig) (logical.Backend, error) {
	hold := backend.IsHold(os.Getenv(backend.HoldVariable))
	return FactoryWith(Options{Hold: hold})(ctx, conf)
}

// FactoryWith is [Factory] with the parts of o replaced.
func FactoryWith(o Options) logical.Factory {
	return func(ctx context.Context, conf *logical.BackendConfig) (logical.Backend, error) {
		b := newBackend(o, conf)
		return b, b.Setup(ctx, conf)
	}
}

// secretsBackend adapts the engine to Vault's plugin framework.
type secretsBackend struct {
	*framework.Backend
	engine *backend.Engine
}

func newBackend(o Options, conf *logical.BackendConfig) *secretsBackend {
	b := new(secretsBackend)
	b.engine = backend.New(backend.Options{
		Logger:     conf.Logger,
		System:     func() logical.SystemView { return b.System() },
		HTTPClient: o.HTTPClient,
		Now:        o.Now,
		Steady:     o.Steady,
		NewID:      o.NewID,
		Rand:       o.Rand,
		Shuffle:    o.Shuffle,
		TickTime:   o.TickTime,
		Resolvers:  o.Resolvers,
		Hold:       o.Hold,
		SendEvent:  eventSender(conf),
	})
	b.Backend = &framework.Backend{
		Help:           strings.TrimSpace(backendHelp),
		BackendType:    logical.TypeLogical,
		RunningVersion: Version,
		Paths: b.strict(slices.Concat(
			b.pathConfig(), b.pathRoles(), b.pathIssue(), b.pathNamedOrder(), b.pathDocuments(),
			b.pathReissue(), b.pathRenew(), b.pathRenewal(), b.pathOrders(), b.pathOperator(),
			b.pathApprovals(), b.pathRevocations(), b.pathRevoke(), b.pathSolvers(),
			b.pathDomains(), b.pathCatalog(), b.pathAccount(), b.pathReports(),
			b.pathSpend(), b.pathBudgets(), b.pathTrust(), b.pathInventory(), b.pathSync(),
			b.pathAdopt(), b.pathTidy(), b.pathReplace(), b.pathStatus(),
			// The CA paths come first: "ca" also matches the pattern of a serial number.
			b.pathCA(), b.pathCertificates(), b.pathIssuers(), b.pathHealth(),
		)),
		PathsSpecial: &logical.Paths{
			SealWrapStorage: backend.SealWrapPrefixes(),
			// The same paths as in Vault's PKI engine. They return CA certificates only.
			Unauthenticated: []string{
				"ca", "ca/pem", "ca_chain", "cert/ca", "cert/ca/raw",
				"cert/ca/raw/pem", "cert/ca_chain", "issuers/",
				"issuer/+/json", "issuer/+/der", "issuer/+/pem",
			},
		},
		Secrets: []*framework.Secret{b.certificateSecret()},
		InitializeFunc: func(ctx context.Context, req *logical.InitializationRequest) error {
			b.engine.Initialize(ctx, req.Storage)
			return nil
		},
		PeriodicFunc: func(ctx context.Context, req *logical.Request) error {
			return b.engine.Tick(ctx, req.Storage)
		},
		Invalidate: func(_ context.Context, key string) { b.engine.Invalidate(key) },
		Clean:      func(context.Context) { b.engine.Close() },
	}
	return b
}

// eventSender sends the engine's events by Vault's event bus. It is nil where there is none.
func eventSender(
	conf *logical.BackendConfig,
) func(ctx context.Context, kind string, metadata ...string) error {
	if conf.EventsSender == nil {
		return nil
	}
	return func(ctx context.Context, kind string, metadata ...string) error {
		return logical.SendEvent(ctx, conf.EventsSender, kind, metadata...)
	}
}

const backendHelp = `
The CERTInext secrets engine obtains certificates from CERTInext, eMudhra's certificate platform.

Write the account to config, and bind a role to a product of the account's catalog. Then
issue/<role> generates a key, orders its certificate and returns both, with a lease; when the
lease ends, the certificate is revoked. sign/<role> does the same for a CSR. An order that takes
longer than the request continues in the background: the same request finds it again, and
orders/<role>/<id> shows what it is waiting for.
`
