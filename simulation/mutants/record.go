// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// A record is a measurement as it is kept: what was measured, and what became of each mutant.
type record struct {
	tree     string // what was measured
	command  string
	seeds    string
	cores    int
	took     time.Duration
	verdicts []verdict // the program as it is comes first
}

// measured says which tree is measured. It is asked before the measurement begins: the tree may
// change while that runs.
func measured(ctx context.Context) string {
	git := func(args ...string) string {
		out, err := exec.CommandContext(ctx, "git", args...).Output()
		if err != nil {
			return ""
		}
		return strings.TrimSpace(string(out))
	}
	commit := git("log", "-1", "--format=%h (%s)")
	switch {
	case commit == "":
		return "a tree of no known commit"
	case git("status", "--porcelain", "--", "*.go", "go.mod", "go.sum") != "":
		return "commit " + commit + ", with changes that were not committed"
	}
	return "commit " + commit
}

// commandLine is how the program was called, but for where the record goes.
func commandLine(args []string) string {
	out := []string{"go run ./simulation/mutants"}
	for i := 0; i < len(args); i++ {
		switch name := strings.TrimLeft(args[i], "-"); {
		case name == "record":
			i++
		case strings.HasPrefix(name, "record="):
		case strings.Contains(args[i], " "):
			out = append(out, fmt.Sprintf("%q", args[i]))
		default:
			out = append(out, args[i])
		}
	}
	return strings.Join(out, " ")
}

// write keeps the record in a file.
func (r record) write(file string) error {
	return os.WriteFile(file, []byte(r.markdown()), 0o644) //nolint:gosec // it is for everybody to read
}

// markdown is the record as people read it.
func (r record) markdown() string {
	killed, mutants := 0, r.verdicts[1:]
	for _, v := range mutants {
		if v.err == nil && v.broke != "" {
			killed++
		}
	}
	var out strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&out, format+"\n", args...) }
	line("# What the simulation notices\n")
	line("Written by `%s -record`; not by hand. A mutant is a change of the code that decides what is bought, who gets it,", commandLine(nil))
	line("and what is revoked; [list.go](list.go) has each of them. It is killed when a history breaks a promise that the program as it is keeps.\n")
	line("- **Result:** %d of %d mutants are killed; at least %d have to be.", killed, len(mutants), leastKilled)
	line("- **Measured:** %s, %s.", r.tree, runtime.Version())
	line("- **Histories:** seeds %s. The program as it is: %s.", r.seeds, r.verdicts[0].outcome())
	line("- **Command:** `%s`.", r.command)
	line("- **Time:** %s, %d mutant(s) at a time, one processor each.\n", r.took.Round(time.Second), r.cores)
	line("| | What the program does now | What it stands for | Killed by the promise | Seed | Time |")
	line("|--:|---|---|---|--:|--:|")
	for i, v := range mutants {
		seed := "-"
		if v.broke != "" {
			seed = fmt.Sprint(v.seed)
		}
		line("| %d | %s | %s | %s | %s | %s |", i+1, cell(v.mutant.Name), cell(v.mutant.Like), v.outcome(), seed, v.took.Round(time.Second))
	}
	if killed < len(mutants) {
		line("\n## Survivors\n")
		for _, v := range mutants {
			if v.err == nil && v.broke == "" {
				line("- **%s** (%s): %s", v.mutant.Name, v.mutant.File, cmp.Or(v.mutant.Survives, "nobody has said why"))
			}
		}
	}
	return out.String()
}

// outcome is what became of a mutant, in a cell of the table.
func (v verdict) outcome() string {
	switch {
	case v.err != nil:
		return "not measured: " + cell(v.err.Error())
	case v.broke != "":
		return "`" + v.broke + "`"
	case v.mutant.Name == asItIs:
		return "keeps every promise"
	}
	return "survives"
}

// cell is text that fits in a cell of a table.
func cell(text string) string {
	return strings.NewReplacer("|", "\\|", "\n", " ").Replace(text)
}
