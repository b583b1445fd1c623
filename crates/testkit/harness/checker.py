#!/usr/bin/env python3
"""Judges a run: reads the sink's log, the orders of the harness and the database, and shares no code with the product.

A delivery is a campaign, a recipient and a step; in the sink's log these are MAIL FROM, RCPT TO and Subject, because
every campaign of a harness has a sender of its own and every step a subject that is its name, and in later editions begins with
it. Whose a connection was, EHLO says. Times are CLOCK_MONOTONIC.
docs/reliability.md says what each invariant means.

    checker.py --log sink.log --orders orders.jsonl --database 'postgres://postgres@%2Frun%2Fpg/muster'
"""

import argparse
import bisect
import collections
import csv
import io
import json
import subprocess
import sys

SECOND = 1_000_000_000
# A connection that a kill or a cut broke is seen by the sink at once, by the program's other end a little later.
NEAR = 3 * SECOND
# What was written before its process was stopped has come to the sink by then. Stops last much longer.
ON_ITS_WAY = SECOND
EXAMPLES = 5
# Between a step's name and its edition, in a subject.
EDITION = " / edition "
# After so many attempts a delivery has failed, whatever the reason (RetryPolicy of the product, and docs/reliability.md).
ATTEMPTS = 30


def rows(database, sql):
    """What a query returns, as lists of text; None where it is null."""
    run = subprocess.run(
        ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", f"COPY ({sql}) TO STDOUT (FORMAT csv, NULL '<null>')"],
        capture_output=True, text=True, check=False)
    if run.returncode:
        raise SystemExit(f"psql: {run.stderr}\n{sql}")
    return [[None if cell == "<null>" else cell for cell in row] for row in csv.reader(io.StringIO(run.stdout))]


class Attempt:
    """One conversation about one mail, from MAIL FROM to whatever ended it."""

    __slots__ = ("begin", "ended", "last", "process", "sender", "to", "subject", "edition", "dot", "accepted", "replied", "dropped",
                 "followed", "rejected", "recipient_rejected", "message_id", "sha256", "link", "behind")

    def __init__(self, begin, sender, process):
        self.begin, self.ended, self.last, self.sender, self.process = begin, None, begin, sender, process
        self.to = self.subject = self.edition = self.message_id = self.sha256 = self.link = None
        self.dot = self.accepted = self.replied = self.dropped = False
        # Whether its connection said anything after it, so that its reply must have been read; and the refusals for good.
        self.followed = self.rejected = self.recipient_rejected = self.behind = False


def address(argument):
    return argument.partition("<")[2].partition(">")[0].lower()


def read_log(path):
    """Every attempt in the order of its beginning, and what clients did that RFC 5321 forbids."""
    attempts, open_on, ended_on, process_on, violations = [], {}, {}, {}, None
    with open(path, encoding="utf-8") as log:
        for line in log:
            event = json.loads(line)
            verb = event["verb"]
            if verb == "Violation":
                violations = event["detail"]
                continue
            connection, at = event["connection"], event["at"]
            decided = event.get("written", at)
            attempt = open_on.get(connection)
            # What may stand behind the end of a message, with which it was written (RFC 2920), says nothing of its reply; behind a
            # sender who was refused stands no other.
            if verb not in ("Closed", "Rcpt", "Data"):
                ended = ended_on.pop(connection, [])
                for one in ended:
                    one.followed = verb != "Mail" or not one.dot
                ended_on[connection] = [one for one in ended if not one.followed]
            if verb in ("Ehlo", "Helo"):
                process_on[connection] = event["detail"].partition(".")[0]
            if attempt and 500 <= event.get("code", 0) < 600:
                attempt.rejected = True
                attempt.recipient_rejected = attempt.recipient_rejected or verb == "Rcpt"
            if verb == "Mail":
                open_on.pop(connection, None)
                attempt = Attempt(at, address(event["detail"]), process_on.get(connection))
                attempt.behind = event.get("behind", False)
                attempts.append(attempt)
                if event["accepted"]:
                    open_on[connection] = attempt
                else:
                    ended_on.setdefault(connection, []).append(attempt)
            elif attempt:
                attempt.last = decided
                if verb == "Rcpt":
                    attempt.to = address(event["detail"])
                elif verb == "Unknown" and event["detail"] == "body":
                    # Hung up on in the middle of its body; the client may have written the dot before it noticed.
                    attempt.dropped = True
                elif verb == "Dot":
                    attempt.dot, attempt.ended, attempt.accepted, attempt.replied = True, at, event["accepted"], event["replied"]
                    attempt.to = event["to"].lower()
                    attempt.subject, _, attempt.edition = event["subject"].partition(EDITION)
                    attempt.message_id, attempt.sha256 = event["messageId"], event["sha256"]
                    attempt.link = "/u/" + (event.get("unsubscribe") or "").rpartition("/u/")[2]
                    ended_on.setdefault(connection, []).append(open_on.pop(connection))
                elif verb in ("Rset", "Closed", "Ehlo", "Quit"):
                    attempt.followed = verb != "Closed"
                    del open_on[connection]
    return attempts, violations


