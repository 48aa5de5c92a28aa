// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A process is a program that a story has started. It ends with the test at the latest.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	log  string // path of its output
	done chan struct{}
}

// spawn starts a program whose output is appended to log. The output's end is shown when the test fails.
func spawn(t *testing.T, log, name string, args ...string) *process {
	t.Helper()
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	defer out.Close()
	p := &process{t: t, cmd: exec.Command(name, args...), log: log, done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.Env = append(os.Environ(), "HOME="+filepath.Dir(log))
	require.NoError(t, p.cmd.Start())
	go func() {
		_ = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("the end of %s:\n%s", filepath.Base(log), tail(log, 40))
		}
	})
	return p
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// stop asks the program to end, and ends it if it does not.
func (p *process) stop() {
	if p.ended() {
		return
	}
	_ = p.cmd.Process.Signal(os.Interrupt)
	select {
	case <-p.done:
	case <-time.After(20 * time.Second):
		p.kill()
	}
}

// kill ends the program without giving it a chance to notice.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// output returns what the program has written.
func (p *process) output(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(p.log)
	require.NoError(t, err)
	return string(b)
}

var quiet = regexp.MustCompile(`\[(TRACE|DEBUG|INFO)\]|^\s|^==>|heartbeat timeout reached`)

// tail returns the last lines of a file, without what Vault writes while all is well.
func tail(path string, lines int) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	var kept []string
	for line := range strings.Lines(string(b)) {
		if !quiet.MatchString(line) {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept[max(0, len(kept)-lines):], "")
}

// childrenOf returns the processes that pid has started and that run the program at path.
func childrenOf(t *testing.T, pid int, path string) []int {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("finds the plugin's process in /proc, which is Linux's")
	}
	entries, err := os.ReadDir("/proc")
	require.NoError(t, err)
	var found []int
	for _, e := range entries {
		child, err := strconv.Atoi(e.Name())
		if err == nil && parentOf(child) == pid && runs(child, path) {
			found = append(found, child)
		}
	}
	return found
}

// parentOf reads the parent from /proc/pid/stat, whose second field may hold anything in parentheses.
func parentOf(pid int) int {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 2 {
		return 0
	}
	parent, _ := strconv.Atoi(fields[1])
	return parent
}

func runs(pid int, path string) bool {
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	return err == nil && exe == path
}

// killAll kills those of pids that still run the program at path.
func killAll(pids []int, path string) {
	for _, pid := range pids {
		if runs(pid, path) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// waitUntil returns when cond holds, and fails the test when it does not within the time.
func waitUntil(t *testing.T, within time.Duration, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); ; time.Sleep(100 * time.Millisecond) {
		if cond() {
			return
		}
		if time.Now().After(deadline) {
			require.FailNow(t, "waited in vain", "%s: not within %s", what, within)
		}
	}
}
