//! `energy meter`: the metering device in the ledger: registered, replaced, taken out, paid out. Each may be repeated at any time.
use std::sync::Arc;

use alloy::{
    primitives::{Address, B256, Bytes, FixedBytes, U256},
    sol_types::SolCall,
};
use clap::Subcommand;
use eyre::{WrapErr, bail, eyre};
use sunwork_edge::{TxManager, tx::MemoryTxLog};
use sunwork_energy::forecast::harvest::Site;
use sunwork_protocol::{
    abi::{IEnergyLedger, SunToken},
    energy::{Meter, day_of},
};

use super::{Report, chain};
use crate::{
    amount::Unit,
    chain::Chain,
    config::Layer,
    crash,
    energy::attest::{
        Attestation,
        book::{Beginning, BookFile, Owner},
        decide::{Ledger, Status},
        hold::date,
        keys::{self, Found, Keyring},
        ledger,
        state::MeterState,
    },
    energy::{settings::KeyPlace, source::panel_wp},
    folder::{Folder, write_durably},
    identity,
};

/// What is done with the meter.
#[derive(Debug, Subcommand)]
pub enum MeterCommand {
    /// Make the meter's key if there is none, and register it with its bond (owner key).
    Register(MeterArgs),
    /// Put a new key in the place of one that was lost, or another nameplate; what was attested stays (owner key).
    ReplaceKey(MeterArgs),
    /// Take the meter out; its bond is free after a time (owner key).
    Remove,
    /// Collect the bond of a meter that left, and rewards (owner key).
    Withdraw,
    /// Forfeit days that cannot be attested, so that later ones can be.
    GiveUp {
        /// The last of them, such as 2026-06-01.
        #[arg(long)]
        until: String,
    },
}

/// What the meter says of its site.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct MeterArgs {
    /// Peak power of the panels, W: bounds every quarter hour; by default that of the settings, or of the simulated
    /// site.
    #[arg(long)]
    pub nameplate_watts: Option<u32>,
    /// Where it stands, such as NL (ISO 3166-1).
    #[arg(long)]
    pub country: Option<String>,
}

/// Does it, or shows the meter.
///
/// # Errors
/// What the chain refuses, what is missing, with the amounts.
pub async fn meter(settings: &Layer, what: Option<MeterCommand>) -> eyre::Result<Report> {
    let folder = match &what {
        Some(MeterCommand::Register(_) | MeterCommand::ReplaceKey(_)) => Folder::create(settings.data_dir())?,
        Some(MeterCommand::GiveUp { .. }) => Folder::open(settings.data_dir())?,
        // They make nothing, so they do not make the folder either.
        Some(MeterCommand::Remove | MeterCommand::Withdraw) | None => Folder::at(settings.data_dir()),
    };
    let chain = chain(settings).await?;
    let ledger = chain.deployment.energy_ledger;
    if ledger.is_zero() {
        bail!("this deployment has no energy ledger; there is nothing to register a meter with");
    }
    let keys = Keyring::of(settings, &folder)?;
    let Some(what) = what else { return show(&chain, &keys, worker(settings, &folder, &chain).await?).await };
    if let MeterCommand::GiveUp { until } = &what {
        let account = read(&chain, worker(settings, &folder, &chain).await?).await?;
        return give_up(&folder, &account, until);
    }
    let signer = identity::owner_key(settings, &folder)?;
    let owner = signer.address();
    let tx = TxManager::new(chain.rpc().clone(), signer, Arc::new(MemoryTxLog::default()));
    let task = Task { chain: &chain, keys: &keys, tx: &tx, settings, owner, ledger };
    match what {
        MeterCommand::Register(args) => task.register(&args).await?,
        MeterCommand::ReplaceKey(args) => task.replace(&args).await?,
        MeterCommand::Remove => task.remove().await?,
        MeterCommand::Withdraw => return task.withdraw().await,
        MeterCommand::GiveUp { .. } => {}
    }
    show(&chain, &keys, owner).await
}

