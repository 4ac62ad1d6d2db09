//! Several operators, and what becomes of the journal between them.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    path::Path,
    process::Stdio,
};

use bg_playground::{Playground, Ran, until};
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use serde_json::{Value, json};

use crate::desk::{
    SOON, bg, journal, journal_file, kill_at, small, start_until, status, two_balancers, untouched, world,
};

const CHANGES: [&str; 10] = [
    "setup --release v1",
    "deploy --release v1",
    "canary all=1%",
    "canary off",
    "flip",
    "flip --back",
    "restore",
    "abort",
    "resume",
    "sync",
];

/// Another desk with a copy of this one's inventory and journal.
fn copy_desk(site: &Playground, to: &Path) {
    for below in ["inventory/shop.toml", "ssh_config", ".bg/shop/journal.jsonl"] {
        fs::create_dir_all(to.join(below).parent().unwrap()).unwrap();
        fs::copy(site.dir().join(below), to.join(below)).unwrap();
    }
    std::os::unix::fs::symlink(site.dir().join("dist"), to.join("dist")).unwrap();
}

/// `bg` at another desk.
#[track_caller]
fn bg_at(site: &Playground, desk: &Path, words: &str, code: i32) -> Ran {
    let mut command = site.bg_command(words.split_whitespace()).unwrap();
    let out = command.current_dir(desk).output().unwrap();
    let [stdout, stderr] = [out.stdout, out.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    let ran = Ran { code: out.status.code(), stdout, stderr, took: SOON, command: words.to_owned(), timed_out: false };
    ran.expect(code);
    ran
}

#[test]
fn a_second_command_is_refused_and_told_who_is_at_work() {
    let mut site = small().start().unwrap();
    site.setup("v1").unwrap().expect(0);
    site.release("v2").unwrap();
    let hold = site.hold_restarts().unwrap();
    let deploy = start_until(&site, "deploy --release v2", 4);
    let before = journal(&site);
    for words in CHANGES {
        let ran = bg(&site, words, 3);
        assert!(ran.stderr.contains("`deploy` of v2 by "), "{ran}");
        assert!(ran.stderr.contains(&format!("process {}", deploy.pid())), "{ran}");
        assert_eq!(journal(&site), before, "{ran}");
    }
    let seen = status(&site);
    assert!(seen["under_way"].as_str().unwrap().contains("`deploy` of v2 by"), "{seen:#}");
    assert_eq!((&seen["interrupted"], &seen["next"]), (&Value::Null, &json!([])));
    assert!(bg(&site, "status", 0).stdout.contains("a command is under way: `deploy` of v2 by"));
    fs::remove_file(hold).unwrap();
    deploy.wait(SOON).unwrap().expect(0);
    assert_eq!(status(&site)["stage"], "staged");
}

#[test]
fn an_outdated_copy_of_the_journal_changes_nothing() {
    let mut site = small().start().unwrap();
    site.setup("v1").unwrap().expect(0);
    site.release("v2").unwrap();
    let (balanced, staged) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    copy_desk(&site, balanced.path());
    bg(&site, "deploy --release v2", 0);
    copy_desk(&site, staged.path());
    bg(&site, "flip", 0);
    bg(&site, "flip --back", 0);
    outdated(&site, balanced.path(), "deploy --release v2");
    outdated(&site, balanced.path(), "sync");
    for words in ["deploy --release v2", "canary all=1%", "flip", "abort"] {
        outdated(&site, staged.path(), words);
    }
    for words in ["journal copy file:.bg/shop file:.bg/new", "journal copy file:.bg/shop file:.bg/new --dry-run"] {
        outdated(&site, staged.path(), words);
    }
    bg(&site, "flip", 0);
    for desk in [&balanced, &staged] {
        shows_only_the_hosts(&site, desk.path(), "` runs generation ");
        let ran = bg_at(&site, desk.path(), "check --hosts", 1);
        assert!(ran.stdout.contains("(journal)\n") && ran.stdout.contains("is an outdated copy"), "{ran}");
        assert_eq!(ran.stdout.matches("  finding ").count(), 1, "{ran}");
    }
    bg(&site, "abort", 0);
}

/// `status` at a desk whose copy of the journal is an older one, while all traffic is on green: the copy, `seen` on a host, is
/// told first, and nothing that it says is.
#[track_caller]
fn shows_only_the_hosts(site: &Playground, desk: &Path, seen: &str) {
    let text = bg_at(site, desk, "status", 0).stdout;
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        flat.starts_with("journal: `") && flat.contains(seen) && flat.contains("is an outdated copy. Use the"),
        "{text}"
    );
    assert!(flat.contains("nothing is to be mended on the hosts") && !text.contains("\nnext"), "{text}");
    assert!(flat.contains("all traffic on green, as every balancer's own tree says"), "{text}");
    let shown: Value = serde_json::from_str(&bg_at(site, desk, "status --json", 0).stdout).unwrap();
    for key in ["stage", "rollout", "interrupted"] {
        assert_eq!(shown[key], Value::Null, "{key}: {shown:#}");
    }
    assert_eq!((&shown["next"], &shown["recent"]), (&json!([]), &json!([])), "{shown:#}");
}

