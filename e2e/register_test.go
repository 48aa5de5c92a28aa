// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"
)

// nextVersion is of the binary that successor builds.
const nextVersion = "v99.0.0"

// successor is the plugin as a later version, built once for all stories, outside of Vault's plugin directory.
var successor = sync.OnceValues(func() (string, error) {
	path := filepath.Join(filepath.Dir(programs.pluginDir), "next", pluginName)
	_, err := output("go", "build", "-buildvcs=false", "-o", path,
		"-ldflags=-X github.com/certinext/vault-plugin-secrets-certinext.Version="+nextVersion, "../cmd/"+pluginName)
	return path, err
})

func next(t *testing.T) string {
	t.Helper()
	path, err := successor()
	require.NoError(t, err)
	return path
}

// broken is a binary that tells its version and does what a shell command says when Vault starts it.
func broken(t *testing.T, version, does string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), pluginName)
	text := fmt.Sprintf("#!/bin/sh\ncase $1 in *version) echo %s; exit;; esac\n%s\n", version, does)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o700))
	return path
}

// startRegistered is a server with a mount that register.sh has made, and that works with ca.
func startRegistered(t *testing.T) (*server, *authority) {
	t.Helper()
	ca := newAuthority(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}})
	v := bareVault(t)
	_, err := v.script("register.sh", "enable", "--binary", programs.plugin, "--command", pluginName)
	require.NoError(t, err)
	v.configure(ca)
	return v, ca
}

// runs requires that a mount is pinned to a version, runs it, and would run it after a restart.
func (v *server) runs(t *testing.T, mount, version string) {
	t.Helper()
	at := v.read("sys/mounts/" + mount)
	require.Equal(t, version, at["plugin_version"], "pinned")
	require.Equal(t, version, at["running_plugin_version"], "running")
}

// fails runs a script that has to fail, and that has to say each of says.
func (v *server) fails(t *testing.T, says []string, name string, args ...string) {
	t.Helper()
	out, err := v.script(name, args...)
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, 1, exit.ExitCode())
	for _, s := range says {
		require.Contains(t, out, s)
	}
}

func TestAnUpgradeThatDoesNotStartIsTakenBack(t *testing.T) {
	t.Parallel()
	v, ca := startRegistered(t)
	for i, c := range []struct{ name, version, does string }{
		{"ends at once", "v99.1.0", "exit 1"},
		{"says what no plugin says", "v99.1.1", "echo hello; sleep 1"},
		{"is killed", "v99.1.2", "kill -9 $$"},
	} {
		v.fails(t, []string{c.version + " does not start", "certinext/ is as it was"},
			"register.sh", "upgrade", "--binary", broken(t, c.version, c.does), "--plugin-dir", programs.pluginDir)
		v.runs(t, "certinext", programs.version)
		ca.check(t, v.write("certinext/issue/web", map[string]any{"common_name": fmt.Sprintf("n%d.example.com", i)}))
	}

	// The file on the server is not the one whose checksum was entered.
	wrong := "wrong-" + filepath.Base(t.TempDir())
	file := filepath.Join(programs.pluginDir, wrong)
	require.NoError(t, os.WriteFile(file, []byte("#!/bin/sh\nexit 1\n"), 0o700))
	args := []string{"upgrade", "--binary", next(t), "--command", wrong}
	v.fails(t, []string{"certinext/ is as it was"}, "register.sh", args...)
	v.runs(t, "certinext", programs.version)

	v.process.stop()
	v.restart()
	v.runs(t, "certinext", programs.version)
	ca.check(t, v.write("certinext/issue/web", map[string]any{"common_name": "restarted.example.com"}))

	// The right file, and the same command.
	right, err := os.ReadFile(next(t))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, right, 0o700))
	_, err = v.script("register.sh", args...)
	require.NoError(t, err)
	v.runs(t, "certinext", nextVersion)
	ca.check(t, v.write("certinext/issue/web", map[string]any{"common_name": "next.example.com"}))
}

