//! The settings of the `sunwork` command's configuration file; how such a file is read and changed is
//! [`sunwork_edge::settings`].

pub use sunwork_edge::settings::{ConfigFileError, Entry, Key, Kind, Schema, write_advice};

/// All settings, in the order in which they are shown.
pub const KEYS: &[Key] = &[
    Key {
        name: "rpc",
        flag: "--rpc",
        env: "SUNWORK_RPC",
        kind: Kind::List,
        default: Some("http://127.0.0.1:8545"),
        about: "Nodes of the chain (http, https, ws, wss); the first that answers is used",
        example: "[\"http://127.0.0.1:8545\"]",
    },
    Key {
        name: "oracle",
        flag: "--oracle",
        env: "SUNWORK_ORACLE",
        kind: Kind::List,
        default: Some("http://127.0.0.1:8420"),
        about: "Oracles that keep blobs and carry messages; they are trusted with nothing",
        example: "[\"http://127.0.0.1:8420\"]",
    },
    Key {
        name: "deployment",
        flag: "--deployment",
        env: "SUNWORK_DEPLOYMENT",
        kind: Kind::Text,
        default: None,
        about: "Deployment file; without it the only file in ./deployments",
        example: "\"/etc/sunwork/31337.json\"",
    },
    Key {
        name: "keystore",
        flag: "--keystore",
        env: "SUNWORK_KEYSTORE",
        kind: Kind::Text,
        default: None,
        about: "Keystore file of the wallet, or a folder with exactly one",
        example: "\"/home/me/keys\"",
    },
    Key {
        name: "password_file",
        flag: "--password-file",
        env: "SUNWORK_PASSWORD_FILE",
        kind: Kind::Text,
        default: None,
        about: "File whose first line is the keystore's password; without it you are asked",
        example: "\"/run/secrets/wallet\"",
    },
    Key {
        name: "max_fee_gwei",
        flag: "--max-fee-gwei",
        env: "SUNWORK_MAX_FEE_GWEI",
        kind: Kind::Number,
        default: Some("200"),
        about: "Most that is paid per gas, gwei",
        example: "200",
    },
    Key {
        name: "max_tx_cost_eth",
        flag: "--max-tx-cost-eth",
        env: "SUNWORK_MAX_TX_COST_ETH",
        kind: Kind::Number,
        default: Some("0.1"),
        about: "Most that the gas of one transaction may cost, ether",
        example: "0.1",
    },
    Key {
        name: "output",
        flag: "--output",
        env: "SUNWORK_OUTPUT",
        kind: Kind::Text,
        default: Some("table"),
        about: "table for people, json for scripts",
        example: "\"table\"",
    },
];

/// All of them, for reading and writing files.
pub const SCHEMA: Schema = Schema {
    keys: KEYS,
    heading: "# Settings of the sunwork command. A flag comes before its environment variable, that before this file.\n\
              # `sunwork config show --origin` prints what is used and where it is from.\n",
};

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn refused(text: &str) -> String {
        SCHEMA.parse(Path::new("/c.toml"), text).unwrap_err().to_string()
    }

    #[test]
    fn settings_are_read_with_their_lines() {
        let entries = SCHEMA
            .parse(
                Path::new("/c.toml"),
                "# mine\n\nrpc = [\"http://a\", \"http://b\"]\n oracle = \"http://o\"\noutput = 'json'\n",
            )
            .unwrap();
        assert_eq!(entries["rpc"], Entry { values: vec!["http://a".into(), "http://b".into()], line: 3 });
        assert_eq!(entries["oracle"], Entry { values: vec!["http://o".into()], line: 4 });
        assert_eq!((entries["output"].line, entries.len()), (5, 3));
    }

    #[test]
    fn typing_errors_name_the_nearest_setting_and_the_line() {
        let error = refused("output = \"json\"\nrcp = []\n");
        assert!(error.contains("line 2: \"rcp\" is no setting (did you mean \"rpc\"?)"), "{error}");
        assert!(refused("password-file = \"x\"").contains("did you mean \"password_file\"?"));
        assert!(refused("orcale = \"x\"").contains("did you mean \"oracle\"?"));
        let strange = refused("[network]\nx = 1");
        assert!(strange.contains("\"network\" is no setting; expected one of rpc, oracle"), "{strange}");
    }

    #[test]
    fn wrong_types_and_broken_files_are_said() {
        let error = refused("\nrpc = 8545");
        assert!(
            error.contains("line 2: rpc is a number, expected a list of texts in quotes, such as rpc = [\"http"),
            "{error}"
        );
        assert!(refused("output = [\"json\"]").contains("output is a list, expected a text in quotes"));
        assert!(refused("rpc = [1]").contains("rpc is a list"));
        let broken = refused("output = \"json\"\noracle =\n");
        assert!(broken.contains("is not TOML, line 2") && !broken.contains('\n'), "{broken}");
    }

    #[test]
    fn setting_one_keeps_the_rest() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/config.toml");
        SCHEMA.init(&path).unwrap();
        assert!(SCHEMA.read(&path).unwrap().is_empty(), "all that `init` writes is a comment");
        SCHEMA.set(&path, SCHEMA.key("rpc").unwrap(), &["http://a:1".into(), "http://b:2".into()]).unwrap();
        SCHEMA.set(&path, SCHEMA.key("password-file").unwrap(), &["/p".into()]).unwrap();
        SCHEMA.set(&path, SCHEMA.key("rpc").unwrap(), &["http://c:3".into()]).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("# Nodes of the chain") && text.contains("rpc = [\"http://c:3\"]"), "{text}");
        let entries = SCHEMA.read(&path).unwrap();
        assert_eq!(
            (entries["rpc"].values.as_slice(), entries["password_file"].values[0].as_str()),
            (&["http://c:3".to_owned()][..], "/p")
        );
        SCHEMA.set(&path, SCHEMA.key("max-fee-gwei").unwrap(), &["1.5".into()]).unwrap();
        assert_eq!(SCHEMA.read(&path).unwrap()["max_fee_gwei"].values, ["1.5"]);
        assert!(std::fs::read_to_string(&path).unwrap().contains("max_fee_gwei = 1.5"));
        std::fs::write(&path, "rcp = 1").unwrap();
        assert!(SCHEMA.set(&path, SCHEMA.key("rpc").unwrap(), &["x".into()]).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "rcp = 1", "a broken file is not touched");
        assert!(matches!(SCHEMA.key("rcp"), Err(ConfigFileError::NoSuchSetting { .. })));
    }
}
