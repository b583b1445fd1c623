#!/usr/bin/env python3
"""Judges the checker: a run that is green, spoiled in one way after the other; each has to turn its invariant red."""

import json
import shutil
import sys
import uuid

import audience
import checker
import figures

# What is spoiled: statements on a copy of the database, a change of the sink's log, or one of the orders; and what has to say so.
IN_DATABASE = {
    "a mail's row is gone": ("I-UNK", "DELETE FROM messages WHERE contact_no = (SELECT min(contact_no) FROM messages)"),
    "a mail that nobody saw is sent": ("I-UNK", "UPDATE messages SET state = 'f' WHERE contact_no = (SELECT min(contact_no) FROM messages)"),
    "a mail is in doubt for no reason": ("I-UNK", "UPDATE messages SET state = 'd' WHERE contact_no = (SELECT min(contact_no) FROM messages)"),
    "a mail failed, and nobody refused it": ("I-WHY", "UPDATE messages SET state = 'f' WHERE contact_no = (SELECT min(contact_no) FROM messages)"),
    "a mail that went out is called not handed over": ("I-WHY", """UPDATE messages SET state = 'f', detail = 'not handed over, they say'
        WHERE contact_no = (SELECT min(contact_no) FROM messages)"""),
    "a mail was left out, for no reason": ("I-WHY", "UPDATE messages SET state = 'u' WHERE contact_no = (SELECT min(contact_no) FROM messages)"),
    "somebody was taken out, for no reason": ("I-WHY", """UPDATE enrollments SET status = 'x', exit_reason = 'm'
        WHERE contact_no = (SELECT min(contact_no) FROM enrollments)"""),
    "somebody came in under another version": ("I-EDIT", """INSERT INTO sequence_versions SELECT tenant_no, campaign_no, version + 1,
        replace(steps::text, '"s1"', '"s1 / edition 1"')::jsonb, created_at FROM sequence_versions; UPDATE enrollments SET version = version + 1"""),
    "a mail is still queued": ("I-STUCK", """INSERT INTO outbox (tenant_no, campaign_no, contact_no, step, pass, state, due_at, queued_at, version, next_step)
        SELECT tenant_no, campaign_no, contact_no, step, pass, 'p', now(), now(), version, 0 FROM messages LIMIT 1"""),
    "an enrollment is open": ("I-STUCK", """UPDATE enrollments SET status = 'd', ended_at = NULL
        WHERE contact_no = (SELECT min(contact_no) FROM enrollments)"""),
    "a counter is one too many": ("I-COUNT", "UPDATE step_counters SET sent = sent + 1, pending = pending - 1"),
    "an enrollment is not in the books": ("I-COUNT", "UPDATE campaign_counters SET audience = audience - 1"),
    "a row is another tenant's": ("I-TENANT", "UPDATE enrollment_history SET tenant_no = tenant_no + 1 WHERE seq = (SELECT min(seq) FROM enrollment_history)"),
}


def dots(lines):
    return [number for number, line in enumerate(lines) if line["verb"] == "Dot"]


def accepted_twice(lines):
    begin = next(n for n, line in enumerate(lines) if line["verb"] == "Mail")
    end = next(n for n in dots(lines) if lines[n]["connection"] == lines[begin]["connection"])
    again = [dict(line, connection=10_000) for line in lines[begin:end + 1] if line["connection"] == lines[begin]["connection"]]
    lines += again


def never_accepted(lines):
    lines[dots(lines)[0]]["accepted"] = False


def no_answer(lines):
    lines[dots(lines)[0]]["replied"] = False


def no_answer_but_a_sign(lines):
    """The first mail got no answer, and its recipient unsubscribed by the link in it: the order that says so."""
    no_answer(lines)
    first = lines[dots(lines)[0]]
    path = "/u/" + first["unsubscribe"].rpartition("/u/")[2]
    after = first["at"] + 10**15
    return {"what": "unsubscribe", "email": first["to"], "link": path, "called": after, "answered": after, "status": 200}


