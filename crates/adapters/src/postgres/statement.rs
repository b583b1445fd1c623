//! SQL put together from pieces, for statements whose shape depends on what is asked.
//!
//! Values never become text: [`Statement::bind`] writes the next placeholder and keeps the value.

use super::prepared::Prepared;
use chrono::{DateTime, Utc};
use diesel::pg::Pg;
use diesel::query_builder::{BoxedSqlQuery, SqlQuery};
use diesel::sql_types::{Array, BigInt, Double, Integer, SmallInt, Text, Timestamptz, Uuid as SqlUuid};
use std::fmt::Write;
use uuid::Uuid;

/// A value for a placeholder.
#[derive(Clone, PartialEq)]
pub(crate) enum Bind {
    SmallInt(i16),
    Int(i32),
    BigInt(i64),
    BigIntArray(Vec<i64>),
    Double(f64),
    DoubleArray(Vec<f64>),
    Text(String),
    TextArray(Vec<String>),
    Instant(DateTime<Utc>),
    Uuid(Uuid),
}

/// Binds each value as what it is.
macro_rules! bind_all {
    ($query:expr, $binds:expr) => {
        $binds.into_iter().fold($query, |query, value| match value {
            Bind::SmallInt(value) => query.bind::<SmallInt, _>(value),
            Bind::Int(value) => query.bind::<Integer, _>(value),
            Bind::BigInt(value) => query.bind::<BigInt, _>(value),
            Bind::BigIntArray(value) => query.bind::<Array<BigInt>, _>(value),
            Bind::Double(value) => query.bind::<Double, _>(value),
            Bind::DoubleArray(value) => query.bind::<Array<Double>, _>(value),
            Bind::Text(value) => query.bind::<Text, _>(value),
            Bind::TextArray(value) => query.bind::<Array<Text>, _>(value),
            Bind::Instant(value) => query.bind::<Timestamptz, _>(value),
            Bind::Uuid(value) => query.bind::<SqlUuid, _>(value),
        })
    };
}

/// SQL text and the values of its placeholders, `$1` first.
#[derive(Clone, PartialEq, Default)]
pub(crate) struct Statement {
    sql: String,
    binds: Vec<Bind>,
}

impl Statement {
    /// Begins with `sql`.
    pub(crate) fn new(sql: &str) -> Self {
        Self { sql: sql.to_owned(), binds: Vec::new() }
    }

    /// Goes on with `sql`: a piece of the program, never of a request.
    pub(crate) fn push(&mut self, sql: &str) -> &mut Self {
        self.sql.push_str(sql);
        self
    }

    /// Goes on with a placeholder for `value`.
    pub(crate) fn bind(&mut self, value: Bind) -> &mut Self {
        self.binds.push(value);
        // Writing to a String cannot fail.
        let _ = write!(self.sql, "${}", self.binds.len());
        self
    }

    /// The text so far.
    #[cfg(test)]
    pub(crate) fn sql(&self) -> &str {
        &self.sql
    }

    /// Ready to be loaded or executed, and planned for these values.
    pub(crate) fn into_query(self) -> BoxedSqlQuery<'static, Pg, SqlQuery> {
        self.arrives();
        bind_all!(diesel::sql_query(self.sql).into_boxed(), self.binds)
    }

    /// The same, prepared once a connection and kept: for a text that does not depend on what is asked.
    pub(crate) fn into_prepared(self) -> Prepared {
        self.arrives();
        bind_all!(Prepared::of(self.sql.into()), self.binds)
    }

    #[cfg(feature = "fault-injection")]
    fn arrives(&self) {
        if self.sql.contains("INSERT INTO enrollments") {
            crate::faults::point("chunk");
        }
    }

    #[cfg(not(feature = "fault-injection"))]
    #[expect(clippy::unused_self, reason = "the other build looks at the text")]
    fn arrives(&self) {}
}
