// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package metrics renders the standing of a mount in the text format of Prometheus. It is pure.
//
// It promises a number of series that grows with the roles, the budgets and the states that there
// are, and never with orders, certificates, domains or requesters; and that no series names a
// certificate, a domain or a person. It knows nothing of where the standing is from.
package metrics

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/standing"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
)

// MediaType is that of what [Write] returns: version 0.0.4 of the text format.
const MediaType = "text/plain; version=0.0.4; charset=utf-8"

// Write renders a standing. version is the plugin's.
func Write(s *standing.Status, version string) ([]byte, error) {
	all := prometheus.NewPedanticRegistry()
	if err := all.Register(&collector{s, version}); err != nil {
		return nil, fmt.Errorf("the metrics contradict each other: %w", err)
	}
	families, err := all.Gather()
	if err != nil {
		return nil, fmt.Errorf("the metrics contradict each other: %w", err)
	}
	var out bytes.Buffer
	for _, family := range families {
		if _, err := expfmt.MetricFamilyToText(&out, family); err != nil {
			return nil, fmt.Errorf("writing metric %s: %w", family.GetName(), err)
		}
	}
	return out.Bytes(), nil
}

// Names returns the names of all metrics, sorted. A histogram has one.
func Names() []string {
	names := []string{Durations, Info}
	for _, f := range families {
		names = append(names, f.name)
	}
	slices.Sort(names)
	return names
}
