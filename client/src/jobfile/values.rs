//! Values as people write them. Each is read from the text in the file, so that "0.1" stays 0.1 and no number is rounded.

use std::borrow::Cow;
use std::fmt;

use alloy::primitives::Address;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::duration::{mebibytes, milli_cpus, seconds};

/// An argument: text, or a number that is taken as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word(pub String);

/// An amount of the token, such as 1.5 or "1.5 SUN". Its unit is known when the chain is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amount(pub String);

/// An account: 0x and 40 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account(pub Address);

/// The worker's reward at the start and at the end of the accept window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reward {
    /// At the start.
    pub min: Amount,
    /// At the end.
    pub max: Amount,
}

/// A time in seconds, written "90", "10m" or "2h".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seconds(pub u32);

/// A size in MiB, written "256", "256M" or "2G".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u32);

/// Thousandths of a core, written "1" or "0.5".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cores(pub u32);

impl Word {
    fn read(text: &str) -> Result<Self, String> {
        Ok(Self(text.to_owned()))
    }
}

impl Amount {
    /// Checks the shape; symbol and digits after the point are checked against the token later.
    ///
    /// # Errors
    /// A sentence.
    pub fn read(text: &str) -> Result<Self, String> {
        let trimmed = text.trim();
        let number = trimmed.trim_end_matches(|c: char| c.is_alphabetic()).trim_end();
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit() || b == b'_');
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if digits(whole) && digits(fraction) && number.bytes().any(|b| b.is_ascii_digit()) {
            return Ok(Self(trimmed.to_owned()));
        }
        Err(format!("{text:?} is not an amount; expected a number such as 1.5 or \"1.5 SUN\""))
    }
}

impl Account {
    /// Reads an address; one in mixed case must have the checksum of EIP-55.
    ///
    /// # Errors
    /// A sentence.
    pub fn read(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let wrong = || format!("{text:?} is not an address; expected 0x and 40 hex digits");
        let digits = text.strip_prefix("0x").ok_or_else(wrong)?;
        let address: Address = text.parse().map_err(|_| wrong())?;
        let mixed =
            digits.contains(|c: char| c.is_ascii_lowercase()) && digits.contains(|c: char| c.is_ascii_uppercase());
        if mixed && address.to_string() != text {
            return Err(format!(
                "{text} has a typing error: its capitals do not fit, expected {address} or another address"
            ));
        }
        Ok(Self(address))
    }
}

impl Reward {
    /// Reads "1" or "1..2".
    ///
    /// # Errors
    /// A sentence.
    pub fn read(text: &str) -> Result<Self, String> {
        let (min, max) = text.split_once("..").unwrap_or((text, text));
        Ok(Self { min: Amount::read(min)?, max: Amount::read(max)? })
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Reward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.min == self.max { write!(f, "{}", self.max) } else { write!(f, "{}..{}", self.min, self.max) }
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            secs if secs > 0 && secs.is_multiple_of(3600) => write!(f, "{}h", secs / 3600),
            secs if secs > 0 && secs.is_multiple_of(60) => write!(f, "{}m", secs / 60),
            secs => write!(f, "{secs}s"),
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 > 0 && self.0.is_multiple_of(1024) {
            write!(f, "{}G", self.0 / 1024)
        } else {
            write!(f, "{}M", self.0)
        }
    }
}

impl fmt::Display for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:03}", self.0 / 1000, self.0 % 1000);
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// Reads and writes a type through its text; the schema allows a number where the text may be one.
macro_rules! text_values {
    ($($type:ident: $read:expr, $schema:tt;)+) => {$(
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                $read(&text).map_err(D::Error::custom)
            }
        }
        text_values!(@common $type, $schema);
    )+};
    (@common $type:ident, $schema:tt) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

