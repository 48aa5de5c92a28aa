// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-secure-stdlib/parseutil"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

// HandleRequest serves a request of Vault's. Before the framework sees it, its fields are brought
// into the form of their types, so that whatever cannot be read is told in one way, and without
// being repeated: it may be a secret in the wrong field.
func (b *secretsBackend) HandleRequest(
	ctx context.Context, req *logical.Request,
) (*logical.Response, error) {
	if problem := pathProblem(req.Path); problem != "" {
		return logical.ErrorResponse(problem), nil
	}
	if req.Operation == logical.HelpOperation {
		return helpResponse(b.Backend.HandleRequest(ctx, req))
	}
	path := b.Route(req.Path)
	if path == nil || !takesFields(req.Operation) {
		resp, err := b.Backend.HandleRequest(ctx, req)
		return atMount(resp, req.MountPoint), err
	}
	read := *req
	var problem string
	if read.Data, problem = readInput(req.Data, path.Fields, req.Operation); problem != "" {
		return logical.ErrorResponse(problem), nil
	}
	resp, err := b.Backend.HandleRequest(ctx, &read)
	return atMount(resp, req.MountPoint), err
}

// takesFields reports whether the fields of a request are those of its path.
func takesFields(op logical.Operation) bool {
	return slices.Contains([]logical.Operation{
		logical.CreateOperation, logical.UpdateOperation, logical.PatchOperation,
		logical.ReadOperation, logical.ListOperation, logical.DeleteOperation,
	}, op)
}

// longestElement bounds what a path names, in bytes: no host name is longer, and not every storage
// of Vault's takes longer keys.
const longestElement = 253

// pathProblem says which element of a path no storage takes. That would be a fault otherwise, which
// Vault's clients send again. A request_id is never part of a key.
func pathProblem(path string) string {
	path, _, _ = strings.Cut(path, "/request/")
	for element := range strings.SplitSeq(path, "/") {
		switch {
		case len(element) > longestElement:
			return fmt.Sprintf("a name in the path has %d characters, and may have %d",
				len(element), longestElement)
		case strings.Contains(element, ".."):
			return "a name in the path holds two dots in a row, which Vault cannot store: " +
				"use another name"
		}
	}
	return ""
}

// readInput returns the fields of a request in the form of their types; problem says which cannot
// be read. Fields that are null are left out, except in a patch: there they are null still, which
// means the default (RFC 7396). Unknown fields stay as they are.
func readInput(
	data map[string]any, fields map[string]*framework.FieldSchema, op logical.Operation,
) (read map[string]any, problem string) {
	read = maps.Clone(data)
	for _, name := range slices.Sorted(maps.Keys(data)) {
		field, raw := fields[name], data[name]
		switch {
		case field == nil:
		case name == "dry_run" && !isBoolean(raw):
			// A request that is to buy nothing must not buy because of how it says so.
			return nil, name + ": must be true or false"
		case raw == nil && op == logical.PatchOperation:
		case raw == nil:
			delete(read, name)
		default:
			value, kind := readField(name, raw, field)
			if kind != "" {
				return nil, name + ": must be " + kind
			}
			read[name] = value
		}
	}
	return read, ""
}

// isBoolean reports whether a value is one as it is written: neither null, nor empty, nor a number
// that is taken for true.
func isBoolean(raw any) bool {
	_, err := strconv.ParseBool(strings.TrimSpace(fmt.Sprint(raw)))
	return err == nil
}

// readField returns a value in the form of its field's type. must says what the value has to be; it
// is empty when that is what it is.
func readField(name string, raw any, field *framework.FieldSchema) (value any, must string) {
	var err error
	if n, isFloat := raw.(float64); isFloat && n == math.Trunc(n) && math.Abs(n) < 1<<53 {
		raw = int64(n)
	}
	bare := raw
	if s, isText := raw.(string); isText {
		bare = strings.TrimSpace(s)
	}
	switch field.Type {
	case framework.TypeString:
		must = "text"
		value, err = parseutil.ParseString(raw)
	case framework.TypeBool:
		must = "true or false"
		value, err = parseutil.ParseBool(bare)
	case framework.TypeInt:
		must = "a whole number"
		value, err = parseutil.SafeParseInt(bare)
	case framework.TypeDurationSecond, framework.TypeSignedDurationSecond:
		must = "whole seconds, as a number or as a duration such as 90s, 72h or 30d"
		value, err = wholeSeconds(bare)
	case framework.TypeCommaStringSlice:
		must = "a list of texts, or one text with commas between them"
		value, err = parseutil.ParseCommaStringSlice(raw)
	case framework.TypeFloat:
		must = "a number"
		value, _, err = valueOf(name, bare, field)
	default:
		must = "a map, or a list of texts such as name=value"
		_, _, err = valueOf(name, raw, field)
		value = raw
	}
	if err != nil {
		return nil, must
	}
	return value, ""
}

// valueOf returns what Vault's framework makes of a field.
func valueOf(name string, raw any, field *framework.FieldSchema) (any, bool, error) {
	d := framework.FieldData{
		Raw:    map[string]any{name: raw},
		Schema: map[string]*framework.FieldSchema{name: field},
	}
	return d.GetOkErr(name)
}

// wholeSeconds returns the number of seconds of a duration.
func wholeSeconds(raw any) (int, error) {
	d, err := parseutil.ParseDurationSecond(raw)
	if err != nil {
		return 0, err
	}
	if d%time.Second != 0 {
		return 0, strconv.ErrSyntax
	}
	return int(d / time.Second), nil
}
