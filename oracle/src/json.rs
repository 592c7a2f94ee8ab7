//! How values look in JSON, in the database as well as in the API: money as decimal strings, addresses in EIP-55.
use std::{fmt, str::FromStr};

use alloy::primitives::{Address, Uint};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// An amount in the token's smallest unit. The supply is below 2^88, so 128 bits hold every sum of amounts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount(pub u128);

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<const BITS: usize, const LIMBS: usize> From<Uint<BITS, LIMBS>> for Amount {
    /// Saturates: a larger number than the token's supply is not an amount, and must not stop the index.
    fn from(value: Uint<BITS, LIMBS>) -> Self {
        Self(value.saturating_to())
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(|_| D::Error::custom(format!("amount {text:?} is not a decimal number")))
    }
}

/// An address, written with its EIP-55 checksum and read in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Account(pub Address);

impl Account {
    /// The form in which the database holds it: lower-case hex with prefix.
    pub fn to_db(self) -> String {
        format!("{:#x}", self.0)
    }
}

impl From<Address> for Account {
    fn from(address: Address) -> Self {
        Self(address)
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `Address` displays itself with its checksum.
        self.0.fmt(f)
    }
}

impl FromStr for Account {
    type Err = <Address as FromStr>::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl Serialize for Account {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Account {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|error| D::Error::custom(format!("address {text:?}: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_a_decimal_string_and_addresses_carry_their_checksum() {
        let account: Account = "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed".parse().unwrap();
        let json = serde_json::to_string(&(Amount(u128::MAX), account)).unwrap();
        assert_eq!(json, r#"["340282366920938463463374607431768211455","0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"]"#);
        assert_eq!(serde_json::from_str::<(Amount, Account)>(&json).unwrap(), (Amount(u128::MAX), account));
        assert_eq!(account.to_db(), "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed");
    }
}
