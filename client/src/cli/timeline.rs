//! `sunwork status ID` for people: sentences, times and money laid out for the reader's terminal. Pure.

use alloy::primitives::Address;

use super::balances::show_ether;
use super::clock::Clock;
use super::follow::short_id;
use super::output::{fields_in, wrap};
use crate::agreements::{Details, Purchase, SlotStanding, Standing};
use crate::amount::Unit;
use crate::settlement::Settlement;
use crate::situation::Situation;
use crate::timeline::{CostSoFar, Entry, Outlook, Step};

/// What the page is made of.
pub struct Page<'a> {
    /// Where the agreement stands.
    pub situation: &'a Situation,
    /// Its money, once it has ended.
    pub settlement: Option<&'a Settlement>,
    /// Name of its class.
    pub class: String,
    /// What amounts are written in.
    pub unit: &'a Unit,
    /// What times are written in.
    pub clock: &'a Clock,
    /// Columns.
    pub width: usize,
}

impl Page<'_> {
    /// The whole page.
    pub fn render(&self) -> String {
        let outlook = self.situation.outlook();
        let money = match self.settlement {
            Some(settlement) => self.settled_money(settlement),
            None => self.money_so_far(&self.situation.cost()),
        };
        [
            self.heading(),
            section("Timeline", &history(&self.situation.history(self.unit), self.clock, self.width)),
            section("Now", &wrap(&now(&outlook, self.clock), "  ", self.width)),
            section("Money", &money),
            section("Next", &steps(&outlook.next, self.situation.details.purchase.address, self.width)),
        ]
        .concat()
    }

    fn heading(&self) -> String {
        let (purchase, standing) = (&self.situation.details.purchase, &self.situation.details.standing);
        let name = |account: Address| {
            if Some(account) == self.situation.viewer { format!("you, {account}") } else { account.to_string() }
        };
        let mut pairs = vec![
            ("agreement", purchase.address.to_string()),
            ("status", state(standing)),
            ("work", work(purchase, &self.class)),
            ("image", image(purchase)),
            ("client", name(purchase.client)),
        ];
        if let Some(agent) = self.situation.key_agent.filter(|_| purchase.terms.is_confidential()) {
            pairs.push(("key agent", name(agent)));
        }
        if let Some(worker) = purchase.terms.named_worker().filter(|_| standing.worker.is_none()) {
            pairs.push(("offered to", name(worker)));
        }
        if let Some(pool) = purchase.terms.pool() {
            pairs.push(("pool", name(pool)));
        }
        if purchase.terms.is_green_only() {
            pairs.push(("green", "only positive workers accept and verify".to_owned()));
        }
        if purchase.terms.has_callback() {
            let terms = &purchase.terms;
            pairs.push(("callback", format!("{} with {} gas", terms.callback, terms.callback_gas)));
        }
        if let Some(worker) = standing.worker {
            pairs.push(("worker", format!("{} (attempt {})", name(worker), u32::from(standing.attempt) + 1)));
        }
        for slot in &standing.verifiers {
            let round = if slot.vote_round == 0 { String::new() } else { format!(" (round {})", slot.vote_round + 1) };
            pairs.push((
                "verifier",
                format!("{} {}{round}", name(slot.verifier), slot_state(slot, &self.situation.details)),
            ));
        }
        fields_in(self.width, &pairs)
    }

    fn money_so_far(&self, cost: &CostSoFar) -> String {
        let unit = self.unit;
        let gas = format!("{} in {}", show_ether(cost.own_gas_wei), transactions(cost.own_transactions));
        let mut pairs = vec![
            ("costs at most", format!("{} (fixed on chain)", unit.show(cost.cap))),
            ("paid so far", unit.show(cost.paid)),
            ("still held", unit.show(cost.escrow)),
            (
                "comes back",
                format!(
                    "{} if verified, {} if it fails",
                    unit.show(cost.back_if_verified),
                    unit.show(cost.back_if_cancelled)
                ),
            ),
        ];
        if self.situation.viewer.is_some() {
            pairs.push(("your gas", gas));
        }
        fields_in(self.width, &pairs)
    }

    fn settled_money(&self, settlement: &Settlement) -> String {
        let unit = self.unit;
        let back = settlement.paid.get(&settlement.client).copied().unwrap_or_default();
        let mut pairs = vec![
            ("put in", unit.show(settlement.budget)),
            ("came back", unit.show(back)),
            ("cost", unit.show(settlement.budget.saturating_sub(back))),
        ];
        for (account, amount) in settlement.paid.iter().filter(|(account, _)| **account != settlement.client) {
            pairs.push(("paid", format!("{} to {account}", unit.show(*amount))));
        }
        for stake in settlement.stakes.iter().filter(|stake| stake.slashed > 0) {
            pairs.push(("slashed", format!("{} of {}", unit.show(stake.slashed), stake.worker)));
        }
        if settlement.burned > 0 {
            pairs.push(("burned", unit.show(settlement.burned)));
        }
        let cost = self.situation.cost();
        if self.situation.viewer.is_some() {
            pairs.push((
                "your gas",
                format!("{} in {}", show_ether(cost.own_gas_wei), transactions(cost.own_transactions)),
            ));
        }
        pairs.push(("gas units", gas_of_all(settlement)));
        fields_in(self.width, &pairs)
    }
}

