#!/usr/bin/env bash
# Copyright (c) The vault-plugin-secrets-certinext authors
# SPDX-License-Identifier: MPL-2.0
#
# Registers the CERTInext secrets engine with a running Vault or OpenBao, and moves a mount
# from one version to another. `register.sh help` says how.
#
# It can be killed between any two commands and run again: what it finds decides what it does.
set -euo pipefail

usage() {
	cat <<'EOF'
Registers the CERTInext secrets engine with a running Vault or OpenBao, and moves a mount
from one version to another.

  register.sh register [--binary FILE] [--plugin-dir DIR] [--version V]
  register.sh enable   [as register] [--mount PATH] [--max-lease-ttl TTL]
  register.sh upgrade  [as register] [--mount PATH]
  register.sh rollback [--version V] [--mount PATH]
  register.sh status   [--mount PATH]

register   copies the binary into Vault's plugin directory and enters its SHA-256 in the
           plugin catalog. Nothing that runs is changed.
enable     registers, then mounts the engine: the first installation.
upgrade    registers, pins the mount to the new version and reloads it. Orders under
           way go on: they are kept in Vault's storage, not in the process. Where the
           new version does not start, or the run is interrupted, the mount is pinned
           and reloaded as it was. Never moves a mount to a version lower than the one
           that it is pinned to, or than the one that it runs.
rollback   pins the mount to an earlier version that is still in the catalog, and reloads
           it. Without --version it goes back from the version that the mount is pinned to:
           to the one that runs, where an upgrade was left half-way, else to the next
           lower one. A rollback that was left half-way is ended, and goes no further.
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

A reload waits for the requests that are under way: an issue that waits for its order, for
as long as the issue_timeout of its role.

Vault is reached with the program that BAO_BIN or VAULT_BIN names, else with the vault on the
PATH, else with the bao; where BAO_ADDR is set and VAULT_ADDR is not, with the bao. The usual
variables count: VAULT_ADDR, VAULT_TOKEN, VAULT_NAMESPACE and VAULT_CACERT, or BAO_ADDR and
so on for bao. The token needs
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
	printf ' %q' "${@/#$vault/$server}"
	printf '\n'
	"$@" 2>&1 | sed 's/^/  /'
}

sha256() {
	if command -v sha256sum >/dev/null; then
		sha256sum "$1"
	else
		shasum -a 256 "$1"
	fi | cut -d' ' -f1
}

is_version() { [[ $1 =~ ^v[0-9]+\.[0-9]+\.[0-9]+([-+][0-9A-Za-z.+-]+)?$ ]]; }

# in_order prints the versions on standard input, lowest first; a prerelease is lower than
# its release.
in_order() { sed 's/-/~/' | sort -V | sed 's/~/-/'; }

# is_lower A B reports whether the version A is lower than B.
is_lower() { [ "$1" != "$2" ] && [ "$(printf '%s\n' "$1" "$2" | in_order | head -n 1)" = "$1" ]; }

# next_lower VERSION prints the version before it on standard input, which need not hold it.
next_lower() { { cat && printf '%s\n' "$1"; } | in_order | uniq | awk -v v="$1" '$0 == v { print last; exit } { last = $0 }'; }

# refuge TARGET PINNED RUNNING prints the version to return to when a mount that is pinned to
# PINNED and runs RUNNING cannot be moved to TARGET: what runs is known to start. Prints
# nothing where there is none.
refuge() {
	if [ -n "$3" ] && [ "$3" != "$1" ]; then
		printf '%s\n' "$3"
	elif [ "$2" != "$1" ]; then
		printf '%s\n' "$2"
	fi
}

# behind PINNED RUNNING prints where an unnamed rollback goes: from a half-way move to the
# lower of both, which ends a rollback and takes back an upgrade. Prints nothing where the
# catalog, on standard input, has to say.
behind() {
	if [ -z "$1" ] || [ -z "$2" ] || [ "$1" = "$2" ]; then
		next_lower "${1:-$2}"
	elif is_lower "$1" "$2"; then
		printf '%s\n' "$1"
	else
		printf '%s\n' "$2"
	fi
}

# too_low VERSION PINNED RUNNING says why an upgrade of a mount that is pinned to PINNED and runs
# RUNNING does not go to VERSION. Prints nothing where it is lower than neither: a move that
# was left half-way leaves two, and either may be the one that somebody chose.
too_low() {
	if [ -n "$2" ] && is_lower "$1" "$2"; then
		printf '%s is lower than %s, to which the mount is pinned' "$1" "$2"
	elif [ -n "$3" ] && is_lower "$1" "$3"; then
		printf '%s is lower than %s, which the mount runs' "$1" "$3"
	fi
}

