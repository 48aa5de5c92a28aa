#!/usr/bin/env bash
# Copyright (c) The vault-plugin-secrets-certinext authors
# SPDX-License-Identifier: MPL-2.0
#
# Prints the path of an OpenBao server for the tests, the demo and the development server;
# everything else it has to say goes to standard error.
#
# Taken in this order:
#   1. $BAO_BIN
#   2. the bao on PATH
#
# There is no third: OpenBao is not published as a Go module that could be built here.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

works() { "$1" version 2>/dev/null | grep -q '^OpenBao v'; }

if [ -n "${BAO_BIN:-}" ]; then
	path=$(command -v -- "$BAO_BIN") || die "BAO_BIN=$BAO_BIN is not an executable file: correct or unset it"
	works "$path" || die "BAO_BIN=$BAO_BIN does not answer 'version' as OpenBao does: correct or unset it"
	path=$(cd "$(dirname "$path")" && pwd)/${path##*/}
elif ! path=$(command -v bao) || ! works "$path"; then
	die "no OpenBao: set BAO_BIN to the program bao of a release (https://openbao.org/downloads), or put it on the PATH"
fi
say "using $("$path" version | head -n 1) at $path"
printf '%s\n' "$path"
