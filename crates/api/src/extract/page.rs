//! Lists: `?limit=` and `?cursor=`, and the envelope that answers carry.

use super::fields::{Fields, FromFields};
use crate::cursor::Cursors;
use crate::problem::Problem;
use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::{IntoParams, ToSchema};

/// Which part of a list is asked for. Filters go beside it: read it with [`Page::read`] in their `FromFields`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// How many rows at most.
    pub limit: u32,
    /// Where the last page ended, sealed.
    cursor: Option<String>,
}

/// The parameters of [`Page`], for the documentation: `params(PageParams)`.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only describes what `Page` reads")]
pub struct PageParams {
    /// How many rows at most.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<u32>,
    /// `nextCursor` of the page before.
    #[param(min_length = 1, max_length = 1000)]
    cursor: Option<String>,
}

impl FromFields for Page {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let limit = fields.or("limit", 20, |value| value.integer(1..=100));
        let cursor = fields.optional("cursor", |value| value.text(1..=1000));
        Some(Self { limit: u32::try_from(limit?).unwrap_or(20), cursor: cursor? })
    }
}

impl Page {
    /// Where to go on; `list` names the list and its order, because a position in one means nothing in another.
    pub fn after<T: DeserializeOwned>(&self, cursors: &Cursors, list: &str) -> Result<Option<T>, Problem> {
        let Some(cursor) = &self.cursor else { return Ok(None) };
        cursors
            .open(list, cursor)
            .map(Some)
            .ok_or_else(|| Problem::invalid("/cursor", "invalid_cursor", "must be a nextCursor of this very list"))
    }

    /// How many rows to read: one more than asked for, to know whether there are more.
    pub fn probe(&self) -> u32 {
        self.limit + 1
    }

    /// The envelope around `rows`, which were read with [`Page::probe`]; `position` says where a row stands.
    pub fn listing<R, P: Serialize, T>(
        &self,
        cursors: &Cursors,
        list: &str,
        mut rows: Vec<R>,
        position: impl FnOnce(&R) -> P,
        present: impl FnMut(R) -> T,
    ) -> Result<Listing<T>, Problem> {
        let limit = self.limit as usize;
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = match rows.last() {
            Some(last) if has_more => Some(cursors.seal(list, &position(last)).map_err(Problem::internal)?),
            _ => None,
        };
        let pagination = Pagination { limit: self.limit, next_cursor, has_more };
        Ok(Listing { data: rows.into_iter().map(present).collect(), pagination })
    }
}

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Listing<T> {
    /// The rows.
    pub data: Vec<T>,
    /// Where it goes on.
    pub pagination: Pagination,
}

/// Where a list goes on.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pagination {
    /// How many rows were asked for at most.
    pub limit: u32,
    /// Give it as `?cursor=` to get the next page; null on the last.
    #[schema(required)]
    pub next_cursor: Option<String>,
    /// Whether there is a next page.
    pub has_more: bool,
}
