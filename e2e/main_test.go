// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

const pluginName = "vault-plugin-secrets-certinext"

// programs are built or found once for all stories.
var programs struct {
	vault     string // the server, which is OpenBao where BAO_BIN names one
	openBao   bool
	cliDir    string // holds the server's program under the name that guides call it by, vault mostly
	pluginDir string // holds the plugin alone, as Vault's plugin_directory
	plugin    string
	version   string // that the plugin reports
	sha256    string
	sandbox   string
}

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		fmt.Println("e2e: left out by -short")
		return
	}
	os.Exit(runStories(m))
}

func runStories(m *testing.M) int {
	atOnce()
	dir, err := os.MkdirTemp("", "certinext-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := prepare(dir); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	return m.Run()
}

// atOnce lets more stories run together than there are processors, since they mostly wait. -parallel says otherwise.
func atOnce() {
	const name = "test.parallel"
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == name })
	if !given {
		_ = flag.Set(name, strconv.Itoa(max(4, runtime.GOMAXPROCS(0))))
	}
}

// prepare finds Vault, and builds the project's two programs below dir.
func prepare(dir string) error {
	var err error
	find := "../scripts/vault-binary.sh"
	if programs.openBao = os.Getenv("BAO_BIN") != ""; programs.openBao {
		find = "../scripts/bao-binary.sh"
	}
	if programs.vault, err = output(find); err != nil {
		return err
	}
	// What is set for the developer's own Vault must not reach the clients of the tests.
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "VAULT_") || strings.HasPrefix(name, "BAO_") {
			os.Unsetenv(name)
		}
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil { // Vault wants the plugin directory's real path
		return err
	}
	programs.cliDir = filepath.Join(dir, "bin")
	if err := os.Mkdir(programs.cliDir, 0o700); err != nil {
		return err
	}
	for _, name := range []string{"vault", filepath.Base(programs.vault)} {
		if err := os.Symlink(programs.vault, filepath.Join(programs.cliDir, name)); err != nil && !os.IsExist(err) {
			return err
		}
	}
	programs.pluginDir = filepath.Join(dir, "plugins")
	programs.plugin = filepath.Join(programs.pluginDir, pluginName)
	programs.sandbox = filepath.Join(dir, "certinext-sandbox")
	for target, pkg := range map[string]string{programs.plugin: pluginName, programs.sandbox: "certinext-sandbox"} {
		if _, err := output("go", "build", "-buildvcs=false", "-o", target, "../cmd/"+pkg); err != nil {
			return err
		}
	}
	if programs.version, err = output(programs.plugin, "-version"); err != nil {
		return err
	}
	binary, err := os.ReadFile(programs.plugin)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(binary)
	programs.sha256 = hex.EncodeToString(sum[:])
	return nil
}

// vaultOnly skips a story that no OpenBao can tell.
func vaultOnly(t *testing.T, because string) {
	t.Helper()
	if programs.openBao {
		t.Skip("not with OpenBao: " + because)
	}
}

// asServed is a template of pkiCert as the server's own agent understands it: OpenBao's has no .CAChain, and .CA is the
// issuing CA there.
func asServed(template string) string {
	if !programs.openBao {
		return template
	}
	return strings.NewReplacer("{{ range .CAChain }}{{ . }}{{ end }}{{ .CA }}", "{{ .CA }}",
		"{{ range .CAChain }}{{ . }}{{ end }}", "{{ .CA }}").Replace(template)
}

// output runs a program and returns what it prints, without the white space around it.
func output(name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	var stdout bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), err)
	}
	return strings.TrimSpace(stdout.String()), nil
}
