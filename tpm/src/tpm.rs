//! A TPM that is asked one thing at a time, and never waited for without an end.
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::Duration,
};

use crate::{Blob, TpmError, tss};

/// The kernel's own manager of the TPM: several programs can use it, and what they leave behind is cleared away.
pub const DEFAULT_TCTI: &str = "device:/dev/tpmrm0";
/// A slow chip makes a primary key in a second or two.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where a TPM is.
#[derive(Clone, Debug)]
pub struct Tpm {
    tcti: String,
    patience: Duration,
    /// Something was asked and is not answered yet.
    asked: Arc<AtomicBool>,
}

impl Tpm {
    /// By its name in the words of tpm2-tss, such as [`DEFAULT_TCTI`] or "swtpm:host=127.0.0.1,port=2321".
    #[must_use]
    pub fn at(tcti: &str) -> Self {
        Self { tcti: tcti.to_owned(), patience: PATIENCE, asked: Arc::default() }
    }

    /// Waits so long for an answer; 30 s if nothing is said.
    #[must_use]
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Its name.
    #[must_use]
    pub fn tcti(&self) -> &str {
        &self.tcti
    }

    /// Who made it.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn describe(&self) -> Result<String, TpmError> {
        self.ask(tss::describe)
    }

    /// Makes a key: P-256, signs only, never leaves this TPM. Nothing of it stays there.
    ///
    /// # Errors
    /// When the TPM cannot.
    pub fn create(&self) -> Result<Blob, TpmError> {
        self.ask(tss::create)
    }

    /// Whether this TPM can use the key.
    ///
    /// # Errors
    /// When it does not answer, or the key is another's.
    pub fn check(&self, blob: &Blob) -> Result<(), TpmError> {
        let blob = blob.clone();
        self.ask(move |tcti| tss::load(tcti, &blob))
    }

    /// r and s over a digest of SHA-256's size, s in its lower form.
    ///
    /// # Errors
    /// When the TPM does not answer, or the key is another's.
    pub fn sign(&self, blob: &Blob, digest: [u8; 32]) -> Result<[u8; 64], TpmError> {
        let blob = blob.clone();
        self.ask(move |tcti| tss::sign(tcti, &blob, digest))
    }

    /// On a thread of its own: the library waits for a TPM that hangs for ever.
    fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&str) -> Result<T, TpmError> + Send + 'static,
    ) -> Result<T, TpmError> {
        let late = || TpmError::TimedOut { tcti: self.tcti.clone(), patience: self.patience };
        if self.asked.swap(true, Ordering::AcqRel) {
            return Err(late());
        }
        let (answer, answered) = mpsc::sync_channel(1);
        let (tcti, asked) = (self.tcti.clone(), Asked(self.asked.clone()));
        let spawned = std::thread::Builder::new().name("tpm".into()).spawn(move || {
            let result = catch_unwind(AssertUnwindSafe(|| question(&tcti)));
            drop(asked);
            // Nobody waits any more after the patience is over.
            let _ = answer.send(result.unwrap_or_else(|_| Err(died())));
        });
        if let Err(error) = spawned {
            return Err(TpmError::Failed { doing: "starting a thread for it", reason: error.to_string() });
        }
        match answered.recv_timeout(self.patience) {
            Ok(result) => result,
            Err(mpsc::RecvTimeoutError::Timeout) => Err(late()),
            Err(mpsc::RecvTimeoutError::Disconnected) => Err(died()),
        }
    }
}

fn died() -> TpmError {
    TpmError::Failed { doing: "its work", reason: "the thread that asked it died".into() }
}

/// Set while a thread has a question; cleared also when it panics or was never started.
struct Asked(Arc<AtomicBool>);

impl Drop for Asked {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_tpm_that_hangs_is_not_waited_for_and_asked_again_once_it_answers() {
        let tpm = Tpm::at("device:/dev/null").patience(Duration::from_millis(50));
        let (go, gone) = mpsc::channel::<()>();
        let hung = tpm.ask(move |_| {
            let _ = gone.recv();
            Ok(1)
        });
        assert!(matches!(hung, Err(TpmError::TimedOut { .. })), "{hung:?}");
        // A second thread would hang as well.
        assert!(matches!(tpm.ask(|_| Ok(2)), Err(TpmError::TimedOut { .. })));
        go.send(()).unwrap();
        let until = std::time::Instant::now() + Duration::from_secs(5);
        while tpm.ask(|_| Ok(3)) != Ok(3) {
            assert!(std::time::Instant::now() < until, "it never recovers");
            std::thread::sleep(Duration::from_millis(5));
        }
        let patient = tpm.patience(Duration::from_secs(20));
        let dead = patient.ask(|_| -> Result<(), _> { panic!("on purpose") });
        assert!(matches!(dead, Err(TpmError::Failed { .. })), "{dead:?}");
        assert_eq!(patient.ask(|_| Ok(4)), Ok(4));
    }

    #[cfg(not(feature = "tss"))]
    #[test]
    fn a_build_without_the_library_says_so_and_what_to_do() {
        let tpm = Tpm::at(DEFAULT_TCTI);
        let blob = Blob { x: [0; 32], y: [0; 32], private: vec![0] };
        assert_eq!(tpm.describe(), Err(TpmError::NotBuilt));
        assert_eq!(tpm.create(), Err(TpmError::NotBuilt));
        assert_eq!(tpm.check(&blob), Err(TpmError::NotBuilt));
        assert_eq!(tpm.sign(&blob, [0; 32]), Err(TpmError::NotBuilt));
        assert!(TpmError::NotBuilt.to_string().contains("feature `tpm`"));
    }
}
