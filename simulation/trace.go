// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"net/http"
	"sync"
	"time"
)

// A trace lists everything that happened in a history, in order. Two runs of a seed have the same
// trace.
type trace struct {
	mu    sync.Mutex
	sum   hash.Hash
	lines int
	begun time.Time
	text  io.Writer // where it is also printed; may be nil
}

func newTrace(begun time.Time, text io.Writer) *trace {
	return &trace{sum: sha256.New(), begun: begun, text: text}
}

func (t *trace) line(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines++
	line := fmt.Sprintf("%12s %s\n", time.Since(t.begun), fmt.Sprintf(format, args...))
	t.sum.Write([]byte(line))
	if t.text != nil {
		_, _ = io.WriteString(t.text, line)
	}
}

// digest returns the hash of the trace so far.
func (t *trace) digest() string { return hex.EncodeToString(t.sum.Sum(nil)[:16]) }

// note records CERTInext's answer when it is given, before it reaches the process.
func (t *trace) note(name string, resp *http.Response) {
	if resp == nil {
		t.line("  %s: no answer", name)
		return
	}
	t.line("  %s: %d", name, resp.StatusCode)
}
