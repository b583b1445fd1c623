#!/usr/bin/env python3
"""Plants each bug and demands that the harness that reaches it goes red, after it was green without the bug.

    planted_bugs.py                       all eight, as CI does
    planted_bugs.py send-then-mark        this one
    planted_bugs.py --chaos               every bug in the chaos campaign of CI's size instead

With PLANTED_BUG in the environment every harness plants that bug, where it would plant none: each of them that reaches it is red.
"""

import argparse
import subprocess
import sys
import pathlib

import audience
import crash_matrix
import races
import stage


class Race(crash_matrix.Cell):
    """Pauses or unsubscribes against a campaign at work."""

    def pauses(self, on, crash):
        api, sent = self.begin(on, None, contacts=1_500)
        races.pauses(on, api, sent, 12, races.rng_of(1))
        audience.completed(on)
        return self.judged(on)

    def unsubs(self, on, crash):
        count = 400
        api = on.api("t1")
        segment = audience.contacts(on, api, "t1", count)
        audience.campaign(on, api, "t1", segment, "c1", count, subjects=("s1", "s2"))
        mailbox = races.Mailbox(on.sink_log)
        on.workers = [on.work(index) for index in range(self.workers)]
        audience.launch(on, api, on.sql("SELECT id FROM campaigns"))
        races.unsubscribes(on, api, mailbox, 150, races.rng_of(1))
        mailbox.ended = True
        audience.completed(on)
        return self.judged(on)


# Bug, the cell that reaches it, and which invariants may say so.
REACHED = {
    "checkpoint-at-fetch": (crash_matrix.Cell, ("kill", "C1"), {}, {"I-LOST", "I-SENT"}),
    "send-then-mark": (crash_matrix.Cell, ("kill", "C8"), {}, {"I-DUP"}),
    # Whether a second copy goes out is chance, in one of two plays; that claims fence nobody off is seen in each.
    "no-epoch": (crash_matrix.Cell, ("stop", "C3", "hold", 3), {"contacts": 16, "until_taken": True}, {"I-TRANS", "I-DUP"}),
    "reaper-without-guard": (crash_matrix.Cell, ("stop", "C7", "hold", 3), {}, {"I-DUP"}),
    "pause-as-a-flag": (Race, ("pauses", "", "hold", 2), {}, {"I-PAUSE"}),
    "random-message-id": (crash_matrix.Cell, ("none", ""), {"faults": ["dot:451:300"]}, {"I-DUP'"}),
    "retry-after-dot": (crash_matrix.Cell, ("none", ""), {"faults": ["dot:accept-then-drop:100"]}, {"I-DUP"}),
    "unsubscribe-checked-at-claim": (Race, ("unsubs", "", "hold", 2), {"faults": ["rcpt:delay=150:1000"]}, {"I-UNSUB"}),
}


def in_cells(bugs):
    cells, expected = [], []
    for bug in bugs:
        kind, arguments, more, invariants = REACHED[bug]
        cells += [kind(*arguments, **more), kind(*arguments, **more, bug=bug)]
        expected += [(f"no bug, {arguments[0]} {arguments[1]}", None), (bug, invariants)]
    reports, _ = crash_matrix.play(cells, at_once=4, show=False)
    wrong = 0
    for (name, invariants), report in zip(expected, reports):
        broken = set(report.broken())
        right = not broken if invariants is None else bool(broken & invariants)
        wrong += not right
        print(f"{'ok   ' if right else 'WRONG'}  {name:<30} {'red: ' + ', '.join(sorted(broken)) if broken else 'green'}", flush=True)
        if not right:
            report.show(sys.stdout)
    return wrong


def in_chaos(bugs):
    wrong = 0
    for bug in bugs:
        command = [sys.executable, pathlib.Path(__file__).with_name("chaos.py"), "--small", "--bug", bug]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
        last = (done.stdout.strip().splitlines() or [""])[-1]
        red = done.returncode == 1 and last.startswith("RED: ") and bool(set(last[5:].split(", ")) & REACHED[bug][3])
        wrong += not red
        print(f"{'ok   ' if red else 'WRONG'}  {bug:<30} {last}", flush=True)
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chaos", action="store_true", help="in the chaos campaign")
    parser.add_argument("bugs", nargs="*", help="only these")
    args = parser.parse_args()
    stage.programs()
    bugs = args.bugs or REACHED
    wrong = in_chaos(bugs) if args.chaos else in_cells(bugs)
    print(f"\n{len(bugs)} bugs planted, {'all found' if not wrong else f'{wrong} WRONG'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
