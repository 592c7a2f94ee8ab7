//! What wakes the board: a trait, the Witty Pi behind it, and nothing.
use sunwork_energy::sensors::bus::I2c;
use sunwork_energy::{
    keeper::Waking,
    sensors::{
        Report, Sensor, Stamp,
        wittypi4::{GuaranteedWake, WittyPi4},
        wittypi5::WittyPi5,
    },
    units::UnixSeconds,
};

/// The second net: whatever the alarm does, the board is woken once a day.
pub const NET: GuaranteedWake = GuaranteedWake::Hours(24);

/// A device that switches the board on at a time.
pub trait Waker {
    /// Whether it could be relied on now.
    fn waking(&mut self) -> Waking;
    /// Sets the alarm and reads it back; what comes back is what the device holds.
    ///
    /// # Errors
    /// Why the board must stay on.
    fn set_wake(&mut self, at: UnixSeconds, now: UnixSeconds) -> Result<UnixSeconds, String>;
    /// The board is on its way down: for devices that must be told.
    ///
    /// # Errors
    /// Why the device may not know it.
    fn halting(&mut self) -> Result<(), String> {
        Ok(())
    }
}

/// Nothing wakes the board: it never sleeps.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nothing;

impl Waker for Nothing {
    fn waking(&mut self) -> Waking {
        Waking::None
    }

    fn set_wake(&mut self, _at: UnixSeconds, _now: UnixSeconds) -> Result<UnixSeconds, String> {
        Err(sunwork_energy::keeper::mode::NO_DEVICE.into())
    }
}

/// A Witty Pi 4 on a bus: thermometer and voltage as a sensor, alarm as a waker.
#[derive(Debug)]
pub struct WittyOn<I> {
    board: WittyPi4<I>,
    nets_set: bool,
    failed: Option<String>,
}

/// On a bus of the kernel's.
pub type Witty = WittyOn<super::sensors::Bus>;

impl<I: I2c> WittyOn<I> {
    /// A board that nobody has spoken with yet.
    pub const fn new(board: WittyPi4<I>) -> Self {
        Self { board, nets_set: false, failed: None }
    }

    /// Asks it as a sensor.
    pub fn poll(&mut self, at: Stamp) -> Report {
        self.board.poll(at)
    }
}

impl<I: I2c> Waker for WittyOn<I> {
    fn waking(&mut self) -> Waking {
        if !self.nets_set {
            match self.board.ensure_nets(NET) {
                Ok(()) => (self.nets_set, self.failed) = (true, None),
                Err(error) => self.failed = Some(error.to_string()),
            }
        }
        match &self.failed {
            Some(reason) => Waking::Failed(reason.clone()),
            None => Waking::Ready,
        }
    }

    fn set_wake(&mut self, at: UnixSeconds, now: UnixSeconds) -> Result<UnixSeconds, String> {
        match self.board.set_wake(at, now, NET) {
            Ok(set) => {
                self.failed = None;
                Ok(set.alarm())
            }
            Err(error) => {
                // The nets are looked at again before anything else is tried.
                (self.nets_set, self.failed) = (false, Some(error.to_string()));
                Err(error.to_string())
            }
        }
    }
}

/// A Witty Pi 5 on a bus. It has no guaranteed wake: what wakes it besides the alarm of a sleep is power that comes back, a watchdog,
/// and an alarm that is kept ahead.
#[derive(Debug)]
pub struct Witty5On<I> {
    board: WittyPi5<I>,
    failed: Option<String>,
}

/// On a bus of the kernel's.
pub type Witty5 = Witty5On<super::sensors::Bus>;

impl<I: I2c> Witty5On<I> {
    /// A board that nobody has spoken with yet.
    pub const fn new(board: WittyPi5<I>) -> Self {
        Self { board, failed: None }
    }

    /// Asks it as a sensor.
    pub fn poll(&mut self, at: Stamp) -> Report {
        self.board.poll(at)
    }
}

