#!/usr/bin/env python3
"""Figures of reliability: one table a command, from a run on this machine.

    figures.py recovery [--times 10]     from a worker's kill to its mail going out elsewhere; from a database's start to the first mail
    figures.py sigterm [--times 100]     a worker is ended in order under load; nothing may be in doubt
    figures.py pauses [--times 500]      how long a pause takes under load, and whether anything begins after it
    figures.py unsubscribes [--times 10000]
    figures.py launches [--rounds 100]   a hundred launches of one campaign at once
    figures.py kills [--contacts 1000000 --times 50]     one launch, killed again and again
    figures.py stall                     a pause while the mail server stands still
    figures.py fair [--times 20]         ten mails of one tenant behind a million of another
    figures.py neighbours                what a tenant whose mail is stalled leaves to the others
    figures.py downtime                  a backlog of six hours against an hourly limit

`recovery` is of the plain program, with leases of 30 s (target/debug/muster, or the one that --program names). The others use
the instrumented build, without a fault.
"""

import argparse
import concurrent.futures
import random
import signal
import sys
import time
import uuid

import audience
import checker
import races
import stage


def table(title, lines):
    print(f"\n{title}")
    width = max(len(name) for name, _ in lines)
    for name, value in lines:
        print(f"  {name:<{width}}  {value}")


def spread(values, unit="s"):
    values = sorted(values)
    at = lambda share: values[min(len(values) - 1, int(share * len(values)))]
    return f"median {at(0.5):.3f}, p95 {at(0.95):.3f}, p99 {at(0.99):.3f}, most {values[-1]:.3f} {unit} of {len(values)}"


class Figures:
    """A database for all runs of a command, and what was red in them."""

    def __init__(self, name, settings=()):
        self.place = stage.Temporary(name)
        self.postgres = stage.Postgres(self.place.path / "postgres", settings)
        stage.migrated(self.postgres)
        self.red, self.count = False, 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.postgres.stop()
        self.place.end(keep=self.red)

    def stage(self, **more):
        self.count += 1
        return stage.Stage(self.postgres, self.place.path / f"run{self.count}", **more)

    def judge(self, on):
        on.stop_workers()
        report = checker.check(on.sink_log, on.orders.path, self.postgres.url(on.database))
        if report.broken():
            self.red = True
            report.show(sys.stdout)
        return report


def began(on, count, **more):
    """A campaign under way; its caller and id."""
    api = on.api("t1")
    segment = audience.contacts(on, api, "t1", count)
    sent = audience.campaign(on, api, "t1", segment, "c1", count, **more)
    audience.launch(on, api, sent)
    return api, sent


def sent_so_far(on, state="s"):
    return int(on.sql(f"SELECT count(*) FROM messages WHERE state = '{state}'"))


