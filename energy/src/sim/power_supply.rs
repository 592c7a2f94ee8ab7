//! Attributes of a kernel power supply, held in memory.
use std::collections::BTreeMap;
use std::io;

use crate::sensors::power_supply::Attributes;

/// The supply.
#[derive(Clone, Debug, Default)]
pub struct SimPowerSupply {
    files: BTreeMap<String, String>,
    failing: bool,
}

impl SimPowerSupply {
    /// A supply with these files.
    #[must_use]
    pub fn new(files: &[(&str, &str)]) -> Self {
        let files = files.iter().map(|(name, text)| ((*name).into(), (*text).into())).collect();
        Self { files, failing: false }
    }

    /// A supply whose device is gone: every read fails, as the kernel does it (`ENODEV`).
    #[must_use]
    pub fn failing() -> Self {
        Self { failing: true, ..Self::default() }
    }

    /// Sets a file.
    pub fn set(&mut self, name: &str, text: impl ToString) {
        self.files.insert(name.into(), text.to_string());
    }
}

impl Attributes for SimPowerSupply {
    fn get(&self, name: &str) -> io::Result<Option<String>> {
        if self.failing {
            return Err(io::Error::other("no such device"));
        }
        Ok(self.files.get(name).cloned())
    }
}