impl<I: I2c> Waker for Witty5On<I> {
    fn waking(&mut self) -> Waking {
        // A clock that tells no time cannot compare it with an alarm.
        self.failed = match self.board.clock() {
            Ok(Some(now)) => self.board.keep_nets(now).err().map(|error| error.to_string()),
            Ok(None) => Some("the clock of the Witty Pi 5 tells no time".into()),
            Err(fault) => Some(fault.to_string()),
        };
        // A beat that is lost is made good by the next look.
        let _ = self.board.heartbeat();
        self.failed.clone().map_or(Waking::Ready, Waking::Failed)
    }

    fn set_wake(&mut self, at: UnixSeconds, now: UnixSeconds) -> Result<UnixSeconds, String> {
        self.board.set_wake(at, now).map(|set| set.alarm()).map_err(|error| error.to_string())
    }

    fn halting(&mut self) -> Result<(), String> {
        self.board.announce_halt().map_err(|fault| fault.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sunwork_energy::{
        sensors::wittypi4::ADDRESS,
        sim::{
            bus::{Faults, SimBus, lock, shared},
            wittypi4::SimWittyPi4,
        },
        units::{MilliVolts, MonoMillis},
    };

    const NOW: UnixSeconds = UnixSeconds(1_780_272_000);

    #[test]
    fn an_alarm_is_set_read_back_and_wakes_the_board() {
        let bus = SimBus::new(1);
        let device = shared(SimWittyPi4::new(NOW, MilliVolts(13_000)));
        bus.attach(ADDRESS, device.clone());
        lock(&device).press_button();
        lock(&device).pi_is_up();
        let mut witty = WittyOn::new(WittyPi4::new(bus.clone(), ADDRESS, MonoMillis(0)));
        assert_eq!(witty.waking(), Waking::Ready);
        let wake = UnixSeconds(NOW.0 + 7200);
        assert_eq!(witty.set_wake(wake, NOW), Ok(wake));
        lock(&device).pi_halts();
        lock(&device).advance(7100);
        assert!(!lock(&device).pi_on());
        lock(&device).advance(110);
        assert!(lock(&device).pi_on());
    }

    #[test]
    fn a_witty_pi_5_wakes_the_board_and_is_relied_on_only_while_its_clock_goes() {
        use sunwork_energy::{sensors::wittypi5::ADDRESS, sim::wittypi5::SimWittyPi5};
        let bus = SimBus::new(1);
        let device = shared(SimWittyPi5::new(NOW));
        bus.attach(ADDRESS, device.clone());
        let mut witty = Witty5On::new(WittyPi5::new(bus.clone(), ADDRESS));
        assert_eq!(witty.waking(), Waking::Ready);
        let wake = UnixSeconds(NOW.0 + 7200);
        assert_eq!(witty.set_wake(wake, NOW), Ok(wake));
        lock(&device).halt();
        lock(&device).advance(7100);
        assert!(!lock(&device).pi_on());
        lock(&device).advance(110);
        assert!(lock(&device).pi_on());
        assert!(witty.set_wake(wake, NOW).unwrap_err().contains("clock"), "its clock is hours from ours now");
        bus.set_faults(Faults { stuck: true, ..Faults::default() });
        assert!(matches!(witty.waking(), Waking::Failed(_)));
        assert!(witty.set_wake(UnixSeconds(NOW.0 + 9000), NOW).is_err());
    }

    #[test]
    fn a_device_that_does_not_answer_keeps_the_board_awake_until_it_does() {
        let bus = SimBus::new(1);
        let device = shared(SimWittyPi4::new(NOW, MilliVolts(13_000)));
        bus.attach(ADDRESS, device);
        bus.set_faults(Faults { stuck: true, ..Faults::default() });
        let mut witty = WittyOn::new(WittyPi4::new(bus.clone(), ADDRESS, MonoMillis(0)));
        assert!(matches!(witty.waking(), Waking::Failed(_)));
        assert!(witty.set_wake(UnixSeconds(NOW.0 + 7200), NOW).unwrap_err().contains("bus"));
        bus.set_faults(Faults::default());
        assert_eq!(witty.waking(), Waking::Ready);
        assert_eq!(Nothing.waking(), Waking::None);
        assert!(Nothing.set_wake(NOW, NOW).is_err());
    }
}
