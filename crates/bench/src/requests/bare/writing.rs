//! What writes: statement by statement, in the flights of the program, and the writes alone.

use super::sql::{
    ANSWER, AUDIENCE, AUDIENCE_OF, BOOK, BOOK_ALONE, CREATE, CREATE_ALONE, ENROLL, ENROLL_ALONE, LAUNCH, LAUNCH_ALONE,
    LOCK, WITH_STEPS,
};
use super::{Answer, Connection, Outcome, Pool};
use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpResponse, error};
use futures::try_join;
use tokio_postgres::types::ToSql;

/// The answer's body.
type Told = Outcome<String>;

/// What was posted; its answer is the row as it is stored.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wanted {
    name: String,
    campaign_type: String,
    segment_id: uuid::Uuid,
    from_email: String,
    from_name: String,
}

impl Wanted {
    fn values<'a>(&'a self, segment: &'a i32) -> [&'a (dyn ToSql + Sync); 5] {
        [&self.name, &self.campaign_type, segment, &self.from_email, &self.from_name]
    }
}

/// A transaction in which each statement waits for its answer.
pub(super) async fn create(pool: Data<Pool>, body: Bytes) -> Answer {
    created_by(&pool, &body, create_on).await
}

async fn create_on(conn: &Connection, wanted: &Wanted) -> Told {
    let client = &conn.client;
    client.batch_execute("BEGIN").await?;
    let segment = client.query_one(conn.statement(AUDIENCE_OF), &[&wanted.segment_id]).await?.get(0);
    let made = client.query_one(conn.statement(CREATE), &wanted.values(&segment)).await?.get(0);
    client.batch_execute("COMMIT").await?;
    Ok(made)
}

/// The same in the flights of the program.
pub(super) async fn create_in_flights(pool: Data<Pool>, body: Bytes) -> Answer {
    created_by(&pool, &body, create_flown).await
}

async fn create_flown(conn: &Connection, wanted: &Wanted) -> Told {
    let client = &conn.client;
    let id: [&(dyn ToSql + Sync); 1] = [&wanted.segment_id];
    let ((), found) = try_join!(client.batch_execute("BEGIN"), client.query_one(conn.statement(AUDIENCE_OF), &id))?;
    let segment = found.get(0);
    let made = client.query_one(conn.statement(CREATE), &wanted.values(&segment)).await?.get(0);
    client.batch_execute("COMMIT").await?;
    Ok(made)
}

/// One statement, which asks and decides nothing.
pub(super) async fn create_alone(pool: Data<Pool>, id: Path<uuid::Uuid>, body: Bytes) -> Answer {
    let wanted: serde_json::Value = serde_json::from_slice(&body).map_err(error::ErrorBadRequest)?;
    let name = wanted["name"].as_str().unwrap_or_default();
    let told = async |conn: &Connection| conn.client.query_one(conn.statement(CREATE_ALONE), &[&*id, &name]).await;
    let made: String = pool.with(told).await?.get(0);
    Ok(created(made))
}

async fn created_by(pool: &Pool, body: &[u8], how: impl AsyncFnOnce(&Connection, &Wanted) -> Told) -> Answer {
    let wanted = serde_json::from_slice(body).map_err(error::ErrorBadRequest)?;
    Ok(created(pool.with(async |conn| how(conn, &wanted).await).await?))
}

fn created(made: String) -> HttpResponse {
    HttpResponse::Created().content_type("application/json").body(made)
}

/// A transaction in which each statement waits for its answer.
pub(super) async fn launch(pool: Data<Pool>, id: Path<uuid::Uuid>) -> Answer {
    launched_by(&pool, *id, launch_on).await
}

