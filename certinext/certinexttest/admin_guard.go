// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// strangerProblem says why a request may be a web page's that is open in
// somebody's browser on this machine; it is empty when it is not. Such a page
// can send requests to loopback (its Origin is another one), and can give its
// own name this machine's address (then it is the Host that gives it away).
// Requests that came over no connection are a test's own.
func (s *Server) strangerProblem(r *http.Request) string {
	local, connected := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !connected {
		return ""
	}
	if !s.isOwnHost(r.Host, local) {
		return fmt.Sprintf("the host %q is not this server's: "+
			"name it in AdminHosts (-admin-hosts) if it is", cutTo(r.Host, 100))
	}
	site := r.Header.Get("Sec-Fetch-Site")
	origin := r.Header.Get("Origin")
	if site != "" && site != "same-origin" && site != "none" {
		return "it was sent by a web page of another site"
	}
	if u, err := url.Parse(origin); origin != "" && (err != nil || u.Host != r.Host) {
		return fmt.Sprintf("it was sent by a web page of %q", cutTo(origin, 100))
	}
	return ""
}

// isOwnHost tells whether a Host header names this server: by a loopback
// address, by localhost, by the address that the request came to, or by one of
// the names that it was given. No browser leaves it out, as HTTP/1.0 may.
func (s *Server) isOwnHost(header string, local net.Addr) bool {
	if header == "" {
		return true
	}
	host := header
	if name, _, err := net.SplitHostPort(header); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	if addr, err := netip.ParseAddr(host); err == nil {
		own, err := netip.ParseAddrPort(local.String())
		return addr.IsLoopback() || (err == nil && addr.Unmap() == own.Addr().Unmap())
	}
	known := append([]string{"localhost"}, s.AdminHosts...)
	if u, err := url.Parse(s.BaseURL); err == nil {
		known = append(known, u.Hostname())
	}
	isIt := func(name string) bool { return strings.EqualFold(name, host) }
	return slices.ContainsFunc(known, isIt)
}

// cutTo returns the beginning of a text.
func cutTo(text string, most int) string { return text[:min(len(text), most)] }
