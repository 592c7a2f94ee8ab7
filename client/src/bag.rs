//! A bag of many leaves as several agreements: bought several at a time, worked on side by side, and read leaf by leaf as each
//! part is settled.

use std::path::{Path, PathBuf};

use alloy::primitives::{Address, B256, keccak256};
use futures::stream::FuturesUnordered;
use futures::{Stream, StreamExt, stream};
use serde::{Deserialize, Serialize};
use sunwork_protocol::status::Ending;
use thiserror::Error;

use crate::agreements::FindError;
use crate::buy::{Agreement, BuyError, Payment, PrepareError};
use crate::chain::ReadError;
use crate::class::{Classified, ErrorClass};
use crate::client::Client;
use crate::events::Progress;
use crate::job::Job;
use crate::keying::KeyingError;
use crate::plan::Plan;
use crate::results::{LeafResult, ResultsError};

/// Purchases under way at once.
const PARALLEL: usize = 8;

/// A bag that could not be bought or read.
#[derive(Debug, Error)]
pub enum BagError {
    /// The number of parts.
    #[error("a bag of {leaves} leaves cannot be split into {parts} parts; expected 1 to {leaves}")]
    Parts {
        /// Leaves of the bag.
        leaves: u32,
        /// Parts asked for.
        parts: u32,
    },
    /// Files or oracles. The parts before it are bought.
    #[error("preparing part {part} of the bag ({} parts are bought: {}): {source}", bought.len(), list(bought))]
    Prepare {
        /// Which part, from 1.
        part: u32,
        /// What is bought already.
        bought: Vec<Part>,
        /// Why not.
        source: Box<PrepareError>,
    },
    /// A purchase. The parts before it are bought.
    #[error("buying part {part} of the bag ({} parts are bought: {}): {source}", bought.len(), list(bought))]
    Buy {
        /// Which part, from 1.
        part: u32,
        /// What is bought already.
        bought: Vec<Part>,
        /// Why not.
        source: Box<BuyError>,
    },
    /// The key agent. This part and those before it are bought; `bag_results` hands out their keys too.
    #[error(
        "giving the key of part {part} of the bag to the key agent ({} parts are bought: {}): {source}",
        bought.len(),
        list(bought)
    )]
    Keying {
        /// Which part, from 1.
        part: u32,
        /// What is bought already.
        bought: Vec<Part>,
        /// Why not.
        source: Box<KeyingError>,
    },
    /// Following a part.
    #[error("following agreement {agreement}: {source}")]
    Read {
        /// The part.
        agreement: Address,
        /// Why not.
        source: ReadError,
    },
    /// Reading a part.
    #[error(transparent)]
    Find(#[from] FindError),
    /// A part that ended without a result.
    #[error("agreement {agreement} (leaves {first} to {last} of the bag) ended without a result: {}", ending.meaning())]
    Ended {
        /// The part.
        agreement: Address,
        /// Its first leaf within the bag.
        first: u32,
        /// Its last leaf.
        last: u32,
        /// Why.
        ending: Ending,
    },
    /// Results that could not be had.
    #[error(transparent)]
    Results(#[from] ResultsError),
}

/// A part that was not bought, before it is known what else was.
struct PartError {
    part: u32,
    step: PartStep,
}

enum PartStep {
    Prepare(Box<PrepareError>),
    Buy(Box<BuyError>),
    /// Bought, and its key not given to the agent.
    Keying(Part, Box<KeyingError>),
    Other(BagError),
}

impl PartError {
    fn with(self, mut bought: Vec<Part>) -> BagError {
        let part = self.part;
        match self.step {
            PartStep::Prepare(source) => BagError::Prepare { part, bought, source },
            PartStep::Buy(source) => BagError::Buy { part, bought, source },
            PartStep::Keying(own, source) => {
                bought.push(own);
                bought.sort_by_key(|part| part.first_index);
                BagError::Keying { part, bought, source }
            }
            PartStep::Other(error) => error,
        }
    }
}

/// For people parts count from 1.
fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX).saturating_add(1)
}

/// What the purchase of a part is known by.
fn part_key(bag: B256, index: usize) -> B256 {
    keccak256([b"sunwork.bag.part.v1".as_slice(), bag.as_slice(), &(index as u64).to_be_bytes()].concat())
}

