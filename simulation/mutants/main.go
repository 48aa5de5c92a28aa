// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Command mutants measures the simulation: it makes the changes of list.go in copies of the tree,
// one at a time, and plays histories until one of them breaks a promise. A change that no history
// notices is a promise that the simulation does not watch.
//
//	make mutants
//	go run ./simulation/mutants -only "hung up" -seeds 1-2000
//	go run ./simulation/mutants -record simulation/mutants/RECORD.md
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
)

var (
	seeds = flag.String("seeds", "1-500", "the histories that have to notice a mutant")
	least = flag.Int("least", leastKilled, "how many mutants have to be killed")
	only  = flag.String("only", "", "play the mutants whose names hold these words, and demand nothing")
	limit = flag.Duration("limit", 2*time.Hour, "how long all of it may take")
	each  = flag.Duration("each", 15*time.Minute, "how long one mutant may take")
	cores = flag.Int("cores", runtime.NumCPU(), "how many mutants are played at a time")
	keep  = flag.String("record", "", "the file that the measurement is kept in, as Markdown")
)

func main() {
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), *limit)
	defer cancel()
	if err := measure(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

// measure plays every mutant and prints what became of each.
func measure(ctx context.Context, out io.Writer) error {
	from, to, err := seedRange(*seeds)
	if err != nil {
		return err
	}
	chosen := chosen(*only)
	here, err := os.OpenRoot(".")
	if err != nil {
		return err
	}
	defer here.Close()
	for _, m := range chosen {
		if _, err := m.fits(here); err != nil {
			return err
		}
	}
	// What kills the program as it is says nothing of a mutant.
	all := append([]Mutant{{Name: asItIs}}, chosen...)
	begun, tree := time.Now(), measured(ctx)
	verdicts := make([]verdict, len(all))
	next := make(chan int)
	var workers sync.WaitGroup
	for range min(*cores, len(all)) {
		workers.Go(func() {
			w, err := newWorker(ctx)
			if err == nil {
				defer w.close()
			}
			for i := range next {
				if err != nil {
					verdicts[i] = verdict{mutant: all[i], err: err}
					continue
				}
				verdicts[i] = w.try(ctx, all[i], from, to)
				fmt.Fprintf(os.Stderr, "%s\n", strings.TrimSpace(verdicts[i].String()+"\n"+verdicts[i].how))
			}
		})
	}
	for i := range all {
		next <- i
	}
	close(next)
	workers.Wait()
	took := time.Since(begun)
	err = report(out, verdicts, took)
	if *keep == "" {
		return err
	}
	r := record{tree: tree, command: commandLine(os.Args[1:]), seeds: *seeds, cores: *cores, took: took, verdicts: verdicts}
	return errors.Join(err, r.write(*keep))
}

const asItIs = "the program as it is"

func chosen(words string) []Mutant {
	var out []Mutant
	for _, m := range mutants {
		if strings.Contains(m.Name, words) {
			out = append(out, m)
		}
	}
	return out
}

// report prints the table. It returns an error when the measure is not met, or was not taken.
func report(out io.Writer, verdicts []verdict, took time.Duration) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	killed := 0
	var errs []error
	for i, v := range verdicts {
		fmt.Fprintf(table, "%d\t%s\n", i, strings.ReplaceAll(v.String(), ": ", "\t"))
		switch {
		case v.err != nil:
			errs = append(errs, fmt.Errorf("%s: %w", v.mutant.Name, v.err))
		case v.mutant.Name == asItIs && v.broke != "":
			errs = append(errs, fmt.Errorf("seed %d breaks %s without any mutant: %s", v.seed, v.broke, v.how))
		case v.broke != "":
			killed++
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "%d of %d mutants killed by the histories %s, in %s\n", killed, len(verdicts)-1, *seeds, took.Round(time.Second))
	if *only == "" && killed < *least {
		errs = append(errs, fmt.Errorf("%d mutants are killed, and %d have to be", killed, *least))
	}
	return errors.Join(errs...)
}

// A verdict is what became of a mutant.
type verdict struct {
	mutant Mutant
	broke  string // the promise; empty when all histories kept all of them
	seed   uint64 // that broke it
	how    string
	err    error // it could not be played
	took   time.Duration
}

// String says it in a line.
func (v verdict) String() string {
	switch took := v.took.Round(time.Second); {
	case v.err != nil:
		return fmt.Sprintf("%s: ERROR: %v", v.mutant.Name, v.err)
	case v.broke != "":
		return fmt.Sprintf("%s: killed: %s: seed %d: %s", v.mutant.Name, v.broke, v.seed, took)
	case v.mutant.Name == asItIs:
		return fmt.Sprintf("%s: green: -: -: %s", v.mutant.Name, took)
	}
	return fmt.Sprintf("%s: SURVIVES: %s: -: %s", v.mutant.Name, cmp.Or(v.mutant.Survives, "nobody has said why"), v.took.Round(time.Second))
}

// fits returns the text of the mutant's file. It is an error unless the old text is there once: the
// list has to follow the code.
func (m Mutant) fits(root *os.Root) (string, error) {
	text, err := root.ReadFile(m.File)
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(text), m.Old); n != 1 {
		return "", fmt.Errorf("%s: %s holds the old text %d times", m.Name, m.File, n)
	}
	return string(text), nil
}

func seedRange(text string) (from, to uint64, err error) {
	if n, _ := fmt.Sscanf(text, "%d-%d", &from, &to); n != 2 || from > to {
		return 0, 0, fmt.Errorf("%q is no range of seeds such as 1-500", text)
	}
	return from, to, nil
}
