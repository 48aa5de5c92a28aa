// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package dcv

import (
	"context"
	"strings"

	"github.com/libdns/libdns"
)

// valuesBeside are the values of all records that have the name and the type of one.
func valuesBeside(ctx context.Context, zone libdns.RecordGetter, name string, record libdns.Record) ([]string, error) {
	all, err := zone.GetRecords(ctx, name)
	if err != nil {
		return nil, err
	}
	return valuesAmong(all, record), nil
}

func valuesAmong(all []libdns.Record, record libdns.Record) []string {
	var values []string
	for _, r := range all {
		if r, like := r.RR(), record.RR(); r.Type == like.Type && strings.EqualFold(r.Name, like.Name) {
			values = append(values, r.Data)
		}
	}
	return values
}
