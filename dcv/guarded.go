// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package dcv

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// guarded keeps the secrets of a provider out of its errors, and turns its panics into errors: the
// code of a DNS host's client runs in the same process as the engine, and reads answers from the
// Internet.
type guarded struct {
	provider Provider
	name     string
	hide     *strings.Replacer
}

// Publish publishes a record. An error shows no secret.
func (g *guarded) Publish(ctx context.Context, r Record, ttl time.Duration) (err error) {
	defer g.guard(&err)
	return g.provider.Publish(ctx, r, ttl)
}

// Remove removes a record. An error shows no secret.
func (g *guarded) Remove(ctx context.Context, r Record) (err error) {
	defer g.guard(&err)
	return g.provider.Remove(ctx, r)
}

// guard is deferred.
func (g *guarded) guard(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("the client of %s failed: %v", g.name, p)
	}
	if *err != nil {
		*err = &hiddenError{text: g.hide.Replace((*err).Error()), err: *err}
	}
}

// A hiddenError is an error whose text shows no secret.
type hiddenError struct {
	text string
	err  error
}

// Error returns the text without secrets.
func (e *hiddenError) Error() string { return e.text }

// Unwrap returns the error as the provider gave it; its text may show secrets.
func (e *hiddenError) Unwrap() error { return e.err }

// hiding replaces secrets, however a client or a server may have spelt them.
func hiding(secrets []string) *strings.Replacer {
	var spelt []string
	for _, s := range secrets {
		if s != "" {
			quoted, _ := json.Marshal(s) // a string can be
			spelt = append(
				spelt, s, url.QueryEscape(s), url.PathEscape(s), string(quoted[1:len(quoted)-1]),
			)
		}
	}
	// Of two secrets the longer one goes first, in case it begins with the other.
	slices.SortFunc(spelt, func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	for _, s := range spelt {
		pairs = append(pairs, s, "(secret)")
	}
	return strings.NewReplacer(pairs...)
}
