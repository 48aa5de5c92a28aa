// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"strings"
	"sync"
	"time"
)

// behind knows the DNS records of each label that this process has published and not removed. A request waits three seconds for
// the removal, which goes on behind its answer where DNS hosts take longer, as on a busy machine. So that each removal happens in
// the step that it belongs to, and its places are met, the answer is held back for it here.
type behind struct {
	mu   sync.Mutex
	left map[string]map[string]bool // keys, by label
}

// behindPatience is how long an answer is held back. An order that waits for its validation keeps its records.
const behindPatience = 10 * time.Second

// note follows a write to the journal of records.
func (b *behind) note(verb, label, key string) {
	if !strings.HasPrefix(key, "dcv/record/") {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if verb == "delete" {
		delete(b.left[label], key)
		return
	}
	if b.left == nil {
		b.left = make(map[string]map[string]bool)
	}
	if b.left[label] == nil {
		b.left[label] = make(map[string]bool)
	}
	b.left[label][key] = true
}

func (b *behind) has(label string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.left[label]) > 0
}

// await returns when nothing is left of a label.
func (b *behind) await(label string) {
	for until := time.Now().Add(behindPatience); b.has(label) && time.Now().Before(until); {
		time.Sleep(20 * time.Millisecond)
	}
}
