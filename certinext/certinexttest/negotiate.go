// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// accepts reports whether r's Accept header allows any of the media types; no
// header allows everything.
func accepts(r *http.Request, mediaTypes ...string) bool {
	return preferred(r, mediaTypes...) != ""
}

// preferred returns the media type that r's Accept header ranks highest, the
// first of equals, or "" if it allows none.
func preferred(r *http.Request, mediaTypes ...string) string {
	header := strings.Join(r.Header.Values("Accept"), ",")
	if strings.TrimSpace(header) == "" {
		return mediaTypes[0]
	}
	best, bestQ := "", 0.0
	for _, m := range mediaTypes {
		if q := quality(header, m); q > bestQ {
			best, bestQ = m, q
		}
	}
	return best
}

// quality is the q-value of the most specific range that matches mediaType.
func quality(header, mediaType string) float64 {
	major, _, _ := strings.Cut(mediaType, "/")
	q, specificity := 0.0, 0
	for part := range strings.SplitSeq(header, ",") {
		name, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		s := 0
		switch name {
		case mediaType:
			s = 3
		case major + "/*":
			s = 2
		case "*/*":
			s = 1
		}
		if s > specificity {
			specificity, q = s, qvalue(params["q"])
		}
	}
	return q
}

func qvalue(s string) float64 {
	if s == "" {
		return 1
	}
	q, err := strconv.ParseFloat(s, 64)
	if err != nil || q < 0 || q > 1 {
		return 0
	}
	return q
}
