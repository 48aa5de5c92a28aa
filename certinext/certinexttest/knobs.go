// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"errors"
	"time"
)

// duration is a time.Duration that JSON spells "1m30s".
type duration time.Duration

// MarshalText writes the duration as time.Duration does.
func (d duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what time.ParseDuration reads.
func (d *duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil {
		return errors.New("must be a duration, such as 1m30s")
	}
	*d = duration(v)
	return nil
}

// MarshalText names the chain order.
func (o ChainOrder) MarshalText() ([]byte, error) { return nameOf(chainOrders, o) }

// UnmarshalText reads good, root-first or absent.
func (o *ChainOrder) UnmarshalText(b []byte) error { return byName(chainOrders, b, o) }

var chainOrders = []string{ChainGood: "good", ChainRootFirst: "root-first", ChainAbsent: "absent"}

// MarshalText names the shape.
func (d DCVShape) MarshalText() ([]byte, error) { return nameOf(dcvShapes, d) }

// UnmarshalText reads by-dialect, live, doc1, doc2 or doc2-prose.
func (d *DCVShape) UnmarshalText(b []byte) error { return byName(dcvShapes, b, d) }

var dcvShapes = []string{
	DCVByDialect: "by-dialect", DCVLive: "live", DCVDoc1: "doc1", DCVDoc2: "doc2",
	DCVDoc2Prose: "doc2-prose",
}
