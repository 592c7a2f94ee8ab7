//! What of the energy survives a kill: rows of quarter hours (appended and synced), memory (each quarter hour), what was learned (each
//! hour). A file that cannot be read is named and kept aside; rows alone are enough to learn anew.
use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};
use sunwork_energy::{
    keeper::{Learned, Memory, Row, Start},
    units::UnixSeconds,
};

use super::sensors::Counters;
use crate::folder::write_durably;

/// Rows that a forecast is learned from when it must be: ninety days.
const REPLAYED: usize = 90 * 96;
/// Largest file that is read.
const MAX_BYTES: u64 = 32 << 20;

/// The folder `energy` of the data folder.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
}

impl Store {
    /// Made where it is missing. That of a simulation is another one, and begins empty: a simulation starts where its description says.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(data: &Path, simulated: bool) -> std::io::Result<Self> {
        let store = Self::of(data, simulated);
        if simulated && store.folder.exists() {
            std::fs::remove_dir_all(&store.folder)?;
        }
        std::fs::create_dir_all(&store.folder)?;
        Ok(store)
    }

    /// That of a simulation that goes on over restarts; with another description it begins empty.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn go_on(data: &Path, description: &str) -> std::io::Result<Self> {
        let store = Self::of(data, true);
        let known = store.folder.join("description");
        if std::fs::read_to_string(&known).is_ok_and(|text| text == description) {
            return Ok(store);
        }
        let store = Self::open(data, true)?;
        write_durably(&known, description.as_bytes())?;
        Ok(store)
    }

    /// That of a data folder, made or not; for reading.
    #[must_use]
    pub fn of(data: &Path, simulated: bool) -> Self {
        Self { folder: data.join(if simulated { "energy-simulated" } else { "energy" }) }
    }

    /// Everything that an earlier run left. What is damaged is kept aside.
    #[must_use]
    pub fn load(&self, now: i64) -> Start {
        let mut lost = Vec::new();
        let memory = self.read::<Memory>("memory.json", now, &mut lost);
        let learned = self.read::<Learned>("learned.json", now, &mut lost);
        let mut rows = self.rows(None, None);
        rows.drain(..rows.len().saturating_sub(REPLAYED));
        // Rows bring back what was learned; without them it is lost.
        let history_lost = (!lost.is_empty() && rows.len() < 5 * 96).then(|| lost.join("; "));
        Start { memory, learned, rows, history_lost }
    }

    /// Appends a quarter hour; it is on disk when this returns.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn append(&self, row: &Row) -> std::io::Result<()> {
        let path = self.folder.join(format!("{}.csv", month(row.start)));
        let fresh = !path.exists();
        let mut file = OpenOptions::new().create(true).read(true).append(true).open(&path)?;
        let mut text = String::new();
        if fresh {
            text.push_str(Row::HEADING);
            text.push('\n');
        } else if !ends_with_newline(&mut file)? {
            // A power cut tore the last line: it stays torn, and this one begins anew.
            text.push('\n');
        }
        text.push_str(&row.line());
        text.push('\n');
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        if fresh {
            File::open(&self.folder)?.sync_all()?;
        }
        Ok(())
    }

    /// Writes the memory.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save_memory(&self, memory: &Memory) -> std::io::Result<()> {
        self.write("memory.json", memory)
    }

    /// Writes what was learned.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save_learned(&self, learned: &Learned) -> std::io::Result<()> {
        self.write("learned.json", learned)
    }

    /// Counters of the devices, as an earlier run left them. Damaged ones are kept aside, and begin anew.
    #[must_use]
    pub fn counters(&self, now: i64) -> Counters {
        self.read("counters.json", now, &mut Vec::new()).unwrap_or_default()
    }

    /// Writes the counters.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn save_counters(&self, counters: &Counters) -> std::io::Result<()> {
        self.write("counters.json", counters)
    }

    /// Rows of a period (from inclusive, to exclusive), oldest first; lines that are none are left out.
    #[must_use]
    pub fn rows(&self, from: Option<UnixSeconds>, to: Option<UnixSeconds>) -> Vec<Row> {
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return Vec::new() };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut months: Vec<String> = names.filter(|name| name.len() == 11 && name.ends_with(".csv")).collect();
        months.sort_unstable();
        let wanted = |name: &String| {
            let month_of = |at: Option<UnixSeconds>| at.map(|at| format!("{}.csv", month(at)));
            month_of(from).is_none_or(|first| *name >= first) && month_of(to).is_none_or(|last| *name <= last)
        };
        let mut rows = Vec::new();
        for name in months.iter().filter(|name| wanted(name)) {
            let path = self.folder.join(name);
            if std::fs::metadata(&path).is_ok_and(|meta| meta.len() > MAX_BYTES) {
                tracing::warn!(path = %path.display(), "the energy history is too large to be one of ours; left out");
                continue;
            }
            // Not UTF-8 is a damaged line, not a damaged file.
            let Ok(bytes) = std::fs::read(&path) else { continue };
            rows.extend(String::from_utf8_lossy(&bytes).lines().filter_map(Row::parse));
        }
        rows.retain(|row| from.is_none_or(|from| row.start >= from) && to.is_none_or(|to| row.start < to));
        rows.sort_by_key(|row| row.start);
        rows.dedup_by_key(|row| row.start);
        rows
    }

    fn write<T: Serialize>(&self, name: &str, value: &T) -> std::io::Result<()> {
        write_durably(&self.folder.join(name), &serde_json::to_vec(value)?)
    }

    fn read<T: DeserializeOwned>(&self, name: &str, now: i64, lost: &mut Vec<String>) -> Option<T> {
        let path = self.folder.join(name);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
            Err(error) => {
                lost.push(format!("{}: {error}", path.display()));
                return None;
            }
        };
        match serde_json::from_slice(&bytes) {
            Ok(value) => Some(value),
            Err(error) => {
                let aside = self.folder.join(format!("{name}.corrupt-{now}"));
                let kept = match std::fs::rename(&path, &aside) {
                    Ok(()) => format!("kept as {}", aside.display()),
                    Err(error) => format!("it cannot be kept aside: {error}"),
                };
                tracing::warn!(path = %path.display(), %error, kept, "damaged; learned anew from the history");
                lost.push(format!("{} is damaged ({error}); {kept}", path.display()));
                None
            }
        }
    }
}

