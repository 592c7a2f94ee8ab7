//! What is to be done for an agreement, as a pure function.
use std::fmt;

use alloy::primitives::{Address, B256};
use sunwork_protocol::{
    envelope::{Context, Purpose, seal},
    status::Status,
};

/// What the chain says, all at one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// Status of the agreement.
    pub status: Status,
    /// Its attempt.
    pub attempt: u8,
    /// The worker that waits for the key.
    pub worker: Address,
    /// Last moment for the key, Unix seconds.
    pub deadline: u64,
    /// Time of the block, Unix seconds.
    pub now: u64,
    /// Whom the client has named as its key agent.
    pub key_agent: Address,
    /// The worker's published key.
    pub worker_key: B256,
}

/// The session key as far as it is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// The client has not mailed it.
    Missing,
    /// What it mailed is not the key of the terms.
    Useless(String),
    /// It is the one that the terms commit to.
    Good,
}

/// What is known here: by the index, the configuration, the mailbox and the agent's own records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The agent's account.
    pub me: Address,
    /// Whether the operator serves this client.
    pub is_served: bool,
    /// The client's key agent by the index.
    pub key_agent: Option<Address>,
    /// Attempt by the index.
    pub attempt: u8,
    /// Worker by the index.
    pub worker: Option<Address>,
    /// Blocks on top of the acceptance.
    pub confirmations: u64,
    /// How many there must be.
    pub needed_confirmations: u64,
    /// The session key.
    pub key: KeyState,
    /// Other posts for this client within a day.
    pub posts_of_day: u64,
    /// How many there may be.
    pub max_posts_of_day: u64,
}

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing here speaks against it: ask the chain, and decide again with its answer.
    AskChain,
    /// Seal the key to the worker and post it.
    Post,
    /// Post an empty envelope: nothing can be sealed to the worker, which has withdrawn its key or published none that is a
    /// key. Without any post the work would end as if the client had failed.
    PostEmpty,
    /// Not yet.
    Wait(Waiting),
    /// Not ours.
    Leave,
}

/// What is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// The client's message.
    Message,
    /// Another message of the client.
    OtherKey(String),
    /// The next day.
    Cap(u64),
    /// Blocks.
    Confirmations,
    /// Index and chain say different things.
    Agreement,
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message => f.write_str("the client has not mailed the session key"),
            Self::OtherKey(why) => write!(f, "the client's message holds no key that may be posted: {why}"),
            Self::Cap(max) => write!(f, "{max} keys were posted for this client within a day, which is the limit here"),
            Self::Confirmations => f.write_str("the acceptance needs more blocks on top"),
            Self::Agreement => f.write_str("index and chain name different workers"),
        }
    }
}

/// Decides; without a view only whether the chain is worth asking.
pub fn decide(known: &Known, view: Option<&View>) -> Next {
    if !known.is_served || known.key_agent != Some(known.me) {
        return Next::Leave;
    }
    // The chain's word is the one that counts.
    if let Some(view) = view {
        if view.status != Status::Keying || view.key_agent != known.me || view.now > view.deadline {
            return Next::Leave;
        }
        if view.attempt != known.attempt || Some(view.worker) != known.worker {
            return Next::Wait(Waiting::Agreement);
        }
    }
    match &known.key {
        KeyState::Missing => return Next::Wait(Waiting::Message),
        KeyState::Useless(why) => return Next::Wait(Waiting::OtherKey(why.clone())),
        KeyState::Good => {}
    }
    if known.posts_of_day >= known.max_posts_of_day {
        return Next::Wait(Waiting::Cap(known.max_posts_of_day));
    }
    if known.confirmations < known.needed_confirmations {
        return Next::Wait(Waiting::Confirmations);
    }
    match view {
        None => Next::AskChain,
        Some(view) if is_usable(view.worker_key) => Next::Post,
        Some(_) => Next::PostEmpty,
    }
}

/// Whether something can be sealed to this key.
pub(super) fn is_usable(key: B256) -> bool {
    let context = Context { purpose: Purpose::WorkerKey, chain_id: 0, agreement: Address::ZERO, attempt: 0 };
    // Fixed randomness will do: the result is thrown away.
    !key.is_zero() && seal(key, &context, &[], [1; 32]).is_ok()
}

