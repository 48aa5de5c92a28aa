// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package readiness

import (
	"fmt"
	"slices"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/internal/phrase"
)

// mostFindings bounds the problems and the notes of a report.
const mostFindings = 100

// Findings collects what a check has to say. What is the same for several roles is said once.
type findings struct {
	problems, notes list
}

// A list holds texts in the order in which they were found, and the roles that each is about.
type list struct {
	texts []string
	roles map[string][]string
}

// problem adds a problem that is not about a single role.
func (f *findings) problem(format string, args ...any) {
	f.problems.add("", fmt.Sprintf(format, args...))
}

// note adds a note that is not about a single role.
func (f *findings) note(format string, args ...any) {
	f.notes.add("", fmt.Sprintf(format, args...))
}

// add adds a text, which is about a role unless that is empty.
func (l *list) add(role, text string) {
	if !slices.Contains(l.texts, text) {
		l.texts = append(l.texts, text)
	}
	if role == "" {
		return
	}
	if l.roles == nil {
		l.roles = make(map[string][]string)
	}
	if !slices.Contains(l.roles[text], role) {
		l.roles[text] = append(l.roles[text], role)
	}
}

// said returns the texts with the roles that they are about.
func (l *list) said() []string {
	out := make([]string, 0, len(l.texts))
	for i, text := range l.texts {
		if i == mostFindings {
			out = append(out, fmt.Sprintf("%d more were found", len(l.texts)-i))
			break
		}
		switch names := l.roles[text]; {
		case len(names) == 1:
			text = "role " + names[0] + ": " + text
		case len(names) > 1:
			text = "roles " + someOf(names) + ": " + text
		}
		out = append(out, text)
	}
	return out
}

// texts returns the problems and the notes.
func (f *findings) texts() (problems, notes []string) {
	return f.problems.said(), f.notes.said()
}

// someOf names the first of some roles.
func someOf(names []string) string {
	const most = 5
	if more := len(names) - most; more > 1 {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", more)
	}
	return phrase.And(names...)
}
