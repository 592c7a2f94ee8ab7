//! Pages of lists, newest first: where one ends, and how its rows are read.
use std::{fmt, str::FromStr};

use serde::de::DeserializeOwned;
use sqlx::{Row as _, any::AnyRow};

use super::{Doing as _, StoreError, corrupt, sql_int};

/// Where a page ends: block and log of its last row. Opaque to users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Block.
    pub block: u64,
    /// Position in it.
    pub log_index: u64,
}

/// A cursor that this oracle never gave out.
#[derive(Debug, thiserror::Error)]
#[error("cursor {0:?} is not one of this oracle; expected the nextCursor of the page before")]
pub struct CursorError(String);

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.block, self.log_index)
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let number = |digits: &str| digits.parse::<u64>().ok().filter(|n| *n <= i64::MAX as u64);
        let parts = text.split_once('-').map(|(block, log)| (number(block), number(log)));
        match parts {
            Some((Some(block), Some(log_index))) => Ok(Self { block, log_index }),
            _ => Err(CursorError(text.to_owned())),
        }
    }
}

/// Bounds for "before this row"; without a cursor everything is.
pub(super) fn position(before: Option<Cursor>) -> (i64, i64) {
    before.map_or((i64::MAX, i64::MAX), |cursor| (sql_int(cursor.block), sql_int(cursor.log_index)))
}

/// A row's JSON as what it is.
pub(super) fn view<T: DeserializeOwned>(row: &AnyRow, column: usize, table: &'static str) -> Result<T, StoreError> {
    let text: String = row.try_get(column).doing("reading a row")?;
    serde_json::from_str(&text).map_err(|e| corrupt(table, &e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_read_back_and_others_refused() {
        let cursor = Cursor { block: 12, log_index: 3 };
        assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
        for bad in ["", "12", "-", "a-b", "1-", "99999999999999999999-1", "1-2-3"] {
            assert!(bad.parse::<Cursor>().is_err(), "{bad:?}");
        }
    }
}
