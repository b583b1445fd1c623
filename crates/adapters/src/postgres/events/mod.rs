//! [`EventRepo`] over PostgreSQL: rows of what happened, what each mail has seen of each kind, and the figures.
//!
//! Writers lock a mail's line of a kind (link 0 of `engagements`) before they touch anything else of it, in the order
//! of keys; so two that tell of the same mail come one after the other, and each sees what the other left.

pub(super) mod back;
mod forget;
mod rows;
pub(super) mod told;

use super::{PgUnit, StoreErrorExt};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel_async::AsyncPgConnection;
use muster_domain::model::books::BookEntries;
use muster_domain::model::delivery::DeliveryKey;
use muster_domain::model::events::{
    Engagement, EngagementEvent, EventKind, FEWEST_LINKS, KEPT_OF_A_KIND, Machine, Seen, Subject, add_change,
    add_event, caught, swept, take_human,
};
use muster_domain::model::ids::{CampaignNo, LinkNo, TenantNo};
use muster_domain::ports::events::{EventRepo, EventReport};
use muster_domain::ports::store::StoreResult;
use rows::{EventRow, Line};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

#[async_trait]
impl EventRepo for PgUnit {
    async fn record(&mut self, events: &[EngagementEvent]) -> StoreResult<EventReport> {
        let tenant = self.of().tenant;
        let (report, entries) = record(self.conn().await?, tenant, events).await?;
        self.post(entries);
        Ok(report)
    }
}

/// Keeps events of one tenant. What comes back has to be posted to the books, as the last thing before the commit.
pub(crate) async fn record(
    conn: &mut AsyncPgConnection,
    tenant: TenantNo,
    events: &[EngagementEvent],
) -> StoreResult<(EventReport, BTreeMap<CampaignNo, BookEntries>)> {
    let mut told: Vec<&EngagementEvent> = events.iter().filter(|event| event.delivery.tenant == tenant).collect();
    if told.is_empty() {
        return Ok((EventReport::default(), BTreeMap::new()));
    }
    told.sort_unstable_by_key(|event| (event.delivery, event.kind.code(), event.id));
    told.dedup_by_key(|event| (event.delivery, event.kind.code(), event.id));
    let mails: BTreeSet<Mail> = told.iter().flat_map(|event| Mail::touched_by(event)).collect();
    let before = rows::lock(conn, tenant, &mails).await?;
    let (wanted, surplus): (Vec<_>, Vec<_>) = told.into_iter().partition(|event| {
        before.get(&Line::of(Mail::of(event), None)).is_none_or(|known| known.total < KEPT_OF_A_KIND)
    });
    let new = rows::insert(conn, tenant, &wanted).await?;
    let report = EventReport { recorded: new.len(), repeated: wanted.len() - new.len(), surplus: surplus.len() };
    let mut change = Change { before, after: BTreeMap::new(), entries: BTreeMap::new() };
    for event in &new {
        change.add(event);
    }
    expose_programs(conn, tenant, &wanted, &new, &mut change).await?;
    rows::save(conn, tenant, &change.after).await?;
    for (campaign, step, sent_at) in back::sent_at(conn, tenant, &change.came_back()).await? {
        change.entries.entry(campaign).or_default().quarter(sent_at, step).undelivered += 1;
    }
    Ok((report, change.into_entries()))
}

/// One kind of event of one mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mail {
    delivery: DeliveryKey,
    kind: EventKind,
}

impl Mail {
    fn of(event: &EngagementEvent) -> Self {
        Self { delivery: event.delivery, kind: event.kind }
    }

    /// What an event may change. Who follows the hidden link tells of opens too.
    fn touched_by(event: &EngagementEvent) -> impl Iterator<Item = Self> {
        let opened = Self { delivery: event.delivery, kind: EventKind::Opened };
        std::iter::once(Self::of(event)).chain(event.is_trap().then_some(opened))
    }
}

/// Lines as they were and as they become, and what that does to the figures.
struct Change {
    before: BTreeMap<Line, Engagement>,
    after: BTreeMap<Line, Engagement>,
    entries: BTreeMap<CampaignNo, BookEntries>,
}

impl Change {
    /// A new event, on the line of its mail and, for a click, on that of its link.
    fn add(&mut self, event: &EventRow) {
        for line in event.lines() {
            let before = self.before.get(&line).copied().unwrap_or_default();
            self.after.entry(line).or_insert(before).add(event.at, event.human());
            add_event(self.of(line), line.subject(), event.at, event.human());
        }
    }

