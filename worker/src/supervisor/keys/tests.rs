use super::*;

const KEY: SessionKey = SessionKey::from_bytes([7; 32]);

fn here() -> envelope::Context {
    envelope::Context { purpose: Purpose::VerifierKey, chain_id: 1, agreement: Address::repeat_byte(1), attempt: 1 }
}

fn me() -> SecretKey {
    SecretKey::derive(&[1; 32])
}

fn sealed(to: &SecretKey, context: &envelope::Context, key: &SessionKey) -> Vec<u8> {
    envelope::seal_key(to.public(), context, key, [9; 32]).unwrap()
}

fn from(by_worker: bool, bodies: &[&[u8]]) -> Vec<(bool, Message)> {
    let message = |body: &&[u8]| Message::new(here().agreement, me().public(), TOPIC_KEY, 0, body.to_vec()).unwrap();
    bodies.iter().map(|body| (by_worker, message(body))).collect()
}

fn picked(bodies: &[&[u8]]) -> Picked {
    pick(&me(), &here(), KEY.commitment(), from(true, bodies).into_iter())
}

#[test]
fn the_key_is_found_among_junk_and_an_empty_mailbox_is_no_fault() {
    let good = sealed(&me(), &here(), &KEY);
    assert_eq!(picked(&[]), Picked::Nothing);
    assert_eq!(picked(&[&good]), Picked::Key(good.clone().into()));
    assert_eq!(picked(&[b"", &[0; 16_384], b"junk", &good]), Picked::Key(good.into()));
}

#[test]
fn a_good_key_counts_whoever_sent_it_and_a_bad_one_is_only_the_workers_fault() {
    let good = sealed(&me(), &here(), &KEY);
    let bad = sealed(&me(), &here(), &SessionKey::from_bytes([8; 32]));
    let both = |worker: &[&[u8]], client: &[&[u8]]| {
        let inbox = from(true, worker).into_iter().chain(from(false, client));
        pick(&me(), &here(), KEY.commitment(), inbox)
    };
    assert_eq!(both(&[&bad], &[&good]), Picked::Key(good.clone().into()), "the client helps where the worker does not");
    assert_eq!(both(&[], &[&good]), Picked::Key(good.into()));
    assert_eq!(both(&[], &[&bad]), Picked::Nothing, "a client cannot put a worker in the wrong");
    assert!(matches!(both(&[&bad], &[&bad]), Picked::Wrong(_)));
}

#[test]
fn whatever_is_not_the_key_that_the_terms_commit_to_is_wrong() {
    let other = SessionKey::from_bytes([8; 32]);
    let rewrapped = sealed(&me(), &here(), &other);
    let wrong = Picked::Wrong(EnvelopeError::Commitment { found: other.commitment(), expected: KEY.commitment() });
    assert_eq!(picked(&[&rewrapped]), wrong);
    // The key that everybody has commits to nothing.
    assert!(matches!(
        picked(&[&sealed(&me(), &here(), &SessionKey::PUBLIC)]),
        Picked::Wrong(EnvelopeError::Commitment { .. })
    ));
    let mut flipped = sealed(&me(), &here(), &KEY);
    flipped[60] ^= 1;
    let elsewhere = [
        flipped,
        sealed(&SecretKey::derive(&[2; 32]), &here(), &KEY),
        sealed(&me(), &envelope::Context { agreement: Address::ZERO, ..here() }, &KEY),
        sealed(&me(), &envelope::Context { chain_id: 2, ..here() }, &KEY),
        // What the client posted for the worker is no message to a verifier.
        sealed(&me(), &envelope::Context { purpose: Purpose::WorkerKey, ..here() }, &KEY),
    ];
    for body in elsewhere {
        assert_eq!(picked(&[&body]), Picked::Wrong(EnvelopeError::Open));
    }
    let short = envelope::seal(me().public(), &here(), b"key", [9; 32]).unwrap();
    assert_eq!(picked(&[&short]), Picked::Wrong(EnvelopeError::KeyLength { found: 3 }));
}
