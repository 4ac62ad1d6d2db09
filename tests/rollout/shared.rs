//! Two operators at two desks, and the journal on a balancer.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Output,
    time::Duration,
};

use bg_playground::{Playground, Running, until};
use bluegreen_core::{lock::Hold, rollout::By};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::desk::{self, SOON, bg, journal, kill_held, small, start_until, status};

/// Another directory with the same inventory, and nothing else of the first one's.
pub struct Desk<'a> {
    site: &'a Playground,
    pub dir: PathBuf,
}

impl Desk<'_> {
    pub fn new(site: &Playground) -> Desk<'_> {
        let dir = site.dir().join("another desk");
        fs::create_dir_all(dir.join("inventory")).unwrap();
        fs::copy(site.inventory_file(), dir.join("inventory/shop.toml")).unwrap();
        for shared in ["ssh_config", "dist"] {
            symlink(site.dir().join(shared), dir.join(shared)).unwrap();
        }
        Desk { site, dir }
    }

    #[track_caller]
    pub fn bg(&self, words: &str, code: i32) -> String {
        let Output { status, stdout, stderr } =
            self.site.bg_command(words.split_whitespace()).unwrap().current_dir(&self.dir).output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert_eq!(status.code(), Some(code), "bg {words}: {said}");
        if words.contains("--json") { String::from_utf8_lossy(&stdout).into_owned() } else { said }
    }

    #[track_caller]
    pub fn status(&self) -> Value {
        serde_json::from_str(&self.bg("status --json", 0)).unwrap()
    }
}

/// A small site whose journal is on one of its hosts, in a directory that does not exist yet.
fn shared(host: &str) -> (Playground, PathBuf) {
    let site = small().start().unwrap();
    let dir = site.host(host).dir.join("var/journal");
    site.edit_inventory(|text| text.replace("file:.bg/shop", &format!("ssh:{host}:{}", dir.display()))).unwrap();
    (site, dir)
}