def recovery(args):
    """A worker on another host dies, so that no journal speaks for it: only its lease does."""
    program = args.program or stage.ROOT / "target/debug/muster"
    lease, journal, restart = [], [], []
    with Figures("recovery") as figures:
        for round_ in range(args.times):
            for shared in (False, True):
                on = figures.stage(workers=0, servers=1, sessions=4, faults=["rcpt:delay=200:1000"], program=program)
                try:
                    victim = on.work(0, {"MUSTER_STATE_DIR": str(on.folder / "elsewhere")} if not shared else None)
                    began(on, 200)
                    stage.wait_until("the first mails", lambda: sent_so_far(on) > 8, 60)
                    held = "SELECT count(*) FROM outbox WHERE state <> 'p' AND lease_until IS NOT NULL"
                    on.workers = [on.work(1)]
                    stage.wait_until("both at work", lambda: sent_so_far(on) > 24, 60)
                    names = on.sql("SELECT string_agg(contact_no || ':' || epoch, ',') FROM outbox WHERE state <> 'p'").split(",")
                    victim.kill()
                    on.orders.fault("kill", victim.name)
                    killed = time.monotonic()
                    pairs = ", ".join(f"({name.replace(':', ', ')})" for name in names)
                    still = f"SELECT count(*) FROM outbox o JOIN (VALUES {pairs}) AS v (contact_no, epoch) USING (contact_no, epoch) WHERE state <> 'p'"
                    stage.wait_until("the dead worker's mail", lambda: on.sql(still) == "0", 90, 0.1)
                    (journal if shared else lease).append(time.monotonic() - killed)
                    audience.completed(on)
                    figures.judge(on)
                finally:
                    on.end()
            on = figures.stage(workers=1, sessions=4, faults=["rcpt:delay=50:1000"], through_proxy=True, program=program)
            try:
                mailbox = races.Mailbox(on.sink_log)
                began(on, 600)
                stage.wait_until("the first mails", lambda: mailbox.accepted > 50, 60)
                on.orders.fault("postgres", "stop")
                figures.postgres.stop("immediate")
                time.sleep(2 + round_ % 5)
                before = mailbox.accepted
                figures.postgres.start()
                back = time.monotonic()
                on.orders.fault("postgres", "start")
                stage.wait_until("the first mail after it", lambda: mailbox.accepted > before, 60, 0.01)
                restart.append(time.monotonic() - back)
                audience.completed(on)
                mailbox.ended = True
                figures.judge(on)
            finally:
                on.end()
            print(f"round {round_ + 1}: lease {lease[-1]:.1f} s, journal {journal[-1]:.1f} s, restart {restart[-1]:.2f} s", flush=True)
        table("Recovery, leases of 30 s", [
            ("a worker is killed, its host with it: all it held is free again", spread(lease)),
            ("a worker is killed, another shares its state folder", spread(journal)),
            ("PostgreSQL is back (after 2 to 6 s) to the first mail accepted", spread(restart)),
            ("limits", f"35 s {'kept' if max(lease + journal) <= 35 else 'BROKEN'}, 5 s {'kept' if max(restart) <= 5 else 'BROKEN'}")])
        return figures.red or max(lease + journal) > 35 or max(restart) > 5


def sigterm(args):
    with Figures("sigterm") as figures:
        on = figures.stage(workers=2, sessions=8, faults=["rcpt:delay=100:1000", "dot:delay=5:1000"])
        try:
            began(on, 90 * args.times)
            took, codes = [], []
            rng = random.Random(args.seed)
            stage.wait_until("the first mails", lambda: sent_so_far(on) > 20, 60)
            for turn in range(args.times):
                worker = on.workers[turn % 2]
                time.sleep(rng.uniform(0.05, 0.4))
                begun = time.monotonic()
                worker.send(signal.SIGTERM)
                codes.append(worker.child.wait(60))
                took.append(time.monotonic() - begun)
                worker.start()
            under_load = on.sql("SELECT status FROM campaigns") == "active"
            audience.completed(on, 600)
            report = figures.judge(on)
            table("SIGTERM under load", [("times", f"{args.times}, all under load: {'yes' if under_load else 'NO'}"), ("time to end", spread(took)),
                  ("exit statuses", f"{sorted(set(codes))}"), ("in doubt", report.numbers["doubt"]), ("lost, twice", f"{report.numbers['lost']}, {report.numbers['duplicate']}")])
            return figures.red or report.numbers["doubt"] or set(codes) != {0} or not under_load
        finally:
            on.end()


def pauses(args):
    with Figures("pauses") as figures:
        on = figures.stage(workers=3, servers=2, sessions=16, faults=["rcpt:delay=20:1000"])
        try:
            api, sent = began(on, 120 * args.times)
            stage.wait_until("the first mails", lambda: sent_so_far(on) > 20, 60)
            took = races.pauses(on, api, sent, args.times, random.Random(args.seed), hold=(0.0, 0.1), run=(0.05, 0.2),
                                stop=lambda: on.sql("SELECT status FROM campaigns") != "active")
            left = int(on.sql("SELECT count(*) FROM outbox"))
            audience.complete(on, api, sent)
            report = figures.judge(on)
            table("Pauses under load", [("pauses", f"{len(took)} of {args.times}"), ("time to the answer", spread(took)), ("mails sent meanwhile", report.numbers["accepted"]),
                  ("still queued at the end", left), ("began after a pause", "none" if "I-PAUSE" not in report.broken() else "SOME")])
            return figures.red or len(took) < args.times or sorted(took)[int(0.99 * len(took))] > 2
        finally:
            on.end()


