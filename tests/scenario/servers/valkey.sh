#!/bin/bash
# Valkey 8 of Debian 13, beside a Debian 12 and without touching it: its packages, and the libraries that they need,
# are fetched and unpacked into a folder, and run by that folder's own loader.
# usage: valkey.sh DIR           makes DIR/valkey-server, or exits with 1 and a line that says why not
set -eu
D=$(mkdir -p "$1" && cd "$1" && pwd)
[ -x "$D/valkey-server" ] && exit 0
no() { echo "$1"; exit 1; }
command -v apt-get >/dev/null || no "no apt here"
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Component: main' | grep '/debian/\?$' | head -1)
[ -n "$mirror" ] || no "apt knows no mirror of Debian"
mkdir -p "$D"/{lists,cache,debs}/partial
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" >"$D/sources.list"
apt="-qq -o Dir::Etc::sourcelist=$D/sources.list -o Dir::Etc::sourceparts=/dev/null -o Dir::State::lists=$D/lists
     -o Dir::State::status=/dev/null -o Dir::Cache=$D/cache -o Acquire::Languages=none -o APT::Sandbox::User=root"
apt-get $apt update >"$D/log" 2>&1 || no "apt-get update: $(tail -1 "$D/log")"
cd "$D/debs"
apt-get $apt download valkey-tools libc6 libatomic1 libjemalloc2 liblzf1 libssl3t64 libsystemd0 libstdc++6 libgcc-s1 libcap2 \
    libzstd1 zlib1g >"$D/log" 2>&1 || no "apt-get download: $(tail -1 "$D/log")"
for deb in *.deb; do dpkg-deb -x "$deb" "$D/root"; done
rm -rf "$D/lists" "$D/cache" "$D/debs"
lib=$(dirname "$D"/root/usr/lib/*/ld-linux-*.so.*)
# It tells what it is by the name that it was started by.
cp "$D/root/usr/bin/valkey-check-rdb" "$D/root/usr/bin/valkey-server"
printf '#!/bin/sh\nexec %s --library-path %s %s "$@"\n' "$lib"/ld-linux-*.so.* "$lib" "$D/root/usr/bin/valkey-server" >"$D/new"
chmod 755 "$D/new" && "$D/new" --version >"$D/log" 2>&1 || no "$(tail -1 "$D/log")"
mv "$D/new" "$D/valkey-server"
