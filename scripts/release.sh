#!/usr/bin/env bash
# Copyright (c) The vault-plugin-secrets-certinext authors
# SPDX-License-Identifier: MPL-2.0
#
# Builds the release archives of $VERSION under build/release and prints the checksums
# to register. The same commit and Go release give the same bytes on any machine.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

version=${VERSION:?set VERSION, or run make release}
[[ $version =~ ^v(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$ ]] ||
	die "'$version' is not a semantic version with a leading v, which Vault asks for"
tar --version 2>/dev/null | grep -q 'GNU tar' || die "GNU tar is needed for archives with the same bytes each time"

plugin=vault-plugin-secrets-certinext
platforms=(linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64)
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
out=build/release
rm -rf "$out"
mkdir -p "$out"

for platform in "${platforms[@]}"; do
	os=${platform%/*} arch=${platform#*/} started=$SECONDS
	exe=
	[ "$os" = windows ] && exe=.exe
	name=${plugin}_${version#v}_${os}_${arch}
	mkdir -p "$out/$name"
	for program in "$plugin" certinext-sandbox; do
		CGO_ENABLED=0 GOOS=$os GOARCH=$arch GOFLAGS='' go build -trimpath -buildvcs=false \
			-ldflags "-s -w -buildid= -X github.com/certinext/vault-plugin-secrets-certinext.Version=$version -X main.version=$version" \
			-o "$out/$name/$program$exe" "./cmd/$program"
	done
	for file in LICENSE README.md CHANGELOG.md scripts/register.sh; do
		[ ! -e "$file" ] || cp "$file" "$out/$name/"
	done
	chmod -R u=rwX,go=rX "$out/$name"
	(cd "$out" && sha256sum "$name/$plugin$exe" >>plugin-checksums.txt)
	tar -C "$out" --sort=name --format=ustar --mtime="@$epoch" --owner=0 --group=0 --numeric-owner -cf - "$name" |
		gzip -9n >"$out/$name.tar.gz"
	rm -rf "${out:?}/$name"
	say "$out/$name.tar.gz in $((SECONDS - started)) s"
done
(cd "$out" && sha256sum -- *.tar.gz >SHA256SUMS)

printf '\nArchives (%s/SHA256SUMS):\n' "$out"
cat "$out/SHA256SUMS"
printf '\nThe plugin inside each, the checksum that Vault registers (%s/plugin-checksums.txt):\n' "$out"
cat "$out/plugin-checksums.txt"
