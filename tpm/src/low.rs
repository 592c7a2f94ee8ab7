//! r and s as the ledger takes them.
use p256::{
    FieldBytes,
    ecdsa::{Error, Signature},
};

/// r and s of a TPM, big-endian and without leading zeros if it likes, as 64 bytes with the lower one of both possible s.
pub fn signature(r: &[u8], s: &[u8]) -> Result<[u8; 64], Error> {
    let signature = Signature::from_scalars(scalar(r)?, scalar(s)?)?;
    Ok(signature.normalize_s().to_bytes().into())
}

fn scalar(bytes: &[u8]) -> Result<FieldBytes, Error> {
    let mut field = [0; 32];
    let start = field.len().checked_sub(bytes.len()).ok_or_else(Error::new)?;
    field[start..].copy_from_slice(bytes);
    Ok(field.into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// The order of the curve (SEC 2, 2.4.2).
    const ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";

    #[test]
    fn the_higher_s_becomes_the_lower_one_and_short_numbers_are_filled_up() {
        let mut high = hex::decode(ORDER).unwrap();
        high[31] -= 5;
        let low = signature(&[7], &high).unwrap();
        assert_eq!((low[31], low[63]), (7, 5));
        assert!(low[..31].iter().chain(&low[32..63]).all(|byte| *byte == 0));
        assert_eq!(signature(&[7], &[5]).unwrap(), low);
    }

    #[test]
    fn numbers_that_are_no_signature_are_refused() {
        let order = hex::decode(ORDER).unwrap();
        for (r, s) in [(&[][..], &[1][..]), (&[1], &[]), (&order, &[1]), (&[1], &order), (&[1; 33], &[1])] {
            assert!(signature(r, s).is_err(), "{r:?} {s:?}");
        }
    }
}