# catalog_versions prints the registered versions, lowest first.
catalog_versions() {
	local list
	list=$("$vault" plugin list -detailed secret) ||
		die "the catalog cannot be read, for the reason above: the token needs read on sys/plugins/catalog"
	awk -v name="$plugin" '$1 == name { print $3 }' <<<"$list" | in_order
}

# in_catalog FIELD prints a field of the version's entry in the catalog, and nothing where
# there is no entry.
in_catalog() {
	local said
	if said=$("$vault" read -field="$1" "sys/plugins/catalog/secret/$plugin" version="$version" 2>&1); then
		printf '%s\n' "$said"
	elif [[ $said != 'No value found'* ]]; then
		die "the catalog's entry of $version cannot be read: $said"
	fi
}

# mount_field FIELD prints a field of the mount, or nothing where there is no mount.
mount_field() { "$vault" read -field="$1" "sys/mounts/$mount" 2>/dev/null || true; }

# look finds out to which version the mount is $pinned, and which one is $running.
look() {
	local unknown="what $mount/ runs cannot be read, for the reason above; nothing was changed"
	pinned=$("$vault" read -field=plugin_version "sys/mounts/$mount") || die "$unknown"
	running=$("$vault" read -field=running_plugin_version "sys/mounts/$mount") || die "$unknown"
	answers || silent=1
}

require_mount() {
	local type
	type=$(mount_field type)
	[ -n "$type" ] ||
		die "no mount at $mount/, or the token may not read sys/mounts/$mount: see '$server secrets list', or run register.sh enable"
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
	# What a run has left that was killed here.
	find "$plugin_dir" -maxdepth 1 -name ".$command.??????" -mmin +10 -delete 2>/dev/null || true
	temporary=$(mktemp "$plugin_dir/.$command.XXXXXX") ||
		die "nothing can be written to $plugin_dir, for the reason above; nothing was changed"
	if ! { cp "$binary" "$temporary" && chmod 0755 "$temporary" && mv "$temporary" "$target"; }; then
		die "the binary cannot be copied to $plugin_dir, for the reason above; nothing was changed"
	fi
	temporary=
	placed=$target
}

# register leaves an entry alone that is there already, and never replaces one: another mount
# may be pinned to it, and would not start any more.
register() {
	local known
	find_binary
	sum=$(sha256 "$binary")
	printf 'Plugin %s %s\n  binary  %s\n  SHA-256 %s\n' "$plugin" "$version" "$binary" "$sum"
	known=$(in_catalog sha256)
	[ -z "$known" ] || [ "$known" = "$sum" ] ||
		die "the catalog has $version with another SHA-256, $known: give this binary a version of its own; or, where '$server secrets list -detailed' shows no mount of that version, '$server plugin deregister -version=$version secret $plugin' and run this again"
	place
	if [ -n "$known" ] && [ "$(in_catalog command)" = "$command" ]; then
		step "The catalog has $version with this checksum already."
		return
	fi
	step "Entering the checksum in the catalog: Vault starts the file only while it has this SHA-256."
	if ! run "$vault" plugin register -sha256="$sum" -command="$command" -version="$version" secret "$plugin"; then
		known=$(in_catalog sha256) || die "and so Vault may have taken the plugin, or not: run this again"
		if [ "$known" = "$sum" ] && [ "$(in_catalog command)" = "$command" ]; then
			step "The catalog has $version with this checksum all the same: only the answer was lost."
			return
		fi
		[ -z "$placed" ] || rm -f "$placed"
		die "Vault did not take the plugin, for the reason above${placed:+; the copy is removed again}. It has to be in the plugin_directory of Vault's configuration, and the token needs what register.sh help says"
	fi
}

enable() {
	local there
	there=$(mount_field type)
	if [ -n "$there" ]; then
		[ "$there" != "$plugin" ] || there="this engine, pinned to $(mount_field plugin_version), running $(mount_field running_plugin_version)"
		die "there is a mount at $mount/ already, of $there: register.sh upgrade brings it to another version"
	fi
	register
	step "Mounting the engine at $mount/."
	run "$vault" secrets enable -path="$mount" -plugin-version="$version" \
		${max_lease_ttl:+-max-lease-ttl="$max_lease_ttl"} "$plugin" ||
		[ "$(mount_field type)" = "$plugin" ] ||
		die "Vault did not mount $version, for the reason above; nothing else was changed. $(kept "$version")"
	verify || die "$mount/ is mounted and does not answer as $version: $(why)"
	step "Next: $server write $mount/config …, then a role; '$server path-help $mount' lists what there is."
}