fn section(title: &str, body: &str) -> String {
    if body.is_empty() { String::new() } else { format!("\n{title}\n{body}") }
}

/// "Working", "Settled (Verified)".
pub fn state(standing: &Standing) -> String {
    if standing.status.is_final() {
        format!("{} ({})", standing.status, standing.ending)
    } else {
        standing.status.to_string()
    }
}

fn slot_state(slot: &SlotStanding, details: &Details) -> &'static str {
    let is_over = details.standing.status.is_final();
    match (slot.sealed, slot.opened, slot.dissent) {
        (_, true, 0) => "agrees",
        (_, true, _) => "differs",
        (true, false, _) if details.was_unanimous_at_once() => "agrees",
        (true, false, _) if is_over && details.standing.is_revealed() => "did not open its seal",
        (true, false, _) => "has sealed",
        (false, ..) if is_over => "had not sealed",
        (false, ..) => "computes",
    }
}

fn work(purchase: &Purchase, class: &str) -> String {
    let terms = &purchase.terms;
    let kind = if terms.is_confidential() { "confidential" } else { "public" };
    let leaves = if terms.leaf_count == 1 { "1 leaf".to_owned() } else { format!("{} leaves", terms.leaf_count) };
    let work = format!("{leaves} on {class}, {kind}");
    if terms.trust_level == 0 {
        return format!("{work}; trust level 0: checked only if the client rejects the result");
    }
    format!("{work}; {} verifiers check {} each", terms.verifiers, terms.samples)
}

fn image(purchase: &Purchase) -> String {
    let spec = &purchase.spec;
    let digest = hex::encode(spec.image_digest);
    if spec.image_name.is_empty() {
        format!("archive for {}, sha256:{digest}", spec.platform)
    } else {
        format!("{}@sha256:{digest} for {}", spec.image_name, spec.platform)
    }
}

/// What it waits for, until when, and what happens then: one sentence.
pub fn now(outlook: &Outlook, clock: &Clock) -> String {
    let Outlook { waits_for, condition, consequence, .. } = outlook;
    let Some(until) = outlook.until else { return format!("{waits_for}.") };
    let (at, distance) = (clock.short(until), clock.distance(until));
    if outlook.overdue {
        return format!(
            "{waits_for}, but the time for that ended at {at} ({distance}). As soon as somebody moves it on, {consequence}."
        );
    }
    if condition.is_empty() {
        return format!("{waits_for}, at {at} ({distance}); then {consequence}.");
    }
    format!("{waits_for}, until {at} ({distance}); {condition}, {consequence}.")
}

/// What happened: time, words and transaction of each event.
pub fn history(entries: &[Entry], clock: &Clock, width: usize) -> String {
    let mut text = String::new();
    let mut last = None;
    for entry in entries {
        text.push_str(&wrap(&format!("{}, {}", clock.full(entry.time), clock.distance(entry.time)), "  ", width));
        text.push_str(&wrap(&entry.what, "    ", width));
        // Several events of one transaction: its hash stands below the first.
        if last != Some(entry.tx) {
            text.push_str(&wrap(&format!("tx {}", entry.tx), "    ", width));
        }
        last = Some(entry.tx);
    }
    text
}

/// What one can do, each with the command below it.
pub fn steps(steps: &[Step], agreement: Address, width: usize) -> String {
    let id = agreement.to_string();
    let short = short_id(agreement);
    steps
        .iter()
        .map(|step| {
            // A command in one line can be copied; the beginning of the id names the agreement as well.
            let command = step.command.replace(&id, &short);
            format!("{}{}", wrap(&format!("{}:", step.what), "  ", width), wrap(&command, "    ", width))
        })
        .collect()
}

/// "1365983 in 11 transactions of all parties so far". More come after the end, when parties fetch what they were paid: whoever
/// looks twice should see why there are more of them.
pub fn gas_of_all(settlement: &Settlement) -> String {
    let all = transactions(settlement.transactions.len());
    let text = format!("{} in {all} of all parties so far", settlement.gas_total());
    match settlement.redeeming() {
        0 => text,
        1 => format!("{text}; 1 of them only fetches what was paid"),
        some => format!("{text}; {some} of them only fetch what was paid"),
    }
}

fn transactions(count: usize) -> String {
    if count == 1 { "1 transaction".to_owned() } else { format!("{count} transactions") }
}

#[cfg(test)]
#[path = "timeline/tests.rs"]
mod tests;
