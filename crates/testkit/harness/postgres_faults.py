#!/usr/bin/env python3
"""What a database can do to a program, and clocks that are wrong: each against a campaign at work, judged at its end.

    postgres_faults.py               all of them
    postgres_faults.py commits pool  these

restarts   the server is killed and started again, over and over
sessions   sessions are terminated, all of them or some
pool       every process has one connection
commits    connections are cut right after COMMIT was sent, done or not done, and nobody is told
errors     statements fail with 40001, 40P01, 57014 and 53300 now and then
clocks     the processes' clocks are hours off, each differently, and one runs ten times too fast (needs libfaketime)
"""

import argparse
import concurrent.futures
import glob
import random
import sys
import time

import audience
import figures
import races
import stage

CONTACTS = 1_500
PACED = ["rcpt:delay=25:1000"]

# Two in a hundred statements fail once they have done their work, which takes it back.
ERRORS = """
CREATE SEQUENCE forced_errors;
GRANT USAGE ON SEQUENCE forced_errors TO PUBLIC;
CREATE FUNCTION fail_now_and_then() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF random() < 0.02 THEN
        PERFORM nextval('forced_errors');
        RAISE EXCEPTION 'forced' USING ERRCODE = (ARRAY['40001', '40P01', '40001', '40P01', '57014', '53300'])[1 + floor(random() * 6)];
    END IF;
    RETURN NULL;
END $$;
"""
FAILING = ("outbox", "enrollments", "messages", "campaign_counters", "step_counters", "campaigns")


def faulty(figures_, name, do, count=CONTACTS, **more):
    """A campaign of two mails a contact, with `do` at work beside it; what was done, and the judgement."""
    on = figures_.stage(**{"workers": 2, "servers": 1, "sessions": 8, "faults": PACED, **more})
    try:
        api = on.api("t1")
        segment = audience.contacts(on, api, "t1", count)
        sent = audience.campaign(on, api, "t1", segment, "c1", count, subjects=("s1", "s2"))
        mailbox = races.Mailbox(on.sink_log)
        begun = time.monotonic()
        audience.launch(on, api, sent)
        done = do(on, api, sent, mailbox)
        audience.completed(on, 300)
        took = time.monotonic() - begun
        mailbox.ended = True
        report = figures_.judge(on)
        numbers = report.numbers
        print(f"{'RED  ' if report.broken() else 'green'}  {name:<9} {done}; lost {numbers['lost']}, twice {numbers['duplicate']}, "
              f"in doubt {numbers['doubt']}, {took:.0f} s", flush=True)
    finally:
        on.end()


def every(mailbox, times, due, act):
    """Does it so many times, spread over the mails that are due."""
    for turn in range(times):
        begun = time.monotonic()
        while mailbox.accepted < 0.9 * due * turn / times and time.monotonic() - begun < 20:
            time.sleep(0.01)
        act(turn)


def restarts(figures_):
    def do(on, api, sent, mailbox):
        def restart(_):
            on.orders.fault("postgres", "stop")
            on.postgres.stop("immediate")
            on.postgres.start()
            on.orders.fault("postgres", "start")
        every(mailbox, 20, 2 * CONTACTS, restart)
        return "20 restarts"
    faulty(figures_, "restarts", do)


def sessions(figures_):
    def do(on, api, sent, mailbox):
        def end(turn):
            on.orders.fault("sessions", "all" if turn % 3 == 0 else "one")
            which = "" if turn % 3 == 0 else "ORDER BY random() LIMIT 1"
            on.sql(f"""SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend' {which}) AS v""")
        every(mailbox, 150, 2 * CONTACTS, end)
        return "150 times, a third of them all sessions"
    faulty(figures_, "sessions", do)


def pool(figures_):
    def do(on, api, sent, mailbox):
        asked = []
        with concurrent.futures.ThreadPoolExecutor(16) as threads:
            def ask(_):
                return api.call("GET", f"/api/campaigns/{sent}", wanted=None, seconds=0.1).status
            while on.sql("SELECT status FROM campaigns") != "completed":
                asked += threads.map(ask, range(16))
        wrong = [status for status in asked if status != 200]
        if wrong:
            figures_.red = True
        return f"one connection a process, {len(asked)} requests beside, {len(wrong)} not answered with 200"
    faulty(figures_, "pool", do, env={"POOL_SIZE": "1"})


