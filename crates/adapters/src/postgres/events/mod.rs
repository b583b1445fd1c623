//! [`EventRepo`] over PostgreSQL: rows of what happened, what each mail has seen of each kind, and the figures.
//!
//! Writers lock a mail's line of a kind (link 0 of `engagements`) before they touch anything else of it, in the order
//! of keys; so two that tell of the same mail come one after the other, and each sees what the other left.

mod rows;
pub(super) mod told;

use super::{PgUnit, StoreErrorExt};
use async_trait::async_trait;
use diesel_async::AsyncPgConnection;
use muster_domain::model::books::BookEntries;
use muster_domain::model::delivery::DeliveryKey;
use muster_domain::model::events::{
    Click, Engagement, EngagementEvent, EventKind, KEPT_OF_A_KIND, Machine, Subject, add_change, add_event, swept,
    take_human,
};
use muster_domain::model::ids::{CampaignNo, LinkNo, TenantNo};
use muster_domain::ports::events::{EventRepo, EventReport};
use muster_domain::ports::store::StoreResult;
use rows::{EventRow, Line};
use std::collections::{BTreeMap, BTreeSet};

#[async_trait]
impl EventRepo for PgUnit {
    async fn record(&mut self, events: &[EngagementEvent]) -> StoreResult<EventReport> {
        let tenant = self.of().tenant;
        let (report, entries) = record(self.conn(), tenant, events).await?;
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
    let mails: BTreeSet<Mail> = told.iter().map(|event| Mail::of(event)).collect();
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
    expose_sweeps(conn, tenant, &wanted, &new, &mut change).await?;
    rows::save(conn, tenant, &change.after).await?;
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

    /// The clicks of a mail as they are by now, when some of them turn out to be a program's.
    fn replace(&mut self, mail: Mail, clicks: &[Click], exposed: &[&Click]) {
        let mut lines: BTreeMap<Line, Engagement> = BTreeMap::new();
        for click in clicks {
            for line in [Line::of(mail, None), Line::of(mail, Some(click.link))] {
                lines.entry(line).or_default().add(click.at, click.human);
            }
        }
        self.after.extend(lines);
        for click in exposed {
            for line in [Line::of(mail, None), Line::of(mail, Some(click.link))] {
                take_human(self.of(line), line.subject(), click.at);
            }
        }
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

/// Looks at mails with new clicks whether every link was followed at once, and if so takes those clicks for a program's.
async fn expose_sweeps(
    conn: &mut AsyncPgConnection,
    tenant: TenantNo,
    told: &[&EngagementEvent],
    new: &[EventRow],
    change: &mut Change,
) -> StoreResult<()> {
    let clicked: BTreeSet<Mail> = new.iter().map(|event| event.mail).collect();
    let links = told.iter().filter_map(|event| Some((Mail::of(event), event.link?.of)));
    let suspects: BTreeMap<Mail, i16> = links.filter(|(mail, of)| *of > 1 && clicked.contains(mail)).collect();
    if suspects.is_empty() {
        return Ok(());
    }
    let mut exposed = Vec::new();
    for (mail, mut clicks) in rows::clicks(conn, tenant, suspects.keys().copied().collect()).await? {
        let found: Vec<usize> = swept(&clicks, suspects.get(&mail).copied().unwrap_or_default())
            .into_iter()
            .filter(|index| clicks[*index].human)
            .collect();
        for index in &found {
            clicks[*index].human = false;
        }
        if !found.is_empty() {
            let programs: Vec<&Click> = found.iter().map(|index| &clicks[*index]).collect();
            exposed.extend(programs.iter().map(|click| (mail, click.id)));
            change.replace(mail, &clicks, &programs);
        }
    }
    rows::mark(conn, tenant, &exposed, Machine::Sweep).await
}

impl Line {
    fn of(mail: Mail, link: Option<LinkNo>) -> Self {
        Self { mail, link: link.unwrap_or(LinkNo(0)) }
    }

    fn subject(self) -> Subject {
        let link = (self.link != LinkNo(0)).then_some(self.link);
        Subject { step: self.mail.delivery.step, kind: self.mail.kind, link }
    }
}
