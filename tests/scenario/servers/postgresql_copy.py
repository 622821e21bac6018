#!/usr/bin/python3
"""In pg_basebackup's place, for a server that is newer than that: a copy of its folder, made on the same machine.

usage: postgresql_copy.py -D FOLDER -d CONNINFO [-S SLOT] [what else pg_basebackup would be told]"""
import os
import pathlib
import shutil
import sys

import psycopg2

EMPTY = {"pg_dynshmem", "pg_notify", "pg_replslot", "pg_serial", "pg_snapshots", "pg_stat_tmp", "pg_subtrans", "pg_wal"}
LEFT_OUT = {"postmaster.pid", "postmaster.opts"}


def copy(source, target, is_top=True):
    target.mkdir(exist_ok=True)
    target.chmod(0o700)
    for entry in os.scandir(source):
        try:
            if entry.is_dir():
                if is_top and entry.name in EMPTY:
                    (target / entry.name).mkdir(mode=0o700)
                else:
                    copy(entry.path, target / entry.name, False)
            elif not is_top or entry.name not in LEFT_OUT:
                shutil.copyfile(entry.path, target / entry.name)
        except FileNotFoundError:
            pass  # it was removed meanwhile: the log has that


def main(arguments):
    target = pathlib.Path(arguments[arguments.index("-D") + 1])
    connection = psycopg2.connect(f"{arguments[arguments.index('-d') + 1]} dbname=postgres")
    connection.autocommit = True
    cursor = connection.cursor()
    if "-S" in arguments:
        cursor.execute("SELECT pg_create_physical_replication_slot(%s, true)", (arguments[arguments.index("-S") + 1],))
    cursor.execute("SHOW data_directory")
    source = pathlib.Path(cursor.fetchone()[0])
    cursor.execute("SELECT pg_backup_start('copy', true)")
    copy(source, target)
    cursor.execute("SELECT labelfile FROM pg_backup_stop(false)")
    (target / "backup_label").write_text(cursor.fetchone()[0])
    for name in ("archive_status", "summaries"):
        (target / "pg_wal" / name).mkdir()
    for entry in os.scandir(source / "pg_wal"):
        if entry.is_file():
            shutil.copyfile(entry.path, target / "pg_wal" / entry.name)


if __name__ == "__main__":
    main(sys.argv[1:])