class Report:
    """The invariants, each with what violates it."""

    def __init__(self):
        self.lines, self.facts = [], {}

    def check(self, name, meaning, violations):
        violations = list(violations)
        self.lines.append((name, meaning, violations))

    def broken(self):
        return [name for name, _, violations in self.lines if violations]

    def show(self, out):
        for name, meaning, violations in self.lines:
            print(f"  {'RED  ' if violations else 'green'}  {name:<12} {len(violations):>6}  {meaning}", file=out)
            for example in violations[:EXAMPLES]:
                print(f"             · {example}", file=out)
        for name, value in self.facts.items():
            print(f"  {name}: {value}", file=out)


class Database:
    """What the database says at the end."""

    def __init__(self, url, erased):
        self.url = url
        self.campaigns = {row[2].lower(): row for row in rows(url, "SELECT tenant_no, campaign_no, from_email, status, enrollment_state, id FROM campaigns")}
        self.steps = {(t, c, name): step for t, c, step, name in rows(url, "SELECT tenant_no, campaign_no, step, name FROM campaign_steps WHERE NOT removed")}
        self.contacts = {}
        for tenant, number, email, key in rows(url, "SELECT tenant_no, contact_no, email, id FROM contacts"):
            email = email or erased.get(key)
            if email:
                self.contacts[tenant, email.lower()] = number
        self.messages = {tuple(row[:4]): row[4] for row in rows(url, "SELECT tenant_no, campaign_no, contact_no, step, state FROM messages")}
        # Settled by a late answer as not handed over, of a contact that has left or in a campaign that is over; of who was erased no reason is kept.
        self.too_late = {tuple(row) for row in rows(url, """SELECT m.tenant_no, m.campaign_no, m.contact_no, m.step FROM messages m
            JOIN campaigns c USING (tenant_no, campaign_no) JOIN enrollments e USING (tenant_no, campaign_no, contact_no)
            WHERE m.state = 'f' AND (m.detail LIKE 'not handed over%' OR m.detail IS NULL AND e.exit_reason = 'p')
            AND (e.status = 'x' OR c.completed_at <= m.ended_at) AND EXISTS (SELECT FROM delivery_decisions d WHERE d.tenant_no = m.tenant_no
                AND d.campaign_no = m.campaign_no AND d.contact_no = m.contact_no AND d.step = m.step AND d.decision = 'f' AND d.evidence = 'l')""")}
        self.outbox = {tuple(row[:4]): row[4] for row in rows(url, "SELECT tenant_no, campaign_no, contact_no, step, state FROM outbox")}
        self.enrollments, self.versions = {}, {}
        for *key, status, version in rows(url, "SELECT tenant_no, campaign_no, contact_no, status, version FROM enrollments"):
            self.enrollments[tuple(key)], self.versions[tuple(key)] = status, version
        self.attempts = {tuple(row[:4]): int(row[4]) for row in rows(url, "SELECT tenant_no, campaign_no, contact_no, step, attempts FROM messages")}

    def key(self, sender, to, subject):
        """The delivery of a mail, or None for one that is nobody's."""
        campaign = self.campaigns.get(sender)
        if not campaign:
            return None
        tenant, number = campaign[:2]
        contact, step = self.contacts.get((tenant, to)), self.steps.get((tenant, number, subject))
        return (tenant, number, contact, step) if contact and step else None

    def books(self):
        """Counters that differ from a count of the rows."""
        yield from (f"campaign {t}/{c}: {which}" for t, c, which in rows(self.url, """
            SELECT k.tenant_no, k.campaign_no, format('counted %s, written %s', n.*, (k.audience, k.open, k.completed, k.exited))
            FROM campaign_counters k CROSS JOIN LATERAL (SELECT count(*), count(*) FILTER (WHERE status IN ('e','r','w','d')),
                count(*) FILTER (WHERE status = 'c'), count(*) FILTER (WHERE status = 'x') FROM enrollments e
                WHERE e.tenant_no = k.tenant_no AND e.campaign_no = k.campaign_no) AS n
            WHERE n IS DISTINCT FROM (k.audience, k.open, k.completed, k.exited)"""))
        yield from (f"step {t}/{c}/{s}: {which}" for t, c, s, which in rows(self.url, """
            SELECT k.tenant_no, k.campaign_no, k.step, format('counted %s, written %s', n.*, (k.sent, k.failed, k.suppressed, k.skipped, k.in_doubt, k.cancelled))
            FROM step_counters k JOIN campaign_steps s USING (tenant_no, campaign_no, step) CROSS JOIN LATERAL (
                SELECT count(*) FILTER (WHERE state = 's'), count(*) FILTER (WHERE state = 'f'), count(*) FILTER (WHERE state = 'u'),
                    count(*) FILTER (WHERE state = 'k'), count(*) FILTER (WHERE state = 'd'), count(*) FILTER (WHERE state = 'x')
                FROM messages m WHERE m.tenant_no = k.tenant_no AND m.campaign_no = k.campaign_no AND m.step = k.step) AS n
            WHERE s.step_type = 'email' AND n IS DISTINCT FROM (k.sent, k.failed, k.suppressed, k.skipped, k.in_doubt, k.cancelled)"""))
        yield from (f"step {t}/{c}/{s} entered {e}, ended and pending {p}" for t, c, s, e, p in rows(self.url, """
            SELECT k.tenant_no, k.campaign_no, k.step, k.entered, k.pending + k.sent + k.failed + k.suppressed + k.skipped + k.in_doubt + k.cancelled
            FROM step_counters k JOIN campaign_steps s USING (tenant_no, campaign_no, step) WHERE s.step_type = 'email'
            AND k.entered <> k.pending + k.sent + k.failed + k.suppressed + k.skipped + k.in_doubt + k.cancelled"""))

    def strangers(self):
        """Rows whose campaign or contact is not their tenant's, in every table that names one."""
        for parent, column in (("campaigns", "campaign_no"), ("contacts", "contact_no"), ("segments", "segment_no")):
            tables = rows(self.url, f"""SELECT table_name FROM information_schema.columns WHERE table_schema = 'public'
                AND column_name IN ('tenant_no', '{column}') AND table_name <> '{parent}'
                AND table_name IN (SELECT table_name FROM information_schema.tables WHERE table_type = 'BASE TABLE')
                GROUP BY table_name HAVING count(*) = 2""")
            for (table,) in tables:
                for (count,) in rows(self.url, f"""SELECT count(*) FROM {table} t WHERE t.{column} IS NOT NULL AND NOT EXISTS
                        (SELECT 1 FROM {parent} p WHERE p.tenant_no = t.tenant_no AND p.{column} = t.{column}) HAVING count(*) > 0"""):
                    yield f"{count} rows of {table} have a {column} that is not their tenant's"


