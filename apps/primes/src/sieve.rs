//! The sieve of Eratosthenes in segments: odd numbers only, one byte each, memory bounded whatever the limit.

/// Odd numbers of one segment: small enough for a core's second cache.
const SEGMENT: u64 = 1 << 16;

/// How many primes are below `limit`.
pub fn count_below(limit: u64) -> u64 {
    if limit <= 2 {
        return 0;
    }
    // 2 is the even one.
    let mut count = 1;
    let base = odd_primes_to((limit - 1).isqrt());
    let mut composite = vec![false; SEGMENT as usize];
    let mut low = 3;
    while low < limit {
        let high = limit.min(low + 2 * SEGMENT);
        let odds = (high - low).div_ceil(2) as usize;
        let segment = &mut composite[..odds];
        segment.fill(false);
        for &p in base.iter().take_while(|p| *p * *p < high) {
            for n in (first_odd_multiple(p, low)..high).step_by(2 * p as usize) {
                segment[((n - low) / 2) as usize] = true;
            }
        }
        count += segment.iter().filter(|c| !**c).count() as u64;
        low += 2 * SEGMENT;
    }
    count
}

/// The first odd multiple of the odd `p` that is at least its square and at least the odd `low`.
fn first_odd_multiple(p: u64, low: u64) -> u64 {
    let n = low.div_ceil(p) * p;
    (if n.is_multiple_of(2) { n + p } else { n }).max(p * p)
}

/// The odd primes up to and with `max`, which is the root of a limit and small.
fn odd_primes_to(max: u64) -> Vec<u64> {
    let mut composite = vec![false; max as usize + 1];
    let mut primes = Vec::new();
    for n in (3..=max).step_by(2) {
        if composite[n as usize] {
            continue;
        }
        primes.push(n);
        for multiple in (n * n..=max).step_by(2 * n as usize) {
            composite[multiple as usize] = true;
        }
    }
    primes
}

#[cfg(test)]
mod tests {
    use super::count_below;

    fn is_prime(n: u64) -> bool {
        n >= 2 && (2..).take_while(|d| d * d <= n).all(|d| !n.is_multiple_of(d))
    }

    #[test]
    fn every_small_limit_agrees_with_trial_division() {
        let mut expected = 0;
        for limit in 1..2000 {
            assert_eq!(count_below(limit), expected, "below {limit}");
            expected += u64::from(is_prime(limit));
        }
    }

    /// Known values of the prime-counting function (OEIS A006880).
    #[test]
    fn powers_of_ten() {
        for (exponent, primes) in [(3, 168), (4, 1229), (5, 9592), (6, 78_498), (7, 664_579)] {
            assert_eq!(count_below(10_u64.pow(exponent)), primes, "10^{exponent}");
        }
    }

    /// The edges of a segment, and squares of primes there.
    #[test]
    fn segments_join() {
        let edge = 3 + 2 * super::SEGMENT;
        let mut count = count_below(edge - 50);
        for n in edge - 50..edge + 50 {
            assert_eq!(count_below(n), count, "below {n}");
            count += u64::from(is_prime(n));
        }
    }
}