def unsubscribes(args):
    with Figures("unsubscribes") as figures:
        on = figures.stage(workers=2, servers=2, sessions=16, faults=["rcpt:delay=300:1000"])
        try:
            api = on.api("t1")
            count = int(1.4 * args.times)
            segment = audience.contacts(on, api, "t1", count)
            sent = audience.campaign(on, api, "t1", segment, "c1", count, subjects=("s1", "s2"))
            mailbox = races.Mailbox(on.sink_log)
            audience.launch(on, api, sent)
            done = races.unsubscribes(on, api, mailbox, args.times, random.Random(args.seed), at_once=16, recent=True)
            mailbox.ended = True
            audience.completed(on, 900)
            report = figures.judge(on)
            kept = on.sql("SELECT count(*) FROM messages WHERE state IN ('x', 'u')")
            table("Unsubscribes racing the next mail", [("unsubscribed", f"{done} of {args.times}"), ("mails kept back by it", kept),
                  ("mails accepted", report.numbers["accepted"]), ("began after the answer", "none" if "I-UNSUB" not in report.broken() else "SOME")])
            return figures.red or done < args.times
        finally:
            on.end()


def launches(args):
    with Figures("launches") as figures:
        on = figures.stage(workers=0, servers=2)
        try:
            api = on.api("t1")
            segment = audience.contacts(on, api, "t1", 50)
            wrong, answers = 0, {}
            with concurrent.futures.ThreadPoolExecutor(100) as pool:
                for number in range(args.rounds):
                    sent = audience.campaign(on, api, "t1", segment, f"c{number}", 50, ends="active")
                    key = str(uuid.uuid4()) if number % 2 else None
                    def ask(_, sent=sent, key=key):
                        return api.call("POST", f"/api/campaigns/{sent}/launch", repeat=key, wanted=None).status
                    statuses = list(pool.map(ask, range(100)))
                    for status in statuses:
                        answers[status, bool(key)] = answers.get((status, bool(key)), 0) + 1
                    enrolled = on.sql(f"SELECT count(*) FROM enrollments JOIN campaigns USING (tenant_no, campaign_no) WHERE id = '{sent}'")
                    audience_ = on.sql(f"SELECT audience FROM campaign_counters JOIN campaigns USING (tenant_no, campaign_no) WHERE id = '{sent}'")
                    once = statuses.count(200) == 1 if not key else statuses.count(200) >= 1
                    wrong += not (once and set(statuses) <= {200, 409} and enrolled == audience_ == "50")
            table("A hundred launches at once", [("rounds", args.rounds), ("rounds with one launch and each contact once", args.rounds - wrong)]
                  + [(f"answered {status}{' (same key)' if key else ''}", count) for (status, key), count in sorted(answers.items())])
            return wrong > 0
        finally:
            on.end()


def kills(args):
    with Figures("kills") as figures:
        on = figures.stage(workers=0, servers=1)
        try:
            api = on.api("t1")
            segment = audience.many_contacts(on, api, "t1", args.contacts)
            sent = audience.campaign(on, api, "t1", segment, "c1", args.contacts, ends="paused")
            audience.launch(on, api, sent)
            audience.pause(on, api, sent)
            rng, killed, begun = random.Random(args.seed), 0, time.monotonic()
            worker = on.muster("work0", ["work"])
            done = lambda: on.sql("SELECT enrollment_state FROM campaigns") == "done"
            while not done():
                if killed < args.times:
                    time.sleep(rng.uniform(0.05, 0.2))
                    worker.kill()
                    killed += 1
                    worker.start()
                else:
                    time.sleep(0.2)
            took = time.monotonic() - begun
            missing = on.sql("SELECT count(*) FROM (SELECT contact_no FROM segment_members EXCEPT SELECT contact_no FROM enrollments) AS m")
            enrolled, counted = on.sql("SELECT count(*) FROM enrollments"), on.sql("SELECT audience FROM campaign_counters")
            table("One launch, killed again and again", [("contacts", args.contacts), ("kills before it was done", killed), ("time", f"{took:.0f} s"),
                  ("enrolled, in the books", f"{enrolled}, {counted}"), ("missing", missing)])
            return not (missing == "0" and enrolled == counted == str(args.contacts) and killed >= args.times)
        finally:
            on.end()