fn list(parts: &[Part]) -> String {
    parts.iter().map(|part| part.agreement.to_string()).collect::<Vec<_>>().join(", ")
}

impl Classified for BagError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Prepare { source, .. } => source.class(),
            Self::Buy { source, .. } => source.class(),
            Self::Keying { source, .. } => source.class(),
            Self::Read { source, .. } => source.class(),
            Self::Find(error) => error.class(),
            Self::Results(error) => error.class(),
            Self::Parts { .. } | Self::Ended { .. } => ErrorClass::Stop,
        }
    }
}

/// One agreement of a bag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    /// Its contract.
    pub agreement: Address,
    /// Block of the purchase.
    pub block: u64,
    /// Its first leaf within the bag.
    pub first_index: u32,
    /// Its leaves.
    pub leaves: u32,
}

/// A proven leaf of a bag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BagLeaf {
    /// Its index within the bag, as the app saw it.
    pub index: u32,
    /// The part that it belongs to.
    pub agreement: Address,
    /// What came out; its files are below `result.path`.
    pub result: LeafResult,
}

/// Splits `job` into `parts` jobs of almost equal size.
///
/// # Errors
/// When there are fewer leaves than parts, or no parts.
pub fn split(job: &Job, parts: u32) -> Result<Vec<Job>, BagError> {
    if parts == 0 || parts > job.leaves {
        return Err(BagError::Parts { leaves: job.leaves, parts });
    }
    let (size, larger) = (job.leaves / parts, job.leaves % parts);
    let mut first_index = job.first_index;
    let mut jobs = Vec::with_capacity(parts as usize);
    for part in 0..parts {
        let leaves = size + u32::from(part < larger);
        let samples = u8::try_from(u32::from(job.samples).min(leaves)).unwrap_or(job.samples);
        jobs.push(Job { leaves, first_index, samples, ..job.clone() });
        first_index += leaves;
    }
    Ok(jobs)
}

/// A bag ready to be bought: its files hashed once, its parts cut.
#[derive(Clone, Debug)]
pub struct BagPlan {
    plan: Plan,
    jobs: Vec<Job>,
}

impl BagPlan {
    /// Cuts `plan`, which was made of `job` and is in the clear, into `parts`.
    ///
    /// # Errors
    /// When there are fewer leaves than parts, or no parts.
    pub fn new(plan: Plan, job: &Job, parts: u32) -> Result<Self, BagError> {
        Ok(Self { plan, jobs: split(job, parts)? })
    }

    /// How many agreements it takes.
    pub fn parts(&self) -> u32 {
        u32::try_from(self.jobs.len()).unwrap_or(u32::MAX)
    }

    /// What is bought as part `index` (from 0): the files of the whole with leaves of its own.
    pub fn part(&self, index: usize) -> Option<Plan> {
        let job = self.jobs.get(index)?;
        let mut plan = self.plan.clone();
        plan.spec.first_index = job.first_index;
        plan.terms = job.terms(plan.terms.class_id);
        Some(plan)
    }
}

/// How a bag is bought.
pub struct BagPurchase<'a> {
    /// How the money moves. Several parts are paid from one allowance, which is given first where it is missing.
    pub payment: Payment,
    /// Names this purchase: one that is repeated with the same key finds what it has bought before, for as long as the log of
    /// transactions remembers. `None`: only what nobody was told of is found.
    pub key: Option<B256>,
    /// Parts that are bought already.
    pub bought: Vec<Part>,
    /// Asked before each purchase; false ends the buying.
    pub go_on: &'a (dyn Fn() -> bool + Sync),
    /// Told of each part that is bought.
    pub told: &'a mut (dyn FnMut(&Part) + Send),
}

impl Client {
    /// Buys `job` as `parts` agreements, each at the job's price, and gives their keys to the key agent if there is one.
    ///
    /// # Errors
    /// See [`BagError`]; `Prepare`, `Buy` and `Keying` say which parts are bought.
    pub async fn buy_bag(&self, job: &Job, parts: u32, payment: Payment) -> Result<Vec<Part>, BagError> {
        // Before anything is read: a number that cannot be is told at once.
        split(job, parts)?;
        let plan = self.plan(job).await.map_err(|error| BagError::Prepare {
            part: 1,
            bought: Vec::new(),
            source: Box::new(error.into()),
        })?;
        let bag = BagPlan::new(plan, job, parts)?;
        let how = BagPurchase { payment, key: None, bought: Vec::new(), go_on: &|| true, told: &mut |_| {} };
        self.buy_parts(&bag, how).await
    }