async fn launch_on(conn: &Connection, id: uuid::Uuid) -> Told {
    let client = &conn.client;
    client.batch_execute("BEGIN").await?;
    client.query_one(conn.statement(LOCK), &[&id]).await?;
    let found = client.query_one(conn.statement(WITH_STEPS), &[&id]).await?;
    let (number, segment): (i32, i32) = (found.get("campaign_no"), found.get("segment_no"));
    let audience = client.query_one(conn.statement(AUDIENCE), &[&segment]).await?;
    let (mark, total): (i64, i64) = (audience.get(1), audience.get(2));
    let enrolled = client.query_one(conn.statement(ENROLL), &[&number, &segment, &mark]).await?;
    let (new, through): (i64, i64) = (enrolled.get(0), enrolled.get(1));
    client.execute(conn.statement(LAUNCH), &[&number, &total, &through, &mark]).await?;
    client.execute(conn.statement(BOOK), &[&number, &new]).await?;
    let answer = client.query_one(conn.statement(ANSWER), &[&id]).await?.get(0);
    client.batch_execute("COMMIT").await?;
    Ok(answer)
}

/// The same in the flights of the program.
pub(super) async fn launch_in_flights(pool: Data<Pool>, id: Path<uuid::Uuid>) -> Answer {
    launched_by(&pool, *id, launch_flown).await
}

async fn launch_flown(conn: &Connection, id: uuid::Uuid) -> Told {
    let client = &conn.client;
    let by_id: [&(dyn ToSql + Sync); 1] = [&id];
    let ((), _, found) = try_join!(
        client.batch_execute("BEGIN"),
        client.query_one(conn.statement(LOCK), &by_id),
        client.query_one(conn.statement(WITH_STEPS), &by_id),
    )?;
    let (number, segment): (i32, i32) = (found.get("campaign_no"), found.get("segment_no"));
    let audience = client.query_one(conn.statement(AUDIENCE), &[&segment]).await?;
    let (mark, total): (i64, i64) = (audience.get(1), audience.get(2));
    let enrolled = client.query_one(conn.statement(ENROLL), &[&number, &segment, &mark]).await?;
    let (new, through): (i64, i64) = (enrolled.get(0), enrolled.get(1));
    let change: [&(dyn ToSql + Sync); 4] = [&number, &total, &through, &mark];
    let booked: [&(dyn ToSql + Sync); 2] = [&number, &new];
    let (_, _, answer) = try_join!(
        client.execute(conn.statement(LAUNCH), &change),
        client.execute(conn.statement(BOOK), &booked),
        client.query_one(conn.statement(ANSWER), &by_id),
    )?;
    client.batch_execute("COMMIT").await?;
    Ok(answer.get(0))
}

/// The writes alone, of values that are told, in two flights.
pub(super) async fn launch_alone(pool: Data<Pool>, id: Path<uuid::Uuid>) -> Answer {
    launched_by(&pool, *id, launch_alone_on).await
}

async fn launch_alone_on(conn: &Connection, id: uuid::Uuid) -> Told {
    let client = &conn.client;
    let by_id: [&(dyn ToSql + Sync); 1] = [&id];
    let ((), found) = try_join!(client.batch_execute("BEGIN"), client.query_one(conn.statement(LAUNCH_ALONE), &by_id))?;
    let (campaign, number, segment): (String, i32, i32) = (found.get(0), found.get(1), found.get(2));
    let (enrolled, booked): ([&(dyn ToSql + Sync); 2], [&(dyn ToSql + Sync); 1]) = ([&number, &segment], [&number]);
    try_join!(
        client.execute(conn.statement(ENROLL_ALONE), &enrolled),
        client.execute(conn.statement(BOOK_ALONE), &booked),
        client.batch_execute("COMMIT"),
    )?;
    Ok(campaign)
}

async fn launched_by(pool: &Pool, id: uuid::Uuid, how: impl AsyncFnOnce(&Connection, uuid::Uuid) -> Told) -> Answer {
    let launched = pool.with(async |conn| how(conn, id).await).await?;
    Ok(HttpResponse::Ok().content_type("application/json").body(launched))
}