def commits(figures_):
    def do(on, api, sent, mailbox):
        def cut(turn):
            on.orders.fault("cut", "COMMIT")
            on.tell_proxy("postgres", f"cut-on {('after', 'before')[turn % 2]} 1 COMMIT")
        every(mailbox, 150, 2 * CONTACTS, cut)
        # The API's own commits, done and not done, which a repeat with the same key has to survive; nobody else commits there.
        repeated = 0
        for turn in range(20):
            on.orders.fault("cut", "COMMIT of a request")
            on.tell_proxy("postgres-serve", f"cut-on {('after', 'before')[turn % 2]} 1 COMMIT")
            repeated += api.post("/api/segments", {"name": f"Segment {turn}", "kind": "static"}).tries > 1
        made, trapped = on.sql("SELECT count(*) FROM segments WHERE name LIKE 'Segment %'"), on.tell_proxy("postgres", "trapped")
        # A trap that has not sprung when the next is set is replaced by it.
        if made != "20" or repeated != 20 or trapped < 75:
            figures_.red = True
        return f"{trapped} commits of the workers cut, and 20 of requests: {repeated} repeated, {made} segments made"
    faulty(figures_, "commits", do, through_proxy=True, server_proxy=True)


def errors(figures_):
    def do(on, api, sent, mailbox):
        stage.wait_until("the end", lambda: on.sql("SELECT status FROM campaigns") == "completed", 300)
        forced = on.sql("SELECT last_value FROM forced_errors")
        for table in FAILING:
            on.sql(f"DROP TRIGGER fails ON {table}")
        if int(forced) < 20:
            figures_.red = True
        return f"{forced} statements made to fail"

    name = f"{stage.migrated(figures_.postgres, 'failing')}"
    figures_.postgres.sql(name, ERRORS, *(f"CREATE TRIGGER fails AFTER UPDATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION fail_now_and_then()"
                                          for table in FAILING))
    faulty(figures_, "errors", do, template=name)


def clocks(figures_):
    library = next(iter(glob.glob("/usr/lib/*/faketime/libfaketime.so.1")), None)
    if not library:
        raise SystemExit("clocks: there is no libfaketime; install it with: apt-get install libfaketime")

    def wrong(spec):
        return {"LD_PRELOAD": library, "FAKETIME": spec, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}

    def do(on, api, sent, mailbox):
        on.workers += [on.work(1, wrong("+3h")), on.work(2, wrong("-3h x10"))]
        stage.wait_until("the end", lambda: on.sql("SELECT status FROM campaigns") == "completed", 300)
        shares = [line.count("muster: working") for line in ((on.folder / f"work{n}.log").read_text(encoding="utf-8") for n in range(3))]
        odd = on.sql("""SELECT count(*) FROM messages WHERE ended_at NOT BETWEEN now() - interval '10 minutes' AND now()
            OR queued_at NOT BETWEEN now() - interval '10 minutes' AND now()""")
        if odd != "0" or shares != [1, 1, 1]:
            figures_.red = True
        seen = (on.folder / "work1.log").read_text(encoding="utf-8").split("\n")[0][:19]
        return f"workers at +3 h, -3 h and ten times too fast, and right; {odd} rows with a wrong time; one worker believed in {seen}"

    faulty(figures_, "clocks", do, workers=1, server_env=wrong("+5h"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = {"restarts": restarts, "sessions": sessions, "pool": pool, "commits": commits, "errors": errors, "clocks": clocks}
    parser.add_argument("faults", nargs="*", choices=[*known, []])
    args = parser.parse_args()
    random.seed(1)
    with figures.Figures("postgres") as runs:
        for name in args.faults or known:
            known[name](runs)
        print("\nRED" if runs.red else "\ngreen")
        return 1 if runs.red else 0


if __name__ == "__main__":
    sys.exit(main())
