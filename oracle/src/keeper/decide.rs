//! What is to be done for an agreement, as a pure function of what the contract says and of chain time.
use sunwork_protocol::status::Status;

/// What the contract says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Status as of the last block.
    pub status: Status,
    /// When `expire` may move it on, Unix seconds; 0 for never.
    pub deadline: u64,
    /// When the claim window closes, Unix seconds; 0 while that is open.
    pub closes_at: u64,
    /// Unix time of its beacon round, once that can be proven or is recorded. Only looked at in `Sealed`: from then on drawn
    /// workers may claim, and the first claim opens the draw. That needs a ticket of the first step, so it is opened by
    /// `openDraw` when nobody claims: only an open window widens.
    pub round_time: Option<u64>,
    /// Whether the votes can be counted. Only looked at in `Opening`.
    pub count: Count,
}

/// How far the openings of a round are. The last opening counts the votes itself where it can; it cannot where the round of
/// the late audit's lot is not recorded yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Somebody has not opened.
    NotYet,
    /// All have; the lot's beacon round has not come, or others record it.
    WaitsForLot,
    /// All have; this block's header proves the lot's round.
    ProveLot(u64),
    /// All is there.
    Ready,
}

/// A transaction to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Poke {
    /// `expire()`
    Expire,
    /// `openDraw(proof)`
    OpenDraw,
    /// `record(block, header)` at the beacon
    ProveLot(u64),
    /// `decide()`
    Decide,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Send this now.
    Poke(Poke),
    /// Look again at this chain time, or when something happens; `u64::MAX` for the latter only.
    LookAgain(u64),
}

/// Decides at chain time `now`; others get `grace_secs` to act first.
pub fn decide(standing: &Standing, now: u64, grace_secs: u64) -> Next {
    if standing.status.is_final() || standing.deadline == 0 {
        return Next::LookAgain(u64::MAX);
    }
    // The contract wants to be past the deadline, not at it.
    let expires_at = standing.deadline.saturating_add(grace_secs).saturating_add(1);
    if expires_at <= now {
        return Next::Poke(Poke::Expire);
    }
    match (standing.status, standing.round_time) {
        (Status::Sealed, Some(time)) if time.saturating_add(grace_secs) <= now => Next::Poke(Poke::OpenDraw),
        (Status::Sealed, Some(time)) => Next::LookAgain(expires_at.min(time.saturating_add(grace_secs))),
        (Status::Opening, _) => match standing.count {
            Count::Ready => Next::Poke(Poke::Decide),
            Count::ProveLot(block) => Next::Poke(Poke::ProveLot(block)),
            Count::WaitsForLot => Next::LookAgain(now),
            Count::NotYet => Next::LookAgain(expires_at),
        },
        // The round's block comes in its own time, which no clock knows.
        (Status::Sealed, None) => Next::LookAgain(now),
        // A window that closes brings another status with another deadline, without any transaction.
        (Status::Drawing, _) if standing.closes_at > now => Next::LookAgain(expires_at.min(standing.closes_at)),
        (Status::Drawing, _) if standing.closes_at > 0 => Next::LookAgain(now),
        _ => Next::LookAgain(expires_at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1000;

    fn at(status: Status, deadline: u64) -> Standing {
        Standing { status, deadline, closes_at: 0, round_time: None, count: Count::NotYet }
    }

    #[test]
    fn deadlines_are_poked_after_the_grace_and_not_before() {
        for status in Status::ALL.iter().copied().filter(|status| !status.is_final()) {
            assert_eq!(decide(&at(status, 994), NOW, 5), Next::Poke(Poke::Expire), "{status}");
            assert!(matches!(decide(&at(status, 995), NOW, 5), Next::LookAgain(_)), "{status}");
        }
        assert_eq!(decide(&at(Status::Working, 996), NOW, 5), Next::LookAgain(1002));
    }

    #[test]
    fn what_has_ended_is_left_alone() {
        for standing in [at(Status::Settled, 1), at(Status::Cancelled, 1), at(Status::Open, 0)] {
            assert_eq!(decide(&standing, NOW, 5), Next::LookAgain(u64::MAX));
        }
    }

    #[test]
    fn rounds_are_proven_after_the_grace() {
        let sealed = |round_time| Standing { round_time, ..at(Status::Sealed, 2000) };
        assert_eq!(decide(&sealed(None), NOW, 5), Next::LookAgain(NOW));
        assert_eq!(decide(&sealed(Some(996)), NOW, 5), Next::LookAgain(1001));
        assert_eq!(decide(&sealed(Some(995)), NOW, 5), Next::Poke(Poke::OpenDraw));
        // Too late for a draw: the dead end goes first.
        let late = Standing { round_time: Some(900), ..at(Status::Sealed, 990) };
        assert_eq!(decide(&late, NOW, 5), Next::Poke(Poke::Expire));
        // Only in `Sealed`.
        let working = Standing { round_time: Some(900), ..at(Status::Working, 2000) };
        assert_eq!(decide(&working, NOW, 5), Next::LookAgain(2006));
    }

    #[test]
    fn votes_are_counted_when_all_are_in() {
        let opening = |count| Standing { count, ..at(Status::Opening, 2000) };
        assert_eq!(decide(&opening(Count::Ready), NOW, 5), Next::Poke(Poke::Decide));
        assert_eq!(decide(&opening(Count::ProveLot(7)), NOW, 5), Next::Poke(Poke::ProveLot(7)));
        assert_eq!(decide(&opening(Count::WaitsForLot), NOW, 5), Next::LookAgain(NOW));
        assert_eq!(decide(&opening(Count::NotYet), NOW, 5), Next::LookAgain(2006));
        let revealing = Standing { count: Count::Ready, ..at(Status::Revealing, 2000) };
        assert_eq!(decide(&revealing, NOW, 5), Next::LookAgain(2006));
    }

    #[test]
    fn a_closing_window_is_looked_at_again() {
        let drawing = |closes_at| Standing { closes_at, ..at(Status::Drawing, 2000) };
        assert_eq!(decide(&drawing(1100), NOW, 5), Next::LookAgain(1100));
        assert_eq!(decide(&drawing(0), NOW, 5), Next::LookAgain(2006));
        assert_eq!(decide(&drawing(900), NOW, 5), Next::LookAgain(NOW));
    }
}
