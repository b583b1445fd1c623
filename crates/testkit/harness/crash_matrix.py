#!/usr/bin/env python3
"""The crash matrix: a worker is killed, or stopped beyond its lease, at every named point; nothing may be lost or doubled.

    crash_matrix.py                  every cell
    crash_matrix.py --small          the cells that CI runs
    crash_matrix.py --only C7,C4     the cells of these points
"""

import argparse
import concurrent.futures
import io
import os
import signal
import sys
import time
import uuid

import audience
import checker
import stage

KILLS = ("C0", "C1", "C2", "C3", "C4", "C5", "C6", "C7", "C7b", "C8", "C9")
STOPS = ("C0", "C1", "C2", "C3", "C4", "C5", "C6", "C7", "C8", "C9")
# The point is reached for the n-th time: late enough that other mails are before, beside and after it.
NTH = {"C0": 2, "C1": 3, "C2": 9, "C3": 9, "C4": 3, "C9": 2}
# Points of begins in rounds, which there are once a begin has taken over the sessions of the one before it.
ROUNDS = ("C1b", "C2", "C3", "C4b", "C6", "C7", "C8")
NTH_IN_ROUNDS = {"C1b": 1, "C4b": 3}
# A worker that comes late to its share of a short campaign records once.
STOP_AT = {"C9": 1}
# Points of a request count on the server: a segment, a campaign and a launch were answered before a pause is, and a pause twice,
# when it is stored and when nothing is under way any more.
NTH_AT_SERVER = {("launch", "answered"): 3, ("pause", "answered"): 5, ("resume", "answered"): 6}
# Points at which what is in doubt is known beforehand: the one mail that was being handed over.
IN_DOUBT = {"C6", "C7", "C7b"}
SENDERS = ["rcpt:delay=15:1000"]
TRANS = "every change of a delivery or an enrollment is a step of the published tables"


