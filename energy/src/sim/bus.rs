//! A simulated I2C bus: devices at addresses, and the faults of real buses.
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use embedded_hal::i2c::{ErrorKind, ErrorType, I2c, NoAcknowledgeSource, Operation};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// A device on the simulated bus.
pub trait SimDevice: Send {
    /// The master writes.
    ///
    /// # Errors
    /// As the device would fail.
    fn write(&mut self, bytes: &[u8]) -> Result<(), ErrorKind>;
    /// The master reads.
    ///
    /// # Errors
    /// As the device would fail.
    fn read(&mut self, out: &mut [u8]) -> Result<(), ErrorKind>;
}

/// A device that the test keeps a hand on.
pub type Shared<D> = Arc<Mutex<D>>;

/// Puts a device where both the bus and the test reach it.
pub fn shared<D>(device: D) -> Shared<D> {
    Arc::new(Mutex::new(device))
}

/// Locks; a panic of another holder does not spread.
pub fn lock<D: ?Sized>(device: &Mutex<D>) -> MutexGuard<'_, D> {
    device.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<D: SimDevice> SimDevice for Shared<D> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), ErrorKind> {
        lock(self).write(bytes)
    }
    fn read(&mut self, out: &mut [u8]) -> Result<(), ErrorKind> {
        lock(self).read(out)
    }
}

/// What goes wrong on the bus; chances in parts per million of a transfer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// The device does not acknowledge.
    pub nack_ppm: u32,
    /// One bit of what is read is flipped.
    pub flip_read_ppm: u32,
    /// One bit of what is written (not the register number) is flipped.
    pub flip_write_ppm: u32,
    /// A line is held low: nothing works.
    pub stuck: bool,
    /// The power of everything goes after so many transfers from now: later ones are not acknowledged.
    pub power_fails_after: Option<u64>,
}

struct Inner {
    devices: BTreeMap<u8, Box<dyn SimDevice>>,
    faults: Faults,
    rng: StdRng,
    reads: BTreeMap<(u8, u8), u64>,
}

/// A bus; clones are the same bus.
#[derive(Clone)]
pub struct SimBus(Arc<Mutex<Inner>>);

impl std::fmt::Debug for SimBus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SimBus").field(&lock(&self.0).devices.keys()).finish()
    }
}

impl SimBus {
    /// An empty bus; `seed` drives its faults.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            devices: BTreeMap::new(),
            faults: Faults::default(),
            rng: StdRng::seed_from_u64(seed),
            reads: BTreeMap::new(),
        })))
    }

    /// Puts a device at an address.
    pub fn attach(&self, address: u8, device: impl SimDevice + 'static) {
        lock(&self.0).devices.insert(address, Box::new(device));
    }

    /// Takes a device off.
    pub fn detach(&self, address: u8) {
        lock(&self.0).devices.remove(&address);
    }

    /// Sets what goes wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        lock(&self.0).faults = faults;
    }

    /// How often `register` of a device was addressed for reading.
    #[must_use]
    pub fn reads(&self, address: u8, register: u8) -> u64 {
        lock(&self.0).reads.get(&(address, register)).copied().unwrap_or(0)
    }
}

impl Inner {
    fn transfer(&mut self, address: u8, operation: &mut Operation<'_>) -> Result<(), ErrorKind> {
        let absent = ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address);
        if self.faults.stuck {
            return Err(ErrorKind::Bus);
        }
        if let Some(left) = &mut self.faults.power_fails_after {
            *left = left.checked_sub(1).ok_or(absent)?;
        }
        let hit = |rng: &mut StdRng, ppm: u32| ppm > 0 && rng.random_ratio(ppm.min(1_000_000), 1_000_000);
        if hit(&mut self.rng, self.faults.nack_ppm) {
            return Err(ErrorKind::NoAcknowledge(NoAcknowledgeSource::Unknown));
        }
        let device = self.devices.get_mut(&address).ok_or(absent)?;
        match operation {
            Operation::Write(bytes) => {
                let mut bytes = bytes.to_vec();
                if bytes.len() > 1 && hit(&mut self.rng, self.faults.flip_write_ppm) {
                    let at = self.rng.random_range(1..bytes.len());
                    bytes[at] ^= 1 << self.rng.random_range(0..8);
                }
                device.write(&bytes)
            }
            Operation::Read(out) => {
                device.read(out)?;
                if !out.is_empty() && hit(&mut self.rng, self.faults.flip_read_ppm) {
                    let at = self.rng.random_range(0..out.len());
                    out[at] ^= 1 << self.rng.random_range(0..8);
                }
                Ok(())
            }
        }
    }
}

impl ErrorType for SimBus {
    type Error = ErrorKind;
}

impl I2c for SimBus {
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), ErrorKind> {
        let mut inner = lock(&self.0);
        if let [Operation::Write([register]), Operation::Read(_)] = operations {
            *inner.reads.entry((address, *register)).or_default() += 1;
        }
        operations.iter_mut().try_for_each(|operation| inner.transfer(address, operation))
    }
}
