// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/authority"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/exact"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/graph"
)

// ErrSnapshot is returned, wrapped, for what is no snapshot that this program reads.
var ErrSnapshot = errors.New("the snapshot cannot be restored")

const (
	// snapshotVersion is that of the snapshots that this program writes. It is raised when what a
	// field holds changes its meaning; fields that come or go are noticed without it.
	snapshotVersion = 1
	// maxSnapshot bounds a snapshot; 10,000 issued orders take about a quarter of it.
	maxSnapshot = 256 << 20
)

// A wireSnapshot is all that a server holds.
type wireSnapshot struct {
	Version int       `json:"version"`
	What    string    `json:"what"`
	TakenAt time.Time `json:"takenAt"`
	// Settings are as they are, AtStart as they were at the first request, for Reset.
	Settings json.RawMessage `json:"settings"`
	AtStart  json.RawMessage `json:"atStart"`
	// Foreign is how many orders of another user a reset places again.
	Foreign int `json:"foreign,omitempty"`
	// Held is a held, as package graph writes it.
	Held json.RawMessage `json:"held"`
}

// held is what has happened so far, and the certificate authority.
type held struct {
	State     *state
	Authority *authority.PKI
}

// Snapshot writes all that the server holds as one JSON document, for [Server.Restore]: settings,
// orders, domains, tokens, faults, money, counts, and the certificate authority with its private
// keys. It has not the last requests, and not what is set from Go only: the clock, the generator
// and the hooks.
func (s *Server) Snapshot(w io.Writer) error {
	s.once.Do(s.setUp)
	text, err := s.snapshot()
	if err != nil {
		return err
	}
	if len(text) > maxSnapshot {
		return fmt.Errorf("the snapshot has %d bytes, and at most %d are restored",
			len(text), maxSnapshot)
	}
	_, err = w.Write(text)
	return err
}

func (s *Server) snapshot() (text []byte, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	wire := wireSnapshot{
		Version: snapshotVersion, TakenAt: s.now(), Foreign: s.foreign,
		What: "CERTInext sandbox snapshot, NOT A REAL CA. It holds private keys and credentials.",
	}
	if wire.Settings, err = json.Marshal(s.settings()); err != nil {
		return nil, err
	}
	atStart := new(Server)
	atStart.settings().Restore(s.asStarted)
	if wire.AtStart, err = json.Marshal(atStart.settings()); err != nil {
		return nil, err
	}
	s.ca.Still(func() { wire.Held, err = graph.Write(&held{&s.state, s.ca}, codecs()...) })
	if err != nil {
		return nil, err
	}
	return json.Marshal(wire)
}

// Restore puts the server into the state that a snapshot has, of this server or of another. Either
// all of it is taken or nothing, and the error wraps [ErrSnapshot]. Calls that are being answered
// may still look at the state before.
func (s *Server) Restore(r io.Reader) error {
	text, err := io.ReadAll(io.LimitReader(r, maxSnapshot+1))
	if err != nil {
		return fmt.Errorf("%w: reading it: %w", ErrSnapshot, err)
	}
	if len(text) > maxSnapshot {
		return fmt.Errorf("%w: it has more than %d bytes", ErrSnapshot, maxSnapshot)
	}
	wire, err := parseSnapshot(text)
	if err != nil {
		return err
	}
	// Tried with a server that is thrown away, since trying it changes what it holds.
	if _, err := wire.tried(s.Now); err != nil {
		return err
	}
	restored, err := wire.server(s.Now)
	if err != nil {
		return err
	}
	s.take(restored)
	return nil
}

// take sets s to what another server holds, which is of no use afterwards.
func (s *Server) take(other *Server) {
	s.once.Do(s.setUp)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settings().Restore(other.settings().Saved())
	s.asStarted, s.state, s.ca = other.asStarted, other.state, other.ca
	s.foreign = other.foreign
	s.unfit, s.unfitAtStart = s.Check(), other.unfitAtStart
	s.resets++ // calls that came before look at what is no more
	s.ca.Heed(s.revocationClock)
}

// parseSnapshot reads the outer document.
func parseSnapshot(text []byte) (*wireSnapshot, error) {
	var of struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(text, &of); err != nil || of.Version < 1 {
		return nil, fmt.Errorf("%w: it is no JSON document with a version", ErrSnapshot)
	}
	if of.Version > snapshotVersion {
		return nil, fmt.Errorf("%w: it has version %d, and this program reads version %d",
			ErrSnapshot, of.Version, snapshotVersion)
	}
	wire := new(wireSnapshot)
	if err := exact.Unmarshal(text, wire); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSnapshot, err)
	}
	return wire, nil
}

// server makes a server of a snapshot, with a clock.
func (wire *wireSnapshot) server(clock func() time.Time) (*Server, error) {
	s, atStart := &Server{Now: clock}, new(Server)
	if err := s.LoadSettings(wire.Settings); err != nil {
		return nil, fmt.Errorf("%w: settings: %w", ErrSnapshot, err)
	}
	if err := atStart.LoadSettings(wire.AtStart); err != nil {
		return nil, fmt.Errorf("%w: atStart: %w", ErrSnapshot, err)
	}
	s.settings().Imply()
	atStart.settings().Imply()
	s.once.Do(s.setUp)
	s.asStarted = atStart.settings().Saved()
	h := held{new(state), s.ca}
	if err := graph.Read(wire.Held, &h, codecs()...); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSnapshot, err)
	}
	if h.State == nil || h.Authority == nil {
		return nil, fmt.Errorf("%w: it holds nothing", ErrSnapshot)
	}
	if problem := h.State.problem(); problem != "" {
		return nil, fmt.Errorf("%w: %s", ErrSnapshot, problem)
	}
	if wire.Foreign < 0 || wire.Foreign > MaxForeignOrders {
		return nil, fmt.Errorf("%w: %d orders of another user", ErrSnapshot, wire.Foreign)
	}
	s.state, s.foreign = *h.State, wire.Foreign
	return s, nil
}

func (s administration) writeSnapshot(*http.Request) (any, error) {
	var text bytes.Buffer
	err := s.Snapshot(&text)
	return json.RawMessage(text.Bytes()), err
}

// restore takes more than other administration paths do.
func (s administration) restore(w http.ResponseWriter, r *http.Request) {
	if !limitBody(w, r, maxSnapshot) {
		return
	}
	if err := s.Restore(r.Body); err != nil {
		refuseAdmin(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
