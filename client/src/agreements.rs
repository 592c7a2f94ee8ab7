//! Finding agreements and reading all that the chain knows of one.

use alloy::primitives::{Address, B256, U256};
use alloy::rpc::types::{Filter, Log};
use alloy::sol_types::SolEvent;
use serde::Serialize;
use sunwork_protocol::abi::IComputeAgreement::AgreementView;
use sunwork_protocol::abi::IWorkerDispatcher::AgreementBought;
use sunwork_protocol::status::{Ending, Status};
use sunwork_protocol::terms::{ComputeSpec, ComputeTerms, SpecError};
use thiserror::Error;

use crate::chain::{Doing, ReadError};
use crate::class::{Classified, ErrorClass};
use crate::client::Client;
use crate::events::{Progress, RoundKind, Seen};
use crate::preflight::KIND_COMPUTE;

/// Fewest hex digits of an id prefix.
const MIN_PREFIX_DIGITS: usize = 4;

/// A purchase, from its event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purchase {
    /// The agreement.
    pub address: Address,
    /// Who bought.
    pub client: Address,
    /// The class.
    pub class_id: u16,
    /// What was put into escrow, smallest token unit.
    pub budget: u128,
    /// The offer.
    pub terms: ComputeTerms,
    /// What is to be done.
    pub spec: ComputeSpec,
    /// Block of the purchase.
    pub block: u64,
    /// Its time, Unix seconds.
    pub time: u64,
    /// The transaction.
    pub tx: B256,
}

/// An id that names no agreement.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum IdError {
    /// Not hex.
    #[error(
        "{text:?} is no agreement id; expected an address (0x and 40 hex digits) or at least 4 digits of its start"
    )]
    NotAnId {
        /// What was given.
        text: String,
    },
    /// Nothing begins like it.
    #[error("no agreement of this deployment begins with {text}; `sunwork status` lists yours")]
    Unknown {
        /// What was given.
        text: String,
    },
    /// Several do.
    #[error("{text} is the beginning of {count} agreements ({}, …); give more digits", examples.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    Ambiguous {
        /// What was given.
        text: String,
        /// How many.
        count: usize,
        /// Some of them.
        examples: Vec<Address>,
    },
}

/// An agreement that cannot be found or read.
#[derive(Debug, Error)]
pub enum FindError {
    /// The id.
    #[error(transparent)]
    Id(#[from] IdError),
    /// The chain.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Another kind of work, or an encoding of the future.
    #[error("agreement {agreement} cannot be read: {source}")]
    Spec {
        /// The agreement.
        agreement: Address,
        /// What is wrong.
        source: SpecError,
    },
    /// A status number that this build does not know.
    #[error("agreement {agreement} has status {status} and ending {ending}, which this build does not know; update it")]
    UnknownStatus {
        /// The agreement.
        agreement: Address,
        /// Status number.
        status: u8,
        /// Ending number.
        ending: u8,
    },
}

impl Classified for FindError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Read(error) => error.class(),
            Self::Id(_) | Self::Spec { .. } | Self::UnknownStatus { .. } => ErrorClass::Stop,
        }
    }
}

/// Where an agreement stands, from one call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Standing {
    /// Its status as of the latest block.
    pub status: Status,
    /// How it ended, or `None`.
    pub ending: Ending,
    /// Which worker's attempt; the first is 0.
    pub attempt: u8,
    /// The worker, once there is one.
    pub worker: Option<Address>,
    /// The accepted price, or what the next worker would get, smallest token unit.
    #[serde(serialize_with = "decimal")]
    pub reward: u128,
    /// Unix seconds after which anybody may move it on; 0 for none.
    pub deadline: u64,
    /// When the claim window closes; 0 while too few have claimed.
    pub closes_at: u64,
    /// Drawn verifiers that declined or vanished in this round of voting.
    pub strikes: u8,
    /// Round of voting; the first is 0.
    pub vote_round: u8,
    /// What this round is for.
    pub round_kind: RoundKind,
    /// Verifiers that this round draws.
    pub wanted: u8,
    /// What this round's verifiers compute, where that is the leaves in dispute.
    pub disputed_leaves: Vec<u32>,
    /// Verifiers that hold slots, of all rounds, with whether they sealed and opened.
    pub verifiers: Vec<SlotStanding>,
}

