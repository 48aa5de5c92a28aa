// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// A worker plays one mutant at a time, in a copy of the tree of its own.
type worker struct {
	dir  string
	tree *os.Root // the same
}

// newWorker copies what there is in the present folder, whether it is committed or not.
func newWorker(ctx context.Context) (*worker, error) {
	dir, err := os.MkdirTemp("", "certinext-mutants-")
	if err != nil {
		return nil, err
	}
	w := &worker{dir: dir}
	if w.tree, err = os.OpenRoot(dir); err == nil {
		err = w.copyTree(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return w, nil
}

// close removes the copy.
func (w *worker) close() {
	_ = w.tree.Close()
	_ = os.RemoveAll(w.dir)
}

func (w *worker) copyTree(ctx context.Context) error {
	from, err := os.OpenRoot(".")
	if err != nil {
		return err
	}
	defer from.Close()
	return fs.WalkDir(from.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case d.IsDir() && (path == ".git" || path == "build"):
			return fs.SkipDir
		case d.IsDir():
			return w.tree.MkdirAll(path, 0o700)
		case path == ".git", !d.Type().IsRegular(): // in a worktree it is a file
			return nil
		}
		text, err := from.ReadFile(path)
		if err != nil {
			return err
		}
		return w.tree.WriteFile(path, text, 0o600)
	})
}

// try makes a mutant, plays it, and undoes it.
func (w *worker) try(ctx context.Context, m Mutant, from, to uint64) (v verdict) {
	begun := time.Now()
	defer func() { v.took = time.Since(begun) }()
	v.mutant = m
	if m.File != "" {
		text, err := m.fits(w.tree)
		if err == nil {
			err = w.tree.WriteFile(m.File, []byte(strings.Replace(text, m.Old, m.New, 1)), 0o600)
		}
		if err != nil {
			v.err = err
			return v
		}
		defer func() { v.err = errors.Join(v.err, w.tree.WriteFile(m.File, []byte(text), 0o600)) }()
	}
	ctx, cancel := context.WithTimeout(ctx, *each)
	defer cancel()
	program := filepath.Join(w.dir, "mutant.test")
	// -trimpath has the copies share what the build cache knows of the packages that are not changed.
	build := exec.CommandContext(ctx, "go", "test", "-c", "-trimpath", "-o", program, "./simulation")
	build.Dir = w.dir
	if out, err := build.CombinedOutput(); err != nil {
		v.err = fmt.Errorf("it does not compile: %w\n%s", err, out)
		return v
	}
	for chunk := from; chunk <= to && v.broke == "" && v.err == nil; chunk += chunkSize {
		w.play(ctx, &v, program, chunk, min(chunk+chunkSize-1, to))
	}
	return v
}

// chunkSize is how many histories a process plays: what a long one forgets to free does not add up.
const chunkSize = 100

// play plays a range of histories until one of them breaks a promise.
func (w *worker) play(ctx context.Context, v *verdict, program string, from, to uint64) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	cmd := exec.CommandContext(ctx, program, "-test.run", "^TestSeeds$", "-test.timeout", each.String()) //nolint:gosec // it was built a moment ago
	cmd.Dir = filepath.Join(w.dir, "simulation")
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1", fmt.Sprintf("SIM_SEEDS=%d-%d", from, to))
	var said tail
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		v.err = err
		return
	}
	playing, done := from, uint64(0)
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	for v.broke == "" && lines.Scan() {
		line := lines.Text()
		if text, ok := strings.CutPrefix(line, "playing "); ok {
			_, _ = fmt.Sscan(text, &playing)
		}
		if text, ok := strings.CutPrefix(line, "played "); ok {
			done = playing
			v.take(playing, text)
		}
	}
	if v.broke != "" {
		stop()
	}
	err = cmd.Wait()
	switch {
	case v.broke != "":
	case done != playing && ctx.Err() != nil:
		v.err = fmt.Errorf("its time is up at seed %d: %w", playing, context.Cause(ctx))
	case done != playing: // the watch has ended it, or a panic
		v.seed, v.broke, v.how = playing, "rest/died", string(said)
		if strings.Contains(v.how, "HANG") {
			v.broke = "rest/hang"
		}
	case done != to:
		v.err = fmt.Errorf("it ended after seed %d: %w\n%s", done, err, said)
	}
}

// take takes in what a history came to.
func (v *verdict) take(seed uint64, text string) {
	var played struct{ Broken []struct{ Name, Text string } }
	if err := json.Unmarshal([]byte(text), &played); err != nil {
		v.err = err
		return
	}
	if len(played.Broken) > 0 {
		v.seed, v.broke, v.how = seed, played.Broken[0].Name, played.Broken[0].Text
	}
}

// A tail keeps the beginning of what a dying process says.
type tail []byte

func (l *tail) Write(b []byte) (int, error) {
	*l = append(*l, b[:min(len(b), max(0, 12<<10-len(*l)))]...)
	return len(b), nil
}