def attempt(lines, dot):
    """The numbers of the lines of one attempt, from MAIL FROM to the line `dot`."""
    on = [n for n, line in enumerate(lines) if line["connection"] == lines[dot]["connection"] and line["at"] <= lines[dot]["at"]]
    return on[max(i for i, n in enumerate(on) if lines[n]["verb"] == "Mail"):]


def fault(line, kind="kill", who="work0"):
    """The order that says that this was done to a process when the line was written."""
    return {"what": "fault", "kind": kind, "who": who, "at": line["at"] + 1}


def ended_there(lines, number):
    """What follows a line on its connection was said on another."""
    for line in lines[number + 1:]:
        if line.get("connection") == lines[number]["connection"]:
            line["connection"] = 10_000


def ended_at_mail_from(lines):
    """Of the first mail MAIL FROM is left, refused and the last of its connection, and of the second nothing: their recipients,
    and the order that says that the process of the first was stopped."""
    first, second = (attempt(lines, dot) for dot in dots(lines)[:2])
    mail_from = lines[first[0]]
    mail_from["accepted"] = False
    recipients = [lines[first[-1]]["to"], lines[second[-1]]["to"]]
    ended_there(lines, first[-1])
    gone = {*first[1:], *second}
    lines[:] = [line for n, line in enumerate(lines) if n not in gone]
    return recipients, fault(mail_from, "stop")


def other_name(lines):
    accepted_twice(lines)
    lines[-1].update(accepted=False, messageId="other@x.test")


def to_a_stranger(lines):
    lines[dots(lines)[0]]["to"] = "c1@t2.test"


def other_edition(lines):
    lines[dots(lines)[0]]["subject"] += checker.EDITION + "1"


def violation(lines):
    lines.append({"at": 1, "verb": "Violation", "detail": "bare_lf: 1"})


def begun_without_a_message(lines):
    """After everything else MAIL, RCPT and DATA are written once more, and the connection is closed: when that was."""
    first = attempt(lines, dots(lines)[0])
    at = max(line.get("at", 0) for line in lines) + 10**15
    lines += [dict(lines[n], connection=10_000, at=at + n, written=at + n) for n in first[:-1]]
    lines.append({"verb": "Closed", "connection": 10_000, "at": at + len(lines), "detail": "", "accepted": True, "replied": False})
    return at


IN_LOG = {"a mail is accepted twice": ("I-DUP", accepted_twice), "a sent mail was not accepted": ("I-SENT", never_accepted),
          "a reply that did not go out is sent": ("I-UNK", no_answer), "a second attempt has another name": ("I-DUP'", other_name),
          "a mail goes to another tenant": ("I-TENANT", to_a_stranger), "a mail is of another edition": ("I-EDIT", other_edition),
          "a client breaks a rule": ("RFC 5321", violation)}
IN_ORDERS = {
    "somebody was forgotten": ("I-LOST", lambda campaign: {**campaign, "audience": {**campaign["audience"], "count": 21}}),
    "a mail begins in a pause": ("I-PAUSE", lambda campaign: {"what": "pause", "campaign": campaign["id"], "called": 1, "answered": 2, "status": 200}),
    "a mail begins after an unsubscribe": ("I-UNSUB", lambda _: {"what": "unsubscribe", "email": "c1@t1.test", "called": 1, "answered": 2, "status": 200}),
    "a mail begins after an erasure": ("I-DELETE", lambda _: {"what": "erase", "contact": "-", "email": "c1@t1.test", "called": 1, "answered": 2, "status": 204}),
}


