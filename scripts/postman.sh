#!/bin/sh
# Copyright (c) The vault-plugin-secrets-certinext authors
# SPDX-License-Identifier: MPL-2.0
#
# Runs the vendor's published v2 collection against a freshly started
# certinext-sandbox in its documented dialect and checks every answer against
# the published text (scripts/postman/expect.mjs), not only against the
# collection's own scripts.
#
# usage: scripts/postman.sh [directory]
#
# The directory holds the collection and its environment and is ../shared/postman
# by default. It is not part of this repository: where it is absent the script
# says so and succeeds. Needs go, node 20 and npm; newman is kept in
# build/postman.
set -eu

newman_version=6.2.2

cd "$(dirname "$0")/.."
collection=${1:-../shared/postman}
cache=build/postman

if [ ! -f "$collection/certinext-v2.postman_collection.json" ]; then
	echo "postman: no collection in $collection, nothing to run"
	exit 0
fi

mkdir -p "$cache"
installed=$(node -p 'require(process.argv[1]).version' "./$cache/node_modules/newman/package.json" 2>/dev/null || true)
if [ "$installed" != "$newman_version" ]; then
	npm install --prefix "$cache" --no-audit --no-fund --no-save --silent "newman@$newman_version"
fi

go build -o "$cache/certinext-sandbox" ./cmd/certinext-sandbox

exec node scripts/postman/check.mjs "$cache" "$collection"
