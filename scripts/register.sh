#!/usr/bin/env bash
# Copyright (c) The vault-plugin-secrets-certinext authors
# SPDX-License-Identifier: MPL-2.0
#
# Registers the CERTInext secrets engine with a running Vault, and moves a mount from
# one version to another. `register.sh help` says how.
set -euo pipefail

usage() {
	cat <<'EOF'
Registers the CERTInext secrets engine with a running Vault, and moves a mount from
one version to another.

  register.sh register [--binary FILE] [--plugin-dir DIR] [--version V]
  register.sh enable   [as register] [--mount PATH] [--max-lease-ttl TTL]
  register.sh upgrade  [as register] [--mount PATH]
  register.sh rollback [--version V] [--mount PATH]
  register.sh status   [--mount PATH]

register   copies the binary into Vault's plugin directory and enters its SHA-256 in the
           plugin catalog. Nothing that runs is changed.
enable     registers, then mounts the engine: the first installation.
upgrade    registers, pins the mount to the new version and reloads it. Orders under
           way go on: they are kept in Vault's storage, not in the process.
rollback   pins the mount to an earlier version that is still in the catalog, and reloads
           it; without --version the next lower one.
status     shows what the catalog holds and what the mount runs.

  --binary FILE        the plugin; default: vault-plugin-secrets-certinext beside this
                       script, else ../build/vault-plugin-secrets-certinext
  --plugin-dir DIR     the plugin_directory of Vault's configuration, on this machine.
                       Each version gets a file of its own there, so that a rollback finds
                       the old one. Left out, nothing is copied: the file must then be in
                       that directory on every Vault node already, as FILE's name or the
                       one given with --command.
  --command NAME       the file's name in the plugin directory; default with --plugin-dir:
                       vault-plugin-secrets-certinext_VERSION
  --version V          a semantic version with a leading v; default: what the binary
                       answers to --version. Vault refuses one that differs from it.
  --mount PATH         default: certinext
  --max-lease-ttl TTL  of the new mount, e.g. 9600h. A lease cannot outlive it, and the end
                       of a lease revokes its certificate: choose more than the life of
                       the longest certificate. Default: Vault's, usually 768h.

Vault is reached with the vault program (VAULT_BIN, else the one on PATH) under the usual
variables VAULT_ADDR, VAULT_TOKEN, VAULT_NAMESPACE and VAULT_CACERT. The token needs
sudo, create, update and read on sys/plugins/catalog/secret/vault-plugin-secrets-certinext,
read on sys/plugins/catalog, update and sudo on sys/plugins/reload/backend, and create,
update and read on sys/mounts/PATH and sys/mounts/PATH/tune.
EOF
}

plugin='vault-plugin-secrets-certinext'
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

die() {
	printf 'register.sh: %s\n' "$*" >&2
	exit 1
}

# step SENTENCE and run COMMAND tell the operator what happens and let them repeat it.
step() { printf '\n%s\n' "$*"; }
run() {
	printf '  $'
	printf ' %q' "${@/#$vault/vault}"
	printf '\n'
	"$@" | sed 's/^/  /'
}

sha256() {
	if command -v sha256sum >/dev/null; then
		sha256sum "$1"
	else
		shasum -a 256 "$1"
	fi | cut -d' ' -f1
}

is_version() { [[ $1 =~ ^v[0-9]+\.[0-9]+\.[0-9]+([-+][0-9A-Za-z.+-]+)?$ ]]; }

# catalog_versions prints the registered versions, lowest first; a prerelease is lower
# than its release.
catalog_versions() {
	"$vault" plugin list -detailed secret |
		awk -v name="$plugin" '$1 == name { print $3 }' | sed 's/-/~/' | sort -V | sed 's/~/-/'
}

# mount_field FIELD prints a field of the mount, or nothing where there is no mount.
mount_field() { "$vault" read -field="$1" "sys/mounts/$mount" 2>/dev/null || true; }

