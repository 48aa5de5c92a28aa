// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package unknowns

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// A Row is a question that no source answers.
type Row struct {
	Question string
	// Switch is the name of the setting that chooses the answer, "" where there is none.
	Switch string
	// Answers are values of the setting as a configuration file has them, without their quotes.
	Answers []string
	// Instead says why there is no switch.
	Instead string
}

// row is question, switch, answers, source of the default, outcome. A dash stands for no switch.
var row = regexp.MustCompile(
	"^\\| ([^|]+\\?) \\| (?:`(\\w+)`|—) \\| ([^|]+) \\| [^|]+ \\| [^|]+ \\|$",
)

// Table reads the rows of a page.
func Table(page string) ([]Row, error) {
	_, table, begins := strings.Cut(page, "<!-- unknowns -->")
	table, _, ends := strings.Cut(table, "<!-- /unknowns -->")
	lines := strings.Split(strings.TrimSpace(table), "\n")
	if !begins || !ends || len(lines) < 3 {
		return nil, fmt.Errorf("the page has no table between its marks")
	}
	var rows []Row
	for _, line := range lines[2:] {
		cells := row.FindStringSubmatch(line)
		if cells == nil {
			return nil, fmt.Errorf("this is no row of five cells, of which the first is a "+
				"question and the second a switch or a dash: %s", line)
		}
		r := Row{Question: cells[1], Switch: cells[2]}
		if r.Switch == "" {
			r.Instead = cells[3]
		} else {
			r.Answers = answers(cells[3])
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// answers are the values of a cell, each the first code span of what a comma ends.
func answers(cell string) (list []string) {
	for part := range strings.SplitSeq(cell, ",") {
		if _, rest, found := strings.Cut(part, "`"); found {
			answer, _, _ := strings.Cut(rest, "`")
			list = append(list, answer)
		}
	}
	return list
}

// Object is the settings object, of one member, that gives an answer: {"pemLag":"5s"}. The kind is
// the type of the setting in its JSON Schema.
func Object(name string, kind any, answer string) (string, error) {
	var value any = answer
	switch kind {
	case "boolean", "integer", "number":
		value = json.RawMessage(answer)
	case "array":
		value = []string{answer}
	}
	object, err := json.Marshal(map[string]any{name: value})
	return string(object), err
}