#[cfg(test)]
mod tests {
    use sunwork_protocol::envelope::SecretKey;

    use super::*;

    const ME: Address = Address::repeat_byte(1);
    const WORKER: Address = Address::repeat_byte(2);
    const OTHER: Address = Address::repeat_byte(3);

    fn known() -> Known {
        Known {
            me: ME,
            is_served: true,
            key_agent: Some(ME),
            attempt: 1,
            worker: Some(WORKER),
            confirmations: 2,
            needed_confirmations: 2,
            key: KeyState::Good,
            posts_of_day: 4,
            max_posts_of_day: 5,
        }
    }

    fn view() -> View {
        View {
            status: Status::Keying,
            attempt: 1,
            worker: WORKER,
            deadline: 1000,
            now: 1000,
            key_agent: ME,
            worker_key: SecretKey::derive(&[7; 32]).public(),
        }
    }

    #[test]
    fn a_key_is_posted_only_when_everything_speaks_for_it() {
        assert_eq!(decide(&known(), None), Next::AskChain);
        assert_eq!(decide(&known(), Some(&view())), Next::Post);
    }

    #[test]
    fn what_is_known_here_keeps_it_back_before_the_chain_is_asked_and_after() {
        let useless = || KeyState::Useless("it hashes to something else".into());
        let cases = [
            (Known { is_served: false, ..known() }, Next::Leave),
            (Known { key_agent: None, ..known() }, Next::Leave),
            (Known { key_agent: Some(OTHER), ..known() }, Next::Leave),
            (Known { key: KeyState::Missing, ..known() }, Next::Wait(Waiting::Message)),
            (Known { key: useless(), ..known() }, Next::Wait(Waiting::OtherKey("it hashes to something else".into()))),
            (Known { posts_of_day: 5, ..known() }, Next::Wait(Waiting::Cap(5))),
            (Known { max_posts_of_day: 0, posts_of_day: 0, ..known() }, Next::Wait(Waiting::Cap(0))),
            (Known { confirmations: 1, ..known() }, Next::Wait(Waiting::Confirmations)),
        ];
        for (known, expected) in cases {
            assert_eq!(decide(&known, None), expected, "{known:?}");
            assert_eq!(decide(&known, Some(&view())), expected, "{known:?}");
        }
    }

    #[test]
    fn the_chain_has_the_last_word() {
        let cases = [
            (View { key_agent: OTHER, ..view() }, Next::Leave),
            (View { key_agent: Address::ZERO, ..view() }, Next::Leave),
            (View { now: 1001, ..view() }, Next::Leave),
            (View { attempt: 0, ..view() }, Next::Wait(Waiting::Agreement)),
            (View { attempt: 2, ..view() }, Next::Wait(Waiting::Agreement)),
            (View { worker: OTHER, ..view() }, Next::Wait(Waiting::Agreement)),
            (View { worker_key: B256::ZERO, ..view() }, Next::PostEmpty),
            // A point of small order: whatever is sealed to it, everybody can read.
            (View { worker_key: B256::right_padding_from(&[1]), ..view() }, Next::PostEmpty),
        ];
        for (view, expected) in cases {
            assert_eq!(decide(&known(), Some(&view)), expected, "{view:?}");
        }
        for status in Status::ALL.iter().copied().filter(|status| *status != Status::Keying) {
            let view = View { status, ..view() };
            assert_eq!(decide(&known(), Some(&view)), Next::Leave, "{status}");
            // Before anything else: of an agreement that has gone on no message is missed.
            assert_eq!(decide(&Known { key: KeyState::Missing, ..known() }, Some(&view)), Next::Leave);
        }
        // Nothing is posted for a worker without a key either, while the client's own key is not here.
        let missing = Known { key: KeyState::Missing, ..known() };
        let keyless = View { worker_key: B256::ZERO, ..view() };
        assert_eq!(decide(&missing, Some(&keyless)), Next::Wait(Waiting::Message));
    }
}
