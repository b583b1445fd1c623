//! SQL that the DSL cannot say, prepared once a connection and kept.
//!
//! `diesel::sql_query` prepares its statement on every call, which more than doubles the cost of a short one. This goes
//! through the connection's cache, keyed by the text; so the text is one of a few and never made from values.

use diesel::QueryResult;
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::serialize::ToSql;
use diesel::sql_types::{HasSqlType, Untyped};
use std::borrow::Cow;
use std::marker::PhantomData;

/// A statement with its parameters, used like `diesel::sql_query`.
pub(crate) struct Prepared {
    sql: Cow<'static, str>,
    binds: Vec<Box<dyn Bind>>,
}

/// The statement `sql`, whose parameters are written `$1`, `$2`, … and bound in that order.
pub(crate) fn prepared(sql: &'static str) -> Prepared {
    #[cfg(feature = "fault-injection")]
    let sql = crate::faults::rewritten(sql);
    Prepared::of(sql.into())
}

impl Prepared {
    /// A statement whose text was put together, always the same one from the same pieces.
    pub(super) fn of(sql: Cow<'static, str>) -> Self {
        Self { sql, binds: Vec::new() }
    }

    /// Binds the next parameter.
    pub(crate) fn bind<ST, T>(mut self, value: T) -> Self
    where
        Pg: HasSqlType<ST>,
        ST: Send + 'static,
        T: ToSql<ST, Pg> + Send + 'static,
    {
        self.binds.push(Box::new(Typed { value, sql_type: PhantomData::<ST> }));
        self
    }
}

/// One bound value, its types forgotten.
trait Bind: Send {
    fn push<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()>;
}

struct Typed<ST, T> {
    value: T,
    sql_type: PhantomData<ST>,
}

impl<ST, T> Bind for Typed<ST, T>
where
    Pg: HasSqlType<ST>,
    ST: Send,
    T: ToSql<ST, Pg> + Send,
{
    fn push<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_bind_param::<ST, T>(&self.value)
    }
}

impl QueryFragment<Pg> for Prepared {
    /// Diesel numbers parameters in the order of their first use; later uses repeat that number.
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let mut numbers: Vec<usize> = Vec::new();
        let mut parts = self.sql.split('$');
        out.push_sql(parts.next().unwrap_or_default());
        for part in parts {
            let digits = part.bytes().take_while(u8::is_ascii_digit).count();
            let (number, rest) = part.split_at(digits);
            let index = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
            let Some(index) = index.filter(|index| *index < self.binds.len()) else {
                return Err(diesel::result::Error::QueryBuilderError("a parameter is not bound".into()));
            };
            if let Some(earlier) = numbers.iter().position(|used| *used == index) {
                out.push_sql(&format!("${}", earlier + 1));
            } else {
                numbers.push(index);
                self.binds[index].push(&mut out)?;
            }
            out.push_sql(rest);
        }
        Ok(())
    }
}

impl QueryId for Prepared {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Prepared {
    type SqlType = Untyped;
}

#[cfg(test)]
mod tests {
    use super::*;
    use diesel::debug_query;
    use diesel::sql_types::{Integer, Text};

    #[test]
    fn a_parameter_used_twice_is_sent_once() {
        let query = prepared("SELECT $2, $1, $2 WHERE $1 > 0").bind::<Integer, _>(7).bind::<Text, _>("x".to_owned());
        let expected = r#"SELECT $1, $2, $1 WHERE $2 > 0 -- binds: ["x", 7]"#;
        assert_eq!(debug_query::<Pg, _>(&query).to_string(), expected);
    }

    #[test]
    fn a_missing_parameter_is_an_error_and_no_panic() {
        let query = prepared("SELECT $1, $2").bind::<Integer, _>(7);
        assert!(query.to_sql(&mut diesel::pg::PgQueryBuilder::default(), &Pg).is_err());
    }
}
