//! What is asked of the TPM, through tss-esapi.
use std::{fs::OpenOptions, io::ErrorKind, str::FromStr};

use tss_esapi::{
    Context, Error, TctiNameConf, WrapperErrorKind,
    attributes::ObjectAttributesBuilder,
    constants::{
        Tss2ResponseCode, Tss2ResponseCodeKind,
        tss::{TPM2_RH_NULL, TPM2_ST_HASHCHECK},
    },
    handles::KeyHandle,
    interface_types::{
        algorithm::{HashingAlgorithm, PublicAlgorithm},
        ecc::EccCurve,
        resource_handles::Hierarchy,
        session_handles::AuthSession,
    },
    structures::{
        Digest, EccParameter, EccPoint, EccScheme, HashScheme, HashcheckTicket, Private, Public, PublicBuilder,
        PublicEccParametersBuilder, Signature, SignatureScheme, SymmetricDefinitionObject,
    },
    tss2_esys::TPMT_TK_HASHCHECK,
    utils,
};

use crate::{Blob, TpmError, low};

const DEVICE: &str = "device";

/// Who made it.
pub fn describe(tcti: &str) -> Result<String, TpmError> {
    let mut tpm = Session::open(tcti)?;
    tpm.doing("asking who made it", utils::get_tpm_vendor).map(|name| name.trim().to_owned())
}

/// Makes a key.
pub fn create(tcti: &str) -> Result<Blob, TpmError> {
    let mut tpm = Session::open(tcti)?;
    let parent = tpm.primary()?;
    let template = tpm.doing("describing the key", |_| signing_key(EccPoint::default()))?;
    let made = tpm.doing("making the key", |context| context.create(parent, template, None, None, None, None))?;
    let Public::Ecc { unique, .. } = &made.out_public else {
        return Err(TpmError::Failed { doing: "making the key", reason: "it made one of another kind".into() });
    };
    let blob = Blob { x: filled(unique.x())?, y: filled(unique.y())?, private: made.out_private.to_vec() };
    // Proves that what was made can be used, before anybody registers it.
    tpm.load(parent, &blob)?;
    Ok(blob)
}

/// Whether it can use the key.
pub fn load(tcti: &str, blob: &Blob) -> Result<(), TpmError> {
    let mut tpm = Session::open(tcti)?;
    let parent = tpm.primary()?;
    tpm.load(parent, blob).map(drop)
}

/// r and s, s low.
pub fn sign(tcti: &str, blob: &Blob, digest: [u8; 32]) -> Result<[u8; 64], TpmError> {
    const DOING: &str = "signing";
    let mut tpm = Session::open(tcti)?;
    let parent = tpm.primary()?;
    let key = tpm.load(parent, blob)?;
    let signed = tpm.doing(DOING, |context| {
        // The digest was not made by the TPM: an unrestricted key signs it all the same, with the ticket that says so.
        let none = TPMT_TK_HASHCHECK { tag: TPM2_ST_HASHCHECK, hierarchy: TPM2_RH_NULL, digest: Default::default() };
        let ticket = HashcheckTicket::try_from(none)?;
        context.sign(key, Digest::try_from(digest.to_vec())?, SignatureScheme::Null, ticket)
    })?;
    let Signature::EcDsa(signature) = signed else {
        return Err(TpmError::Failed { doing: DOING, reason: "it gave a signature of another kind".into() });
    };
    low::signature(signature.signature_r(), signature.signature_s())
        .map_err(|_| TpmError::Failed { doing: DOING, reason: "r or s is out of range".into() })
}

/// A connection; what was loaded through it is flushed at its end, by the context's own `Drop`.
struct Session<'a> {
    tcti: &'a str,
    context: Context,
}

impl<'a> Session<'a> {
    fn open(tcti: &'a str) -> Result<Self, TpmError> {
        let name = TctiNameConf::from_str(tcti).map_err(|_| TpmError::Address { tcti: tcti.to_owned() })?;
        device(tcti)?;
        let context = Context::new(name).map_err(|error| said(tcti, "connecting", error))?;
        let mut session = Self { tcti, context };
        // Nothing here has a password.
        session.context.set_sessions((Some(AuthSession::Password), None, None));
        Ok(session)
    }

    fn doing<T>(
        &mut self,
        what: &'static str,
        work: impl FnOnce(&mut Context) -> tss_esapi::Result<T>,
    ) -> Result<T, TpmError> {
        work(&mut self.context).map_err(|error| said(self.tcti, what, error))
    }

