// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// lookupTimeout bounds one whole DCV look-up.
const lookupTimeout = 10 * time.Second

// Failure classes of a look-up. RECORD_MISSING is the vendor's word; the rest
// is in its manner.
const (
	classMissing      = "RECORD_MISSING"
	classMismatch     = "RECORD_MISMATCH"
	classUnreachable  = "LOOKUP_FAILED"
	classTokenExpired = "TOKEN_EXPIRED"
	classNoReply      = "EMAIL_NOT_CONFIRMED"
)

// A lookupFailure says why control could not be seen.
type lookupFailure struct {
	class string
	ems   string
}

// A probe is one look-up, with everything it needs copied out of the server.
type probe struct {
	domain, method string
	token          string
	fileName       string
	hosts          []string
	port           int
	resolver       *net.Resolver
	refusal        *lookupFailure // known beforehand
}

func (s *Server) newProbe(domain, method string, ch *challenge, now time.Time) *probe {
	p := &probe{
		domain: domain, method: method, hosts: s.challengeHosts(domain),
		port: orDefault(s.HTTPPort, 80), resolver: resolverAt(s.Resolver),
	}
	switch {
	case ch == nil:
		p.refusal = &lookupFailure{class: classMissing, ems: "EMS-1160"}
	case ch.token == "" || !now.Before(ch.mintedAt.Add(s.challengeTTL())):
		p.refusal = &lookupFailure{class: classTokenExpired, ems: "EMS-1160"}
	case now.Before(ch.mintedAt.Add(s.PropagationDelay)):
		p.refusal = &lookupFailure{class: classMissing, ems: "EMS-1160"}
	default:
		p.token, p.fileName = ch.token, ch.fileName
	}
	return p
}

// resolverAt asks the DNS server at addr and no other.
func resolverAt(addr string) *net.Resolver {
	if addr == "" {
		return net.DefaultResolver
	}
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, addr)
	}
	return &net.Resolver{PreferGo: true, Dial: dial}
}

// run looks, and returns nil where the challenge was seen.
func (p *probe) run(ctx context.Context) *lookupFailure {
	if p.refusal != nil {
		return p.refusal
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	switch p.method {
	case methodDNS:
		return p.lookTXT(ctx)
	case methodHTTP:
		return p.fetchFile(ctx)
	default:
		return &lookupFailure{class: classNoReply, ems: "EMS-1160"}
	}
}

// lookTXT accepts the token, verbatim, at any of the hosts.
func (p *probe) lookTXT(ctx context.Context) *lookupFailure {
	failure := &lookupFailure{class: classMissing, ems: "EMS-1160"}
	for _, host := range p.hosts {
		records, err := p.resolver.LookupTXT(ctx, host+".")
		var dnsErr *net.DNSError
		switch {
		case err == nil && slices.Contains(records, p.token):
			return nil
		case err == nil && len(records) > 0:
			failure = &lookupFailure{class: classMismatch, ems: "EMS-1161"}
		case errors.As(err, &dnsErr) && !dnsErr.IsNotFound:
			failure = &lookupFailure{class: classUnreachable, ems: "EMS-1160"}
		}
	}
	return failure
}

// fetchFile asks the domain itself for the file. Redirects are not followed.
func (p *probe) fetchFile(ctx context.Context) *lookupFailure {
	url := "http://" + net.JoinHostPort(p.domain, strconv.Itoa(p.port)) + validationDir + p.fileName
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return &lookupFailure{class: classUnreachable, ems: "EMS-1160"}
	}
	resp, err := p.httpClient().Do(req)
	if err != nil {
		return &lookupFailure{class: classUnreachable, ems: "EMS-1160"}
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return &lookupFailure{class: classMissing, ems: "EMS-1160"}
	}
	content, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	if err != nil || strings.TrimSpace(string(content)) != p.token {
		return &lookupFailure{class: classMismatch, ems: "EMS-1161"}
	}
	return nil
}

func (p *probe) httpClient() *http.Client {
	dialer := &net.Dialer{Resolver: p.resolver}
	return &http.Client{
		Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}
}

// methodName is how diagnostics write a method.
func methodName(method string) string {
	return strings.ToUpper(strings.ReplaceAll(method, "-", "_"))
}

// diagnostics is the object that goes with every DCV result.
func diagnostics(method, overall string, f *lookupFailure) map[string]any {
	d := map[string]any{
		"schemaVersion": 1, "method": methodName(method), "overallStatus": overall,
		"consensus":    map[string]any{"perspectiveCount": 0, "quorumCount": 0, "agreed": f == nil},
		"perspectives": []any{}, "nextSteps": []any{},
	}
	if f != nil {
		d["failureClass"] = f.class
		d["nextSteps"] = []any{map[string]any{
			"key": "dcv." + strings.ToLower(f.class), "severity": "ERROR",
			"params": map[string]any{},
		}}
	}
	return d
}

// verifyFailed is the 422 for a challenge not seen. Only live ones carry
// diagnostics.
func (s *Server) verifyFailed(method string, f *lookupFailure) *problem {
	p := rule(f.ems, "DCV challenge not found at the expected location")
	if f.class == classMismatch {
		p.detail = "DCV challenge does not match"
	}
	if s.Dialect != Documented {
		p.extra = map[string]any{"diagnostics": diagnostics(method, "FAILED", f)}
	}
	return p
}

func verifiedBody(method string, at time.Time) map[string]any {
	return map[string]any{
		"overallStatus": "VERIFIED", "method": method, "verifiedAt": rfc3339(at),
		"diagnostics": diagnostics(method, "VERIFIED", nil),
	}
}
