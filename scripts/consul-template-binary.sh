#!/usr/bin/env bash
# Copyright (c) The vault-plugin-secrets-certinext authors
# SPDX-License-Identifier: MPL-2.0
#
# Prints the path of consul-template for the tests; everything else it has to say goes
# to standard error.
#
# Taken in this order:
#   1. $CONSUL_TEMPLATE_BIN
#   2. the consul-template on PATH
#   3. one built from the version pinned in tools/consul-template, kept in the user's
#      cache folder and used by every later run
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# It prints its version on standard error in some releases and on standard output in others.
works() { "$1" -version 2>&1 | grep -q '^consul-template v'; }

if [ -n "${CONSUL_TEMPLATE_BIN:-}" ]; then
	path=$(command -v -- "$CONSUL_TEMPLATE_BIN") || die "CONSUL_TEMPLATE_BIN=$CONSUL_TEMPLATE_BIN is not an executable file: correct or unset it"
	works "$path" || die "CONSUL_TEMPLATE_BIN=$CONSUL_TEMPLATE_BIN does not answer '-version' as consul-template does: correct or unset it"
	printf '%s/%s\n' "$(cd "$(dirname "$path")" && pwd)" "${path##*/}"
	exit
fi

if path=$(command -v consul-template) && works "$path"; then
	say "using $("$path" -version 2>&1 | head -n 1) at $path"
	printf '%s\n' "$path"
	exit
fi

version=$(module_version github.com/hashicorp/consul-template "$root/tools/consul-template/go.mod")
export CGO_ENABLED=0
hint="consul-template $version: about a minute on two cores"
cached_build "consul-template-$version-$(go env GOOS)-$(go env GOARCH)" consul-template "$root/tools/consul-template" \
	github.com/hashicorp/consul-template -ldflags "-s -w"