    /// Takes back that some of what was seen of a mail was people's; `seen` says what is by now. Lines are not made anew: rows
    /// of long ago may not be kept any more.
    fn expose(&mut self, mail: Mail, seen: &[Seen], exposed: &[&Seen]) {
        let mut taken: BTreeMap<Line, Vec<DateTime<Utc>>> = BTreeMap::new();
        for one in exposed {
            for line in Line::all_of(mail, one.link) {
                taken.entry(line).or_default().push(one.at);
                take_human(self.of(line), line.subject(), one.at);
            }
        }
        for (line, times) in taken {
            let people = seen.iter().filter(|one| one.human && Line::all_of(mail, one.link).any(|other| other == line));
            let left: Vec<_> = people.map(|one| one.at).collect();
            let before = self.before.get(&line).copied().unwrap_or_default();
            self.after.entry(line).or_insert(before).expose(&times, &left);
        }
    }

    /// Mails of which it is new that they came back.
    fn came_back(&self) -> Vec<DeliveryKey> {
        let bounces = self.after.iter().filter(|(line, _)| line.mail.kind == EventKind::Bounced);
        let before = |line| self.before.get(line).and_then(|known| known.first_human_at);
        let new = bounces.filter(|(line, after)| before(line).is_none() && after.first_human_at.is_some());
        new.map(|(line, _)| line.mail.delivery).collect()
    }

    fn of(&mut self, line: Line) -> &mut BookEntries {
        self.entries.entry(line.mail.delivery.campaign).or_default()
    }

    fn into_entries(mut self) -> BTreeMap<CampaignNo, BookEntries> {
        for (line, after) in std::mem::take(&mut self.after) {
            let before = self.before.get(&line).copied().unwrap_or_default();
            add_change(self.of(line), line.subject(), &before, &after);
        }
        self.entries
    }
}

/// Looks at mails with new opens and clicks whether every link was followed at once, or the one that no person sees near
/// in time, and if so takes what was done then for a program's.
async fn expose_programs(
    conn: &mut AsyncPgConnection,
    tenant: TenantNo,
    told: &[&EngagementEvent],
    new: &[EventRow],
    change: &mut Change,
) -> StoreResult<()> {
    let visited: BTreeSet<Mail> = new.iter().filter(|event| event.is_visit()).flat_map(EventRow::touched).collect();
    let links = told.iter().filter_map(|event| Some((Mail::of(event), event.link?.of)));
    let several: BTreeMap<Mail, i16> =
        links.filter(|(mail, of)| *of >= FEWEST_LINKS && visited.contains(mail)).collect();
    let trapped = rows::trapped(conn, tenant, &visited).await?;
    let suspects = visited.iter().filter(|mail| several.contains_key(mail) || trapped.contains_key(&mail.delivery));
    let mut exposed: BTreeMap<Machine, Vec<(Mail, Uuid)>> = BTreeMap::new();
    for (mail, mut seen) in rows::seen(conn, tenant, suspects.copied().collect()).await? {
        let at_once = swept(&seen, several.get(&mail).copied().unwrap_or_default());
        let traps = trapped.get(&mail.delivery).map_or(&[][..], Vec::as_slice);
        let beside = (0..seen.len()).filter(|index| caught(seen[*index].at, traps));
        let programs = at_once.into_iter().map(|index| (index, Machine::Sweep));
        let programs: BTreeMap<usize, Machine> = programs.chain(beside.map(|index| (index, Machine::Trap))).collect();
        let programs: Vec<_> = programs.into_iter().filter(|(index, _)| seen[*index].human).collect();
        for (index, machine) in &programs {
            seen[*index].human = false;
            exposed.entry(*machine).or_default().push((mail, seen[*index].id));
        }
        if !programs.is_empty() {
            change.expose(mail, &seen, &programs.iter().map(|(index, _)| &seen[*index]).collect::<Vec<_>>());
        }
    }
    for (machine, events) in exposed {
        rows::mark(conn, tenant, &events, machine).await?;
    }
    Ok(())
}

impl Line {
    fn of(mail: Mail, link: Option<LinkNo>) -> Self {
        Self { mail, link: link.unwrap_or(LinkNo(0)) }
    }

    /// The line of the mail, and that of the link if it is one.
    fn all_of(mail: Mail, link: Option<LinkNo>) -> impl Iterator<Item = Self> {
        std::iter::once(Self::of(mail, None)).chain(link.map(|link| Self::of(mail, Some(link))))
    }

    fn subject(self) -> Subject {
        let link = (self.link != LinkNo(0)).then_some(self.link);
        Subject { step: self.mail.delivery.step, kind: self.mail.kind, link }
    }
}
