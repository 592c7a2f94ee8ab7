//! What a caller should do about an error: the class is in the type, nobody matches on text.
//!
//! [`ErrorClass`] and [`Classified`] are [`sunwork_edge::class`]'s, where the classes of transactions, nodes and blob stores
//! stand too. The errors of this crate:
//!
//! | Error | Retry | Resync | Stop |
//! |---|---|---|---|
//! | [`ConnectError`](crate::ConnectError) | no node answers | | wrong chain, no contracts there |
//! | [`ReadError`](crate::chain::ReadError) | the node failed | | the contract refuses, the answer is garbage |
//! | [`PlanError`](crate::PlanError), [`InputError`](crate::InputError) | a server that does not answer | | files, names, limits |
//! | [`UploadError`](crate::UploadError) | no oracle answers | a file changed meanwhile | nobody has the image |
//! | [`ConfidentialError`](crate::confidential::ConfidentialError) | | a file changed meanwhile | no wallet, another wallet |
//! | [`PreflightError`](crate::PreflightError) | the node failed | | the terms do not fit their format |
//! | [`BuyError`](crate::BuyError) | the transaction's class is Retry | a purchase that reverted on chain | `Refused`: money, workers, terms |
//! | [`KeyingError`](crate::keying::KeyingError) | mailbox or node failed | the post reverted | no key to seal to |
//! | [`DeliverError`](crate::deliver::DeliverError) | the transaction's class is Retry | a downloaded file changed | not verified, no callback, not one file |
//! | [`OfferError`](crate::offer::OfferError) | the node failed, the transaction's class is Retry | | terms, times, no wallet |
//! | [`FindError`](crate::FindError), [`IdError`](crate::IdError) | the node failed | | no such agreement |
//! | [`ResultsError`](crate::ResultsError) | no oracle answers, not there yet | | the bytes are not what the chain says |
//! | [`VerifyError`](crate::verify::VerifyError), [`JobError`](crate::JobError), [`JobFileError`](crate::JobFileError), [`AmountError`](crate::AmountError), [`PermitError`](crate::permit::PermitError), [`PlaceError`](crate::PlaceError), [`ArchiveError`](crate::archive::ArchiveError), [`ImageRefError`](crate::image_ref::ImageRefError), [`NoSigner`](crate::client::NoSigner) | | | always |
//!
//! What to do with each class:
//!
//! ```no_run
//! # use std::time::Duration;
//! # use sunwork_client::{Agreement, BuyError, Classified, Client, ErrorClass, Payment, Plan};
//! # async fn example(client: Client, plan: Plan) -> Result<Agreement, BuyError> {
//! for pause_secs in [5, 30, 120] {
//!     match client.buy(&plan, Payment::Permit).await {
//!         // Buying again is safe: a purchase under way is found, not made twice.
//!         Err(error) if error.class() == ErrorClass::Retry => eprintln!("{error}"),
//!         // After Resync look at the chain before deciding anew; after Stop somebody must act.
//!         done_or_hopeless => return done_or_hopeless,
//!     }
//!     tokio::time::sleep(Duration::from_secs(pause_secs)).await;
//! }
//! client.buy(&plan, Payment::Permit).await
//! # }
//! ```

pub use sunwork_edge::class::{Classified, ErrorClass};

/// Errors that are always of class Stop: the input, the money or the data is wrong.
macro_rules! stop {
    ($($error:ty),+ $(,)?) => {$(
        impl Classified for $error {
            fn class(&self) -> ErrorClass {
                ErrorClass::Stop
            }
        }
    )+};
}

stop!(
    crate::agreements::IdError,
    crate::amount::AmountError,
    crate::archive::ArchiveError,
    crate::client::NoSigner,
    crate::image_ref::ImageRefError,
    crate::permit::PermitError,
    crate::verify::VerifyError,
);

impl Classified for crate::job::JobError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Input(error) => error.class(),
            _ => ErrorClass::Stop,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compiles only while every public error has a class. A new one belongs here and in the table above.
    #[test]
    fn every_public_error_has_a_class() {
        fn classified<E: Classified + std::error::Error>() -> usize {
            size_of::<E>()
        }
        let sizes = [
            classified::<crate::AmountError>(),
            classified::<crate::BuyError>(),
            classified::<crate::ConnectError>(),
            classified::<crate::FindError>(),
            classified::<crate::IdError>(),
            classified::<crate::InputError>(),
            classified::<crate::JobError>(),
            classified::<crate::JobFileError>(),
            classified::<crate::PlanError>(),
            classified::<crate::PreflightError>(),
            classified::<crate::PrepareError>(),
            classified::<crate::ResultsError>(),
            classified::<crate::UploadError>(),
            classified::<crate::app_logs::AppLogsError>(),
            classified::<crate::archive::ArchiveError>(),
            classified::<crate::chain::ReadError>(),
            classified::<crate::client::NoSigner>(),
            classified::<crate::deliver::DeliverError>(),
            classified::<crate::offer::OfferError>(),
            classified::<crate::confidential::ConfidentialError>(),
            classified::<crate::image_push::ImagePushError>(),
            classified::<crate::image_ref::ImageRefError>(),
            classified::<crate::keying::KeyingError>(),
            classified::<crate::permit::PermitError>(),
            classified::<crate::placement::PlaceError>(),
            classified::<crate::verify::VerifyError>(),
            classified::<sunwork_edge::blobs::BlobError>(),
            classified::<sunwork_edge::deployment::DeploymentError>(),
            classified::<sunwork_edge::keystore::KeystoreError>(),
            classified::<sunwork_edge::rpc::RpcError>(),
            classified::<sunwork_edge::tx::TxError>(),
            classified::<sunwork_edge::tx::TxLogError>(),
        ];
        assert!(!sizes.is_empty());
    }
}