def stall(args):
    """A mail server that stands still in the middle of mails: the pause says so, and says how many."""
    with Figures("stall") as figures:
        # Sessions begin together, so at any moment all of them may be between two mails: a mail takes a hundred times as long as that.
        on = figures.stage(workers=1, sessions=4, faults=["dot:delay=300:1000"])
        try:
            api, sent = began(on, 200)
            stage.wait_until("the first mails", lambda: sent_so_far(on) > 20, 60)
            on.sink.send(signal.SIGSTOP)
            on.orders.fault("stop", "sink")
            answer = audience.pause(on, api, sent)
            on.sink.send(signal.SIGCONT)
            on.orders.fault("continue", "sink")
            shown = stage.wait_until("nothing in flight", lambda: api.get(f"/api/campaigns/{sent}")["campaign"]["inFlight"] == 0, 60)
            audience.resume(on, api, sent)
            audience.completed(on)
            report = figures.judge(on)
            table("A pause while the mail server stands still", [("answer", f"{answer.status} with {answer.body['inFlight']} in flight"),
                  ("after", f"{(answer.answered - answer.called) / 1e9:.1f} s"), ("in flight after the server went on", 0 if shown else "some"),
                  ("in doubt, lost, twice", f"{report.numbers['doubt']}, {report.numbers['lost']}, {report.numbers['duplicate']}")])
            return figures.red or answer.status != 202 or not answer.body["inFlight"]
        finally:
            on.end()


def fair(args):
    with Figures("fair") as figures:
        on = figures.stage(workers=2, sessions=8, faults=["rcpt:delay=40:1000"])
        try:
            api = on.api("t1")
            segment = audience.many_contacts(on, api, "t1", args.contacts)
            huge = audience.campaign(on, api, "t1", segment, "c1", args.contacts, ends="completed")
            audience.launch(on, api, huge)
            stage.wait_until("the backlog", lambda: sent_so_far(on) > 200, 120)
            small = on.api("t2")
            few = audience.contacts(on, small, "t2", 10)
            first, last = [], []
            for number in range(args.times):
                sent = audience.campaign(on, small, "t2", few, f"c{number}", 10)
                begun = audience.launch(on, small, sent).answered
                done = f"SELECT count(*) FROM messages JOIN campaigns USING (tenant_no, campaign_no) WHERE id = '{sent}'"
                stage.wait_until("the first of ten", lambda: int(on.sql(done)) > 0, 60, 0.02)
                first.append((time.monotonic_ns() - begun) / 1e9)
                stage.wait_until("all ten", lambda: int(on.sql(done)) == 10, 60, 0.02)
                last.append((time.monotonic_ns() - begun) / 1e9)
            behind = int(on.sql("SELECT count(*) FROM outbox"))
            audience.complete(on, api, huge)
            audience.completed(on)
            figures.judge(on)
            table("Ten mails behind another tenant's backlog", [("contacts of the other tenant", args.contacts), ("launch to the first mail", spread(first)), ("launch to the tenth", spread(last)),
                  ("still queued of the other tenant", behind)])
            return figures.red or sorted(first)[int(0.95 * len(first))] > 5
        finally:
            on.end()


