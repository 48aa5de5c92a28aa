#!/usr/bin/env bash
# Copyright (c) The vault-plugin-secrets-certinext authors
# SPDX-License-Identifier: MPL-2.0
#
# A Vault server, or OpenBao's where BAO_BIN names one, with the engine mounted at certinext/ and the CA simulator beside it,
# until Ctrl-C. Arguments go to the simulator, see certinext-sandbox -help:
#
#   scripts/dev.sh -issue-delay=20s
#   scripts/dev.sh -dialect=v1
#
# Where BIND is installed, a DNS server is there, too, for example.org and example.net,
# which the simulator asks and a solver can write to.
#
# Everything listens on free loopback ports and lives in build/dev, which is emptied at
# every start. scripts/demo.sh sources this file for its set-up.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

plugin=vault-plugin-secrets-certinext
server=vault # what people call its program
pids=()

# step SENTENCE announces what comes, note TEXT says how it went. show COMMAND... prints a
# command as one would type it, and runs it; the path of the Vault program reads vault, or bao.
step() { printf '\n%s\n' "$*"; }
note() { printf '  %s\n' "$*"; }
typed() {
	local word line=''
	for word in "$@"; do
		word=${word/#"$VAULT_BIN"/$server}
		case $word in
		*=*' '*) line+=" ${word%%=*}=\"${word#*=}\"" ;;
		*) line+=" $word" ;;
		esac
	done
	printf '  $%s\n' "$line"
}
show() {
	typed "$@"
	"$@" | sed 's/^/    /'
}

# finish ends what this script has started, and shows the logs when it failed.
finish() {
	local code=$? pid log
	trap - EXIT
	if [ "$code" -ne 0 ] && [ "$code" -ne 130 ] && [ -n "${dir:-}" ]; then
		for log in "$dir/sandbox.log" "$dir/vault.log"; do
			if [ -s "$log" ]; then
				say "-- the end of $log"
				tail -n 25 "$log" >&2
			fi
		done
	fi
	for pid in ${pids[@]+"${pids[@]}"}; do
		kill "$pid" 2>/dev/null || true
	done
	for pid in ${pids[@]+"${pids[@]}"}; do
		wait "$pid" 2>/dev/null || true
	done
	if [ -n "${dir:-}" ]; then
		rm -rf "$dir/data" "$dir/client_secret" "$dir/sandbox.json" "$dir/tsig_secret" "$dir/dns"
	fi
	exit "$code"
}

# set_up DIR [SANDBOX_FLAG...] leaves a Vault server in which certinext/ knows the
# simulator's account and has a role web, with VAULT_ADDR and VAULT_TOKEN exported and the
# simulator at $sandbox.
set_up() {
	local name
	dir=$1
	shift
	command -v go >/dev/null || die "no go on PATH: install Go 1.26 or later"
	mkdir -p "$dir"
	exec 8>"$dir/lock"
	if command -v flock >/dev/null && ! flock -n 8; then
		die "another run uses $dir at this moment"
	fi
	for name in "${!VAULT_@}" "${!BAO_@}"; do # what is set for another Vault
		case $name in VAULT_BIN | BAO_BIN) ;; *) unset "$name" ;; esac
	done
	rm -rf "$dir/data"
	mkdir -m 0700 "$dir/data"
	: >"$dir/vault.log"
	: >"$dir/sandbox.log"
	trap finish EXIT
	trap 'exit 130' INT TERM

	build
	start_dns
	start_sandbox "$@"
	start_vault
	mount_engine "$@"
}

build() {
	local started=$SECONDS
	step "Building the plugin and the CA simulator (a minute on a fresh machine, seconds later on)"
	mkdir -p "$dir/plugins"
	CGO_ENABLED=0 go build -C "$root" -trimpath -buildvcs=false -o "$dir/plugins/$plugin" "./cmd/$plugin"
	CGO_ENABLED=0 go build -C "$root" -trimpath -buildvcs=false -o "$dir/certinext-sandbox" ./cmd/certinext-sandbox
	note "built in $((SECONDS - started)) s"
	if [ -n "${BAO_BIN:-}" ]; then
		step "Looking at the OpenBao server"
		VAULT_BIN=$("$root/scripts/bao-binary.sh")
		server=bao
	else
		step "Finding a Vault server (built once from source where there is none: about ten minutes)"
		VAULT_BIN=$("$root/scripts/vault-binary.sh")
	fi
	note "$("$VAULT_BIN" version)"
}