    /// Storage primary of the owner hierarchy: the same template and the same seed give the same key each time.
    fn primary(&mut self) -> Result<KeyHandle, TpmError> {
        let template = self.doing("describing the storage key", |_| storage_key())?;
        let made = self.doing("making the storage key", |context| {
            context.create_primary(Hierarchy::Owner, template, None, None, None, None)
        })?;
        Ok(made.key_handle)
    }

    fn load(&mut self, parent: KeyHandle, blob: &Blob) -> Result<KeyHandle, TpmError> {
        let (private, x, y) = (blob.private.clone(), blob.x.to_vec(), blob.y.to_vec());
        let (private, point) = self.doing("reading the key", |_| {
            let point = EccPoint::new(EccParameter::try_from(x)?, EccParameter::try_from(y)?);
            Ok((Private::try_from(private)?, point))
        })?;
        let public = self.doing("describing the key", |_| signing_key(point))?;
        self.context.load(parent, private, public).map_err(|error| match error {
            Error::Tss2Error(code) if code.kind().is_some_and(is_foreign) => TpmError::OtherTpm,
            other => said(self.tcti, "loading the key", other),
        })
    }
}

/// The default storage key of the TCG (SRK, template "H" without its unique field): ECC P-256, AES-128-CFB.
fn storage_key() -> tss_esapi::Result<Public> {
    let attributes = ObjectAttributesBuilder::new()
        .with_fixed_tpm(true)
        .with_fixed_parent(true)
        .with_sensitive_data_origin(true)
        .with_user_with_auth(true)
        .with_no_da(true)
        .with_restricted(true)
        .with_decrypt(true)
        .build()?;
    let parameters = PublicEccParametersBuilder::new_restricted_decryption_key(
        SymmetricDefinitionObject::AES_128_CFB,
        EccCurve::NistP256,
    );
    PublicBuilder::new()
        .with_public_algorithm(PublicAlgorithm::Ecc)
        .with_name_hashing_algorithm(HashingAlgorithm::Sha256)
        .with_object_attributes(attributes)
        .with_ecc_parameters(parameters.build()?)
        .with_ecc_unique_identifier(EccPoint::default())
        .build()
}

/// The meter's key. `noDA`: it has no password that could be guessed, and wrong guesses at other keys of the TPM must not lock it.
fn signing_key(point: EccPoint) -> tss_esapi::Result<Public> {
    let attributes = ObjectAttributesBuilder::new()
        .with_fixed_tpm(true)
        .with_fixed_parent(true)
        .with_sensitive_data_origin(true)
        .with_user_with_auth(true)
        .with_no_da(true)
        .with_restricted(false)
        .with_sign_encrypt(true)
        .build()?;
    let scheme = EccScheme::EcDsa(HashScheme::new(HashingAlgorithm::Sha256));
    let parameters = PublicEccParametersBuilder::new_unrestricted_signing_key(scheme, EccCurve::NistP256);
    PublicBuilder::new()
        .with_public_algorithm(PublicAlgorithm::Ecc)
        .with_name_hashing_algorithm(HashingAlgorithm::Sha256)
        .with_object_attributes(attributes)
        .with_ecc_parameters(parameters.build()?)
        .with_ecc_unique_identifier(point)
        .build()
}

/// A coordinate of 32 bytes: a TPM may leave leading zeros out.
fn filled(number: &EccParameter) -> Result<[u8; 32], TpmError> {
    let mut bytes = [0; 32];
    let start = bytes.len().checked_sub(number.len()).ok_or_else(|| TpmError::Failed {
        doing: "making the key",
        reason: format!("a coordinate has {} bytes, expected at most 32", number.len()),
    })?;
    bytes[start..].copy_from_slice(number);
    Ok(bytes)
}

/// Looks at the device first: the library does not tell why it cannot be opened.
fn device(tcti: &str) -> Result<(), TpmError> {
    let path = match tcti.split_once(':') {
        Some((DEVICE, path)) if !path.is_empty() => path,
        Some((DEVICE, _)) => "/dev/tpm0",
        None if tcti == DEVICE => "/dev/tpm0",
        _ => return Ok(()),
    };
    let named = || path.to_owned();
    let opened = OpenOptions::new().read(true).write(true).open(path);
    opened.map(drop).map_err(|error| match error.kind() {
        ErrorKind::NotFound => TpmError::NoDevice { path: named() },
        ErrorKind::PermissionDenied => TpmError::Permission { path: named() },
        ErrorKind::ResourceBusy => TpmError::InUse { path: named() },
        _ => TpmError::NoAnswer { tcti: tcti.to_owned(), doing: "opening it", reason: error.to_string() },
    })
}