class Cell:
    """One run: what is done at which point, under which policy, with how many workers."""

    def __init__(self, kind, point, policy="hold", workers=1, faults=(), contacts=None, bug=None, until_taken=False, at_server=False,
                 rounds=False):
        self.kind, self.point, self.policy, self.workers, self.bug = kind, point, policy, workers, bug
        self.at_server = at_server
        # A stopped worker goes on while somebody else hands over what it had claimed; with so few mails it is nothing else.
        self.until_taken = until_taken
        # Its begins have several mails for each session, which takes a mail server that is quick, and more mails.
        self.rounds = rounds
        self.faults, self.contacts = list(faults), contacts or (1500 if rounds else {"stop": 40}.get(kind, 120))

    def __str__(self):
        return (f"{self.kind:<6} {self.point:<8} {self.policy:<6} {self.workers} worker{'s' if self.workers > 1 else ' '}"
                f"{'  at the server' if self.at_server else ''}{'  in rounds' if self.rounds else ''}")

    def run(self, postgres, folder):
        env = {"PLANTED_BUG": self.bug} if self.bug else {}
        nth = NTH_IN_ROUNDS.get(self.point, 150) if self.rounds else (NTH if self.kind == "kill" else STOP_AT).get(self.point, 5 if self.kind == "kill" else 2)
        crash = {"CRASH_AT": f"{self.point}:{nth}{':stop' if self.kind == 'stop' else ''}"}
        slow = (["dot:delay=4000:1000"] if self.kind == "stop" else []) + SENDERS
        if self.rounds:
            # The others come to the end while it stands still: what it had not handed over has failed, and says so.
            env["ALWAYS_TOGETHER"], slow = "yes", []
        server_env = {"CRASH_AT": f"{self.point}:{NTH_AT_SERVER.get((self.kind, self.point), 1)}"} if self.at_server else None
        on = stage.Stage(postgres, folder, faults=self.faults + slow, workers=0, env=env, server_env=server_env)
        try:
            return getattr(self, self.kind)(on, {} if self.kind == "none" else crash)
        finally:
            on.end()

    def begin(self, on, crash, contacts=None, launch=True):
        api = on.api("t1")
        segment = audience.contacts(on, api, "t1", contacts or self.contacts)
        # Long enough for two chunks of a body, so that C5 is in its middle.
        body = "<p>" + "Hello {{ firstName }} " * 3500 + "</p>" if self.point == "C5" else "<p>Hello {{ firstName }}</p>"
        sent = audience.campaign(on, api, "t1", segment, "c1", contacts or self.contacts, policy=self.policy, body=body)
        on.workers = [on.work(0, crash)]
        if launch:
            audience.launch(on, api, sent)
            if self.workers > 1 and not self.rounds:
                # Workers claim ahead: two could have all of a short campaign before the one that is meant comes to its share.
                share = "SELECT EXISTS (SELECT FROM outbox WHERE state <> 'p') OR EXISTS (SELECT FROM messages)"
                stage.wait_until("the first worker's share", lambda: on.sql(share) == "t", 60, 0.02)
        if not self.rounds:
            self.others(on)
        return api, sent

    def others(self, on):
        """Starts the other workers. Rounds take a while to come about, so there the first is alone until it has come to its point."""
        on.workers += [on.work(index) for index in range(1, self.workers)]

    def judged(self, on):
        on.stop_workers()
        report = checker.check(on.sink_log, on.orders.path, on.postgres.url(on.database))
        left = list((on.folder / "state").glob("databases/*/journal/*"))
        report.check("I-TRANS", TRANS, on.unknown_steps())
        report.check("journals", "workers that end in order leave none", [str(path) for path in left])
        return report

    def none(self, on, crash):
        self.begin(on, crash)
        audience.completed(on)
        return self.judged(on)

    def kill(self, on, crash):
        self.begin(on, crash)
        worker = on.workers[0]
        status = worker.child.wait(60)
        if status != -signal.SIGKILL:
            raise RuntimeError(f"the worker ended with {status} and not at {self.point}")
        on.orders.fault("kill", worker.name)
        if self.rounds:
            self.others(on)
        worker.start_again()
        audience.completed(on)
        report = self.judged(on)
        doubt, expected = report.numbers["doubt"], int(self.point in IN_DOUBT and self.policy == "hold")
        # Of the other sessions each may have been between its dot and its reply, at any point; at C1b those of the begin before it.
        if not self.bug and not expected <= doubt <= expected + (4 if self.rounds else 3):
            report.check("in doubt", "the one mail that was being handed over", [f"{doubt} and not {expected}"])
        return report

    def stop(self, on, crash):
        self.begin(on, crash)
        worker = on.workers[0]
        stage.wait_until(f"the stop at {self.point}", worker.stopped, 60)
        on.orders.fault("stop", worker.name)
        if self.rounds:
            self.others(on)
        if self.until_taken:
            time.sleep(stage.LEASE + 0.5)
            stage.wait_until("its mail in other hands", lambda: on.sql("SELECT EXISTS (SELECT FROM outbox WHERE state = 's')") == "t", 20, 0.02)
        else:
            time.sleep(stage.LEASE + 2.5)
        worker.send(signal.SIGCONT)
        on.orders.fault("continue", worker.name)
        audience.completed(on)
        report = self.judged(on)
        # Whoever goes on tells what became of everything that was in doubt meanwhile.
        if not self.bug and report.numbers["doubt"]:
            report.check("in doubt", "nothing, when the process has gone on", [str(report.numbers["doubt"])])
        return report

    def launch(self, on, crash):
        """A launch whose process dies: repeated with the same key when a server died, gone on with when a worker did."""
        if self.at_server:
            api, sent = self.begin(on, None, launch=False)
            return self.repeated(on, lambda key: audience.launch(on, api, sent, repeat=key))
        # More than two chunks of 50,000.
        self.contacts = 120_000
        api = on.api("t1")
        segment = audience.many_contacts(on, api, "t1", self.contacts)
        sent = audience.campaign(on, api, "t1", segment, "c1", self.contacts, ends="paused")
        audience.launch(on, api, sent)
        audience.pause(on, api, sent)
        on.workers = [on.work(0, {"CRASH_AT": f"{self.point}:2"})]
        if on.workers[0].child.wait(60) != -signal.SIGKILL:
            raise RuntimeError("the worker did not come to the point")
        on.orders.fault("kill", "work0")
        on.workers[0].start_again()
        stage.wait_until("the launch", lambda: on.sql("SELECT enrollment_state FROM campaigns") == "done", 60)
        report = checker.Report()
        odd = on.sql("""SELECT count(*) FROM (SELECT contact_no FROM segment_members EXCEPT SELECT contact_no FROM enrollments) AS missing""")
        report.check("I-LAUNCHM", "exactly the audience is enrolled", [] if odd == "0" else [f"{odd} are not enrolled"])
        enrolled, counted = on.sql("SELECT count(*) FROM enrollments"), on.sql("SELECT audience FROM campaign_counters")
        report.check("I-TRANS", TRANS, on.unknown_steps())
        report.check("I-COUNT", "and counted once", [] if enrolled == counted == str(self.contacts) else [f"{enrolled}, counted {counted}"])
        report.numbers = {"doubt": 0}
        return report

    def pause(self, on, crash):
        api, sent = self.begin(on, None)
        stage.wait_until("the first mails", lambda: int(on.sql("SELECT count(*) FROM messages")) > 10, 60)
        return self.repeated(on, lambda key: audience.pause(on, api, sent, repeat=key), lambda: audience.resume(on, api, sent))

    def resume(self, on, crash):
        api, sent = self.begin(on, None)
        stage.wait_until("the first mails", lambda: int(on.sql("SELECT count(*) FROM messages")) > 10, 60)
        audience.pause(on, api, sent)
        return self.repeated(on, lambda key: audience.resume(on, api, sent, repeat=key))

    def repeated(self, on, request, afterwards=lambda: None):
        """The request that kills its server, made again until it is answered."""
        with concurrent.futures.ThreadPoolExecutor() as pool:
            answer = pool.submit(request, str(uuid.uuid4()))
            if on.servers[0].child.wait(60) != -signal.SIGKILL:
                raise RuntimeError("the server did not come to the point")
            on.orders.fault("kill", "serve0")
            on.servers[0].start_again()
            answer.result()
        if afterwards:
            time.sleep(1)
            afterwards()
        audience.completed(on)
        return self.judged(on)