def neighbours(args):
    """From one moment on the mail server says nothing more to whatever is for one tenant's recipients."""
    with Figures("neighbours") as figures:
        on = figures.stage(workers=2, servers=1, sessions=9, faults=["rcpt:delay=40:1000"])
        try:
            sent = []
            for tenant in ("t1", "t2", "t3"):
                api = on.api(tenant)
                segment = audience.contacts(on, api, tenant, 20_000)
                sent.append((api, audience.campaign(on, api, tenant, segment, f"c-{tenant}", 20_000)))
            for api, campaign in sent:
                audience.launch(on, api, campaign)
            of = lambda tenants: int(on.sql(f"""SELECT count(*) FROM messages JOIN tenants USING (tenant_no)
                WHERE state = 's' AND name IN ({", ".join(f"'{tenant}'" for tenant in tenants)})"""))
            stage.wait_until("everybody's first mails", lambda: all(of([tenant]) > 100 for tenant in ("t1", "t2", "t3")), 120)

            def rate(seconds=10):
                before, begun = of(["t1", "t2"]), time.monotonic()
                time.sleep(seconds)
                return (of(["t1", "t2"]) - before) / (time.monotonic() - begun)

            before = rate()
            on.sink.say("rules rcpt:stall=30000:1000@t3.test rcpt:delay=40:1000")
            # By then each of its sessions has met the silence.
            time.sleep(2)
            stood = of(["t3"])
            after = rate()
            stood = of(["t3"]) - stood
            on.sink.say("rules rcpt:delay=10:1000")
            for api, campaign in sent:
                audience.complete(on, api, campaign)
            audience.completed(on)
            figures.judge(on)
            kept = after / before
            table("Three tenants, of whom one meets a mail server that says nothing more", [
                ("the two others before", f"{before:.0f} mails a second"), ("meanwhile", f"{after:.0f} mails a second, {100 * kept:.0f} %"),
                ("of the third meanwhile", stood), ("limit", f"95 % {'kept' if kept >= 0.95 else 'BROKEN'}")])
            return figures.red or kept < 0.95 or stood > 0
        finally:
            on.end()


def downtime(args):
    """Mail fell due for six hours while no worker ran, in a campaign with an hourly limit; hours are made to pass in the database."""
    limit, hours = 300, 4
    with Figures("downtime") as figures:
        on = figures.stage(workers=0, servers=1, sessions=8)
        try:
            api = on.api("t1")
            segment = audience.contacts(on, api, "t1", 3_000)
            sent = audience.campaign(on, api, "t1", segment, "c1", 3_000)
            api.call("PATCH", f"/api/campaigns/{sent}", {"settings": {"hourlyLimit": limit}}, media_type="application/json")
            audience.launch(on, api, sent)
            on.sql("UPDATE enrollments SET due_at = now() - random() * interval '6 hours'")
            # Within one hour of the clock, or the limit would be counted anew in the middle of it.
            if time.time() % 3600 > 3300:
                time.sleep(3600 - time.time() % 3600)
            on.workers = [on.work(index) for index in range(3)]
            total, wrong, quickest = 0, [], []
            for hour in range(hours):
                begun = time.monotonic()
                stage.wait_until("the limit", lambda: sent_so_far(on) >= total + limit, 60, 0.05)
                quickest.append(time.monotonic() - begun)
                # Long enough for several looks of each worker.
                time.sleep(3)
                total += limit
                if sent_so_far(on) != total:
                    wrong.append(f"hour {hour}: {sent_so_far(on)} and not {total}")
                # Far enough that it meets no other hour's row.
                on.sql(f"UPDATE sending_quota SET period = period - interval '1 hour' * {hour + 1} WHERE period = (SELECT max(period) FROM sending_quota)",
                       "UPDATE campaigns SET held_until = held_until - interval '1 hour'")
            connections = sum('"Connect"' in line for line in open(on.sink_log, encoding="utf-8"))
            audience.complete(on, api, sent)
            audience.completed(on)
            figures.judge(on)
            table("A backlog of six hours, three workers with eight sessions each", [
                ("hours that passed, mails in each", f"{hours}, {limit}" if not wrong else "; ".join(wrong)),
                ("an hour's mails went out in", spread(quickest)), ("connections in all", connections)])
            return figures.red or bool(wrong) or connections > 24
        finally:
            on.end()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = {"recovery": recovery, "sigterm": sigterm, "pauses": pauses, "unsubscribes": unsubscribes, "launches": launches, "kills": kills, "stall": stall, "fair": fair,
                "neighbours": neighbours, "downtime": downtime}
    usual = {"recovery": 10, "sigterm": 100, "pauses": 500, "unsubscribes": 10_000, "kills": 50, "fair": 20}
    parser.add_argument("command", choices=commands)
    parser.add_argument("--times", type=int)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--contacts", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--program", help="the program, where it is not the instrumented one")
    args = parser.parse_args()
    args.times = args.times or usual.get(args.command)
    red = commands[args.command](args)
    print("\nRED" if red else "\ngreen")
    return 1 if red else 0


if __name__ == "__main__":
    sys.exit(main())