/// A verifier's slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SlotStanding {
    /// The verifier.
    pub verifier: Address,
    /// It committed.
    pub sealed: bool,
    /// It opened.
    pub opened: bool,
    /// Bit i: its digest of its i-th leaf differs.
    pub dissent: u32,
    /// Round of voting that it was drawn in.
    pub vote_round: u8,
}

fn decimal<S: serde::Serializer>(amount: &u128, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(amount)
}

impl Standing {
    /// From the contract's view; `None` for numbers that this build does not know.
    pub fn from_view(view: &AgreementView) -> Option<Self> {
        Some(Self {
            status: Status::from_u8(view.status)?,
            ending: Ending::from_u8(view.ending)?,
            attempt: view.attempt,
            worker: Some(view.worker).filter(|worker| !worker.is_zero()),
            reward: view.reward.to(),
            deadline: view.deadline.to(),
            closes_at: view.closesAt.to(),
            strikes: view.strikes,
            vote_round: view.voteRound,
            round_kind: RoundKind::from_u8(view.kind)?,
            wanted: view.wanted,
            disputed_leaves: view.leaves.clone(),
            verifiers: view
                .slots
                .iter()
                .filter(|slot| !slot.verifier.is_zero())
                .map(|slot| SlotStanding {
                    verifier: slot.verifier,
                    sealed: !slot.seal.is_zero(),
                    opened: slot.opened,
                    dissent: slot.dissent,
                    vote_round: slot.voteRound,
                })
                .collect(),
        })
    }

    /// The slots of the present round of voting.
    pub fn present_slots(&self) -> impl Iterator<Item = &SlotStanding> {
        self.verifiers.iter().filter(|slot| slot.vote_round == self.vote_round)
    }

    /// True once the worker's result is readable: it was revealed, or handed in at level 0.
    pub const fn is_revealed(&self) -> bool {
        self.vote_round != 0 || matches!(self.status, Status::Opening | Status::Disputable | Status::Settled)
    }
}

/// All that the chain knows of an agreement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Details {
    /// The purchase.
    pub purchase: Purchase,
    /// Where it stands.
    pub standing: Standing,
    /// What happened, oldest first.
    pub events: Vec<Seen>,
}

impl Details {
    /// True where the worker settled for all at once (`settleAll`): all verifiers had sealed its digests, and the contract, which
    /// looked at them together, marks no slot as opened.
    pub fn was_unanimous_at_once(&self) -> bool {
        let opening = |seen: &Seen| matches!(seen.progress, Progress::StatusChanged { status: Status::Opening, .. });
        // Verified without Opening before, and not at level 0, where nobody has sealed anything.
        self.standing.ending == Ending::Verified
            && !self.standing.verifiers.is_empty()
            && !self.events.iter().any(opening)
    }
}

/// Finds the one agreement that begins like `text`.
///
/// # Errors
/// See [`IdError`].
pub fn match_prefix(text: &str, known: &[Address]) -> Result<Address, IdError> {
    let digits = prefix_digits(text)?;
    let matching: Vec<Address> =
        known.iter().copied().filter(|address| hex::encode(address).starts_with(&digits)).collect();
    match matching.as_slice() {
        [one] => Ok(*one),
        [] => Err(IdError::Unknown { text: text.to_owned() }),
        several => Err(IdError::Ambiguous {
            text: text.to_owned(),
            count: several.len(),
            examples: several.iter().take(2).copied().collect(),
        }),
    }
}