# wait_for SECONDS WHAT PID COMMAND... tries COMMAND until it succeeds.
wait_for() {
	local until=$((SECONDS + $1)) what=$2 pid=$3
	shift 3
	until "$@" >/dev/null 2>&1; do
		kill -0 "$pid" 2>/dev/null || return 1
		[ "$SECONDS" -lt "$until" ] || die "$what: not within the time"
		sleep 0.2
	done
}

# start_dns starts BIND, whose address is $dns, empty where there is none, and whose key is in
# the file tsig_secret.
start_dns() {
	local named zone port
	dns='' resolver=()
	named=$(PATH=$PATH:/usr/sbin command -v named) || {
		note "BIND is not installed (apt-get install bind9): nothing answers for example.org"
		return
	}
	step "Starting a DNS server for example.com, example.org and example.net, which takes signed updates"
	(umask 077 && head -c 32 /dev/urandom | base64 | tr -d '\n' >"$dir/tsig_secret" && mkdir -p "$dir/dns")
	port=$(free_port)
	# CAA records are looked up from a name to the top, so that the tops have to be there, too.
	for zone in com org net example.com example.org example.net; do
		cat >"$dir/dns/$zone.zone" <<-END
			\$TTL 60
			@ IN SOA ns1 hostmaster 1 60 60 3600 1
			@ IN NS ns1
			ns1 IN A 127.0.0.1
			* IN A 127.0.0.1
		END
	done
	cat >"$dir/dns/named.conf" <<-END
		options {
		  directory "$dir/dns"; managed-keys-directory "$dir/dns"; pid-file none; session-keyfile none;
		  listen-on port $port { 127.0.0.1; }; listen-on-v6 { none; };
		  recursion no; dnssec-validation no; empty-zones-enable no;
		};
		controls { };
		key vault { algorithm hmac-sha256; secret "$(cat "$dir/tsig_secret")"; };
		zone "com" { type primary; file "com.zone"; };
		zone "org" { type primary; file "org.zone"; };
		zone "net" { type primary; file "net.zone"; };
		zone "example.com" { type primary; file "example.com.zone"; };
		zone "example.org" { type primary; file "example.org.zone"; allow-update { key vault; }; };
		zone "example.net" { type primary; file "example.net.zone"; allow-update { key vault; }; };
	END
	chmod 600 "$dir/dns/named.conf"
	"$named" -g -n 1 -c "$dir/dns/named.conf" >"$dir/dns.log" 2>&1 8>&- &
	pids+=($!)
	wait_for 20 "BIND listens" $! grep -q 'running$' "$dir/dns.log" || die "BIND did not start: see $dir/dns.log"
	dns=127.0.0.1:$port
	resolver=(-resolver="$dns")
	note "$dns, TSIG key vault"
}

# start_sandbox starts the simulator with the given flags. Its secret is in a file, since everybody
# on this machine can read the arguments of a process.
start_sandbox() {
	local secret flag
	for flag; do
		case $flag in -config* | --config*) die "$flag: the simulator's file is written here; give its settings as flags" ;; esac
	done
	step "Starting the CA simulator, with example.com already validated"
	secret=$(head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n')
	(umask 077 && printf %s "$secret" >"$dir/client_secret" &&
		printf '{"server":{"clientSecret":"%s","accessKey":"%s"}}\n' "$secret" "$secret" >"$dir/sandbox.json")
	"$dir/certinext-sandbox" -listen=127.0.0.1:0 -verified-domains=example.com ${resolver[@]+"${resolver[@]}"} \
		-config="$dir/sandbox.json" -client-id=dev-client "$@" >"$dir/sandbox.log" 2>&1 8>&- &
	pids+=($!)
	wait_for 10 "the simulator listens" $! grep -q '^listening on' "$dir/sandbox.log" || die "the simulator did not start"
	sandbox=$(sed -n 's/^listening on //p' "$dir/sandbox.log")
	note "$sandbox"
}

listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# free_port prints a port below those that systems hand out, with nobody on it or above it.
free_port() {
	local port
	while port=$((20000 + RANDOM % 12000)); listens "$port" || listens $((port + 1)); do :; done
	printf '%s\n' "$port"
}