/// The processes that a command has started for a host.
fn children_for(running: &Running, host: &str) -> Vec<String> {
    let threads = fs::read_dir(format!("/proc/{}/task", running.pid())).into_iter().flatten().flatten();
    let children = threads.map(|thread| fs::read_to_string(thread.path().join("children")).unwrap_or_default());
    let children = children.flat_map(|pids| pids.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    let line = |pid: &String| fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    children.filter(|pid| String::from_utf8_lossy(&line(pid)).split('\0').any(|word| word == host)).collect()
}

fn is_empty(dir: &Path) -> bool {
    fs::read_dir(dir).map_or(true, |mut entries| entries.next().is_none())
}

/// Without the journal, what is served is what the balancer's tree says, and the releases are the servers' markers'.
#[track_caller]
pub fn serves_blue(seen: &Value) {
    assert_eq!((&seen["stage"], &seen["interrupted"], &seen["next"]), (&json!(null), &json!(null), &json!([])));
    assert_eq!((&seen["traffic"]["mode"], &seen["balancers"][0]["traffic"]), (&json!("split"), &seen["traffic"]));
    let shares = seen["traffic"]["segments"].as_array().unwrap();
    assert!(!shares.is_empty() && shares.iter().all(|share| share["green_percent"] == 0.0), "{seen:#}");
    assert_eq!(seen["releases"]["green"], "v2", "{seen:#}");
}

#[test]
fn two_desks_work_on_one_site_and_one_finishes_what_the_other_began() {
    let (mut site, dir) = shared("lb1");
    site.setup("v1").unwrap().expect(0);
    site.release("v2").unwrap();
    let other = Desk::new(&site);
    bg(&site, "deploy --release v2", 0);
    let seen = other.status();
    assert_eq!((&seen["stage"], &seen["rollout"]), (&json!("staged"), &json!("r1")), "{seen:#}");
    other.bg("flip", 0);
    assert_eq!(status(&site)["stage"], "flipped");
    assert!(!site.dir().join(".bg").exists() && !other.dir.join(".bg").exists(), "no journal of a desk's own");
    assert!(is_empty(&dir.join("queue")), "everybody left");

    let hold = site.hold_restarts().unwrap();
    let restore = start_until(&site, "restore", 4);
    let before = journal(&site);
    let said = other.bg("flip --back", 3);
    assert!(said.contains("another bg is under way on this site: `restore` by"), "{said}");
    let seen = other.status();
    assert!(seen["under_way"].as_str().is_some_and(|who| who.contains("`restore` by")), "{seen:#}");
    assert!(journal(&site) == before, "the journal is untouched");
    restore.signal(Signal::SIGKILL);
    restore.wait(SOON).unwrap();
    fs::remove_file(&hold).unwrap();
    // The dead command's lock goes with its connection.
    other.bg("resume --wait 40s", 0);
    assert_eq!(status(&site)["stage"], "balanced");

    kill_held(&site, &hold, "deploy --release v1");
    other.bg("abort --wait 40s", 0);
    assert_eq!(status(&site)["stage"], "balanced");
}

#[test]
fn a_command_whose_journal_goes_away_stops_before_its_next_step_and_nothing_else_begins() {
    let (mut site, dir) = shared("web1");
    site.setup("v1").unwrap().expect(0);
    site.release("v2").unwrap();
    let hold = site.hold_restarts().unwrap();
    let deploy = start_until(&site, "deploy --release v2", 4);
    let before = journal(&site);
    let connections = children_for(&deploy, "web1");
    assert!(!connections.is_empty());
    site.stop_sshd("web1").unwrap();
    // It has seen that, before it has something to append: a process is there until whoever started it has seen its end.
    // Of a connection that nobody listens to it is not seen.
    let has_seen = || connections.iter().any(|pid| !Path::new("/proc").join(pid).exists());
    until(SOON, "the end of the journal's connection", || has_seen().then_some(())).unwrap();
    fs::remove_file(hold).unwrap();
    let ran = deploy.wait(SOON).unwrap();
    assert!(ran.expect(5).stderr.contains("lost the lock of the journal `ssh:web1:"), "{ran}");
    assert!(journal(&site) == before, "nothing was appended: {ran}");

    let ran = bg(&site, "resume", 1);
    assert!(ran.stderr.contains(&format!("the journal `ssh:web1:{}` could not be", dir.display())), "{ran}");
    assert!(ran.stderr.contains("`web1` is unreachable") && ran.stderr.contains("Nothing was touched"), "{ran}");
    assert!(ran.stderr.contains("hint: bring that host back") && !ran.stderr.contains("make room"), "{ran}");
    let ran = bg(&site, "status --json", 1);
    assert!(ran.took < Duration::from_secs(40), "{ran}");
    let seen: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert!(seen["journal"].as_str().unwrap().contains("`web1` is unreachable"), "{seen:#}");
    assert_eq!(seen["pools"]["web"]["green"][0]["release"], "v2", "{seen:#}");
    assert_eq!(seen["balancers"][0]["reachable"], true, "{seen:#}");
    serves_blue(&seen);

    site.start_sshd("web1").unwrap();
    assert_eq!(status(&site)["interrupted"]["step"], "activate v2 on green");
    bg(&site, "resume", 0);
    assert_eq!(status(&site)["stage"], "staged");
}

#[test]
fn an_unfinished_copy_of_the_journal_says_nothing_but_what_the_hosts_say_and_how_to_finish_it() {
    let mut site = small().start().unwrap();
    site.setup("v1").unwrap().expect(0);
    site.release("v2").unwrap();
    bg(&site, "deploy --release v2", 0);
    let whole = journal(&site);
    // As `journal copy` leaves it when it is killed while the deploy's records are written: in them a step is under way.
    let lines: Vec<&str> = whole.lines().collect();
    let half = lines.iter().rposition(|line| line.contains("\"event\":\"step_started\"")).unwrap();
    let to = site.dir().join("shared");
    let by = By { user: "anna".to_owned(), host: "desk".to_owned(), pid: 7 };
    let since = "2026-01-01T00:00:00Z".to_owned();
    let hold = Hold { by, since, why: None, copy_of: Some("file:.bg/shop".to_owned()) };
    fs::create_dir_all(&to).unwrap();
    fs::write(to.join("journal.jsonl"), lines[..=half].join("\n") + "\n").unwrap();
    fs::write(to.join("hold.json"), serde_json::to_string(&hold).unwrap()).unwrap();
    site.edit_inventory(|text| text.replace("file:.bg/shop", "file:shared")).unwrap();

    let seen = status(&site);
    serves_blue(&seen);
    assert_eq!(
        (&seen["rollout"], &seen["recent"], &seen["releases"]["blue"]),
        (&json!(null), &json!([]), &json!("v1"))
    );
    assert_eq!(seen["lock"]["copy_of"], "file:.bg/shop", "{seen:#}");
    let text = bg(&site, "status", 0).stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    for said in [
        "this journal is an unfinished copy of `file:.bg/shop` on the machine `desk`, begun by anna@desk",
        "still is `file:.bg/shop` on the machine `desk`, unless that one says that it is closed",
        "`bg journal copy file:.bg/shop file:shared` again finishes the copy",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    assert!(!text.contains("interrupted") && text.matches("unfinished copy").count() == 1, "{text}");

    let found = desk::json(&site, "check --hosts", 1);
    assert_eq!(found["findings"].as_array().map(Vec::len), Some(1), "{found:#}");
    assert!(found["findings"][0]["fix"].as_str().unwrap().contains("again finishes the copy"), "{found:#}");

    bg(&site, "journal copy file:.bg/shop file:shared", 0);
    let seen = status(&site);
    assert_eq!((&seen["stage"], &seen["interrupted"], &seen["lock"]), (&json!("staged"), &json!(null), &json!(null)));

    // The one that it was copied from is closed; what it says is how the site stood then.
    bg(&site, "flip", 0);
    site.edit_inventory(|text| text.replace("file:shared", "file:.bg/shop")).unwrap();
    let seen = status(&site);
    assert_eq!((&seen["stage"], &seen["rollout"], &seen["next"]), (&json!(null), &json!(null), &json!([])), "{seen:#}");
    assert_eq!((&seen["moved"]["to"], &seen["recent"]), (&json!("file:shared"), &json!([])), "{seen:#}");
    assert_eq!(seen["balancers"][0]["traffic"]["segments"][0]["green_percent"], 100.0, "{seen:#}");
    assert_eq!(seen["traffic"], seen["balancers"][0]["traffic"], "{seen:#}");
    let text = bg(&site, "status", 0).stdout;
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        text.starts_with("journal: this journal is closed: the site was moved to the journal `file:shared`"),
        "{text}"
    );
    for said in [
        "Set `journal = \"file:shared\"` under `[site]` in the inventory.",
        "in a stage that is not known, for this is its journal no more",
        "traffic all traffic on green, as every balancer's own tree says",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    assert!(!text.contains("staged") && !text.contains("next bg"), "{text}");
    let found = desk::json(&site, "check --hosts", 1);
    assert_eq!((&found["findings"][0]["role"], &found["findings"][1]), (&json!("journal"), &json!(null)), "{found:#}");
    assert!(found["findings"][0]["message"].as_str().unwrap().contains("is closed"), "{found:#}");
}
