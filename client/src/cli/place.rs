//! `sunwork place`: a pool says which worker may take an agreement that it places.

use serde_json::json;

use super::args::PlaceArgs;
use super::clock::Clock;
use super::exit::{Exit, Failure};
use super::output::fields;
use super::session::Session;
use crate::chain::Doing;

/// Runs the command.
///
/// # Errors
/// With the exit code that fits.
pub async fn run(session: &Session, args: PlaceArgs) -> Result<Exit, Failure> {
    let (client, agreement) = session.buyer_of(&args.id).await?;
    let signed = client.place(agreement, args.worker, args.expiry.into()).await?;
    let (_, now) = client.rpc().latest().await.doing(|| "reading the latest block".into())?;
    let placement = &signed.placement;
    let document = json!({
        "agreement": agreement, "worker": placement.worker, "expiry": placement.expiry, "signature": signed.signature,
    });
    session.output.document("place", &document, || {
        let mut text = fields(&[
            ("placed", agreement.to_string()),
            ("worker", placement.worker.to_string()),
            ("holds until", Clock::local(now).distance(placement.expiry)),
        ]);
        text.push_str("nothing was sent; the worker takes it with:\n");
        text.push_str(&format!(
            "  sunwork-worker accept-placed {agreement} --expiry {} --signature {}\n",
            placement.expiry, signed.signature
        ));
        text
    });
    Ok(Exit::Ok)
}