class Faults:
    """When something was done, and to whom."""

    def __init__(self, orders):
        noted = sorted((order["at"], order["kind"], order["who"]) for order in orders if order["what"] == "fault")
        self.times = [at for at, _, _ in noted]
        self.cuts = [at for at, kind, who in noted if kind == "cut" and who.startswith("smtp")]
        self.of, self.kills, self.stops = (collections.defaultdict(list) for _ in range(3))
        for at, kind, who in noted:
            if kind in ("kill", "stop", "continue"):
                self.of[who].append(at)
            if kind in ("kill", "stop"):
                (self.kills if kind == "kill" else self.stops)[who].append(at)

    @staticmethod
    def between(first, last, times):
        at = bisect.bisect_left(times, first)
        return at < len(times) and times[at] <= last

    def open_at(self, attempt, times):
        """Whether an attempt was open at one of them, and for its process ended there: its connection said nothing more."""
        return not attempt.followed and self.between(attempt.begin - NEAR, attempt.last + NEAR, times)

    def struck(self, attempt):
        """Whether its process was killed or stopped while it was open. A restart of the database is no reason to be in
        doubt, and what is done to another process neither."""
        return self.open_at(attempt, self.of[attempt.process])

    def killed(self, attempt):
        """Whether its process was killed while it was open."""
        return self.open_at(attempt, self.kills[attempt.process])

    def stood_still(self, attempt):
        """Whether its process was stopped after its message, and before it can have written down how that ended: the others do not know
        what it knows. Who was stopped before sends no message when it goes on, for by then somebody else may have."""
        return self.between(attempt.ended - ON_ITS_WAY, attempt.last + NEAR, self.stops[attempt.process])

    def cut(self, attempt):
        """Whether connections to the mail server were cut while it was open."""
        return self.open_at(attempt, self.cuts)


