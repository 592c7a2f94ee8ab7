//! Certificates as they come, go and are used up.
use alloy::{
    primitives::{Address, B256, Log, U256},
    sol,
    sol_types::SolEvent as _,
};
use serde::Serialize;
use sunwork_protocol::abi::IEnergyCertificates::{Issued, Retired};

use crate::{chain::ChainLog, json::Account};

sol! {
    /// Of ERC-1155.
    event TransferSingle(
        address indexed operator, address indexed from, address indexed to, uint256 id, uint256 value
    );
    /// Of ERC-1155.
    event TransferBatch(
        address indexed operator, address indexed from, address indexed to, uint256[] ids, uint256[] values
    );
}

/// What became of watt hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MoveKind {
    /// Made from attested surplus.
    Issued,
    /// Passed on.
    Moved,
    /// Used up for an agreement.
    Retired,
}

impl MoveKind {
    /// As in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Moved => "moved",
            Self::Retired => "retired",
        }
    }
}

/// Watt hours of one certificate on their way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateMove {
    /// What became of them.
    pub kind: MoveKind,
    /// Certificate: worker, day and hour.
    pub id: B256,
    /// Who produced them.
    pub worker: Account,
    /// Day of production, since 1970-01-01 UTC.
    pub day: u16,
    /// Hour of that day.
    pub hour: u8,
    /// From whom; of an issue nobody.
    pub from: Option<Account>,
    /// To whom; of a retirement nobody.
    pub to: Option<Account>,
    /// What they were used up for.
    pub agreement: Option<Account>,
    /// How many.
    pub watt_hours: u64,
    /// Block.
    pub block: u64,
    /// Position in it.
    pub log_index: u64,
    /// Position in a transfer of several.
    pub position: u32,
    /// Transaction.
    pub tx: B256,
    /// Unix time of the block, seconds.
    pub time: u64,
}

/// What a log of the certificates' contract moves. Issues and retirements come with a transfer from and to nobody, which says less.
pub fn moves_of(log: &ChainLog, time: u64) -> Vec<CertificateMove> {
    let body: &Log = &log.log;
    let one = |position: usize, kind, id: U256, from, to, watt_hours: U256| {
        let raw = id.to_be_bytes::<32>();
        // worker 160 bits, day 16 bits, hour 8 bits; nothing above them.
        CertificateMove {
            kind,
            id: B256::from(raw),
            worker: Address::from_slice(&raw[9..29]).into(),
            day: u16::from_be_bytes([raw[29], raw[30]]),
            hour: raw[31],
            from,
            to,
            agreement: None,
            watt_hours: watt_hours.saturating_to(),
            block: log.block,
            log_index: log.log_index,
            position: u32::try_from(position).unwrap_or(u32::MAX),
            tx: log.tx,
            time,
        }
    };
    if let Ok(e) = Issued::decode_log(body) {
        return vec![one(0, MoveKind::Issued, e.id, None, Some(e.to.into()), e.wattHours)];
    }
    if let Ok(e) = Retired::decode_log(body) {
        let retired = one(0, MoveKind::Retired, e.id, Some(e.by.into()), None, e.wattHours);
        return vec![CertificateMove { agreement: Some(e.agreement.into()), ..retired }];
    }
    let (from, to, moved) = if let Ok(e) = TransferSingle::decode_log(body) {
        (e.from, e.to, vec![(e.id, e.value)])
    } else if let Ok(e) = TransferBatch::decode_log(body) {
        (e.from, e.to, e.ids.iter().copied().zip(e.values.iter().copied()).collect())
    } else {
        return Vec::new();
    };
    if from.is_zero() || to.is_zero() {
        return Vec::new();
    }
    let (from, to) = (Some(Account(from)), Some(Account(to)));
    // A transfer of nothing is free of charge for anybody, of any id.
    let real = moved.into_iter().filter(|(_, value)| !value.is_zero()).enumerate();
    real.map(|(position, (id, value))| one(position, MoveKind::Moved, id, from, to, value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(data: alloy::primitives::LogData) -> ChainLog {
        let log = Log { address: Address::ZERO, data };
        ChainLog { block: 5, block_hash: B256::ZERO, tx: B256::ZERO, log_index: 2, log }
    }

    fn id() -> U256 {
        U256::from_be_slice(&[&[0x77; 20][..], &20_000_u16.to_be_bytes(), &[13]].concat())
    }

    #[test]
    fn a_certificate_is_read_from_its_id() {
        let [worker, to] = [0x77, 2].map(Address::repeat_byte);
        let issued = Issued { worker, id: id(), to, startAt: Default::default(), wattHours: U256::from(42) };
        let moves = moves_of(&log(issued.encode_log_data()), 9);
        let one = &moves[0];
        assert_eq!((one.worker.0, one.day, one.hour, one.watt_hours, one.time), (worker, 20_000, 13, 42, 9));
        assert_eq!((one.kind, one.from, one.to), (MoveKind::Issued, None, Some(to.into())));
    }

    #[test]
    fn making_and_burning_count_once_and_nothing_is_no_move() {
        let [a, b] = [1, 2].map(Address::repeat_byte);
        let batch = |from, to, values: Vec<u64>| TransferBatch {
            operator: a,
            from,
            to,
            ids: vec![id(); values.len()],
            values: values.into_iter().map(U256::from).collect(),
        };
        let count = |event: &TransferBatch| moves_of(&log(event.encode_log_data()), 0).len();
        assert_eq!(count(&batch(Address::ZERO, b, vec![3])), 0);
        assert_eq!(count(&batch(a, Address::ZERO, vec![3])), 0);
        assert_eq!(count(&batch(a, b, vec![3, 0, 4])), 2);
        let uneven = TransferBatch { ids: vec![id(); 3], ..batch(a, b, vec![3]) };
        assert_eq!(count(&uneven), 1);
        let single = TransferSingle { operator: a, from: a, to: b, id: id(), value: U256::MAX };
        assert_eq!(moves_of(&log(single.encode_log_data()), 0)[0].watt_hours, u64::MAX);
        assert_eq!(moves_of(&log(Default::default()), 0), []);
    }
}
