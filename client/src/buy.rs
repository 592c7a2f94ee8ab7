//! Uploading what workers need, and buying.

mod after;
mod error;
mod intent;
mod payment;
mod purchase;
mod upload;

pub use error::BuyError;
pub(crate) use error::tx_class;
pub(crate) use intent::Buying;
pub use payment::Payment;
pub use purchase::Agreement;
pub use upload::{NotSealed, PrepareError, UploadError};
