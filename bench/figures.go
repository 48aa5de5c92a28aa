// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"slices"
	"time"
)

// A Usage is what the processes have spent and done up to a moment.
type Usage struct {
	Plugin, Server, CA time.Duration // of processors
	Reads, Writes      float64       // of Vault's storage, by all of Vault
	CACalls            float64
}

func (u Usage) minus(o Usage) Usage {
	return Usage{
		u.Plugin - o.Plugin, u.Server - o.Server, u.CA - o.CA,
		u.Reads - o.Reads, u.Writes - o.Writes, u.CACalls - o.CACalls,
	}
}

func (u Usage) plus(o Usage) Usage {
	return u.minus(Usage{}.minus(o))
}

// A Measure is what the blocks of a case came to.
type Measure struct {
	Case  Case
	Took  []time.Duration // of each call
	Wall  time.Duration   // of all blocks together
	Spent Usage
	RSS   int64 // of the plugin at the end, in bytes
}

// add adds what another block came to.
func (m *Measure) add(o Measure) {
	m.Took, m.Wall = append(m.Took, o.Took...), m.Wall+o.Wall
	m.Spent, m.RSS = m.Spent.plus(o.Spent), o.RSS
}

// Rate returns the calls in a second.
func (m *Measure) Rate() float64 {
	if m.Wall <= 0 {
		return 0
	}
	return float64(len(m.Took)) / m.Wall.Seconds()
}

// Percentile returns what so many percent of the calls took at most, by the nearest rank.
func (m *Measure) Percentile(p int) time.Duration {
	if len(m.Took) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(m.Took))
	rank := (p*len(sorted) + 99) / 100
	return sorted[max(rank, 1)-1]
}

// Each returns a figure by the call.
func (m *Measure) Each(total float64) float64 {
	if len(m.Took) == 0 {
		return 0
	}
	return total / float64(len(m.Took))
}

// A Share is where the time of an issue goes within the plugin, as nanoseconds of one issue.
type Share struct {
	Wall, CA, Storage, Key, Own float64
}

// A Result is everything that a run has measured.
type Result struct {
	Measures []*Measure
	Share    Share
	// Start is what the first answer took of a plugin that was started anew, with so many
	// certificates stored.
	Start  time.Duration
	Stored int
}

// of returns the measure of a case; nil when it was not measured.
func (r *Result) of(c Case) *Measure {
	for _, m := range r.Measures {
		if m.Case == c {
			return m
		}
	}
	return nil
}

// ratio returns the rate of a case by that of the other engine, and false when one is missing.
func (r *Result) ratio(c Case) (float64, bool) {
	ours := r.of(c)
	c.Engine, c.Latency = PKI, 0
	theirs := r.of(c)
	if ours == nil || theirs == nil || theirs.Rate() == 0 {
		return 0, false
	}
	return ours.Rate() / theirs.Rate(), true
}
