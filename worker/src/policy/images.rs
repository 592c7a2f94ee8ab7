//! Which images the owner lets in: two lists of rules, by digest or by registry and repository. Pure.
//!
//! A rule is `sha256:` with 64 hexadecimal digits, or a repository in which `*` stands for any characters: `ghcr.io/lab/*`. A
//! name without a registry is Docker Hub's, as engines read it: `nginx` is `docker.io/library/nginx`. Archives and WebAssembly
//! modules have no repository: only their digest, or `*` alone, names them. A denied image stays out whatever else allows it;
//! with a list of allowed ones, everything else stays out.
use std::fmt;
use std::str::FromStr;

use crate::{refusal::Refusal, runtime::ImageRef};

/// Longest rule; longer than any name that an engine takes.
const MAX_RULE_CHARS: usize = 512;
/// Registry of names without one.
const DEFAULT_REGISTRY: &str = "docker.io";
/// Folder there of names without one.
const DEFAULT_FOLDER: &str = "library";

/// One line of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageRule {
    /// This image and no other.
    Digest([u8; 32]),
    /// All images of the repositories that this pattern fits.
    Repository(String),
}

impl FromStr for ImageRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Some(digits) = text.strip_prefix("sha256:") {
            let mut digest = [0; 32];
            return match hex::decode_to_slice(digits, &mut digest) {
                Ok(()) => Ok(Self::Digest(digest)),
                Err(_) => Err(format!("{text:?} is no digest: expected sha256: and 64 hexadecimal digits")),
            };
        }
        let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-/:*".contains(c);
        if text.is_empty() || text.len() > MAX_RULE_CHARS || !text.chars().all(known) || text.contains("//") {
            return Err(format!(
                "{text:?} is no repository: expected lower-case letters, digits and . _ - / : with * for any characters, such as \
                 ghcr.io/lab/*"
            ));
        }
        let tagged = text.rsplit('/').next().is_some_and(|last| last.contains(':')) && text.contains('/');
        if tagged {
            return Err(format!(
                "{text:?} names a tag; an image is named by its digest, a rule by repository or digest"
            ));
        }
        Ok(Self::Repository(if text.starts_with('*') { text.to_owned() } else { full_name(text) }))
    }
}

impl fmt::Display for ImageRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digest(digest) => write!(f, "sha256:{}", hex::encode(digest)),
            Self::Repository(pattern) => f.write_str(pattern),
        }
    }
}

impl ImageRule {
    fn fits(&self, image: &ImageRef) -> bool {
        match self {
            Self::Digest(digest) => *digest == image.digest,
            Self::Repository(pattern) => {
                image.name.as_deref().map_or(pattern == "*", |name| matches(pattern, &full_name(name)))
            }
        }
    }
}

/// The two lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageRules {
    /// If there is any, only these.
    pub allow: Vec<ImageRule>,
    /// Never these.
    pub deny: Vec<ImageRule>,
}

impl ImageRules {
    /// Reads both lists.
    ///
    /// # Errors
    /// The key, the rule, and what is wrong with it.
    pub fn parse(allow: &[String], deny: &[String]) -> Result<Self, (&'static str, String, String)> {
        let read = |key: &'static str, rules: &[String]| -> Result<Vec<ImageRule>, _> {
            rules.iter().map(|rule| rule.parse().map_err(|problem| (key, rule.clone(), problem))).collect()
        };
        Ok(Self { allow: read("image_allow", allow)?, deny: read("image_deny", deny)? })
    }

    /// Whether an image may come here.
    ///
    /// # Errors
    /// The rule that keeps it out.
    pub fn check(&self, image: &ImageRef) -> Result<(), Refusal> {
        let refusal = |rule: Option<&ImageRule>| Refusal::ImageRule {
            image: image.to_string(),
            rule: rule.map(ImageRule::to_string),
        };
        if let Some(rule) = self.deny.iter().find(|rule| rule.fits(image)) {
            return Err(refusal(Some(rule)));
        }
        if self.allow.is_empty() || self.allow.iter().any(|rule| rule.fits(image)) {
            Ok(())
        } else {
            Err(refusal(None))
        }
    }
}

/// With registry and folder, in lower case, as an engine completes a name. A first part with a dot or a port, or `localhost`, is a
/// registry.
fn full_name(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    match name.split_once('/') {
        None => format!("{DEFAULT_REGISTRY}/{DEFAULT_FOLDER}/{name}"),
        Some(("index.docker.io", rest)) => full_name(&format!("{DEFAULT_REGISTRY}/{rest}")),
        Some((DEFAULT_REGISTRY, rest)) if !rest.contains('/') => format!("{DEFAULT_REGISTRY}/{DEFAULT_FOLDER}/{rest}"),
        Some((first, _)) if first == "localhost" || first.contains(['.', ':', '*']) => name,
        Some(_) => format!("{DEFAULT_REGISTRY}/{name}"),
    }
}

