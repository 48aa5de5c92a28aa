#!/usr/bin/env bash
# Copyright (c) The vault-plugin-secrets-certinext authors
# SPDX-License-Identifier: MPL-2.0
#
# Prints the path of a Vault server for the tests and the demo; everything else it
# has to say goes to standard error.
#
# Taken in this order:
#   1. $VAULT_BIN
#   2. the vault on PATH
#   3. one built from the versions pinned in tools/vault, kept in the user's cache
#      folder and used by every later run
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

works() { "$1" version 2>/dev/null | grep -q '^Vault v'; }

if [ -n "${VAULT_BIN:-}" ]; then
	path=$(command -v -- "$VAULT_BIN") || die "VAULT_BIN=$VAULT_BIN is not an executable file: correct or unset it"
	works "$path" || die "VAULT_BIN=$VAULT_BIN does not answer 'version' as Vault does: correct or unset it"
	printf '%s/%s\n' "$(cd "$(dirname "$path")" && pwd)" "${path##*/}"
	exit
fi

if path=$(command -v vault) && works "$path"; then
	say "using $("$path" version | head -n 1) at $path"
	printf '%s\n' "$path"
	exit
fi

version=$(module_version github.com/hashicorp/vault "$root/tools/vault/go.mod")
# The minimal build keeps server, agent, raft, pki, kv, transit, approle and userpass,
# and is 140 MB instead of 500 MB. Plugins that ask for Vault's environment are refused
# by a server without a build date.
export CGO_ENABLED=0
hint="Vault $version: on two cores about 4 minutes of download the first time and 6 minutes to compile; needs 5 GB for Go's caches"
cached_build "vault-$version-$(go env GOOS)-$(go env GOARCH)" vault "$root/tools/vault" github.com/hashicorp/vault \
	-tags minimal -ldflags "-s -w -X github.com/hashicorp/vault/version.BuildDate=$(date -u +%Y-%m-%dT%H:%M:%SZ)"
