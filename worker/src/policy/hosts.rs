//! Which hosts the owner lets apps speak to. Pure.
//!
//! A rule is `name:port`; `*.example.org` stands for every name below `example.org` (not for itself), `*` alone for any name, and `*` for
//! any port. Names that lead to addresses of this machine or of its private network are refused whatever the list says, unless the
//! rule begins with `private `: then the owner opens a service of its own to strangers' apps.
use std::{fmt, str::FromStr};

use sunwork_protocol::terms::{Host, problem_of_name};

use crate::refusal::Refusal;

/// Before a rule that also lets private addresses through.
const PRIVATE: &str = "private ";

/// One line of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostRule {
    name: Name,
    /// `None` for any.
    port: Option<u16>,
    private: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Name {
    Any,
    /// Every name that ends with this, which begins with a dot.
    Below(String),
    Exactly(String),
}

impl FromStr for HostRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fail = |problem: &str| {
            Err(format!("{text:?} is no host: {problem}; expected a name and a port, such as *.example.org:443"))
        };
        let (private, rest) = match text.trim().strip_prefix(PRIVATE) {
            Some(rest) => (true, rest.trim()),
            None => (false, text.trim()),
        };
        let Some((name, port)) = rest.rsplit_once(':') else { return fail("there is no port") };
        let port = match port {
            "*" => None,
            digits => match digits.parse() {
                Ok(1..) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok(),
                _ => return fail("the port is no number of 1 to 65535, and not *"),
            },
        };
        let (below, plain) = match name.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, name),
        };
        if name != "*"
            && let Some(problem) = problem_of_name(plain)
        {
            return fail(problem);
        }
        let name = match (name, below) {
            ("*", _) => Name::Any,
            (_, true) => Name::Below(format!(".{plain}")),
            (_, false) => Name::Exactly(plain.to_owned()),
        };
        if private && !matches!(name, Name::Exactly(_)) {
            return fail("private needs the whole name: what it opens is the owner's own");
        }
        Ok(Self { name, port, private })
    }
}

impl fmt::Display for HostRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.private {
            f.write_str(PRIVATE)?;
        }
        match &self.name {
            Name::Any => f.write_str("*")?,
            Name::Below(suffix) => write!(f, "*{suffix}")?,
            Name::Exactly(name) => f.write_str(name)?,
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => f.write_str(":*"),
        }
    }
}

impl HostRule {
    fn fits(&self, host: &Host) -> bool {
        let named = match &self.name {
            Name::Any => true,
            Name::Below(suffix) => host.name().len() > suffix.len() && host.name().ends_with(suffix.as_str()),
            Name::Exactly(name) => name == host.name(),
        };
        named && self.port.is_none_or(|port| port == host.port())
    }
}

/// A host that one leaf may speak to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit {
    /// The host.
    pub host: Host,
    /// Also at addresses that are not public.
    pub private: bool,
}

/// The list; empty by default: no app has a network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostRules(pub Vec<HostRule>);

impl HostRules {
    /// Reads the list.
    ///
    /// # Errors
    /// The rule, and what is wrong with it.
    pub fn parse(rules: &[String]) -> Result<Self, (String, String)> {
        let read = |rule: &String| rule.parse().map_err(|problem| (rule.clone(), problem));
        rules.iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    /// Whether an app may speak to all that it asks for.
    ///
    /// # Errors
    /// The first host that no rule lets through.
    pub fn check(&self, hosts: &[Host]) -> Result<(), Refusal> {
        match hosts.iter().find(|host| !self.0.iter().any(|rule| rule.fits(host))) {
            None => Ok(()),
            Some(host) => Err(Refusal::NetworkHost { host: host.to_string(), rules: self.0.len() }),
        }
    }

    /// What a leaf that was taken on may speak to. Hosts whose rule has gone since stay: its stake hangs on them; private
    /// addresses do not.
    pub fn permits(&self, hosts: &[Host]) -> Vec<Permit> {
        let private = |host: &Host| self.0.iter().any(|rule| rule.private && rule.fits(host));
        hosts.iter().map(|host| Permit { host: host.clone(), private: private(host) }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal::Reason;

    fn host(text: &str) -> Host {
        text.parse().unwrap()
    }

    fn rules(rules: &[&str]) -> HostRules {
        HostRules::parse(&rules.iter().map(|rule| (*rule).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn nothing_is_let_through_by_default_and_then_what_the_list_names() {
        let refusal = rules(&[]).check(&[host("api.example.org:443")]).unwrap_err();
        assert_eq!(refusal.reason(), Reason::NetworkHost);
        assert!(refusal.to_string().contains("api.example.org:443"), "{refusal}");
        assert_eq!(rules(&[]).check(&[]), Ok(()));
        let some = rules(&["*.example.org:443", "data.example.net:*", "*:80"]);
        for good in ["api.example.org:443", "a.b.example.org:443", "data.example.net:7", "any.where:80"] {
            assert_eq!(some.check(&[host(good)]), Ok(()), "{good}");
        }
        for bad in ["example.org:443", "badexample.org:443", "api.example.org:444", "x.data.example.net:7"] {
            assert!(some.check(&[host(bad)]).is_err(), "{bad}");
        }
        let both = some.check(&[host("api.example.org:443"), host("other.example:9")]).unwrap_err();
        assert!(both.to_string().contains("other.example:9"), "the first that is missing is named: {both}");
    }

    #[test]
    fn private_addresses_need_a_rule_of_their_own() {
        let some = rules(&["*:*", "private printer.lan:9100"]);
        let hosts = [host("api.example.org:443"), host("printer.lan:9100"), host("printer.lan:9101")];
        let private: Vec<bool> = some.permits(&hosts).iter().map(|permit| permit.private).collect();
        assert_eq!(private, [false, true, false]);
        assert!(!rules(&[]).permits(&hosts[..1])[0].private);
    }

    #[test]
    fn rules_read_back_and_mistakes_are_named() {
        for good in ["*:443", "*.example.org:*", "a:1", "private nas.lan:445"] {
            assert_eq!(good.parse::<HostRule>().unwrap().to_string(), good);
        }
        for (bad, why) in [
            ("example.org", "no port"),
            ("example.org:0", "1 to 65535"),
            ("example.org:+1", "1 to 65535"),
            ("ex*mple.org:1", "lower-case"),
            ("*.*.org:1", "lower-case"),
            ("127.0.0.1:1", "an address"),
            ("*.1:1", "an address"),
            ("private *:1", "whole name"),
            ("private *.lan:1", "whole name"),
            ("", "no port"),
        ] {
            let error = bad.parse::<HostRule>().unwrap_err();
            assert!(error.contains(why), "{bad:?}: {error}");
        }
    }
}
