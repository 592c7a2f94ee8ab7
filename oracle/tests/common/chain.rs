//! A chain that does what the test says: grows, is reorganised, refuses to answer.
use std::sync::{Arc, Mutex, MutexGuard};

use alloy::{
    primitives::{Address, B256, Bytes, Log, U256, aliases::U96, keccak256},
    sol_types::SolEvent,
};
use sunwork_oracle::chain::{ChainLog, ChainSource, ChainTx, Header, SourceError};
use sunwork_protocol::{
    abi::{IComputeAgreement, IWorkerDispatcher},
    energy::Link,
};

pub const DISPATCHER: Address = Address::repeat_byte(0xd1);
pub const DEPLOYED: u64 = 3;

#[derive(Clone)]
struct Block {
    header: Header,
    logs: Vec<ChainLog>,
}

/// Clones are the same chain.
#[derive(Clone, Default)]
pub struct FakeChain(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    blocks: Vec<Block>,
    calls: u64,
    fail_at: Option<u64>,
    max_range: Option<u64>,
    hidden: usize,
}

impl FakeChain {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Adds blocks of fork `fork`: forks with different numbers differ in hashes and in what happens.
    pub fn grow(&self, count: usize, fork: u64) {
        let mut state = self.state();
        for _ in 0..count {
            let number = state.blocks.len() as u64;
            let parent = state.blocks.last().map_or(B256::ZERO, |block| block.header.hash);
            let hash = keccak256([parent.as_slice(), &number.to_be_bytes(), &fork.to_be_bytes()].concat());
            let header = Header { number, hash, parent, time: 1_000_000 + number };
            state.blocks.push(Block { header, logs: happenings(header, fork) });
        }
    }

    /// Drops the newest blocks.
    pub fn cut(&self, depth: usize) {
        let mut state = self.state();
        let keep = state.blocks.len().saturating_sub(depth);
        state.blocks.truncate(keep);
    }

    /// The call after `calls` further ones fails, once.
    pub fn fail_after(&self, calls: u64) {
        let mut state = self.state();
        state.fail_at = Some(state.calls + calls);
    }

    /// Larger ranges of logs are refused.
    pub fn refuse_ranges_above(&self, blocks: u64) {
        self.state().max_range = Some(blocks);
    }

    /// Makes the node lag by so many blocks.
    pub fn hide(&self, newest: usize) {
        self.state().hidden = newest;
    }

    pub fn len(&self) -> u64 {
        self.state().blocks.len() as u64
    }

    fn answer<T>(&self, read: impl FnOnce(&State, &[Block]) -> Result<T, SourceError>) -> Result<T, SourceError> {
        let mut state = self.state();
        state.calls += 1;
        if state.fail_at.is_some_and(|at| state.calls > at) {
            state.fail_at = None;
            return Err(SourceError::Unavailable { doing: "asking".into(), reason: "scripted".into() });
        }
        let seen = state.blocks.len().saturating_sub(state.hidden);
        read(&state, &state.blocks[..seen])
    }
}

impl ChainSource for FakeChain {
    async fn head(&self) -> Result<Header, SourceError> {
        self.answer(|_, blocks| Ok(blocks.last().unwrap().header))
    }

    async fn header(&self, number: u64) -> Result<Option<Header>, SourceError> {
        self.answer(|_, blocks| Ok(blocks.get(number as usize).map(|block| block.header)))
    }

    async fn logs_of_block(&self, hash: B256) -> Result<Vec<ChainLog>, SourceError> {
        self.answer(|_, blocks| {
            let block = blocks.iter().find(|block| block.header.hash == hash);
            block.map(|block| block.logs.clone()).ok_or_else(|| SourceError::Unavailable {
                doing: "asking for logs".into(),
                reason: "unknown block".into(),
            })
        })
    }

    async fn logs_of_range(&self, from: u64, to: u64) -> Result<Vec<ChainLog>, SourceError> {
        self.answer(|state, blocks| {
            if state.max_range.is_some_and(|max| to - from + 1 > max) {
                return Err(SourceError::TooMuch { from, to, reason: "scripted".into() });
            }
            Ok(blocks[from as usize..=to as usize].iter().flat_map(|block| block.logs.clone()).collect())
        })
    }

    // Nothing of energy happens here: `energy.rs` has a chain for that.
    async fn transaction(&self, hash: B256) -> Result<Option<ChainTx>, SourceError> {
        panic!("nobody asks for {hash}")
    }