    /// Buys the parts of `bag` that are not bought yet, several at a time. Returns all that are bought, in order; fewer than all
    /// where `go_on` said no.
    ///
    /// # Errors
    /// See [`BagError`]. What is under way when one part fails is finished first, and counts as bought.
    pub async fn buy_parts(&self, bag: &BagPlan, mut how: BagPurchase<'_>) -> Result<Vec<Part>, BagError> {
        let missing: Vec<usize> = (0..bag.jobs.len())
            .filter(|index| !how.bought.iter().any(|part| part.first_index == bag.jobs[*index].first_index))
            .collect();
        let payment = match (missing.len(), how.payment) {
            (0 | 1, payment) => payment,
            _ => {
                let allowed = self.allow_parts(bag, missing.len() as u128).await;
                allowed.map_err(|source| BagError::Buy {
                    part: missing.first().map_or(1, |index| number(*index)),
                    bought: how.bought.clone(),
                    source: Box::new(source),
                })?;
                Payment::Allowance
            }
        };
        let mut waiting = missing.into_iter();
        let mut under_way = FuturesUnordered::new();
        let mut failed = None;
        loop {
            while under_way.len() < PARALLEL && failed.is_none() && (how.go_on)() {
                let Some(index) = waiting.next() else { break };
                let key = how.key.map(|key| part_key(key, index));
                under_way.push(self.buy_part(bag, index, payment, key));
            }
            match under_way.next().await {
                Some(Ok(part)) => {
                    (how.told)(&part);
                    how.bought.push(part);
                }
                Some(Err(error)) => failed = failed.or(Some(error)),
                None => break,
            }
        }
        how.bought.sort_by_key(|part| part.first_index);
        match failed {
            None => Ok(how.bought),
            Some(error) => Err(error.with(how.bought)),
        }
    }

    /// One allowance for all parts: each purchase takes its share of it, and none waits for another one's permit.
    async fn allow_parts(&self, bag: &BagPlan, missing: u128) -> Result<(), BuyError> {
        let Some(first) = bag.part(0) else { return Ok(()) };
        let account = self.signer()?.address();
        // The budget is the same for all: it does not depend on the number of leaves.
        let preflight = self.contract_preflight(&first, Some(account)).await?;
        let needed = preflight.budget.saturating_mul(missing);
        if preflight.allowance < needed {
            self.approve(needed).await?;
        }
        Ok(())
    }

    async fn buy_part(
        &self,
        bag: &BagPlan,
        index: usize,
        payment: Payment,
        key: Option<B256>,
    ) -> Result<Part, PartError> {
        let at = |step| PartError { part: number(index), step };
        let (Some(mut plan), Some(job)) = (bag.part(index), bag.jobs.get(index)) else {
            let parts = BagError::Parts { leaves: 0, parts: number(index) };
            return Err(at(PartStep::Other(parts)));
        };
        let buying = |source| at(PartStep::Buy(Box::new(source)));
        let known = match key {
            Some(key) => self.purchase_known_as(key).await.map_err(buying)?,
            None => None,
        };
        let agreement: Agreement = match known {
            Some(agreement) => agreement,
            None => {
                let preparing = async {
                    self.seal(&mut plan).await?;
                    self.upload(&plan).await?;
                    Ok::<_, PrepareError>(())
                };
                preparing.await.map_err(|source| at(PartStep::Prepare(Box::new(source))))?;
                let bought = match key {
                    Some(key) => self.buy_once(&plan, payment, key).await,
                    None => self.buy(&plan, payment).await,
                };
                bought.map_err(buying)?
            }
        };
        // A purchase of an earlier run has another nonce, and so another key, than the plan of this one.
        let given = async {
            let spec = match agreement.resumed {
                true => self.purchase_of(agreement.address).await?.spec,
                false => plan.spec.clone(),
            };
            self.give_key_to_agent(agreement.address, &spec).await
        };
        let part = Part {
            agreement: agreement.address,
            block: agreement.block,
            first_index: job.first_index,
            leaves: job.leaves,
        };
        match given.await {
            Ok(_) => Ok(part),
            Err(source) => Err(at(PartStep::Keying(part, Box::new(source)))),
        }
    }

