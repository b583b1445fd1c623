#!/usr/bin/env python3
"""A campaign to 500 people who open, click, unsubscribe, bounce and complain in known numbers: the API's figures have to be the
script's, by day, step and link.

The script takes the mails as a mail server would, reads them as a mailbox would, and acts on what stands in them and on nothing
else. What it did is counted here; what the API says is compared, figure by figure. It shares no code with the product.
"""

import argparse
import base64
import collections
import concurrent.futures
import csv
import datetime
import email
import email.policy
import hashlib
import hmac
import html.parser
import http.client
import io
import json
import random
import socketserver
import sys
import threading
import time
import urllib.parse

import audience
import figures
import stage

LINKS = ("https://shop.test/a?x=1&amp;y=2", "https://shop.test/b/{{ email }}", "https://shop.test/c", "https://shop.test/nobody-follows-all")
BODY = "<html><body><p>Hello {{ firstName }}</p>" + "".join(f'<p><a href="{link}">{n}</a></p>' for n, link in enumerate(LINKS)) + "</body></html>"
SUBJECTS = ("s1", "s2")
FIGURES = ("emailsSent", "emailsDelivered", "emailsBounced", "emailsConfirmed", "uniqueOpens", "totalOpens", "allUniqueOpens", "allTotalOpens",
           "uniqueClicks", "totalClicks", "allUniqueClicks", "allTotalClicks", "replies", "spamComplaints", "unsubscribes")


class Mailboxes(socketserver.ThreadingTCPServer):
    """A mail server: refuses some for good, keeps the rest."""

    allow_reuse_address, daemon_threads, request_queue_size = True, True, 128

    def __init__(self, refused):
        super().__init__(("127.0.0.1", 0), Conversation)
        self.refused, self.mails, self.lock = refused, [], threading.Lock()
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Conversation(socketserver.StreamRequestHandler):
    def say(self, line):
        self.wfile.write(line.encode() + b"\r\n")

    def handle(self):
        self.say("220 mailboxes.test ESMTP")
        to = None
        while line := self.rfile.readline():
            verb = line[:4].upper()
            if verb == b"RCPT":
                to = line.partition(b"<")[2].partition(b">")[0].decode()
                self.say("550 5.1.1 no such mailbox" if to in self.server.refused else "250 ok")
            elif verb == b"DATA":
                self.say("354 go ahead")
                body = b""
                while (part := self.rfile.readline()) != b".\r\n":
                    body += part[1:] if part.startswith(b"..") else part
                with self.server.lock:
                    self.server.mails.append((to, body))
                self.say("250 2.0.0 kept")
            elif verb == b"QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 mailboxes.test" if verb in (b"EHLO", b"HELO") else "250 ok")


class Reader(html.parser.HTMLParser):
    """Where the links and images of a mail lead."""

    def __init__(self, text):
        super().__init__()
        self.links, self.images, self.hidden = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "a" and "/t/c/" in attributes.get("href", ""):
            self.links.append(attributes["href"])
        elif tag == "a" and "/t/h/" in attributes.get("href", ""):
            self.hidden.append(attributes["href"])
        elif tag == "img" and "/t/o/" in attributes.get("src", ""):
            self.images.append(attributes["src"])


class Mail:
    def __init__(self, to, body):
        message = email.message_from_bytes(body, policy=email.policy.default)
        self.to, self.subject, self.id = to, message["Subject"], message["Message-ID"].strip("<> ")
        self.unsubscribe = message["List-Unsubscribe"].strip("<> ")
        read = Reader(message.get_body(("html",)).get_content())
        [self.pixel], [self.hidden], self.links = read.images, read.hidden, read.links
        if len(self.links) != len(LINKS):
            raise RuntimeError(f"{to}: {len(self.links)} links")


class Web:
    """Whatever stands in a mail, asked of the server under test."""

    def __init__(self, address):
        self.address = address

    def ask(self, url, method="GET", body=None, headers=None, wanted=200):
        connection = http.client.HTTPConnection(*self.address, timeout=60)
        connection.request(method, urllib.parse.urlsplit(url).path, body=body, headers={"User-Agent": "Mozilla/5.0 (X11) Gecko", **(headers or {})})
        answer = connection.getresponse()
        answer.read()
        connection.close()
        if answer.status != wanted:
            raise RuntimeError(f"{method} {url}: {answer.status}")
        return answer.headers


class Hook:
    """Signs reports as Standard Webhooks has it."""

    def __init__(self, api, web):
        made = api.post("/api/hooks", {"name": "mail server"}).body
        self.url, self.web = made["urls"]["json"], web
        self.key = base64.b64decode(made["secret"].removeprefix("whsec_"))

    def report(self, events):
        body = json.dumps({"events": events}).encode()
        name, at = "msg_" + hashlib.sha256(body).hexdigest(), str(int(time.time()))
        mac = base64.b64encode(hmac.digest(self.key, f"{name}.{at}.".encode() + body, "sha256")).decode()
        headers = {"webhook-id": name, "webhook-timestamp": at, "webhook-signature": f"v1,{mac}", "Content-Type": "application/json"}
        self.web.ask(self.url, "POST", body, headers, wanted=200)


