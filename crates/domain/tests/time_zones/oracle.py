"""What calendars come to around every change of the clocks, said by Python's zoneinfo.

Run with the directory of an unpacked `tzdata` package of the version that the fixture is to have (see docs/models.md):

    PYTHONPATH=<directory> PYTHONTZPATH= python3 oracle.py > oracle.txt

Nothing here is taken from the code under test: instants are found by trying.
"""

import sys
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo, available_timezones

import tzdata

UTC = timezone.utc
FIRST = int(datetime(2024, 1, 1, tzinfo=UTC).timestamp())
LAST = int(datetime(2031, 1, 1, tzinfo=UTC).timestamp())
DAY = 86400


def offset(zone, at):
    """Seconds east of Greenwich at that instant."""
    return int(datetime.fromtimestamp(at, zone).utcoffset().total_seconds())


def local(zone, at):
    """What the clocks show."""
    return datetime.fromtimestamp(at, zone).replace(tzinfo=None, fold=0)


def changes(zone):
    """Every instant at which the offset changes, with the offsets before and after; looked for hour by hour."""
    found = []
    before = offset(zone, FIRST)
    for at in range(FIRST, LAST, 3600):
        if offset(zone, at + 3600) == offset(zone, at):
            continue
        low, high = at, at + 3600
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if offset(zone, middle) == offset(zone, low) else (low, middle)
        found.append((high, before, offset(zone, high)))
        before = offset(zone, high)
    return found


def instant(zone, wall):
    """The first instant that shows `wall`; where none does, the first that shows more."""
    naive = int(wall.replace(tzinfo=UTC).timestamp())
    offsets = {offset(zone, naive + shift) for shift in range(-2 * DAY, 2 * DAY + 1, 1800)}
    shown = sorted(naive - east for east in offsets if local(zone, naive - east) == wall)
    if shown:
        return shown[0]
    low, high = naive - 2 * DAY, naive + 2 * DAY
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if local(zone, middle) < wall else (low, middle)
    return high


def next_local(zone, weekday, time, after):
    """The first instant past `after` that is `time` of some day, or of some such weekday."""
    day = local(zone, after).date()
    dates = [day + timedelta(days=shift) for shift in range(-3, 12)]
    wanted = [date for date in dates if weekday is None or date.weekday() == weekday]
    return min(at for at in (instant(zone, datetime.combine(date, time)) for date in wanted) if at > after)


def is_open(edges, blackouts, zone, at):
    """Whether one of the spans holds `at`, on no blackout date."""
    if local(zone, at).date() in blackouts:
        return False
    return edges is None or any(opens <= at < closes for opens, closes in edges)


def next_open(zone, window, blackouts, now):
    """The first open instant from `now` on: each minute is tried."""
    edges = None
    if window is not None:
        days, opens, closes = window
        day = local(zone, now).date()
        edges = []
        for shift in range(-3, 12):
            date = day + timedelta(days=shift)
            if date.weekday() in days:
                end = date if closes > opens else date + timedelta(days=1)
                edges.append((instant(zone, datetime.combine(date, opens)), instant(zone, datetime.combine(end, closes))))
    at = now
    while not is_open(edges, blackouts, zone, at):
        at = (at // 60 + 1) * 60
    return at


def local_day(zone, now):
    """The first and the last but one instant of the local day that holds `now`."""
    day = local(zone, now).date()
    midnight = datetime.combine(day, datetime.min.time())
    return instant(zone, midnight), next_local(zone, None, datetime.min.time(), now)


def answers(zone, at, before, after):
    """What is asked about one change of the clocks. The test asks the same in the same order."""
    walls = sorted([datetime.fromtimestamp(at + east, UTC).replace(tzinfo=None) for east in (before, after)])
    low, high = walls
    middle = (low + (high - low) / 2).replace(second=0, microsecond=0)
    quarter, hour = timedelta(minutes=15), timedelta(hours=1)
    told = [instant(zone, wall) for wall in (low - quarter, low, middle, high - quarter, high, high + quarter)]

    time, weekday = middle.time(), middle.weekday()
    for moment in (at - DAY, at - 1, at, at + abs(after - before) // 2, at + 7200):
        told.append(next_local(zone, None, time, moment))
    first = next_local(zone, weekday, time, at - 3 * DAY)
    told += [first, next_local(zone, weekday, time, first)]

    for moment in (at - 1, at, at + 3 * 3600):
        told += local_day(zone, moment)

    every, date = set(range(7)), middle.date()
    two_hours = (every, time, (middle + 2 * hour).time())
    told.append(next_open(zone, two_hours, [], at - 3 * 3600))
    told.append(next_open(zone, two_hours, [], at + abs(after - before) // 2))
    told.append(next_open(zone, ({weekday}, time, (middle + hour).time()), [], at - 2 * DAY))
    night = (every, datetime(2000, 1, 1, 22).time(), time)
    told.append(next_open(zone, night, [], at - 1))
    told.append(next_open(zone, night, [], at))
    told.append(next_open(zone, None, [date], instant(zone, datetime.combine(date, datetime.min.time()))))
    told.append(next_open(zone, two_hours, [date], at - 3600))
    return told


def main():
    print("# Written by oracle.py. For each change of the clocks: zone group, instant, offsets before and after, answers less the instant.")
    print("tzdata", tzdata.IANA_VERSION)
    groups = {}
    for name in sorted(available_timezones()):
        zone = ZoneInfo(name)
        groups.setdefault((offset(zone, FIRST), tuple(changes(zone))), []).append(name)
    for number, ((east, found), names) in enumerate(sorted(groups.items(), key=lambda item: item[1])):
        print("zones", number, east, *names)
        zone = ZoneInfo(names[0])
        for at, before, after in found:
            print("at", number, at, before, after, *(told - at for told in answers(zone, at, before, after)))
        print(names[0], len(found), file=sys.stderr)


main()