/// Refused at a desk whose copy of the journal is an older one; neither the site nor the copy is touched.
#[track_caller]
fn outdated(site: &Playground, desk: &Path, words: &str) {
    let copy = || fs::read_to_string(desk.join(".bg/shop/journal.jsonl")).unwrap();
    let (before, known) = (world(site), copy());
    let ran = bg_at(site, desk, words, 3);
    assert!(ran.stderr.contains("outdated copy") && ran.stderr.contains("othing was touched"), "{ran}");
    untouched(site, &before, &ran);
    assert_eq!(copy(), known, "{ran}");
}

#[test]
fn an_outdated_copy_of_the_journal_with_an_open_command_takes_no_record() {
    let mut site = small().start().unwrap();
    site.setup("v1").unwrap().expect(0);
    site.release("v2").unwrap();
    let [placing, staged, preparing, switching] = [(); 4].map(|()| tempfile::tempdir().unwrap());
    kill_at(&site, "deploy --release v2", 3);
    copy_desk(&site, placing.path());
    bg(&site, "resume", 0);
    copy_desk(&site, staged.path());
    bg(&site, "deploy --release v2", 0);
    // No generation is newer than these copies know: the servers tell.
    outdated(&site, placing.path(), "resume");
    for words in ["flip", "canary all=1%"] {
        outdated(&site, staged.path(), words);
    }
    let shown = bg_at(&site, placing.path(), "status", 0).stdout;
    assert!(
        shown.starts_with("journal: `web") && shown.contains("` has seen record ") && !shown.contains("interrupted"),
        "{shown}"
    );

    kill_at(&site, "flip", 0);
    copy_desk(&site, preparing.path());
    bg(&site, "resume", 0);
    kill_at(&site, "flip --back", 1);
    copy_desk(&site, switching.path());
    bg(&site, "resume", 0);
    bg(&site, "flip", 0);
    for desk in [&placing, &preparing, &switching] {
        for words in ["resume", "abort", "flip --back"] {
            outdated(&site, desk.path(), words);
        }
    }
}

#[test]
fn without_the_journal_everything_is_refused_and_names_whose_hosts_these_are() {
    let mut site = small().start().unwrap();
    site.setup("v1").unwrap().expect(0);
    bg(&site, "deploy --release v1", 0);
    let id = serde_json::from_str::<Value>(journal(&site).lines().next().unwrap()).unwrap();
    let id = id["events"][0]["journal"].as_str().unwrap().to_owned();
    fs::remove_dir_all(site.dir().join(".bg")).unwrap();
    let before = world(&site);
    for words in CHANGES {
        let ran = bg(&site, words, 3);
        for named in [id.as_str(), "r1", "`lb1`"] {
            assert!(ran.stderr.contains(named), "{named}: {ran}");
        }
        untouched(&site, &before, &ran);
    }
    let seen: Value = serde_json::from_str(&bg(&site, "status --json", 1).stdout).unwrap();
    assert_eq!((&seen["stage"], &seen["next"]), (&Value::Null, &json!([])), "{seen:#}");
    assert!(seen["balancers"][0]["generation"].is_u64(), "{seen:#}");
    assert_eq!(seen["pools"]["web"]["green"][0]["release"], "v2", "{seen:#}");
    let text = bg(&site, "status", 1).stdout;
    assert!(text.contains(&id) && text.contains("journal: "), "{text}");
}

#[test]
fn a_server_of_another_journal_is_named_though_no_balancer_is() {
    let mut site = small().start().unwrap();
    site.setup("v1").unwrap().expect(0);
    site.stop_app("web1").unwrap();
    site.stop_app("web2").unwrap();
    fs::remove_dir_all(site.dir().join(".bg")).unwrap();
    fs::remove_file(site.balancer("lb1").bg_dir.join("live/current")).unwrap();
    let before = world(&site);
    for words in ["setup --release v1", "deploy --release v1"] {
        let ran = bg(&site, words, 3);
        assert!(ran.stderr.contains("`web1` belongs to another journal"), "{ran}");
        untouched(&site, &before, &ran);
    }
}

