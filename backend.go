// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package certinextsecrets is the Vault API of the CERTInext secrets engine: paths and fields that follow Vault's own PKI
// engine, wherever that has a path for the same thing, so that its clients work unmodified.
//
// Every path_*.go reads downward once: declaration, handlers, help. A handler decodes its fields, makes one call of
// [github.com/certinext/vault-plugin-secrets-certinext/backend.Engine], and encodes what comes back; what a certificate may
// hold, and what becomes of an order, is decided there.
//
// Most users want [Factory] only.
package certinextsecrets

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

// Name is the plugin's name and the default path of its mount.
const Name = "certinext"

// Options are what tests put in the place of the network and the clock. Every zero value is the real thing.
type Options struct {
	HTTPClient *http.Client
	Now        func() time.Time
	NewID      func() (string, error)
	Rand       io.Reader                        // see [backend.Options]
	Shuffle    func(n int, swap func(i, j int)) // see [backend.Options]
	TickTime   time.Duration                    // see [backend.Options]
	Resolvers  []string                         // see [backend.Options]
}

// Factory makes the backend of a mount. It touches neither storage nor network.
func Factory(ctx context.Context, conf *logical.BackendConfig) (logical.Backend, error) {
	return FactoryWith(Options{})(ctx, conf)
}

// FactoryWith is [Factory] with parts replaced.
func FactoryWith(o Options) logical.Factory {
	return func(ctx context.Context, conf *logical.BackendConfig) (logical.Backend, error) {
		b := newBackend(o, conf)
		return b, b.Setup(ctx, conf)
	}
}

// secretsBackend is the engine as Vault sees it.
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
		NewID:      o.NewID,
		Rand:       o.Rand,
		Shuffle:    o.Shuffle,
		TickTime:   o.TickTime,
		Resolvers:  o.Resolvers,
	})
	b.Backend = &framework.Backend{
		Help:           strings.TrimSpace(backendHelp),
		BackendType:    logical.TypeLogical,
		RunningVersion: Version,
		Paths: strict(slices.Concat(
			b.pathConfig(), b.pathRoles(), b.pathIssue(), b.pathNamedOrder(), b.pathDocuments(), b.pathReissue(), b.pathRenew(), b.pathOrders(), b.pathRevoke(),
			b.pathSolvers(), b.pathDomains(), b.pathCatalog(), b.pathAccount(), b.pathReports(), b.pathSync(),
			b.pathCA(), b.pathCertificates(), // in this order, since "ca" is a serial number, too
		)),
		PathsSpecial: &logical.Paths{
			SealWrapStorage: backend.SealWrapPrefixes(),
			// As in Vault's PKI engine: these hold CA certificates only.
			Unauthenticated: []string{"ca", "ca/pem", "ca_chain", "cert/ca", "cert/ca/raw", "cert/ca/raw/pem", "cert/ca_chain"},
		},
		Secrets: []*framework.Secret{b.certificateSecret()},
		PeriodicFunc: func(ctx context.Context, req *logical.Request) error {
			return b.engine.Tick(ctx, req.Storage)
		},
		Invalidate: func(_ context.Context, key string) { b.engine.Invalidate(key) },
		Clean:      func(context.Context) { b.engine.Close() },
	}
	return b
}

const backendHelp = `
The CERTInext secrets engine gets certificates from CERTInext, eMudhra's certificate platform.

Write the account to config, bind a role to a product of the account's catalog, then issue/<role> generates a key,
orders the certificate, and returns both, with a lease whose end revokes the certificate. sign/<role> does the same
for a CSR. An order that takes longer than the request goes on: the same request finds it again, and orders/<role>/<id>
shows what it waits for.
`
