//! In the place of the part that speaks to a TPM, in builds without it.
use crate::{Blob, TpmError};

pub fn describe(_tcti: &str) -> Result<String, TpmError> {
    Err(TpmError::NotBuilt)
}

pub fn create(_tcti: &str) -> Result<Blob, TpmError> {
    Err(TpmError::NotBuilt)
}

pub fn load(_tcti: &str, _blob: &Blob) -> Result<(), TpmError> {
    Err(TpmError::NotBuilt)
}

pub fn sign(_tcti: &str, _blob: &Blob, _digest: [u8; 32]) -> Result<[u8; 64], TpmError> {
    Err(TpmError::NotBuilt)
}