fn prefix_digits(text: &str) -> Result<String, IdError> {
    let digits = text.trim();
    let digits = digits.strip_prefix("0x").unwrap_or(digits).to_ascii_lowercase();
    let fine = (MIN_PREFIX_DIGITS..=40).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
    if fine { Ok(digits) } else { Err(IdError::NotAnId { text: text.to_owned() }) }
}

impl Client {
    /// Compute purchases of `client` (or of everybody), newest first. Those that this build cannot read are left out.
    ///
    /// # Errors
    /// When the chain cannot be read.
    pub async fn purchases(&self, client: Option<Address>) -> Result<Vec<Purchase>, ReadError> {
        let mut filter = self.bought_filter();
        if let Some(client) = client {
            filter = filter.topic2(client);
        }
        let logs = self.logs_since_deployment(&filter).await?;
        let times = self.times(&logs).await?;
        let mut purchases: Vec<Purchase> = logs.iter().filter_map(|log| purchase(log, &times).ok()).collect();
        purchases.reverse();
        Ok(purchases)
    }

    /// The agreement that `text` (an address or the unambiguous beginning of one) names.
    ///
    /// # Errors
    /// See [`FindError`].
    pub async fn find(&self, text: &str) -> Result<Address, FindError> {
        self.find_for(text, None).await
    }

    /// The same for a reader that is not the signer: its own agreements come first.
    ///
    /// # Errors
    /// See [`FindError`].
    pub async fn find_for(&self, text: &str, account: Option<Address>) -> Result<Address, FindError> {
        let account = account.or(self.address());
        let digits = prefix_digits(text)?;
        if digits.len() == 40 {
            let address: Address = digits.parse().map_err(|_| IdError::NotAnId { text: text.to_owned() })?;
            let escrow = self.dispatcher().escrowOf(address).call().await;
            let escrow = escrow.doing(|| format!("looking up agreement {address}"))?;
            return if escrow.known { Ok(address) } else { Err(IdError::Unknown { text: text.to_owned() }.into()) };
        }
        let logs = self.logs_since_deployment(&self.bought_filter()).await?;
        let topic = |log: &Log, i: usize| log.topics().get(i).map(|word| Address::from_word(*word));
        let own: Vec<Address> = logs
            .iter()
            .filter(|log| account.is_some() && topic(log, 2) == account)
            .filter_map(|log| topic(log, 1))
            .collect();
        // One's own agreements first: a stranger's purchase must not make an id ambiguous that was fine yesterday.
        if let Ok(address) = match_prefix(text, &own) {
            return Ok(address);
        }
        let all: Vec<Address> = logs.iter().filter_map(|log| topic(log, 1)).collect();
        Ok(match_prefix(text, &all)?)
    }

    /// The newest agreement that `client` bought.
    ///
    /// # Errors
    /// When the chain cannot be read.
    pub async fn newest_purchase(&self, client: Address) -> Result<Option<Address>, ReadError> {
        let logs = self.logs_since_deployment(&self.bought_filter().topic2(client)).await?;
        Ok(logs.last().and_then(|log| log.topics().get(1)).map(|word| Address::from_word(*word)))
    }

    /// The purchase of an agreement.
    ///
    /// # Errors
    /// See [`FindError`].
    pub async fn purchase_of(&self, agreement: Address) -> Result<Purchase, FindError> {
        let logs = self.logs_since_deployment(&self.bought_filter().topic1(agreement)).await?;
        let Some(log) = logs.first() else {
            return Err(IdError::Unknown { text: agreement.to_string() }.into());
        };
        let times = self.times(&logs).await?;
        purchase(log, &times).map_err(|source| FindError::Spec { agreement, source })
    }

    /// Where an agreement stands now.
    ///
    /// # Errors
    /// See [`FindError`].
    pub async fn standing(&self, agreement: Address) -> Result<Standing, FindError> {
        let view = self.compute(agreement).agreement().call().await;
        let view = view.doing(|| format!("reading agreement {agreement}"))?;
        let (status, ending) = (view.status, view.ending);
        Standing::from_view(&view).ok_or(FindError::UnknownStatus { agreement, status, ending })
    }