pin() { run "$vault" secrets tune -plugin-version="$1" "$mount/"; }

# The subcommand "plugin reload -mounts" of Vault 1.21 asks for a path that no server has.
reload() { run "$vault" write sys/plugins/reload/backend mounts="$mount/" scope=global; }

# move makes the mount run the version, or returns it to what it ran, after a look.
move() {
	back=$(refuge "$version" "$pinned" "$running")
	moving=1
	step "Pinning $mount/ to $version. The process that runs now is not touched by this."
	if ! pin "$version"; then
		{ [ "$pinned" != "$version" ] && is_pinned "$pinned"; } || die "Vault did not say that $mount/ is pinned to $version, for the reason above"
		moving=
		step "$(kept "$version")"
		die "$mount/ was not pinned, for the reason above, and is as it was: pinned to ${pinned:-no version}, running ${running:-nothing}"
	fi
	step "Reloading the mount. Requests under way are waited for; others in these seconds may fail once and can be repeated."
	reload || die "$version does not start, or the answer was lost, for the reason above"
	verify || die "$mount/ does not answer as $version: $(why)"
	moving=
	[ -z "$silent" ] || die "$(locked)"
}

# is_pinned VERSION looks at the mount after a pin that failed, for an answer that was lost on its
# way tells nothing. A Vault that answers nobody for a moment, as while another node takes over,
# is waited for.
is_pinned() {
	local attempt now
	for attempt in 1 2 3 4 5 6 7 8 9 10; do
		if now=$("$vault" read -field=plugin_version "sys/mounts/$mount" 2>/dev/null); then
			[ "$now" != "$1" ] || return 0 # a bare return has another status below a trap
			return 1
		fi
		[ "$attempt" -eq 10 ] || sleep 1
	done
	return 1
}

# repinned VERSION says that the mount was pinned to another one, by a move that was left half-way.
repinned() { [ "$1" = "$pinned" ] || printf ', but pinned to what it runs, and no longer to %s' "${pinned:-no version}"; }

# kept VERSION says what a move that failed has left in the catalog, and how it is removed. It is
# left to people: another mount may be pinned to it, and operators may not delete there.
kept() {
	printf '%s' "The catalog keeps $1. Where '$server secrets list -detailed' shows no mount of it, '$server plugin deregister -version=$1 secret $plugin' removes it, with a token that has sudo and delete on sys/plugins/catalog/secret/$plugin${placed:+; its file is $placed}."
}

# locked says what is left where Vault was started while the engine did not start.
locked() {
	printf '%s' "$mount/ did not answer before. If Vault was started like that, it keeps the mount's storage read-only (\"cannot write to storage during setup\") until it is unsealed anew: restart it, or '$server operator step-down' in a cluster"
}
why() { printf "the log of the Vault server says why it did not start"; }

# restore returns the mount to the version in $back: one that does not start goes unnoticed
# until Vault starts the next time, and then the mount is gone.
restore() {
	local tried=$version version=$back
	moving=
	if [ -z "$version" ]; then
		step "$mount/ ran no other version before, so there is none to return to: register.sh rollback --mount $mount --version V goes to one that the catalog has."
		return 1
	fi
	step "Returning $mount/ to $version."
	if { pin "$version" || is_pinned "$version"; } && { reload || step "It was not reloaded."; } && verify; then
		step "$mount/ is as it was$(repinned "$version"). $(kept "$tried")"
		[ -z "$silent" ] || step "$(locked)."
		return 0
	fi
	step "$mount/ COULD NOT BE RETURNED to $version, and may be gone after the next start of Vault. As soon as Vault answers: register.sh rollback --mount $mount --version $version"
	return 1
}

# leave is what is done at the end, however it comes.
leave() {
	local code=$?
	trap - EXIT INT TERM HUP
	set +e
	[ -z "$temporary" ] || rm -f "$temporary"
	[ -z "$moving" ] || restore >&2
	exit "$code"
}

