// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/sure"
)

// DCV methods of v2.
const (
	methodDNS   = "dns-txt"
	methodHTTP  = "http-url"
	methodEmail = "email"
)

var methods = []string{methodDNS, methodHTTP, methodEmail}

// validationDir is where a file challenge is published.
const validationDir = "/.well-known/pki-validation/"

// A DCVShape is how a challenge is spelled. All of these were met or
// published.
type DCVShape int

const (
	// DCVByDialect is DCVLive or DCVDoc1.
	DCVByDialect DCVShape = iota
	// DCVLive is {"token","tokenExpiryDate"} without host or method; for
	// http-url a file name stands with it.
	DCVLive
	// DCVDoc1 is {"domains":[{"domain","methods":{...}}]}.
	DCVDoc1
	// DCVDoc2 is the newer collection's example, with numeric methods.
	DCVDoc2
	// DCVDoc2Prose is that collection's text: {"method","txtToken"}.
	DCVDoc2Prose
)

// A challenge is the secret that shows control of a domain when published.
type challenge struct {
	token    string // TXT value and file content
	fileName string
	mintedAt time.Time
	// emptied is set once an expired challenge was read back empty; the
	// reading after that mints a new one.
	emptied bool
}

// mint makes a new challenge. Documented tokens carry the vendor's prefix.
func (s *Server) mint(now time.Time) *challenge {
	token := hex.EncodeToString(sure.RandomBytes(16))
	c := &challenge{
		token: token, fileName: hex.EncodeToString(sure.RandomBytes(8)) + ".txt", mintedAt: now,
	}
	if s.Dialect == Documented {
		c.token, c.fileName = "emudhra-dcv-"+token, "emudhra-"+c.fileName
	}
	return c
}

// fresh returns the challenge to show at now: old while it is good, empty once
// when it has expired, then a new one.
func (s *Server) fresh(old *challenge, now time.Time) *challenge {
	switch {
	case old == nil:
		return s.mint(now)
	case now.Before(old.mintedAt.Add(s.challengeTTL())):
		return old
	case !old.emptied:
		old.token, old.emptied = "", true
		return old
	default:
		return s.mint(now)
	}
}

// expiry is written without a zone.
func (s *Server) expiry(c *challenge) string {
	return c.mintedAt.Add(s.challengeTTL()).Format("2006-01-02 15:04:05")
}

// challengeHosts are the names at which a TXT record for domain counts.
func (s *Server) challengeHosts(domain string) []string {
	templates := s.ChallengeHosts
	if templates == nil {
		templates = []string{"_emudhra-challenge.{domain}"}
	}
	hosts := make([]string, 0, len(templates))
	for _, t := range templates {
		hosts = append(hosts, strings.ReplaceAll(t, "{domain}", domain))
	}
	return hosts
}

// checkMethod refuses methods that do not exist, and a file on a wildcard,
// which the CA/Browser Forum does not allow.
func checkMethod(method string, wildcard bool) *problem {
	if !slices.Contains(methods, method) || (wildcard && method == methodHTTP) {
		return rule("EMS-1158", "Invalid DCV method").inV1("EMS-1159")
	}
	return nil
}

// checkMethod refuses files where version 2 does not know them, too.
func (s version2) checkMethod(method string, wildcard bool) *problem {
	return checkMethod(method, wildcard || s.Unknowns.NoFileValidation)
}

// hasWildcard reports whether the order holds a wildcard for t's domain.
func (o *order) hasWildcard(t *target) bool {
	return slices.Contains(o.leafNames().DNS, "*."+t.domain)
}

// wireChallenge spells ch for one name of an order.
func (s version2) wireChallenge(o *order, t *target, method string) any {
	ch := t.challenge
	switch s.dcvShape() {
	case DCVDoc1:
		return doc1Challenge(ch, s.challengeHosts(t.domain)[0], t.domain, o.hasWildcard(t))
	case DCVDoc2:
		return s.doc2Challenge(o, t, method)
	case DCVDoc2Prose:
		if method == methodHTTP {
			return map[string]string{"fileName": ch.fileName, "fileToken": ch.token}
		}
		return map[string]string{"method": method, "txtToken": ch.token}
	}
	if method == methodHTTP {
		return map[string]string{
			"fileName": ch.fileName, "token": ch.token, "tokenExpiryDate": s.expiry(ch),
		}
	}
	return map[string]string{"token": ch.token, "tokenExpiryDate": s.expiry(ch)}
}

func (s *Server) dcvShape() DCVShape {
	if s.DCVShape != DCVByDialect {
		return s.DCVShape
	}
	if s.Dialect == Documented {
		return DCVDoc1
	}
	return DCVLive
}

// doc1Challenge offers all methods at once.
func doc1Challenge(ch *challenge, host, domain string, wildcard bool) any {
	offers := map[string]any{
		methodDNS:   map[string]string{"host": host, "expectedValue": ch.token},
		methodEmail: map[string]any{"sendTo": []string{"admin@" + domain, "webmaster@" + domain}},
	}
	if !wildcard {
		offers[methodHTTP] = map[string]string{
			"path": validationDir + ch.fileName, "expectedContent": ch.token,
		}
	}
	return map[string]any{"domains": []any{map[string]any{"domain": domain, "methods": offers}}}
}

// doc2Challenge numbers DNS 2 and HTTP 1, the other way round than v1.
func (s version2) doc2Challenge(o *order, t *target, method string) any {
	w := map[string]string{
		"orderNumber": o.id, "domainName": t.domain, "dcvMethod": "2",
		"fileNameContent": t.challenge.token, "dvFileToken": "", "dvFileName": "",
		"tokenExpiryDate": s.expiry(t.challenge),
	}
	if method == methodHTTP {
		w["dcvMethod"], w["fileNameContent"] = "1", ""
		w["dvFileToken"], w["dvFileName"] = t.challenge.token, t.challenge.fileName
	}
	return w
}
