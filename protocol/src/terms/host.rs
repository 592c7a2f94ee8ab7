//! A host that an app may speak to: "name:port", as version 3 of the specification carries it.

use std::{fmt, str::FromStr};

use thiserror::Error;

/// Most hosts of one specification.
pub const MAX_HOSTS: usize = 8;
/// Longest name in the domain name system, as people write it (RFC 1035).
const MAX_NAME_BYTES: usize = 253;
/// Longest part of it between two dots.
const MAX_LABEL_BYTES: usize = 63;

/// Name and TCP port. There is one way to write each: lower case, no dot at the end, no zeros before the port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Host {
    name: String,
    port: u16,
}

/// A text that names no host.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the host {found:?} cannot be used: {problem}; expected a name and a port, such as api.example.org:443")]
pub struct HostError {
    /// What was given, cut to what fits a line.
    pub found: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

impl Host {
    /// # Errors
    /// When the name is none, or the port zero.
    pub fn new(name: &str, port: u16) -> Result<Self, HostError> {
        let fail = |problem| Err(HostError { found: name.chars().take(80).collect(), problem });
        if port == 0 {
            return fail("port 0 is none");
        }
        match problem_of_name(name) {
            Some(problem) => fail(problem),
            None => Ok(Self { name: name.to_owned(), port }),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its TCP port.
    pub const fn port(&self) -> u16 {
        self.port
    }
}

/// What keeps a text from being a name; `None` when it is one. Addresses are none: who they belong to, no list can say.
pub fn problem_of_name(name: &str) -> Option<&'static str> {
    if name.is_empty() || name.len() > MAX_NAME_BYTES {
        return Some("the name has 1 to 253 characters");
    }
    let mut last = "";
    for label in name.split('.') {
        let plain = label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if !plain || label.is_empty() || label.len() > MAX_LABEL_BYTES {
            return Some("between dots there are 1 to 63 lower-case ASCII letters, digits and dashes");
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Some("no part of a name begins or ends with a dash");
        }
        last = label;
    }
    // "1.2.3.4", and what resolvers take for an address too: "0x7f000001", "2130706433".
    let like_a_number = last.bytes().all(|byte| byte.is_ascii_digit())
        || last.strip_prefix("0x").is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_hexdigit()));
    like_a_number.then_some("it is an address, not a name")
}

impl FromStr for Host {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        let fail = |problem| Err(HostError { found: text.chars().take(80).collect(), problem });
        let Some((name, port)) = text.rsplit_once(':') else { return fail("there is no port") };
        let digits = !port.starts_with('0') && port.bytes().all(|byte| byte.is_ascii_digit());
        let Some(port) = port.parse().ok().filter(|_| digits) else {
            return fail("the port is no number of 1 to 65535");
        };
        Self::new(name, port).map_err(|error| HostError { found: text.chars().take(80).collect(), ..error })
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.port)
    }
}

impl serde::Serialize for Host {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Host {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_with_ports_written_in_one_way() {
        for good in ["api.example.org:443", "localhost:65535", "a:1", "xn--bcher-kva.example:80", "0x7f.example:1"] {
            assert_eq!(good.parse::<Host>().unwrap().to_string(), good);
        }
        let long = format!("{}:1", "a.".repeat(127));
        for (bad, why) in [
            ("api.example.org", "no port"),
            ("api.example.org:", "1 to 65535"),
            ("api.example.org:0", "1 to 65535"),
            ("api.example.org:0443", "1 to 65535"),
            ("api.example.org:+43", "1 to 65535"),
            ("api.example.org:65536", "1 to 65535"),
            (":443", "1 to 253"),
            ("API.example.org:443", "lower-case"),
            ("api..org:443", "lower-case"),
            ("api.example.org.:443", "lower-case"),
            ("b\u{fc}cher.example:443", "lower-case"),
            ("a b:443", "lower-case"),
            ("a\n:443", "lower-case"),
            ("*.example.org:443", "lower-case"),
            ("-a.org:443", "dash"),
            ("127.0.0.1:443", "an address"),
            ("2130706433:443", "an address"),
            ("0x7f000001:443", "an address"),
            ("::1:443", "lower-case"),
            ("[::1]:443", "lower-case"),
            (long.as_str(), "1 to 253"),
        ] {
            let error = bad.parse::<Host>().unwrap_err();
            assert!(error.problem.contains(why), "{bad:?}: {error}");
            assert!(!error.to_string().contains(char::is_control), "{error}");
        }
    }
}
