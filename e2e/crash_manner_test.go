// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/stretchr/testify/require"
)

// A crashManner is who is killed, and what follows from it.
type crashManner struct {
	// kill ends what is to be killed, and returns when the server serves again. It calls again when the clients may be armed for
	// their next spots: when nothing that dies can come there, and nothing that lives has come there yet.
	kill func(r *crashRig, again func())
	// exact means that nothing goes on after the crash, so that it is certain what an operator has to settle.
	exact bool
	// apart gives a client that is killed twice a mount of its own. A server whose plugin has died sends to the next one what it
	// had not answered, and starts that one when none of the mount's requests is under way: none must be stopped then.
	apart bool
	// all means that the suite kills all flows in this manner, and not only those that are killed in each.
	all bool
}

// powerLoss kills server and plugin, as a machine that loses its power does, and starts the server again.
func powerLoss(r *crashRig, again func()) {
	r.plugins = append(r.plugins, childrenOf(r.t, r.v.process.pid(), r.program)...)
	r.v.process.kill()
	killAll(r.plugins, r.program)
	r.desk.bury()
	again()
	r.v.restart()
}

// pluginLoss kills the plugin alone, and returns when the server has seen it. The server starts another one at once, and sends
// it again the requests that the first one had not answered.
func pluginLoss(r *crashRig, again func()) {
	const notice = "plugin process exited"
	pids := childrenOf(r.t, r.v.process.pid(), r.program)
	require.NotEmpty(r.t, pids, "the server has no plugin process")
	before := strings.Count(r.v.process.output(r.t), notice)
	for _, pid := range pids { // so that it does not go on when its stops are cleared away
		require.NoError(r.t, syscall.Kill(pid, syscall.SIGSTOP))
		waitUntil(r.t, 10*time.Second, "the plugin stands still", func() bool { return standsStill(pid) })
	}
	r.desk.bury()
	again()
	killAll(pids, r.program)
	waitUntil(r.t, 10*time.Second, "the server sees that the plugin is gone", func() bool {
		return strings.Count(r.v.process.output(r.t), notice) >= before+len(pids)
	})
}

// serverLoss kills the server alone. The plugin goes on from where it stands, and has nobody to tell and nowhere to store.
func serverLoss(r *crashRig, again func()) {
	pids := childrenOf(r.t, r.v.process.pid(), r.program)
	require.NotEmpty(r.t, pids, "the server has no plugin process")
	r.plugins = append(r.plugins, pids...)
	r.v.process.kill()
	r.desk.bury()
	gone := func() bool { return !slices.ContainsFunc(pids, func(pid int) bool { return runs(pid, r.program) }) }
	waitUntil(r.t, 30*time.Second, "the plugin has ended by itself", gone)
	again()
	r.v.restart()
}

// standsStill reports whether every thread of a process is stopped.
func standsStill(pid int) bool {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	for _, thread := range threads {
		stat, _ := os.ReadFile(thread)
		if _, state, _ := strings.Cut(string(stat), ") "); !strings.HasPrefix(state, "T") {
			return false
		}
	}
	return err == nil
}
