//! Making a plan confidential: everything that the client gives away is encrypted before it leaves this machine.
//!
//! Arguments and input names go into a private job, which becomes input 0; every input is encrypted under a key derived from
//! the agreement's session key. The session key itself is derived from the wallet and a random nonce that stands in the
//! specification: there is nothing to store, and nothing that can be lost but the wallet.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use alloy::primitives::{Address, B256};
use sha2::{Digest, Sha256};
use sunwork_protocol::envelope::SecretKey;
use sunwork_protocol::private_job::{JOB_INPUT_NAME, PrivateJob, PrivateJobError};
use sunwork_protocol::segments::SegmentError;
use sunwork_protocol::session::{ClientSecret, SessionKey};
use sunwork_protocol::terms::{ComputeSpec, FLAG_CONFIDENTIAL, Input, MAX_SPEC_BYTES, SpecError};
use thiserror::Error;

use crate::class::{Classified, ErrorClass};
use crate::client::{Client, NoSigner};
use crate::inputs::Scratch;
use crate::plan::{BlobFile, Plan};

/// Inputs that could not be encrypted, or a key that does not fit.
#[derive(Debug, Error)]
pub enum ConfidentialError {
    /// No wallet.
    #[error(transparent)]
    NoSigner(#[from] NoSigner),
    /// A file.
    #[error("encrypting {role} ({path:?}): {source}")]
    Encrypt {
        /// What it is.
        role: String,
        /// Where it is.
        path: PathBuf,
        /// Why not.
        source: SegmentError,
    },
    /// A file that changed since it was hashed.
    #[error(
        "{role} ({path:?}) changed between planning and encrypting: SHA-256 found {found}, expected {expected}; nothing \
         was sent or paid, run the command again"
    )]
    Changed {
        /// What it is.
        role: String,
        /// Where it is.
        path: PathBuf,
        /// Its hash now.
        found: B256,
        /// Its hash in the plan.
        expected: B256,
    },
    /// Arguments or names.
    #[error("the private part of the job cannot be encoded: {0}")]
    Job(#[from] PrivateJobError),
    /// Terms that do not fit their format.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// Too many inputs.
    #[error("the specification takes {found} bytes, at most {MAX_SPEC_BYTES} fit; pack the inputs into fewer files")]
    SpecTooLong {
        /// Bytes.
        found: usize,
    },
    /// Another wallet bought it.
    #[error(
        "agreement {agreement} is confidential and was bought with another wallet: the key derived from this one does not \
         fit its commitment; give the wallet that bought it with --keystore"
    )]
    OtherWallet {
        /// The agreement.
        agreement: Address,
    },
}

impl Classified for ConfidentialError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Changed { .. } => ErrorClass::Resync,
            _ => ErrorClass::Stop,
        }
    }
}

impl Client {
    /// What the keys of all agreements of this wallet are derived from.
    ///
    /// # Errors
    /// When the client was connected without a signer.
    pub fn secret(&self) -> Result<ClientSecret, NoSigner> {
        let key = self.signer()?.to_bytes();
        let deployment = self.deployment();
        Ok(ClientSecret::from_signing_key(&key.0, deployment.chain_id, deployment.dispatcher))
    }

    /// The session key of an agreement: that of public work, or the one derived from this wallet.
    ///
    /// # Errors
    /// When there is no wallet, or another one bought it.
    pub fn session_key(&self, agreement: Address, spec: &ComputeSpec) -> Result<SessionKey, ConfidentialError> {
        if spec.key_commitment.is_zero() {
            return Ok(SessionKey::PUBLIC);
        }
        let key = self.secret()?.session_key(spec.key_nonce);
        if key.commitment() != spec.key_commitment {
            return Err(ConfidentialError::OtherWallet { agreement });
        }
        Ok(key)
    }

    /// The key that logs of an agreement are sealed to, where this wallet bought it.
    ///
    /// # Errors
    /// When there is no wallet, or another one bought it.
    pub fn message_key(&self, agreement: Address, spec: &ComputeSpec) -> Result<SecretKey, ConfidentialError> {
        let key = self.secret()?.message_key(spec.key_nonce);
        if key.public() != spec.client_key {
            return Err(ConfidentialError::OtherWallet { agreement });
        }
        Ok(key)
    }
}