/// The worker that this folder's hot key acts for; before its registration the owner.
async fn worker(settings: &Layer, folder: &Folder, chain: &Chain) -> eyre::Result<Address> {
    let device = identity::device_address(settings, folder)?;
    let worker = chain.worker_of(device).await?;
    if worker.is_zero() {
        bail!("the device key {device} acts for no worker; run `sunwork-worker register` with the owner's key first");
    }
    Ok(worker)
}

async fn show(chain: &Chain, keys: &Keyring, worker: Address) -> eyre::Result<Report> {
    let address = chain.deployment.energy_ledger;
    let account = read(chain, worker).await?;
    let contract = IEnergyLedger::new(address, chain.rpc().provider());
    let view = contract.meterOf(worker).call().await.wrap_err("reading the meter")?;
    let mut report = Report::new("meter");
    report.add("ledger", "Ledger", address, address.to_string());
    report.add("worker", "Worker", worker, worker.to_string());
    let status = match account.status {
        Status::None => "not registered",
        Status::Active => "active",
        Status::Leaving => "leaving",
        Status::Struck => "struck: it signed two records for one day",
    };
    report.add("status", "Meter", status, status);
    if account.status == Status::None {
        return Ok(report);
    }
    let watts = view.meter.nameplateWatts;
    report.add("nameplateWatts", "  nameplate", format!("{watts} W"), watts);
    let unit = identity::unit(chain).await?;
    let bond = view.bond.to::<u128>();
    report.add("bond", "  bond", unit.format(bond), bond.to_string());
    report.add("key", "Key", account.key, account.key.to_string());
    // A TPM's key is here when its TPM can use it.
    let found = keys.find(account.key).and_then(|found| found.signer.check().map(|()| found));
    match &found {
        Ok(found) => {
            report.line("  file", found.path.display().to_string());
            if found.place == KeyPlace::Tpm {
                report.line("  kept in", format!("the TPM at {}", keys.tpm().tcti()));
            }
        }
        Err(reason) => {
            let text = format!("{reason}; bring it back, or put a new one in its place: `energy meter replace-key`");
            report.line("device_key_lost", text);
            report.json["keyProblem"] = reason.as_str().into();
        }
    };
    report.json["keyFound"] = found.is_ok().into();
    if let Some(meter) = MeterState::of(&account) {
        report.json["account"] = serde_json::to_value(&meter)?;
        for (label, text) in meter_lines(&meter) {
            report.line(label, text);
        }
    }
    Ok(report)
}

async fn read(chain: &Chain, worker: Address) -> eyre::Result<Ledger> {
    ledger::read(chain.rpc(), chain.deployment.energy_ledger, worker).await.map_err(|reason| eyre!(reason))
}

fn give_up(folder: &Folder, account: &Ledger, until: &str) -> eyre::Result<Report> {
    let parsed: jiff::civil::Date =
        until.parse().wrap_err_with(|| format!("{until:?} is no day such as 2026-06-01"))?;
    let midnight = parsed.to_zoned(jiff::tz::TimeZone::UTC)?.timestamp().as_second();
    let day = u16::try_from(midnight / 86_400).wrap_err_with(|| format!("{until} is out of range"))?;
    let today = day_of(account.time).ok_or_else(|| eyre!("the chain's clock is out of range"))?;
    if account.status != Status::Active {
        bail!("no meter of this worker takes records; there is nothing to give up");
    }
    // A mistaken year would give up everything that comes.
    if day >= today {
        bail!("{until} is not over yet; the last day that can be given up is {}", date(today.saturating_sub(1)));
    }
    if day <= account.day {
        bail!("the days up to {} are recorded already, and cannot be given up", date(account.day));
    }
    let path = keys::give_up_file(folder.root());
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).wrap_err_with(|| format!("making {}", parent.display()))?;
    }
    write_durably(&path, day.to_string().as_bytes()).wrap_err_with(|| format!("writing {}", path.display()))?;
    let mut report = Report::new("meter");
    report.add("givenUpUntil", "Given up", format!("days up to {until}: they are covered by a gap"), until);
    Ok(report)
}