    /// Everything about an agreement.
    ///
    /// # Errors
    /// See [`FindError`].
    pub async fn details(&self, agreement: Address) -> Result<Details, FindError> {
        let purchase = self.purchase_of(agreement).await?;
        let standing = self.standing(agreement).await?;
        let events = self.events(agreement, purchase.block).await?;
        Ok(Details { purchase, standing, events })
    }

    /// What happened to an agreement since `from_block`, oldest first.
    ///
    /// # Errors
    /// When the chain cannot be read.
    pub async fn events(&self, agreement: Address, from_block: u64) -> Result<Vec<Seen>, ReadError> {
        let (head, _) = self.rpc().latest().await.doing(|| "reading the latest block".into())?;
        let logs = self.logs(&Filter::new().address(agreement), from_block, head).await?;
        let times = self.times(&logs).await?;
        Ok(logs.iter().filter_map(|log| seen(log, &times)).collect())
    }

    pub(crate) async fn logs_since_deployment(&self, filter: &Filter) -> Result<Vec<Log>, ReadError> {
        let (head, _) = self.rpc().latest().await.doing(|| "reading the latest block".into())?;
        self.logs(filter, self.deployment().deployed_block, head).await
    }

    fn bought_filter(&self) -> Filter {
        Filter::new().address(self.deployment().dispatcher).event_signature(AgreementBought::SIGNATURE_HASH)
    }
}

pub(crate) fn seen(log: &Log, times: &std::collections::HashMap<u64, u64>) -> Option<Seen> {
    let block = log.block_number?;
    let time = times.get(&block).copied().unwrap_or_default();
    Some(Seen { progress: Progress::from_log(log.data())?, block, time, tx: log.transaction_hash? })
}

fn purchase(log: &Log, times: &std::collections::HashMap<u64, u64>) -> Result<Purchase, SpecError> {
    let event = AgreementBought::decode_log_data(log.data()).map_err(|e| SpecError::NotAbi(e.to_string()))?;
    if event.kindId != KIND_COMPUTE {
        let found = event.kindId.to_string();
        return Err(SpecError::Field { field: "kind", found, expected: "0 (compute)" });
    }
    let block = log.block_number.unwrap_or_default();
    Ok(Purchase {
        address: event.agreement,
        client: event.client,
        class_id: event.classId,
        budget: U256::from(event.budget).to(),
        terms: ComputeTerms::unpack(&event.terms)?,
        spec: ComputeSpec::decode(&event.spec)?,
        block,
        time: times.get(&block).copied().unwrap_or_default(),
        tx: log.transaction_hash.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::primitives::address;

    #[test]
    fn prefixes_name_exactly_one() {
        let a = address!("0x1234567890abcdef1234567890abcdef12345678");
        let b = address!("0x1234aaaa90abcdef1234567890abcdef12345678");
        let known = [a, b];
        assert_eq!(match_prefix("0x12345", &known), Ok(a));
        assert_eq!(match_prefix("1234AA", &known), Ok(b));
        assert_eq!(match_prefix(&a.to_string(), &known), Ok(a));
        assert!(matches!(match_prefix("0x1234", &known), Err(IdError::Ambiguous { count: 2, .. })));
        assert!(matches!(match_prefix("0xffff", &known), Err(IdError::Unknown { .. })));
        for bad in ["0x123", "", "xyzw", "0x1234567890abcdef1234567890abcdef123456789"] {
            assert!(matches!(match_prefix(bad, &known), Err(IdError::NotAnId { .. })), "{bad}");
        }
        let text = match_prefix("1234", &known).unwrap_err().to_string();
        assert!(text.contains("beginning of 2 agreements (0x1234"), "{text}");
    }
}
