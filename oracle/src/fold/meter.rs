//! One worker's meter.
//!
//! ```text
//!             register                 removeMeter              withdrawBond
//!   (none) ───────────▶ Active ─────────────────────▶ Leaving ──────────────▶ Gone ──register──▶ Active
//!                         │ ▲ replaceKey                 │
//!     reportEquivocation  ▼ │ register                   ▼ reportEquivocation
//!                        Struck ◀────────────────────────┘
//! ```
use alloy::primitives::{B256, keccak256};
use serde::{Deserialize, Serialize};
use sunwork_protocol::energy::{MAX_WINDOW_DAYS, PublicKey};

use crate::{
    energy::Site,
    events::{Event, PlacedEvent},
    json::{Account, Amount},
};

/// Replaced keys that are remembered; who replaces a key more often while the old ones are liable is not followed further.
const MAX_FORMER_KEYS: usize = 8;

/// Where a meter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MeterState {
    /// Takes records.
    Active,
    /// Takes none; its bond is still liable.
    Leaving,
    /// Lost its bond.
    Struck,
    /// Has its bond back.
    Gone,
}

/// A device's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeterKey {
    /// First coordinate.
    pub x: B256,
    /// Second coordinate.
    pub y: B256,
}

impl MeterKey {
    /// How the ledger names it.
    pub fn hash(&self) -> B256 {
        keccak256([self.x, self.y].concat())
    }

    /// To verify with.
    pub const fn public(&self) -> PublicKey {
        PublicKey { x: self.x, y: self.y }
    }
}

/// A key that was replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FormerKey {
    /// The key.
    #[serde(flatten)]
    pub key: MeterKey,
    /// Until when two of its records for one day cost the bond, Unix seconds.
    pub liable_until: u64,
}

/// An equivocation that the ledger has found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Strike {
    /// Day of the first record.
    pub day: u16,
    /// Who showed it.
    pub reporter: Account,
    /// What that earned.
    pub reward: Amount,
    /// What was burned.
    pub burned: Amount,
    /// Digest of one record.
    pub digest_a: B256,
    /// Of the other.
    pub digest_b: B256,
    /// Transaction of the report.
    pub tx: B256,
    /// Its block.
    pub block: u64,
}

/// What the ledger's events say of a worker's meter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MeterRow {
    /// Whose.
    pub worker: Account,
    /// Where it stands.
    pub state: MeterState,
    /// Place and size.
    pub site: Site,
    /// Key in use.
    pub key: MeterKey,
    /// Replaced ones of this registration, oldest first.
    pub former_keys: Vec<FormerKey>,
    /// First day that counts.
    pub from_day: u16,
    /// Last day that a record covers.
    pub last_day: Option<u16>,
    /// When it was recorded, Unix seconds; 0 before the first.
    pub last_record_at: u64,
    /// Net energy of the window that ends with the last record.
    pub window_net_wh: i64,
    /// Days with counts, the newest; what the window needs.
    pub counted_days: Vec<u16>,
    /// Records taken in all its time.
    pub records: u64,
    /// When a leaving meter's bond is free, Unix seconds.
    pub bond_free_at: u64,
    /// The last equivocation found by the ledger.
    pub strike: Option<Strike>,
    /// Block of the registration.
    pub registered_block: u64,
    /// Its position in the block.
    pub registered_log: u64,
    /// Its time, Unix seconds.
    pub registered_at: u64,
    /// Between `KeyReplaced` and the registration event of the new key in the same transaction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replacing: Option<B256>,
}

impl MeterRow {
    /// Folds further events, in chain order, into a row. `None` while there is no registration.
    pub fn fold(row: Option<Self>, events: &[PlacedEvent]) -> Option<Self> {
        events.iter().fold(row, |row, placed| match (row, &placed.event) {
            (row, Event::MeterRegistered { .. }) => Self::register(row, placed),
            (Some(mut row), event) => {
                row.apply(event, placed);
                Some(row)
            }
            (None, _) => None,
        })
    }

