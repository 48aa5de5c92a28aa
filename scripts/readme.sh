#!/usr/bin/env bash
# Copyright (c) The vault-plugin-secrets-certinext authors
# SPDX-License-Identifier: MPL-2.0
#
# Runs the README's commands, so that they are known to work: every block marked sh, in order, with the set-up of
# scripts/dev.sh. Blocks marked console are for other places and other targets.
set -euo pipefail
# shellcheck source=scripts/dev.sh
source "$(dirname "${BASH_SOURCE[0]}")/dev.sh"

command -v jq >/dev/null || die "jq is missing: apt-get install jq"
nginx=$(PATH=$PATH:/usr/sbin command -v nginx) || die "nginx is missing: apt-get install nginx-light"
PATH=$PATH:/usr/sbin command -v named >/dev/null || die "BIND is missing: apt-get install bind9"

web=$(free_port)
set_up "$root/build/readme" -http-port="$web"

# The web server of the README's reader, with the README's own lines in it.
start_nginx() {
	WEBROOT=$dir/www
	mkdir -p "$WEBROOT" "$dir/nginx"
	{
		printf 'daemon off; pid %s/nginx.pid; error_log stderr; events { }\n' "$dir/nginx"
		printf 'http {\naccess_log off;\nclient_body_temp_path %s; proxy_temp_path %s; fastcgi_temp_path %s; uwsgi_temp_path %s; scgi_temp_path %s;\n' \
			"$dir"/nginx/{a,b,c,d,e}
		printf 'server {\nlisten 127.0.0.1:%s;\n' "$web"
		awk '/^```nginx$/ { block = 1; next } /^```$/ { block = 0 } block' "$root/README.md" | sed "s|/var/www/certinext|$WEBROOT|"
		printf '}\n}\n'
	} >"$dir/nginx/nginx.conf"
	grep -q pki-validation "$dir/nginx/nginx.conf" || die "the README has no nginx block"
	"$nginx" -p "$dir/nginx" -c "$dir/nginx/nginx.conf" >"$dir/nginx.log" 2>&1 8>&- &
	pids+=($!)
	wait_for 10 "nginx listens" $! listens "$web" || die "nginx did not start: see $dir/nginx.log"
}
start_nginx
export WEBROOT DNS=$dns

# What the README's reader has beside: a vault on the PATH, the simulator's address, and the consent token of its organization.
mkdir -p "$dir/bin"
ln -sf "$VAULT_BIN" "$dir/bin/vault"
export PATH="$dir/bin:$PATH" SANDBOX="$sandbox" CONSENT_TOKEN=5ca1ab1e00c0ffee5ca1ab1e00c0ffee

awk '/^```sh$/ { block = 1; next } /^```$/ { block = 0 } block' "$root/README.md" >"$dir/commands.sh"
commands=$(grep -c '^vault ' "$dir/commands.sh")
[ "$commands" -ge 10 ] || die "only $commands commands were found in the README"
step "Running $commands commands of the README"
(cd "$dir" && bash -euo pipefail -x commands.sh) >"$dir/commands.log" 2>&1 || {
	tail -n 30 "$dir/commands.log" >&2
	die "a command of the README failed"
}
note "all of them work"
