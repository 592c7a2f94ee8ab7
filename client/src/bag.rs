//! A bag of many leaves as several agreements: bought one after the other, worked on side by side, and read leaf by leaf as each
//! part is revealed.

use std::path::{Path, PathBuf};

use alloy::primitives::Address;
use futures::{Stream, StreamExt, stream};
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
use crate::results::{LeafResult, ResultsError};

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

impl Client {
    /// Buys `job` as `parts` agreements, each at the job's price, and gives their keys to the key agent if there is one.
    ///
    /// # Errors
    /// See [`BagError`]; `Prepare`, `Buy` and `Keying` say which parts are bought.
    pub async fn buy_bag(&self, job: &Job, parts: u32, payment: Payment) -> Result<Vec<Part>, BagError> {
        let mut bought = Vec::with_capacity(parts as usize);
        for (part, job) in (1..).zip(split(job, parts)?) {
            let plan = self.prepare(&job).await.map_err(|source| BagError::Prepare {
                part,
                bought: bought.clone(),
                source: Box::new(source),
            })?;
            let agreement: Agreement = self.buy(&plan, payment).await.map_err(|source| BagError::Buy {
                part,
                bought: bought.clone(),
                source: Box::new(source),
            })?;
            bought.push(Part {
                agreement: agreement.address,
                block: agreement.block,
                first_index: job.first_index,
                leaves: job.leaves,
            });
            // A purchase of an earlier run has another nonce, and so another key, than the plan of this one.
            let given = async {
                let spec = match agreement.resumed {
                    true => self.purchase_of(agreement.address).await?.spec,
                    false => plan.spec.clone(),
                };
                self.give_key_to_agent(agreement.address, &spec).await
            };
            given.await.map_err(|source| BagError::Keying {
                part,
                bought: bought.clone(),
                source: Box::new(source),
            })?;
        }
        Ok(bought)
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
    fn impossible_numbers_of_parts_are_said() {
        for parts in [0, 4] {
            let error = split(&job(3), parts).unwrap_err().to_string();
            assert_eq!(error, format!("a bag of 3 leaves cannot be split into {parts} parts; expected 1 to 3"));
        }
    }
}