    fn register(row: Option<Self>, placed: &PlacedEvent) -> Option<Self> {
        let Event::MeterRegistered {
            worker,
            key_hash,
            key_x,
            key_y,
            nameplate_watts,
            country,
            latitude_decidegrees,
            longitude_decidegrees,
            from_day,
        } = &placed.event
        else {
            return row;
        };
        let site = Site::new(*nameplate_watts, *country, *latitude_decidegrees, *longitude_decidegrees);
        let key = MeterKey { x: *key_x, y: *key_y };
        // Another key of the same meter: its history goes on.
        if let Some(known) = row.as_ref().filter(|row| row.replacing == Some(*key_hash)) {
            return Some(Self { site, key, from_day: *from_day, replacing: None, ..known.clone() });
        }
        let (records, strike) = row.map_or((0, None), |row| (row.records, row.strike));
        Some(Self {
            worker: *worker,
            state: MeterState::Active,
            site,
            key,
            former_keys: Vec::new(),
            from_day: *from_day,
            last_day: None,
            last_record_at: 0,
            window_net_wh: 0,
            counted_days: Vec::new(),
            records,
            bond_free_at: 0,
            strike,
            registered_block: placed.block,
            registered_log: placed.log_index,
            registered_at: placed.time,
            replacing: None,
        })
    }

    fn apply(&mut self, event: &Event, placed: &PlacedEvent) {
        match event {
            Event::KeyReplaced { new_key_hash, liable_until, .. } => {
                self.former_keys.push(FormerKey { key: self.key, liable_until: *liable_until });
                let excess = self.former_keys.len().saturating_sub(MAX_FORMER_KEYS);
                self.former_keys.drain(..excess);
                self.replacing = Some(*new_key_hash);
            }
            Event::DayRecorded { day, window_net_wh, .. } => {
                self.recorded(*day, *window_net_wh, placed.time);
                self.counted_days.push(*day);
                let excess = self.counted_days.len().saturating_sub(MAX_WINDOW_DAYS.into());
                self.counted_days.drain(..excess);
            }
            Event::GapRecorded { last_day, window_net_wh, .. } => {
                self.recorded(*last_day, *window_net_wh, placed.time);
            }
            Event::SurplusTaken { window_net_wh, .. } => self.window_net_wh = *window_net_wh,
            Event::Equivocated { day, reporter, reward, burned, digest_a, digest_b, .. } => {
                self.state = MeterState::Struck;
                // The window begins anew, whatever comes.
                self.window_net_wh = 0;
                self.counted_days.clear();
                self.strike = Some(Strike {
                    day: *day,
                    reporter: *reporter,
                    reward: *reward,
                    burned: *burned,
                    digest_a: *digest_a,
                    digest_b: *digest_b,
                    tx: placed.tx,
                    block: placed.block,
                });
            }
            Event::MeterLeaving { bond_free_at, .. } => {
                self.state = MeterState::Leaving;
                self.bond_free_at = *bond_free_at;
            }
            Event::BondWithdrawn { .. } => self.state = MeterState::Gone,
            _ => {}
        }
    }

    fn recorded(&mut self, day: u16, window_net_wh: i64, time: u64) {
        self.last_day = Some(day);
        self.last_record_at = time;
        self.window_net_wh = window_net_wh;
        self.records += 1;
    }

    /// Days with counts in a window of `length` days that ends with the last record.
    pub fn counted_in(&self, length: u16) -> usize {
        let Some(last) = self.last_day else { return 0 };
        let counts = |day: &&u16| u32::from(**day) + u32::from(length) > u32::from(last);
        self.counted_days.iter().filter(counts).count()
    }

    /// Keys whose records bind this meter at `time`: the present one, and replaced ones while they are liable.
    pub fn liable_keys(&self, time: u64) -> impl Iterator<Item = MeterKey> + '_ {
        let former = self.former_keys.iter().filter(move |former| time <= former.liable_until);
        former.map(|former| former.key).chain([self.key])
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{Address, FixedBytes};

    use super::*;

    fn worker() -> Account {
        Account(Address::repeat_byte(1))
    }

    fn placed(time: u64, event: Event) -> PlacedEvent {
        PlacedEvent {
            block: time,
            block_hash: B256::ZERO,
            time,
            log_index: 0,
            tx: B256::ZERO,
            address: worker(),
            agreement: None,
            worker: None,
            client: None,
            meter: Some(worker()),
            event,
        }
    }

    fn registered(time: u64, key: u8, watts: u32) -> PlacedEvent {
        let [key_x, key_y] = [key, key + 100].map(B256::repeat_byte);
        let event = Event::MeterRegistered {
            worker: worker(),
            key_hash: MeterKey { x: key_x, y: key_y }.hash(),
            key_x,
            key_y,
            nameplate_watts: watts,
            country: FixedBytes(*b"AT"),
            latitude_decidegrees: 482,
            longitude_decidegrees: 164,
            from_day: 100,
        };
        placed(time, event)
    }

