//! A field of a request that may be left out, set, or cleared.

/// What a request says about one field. In a change an absent field stays as it is and null clears it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Field<T> {
    /// Not mentioned.
    #[default]
    Absent,
    /// Explicitly nothing.
    Null,
    /// This.
    Value(T),
}

impl<T> Field<T> {
    /// The value, if there is one.
    pub fn value(self) -> Option<T> {
        match self {
            Field::Value(value) => Some(value),
            Field::Absent | Field::Null => None,
        }
    }

    /// Whether it is mentioned at all.
    pub fn is_present(&self) -> bool {
        !matches!(self, Field::Absent)
    }

    /// Whether it has a value.
    pub fn is_value(&self) -> bool {
        matches!(self, Field::Value(_))
    }

    /// What the field holds after this change of `current`.
    pub fn over(self, current: Option<T>) -> Option<T> {
        match self {
            Field::Absent => current,
            Field::Null => None,
            Field::Value(value) => Some(value),
        }
    }

    /// This field where it is mentioned, else `below`.
    #[must_use]
    pub fn or(self, below: Field<T>) -> Field<T> {
        if self.is_present() { self } else { below }
    }

    /// By reference.
    pub fn as_ref(&self) -> Field<&T> {
        match self {
            Field::Absent => Field::Absent,
            Field::Null => Field::Null,
            Field::Value(value) => Field::Value(value),
        }
    }
}

impl<T> From<T> for Field<T> {
    fn from(value: T) -> Self {
        Field::Value(value)
    }
}

/// `None` is null: the field is known and empty.
impl<T> From<Option<T>> for Field<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Field::Null, Field::Value)
    }
}