#[test]
fn a_damaged_journal_stops_with_its_line_and_a_torn_end_goes_on() {
    let mut site = small().start().unwrap();
    site.setup("v1").unwrap().expect(0);
    let whole = journal(&site);
    let lines: Vec<&str> = whole.lines().collect();
    let damaged = whole.replacen(lines[3], &lines[3].replace("step", "stop"), 1);
    fs::write(journal_file(&site), &damaged).unwrap();
    for words in CHANGES {
        let ran = bg(&site, words, 1);
        assert!(ran.stderr.contains("damaged at line 4") && ran.stderr.contains("journal.jsonl"), "{ran}");
    }
    assert_eq!(journal(&site), damaged);
    // The hosts are checked all the same.
    let ran = bg(&site, "check --hosts", 1);
    for said in
        ["is damaged at line 4", "Bring back a copy of the journal", "lb1 (balancer)\n  ok", "web2 (web/green)\n  ok"]
    {
        assert!(ran.stdout.contains(said), "{said}: {ran}");
    }
    assert!(ran.stderr.contains("there is a finding") && ran.stderr.contains("hint: see to the journal"), "{ran}");
    assert!(!ran.stdout.contains("another journal") && ran.stdout.contains("healthy"), "{ran}");
    let ran = bg(&site, "status --json", 1);
    let seen: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert!(seen["journal"].as_str().unwrap().contains("line 4"), "{seen:#}");
    assert_eq!(seen["pools"]["web"]["blue"][0]["healthy"], true, "{seen:#}");
    let text = bg(&site, "status", 1).stdout;
    for said in ["traffic   both halves, as every balancer's own tree says", "serves: both halves (the journal `"] {
        assert!(text.contains(said), "{said}: {text}");
    }
    assert!(text.contains("Bring back a copy of the journal"), "{text}");

    let torn = format!("{whole}{}", &lines[3][..lines[3].len() / 2]);
    fs::write(journal_file(&site), &torn).unwrap();
    assert!(status(&site)["journal"].as_str().unwrap().contains("torn by a crash"));
    let ran = bg(&site, "deploy --release v1", 0);
    assert!(ran.stderr.contains("torn by a crash"), "{ran}");
    let now = journal(&site);
    assert!(now.starts_with(&whole) && !now.starts_with(&torn), "written over, and nothing else");
}

#[test]
fn what_the_inventory_says_of_traffic_changes_only_while_balanced() {
    let mut site = two_balancers().start().unwrap();
    site.setup("v1").unwrap().expect(0);
    let old = fs::read_to_string(site.inventory_file()).unwrap();
    bg(&site, "deploy --release v1 --canary mobile=50%", 0);
    let new = old.replace("|ipad", "|ipad|tablet");
    site.write_inventory(&new).unwrap();
    let before = world(&site);
    for words in CHANGES {
        let ran = bg(&site, words, 3);
        assert!(ran.stderr.contains("balanced"), "{ran}");
        assert!(ran.stderr.contains("take the change back for this rollout"), "{ran}");
        untouched(&site, &before, &ran);
    }
    bg(&site, "check", 0);
    let seen = status(&site);
    assert_eq!((&seen["stage"], &seen["next"]), (&json!("canary"), &json!([])), "{seen:#}");
    let text = bg(&site, "status", 0).stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("Take the change back for this rollout"), "{text}");
    // How servers are deployed and asked is read at each command.
    site.write_inventory(&old.replace("within = \"8s\"", "within = \"9s\"").replace("keep = 3", "keep = 4")).unwrap();
    bg(&site, "canary mobile=60%", 0);
    site.write_inventory(&old).unwrap();
    bg(&site, "abort", 0);

    site.write_inventory(&new).unwrap();
    let ran = bg(&site, "deploy --release v1", 3);
    assert!(ran.stderr.contains("`bg sync`"), "{ran}");
    assert_eq!(status(&site)["next"], json!(["sync"]));
    site.write_inventory(&new.replace("\"web2\"", "\"web9\"")).unwrap();
    assert_eq!(status(&site)["next"], json!([]), "other hosts are refused by sync too");
    site.write_inventory(&new).unwrap();
    bg(&site, "sync", 0);
    assert_eq!(site.probe("lb2", "/state?at=mobile/00/00").unwrap().body.split(' ').nth(1), Some("2"));
    site.write_inventory(&old).unwrap();
    assert!(bg(&site, "deploy --release v1", 3).stderr.contains("outdated copy"));
    site.write_inventory(&new.replace("\"web2\"", "\"web9\"")).unwrap();
    let ran = bg(&site, "sync", 3);
    assert!(ran.stderr.contains("- web/green web2") && ran.stderr.contains("+ web/green web9"), "{ran}");
    site.write_inventory(&new).unwrap();
    assert!(bg(&site, "sync", 0).stdout.contains("in sync already"));
}

