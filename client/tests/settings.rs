//! Settings, homes and disks that are not as they should be, each said in words.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;
use std::process::{Command, Output};

use support::{command, deployment, error, json, sunwork, text};

#[test]
fn every_setting_tells_where_it_is_from() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join(".config/sunwork/config.toml");
    let path = sunwork(dir.path(), &["config", "path"]);
    assert_eq!(text(&path).trim(), config.to_str().unwrap());
    assert_eq!(sunwork(dir.path(), &["config", "init"]).status.code(), Some(0));
    let again = sunwork(dir.path(), &["config", "init"]);
    assert_eq!(again.status.code(), Some(3));
    assert!(error(&again).contains("is there already"), "{}", error(&again));
    let set = sunwork(dir.path(), &["config", "set", "oracle", "http://a:1", "http://b:2"]);
    assert_eq!(set.status.code(), Some(0), "{}", error(&set));
    let seen = command(dir.path(), &["config", "show", "--origin", "-o", "json", "--rpc", "http://flag:1"])
        .env("SUNWORK_KEYSTORE", "/keys")
        .env("SUNWORK_DEPLOYMENT", "")
        .output()
        .unwrap();
    let document = json(&seen);
    assert_eq!(document["schema"], "sunwork.config.v1");
    let origin = |key: &str| {
        let settings = document["settings"].as_array().unwrap();
        settings.iter().find(|setting| setting["key"] == key).unwrap()["origin"].as_str().unwrap().to_owned()
    };
    assert_eq!(origin("rpc"), "flag --rpc");
    assert_eq!(origin("keystore"), "environment SUNWORK_KEYSTORE");
    assert_eq!(origin("deployment"), "default");
    assert_eq!(origin("output"), "flag --output");
    let line =
        std::fs::read_to_string(&config).unwrap().lines().position(|line| line.starts_with("oracle")).unwrap() + 1;
    assert_eq!(origin("oracle"), format!("{}:{line}", config.display()));
    let people = text(&sunwork(dir.path(), &["config", "show", "--origin"]));
    assert!(people.contains("http://a:1, http://b:2") && people.contains("default"), "{people}");
}

#[test]
fn typing_errors_in_the_file_name_the_nearest_setting() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("c.toml");
    std::fs::write(&config, "output = \"table\"\norcale = \"http://o:1\"\n").unwrap();
    for args in [["workers", "--config", "c.toml"], ["doctor", "--config", "c.toml"]] {
        let refused = sunwork(dir.path(), &args);
        assert_eq!(refused.status.code(), Some(3), "{args:?}");
        let said = error(&refused) + &text(&refused);
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains("line 2: \"orcale\" is no setting (did you mean \"oracle\"?)"), "{said}");
    }
    let set = sunwork(dir.path(), &["config", "set", "rcp", "http://x:1"]);
    assert!(error(&set).contains("did you mean \"rpc\"?"), "{}", error(&set));
    let bad = sunwork(dir.path(), &["config", "set", "rpc", "localhost"]);
    assert_eq!(bad.status.code(), Some(3));
    assert!(error(&bad).contains("is not a URL"), "{}", error(&bad));
    assert!(!dir.path().join(".config/sunwork/config.toml").exists(), "what is refused is not written");
}

#[test]
fn without_a_home_folder_it_says_what_to_set() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("password"), "sun").unwrap();
    let homeless = |args: &[&str]| command(dir.path(), args).env_remove("HOME").output().unwrap();
    for args in [
        &["wallet", "create", "--password-file", "password"][..],
        &["config", "path"],
        &["config", "set", "output", "json"],
    ] {
        let refused = homeless(args);
        assert_eq!(refused.status.code(), Some(3), "{args:?}: {}", error(&refused));
        let said = error(&refused);
        assert!(
            said.contains("there is no home folder") && said.contains("HOME is set") && said.contains("give --"),
            "{said}"
        );
    }
    // What needs no home goes on without one.
    let shown = homeless(&["config", "show", "-o", "json"]);
    assert_eq!((shown.status.code(), json(&shown)["file"].is_null()), (Some(0), true));
    let doctor = homeless(&["doctor", "-o", "json"]);
    assert_eq!(doctor.status.code(), Some(3));
    let failed = json(&doctor)["checks"].as_array().unwrap().iter().any(|check| {
        check["name"] == "data folder" && check["verdict"] == "fail" && check["fix"].as_str().unwrap().contains("HOME")
    });
    assert!(failed, "{}", text(&doctor));
}

