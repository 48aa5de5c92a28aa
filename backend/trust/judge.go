// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package trust

import (
	"bytes"
	"crypto/x509"
	"maps"
	"slices"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
)

// A Judge knows what clients trust. Its zero value knows only what Go's verifier refuses.
type Judge struct {
	distrusted map[Key]bool // beside those of Builtin
	families   map[string]*Family
}

// NewJudge returns a judge that refuses the given keys, and those of [Builtin], and knows the roots
// of families of clients.
func NewJudge(distrusted []Key, families map[string]*Family) *Judge {
	j := &Judge{distrusted: make(map[Key]bool, len(distrusted)), families: families}
	for _, key := range distrusted {
		j.distrusted[key] = true
	}
	return j
}

// refuses reports whether clients refuse everything that a certificate's key has signed.
func (j *Judge) refuses(key Key) bool {
	return j.distrusted[key] || slices.Contains(Builtin(), key)
}

// A Link is a certificate of a path whose key is refused.
type Link struct {
	Name string // of its subject
	Key  Key
}

// A Verdict is which clients accept a certificate. Its zero value is one of which nothing is known
// that would speak against it.
type Verdict struct {
	// Distrusted are the refused keys of the certificate's paths, when no path is without one; the
	// one nearest to the certificate first. Nobody who knows of them accepts the certificate.
	Distrusted []Link
	// Avoid are refused keys of some paths, where another path has none. A client that does not
	// look for the other one refuses the certificate.
	Avoid []Link
	// Accept are the families that accept the certificate, and Refuse those that do not, sorted.
	// Both are empty when no family is configured.
	Accept, Refuse []string
	// Unfinished is set when there were too many paths to try them all.
	Unfinished bool
}

// IsDoubtful reports whether anybody refuses the certificate.
func (v *Verdict) IsDoubtful() bool { return len(v.Distrusted) > 0 || len(v.Refuse) > 0 }

// Reasons are why clients refuse the certificate, for people; empty when none does.
func (v *Verdict) Reasons() []string {
	var reasons []string
	for _, link := range v.Distrusted {
		reasons = append(reasons, "clients refuse the key of "+link.Name+
			", which is in each of its chains (SHA-256 "+string(link.Key)+")")
	}
	if len(v.Refuse) > 0 {
		reasons = append(reasons, "none of its chains that holds only keys which clients accept "+
			"ends at a root that is trusted by "+sanitize.Enumerate(v.Refuse))
	}
	return reasons
}

// Bounds of the search: the CA chooses the certificates, and a pool in which everybody has signed
// everybody has more paths than can be tried.
const (
	maxPool  = 32  // certificates, and so the CAs of a path
	maxPaths = 256 // of one certificate
)

// Judge says which clients accept a certificate at a time. pool are certificates of CAs that a
// client may know when it looks for a chain, in any order: those that came with the certificate.
func (j *Judge) Judge(leaf *x509.Certificate, pool []*x509.Certificate, now time.Time) Verdict {
	s := newSearch(j, pool, now)
	s.climb([]*x509.Certificate{leaf})
	return s.verdict()
}

// JudgeAbove is [Judge.Judge] for all certificates that have the same ones above them as leaf,
// whatever their own keys are.
func (j *Judge) JudgeAbove(
	leaf *x509.Certificate, pool []*x509.Certificate, now time.Time,
) Verdict {
	s := newSearch(j, pool, now)
	s.ascend([]*x509.Certificate{leaf})
	return s.verdict()
}

func newSearch(j *Judge, pool []*x509.Certificate, now time.Time) *search {
	s := &search{judge: j, now: now, accepts: make(map[string]bool), signed: make(map[pair]bool)}
	for _, c := range pool {
		if !slices.ContainsFunc(s.pool, c.Equal) && len(s.pool) < maxPool {
			s.pool = append(s.pool, c)
		}
	}
	s.unfinished = len(s.pool) == maxPool
	return s
}

// A pair is a certificate and who may have issued it.
type pair struct{ cert, issuer *x509.Certificate }

// A search tries all paths of one certificate.
type search struct {
	judge  *Judge
	pool   []*x509.Certificate
	now    time.Time
	signed map[pair]bool // signatures that were looked at

	paths      int
	clean      bool // a path without a refused key was seen
	refused    []Link
	accepts    map[string]bool
	unfinished bool
}