    /// The leaves of a bag, proven, as their parts are settled: whichever part is ready first comes first. Files are unpacked
    /// below `dir`, a folder for each part. While the stream is read, session keys are posted to whoever accepts. Harmless to
    /// repeat: a restarted program passes the same parts.
    pub fn bag_results(&self, parts: Vec<Part>, dir: &Path) -> impl Stream<Item = Result<BagLeaf, BagError>> + use<> {
        let count = parts.len().max(1);
        let (client, dir) = (self.clone(), dir.to_owned());
        stream::iter(parts)
            .map(move |part| part_results(client.clone(), part, dir.clone()))
            .buffer_unordered(count)
            .flat_map(|leaves| match leaves {
                Ok(leaves) => stream::iter(leaves.into_iter().map(Ok).collect::<Vec<_>>()),
                Err(error) => stream::iter(vec![Err(error)]),
            })
    }
}

async fn part_results(client: Client, part: Part, dir: PathBuf) -> Result<Vec<BagLeaf>, BagError> {
    let agreement = part.agreement;
    let keyed = client.keep_keyed(agreement);
    let ending = {
        let mut events = std::pin::pin!(client.watch(agreement, part.block));
        loop {
            match events.next().await {
                Some(Ok(seen)) => {
                    if let Progress::Ended { ending } = seen.progress {
                        break ending;
                    }
                }
                Some(Err(source)) => return Err(BagError::Read { agreement, source }),
                None => break client.standing(agreement).await?.ending,
            }
        }
    };
    drop(keyed);
    if ending != Ending::Verified {
        let last = part.first_index + part.leaves.saturating_sub(1);
        return Err(BagError::Ended { agreement, first: part.first_index, last, ending });
    }
    let folder = dir.join(format!("{:08}-{}", part.first_index, hex::encode(&agreement[..4])));
    let results = client.results(agreement, &folder).await?;
    let leaf = |result: LeafResult| BagLeaf { index: part.first_index + result.leaf, agreement, result };
    Ok(results.leaves.into_iter().map(leaf).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::JobBuilder;

    fn job(leaves: u32) -> Job {
        JobBuilder::new("ab".repeat(32)).platform("linux/amd64").leaves(leaves).first_index(100).build().unwrap()
    }

    #[test]
    fn a_bag_is_split_without_gaps_and_no_part_is_much_larger() {
        for (leaves, parts) in [(1, 1), (10, 3), (7, 7), (1000, 6)] {
            let jobs = split(&job(leaves), parts).unwrap();
            assert_eq!(jobs.len(), parts as usize);
            let mut next = 100;
            for job in &jobs {
                assert_eq!(job.first_index, next);
                assert!((leaves / parts..=leaves.div_ceil(parts)).contains(&job.leaves), "{}", job.leaves);
                assert!(u32::from(job.samples) <= job.leaves);
                next += job.leaves;
            }
            assert_eq!(next, 100 + leaves);
        }
    }

    #[test]
    fn parts_share_their_files_and_differ_in_their_leaves() {
        let job = job(10);
        let plan = Plan::make(&job, &["linux/amd64+docker".into()]).unwrap();
        let bag = BagPlan::new(plan.clone(), &job, 3).unwrap();
        let parts: Vec<Plan> = (0..3).map(|index| bag.part(index).unwrap()).collect();
        let cut: Vec<_> = parts.iter().map(|part| (part.spec.first_index, part.terms.leaf_count)).collect();
        assert_eq!((cut, bag.parts()), (vec![(100, 4), (104, 3), (107, 3)], 3));
        assert!(parts.iter().all(|part| part.blobs == plan.blobs && part.terms.pack().is_ok()));
        assert!(bag.part(3).is_none());
        assert_ne!(part_key(B256::ZERO, 0), part_key(B256::ZERO, 1));
    }

    #[test]
    fn impossible_numbers_of_parts_are_said() {
        for parts in [0, 4] {
            let error = split(&job(3), parts).unwrap_err().to_string();
            assert_eq!(error, format!("a bag of 3 leaves cannot be split into {parts} parts; expected 1 to 3"));
        }
    }
}
