//! Query parameters.

use super::fields::{FromFields, read_object};
use crate::problem::Problem;
use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use muster_domain::model::problem::FieldProblems;
use serde_json::{Map, Value};
use std::future::{Ready, ready};
use std::ops::Deref;

/// The query string read as `T`: unknown and repeated parameters are refused, every bad one is named.
pub struct Params<T>(pub T);

impl<T> Deref for Params<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: FromFields> FromRequest for Params<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(parse(request.query_string()).map(Params).map_err(Problem::Invalid))
    }
}

fn parse<T: FromFields>(query: &str) -> Result<T, FieldProblems> {
    let mut problems = FieldProblems::default();
    let pairs = web::Query::<Vec<(String, String)>>::from_query(query)
        .map_err(|_| FieldProblems::one("", "invalid_query", "the query string cannot be read"))?;
    let mut map = Map::new();
    for (name, value) in pairs.into_inner() {
        let at = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
        if value.contains('\0') {
            problems.add(at.as_str(), "invalid_characters", "must not contain the NUL character");
        }
        if map.insert(name, Value::String(value)).is_some() {
            problems.add(at, "repeated", "must be given once");
        }
    }
    read_object(Value::Object(map), problems, true)
}
