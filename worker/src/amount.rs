//! Token amounts as people write them: "12.5" or "12.5 SUN". Inside there are only integers of the smallest unit.

/// A token's name and number of decimals.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Unit {
    /// Symbol, such as SUN.
    pub symbol: String,
    /// Digits after the point.
    pub decimals: u8,
}

/// A text that is no amount.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{text:?} is not an amount: expected a number with at most {decimals} decimals, such as \"12.5 {symbol}\"")]
pub struct AmountError {
    text: String,
    decimals: u8,
    symbol: String,
}

impl Unit {
    /// Ether, of which amounts are in wei.
    pub fn ether() -> Self {
        Self { symbol: "ETH".into(), decimals: 18 }
    }

    /// What gas prices are quoted in, of wei too.
    pub fn gwei() -> Self {
        Self { symbol: "gwei".into(), decimals: 9 }
    }

    /// Reads an amount.
    ///
    /// # Errors
    /// When it is not a number, has too many decimals, is too large, or names another token.
    pub fn parse(&self, text: &str) -> Result<u128, AmountError> {
        let error = || AmountError { text: text.to_owned(), decimals: self.decimals, symbol: self.symbol.clone() };
        let number = text.trim();
        let number = number.strip_suffix(&self.symbol).unwrap_or(number).trim_end();
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let decimals = usize::from(self.decimals);
        if whole.is_empty() || !digits(whole) || !digits(fraction) || fraction.len() > decimals {
            return Err(error());
        }
        format!("{whole}{fraction:0<decimals$}").parse().map_err(|_| error())
    }

    /// Writes an amount without superfluous zeros, with the symbol.
    pub fn format(&self, amount: u128) -> String {
        let decimals = usize::from(self.decimals);
        let digits = format!("{amount:0>width$}", width = decimals + 1);
        let (whole, fraction) = digits.split_at(digits.len() - decimals);
        let fraction = fraction.trim_end_matches('0');
        let point = if fraction.is_empty() { "" } else { "." };
        format!("{whole}{point}{fraction} {}", self.symbol)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_without_floating_point() {
        let sun = Unit { symbol: "SUN".into(), decimals: 9 };
        assert_eq!(sun.parse("12.5"), Ok(12_500_000_000));
        assert_eq!(sun.parse(" 0.000000001 SUN"), Ok(1));
        for bad in ["", ".5", "-1", "1e9", "1.0000000001", "5 RLC", "1,5", "99999999999999999999999999999999999999"] {
            assert!(sun.parse(bad).is_err(), "{bad}");
        }
        assert_eq!(sun.format(12_500_000_000), "12.5 SUN");
        assert_eq!(sun.format(1), "0.000000001 SUN");
        assert_eq!(sun.format(0), "0 SUN");
        assert_eq!(Unit { symbol: "X".into(), decimals: 0 }.format(7), "7 X");
    }
}