// A run of register.sh is killed before or after one of the commands that change something; then another one follows.
func TestARunOfRegisterThatWasKilledIsFinishedOrTakenBack(t *testing.T) {
	t.Parallel()
	v, ca := startRegistered(t)
	never := broken(t, "v0.0.1", "exit 1") // lower than all, and started by no rollback that nobody asked for
	_, err := v.script("register.sh", "register", "--binary", never, "--plugin-dir", programs.pluginDir)
	require.NoError(t, err)
	upgrade := []string{"upgrade", "--binary", next(t), "--plugin-dir", programs.pluginDir}
	rollback := []string{"rollback"}

	for i, c := range []struct {
		killed     string // the command at which it is killed, and whether before or after it
		run, then  []string
		leads, tag string
	}{
		{"before plugin register", upgrade, upgrade, nextVersion, ""},
		{"after plugin register", upgrade, upgrade, nextVersion, ""},
		{"after secrets tune", upgrade, upgrade, nextVersion, ""},
		{"after secrets tune", upgrade, rollback, programs.version, "restart"},
		{"after secrets tune", upgrade, rollback, programs.version, ""},
		{"after write sys/plugins/reload", upgrade, upgrade, nextVersion, ""},
		{"after secrets tune", rollback, rollback, programs.version, ""},
		{"after write sys/plugins/reload", rollback, upgrade, nextVersion, ""},
	} {
		name := fmt.Sprintf("%s %s, then %s", c.run[0], c.killed, c.then[0])
		before := programs.version
		if c.run[0] == "rollback" {
			before = nextVersion
		}
		v.bring(t, before)
		if c.run[0] == "upgrade" && strings.Contains(c.killed, "plugin register") {
			_ = v.api.Sys().DeregisterPluginWithContext(t.Context(), &api.DeregisterPluginInput{
				Name: pluginName, Type: api.PluginTypeSecrets, Version: nextVersion,
			})
		}
		v.killScript(t, c.killed, "register.sh", c.run...)
		ca.check(t, v.write("certinext/issue/web", map[string]any{"common_name": fmt.Sprintf("k%d.example.com", i)}))
		if c.tag == "restart" {
			v.process.stop()
			v.restart()
		}
		out, err := v.script("register.sh", c.then...)
		require.NoError(t, err, name)
		if c.tag == "restart" { // it runs what it was pinned to, so this was a rollback as any
			require.Contains(t, out, "is pinned to "+nextVersion+" and runs "+nextVersion)
		}
		v.runs(t, "certinext", c.leads)
		ca.check(t, v.write("certinext/issue/web", map[string]any{"common_name": fmt.Sprintf("l%d.example.com", i)}))
	}
}

// bring moves the mount to a version by hand.
func (v *server) bring(t *testing.T, version string) {
	t.Helper()
	v.write("sys/mounts/certinext/tune", map[string]any{"plugin_version": version})
	v.write("sys/plugins/reload/backend", map[string]any{"mounts": "certinext/"})
	v.runs(t, "certinext", version)
}

// killScript runs a script whose process group is killed before or after a command of Vault's.
func (v *server) killScript(t *testing.T, at, name string, args ...string) {
	t.Helper()
	cmd := v.disturbed(t, at, "kill -9 0", name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit, "%s", out)
	status, _ := exit.Sys().(syscall.WaitStatus)
	require.Equal(t, syscall.SIGKILL, status.Signal(), "not killed:\n%s", out)
}

// disturbed is a script in which something happens before or after a command of Vault's.
func (v *server) disturbed(t *testing.T, at, does, name string, args ...string) *exec.Cmd {
	t.Helper()
	when, command, _ := strings.Cut(at, " ")
	wrapper := filepath.Join(t.TempDir(), "vault")
	text := fmt.Sprintf("#!/bin/sh\ncase \"$*\" in *'%s'*)\n", command)
	if when == "after" {
		text += fmt.Sprintf("%q \"$@\"\n%s; exit ;;\n", programs.vault, does)
	} else {
		text += does + " ;;\n"
	}
	text += fmt.Sprintf("esac\nexec %q \"$@\"\n", programs.vault)
	require.NoError(t, os.WriteFile(wrapper, []byte(text), 0o700))
	cmd := v.scriptCommand(name, args...)
	cmd.Env = append(cmd.Env, "VAULT_BIN="+wrapper)
	return cmd
}

