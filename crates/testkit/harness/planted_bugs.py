#!/usr/bin/env python3
"""Plants each bug and demands that the harness that reaches it goes red, after it was green without the bug.

    planted_bugs.py                       all eight
    planted_bugs.py --smoke               the two that CI plants
    planted_bugs.py --chaos               every bug in the chaos campaign of CI's size instead
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
        count = 800
        api = on.api("t1")
        segment = audience.contacts(on, api, "t1", count)
        audience.campaign(on, api, "t1", segment, "c1", count, subjects=("s1", "s2"))
        mailbox = races.Mailbox(on.sink_log)
        on.workers = [on.work(index) for index in range(self.workers)]
        audience.launch(on, api, on.sql("SELECT id FROM campaigns"))
        races.unsubscribes(on, api, mailbox, 300, races.rng_of(1))
        mailbox.ended = True
        audience.completed(on)
        return self.judged(on)


# Bug, the cell that reaches it, and which invariants may say so.
REACHED = {
    "checkpoint-at-fetch": (crash_matrix.Cell, ("kill", "C1"), {}, {"I-LOST", "I-SENT"}),
    "send-then-mark": (crash_matrix.Cell, ("kill", "C8"), {}, {"I-DUP"}),
    "no-epoch": (crash_matrix.Cell, ("stop", "C3", "hold", 3), {"contacts": 16, "until_taken": True}, {"I-DUP"}),
    "reaper-without-guard": (crash_matrix.Cell, ("stop", "C7", "hold", 3), {}, {"I-DUP"}),
    "pause-as-a-flag": (Race, ("pauses", "", "hold", 2), {}, {"I-PAUSE"}),
    "random-message-id": (crash_matrix.Cell, ("none", ""), {"faults": ["dot:451:300"]}, {"I-DUP'"}),
    "retry-after-dot": (crash_matrix.Cell, ("none", ""), {"faults": ["dot:accept-then-drop:100"]}, {"I-DUP"}),
    "unsubscribe-checked-at-claim": (Race, ("unsubs", "", "hold", 2), {"faults": ["rcpt:delay=40:1000"]}, {"I-UNSUB"}),
}
SMOKE = ("send-then-mark", "pause-as-a-flag")
# What a stopped worker meets when it goes on is chance, in one of two plays: so it is played so often, and one has to be red.
PLAYS = {"no-epoch": 6}


def best(expected, reports):
    """Of each bug's plays the one that shows it, or the last; every play without a bug."""
    shown = {}
    for number, ((name, invariants), report) in enumerate(zip(expected, reports)):
        play = number if invariants is None else name
        if play not in shown or not set(shown[play][1].broken()) & (invariants or set()):
            shown[play] = ((name, invariants), report)
    return shown.values()


def in_cells(bugs, control):
    cells, expected = [], []
    for bug in bugs:
        kind, arguments, more, invariants = REACHED[bug]
        if control:
            cells.append(kind(*arguments, **more))
            expected.append((f"no bug, {arguments[0]} {arguments[1]}", None))
        plays = PLAYS.get(bug, 1)
        cells += [kind(*arguments, **more, bug=bug) for _ in range(plays)]
        expected += [(bug, invariants)] * plays
    reports, _ = crash_matrix.play(cells, at_once=4, show=False)
    wrong = 0
    for (name, invariants), report in best(expected, reports):
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
        red = done.returncode == 1 and last.startswith("RED")
        wrong += not red
        print(f"{'ok   ' if red else 'WRONG'}  {bug:<30} {last}", flush=True)
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="the two that CI plants, without the run that has no bug")
    parser.add_argument("--chaos", action="store_true", help="in the chaos campaign")
    parser.add_argument("bugs", nargs="*", help="only these")
    args = parser.parse_args()
    stage.programs()
    bugs = args.bugs or (SMOKE if args.smoke else REACHED)
    wrong = in_chaos(bugs) if args.chaos else in_cells(bugs, control=not args.smoke)
    print(f"\n{len(bugs)} bugs planted, {'all found' if not wrong else f'{wrong} WRONG'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
