//! Splitting stake over identities. Tickets are one per unit of stake, so a split changes no chance of any ticket; but one
//! identity holds at most one seat of a round, and a split lifts that cap.

/// Seats on average of one identity with `share` of the stake among V, the rest spread thin: 1 - (1-s)^V.
pub fn seats_whole(share: f64, verifiers: u8) -> f64 {
    1.0 - (1.0 - share).powf(f64::from(verifiers))
}

/// Seats on average when that stake is spread thin too: V s. Every number about collusion assumes this.
pub fn seats_split(share: f64, verifiers: u8) -> f64 {
    share * f64::from(verifiers)
}

/// Seats on average with the share split evenly over `parts` identities, the rest spread thin, when seats go to the owners
/// of the lowest tickets and each identity holds one at most. Drawn in turn: the i-th seat goes to a free
/// identity of ours with the share of the free stake that is ours; exact.
pub fn seats_in_parts(share: f64, parts: u32, verifiers: u8) -> f64 {
    let part = share / f64::from(parts);
    // chances[j]: j of our identities hold seats; strangers that hold seats take no stake away, they are thin.
    let mut chances = vec![1.0];
    for _ in 0..verifiers {
        let mut next = vec![0.0; chances.len() + 1];
        for (held, chance) in (0_u32..).zip(&chances) {
            let ours = part * f64::from(parts.saturating_sub(held));
            let free = ours + (1.0 - share);
            let hit = if free > 0.0 { ours / free } else { 0.0 };
            next[held as usize] += chance * (1.0 - hit);
            next[held as usize + 1] += chance * hit;
        }
        chances = next;
    }
    (0_u32..).zip(chances).map(|(held, chance)| f64::from(held) * chance).sum()
}