#[test]
fn with_a_changed_inventory_an_interrupted_command_has_no_way_on_but_to_take_the_change_back() {
    let mut site = small().start().unwrap();
    site.setup("v1").unwrap().expect(0);
    bg(&site, "deploy --release v1", 0);
    kill_at(&site, "flip", 1);
    let old = fs::read_to_string(site.inventory_file()).unwrap();
    site.write_inventory(&old.replace("|ipad", "|ipad|tablet")).unwrap();
    let seen = status(&site);
    assert_eq!((&seen["next"], &seen["interrupted"]["next"]), (&json!([]), &json!([])), "{seen:#}");
    assert!(
        seen["inventory_differs"].as_str().unwrap().contains("are not the ones that the site runs with"),
        "{seen:#}"
    );
    let text = bg(&site, "status", 0).stdout;
    assert!(
        !text.contains("end it too") && !text.contains("\nnext") && text.contains("Take the change back"),
        "{text}"
    );
    for words in CHANGES {
        bg(&site, words, 3);
    }
    site.write_inventory(&old).unwrap();
    let seen = status(&site);
    assert_eq!((&seen["interrupted"]["next"], &seen["inventory_differs"]), (&json!(["resume", "abort"]), &Value::Null));
    for verb in seen["next"].as_array().unwrap() {
        bg(&site, &format!("{} --dry-run", verb.as_str().unwrap()), 0);
    }
    bg(&site, "flip --back", 0);
}

#[test]
fn asked_to_stop_twice_it_leaves_at_once_and_resume_finishes() {
    let mut site = small().start().unwrap();
    site.setup("v1").unwrap().expect(0);
    site.release("v2").unwrap();
    let hold = site.hold_restarts().unwrap();
    let deploy = start_until(&site, "deploy --release v2 --json", 4);
    deploy.signal(Signal::SIGTERM);
    assert!(bg(&site, "flip", 3).stderr.contains("`deploy` of v2 by"), "the step is finished first");
    deploy.signal(Signal::SIGHUP);
    let ran = deploy.wait(SOON).unwrap();
    let said: Value = serde_json::from_str(&ran.expect(130).stdout).unwrap();
    assert_eq!((&said["exit"], &said["stage"], &said["rollout"]), (&json!(130), &json!("isolated"), &json!("r1")));
    assert!(said["message"].as_str().unwrap().contains("`activate v2 on green`"), "{said}");
    assert_eq!(status(&site)["interrupted"]["step"], "activate v2 on green");
    fs::remove_file(hold).unwrap();
    bg(&site, "resume", 0);
    assert_eq!(status(&site)["stage"], "staged");
}

#[test]
fn asked_to_stop_it_finishes_the_step_whatever_the_signal() {
    let mut site = small().start().unwrap();
    site.setup("v1").unwrap().expect(0);
    site.release("v2").unwrap();
    let hold = site.hold_restarts().unwrap();
    for (signal, way_on) in [(Signal::SIGHUP, "abort"), (Signal::SIGINT, "abort"), (Signal::SIGTERM, "resume")] {
        fs::write(&hold, "").unwrap();
        let known = journal(&site).len();
        let mut deploy = site.bg_command(["deploy", "--release", "v2"]).unwrap();
        deploy.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut deploy = deploy.process_group(0).spawn().unwrap();
        let restarts = || journal(&site)[known..].contains("\"event\":\"step_started\",\"step\":4,");
        until(SOON, "the restart", || restarts().then_some(())).unwrap();
        // As a terminal does it: to everything that the command has started too.
        killpg(Pid::from_raw(i32::try_from(deploy.id()).unwrap()), signal).unwrap();
        let mut said = BufReader::new(deploy.stderr.take().unwrap()).lines().map(Result::unwrap);
        assert!(said.any(|line| line.contains("stopping after the step under way")));
        fs::remove_file(&hold).unwrap();
        let said = said.collect::<Vec<_>>().join("\n");
        assert_eq!(deploy.wait().unwrap().code(), Some(130), "{said}");
        assert!(said.contains("before the step `check green on v"), "{said}");
        assert!(said.contains("the site is isolated") && said.contains("`bg resume`"), "{said}");
        bg(&site, way_on, 0);
    }
    assert_eq!(status(&site)["stage"], "staged");
    // With the last step nothing is left open.
    let flip = start_until(&site, "flip", 1);
    flip.signal(Signal::SIGINT);
    let ran = flip.wait(SOON).unwrap();
    assert!(ran.code == Some(130) || ran.code == Some(0), "{ran}");
    let seen = status(&site);
    assert_eq!((&seen["stage"], &seen["interrupted"]), (&json!("flipped"), &Value::Null), "{seen:#}");
}