struct Task<'a> {
    chain: &'a Chain,
    keys: &'a Keyring,
    tx: &'a TxManager,
    settings: &'a Layer,
    owner: Address,
    ledger: Address,
}

impl Task<'_> {
    async fn register(&self, args: &MeterArgs) -> eyre::Result<()> {
        let account = read(self.chain, self.owner).await?;
        match account.status {
            Status::Active if self.keys.find(account.key).is_ok() => return Ok(()),
            Status::Active => bail!(
                "a meter with the key {} is registered, which is not here; `energy meter replace-key` puts a new one in its place",
                account.key
            ),
            Status::Leaving => bail!(
                "a meter of this worker is leaving; when its bond is free, `energy meter withdraw`, then register again"
            ),
            Status::None | Status::Struck => {}
        }
        let key = self.fresh(keys::METER).await?;
        let meter = self.meter(args, &key, None)?;
        self.begin(&key, Beginning { base_sequence: account.sequence, ..Beginning::default() })?;
        crash::point("meter.register.made");
        self.pay_bond().await?;
        let call = IEnergyLedger::registerCall { meter: abi(&meter), signature: self.promise(&key, &meter)? };
        self.send("register-meter", self.ledger, call).await?;
        crash::point("meter.register.mined");
        Ok(())
    }

    async fn replace(&self, args: &MeterArgs) -> eyre::Result<()> {
        let account = read(self.chain, self.owner).await?;
        if account.status != Status::Active {
            bail!("no meter of this worker takes records; `energy meter register` registers one");
        }
        let waiting = self.keys.open(keys::NEXT)?;
        if waiting.iter().all(|found| found.hash() != account.key) {
            let key = self.fresh(keys::NEXT).await?;
            let contract = IEnergyLedger::new(self.ledger, self.chain.rpc().provider());
            let view = contract.meterOf(self.owner).call().await.wrap_err("reading the meter")?;
            let meter = self.meter(args, &key, Some(&view.meter))?;
            // A new key's counter begins at zero, in the ledger too.
            self.begin(&key, Beginning { base_sequence: account.sequence, ..Beginning::default() })?;
            crash::point("meter.replace.made");
            let call = IEnergyLedger::replaceKeyCall { meter: abi(&meter), signature: self.promise(&key, &meter)? };
            self.send("replace-meter-key", self.ledger, call).await?;
            crash::point("meter.replace.mined");
        }
        self.keys.shift(keys::METER, keys::OLD)?;
        crash::point("meter.replace.shifted");
        self.keys.shift(keys::NEXT, keys::METER)
    }

    async fn remove(&self) -> eyre::Result<()> {
        let account = read(self.chain, self.owner).await?;
        match account.status {
            Status::Active => {
                self.send("remove-meter", self.ledger, IEnergyLedger::removeMeterCall {}).await?;
                crash::point("meter.remove.mined");
                Ok(())
            }
            Status::Leaving => Ok(()),
            Status::None | Status::Struck => bail!("no meter of this worker takes records; there is nothing to remove"),
        }
    }

    async fn withdraw(&self) -> eyre::Result<Report> {
        let account = read(self.chain, self.owner).await?;
        let contract = IEnergyLedger::new(self.ledger, self.chain.rpc().provider());
        let bond = contract.meterOf(self.owner).call().await.wrap_err("reading the meter")?.bond.to::<u128>();
        let reward = contract.rewardOf(self.owner).call().await.wrap_err("reading the rewards")?;
        let unit = identity::unit(self.chain).await?;
        let mut report = Report::new("meter");
        let free = account.status == Status::Leaving && account.time > account.bond_free_at;
        if free {
            let call = IEnergyLedger::withdrawBondCall { worker: self.owner };
            self.send("withdraw-bond", self.ledger, call).await?;
            crash::point("meter.withdraw.mined");
        } else if account.status == Status::Leaving {
            let (free_at, now) = (moment(account.bond_free_at), moment(account.time));
            let text = format!("{} until {free_at} (the newest block is of {now})", unit.format(bond));
            report.add("stillBonded", "Still bonded", text, bond.to_string());
            report.json["bondFreeAt"] = account.bond_free_at.into();
        }
        let paid = if free { bond } else { 0 };
        report.add("bond", "Bond sent", unit.format(paid), paid.to_string());
        if !reward.is_zero() {
            let call = IEnergyLedger::withdrawRewardCall { account: self.owner };
            self.send("withdraw-reward", self.ledger, call).await?;
        }
        let reward = u128::try_from(reward).unwrap_or(u128::MAX);
        report.add("reward", "Rewards sent", unit.format(reward), reward.to_string());
        Ok(report)
    }

    /// A key of this kind that was never registered and is where the settings want it; others are put away.
    async fn fresh(&self, kind: &str) -> eyre::Result<Found> {
        let contract = IEnergyLedger::new(self.ledger, self.chain.rpc().provider());
        for found in self.keys.open(kind)? {
            if found.place != self.keys.place() || found.signer.check().is_err() {
                continue;
            }
            let used = contract.workerOfKey(found.hash()).call().await.wrap_err("asking for the use of a key")?;
            if used.is_zero() {
                return Ok(found);
            }
        }
        self.keys.shift(kind, keys::OLD)?;
        self.keys.create(kind).wrap_err("making the meter's key")
    }

    fn begin(&self, key: &Found, begin: Beginning) -> eyre::Result<()> {
        BookFile::create(self.keys.root(), self.whose(key.hash()), begin).map_err(|reason| eyre!(reason)).map(drop)
    }

    const fn whose(&self, key: B256) -> Owner {
        Owner { chain_id: self.chain.deployment.chain_id, ledger: self.ledger, key }
    }

    fn meter(&self, args: &MeterArgs, key: &Found, now: Option<&IEnergyLedger::Meter>) -> eyre::Result<Meter> {
        let watts = match args.nameplate_watts.or(now.map(|meter| meter.nameplateWatts)) {
            Some(watts) => Some(watts),
            None => panel_wp(&self.settings.energy)?,
        };
        let watts = watts.ok_or_else(|| {
            eyre!("name the panels' peak power with --nameplate-watts, or `energy_panel_wp` in the settings")
        })?;
        let country = match (&args.country, now) {
            (Some(text), _) => text.parse::<Country>().map_err(|text| eyre!(text))?.0,
            (None, Some(meter)) => meter.country,
            (None, None) => bail!("name the country with --country, such as NL (ISO 3166-1)"),
        };
        let (latitude_decidegrees, longitude_decidegrees) = match (self.place()?, now) {
            (Some(place), _) => place,
            (None, Some(meter)) => (meter.latitudeDecidegrees, meter.longitudeDecidegrees),
            (None, None) => bail!(
                "name the place with --energy-place, such as 52.4,4.9,10; it is registered to a tenth of a degree"
            ),
        };
        let key = key.signer.public();
        let meter = Meter { key, nameplate_watts: watts, country, latitude_decidegrees, longitude_decidegrees };
        meter.check().wrap_err("the ledger would refuse this meter")?;
        Ok(meter)
    }

    fn place(&self) -> eyre::Result<Option<(i16, i16)>> {
        if self.settings.energy.energy_place.is_none() {
            return Ok(None);
        }
        let site = self.settings.energy.site()?;
        Ok(match site {
            Site::At(place) => Some((decidegrees(place.latitude_degrees), decidegrees(place.longitude_degrees))),
            Site::Longitude(_) => None,
        })
    }

    /// The device's signature under its promise to serve this worker.
    fn promise(&self, key: &Found, meter: &Meter) -> eyre::Result<Bytes> {
        let digest = meter.digest(self.chain.deployment.chain_id, self.ledger, self.owner);
        let signature = key.signer.sign(digest).map_err(|reason| eyre!("the meter's key does not sign: {reason}"))?;
        Ok(Bytes::copy_from_slice(&signature))
    }

    async fn pay_bond(&self) -> eyre::Result<()> {
        let contract = IEnergyLedger::new(self.ledger, self.chain.rpc().provider());
        let params = contract.params().call().await.wrap_err("reading the ledger's parameters")?;
        let bond = U256::from(params.bond);
        let token = SunToken::new(self.chain.deployment.token, self.chain.rpc().provider());
        let balance = token.balanceOf(self.owner).call().await.wrap_err("reading the owner's balance")?;
        if balance < bond {
            let unit: Unit = identity::unit(self.chain).await?;
            let show = |amount: U256| unit.format(u128::try_from(amount).unwrap_or(u128::MAX));
            bail!(
                "the owner {} holds {}, the meter's bond is {}: {} are missing",
                self.owner,
                show(balance),
                show(bond),
                show(bond - balance)
            );
        }
        let allowed = token.allowance(self.owner, self.ledger).call().await.wrap_err("reading the allowance")?;
        if allowed < bond {
            let call = SunToken::approveCall { spender: self.ledger, amount: bond };
            self.send("approve", self.chain.deployment.token, call).await?;
        }
        Ok(())
    }

    async fn send(&self, label: &str, to: Address, call: impl SolCall) -> eyre::Result<()> {
        let receipt = self.tx.send(label, to, Bytes::from(call.abi_encode())).await?;
        tracing::info!(tx = %receipt.transaction_hash, gas = receipt.gas_used, "{label} is mined");
        Ok(())
    }
}

