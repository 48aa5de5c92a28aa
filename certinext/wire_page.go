// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

import (
	"bytes"
	"encoding/json"
)

// decodeRows reads a list that stands under one of the names, or bare. Its elements must be objects: a row that is
// silently left out could be the order that somebody is looking for.
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
	if raw = bytes.TrimSpace(raw); bytes.Equal(raw, []byte("null")) || bytes.Equal(raw, []byte(`""`)) {
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