// Somebody who presses Ctrl-C, or a machine that is shut down, leaves time for the way back.
func TestAnUpgradeThatIsInterruptedIsTakenBack(t *testing.T) {
	t.Parallel()
	v, _ := startRegistered(t)
	upgrade := []string{"upgrade", "--binary", next(t), "--plugin-dir", programs.pluginDir}
	for signal, code := range map[string]int{"TERM": 143, "INT": 130} {
		out, err := v.disturbed(t, "after secrets tune -plugin-version="+nextVersion, "kill -"+signal+" $PPID",
			"register.sh", upgrade...).CombinedOutput()
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit, "%s", out)
		require.Equal(t, code, exit.ExitCode(), "%s", out)
		require.Contains(t, string(out), "certinext/ is as it was")
		v.runs(t, "certinext", programs.version)
	}
}

// The answer to a pin is lost on its way, by a proxy or while another node takes over: nobody can tell from it whether the mount is pinned.
func TestAMountWhosePinWasNotAnsweredIsReturned(t *testing.T) {
	t.Parallel()
	v, ca := startRegistered(t)
	for i, c := range []struct{ at, says string }{
		{"after secrets tune", "Vault did not say that certinext/ is pinned"},
		{"before secrets tune", "certinext/ was not pinned"},
	} {
		bad := broken(t, fmt.Sprintf("v99.5.%d", i), "exit 1")
		out, err := v.disturbed(t, c.at, "exit 2", "register.sh", "upgrade", "--binary", bad, "--plugin-dir", programs.pluginDir).CombinedOutput()
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit, "%s", out)
		require.Contains(t, string(out), c.says)
		require.Contains(t, string(out), "is as it was")
		v.runs(t, "certinext", programs.version)
		v.process.stop()
		v.restart()
		ca.check(t, v.write("certinext/issue/web", map[string]any{"common_name": fmt.Sprintf("n%d.example.com", i)}))
	}

	// It was pinned to that version already, by a run that was killed, and nobody knows yet whether it starts.
	upgrade := []string{"upgrade", "--binary", broken(t, "v99.5.9", "exit 1"), "--plugin-dir", programs.pluginDir}
	v.killScript(t, "after secrets tune", "register.sh", upgrade...)
	out, err := v.disturbed(t, "before secrets tune -plugin-version=v99.5.9", "exit 2", "register.sh", upgrade...).CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "no longer to v99.5.9")
	v.runs(t, "certinext", programs.version)
}

// What was done although nobody said so is not done again, and not taken back.
func TestWhatWasDoneWithoutAnAnswerIsSeen(t *testing.T) {
	t.Parallel()
	v, _ := startRegistered(t)
	for _, c := range []struct {
		at   string
		args []string
	}{
		{"after plugin register", []string{"enable", "--mount", "second"}},
		{"after secrets enable", []string{"enable", "--mount", "third"}},
	} {
		args := append(c.args, "--binary", next(t), "--plugin-dir", programs.pluginDir)
		out, err := v.disturbed(t, c.at, "exit 2", "register.sh", args...).CombinedOutput()
		require.NoError(t, err, "%s", out)
		v.runs(t, c.args[len(c.args)-1], nextVersion)
	}
}

// A rollback that was left half-way has two versions, and an upgrade to one between them would lower what runs.
func TestAnUpgradeIsNotBelowWhatRuns(t *testing.T) {
	t.Parallel()
	v, _ := startRegistered(t)
	_, err := v.script("register.sh", "upgrade", "--binary", next(t), "--plugin-dir", programs.pluginDir)
	require.NoError(t, err)
	v.killScript(t, "after secrets tune", "register.sh", "rollback")
	args := []string{"--binary", broken(t, "v98.0.0", "exit 1"), "--plugin-dir", programs.pluginDir}
	v.fails(t, []string{"v98.0.0 is lower than " + nextVersion + ", which the mount runs"}, "register.sh", append([]string{"upgrade"}, args...)...)
	at := v.read("sys/mounts/certinext")
	require.Equal(t, programs.version, at["plugin_version"])
	require.Equal(t, nextVersion, at["running_plugin_version"])

	// What fails goes back to what runs, and that is another pin than before.
	args = []string{"upgrade", "--binary", broken(t, "v99.7.0", "exit 1"), "--plugin-dir", programs.pluginDir}
	v.fails(t, []string{"is as it was, but pinned to what it runs, and no longer to " + programs.version}, "register.sh", args...)
	v.runs(t, "certinext", nextVersion)
}