// climb looks at a path, and at those that go on from its end.
func (s *search) climb(path []*x509.Certificate) {
	if s.paths >= maxPaths {
		s.unfinished = true
		return
	}
	end := path[len(path)-1]
	if s.judge.refuses(KeyOf(end)) {
		s.paths++ // whoever is above it, clients refuse it
		s.note(Link{Name: sanitize.Short(end.Subject.String()), Key: KeyOf(end)})
		return
	}
	s.ascend(path)
}

// ascend is climb for a path whose end has no refused key.
func (s *search) ascend(path []*x509.Certificate) {
	end := path[len(path)-1]
	s.meet(path)
	isEnd := true
	for _, issuer := range s.pool {
		if s.continues(path, issuer) {
			isEnd = false
			s.climb(append(path[:len(path):len(path)], issuer))
		}
	}
	if isEnd {
		s.paths++
		s.clean = s.clean || s.isOpen(end)
	}
}

// isOpen reports whether a client may accept a path that goes no further: its end is a root, or was
// issued by a CA that nothing is known of. Where that CA is known and the path cannot go on there,
// since it has expired, allows no CA below itself or leads in a circle, no client goes on either.
func (s *search) isOpen(end *x509.Certificate) bool {
	if bytes.Equal(end.RawSubject, end.RawIssuer) {
		return true
	}
	return !slices.ContainsFunc(s.pool, func(c *x509.Certificate) bool {
		return s.issued(end, c)
	})
}

// meet notes the families that accept a path, which has no refused key: its end is one of their
// roots, or was issued by one.
func (s *search) meet(path []*x509.Certificate) {
	end := path[len(path)-1]
	for name, family := range s.judge.families {
		if s.accepts[name] {
			continue
		}
		if len(path) > 1 && family.anchors(end) {
			s.accepts[name] = true
			continue
		}
		for _, root := range family.issuers(end) {
			if !s.judge.refuses(KeyOf(root)) && s.issued(end, root) {
				s.accepts[name] = true
				break
			}
		}
	}
}

// continues reports whether a path goes on at a CA. Clients do not visit a CA twice: one that has
// the name and the key of another is the same.
func (s *search) continues(path []*x509.Certificate, issuer *x509.Certificate) bool {
	for _, c := range path {
		if bytes.Equal(c.RawSubject, issuer.RawSubject) &&
			bytes.Equal(c.RawSubjectPublicKeyInfo, issuer.RawSubjectPublicKeyInfo) {
			return false
		}
	}
	if s.now.Before(issuer.NotBefore) || s.now.After(issuer.NotAfter) {
		return false
	}
	if (issuer.MaxPathLen > 0 || issuer.MaxPathLenZero) && len(path)-1 > issuer.MaxPathLen {
		return false
	}
	return s.issued(path[len(path)-1], issuer)
}

// issued reports whether a CA has signed a certificate.
func (s *search) issued(cert, issuer *x509.Certificate) bool {
	if !bytes.Equal(cert.RawIssuer, issuer.RawSubject) {
		return false
	}
	key := pair{cert, issuer}
	holds, seen := s.signed[key]
	if !seen {
		holds = cert.CheckSignatureFrom(issuer) == nil
		s.signed[key] = holds
	}
	return holds
}

// refusedOfPool returns the refused keys of all certificates that came with the judged one.
func (s *search) refusedOfPool() (links []Link) {
	for _, c := range s.pool {
		if key := KeyOf(c); s.judge.refuses(key) {
			links = append(links, Link{Name: sanitize.Short(c.Subject.String()), Key: key})
		}
	}
	return links
}

// note remembers a refused key.
func (s *search) note(link Link) {
	if !slices.Contains(s.refused, link) {
		s.refused = append(s.refused, link)
	}
}

func (s *search) verdict() Verdict {
	v := Verdict{Unfinished: s.unfinished}
	switch {
	case s.clean || len(s.accepts) > 0: // a root that a family knows need not have come with it
		v.Avoid = s.refused
	case len(s.refused) == 0 && s.unfinished: // what was not looked at may be no better
		v.Distrusted = s.refusedOfPool()
	default:
		v.Distrusted = s.refused
	}
	for _, name := range slices.Sorted(maps.Keys(s.judge.families)) {
		if s.accepts[name] {
			v.Accept = append(v.Accept, name)
		} else {
			v.Refuse = append(v.Refuse, name)
		}
	}
	return v
}