impl Client {
    /// The last step before uploading: encrypts the inputs of confidential work, and in any case puts in the key that logs are
    /// sealed to. The encrypted files live as long as the plan. A sealed plan is left as it is.
    ///
    /// # Errors
    /// See [`ConfidentialError`]; `plan` is unchanged then.
    pub async fn seal(&self, plan: &mut Plan) -> Result<(), ConfidentialError> {
        if plan.sealed_intent.is_some() {
            return Ok(());
        }
        let secret = self.secret()?;
        let intent = self.intent_of(plan)?;
        let mut nonce = [0; 32];
        rand::RngCore::fill_bytes(&mut rand::rng(), &mut nonce);
        let nonce = B256::from(nonce);
        if plan.confidential {
            let mut sealed = plan.clone();
            let work = move || {
                let dir = tempfile::tempdir().map_err(|error| ConfidentialError::Encrypt {
                    role: "the inputs into a temporary folder".into(),
                    path: std::env::temp_dir(),
                    source: error.into(),
                })?;
                seal_plan(&mut sealed, &secret, nonce, dir.path())?;
                sealed.scratch = Scratch::holding(dir);
                Ok::<_, ConfidentialError>(sealed)
            };
            // Encrypting gigabytes must not hold up the runtime's threads.
            *plan = tokio::task::spawn_blocking(work).await.expect("encrypting files does not panic")?;
        } else {
            with_message_key(plan, &secret, nonce);
        }
        plan.sealed_intent = Some(intent);
        Ok(())
    }
}

/// Gives the specification the client's message key, so that workers can send logs. Public work needs no more.
pub fn with_message_key(plan: &mut Plan, secret: &ClientSecret, nonce: B256) {
    plan.spec.key_nonce = nonce;
    plan.spec.client_key = secret.message_key(nonce).public();
}

/// Encrypts the inputs of `plan` into `dir` and rewrites it so that nothing readable is left in it. `nonce` must be random and
/// fresh: the session key is derived from it. Blocking.
///
/// # Errors
/// See [`ConfidentialError`]; `plan` is unchanged then.
pub fn seal_plan(plan: &mut Plan, secret: &ClientSecret, nonce: B256, dir: &Path) -> Result<(), ConfidentialError> {
    let key = secret.session_key(nonce);
    let names = plan.spec.inputs.iter().map(|input| input.name.clone()).collect();
    let job = PrivateJob::new(plan.spec.args.clone(), names).encode()?;
    let mut inputs = Vec::with_capacity(plan.spec.inputs.len() + 1);
    let mut blobs: Vec<BlobFile> = Vec::with_capacity(plan.blobs.len() + 1);

    let path = dir.join(JOB_INPUT_NAME);
    let role = "the private part of the job".to_owned();
    let sealed = seal_file(&key, 0, job.as_slice(), &role, &path, &path)?;
    inputs.push(Input { name: JOB_INPUT_NAME.into(), sha256: sealed.sha256, size_bytes: sealed.size_bytes });
    blobs.push(BlobFile { role, path, sha256: sealed.sha256, size_bytes: sealed.size_bytes });

    for (index, input) in (1_u32..).zip(&plan.spec.inputs) {
        let role = format!("input {}", input.name);
        let plain = plan.blobs.iter().find(|blob| blob.role == role && blob.sha256 == input.sha256);
        let source = plain.map_or_else(|| PathBuf::from(&input.name), |blob| blob.path.clone());
        let failed = |source_error| ConfidentialError::Encrypt {
            role: role.clone(),
            path: source.clone(),
            source: SegmentError::Io(source_error),
        };
        let path = dir.join(index.to_string());
        let file = BufReader::new(File::open(&source).map_err(failed)?);
        let sealed = seal_file(&key, index, file, &role, &source, &path)?;
        if sealed.plain_sha256 != input.sha256 {
            let (found, expected) = (sealed.plain_sha256, input.sha256);
            return Err(ConfidentialError::Changed { role, path: source, found, expected });
        }
        inputs.push(Input { name: index.to_string(), sha256: sealed.sha256, size_bytes: sealed.size_bytes });
        blobs.push(BlobFile { role, path, sha256: sealed.sha256, size_bytes: sealed.size_bytes });
    }

    let mut spec = ComputeSpec { args: Vec::new(), inputs, key_commitment: key.commitment(), ..plan.spec.clone() };
    spec.key_nonce = nonce;
    spec.client_key = secret.message_key(nonce).public();
    let found = spec.encode().len();
    if found > MAX_SPEC_BYTES {
        return Err(ConfidentialError::SpecTooLong { found });
    }
    // The image stays what it is: workers choose by it before they know any key.
    blobs.extend(plan.blobs.drain(..).filter(|blob| blob.sha256 == spec.image_digest));
    (plan.spec, plan.blobs) = (spec, blobs);
    plan.terms.flags |= FLAG_CONFIDENTIAL;
    Ok(())
}

