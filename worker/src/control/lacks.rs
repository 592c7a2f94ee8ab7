//! What an account lacks to enter anything.
use crate::{
    account::Account,
    policy::gas_money::{self, least_gas},
    refusal::Refusal,
};

/// Without any free stake nothing can be entered.
pub fn no_stake(account: &Account) -> Option<Refusal> {
    let number = |text: &String| text.parse::<u128>().unwrap_or(0);
    let free = number(&account.stake).saturating_sub(number(&account.locked));
    (free == 0).then_some(Refusal::Stake { free, needed: 1 })
}

/// Without ether for the smallest part nothing is entered, whatever is under way. The price is that of a unit of gas.
pub fn no_gas_money(account: &Account, gas_price_wei: Option<u64>) -> Option<Refusal> {
    gas_money::check(account.device_wei.parse().ok(), least_gas(), 0, gas_price_wei).err()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{control::NotWorking, refusal::Reason};

    #[test]
    fn an_account_says_whether_stake_and_ether_are_there() {
        let account = |device_wei: &str| Account {
            symbol: "SUN".into(),
            decimals: 9,
            worker: alloy::primitives::Address::repeat_byte(1),
            device: alloy::primitives::Address::repeat_byte(2),
            payout: alloy::primitives::Address::repeat_byte(1),
            score: 0,
            device_wei: device_wei.into(),
            stake: "5".into(),
            locked: "5".into(),
            unbonding: "0".into(),
            unbonding_until: 0,
            device_limit: "5".into(),
            device_locked: "5".into(),
            payable: "0".into(),
            block: 1,
        };
        assert_eq!(no_stake(&account("0")), Some(Refusal::Stake { free: 0, needed: 1 }));
        let said = NotWorking::from(no_gas_money(&account("0"), Some(1_000_000_000)).unwrap());
        assert_eq!(said.reason, Reason::GasMoney);
        assert!(said.text.starts_with("the device's key holds 0 ETH < 0.000"), "{}", said.text);
        assert!(said.remedy.contains("send ether"), "{}", said.remedy);
        assert_eq!(no_gas_money(&account("1000000000000000000"), Some(1_000_000_000)), None);
        assert_eq!(no_gas_money(&account("0"), None), None);
    }
}
