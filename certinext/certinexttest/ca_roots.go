// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"encoding/pem"
	"errors"
	"net/http"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/authority"
)

// ErrNoRoot is returned for a client or a root that there is not, or one that clients do not keep.
var ErrNoRoot = errors.New("no such client or public root")

// Clients are the families of clients that have a root store of their own: mozilla, chrome, apple,
// microsoft and java.
func Clients() []string { return append([]string(nil), authority.Clients...) }

// ClientRoots are the roots that a family of clients trusts, as PEM: all public ones that it has
// not dropped. Private PKI's is in no store. It returns [ErrNoRoot].
func (s *Server) ClientRoots(client string) ([]byte, error) {
	s.once.Do(s.setUp)
	if !oneOf(client, authority.Clients...) {
		return nil, ErrNoRoot
	}
	return rootsPEM(s.pki().Trusted(client)), nil
}

// DropRoot takes a root, by its [CARecord.Name], out of the store of a family of clients, as
// Mozilla did with three of emSign in 2026 (reported). It returns [ErrNoRoot].
func (s *Server) DropRoot(client, root string) error { return s.trust(client, root, false) }

// KeepRoot puts it back. It returns [ErrNoRoot].
func (s *Server) KeepRoot(client, root string) error { return s.trust(client, root, true) }

func (s *Server) trust(client, root string, trusted bool) error {
	s.once.Do(s.setUp)
	if !oneOf(client, authority.Clients...) || !s.pki().Trust(client, root, trusted) {
		return ErrNoRoot
	}
	return nil
}

// clientRoots answers with the store of the client in the path.
func (s administration) clientRoots(w http.ResponseWriter, r *http.Request) {
	roots, err := s.ClientRoots(r.PathValue("client"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", typePEM)
	_, _ = w.Write(roots) //nolint:gosec // PEM, and said to be
}

// trusting changes the store of the client in the path.
func (s administration) trusting(do func(client, root string) error) func(
	*http.Request,
) (any, error) {
	return func(r *http.Request) (any, error) {
		return nil, do(r.PathValue("client"), r.PathValue("root"))
	}
}

func rootsPEM(roots []*authority.Signer) (out []byte) {
	for _, root := range roots {
		block := &pem.Block{Type: "CERTIFICATE", Bytes: root.Cert.Raw}
		out = append(out, pem.EncodeToMemory(block)...)
	}
	return out
}
