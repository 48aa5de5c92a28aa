// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"encoding/json"
	"strings"
	"sync"

	"github.com/hashicorp/vault/sdk/logical"
)

// owners remembers under which role an order was seen in storage. Entries that name an order and no role are found by it.
type owners struct {
	mu    sync.Mutex
	roles map[string]string
}

// see learns from the key of an order's entry, order/open/<role>/<id>.
func (o *owners) see(key string) {
	parts := strings.Split(key, "/")
	if parts[0] != "order" || len(parts) != 4 {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.roles == nil {
		o.roles = make(map[string]string)
	}
	o.roles[parts[3]] = parts[2]
}

func (o *owners) of(order string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.roles[order]
}

// settings are stored by people, whose writes are no flow of the matrix.
var settings = []string{"config", "role/", "dcv/solver/", "dcv/domain/", "budget/", "account/", "trust/", "tidy", "sync"}

// pathOwner names whose entry is under a key that says so: a role's, or, of what belongs to nobody alone, the mount's, which is
// named like its only role where that matters. ok is false when the key does not say it.
func (s *storage) pathOwner(key string) (label, kind string, ok bool) {
	parts := strings.Split(key, "/")
	mount, _ := s.backend.mount.Load().(string)
	for _, prefix := range settings {
		if strings.HasPrefix(key, prefix) {
			return "", "", true
		}
	}
	switch parts[0] {
	case "dcv": // dcv/record/order/<role>/<id>/<hash>
		if len(parts) > 3 && parts[2] == "order" {
			return parts[3], "dcv/record", true
		}
		return "", "", true
	case "order": // order/open/<role>/<id>
		return parts[2], "order/" + parts[1], true
	case "renewal": // renewal/newest/<role>/<hash>
		return parts[2], "renewal/" + parts[1], true
	case "reuse": // reuse/key/<role>/<hash>, reuse/end/<hour>/<role>/<hash>, reuse/sweep/<role>
		if parts[1] == "end" {
			return parts[3], "reuse/end", true
		}
		return parts[2], "reuse/" + parts[1], true
	case "chain", "compromised", "index":
		return mount, parts[0], true
	}
	return mount, key, len(parts) == 1
}

// serialIn returns the serial number that a key is about; empty when it is about none.
func serialIn(key string) string {
	parts := strings.Split(key, "/")
	switch last := parts[len(parts)-1]; parts[0] {
	case "cert", "revoked", "revocation", "held-back":
		return last
	case "lease": // lease/<hour>/<minute>-<serial>
		_, serial, _ := strings.Cut(last, "-")
		return serial
	}
	return ""
}

// An owned is what the entries of certificates, numbers, counters and successors say of whose they are.
type owned struct {
	Role         string  `json:"role"`
	Orders       []owned `json:"orders"`
	Certificates []struct {
		OrderID string `json:"order_id"`
	} `json:"certificates"`
	Per     string `json:"per"`
	Subject string `json:"subject"`
}

// owner returns the role, or else an order of it.
func (e *owned) owner() (role, order string) {
	switch {
	case e.Role != "":
		return e.Role, ""
	case e.Per == "role":
		return e.Subject, ""
	case len(e.Orders) > 0:
		return e.Orders[0].Role, ""
	case len(e.Certificates) > 0:
		return "", e.Certificates[len(e.Certificates)-1].OrderID
	}
	return "", ""
}

// describe says whose entry is under a key, and of what kind it is. What people set is nobody's.
func (s *storage) describe(ctx context.Context, key string, value []byte) (label, kind string) {
	s.backend.owners.see(key)
	if label, kind, ok := s.pathOwner(key); ok {
		return label, kind
	}
	kind, _, _ = strings.Cut(key, "/")
	from := key
	if serial := serialIn(key); serial != "" {
		from = "cert/" + serial
	}
	if from != key || value == nil {
		value = s.stored(ctx, from)
	}
	var e owned
	_ = json.Unmarshal(value, &e)
	role, order := e.owner()
	if role == "" {
		role = s.backend.owners.of(order)
	}
	return role, kind
}

// stored returns what is under a key; nil when nothing is.
func (s *storage) stored(ctx context.Context, key string) []byte {
	e, err := s.Storage.Get(ctx, key)
	if err != nil || e == nil {
		return nil
	}
	return e.Value
}

// Get learns from what the engine reads.
func (s *storage) Get(ctx context.Context, key string) (*logical.StorageEntry, error) {
	s.backend.owners.see(key)
	return s.Storage.Get(ctx, key)
}
