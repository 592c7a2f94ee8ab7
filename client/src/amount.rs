//! Token amounts as people write them. Inside the program an amount is a `u128` in the token's smallest unit.

use thiserror::Error;

/// An amount that cannot be read.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum AmountError {
    /// Not a decimal number.
    #[error("{text:?} is not an amount; expected a number such as \"1.5\" or \"1.5 {symbol}\"")]
    NotANumber {
        /// What was given.
        text: String,
        /// The token's symbol.
        symbol: String,
    },
    /// The amount names another token.
    #[error("{text:?} is in {found}, but this deployment pays in {expected}")]
    OtherToken {
        /// What was given.
        text: String,
        /// The symbol given.
        found: String,
        /// The deployment's token.
        expected: String,
    },
    /// More digits after the point than the token has.
    #[error("{text:?} has {found} digits after the point, {symbol} has {decimals}")]
    TooFine {
        /// What was given.
        text: String,
        /// Digits found.
        found: usize,
        /// Digits that the token has.
        decimals: u8,
        /// The token's symbol.
        symbol: String,
    },
    /// Does not fit the contracts' 96 bits.
    #[error("{text:?} is larger than any amount that the contracts can hold (2^96 - 1 smallest units)")]
    TooLarge {
        /// What was given.
        text: String,
    },
}

/// What amounts are written in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// The token's symbol.
    pub symbol: String,
    /// Digits after the point.
    pub decimals: u8,
}

impl Unit {
    /// The development token's unit.
    pub fn sun() -> Self {
        Self { symbol: "SUN".into(), decimals: 9 }
    }

    /// Reads "1.5", "1.5 SUN" or "1_000".
    ///
    /// # Errors
    /// See [`AmountError`]; a sign, an exponent, or more digits than the token has are refused, nothing is rounded.
    pub fn parse(&self, text: &str) -> Result<u128, AmountError> {
        let trimmed = text.trim();
        let split = trimmed.find(|c: char| c.is_alphabetic()).unwrap_or(trimmed.len());
        let (number, symbol) = (trimmed[..split].trim(), trimmed[split..].trim());
        let wrong = || AmountError::NotANumber { text: text.to_owned(), symbol: self.symbol.clone() };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits = |part: &str| -> Option<String> {
            let digits: String = part.chars().filter(|c| *c != '_').collect();
            digits.bytes().all(|b| b.is_ascii_digit()).then_some(digits)
        };
        let (whole, fraction) = (digits(whole).ok_or_else(wrong)?, digits(fraction).ok_or_else(wrong)?);
        if whole.is_empty() && fraction.is_empty() {
            return Err(wrong());
        }
        if !symbol.is_empty() && !symbol.eq_ignore_ascii_case(&self.symbol) {
            return Err(AmountError::OtherToken {
                text: text.to_owned(),
                found: symbol.to_owned(),
                expected: self.symbol.clone(),
            });
        }
        let decimals = usize::from(self.decimals);
        if fraction.len() > decimals {
            return Err(AmountError::TooFine {
                text: text.to_owned(),
                found: fraction.len(),
                decimals: self.decimals,
                symbol: self.symbol.clone(),
            });
        }
        let too_large = || AmountError::TooLarge { text: text.to_owned() };
        let padded = format!("{whole}{fraction:0<decimals$}");
        let amount: u128 = padded
            .trim_start_matches('0')
            .parse()
            .or_else(|_| if padded.bytes().all(|b| b == b'0') { Ok(0) } else { Err(too_large()) })?;
        if amount >= 1 << 96 { Err(too_large()) } else { Ok(amount) }
    }

    /// The shortest exact form, "1.5 SUN".
    pub fn show(&self, amount: u128) -> String {
        format!("{} {}", self.number(amount), self.symbol)
    }

    /// The shortest exact number, "1.5".
    pub fn number(&self, amount: u128) -> String {
        let decimals = usize::from(self.decimals);
        let digits = format!("{amount:0>width$}", width = decimals + 1);
        let (whole, fraction) = digits.split_at(digits.len() - decimals);
        let fraction = fraction.trim_end_matches('0');
        if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_people_write_them() {
        let sun = Unit::sun();
        for (text, amount) in [
            ("1.5 SUN", 1_500_000_000),
            ("1.5", 1_500_000_000),
            ("1.5sun", 1_500_000_000),
            ("  2 ", 2_000_000_000),
            (".25", 250_000_000),
            ("3.", 3_000_000_000),
            ("0", 0),
            ("0.000000001", 1),
            ("1_000.5 SUN", 1_000_500_000_000),
            ("87000000", 87_000_000_000_000_000),
        ] {
            assert_eq!(sun.parse(text), Ok(amount), "{text}");
        }
    }

    #[test]
    fn bad_amounts_say_why() {
        let sun = Unit::sun();
        for text in ["", ".", "abc", "-1", "+1", "1e9", "1,5", "1.2.3", "SUN", "1 000", "0x10"] {
            let refused = sun.parse(text);
            assert!(
                matches!(refused, Err(AmountError::NotANumber { .. } | AmountError::OtherToken { .. })),
                "{text}: {refused:?}"
            );
        }
        assert_eq!(
            sun.parse("1.5 ETH").unwrap_err().to_string(),
            "\"1.5 ETH\" is in ETH, but this deployment pays in SUN"
        );
        assert_eq!(
            sun.parse("1.0000000001").unwrap_err().to_string(),
            "\"1.0000000001\" has 10 digits after the point, SUN has 9"
        );
        assert!(matches!(sun.parse("79228162514264337594"), Err(AmountError::TooLarge { .. })));
        assert!(matches!(sun.parse(&"9".repeat(60)), Err(AmountError::TooLarge { .. })));
    }

    #[test]
    fn shown_amounts_read_back() {
        for decimals in [0, 1, 9, 18] {
            let unit = Unit { symbol: "T".into(), decimals };
            for amount in [0, 1, 9, 10, 123_456_789, 1_000_000_000, (1 << 96) - 1] {
                assert_eq!(unit.parse(&unit.show(amount)), Ok(amount));
            }
        }
        assert_eq!(Unit::sun().show(1_500_000_000), "1.5 SUN");
        assert_eq!(Unit::sun().show(7), "0.000000007 SUN");
    }
}
