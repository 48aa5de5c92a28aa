// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certificates

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/hashicorp/vault/sdk/logical"
)

// A mount's certificates have few different chains. Each is stored once, under its fingerprint, and
// is never changed or removed: it is small, and no certificate may lose its chain.

const (
	// chainPrefix is followed by the fingerprint of a chain.
	chainPrefix = "chain/"
	// caKey is the storage key of the chain of the newest certificate.
	caKey = "ca"
)

// A StoredChain is a chain that certificates refer to.
type StoredChain struct {
	Version int      `json:"version"`
	Chain   []string `json:"chain"` // PEM, the issuing CA first
	// Others are the other certificates of CAs that came with it, by which clients may find another
	// chain: those of cross-signed CAs.
	Others []string `json:"others,omitempty"`
}

// StoredCA is the entry under the key "ca". An earlier version of the plugin, after a rollback,
// writes it anew with the first certificate that it issues, since Chain is not spelt as it would
// spell it, and drops Indexed. So its absence shows that there may be certificates that are not
// indexed.
type StoredCA struct {
	Version int      `json:"version"`
	Chain   []string `json:"chain"` // each ends with a line feed, see spell
	Indexed bool     `json:"indexed,omitempty"`
}

// newStoredCA returns the entry of a chain.
func newStoredCA(chain []string, indexed bool) *StoredCA {
	return &StoredCA{Version: 1, Chain: spell(chain), Indexed: indexed}
}

// spell returns a chain in PEM as it is stored under "ca".
func spell(chain []string) []string {
	out := make([]string, 0, len(chain))
	for _, c := range chain {
		out = append(out, strings.TrimSpace(c)+"\n")
	}
	return out
}

// chain returns the chain as it is shown.
func (ca *StoredCA) chain() []string {
	out := make([]string, 0, len(ca.Chain))
	for _, c := range ca.Chain {
		out = append(out, strings.TrimSpace(c))
	}
	return out
}

// chainFingerprint returns the SHA-256, in hexadecimal, of a chain in PEM, and of what came beside
// it.
func chainFingerprint(chain, others []string) string {
	text := strings.Join(chain, "\n")
	if len(others) > 0 {
		text += "\n\n" + strings.Join(others, "\n")
	}
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// Chains keeps the chains of a mount's certificates. The zero value is ready for use.
type Chains struct {
	mu     sync.Mutex
	known  map[string]*StoredChain // that storage has, by fingerprint; shared, so not to be changed
	newest []string                // of the newest certificate; nil until one is issued
	hasCA  bool                    // storage has a chain under "ca"
}

// maxChains bounds the chains in memory, since CERTInext chooses them. A full memory drops all.
const maxChains = 64

func (m *Chains) get(ref string) *StoredChain {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.known[ref]
}

func (m *Chains) add(ref string, chain *StoredChain) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil || len(m.known) >= maxChains {
		m.known = make(map[string]*StoredChain)
	}
	m.known[ref] = &StoredChain{
		Version: 1, Chain: slices.Clone(chain.Chain), Others: slices.Clone(chain.Others),
	}
}

func (m *Chains) getNewest() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.newest
}

func (m *Chains) setHasCA() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hasCA = true
}

func (m *Chains) knowsCA() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.hasCA
}

// keep stores the certificate's chain unless storage has it, and has the entry refer to it.
func (m *Chains) keep(ctx context.Context, s logical.Storage, c *Entry) error {
	if c.ChainRef != "" || len(c.Chain) == 0 {
		return nil
	}
	ref := chainFingerprint(c.Chain, c.Others)
	if m.get(ref) == nil {
		key := chainPrefix + ref
		chain := &StoredChain{Version: 1, Chain: c.Chain, Others: c.Others}
		stored, err := store.Get[StoredChain](ctx, s, key)
		if err == nil && stored == nil {
			err = store.Put(ctx, s, key, chain)
		}
		if err != nil {
			return err
		}
		m.add(ref, chain)
	}
	if err := m.keepFirst(ctx, s, c); err != nil {
		return err
	}
	c.ChainRef = ref
	return nil
}

// keepFirst stores the certificate's chain as that of the newest one when the mount has no such
// chain yet. Those of later certificates are stored by the background pass.
func (m *Chains) keepFirst(ctx context.Context, s logical.Storage, c *Entry) error {
	if len(c.Held) > 0 || len(c.Chain) == 0 || m.knowsCA() {
		return nil
	}
	stored, err := store.Get[StoredCA](ctx, s, caKey)
	if err == nil && stored == nil {
		err = store.Put(ctx, s, caKey, newStoredCA(c.Chain, true))
	}
	if err == nil {
		m.setHasCA()
	}
	return err
}

// Load sets the chain of an entry that was read from storage.
func (m *Chains) Load(ctx context.Context, s logical.Storage, c *Entry) error {
	if c.ChainRef == "" || len(c.Chain) > 0 {
		return nil
	}
	chain := m.get(c.ChainRef)
	if chain == nil {
		stored, err := store.Get[StoredChain](ctx, s, chainPrefix+c.ChainRef)
		switch {
		case err != nil:
			return err
		case stored == nil:
			return fmt.Errorf("certificate %s: its chain %s is not stored", c.Serial, c.ChainRef)
		}
		chain = stored
		m.add(c.ChainRef, chain)
	}
	c.Chain, c.Others = slices.Clone(chain.Chain), slices.Clone(chain.Others)
	return nil
}

// CAChain returns the chain of the newest certificate in PEM, the issuing CA first. It is empty
// until a certificate with a chain was stored: CERTInext has no call that returns an account's CAs.
func (keeper *Keeper) CAChain(ctx context.Context, s logical.Storage) ([]string, error) {
	if newest := keeper.Chains.getNewest(); newest != nil {
		return newest, nil
	}
	stored, err := store.Get[StoredCA](ctx, s, caKey)
	if err != nil {
		return nil, err
	}
	if stored != nil {
		return stored.chain(), nil
	}
	if complete, err := keeper.Numbers.isComplete(ctx, s); err != nil || complete {
		return nil, err
	}
	return findStoredChain(ctx, s)
}

// findStoredChain returns the chain of some certificate of an earlier version, which may have been
// stopped after it had stored a certificate and before a background pass had stored its chain.
func findStoredChain(ctx context.Context, s logical.Storage) ([]string, error) {
	serials, err := store.List(ctx, s, Prefix)
	if err != nil {
		return nil, err
	}
	for _, serial := range serials[:min(len(serials), 20)] {
		c, err := Read(ctx, s, serial)
		if err != nil {
			return nil, err
		}
		if c != nil && len(c.Chain) > 0 && len(c.Held) == 0 {
			return c.Chain, nil
		}
	}
	return nil, nil
}

// Remember keeps the chain of a new certificate in memory, and the background pass stores it:
// issuing a certificate is to cost few writes (ADR 0005).
func (m *Chains) Remember(chain []string) {
	if len(chain) == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.newest = slices.Clone(chain)
}

// StoreNewest stores the chain that Remember keeps, unless storage has the same one.
func (m *Chains) StoreNewest(ctx context.Context, s logical.Storage) error {
	newest := m.getNewest()
	if newest == nil {
		return nil
	}
	stored, err := store.Get[StoredCA](ctx, s, caKey)
	if err != nil || (stored != nil && slices.Equal(stored.chain(), newest)) {
		return err
	}
	indexed := stored == nil || stored.Indexed // if not, that is for the index to see
	return store.Put(ctx, s, caKey, newStoredCA(newest, indexed))
}
