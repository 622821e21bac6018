"""A client that writes and reads at once what it wrote, again and again: PORT COUNT FIRST_ROW ROWS.

Run as a program of its own, so that several load a proxy at the same time.  Tells as JSON how often it
read something older, how long the read behind a write took, and another one directly behind that.
"""
import json
import pathlib
import sys
import time

if __package__ in (None, ""):
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
    from harness.sql_pools.talk import Session
else:
    from .talk import Session


def work(port, count, first, rows):
    stale, after_write, again, versions = 0, [], [], {}
    with Session(port) as session:
        for n in range(count):
            row = first + n % rows
            if row not in versions:
                (version,), = session.query(f"SELECT version FROM kept WHERE id = {row} FOR UPDATE")
                versions[row] = int(version)
            versions[row] += 1
            session.query(f"UPDATE kept SET version = {versions[row]} WHERE id = {row}")
            times = [time.perf_counter()]
            for _ in range(2):
                found = session.query(f"SELECT version FROM kept WHERE id = {row}")
                times.append(time.perf_counter())
                if len(times) == 2 and found != [[str(versions[row]).encode()]]:
                    stale += 1
            after_write.append(times[1] - times[0])
            again.append(times[2] - times[1])
    return {"count": count, "stale": stale, "after_write": after_write, "again": again}


if __name__ == "__main__":
    print(json.dumps(work(*map(int, sys.argv[1:5]))))
