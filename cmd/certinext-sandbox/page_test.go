// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// fenced are the code blocks of a page, with their languages.
var fenced = regexp.MustCompile("(?ms)^```(\\w+)\\n(.*?)^```$")

// blocksOf are the blocks of docs/sandbox.md in a language.
func blocksOf(t *testing.T, language string) (blocks []string) {
	t.Helper()
	page, err := os.ReadFile("../../docs/sandbox.md")
	require.NoError(t, err)
	for _, block := range fenced.FindAllStringSubmatch(string(page), -1) {
		require.Contains(t, []string{"sh", "go", "python", "console", "text"}, block[1], "a block that nobody runs")
		if block[1] == language {
			blocks = append(blocks, block[2])
		}
	}
	return blocks
}

// TestTheTourOfThePage runs the shell commands of docs/sandbox.md in one shell, against a simulator
// that was started as the page says.
func TestTheTourOfThePage(t *testing.T) {
	started := strings.Join(blocksOf(t, "console"), "")
	flag := strings.Fields(started)
	p := start(t, flag[len(flag)-1])
	blocks := blocksOf(t, "sh")
	require.GreaterOrEqual(t, len(blocks), 6)
	const usual = "http://127.0.0.1:8093"
	script := strings.Join(blocks, "\n")
	require.Contains(t, script, usual)
	runIn(t, t.TempDir(), exec.Command("bash", "-euo", "pipefail", "-xc", strings.ReplaceAll(script, usual, p.url)))
}

func TestTheOtherLanguageOfThePage(t *testing.T) {
	blocks := blocksOf(t, "python")
	require.Len(t, blocks, 1)
	cmd := exec.Command("python3", "-c", blocks[0])
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(binary)+":"+os.Getenv("PATH"))
	runIn(t, t.TempDir(), cmd)
}

func runIn(t *testing.T, dir string, cmd *exec.Cmd) {
	t.Helper()
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}
