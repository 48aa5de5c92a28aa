// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"context"
	"fmt"

	"github.com/hashicorp/vault/sdk/logical"
)

// Where things rest in the mount's storage. An order's entry is below one of two prefixes, so that finding the open
// ones never costs a walk over the finished ones.
const (
	configKey         = "config"
	rolePrefix        = "role/"
	openOrderPrefix   = "order/open/"   // + role + "/" + order id; may hold a private key
	closedOrderPrefix = "order/closed/" // + role + "/" + order id; never holds a key
	certPrefix        = "cert/"         // + serial number, with dashes
	revokedPrefix     = "revoked/"      // + serial number: the index behind certs/revoked
	revocationPrefix  = "revocation/"   // + serial number: revocations that CERTInext has not taken yet
	leaseWatchPrefix  = "lease/"        // + hour + minute + serial number: when a certificate's last lease is over
	solverPrefix      = "dcv/solver/"   // + name; holds credentials
	recordPrefix      = "dcv/record/"   // + owner + hash: what is published in somebody's DNS, or may be
	domainPrefix      = "dcv/domain/"   // + name: domains that the mount looks after
	syncKey           = "sync"          // how far the last synchronization has got
	caKey             = "ca"            // the chain of the newest certificate
)

// SealWrapPrefixes are the storage paths whose entries hold secrets.
func SealWrapPrefixes() []string {
	return []string{configKey, rolePrefix, openOrderPrefix, solverPrefix}
}

// get reads the entry under key into a new T. It returns nil without an error when there is none.
func get[T any](ctx context.Context, s logical.Storage, key string) (*T, error) {
	e, err := s.Get(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", key, err)
	}
	if e == nil {
		return nil, nil
	}
	v := new(T)
	if err := e.DecodeJSON(v); err != nil {
		return nil, fmt.Errorf("decoding %s: %w", key, err)
	}
	return v, nil
}

func put(ctx context.Context, s logical.Storage, key string, v any) error {
	e, err := logical.StorageEntryJSON(key, v)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", key, err)
	}
	if err := s.Put(ctx, e); err != nil {
		return fmt.Errorf("storing %s: %w", key, err)
	}
	return nil
}

func remove(ctx context.Context, s logical.Storage, key string) error {
	if err := s.Delete(ctx, key); err != nil {
		return fmt.Errorf("deleting %s: %w", key, err)
	}
	return nil
}

func list(ctx context.Context, s logical.Storage, prefix string) ([]string, error) {
	keys, err := s.List(ctx, prefix)
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", prefix, err)
	}
	return keys, nil
}