struct Sealed {
    plain_sha256: B256,
    sha256: B256,
    size_bytes: u64,
}

fn seal_file(
    key: &SessionKey,
    index: u32,
    plain: impl Read,
    role: &str,
    source: &Path,
    target: &Path,
) -> Result<Sealed, ConfidentialError> {
    let failed = |error| ConfidentialError::Encrypt { role: role.to_owned(), path: source.to_owned(), source: error };
    let io = |error| failed(SegmentError::Io(error));
    let mut plain = HashingReader { inner: plain, hasher: Sha256::new() };
    let mut out =
        HashingWriter { inner: BufWriter::new(File::create(target).map_err(io)?), hasher: Sha256::new(), written: 0 };
    key.seal_input(index, &mut plain, &mut out).map_err(failed)?;
    out.inner.flush().map_err(io)?;
    Ok(Sealed {
        plain_sha256: B256::from_slice(&plain.hasher.finalize()),
        sha256: B256::from_slice(&out.hasher.finalize()),
        size_bytes: out.written,
    })
}

struct HashingReader<R> {
    inner: R,
    hasher: Sha256,
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}

struct HashingWriter<W> {
    inner: W,
    hasher: Sha256,
    written: u64,
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        let count = self.inner.write(buffer)?;
        self.hasher.update(&buffer[..count]);
        self.written += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use sunwork_protocol::private_job::PrivateJob;

    use super::*;
    use crate::job::JobBuilder;

    const AGREEMENT: Address = Address::repeat_byte(1);

    fn plan(dir: &Path) -> Plan {
        std::fs::write(dir.join("patients.csv"), "name,age\nRa,4500\n").unwrap();
        let job = JobBuilder::new("ab".repeat(32))
            .platform("linux/amd64")
            .args(["--secret", "sun"])
            .input(dir.join("patients.csv"))
            .build()
            .unwrap();
        Plan::make(&job, &["linux/amd64+docker".into()]).unwrap()
    }

    #[test]
    fn nothing_readable_is_left_and_the_worker_gets_all_of_it_back() {
        let (files, sealed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let clear = plan(files.path());
        let mut plan = clear.clone();
        let secret = ClientSecret::from_signing_key(&[7; 32], 1, AGREEMENT);
        let nonce = B256::repeat_byte(9);
        seal_plan(&mut plan, &secret, nonce, sealed.path()).unwrap();

        assert!(plan.terms.is_confidential() && plan.spec.args.is_empty());
        let names: Vec<&str> = plan.spec.inputs.iter().map(|input| input.name.as_str()).collect();
        assert_eq!(names, ["job", "1"]);
        let mut everything = plan.spec.encode();
        for blob in &plan.blobs {
            let bytes = std::fs::read(&blob.path).unwrap();
            assert_eq!(B256::from_slice(&Sha256::digest(&bytes)), blob.sha256);
            assert_eq!(bytes.len() as u64, blob.size_bytes);
            everything.extend(bytes);
        }
        for secret in ["patients", "--secret", "Ra,4500"] {
            assert!(
                !everything.windows(secret.len()).any(|window| window == secret.as_bytes()),
                "{secret} is readable"
            );
        }

        let key = secret.session_key(nonce);
        assert_eq!(key.commitment(), plan.spec.key_commitment);
        let open = |index: u32| {
            let (mut out, path) = (Vec::new(), &plan.blobs[index as usize].path);
            key.open_input(index, File::open(path).unwrap(), &mut out).unwrap();
            out
        };
        let revealed = PrivateJob::decode(&open(0)).unwrap().reveal(&plan.spec).unwrap();
        assert_eq!((revealed.args, revealed.inputs[0].name.as_str()), (clear.spec.args, "patients.csv"));
        assert_eq!(open(1), std::fs::read(files.path().join("patients.csv")).unwrap());
    }

    #[test]
    fn an_input_that_changes_or_vanishes_after_planning_is_named() {
        let (files, sealed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut plan = plan(files.path());
        let before = plan.clone();
        let secret = ClientSecret::from_bytes([7; 32]);
        let path = files.path().join("patients.csv");
        std::fs::write(&path, "other").unwrap();
        let error = seal_plan(&mut plan, &secret, B256::ZERO, sealed.path()).unwrap_err();
        assert!(matches!(&error, ConfidentialError::Changed { role, .. } if role == "input patients.csv"), "{error}");
        std::fs::remove_file(&path).unwrap();
        let error = seal_plan(&mut plan, &secret, B256::ZERO, sealed.path()).unwrap_err();
        assert!(error.to_string().starts_with("encrypting input patients.csv"), "{error}");
        assert_eq!(plan, before);
    }
}
