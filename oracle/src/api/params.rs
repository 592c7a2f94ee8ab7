//! Query parameters. An unknown one is refused: a misspelt filter must not answer with everything.
use std::{collections::BTreeMap, str::FromStr};

use super::error::ApiError;

/// Parameters of one request.
#[derive(Debug)]
pub struct Params(BTreeMap<String, String>);

/// What an address looks like.
pub const ADDRESS: &str = "an address: 0x and 40 hex digits";
/// Rows of a page when nothing is said.
const DEFAULT_LIMIT: u32 = 50;
/// Most rows of a page.
const MAX_LIMIT: u32 = 200;

impl Params {
    /// Reads a query string that may hold these parameters, each once.
    ///
    /// # Errors
    /// When it holds another, or one twice.
    pub fn parse(query: Option<&str>, known: &[&str]) -> Result<Self, ApiError> {
        let mut params = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            let refuse = |why| ApiError::UnknownParameter { found: name.to_string(), why, known: known.join(", ") };
            if !known.contains(&&*name) {
                return Err(refuse("unknown"));
            }
            if params.insert(name.to_string(), value.into_owned()).is_some() {
                return Err(refuse("given twice"));
            }
        }
        Ok(Self(params))
    }

    /// A value, if it is given and not empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A value of a type.
    ///
    /// # Errors
    /// When it is given and cannot be read; `expected` says what can.
    pub fn value<T: FromStr>(&self, name: &'static str, expected: &str) -> Result<Option<T>, ApiError> {
        self.text(name)
            .map(|text| {
                let bad = || ApiError::BadValue { name, found: text.to_owned(), expected: expected.to_owned() };
                text.parse().map_err(|_| bad())
            })
            .transpose()
    }

    /// Rows of the page.
    ///
    /// # Errors
    /// When it is not a number from 1 to the maximum.
    pub fn limit(&self) -> Result<u32, ApiError> {
        self.limit_upto(MAX_LIMIT)
    }

    /// [`Params::limit`] with another maximum.
    ///
    /// # Errors
    /// When it is not a number from 1 to the maximum.
    pub fn limit_upto(&self, max: u32) -> Result<u32, ApiError> {
        let expected = format!("a number from 1 to {max}");
        let limit = self.value::<u32>("limit", &expected)?.unwrap_or(DEFAULT_LIMIT.min(max));
        if (1..=max).contains(&limit) {
            Ok(limit)
        } else {
            Err(ApiError::BadValue { name: "limit", found: limit.to_string(), expected })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_and_repeated_parameters_are_refused_with_the_known_ones() {
        let known = ["client", "limit"];
        let error = |query| Params::parse(Some(query), &known).unwrap_err().to_string();
        assert_eq!(error("clinet=1"), r#"query parameter "clinet" is unknown; expected any of: client, limit"#);
        assert!(error("limit=1&limit=2").contains("given twice"));
        let params = Params::parse(Some("client=&limit=7"), &known).unwrap();
        assert_eq!((params.text("client"), params.limit().unwrap()), (None, 7));
        for bad in ["0", "201", "x", "-1"] {
            let params = Params::parse(Some(&format!("limit={bad}")), &known).unwrap();
            assert!(params.limit().unwrap_err().to_string().contains("from 1 to 200"), "{bad}");
        }
    }
}