    async fn submitted_within(&self, hash: B256, _: Address) -> Result<Result<Vec<Bytes>, String>, SourceError> {
        panic!("nobody traces {hash}")
    }

    async fn link_of(&self, _: Address, _: Address, day: u16, _: B256) -> Result<Option<Link>, SourceError> {
        panic!("nobody asks for the link of day {day}")
    }
}

/// What happens in a block: a purchase in every third, its acceptance and its end in the next ones, a worker's stake, and
/// a stranger who speaks like an agreement.
fn happenings(header: Header, fork: u64) -> Vec<ChainLog> {
    let number = header.number;
    let worker = Address::with_last_byte(1 + (number % 5) as u8);
    let mut logs = Vec::new();
    let mut emit = |address: Address, data: alloy::primitives::LogData| {
        let log_index = logs.len() as u64 * 2;
        let tx = keccak256([header.hash.as_slice(), &log_index.to_be_bytes()].concat());
        logs.push(ChainLog { block: number, block_hash: header.hash, tx, log_index, log: Log { address, data } });
    };
    if number < DEPLOYED {
        return logs;
    }
    if number < DEPLOYED + 5 {
        let registered = IWorkerDispatcher::WorkerRegistered {
            worker,
            payout: worker,
            classes: alloy::primitives::aliases::U48::from(3),
            kinds: alloy::primitives::aliases::U48::from(1),
            encryptionKey: B256::ZERO,
            transportKey: B256::ZERO,
        };
        emit(DISPATCHER, registered.encode_log_data());
    }
    let staked = IWorkerDispatcher::Staked { worker, amount: U256::from(number + fork), activeFromEpoch: U256::ONE };
    emit(DISPATCHER, staked.encode_log_data());

    if number.is_multiple_of(4) {
        let key = B256::left_padding_from(&(number + fork).to_be_bytes());
        emit(DISPATCHER, IWorkerDispatcher::EncryptionKeySet { account: worker, key }.encode_log_data());
        let client = Address::with_last_byte(0xc0 + (number % 3) as u8);
        let agent = Address::with_last_byte((number % 7 * fork) as u8);
        emit(DISPATCHER, IWorkerDispatcher::KeyAgentSet { client, agent }.encode_log_data());
    }
    let agreement = agreement_of(number - number % 3);
    match number % 3 {
        0 => {
            // The clone speaks before the dispatcher announces it.
            emit(agreement, status(0, 0));
            emit(DISPATCHER, bought(agreement, fork).encode_log_data());
        }
        1 => {
            let accepted =
                IComputeAgreement::Accepted { worker, attempt: 0, reward: U96::from(fork), locked: U96::ZERO };
            emit(agreement, accepted.encode_log_data());
            emit(agreement, status(2, header.time + 100));
            let locked = IWorkerDispatcher::StakeLocked { worker, agreement, device: worker, amount: U96::ONE };
            emit(DISPATCHER, locked.encode_log_data());
        }
        _ if fork.is_multiple_of(2) => {
            let paid = IWorkerDispatcher::Paid { agreement, account: worker, amount: U256::from(fork) };
            emit(DISPATCHER, paid.encode_log_data());
            emit(agreement, IComputeAgreement::Ended { ending: 1 }.encode_log_data());
            emit(agreement, status(8, 0));
        }
        _ => {}
    }
    // A stranger with the same topics, and one that pretends to sell.
    emit(Address::repeat_byte(0xbb), status(5, number));
    emit(Address::repeat_byte(0xcc), bought(Address::repeat_byte(0xbb), fork).encode_log_data());
    logs
}

pub fn agreement_of(number: u64) -> Address {
    Address::left_padding_from(&(0xa000 + number).to_be_bytes())
}

fn status(status: u8, deadline: u64) -> alloy::primitives::LogData {
    let deadline = alloy::primitives::aliases::U40::from(deadline);
    IComputeAgreement::StatusChanged { status, attempt: 0, deadline }.encode_log_data()
}

pub fn bought(agreement: Address, fork: u64) -> IWorkerDispatcher::AgreementBought {
    let terms = sunwork_protocol::testing::terms();
    IWorkerDispatcher::AgreementBought {
        agreement,
        client: Address::with_last_byte(0xc0 + (fork % 3) as u8),
        classId: 0,
        kindId: 0,
        budget: U96::from(fork),
        terms: Bytes::from(terms.pack().unwrap()),
        spec: Bytes::from(fork.to_be_bytes().to_vec()),
    }
}
