// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"
)

// CERTInext's JSON is not typed consistently: ids come as numbers and strings, booleans as "0" and
// "1", and an empty list may be "" (observed 2026). The types below accept any of these. Only the
// outermost value of an answer has to be of the right kind; an inner value of the wrong kind reads
// as absent.

var (
	errEmptyAnswer = errors.New("the answer is empty")
	errNotJSON     = errors.New("the answer is not valid JSON")
	errWrongShape  = errors.New("the answer has an unknown shape")
)

// unmarshal decodes an answer. Its errors quote nothing of the body, because they are shown to
// users and the body is untrusted.
func unmarshal(body []byte, v any) error {
	body = trim(body)
	if len(body) == 0 {
		return errEmptyAnswer
	}
	if err := json.Unmarshal(body, v); err != nil {
		var t *json.UnmarshalTypeError
		if errors.As(err, &t) || errors.Is(err, errWrongShape) {
			return errWrongShape
		}
		return errNotJSON
	}
	return nil
}

// trim removes white space and a byte order mark.
func trim(body []byte) []byte {
	return bytes.TrimSpace(bytes.TrimPrefix(bytes.TrimSpace(body), []byte("\ufeff")))
}

// unmarshalObject decodes an answer that must be an object.
func unmarshalObject(body []byte, v any) error {
	trimmed := trim(body)
	if len(trimmed) > 0 && trimmed[0] != '{' && json.Valid(trimmed) {
		return errWrongShape
	}
	return unmarshal(body, v)
}

// text is a string, a number or a boolean.
type text string

// UnmarshalJSON reads what is not a list or an object as its text, and these as empty.
func (t *text) UnmarshalJSON(b []byte) error {
	*t = ""
	switch b[0] {
	case '"':
		var s string
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
		*t = text(s)
	case '{', '[', 'n':
	default:
		*t = text(b)
	}
	return nil
}

// flag is a boolean, 0 or 1, or either in quotes.
type flag struct{ set, on bool }

// UnmarshalJSON leaves the flag unset when the value is not a boolean in any spelling.
func (f *flag) UnmarshalJSON(b []byte) error {
	var t text
	if err := t.UnmarshalJSON(b); err != nil {
		return err
	}
	switch strings.ToLower(strings.TrimSpace(string(t))) {
	case "true", "1", "yes", "y":
		*f = flag{set: true, on: true}
	case "false", "0", "no", "n":
		*f = flag{set: true}
	default:
		*f = flag{}
	}
	return nil
}

func (f flag) pointer() *bool {
	if !f.set {
		return nil
	}
	return &f.on
}

// count is a whole number, in quotes or not; anything else is zero.
type count int

// UnmarshalJSON reads a negative, broken or huge number as zero.
func (c *count) UnmarshalJSON(b []byte) error {
	var t text
	if err := t.UnmarshalJSON(b); err != nil {
		return err
	}
	*c = 0
	if f, _ := strconv.ParseFloat(strings.TrimSpace(string(t)), 64); f > 0 && f < 1<<31 &&
		f == float64(int(f)) {
		*c = count(f)
	}
	return nil
}

// moment is a point in time in any of CERTInext's spellings; what is not understood is zero.
type moment struct{ time.Time }

// UnmarshalJSON reads a time as [parseTime] does.
func (m *moment) UnmarshalJSON(b []byte) error {
	var t text
	if err := t.UnmarshalJSON(b); err != nil {
		return err
	}
	m.Time = parseTime(string(t))
	return nil
}

// parseTime reads RFC 3339 and, without a zone, the forms that CERTInext also uses. Those are taken
// as UTC; no source names their zone.
func parseTime(s string) time.Time {
	s = strings.TrimSpace(s)
	for _, layout := range []string{
		time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05", time.DateTime,
		time.DateOnly,
	} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}

// object is an object; anything else reads as absent.
type object[T any] struct {
	set   bool
	value T
}

// UnmarshalJSON leaves the object unset when the value is of another kind.
func (o *object[T]) UnmarshalJSON(b []byte) error {
	*o = object[T]{}
	if b[0] != '{' {
		return nil
	}
	o.set = true
	return json.Unmarshal(b, &o.value)
}

// list is an array, or a single element without its brackets; "" and null are the empty list.
// Elements of the wrong kind are left out.
type list[T any] []T

// UnmarshalJSON skips elements that are not of the type T.
func (l *list[T]) UnmarshalJSON(b []byte) error {
	*l = nil
	elements := []json.RawMessage{b}
	switch {
	case bytes.Equal(b, []byte("null")), bytes.Equal(b, []byte(`""`)):
		return nil
	case b[0] == '[':
		if err := json.Unmarshal(b, &elements); err != nil {
			return err
		}
	}
	for _, e := range elements {
		var one T
		if json.Unmarshal(e, &one) == nil {
			*l = append(*l, one)
		}
	}
	return nil
}

// texts returns the strings of a list without the empty ones.
func texts(l list[text]) []string {
	var out []string
	for _, t := range l {
		if s := words(t); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// decodeRows reads a list that stands under one of the names, or bare. Its elements must be
// objects: a row that is left out without an error could be the order that a caller is looking for.
func decodeRows[T any](body []byte, names ...string) ([]T, error) {
	body = trim(body)
	if len(body) == 0 {
		return nil, errEmptyAnswer
	}
	raw := json.RawMessage(body)
	if body[0] != '[' {
		var wrapper map[string]json.RawMessage
		if err := unmarshal(body, &wrapper); err != nil {
			return nil, err
		}
		raw = nil
		for _, name := range names {
			if v, ok := wrapper[name]; ok {
				raw = v
				break
			}
		}
		if raw == nil {
			return nil, errWrongShape
		}
	}
	if raw = bytes.TrimSpace(raw); bytes.Equal(raw, []byte("null")) ||
		bytes.Equal(raw, []byte(`""`)) {
		return nil, nil
	}
	var elements []json.RawMessage
	if err := unmarshal(raw, &elements); err != nil {
		return nil, err
	}
	rows := make([]T, len(elements))
	for i, e := range elements {
		if err := unmarshalObject(e, &rows[i]); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// A page is one page of a longer list.
type page[T any] struct {
	rows   []T
	number int // as CERTInext counts; -1 when it does not say
	total  int // rows of the whole list; -1 when CERTInext does not say
	pages  int // of the whole list; -1 when CERTInext does not say
}

func decodePage[T any](body []byte, names ...string) (page[T], error) {
	p := page[T]{number: -1, total: -1, pages: -1}
	rows, err := decodeRows[T](body, append([]string{"content"}, names...)...)
	if err != nil {
		return p, err
	}
	p.rows = rows
	var w struct {
		Page          *count `json:"page"`
		TotalElements *count `json:"totalElements"`
		TotalPages    *count `json:"totalPages"`
	}
	_ = unmarshalObject(body, &w) // fails on a bare list, which has none of this
	if w.Page != nil {
		p.number = int(*w.Page)
	}
	if w.TotalElements != nil && (*w.TotalElements > 0 || len(p.rows) == 0) {
		p.total = int(*w.TotalElements)
	}
	if w.TotalPages != nil && (*w.TotalPages > 0 || len(p.rows) == 0) {
		p.pages = int(*w.TotalPages)
	}
	return p, nil
}