/// "2026-06".
fn month(at: UnixSeconds) -> String {
    let time = jiff::Timestamp::from_second(at.0).unwrap_or_default();
    time.strftime("%Y-%m").to_string()
}

fn ends_with_newline(file: &mut File) -> std::io::Result<bool> {
    use std::io::{Read, Seek, SeekFrom};
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == [b'\n'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use sunwork_energy::{keeper::Mode, units::MilliWattHours};

    const START: i64 = 1_780_272_000;

    fn row(index: i64) -> Row {
        Row {
            start: UnixSeconds(START + index * 900),
            made: MilliWattHours(1000 + index),
            used: MilliWattHours(900),
            expected: MilliWattHours(0),
            low: MilliWattHours(0),
            charge_permille: Some(500),
            bound_permille: 20,
            measured_seconds: 900,
            curtailed: false,
            mode: Mode::Run,
        }
    }

    #[test]
    fn rows_survive_a_torn_line_and_are_found_by_period() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), false).unwrap();
        (0..3).for_each(|index| store.append(&row(index)).unwrap());
        let path = dir.path().join("energy/2026-06.csv");
        let text = std::fs::read_to_string(&path).unwrap();
        // Killed in the middle of the third line.
        std::fs::write(&path, &text[..text.len() - 20]).unwrap();
        store.append(&row(3)).unwrap();
        // Another month.
        store.append(&row(96 * 40)).unwrap();
        let starts: Vec<i64> = store.rows(None, None).iter().map(|row| (row.start.0 - START) / 900).collect();
        assert_eq!(starts, [0, 1, 3, 96 * 40]);
        let some = store.rows(Some(UnixSeconds(START + 900)), Some(UnixSeconds(START + 2700)));
        assert_eq!(some, [row(1)]);
    }

    #[test]
    fn a_damaged_file_is_named_and_kept_aside() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), false).unwrap();
        assert!(store.load(7).history_lost.is_none(), "a new worker has lost nothing");
        std::fs::write(dir.path().join("energy/learned.json"), "{\"plant\": 5").unwrap();
        let start = store.load(7);
        let lost = start.history_lost.unwrap();
        assert!(lost.contains("learned.json is damaged") && lost.contains("learned.json.corrupt-7"), "{lost}");
        assert!(dir.path().join("energy/learned.json.corrupt-7").exists());
        assert!(store.load(8).history_lost.is_none(), "it is told once");
    }
}