upgrade() {
	local low
	require_mount
	look
	find_binary
	low=$(too_low "$version" "$pinned" "$running")
	[ -z "$low" ] || die "$low ($mount/): register.sh register, then register.sh rollback --mount $mount --version $version"
	register
	if [ "$pinned" = "$version" ] && [ "$running" = "$version" ] && [ "$(mount_field running_sha256)" = "$sum" ] && answers; then
		step "$mount/ runs $version with this checksum already; nothing to change."
		return
	fi
	move
	[ "${back:-$version}" = "$version" ] || step "The way back: register.sh rollback --mount $mount --version $back"
}

rollback() {
	local versions
	require_mount
	look
	versions=$(catalog_versions)
	if [ -z "$version" ]; then
		version=$(behind "$pinned" "$running" <<<"$versions")
		[ -n "$version" ] || die "the catalog has no version below ${pinned:-$running}: name one with --version; it has ${versions//$'\n'/ }"
	fi
	grep -qxF -- "$version" <<<"$versions" || die "the catalog has no $version: name another one with --version; it has ${versions//$'\n'/ }"
	printf '%s/ is pinned to %s and runs %s. Going to %s.\n' "$mount" "${pinned:-no version}" "${running:-nothing}" "$version"
	step "What the newer version stored in a form of its own, the older one refuses by name and keeps: a role, a config or an order of that kind serves nobody until the newer version runs again. See CHANGELOG.md before a step over several versions."
	move
}

# answers asks the process for its help, which no policy forbids. Vault names the version that
# ran last also for a mount that runs nothing since it was started.
answers() { "$vault" path-help "$mount" >/dev/null 2>&1; }

# verify waits until the mount runs the version, and says so, or fails.
verify() {
	local attempt
	for attempt in 1 2 3 4 5 6 7 8 9 10; do
		if [ "$(mount_field running_plugin_version)" = "$version" ] && answers; then
			step "$mount/ runs $version, SHA-256 $(mount_field running_sha256)."
			return 0 # also below a trap, where a bare return has another status
		fi
		[ "$attempt" -eq 10 ] || sleep 1
	done
	return 1
}

status() {
	printf 'Vault %s\n\nCatalog:\n' "$address"
	"$vault" plugin list -detailed secret | awk -v name="$plugin" '$1 == name { print "  " $3; n++ } END { if (!n) print "  none registered" }'
	printf '\nMount %s/:\n' "$mount"
	if [ -z "$(mount_field type)" ]; then
		echo "  none, or the token may not read sys/mounts/$mount"
		return
	fi
	printf '  type     %s\n  pinned   %s\n  running  %s\n  SHA-256  %s\n' "$(mount_field type)" \
		"$(mount_field plugin_version)" "$(mount_field running_plugin_version)" "$(mount_field running_sha256)"
	answers || echo "  it does not answer: $(why)"
}

binary='' plugin_dir='' command='' version='' mount=certinext max_lease_ttl='' sum='' placed='' temporary=''
pinned='' running='' silent=''
# While $moving is set, the mount is pinned to a version that is not known to start yet.
moving='' back=''
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

if [ -n "${BAO_ADDR:-}" ] && [ -z "${VAULT_ADDR:-}" ]; then
	vault=$(command -v bao || command -v vault || true)
else
	vault=$(command -v vault || command -v bao || true)
fi
vault=${BAO_BIN:-${VAULT_BIN:-$vault}}
command -v "${vault:-vault}" >/dev/null ||
	die "no vault or bao program${vault:+ ($vault)}: install Vault's or OpenBao's command line, or set VAULT_BIN or BAO_BIN to it"
server=vault
case $("$vault" version 2>/dev/null) in OpenBao*) server=bao ;; esac
[ "$server" = bao ] || [ -z "${BAO_ADDR:-}" ] || [ -n "${VAULT_ADDR:-}" ] ||
	die "BAO_ADDR is set, and $vault is no bao and does not look at it: set VAULT_ADDR, or BAO_BIN to OpenBao's command line"
address=${VAULT_ADDR:-https://127.0.0.1:8200}
[ "$server" = vault ] || address=${BAO_ADDR:-$address}
case $("$vault" status >/dev/null 2>&1; echo $?) in
0) ;;
2) die "Vault at $address is sealed: unseal it first" ;;
*) die "no answer from Vault at $address: set VAULT_ADDR (and VAULT_CACERT), and see that it runs" ;;
esac
"$vault" token lookup >/dev/null 2>&1 || die "Vault does not accept the token: set VAULT_TOKEN or run $server login"

trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP
"$action"
