// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// problem says what in a state, read from a snapshot, the server relies on and is not so; it is ""
// for nothing.
func (st *state) problem() string {
	switch {
	case st.calls == nil, st.replays == nil, st.zonesOf == nil, st.tokens.access == nil,
		st.tokens.refresh == nil, st.tokens.txns == nil, st.book.orders == nil,
		st.book.requests == nil, st.book.keys == nil, st.book.compromised == nil:
		return "a table is missing"
	case slices.Contains(st.owners, nil) || len(st.owners) == 0:
		return "an organization is missing"
	case slices.Contains(st.faults, nil):
		return "a fault is missing"
	}
	for _, f := range st.faults {
		if err := f.validate(); err != nil {
			return err.Error()
		}
	}
	for _, d := range st.everyDomain() {
		if d == nil || d.organization == nil {
			return "a domain is missing, or has no organization"
		}
	}
	for r := range st.renewals.All() {
		if r.order == nil || r.of == nil {
			return "a renewal has no order"
		}
	}
	for _, o := range st.everyOrder() {
		if problem := o.problem(); problem != "" {
			return problem
		}
	}
	return ""
}

func (st *state) everyDomain() []*accountDomain {
	all := slices.Clone(st.zones)
	for _, named := range st.zonesOf {
		all = append(all, named...)
	}
	return all
}

// everyOrder are the orders that something refers to, some of them often.
func (st *state) everyOrder() []*order {
	all := slices.Clone(st.book.sequence)
	for _, o := range st.book.orders {
		all = append(all, o)
	}
	for _, o := range st.book.requests {
		all = append(all, o)
	}
	for o := range st.caaWanted {
		all = append(all, o)
	}
	for _, r := range st.replays {
		if r.order != nil {
			all = append(all, r.order)
		}
	}
	for r := range st.renewals.All() {
		all = append(all, r.order)
	}
	if st.book.newest != nil {
		all = append(all, st.book.newest)
	}
	return all
}

func (o *order) problem() string {
	switch {
	case o == nil:
		return "an order is missing"
	case len(o.signings) == 0 || slices.Contains(o.signings, nil):
		return fmt.Sprintf("order %q has no certificate in the making", cutTo(o.id, 40))
	case slices.Contains(o.targets, nil):
		return fmt.Sprintf("order %q has no name to validate", cutTo(o.id, 40))
	}
	for _, sg := range o.signings {
		if (sg.csr != nil && sg.csr.request == nil) || slices.Contains(sg.chain, nil) {
			return fmt.Sprintf("order %q has no CSR or no chain", cutTo(o.id, 40))
		}
	}
	return ""
}

// tried makes a server of a snapshot and has it do what each server is asked for. What breaks it is
// an error.
func (wire *wireSnapshot) tried(clock func() time.Time) (s *Server, err error) {
	defer func() {
		if broken := recover(); broken != nil {
			err = fmt.Errorf("%w: a server with it breaks: %v", ErrSnapshot, broken)
		}
	}()
	if s, err = wire.server(clock); err != nil {
		return nil, err
	}
	for _, a := range s.ca.All() {
		_ = a.Root().Raw
		if issuer := a.Issuer(); issuer != nil {
			a.Impostor(issuer.Cert) // what it signs is not kept
		}
	}
	s.Orders()
	s.Domains()
	s.Ledger()
	s.activeFaults()
	s.Configure(func(s *Server) { s.catchUp(s.now()) })
	return s, s.publishes()
}

// publishes has the server show its roots and CRLs.
func (s *Server) publishes() error {
	for _, path := range []string{adminPrefix + "roots.pem", "/crl/public.crl", "/crl/mail.crl"} {
		request, err := http.NewRequestWithContext(
			context.Background(), http.MethodGet, "http://localhost"+path, http.NoBody)
		if err != nil {
			return err
		}
		response, err := s.Client().Do(request)
		if err != nil {
			return fmt.Errorf("%w: a server with it breaks: %w", ErrSnapshot, err)
		}
		if err := response.Body.Close(); err != nil {
			return err
		}
	}
	return nil
}