    fn recorded(time: u64, day: u16, window_net_wh: i64) -> PlacedEvent {
        let event = Event::DayRecorded { worker: worker(), day, production_wh: 9, consumption_wh: 1, window_net_wh };
        placed(time, event)
    }

    fn key(n: u8) -> MeterKey {
        MeterKey { x: B256::repeat_byte(n), y: B256::repeat_byte(n + 100) }
    }

    fn replaced(time: u64, old: u8, new: u8) -> PlacedEvent {
        let (old_key_hash, new_key_hash) = (key(old).hash(), key(new).hash());
        placed(time, Event::KeyReplaced { worker: worker(), old_key_hash, new_key_hash, liable_until: time + 60 })
    }

    #[test]
    fn a_new_key_goes_on_and_a_new_registration_begins_anew() {
        let history = [registered(1, 1, 100), recorded(2, 100, 8), replaced(3, 1, 2), registered(3, 2, 200)];
        let row = MeterRow::fold(None, &history).unwrap();
        assert_eq!((row.window_net_wh, row.last_day, row.records), (8, Some(100), 1));
        assert_eq!((row.site.nameplate_watts, row.key, row.registered_block), (200, key(2), 1));
        let keys = |time| row.liable_keys(time).collect::<Vec<_>>();
        assert_eq!((keys(63), keys(64)), (vec![key(1), key(2)], vec![key(2)]));

        let struck = Event::Equivocated {
            worker: worker(),
            day: 100,
            reporter: worker(),
            reward: Amount(5),
            burned: Amount(5),
            digest_a: B256::repeat_byte(1),
            digest_b: B256::repeat_byte(2),
        };
        let row = MeterRow::fold(Some(row), &[placed(4, struck)]).unwrap();
        assert_eq!((row.state, row.window_net_wh, row.counted_in(30)), (MeterState::Struck, 0, 0));
        let row = MeterRow::fold(Some(row), &[registered(5, 3, 100)]).unwrap();
        assert_eq!((row.state, row.last_day, row.records), (MeterState::Active, None, 1));
        assert!(row.strike.is_some() && row.former_keys.is_empty());
    }

    #[test]
    fn folding_on_from_a_stored_row_is_the_same() {
        let leaving = placed(7, Event::MeterLeaving { worker: worker(), bond_free_at: 99 });
        let gone = placed(8, Event::BondWithdrawn { worker: worker(), amount: Amount(5) });
        let gap = Event::GapRecorded { worker: worker(), last_day: 105, first_day: 101, window_net_wh: 7 };
        let taken = Event::SurplusTaken { worker: worker(), day: 100, watt_hours: 1, window_net_wh: 6 };
        let history = [
            registered(1, 1, 100),
            recorded(2, 100, 8),
            placed(3, gap),
            placed(4, taken),
            replaced(5, 1, 2),
            registered(5, 2, 100),
            leaving,
            gone,
        ];
        let whole = MeterRow::fold(None, &history);
        assert_eq!(whole.as_ref().map(|row| (row.state, row.window_net_wh)), Some((MeterState::Gone, 6)));
        assert_eq!(whole.as_ref().map(|row| (row.counted_in(6), row.counted_in(5))), Some((1, 0)));
        for cut in 0..=history.len() {
            let first = serde_json::to_string(&MeterRow::fold(None, &history[..cut])).unwrap();
            let on = MeterRow::fold(serde_json::from_str(&first).unwrap(), &history[cut..]);
            assert_eq!(on, whole, "cut at {cut}");
        }
        assert_eq!(MeterRow::fold(None, &history[1..2]), None);
    }

    #[test]
    fn a_meter_that_changes_keys_all_the_time_stays_small() {
        let mut history = vec![registered(1, 1, 100)];
        for n in 1..50 {
            history.extend([replaced(n.into(), n, n + 1), registered(n.into(), n + 1, 100)]);
        }
        history.extend((0..200).map(|day| recorded(60, 100 + day, 0)));
        let row = MeterRow::fold(None, &history).unwrap();
        assert_eq!((row.former_keys.len(), row.counted_days.len(), row.key), (8, 64, key(50)));
    }
}
