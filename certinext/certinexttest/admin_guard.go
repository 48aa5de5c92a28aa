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
	if problem := s.hostProblem(r, local); problem != "" {
		return problem
	}
	return originProblem(r)
}

// hostProblem says what is wrong with the host that a request names. HTTP/1.0 may name none, as a
// script without a tool does. No browser speaks it, and none leaves the host out.
func (s *Server) hostProblem(r *http.Request, local net.Addr) string {
	if r.Host == "" && !r.ProtoAtLeast(1, 1) {
		return ""
	}
	host, ok := hostOf(r.Host)
	if !ok {
		return fmt.Sprintf("the host %q must be a name or an address, and a port if there is one",
			cutTo(r.Host, 100))
	}
	if !s.isOwnHost(host, local) {
		return fmt.Sprintf("the host %q is not this server's: "+
			"name it in AdminHosts (-admin-hosts) if it is", cutTo(r.Host, 100))
	}
	return ""
}

// originProblem says what gives away a web page of another site. A browser sends each of the
// headers once; what has it twice, or in a form that no browser writes, is as strange.
func originProblem(r *http.Request) string {
	sites, origins := r.Header.Values("Sec-Fetch-Site"), r.Header.Values("Origin")
	switch {
	case len(sites) > 1 || len(origins) > 1:
		return "it has several Sec-Fetch-Site or Origin"
	case len(sites) == 1 && sites[0] != "same-origin" && sites[0] != "none":
		return "it was sent by a web page of another site"
	case len(origins) == 1 && !isOriginOf(origins[0], r.Host):
		return fmt.Sprintf("it was sent by a web page of %q", cutTo(origins[0], 100))
	}
	return ""
}

// isOriginOf tells whether an Origin is a page's that this host has served: http or https and the
// host, letter for letter, and nothing else (RFC 6454, section 6.2). That of a file, of a sandboxed
// frame and of some redirects is null.
func isOriginOf(origin, host string) bool {
	u, err := url.Parse(origin)
	return err == nil && host != "" && strings.EqualFold(u.Host, host) &&
		(origin == "http://"+u.Host || origin == "https://"+u.Host)
}

// isOwnHost tells whether a host is this server: a loopback address, localhost, the address that
// the request came to, or one of the names and addresses that it was given.
func (s *Server) isOwnHost(host string, local net.Addr) bool {
	known := append([]string{"localhost"}, s.AdminHosts...)
	if u, err := url.Parse(s.BaseURL); err == nil && u.Hostname() != "" {
		known = append(known, u.Hostname())
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return slices.ContainsFunc(known, func(name string) bool {
			return strings.EqualFold(strings.TrimSuffix(name, "."), host)
		})
	}
	addr = addr.Unmap()
	own, err := netip.ParseAddrPort(local.String())
	isIt := func(name string) bool {
		given, err := netip.ParseAddr(name)
		return err == nil && given.Unmap() == addr
	}
	return addr.IsLoopback() || (err == nil && own.Addr().Unmap().WithZone("") == addr) ||
		slices.ContainsFunc(known, isIt)
}

// hostOf is the name, in small letters and without the dot of the root, or the address of a Host
// header. It is not ok if the header has another form than host, host:port, [IPv6] or [IPv6]:port.
func hostOf(header string) (host string, ok bool) {
	host, port, hasPort := strings.Cut(header, ":")
	if inner, bracketed := strings.CutPrefix(header, "["); bracketed {
		var rest string
		var closed bool
		host, rest, closed = strings.Cut(inner, "]")
		if !closed {
			return "", false
		}
		if addr, err := netip.ParseAddr(host); err != nil || !addr.Is6() || addr.Zone() != "" {
			return "", false
		}
		port, hasPort = strings.CutPrefix(rest, ":")
		if !hasPort && rest != "" {
			return "", false
		}
	}
	if hasPort && port != "" && !isHostPort("host:"+port) {
		return "", false
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host, host != "" && !strings.ContainsAny(host, "[]")
}

// cutTo returns the beginning of a text.
func cutTo(text string, most int) string { return text[:min(len(text), most)] }
