// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

import (
	"net/url"
	"strings"
)

const maxID = 64

// validID reports whether s can be an id. Ids are opaque: ten digits on the live service, sometimes with a suffix like
// R007, and ord_... in the documentation. What could change the meaning of a path is none.
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
		return "", &InvalidRequestError{Field: field, Problem: "is not an id: at most 64 letters, digits and -_.~:+=@"}
	}
	return url.PathEscape(id), nil
}

// root returns the path that the family's orders live under.
func (f Family) root() (string, error) {
	switch f {
	case FamilySSL, FamilyPrivatePKI, FamilySignature:
		return "/" + string(f) + "-certificates", nil
	case FamilySMIME:
		return "", &InvalidRequestError{Field: "Family", Problem: "smime has no path in version 2 of the API"}
	}
	return "", &InvalidRequestError{Field: "Family", Problem: "must be ssl, private-pki or signature"}
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
