//! One worker.
use std::collections::BTreeMap;

use alloy::primitives::B256;
use serde::{Deserialize, Serialize};

use crate::{
    events::{Event, PlacedEvent},
    json::{Account, Amount},
};

/// What the events say of a worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkerRow {
    /// Its identity.
    pub address: Account,
    /// Where its earnings go.
    pub payout: Account,
    /// Bit c: in class c.
    pub class_bits: u64,
    /// Bit i: opted in to kind i.
    pub kind_bits: u64,
    /// X25519 key for sealed messages; zero: none.
    pub encryption_key: B256,
    /// Key for peer connections.
    pub transport_key: B256,
    /// Stake that is not unbonding.
    pub bonded: Amount,
    /// Part of it locked by agreements.
    pub locked: Amount,
    /// What was slashed in all its time.
    pub slashed: Amount,
    /// Stake on its way out.
    pub unbonding: Amount,
    /// From when it may be withdrawn, Unix seconds; 0 without any.
    pub unbonding_until: u64,
    /// Machines that act for it.
    pub devices: Vec<DeviceRow>,
    /// Block of the registration.
    pub registered_block: u64,
    /// Its time, Unix seconds.
    pub registered_at: u64,
    /// Its position in the block.
    pub registered_log: u64,
    /// Locks by agreement; as many as its stake bears.
    pub locks: BTreeMap<Account, Amount>,
}

/// A device of a worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceRow {
    /// Its hot key.
    pub device: Account,
    /// Most that it may lock at a time; 0: no more.
    pub limit: Amount,
    /// First epoch in which the key works.
    pub since_epoch: u32,
}

impl WorkerRow {
    /// Folds further events, in chain order, into a row. `None` while there is no registration.
    pub fn fold(row: Option<Self>, events: &[PlacedEvent]) -> Option<Self> {
        let mut row = row.or_else(|| events.iter().find_map(Self::registered))?;
        for placed in events {
            row.apply(&placed.event);
        }
        Some(row)
    }

    fn registered(placed: &PlacedEvent) -> Option<Self> {
        let Event::WorkerRegistered { worker, payout, classes, kinds, encryption_key, transport_key } = &placed.event
        else {
            return None;
        };
        Some(Self {
            address: *worker,
            payout: *payout,
            class_bits: *classes,
            kind_bits: *kinds,
            encryption_key: *encryption_key,
            transport_key: *transport_key,
            bonded: Amount::default(),
            locked: Amount::default(),
            slashed: Amount::default(),
            unbonding: Amount::default(),
            unbonding_until: 0,
            devices: Vec::new(),
            registered_block: placed.block,
            registered_at: placed.time,
            registered_log: placed.log_index,
            locks: BTreeMap::new(),
        })
    }

    fn apply(&mut self, event: &Event) {
        match event {
            // A key of before the registration does not count any more.
            Event::WorkerRegistered { encryption_key, .. } => self.encryption_key = *encryption_key,
            Event::EncryptionKeySet { key, .. } => self.encryption_key = *key,
            Event::WorkerUpdated { payout, classes, kinds, .. } => {
                self.payout = *payout;
                self.class_bits = *classes;
                self.kind_bits = *kinds;
            }
            Event::DeviceSet { device, limit, since_epoch, .. } => {
                self.devices.retain(|known| known.device != *device);
                self.devices.push(DeviceRow { device: *device, limit: *limit, since_epoch: *since_epoch });
            }
            Event::Staked { amount, .. } => self.bonded = add(self.bonded, *amount),
            Event::Unstaked { amount, withdrawable_from, .. } => {
                self.bonded = sub(self.bonded, *amount);
                self.unbonding = add(self.unbonding, *amount);
                self.unbonding_until = *withdrawable_from;
            }
            Event::UnbondingWithdrawn { .. } => {
                self.unbonding = Amount::default();
                self.unbonding_until = 0;
            }
            Event::StakeLocked { agreement, amount, .. } => {
                self.locks.insert(*agreement, *amount);
                self.sum_locks();
            }
            Event::StakeReleased { agreement, slashed, .. } => {
                self.locks.remove(agreement);
                self.bonded = sub(self.bonded, *slashed);
                self.slashed = add(self.slashed, *slashed);
                self.sum_locks();
            }
            _ => {}
        }
    }

    fn sum_locks(&mut self) {
        self.locked = self.locks.values().fold(Amount::default(), |sum, lock| add(sum, *lock));
    }
}

// Saturating: the index shows what happened and must not stop at a contract's oddity.
const fn add(a: Amount, b: Amount) -> Amount {
    Amount(a.0.saturating_add(b.0))
}

const fn sub(a: Amount, b: Amount) -> Amount {
    Amount(a.0.saturating_sub(b.0))
}

#[cfg(test)]
mod tests {
    use alloy::primitives::Address;

    use super::*;

    #[test]
    fn stake_locks_and_slashes_add_up() {
        let who = |n| Account(Address::repeat_byte(n));
        let worker = who(1);
        let registered = Event::WorkerRegistered {
            worker,
            payout: who(2),
            classes: 1,
            kinds: 1,
            encryption_key: B256::repeat_byte(1),
            transport_key: B256::ZERO,
        };
        let lock = |n, amount| Event::StakeLocked { worker, agreement: who(n), device: who(9), amount: Amount(amount) };
        let release = |n, released, slashed| Event::StakeReleased {
            worker,
            agreement: who(n),
            released: Amount(released),
            slashed: Amount(slashed),
            paid: Amount(0),
        };
        let key = |n| Event::EncryptionKeySet { account: worker, key: B256::repeat_byte(n) };
        let events: Vec<PlacedEvent> = [
            key(8),
            registered,
            Event::Staked { worker, amount: Amount(100), active_from_epoch: 1 },
            Event::DeviceSet { worker, device: who(9), limit: Amount(50), since_epoch: 1 },
            Event::DeviceSet { worker, device: who(9), limit: Amount(0), since_epoch: 2 },
            lock(3, 20),
            lock(4, 30),
            release(3, 15, 5),
            Event::Unstaked { worker, amount: Amount(25), withdrawable_from: 77 },
        ]
        .into_iter()
        .map(|event| PlacedEvent {
            block: 1,
            block_hash: B256::ZERO,
            time: 5,
            log_index: 0,
            tx: B256::ZERO,
            address: who(7),
            agreement: None,
            worker: Some(worker),
            client: None,
            meter: None,
            event,
        })
        .collect();
        let row = WorkerRow::fold(None, &events).unwrap();
        assert_eq!((row.bonded, row.locked, row.slashed), (Amount(70), Amount(30), Amount(5)));
        assert_eq!((row.unbonding, row.unbonding_until), (Amount(25), 77));
        assert_eq!(row.devices, [DeviceRow { device: who(9), limit: Amount(0), since_epoch: 2 }]);
        assert_eq!(row.encryption_key, B256::repeat_byte(1), "the key of the registration replaces an earlier one");
        let later = PlacedEvent { event: key(9), ..events[0].clone() };
        assert_eq!(WorkerRow::fold(Some(row.clone()), &[later]).unwrap().encryption_key, B256::repeat_byte(9));
        let (first, second) = events.split_at(6);
        let stored = serde_json::to_string(&WorkerRow::fold(None, first)).unwrap();
        assert_eq!(WorkerRow::fold(serde_json::from_str(&stored).unwrap(), second), Some(row));
        assert_eq!(WorkerRow::fold(None, second), None);
    }
}
