#!/usr/bin/env bash
# Copyright (c) The vault-plugin-secrets-certinext authors
# SPDX-License-Identifier: MPL-2.0
#
# Prints the path of oapi-codegen, a public generator of API clients, for the tests;
# everything else it has to say goes to standard error.
#
# It is $OAPI_CODEGEN_BIN, else one built from the version pinned in tools/openapi,
# kept in the user's cache folder and used by every later run. One on the PATH is not
# taken: another version gives the client's parts other names.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

if [ -n "${OAPI_CODEGEN_BIN:-}" ]; then
	path=$(command -v -- "$OAPI_CODEGEN_BIN") || die "OAPI_CODEGEN_BIN=$OAPI_CODEGEN_BIN is not an executable file: correct or unset it"
	printf '%s/%s\n' "$(cd "$(dirname "$path")" && pwd)" "${path##*/}"
	exit
fi

version=$(module_version github.com/oapi-codegen/oapi-codegen/v2 "$root/tools/openapi/go.mod")
export CGO_ENABLED=0
hint="oapi-codegen $version: half a minute on two cores"
cached_build "oapi-codegen-$version-$(go env GOOS)-$(go env GOARCH)" oapi-codegen "$root/tools/openapi" \
	github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen -ldflags "-s -w"
