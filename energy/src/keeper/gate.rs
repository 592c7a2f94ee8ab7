//! Whether a piece of work may be promised, between two looks at the energy: a snapshot that answers without the forecaster.
use super::{Mode, Trouble, mode::Why};
use crate::{
    forecast::Forecaster,
    plan::{
        Admission, Commitment,
        admission::{Path, low_harvest},
        model::{Battery, Board, RESERVE_HOURS},
    },
    units::{MilliWattHours, UnixSeconds},
};

/// Half hours that are looked ahead; beyond them no sun is counted on.
const SLOTS: i64 = 4 * 48;

/// The snapshot.
#[derive(Clone, Debug)]
pub struct Gate {
    battery: Battery,
    board: Board,
    now: UnixSeconds,
    charge: MilliWattHours,
    kept: MilliWattHours,
    path: Vec<MilliWattHours>,
    promises: Vec<Commitment>,
    closed: Option<Trouble>,
    mode: Mode,
    why: String,
}

/// Why it may not be promised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denied {
    /// A named state forbids it.
    State(Trouble),
    /// Nothing new is taken now.
    Held {
        /// What the worker does.
        mode: Mode,
        /// Why.
        why: String,
        /// Charge less its bound.
        charge: MilliWattHours,
        /// The reserve.
        reserve: MilliWattHours,
    },
    /// It needs more than can be spared above the reserve.
    Reserve {
        /// Asked for.
        needs: MilliWattHours,
        /// Could be promised until the deadline.
        spare: MilliWattHours,
        /// The deadline.
        until: UnixSeconds,
        /// How long the reserve lasts at base load, hours.
        reserve_hours: u32,
    },
    /// Not even at full power, after what is promised already.
    TooLate {
        /// Work at full power, with what is promised already, seconds.
        needed_secs: u64,
        /// Until the deadline, seconds.
        left_secs: u64,
    },
}

/// What a snapshot is taken of.
pub struct Parts<'a> {
    /// The battery and the board.
    pub hardware: (&'a Battery, &'a Board),
    /// The forecast.
    pub forecaster: &'a Forecaster,
    /// Now.
    pub now: UnixSeconds,
    /// Charge less its bound.
    pub charge: MilliWattHours,
    /// Kept for sleep in a long darkness: not to be promised.
    pub kept: MilliWattHours,
    /// What is promised.
    pub promises: Vec<Commitment>,
    /// What forbids everything.
    pub closed: Option<Trouble>,
    /// What the worker does.
    pub mode: Mode,
    /// Why.
    pub why: &'a Why,
}

impl Gate {
    /// Looks ahead once.
    #[must_use]
    pub fn new(parts: Parts<'_>) -> Self {
        let (battery, board) = (*parts.hardware.0, *parts.hardware.1);
        let path = (0..SLOTS).map(|slot| low_harvest(parts.forecaster, parts.now, slot)).collect();
        let Parts { now, charge, kept, promises, closed, mode, why, .. } = parts;
        Self { battery, board, now, charge, kept, path, promises, closed, mode, why: why.to_string() }
    }

    /// The same sun, with the charge, the promises and the mode of now.
    pub(super) fn refresh(&mut self, parts: Parts<'_>) {
        let Parts { charge, kept, promises, closed, mode, why, .. } = parts;
        (self.charge, self.kept) = (charge, kept);
        (self.promises, self.closed, self.mode) = (promises, closed, mode);
        self.why = why.to_string();
    }

    /// When it looked ahead.
    #[must_use]
    pub const fn now(&self) -> UnixSeconds {
        self.now
    }

    /// Whether anything new is taken, whatever it is.
    ///
    /// # Errors
    /// Why not.
    pub fn open(&self) -> Result<(), Denied> {
        if let Some(trouble) = &self.closed {
            return Err(Denied::State(trouble.clone()));
        }
        if self.mode.takes_new() {
            return Ok(());
        }
        let (mode, why, charge) = (self.mode, self.why.clone(), self.charge);
        Err(Denied::Held { mode, why, charge, reserve: self.reserve() })
    }

    /// Whether this may be promised. What is promised already comes off first.
    ///
    /// # Errors
    /// Why not.
    pub fn ask(&self, asked: &Commitment) -> Result<(), Denied> {
        self.ask_beside(asked, &[])
    }

    /// The same, with what was promised since the last look.
    ///
    /// # Errors
    /// Why not.
    pub fn ask_beside(&self, asked: &Commitment, since: &[Commitment]) -> Result<(), Denied> {
        self.open()?;
        let promises = [&self.promises, since].concat();
        let path = Path { promises: &promises, ..self.along() };
        // Thousandths of an hour as seconds, upwards where it counts against the work.
        let secs = |millihours: i64| (millihours.max(0).unsigned_abs() * 18).div_ceil(5);
        match path.admit(asked) {
            Admission::Accepted { .. } => return Ok(()),
            Admission::TooLate { needed_millihours, left_millihours } => {
                return Err(Denied::TooLate { needed_secs: secs(needed_millihours), left_secs: secs(left_millihours) });
            }
            _ => {}
        }
        Err(Denied::Reserve {
            needs: asked.energy,
            spare: path.spare(asked.deadline),
            until: asked.deadline,
            reserve_hours: RESERVE_HOURS as u32,
        })
    }

    /// Most that may be promised until a deadline.
    #[must_use]
    pub fn spare(&self, deadline: UnixSeconds) -> MilliWattHours {
        self.along().spare(deadline)
    }

    /// Charge below which nothing is promised.
    #[must_use]
    pub fn reserve(&self) -> MilliWattHours {
        MilliWattHours((self.battery.reserve_wh(&self.board) * 1000.0).round() as i64) + self.kept
    }

    fn along(&self) -> Path<'_> {
        let Self { battery, board, now, charge, promises, .. } = self;
        let charge = *charge - self.kept;
        Path { battery, board, now: *now, charge, harvest: &self.path[..], promises }
    }
}
