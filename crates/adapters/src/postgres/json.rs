//! `jsonb` columns that are read as what they mean.

use diesel::deserialize::{FromSql, FromSqlRow, Result};
use diesel::pg::{Pg, PgValue};
use diesel::sql_types::Jsonb;
use serde::de::DeserializeOwned;

/// What a `jsonb` column says, read out of the row's own bytes: by way of a [`serde_json::Value`] each is read twice.
///
/// Text that is not a `T` is no error of the query, so that whoever knows the row can name it.
#[derive(FromSqlRow)]
pub(crate) struct Json<T>(serde_json::Result<T>);

impl<T> Json<T> {
    /// The value, or what `corrupt` makes of a row without one.
    pub(crate) fn ok_or_else<E>(self, corrupt: impl FnOnce() -> E) -> std::result::Result<T, E> {
        self.0.map_err(|_| corrupt())
    }
}

/// The first byte of a `jsonb` value as it is sent: the only version of the format that there is.
const VERSION: u8 = 1;

impl<T: DeserializeOwned> FromSql<Jsonb, Pg> for Json<T> {
    fn from_sql(value: PgValue<'_>) -> Result<Self> {
        match value.as_bytes().split_first() {
            Some((&VERSION, text)) => Ok(Self(serde_json::from_slice(text))),
            _ => Err("a jsonb value of a format that is not known".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use diesel_async::RunQueryDsl;
    use muster_testkit::database::TestDatabase;

    #[tokio::test]
    async fn a_column_is_read_as_its_type_or_as_nothing_and_its_row_all_the_same() {
        let database = TestDatabase::create().await;
        let mut conn = database.connect().await;
        let columns = diesel::dsl::sql::<(Jsonb, Jsonb)>("'[1, 2, 300]'::jsonb, '{\"ä\": null}'::jsonb");
        let (numbers, other): (Json<Vec<u16>>, Json<Vec<u16>>) =
            diesel::select(columns).get_result(&mut conn).await.unwrap();
        assert_eq!(numbers.ok_or_else(|| "corrupt"), Ok(vec![1, 2, 300]));
        assert_eq!(other.ok_or_else(|| "corrupt"), Err("corrupt"));
    }
}
