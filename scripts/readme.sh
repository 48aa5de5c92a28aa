#!/usr/bin/env bash
# Copyright (c) The vault-plugin-secrets-certinext authors
# SPDX-License-Identifier: MPL-2.0
#
# Runs the README's commands, so that they are known to work: every block marked sh, in order, with the set-up of
# scripts/dev.sh. Blocks marked console are for other places and other targets.
set -euo pipefail
# shellcheck source=scripts/dev.sh
source "$(dirname "${BASH_SOURCE[0]}")/dev.sh"

set_up "$root/build/readme"

# What the README's reader has: a vault on the PATH, the simulator's address, and the consent token of its organization.
mkdir -p "$dir/bin"
ln -sf "$VAULT_BIN" "$dir/bin/vault"
export PATH="$dir/bin:$PATH" SANDBOX="$sandbox" CONSENT_TOKEN=5ca1ab1e00c0ffee5ca1ab1e00c0ffee

awk '/^```sh$/ { block = 1; next } /^```$/ { block = 0 } block' "$root/README.md" >"$dir/commands.sh"
commands=$(grep -c '^vault ' "$dir/commands.sh")
[ "$commands" -ge 10 ] || die "only $commands commands were found in the README"
step "Running $commands commands of the README"
(cd "$dir" && bash -euo pipefail -x commands.sh) >"$dir/commands.log" 2>&1 || {
	tail -n 30 "$dir/commands.log" >&2
	die "a command of the README failed"
}
note "all of them work"
