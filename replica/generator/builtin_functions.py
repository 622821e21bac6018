#!/usr/bin/env python3
"""Prints replica/builtin_function.def: what PostgreSQL's own functions do to the one who calls them.

    replica/generator/builtin_functions.py -h /tmp -p 5432 -U postgres > replica/builtin_function.def

Arguments are psql's.  The names and volatilities are those of the server asked, which is to be of the
version of the grammar (15); what the volatility does not tell is written below.  provolatile alone is
no guide: txid_current() is "stable", random() "volatile", and pg_cancel_backend() does not change data.
"""
import re
import subprocess
import sys

QUERY = r"""
SELECT name, max(volatility), bool_or(one) FROM (
    SELECT proname AS name, provolatile AS volatility,
           pronargs - pronargdefaults <= 1 AND pronargs >= 1 AS one
      FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace
     UNION ALL
    SELECT typname, 'i', true FROM pg_type
     WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype IN ('b', 'r', 'm') AND typname !~ '^_'
       AND typrelid = 0) AS x
 GROUP BY name"""

# Later versions' own, which a server may have though the grammar is older.
NEWER = """
any_value array_sample array_shuffle array_reverse array_sort casefold crc32 crc32c date_add date_subtract erf erfc
gamma lgamma json_array json_arrayagg json_exists json_object json_objectagg json_query json_scalar json_serialize json_table
json_value pg_basetype pg_input_error_info pg_input_is_valid random_normal system_user to_bin to_oct to_regtypemod
unicode_assigned unicode_version uuid_extract_timestamp uuid_extract_version uuidv4 uuidv7 xmltext
""".split()

# Volatile, but no reason to go to the primary.
HARMLESS = "bernoulli clock_timestamp gen_random_uuid pg_partition_ancestors pg_partition_tree pg_sleep " \
           "pg_sleep_for pg_sleep_until random system timeofday".split()

# The first pattern that fits the whole name decides; what fits none is SAFE if it is not volatile, else WRITES.
CLASSES = [
    ("SETS", "set_config"),
    ("SHOWS", "current_setting"),
    ("LOCKS", r"pg_(try_)?advisory_(un)?lock(_shared|_all)?"),
    ("SEEDS", "setseed"),
    ("SEQUENCE", "nextval|setval"),
    ("CURRVAL", "currval|lastval"),
    ("LISTENS", "pg_listening_channels"),
    ("STAYS", r"pg_replication_origin_session_setup|pg_replication_origin_session_reset|pg_backup_start|pg_backup_stop|"
              r"binary_upgrade_.*"),
    # The text of a query, or the name of a cursor, is among the arguments.
    ("RUNS", r"(query|cursor|table|schema|database)_to_xml(schema|_and_xmlschema)?|ts_stat|ts_rewrite"),
    # What is the server's own, too, but is changed, or is no replica's to tell.
    ("WRITES", r"pg_stat_(reset.*|clear_snapshot|force_next_flush)|pg_wal_replay_(pause|resume)|"
               r"pg_replication_origin_(advance|create|drop|xact_.*)|pg_current_wal_.*|pg_walfile_name.*"),
    # Answers that are about the server or the session that gives them, and not about the data.
    ("HERE", r"pg_stat_.*|pg_backend_pid|inet_(server|client)_(addr|port)|pg_is_in_recovery|pg_is_wal_replay_paused|"
             r"pg_get_wal_replay_pause_state|pg_last_wal_.*|pg_last_xact_.*|pg_wal.*|pg_lock_status|"
             r"pg_blocking_pids|pg_safe_snapshot_blocking_pids|pg_isolation_test_session_is_blocked|pg_cursor|"
             r"pg_prepared_statement|pg_prepared_xact|pg_my_temp_schema|pg_is_other_temp_schema|pg_postmaster_start_time|"
             r"pg_conf_load_time|pg_config|pg_show_.*|pg_settings.*|pg_hba_file_rules|pg_ident_file_mappings|"
             r"pg_get_backend_memory_contexts|pg_get_shmem_allocations|pg_get_replication_slots|"
             r"pg_get_wal_resource_managers|pg_available_extension.*|pg_extension_update_paths|pg_tablespace_(location|databases)|"
             r"pg_current_logfile|pg_control_.*|pg_ls_.*|pg_read_.*|pg_jit_available|version|"
             r"pg_.*collation_actual_version|pg_timezone_abbrevs|pg_timezone_names|pg_notification_queue_usage|"
             r"pg_replication_origin_.*|pg_show_replication_origin_status|pg_.*_size|pg_trigger_depth|"
             r"mxid_age|pg_get_multixact_members|pg_last_committed_xact|pg_xact_commit_.*"),
    # An own transaction id, or what is under way; where a sequence stands, of which replicas are ahead.
    ("XID", r"txid_.*|pg_current_xact_id.*|pg_current_snapshot|pg_xact_status|pg_sequence_last_value"),
]


def psql(query):
    found = subprocess.run(["psql", "-XAtqF", ",", "-c", query, *sys.argv[1:]], capture_output=True, text=True, check=True)
    return [line.split(",") for line in found.stdout.splitlines()]


def classify(name, volatility):
    for word, pattern in CLASSES:
        if re.fullmatch(pattern, name) and name != "pg_column_size":
            return word
    return "SAFE" if volatility != "v" or name in HARMLESS else "WRITES"


version = psql("SHOW server_version_num")[0][0]
rows = {name: (classify(name, volatility), one == "t") for name, volatility, one in psql(QUERY)}
for name in NEWER:
    rows.setdefault(name, ("SAFE", True))
print(f"""/* The functions and types of pg_catalog, sorted by name.  SAFE(name): any server answers the same, and nothing is
 * changed.  OTHER(name, class, takes_one): takes_one if it can be called as (x).name is, with one argument.
 * Made by replica/generator/builtin_functions.py from PostgreSQL {version}: change that, not this. */""")
line = ""
for name in sorted(rows, key=lambda x: x.encode()):
    if not re.fullmatch(r"[a-z_0-9]+|RI_\w+", name):
        continue
    word, takes_one = rows[name]
    item = f'SAFE("{name}")' if word == "SAFE" else f'OTHER("{name}", {word}, {int(takes_one)})'
    if len(line) + len(item) > 118:
        print(line.rstrip())
        line = ""
    line += item + " "
print(line.rstrip())
