# Copyright (c) The vault-plugin-secrets-certinext authors
# SPDX-License-Identifier: MPL-2.0
#
# shellcheck shell=bash
# Helpers of the scripts in this folder. Source it; it is not run by itself.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '%s\n' "$*" >&2; }

die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# cache_dir prints the folder that keeps built tools across checkouts, so that a
# tool that takes minutes to build is built once per machine.
cache_dir() {
	local dir="${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/vault-plugin-secrets-certinext"
	if ! mkdir -p "$dir" 2>/dev/null || [ ! -w "$dir" ]; then
		dir="$root/build/tools/cache"
		mkdir -p "$dir"
	fi
	printf '%s\n' "$dir"
}

# module_version MODULE GOMOD prints the version of MODULE that GOMOD requires.
module_version() {
	awk -v module="$1" '
		$1 == module { print $2; found = 1; exit }
		$1 == "require" && $2 == module { print $3; found = 1; exit }
		END { exit !found }' "$2" ||
		die "$2 does not require $1"
}

# cached_build KEY NAME MODULE_DIR PACKAGE [BUILD_FLAG...] prints the path of the
# program NAME in the cache under KEY, built from PACKAGE at the versions that the
# module in MODULE_DIR pins. Callers that run at the same time wait for one build.
# The environment variable hint says beforehand how long it takes.
cached_build() {
	local key=$1 name=$2 module=$3 package=$4
	shift 4
	command -v go >/dev/null || die "no go on PATH: install Go 1.26 or later"
	local dir target
	dir=$(cache_dir)/$key
	target=$dir/$name
	if [ -x "$target" ]; then
		printf '%s\n' "$target"
		return
	fi
	mkdir -p "$dir"
	# Without flock two callers would both build; the rename keeps the result whole.
	exec 9>"$dir/lock"
	if command -v flock >/dev/null && ! flock -n 9; then
		say "waiting for another process that builds $name ($key)"
		flock 9
	fi
	if [ ! -x "$target" ]; then
		build_into "$target" "$module" "$package" "$@"
	fi
	exec 9>&-
	printf '%s\n' "$target"
}

# build_into TARGET MODULE_DIR PACKAGE [BUILD_FLAG...] builds next to TARGET and renames.
build_into() {
	local target=$1 module=$2 package=$3 started=$SECONDS pulse rc=0
	shift 3
	say "building ${package} for ${target}${hint:+ (${hint})}"
	(
		while sleep 60 2>/dev/null && kill -0 $$ 2>/dev/null; do say "  still building ${target##*/}, $(((SECONDS - started) / 60)) min"; done
	) 9>&- >/dev/null &
	pulse=$!
	(cd "$module" && go build -buildvcs=false -trimpath "$@" -o "$target.$$" "$package") 9>&- >&2 || rc=$?
	kill "$pulse" 2>/dev/null || true
	wait "$pulse" 2>/dev/null || true
	if [ "$rc" -ne 0 ]; then
		rm -f "$target.$$"
		die "building $package failed after $((SECONDS - started)) s: see the messages above; the versions are pinned in $module/go.mod"
	fi
	mv "$target.$$" "$target"
	say "built ${target} in $((SECONDS - started)) s, $(($(wc -c <"$target") / 1000000)) MB"
}
