//! How a client names an input.

use std::fmt;
use std::path::PathBuf;

use alloy::primitives::B256;
use url::Url;

use super::error::InputError;

/// Where an input comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InputSource {
    /// A file or folder of this machine, whichever is there.
    Path(PathBuf),
    /// A folder of this machine; becomes one archive.
    Folder(PathBuf),
    /// Behind a URL; its hash is in [`JobInput::sha256`].
    Url(Url),
}

impl fmt::Display for InputSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) | Self::Folder(path) => write!(f, "{}", path.display()),
            Self::Url(url) => write!(f, "{url}"),
        }
    }
}

/// An input of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobInput {
    /// Where it comes from.
    pub source: InputSource,
    /// The name that the app sees; `None`: from the source.
    pub name: Option<String>,
    /// What its bytes must hash to; always there for a URL.
    pub sha256: Option<B256>,
}

/// An input as a file of this machine, ready to be hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputFile {
    /// Where it is.
    pub path: PathBuf,
    /// The name that the app sees.
    pub name: String,
}

/// True for what is fetched and not read from this machine.
pub fn is_url(text: &str) -> bool {
    text.starts_with("https://") || text.starts_with("http://")
}

impl From<InputSource> for JobInput {
    fn from(source: InputSource) -> Self {
        Self { source, name: None, sha256: None }
    }
}

impl JobInput {
    /// Reads what a client typed: a path, or a URL with `#sha256=HEX`.
    ///
    /// # Errors
    /// When a URL is none or lacks its hash.
    pub fn parse(text: &str) -> Result<Self, InputError> {
        if is_url(text) { Self::url(text, None) } else { Ok(InputSource::Path(text.into()).into()) }
    }

    /// A file behind a URL. The hash is `sha256`, or in the URL as `#sha256=HEX`.
    ///
    /// # Errors
    /// When it is no URL, neither https nor on this machine, or without a hash.
    pub fn url(text: &str, sha256: Option<&str>) -> Result<Self, InputError> {
        let bad = |problem: String| InputError::BadUrl { url: text.to_owned(), problem };
        let mut url = Url::parse(text).map_err(|e| bad(e.to_string()))?;
        if !may_fetch(&url) {
            return Err(bad("it is not encrypted on the way".into()));
        }
        let fragment = url.fragment().and_then(|f| f.strip_prefix("sha256=")).map(str::to_owned);
        url.set_fragment(None);
        let Some(digits) = sha256.map(str::to_owned).or(fragment) else {
            return Err(InputError::NoHash { url: url.to_string() });
        };
        Self::from(InputSource::Url(url)).with_sha256(&digits)
    }

    /// With the name that the app sees.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// With what its bytes must hash to.
    ///
    /// # Errors
    /// When that is not 64 hex digits.
    pub fn with_sha256(mut self, digits: &str) -> Result<Self, InputError> {
        let bytes = hex::decode(digits.trim().trim_start_matches("0x")).ok().filter(|bytes| bytes.len() == 32);
        let Some(bytes) = bytes else {
            return Err(InputError::BadHash { input: self.source.to_string(), found: digits.to_owned() });
        };
        self.sha256 = Some(B256::from_slice(&bytes));
        Ok(self)
    }

    /// The name that the app sees. Looks at the file system to tell a file from a folder.
    ///
    /// # Errors
    /// When it is no plain file name.
    pub fn app_name(&self) -> Result<String, InputError> {
        let of_path = |path: &PathBuf| path.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = match (&self.name, &self.source) {
            (Some(name), _) => Some(name.clone()),
            (None, InputSource::Path(path)) if !path.is_dir() => of_path(path),
            (None, InputSource::Path(path) | InputSource::Folder(path)) => {
                // "." and ".." have no name of their own.
                let path = path.canonicalize().unwrap_or_else(|_| path.clone());
                of_path(&path).map(|name| format!("{name}.tar"))
            }
            (None, InputSource::Url(url)) => url.path_segments().and_then(|mut s| s.next_back()).map(str::to_owned),
        };
        let name = name.unwrap_or_default();
        let plain = !name.is_empty() && name.len() <= 255 && name != "." && name != "..";
        // U+FFFD: the file's name is not UTF-8, so the app would see another one.
        if !plain || name.contains(['/', '\\', '\0', '\n', '\u{fffd}']) {
            return Err(InputError::BadName { input: self.source.to_string(), name });
        }
        Ok(name)
    }
}

/// https anywhere, http on this machine only.
pub(super) fn may_fetch(url: &Url) -> bool {
    let loopback = match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_need_their_hash_and_encryption() {
        let hash = "ab".repeat(32);
        let input = JobInput::parse(&format!("https://example.com/data/set.csv?v=2#sha256={hash}")).unwrap();
        assert_eq!(input.app_name().unwrap(), "set.csv");
        assert_eq!(input.source.to_string(), "https://example.com/data/set.csv?v=2");
        assert_eq!(input.sha256, Some(B256::repeat_byte(0xab)));
        let say = |text: &str| JobInput::parse(text).unwrap_err().to_string();
        assert!(say("https://example.com/a").contains("write it as https://example.com/a#sha256=HEX"));
        assert!(say("https://example.com/a#sha256=abc").contains("\"abc\" is not a SHA-256"));
        assert!(say(&format!("http://example.com/a#sha256={hash}")).contains("not encrypted on the way"));
        assert!(JobInput::parse(&format!("http://127.0.0.1:1/a#sha256={hash}")).is_ok());
        let nameless = JobInput::parse(&format!("https://example.com/#sha256={hash}")).unwrap();
        assert!(nameless.app_name().unwrap_err().to_string().contains("give it a \"name\""));
        assert_eq!(nameless.named("x").app_name().unwrap(), "x");
    }

    #[test]
    fn folders_are_named_after_themselves() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("data")).unwrap();
        let name = |path: &str| JobInput::from(InputSource::Path(dir.path().join(path))).app_name().unwrap();
        assert_eq!(name("data"), "data.tar");
        assert_eq!(name("data/."), "data.tar");
        assert_eq!(name("data/nothing.txt"), "nothing.txt");
    }
}
