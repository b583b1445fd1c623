"""Pauses and unsubscribes against a campaign at full speed: what must not happen after the answer."""

import concurrent.futures
import http.client
import json
import random
import threading
import time

import audience
import checker


class Mailbox(threading.Thread):
    """Follows the sink's log: how many mails were accepted, and how each recipient may unsubscribe."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path, self.lock, self.ended = path, threading.Lock(), False
        # Of mails that another follows: recipient and link in the order of their acceptance, None once used. How far the next
        # ones have come in that order, which is about theirs; who unsubscribed is passed over.
        self.accepted, self.links, self.place, self.front, self.followed = 0, [], {}, 0, set()
        self.start()

    def run(self):
        rest = ""
        with open(self.path, encoding="utf-8") as log:
            while not self.ended:
                said = log.read(1 << 20)
                if not said:
                    time.sleep(0.02)
                    continue
                *lines, rest = (rest + said).split("\n")
                for line in lines:
                    if '"Dot"' not in line:
                        continue
                    event = json.loads(line)
                    if event["accepted"]:
                        with self.lock:
                            self.accepted += 1
                            # Whoever came in after an edit has the mail as it is since.
                            if event["subject"].partition(checker.EDITION)[0] == "s1":
                                self.place[event["to"]] = len(self.links)
                                self.links.append((event["to"], event["unsubscribe"]))
                            elif event["to"] in self.place:
                                index = self.place[event["to"]]
                                self.followed.add(index)
                                self.front = max(self.front, index + 1)

    def take(self, rng, ahead=16):
        """A recipient whose next mail is about to begin, about as many as are claimed ahead, and the path of the link in their
        first; None when there is none now."""
        with self.lock:
            front = range(max(0, self.front - ahead), min(self.front + ahead, len(self.links)))
            unused = [index for index in front if self.links[index] and index not in self.followed]
            if not unused:
                return None
            index = rng.choice(unused)
            to, link = self.links[index]
            self.links[index] = None
        return to, "/u/" + link.rpartition("/u/")[2]

    def take_recent(self, rng):
        """A recipient who got the first mail a moment ago, or one whose next mail is about to begin."""
        with self.lock:
            recent = [index for index in range(max(0, len(self.links) - 64), len(self.links)) if self.links[index]]
            if recent:
                index = rng.choice(recent)
                to, link = self.links[index]
                self.links[index] = None
                return to, "/u/" + link.rpartition("/u/")[2]
        return self.take(rng)


def unsubscribe(on, api, to, path):
    """One click, as RFC 8058 has it: no key, a form."""
    public = type(api)(on.addresses, None)
    answer = public.call("POST", path, "List-Unsubscribe=One-Click", media_type="application/x-www-form-urlencoded")
    on.orders.note("unsubscribe", email=to, link=path, **answer.times())


def pauses(on, api, campaign, times, rng, hold=(0.02, 0.2), run=(0.05, 0.25), stop=lambda: False):
    """Pauses and resumes so many times; how long each pause took, in seconds."""
    took = []
    for _ in range(times):
        time.sleep(rng.uniform(*run))
        if stop():
            break
        answer = audience.pause(on, api, campaign)
        took.append((answer.answered - answer.called) / 1e9)
        time.sleep(rng.uniform(*hold))
        audience.resume(on, api, campaign)
    return took


def unsubscribes(on, api, mailbox, times, rng, at_once=8, give_up=60, recent=False):
    """So many recipients unsubscribe, right before their next mail (`recent`: or right after their first); how many did."""
    done, last = 0, time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        waiting = []
        while done < times and time.monotonic() - last < give_up:
            taken = mailbox.take(rng) or (mailbox.take_recent(rng) if recent else None)
            if taken is None:
                time.sleep(0.002)
                continue
            last = time.monotonic()
            waiting.append(pool.submit(unsubscribe, on, api, *taken))
            done += 1
            if len(waiting) > 4 * at_once:
                waiting.pop(0).result()
        for one in waiting:
            one.result()
    return done


def rng_of(seed):
    return random.Random(seed)


def is_up(address):
    try:
        connection = http.client.HTTPConnection(*address, timeout=2)
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