def cells(small):
    """Every cell, or those that together reach every point once."""
    if small:
        kills = [Cell("kill", point, *setting) for point, setting in zip(KILLS, [("hold", 1), ("resend", 3)] * len(KILLS))]
        stops = [Cell("stop", point, policy, 3) for point, policy in (("C3", "hold"), ("C5", "resend"), ("C7", "hold"))]
    else:
        kills = [Cell("kill", point, policy, workers) for point in KILLS for policy in ("hold", "resend") for workers in (1, 3)]
        stops = [Cell("stop", point, policy, 3) for point in STOPS for policy in ("hold", "resend")]
    if small:
        rounds = [Cell("kill", "C1b", "hold", 1, rounds=True), Cell("kill", "C4b", "resend", 3, rounds=True),
                  Cell("stop", "C1b", "hold", 3, rounds=True), Cell("stop", "C4b", "resend", 3, rounds=True)]
    else:
        rounds = [Cell(kind, point, policy, workers, rounds=True) for point in ROUNDS for policy in ("hold", "resend")
                  for kind, workers in (("kill", 1), ("kill", 3), ("stop", 3))]
    requests = [("launch", "chunk"), ("launch", "answered"), ("pause", "barrier"), ("pause", "answered"), ("resume", "answered")]
    settings = [("hold", 1)] if small else [(policy, workers) for policy in ("hold", "resend") for workers in (1, 3)]
    at_server = [Cell(kind, point, policy, workers, at_server=True) for kind, point in requests for policy, workers in settings]
    # Without a mail: neither policy nor a second worker has a part in it.
    chunks = [Cell("launch", "chunk"), Cell("launch", "between")]
    return stops + rounds + kills + at_server + chunks


def play(all_cells, at_once, show=True):
    """Runs cells side by side; the reports in their order. Folders of red cells are kept."""
    place = stage.Temporary("crash")
    postgres = stage.Postgres(place.path / "postgres")
    red = False
    try:
        stage.migrated(postgres, traced=True)

        def run(numbered):
            number, cell = numbered
            begun = time.monotonic()
            try:
                report = cell.run(postgres, place.path / str(number))
            except Exception as error:  # noqa: BLE001 - a cell that cannot be played is red, and the others go on.
                report = checker.Report()
                report.check("played", "the cell came to its end", [repr(error)])
                report.numbers = {"doubt": "?"}
            if show:
                print(f"{'RED  ' if report.broken() else 'green'}  {cell}  {time.monotonic() - begun:5.1f} s  in doubt {report.numbers['doubt']}"
                      f"{'  ' + ', '.join(report.broken()) if report.broken() else ''}  [{number}]", flush=True)
            return report

        with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
            reports = list(pool.map(run, enumerate(all_cells)))
        red = any(report.broken() for report in reports)
        return reports, place
    finally:
        postgres.stop()
        place.end(keep=red and show)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="the cells that CI runs")
    parser.add_argument("--only", help="points, with commas between")
    parser.add_argument("--kind", help="kill, stop, launch, pause or resume")
    parser.add_argument("--at-once", type=int, default=2 * (os.cpu_count() or 2) + 2, help="cells at the same time")
    args = parser.parse_args()
    chosen = [cell for cell in cells(args.small) if (not args.only or cell.point in args.only.split(","))
              and (not args.kind or cell.kind == args.kind)]
    begun = time.monotonic()
    reports, _ = play(chosen, args.at_once)
    red = [(cell, report) for cell, report in zip(chosen, reports) if report.broken()]
    for cell, report in red:
        out = io.StringIO()
        report.show(out)
        print(f"\n{cell}\n{out.getvalue()}")
    print(f"\n{len(chosen)} cells, {len(red)} red, {time.monotonic() - begun:.0f} s")
    return 1 if red else 0


if __name__ == "__main__":
    sys.exit(main())