// What a refused upgrade leaves in the catalog and in the plugin directory is removed by what the run says, and comes again as another file.
func TestARefusedUpgradeSaysHowToRemoveIt(t *testing.T) {
	t.Parallel()
	v, _ := startRegistered(t)
	const version = "v99.6.0"
	upgrade := func(binary string) (string, error) {
		return v.script("register.sh", "upgrade", "--binary", binary, "--plugin-dir", programs.pluginDir)
	}
	out, err := upgrade(broken(t, version, "exit 1"))
	require.Error(t, err)
	remedy := regexp.MustCompile(`'\w+ (plugin deregister [^']+)'.*its file is (\S+)\.\n`).FindStringSubmatch(out)
	require.NotNil(t, remedy, out)
	require.Contains(t, remedy[1], version)
	require.FileExists(t, remedy[2])
	out, err = upgrade(broken(t, version, "exit 2"))
	require.Error(t, err)
	require.Contains(t, out, "another SHA-256", "what is left stands in the way")

	v.run(t, "vault "+remedy[1])
	require.NoError(t, os.Remove(remedy[2]))
	out, _ = v.script("register.sh", "status")
	require.NotContains(t, out, version)
	out, err = upgrade(broken(t, version, "exit 2"))
	require.Error(t, err)
	require.Contains(t, out, version+" does not start")
	v.runs(t, "certinext", programs.version)
}

// Where vault and bao are on the PATH, the address says whose it is.
func TestRegisterTakesTheProgramThatTheAddressIsFor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, says := range map[string]string{"vault": "Vault v1.21.1", "bao": "OpenBao v2.5.5"} {
		text := fmt.Sprintf("#!/bin/sh\n[ $1 != version ] || { echo %s; exit; }\nexit 1\n", says)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700))
	}
	alone := t.TempDir()
	require.NoError(t, os.Symlink(filepath.Join(dir, "vault"), filepath.Join(alone, "vault")))
	for _, tool := range []string{"bash", "dirname"} { // and no bao that this machine may have
		path, err := exec.LookPath(tool)
		require.NoError(t, err)
		for _, to := range []string{dir, alone} {
			require.NoError(t, os.Symlink(path, filepath.Join(to, tool)))
		}
	}
	const bao, vault = "http://127.0.0.1:2", "http://127.0.0.1:1"
	for name, c := range map[string]struct {
		path string
		env  []string
		says string
	}{
		"an address of bao":           {dir, []string{"BAO_ADDR=" + bao}, "no answer from Vault at " + bao},
		"an address of vault":         {dir, []string{"VAULT_ADDR=" + vault}, "no answer from Vault at " + vault},
		"both":                        {dir, []string{"BAO_ADDR=" + bao, "VAULT_ADDR=" + vault}, "no answer from Vault at " + vault},
		"both, and a name":            {dir, []string{"BAO_ADDR=" + bao, "VAULT_ADDR=" + vault, "BAO_BIN=bao"}, "no answer from Vault at " + bao},
		"an address of bao, no bao":   {alone, []string{"BAO_ADDR=" + bao}, "BAO_ADDR is set, and "},
		"an address of bao for vault": {dir, []string{"BAO_ADDR=" + bao, "VAULT_BIN=vault"}, "BAO_ADDR is set, and "},
	} {
		cmd := exec.Command("../scripts/register.sh", "status")
		cmd.Env = append([]string{"PATH=" + c.path}, c.env...)
		out, err := cmd.CombinedOutput()
		require.Error(t, err, name)
		require.Contains(t, string(out), c.says, name)
	}
}