/// What a TPM says of a key that it cannot unwrap: of another seed, damaged, or with another public half.
const fn is_foreign(kind: Tss2ResponseCodeKind) -> bool {
    use Tss2ResponseCodeKind as Kind;
    matches!(kind, Kind::Integrity | Kind::Binding | Kind::Sensitive | Kind::Size | Kind::Insufficient | Kind::EccPoint)
}

/// What the library says, in words.
fn said(tcti: &str, doing: &'static str, error: Error) -> TpmError {
    let reason = reason(error);
    let code = match error {
        Error::Tss2Error(code) => code,
        Error::WrapperError(WrapperErrorKind::WrongValueFromTpm) => {
            return TpmError::NoAnswer { tcti: tcti.to_owned(), doing, reason };
        }
        Error::WrapperError(_) => return TpmError::Failed { doing, reason },
    };
    if is_transport(code) {
        return TpmError::NoAnswer { tcti: tcti.to_owned(), doing, reason };
    }
    match code.kind() {
        Some(Tss2ResponseCodeKind::Lockout) => TpmError::Lockout,
        Some(
            Tss2ResponseCodeKind::BadAuth | Tss2ResponseCodeKind::AuthFail | Tss2ResponseCodeKind::AuthUnavailable,
        ) => TpmError::OwnerPassword,
        Some(Tss2ResponseCodeKind::Hierarchy) => TpmError::OwnerOff,
        Some(Tss2ResponseCodeKind::Curve | Tss2ResponseCodeKind::Scheme | Tss2ResponseCodeKind::Asymmetric) => {
            TpmError::Unsupported { doing, reason }
        }
        Some(
            Tss2ResponseCodeKind::ObjectMemory
            | Tss2ResponseCodeKind::SessionMemory
            | Tss2ResponseCodeKind::Memory
            | Tss2ResponseCodeKind::ObjectHandles,
        ) => TpmError::Full,
        _ => TpmError::Failed { doing, reason },
    }
}

fn reason(error: Error) -> String {
    match error {
        Error::Tss2Error(code) if is_transport(code) => "it cannot be reached, or the connection broke".into(),
        other => other.to_string(),
    }
}

/// Whether the error is of the layer that carries commands (TCTI, number 10 in TCG's TSS 2.0 overview), not of the TPM.
fn is_transport(code: Tss2ResponseCode) -> bool {
    const TCTI_LAYER: u32 = 10 << 16;
    const CODES: u32 = 64;
    (1..CODES).any(|number| Tss2ResponseCode::from(TCTI_LAYER | number) == code)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn of(code: u32) -> TpmError {
        said("device", "signing", Error::Tss2Error(Tss2ResponseCode::from(code)))
    }

    #[test]
    fn codes_of_the_tpm_and_of_the_way_to_it_are_told_apart() {
        // Numbers of TPM 2.0 part 2, 6.6.3, and of the TSS 2.0 overview.
        assert_eq!(of(0x921), TpmError::Lockout);
        assert_eq!(of(0x9a2), TpmError::OwnerPassword);
        assert_eq!(of(0x98e), TpmError::OwnerPassword);
        assert_eq!(of(0x185), TpmError::OwnerOff);
        assert_eq!(of(0x902), TpmError::Full);
        let foreign = Tss2ResponseCode::from(0x1df).kind();
        assert!(foreign.is_some_and(is_foreign));
        assert!(matches!(of(0x2e6), TpmError::Unsupported { .. }));
        // TPM_RC_FAILURE, and the library's own input/output error.
        assert!(matches!(of(0x101), TpmError::Failed { .. }));
        assert!(matches!(of(0xa000a), TpmError::NoAnswer { .. }));
    }

    #[test]
    fn a_device_is_looked_at_before_the_library_is_asked() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tpmrm0").display().to_string();
        let missing = describe(&format!("device:{path}")).unwrap_err();
        assert_eq!(missing, TpmError::NoDevice { path: path.clone() });
        assert!(TpmError::Permission { path }.to_string().contains("group tss"));
        assert!(matches!(describe("floppy:/dev/fd0"), Err(TpmError::Address { .. })));
        let nobody = describe("swtpm:host=127.0.0.1,port=1").unwrap_err();
        assert!(matches!(nobody, TpmError::NoAnswer { .. }), "{nobody}");
    }
}
