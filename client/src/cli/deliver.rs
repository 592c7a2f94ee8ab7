//! `sunwork deliver`: a verified result goes to the contract that the terms name.

use super::args::DeliverArgs;
use super::exit::{Exit, Failure};
use super::follow::step;
use super::output::fields;
use super::results::default_dir;
use super::session::Session;

/// Runs the command.
///
/// # Errors
/// With the exit code that fits.
pub async fn run(session: &Session, args: DeliverArgs) -> Result<Exit, Failure> {
    let (client, agreement) = session.buyer_of(&args.id).await?;
    let dir = args.out.unwrap_or_else(|| default_dir(agreement));
    let bar = step("proving and delivering the result");
    let delivery = client.deliver(agreement, args.leaf, &dir).await;
    bar.finish_and_clear();
    let delivery = delivery?;
    let exit = if delivery.delivered { Exit::Ok } else { Exit::Failed };
    session.output.document("deliver", &delivery, || {
        let said = if delivery.delivered {
            format!("{} took leaf {} ({} bytes)", delivery.to, delivery.leaf, delivery.bytes)
        } else {
            format!(
                "{} failed, or {} gas were too few for it: leaf {} is not delivered and can be tried again",
                delivery.to, delivery.gas, delivery.leaf
            )
        };
        fields(&[("delivery", said), ("agreement", agreement.to_string()), ("tx", delivery.tx.to_string())])
    });
    Ok(exit)
}
