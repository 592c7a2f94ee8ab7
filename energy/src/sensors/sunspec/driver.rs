//! Finding the models of a device and polling them.
use std::future::Future;

use super::decode::{Reading, decode};
use crate::sensors::counter::{EpochCounter, Step};
use crate::sensors::{Fault, Flow, Measured, Report, SensorState, Stamp};
use crate::units::{MilliWattHours, MonoMillis};

/// Where "SunS" may stand.
const BASES: [u16; 3] = [40_000, 50_000, 0];
const SUNS: [u16; 2] = [0x5375, 0x6E53];
const END: u16 = 0xFFFF;
const MAX_MODELS: usize = 64;
/// Modbus allows 125 registers in one read.
const MAX_READ: u16 = 125;
/// A model 160 with 16 inputs is 330 registers long.
const MAX_LENGTH: u16 = 400;

/// Where registers come from.
pub trait HoldingRegisters {
    /// Reads up to 125 registers.
    fn read(&mut self, address: u16, count: u16) -> impl Future<Output = Result<Vec<u16>, Fault>> + Send;
}

/// A model of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Model {
    /// Identity, for example 103.
    pub id: u16,
    /// Register of the identity.
    pub address: u16,
    /// Registers after identity and length.
    pub length: u16,
}

/// Lists the models of a device.
///
/// # Errors
/// [`Fault::WrongDevice`] where "SunS" stands at none of the known places; or of the connection.
pub async fn scan(registers: &mut impl HoldingRegisters) -> Result<Vec<Model>, Fault> {
    let mut found = 0;
    for base in BASES {
        let mark = match registers.read(base, 2).await {
            Ok(mark) => mark,
            // A device answers "illegal address" for a place that it does not have.
            Err(Fault::Corrupt { .. }) => continue,
            Err(fault) => return Err(fault),
        };
        if mark == SUNS {
            return models(registers, base + 2).await;
        }
        found = mark.first().copied().unwrap_or(0);
    }
    Err(Fault::WrongDevice { found: u32::from(found), expected: 0x5375_6E53 })
}

async fn models(registers: &mut impl HoldingRegisters, mut address: u16) -> Result<Vec<Model>, Fault> {
    let mut models = Vec::new();
    while models.len() < MAX_MODELS {
        let head = registers.read(address, 2).await?;
        let [id, length] = head[..] else { return Err(Fault::corrupt("a model without a head")) };
        if id == END {
            return Ok(models);
        }
        models.push(Model { id, address, length });
        let next = address.checked_add(2).and_then(|a| a.checked_add(length));
        address = next.ok_or_else(|| Fault::corrupt("models beyond the last register"))?;
    }
    Err(Fault::corrupt(format!("more than {MAX_MODELS} models")))
}

/// One device. The owner saves the counter.
#[derive(Debug)]
pub struct SunSpec<R> {
    registers: R,
    models: Option<Vec<Model>>,
    counter: EpochCounter,
    most_wh_per_second: u64,
}

impl<R: HoldingRegisters> SunSpec<R> {
    /// A device on a plant of at most `max_watts`; `counter` as saved.
    pub fn new(registers: R, max_watts: u32, counter: EpochCounter) -> Self {
        Self { registers, models: None, counter, most_wh_per_second: u64::from(max_watts).div_ceil(3600).max(1) }
    }

    /// To be saved.
    pub const fn counter(&self) -> &EpochCounter {
        &self.counter
    }

    /// Asks the device once.
    pub async fn poll(&mut self, at: Stamp) -> Report {
        let result = self.sample(at.mono).await;
        if result.is_err() {
            // It may come back as another device, or with other models.
            self.models = None;
        }
        Report::from_result(at, result)
    }

    async fn sample(&mut self, at: MonoMillis) -> Result<(SensorState, Vec<Measured>), Fault> {
        let models = match self.models.take() {
            Some(models) => models,
            None => scan(&mut self.registers).await?,
        };
        // Panel inputs are nearer to the panel than the inverter; only one of them is production.
        let has_inputs = models.iter().any(|m| m.id == 160);
        let wanted = |m: &&Model| matches!((m.id, has_inputs), (160 | 802, _) | (101..=103, false));
        let mut measured = Vec::new();
        let mut state = SensorState::Ok;
        for model in models.iter().filter(wanted) {
            let reading = self.model(*model).await?;
            measured.extend(reading.measured);
            if let Some(wh) = reading.produced_wh {
                if self.counter.observe(wh, at, self.most_wh_per_second) == Step::NewEpoch {
                    state = SensorState::Reset { epoch: self.counter.epoch() };
                }
                let total = i64::try_from(self.counter.total()).unwrap_or(i64::MAX).saturating_mul(1000);
                let (flow, epoch) = (Flow::Production, self.counter.epoch());
                measured.push(Measured::Energy { flow, epoch, total: MilliWattHours(total) });
            }
        }
        self.models = Some(models);
        if measured.is_empty() {
            return Err(Fault::corrupt("the device has none of the models 101 to 103, 160, 802"));
        }
        Ok((state, measured))
    }

    async fn model(&mut self, model: Model) -> Result<Reading, Fault> {
        let total = model.length.min(MAX_LENGTH) + 2;
        let mut words = Vec::with_capacity(usize::from(total));
        while words.len() < usize::from(total) {
            let done = words.len() as u16;
            let count = (total - done).min(MAX_READ);
            let part = self.registers.read(model.address.saturating_add(done), count).await?;
            if part.len() != usize::from(count) {
                return Err(Fault::corrupt("fewer registers than asked for"));
            }
            words.extend(part);
        }
        if words.first() != Some(&model.id) {
            return Err(Fault::corrupt("the models have moved"));
        }
        decode(&words)
    }
}