/// Of a block.
fn moment(unix_secs: u64) -> jiff::Timestamp {
    let secs = i64::try_from(unix_secs).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(secs).unwrap_or(jiff::Timestamp::MAX)
}

/// Two capital letters.
struct Country(FixedBytes<2>);

impl std::str::FromStr for Country {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.as_bytes() {
            [a, b] if a.is_ascii_uppercase() && b.is_ascii_uppercase() => Ok(Self(FixedBytes([*a, *b]))),
            _ => Err(format!("{text:?} is no country code, expected two capital letters such as NL (ISO 3166-1)")),
        }
    }
}

/// Tenths of a degree, coarse on purpose.
fn decidegrees(degrees: f64) -> i16 {
    // A place is within 180 degrees.
    (degrees * 10.0).round() as i16
}

fn abi(meter: &Meter) -> IEnergyLedger::Meter {
    IEnergyLedger::Meter {
        keyX: meter.key.x,
        keyY: meter.key.y,
        nameplateWatts: meter.nameplate_watts,
        country: meter.country,
        latitudeDecidegrees: meter.latitude_decidegrees,
        longitudeDecidegrees: meter.longitude_decidegrees,
    }
}

/// The attestation, for people.
pub(super) fn lines(attestation: &Attestation) -> Vec<(String, String)> {
    let mut lines: Vec<(String, String)> = Vec::new();
    match &attestation.meter {
        Some(meter) => lines.extend(meter_lines(meter)),
        None => lines.push(("Attested".into(), "nothing: no meter is known".into())),
    }
    match &attestation.hold {
        Some(hold) => lines.push((format!("  {}", hold.name), format!("{}; {}", hold.reason, hold.behaviour))),
        None => lines.push(("  next".into(), attestation.next.clone())),
    }
    lines
}

fn meter_lines(meter: &MeterState) -> Vec<(String, String)> {
    let day = meter.last_day_net_wh.map_or_else(|| "no counts".into(), |net| format!("net {net} Wh"));
    let text = format!(
        "up to {} ({day}); net {} Wh over {} days, {} of them attested",
        meter.last_day, meter.window_net_wh, meter.window_days, meter.attested_days
    );
    let positive = match &meter.not_positive {
        None => "yes: work for positive workers may be accepted".to_owned(),
        Some(why) => format!("no: {why}"),
    };
    vec![("Attested".into(), text), ("  positive".into(), positive)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_told_to_a_tenth_of_a_degree_and_a_country_by_two_letters() {
        assert_eq!((decidegrees(52.37), decidegrees(-0.04), decidegrees(-179.99)), (524, 0, -1800));
        assert!("NL".parse::<Country>().is_ok());
        assert!("nl".parse::<Country>().is_err() && "NLD".parse::<Country>().is_err());
    }
}
