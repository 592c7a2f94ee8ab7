//! `accept-placed`: work that a pool places with this worker. The placement is checked and put into the data folder; the running
//! worker accepts it, since it alone has the journal and sends with the device's key.
use std::{
    io::Read,
    path::{Path, PathBuf},
};

use alloy::{
    primitives::{Address, Bytes},
    providers::Provider,
};
use eyre::{WrapErr, bail, eyre};
use sunwork_protocol::{
    placement::{Placement, SignedPlacement},
    status::Status,
};

use super::{Report, chain};
use crate::{config::Layer, folder::Folder, identity, refusal::Refusal};

/// Longest placement that is read, bytes.
const MAX_BYTES: u64 = 64 << 10;

/// What `accept-placed` is told.
#[derive(Debug, clap::Args)]
pub struct PlacementArgs {
    /// The agreement; with --file it may be left out.
    #[arg(required_unless_present = "file")]
    pub agreement: Option<Address>,
    /// Last second at which the placement holds, Unix time.
    #[arg(long, value_name = "UNIX_TIME", required_unless_present = "file", conflicts_with = "file")]
    pub expiry: Option<u64>,
    /// The pool's signature.
    #[arg(long, value_name = "HEX", required_unless_present = "file", conflicts_with = "file")]
    pub signature: Option<Bytes>,
    /// The placement as `sunwork place --output json` printed it; "-" for standard input.
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
}

impl PlacementArgs {
    /// The placement, with `worker` where only its parts were given.
    fn read(&self, worker: Address) -> eyre::Result<SignedPlacement> {
        let Some(path) = &self.file else {
            let parts = (self.agreement, self.expiry, self.signature.clone());
            let (Some(agreement), Some(expiry), Some(signature)) = parts else {
                bail!("give agreement, --expiry and --signature, or --file");
            };
            return Ok(SignedPlacement { placement: Placement { agreement, worker, expiry }, signature });
        };
        let mut text = Vec::new();
        let read = |from: &mut dyn Read, text: &mut Vec<u8>| from.take(MAX_BYTES).read_to_end(text);
        let name = path.display();
        let got = match path.as_os_str() == "-" {
            true => read(&mut std::io::stdin().lock(), &mut text),
            false => std::fs::File::open(path).and_then(|mut file| read(&mut file, &mut text)),
        };
        got.wrap_err_with(|| format!("reading the placement {name}"))?;
        let signed: SignedPlacement = serde_json::from_slice(&text)
            .wrap_err_with(|| format!("{name} holds no placement as `sunwork place --output json` prints it"))?;
        let found = signed.placement.agreement;
        match self.agreement {
            Some(expected) if expected != found => bail!("the placement is of agreement {found}, expected {expected}"),
            _ => Ok(signed),
        }
    }
}

/// Checks the placement and hands it to the worker that runs on this data folder.
///
/// # Errors
/// When it is for another worker, not signed by the pool, or over; or when the work is not to be had.
pub async fn accept_placed(settings: &Layer, args: &PlacementArgs) -> eyre::Result<Report> {
    let chain = chain(settings).await?;
    let folder = Folder::open(settings.data_dir())?;
    let device = identity::device_key(settings, &folder)?.address();
    let me = chain.worker_of(device).await?;
    if me.is_zero() {
        bail!("the device key {device} acts for no worker; run `sunwork-worker register` first");
    }
    let signed = args.read(me)?;
    let Placement { agreement, worker, expiry } = signed.placement;
    if worker != me {
        bail!("the placement is for worker {worker}, this one is {me}; ask the pool for one of your own");
    }
    let bound = chain.bound_terms(agreement).await?;
    let pool = bound.terms.pool().ok_or_else(|| {
        eyre!("the terms of {agreement} name no pool, so there is nothing to place; a running worker takes such work by itself")
    })?;
    let (_, now) = chain.rpc().latest().await.wrap_err("reading the newest block")?;
    if bound.terms.is_green_only()
        && let Err(standing) = chain.positive(agreement, me, now).await?
    {
        bail!(Refusal::NotPositive { standing });
    }
    let (chain_id, dispatcher) = (chain.deployment.chain_id, chain.deployment.dispatcher);
    let code = chain.rpc().provider().get_code_at(pool).await.wrap_err("reading the pool's code")?;
    if code.is_empty() {
        signed.placement.verify(chain_id, dispatcher, pool, &signed.signature, now)?;
    } else if now > expiry {
        bail!("the placement held until {expiry}, it is {now} (Unix seconds)");
    }
    let status = chain.view(agreement).await?.status;
    if status != Status::Open {
        bail!("agreement {agreement} cannot be accepted any more: it is {status}");
    }
    keep(&folder.placement(agreement), &signed)?;
    let running = folder.is_in_use();
    let mut report = Report::new("accept-placed");
    report.add("agreement", "Agreement", agreement, agreement.to_string());
    report.add("pool", "Placed by", pool, pool.to_string());
    report.add("expiry", "Holds until (Unix time)", expiry, expiry);
    let next = if running {
        "the running worker accepts it once image and inputs are here"
    } else {
        "no worker runs on this data folder; it accepts it once started with `sunwork-worker run`"
    };
    report.add("running", "Next", next, running);
    Ok(report)
}

/// Whole or not at all: the worker may be reading it.
fn keep(path: &Path, signed: &SignedPlacement) -> eyre::Result<()> {
    let doing = || format!("writing {}", path.display());
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).wrap_err_with(doing)?;
    }
    let draft = path.with_extension("draft");
    std::fs::write(&draft, serde_json::to_vec(signed)?).wrap_err_with(doing)?;
    std::fs::rename(&draft, path).wrap_err_with(doing)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: Address = Address::repeat_byte(1);
    const WORK: Address = Address::repeat_byte(2);

    fn args() -> PlacementArgs {
        PlacementArgs { agreement: Some(WORK), expiry: Some(9), signature: Some(Bytes::from_static(&[7])), file: None }
    }

    #[test]
    fn parts_and_file_say_the_same_and_a_file_of_another_agreement_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("placements/it.json");
        let parts = args().read(ME).unwrap();
        keep(&path, &parts).unwrap();
        let of_file = |agreement| PlacementArgs { agreement, expiry: None, signature: None, file: Some(path.clone()) };
        assert_eq!(of_file(Some(WORK)).read(ME).unwrap(), parts);
        assert_eq!(of_file(None).read(WORK).unwrap().placement.worker, ME, "the file names the worker");
        let other = of_file(Some(ME)).read(ME).unwrap_err().to_string();
        assert!(other.contains(&WORK.to_string()), "{other}");
        std::fs::write(&path, "{}").unwrap();
        assert!(format!("{:#}", of_file(None).read(ME).unwrap_err()).contains("sunwork place"));
    }
}
