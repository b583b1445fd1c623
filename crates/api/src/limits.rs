//! How much a request may bring.

use std::time::Duration;

/// A body, unless its endpoint reads it as a stream.
pub const BODY_BYTES: usize = 1024 * 1024;

/// How long a body may take to arrive, unless its endpoint reads it as a stream.
pub const BODY_TIME: Duration = Duration::from_secs(30);

/// How long the head of a request may take to arrive.
pub const HEAD_TIME: Duration = Duration::from_secs(10);

/// All headers together.
pub const HEADER_BYTES: usize = 16 * 1024;

/// The path with its query.
pub const URI_BYTES: usize = 8 * 1024;

/// How deeply JSON may be nested.
pub const JSON_DEPTH: usize = 32;

/// How many elements an array in a body may have.
pub const ARRAY_ITEMS: usize = 1000;

/// Open connections to one worker thread.
pub const CONNECTIONS: usize = 4096;