// Vault was started anew while the mount was pinned to a version that does not start: it answers nothing.
func TestAMountThatAnswersNothingIsBroughtBack(t *testing.T) {
	t.Parallel()
	v, ca := startRegistered(t)
	never := broken(t, "v0.0.2", "exit 1")
	_, err := v.script("register.sh", "register", "--binary", never, "--plugin-dir", programs.pluginDir)
	require.NoError(t, err)
	bad := broken(t, "v99.2.0", "exit 1")
	upgrade := []string{"upgrade", "--binary", bad, "--plugin-dir", programs.pluginDir}
	for i, c := range []struct{ then, says []string }{
		{upgrade, []string{"v99.2.0 does not start", "certinext/ is as it was", "restart it"}},
		{[]string{"rollback"}, []string{"is pinned to v99.2.0", "certinext/ runs " + programs.version, "restart it"}},
	} {
		v.killScript(t, "after secrets tune", "register.sh", upgrade...)
		v.process.stop()
		v.restart()
		www := map[string]any{"common_name": fmt.Sprintf("n%d.example.com", i)}
		_, err = v.send("certinext/issue/web", www)
		require.Error(t, err)
		out, _ := v.script("register.sh", "status")
		require.Contains(t, out, "it does not answer")
		out, _ = v.script("register.sh", c.then...)
		for _, s := range c.says {
			require.Contains(t, out, s)
		}
		v.runs(t, "certinext", programs.version)
		_, err = v.send("certinext/issue/web", www)
		require.ErrorContains(t, err, "cannot write to storage during setup", "Vault has learned it: register.sh need not ask for a restart")
		v.process.stop()
		v.restart()
		ca.check(t, v.write("certinext/issue/web", www))
	}

	// A rollback to what does not start is taken back as an upgrade is.
	v.fails(t, []string{"v0.0.2 does not start", "certinext/ is as it was"}, "register.sh", "rollback")
	v.runs(t, "certinext", programs.version)
	ca.check(t, v.write("certinext/issue/web", map[string]any{"common_name": "api.example.com"}))

	// The file was lost while Vault was down, and the same upgrade brings it.
	lost := "lost-" + filepath.Base(bad)
	again := []string{"upgrade", "--binary", next(t), "--plugin-dir", programs.pluginDir, "--command", lost}
	_, err = v.script("register.sh", again...)
	require.NoError(t, err)
	v.process.stop()
	require.NoError(t, os.Remove(filepath.Join(programs.pluginDir, lost)))
	v.restart()
	v.fails(t, []string{"certinext/ runs " + nextVersion, "restart it"}, "register.sh", again...)
	v.process.stop()
	v.restart()
	v.runs(t, "certinext", nextVersion)
	ca.check(t, v.write("certinext/issue/web", map[string]any{"common_name": "lost.example.com"}))
}

func TestAnUpgradeOfOneMountLeavesTheOtherOneAlone(t *testing.T) {
	t.Parallel()
	v, ca := startRegistered(t)
	_, err := v.script("register.sh", "enable", "--binary", programs.plugin, "--command", pluginName, "--mount", "other")
	require.NoError(t, err)
	v.write("other/config", ca.account())
	v.fails(t, []string{"other/ is as it was"}, "register.sh", "upgrade", "--mount", "other",
		"--binary", broken(t, "v99.3.0", "exit 1"), "--plugin-dir", programs.pluginDir)
	v.runs(t, "other", programs.version)
	_, err = v.script("register.sh", "upgrade", "--mount", "other", "--binary", next(t), "--plugin-dir", programs.pluginDir)
	require.NoError(t, err)
	v.runs(t, "other", nextVersion)
	v.runs(t, "certinext", programs.version)
	_, err = v.script("register.sh", "rollback", "--mount", "other", "--version", programs.version)
	require.NoError(t, err)
	v.runs(t, "other", programs.version)
	ca.check(t, v.write("certinext/issue/web", map[string]any{"common_name": "www.example.com"}))
}

