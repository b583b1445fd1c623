//! What reads.

use super::sql::{CAMPAIGN, FIGURES, LIST, TOTALS, UNDER_WAY};
use super::{Answer, Pool};
use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use futures::try_join;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

/// Each question waits for its answer.
pub(super) async fn get(pool: Data<Pool>, id: Path<uuid::Uuid>) -> Answer {
    let by_id: [&(dyn ToSql + Sync); 1] = [&*id];
    pool.with(async |conn| {
        let found = conn.client.query_one(conn.statement(CAMPAIGN), &by_id).await?;
        let figures = conn.client.query(conn.statement(FIGURES), &by_id).await?;
        let under_way = conn.client.query_one(conn.statement(UNDER_WAY), &by_id).await?;
        Ok(answered(&found, &figures, &under_way))
    })
    .await
}

/// All three are sent together, as the program does it.
pub(super) async fn get_in_one_flight(pool: Data<Pool>, id: Path<uuid::Uuid>) -> Answer {
    let by_id: [&(dyn ToSql + Sync); 1] = [&*id];
    pool.with(async |conn| {
        let (found, figures, under_way) = try_join!(
            conn.client.query_one(conn.statement(CAMPAIGN), &by_id),
            conn.client.query(conn.statement(FIGURES), &by_id),
            conn.client.query_one(conn.statement(UNDER_WAY), &by_id),
        )?;
        Ok(answered(&found, &figures, &under_way))
    })
    .await
}

fn answered(found: &Row, figures: &[Row], under_way: &Row) -> HttpResponse {
    let (campaign, steps, under_way): (String, String, i64) = (found.get(0), found.get(1), under_way.get(0));
    let figures: Vec<String> = figures.iter().map(|row| row.get(0)).collect();
    let body = format!(
        "{{\"campaign\":{campaign},\"steps\":{steps},\"figures\":[{}],\"inFlight\":{under_way}}}",
        figures.join(",")
    );
    HttpResponse::Ok().content_type("application/json").body(body)
}

pub(super) async fn list(pool: Data<Pool>) -> Answer {
    pool.with(async |conn| {
        let found = conn.client.query(conn.statement(LIST), &[]).await?;
        let numbers: Vec<i32> = found.iter().map(|row| row.get(1)).collect();
        let totals = conn.client.query(conn.statement(TOTALS), &[&numbers]).await?;
        let texts: Vec<String> = found.iter().chain(&totals).map(|row| row.get(0)).collect();
        Ok(HttpResponse::Ok().content_type("application/json").body(format!("[{}]", texts.join(","))))
    })
    .await
}