require_mount() {
	local type
	type=$(mount_field type)
	[ -n "$type" ] ||
		die "no mount at $mount/, or the token may not read sys/mounts/$mount: see 'vault secrets list', or run register.sh enable"
	[ "$type" = "$plugin" ] || die "the mount $mount/ is of type $type, not $plugin: choose another with --mount"
}

find_binary() {
	local candidate
	if [ -z "$binary" ]; then
		for candidate in "$here/$plugin" "$here/../build/$plugin"; do
			[ ! -f "$candidate" ] || binary=$candidate
			[ -z "$binary" ] || break
		done
		[ -n "$binary" ] || die "no $plugin beside this script or in build/: run make build, or name it with --binary"
	fi
	[ -f "$binary" ] || die "$binary: no such file"
	binary=$(cd "$(dirname "$binary")" && pwd)/${binary##*/}
	if [ -z "$version" ]; then
		# A binary for another platform cannot answer.
		version=$("$binary" --version 2>/dev/null </dev/null | grep -oE 'v[0-9]+\.[0-9]+\.[0-9]+[-+.0-9A-Za-z]*' | head -n 1) ||
			die "$binary does not tell its version here: give it with --version"
	fi
	is_version "$version" || die "'$version' is not a semantic version with a leading v, like v1.2.0"
}

# place copies the binary into the plugin directory under the name of its version.
place() {
	if [ -z "$plugin_dir" ]; then
		command=${command:-${binary##*/}}
		step "No --plugin-dir: $command is expected in the plugin directory of every Vault node."
		return
	fi
	[ -d "$plugin_dir" ] || die "$plugin_dir is no directory: give the plugin_directory of Vault's configuration"
	command=${command:-${plugin}_$version}
	local target=$plugin_dir/$command
	if [ -e "$target" ]; then
		[ "$(sha256 "$target")" = "$sum" ] ||
			die "$target holds another binary of the same version, which a mount may be running: give the new one a version of its own, or remove the file"
		step "$target is there already, with the same checksum."
		return
	fi
	step "Copying the binary to $target. Every Vault node needs the same file."
	local temporary
	temporary=$(mktemp "$plugin_dir/.$command.XXXXXX")
	# shellcheck disable=SC2064 # the name as it is now
	trap "rm -f $(printf %q "$temporary")" EXIT
	cp "$binary" "$temporary"
	chmod 0755 "$temporary"
	mv "$temporary" "$target"
	trap - EXIT
	placed=$target
}

register() {
	find_binary
	sum=$(sha256 "$binary")
	printf 'Plugin %s %s\n  binary  %s\n  SHA-256 %s\n' "$plugin" "$version" "$binary" "$sum"
	place
	step "Entering the checksum in the catalog: Vault starts the file only while it has this SHA-256."
	if ! run "$vault" plugin register -sha256="$sum" -command="$command" -version="$version" secret "$plugin"; then
		[ -z "$placed" ] || rm -f "$placed"
		die "Vault did not take the plugin, for the reason above${placed:+; the copy is removed again}"
	fi
}

enable() {
	[ -z "$(mount_field type)" ] || die "there is a mount at $mount/ already: register.sh upgrade brings it to a new version"
	register
	step "Mounting the engine at $mount/."
	run "$vault" secrets enable -path="$mount" -plugin-version="$version" \
		${max_lease_ttl:+-max-lease-ttl="$max_lease_ttl"} "$plugin"
	verify
	step "Next: vault write $mount/config …, then a role; 'vault path-help $mount' lists what there is."
}

# pin VERSION makes the mount run it.
pin() {
	local version=$1
	step "Pinning $mount/ to $version. The process that runs now is not touched by this."
	run "$vault" secrets tune -plugin-version="$version" "$mount/"
	step "Reloading the mount. Requests in these seconds may fail once and can be repeated."
	# The subcommand "plugin reload -mounts" of Vault 1.21 asks for a path that no server has.
	run "$vault" write sys/plugins/reload/backend mounts="$mount/" scope=global
}

upgrade() {
	require_mount
	local before
	before=$(mount_field running_plugin_version)
	register
	if [ "$before" = "$version" ] && [ "$(mount_field running_sha256)" = "$sum" ]; then
		step "$mount/ runs $version with this checksum already; nothing to change."
		return
	fi
	pin "$version"
	verify
	step "The way back: register.sh rollback --mount $mount --version $before"
}

rollback() {
	require_mount
	local current versions
	current=$(mount_field running_plugin_version)
	versions=$(catalog_versions)
	if [ -z "$version" ]; then
		version=$(awk -v current="$current" '$0 == current { print previous; exit } { previous = $0 }' <<<"$versions")
		[ -n "$version" ] || die "the catalog has no version below $current: name one with --version; it has ${versions//$'\n'/ }"
	fi
	grep -qxF -- "$version" <<<"$versions" || die "the catalog has no $version: it has ${versions//$'\n'/ }"
	printf 'From %s back to %s.\n' "$current" "$version"
	step "What the newer version stored in a form of its own, the older one refuses by name and keeps: a role, a config or an order of that kind serves nobody until the newer version runs again. See CHANGELOG.md before a step over several versions."
	pin "$version"
	verify
}

# verify waits until the mount runs the version and says so, or fails.
verify() {
	local running
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		running=$(mount_field running_plugin_version)
		if [ "$running" = "$version" ]; then
			step "$mount/ runs $version, SHA-256 $(mount_field running_sha256)."
			return
		fi
		sleep 1
	done
	die "$mount/ runs ${running:-nothing}, not $version: the log of the Vault server says why it did not start"
}

status() {
	printf 'Vault %s\n\nCatalog:\n' "${VAULT_ADDR:-https://127.0.0.1:8200}"
	"$vault" plugin list -detailed secret | awk -v name="$plugin" '$1 == name { print "  " $3; n++ } END { if (!n) print "  none registered" }'
	printf '\nMount %s/:\n' "$mount"
	if [ -z "$(mount_field type)" ]; then
		echo "  none, or the token may not read sys/mounts/$mount"
		return
	fi
	printf '  type     %s\n  pinned   %s\n  running  %s\n  SHA-256  %s\n' "$(mount_field type)" \
		"$(mount_field plugin_version)" "$(mount_field running_plugin_version)" "$(mount_field running_sha256)"
}

binary='' plugin_dir='' command='' version='' mount=certinext max_lease_ttl='' sum='' placed=''
action=${1:-help}
[ $# -eq 0 ] || shift
while [ $# -gt 0 ]; do
	flag=$1 value=
	case $flag in
	-h | --help)
		usage
		exit
		;;
	--*=*)
		value=${flag#*=}
		flag=${flag%%=*}
		;;
	--*)
		[ $# -ge 2 ] || die "$flag needs a value: see register.sh help"
		value=$2
		shift
		;;
	esac
	shift
	case $flag in
	--binary) binary=$value ;;
	--plugin-dir) plugin_dir=${value%/} ;;
	--command) command=$value ;;
	--version) version=$value ;;
	--mount) mount=${value%/} ;;
	--max-lease-ttl) max_lease_ttl=$value ;;
	*) die "unknown argument $flag: see register.sh help" ;;
	esac
done

case $action in
help | -h | --help)
	usage
	exit
	;;
register | enable | upgrade | rollback | status) ;;
*) die "unknown command '$action': see register.sh help" ;;
esac

vault=${VAULT_BIN:-vault}
command -v "$vault" >/dev/null || die "no vault program: install the Vault CLI or set VAULT_BIN to it"
case $("$vault" status >/dev/null 2>&1; echo $?) in
0) ;;
2) die "Vault at ${VAULT_ADDR:-https://127.0.0.1:8200} is sealed: unseal it first" ;;
*) die "no answer from Vault at ${VAULT_ADDR:-https://127.0.0.1:8200}: set VAULT_ADDR (and VAULT_CACERT), and see that it runs" ;;
esac
"$vault" token lookup >/dev/null 2>&1 || die "Vault does not accept the token: set VAULT_TOKEN or run vault login"

"$action"
