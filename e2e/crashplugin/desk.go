// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// A desk is the folder where test and plugin tell each other things. Everything in it goes by a label, the name of a role.
//
//	journal         every event of every label, a line each, as it is about to happen
//	armed/<label>   where the label's next stop is: "before" or "after", the event, and its how-manieth
//	held/<label>    the same file, once the label has come there; it goes on when the file is gone
//	clock/<mount>   how far the mount's clock is put forward
//	crashes         one byte for each crash; what a process that has outlived one still does is nobody's
type desk struct {
	dir  string
	born int64 // crashes before this process

	mu   sync.Mutex
	seen map[string]int // events since the label was armed with the stop in the key
}

// outlived reports whether there was a crash since this process began: it is as good as dead.
func (d *desk) outlived() bool { return d.crashes() != d.born }

func (d *desk) crashes() int64 {
	info, err := os.Stat(filepath.Join(d.dir, "crashes"))
	if err != nil {
		return 0
	}
	return info.Size()
}

// around does act, an event of a label, and stops before or after it if the label is armed so.
func (d *desk) around(label, event string, act func() error) error {
	n := d.before(label, event)
	err := act()
	d.stop(label, fmt.Sprintf("after %s %d", event, n))
	return err
}

// before stops before an event of a label if the label is armed so, and says the how-manieth of its kind it is.
func (d *desk) before(label, event string) int {
	n := d.count(label, event)
	d.note(label, event)
	d.stop(label, fmt.Sprintf("before %s %d", event, n))
	return n
}

// count says the how-manieth of its kind an event is since the label was armed.
func (d *desk) count(label, event string) int {
	armed, err := os.ReadFile(d.path("armed", label))
	if err != nil {
		return 0
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	key := label + "\x00" + string(armed) + "\x00" + event
	d.seen[key]++
	return d.seen[key]
}

// stop does not return before the test wants it to, if the label is armed with this place.
func (d *desk) stop(label, place string) {
	armed, err := os.ReadFile(d.path("armed", label))
	if err != nil || string(armed) != place || d.outlived() {
		return
	}
	if os.Rename(d.path("armed", label), d.path("held", label)) != nil {
		return
	}
	for {
		time.Sleep(20 * time.Millisecond)
		if _, err := os.Stat(d.path("held", label)); os.IsNotExist(err) {
			return
		}
	}
}

// note adds an event to the journal. A line is one write, so that the test's own lines do not mix with it.
func (d *desk) note(label, event string) {
	if d.outlived() {
		return
	}
	f, err := os.OpenFile(filepath.Join(d.dir, "journal"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err) // a matrix without its journal proves nothing
	}
	defer f.Close()
	if _, err := f.WriteString(label + " " + event + "\n"); err != nil {
		panic(err)
	}
}

// forward is how far a mount's clock is put forward.
func (d *desk) forward(mount string) time.Duration {
	text, err := os.ReadFile(d.path("clock", mount))
	if err != nil {
		return 0
	}
	by, _ := time.ParseDuration(strings.TrimSpace(string(text)))
	return by
}

func (d *desk) path(folder, name string) string { return filepath.Join(d.dir, folder, name) }