class Script:
    """What each mail's reader does, drawn from the seed, and what that adds up to."""

    def __init__(self, mails, refused, seed):
        rng = random.Random(seed)
        self.opens, self.clicks, self.programs, self.scanned, self.events, self.leavers = [], [], [], [], [], []
        self.expected = {subject: collections.Counter({"emailsBounced": 0}) for subject in SUBJECTS}
        self.by_link = {(subject, n): collections.Counter() for subject in SUBJECTS for n in range(len(LINKS))}
        self.expected[SUBJECTS[0]]["emailsBounced"] += len(refused)
        fates = {}
        for mail in mails:
            # One fate for each person, met in the first mail: whoever has left would not act on the second.
            fate = fates.setdefault(mail.to, rng.choice(["none"] * 14 + ["bounced", "complained", "replied", "delivered", "unsubscribe"]))
            self.one(mail, fate if mail.subject == SUBJECTS[0] else "none", rng)

    def one(self, mail, fate, rng):
        counts = self.expected[mail.subject]
        counts["emailsSent"] += 1
        counts["emailsDelivered"] += fate != "bounced"
        opened, followed = rng.choice((0, 0, 1, 1, 2, 5)), rng.choice(((), (), (), (0,), (1,), (0, 1), (0, 0, 1)))
        program = rng.random() < 0.1
        if rng.random() < 0.1:
            # Looked through by a scanner that calls itself a browser, and by nobody else.
            opened, followed, program = 0, (), False
            self.scanned.append(mail)
            counts.update({"allUniqueOpens": 1, "allTotalOpens": 1, "allUniqueClicks": 1, "allTotalClicks": 2})
            self.by_link[mail.subject, 3].update({"allUniqueClicks": 1, "allTotalClicks": 1})
        self.opens += [mail.pixel] * opened
        self.clicks += [(n, mail.links[n]) for n in followed]
        self.programs += [mail.links[2]] * program
        counts.update({"uniqueOpens": opened > 0, "totalOpens": opened, "allUniqueOpens": opened > 0, "allTotalOpens": opened,
                       "uniqueClicks": bool(followed), "totalClicks": len(followed), "allUniqueClicks": bool(followed) or program,
                       "allTotalClicks": len(followed) + program})
        for n in set(followed):
            times = followed.count(n)
            self.by_link[mail.subject, n].update({"uniqueClicks": 1, "totalClicks": times, "allUniqueClicks": 1, "allTotalClicks": times})
        self.by_link[mail.subject, 2].update({"allUniqueClicks": program, "allTotalClicks": program})
        if fate == "unsubscribe":
            self.leavers.append(mail.unsubscribe)
            counts["unsubscribes"] += 1
        elif fate != "none":
            event = {"type": fate, "messageId": mail.id}
            self.events.append({**event, "status": "5.1.1"} if fate == "bounced" else event)
            counts[{"bounced": "emailsBounced", "complained": "spamComplaints", "replied": "replies", "delivered": "emailsConfirmed"}[fate]] += 1

    def act(self, web, hook, rng):
        """Everything, in any order, every report three times; first and second links apart, as a person would."""
        with concurrent.futures.ThreadPoolExecutor(16) as hands:
            all_of = lambda acts: [done.result() for done in [hands.submit(*act) for act in rng.sample(acts, len(acts))]]
            first, second = ([click for click in self.clicks if (click[0] == 0) == wanted] for wanted in (True, False))
            follow = lambda link: web.ask(link, wanted=302)
            scan = lambda mail: (web.ask(mail.pixel), web.ask(mail.hidden, wanted=204), follow(mail.links[3]))
            all_of([(web.ask, pixel) for pixel in self.opens] + [(follow, link) for _, link in first])
            all_of([(lambda link: web.ask(link, "HEAD", wanted=302), link) for link in self.programs])
            all_of([(follow, link) for _, link in second])
            all_of([(scan, mail) for mail in self.scanned])
            all_of([(hook.report, [event]) for event in self.events for _ in range(3)])
            one_click = {"Content-Type": "application/x-www-form-urlencoded"}
            all_of([(web.ask, link, "POST", b"List-Unsubscribe=One-Click", one_click) for link in self.leavers])


def differences(script, said, steps):
    """Figures of the API that are not the script's."""
    total = sum(script.expected.values(), collections.Counter())

    def compare(where, expected, row):
        return [f"{where}: {name} is {row[name]} and not {expected[name]}" for name in FIGURES if name in row and row[name] != expected[name]]

    found = compare("totals", total, said["totals"])
    days = [row for row in said["overall"] if any(row[name] for name in FIGURES)]
    found += compare(days[0]["date"], total, days[0]) if len(days) == 1 else [f"days with figures: {[row['date'] for row in days]}"]
    for row in said["byStep"]:
        found += compare(f"step {row['name']}", script.expected[row["name"]], row)
    links = {(steps[row["stepId"]], row["url"]): row for row in said["byLink"]}
    for (subject, n), expected in script.by_link.items():
        row = links.get((subject, LINKS[n].replace("&amp;", "&")))
        found += compare(f"link {n} of {subject}", expected, row) if row else [f"link {n} of {subject} is not there"]
    return found


