#!/usr/bin/env bash
# Copyright (c) The vault-plugin-secrets-certinext authors
# SPDX-License-Identifier: MPL-2.0
#
# Installs the Go tools that the Makefile uses into build/tools/bin, at the versions
# pinned in tools/. Names as arguments install only those.
#
# The programs themselves are kept in the user's cache folder, keyed by version and Go
# release, so that a second checkout finds them there; build/tools/bin holds links.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# install NAME FOLDER MODULE PACKAGE HINT
install() {
	local name=$1 module=$root/tools/$2 version path
	version=$(module_version "$3" "$module/go.mod")
	hint="$version: $5"
	path=$(cached_build "$name-$version-$(go env GOVERSION GOOS GOARCH | paste -sd- -)" "$name" "$module" "$4" \
		-ldflags "-s -w -X main.version=$version")
	mkdir -p "$root/build/tools/bin"
	ln -sfn "$path" "$root/build/tools/bin/$name"
}

[ $# -gt 0 ] || set -- golangci-lint govulncheck
for tool in "$@"; do
	case $tool in
	golangci-lint)
		install golangci-lint lint github.com/golangci/golangci-lint/v2 \
			github.com/golangci/golangci-lint/v2/cmd/golangci-lint "about 3 minutes on two cores"
		;;
	govulncheck)
		install govulncheck vuln golang.org/x/vuln golang.org/x/vuln/cmd/govulncheck "less than a minute"
		;;
	*) die "no tool named '$tool': choose golangci-lint or govulncheck" ;;
	esac
done
