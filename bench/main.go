// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/internal/phrase"
)

// A run is what the command line asks for.
type run struct {
	programs Programs
	clients  []int
	latency  time.Duration
	block    time.Duration
	turns    int
	fill     int
	out      string // folder of the page and the chart; empty for none
	raw      string // file for benchstat; empty for none
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	r := run{clients: []int{1, 8, 64}}
	flag.StringVar(&r.programs.Vault, "vault", "", "the Vault server")
	flag.StringVar(&r.programs.Plugin, "plugin", "build/"+pluginName, "the plugin")
	flag.StringVar(&r.programs.Sandbox, "sandbox", "build/certinext-sandbox", "the CA simulator")
	flag.DurationVar(&r.latency, "latency", 50*time.Millisecond, "of each call to a CA that is slow")
	flag.DurationVar(&r.block, "block", 2*time.Second, "how long a case goes on in its turn")
	flag.IntVar(&r.turns, "turns", 2, "turns of each case")
	flag.IntVar(&r.fill, "stored", 1000, "certificates that are stored before anything is measured")
	flag.StringVar(&r.out, "out", "", "folder whose performance.md and performance.svg are written")
	flag.StringVar(&r.raw, "raw", "", "file for benchstat")
	flag.Parse()
	if r.programs.Vault == "" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := r.do(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// do measures everything, tells w, and writes the page.
func (r run) do(ctx context.Context, w io.Writer) error {
	began := time.Now()
	result, err := r.measure(ctx, w)
	if err != nil {
		return err
	}
	if result.Share, err = shares(ctx); err != nil {
		return err
	}
	fmt.Fprintf(w, "\n%s", verdicts(targets(result, r.clients, r.latency)))
	fmt.Fprintf(w, "measured in %s\n", phrase.Duration(time.Since(began)))
	if r.raw != "" {
		if err := os.WriteFile(r.raw, []byte(benchstat(result)), 0o600); err != nil {
			return err
		}
	}
	if r.out == "" {
		return nil
	}
	return r.publish(ctx, result)
}

// measure sets the rig up, and goes through all rounds.
func (r run) measure(ctx context.Context, w io.Writer) (*Result, error) {
	rig, err := setUp(ctx, r.programs)
	if err != nil {
		return nil, err
	}
	defer rig.close()
	d := &Driver{rig: rig, block: r.block, turns: r.turns}
	if err := d.fill(ctx, r.fill); err != nil {
		return nil, err
	}
	result := new(Result)
	for _, round := range rounds(r.clients, r.latency) {
		measured, err := d.round(ctx, round)
		if err != nil {
			return nil, err
		}
		for _, m := range measured {
			fmt.Fprint(w, line(m))
		}
		result.Measures = append(result.Measures, measured...)
	}
	if err := rig.slow(ctx, 0); err != nil {
		return nil, err
	}
	for _, m := range result.Measures {
		if m.Case.Engine == Certinext {
			result.Stored += len(m.Took)
		}
	}
	result.Stored += r.fill
	result.Start, err = rig.start(ctx)
	return result, err
}