def downloads(api, path):
    """Rows of days and steps, and of days and links, as a table and as lines."""
    rows, forms = {}, (("table", "text/csv"), ("lines", "application/x-ndjson"))
    for grouping, form, media_type in [(grouping, *form) for grouping in ("dayStep", "dayLink") for form in forms]:
        connection = http.client.HTTPConnection(*api.addresses[0], timeout=60)
        connection.request("GET", f"{path}&groupBy={grouping}", headers={"Authorization": f"Bearer {api.key}", "Accept": media_type})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        if answer.status != 200 or not answer.headers["Content-Type"].startswith(media_type):
            raise RuntimeError(f"{grouping} as {media_type}: {answer.status} {text}")
        rows[grouping, form] = list(csv.DictReader(io.StringIO(text, newline=""))) if form == "table" else [json.loads(line) for line in text.splitlines()]
    return rows


def daily_differences(script, downloaded):
    """Rows of days and steps, and of days and links, in the tables and lines that are not the script's: all of it was on one day."""
    found = []
    url = lambda n: LINKS[n].replace("&amp;", "&")
    wanted = {
        "dayStep": {(subject,): counts for subject, counts in script.expected.items()},
        "dayLink": {(subject, url(n)): counts for (subject, n), counts in script.by_link.items() if counts["allTotalClicks"]},
    }
    for (grouping, form), rows in downloaded.items():
        about = ("name", "url") if grouping == "dayLink" else ("name",)
        where = f"{form} by {grouping}"
        days = {row["date"] for row in rows}
        if len(days) != 1:
            found.append(f"{where}: days {sorted(days)}")
        told = {tuple(row[name] for name in about): row for row in rows}
        if len(told) != len(rows) or told.keys() != wanted[grouping].keys():
            found.append(f"{where}: {len(rows)} rows about {sorted(told)} and not {sorted(wanted[grouping])}")
            continue
        for key, expected in wanted[grouping].items():
            row = told[key]
            found += [f"{where} of {key}: {name} is {row[name]} and not {expected[name]}" for name in FIGURES
                      if name in row and int(row[name]) != expected[name]]
            if "emailsSent" in row and float(row["openRate"]) != expected["uniqueOpens"] / expected["emailsDelivered"]:
                found.append(f"{where} of {key}: openRate is {row['openRate']}")
    return found


def noon():
    """A time zone in which no day ends while this runs."""
    hour = datetime.datetime.now(datetime.timezone.utc).hour
    east = 12 - hour
    return f"Etc/GMT{-east:+d}" if east else "UTC"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contacts", type=int, default=500)
    parser.add_argument("--seed", type=int, default=None, help="drawn and printed when absent")
    args = parser.parse_args()
    seed = random.SystemRandom().randrange(1 << 32) if args.seed is None else args.seed
    refused = {f"c{n}@t1.test" for n in range(0, args.contacts, 25)}
    mailboxes = Mailboxes(refused)
    with figures.Figures("engagement") as runs:
        on = runs.stage(workers=1, sessions=8, sink="127.0.0.1:%d" % mailboxes.server_address[1])
        try:
            api, web = on.api("t1"), Web(on.addresses[0])
            segment = audience.contacts(on, api, "t1", args.contacts)
            sent = audience.campaign(on, api, "t1", segment, "c1", args.contacts, subjects=SUBJECTS, body=BODY)
            api.call("PATCH", f"/api/campaigns/{sent}", {"settings": {"trackOpens": True, "trackClicks": True, "unsubscribeEnabled": True}},
                     media_type="application/json")
            steps = {step["id"]: step["name"] for step in api.get(f"/api/campaigns/{sent}/steps")["data"]}
            audience.launch(on, api, sent)
            audience.completed(on)
            script = Script([Mail(*mail) for mail in mailboxes.mails], refused, seed)
            script.act(web, Hook(api, web), random.Random(seed))
            today = datetime.datetime.now(datetime.timezone.utc).date()
            first, last = today - datetime.timedelta(days=1), today + datetime.timedelta(days=1)
            said = api.get(f"/api/campaigns/{sent}/analytics?startDate={first}&endDate={last}&timezone={urllib.parse.quote(noon())}")
            found = differences(script, said, steps)
            found += daily_differences(script, downloads(api, f"/api/campaigns/{sent}/analytics?startDate={first}&endDate={last}"
                                                              f"&timezone={urllib.parse.quote(noon())}"))
        finally:
            on.end()
    total = sum(script.expected.values(), collections.Counter())
    figures.table(f"{args.contacts} people, seed {seed}", [(name, total[name]) for name in FIGURES])
    print("\n".join(["", *found, "RED" if found else "green: the API's figures are the script's, by day, step and link"]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
