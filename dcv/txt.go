// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package dcv

import (
	"context"
	"strings"

	"github.com/libdns/libdns"
)

// valuesBeside returns the values of all records of a zone that have record's name and type.
func valuesBeside(
	ctx context.Context, provider libdns.RecordGetter, zone string, record libdns.Record,
) ([]string, error) {
	all, err := provider.GetRecords(ctx, zone)
	if err != nil {
		return nil, err
	}
	return valuesAmong(all, record), nil
}

// valuesAmong returns the values of those records that have record's name and type.
func valuesAmong(all []libdns.Record, record libdns.Record) []string {
	var values []string
	for _, r := range all {
		if r, like := r.RR(), record.RR(); r.Type == like.Type &&
			strings.EqualFold(r.Name, like.Name) {
			values = append(values, r.Data)
		}
	}
	return values
}