/// `*` fits any characters, none among them. Time: the product of the lengths at most.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Where to go on when what follows the last star does not fit.
    let mut back: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            back = Some((p + 1, t));
            p += 1;
        } else if pattern.get(p) == Some(&text[t]) {
            (p, t) = (p + 1, t + 1);
        } else if let Some((after_star, from)) = back {
            back = Some((after_star, from + 1));
            (p, t) = (after_star, from + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal::Reason;

    fn image(name: Option<&str>) -> ImageRef {
        ImageRef { digest: [7; 32], name: name.map(str::to_owned), platform: "linux/amd64".into() }
    }

    fn rules(allow: &[&str], deny: &[&str]) -> ImageRules {
        let owned = |list: &[&str]| list.iter().map(|rule| (*rule).to_owned()).collect::<Vec<_>>();
        ImageRules::parse(&owned(allow), &owned(deny)).unwrap()
    }

    #[test]
    fn without_rules_all_images_come_in() {
        assert_eq!(rules(&[], &[]).check(&image(None)), Ok(()));
        assert_eq!(rules(&[], &[]).check(&image(Some("x"))), Ok(()));
    }

    #[test]
    fn what_is_denied_stays_out_whatever_allows_it() {
        let digest = format!("sha256:{}", "07".repeat(32));
        let lists = rules(&[&digest, "*"], &["evil.example/*"]);
        let refusal = lists.check(&image(Some("evil.example/app"))).unwrap_err();
        assert_eq!(refusal.reason(), Reason::ImageRule);
        assert!(refusal.is_lasting());
        let said = refusal.to_string();
        assert!(said.contains("evil.example/app@sha256:0707") && said.contains("rule evil.example/*"), "{said}");
        let refusal = rules(&[], &[&digest]).check(&image(None)).unwrap_err().to_string();
        assert!(refusal.contains(&digest), "{refusal}");
    }

    #[test]
    fn with_a_list_of_allowed_images_the_rest_stays_out() {
        let lists = rules(&["ghcr.io/lab/*", "docker.io/library/python"], &[]);
        assert_eq!(lists.check(&image(Some("ghcr.io/lab/a/b"))), Ok(()));
        assert_eq!(lists.check(&image(Some("python"))), Ok(()));
        assert_eq!(lists.check(&image(Some("index.docker.io/library/python"))), Ok(()));
        for other in ["ghcr.io/laboratory/a", "ghcr.io/lab", "evil/ghcr.io/lab/a", "python2", "localhost:5000/python"] {
            let refusal = lists.check(&image(Some(other))).unwrap_err().to_string();
            assert!(refusal.contains("no rule of `image_allow`"), "{other}: {refusal}");
        }
        // Without a repository only a digest or the star for everything names an image.
        assert!(lists.check(&image(None)).is_err());
        assert_eq!(rules(&["*"], &[]).check(&image(None)), Ok(()));
        assert_eq!(rules(&[&format!("sha256:{}", "07".repeat(32))], &[]).check(&image(None)), Ok(()));
    }

    #[test]
    fn names_are_completed_as_engines_do() {
        for (short, full) in [
            ("nginx", "docker.io/library/nginx"),
            ("lab/app", "docker.io/lab/app"),
            ("docker.io/nginx", "docker.io/library/nginx"),
            ("Ghcr.io/Lab/App", "ghcr.io/lab/app"),
            ("localhost/app", "localhost/app"),
            ("127.0.0.1:5000/app", "127.0.0.1:5000/app"),
        ] {
            assert_eq!(full_name(short), full);
        }
    }

    #[test]
    fn patterns_fit_whole_names_and_end_in_time() {
        assert!(matches("*", "") && matches("a*c", "abbc") && matches("*b*", "abc") && matches("a**", "a"));
        assert!(!matches("a*c", "abcd") && !matches("", "a") && !matches("a", ""));
        let (many, long) = ("*a".repeat(200), "b".repeat(10_000));
        assert!(!matches(&many, &long));
    }

    #[test]
    fn rules_that_cannot_be_meant_are_named() {
        for wrong in ["", "sha256:12", "Sha256:x", "a b", "ghcr.io/lab/app:latest", "x@sha256:12", "https://ghcr.io"] {
            let (key, rule, problem) = ImageRules::parse(&[], &[wrong.to_owned()]).unwrap_err();
            assert_eq!((key, rule.as_str()), ("image_deny", wrong), "{problem}");
        }
        assert_eq!("127.0.0.1:5000/app".parse::<ImageRule>().unwrap().to_string(), "127.0.0.1:5000/app");
    }
}