# start_vault starts a server with storage of its own. A port that was taken meanwhile is
# replaced by another one.
start_vault() {
	local port pid attempt init
	step "Starting a Vault server"
	for attempt in 1 2 3; do
		port=$(free_port)
		cat >"$dir/vault.hcl" <<-END
			storage "raft" {
			  path                   = "$dir/data"
			  node_id                = "local"
			  performance_multiplier = 1
			}
			listener "tcp" {
			  address     = "127.0.0.1:$port"
			  tls_disable = true
			}
			api_addr         = "http://127.0.0.1:$port"
			cluster_addr     = "https://127.0.0.1:$((port + 1))"
			plugin_directory = "$dir/plugins"
			disable_mlock    = true
		END
		"$VAULT_BIN" server -config="$dir/vault.hcl" >"$dir/vault.log" 2>&1 8>&- &
		pid=$!
		pids+=("$pid")
		vault_pid=$pid
		if wait_for 30 "Vault listens" "$pid" listens "$port" && kill -0 "$pid" 2>/dev/null; then
			break
		fi
		if [ "$attempt" -eq 3 ] || ! grep -q 'address already in use' "$dir/vault.log"; then
			die "Vault did not start"
		fi
	done
	export VAULT_ADDR=http://127.0.0.1:$port
	init=$("$VAULT_BIN" operator init -key-shares=1 -key-threshold=1)
	"$VAULT_BIN" operator unseal "$(sed -n 's/^Unseal Key 1: //p' <<<"$init")" >/dev/null
	VAULT_TOKEN=$(sed -n 's/^Initial Root Token: //p' <<<"$init")
	export VAULT_TOKEN
	wait_for 30 "Vault is active" "$pid" "$VAULT_BIN" secrets list || die "Vault did not become active"
	note "$VAULT_ADDR, log in $dir/vault.log"
}

sha256() {
	if command -v sha256sum >/dev/null; then
		sha256sum "$1"
	else
		shasum -a 256 "$1"
	fi | cut -d' ' -f1
}

# mount_engine [SANDBOX_FLAG...] mounts the engine with the account of the simulator's dialect.
mount_engine() {
	local version account=(client_id=dev-client client_secret=@client_secret)
	case " $* " in
	*-dialect=documented*) account=(account_number=1234567890 access_key=@client_secret) ;;
	*-dialect=v1*) account=(api_version=v1 account_number=1234567890 access_key=@client_secret organization_number=4000001) ;;
	esac
	version=$("$dir/plugins/$plugin" -version)
	step "Registering the plugin: Vault starts the file only while it has this checksum"
	show "$VAULT_BIN" plugin register -sha256="$(sha256 "$dir/plugins/$plugin")" -version="$version" secret "$plugin"
	step "Mounting it, with leases that may last as long as certificates do"
	show "$VAULT_BIN" secrets enable -path=certinext -plugin-version="$version" -max-lease-ttl=9600h "$plugin"
	step "Telling it the CERTInext account, and who orders (in ${dir#"$root/"})"
	cd "$dir"
	show "$VAULT_BIN" write certinext/config base_url="$sandbox" "${account[@]}" \
		requestor_name='Platform Team' requestor_email=platform@example.com requestor_phone=+14155550123 \
		signer_place=Bengaluru signer_ip=203.0.113.7 technical_contact_name='Platform Team' \
		technical_contact_email=platform@example.com technical_contact_phone=+14155550123
	cd "$OLDPWD"
	step "Writing a role: DV certificates (product 842 of the simulator) for example.com and below"
	show "$VAULT_BIN" write certinext/roles/web product_code=842 allowed_domains=example.com \
		allow_bare_domains=true allow_subdomains=true
}

serve() {
	set_up "$root/build/dev" "$@"
	trap 'echo; exit 0' INT TERM
	cat <<-END

		Everything runs. In another terminal:

		  export VAULT_ADDR=$VAULT_ADDR
		  export VAULT_TOKEN=$VAULT_TOKEN
		  export SANDBOX=$sandbox
		  export DNS=$dns
		  alias $server=$VAULT_BIN

		  $server read certinext/config/check
		  $server write certinext/issue/web common_name=www.example.com
		  $server list certinext/certs
		  $server path-help certinext

		The CA's side, without credentials (certinext-sandbox -help lists all of it):

		  curl \$SANDBOX/_sandbox/orders
		  curl \$SANDBOX/_sandbox/knobs -d '{"issueDelay":"20s"}'

		Logs: $dir/vault.log and $dir/sandbox.log. Ctrl-C ends it and forgets everything.
	END
	wait "$vault_pid" || true
	die "Vault has ended"
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
	serve "$@"
fi
