#!/bin/bash
# PostgreSQL's own tests, from Debian's source package: those of regression, with the C functions that they call, and the
# program that tests libpq's pipelines.
# usage: regression.sh DIR     makes DIR/regress and DIR/libpq_pipeline, or exits with 1 and a line that says why not
set -eu
D=$(mkdir -p "$1" && cd "$1" && pwd)
[ -x "$D/libpq_pipeline" ] && exit 0
no() { echo "$1"; exit 1; }
[ "$(id -u)" = 0 ] || no "needs root, for apt"
command -v pg_config >/dev/null || no "postgresql-server-dev-15 is not here"
command -v apt-get >/dev/null || no "no apt here"
mkdir -p "$D/lists/partial"
apt-get indextargets --format 'deb-src $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
    sort -u | grep -i debian >"$D/sources.list" || no "apt knows no source"
apt() { "$@" -o "Dir::Etc::sourcelist=$D/sources.list" -o Dir::Etc::sourceparts=/dev/null -o "Dir::State::lists=$D/lists"; }
apt apt-get -qq update >"$D/log" 2>&1 || true # of those that have no sources
cd "$D"
# The newest may have gone from the mirror already: any of this version will do.
for version in $(apt apt-cache showsrc postgresql-15 2>/dev/null | sed -n 's/^Version: //p' | sort -rVu); do
    apt apt-get -qq --download-only source "postgresql-15=$version" >>"$D/log" 2>&1 && break
done
tarball=$(ls postgresql-15_*.orig.tar.* 2>/dev/null | tail -1) || true
[ -n "$tarball" ] || no "apt-get source: $(tail -1 "$D/log")"
tar xf "$tarball" --wildcards --strip-components=3 '*/src/test/regress/*' '*/src/test/modules/libpq_pipeline/*.c'
server=$(pg_config --includedir-server)
gcc -shared -fPIC -O2 "-I$server" -o regress/regress.so regress/regress.c >>"$D/log" 2>&1 || no "gcc: $(tail -1 "$D/log")"
gcc -O2 "-I$(pg_config --includedir)" "-I$(pg_config --includedir)/internal" "-I$server" -o libpq_pipeline \
    modules/libpq_pipeline/libpq_pipeline.c "-L$(pg_config --pkglibdir)" -lpq -lpgcommon -lpgport >>"$D/log" 2>&1 || no "gcc: $(tail -1 "$D/log")"
rm -f "$tarball"
