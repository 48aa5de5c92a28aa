// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package metrics

import (
	"github.com/certinext/vault-plugin-secrets-certinext/backend/standing"
	"github.com/prometheus/client_golang/prometheus"
)

// Durations is the name of the histogram of how long requests to CERTInext take, and Info that of
// the series whose label is the plugin's version.
const (
	Durations = "certinext_request_duration_seconds"
	Info      = "certinext_info"
)

// A collector tells a registry the metrics of one standing.
type collector struct {
	status  *standing.Status
	version string
}

var (
	durations = prometheus.NewDesc(Durations, "How long requests to CERTInext take, by operation.",
		[]string{"operation"}, nil)
	info = prometheus.NewDesc(Info, "1; the plugin's version is its label.",
		[]string{"version"}, nil)
)

func (f *family) desc() *prometheus.Desc {
	return prometheus.NewDesc(f.name, f.help, f.labels, nil)
}

// Describe tells what there may be.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for i := range families {
		to <- families[i].desc()
	}
	to <- durations
	to <- info
}

// Collect tells what there is.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	for i := range families {
		f := &families[i]
		desc := f.desc()
		f.values(c.status, func(value float64, labels ...string) {
			m, err := prometheus.NewConstMetric(desc, f.kind, value, labels...)
			if err != nil {
				m = prometheus.NewInvalidMetric(desc, err)
			}
			to <- m
		})
	}
	for _, o := range c.status.CA.Operations {
		m, err := prometheus.NewConstHistogram(
			durations, o.Timed, o.Took.Seconds(), o.Within, o.Name)
		if err != nil {
			m = prometheus.NewInvalidMetric(durations, err)
		}
		to <- m
	}
	m, err := prometheus.NewConstMetric(info, gauge, 1, c.version)
	if err != nil {
		m = prometheus.NewInvalidMetric(info, err)
	}
	to <- m
}
