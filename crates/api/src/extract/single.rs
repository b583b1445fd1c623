//! JSON objects in which every name stands once. RFC 8259 section 4 leaves open what a repeated name means, so two
//! programs can read two things from one body; here it is refused.

use super::fields::escaped;
use muster_domain::model::problem::FieldProblems;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::fmt;

/// Reads any JSON value and notes names that stand twice in an object. The depth is the caller's to limit.
pub(super) struct Single<'a> {
    /// Where the value stands.
    pub(super) at: &'a mut String,
    /// What is wrong so far.
    pub(super) problems: &'a mut FieldProblems,
}

impl Single<'_> {
    /// The value at `step` below.
    fn below(&mut self, step: &str) -> (usize, Single<'_>) {
        let here = self.at.len();
        self.at.push('/');
        self.at.push_str(step);
        (here, Single { at: &mut *self.at, problems: &mut *self.problems })
    }
}

impl<'de> DeserializeSeed<'de> for Single<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Single<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number that is none"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut elements: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        loop {
            let (here, below) = self.below(&values.len().to_string());
            let value = elements.next_element_seed(below)?;
            self.at.truncate(here);
            match value {
                Some(value) => values.push(value),
                None => return Ok(Value::Array(values)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<Value, A::Error> {
        let mut values = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let (here, below) = self.below(&escaped(&name));
            let value = members.next_value_seed(below)?;
            if values.insert(name, value).is_some() {
                self.problems.add(self.at.as_str(), "repeated", "must be given once");
            }
            self.at.truncate(here);
        }
        Ok(Value::Object(values))
    }
}
