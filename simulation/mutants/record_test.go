// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestARecordSaysWhatBecameOfEachMutant(t *testing.T) {
	text := record{
		tree: "commit abc (x)", command: "go run ./simulation/mutants", seeds: "1-500", cores: 1, took: 3 * time.Minute,
		verdicts: []verdict{
			{mutant: Mutant{Name: asItIs}},
			{mutant: Mutant{Name: "a | b"}, broke: "money/again", seed: 7, took: 2 * time.Second},
			{mutant: Mutant{Name: "c", File: "x.go", Survives: "another line does it"}},
			{mutant: Mutant{Name: "d"}, err: errors.New("it does not\ncompile")},
		},
	}.markdown()
	assert.Contains(t, text, "1 of 3 mutants are killed")
	assert.Contains(t, text, "commit abc (x)")
	assert.Contains(t, text, `| 1 | a \| b |  | `+"`money/again`"+` | 7 | 2s |`)
	assert.Contains(t, text, "- **c** (x.go): another line does it\n")
	assert.Contains(t, text, "not measured: it does not compile")
}

func TestACommandLineIsToldWithoutItsRecord(t *testing.T) {
	assert.Equal(t, `go run ./simulation/mutants -cores 1 -only "hung up"`,
		commandLine([]string{"-cores", "1", "-record", "x.md", "-only", "hung up"}))
	assert.Equal(t, "go run ./simulation/mutants", commandLine([]string{"--record=x.md"}))
}
