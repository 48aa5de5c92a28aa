#!/usr/bin/env bash
# Copyright (c) The vault-plugin-secrets-certinext authors
# SPDX-License-Identifier: MPL-2.0
#
# The engine at work on this machine: a real Vault server, the plugin, and the CA
# simulator. Issues a certificate, checks it, and revokes it by ending its lease. The
# results stay in build/demo: certificate.pem, private_key.pem and ca_chain.pem.
#
# Needs Go and openssl. Needs no network once Go's modules and a Vault server are there.
set -euo pipefail
# shellcheck source=scripts/dev.sh
source "$(dirname "${BASH_SOURCE[0]}")/dev.sh"

[ $# -eq 0 ] || die "takes no arguments"
command -v openssl >/dev/null || die "no openssl on PATH: apt-get install openssl, or brew install openssl"

set_up "$root/build/demo"
cd "$root/build/demo"
rm -f certificate.pem private_key.pem ca_chain.pem

# text_of FIELD prints a string of Vault's answer; list_of one of its lists.
text_of() { printf '%b\n' "$(sed -n 's/^ *"'"$1"'": "\{0,1\}\([^"]*\)"\{0,1\},\{0,1\}$/\1/p' <<<"$answer")"; }
list_of() {
	local items
	items=$(sed -n '/^ *"'"$1"'": \[$/,/^ *\]/ s/^ *"\([^"]*\)",\{0,1\}$/\1/p' <<<"$answer")
	printf '%b\n' "$items"
}

step "Issuing: the key is made inside Vault, the order goes to the CA, certificate and key come back"
typed "$VAULT_BIN" write certinext/issue/web common_name=www.example.com
started=$SECONDS
answer=$("$VAULT_BIN" write -format=json certinext/issue/web common_name=www.example.com)
note "answered after $((SECONDS - started)) s"
lease=$(text_of lease_id)
text_of certificate >certificate.pem
text_of issuing_ca >issuing_ca.pem
list_of ca_chain >ca_chain.pem
(umask 077 && text_of private_key >private_key.pem)
answer=$(grep -v '"private_key"' <<<"$answer")

step "The certificate"
show openssl x509 -in certificate.pem -noout -subject -issuer -enddate -ext subjectAltName
step "Its chain, up to the simulator's root"
show openssl crl2pkcs7 -nocrl -certfile ca_chain.pem -out chain.p7b
show openssl pkcs7 -in chain.p7b -print_certs -noout
rm -f chain.p7b
# The simulator's own word on its roots, fetched without any tool.
address=${sandbox#http://}
exec 3<>"/dev/tcp/${address%:*}/${address##*:}"
printf 'GET /_sandbox/roots.pem HTTP/1.0\r\n\r\n' >&3
sed '1,/^\r$/d' <&3 >roots.pem
exec 3>&-
show openssl verify -CAfile roots.pem -untrusted ca_chain.pem certificate.pem
step "The key belongs to it"
[ "$(openssl pkey -in private_key.pem -pubout)" = "$(openssl x509 -in certificate.pem -noout -pubkey)" ] ||
	die "the key is not the certificate's"
note yes

if [ -r /proc/self/cmdline ]; then
	step "The CA's secret is among the arguments of no process"
	! grep -qsaFf "$dir/client_secret" /proc/[0-9]*/cmdline || die "everybody on this machine can read it there"
	note yes
fi

step "Its lease: Vault revokes the certificate when this ends"
show "$VAULT_BIN" lease lookup "$lease"

# ocsp STATUS asks the CA's responder and fails unless it says STATUS.
ocsp() {
	local command out
	command=(openssl ocsp -issuer issuing_ca.pem -cert certificate.pem -CAfile roots.pem -no_nonce
		-url "$(openssl x509 -in certificate.pem -noout -ocsp_uri)")
	typed "${command[@]}"
	out=$("${command[@]}" 2>&1)
	printf '    %s\n' "${out//$'\n'/$'\n    '}"
	grep -q '^Response verify OK' <<<"$out" || die "the responder's answer is not signed by the issuer"
	grep -q "^certificate.pem: $1\$" <<<"$out" || die "the responder does not say $1"
}

step "What the CA says of it (OCSP)"
ocsp good
step "Ending the lease"
show "$VAULT_BIN" lease revoke -sync "$lease"
step "What the CA says now"
ocsp revoked
step "And what Vault remembers"
show "$VAULT_BIN" list certinext/certs/revoked

rm -f roots.pem issuing_ca.pem
step "Done in $SECONDS s. build/demo holds certificate.pem, private_key.pem and ca_chain.pem; 'make dev' leaves such a set-up running."
