// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package unknowns reads the table of what is not known of CERTInext, which docs/sandbox.md has
// between two marks: the questions, the simulator's switch for each, and the answers that it can
// give. It is for tests, which play every answer. It knows neither the simulator nor its settings.
package unknowns
