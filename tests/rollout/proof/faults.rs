//! Every step of every plan fails once: the command is killed right before it, the world is made to refuse just that step,
//! and `resume` meets it. It ends with a promised code and words; when the world is mended the command ends where it would
//! have. Each kind of step names what refuses it, so that a new kind does not compile without.

use std::{
    fs,
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use bg_playground::{Playground, process};
use bluegreen_core::{
    half::Half,
    rollout::{Resume, Stage, Step},
};
use nix::sys::signal::Signal;
use serde_json::Value;

use super::{
    clean::leftovers,
    site::Site,
    steps::{open_steps, until_done},
    tally::{Tally, seed},
};
use crate::desk::while_changed;

/// Something that refuses a step until it is dropped.
#[expect(dead_code, reason = "held for its end")]
enum Fault {
    /// A directory in which nothing can be made, renamed or removed.
    Shut(Shut),
    /// A connection to a server that comes through no balancer.
    Peer(TcpStream),
    /// An application that accepts and never answers.
    Stopped(Stopped),
    /// An nginx.conf with an error in it.
    Broken(Broken),
}

struct Shut(PathBuf, bool);

impl Shut {
    fn new(dir: PathBuf, is_root: bool) -> Shut {
        if is_root {
            chattr("+i", &dir);
        } else {
            fs::set_permissions(&dir, fs::Permissions::from_mode(0o555)).unwrap();
        }
        Shut(dir, is_root)
    }
}

impl Drop for Shut {
    fn drop(&mut self) {
        if self.1 {
            chattr("-i", &self.0);
        } else {
            fs::set_permissions(&self.0, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
}

fn chattr(flag: &str, dir: &Path) {
    let out = Command::new("chattr").arg(flag).arg(dir).output().unwrap();
    assert!(out.status.success(), "`chattr {flag} {}`: {out:?}", dir.display());
}

struct Stopped(i32);

impl Drop for Stopped {
    fn drop(&mut self) {
        process::signal(self.0, Signal::SIGCONT);
    }
}

struct Broken(PathBuf, String);

impl Drop for Broken {
    fn drop(&mut self) {
        fs::write(&self.0, &self.1).unwrap();
    }
}

/// The server of a half; these sites have one each.
fn place(site: &Playground, half: Half) -> &bg_playground::Place {
    let half = if half == Half::Blue { bg_playground::Half::Blue } else { bg_playground::Half::Green };
    site.half("web", half)[0]
}

/// What makes the world refuse this step and no other that comes before it; `None` when there is nothing for it to do.
fn refuse(site: &Site, step: &Step) -> Option<Fault> {
    let (pg, state) = (&site.pg, site.state());
    let bg_dir = &pg.balancers()[0].bg_dir;
    let shut = |dir: PathBuf| Some(Fault::Shut(Shut::new(dir, pg.is_root())));
    match step {
        Step::CreateDirs if bg_dir.exists() => None,
        Step::CreateDirs => shut(bg_dir.parent().unwrap().to_owned()),
        Step::WriteConf { .. } => shut(bg_dir.clone()),
        Step::ReloadConf { .. } => {
            let conf = pg.balancers()[0].prefix.join("nginx.conf");
            let text = fs::read_to_string(&conf).unwrap();
            if !text.contains("http.conf") {
                return None;
            }
            fs::write(&conf, format!("{text}\nnonsense;\n")).unwrap();
            Some(Fault::Broken(Broken(conf, text)))
        }
        Step::Prepare { .. } => shut(bg_dir.join("live/gen")),
        Step::Commit { .. } => shut(bg_dir.join("live")),
        // What the balancers' own way back refuses is tested with it.
        Step::ArmRevert { .. } | Step::DisarmRevert | Step::Follow { .. } => None,
        Step::Drain { half, release } if state.release(*half) == Some(*release) => None,
        Step::Drain { half, .. } => Some(Fault::Peer(TcpStream::connect(place(pg, *half).listen).unwrap())),
        Step::Place { half, release } => {
            let root = &place(pg, *half).root;
            let releases = root.join("releases");
            // A release that is there already is not placed.
            if releases.join(release.to_string()).exists() {
                return None;
            }
            shut(if releases.exists() { releases } else { root.ancestors().find(|dir| dir.exists())?.to_owned() })
        }
        Step::Activate { half, release } if state.release(*half) == Some(*release) => None,
        Step::Activate { half, .. } => shut(place(pg, *half).root.clone()),
        Step::Check { half, .. } => {
            let pid = pg.app_pid(&place(pg, *half).host.name).unwrap();
            process::signal(pid, Signal::SIGSTOP);
            Some(Fault::Stopped(Stopped(pid)))
        }
        Step::Prune { protect } => {
            let root = &place(pg, Half::Green).root;
            let old = fs::read_dir(root.join("releases")).unwrap().flatten().map(|entry| entry.path());
            let kept = |path: &PathBuf| protect.iter().any(|version| path.ends_with(version.to_string()));
            // The oldest goes first, and the directory names them in no order.
            let number = |path: &PathBuf| path.file_name()?.to_str()?.strip_prefix('v')?.parse::<u64>().ok();
            shut(old.filter(|path| path.is_dir() && number(path).is_some() && !kept(path)).min_by_key(number)?)
        }
    }
}

/// The command failed as promised, and nobody noticed.
#[track_caller]
fn fails(site: &Site, words: &str, step: &Step) {
    if matches!(step, Step::Prune { .. }) {
        // What cannot be removed stays, and is named: no reason to end a rollout badly.
        let ran = site.first.bg(&site.pg, words);
        assert!(ran.expect(0).stderr.contains("old releases stay for now"), "{ran}");
        return;
    }
    let ran = while_changed(&site.pg, hasty, || site.first.bg(&site.pg, words));
    let open = site.state().open.is_some();
    let promised = if open { ran.code == Some(5) } else { matches!(ran.code, Some(1 | 3 | 4)) };
    assert!(promised, "`{step}` was refused (open afterwards: {open}): {ran}");
    assert!(ran.stderr.contains("error: ") && ran.stderr.contains("hint: "), "{ran}");
    site.none_failed();
}

/// Every step of a command refused in turn; returns where it ends when nothing refuses any more.
fn each_refused(site: &Site, words: &str, tally: &mut Tally) -> Value {
    // The first step is all that a command is known by before it begins.
    let shown = site.first.expect(&site.pg, &format!("{words} --dry-run"), 0).stdout;
    assert!(shown.contains("\n  1. ") || shown.starts_with("  1. "), "{shown}");
    until_done(site, words, 0);
    let mut steps = open_steps(site);
    let mut target = 1;
    while target < steps.len() {
        if let Some(fault) = refuse(site, &steps[target]) {
            fails(site, "resume", &steps[target]);
            drop(fault);
            tally.add("steps_refused", 1);
        } else {
            tally.add("nothing_to_refuse", 1);
        }
        if let Some(Resume::PutBack(_)) = site.state().resume() {
            site.first.expect(&site.pg, "resume", 0);
        }
        if target + 1 == steps.len() {
            break;
        }
        until_done(site, words, target);
        steps = open_steps(site);
        target += 1;
    }
    if site.state().open.is_some() {
        site.first.expect(&site.pg, "resume", 0);
    } else if !matches!(steps.last(), Some(Step::Prune { .. })) {
        site.first.expect(&site.pg, words, 0);
    }
    assert_eq!(leftovers(&site.pg), Vec::<PathBuf>::new(), "{words}");
    site.stands(&site.first, &site.labels())
}

/// The first step too: refused before anything of the command is done.
fn first_refused(site: &Site, words: &str, step: &Step, tally: &mut Tally) {
    let fault = refuse(site, step).unwrap();
    fails(site, words, step);
    drop(fault);
    tally.add("steps_refused", 1);
}

/// What never ends is known soon.
fn hasty(patient: &str) -> String {
    let text = patient.replace("within = \"8s\"", "within = \"1s\"").replace("timeout = \"8s\"", "timeout = \"1s\"");
    let text = text.replace("timeout = \"6s\"", "timeout = \"500ms\"");
    assert_ne!(text, patient);
    text
}

/// So that there is something to prune soon.
fn keep_few(site: &Site) {
    site.pg.edit_inventory(|text| text.replace("keep = 3", "keep = 2")).unwrap();
}

fn prepare_to(half: Half) -> Step {
    let to = bluegreen_core::traffic::Traffic::on(half, &["mobile".to_owned()]);
    Step::Prepare { to, direction: bluegreen_core::rollout::Direction::Forward }
}

#[test]
fn every_step_of_a_rollout_refused_once_costs_nobody_a_request() {
    let (seed, mut tally) = (seed(), Tally::default());
    let mut site = Site::serving(1);
    keep_few(&site);
    // An older release, for the pruning.
    for words in ["deploy --release v2", "flip", "restore"] {
        site.first.expect(&site.pg, words, 0);
    }
    for words in ["deploy --release NEW --canary mobile=10%", "flip", "restore"] {
        let words = words.replace("NEW", &site.labels().new);
        first_refused(&site, &words, &prepare_to(Half::Green), &mut tally);
        let end = each_refused(&site, &words, &mut tally);
        assert_eq!((&end["interrupted"], &end["in_sync"][0]), (&Value::Null, &true.into()), "{end:#}");
    }
    assert_eq!(site.state().stage, Some(Stage::Balanced));
    site.reach(Stage::Canary);
    let end = each_refused(&site, "abort", &mut tally);
    assert_eq!((&end["stage"], &end["traffic"]["mode"]), (&"balanced".into(), &"both".into()), "{end:#}");
    tally.add("requests", site.none_failed());
    tally.add("failed", 0);
    tally.say("faults/rollout", seed);
}

#[test]
fn every_step_of_a_setup_and_a_sync_refused_once_is_mended() {
    let (seed, mut tally) = (seed(), Tally::default());
    let mut site = Site::bare(1);
    keep_few(&site);
    first_refused(&site, "setup --release v1", &Step::CreateDirs, &mut tally);
    let end = each_refused(&site, "setup --release v1", &mut tally);
    assert_eq!((&end["stage"], &end["in_sync"][0]), (&"balanced".into(), &true.into()), "{end:#}");
    site.pg.wire().unwrap();
    fs::remove_file(site.pg.balancers()[0].bg_dir.join("server.conf")).unwrap();
    let end = each_refused(&site, "sync", &mut tally);
    assert_eq!((&end["stage"], &end["in_sync"][0]), (&"balanced".into(), &true.into()), "{end:#}");
    tally.say("faults/setup and sync", seed);
}
