// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

import (
	"encoding/base64"
	"encoding/json"
	"html"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxDetail  = 500 // runes of CERTInext's words that an Error repeats
	maxWords   = 200 // runes of a shorter piece: a field's name, a display word
	maxRemarks = 500 // runes of free text that is sent
	minSecret  = 4   // bytes; masking shorter ones would blot out ordinary words
)

// clean makes s one printable line: control and formatting characters and broken UTF-8 become a
// space, runs of space a single one.
func clean(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	space := false
	for i, r := range s {
		if r == utf8.RuneError {
			if _, n := utf8.DecodeRuneInString(s[i:]); n == 1 {
				r = ' '
			}
		}
		if unicode.IsSpace(r) ||
			unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp) {
			space = true
			continue
		}
		if space && b.Len() > 0 {
			b.WriteByte(' ')
		}
		space = false
		b.WriteRune(r)
	}
	return b.String()
}

// cut shortens s to n runes.
func cut(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	r := []rune(s)
	return string(r[:n-1]) + "…"
}

// words returns a piece of an answer, cleaned and cut.
func words(t text) string { return cut(clean(string(t)), maxWords) }

// hostName returns a domain name from an answer. A name that is longer than DNS allows is dropped,
// not cut: half a name is another name.
func hostName(t text) string {
	name := clean(string(t))
	if len(name) > 253 {
		return ""
	}
	return name
}

// freeText prepares text that CERTInext stores. A semicolon is refused in a revocation's note with
// "Invalid Revoke Remarks" (observed 2026), and version 1 is known to treat remarks alike, so none
// is ever sent.
func freeText(s, fallback string, n int) string {
	s = cut(clean(strings.ReplaceAll(s, ";", ",")), n)
	if s == "" {
		return fallback
	}
	return s
}

// A mask hides secrets in text that came from outside.
type mask []string

// newMask prepares every spelling in which a server might send one of the secrets back, longest
// first, so that no shorter one leaves a rest behind.
func newMask(secrets ...string) mask {
	var m mask
	for _, s := range secrets {
		if len(s) < minSecret {
			continue
		}
		quoted, _ := json.Marshal(s)
		m = append(m, s, clean(s), url.QueryEscape(s), url.PathEscape(s), html.EscapeString(s),
			strings.Trim(string(quoted), `"`), base64.StdEncoding.EncodeToString([]byte(s)))
	}
	slices.SortFunc(m, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	m = slices.Compact(m)
	return slices.DeleteFunc(m, func(s string) bool { return len(s) < minSecret })
}

func (m mask) hide(s string) string {
	for _, secret := range m {
		s = strings.ReplaceAll(s, secret, redacted)
	}
	return s
}

// text returns s as one printable line of at most n runes without the secrets. It hides twice,
// because cleaning can join the parts of a secret that a stray byte separated.
func (m mask) text(s string, n int) string {
	return cut(m.hide(clean(m.hide(s))), n)
}

// htmlHint describes an HTML page by its title.
func htmlHint(page string) string {
	lower := strings.ToLower(page)
	_, rest, ok := strings.Cut(lower, "<title")
	if !ok || len(lower) != len(page) {
		return "an HTML page instead of an answer"
	}
	_, rest, _ = strings.Cut(rest, ">")
	title, _, ok := strings.Cut(page[len(page)-len(rest):], "<")
	if title = clean(html.UnescapeString(title)); !ok || title == "" {
		return "an HTML page instead of an answer"
	}
	return "an HTML page titled \"" + cut(title, 80) + "\" instead of an answer"
}

func isHTML(body []byte, contentType string) bool {
	return strings.HasPrefix(strings.ToLower(contentType), "text/html") ||
		strings.HasPrefix(strings.TrimSpace(string(body[:min(len(body), 64)])), "<")
}

const maxID = 64

// validID reports whether s can be an id. Ids are opaque: ten digits on the live service, sometimes
// with a suffix like R007, and ord_... in the documentation. Characters that could change the
// meaning of a path are refused.
func validID(s string) bool {
	if s == "" || len(s) > maxID || s == "." || s == ".." {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
			return false
		}
		return !strings.ContainsRune("-_.~:+=@", r)
	})
}

// safeID returns an id that came from CERTInext, or "" if it cannot be one.
func safeID(t text) string {
	if s := strings.TrimSpace(string(t)); validID(s) {
		return s
	}
	return ""
}

// segment returns id for use in a path.
func segment(field, id string) (string, error) {
	if !validID(id) {
		return "", &InvalidRequestError{
			Field: field, Problem: "is not an id: at most 64 letters, digits and -_.~:+=@",
		}
	}
	return url.PathEscape(id), nil
}

// root returns the path that the family's orders live under.
func (f Family) root() (string, error) {
	switch f {
	case FamilySSL, FamilyPrivatePKI, FamilySignature:
		return "/" + string(f) + "-certificates", nil
	case FamilySMIME:
		return "", &InvalidRequestError{
			Field: "Family", Problem: "smime has no path in version 2 of the API",
		}
	}
	return "", &InvalidRequestError{
		Field: "Family", Problem: "must be ssl, private-pki or signature",
	}
}

// orderPath returns the path of an order, or of something below it.
func orderPath(f Family, id, below string) (string, error) {
	root, err := f.root()
	if err != nil {
		return "", err
	}
	id, err = segment("id", id)
	if err != nil {
		return "", err
	}
	return root + "/" + id + below, nil
}