// Whatever keeps a run from the mount is told, and nothing is changed.
func TestRegisterSaysWhatKeepsItFromTheMount(t *testing.T) {
	t.Parallel()
	v, _ := startRegistered(t)
	bad := broken(t, "v99.4.0", "exit 1")
	upgrade := func(args ...string) []string { return append([]string{"upgrade"}, args...) }
	for _, c := range []struct {
		args []string
		says string
	}{
		{upgrade("--binary", bad, "--plugin-dir", "/nowhere"), "/nowhere is no directory"},
		{upgrade("--binary", bad, "--plugin-dir", "/proc"), "nothing can be written to /proc"},
		{upgrade("--binary", bad, "--plugin-dir", t.TempDir()), "the copy is removed again"},
		{upgrade("--binary", bad, "--command", "absent"), "Vault did not take the plugin"},
		{upgrade("--binary", broken(t, programs.version, "exit 1"), "--plugin-dir", programs.pluginDir), "the catalog has " + programs.version + " with another SHA-256"},
		{upgrade("--binary", broken(t, "v0.0.3", "exit 1"), "--plugin-dir", programs.pluginDir), "v0.0.3 is lower than " + programs.version},
		{upgrade("--binary", bad, "--mount", "cubbyhole"), "is of type cubbyhole"},
		{upgrade("--binary", bad, "--mount", "absent"), "no mount at absent/"},
		{[]string{"rollback"}, "the catalog has no version below " + programs.version},
		{[]string{"rollback", "--version", "v0.0.4"}, "the catalog has no v0.0.4"},
		{[]string{"enable", "--binary", bad}, "there is a mount at certinext/ already"},
		{[]string{"enable", "--binary", bad, "--plugin-dir", programs.pluginDir, "--mount", "fresh"}, "Vault did not mount v99.4.0"},
	} {
		v.fails(t, []string{c.says}, "register.sh", c.args...)
		v.runs(t, "certinext", programs.version)
	}
	mounts, err := v.api.Sys().ListMountsWithContext(t.Context())
	require.NoError(t, err)
	require.NotContains(t, mounts, "fresh/")
}

// The operator's policy is enough, and one that lacks a path leaves the mount as it is.
func TestRegisterNeedsWhatThePolicyOfOperatorsGrants(t *testing.T) {
	t.Parallel()
	v, _ := startRegistered(t)
	v.enableLogins()
	all := example(t, "policies/operator.hcl")
	for i, path := range []string{
		"sys/plugins/catalog/secret/vault-plugin-secrets-certinext", "sys/mounts/certinext", "sys/mounts/certinext/tune",
		"sys/plugins/reload/backend",
	} {
		lacking := strings.Replace(all, fmt.Sprintf("path %q {", path), fmt.Sprintf("path %q {", "nothing/"+path), 1)
		require.NotEqual(t, all, lacking)
		name := fmt.Sprintf("lacks%d", i)
		who := v.person(name, nil, lacking)
		out, err := v.scriptAs(who, "register.sh", "upgrade", "--binary", next(t), "--plugin-dir", programs.pluginDir)
		require.Error(t, err, path)
		require.Contains(t, out, "register.sh: ", "without %s", path)
		require.NotContains(t, out, "COULD NOT BE RETURNED")
		v.runs(t, "certinext", programs.version)
	}
	who := v.person("operator", nil, all)
	_, err := v.scriptAs(who, "register.sh", "upgrade", "--binary", next(t), "--plugin-dir", programs.pluginDir)
	require.NoError(t, err)
	v.runs(t, "certinext", nextVersion)
	_, err = v.scriptAs(who, "register.sh", "rollback")
	require.NoError(t, err)
	v.runs(t, "certinext", programs.version)
}

// scriptAs is script with somebody else's token.
func (v *server) scriptAs(who *caller, name string, args ...string) (string, error) {
	cmd := v.scriptCommand(name, args...)
	cmd.Env = append(cmd.Env, "VAULT_TOKEN="+who.api.Token())
	out, err := cmd.CombinedOutput()
	return string(out), err
}