def main():
    wrong = 0
    with figures.Figures("checker") as runs:
        on = runs.stage(workers=1, sessions=2)
        try:
            api = on.api("t1")
            segment = audience.contacts(on, api, "t1", 20)
            audience.launch(on, api, audience.campaign(on, api, "t1", segment, "c1", 20))
            audience.completed(on)
            on.stop_workers()
        finally:
            on.end()
        database, log, orders = on.postgres.url(on.database), on.sink_log, on.orders.path

        def judge(name, invariant, database=database, log=log, orders=orders):
            broken = checker.check(log, orders, database).broken()
            right = invariant in broken if invariant else not broken
            print(f"{'ok   ' if right else 'WRONG'}  {name:<40} {', '.join(broken) or 'green'}", flush=True)
            return not right

        wrong += judge("nothing is spoiled", None)
        for number, (name, (invariant, sql)) in enumerate(IN_DATABASE.items()):
            on.postgres.sql("postgres", f"CREATE DATABASE spoiled{number} TEMPLATE {on.database}")
            on.postgres.sql(f"spoiled{number}", sql)
            wrong += judge(name, invariant, database=on.postgres.url(f"spoiled{number}"))
        for name, (invariant, spoil) in IN_LOG.items():
            lines = [json.loads(line) for line in open(log, encoding="utf-8")]
            spoil(lines)
            spoiled = on.folder / "spoiled.log"
            spoiled.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
            wrong += judge(name, invariant, log=spoiled)
        lines = [json.loads(line) for line in open(log, encoding="utf-8")]
        sign = no_answer_but_a_sign(lines)
        answered, unanswered = on.folder / "sign.jsonl", on.folder / "sign.log"
        shutil.copy(orders, answered)
        with open(answered, "a", encoding="utf-8") as file:
            file.write(json.dumps(sign) + "\n")
        unanswered.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        wrong += judge("no reply, but a sign of the mail", None, log=unanswered, orders=answered)
        wrong += judge("no reply, and no sign of the mail", "I-UNK", log=unanswered)
        lines = [json.loads(line) for line in open(log, encoding="utf-8")]
        at = begun_without_a_message(lines)
        copy = on.folder / "begun.log"
        copy.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        campaign = next(json.loads(line)["id"] for line in open(orders, encoding="utf-8"))
        pause = {"what": "pause", "campaign": campaign, "called": at - 10, "answered": at - 1, "status": 200}
        for name, red, faults in (("begins in a pause, goes no further", "I-PAUSE", []),
                                  ("the same as its process was let go on", None, [fault({"at": at}, "continue")])):
            noted = on.folder / "begun.jsonl"
            shutil.copy(orders, noted)
            with open(noted, "a", encoding="utf-8") as file:
                file.writelines(json.dumps(order) + "\n" for order in [pause, *faults])
            wrong += judge(name, red, log=copy, orders=noted)

        def judge_doubts(name, red, spoil, states, order=None):
            """The run as `spoil` leaves its log, with these recipients' mails in these states, and what an order says beside."""
            lines = [json.loads(line) for line in open(log, encoding="utf-8")]
            recipients, told = spoil(lines)
            order = order if order is not None else told
            copy, noted = on.folder / "doubts.log", on.folder / "doubts.jsonl"
            copy.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
            shutil.copy(orders, noted)
            with open(noted, "a", encoding="utf-8") as file:
                file.write(json.dumps(order) + "\n" if order else "")
            database = f"doubts_{uuid.uuid4().hex[:8]}"
            on.postgres.sql("postgres", f"CREATE DATABASE {database} TEMPLATE {on.database}")
            for email, state in zip(recipients, states):
                book = {"d": "in_doubt", "f": "failed", "x": "cancelled"}[state]
                on.postgres.sql(database, f"""UPDATE messages SET state = '{state}', attempts = {checker.ATTEMPTS}
                    WHERE contact_no = (SELECT contact_no FROM contacts WHERE email = '{email}')""")
                # Booked as such, too, so that the books say the same.
                on.postgres.sql(database, f"UPDATE step_counters SET sent = sent - 1, {book} = {book} + 1")
            return judge(name, red, database=on.postgres.url(database), log=copy, orders=noted)

        wrong += judge_doubts("in doubt, and stopped at MAIL FROM", None, ended_at_mail_from, "df")
        wrong += judge_doubts("in doubt at MAIL FROM, nobody stopped", "I-UNK", ended_at_mail_from, "df", order={})
        wrong += judge_doubts("two in doubt, one stopped at MAIL FROM", "I-UNK", ended_at_mail_from, "dd")

        campaign = next(json.loads(line)["id"] for line in open(orders, encoding="utf-8"))
        wrong += judge_doubts("cancelled, and the campaign ended early", None, ended_at_mail_from, "xx",
                              order={"what": "complete", "campaign": campaign, "called": 1, "answered": 2, "status": 200})
        wrong += judge_doubts("cancelled, and nobody ended the campaign", "I-WHY", ended_at_mail_from, "xx", order={})

        def killed(who="work0", ended=True, at=0, kind="kill", behind=()):
            """The first mail's process was killed when its dot had come, or another, or its connection went on, or much later; or others
            of the next mail's lines came behind its dot, which begins again elsewhere."""
            def spoil(lines):
                dot = dots(lines)[0]
                if ended:
                    ended_there(lines, dot)
                following = [line for line in lines[dot:] if line["connection"] == 10_000]
                lines[dot + 1:dot + 1] = [dict(next(line for line in following if line["verb"] == verb), connection=lines[dot]["connection"],
                                               accepted=verb != "Dot") for verb in behind]
                return [lines[dot]["to"]], fault({"at": lines[dot]["at"] + at}, kind, who)
            return spoil

        wrong += judge_doubts("in doubt, and its process was killed", None, killed(), "d")
        wrong += judge_doubts("in doubt, and another process was killed", "I-UNK", killed("work1"), "d")
        wrong += judge_doubts("in doubt, and its process was killed later", "I-UNK", killed(at=checker.NEAR + checker.SECOND), "d")
        wrong += judge_doubts("in doubt, and its connection went on", "I-UNK", killed(ended=False), "d")
        wrong += judge_doubts("in doubt, killed, and another named behind it", None, killed(behind=("Mail", "Rcpt", "Data")), "d")
        wrong += judge_doubts("in doubt, killed, and the next one's message behind it", "I-UNK", killed(behind=("Mail", "Rcpt", "Data", "Dot")), "d")
        wrong += judge_doubts("in doubt, and the database was restarted", "I-UNK", killed("start", kind="postgres"), "d")

        def judge_resent(name, red, before, kind="stop"):
            """A mail of a campaign that sends again what is in doubt was accepted twice, and something was done to the first one's process so
            long before its message came, whose sender had come three seconds before."""
            lines = [json.loads(line) for line in open(log, encoding="utf-8")]
            accepted_twice(lines)
            dot = dots(lines)[0]
            for number in attempt(lines, dot)[:-1]:
                lines[number]["at"] -= 3 * checker.SECOND
            twice, noted = on.folder / "resent.log", on.folder / "resent.jsonl"
            twice.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
            told = [{**order, "policy": "resend"} if order["what"] == "campaign" else order for order in map(json.loads, open(orders, encoding="utf-8"))]
            told.append({"what": "fault", "kind": kind, "who": "work0", "at": lines[dot]["at"] - before})
            noted.write_text("".join(json.dumps(order) + "\n" for order in told), encoding="utf-8")
            return judge(name, red, log=twice, orders=noted)

        wrong += judge_resent("resent, stopped after its message", None, -checker.SECOND)
        wrong += judge_resent("resent, stopped while that was on its way", None, checker.SECOND // 2)
        wrong += judge_resent("resent, and sent by whom had been stopped", "I-DUP", 2 * checker.SECOND)
        wrong += judge_resent("resent, though its reply was read", "I-DUP", -checker.SECOND, kind="kill")
        for name, (invariant, order) in IN_ORDERS.items():
            spoiled = on.folder / "spoiled.jsonl"
            shutil.copy(orders, spoiled)
            campaign = next(json.loads(line) for line in open(orders, encoding="utf-8"))
            with open(spoiled, "a", encoding="utf-8") as file:
                file.write(json.dumps(order(campaign)) + "\n")
            wrong += judge(name, invariant, orders=spoiled)
    print(f"\n{f'{wrong} WRONG' if wrong else 'the checker sees all of it'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
