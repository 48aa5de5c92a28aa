// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package dcv

import (
	"context"
	"fmt"
	"time"
)

// A Solver publishes records at a DNS host. It may be used by several goroutines.
type Solver struct {
	// Provider is from [Open], or any other. Needed.
	Provider Provider
	// TTL is that of the records; a minute when zero. Records are removed long before it matters,
	// except to a resolver that asked for one too early and keeps its absence.
	TTL time.Duration
	// Patience bounds every call of the provider; 30 seconds when zero.
	Patience time.Duration
	// Go runs a call of the provider, which may go on after its caller was answered; a goroutine
	// that nobody waits for when nil.
	Go func(call func())
}

// Publish writes a record beside those that its name has. After an error the record may be there
// nevertheless, and is to be removed. Publishing the same record twice is no error.
func (s *Solver) Publish(ctx context.Context, r Record) error {
	ttl := s.TTL
	if ttl == 0 {
		ttl = time.Minute
	}
	err := s.bounded(ctx, func(ctx context.Context) error {
		return s.Provider.Publish(ctx, r, ttl)
	})
	if err != nil {
		return fmt.Errorf("publishing the %s: %w", r, err)
	}
	return nil
}

// Remove removes a record and leaves others of the same name. A record that is not there is no
// error.
func (s *Solver) Remove(ctx context.Context, r Record) error {
	err := s.bounded(ctx, func(ctx context.Context) error {
		return s.Provider.Remove(ctx, r)
	})
	if err != nil {
		return fmt.Errorf("removing the %s: %w", r, err)
	}
	return nil
}

// bounded returns when call does, or when its context ends. Not every provider heeds its context,
// so a call may go on for a while after bounded has returned.
func (s *Solver) bounded(ctx context.Context, call func(context.Context) error) error {
	patience := s.Patience
	if patience == 0 {
		patience = 30 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	done := make(chan error, 1)
	run := s.Go
	if run == nil {
		run = func(call func()) { go call() }
	}
	run(func() {
		defer cancel()
		done <- call(ctx)
	})
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-done: // both happened
		return err
	default:
		return fmt.Errorf("the DNS host did not answer: %w", ctx.Err())
	}
}