def check(log, orders, database):
    orders = [json.loads(line) for line in open(orders, encoding="utf-8")]
    attempts, violations = read_log(log)
    campaigns = [order for order in orders if order["what"] == "campaign"]
    db = Database(database, {order["contact"]: order["email"] for order in orders if order["what"] == "erase"})
    faults, report = Faults(orders), Report()

    by_delivery = collections.defaultdict(list)
    by_recipient = collections.defaultdict(list)
    strangers = []
    for attempt in attempts:
        if attempt.dot:
            key = db.key(attempt.sender, attempt.to, attempt.subject)
            if key:
                by_delivery[key].append(attempt)
            else:
                strangers.append(f"{attempt.sender} to {attempt.to}: {attempt.subject}")
        elif attempt.to:
            by_recipient[attempt.sender, attempt.to].append(attempt)
    policy = {tuple(db.campaigns[order["from"]][:2]): order["policy"] for order in campaigns}
    accepted = {key: sum(attempt.accepted for attempt in tries) for key, tries in by_delivery.items()}

    first_begin, erased = {}, {}
    for attempt in attempts:
        first_begin.setdefault(attempt.sender, attempt.begin)
    for order in orders:
        if order["what"] == "erase":
            erased.setdefault(order["email"], order["called"])
    lost, stuck, unaccounted, expected = [], [], [], 0
    senders = {}
    for order in campaigns:
        tenant, number, _, status, enrolling, _ = db.campaigns[order["from"]]
        senders[tenant, number] = order["from"]
        if status != order.get("ends", "completed") or enrolling != "done":
            stuck.append(f"campaign {order['from']} is {status}, its enrolling {enrolling}")
        for index in range(order["audience"]["first"], order["audience"]["first"] + order["audience"]["count"]):
            email = order["audience"]["format"].replace("{}", str(index))
            contact = db.contacts.get((tenant, email))
            standing = db.enrollments.get((tenant, number, contact))
            # No mail begins before everybody is enrolled: who was erased before the first of them is not of the audience.
            if standing is None and erased.get(email, sys.maxsize) < first_begin.get(order["from"], sys.maxsize):
                continue
            for subject in order["subjects"]:
                expected += 1
                key = (tenant, number, contact, db.steps.get((tenant, number, subject)))
                state, count = db.messages.get(key), accepted.get(key, 0)
                if key in db.outbox:
                    stuck.append(f"{email} {subject} of {order['from']}: {db.outbox[key]} in the outbox")
                elif count == 0 and state is None and standing != "x":
                    lost.append(f"{email} {subject} of {order['from']}: no mail, no row, enrollment {standing}")
                elif count and state not in ("s", "d"):
                    unaccounted.append(f"{email} {subject} of {order['from']}: accepted, and {state} in the database")
    stuck += [f"enrollment {key} is {status}" for key, status in db.enrollments.items()
              if status not in "cx" and db_status(db, key) != "paused"]

    unsent = [f"{key}: sent in the database, never accepted" for key, state in db.messages.items()
              if state == "s" and not accepted.get(key)]
    report.check("I-LOST", "every mail that was due is accepted, or visibly not", lost + [f"{line} (lost)" for line in unsent])
    report.check("I-SENT", "what the database calls sent was accepted", unsent)

    doubt = {key for key, state in db.messages.items() if state == "d"}
    unanswered = lambda attempt: not attempt.replied

    def without_dot(key):
        """Attempts at any step of this campaign to this recipient of which the sink never saw the end."""
        return by_recipient.get((senders.get(key[:2]), recipient_of.get((key[0], key[2]))), [])

    def any_try(key, true):
        """Whether it is true of an attempt that may have been one at this delivery."""
        return any(map(true, by_delivery.get(key, []) + without_dot(key)))

    recipient_of = {(tenant, number): email for (tenant, email), number in db.contacts.items()}
    twice, resent, differing = [], 0, []
    for key, tries in by_delivery.items():
        count = accepted[key]
        if count > 1:
            excused = sum(unanswered(attempt) or faults.killed(attempt) or faults.cut(attempt) or faults.stood_still(attempt)
                          for attempt in tries)
            if policy.get(key[:2]) == "resend" and count - 1 <= excused:
                resent += count - 1
            else:
                twice.append(f"{recipient_of.get((key[0], key[2]))} step {key[3]} of {senders.get(key[:2])}: accepted {count} times")
        if len({(attempt.message_id, attempt.sha256) for attempt in tries}) > 1:
            differing.append(f"{recipient_of.get((key[0], key[2]))} step {key[3]}: {len(tries)} attempts differ in Message-ID or body")
    names = collections.defaultdict(set)
    for key, tries in by_delivery.items():
        for attempt in tries:
            names[attempt.message_id].add(key)
    report.check("I-DUP", "no delivery accepted twice (resend: no more than were in doubt)", twice)
    report.check("I-DUP'", "every attempt of a delivery is the same mail", differing
                 + [f"{name} names {len(keys)} deliveries" for name, keys in names.items() if len(keys) > 1])

    # An attempt that ended at MAIL FROM names no recipient. One that was the last of its connection when its process was killed
    # or stopped accounts for one delivery of its sender: begun, and in doubt because nobody was left to say what came of it.
    nameless = collections.Counter(attempt.sender for attempt in attempts if attempt.to is None and faults.struck(attempt))

    def at_a_nameless_one(key):
        sender = senders.get(key[:2])
        nameless[sender] -= 1
        return nameless[sender] >= 0

    injected, at_cuts, at_faults, unexplained = 0, 0, 0, []
    for key in doubt:
        if any(unanswered(attempt) for attempt in by_delivery.get(key, [])) or any(attempt.dropped for attempt in without_dot(key)):
            injected += 1
        elif any_try(key, faults.cut):
            at_cuts += 1
        elif any_try(key, faults.struck) or at_a_nameless_one(key):
            at_faults += 1
        else:
            unexplained.append(f"{recipient_of.get((key[0], key[2]))} step {key[3]}: in doubt, and nothing was done to it")
    # Who unsubscribes by the link in a mail has it, whatever its server answered: that is no doubt.
    followed = {order["link"] for order in orders if order["what"] == "unsubscribe" and order.get("link") and 200 <= order["status"] < 300}
    heard = lambda key: db.messages.get(key) == "s" and any(attempt.accepted and attempt.link in followed for attempt in by_delivery[key])
    hidden = [f"{recipient_of.get((key[0], key[2]))} step {key[3]}: no answer after the dot, and {db.messages.get(key)} in the database"
              for key, tries in by_delivery.items() if policy.get(key[:2]) != "resend" and tries and unanswered(tries[-1])
              and key not in doubt and key not in db.outbox and not heard(key)]
    report.check("I-UNK", "in doubt is exact: what got no answer, and nothing else", unaccounted + unexplained + hidden)
    report.check("I-WHY", "what failed was refused for good, and who was left out or taken out had gone or was refused",
                 unfounded(db, orders, faults, attempts, by_delivery, without_dot, senders, recipient_of))
    report.check("I-EDIT", "whoever is in gets every mail as it was when they came in", other_editions(db, by_delivery, recipient_of))
    report.check("I-STUCK", "nothing claimed, sending, launching or open at the end", stuck)
    report.check("I-COUNT", "the books are what the rows count to", db.books())
    report.check("I-TENANT", "no row and no mail crosses a tenant", list(db.strangers()) + strangers)

    # RCPT and DATA may have been written with MAIL FROM: it is the message that makes a server accept anything.
    started = [attempt for attempt in attempts if attempt.dot or attempt.dropped]
    pauses, begun_in_pause, bare = pause_windows(orders), [], []
    for attempt in attempts:
        for begin, end, strict in pauses.get(attempt.sender, ()):
            if begin < attempt.begin < end:
                line = f"{attempt.sender} to {attempt.to}: {(attempt.begin - begin) / 1e6:.1f} ms after its pause was answered"
                if attempt.dot or attempt.dropped:
                    begun_in_pause.append(line)
                elif not faults.between(attempt.begin - NEAR, attempt.begin + NEAR, faults.times):
                    bare.append(line + " (and no message)")
    report.check("I-PAUSE", "nothing begins between a pause's answer and its resume", begun_in_pause + bare)
    for name, what in (("I-UNSUB", "unsubscribe"), ("I-DELETE", "erase")):
        since = {}
        for order in orders:
            if order["what"] == what and 200 <= order["status"] < 300:
                since.setdefault(order["email"].lower(), order["answered"])
        late = [f"{attempt.to} of {attempt.sender}: {(attempt.begin - since[attempt.to]) / 1e6:.1f} ms after" for attempt in started
                if attempt.to in since and attempt.begin > since[attempt.to]]
        report.check(name, f"nothing begins to a contact after its {what} was answered", late)
        report.facts[f"{what}s answered"] = len(since)
    report.check("RFC 5321", "clients keep to the protocol", [violations] if violations else [])

    states = collections.Counter(db.messages.values())
    report.facts.update({
        "mails due": expected,
        "accepted by the sink": sum(accepted.values()),
        "named behind another": sum(attempt.behind for attempt in attempts),
        "in the database": ", ".join(f"{STATES[state]} {count}" for state, count in sorted(states.items())),
        "lost": len(lost) + len(unsent), "duplicate": len(twice), "resent, as asked": resent,
        "in doubt": f"{len(doubt)}: {injected} by the sink's script, {at_cuts} at a cut of its connection, {at_faults} at a kill or stop of its process, {len(unexplained)} unexplained",
        "in doubt is exact": "yes" if not (unexplained or hidden or unaccounted) else "NO",
        "beyond script and cuts": f"{100 * (len(doubt) - injected - at_cuts) / max(expected, 1):.4f} % of the mails due",
        "pauses checked": sum(len(windows) for windows in pauses.values()),
        "faults done": len(faults.times),
    })
    report.numbers = {"beyond": len(doubt) - injected - at_cuts, "due": expected, "accepted": sum(accepted.values()), "lost": len(lost) + len(unsent), "duplicate": len(twice),
                      "doubt": len(doubt), "injected": injected, "at_faults": at_faults, "resent": resent, "behind": sum(attempt.behind for attempt in attempts)}
    return report


