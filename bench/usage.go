// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is what Linux counts processor time in for programs, on every machine that Go runs on.
const tick = 10 * time.Millisecond

// usage returns what the processes have spent so far, and what they have asked of storage and CA.
func (r *Rig) usage(ctx context.Context) (Usage, error) {
	var u Usage
	var err error
	for _, p := range []struct {
		pid  int
		into *time.Duration
	}{
		{r.vault.Process.Pid, &u.Server}, {r.sandbox.Process.Pid, &u.CA}, {r.plugin(), &u.Plugin},
	} {
		var failed error
		*p.into, failed = processor(p.pid)
		err = errors.Join(err, failed)
	}
	if err != nil {
		return u, err
	}
	u.Reads, u.Writes, err = r.storage(ctx)
	if err != nil {
		return u, err
	}
	u.CACalls, err = r.caCalls(ctx)
	return u, err
}

// processor returns the processor time of a process, by Linux's /proc.
func processor(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, after, _ := bytes.Cut(b, []byte(") ")) // the name before that may hold spaces
	fields := bytes.Fields(after)
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields))
	}
	user, err1 := strconv.Atoi(string(fields[11]))
	system, err2 := strconv.Atoi(string(fields[12]))
	return time.Duration(user+system) * tick, errors.Join(err1, err2)
}

// plugin is the process of the engine, which the server has started; 0 when there is none.
func (r *Rig) plugin() int {
	all, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range all {
		program, err := os.Readlink(dir + "/exe")
		if err == nil && program == r.programs.Plugin {
			pid, _ := strconv.Atoi(filepath.Base(dir))
			return pid
		}
	}
	return 0
}

// memory is the resident memory of the plugin in bytes; 0 when it is not known.
func (r *Rig) memory() int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", r.plugin()))
	if err != nil {
		return 0
	}
	fields := bytes.Fields(b)
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(string(fields[1]), 10, 64)
	return pages * int64(os.Getpagesize())
}

// storage returns how often Vault has read and written its storage, for whatever it does.
func (r *Rig) storage(ctx context.Context) (reads, writes float64, err error) {
	b, err := r.request(ctx, "GET", "/v1/sys/metrics?format=prometheus", nil)
	if err != nil {
		return 0, 0, err
	}
	return count(string(b), "vault_barrier_get_count", "vault_barrier_list_count"),
		count(string(b), "vault_barrier_put_count", "vault_barrier_delete_count"), nil
}

// count adds up metrics in Prometheus' text format.
func count(text string, names ...string) (sum float64) {
	for line := range strings.Lines(text) {
		for _, name := range names {
			if rest, ok := strings.CutPrefix(line, name+" "); ok {
				n, _ := strconv.ParseFloat(strings.TrimSpace(rest), 64)
				sum += n
			}
		}
	}
	return sum
}

// caCalls returns how many calls the simulator has answered.
func (r *Rig) caCalls(ctx context.Context) (sum float64, err error) {
	b, err := newClient(r.ca).request(ctx, "GET", "/_sandbox/calls", nil)
	if err != nil {
		return 0, err
	}
	var calls map[string]float64
	if err := json.Unmarshal(b, &calls); err != nil {
		return 0, err
	}
	for _, n := range calls {
		sum += n
	}
	return sum, nil
}

// start starts the engine anew, and returns what its first answer took.
func (r *Rig) start(ctx context.Context) (time.Duration, error) {
	_, err := r.send(ctx, "PUT", "sys/plugins/reload/backend",
		map[string]any{"mounts": []string{"certinext/"}})
	if err != nil {
		return 0, err
	}
	began := time.Now()
	_, err = r.send(ctx, "GET", "certinext/roles/ec", nil)
	return time.Since(began), err
}