/// Runs the command with `dir` mounted read-only, in a mount namespace of its own. `None` where this machine does not let us.
fn on_a_read_only_disk(dir: &Path, args: &[&str]) -> Option<Output> {
    let script = r#"mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && cd "$0" && exec "$@""#;
    let mut unshare = Command::new("unshare");
    let program = env!("CARGO_BIN_EXE_sunwork");
    unshare.args(["--map-root-user", "--mount", "sh", "-c", script]).arg(dir).arg(program).args(args);
    let path = std::env::var_os("PATH")?;
    unshare.env_clear().env("PATH", path).env("HOME", dir);
    let output = unshare.output().ok()?;
    let said = error(&output);
    (!said.contains("mount:") && !said.contains("unshare:")).then_some(output)
}

#[test]
fn a_read_only_disk_is_said() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("password"), "sun").unwrap();
    for args in [&["wallet", "create", "--password-file", "password"][..], &["config", "init"]] {
        let Some(refused) = on_a_read_only_disk(dir.path(), args) else {
            eprintln!("skipped: no mount namespaces here");
            return;
        };
        assert_eq!(refused.status.code(), Some(3), "{args:?}: {}", error(&refused));
        let said = error(&refused);
        assert!(said.contains("cannot") && said.contains("this disk is read-only"), "{said}");
        assert!(said.contains("XDG_"), "it says what to do: {said}");
    }
}

#[test]
fn a_home_that_is_a_file_is_said() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("password"), "sun").unwrap();
    let file = dir.path().join("home");
    std::fs::write(&file, "").unwrap();
    let refused =
        command(dir.path(), &["wallet", "create", "--password-file", "password"]).env("HOME", &file).output().unwrap();
    assert_eq!(refused.status.code(), Some(3));
    assert!(error(&refused).contains("a part of this path is a file"), "{}", error(&refused));
}

#[test]
fn the_doctor_gives_one_line_and_one_fix_per_check() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("password"), "sun").unwrap();
    let file = deployment(dir.path());
    let made = sunwork(dir.path(), &["wallet", "create", "--password-file", "password", "-o", "json"]);
    let keystore = json(&made)["keystore"].as_str().unwrap().to_owned();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&keystore, std::fs::Permissions::from_mode(0o644)).unwrap();
    }
    let closed = format!("http://127.0.0.1:{}", support::closed_port());
    let args = ["doctor", "--deployment", &file, "--rpc", &closed, "--oracle", &closed, "--password-file", "password"];
    let sick = sunwork(dir.path(), &[&args[..], &["-o", "json"]].concat());
    assert_eq!(sick.status.code(), Some(5), "the first that failed is the chain: {}", text(&sick));
    let document = json(&sick);
    assert_eq!((document["schema"].as_str(), document["ok"].as_bool()), (Some("sunwork.doctor.v1"), Some(false)));
    let check = |name: &str| {
        let checks = document["checks"].as_array().unwrap();
        checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("no check of {name}")).clone()
    };
    for (name, verdict) in [
        ("configuration", "pass"),
        ("data folder", "pass"),
        ("deployment file", "pass"),
        ("password", "pass"),
        ("encryption", "pass"),
        ("chain", "fail"),
        ("oracle", "fail"),
    ] {
        assert_eq!(check(name)["verdict"], verdict, "{name}: {}", check(name));
    }
    #[cfg(unix)]
    assert!(check("wallet")["fix"].as_str().unwrap().starts_with("chmod 600"), "{}", check("wallet"));
    for check in document["checks"].as_array().unwrap() {
        let bad = matches!(check["verdict"].as_str(), Some("fail" | "warn"));
        assert_eq!(bad, check["fix"].is_string(), "a fix for what is wrong, and only for that: {check}");
    }
    let chain = support::fake::chain(sunwork_protocol::status::Status::Open, sunwork_protocol::status::Ending::None);
    let oracle = support::fake::lying_oracle();
    let args = ["doctor", "--deployment", &file, "--rpc", &chain.url, "--oracle", &oracle.url];
    let poor = sunwork(dir.path(), &args);
    assert_eq!(poor.status.code(), Some(6), "all answers, only money is missing: {}", text(&poor));
    assert!(text(&poor).contains("FAIL  money: 0 SUN held"), "{}", text(&poor));
}
