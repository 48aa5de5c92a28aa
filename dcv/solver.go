// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package dcv

import (
	"context"
	"fmt"
	"time"

	"github.com/libdns/libdns"
)

// A Solver publishes records at a DNS host. It may be used by several goroutines.
type Solver struct {
	// Provider is from [Open], or any other of libdns that adds to a set of records and removes
	// single ones. Needed.
	Provider Provider
	// TTL is that of the records; a minute when zero. Records are removed long before it matters,
	// except to a resolver that asked for one too early and keeps its absence.
	TTL time.Duration
	// Patience bounds every call of the provider; 30 seconds when zero.
	Patience time.Duration
}

// Publish writes a record beside those that its name has. After an error the record may be there
// nevertheless, and is to be removed. Publishing the same record twice is no error.
func (s *Solver) Publish(ctx context.Context, r Record) error {
	err := s.bounded(ctx, func(ctx context.Context) error {
		_, err := s.Provider.AppendRecords(ctx, r.Zone, []libdns.Record{s.record(r)})
		return err
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
		_, err := s.Provider.DeleteRecords(ctx, r.Zone, []libdns.Record{s.record(r)})
		return err
	})
	if err != nil {
		return fmt.Errorf("removing the %s: %w", r, err)
	}
	return nil
}

func (s *Solver) record(r Record) libdns.Record {
	ttl := s.TTL
	if ttl == 0 {
		ttl = time.Minute
	}
	return libdns.TXT{Name: libdns.RelativeName(r.Name, r.Zone), TTL: ttl, Text: r.Value}
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
	go func() {
		defer cancel()
		done <- call(ctx)
	}()
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
