//! A segment: who is meant, by name or by rule.

use super::ids::{SegmentId, SegmentNo};
use super::rules::Rule;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A segment's name has no more characters than this.
pub const MAX_NAME: usize = 200;

/// How a segment knows its members. Fixed when it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SegmentKind {
    /// Contacts are put in and taken out one by one.
    Static,
    /// Whoever its rules hold for, judged anew each time.
    Dynamic,
}

impl SegmentKind {
    /// As written in answers and rows.
    pub fn as_str(self) -> &'static str {
        match self {
            SegmentKind::Static => "static",
            SegmentKind::Dynamic => "dynamic",
        }
    }
}

/// Who is a member.
#[derive(Debug, Clone, PartialEq)]
pub enum SegmentDefinition {
    /// Those on its list.
    Static,
    /// Those for whom this holds.
    Dynamic(Rule),
}

impl SegmentDefinition {
    /// Its kind.
    pub fn kind(&self) -> SegmentKind {
        match self {
            SegmentDefinition::Static => SegmentKind::Static,
            SegmentDefinition::Dynamic(_) => SegmentKind::Dynamic,
        }
    }

    /// Its rules, if it has any.
    pub fn rules(&self) -> Option<&Rule> {
        match self {
            SegmentDefinition::Static => None,
            SegmentDefinition::Dynamic(rules) => Some(rules),
        }
    }
}

/// A segment as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    /// Its number.
    pub no: SegmentNo,
    /// Its id.
    pub id: SegmentId,
    /// Its name; need not be unique.
    pub name: String,
    /// Who is a member.
    pub definition: SegmentDefinition,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When its name or rules were last changed.
    pub updated_at: DateTime<Utc>,
}
