//! Why a TPM does not do what it was asked, for the owner: what was found, and what to do.
use std::time::Duration;

use thiserror::Error;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TpmError {
    /// This program has no TPM support.
    #[error(
        "this build of the program cannot speak to a TPM; take one that is built with the feature `tpm` (it needs the library tpm2-tss, Debian's libtss2-dev), or a key in software"
    )]
    NotBuilt,
    /// The text that says where the TPM is.
    #[error(
        "{tcti:?} names no TPM; expected \"device:/dev/tpmrm0\", \"swtpm:host=127.0.0.1,port=2321\", \"mssim:…\" or \"tabrmd:…\""
    )]
    Address {
        /// What was given.
        tcti: String,
    },
    /// There is no such device.
    #[error(
        "there is no {path}: switch the TPM on in the firmware, load its driver (`modprobe tpm_tis`, on a Raspberry Pi a dtoverlay such as tpm-slb9670), or name another one"
    )]
    NoDevice {
        /// The device's file.
        path: String,
    },
    /// The device may not be used.
    #[error(
        "{path} may not be opened by this user: `usermod -aG tss USER` lets the worker's user do so (it belongs to the group tss), then start it anew"
    )]
    Permission {
        /// The device's file.
        path: String,
    },
    /// Another program has it, and this device has no manager.
    #[error("{path} is in use by another program; /dev/tpmrm0 serves several at a time")]
    InUse {
        /// The device's file.
        path: String,
    },
    /// Nobody answers.
    #[error(
        "the TPM at {tcti} does not answer ({doing}: {reason}); see that it, or the program that stands for it, runs"
    )]
    NoAnswer {
        /// Where it should be.
        tcti: String,
        /// What was asked.
        doing: &'static str,
        /// In the library's words.
        reason: String,
    },
    /// It takes too long.
    #[error("the TPM at {tcti} did not answer within {} s, and is not asked again until it does; see that it, or the program that stands for it, runs", patience.as_secs())]
    TimedOut {
        /// Where it is.
        tcti: String,
        /// How long was waited.
        patience: Duration,
    },
    /// Wrapped by another seed.
    #[error(
        "the key was made by another TPM, or this one was cleared since, or the key's file is damaged: this TPM cannot use it. Bring the TPM or the file back, or put a new key in its place"
    )]
    OtherTpm,
    /// Too many wrong passwords.
    #[error(
        "the TPM is locked: too many wrong passwords were given to it. It opens by itself after a time (`tpm2_getcap properties-variable` shows how long), or at once by `tpm2_dictionarylockout --clear-lockout`"
    )]
    Lockout,
    /// The owner hierarchy has a password.
    #[error(
        "the TPM's owner hierarchy has a password, which this program does not know: keys can be used under an owner hierarchy without one only (`tpm2_changeauth -c owner`)"
    )]
    OwnerPassword,
    /// The owner hierarchy is switched off.
    #[error("the TPM's owner hierarchy is switched off; switch it on in the firmware's settings")]
    OwnerOff,
    /// It cannot do ECDSA with P-256 and SHA-256.
    #[error(
        "the TPM cannot do ECDSA with P-256 and SHA-256 ({doing}: {reason}); take another one, or a key in software"
    )]
    Unsupported {
        /// What was asked.
        doing: &'static str,
        /// In the library's words.
        reason: String,
    },
    /// No room for another object.
    #[error("the TPM has no room for another key just now; use it through its manager, /dev/tpmrm0")]
    Full,
    /// Anything else.
    #[error("the TPM failed {doing}: {reason}")]
    Failed {
        /// What was asked.
        doing: &'static str,
        /// In the library's words.
        reason: String,
    },
    /// The key's file.
    #[error("this is no key of a TPM: {reason}")]
    Blob {
        /// What is wrong with it.
        reason: String,
    },
}
