#!/usr/bin/env python3
"""Counts a fault-free run against tools that nobody here wrote: Postfix's smtp-source and smtp-sink.

smtp-source sends to the scripted sink, which has to have logged exactly that many; then the program sends a campaign to
smtp-sink, whose own counter has to agree with the database.
"""

import argparse
import os
import re
import socket
import subprocess
import sys
import time

import audience
import checker
import figures
import stage


def tool(name):
    for folder in (*os.environ["PATH"].split(":"), "/usr/sbin"):
        if os.path.exists(f"{folder}/{name}"):
            return f"{folder}/{name}"
    raise SystemExit(f"there is no {name}: apt-get install postfix (nothing of it needs to run)")


def source_to_our_sink(runs, mails):
    on = runs.stage(workers=0, servers=0)
    try:
        address = on.env["MUSTER_SMTP_URL"].partition("//")[2].partition("?")[0]
        subprocess.run([tool("smtp-source"), "-s", "10", "-m", str(mails), "-l", "2048", address], check=True)
        attempts, violations = checker.read_log(on.sink_log)
        return sum(attempt.accepted for attempt in attempts), violations
    finally:
        on.end()


def program_to_their_sink(runs, mails):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = runs.place.path / "smtp-sink.log"
    with open(log, "wb") as said:
        sink = subprocess.Popen([tool("smtp-sink"), "-c", "-u", "nobody", f"127.0.0.1:{port}", "128"], stdout=said, stderr=said)
    on = runs.stage(workers=2, sessions=8, sink=f"127.0.0.1:{port}")
    try:
        api = on.api("t1")
        segment = audience.contacts(on, api, "t1", mails)
        audience.launch(on, api, audience.campaign(on, api, "t1", segment, "c1", mails))
        audience.completed(on, 600)
        on.stop_workers()
        sent = int(on.sql("SELECT count(*) FROM messages WHERE state = 's'"))
        time.sleep(0.5)
        # "sess=10 quit=4 mesg=20000", written over itself again and again.
        counted = [int(found) for found in re.findall(r"mesg=(\d+)", log.read_text(encoding="utf-8", errors="replace"))]
        return sent, max(counted, default=0)
    finally:
        on.end()
        sink.kill()
        sink.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mails", type=int, default=20_000)
    args = parser.parse_args()
    with figures.Figures("cross-check") as runs:
        logged, violations = source_to_our_sink(runs, args.mails)
        sent, counted = program_to_their_sink(runs, args.mails)
        figures.table("Counted by Postfix's tools", [
            ("sent by smtp-source", args.mails), ("logged by the scripted sink", logged), ("what it found wrong with them", violations or "nothing"),
            ("sent, says the database", sent), ("counted by smtp-sink", counted)])
        right = logged == args.mails and sent == counted == args.mails
        print("\ngreen" if right else "\nRED")
        return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