STATES = {"s": "sent", "f": "failed", "u": "suppressed", "k": "skipped", "d": "in doubt", "x": "cancelled"}


def unfounded(db, orders, faults, attempts, by_delivery, without_dot, senders, recipient_of):
    """Deliveries that ended without a mail, and enrollments that ended early, for which nobody gave a reason."""
    domain = lambda email: email.rpartition("@")[2]
    gone = {order["email"].lower() for order in orders if order["what"] in ("unsubscribe", "erase")}
    # Whom the mail server refuses for good gets nothing more of the whole tenant; a tenant of a harness has a domain of its own.
    gone |= {attempt.to for attempt in attempts if attempt.recipient_rejected}
    # Who ends a campaign early cancels what has not begun.
    early = {order["campaign"] for order in orders if order["what"] == "complete"}
    ended = {tuple(campaign[:2]) for campaign in db.campaigns.values() if campaign[5] in early}
    for key, state in db.messages.items():
        email = recipient_of.get((key[0], key[2]), "?")
        of_it = f"{email} step {key[3]} of {senders.get(key[:2])}"
        tries = by_delivery.get(key, []) + without_dot(key)
        # Whoever is stopped for longer than a lease may find, when it goes on, that everybody else has come to the end without it.
        too_late = key in db.too_late and not by_delivery.get(key) and any(faults.stops.values())
        if state == "f" and db.attempts[key] < ATTEMPTS and not too_late and not any(attempt.rejected for attempt in tries):
            yield f"{of_it}: failed after {db.attempts[key]} attempts, and nobody refused it for good"
        elif state in "xuk" and email not in gone and not (state == "x" and key[:2] in ended):
            yield f"{of_it}: {STATES[state]}, and {domain(email)} has no reason for it"
    for key, status in db.enrollments.items():
        email = recipient_of.get((key[0], key[2]), "?")
        if status == "x" and email not in gone and key[:2] not in ended:
            yield f"enrollment of {email} in {senders.get(key[:2])}: ended early, and nobody asked for it"


