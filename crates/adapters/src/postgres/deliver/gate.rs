//! Whether a campaign may send at this moment, and under which terms.

use super::bind_campaign;
use crate::postgres::StoreErrorExt;
use crate::postgres::json::Json;
use crate::postgres::prepared::prepared;
use chrono::{DateTime, Utc};
use diesel::sql_types::{Integer, Jsonb, Nullable, Text, Timestamptz};
use diesel::{OptionalExtension, QueryableByName};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use muster_domain::model::address::EmailAddress;
use muster_domain::model::calendar::next_open;
use muster_domain::model::ids::CampaignKey;
use muster_domain::model::schedule::{Schedule, Settings};
use muster_domain::ports::delivery::Sender;
use muster_domain::ports::store::{StoreError, StoreResult};

/// What a campaign that is active and fully enrolled says of itself.
pub(super) struct Gate {
    /// Business time.
    pub(super) now: DateTime<Utc>,
    pub(super) schedule: Schedule,
    pub(super) settings: Settings,
    /// The campaign's version, which rises with every change of the above.
    version: i32,
    from: FromHeader,
}

struct FromHeader {
    email: String,
    name: String,
    reply_to_email: Option<String>,
}

#[derive(QueryableByName)]
struct GateRow {
    #[diesel(sql_type = Integer)]
    version: i32,
    #[diesel(sql_type = Timestamptz)]
    now: DateTime<Utc>,
    #[diesel(sql_type = Jsonb)]
    schedule: Json<Schedule>,
    #[diesel(sql_type = Jsonb)]
    settings: Json<Settings>,
    #[diesel(sql_type = Text)]
    from_email: String,
    #[diesel(sql_type = Text)]
    from_name: String,
    #[diesel(sql_type = Nullable<Text>)]
    reply_to_email: Option<String>,
}

/// Whether a campaign may send, windows and limits aside, as a condition on `campaigns`.
macro_rules! is_open {
    () => {
        "(status = 'active' OR retrying) AND enrollment_state = 'done'"
    };
}
pub(super) use is_open;

/// Reads the campaign; `None` unless it is active and everybody is in, or it is completed and some of it was begun again
/// by hand. Under the campaign's lock, and in a statement of
/// its own, this sees every pause that has returned.
pub(super) async fn ask(mut conn: &AsyncPgConnection, key: CampaignKey) -> StoreResult<Option<Gate>> {
    let sql = concat!(
        "SELECT version, (SELECT muster_now()) AS now, schedule, settings, from_email, from_name, reply_to_email FROM campaigns \
         WHERE tenant_no = $1 AND campaign_no = $2 AND ",
        is_open!()
    );
    let row: Option<GateRow> = bind_campaign(prepared(sql), key).get_result(&mut conn).await.optional().store()?;
    row.map(|row| {
        Ok(Gate {
            now: row.now,
            schedule: row.schedule.ok_or_else(|| corrupt(key, "schedule"))?,
            settings: row.settings.ok_or_else(|| corrupt(key, "settings"))?,
            version: row.version,
            from: FromHeader { email: row.from_email, name: row.from_name, reply_to_email: row.reply_to_email },
        })
    })
    .transpose()
}

impl Gate {
    /// When its window opens; `None` while it is open.
    pub(super) fn closed_until(&self) -> Option<DateTime<Utc>> {
        let opening = next_open(&self.schedule, self.now);
        (opening > self.now).then_some(opening)
    }

    /// Notes that nothing begins before `until`. Not when the campaign was changed since it was read: it may be open now.
    pub(super) async fn hold(
        &self,
        conn: &mut AsyncPgConnection,
        key: CampaignKey,
        until: DateTime<Utc>,
    ) -> StoreResult<()> {
        let sql = "UPDATE campaigns SET held_until = $3 WHERE tenant_no = $1 AND campaign_no = $2 AND version = $4 \
                   AND held_until IS DISTINCT FROM $3";
        bind_campaign(prepared(sql), key)
            .bind::<Timestamptz, _>(until)
            .bind::<Integer, _>(self.version)
            .execute(conn)
            .await
            .store()?;
        Ok(())
    }

    /// Whom its mails are from.
    pub(super) fn sender(self, key: CampaignKey) -> StoreResult<Sender> {
        let reply_to = self.from.reply_to_email.as_deref().map(EmailAddress::parse).transpose();
        Ok(Sender {
            from_email: EmailAddress::parse(&self.from.email).map_err(|_| corrupt(key, "from_email"))?,
            from_name: self.from.name,
            reply_to: reply_to.map_err(|_| corrupt(key, "reply_to_email"))?,
            unsubscribe: self.settings.unsubscribe_enabled,
            track_opens: self.settings.track_opens,
            track_clicks: self.settings.track_clicks,
            postal_address: self.settings.postal_address,
        })
    }
}

fn corrupt(key: CampaignKey, column: &'static str) -> StoreError {
    StoreError::Corrupt { table: "campaigns", column, id: key.campaign.0.to_string() }
}