text_values! {
    Word: Word::read, {
        "description": "Text; a number is taken as it is written.",
        "type": ["string", "number", "boolean"],
    };
    Amount: Amount::read, {
        "description": "An amount of the token: 1.5 or \"1.5 SUN\".",
        "type": ["string", "number"],
        "pattern": "^\\s*[0-9_]*\\.?[0-9_]*\\s*[A-Za-z]*\\s*$",
        "minimum": 0,
    };
    Account: Account::read, {
        "description": "An address: 0x and 40 hex digits.",
        "type": "string",
        "pattern": "^0x[0-9a-fA-F]{40}$",
    };
    Seconds: |text: &str| seconds(text).map(Self), {
        "description": "A time: seconds, or a number with s, m, h or d, such as 10m.",
        "type": ["string", "integer"],
        "pattern": "^[0-9]+[smhd]?$",
        "minimum": 0,
    };
    Size: |text: &str| mebibytes(text).map(Self), {
        "description": "A size: MiB, or a number with M or G, such as 512M.",
        "type": ["string", "integer"],
        "pattern": "^[0-9]+[MmGg]?$",
        "minimum": 0,
    };
    Cores: |text: &str| milli_cpus(text).map(Self), {
        "description": "Cores, in thousandths at the finest: 1 or 0.5.",
        "type": ["string", "number"],
        "pattern": "^[0-9]+(\\.[0-9]{1,3})?$",
        "minimum": 0,
    };
}

text_values!(@common Reward, {
    "description": "The worker's reward: 1.5, \"1..2\", or min and max.",
    "oneOf": [
        { "type": ["string", "number"] },
        {
            "type": "object",
            "properties": {
                "min": { "description": "At the start of the accept window.", "type": ["string", "number"] },
                "max": { "description": "At its end.", "type": ["string", "number"] },
            },
            "required": ["min", "max"],
            "additionalProperties": false,
        },
    ],
});

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bounds {
    min: Amount,
    max: Amount,
}

impl<'de> Deserialize<'de> for Reward {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RewardVisitor)
    }
}

struct RewardVisitor;

impl<'de> Visitor<'de> for RewardVisitor {
    type Value = Reward;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an amount such as 1.5, a range such as \"1..2\", or min and max")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Reward, E> {
        Reward::read(text).map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Reward, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Reward, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Reward, E> {
        // Where either form is allowed the parser has already made a float of it. Up to 15 digits that is exact.
        let text = number.to_string();
        if text.bytes().filter(u8::is_ascii_digit).count() > 15 {
            return Err(E::custom(format!("{text} has too many digits for a number; write it in quotes")));
        }
        self.visit_str(&text)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Reward, A::Error> {
        let Bounds { min, max } = Bounds::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Reward { min, max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_with_a_typing_error_are_refused() {
        let good = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
        assert_eq!(Account::read(good).unwrap().to_string(), good);
        assert_eq!(Account::read(&good.to_lowercase()), Account::read(good));
        assert!(Account::read(&good.replace("5aA", "5Aa")).unwrap_err().contains("typing error"));
        for bad in ["", "0x", "5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0x5aAe", "me"] {
            assert!(Account::read(bad).unwrap_err().contains("expected 0x and 40 hex digits"), "{bad}");
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        for secs in [0, 1, 59, 60, 90, 3600, 86_400, u32::MAX] {
            assert_eq!(seconds(&Seconds(secs).to_string()), Ok(secs));
        }
        for mib in [0, 1, 256, 1024, 1536, 4_194_303 * 1024] {
            assert_eq!(mebibytes(&Size(mib).to_string()), Ok(mib));
        }
        for milli in [0, 1, 500, 1000, 1250, 10_000] {
            assert_eq!(milli_cpus(&Cores(milli).to_string()), Ok(milli));
        }
        let reward = Reward::read("1.5..2 SUN").unwrap();
        assert_eq!((reward.min.0.as_str(), reward.max.0.as_str()), ("1.5", "2 SUN"));
        assert_eq!(Reward::read(&reward.to_string()), Ok(reward));
        for bad in ["", ".", "a", "-1", "1..", "..", "1....2", "1,5", "0x1"] {
            assert!(Reward::read(bad).is_err(), "{bad:?}");
        }
    }
}