SUBJECTS = """SELECT v.tenant_no, v.campaign_no, v.version, s ->> 'no', s -> 'content' ->> 'subjectLine' FROM sequence_versions v
    CROSS JOIN LATERAL jsonb_array_elements(v.steps) AS s WHERE s ->> 'stepType' = 'email'"""


def other_editions(db, by_delivery, recipient_of):
    """Mails of another edition than the version that their recipient came in under."""
    subjects = {(t, c, v, step): subject.partition(EDITION)[2] for t, c, v, step, subject in rows(db.url, SUBJECTS)}
    for key, tries in by_delivery.items():
        for attempt in tries:
            due = subjects.get((*key[:2], db.versions.get(key[:3]), key[3]))
            if attempt.edition != due:
                yield f"{recipient_of.get((key[0], key[2]))} step {key[3]}: edition {attempt.edition or 'none'}, and {due or 'none'} was due"


def db_status(db, key):
    return next((campaign[3] for campaign in db.campaigns.values() if tuple(campaign[:2]) == key[:2]), None)


def pause_windows(orders):
    """For each sender: from a pause's answer to the call of the resume after it."""
    senders = {order["id"]: order["from"] for order in orders if order["what"] == "campaign"}
    windows = collections.defaultdict(list)
    for order in orders:
        if order["what"] != "pause" or not 200 <= order["status"] < 300:
            continue
        later = [other["called"] for other in orders if other["what"] == "resume" and other["campaign"] == order["campaign"]
                 and other["called"] > order["answered"]]
        # An answer that was stored before its process died is given again to the repeat: it does not say "nothing begins".
        strict = order["status"] == 200 or order.get("tries", 1) == 1
        begin = order["answered"] if strict else order["answered"] + NEAR
        windows[senders[order["campaign"]]].append((begin, min(later, default=sys.maxsize), strict))
    return windows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--log", required=True, help="the sink's log")
    parser.add_argument("--orders", required=True, help="what the harness did and when")
    parser.add_argument("--database", required=True, help="the database, for psql, as a superuser")
    args = parser.parse_args()
    report = check(args.log, args.orders, args.database)
    report.show(sys.stdout)
    broken = report.broken()
    print(f"\n{'RED: ' + ', '.join(broken) if broken else 'every invariant holds'}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
